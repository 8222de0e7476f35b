"""Non-mixture cure against NumPy, finite differences and simulation with known parameters."""

import pickle
import types
import warnings

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import optimize, stats
from times_models import density_in_a_graph

import bayesmix as bmx
from bayesmix.errors import SpecError
from bayesmix.families.base import Observed
from bayesmix.families.links import Linked
from bayesmix.families.survival import base
from bayesmix.families.survival.derivatives import derivatives
from bayesmix.families.survival.promotion_time import CAUSES
from bayesmix.formula.times import Times

SEEN = Times(
    np.array([0.7, 2.0, 0.5, 0.0, 1.0, 3.0]),
    np.array([0.7, np.inf, 1.5, 2.0, 1.001, 3.0]),
    np.array([0.0, 0.0, 0.2, 0.0, 0.0, 1.0]),
)


def linked(family, values):
    return tuple(
        Linked(p.link, p.link.forward(np.array([values[p.name]]))) for p in family.parameters
    )


def snedecor(s1, s2, mu, sigma):
    """exp(mu + sigma log V), V of the F distribution with 2 s1 and 2 s2 degrees of freedom."""
    beta = stats.beta(s1, s2)

    def odds(t):
        return s1 / s2 * np.exp((np.log(t) - mu) / sigma)

    def pdf(t):
        v = odds(t)
        return beta.pdf(v / (1 + v)) * v / (1 + v) ** 2 / (sigma * t)

    return types.SimpleNamespace(cdf=lambda t: beta.cdf(odds(t) / (1 + odds(t))), pdf=pdf)


def prentice(mu, sigma, Q, P):
    d = np.sqrt(Q**2 + 2 * P)
    s1, s2 = 2 / (Q**2 + 2 * P + Q * d), 2 / (Q**2 + 2 * P - Q * d)
    return snedecor(s1, s2, mu, sigma / d)


# F as scipy has it.
LAWS = {
    "exponential": lambda rate: stats.expon(scale=1 / rate),
    "weibull": lambda scale, shape: stats.weibull_min(shape, scale=scale),
    "weibull_ph": lambda scale, shape: stats.weibull_min(shape, scale=scale ** (-1 / shape)),
    "gamma": lambda rate, shape: stats.gamma(shape, scale=1 / rate),
    "lognormal": lambda meanlog, sdlog: stats.lognorm(sdlog, scale=np.exp(meanlog)),
    "loglogistic": lambda scale, shape: stats.fisk(shape, scale=scale),
    "gompertz": lambda rate, shape: stats.gompertz(rate / shape, scale=1 / shape),
    "gengamma": lambda mu, sigma, Q: stats.gengamma(
        Q**-2, Q / sigma, scale=np.exp(mu) * Q ** (2 * sigma / Q)
    ),
    "gengamma_orig": lambda scale, shape, k: stats.gengamma(k, shape, scale=scale),
    "genf": prentice,
    "genf_orig": lambda mu, sigma, s1, s2: snedecor(s1, s2, mu, sigma),
}


@pytest.mark.parametrize("of", CAUSES)
def test_distribution_and_derivatives(of):
    family = bmx.family("promotion_time", of=of)
    natural = dict(family.example)
    law = LAWS[of](**{k: v for k, v in natural.items() if k != "theta"})
    t = np.array([0.01, 0.5, 2.0, 9.0])
    log_s = base.log_survival(family, t, natural)
    np.testing.assert_allclose(log_s, -1.2 * law.cdf(t), rtol=1e-10)
    log_f = np.log(1.2) + np.log(law.pdf(t)) - 1.2 * law.cdf(t)
    np.testing.assert_allclose(base.log_density_at(family, t, natural), log_f, rtol=1e-10)
    q = base.quantile(family, np.array([0.1, 0.6, 0.8]), natural)
    assert np.isinf(q[2])  # exp(-1.2) = 0.30 never have the event
    np.testing.assert_allclose(base.log_survival(family, q[:2], natural), np.log([0.9, 0.4]))
    exact = derivatives(family.survival, SEEN, linked(family, natural))
    for closed in (True, False):
        d = derivatives(family.survival, SEEN, linked(family, natural), closed=closed)
        for i, parameter in enumerate(family.parameters):
            h = 1e-5
            ends = []
            for step in (h, -h):
                eta = parameter.link.forward(np.array([natural[parameter.name]])) + step
                moved = list(linked(family, natural))
                moved[i] = Linked(parameter.link, eta)
                ends.append(derivatives(family.survival, SEEN, tuple(moved), closed=closed))
            slope = (ends[0].logf - ends[1].logf) / (2 * h)
            np.testing.assert_allclose(d.first[i], slope, rtol=1e-6, atol=1e-8)
            for j in range(len(family.parameters)):
                bend = (ends[0].first[j] - ends[1].first[j]) / (2 * h)
                np.testing.assert_allclose(d.second[i][j], bend, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(d.logf, exact.logf, rtol=1e-12)
    assert pickle.loads(pickle.dumps(family)) is family


def cohort(n=1200, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, n)
    theta = np.exp(0.1 + 0.8 * x)
    causes = rng.poisson(theta)
    time = np.array([3 * rng.weibull(1.5, m).min() if m else np.inf for m in causes])
    end = rng.uniform(2, 12, n)
    return pd.DataFrame(
        {"x": x, "time": np.minimum(time, end), "status": (time <= end).astype(int)}
    )


def test_the_maximum_is_that_of_a_few_lines():
    data = cohort()
    spec = bmx.Mixture("surv(time, status) ~ x", data, family="promotion_time", k=1)
    fit = spec.fit("em", seed=1)
    t, e, x = (data[n].to_numpy() for n in ("time", "status", "x"))

    def minus(p):
        theta, law = np.exp(p[0] + p[1] * x), stats.weibull_min(np.exp(p[2]), scale=np.exp(p[3]))
        return -(e * (np.log(theta) + law.logpdf(t)) - theta * law.cdf(t)).sum()

    found = optimize.minimize(minus, [0.0, 0.5, 0.3, 1.0], method="BFGS", tol=1e-8)
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)
    table = fit.summary().set_index("term")
    for term, truth in {"Intercept": 0.1, "x": 0.8, "scale": 3.0, "shape": 1.5}.items():
        assert abs(table.loc[term, "estimate"] - truth) < 3.3 * table.loc[term, "se"], term
    assert np.isinf(fit.mean_time(by="marginal")["estimate"]).all()
    # Days or years: the same fit.
    days = data.assign(time=data["time"] * 365.25)
    other = bmx.Mixture("surv(time, status) ~ x", days, family="promotion_time", k=1).fit(seed=1)
    assert other.coefficients().loc["x", 1] == pytest.approx(fit.coefficients().loc["x", 1])
    assert other.loglik == pytest.approx(fit.loglik - e.sum() * np.log(365.25))


