"""Gamma, generalized gamma and generalized F times: definitions, special cases, moments, starts."""

import itertools
import pickle

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, stats

import bayesmix as bmx
from bayesmix.families import family, resolve
from bayesmix.families.survival import base as numbers
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

NAMES = ("gamma", "gengamma", "gengamma_orig", "genf", "genf_orig")
every = pytest.mark.parametrize("name", NAMES)

T = np.array([1e-12, 1e-4, 0.03, 0.5, 1.0, 2.7, 9.0, 40.0])


def timed(name):
    return resolve(name, survival=True)


def term(name, lower, upper, **natural):
    """Log-likelihood terms of times between `lower` and `upper`."""
    f = timed(name)
    lower, upper = np.broadcast_arrays(np.asarray(lower, float), np.asarray(upper, float))
    times = Times(lower, upper, np.zeros(lower.shape))
    obs = f.observe(Response("surv(t)", "survival", lower, None, ("t",), times))
    etas = tuple(
        np.broadcast_to(p.link.forward(natural[p.name]), lower.shape) for p in f.parameters
    )
    return f.log_density(obs, etas)


def density(name, **natural):
    return term(name, T, T, **natural)


def survival(name, **natural):
    return term(name, T, np.inf, **natural)


def distribution(name, **natural):
    return term(name, 0.0, T, **natural)


def alike(one, two, rtol=1e-11, atol=0.0):
    """Density and both tails of two members of two families."""
    for what in (density, survival, distribution):
        np.testing.assert_allclose(
            what(one[0], **one[1]), what(two[0], **two[1]), rtol=rtol, atol=atol
        )


# --- the definitions -----------------------------------------------------------------------


@pytest.mark.parametrize("shape", [1e-3, 0.4, 1.0, 7.0, 900.0])
def test_gamma_is_the_textbook_one(shape):
    at = stats.gamma(shape, scale=1 / 0.6)
    natural = {"shape": shape, "rate": 0.6}
    np.testing.assert_allclose(density("gamma", **natural), at.logpdf(T), rtol=1e-10)
    sf, cdf = at.sf(T), at.cdf(T)
    good = (sf > 1e-250) & (sf < 1)
    np.testing.assert_allclose(survival("gamma", **natural)[good], np.log(sf[good]), 1e-9, 1e-15)
    good = (cdf > 1e-250) & (cdf < 1)
    np.testing.assert_allclose(
        distribution("gamma", **natural)[good], np.log(cdf[good]), 1e-9, 1e-15
    )


@pytest.mark.parametrize("Q", [-1.7, -0.4, 0.05, 0.6, 2.5])
def test_generalized_gamma_by_its_definition(Q):
    mu, sigma = 0.3, 0.7
    with mp.workdps(40):
        q = mp.mpf(Q) ** -2
        want = []
        for t in T[2:7]:
            w = (mp.log(mp.mpf(t)) - mu) / sigma
            f = abs(Q) * q**q / (sigma * t * mp.gamma(q)) * mp.exp(q * (Q * w - mp.exp(Q * w)))
            want.append(float(mp.log(f)))
    np.testing.assert_allclose(density("gengamma", mu=mu, sigma=sigma, Q=Q)[2:7], want, rtol=1e-11)


@pytest.mark.parametrize(("Q", "P"), [(-1.7, 0.2), (-0.4, 3.0), (0.0, 0.5), (0.6, 1e-3), (2.5, 1)])
def test_generalized_f_by_its_definition(Q, P):
    mu, sigma = 0.3, 0.7
    with mp.workdps(40):
        d = mp.sqrt(mp.mpf(Q) ** 2 + 2 * mp.mpf(P))
        s1, s2 = 2 / (d * (d + Q)), 2 / (d * (d - Q))
        want = []
        for t in T[2:7]:
            u = d * (mp.log(mp.mpf(t)) - mu) / sigma
            f = d * (s1 / s2) ** s1 * mp.exp(s1 * u) / (sigma * t * mp.beta(s1, s2))
            want.append(float(mp.log(f) - (s1 + s2) * mp.log1p(s1 * mp.exp(u) / s2)))
    got = density("genf", mu=mu, sigma=sigma, Q=Q, P=P)[2:7]
    np.testing.assert_allclose(got, want, rtol=1e-11)
    same = {"mu": mu, "sigma": sigma / float(d), "s1": float(s1), "s2": float(s2)}
    alike(("genf", {"mu": mu, "sigma": sigma, "Q": Q, "P": P}), ("genf_orig", same), 1e-10)


