"""Cure models, latent classes of times, and times beside other responses: known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import bayesmix as bmx
from bayesmix.errors import FitError


def cohort(n=4000, seed=1):
    """A Weibull time for the uncured, a logit of x for the cured, uniform censoring."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    share = special.expit(-0.8 + 0.9 * z)
    cured = rng.random(n) < share
    time = np.exp(0.5 - 0.6 * x) * rng.weibull(1.6, n)
    time[cured] = np.inf
    end = rng.uniform(1, 12, n)
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "share": share,
            "cured": cured,
            "time": np.minimum(time, end),
            "status": (time <= end).astype(int),
        }
    )


@pytest.fixture(scope="module")
def cure():
    data = cohort()
    spec = bmx.Mixture(
        "surv(time, status) ~ x", data, family=["weibull", "cured"], k=2, concomitant="~ z"
    )
    return spec.fit(seed=1, starts=3)


def test_a_cure_model_finds_what_was_simulated(cure):
    assert cure.status == "converged"
    table = cure.summary().set_index(["component", "term", "effect"])
    truth = {
        (1, "Intercept", "varying"): 0.5,
        (1, "x", "varying"): -0.6,
        (1, "shape", "dispersion"): 1.6,
        (2, "Intercept", "concomitant"): -0.8,
        (2, "z", "concomitant"): 0.9,
    }
    for key, value in truth.items():
        row = table.loc[key]
        se = row["se"] * (row["estimate"] if row["scale"] == "log" else 1.0)
        assert abs(row["estimate"] - value) < 3.3 * se, key
    assert len(table) == len(truth)


def test_both_kinds_of_cure_are_those_of_flexsurvcure():
    """Three groups; S = c + (1 - c) S_0 and c ** F_0, c the cured share (Amdahl, flexsurvcure)."""
    rng = np.random.default_rng(11)
    group = rng.integers(0, 3, 600)
    cured = rng.random(600) < np.array([0.7, 0.5, 0.2])[group]
    time = np.where(cured, np.inf, 3 * rng.weibull(1.4, 600))
    end = rng.uniform(1, 9, 600)
    t, e = np.minimum(time, end), time <= end
    data = pd.DataFrame({"t": t, "s": e * 1, "group": np.array(["good", "medium", "poor"])[group]})

    def minus(p, mixture):
        share = special.expit(p[:3])[group]
        shape, hazard = np.exp(p[3]), np.exp(p[4]) * t ** np.exp(p[3])
        left, log_f = np.exp(-hazard), np.log(shape * hazard / t) - hazard
        if mixture:
            log_density, alive = np.log1p(-share) + log_f, share + (1 - share) * left
        else:
            alive = share ** (1 - left)
            log_density = np.log(-np.log(share)) + log_f + np.log(alive)
        return -np.where(e, log_density, np.log(alive)).sum()

    weibull = bmx.family("promotion_time", of="weibull_ph")
    mixture = bmx.Mixture(
        "surv(t, s) ~ 1", data, family=["weibull_ph", "cured"], k=2, concomitant="~ group"
    )
    other = bmx.Mixture("surv(t, s) ~ group", data, family=weibull, k=1)
    for spec, kind in ((mixture, True), (other, False)):
        fit = spec.fit(seed=1, starts=2)
        found = optimize.minimize(minus, [0.5, 0.0, -1.0, 0.3, -1.5], kind, method="BFGS")
        assert fit.loglik == pytest.approx(-found.fun, abs=1e-5)
        levels = pd.DataFrame({"group": ["good", "medium", "poor"]})
        estimated = fit.cured_fraction(levels)["estimate"]
        np.testing.assert_allclose(estimated, special.expit(found.x[:3]), atol=1e-3)


