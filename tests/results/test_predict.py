"""Predictions with intervals, memberships as weights, and responses that are not needed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import bayesmix as bmx
from bayesmix.results.uncertainty import Estimates

Z90 = 1.6448536269514722


@pytest.fixture(scope="module")
def patents():
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    return data, spec.fit("em", seed=1)


def independent_mean(params, data):
    """Means by component and weights, by a few lines of NumPy."""
    x = np.column_stack([np.ones(len(data)), data["lgRD"]])
    z = np.column_stack([np.ones(len(data)), data["RDS"]])
    beta = params["coef"].to_numpy()
    logits = z @ params["alpha"].to_numpy().T
    pi = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return np.exp(x @ beta.T), pi


def delta_se(fit, value_of):
    """A standard error from `covariance` and one-sided differences of an own prediction."""
    names = fit.covariance().index
    base = fit.params
    center = value_of(base)
    slopes = []
    for component, term, effect in names:
        moved = base.copy(deep=True)
        variable = "alpha" if effect == "concomitant" else "coef"
        dim = "concomitant_term" if effect == "concomitant" else "term"
        at = {"component": component, dim: term}
        step = 1e-6 * (1 + abs(float(base[variable].loc[at])))
        moved[variable].loc[at] += step
        slopes.append((value_of(moved) - center) / step)
    slopes = np.array(slopes)
    return center, np.sqrt(np.einsum("ij,ik,kj->j", slopes, fit.covariance().to_numpy(), slopes))


def test_marginal_limits_are_those_of_an_own_delta_method(patents):
    _, fit = patents
    new = pd.DataFrame({"lgRD": [0.5, 2.0], "RDS": [0.2, 0.6]})

    def value_of(params):
        mu, pi = independent_mean(params, new)
        return np.log((pi * mu).sum(1))

    center, se = delta_se(fit, value_of)
    found = fit.predict(new, by="marginal", ci=0.9)
    assert list(found.columns) == ["row", "component", "estimate", "lower", "upper"]
    assert found["component"].isna().all()
    np.testing.assert_allclose(found["estimate"], np.exp(center), rtol=1e-8)
    np.testing.assert_allclose(found["lower"], np.exp(center - Z90 * se), rtol=2e-4)
    np.testing.assert_allclose(found["upper"], np.exp(center + Z90 * se), rtol=2e-4)


def test_component_limits_stand_in_order_and_in_the_range(patents):
    _, fit = patents
    new = pd.DataFrame({"lgRD": [0.5, 2.0], "RDS": [0.2, 0.6]}, index=["a", "b"])
    means = fit.predict(new, ci=0.9)
    assert means["row"].tolist() == ["a", "a", "a", "b", "b", "b"]
    assert means["component"].tolist() == [1, 2, 3] * 2
    np.testing.assert_allclose(means["estimate"], fit.predict(new).to_numpy().ravel())
    assert (means["lower"] > 0).all()
    weights = fit.predict(new, what="weight", ci=0.9)
    assert weights[["lower", "upper"]].to_numpy().min() >= 0
    assert weights[["lower", "upper"]].to_numpy().max() <= 1
    link = fit.predict(new, what="link", ci=0.9)
    np.testing.assert_allclose(np.exp(link["upper"]), means["upper"], rtol=1e-6)


def test_one_gaussian_component_has_the_limits_of_least_squares():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=40)})
    data["y"] = 1 + 2 * data["x"] + rng.normal(size=40)
    fit = bmx.Mixture("y ~ x", data, k=1).fit()
    new = pd.DataFrame({"x": [-1.0, 0.3, 5.0]})
    found = fit.predict(new, ci=0.9)
    x = np.column_stack([np.ones(40), data["x"]])
    beta, rss = np.linalg.lstsq(x, data["y"], rcond=None)[:2]
    at = np.column_stack([np.ones(3), new["x"]])
    se = np.sqrt(rss[0] / 40 * np.einsum("ij,jk,ik->i", at, np.linalg.inv(x.T @ x), at))
    np.testing.assert_allclose(found["lower"], at @ beta - Z90 * se, rtol=1e-6)
    np.testing.assert_allclose(found["upper"], at @ beta + Z90 * se, rtol=1e-6)


def test_units_of_measurement_move_limits_by_the_exact_factor():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=60)})
    data["y"] = np.where(rng.random(60) < 0.5, 4.0, -4.0) + data["x"] + rng.normal(size=60)
    far = data.assign(x=data["x"] * 1e-9, y=data["y"] * 1e6)
    a = bmx.Mixture("y ~ x", data, k=2).fit(seed=1).predict(ci=0.9, by="marginal")
    b = bmx.Mixture("y ~ x", far, k=2).fit(seed=1).predict(ci=0.9, by="marginal")
    np.testing.assert_allclose(b["lower"] / 1e6, a["lower"], rtol=1e-4, atol=1e-4)


def test_membership_weighs_the_means_of_a_unit(patents):
    data, fit = patents
    own = fit.predict(by="membership")
    expected = (fit.membership(rows=True) * fit.fitted()).sum(axis=1)
    np.testing.assert_allclose(own, expected, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(data.head(4), by="membership"), own.head(4), rtol=1e-9)
    with pytest.raises(bmx.DataError, match="Patents"):
        fit.predict(data.drop(columns="Patents"), by="membership")
    with pytest.raises(bmx.FitError, match="membership"):
        fit.predict(what="weight", by="membership")


def test_what_the_data_do_not_determine_has_no_limits():
    data = pd.DataFrame({"x": np.repeat([0.0, 1.0], 20), "y": np.repeat([0, 1], 20)})
    data.loc[0, "y"] = 1
    with pytest.warns(bmx.DegenerateWarning):
        fit = bmx.Mixture("y ~ x", data, family="binomial", k=1).fit()
    found = fit.predict(pd.DataFrame({"x": [0.0, 1.0]}), ci=0.9)
    share = 1 / 20
    reach = Z90 / np.sqrt(20 * share * (1 - share))
    logit = np.log(share / (1 - share)) + np.array([-reach, reach])
    np.testing.assert_allclose(
        found.loc[0, ["lower", "upper"]].astype(float), 1 / (1 + np.exp(-logit)), rtol=1e-4
    )
    assert found.loc[1, ["lower", "upper"]].tolist() == [0.0, 1.0]


def test_simulation_needs_trials_and_no_response():
    data = bmx.load_data("betablocker")
    spec = bmx.Mixture("p(Deaths, Total) ~ 1", data, family="binomial", k=2, fixed="~ Treatment")
    fit = spec.fit(seed=1)
    new = pd.DataFrame({"Treatment": ["Control"] * 4000, "Total": [10] * 4000})
    drawn = fit.simulate(newdata=new, seed=1)["p(Deaths, Total)"]
    mean = 10 * fit.predict(new.head(1), by="marginal").iloc[0]
    assert abs(drawn.mean() - mean) < 5 * drawn.std() / np.sqrt(4000)
    assert drawn.between(0, 10).all()
    with pytest.raises(bmx.BayesmixError, match="Total"):
        fit.simulate(newdata=new.drop(columns="Total"))


@pytest.mark.parametrize(
    ("response", "family", "read"),
    [
        ("p(s, N)", "binomial", {"s": lambda y: y}),
        ("p(s, s + f)", "binomial", {}),
        ("log(t)", "gaussian", {"t": np.exp}),
        ("sqrt(t)", "gaussian", {}),
        ("surv(lo, hi, kind='interval')", "weibull", {"lo": lambda y: y, "hi": lambda y: y}),
    ],
)
def test_simulated_columns_are_those_that_the_formula_reads(response, family, read):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"N": 9, "s": rng.binomial(9, 0.4, 50), "t": rng.gamma(2, 1, 50) + 0.1})
    data = data.assign(f=9 - data["s"], lo=np.floor(data["t"]), hi=np.floor(data["t"]) + 1)
    spec = bmx.Mixture(f"{response} ~ 1", data, family, k=1)
    drawn = spec.simulate(spec.fit(seed=1).params, seed=1)
    name, *columns, last = drawn.columns
    assert (columns, last) == (list(read), "component")
    for column, inverse in read.items():
        np.testing.assert_allclose(drawn[column], inverse(drawn[name]), rtol=1e-12)


@pytest.mark.parametrize("scale", ["logit", "log-log"])
def test_a_certain_probability_has_no_interval_though_it_was_rounded(scale):
    """Survival to time zero, as rounded weights sum it."""
    value = np.array([1 - 2.0**-53])
    found = Estimates(value, np.full((1, 1), 1e-11), np.zeros(1, bool))
    np.testing.assert_array_equal(found.limits(0.95, scale), [value, value])


def test_posterior_predicts_by_membership():
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    posterior = spec.fit("laplace", draws=300, seed=1)
    found = posterior.predict(by="membership", ci=0.5)
    assert list(found.columns) == ["estimate", "lower", "upper"]
    assert (found["lower"] < found["estimate"]).all()
    point = posterior.point().predict(by="membership")
    assert np.corrcoef(found["estimate"], point)[0, 1] > 0.99


def test_clustered_covariance_sums_scores_over_clusters():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=90), "clinic": np.repeat(np.arange(9), 10)})
    data["y"] = data["x"] + np.repeat(rng.normal(size=9), 10) + rng.normal(size=90)
    fit = bmx.Mixture("y ~ x", data, k=1).fit()
    found = fit.covariance(kind="robust", cluster="clinic").to_numpy()[:2, :2]
    x = np.column_stack([np.ones(90), data["x"]])
    beta = np.linalg.lstsq(x, data["y"], rcond=None)[0]
    score = x * (data["y"].to_numpy() - x @ beta)[:, None]
    summed = score.reshape(9, 10, 2).sum(1)
    bread = np.linalg.inv(x.T @ x)
    np.testing.assert_allclose(found, bread @ summed.T @ summed @ bread * 9 / 8, rtol=1e-6)
    np.testing.assert_allclose(
        fit.covariance(kind="robust", cluster=data["clinic"]).to_numpy()[:2, :2], found
    )
    model = sm.OLS(data["y"], x).fit()
    options = {"groups": data["clinic"], "use_correction": False, "df_correction": False}
    theirs = model.get_robustcov_results("cluster", use_t=False, **options)
    ours = fit.summary(kind="robust", cluster="clinic").head(2)
    np.testing.assert_allclose(ours["se"], theirs.bse * np.sqrt(9 / 8), rtol=1e-6)
    np.testing.assert_allclose(ours["z"], ours["estimate"] / ours["se"])


@pytest.mark.parametrize(
    ("cluster", "error", "match"),
    [
        ("nowhere", bmx.DataError, "nowhere"),
        ([1, 2], bmx.DataError, "one for each row"),
        ([1] * 32, bmx.DataError, "two clusters"),
        ([None, *[1, 2] * 15, 1], bmx.DataError, "missing"),
    ],
)
def test_clusters_that_cannot_be(cluster, error, match):
    data = bmx.load_data("fabricfault")
    fit = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2).fit(seed=1)
    with pytest.raises(error, match=match):
        fit.covariance(kind="robust", cluster=cluster)
    with pytest.raises(bmx.FitError, match="robust"):
        fit.covariance(cluster="Length")


@pytest.mark.slow
def test_limits_cover_the_mean():
    rng = np.random.default_rng(4)
    new = pd.DataFrame({"x": [-1.0, 0.0, 1.5]})
    beta = np.array([[0.2, 0.5], [2.5, -0.4]])
    at = np.column_stack([np.ones(3), new["x"]])
    truth = np.exp(at @ beta.T)
    inside, own = [], []
    for _ in range(300):
        x, z = rng.normal(size=300), rng.random(300) < 0.4
        mu = np.exp(np.where(z, beta[0] @ [np.ones(300), x], beta[1] @ [np.ones(300), x]))
        data = pd.DataFrame({"x": x, "y": rng.poisson(mu)})
        fit = bmx.Mixture("y ~ x", data, family="poisson", k=2).fit(seed=1, starts=3)
        found = fit.predict(new, ci=0.9)
        own.append((found["lower"] < truth.ravel()) & (truth.ravel() < found["upper"]))
        whole = fit.predict(new, by="marginal", ci=0.9)
        mean = truth @ [0.4, 0.6]
        inside.append((whole["lower"] < mean) & (mean < whole["upper"]))
    low, high = stats.binom.ppf([0.0005, 0.9995], 300, 0.9) / 300
    for covered in (np.mean(own, 0), np.mean(inside, 0)):
        assert (covered > low).all()
        assert (covered < high).all()


@pytest.mark.slow
def test_clustered_limits_cover_where_plain_ones_do_not():
    """Clinics move the responses of both classes: 90 percent intervals of the mean of the first."""
    rng = np.random.default_rng(5)
    clinic = np.repeat(np.arange(80), 8)
    inside = []
    for _ in range(200):
        high = rng.random(640) < 0.4
        y = np.where(high, 9.0, 0.0) + rng.normal(0, 0.8, 80)[clinic] + rng.normal(size=640)
        fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y, "clinic": clinic}), k=2).fit(
            seed=1, starts=2
        )
        value = fit.coefficients().iloc[0, 0]
        plain, clustered = (
            fit.covariance(**kind).iloc[0, 0] ** 0.5
            for kind in ({}, {"kind": "robust", "cluster": "clinic"})
        )
        inside.append([abs(value) < 1.645 * se for se in (plain, clustered)])
    plain, clustered = np.mean(inside, 0)
    assert plain < 0.75
    assert (
        stats.binom.ppf(0.001, 200, 0.88) / 200 < clustered < stats.binom.ppf(0.999, 200, 0.9) / 200
    )
