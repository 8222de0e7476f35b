"""Kinds of responses through verbs that are easily forgotten for one of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import bayesmix as bmx

RNG = np.random.default_rng(8)
N = 200
SECOND = np.arange(N) % 3 == 0
X, Z = RNG.normal(size=N), RNG.normal(size=N)
DATA = pd.DataFrame(
    {
        "x": X,
        "z": Z,
        "count": RNG.negative_binomial(3, 3 / (3 + np.where(SECOND, 12.0, 1.0))),
        "grade": np.where(SECOND, RNG.integers(3, 7, N), RNG.integers(2, 6, N)),
        "answer": np.where(RNG.random(N) < np.where(SECOND, 0.9, 0.2), "yes", "no"),
        "right": np.where(RNG.random(N) < 0.3, 0, RNG.binomial(9, np.where(SECOND, 0.8, 0.3))),
        "asked": 9 + 3 * (X > 0),
    }
)


@pytest.fixture(scope="module")
def levels():
    """Grades from 2 to 6 and answers, some missing; a fit and a posterior."""
    holes = DATA.assign(grade=DATA.grade.where(Z < 1), answer=DATA.answer.where(Z > -1))
    family = {"grade": "ordinal", "answer": "categorical"}
    spec = bmx.Mixture(bmx.items(list(family), family=family), holes, k=2, na_action="fiml")
    return spec.fit("em", seed=1, starts=3), spec.fit("laplace", seed=1, draws=50)


@pytest.mark.parametrize("verb", ["simulate", "impute"])
def test_drawn_levels_are_those_of_the_data(levels, verb):
    for result in levels:
        drawn = getattr(result, verb)(seed=1)
        if verb == "impute":
            assert len(drawn) == (Z >= 1).sum() + (Z <= -1).sum()
            grade, answer = drawn.loc["grade"], drawn.loc["answer"]
        else:
            grade, answer = drawn[["grade"]], drawn[["answer"]]
        assert set(grade.to_numpy().ravel()) <= {2, 3, 4, 5, 6}
        assert set(answer.to_numpy().ravel()) == {"no", "yes"}


def test_replicated_levels_are_drawn_for_fits_and_posteriors(levels):
    heights = []
    for result in levels:
        axes = bmx.plot.posterior_predictive(result, response="grade", draws=5)
        heights.append([bar.get_height() for bar in axes.patches])
    seen = np.sqrt(np.bincount(DATA.grade[Z < 1])[2:])
    for bars in heights:
        assert len(bars) == 5
        np.testing.assert_allclose(bars, seen)


def test_a_second_step_beside_a_dispersion_called_alpha():
    """Two-step: the weights' coefficients alone, by SciPy."""
    fit = bmx.Mixture("count ~ 1", DATA, family="negative_binomial", k=2).fit("em", seed=1)
    found = fit.relate("~ z", method="two-step").summary().estimate.to_numpy()
    mean, size = np.exp(fit.params["coef"].to_numpy()[:, 0]), fit.params["alpha"].to_numpy()
    f = stats.nbinom.pmf(DATA["count"].to_numpy()[:, None], size, size / (size + mean))

    def cost(a):
        p = special.expit(a[0] + a[1] * Z)
        return -np.log((1 - p) * f[:, 0] + p * f[:, 1]).sum()

    right = optimize.minimize(cost, [0.0, 0.0], tol=1e-10).x
    np.testing.assert_allclose(found, right, atol=1e-4)


def test_a_second_step_beside_smooth_curves():
    """Of draws whose classes are certain: a logit of the classes."""
    y = np.where(SECOND, 9.0, np.sin(X)) + RNG.normal(0, 0.3, N)
    term = "cr(x, df=5)"
    spec = bmx.Mixture(f"y ~ {term}", DATA.assign(y=y), k=2, priors={term: bmx.Prior.smooth()})
    found = spec.fit("laplace", seed=1, draws=50).relate("~ z", draws=3, seed=1).summary()

    def cost(a):
        eta = a[0] + a[1] * Z
        return np.logaddexp(0, eta).sum() - eta[SECOND].sum()

    right = optimize.minimize(cost, [0.0, 0.0]).x
    assert (np.abs(found["mean"] - right) < 4 * found["sd"] + 0.1).all()


