"""A background hazard against a few lines of NumPy, and simulated relative survival."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import bayesmix as bmx
from bayesmix.errors import DataError, FitError, FormulaError


def cohort(n=1500, seed=1):
    """40 percent are cured of a disease whose excess hazard is Weibull; the background is known."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(50, 80, n)
    rate = 0.01 * np.exp(0.08 * (age - 50))
    excess = 2.0 * rng.weibull(1.4, n)
    excess[rng.random(n) < 0.4] = np.inf
    other = rng.exponential(1 / rate)
    end = rng.uniform(2, 10, n)
    time = np.minimum(np.minimum(excess, other), end)
    return pd.DataFrame({"time": time, "dead": (time < end) * 1, "rate": rate, "age": age})


DATA = cohort()
FORMULA = "surv(time, dead, background=rate) ~ 1"


def spec(formula=FORMULA, data=DATA, family=("weibull", "cured"), **options):
    return bmx.Mixture(formula, data, family=list(family), k=len(family), **options)


@pytest.fixture(scope="module")
def fit():
    return spec().fit("em", seed=1)


def loglik(p, data=DATA):
    """Excess hazard beside the background, whose own survival is a constant."""
    share, law = special.expit(p[0]), stats.weibull_min(np.exp(p[1]), scale=np.exp(p[2]))
    t, dead, rate = (data[n].to_numpy() for n in ("time", "dead", "rate"))
    net = share + (1 - share) * law.sf(t)
    excess = (1 - share) * law.pdf(t) / net
    return (np.log(net) + dead * np.log(excess + rate)).sum()


def test_the_maximum_is_that_of_a_few_lines(fit):
    found = optimize.minimize(lambda p: -loglik(p), [0.0, 0.3, 0.5], method="BFGS", tol=1e-9)
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)
    assert fit.mixing[2] == pytest.approx(special.expit(found.x[0]), abs=1e-4)
    # Of its own accord: without the background many of the cured would seem to die.
    share = fit.cured_fraction().iloc[0]
    assert share["lower"] < 0.4 < share["upper"]
    plain = spec("surv(time, dead) ~ 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert plain.fit("em", seed=1).mixing[2] < 0.3
    # Standard errors by differences of the few lines.
    cov = fit.covariance().to_numpy()
    se = np.sqrt(np.diag(cov))
    h, n = 1e-3, 3
    bends = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            e = np.eye(n) * h
            bends[i, j] = sum(
                a * b * loglik(found.x + a * e[i] + b * e[j]) for a in (1, -1) for b in (1, -1)
            ) / (4 * h * h)
    truth = np.sqrt(np.diag(np.linalg.inv(-bends)))
    np.testing.assert_allclose(np.sort(se), np.sort(truth), rtol=1e-3)


def test_a_death_may_be_of_the_background(fit):
    """P(cured | died at t) is the background's part in it."""
    members = fit.membership()
    dead = DATA["dead"] == 1
    b, shape = fit.coefficients().loc["Intercept", 1], fit.dispersion().loc[1, "shape"]
    law = stats.weibull_min(shape, scale=np.exp(b))
    pi = fit.mixing[2]
    t, rate = DATA["time"], DATA["rate"]
    cured = pi * rate / (pi * rate + (1 - pi) * (law.pdf(t) + rate * law.sf(t)))
    np.testing.assert_allclose(members.loc[dead, 2], cured[dead], rtol=1e-8)
    alive = pi / (pi + (1 - pi) * law.sf(t))
    np.testing.assert_allclose(members.loc[~dead, 2], alive[~dead], rtol=1e-8)
    net = fit.survival([3.0], by="marginal")["estimate"][0]
    assert net == pytest.approx(pi + (1 - pi) * law.sf(3.0))


def test_no_background_is_none_and_units_mean_nothing(fit):
    none = spec("surv(time, dead, background=0 * rate) ~ 1").fit("em", seed=1)
    plain = spec("surv(time, dead) ~ 1").fit("em", seed=1)
    assert none.loglik == pytest.approx(plain.loglik, abs=1e-8)
    days = DATA.assign(time=DATA["time"] * 365.25, rate=DATA["rate"] / 365.25)
    other = spec(data=days).fit("em", seed=1)
    assert other.loglik == pytest.approx(fit.loglik - DATA["dead"].sum() * np.log(365.25))
    assert other.mixing[2] == pytest.approx(fit.mixing[2], abs=1e-6)


def test_late_entries_and_on_disk(tmp_path):
    data = DATA.head(200).assign(entry=lambda d: 0.3 * d["time"])
    late = spec("surv(entry, time, dead, kind='counting', background=rate) ~ age", data)
    at = late.fit("map", seed=1)
    fitted = late.fit("em", init=at.params, max_iter=0)
    assert fitted.loglik == pytest.approx(late.log_likelihood(at.params))
    at.save(tmp_path / "fit.nc")
    assert bmx.load(tmp_path / "fit.nc").loglik == at.loglik
    assert "background" in repr(late)


def test_what_needs_more_than_the_rate_is_refused(fit):
    for call in (
        lambda: fit.kaplan_meier(),
        lambda: fit.residuals("martingale"),
        lambda: fit.residuals("quantile", seed=1),
        lambda: fit.bootstrap(3, kind="parametric", seed=1),
    ):
        with pytest.raises(FitError, match="needs the survival of the background"):
            call()
    with pytest.raises(FormulaError, match="background= is the rate at an exact time"):
        spec("surv(time, time, kind='interval', background=rate) ~ 1")
    with pytest.raises(FormulaError, match="the options are kind= and background="):
        spec("surv(time, dead, hazard=rate) ~ 1")
    with pytest.raises(DataError, match="the background hazard is negative"):
        spec(data=DATA.assign(rate=-DATA["rate"]))
    with pytest.raises(FormulaError, match=r"background= is for bmx\.Mixture"):
        bmx.CompetingRisks(FORMULA, DATA.assign(e="a"), "e", "weibull")
    missing = DATA.assign(rate=DATA["rate"].where(DATA.index > 0))
    with pytest.raises(DataError, match="rate"):
        spec(data=missing)
    assert "background" in str(bmx.check_survival(DATA.assign(rate=-1.0), FORMULA))
