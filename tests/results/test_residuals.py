"""Residuals of counts, times and groups: against SciPy, statsmodels and simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special, stats

import bayesmix as bmx
from bayesmix.families import FAMILIES, LEVELS, MULTIVARIATE, TIMES
from bayesmix.families.base import tail_probabilities

POINTS = {
    "gaussian": ({"mu": 0.4, "sigma": 1.3}, lambda p: stats.norm(p["mu"], p["sigma"])),
    "student_t": (
        {"mu": 0.4, "sigma": 1.3, "nu": 4.5},
        lambda p: stats.t(p["nu"], p["mu"], p["sigma"]),
    ),
    "gamma": (
        {"mu": 2.0, "shape": 3.0},
        lambda p: stats.gamma(p["shape"], scale=p["mu"] / p["shape"]),
    ),
    "poisson": ({"mu": 3.2}, lambda p: stats.poisson(p["mu"])),
    "negative_binomial": (
        {"mu": 3.2, "alpha": 1.7},
        lambda p: stats.nbinom(p["alpha"], p["alpha"] / (p["alpha"] + p["mu"])),
    ),
    "binomial": ({"trials": 7.0, "mu": 0.3}, lambda p: stats.binom(7, p["mu"])),
}


@pytest.mark.parametrize("name", POINTS)
def test_tails_are_those_of_scipy(name):
    values, theirs = POINTS[name]
    y = np.array([-1.0, 0.0, 1.0, 2.5, 3.0, 6.0, 7.0, 40.0])
    lower, upper = tail_probabilities(bmx.family(name), y, **values)
    np.testing.assert_allclose(lower, theirs(values).cdf(y), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(upper, theirs(values).sf(y), rtol=1e-9, atol=1e-300)


EXTRA = {
    "zero_inflated_poisson": (POINTS["poisson"], "inflated"),
    "zero_inflated_negative_binomial": (POINTS["negative_binomial"], "inflated"),
    "zero_inflated_binomial": (POINTS["binomial"], "inflated"),
    "hurdle_poisson": (POINTS["poisson"], "hurdle"),
    "hurdle_negative_binomial": (POINTS["negative_binomial"], "hurdle"),
    "hurdle_gamma": (POINTS["gamma"], "hurdle"),
    "hurdle_lognormal": (
        (
            {"meanlog": 0.2, "sdlog": 0.7},
            lambda p: stats.lognorm(p["sdlog"], scale=np.exp(p["meanlog"])),
        ),
        "hurdle",
    ),
}


@pytest.mark.parametrize("name", EXTRA)
def test_tails_of_families_with_extra_zeros(name):
    (values, theirs), kind = EXTRA[name]
    y, psi, base = np.array([-1.0, 0.0, 1.0, 2.5, 3.0, 6.0]), 0.3, theirs(values)
    lower, upper = tail_probabilities(bmx.family(name), y, psi=psi, **values)
    others = base.cdf(y) if kind == "inflated" else (base.cdf(y) - base.cdf(0)) / base.sf(0)
    expected = np.where(y < 0, 0.0, psi + (1 - psi) * others)
    np.testing.assert_allclose(lower, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(upper, 1 - expected, rtol=1e-9, atol=1e-12)


def test_small_tails_of_hurdles_keep_their_digits():
    y, psi = np.array([1.0, 20.0]), 1e-30
    lower, upper = tail_probabilities(bmx.family("hurdle_poisson"), y, psi=psi, mu=100.0)
    counts = [stats.poisson.pmf(np.arange(1, last + 1), 100.0).sum() for last in y]
    np.testing.assert_allclose(lower, psi + np.array(counts), rtol=1e-9)
    np.testing.assert_allclose(upper, 1.0)
    lower, upper = tail_probabilities(bmx.family("hurdle_poisson"), y[:1], psi=psi, mu=1e-9)
    np.testing.assert_allclose([lower[0], upper[0]], [1.0, 5e-10], rtol=1e-9)
    lower, _ = tail_probabilities(
        bmx.family("hurdle_gamma"), np.array([1e-20]), psi=psi, mu=1.0, shape=1.0
    )
    np.testing.assert_allclose(lower, 1e-20, rtol=1e-9)


def test_large_alpha_is_the_poisson_limit():
    lower, upper = tail_probabilities(
        bmx.family("negative_binomial"), np.arange(9.0), mu=3.0, alpha=1e15
    )
    np.testing.assert_allclose(lower, stats.poisson(3.0).cdf(np.arange(9)), rtol=1e-9)
    np.testing.assert_allclose(upper, stats.poisson(3.0).sf(np.arange(9)), rtol=1e-9)


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def normal(values):
    return stats.kstest(values, "norm").pvalue > 1e-3


def test_scores_of_counts_are_normal_under_the_model_only():
    rng = np.random.default_rng(1)
    x = rng.normal(size=1500)
    y = rng.poisson(np.where(rng.random(1500) < 0.4, np.exp(2.3 + 0.2 * x), np.exp(0.2 - 0.4 * x)))
    data = pd.DataFrame({"x": x, "y": y})
    spec = bmx.Mixture("y ~ x", data, "poisson", 2)
    scores = spec.fit(seed=1).residuals("quantile", seed=1)
    assert scores.index.equals(data.index)
    assert normal(scores)
    assert not normal(spec.with_k(1).fit(seed=1).residuals("quantile", seed=1))
    np.testing.assert_array_equal(scores, spec.fit(seed=1).residuals("quantile", seed=1))


def responses(name, rng, x):
    """A formula's response, and columns that the family can have been made from."""
    n = len(x)
    zero, counts, amounts = (
        rng.random(n) < 0.3,
        rng.poisson(np.exp(0.8 + x / 3)),
        rng.gamma(2, 1, n),
    )
    inflated = name.startswith(("zero_inflated", "hurdle"))
    if name in LEVELS:
        return "y", {"y": rng.integers(0, 3, n)}
    if name in MULTIVARIATE:
        return "mv(y, w)", {"y": x + rng.normal(size=n), "w": rng.normal(size=n)}
    if name == "beta":
        return "y", {"y": rng.beta(2, 3, n)}
    if name in ("gaussian", "student_t"):
        return "y", {"y": x + rng.standard_t(5, n)}
    if name.endswith("binomial") and "negative" not in name:
        return "p(y, m)", {"y": np.where(zero & inflated, 0, rng.binomial(6, 0.4, n)), "m": 6}
    counted = name.endswith(("poisson", "negative_binomial"))
    return "y", {"y": np.where(zero & inflated, 0, counts if counted else amounts)}


