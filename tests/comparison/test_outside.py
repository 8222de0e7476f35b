"""Outside variables against a few lines of NumPy and by simulation with known classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import bayesmix as bmx

WAYS = [
    ("ml", "modal"),
    ("ml", "proportional"),
    ("bch", "modal"),
    ("bch", "proportional"),
    ("two-step", None),
]
AGE = 0.08


def sample(rng, n=400, apart=1.5):
    """Two classes behind three indicators; age predicts the class, outcomes depend on it."""
    age = rng.normal(40, 10, n)
    second = rng.random(n) < 1 / (1 + np.exp(0.5 - AGE * (age - 40)))
    data = pd.DataFrame({"age": age})
    for j in range(3):
        data[f"y{j}"] = apart * second + rng.normal(size=n)
    data["out"] = np.where(second, 2.0, 0.0) + rng.normal(size=n) * np.where(second, 1.5, 1.0)
    data["count"] = rng.poisson(np.where(second, 4.0, 1.0))
    time = rng.exponential(np.where(second, 2.0, 0.7))
    data["t"], data["dead"] = time.clip(max=3), (time < 3).astype(int)
    return data


def fit_classes(data, **options):
    items = [bmx.Regression(f"y{j} ~ 1", dispersion="fixed") for j in range(3)]
    return bmx.Mixture(items, data, k=2).fit(seed=1, **options)


@pytest.fixture(scope="module")
def classes():
    data = sample(np.random.default_rng(1))
    return data, fit_classes(data)


def by_hand(fit, method, assign):
    """Assignments, classification errors and memberships, in NumPy."""
    share = fit.membership().to_numpy()
    assigned = np.eye(2)[share.argmax(1)] if assign == "modal" else share
    errors = share.T @ assigned / share.sum(0)[:, None]
    return share, assigned, errors


def objective(fit, method, assign, log_joint):
    share, assigned, errors = by_hand(fit, method, assign)
    if method == "bch":
        return ((assigned @ np.linalg.inv(errors)) * log_joint).sum()
    if method == "two-step":
        density = np.log(share) - np.log(fit.mixing.to_numpy())
        return np.logaddexp.reduce(density + log_joint, axis=1).sum()
    return (assigned * np.log(np.exp(log_joint) @ errors)).sum()


@pytest.mark.parametrize(("method", "assign"), WAYS)
def test_relate_maximises_its_objective(classes, method, assign):
    data, fit = classes
    centred = data["age"].to_numpy() - 40

    def minus(b):
        eta = b[0] + b[1] * centred
        return -objective(
            fit, method, assign, np.column_stack([-np.logaddexp(0, eta), -np.logaddexp(0, -eta)])
        )

    best = optimize.minimize(
        minus,
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000},
    ).x
    found = fit.relate("~ age", method=method, assign=assign)
    rows = found.summary().set_index("term")
    assert rows.loc["age", "estimate"] == pytest.approx(best[1], rel=1e-5)
    assert rows.loc["Intercept", "estimate"] == pytest.approx(best[0] - 40 * best[1], rel=1e-5)
    assert (rows["component"] == 2).all()
    if assign is not None:
        copied = found.errors
        copied.iloc[:] = -1.0
        np.testing.assert_allclose(found.errors, by_hand(fit, method, assign)[2], rtol=1e-10)


@pytest.mark.parametrize(("method", "assign"), WAYS)
def test_distal_maximises_its_objective(classes, method, assign):
    data, fit = classes
    y = data["count"].to_numpy()

    def minus(b):
        log_pi = np.array([-np.logaddexp(0, b[2]), -np.logaddexp(0, -b[2])])
        return -objective(
            fit, method, assign, stats.poisson.logpmf(y[:, None], np.exp(b[:2])) + log_pi
        )

    best = optimize.minimize(
        minus,
        [0.3, 1.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 4000},
    ).x
    found = fit.distal("count ~ 1", family="poisson", method=method, assign=assign).summary()
    own = found[found["effect"] == "varying"]["estimate"]
    np.testing.assert_allclose(own, best[:2], rtol=1e-4, atol=1e-5)


def test_bch_has_closed_form_means_and_their_sandwich_at_known_classes():
    """With classes that cannot be mistaken the second step is an ordinary regression."""
    data = sample(np.random.default_rng(2), apart=30.0)
    fit = fit_classes(data)
    own = fit.clusters().to_numpy() == 2
    found = fit.distal("out ~ 1", method="bch").summary().set_index(["effect", "component"])
    y = data["out"].to_numpy()
    for c, rows in ((1, ~own), (2, own)):
        assert found.loc[("varying", c), "estimate"] == pytest.approx(y[rows].mean(), rel=1e-6)
        se = y[rows].std() / np.sqrt(rows.sum())
        assert found.loc[("varying", c), "se"] == pytest.approx(se, rel=1e-5)
    related = fit.relate("~ age", method="ml").summary().set_index("term")
    import statsmodels.api as sm

    logit = sm.Logit(own.astype(int), sm.add_constant(data["age"])).fit(disp=0, cov_type="HC0")
    assert related.loc["age", "estimate"] == pytest.approx(logit.params["age"], rel=1e-5)
    assert related.loc["age", "se"] == pytest.approx(logit.bse["age"], rel=1e-4)


def test_times_levels_and_weights_go_along(classes):
    data, fit = classes
    times = fit.distal("surv(t, dead) ~ 1", family="exponential", method="ml").summary()
    mean = times[times["effect"] == "varying"]["estimate"].to_numpy()
    assert mean[0] < mean[1] or mean[0] > mean[1]
    assert abs(abs(mean[1] - mean[0]) - np.log(2.0 / 0.7)) < 0.6
    slope = bmx.slopes(fit.relate("~ age", method="two-step"), "age", what="weight", by=True)
    np.testing.assert_allclose(slope["estimate"].sum(), 0.0, atol=1e-12)
    assert slope["estimate"].iloc[1] > 0
    twice = pd.concat([data, data], ignore_index=True)
    copies = fit_classes(twice).relate("~ age", method="ml").summary()
    weighted = bmx.Mixture(
        [bmx.Regression(f"y{j} ~ 1", dispersion="fixed") for j in range(3)],
        data.assign(w=2.0),
        k=2,
        weights="w",
    ).fit(seed=1)
    own = weighted.relate("~ age", method="ml").summary()
    numbers = ["estimate", "se"]
    np.testing.assert_allclose(own[numbers], copies[numbers], rtol=1e-4)
    shuffled = data.sample(frac=1, random_state=1)  # the index tells which row is which
    same = weighted.relate("~ age", method="ml", data=shuffled).summary()
    np.testing.assert_allclose(same[numbers], own[numbers], rtol=1e-10)
    w = np.where(data["age"] > data["age"].mean(), 3.0, 1.0)
    again = bmx.Mixture("y0 ~ 1", data.assign(w=w), k=2, weights="w").fit(init=fit.clusters())
    found = again.distal("out ~ center(age)", data=data, method="ml").summary()
    mean = float(np.average(data["age"], weights=w))
    expected = again.distal(f"out ~ I(age - {mean!r})", data=data, method="ml").summary()
    np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-6)


def test_formulas_find_the_users_functions(classes):
    data, fit = classes

    def decades(x):
        return x / 10

    mine = fit.relate("~ decades(age)", method="two-step").summary()["estimate"].to_numpy()
    theirs = fit.relate("~ age", method="two-step").summary()["estimate"].to_numpy()
    np.testing.assert_allclose(mine, theirs * [1, 10], rtol=1e-5)
    shifted = fit.distal("I(decades(out)) ~ 1").summary()["estimate"].iloc[0]
    assert shifted == pytest.approx(fit.distal("out ~ 1").summary()["estimate"].iloc[0] / 10)
    assert len(data)


def test_far_covariates_and_groups():
    rng = np.random.default_rng(3)
    data = sample(rng, 200)
    fit = fit_classes(data)
    near = fit.relate("~ age", method="ml").summary().set_index("term")
    data["far"] = 1e6 + data["age"] * 1e-3
    far = fit.relate("~ far", method="ml", data=data).summary().set_index("term")
    assert far.loc["far", "estimate"] / 1e3 == pytest.approx(near.loc["age", "estimate"], rel=1e-4)
    assert far.loc["far", "z"] == pytest.approx(near.loc["age", "z"], rel=1e-3)
    long = pd.DataFrame({"id": np.repeat(np.arange(60), 4)})
    second = np.repeat(rng.random(60) < 0.4, 4)
    long["y"] = 3.0 * second + rng.normal(size=240)
    long["end"] = np.repeat(rng.normal(size=60), 4) + 2.0 * second
    grouped = bmx.Mixture("y ~ 1 | id", long, k=2).fit(seed=1)
    found = grouped.distal("end ~ 1", method="bch").summary()
    means = found[found["effect"] == "varying"]["estimate"]
    units = long.groupby("id")["end"].first()
    own = grouped.clusters() == 2
    np.testing.assert_allclose(means, [units[~own].mean(), units[own].mean()], atol=0.1)
    with pytest.raises(bmx.DataError, match="same in all rows"):
        grouped.distal("y ~ 1")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda f: f.relate("~ age", method="three-step"), bmx.FitError, "unknown"),
        (lambda f: f.relate("~ age", assign="hard"), bmx.FitError, "unknown"),
        (lambda f: f.relate("~ age", method="two-step", assign="modal"), bmx.FitError, "leave"),
        (lambda f: f.relate("~ nothing"), bmx.BayesmixError, "nothing"),
        (lambda f: f.distal("nothing ~ 1"), bmx.BayesmixError, "nothing"),
        (lambda f: f.relate("~ age", data=pd.DataFrame({"age": [1.0]})), bmx.DataError, "rows"),
    ],
)
def test_what_cannot_be_asked(classes, call, error, match):
    with pytest.raises(error, match=match):
        call(classes[1])


def test_a_missing_outcome_is_an_error(classes):
    data, fit = classes
    gaps = data.assign(out=data["out"].where(data.index > 3))
    with pytest.raises(bmx.DataError, match="missing"):
        fit.distal("out ~ 1", data=gaps)
    with pytest.raises(bmx.DataError, match="missing"):
        fit.relate("~ out", data=gaps)


def test_posteriors_cut_the_second_step_from_the_first(classes):
    _, fit = classes
    posterior = fit.spec.fit("laplace", draws=500, seed=1)
    related = posterior.relate("~ age", draws=60, seed=1)
    own = related.summary().set_index("term").loc["age"]
    point = fit.relate("~ age", method="two-step").summary().set_index("term").loc["age"]
    assert own["mean"] == pytest.approx(point["estimate"], abs=0.6 * point["se"])
    assert 0.6 < own["sd"] / point["se"] < 1.6
    means = posterior.distal("out ~ 1", draws=60, seed=1).summary()
    assert (means["effect"] == "varying").sum() == 2
    assert means["mean"].iloc[:2].tolist() == pytest.approx([0.0, 2.0], abs=0.6)
    slope = bmx.slopes(related, "age", what="weight", by=True)
    np.testing.assert_allclose(slope["estimate"].sum(), 0.0, atol=1e-10)


@pytest.mark.slow
def test_intervals_cover_the_truth():
    rng = np.random.default_rng(5)
    runs = 200
    hits = {way: [] for way in WAYS}
    for _ in range(runs):
        data = sample(rng, 500, apart=1.7)
        fit = fit_classes(data, starts=3)
        if fit.coefficients().loc["y0: Intercept", 1] > 0.8:
            fit = fit.relabel(order=[2, 1])
        for method, assign in WAYS:
            slope = fit.relate("~ age", method=method, assign=assign).summary().set_index("term")
            means = fit.distal("out ~ 1", method=method, assign=assign).summary()
            low, high = slope.loc["age", ["lower", "upper"]]
            inside = [low < AGE < high]
            rows = means[means["effect"] == "varying"]
            for (low, high), truth in zip(
                rows[["lower", "upper"]].to_numpy(), (0.0, 2.0), strict=True
            ):
                inside.append(low < truth < high)
            hits[method, assign].append(inside)
    low, high = stats.binom.ppf([0.0005, 0.9995], runs, 0.95) / runs
    for way, found in hits.items():
        covered = np.mean(found, 0)
        assert (covered >= low).all(), (way, covered)
        assert (covered <= high).all(), (way, covered)


# --- against StepMix -------------------------------------------------------------------------

# StepMix 3.0.0 on the same data: n_steps=3, measurement="binary", structural="gaussian_diag" of
# `out` and "covariate" (Newton-Raphson) of `x`, tolerances 1e-13: means, variances, log odds.
STEPMIX = {
    ("bch", "modal"): (
        (0.12378163, 2.02428092), (1.19782203, 1.89850670), (-0.33027837, 0.86831818),
    ),
    ("bch", "proportional"): (
        (0.11477287, 2.03629267), (1.18685284, 1.86722321), (-0.32720286, 0.83570239),
    ),
    ("ml", "modal"): ((0.08354322, 2.06389279), None, (-0.32802217, 0.87857459)),
}  # fmt: skip


@pytest.fixture(scope="module")
def answers():
    """Five binary items of two classes, a covariate of the class and an outcome of it."""
    rng = np.random.default_rng(4)
    n = 1000
    x = rng.normal(size=n)
    second = rng.random(n) < 1 / (1 + np.exp(-(-0.3 + 0.8 * x)))
    items = {f"i{j}": (rng.random(n) < np.where(second, 0.8, 0.25)).astype(int) for j in range(5)}
    out = np.where(second, 2.0, 0.0) + rng.normal(size=n) * np.where(second, 1.5, 1.0)
    data = pd.DataFrame(items).assign(x=x, out=out)
    parts = [bmx.Regression(f"i{j} ~ 1", family="binomial") for j in range(5)]
    return bmx.Mixture(parts, data, k=2).fit(seed=1, starts=3, tol=1e-12)


@pytest.mark.parametrize(("method", "assign"), STEPMIX)
def test_the_third_step_of_stepmix(answers, method, assign):
    means, variances, odds = STEPMIX[method, assign]
    found = answers.relate("~ x", method=method, assign=assign).summary()
    np.testing.assert_allclose(found["estimate"], odds, atol=1e-5)
    table = answers.distal("out ~ 1", method=method, assign=assign).summary()
    own = table.groupby("term")["estimate"].apply(list)
    # By maximum likelihood StepMix holds the classes' sizes at those of the first step.
    np.testing.assert_allclose(own["Intercept"], means, atol=6e-3 if method == "ml" else 1e-5)
    if variances is not None:
        np.testing.assert_allclose(np.square(own["sigma"]), variances, rtol=1e-5)