@pytest.mark.parametrize(("shape", "scale", "k"), [(1.3, 2.0, 0.2), (0.5, 40.0, 3.0), (4, 1, 50)])
def test_stacys_generalized_gamma(shape, scale, k):
    natural = {"shape": shape, "scale": scale, "k": k}
    at = stats.gengamma(k, shape, scale=scale)
    np.testing.assert_allclose(density("gengamma_orig", **natural), at.logpdf(T), rtol=1e-9)
    prentice = {
        "mu": np.log(scale) + np.log(k) / shape,
        "sigma": 1 / (shape * np.sqrt(k)),
        "Q": k**-0.5,
    }
    alike(("gengamma_orig", natural), ("gengamma", prentice), 1e-10)


# --- special cases -------------------------------------------------------------------------


def test_special_cases_of_the_generalized_gamma():
    mu, sigma = 0.4, 0.8
    alike(
        ("gengamma", {"mu": mu, "sigma": sigma, "Q": 1.0}),
        ("weibull", {"scale": np.exp(mu), "shape": 1 / sigma}),
        1e-11,
        1e-12,
    )
    alike(
        ("gengamma", {"mu": mu, "sigma": sigma, "Q": 0.0}),
        ("lognormal", {"meanlog": mu, "sdlog": sigma}),
    )
    alike(
        ("gengamma", {"mu": mu, "sigma": sigma, "Q": sigma}),
        ("gamma", {"shape": sigma**-2, "rate": sigma**-2 * np.exp(-mu)}),
    )


@pytest.mark.parametrize("Q", [-2.0, -0.3, 0.0, 0.4, 1.0])
def test_generalized_f_at_p_of_zero_is_the_generalized_gamma(Q):
    rest = {"mu": 0.4, "sigma": 0.8, "Q": Q}
    alike(("genf", rest | {"P": 1e-300}), ("gengamma", rest), 1e-9, 1e-11)
    with np.errstate(divide="ignore"):
        alike(("genf", rest | {"P": 0.0}), ("gengamma", rest), 1e-9, 1e-11)


def test_generalized_f_with_both_shapes_one_is_loglogistic():
    alike(
        ("genf_orig", {"mu": 0.4, "sigma": 0.5, "s1": 1.0, "s2": 1.0}),
        ("loglogistic", {"scale": np.exp(0.4), "shape": 2.0}),
    )
    alike(
        ("genf", {"mu": 0.4, "sigma": 0.5, "Q": 0.0, "P": 1.0}),
        ("loglogistic", {"scale": np.exp(0.4), "shape": np.sqrt(2) / 0.5}),
    )


def test_likelihood_and_derivatives_pass_smoothly_through_the_lognormal():
    f, t = timed("gengamma"), np.array([0.2, 1.0, 3.0, 8.0])
    upper = np.array([0.2, np.inf, 3.5, np.inf])
    times = Times(np.where(t == 8.0, 0.0, t), np.where(t == 8.0, 8.0, upper), np.zeros(4))
    obs = f.observe(Response("surv(t)", "survival", t, None, ("t",), times))

    def at(Q):
        etas = (np.full(4, 0.3), np.full(4, np.log(0.9)), np.full(4, Q))
        d = f.derivatives(obs, etas)
        return d.logf, d.first[2], d.second[2][2], d.second[0][2]

    middle = at(0.0)
    for step in (1e-9, 1e-5):
        for below, here, above in zip(at(-step), middle, at(step), strict=True):
            np.testing.assert_allclose(0.5 * (below + above), here, rtol=1e-8, atol=1e-8)
    slope = (at(1e-4)[0] - at(-1e-4)[0]) / 2e-4
    np.testing.assert_allclose(middle[1], slope, rtol=1e-6, atol=1e-8)


# --- moments, quantiles, random numbers, starts --------------------------------------------

MEMBERS = [
    ("gamma", {"shape": 0.3, "rate": 2.0}),
    ("gamma", {"shape": 1e5, "rate": 100.0}),
    ("gengamma", {"mu": 0.2, "sigma": 0.6, "Q": 0.0}),
    ("gengamma", {"mu": 0.2, "sigma": 0.6, "Q": 1e-7}),
    ("gengamma", {"mu": 0.2, "sigma": 0.4, "Q": -0.8}),
    ("gengamma", {"mu": 0.2, "sigma": 0.6, "Q": 2.2}),
    ("gengamma_orig", {"scale": 2.0, "shape": 1.4, "k": 0.4}),
    ("genf", {"mu": 0.2, "sigma": 0.3, "Q": -0.4, "P": 0.2}),
    ("genf", {"mu": 0.2, "sigma": 0.3, "Q": 1e-6, "P": 1e-9}),
    ("genf_orig", {"mu": 0.2, "sigma": 0.3, "s1": 0.7, "s2": 2.5}),
]