CURVES = {
    "spline": bmx.family("spline", knots=[0.2, 1.5, 9.0]),
    "promotion_time": bmx.family("promotion_time", of="weibull"),
}
PLAIN = ("plain exponential", "plain weibull", "plain lognormal")


@pytest.mark.parametrize(
    "name", sorted({*FAMILIES, *PLAIN} - {"zero", "point", "cured"})
)  # point masses have no scores of their own
def test_scores_of_every_family_are_normal_at_the_parameters_that_drew(name):
    rng = np.random.default_rng(12)
    x, end = rng.normal(size=500), rng.uniform(1, 8, 500)
    text, columns = responses(name, rng, x)
    family = name.removeprefix("plain ")
    data = pd.DataFrame({"x": x, **columns})
    times = name in TIMES

    def censored(frame):
        seen = {"s": (frame["y"] < end).astype(int), "y": np.minimum(frame["y"], end)}
        return frame.assign(**seen) if times else frame

    def model(frame):
        response = "surv(y, s)" if times else text
        return bmx.Mixture(f"{response} ~ x", censored(frame), CURVES.get(family, family), 2)

    params = quietly(lambda: model(data).fit(seed=1, starts=1, max_iter=20)).params
    drawn = model(data).simulate(params, seed=3).drop(columns="component")
    at = quietly(lambda: model(data.assign(**drawn)).fit(init=params, max_iter=0))
    scores = pd.DataFrame(at.residuals("quantile", seed=4))
    assert all(normal(scores[column]) for column in scores)


def test_scores_of_a_gaussian_mixture_are_its_distribution_function():
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.normal(-2, 1, 60), rng.normal(3, 0.5, 40)])
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=2).fit(seed=1)
    mu = fit.coefficients().loc["Intercept"].to_numpy()
    sigma = fit.dispersion()["sigma"].to_numpy()
    u = stats.norm.cdf(y[:, None], mu, sigma) @ fit.mixing.to_numpy()
    np.testing.assert_allclose(fit.residuals("quantile"), special.ndtri(u), rtol=1e-8, atol=1e-10)