def test_pearson_residuals_of_inflated_proportions():
    """The variance of a proportion of n trials: (1 - psi) (mu (1 - mu) / n + psi mu^2)."""
    spec = bmx.Mixture("p(right, asked) ~ 1", DATA, family="zero_inflated_binomial", k=1)
    fit = spec.fit("em")
    mu, psi = special.expit(fit.coefficients().iloc[0, 0]), fit.dispersion()["psi"].iloc[0]
    n = DATA.asked
    spread = np.sqrt((1 - psi) * (mu * (1 - mu) / n + psi * mu**2))
    right = (DATA.right / n - (1 - psi) * mu) / spread
    np.testing.assert_allclose(fit.residuals("pearson").iloc[:, 0], right, rtol=1e-10)


def test_the_pymc_model_of_censored_counts():
    low, high = np.where(X > 0, -np.inf, 1.0), np.where(X > 0.5, np.inf, 9.0)
    data = DATA.assign(count=np.clip(DATA["count"], low, high), low=low, high=high)
    spec = bmx.Mixture("censored(count, lower=low, upper=high) ~ x", data, family="poisson", k=1)
    params = spec.fit("em").params
    model = spec.to_pymc()
    logp = model.compile_logp(vars=model.observed_RVs, jacobian=False, mode="FAST_COMPILE")
    found = float(logp({"coef": params["coef"].to_numpy()}))
    y, mean = data["count"].to_numpy(), np.exp(params["coef"].to_numpy()[0] @ [np.ones(N), X])
    exact = stats.poisson.logpmf(y, mean)
    right = np.where(y >= high, stats.poisson.logsf(y - 1, mean), exact)
    right = np.where(y <= low, stats.poisson.logcdf(y, mean), right)
    assert found == pytest.approx(right.sum(), rel=1e-10)
    assert spec.log_likelihood(params) == pytest.approx(right.sum(), rel=1e-10)


def test_a_statistic_that_is_missing(levels):
    with pytest.raises(bmx.FitError, match="'m' is NaN; missing responses"):
        levels[1].predictive_check({"m": lambda d: np.mean(d["grade"].to_numpy())}, draws=3)


def test_pictures_and_grids_beside_clusters_inside_the_groups():
    """Random effects of visits in patients: neither has a typical value."""
    rng = np.random.default_rng(4)
    patient, visit = np.repeat(np.arange(30), 6), np.repeat(np.arange(90), 2)
    time = np.tile(np.arange(6.0), 30)
    mean = np.where(patient % 3 == 0, 6 - time, 1 + time)
    y = mean + rng.normal(size=90)[visit] + 0.3 * rng.normal(size=180)
    data = pd.DataFrame({"patient": patient, "visit": visit, "time": time, "y": y})
    fit = bmx.Mixture("y ~ time + (1 | visit)", data, k=2, group="patient").fit("em", seed=1)
    found = bmx.predictions(fit, {"time": [0.0, 2.0]})
    np.testing.assert_allclose(
        found[found.component == 1].estimate, fit.coefficients()[1].to_numpy() @ [[1, 1], [0, 2]]
    )
    for axes in (fit.plot(), bmx.plot.profile(fit), bmx.plot.effects(fit, "time")):
        assert axes.lines
    with pytest.raises(bmx.FitError, match=r"'age' is not a variable of the model; it has 'time'$"):
        bmx.predictions(fit, {"age": 3})


@pytest.mark.parametrize("by", [None, "old"])
def test_curves_of_times_known_within_bounds(by):
    rng = np.random.default_rng(6)
    low = np.floor(rng.weibull(1.5, 120) * np.where(np.arange(120) % 2, 1.5, 6.0))
    data = pd.DataFrame({"low": low, "high": low + 1, "old": np.arange(120) % 3 == 0})
    spec = bmx.Mixture("surv(low, high, kind='interval') ~ old", data, family="weibull", k=2)
    fit = spec.fit("em", seed=1, starts=2)
    axes = fit.plot() if by is None else bmx.plot.survival(fit, by=by)
    drawn = [line for line in axes.lines if len(line.get_xdata()) == 101]
    assert len(drawn) == (3 if by is None else 2)
    time = drawn[0].get_xdata()
    right = fit.survival(list(time[[10, 60]]), by=True if by is None else by)
    right = right[right.component.isna()].estimate.to_numpy()[:2]
    np.testing.assert_allclose(drawn[0].get_ydata()[[10, 60]], right, rtol=1e-8)
    assert "Kaplan" not in str([t.get_text() for t in axes.get_legend().get_texts()])