def test_cured_fraction(cure):
    data = cohort()
    found = cure.cured_fraction(data)
    assert list(found.columns) == ["row", "x", "z", "estimate", "lower", "upper"]
    # It is the weight of the cured component, whatever the covariates of the time.
    np.testing.assert_allclose(found["estimate"], cure.predict(data, "weight")[2], rtol=1e-12)
    assert found["estimate"].mean() == pytest.approx(data["share"].mean(), abs=0.03)
    new = pd.DataFrame({"x": [0.0, 0.0], "z": [-1.0, 2.0]})
    truth = special.expit(-0.8 + 0.9 * new["z"])
    some = cure.cured_fraction(new)
    assert ((some["lower"] < truth) & (truth < some["upper"])).all()
    # The delta method on the logit scale: the standard error of a linear predictor.
    cov = cure.covariance()
    at = [name for name in cov.index if "concomitant" in name]
    z = np.column_stack([np.ones(2), new["z"]])
    se = np.sqrt(np.einsum("ij,jk,ik->i", z, cov.loc[at, at].to_numpy(), z))
    logits = np.log(some["upper"] / (1 - some["upper"])) - np.log(
        some["estimate"] / (1 - some["estimate"])
    )
    np.testing.assert_allclose(logits, special.ndtri(0.975) * se, rtol=1e-4)
    wider = cure.cured_fraction(new, ci=0.99)
    assert (wider["lower"] < some["lower"]).all()


def test_what_survival_to_a_time_says_of_being_cured(cure):
    new = pd.DataFrame({"x": [0.3], "z": [0.5]})
    share = cure.cured_fraction(new)["estimate"][0]
    scale = np.exp(cure.coefficients().loc["Intercept", 1] + 0.3 * cure.coefficients().loc["x", 1])
    left = np.exp(-((2.0 / scale) ** cure.dispersion().loc[1, "shape"]))
    given = share / (share + (1 - share) * left)
    assert cure.cured_fraction(new, spent=2.0)["estimate"][0] == pytest.approx(given, rel=1e-10)
    # Until five years: those cured have all of them, the others the rest of their curve.
    t = np.linspace(2.0, 5.0, 4001)
    rest = np.exp(-((t / scale) ** cure.dispersion().loc[1, "shape"])) / left
    others = 2 + np.trapezoid(rest, t)
    found = cure.restricted_mean_time(5, new, spent=2.0)["estimate"]
    np.testing.assert_allclose(found, [5 * given + others * (1 - given), others, 5], rtol=1e-6)


def test_cured_fractions_of_groups_and_components(cure):
    data = cohort().assign(old=lambda d: d["z"] > 0)
    table = cure.cured_fraction(data, by="old")
    each = cure.cured_fraction(data)["estimate"].groupby(data["old"]).mean()
    np.testing.assert_allclose(table.set_index("old")["estimate"], each, rtol=1e-10)
    assert (table["lower"] < each.to_numpy()).all()
    whole = cure.cured_fraction(data, by=True)["estimate"].tolist()
    assert whole == pytest.approx([cure.mixing[2]], rel=1e-9)
    assert cure.cured_fraction(data.head(1), by="component")["estimate"].tolist() == [0, 1]


def test_a_negative_gompertz_shape_leaves_a_share():
    rng = np.random.default_rng(2)
    rate, shape = 0.5, -0.8  # exp(rate / shape) = 0.535 never have the event
    left = rng.random(4000)
    fall = 1 + shape * -np.log(left) / rate
    time = np.where(fall > 0, np.log(np.maximum(fall, 1e-300)) / shape, np.inf)
    data = pd.DataFrame({"time": np.minimum(time, 8.0), "status": (time <= 8.0).astype(int)})
    fit = bmx.Mixture("surv(time, status) ~ 1", data, family="gompertz", k=1).fit(seed=1)
    found = fit.cured_fraction().iloc[0]
    assert found["lower"] < np.exp(rate / shape) < found["upper"]
    b = np.exp(fit.coefficients().loc["Intercept", 1])
    a = fit.dispersion().loc[1, "shape"]
    assert found["estimate"] == pytest.approx(np.exp(b / a), rel=1e-12)
    assert np.isinf(fit.predict().to_numpy()).all()