def test_scores_within_groups_are_independent():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(300), 4)
    level = np.repeat(np.where(rng.random(300) < 0.5, -1.5, 1.5), 4)
    data = pd.DataFrame({"g": groups, "y": level + rng.normal(size=1200)})
    data = data.sample(frac=1, random_state=1)
    fit = bmx.Mixture("y ~ 1 | g", data, k=2).fit(seed=1)
    scores = fit.residuals("quantile")
    assert normal(scores)
    wide = scores.groupby(data["g"]).apply(lambda s: pd.Series(s.to_numpy())).unstack()
    assert np.abs(np.corrcoef(wide.T) - np.eye(4)).max() < 0.25
    blind = bmx.Mixture("y ~ 1", data, k=2).fit(seed=1).residuals("quantile")
    wide = blind.groupby(data["g"]).apply(lambda s: pd.Series(s.to_numpy())).unstack()
    assert np.corrcoef(wide.T)[0, 1] > 0.4


def test_scores_of_censored_times_and_several_responses():
    rng = np.random.default_rng(4)
    n = 1000
    second = rng.random(n) < 0.5
    time = np.where(second, 5.0, 1.0) * rng.weibull(1.5, n)
    end = rng.uniform(1, 8, n)
    data = pd.DataFrame({"t": np.minimum(time, end), "d": (time < end).astype(int)})
    data["z"] = np.where(second, 2.0, 0.0) + rng.normal(size=n)
    items = [bmx.Regression("surv(t, d) ~ 1", "weibull"), bmx.Regression("z ~ 1")]
    scores = bmx.Mixture(items, data, k=2).fit(seed=1).residuals("quantile", seed=2)
    assert list(scores.columns) == ["surv(t, d)", "z"]
    assert normal(scores["surv(t, d)"])
    assert normal(scores["z"])
    assert abs(np.corrcoef(scores.T)[0, 1]) < 0.12


def test_extreme_responses_have_finite_scores():
    data = pd.DataFrame({"y": np.append(np.random.default_rng(5).normal(size=50), 0.0)})
    fit = bmx.Mixture("y ~ 1", data, k=1).fit()
    far = data.assign(y=np.append(data["y"].to_numpy()[:-1], 60.0))
    shifted = bmx.Mixture("y ~ 1", far, k=1).fit(init=fit.params, max_iter=0)
    scores = shifted.residuals("quantile")
    assert np.isfinite(scores).all()
    assert scores.iloc[-1] > 30