@pytest.mark.parametrize(("of", "held"), [("gengamma", {}), ("genf", {(1, "P"): 0.1})])
def test_causes_of_three_and_four_parameters(of, held):
    """R's flexsurvcure has them too: log theta + log f - theta F, maximised by scipy."""
    data = cohort(800)
    spec = bmx.Mixture("surv(time, status) ~ x", data, bmx.family("promotion_time", of=of), k=1)
    fit = spec.fit("em", seed=1, fixed_params=held)
    t, e, x = (data[n].to_numpy() for n in ("time", "status", "x"))

    def minus(p):
        theta = np.exp(p[0] + p[1] * x)
        law = LAWS[of](p[2], np.exp(p[3]), p[4], *held.values())
        return -(e * (np.log(theta) + np.log(law.pdf(t))) - theta * law.cdf(t)).sum()

    found = optimize.minimize(
        minus, [0.0, 1.0, 1.0, -0.3, 0.7], method="Nelder-Mead", options={"maxiter": 2000}
    )
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-3)
    assert fit.loglik >= -found.fun - 1e-7


def test_intervals_of_the_cured_fraction_cover_it():
    truth, hits = np.exp(-np.exp([0.1, 0.9])), []
    for seed in range(40):
        spec = bmx.Mixture("surv(time, status) ~ x", cohort(400, seed), "promotion_time", k=1)
        share = spec.fit("em", seed=1).cured_fraction(pd.DataFrame({"x": [0, 1]}))
        hits.append((share["lower"] < truth) & (truth < share["upper"]))
    # Of 40 at 95 percent, fewer than 33 are there once in two thousand times.
    assert (np.sum(hits, axis=0) >= 33).all()


def test_beside_other_families_and_kept(tmp_path):
    data = cohort(300)
    family = bmx.family("Non-mixture cure", of="lognormal")
    spec = bmx.Mixture("surv(time, status) ~ 1", data, family=[family, "weibull"], k=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # five iterations are few
        fit = spec.fit("em", seed=1, starts=2, max_iter=5)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    assert again.spec.log_likelihood(again.params) == pytest.approx(fit.loglik)
    posterior = bmx.Mixture("surv(time, status) ~ x", data, family="promotion_time", k=1).fit(
        "laplace", seed=1, draws=200
    )
    assert 0.1 < posterior.cured_fraction(pd.DataFrame({"x": [0]}))["estimate"][0] < 0.6


def test_in_a_graph():
    family = bmx.family("promotion_time")
    obs = Observed(SEEN.lower, None, 0.0, SEEN)
    etas = [np.reshape(v.eta, (1, 1)) for v in linked(family, family.example)]
    variables = [pt.tensor(shape=(1, 1), dtype="float64") for _ in etas]
    logf = density_in_a_graph(family, obs, variables)
    got = pytensor.function(variables, logf, mode="FAST_COMPILE")(*etas)
    ours = base.contributions(family.survival, SEEN, linked(family, family.example))
    np.testing.assert_allclose(got[0], ours, rtol=1e-10)


def test_causes_that_are_none():
    with pytest.raises(SpecError, match="of='cured' is unknown; use one of exponential, weibull"):
        bmx.family("promotion_time", of="cured")