def test_who_can_be_cured_is_refused_where_nobody_is():
    data = cohort(300)
    fit = bmx.Mixture("surv(time, status) ~ x", data, family="weibull", k=1).fit(seed=1)
    with pytest.raises(FitError, match=r"sooner or later \(weibull\).*family 'cured'"):
        fit.cured_fraction()
    plain = bmx.Mixture("x ~ z", data, k=1).fit(seed=1)
    with pytest.raises(FitError, match="about survival times, and x is none"):
        plain.cured_fraction()
    with pytest.raises(FitError, match="no option level=; here it is ci="):
        bmx.Mixture("surv(time, status) ~ x", data, family="gompertz", k=1).fit(
            seed=1
        ).cured_fraction(level=0.9)


def test_simulated_times_of_a_cure_model(cure):
    drawn = cure.simulate(seed=3)
    assert list(drawn.columns) == ["time", "component"]
    assert (np.isinf(drawn["time"]) == (drawn["component"] == 2)).all()
    share = cohort()["share"]
    assert np.isinf(drawn["time"]).mean() == pytest.approx(share.mean(), abs=0.04)
    residuals = cure.residuals("martingale")
    # Of the cured an event is one too many, and no event as it should be.
    status = cohort()["status"].to_numpy()
    np.testing.assert_array_equal(residuals[2], status)


def test_cured_among_competing_events():
    rng = np.random.default_rng(4)
    n = 3000
    which = rng.choice(3, n, p=[0.5, 0.2, 0.3])
    time = np.where(which == 0, rng.weibull(1.5, n), 2 * rng.weibull(2.0, n))
    time = np.where(which == 2, np.inf, time)
    end = rng.uniform(0.5, 12, n)
    seen = time <= end
    data = pd.DataFrame({"time": np.minimum(time, end), "status": seen.astype(int)})
    data["event"] = np.where(seen, np.array(["death", "relapse", None], object)[which], None)
    family = {"death": "weibull", "relapse": "weibull", "cured": "cured"}
    spec = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", family)
    fit = spec.fit(seed=1)
    found = fit.cured_fraction().iloc[0]
    assert found["lower"] < 0.3 < found["upper"]
    assert found["estimate"] == pytest.approx(fit.mixing["cured"], rel=1e-12)
    posterior = spec.fit("laplace", seed=1, draws=1000)
    bayes = posterior.cured_fraction().iloc[0]
    assert bayes["estimate"] == pytest.approx(found["estimate"], abs=0.01)
    assert bayes["upper"] - bayes["lower"] == pytest.approx(
        found["upper"] - found["lower"], rel=0.15
    )


# --- latent classes ------------------------------------------------------------------------


def test_two_latent_classes_of_times_with_a_fixed_effect():
    rng = np.random.default_rng(5)
    n = 3000
    second = rng.random(n) < 0.4
    x = rng.normal(size=n)
    scale = np.exp(np.where(second, 2.5, 0.0) + 0.5 * x)
    time = scale * np.where(second, rng.weibull(3.0, n), rng.weibull(1.2, n))
    end = rng.uniform(2, 40, n)
    data = pd.DataFrame(
        {"x": x, "time": np.minimum(time, end), "status": (time <= end).astype(int)}
    )
    fit = bmx.Mixture("surv(time, status) ~ 1", data, family="weibull", k=2, fixed="~ x").fit(
        seed=1, starts=5
    )
    table = fit.summary().set_index(["component", "term"])
    truth = {
        (1, "Intercept"): 0.0,
        (2, "Intercept"): 2.5,
        (1, "x"): 0.5,
        (2, "weight"): 0.4,
    }
    for key, value in truth.items():
        assert table.loc[key, "lower"] - 0.05 < value < table.loc[key, "upper"] + 0.05, key
    np.testing.assert_allclose(fit.dispersion()["shape"], [1.2, 3.0], rtol=0.12)
    # Memberships are those of Bayes' rule.
    own = fit.membership().iloc[0]
    row = data.iloc[0]
    terms = []
    for c in (1, 2):
        s = np.exp(
            table.loc[(c, "Intercept"), "estimate"]
            + 0.0
            + table.loc[(1, "x"), "estimate"] * row["x"]
        )
        a = fit.dispersion().loc[c, "shape"]
        h = (row["time"] / s) ** a
        f = np.exp(-h) * (a * h / row["time"] if row["status"] else 1.0)
        terms.append(fit.mixing[c] * f)
    np.testing.assert_allclose(own, np.array(terms) / sum(terms), rtol=1e-9)