@pytest.mark.parametrize("name", ["poisson", "binomial", "gamma"])
def test_deviance_residuals_are_those_of_statsmodels(name):
    rng = np.random.default_rng(6)
    x = rng.normal(size=60)
    mean = np.exp(0.5 + 0.4 * x)
    families = {
        "poisson": sm.families.Poisson(),
        "binomial": sm.families.Binomial(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
    }
    draws = {
        "poisson": rng.poisson(mean),
        "binomial": rng.integers(0, 2, 60),
        "gamma": rng.gamma(3, mean / 3),
    }
    data = pd.DataFrame({"x": x, "y": draws[name]})
    fit = bmx.Mixture("y ~ x", data, name, 1).fit()
    theirs = sm.GLM(data["y"], sm.add_constant(data["x"]), families[name]).fit(tol=1e-12)
    spread = fit.dispersion()["shape"].iloc[0] ** 0.5 if name == "gamma" else 1.0
    ours = fit.residuals("deviance")[1]
    np.testing.assert_allclose(ours, theirs.resid_deviance * spread, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("link", ["log", "inverse"])
def test_deviance_residuals_of_responses_that_no_mean_reaches(link):
    y = np.append(np.random.default_rng(7).normal(1.0, 0.8, 40), [-1.5, 0.0])
    data = pd.DataFrame({"y": y})
    fit = bmx.Mixture("y ~ 1", data, bmx.family("gaussian", link=link), k=1).fit()
    ours = fit.residuals("deviance")[1]
    np.testing.assert_allclose(ours, (y - y.mean()) / y.std(), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_asked():
    data = bmx.load_data("fabricfault")
    fit = bmx.Mixture("Faults ~ 1", data, "poisson", 2).fit(seed=1)
    with pytest.raises(bmx.FitError, match="unknown"):
        fit.residuals("studentised")
    with pytest.raises(bmx.FitError, match="seed="):
        fit.residuals("pearson", seed=1)
    own = bmx.Family("waiting", {"rate": "log"}, "rate", lambda y, rate: np.log(rate) - rate * y)
    fit = bmx.Mixture("Length ~ 1", data, own, 1).fit(seed=1)
    with pytest.raises(bmx.FitError, match="tails="):
        fit.residuals("quantile")


SHARES = (((0.7, 0.2, 0.1), (0.1, 0.2, 0.7)), ((0.1, 0.8, 0.1), (0.5, 0.1, 0.4)))


def test_scores_of_nominal_answers_are_normal():
    rng = np.random.default_rng(7)
    one = rng.random(900) < 0.4
    answers = [np.where(one, *(rng.choice(list("abc"), 900, p=p) for p in pair)) for pair in SHARES]
    data = pd.DataFrame(dict(zip(["rng", "y"], answers, strict=True)))
    scores = bmx.Mixture(bmx.items(["rng", "y"]), data, k=2).fit(seed=1).residuals("quantile")
    assert normal(scores["rng"])
    assert normal(scores["y"])


@pytest.mark.parametrize("names", [("y", "rng"), ("obs", "structure"), ("values", "seed")])
def test_columns_may_be_called_as_arguments_are(names):
    rng = np.random.default_rng(8)
    data = pd.DataFrame(rng.normal(size=(200, 2)), columns=list(names))
    spec = bmx.Mixture(f"mv({names[0]}, {names[1]}) ~ 1", data, "mvnormal", 1)
    fit = spec.fit()
    values = data.to_numpy()
    spread = np.linalg.cholesky(np.cov(values.T, bias=True))
    scores = np.linalg.solve(spread, (values - values.mean(0)).T).T
    np.testing.assert_allclose(fit.residuals("quantile", seed=1), scores, atol=1e-5)
    assert list(fit.simulate(seed=1).columns) == [*names, "component"]
    assert fit.membership().shape == (200, 1)


def test_statistics_of_simulated_data_have_p_values():
    rng = np.random.default_rng(7)
    y = rng.poisson(np.where(rng.random(120) < 0.3, 9.0, 1.0))
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), "poisson", 2)
    checks = {"zeros": lambda y: (y == 0).mean(), "largest": max}
    found = spec.fit("laplace", seed=1).predictive_check(checks, draws=200, seed=1)
    assert found["statistic"].tolist() == ["zeros", "largest"]
    assert found["observed"].tolist() == [(y == 0).mean(), y.max()]
    assert found["p_value"].between(0.02, 1).all()
    one = spec.with_k(1).fit("laplace", seed=1).predictive_check(checks, draws=200, seed=1)
    assert (one["p_value"] < 0.01).all()
    with pytest.raises(bmx.FitError, match="one number"):
        spec.fit("laplace", seed=1).predictive_check({"all": lambda y: y}, draws=5)


def test_statistics_may_take_several_columns_of_a_response():
    """The correlation that is fitted is that of the data, up to the error of 200 rows."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame(
        rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 200), columns=["a", "b"]
    )
    data["n"] = rng.poisson(3, 200)
    parts = [bmx.Regression("mv(a, b) ~ 1", "mvnormal"), bmx.Regression("n ~ 1", "poisson")]
    posterior = bmx.Mixture(parts, data, k=1).fit("laplace", draws=200, seed=1)
    checks = {"together": lambda y: y["a"].corr(y["b"]), "mean": lambda y: y["n"].mean()}
    found = posterior.predictive_check(checks, draws=100, seed=1).set_index("statistic")
    assert found.loc["together", "observed"] == pytest.approx(data["a"].corr(data["b"]))
    assert found.loc["mean", "observed"] == pytest.approx(data["n"].mean())
    assert found["p_value"].between(0.02, 0.98).all()


def test_the_picture_has_the_scores_within_their_band():
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    data = bmx.load_data("fabricfault")
    fit = bmx.Mixture("Faults ~ 1", data, "poisson", 2, fixed="~ log(Length)").fit(seed=1)
    ax = bmx.plot.residuals(fit, seed=3, title="faults")
    scores = np.sort(fit.residuals("quantile", seed=3))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), scores)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    low = special.ndtri(stats.beta(1, 32).ppf(0.025))
    assert band.min() == pytest.approx(low, rel=1e-6)
    with pytest.raises(bmx.FitError, match="unknown"):
        bmx.plot.residuals(fit, response="Length")
    plt.close("all")