@pytest.mark.parametrize(("name", "natural"), MEMBERS)
def test_moments_by_quadrature(name, natural):
    f = timed(name)

    def moment(power):
        def integrand(x):
            at = np.exp(power * x + x)
            return at * np.exp(numbers.log_density_at(f, np.exp(x), natural))

        middle = float(np.log(f.mean(**natural)))
        spread = float(np.sqrt(np.log1p(f.variance(**natural) / f.mean(**natural) ** 2)))
        edges = middle + spread * np.array([-120, -30, -8, -2, 0, 2, 8, 30, 120])
        return sum(
            integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=200)[0]
            for a, b in itertools.pairwise(edges)
        )

    mean, square = moment(1), moment(2)
    assert f.mean(**natural) == pytest.approx(mean, rel=1e-8)
    assert f.variance(**natural) == pytest.approx(square - mean**2, rel=1e-5)
    assert float(numbers.restricted_mean(f, 1e6 * mean, natural)) == pytest.approx(mean, rel=1e-5)


def test_a_mean_that_does_not_exist_is_infinite():
    assert timed("gengamma").mean(mu=0.0, sigma=2.0, Q=-0.6) == np.inf
    assert timed("genf").mean(mu=0.0, sigma=3.0, Q=0.5, P=1.0) == np.inf
    assert timed("genf_orig").mean(mu=0.0, sigma=1.0, s1=2.0, s2=0.9) == np.inf
    assert timed("genf_orig").variance(mu=0.0, sigma=1.0, s1=2.0, s2=1.5) == np.inf


@pytest.mark.parametrize(("name", "natural"), [*MEMBERS, ("gamma", {"shape": 1e-4, "rate": 1.0})])
def test_quantiles_go_back_to_their_shares(name, natural):
    f = timed(name)
    p = np.array([1e-100, 1e-9, 0.01, 0.5, 0.99, 1 - 1e-12])
    t = numbers.quantile(f, p, natural)
    seen = (t > 1e-300) & (t < 1e300)
    assert seen.any()
    log_s = numbers.log_survival(f, t[seen], natural)
    np.testing.assert_allclose(-np.expm1(log_s), p[seen], rtol=1e-9)
    np.testing.assert_array_equal(numbers.quantile(f, [0.0, 1.0], natural), [0.0, np.inf])


@pytest.mark.parametrize(("name", "natural"), MEMBERS)
def test_random_times_follow_the_distribution(name, natural):
    f, n = timed(name), 4000
    full = {k: np.full(n, v) for k, v in natural.items()}
    t = f.simulate(np.random.default_rng(5), **full)
    shares = -np.expm1(numbers.log_survival(f, t, natural))
    assert stats.kstest(shares, "uniform").pvalue > 1e-3


@every
def test_starts_are_near_and_follow_the_unit_of_time(name):
    f, rng = timed(name), np.random.default_rng(8)
    t = f.simulate(rng, **{k: np.full(400, v) for k, v in f.example.items()})
    censored = rng.exponential(2 * np.median(t), 400)

    def start(unit):
        lower = np.minimum(t, censored) * unit
        times = Times(lower, np.where(t < censored, lower, np.inf), np.zeros(400))
        obs = f.observe(Response("surv(t)", "survival", lower, None, ("t",), times))
        found = f.starting(obs)
        etas = tuple(p.link.forward(np.full(400, found[p.name])) for p in f.parameters)
        truth = tuple(p.link.forward(np.full(400, f.example[p.name])) for p in f.parameters)
        return found, f.log_density(obs, etas).sum(), f.log_density(obs, truth).sum()

    years, value, truth = start(1.0)
    assert value > truth - 25.0
    days, _, _ = start(365.25)
    medians = [float(numbers.quantile(f, 0.5, natural)) for natural in (years, days)]
    assert medians[1] / medians[0] == pytest.approx(365.25, rel=1e-6)
    none = Times(np.array([1.0, 4.0]), np.full(2, np.inf), np.zeros(2))
    assert all(np.isfinite(v) for v in f.start(none).values())
    assert all(p.name in f.priors(none) for p in f.dispersions)


@every
def test_pickled_by_name(name):
    f = timed(name)
    assert pickle.loads(pickle.dumps(f)).survival is f.survival


def test_the_regression_gamma_is_still_the_one_for_numbers():
    assert bmx.family("gamma").parameters[0].name == "mu"
    assert timed("gamma").parameters[0].name == "rate"
    assert family("gamma").timed == "gamma"