def test_a_time_and_a_count_share_classes():
    rng = np.random.default_rng(6)
    n = 800
    second = rng.random(n) < 0.5
    time = np.where(second, 4 * rng.weibull(2.0, n), rng.weibull(1.0, n))
    end = rng.uniform(1, 8, n)
    data = pd.DataFrame(
        {
            "time": np.minimum(time, end),
            "status": (time <= end).astype(int),
            "count": rng.poisson(np.where(second, 2.0, 9.0)),
        }
    )
    responses = [
        bmx.Regression("surv(time, status) ~ 1", family="weibull"),
        bmx.Regression("count ~ 1", family="poisson"),
    ]
    fit = bmx.Mixture(responses, data, k=2).fit(seed=1, starts=4)
    one, two = fit.coefficients().to_numpy()
    order = np.argsort(one)
    np.testing.assert_allclose(np.exp(one[order]), [1.0, 4.0], rtol=0.12)
    np.testing.assert_allclose(np.exp(two[order]), [9.0, 2.0], rtol=0.08)
    agree = (fit.clusters().to_numpy() == order[second.astype(int)] + 1).mean()
    assert agree > 0.95
    # Each response has the residuals of its kind, and both are simulated.
    assert fit.residuals("martingale").columns.get_level_values(0)[0] == "surv(time, status)"
    assert fit.residuals("pearson").columns.get_level_values(0)[0] == "count"
    assert list(fit.simulate(1).columns) == ["time", "count", "component"]
    with pytest.raises(FitError, match="weibull"):
        fit.cured_fraction()


def test_recurrent_times_in_a_group_share_a_class():
    rng = np.random.default_rng(7)
    groups, each = 150, 4
    second = rng.random(groups) < 0.5
    time = rng.exponential(np.repeat(np.where(second, 5.0, 0.8), each))
    end = rng.uniform(0.5, 10, groups * each)
    data = pd.DataFrame(
        {
            "id": np.repeat(np.arange(groups), each),
            "time": np.minimum(time, end),
            "status": (time <= end).astype(int),
        }
    )
    fit = bmx.Mixture("surv(time, status) ~ 1 | id", data, family="exponential", k=2).fit(
        seed=1, starts=4
    )
    rates = np.sort(np.exp(fit.coefficients().loc["Intercept"]))
    np.testing.assert_allclose(rates, [1 / 5.0, 1 / 0.8], rtol=0.2)
    # The unit is the group: the likelihood of a group is a sum over classes of products.
    b, w = np.exp(fit.coefficients().loc["Intercept"]).to_numpy(), fit.mixing.to_numpy()
    d = data.groupby("id")["status"].sum().to_numpy()[:, None]
    t = data.groupby("id")["time"].sum().to_numpy()[:, None]
    assert fit.loglik == pytest.approx(np.log((w * b**d * np.exp(-b * t)).sum(1)).sum(), rel=1e-10)
    drawn = fit.simulate(2).join(data["id"])
    assert (drawn.groupby("id")["component"].nunique() == 1).all()


def test_memberships_and_labels_of_times_as_a_start():
    """A few early times are a class of their own: the first steps have far to go."""
    spec = bmx.Mixture("surv(years, status) ~ age", bmx.load_data("mgus2"), family="weibull", k=2)
    fit = spec.fit(seed=1, starts=4)
    for init in (fit.membership(), fit.clusters()):
        assert spec.fit(init=init).loglik == pytest.approx(fit.loglik, rel=1e-8)
