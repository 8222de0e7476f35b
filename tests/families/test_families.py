"""What every family promises, over the list of families: an untested one fails."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import bayesmix as bmx
from bayesmix.arrays import Symbol, plain
from bayesmix.errors import DataError, SpecError
from bayesmix.families import REGRESSIONS as FAMILIES
from bayesmix.families import TIMES, Observed, family
from bayesmix.families.links import LINKS, get_link
from bayesmix.families.start import search_start
from bayesmix.formula.response import Response

N = 200
TRIALS = 12.0
PRECISE = json.loads(
    (Path(__file__).parents[1] / "reference" / "family_densities.json").read_text()
)


@dataclass(frozen=True)
class Case:
    """A family's links and an independent account of it, with scipy's names."""

    links: tuple[str, ...]
    reference: Callable[..., Any]
    variance: Callable[..., Any]
    refused: tuple[float, ...] = ()
    counts: bool = False
    ranges: tuple[tuple[float, float], ...] = ()  # of the natural dispersions
    # Relative error of the dispersions' curvature; None: the curvature is the observed one.
    information: float | None = 1e-8
    lower: float = -np.inf
    upper: float = np.inf
    atom: bool = False  # a probability of zero beside a density


def _t_variance(mu: Any, sigma: Any, nu: Any) -> Any:
    return sigma**2 * nu / (nu - 2)


def inflated(counts: Callable[..., Any]) -> Callable[..., Any]:
    """Lambert's zero-inflated probability, from the counts' own."""

    def reference(y: Any, psi: Any, **natural: Any) -> Any:
        return np.log(psi * (y == 0) + (1 - psi) * np.exp(counts(y, **natural)))

    return reference


def hurdled(others: Callable[..., Any], *, atom: bool = False) -> Callable[..., Any]:
    """Zero with probability psi, else the others' density given that it is no zero."""

    def reference(y: Any, psi: Any, **natural: Any) -> Any:
        none = 0.0 if atom else np.exp(others(np.zeros_like(y), **natural))
        positive = others(np.where(y == 0, 1.0, y), **natural) - np.log1p(-none)
        return np.where(y == 0, np.log(psi), np.log1p(-psi) + positive)

    return reference


def second_moment(square: Any, mean: Any, some: Any, psi: Any) -> Any:
    """The variance of a hurdle family, by the others' moments and their share of no zeros."""
    share = (1 - psi) / some
    return share * square - (share * mean) ** 2


CASES = {
    "gaussian": Case(
        ("identity", "log", "inverse"),
        lambda y, mu, sigma: stats.norm.logpdf(y, mu, sigma),
        lambda mu, sigma: sigma**2,
        (np.nan, np.inf),
        ranges=((0.1, 10),),
    ),
    "binomial": Case(
        ("logit", "probit", "cloglog", "log", "identity"),
        lambda y, mu: stats.binom.logpmf(y, TRIALS, mu),
        lambda mu: TRIALS * mu * (1 - mu),
        (0.5, 2.0, -1.0),
        counts=True,
    ),
    "poisson": Case(
        ("log", "identity", "inverse"),
        lambda y, mu: stats.poisson.logpmf(y, mu),
        lambda mu: mu,
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
    ),
    "gamma": Case(
        ("log", "inverse", "identity"),
        lambda y, mu, shape: stats.gamma.logpdf(y, shape, scale=mu / shape),
        lambda mu, shape: mu**2 / shape,
        (-1.0, 0.0, np.inf, np.nan),
        ranges=((0.2, 50),),
        lower=0.0,
    ),
    "negative_binomial": Case(
        ("log", "identity", "inverse"),
        lambda y, mu, alpha: stats.nbinom.logpmf(y, alpha, alpha / (alpha + mu)),
        lambda mu, alpha: mu + mu**2 / alpha,
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
        ranges=((0.2, 50),),
        information=0.1,
    ),
    "student_t": Case(
        ("identity", "log", "inverse"),
        lambda y, mu, sigma, nu: stats.t.logpdf(y, nu, mu, sigma),
        _t_variance,
        (np.nan, -np.inf),
        ranges=((0.1, 10), (0.5, 50)),
    ),
    "beta": Case(
        ("logit", "probit", "cloglog"),
        lambda y, mu, phi: stats.beta.logpdf(y, mu * phi, (1 - mu) * phi),
        lambda mu, phi: mu * (1 - mu) / (1 + phi),
        (0.0, 1.0, -0.5, np.nan),
        ranges=((0.5, 50),),
        lower=0.0,
        upper=1.0,
    ),
    "inverse_gaussian": Case(
        ("log", "inverse", "identity"),
        lambda y, mu, shape: stats.invgauss.logpdf(y, mu / shape, scale=shape),
        lambda mu, shape: mu**3 / shape,
        (-1.0, 0.0, np.inf, np.nan),
        ranges=((0.2, 50),),
        lower=0.0,
    ),
    "zero_inflated_poisson": Case(
        ("log", "identity", "inverse"),
        inflated(lambda y, mu: stats.poisson.logpmf(y, mu)),
        lambda mu, psi: (1 - psi) * mu * (1 + psi * mu),
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
        ranges=((0.1, 0.9),),
        information=None,
    ),
    "zero_inflated_negative_binomial": Case(
        ("log", "identity", "inverse"),
        inflated(lambda y, mu, alpha: stats.nbinom.logpmf(y, alpha, alpha / (alpha + mu))),
        lambda mu, alpha, psi: (1 - psi) * mu * (1 + mu / alpha + psi * mu),
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
        ranges=((0.2, 50), (0.1, 0.9)),
        information=None,
    ),
    "zero_inflated_binomial": Case(
        ("logit", "probit", "cloglog", "log", "identity"),
        inflated(lambda y, mu: stats.binom.logpmf(y, TRIALS, mu)),
        lambda mu, psi: (1 - psi) * TRIALS * mu * (1 - mu + psi * TRIALS * mu),
        (0.5, 2.0, -1.0),
        counts=True,
        ranges=((0.1, 0.9),),
        information=None,
    ),
    "hurdle_poisson": Case(
        ("log", "identity", "inverse"),
        hurdled(lambda y, mu: stats.poisson.logpmf(y, mu)),
        lambda mu, psi: second_moment(mu + mu**2, mu, -np.expm1(-mu), psi),
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
        ranges=((0.1, 0.9),),
        information=None,
    ),
    "hurdle_negative_binomial": Case(
        ("log", "identity", "inverse"),
        hurdled(lambda y, mu, alpha: stats.nbinom.logpmf(y, alpha, alpha / (alpha + mu))),
        lambda mu, alpha, psi: second_moment(
            mu + mu**2 / alpha + mu**2, mu, 1 - (alpha / (alpha + mu)) ** alpha, psi
        ),
        (-1.0, 0.5, np.inf, np.nan),
        counts=True,
        ranges=((0.2, 50), (0.1, 0.9)),
        information=None,
    ),
    "hurdle_gamma": Case(
        ("log", "inverse", "identity"),
        hurdled(lambda y, mu, shape: stats.gamma.logpdf(y, shape, scale=mu / shape), atom=True),
        lambda mu, shape, psi: second_moment(mu**2 / shape + mu**2, mu, 1.0, psi),
        (-1.0, np.inf, np.nan),
        ranges=((0.2, 50), (0.1, 0.9)),
        information=None,
        lower=0.0,
        atom=True,
    ),
    "hurdle_lognormal": Case(
        ("identity",),
        hurdled(
            lambda y, meanlog, sdlog: stats.lognorm.logpdf(y, sdlog, 0, np.exp(meanlog)), atom=True
        ),
        lambda meanlog, sdlog, psi: second_moment(
            np.exp(2 * meanlog + 2 * sdlog**2), np.exp(meanlog + sdlog**2 / 2), 1.0, psi
        ),
        (-1.0, np.inf, np.nan),
        ranges=((0.2, 3), (0.1, 0.9)),
        information=None,
        lower=0.0,
        atom=True,
    ),
    "zero": Case((), lambda y: np.where(y == 0, 0.0, -np.inf), lambda: 0.0, (np.nan,)),
    "point": Case((), lambda y: np.where(y == 1, 0.0, -np.inf), lambda: 0.0, (np.nan,)),
}
WITH_PARAMETERS = [name for name in FAMILIES if CASES[name].links]
LINKED = [(name, link) for name in WITH_PARAMETERS for link in CASES[name].links]
every_family = pytest.mark.parametrize("name", FAMILIES)
every_link = pytest.mark.parametrize(("name", "link"), LINKED)


def of_trials(name: str) -> bool:
    return family(name).binomial


def observed(name: str, y: Any, trials: Any = TRIALS) -> Observed:
    y = np.atleast_1d(np.asarray(y, dtype=float))
    if of_trials(name):
        return family(name).observe(
            Response("p(y, n)", "binomial", y, np.broadcast_to(float(trials), y.shape), ("y", "n"))
        )
    return family(name).observe(Response("y", "numeric", y, None, ("y",)))


def natural(name: str, link: str, rng: np.random.Generator, n: int = N) -> dict[str, np.ndarray]:
    """Random parameters that the link allows."""
    f = family(name, link)
    if of_trials(name) or name == "beta":
        location = rng.uniform(0.01, 0.99, n)
    elif name == "hurdle_lognormal":
        location = rng.normal(0, 2, n)
    elif f.bounds or get_link(link).lower == 0:
        location = np.exp(rng.uniform(-3, 5, n))
    else:
        location = rng.normal(0, 20, n)
    out = {f.parameters[0].name: location}
    for p, (low, high) in zip(f.dispersions, CASES[name].ranges, strict=True):
        out[p.name] = np.exp(rng.uniform(np.log(low), np.log(high), n))
    return out


def simulated(name: str, params: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    extra = {"trials": np.float64(TRIALS)} if of_trials(name) else {}
    return family(name).simulate(rng, **params, **extra)


def etas_of(name: str, link: str, params: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    return tuple(p.link.forward(params[p.name]) for p in family(name, link).parameters)


def points(name: str, link: str, seed: int) -> tuple[Any, Observed, tuple, dict]:
    """Random parameters with responses from them, every fourth from other parameters."""
    rng = np.random.default_rng(seed)
    params = natural(name, link, rng)
    y = simulated(name, params, rng)
    y[::4] = simulated(name, natural(name, link, rng), rng)[::4]
    return family(name, link), observed(name, y), etas_of(name, link, params), params


def test_every_family_has_a_case():
    assert set(CASES) == set(FAMILIES)
    assert {row["family"] for row in PRECISE} == set(WITH_PARAMETERS)


@every_family
def test_a_family_describes_itself(name):
    f = family(name)
    assert f.name == name
    assert f.equation
    assert f.source
    assert f.example.keys() == f.params.keys()
    assert len(CASES[name].ranges) == len(f.dispersions)


# --- density -------------------------------------------------------------------------------


@every_link
def test_log_density_agrees_with_scipy(name, link):
    f, obs, etas, params = points(name, link, seed=1)
    expected = CASES[name].reference(obs.y, **params)
    np.testing.assert_allclose(f.log_density(obs, etas), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(
        f.log_density(obs, etas).shape, f.derivatives(obs, etas).logf.shape
    )
    np.testing.assert_allclose(
        f.derivatives(obs, etas).logf, f.log_density(obs, etas), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("row", PRECISE, ids=lambda r: f"{r['family']}-{r['y']:g}-{r['etas']}")
def test_extreme_densities_and_derivatives_agree_with_800_digits(row):
    f, obs = family(row["family"]), observed(row["family"], row["y"], row["trials"] or 0.0)
    etas = tuple(np.array([eta]) for eta in row["etas"])
    d = f.derivatives(obs, etas)
    # A log density near zero is the sum of terms that are not: hence the absolute part.
    np.testing.assert_allclose(d.logf[0], row["logf"], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(f.log_density(obs, etas)[0], row["logf"], rtol=1e-10, atol=1e-13)
    for j, first in enumerate(row["first"]):
        np.testing.assert_allclose(np.broadcast_to(d.first[j], 1)[0], first, rtol=1e-9)
        for k, second in enumerate(row["second"][j]):
            np.testing.assert_allclose(np.broadcast_to(d.second[j][k], 1)[0], second, rtol=1e-9)


@every_link
def test_the_density_sums_or_integrates_to_one(name, link):
    f = family(name, link)
    example = {key: np.float64(value) for key, value in f.example.items()}
    etas = etas_of(name, link, example)

    def density(y: Any) -> Any:
        return np.exp(f.log_density(observed(name, y), etas))

    if CASES[name].counts:
        top = TRIALS if of_trials(name) else 2000
        total = density(np.arange(top + 1)).sum()
    else:
        case, middle = CASES[name], next(iter(example.values()))
        total = sum(
            integrate.quad(lambda y: density(y)[0], a, b, epsabs=1e-11)[0]
            for a, b in ((case.lower, middle), (middle, case.upper))
        )
        total += density(0.0)[0] if case.atom else 0.0
    assert total == pytest.approx(1, abs=1e-9)


@every_link
@pytest.mark.filterwarnings("error")
def test_no_linear_predictor_gives_nan(name, link):
    f = family(name, link)
    grid = np.array([-700.0, -300.0, -40.0, -3.0, 0.0, 0.5, 3.0, 40.0, 300.0, 700.0])
    etas = tuple(e.reshape(-1, 1) for e in np.meshgrid(*[grid] * len(f.params)))
    inner = (1e-3, 0.5, 0.99) if CASES[name].upper == 1 else (1e-3, 1.0, 50.0)
    for y in (0.0, 1.0, 5.0) if CASES[name].counts else inner:
        logf = f.log_density(observed(name, y), etas)
        assert not np.isnan(logf).any()
        assert not np.isnan(f.derivatives(observed(name, y), etas).logf).any()


@pytest.mark.parametrize(
    ("name", "link", "eta"),
    [
        ("gamma", "inverse", -1.0),
        ("gamma", "inverse", 0.0),
        ("gamma", "identity", -1.0),
        ("poisson", "identity", -1.0),
        ("negative_binomial", "identity", -0.5),
        ("binomial", "identity", -0.1),
        ("binomial", "identity", 1.1),
        ("binomial", "log", 0.1),
    ],
)
def test_a_location_outside_its_range_has_density_zero(name, link, eta):
    f = family(name, link)
    etas = (np.array([eta]), *(np.zeros(1) for _ in f.dispersions))
    for y in (1.0, 3.0):
        assert f.log_density(observed(name, y), etas)[0] == -np.inf
        assert f.derivatives(observed(name, y), etas).logf[0] == -np.inf


def test_a_mean_of_zero_gives_counts_of_zero():
    for name in ("poisson", "negative_binomial"):
        f = family(name, "identity")
        etas = (np.zeros(2), *(np.zeros(2) for _ in f.dispersions))
        np.testing.assert_array_equal(f.log_density(observed(name, [0, 1]), etas), [0, -np.inf])
    f = family("binomial", "identity")
    obs = observed("binomial", [0, 12, 0, 12])
    logf = f.log_density(obs, (np.array([0.0, 0.0, 1.0, 1.0]),))
    np.testing.assert_allclose(logf, [0, -np.inf, -np.inf, 0], atol=1e-14)


def test_limits_are_reached_without_noise():
    y = np.arange(40.0)
    eta = np.full(40, 2.0)
    poisson = family("poisson").log_density(observed("poisson", y), (eta,))
    nb = family("negative_binomial")
    for rho in (60.0, 230.0, 700.0):
        limit = nb.log_density(observed("negative_binomial", y), (eta, np.array([rho])))
        np.testing.assert_allclose(limit, poisson, rtol=1e-13)
    z = np.linspace(-6, 6, 41)
    gaussian = family("gaussian").log_density(observed("gaussian", z), (0 * z, 0 * z))
    for kappa in (60.0, 230.0, 700.0):
        etas = (0 * z, 0 * z, np.array([kappa]))
        limit = family("student_t").log_density(observed("student_t", z), etas)
        np.testing.assert_allclose(limit, gaussian, rtol=1e-13)


# --- derivatives ---------------------------------------------------------------------------


@every_link
def test_closed_form_derivatives_agree_with_automatic_ones(name, link):
    f, obs, etas, _ = points(name, link, seed=2)
    d, auto = f.derivatives(obs, etas), f.automatic(obs, etas)
    for j in range(len(etas)):
        np.testing.assert_allclose(d.first[j] + 0 * obs.y, auto.first[j], rtol=1e-9, atol=1e-9)
        for k in range(len(etas)):
            got = d.second[j][k] + 0 * obs.y
            np.testing.assert_allclose(got, auto.second[j][k], rtol=1e-9, atol=1e-9)


@every_link
def test_derivatives_agree_with_finite_differences(name, link):
    f, obs, etas, _ = points(name, link, seed=3)
    d = f.derivatives(obs, etas)
    for j, eta in enumerate(etas):
        h = 2e-6 * np.maximum(np.abs(eta), 1e-2)
        moved = [f.derivatives(obs, (*etas[:j], eta + m * h, *etas[j + 1 :])) for m in STENCIL]
        agree(slope([m.logf for m in moved], h), d.first[j], d.logf, h)
        for k in range(len(etas)):
            agree(slope([m.first[k] for m in moved], h), d.second[j][k], d.first[k], h)


@pytest.mark.parametrize(
    ("name", "link", "y", "etas", "slope"),  # where automatic differentiation has none
    [
        ("binomial", "cloglog", 3.0, (40.0,), None),
        ("binomial", "cloglog", TRIALS, (800.0,), 0.0),
        ("binomial", "identity", 0.0, (0.0,), -TRIALS),
        ("binomial", "log", TRIALS, (0.0,), TRIALS),
        ("poisson", "identity", 0.0, (0.0,), -1.0),
        ("negative_binomial", "log", 0.0, (705.0, -60.0), None),
        ("negative_binomial", "log", 7.0, (705.0, -60.0), None),
        ("beta", "logit", 1e-300, (-700.0, -60.0), None),
        ("beta", "probit", 1e-8, (-40.0, 5.0), None),
        ("hurdle_gamma", "log", 0.0, (-700.0, 20.0, 1.0), None),
        ("hurdle_poisson", "log", 1.0, (-700.0, 1.0), None),
    ],
)
def test_derivatives_at_the_ends_of_a_range(name, link, y, etas, slope):
    f, obs = family(name, link), observed(name, y)
    etas = tuple(np.array([eta]) for eta in etas)
    d = f.derivatives(obs, etas)
    first = f.automatic(obs, etas).first if slope is None else [slope]
    np.testing.assert_allclose(d.logf, f.log_density(obs, etas), rtol=1e-12)
    np.testing.assert_allclose(np.ravel(d.first), np.ravel(first), rtol=1e-9, atol=1e-12)
    assert np.isfinite(np.array(d.second)).all()
    assert np.isfinite(np.array(d.curvature)).all()
    if name == "hurdle_poisson":  # the only count above zero that is left
        np.testing.assert_allclose(d.logf, -np.log1p(np.e), rtol=1e-12)


@pytest.mark.parametrize("name", ["poisson", "gamma", "student_t", "inverse_gaussian"])
def test_a_missing_predictor_gives_no_density(name):
    f, obs = family(name), observed(name, np.array([1.0, 2.0]))
    for j in range(len(f.parameters)):
        etas = [np.full(2, 0.3) for _ in f.parameters]
        etas[j] = np.array([np.nan, 0.3])
        for logf in (f.derivatives(obs, tuple(etas)).logf, f.log_density(obs, tuple(etas))):
            np.testing.assert_array_equal(np.isnan(logf), [True, False])


STENCIL = (-2, -1, 1, 2)


def slope(values: list[np.ndarray], h: np.ndarray) -> np.ndarray:
    """Derivative by differences, with an error of order h^4."""
    far_down, down, up, far_up = values
    return (8 * (up - down) - (far_up - far_down)) / (12 * h)


def agree(got: np.ndarray, want: np.ndarray, value: np.ndarray, h: np.ndarray) -> None:
    """Equal up to the rounding of the differenced value."""
    rounding = 2e-13 * (1 + np.abs(value)) / h
    np.testing.assert_array_less(np.abs(got - want), 1e-6 * np.abs(want) + rounding)


@every_link
def test_derivatives_broadcast_over_starts_and_components(name, link):
    f, obs, etas, _ = points(name, link, seed=4)
    location = etas[0].reshape(1, 1, -1) + np.zeros((2, 3, 1))
    others = tuple(eta[:6].reshape(2, 3, 1) for eta in etas[1:])
    d = f.derivatives(obs, (location, *others))
    curvature = d.curvature
    assert d.logf.shape == (2, 3, N)
    for j in range(len(etas)):
        row = (etas[0], *(eta[:6].reshape(2, 3)[1, 2] for eta in etas[1:]))
        one = f.derivatives(obs, row)
        full = np.broadcast_to(d.first[j], d.logf.shape)[1, 2]
        np.testing.assert_allclose(full, np.broadcast_to(one.first[j], N), rtol=1e-12)
        assert np.broadcast_shapes(np.shape(curvature[j]), d.logf.shape) == d.logf.shape


@every_link
def test_curvature_is_positive_and_finite(name, link):
    f, obs, etas, _ = points(name, link, seed=5)
    for weight in f.derivatives(obs, etas).curvature:
        assert (np.asarray(weight) > 0).all()
        assert np.isfinite(weight).all()


@every_link
def test_curvature_is_the_expected_information(name, link):
    if CASES[name].information is None:
        return  # the observed curvature where it is positive, as the test above sees
    f = family(name, link)
    natural_values = {key: np.float64(value) for key, value in f.example.items()}
    etas = etas_of(name, link, natural_values)

    def minus_second(y: Any, j: int) -> Any:
        obs = observed(name, y)
        d = f.derivatives(obs, tuple(np.full(obs.y.shape, e) for e in etas))
        return -np.exp(d.logf) * d.second[j][j]

    obs = observed(name, 0.5 if CASES[name].upper == 1 else 1.0)
    curvature = f.derivatives(obs, etas).curvature
    for j, weight in enumerate(curvature):
        if CASES[name].counts:
            top = TRIALS if of_trials(name) else 2000
            expected = minus_second(np.arange(top + 1), j).sum()
        else:
            low, high = CASES[name].lower, CASES[name].upper
            low, high = (1e-12 if low == 0 else low), (1 - 1e-12 if high == 1 else high)
            expected = sum(
                integrate.quad(lambda y, j=j: minus_second(y, j)[0], a, b, epsabs=1e-11)[0]
                for a, b in ((low, natural_values["mu"]), (natural_values["mu"], high))
            )
        error = 1e-8 if j == 0 else CASES[name].information
        assert float(np.squeeze(weight)) == pytest.approx(expected, rel=error)


def test_expected_information_of_dispersions_far_out():
    f = family("student_t")
    obs = observed("student_t", 0.0)
    for kappa in (-5.0, 0.0, np.log(199.9), np.log(200.1), 20.0, 300.0):
        weight = f.derivatives(obs, (np.zeros(1), np.zeros(1), np.array([kappa]))).curvature
        assert (np.array(weight) > 0).all()
    below, above = (
        f.derivatives(obs, (np.zeros(1), np.zeros(1), np.log([nu]))).curvature[2][0] * nu**2
        for nu in (199.999, 200.001)
    )
    assert above == pytest.approx(below, rel=1e-5)
    f = family("negative_binomial")
    for eta in (-40.0, 0.0, 10.0, 40.0):
        rho = np.array([-20.0, -5.0, 0.0, 5.0, 30.0])
        obs, etas = observed("negative_binomial", 3.0), (np.full(5, eta), rho)
        location, weight = f.derivatives(obs, etas).curvature
        # 1 / (1 / mu + 1 / alpha): the squared slope over the variance
        expected = 1 / (np.exp(-eta) + np.exp(-rho))
        np.testing.assert_allclose(location, expected, rtol=1e-12)
        assert (weight > 0).all()
        assert np.isfinite(weight).all()


# --- simulation, starts, responses ---------------------------------------------------------


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_simulated_responses_have_the_mean_and_variance(name):
    f, n = family(name), 200_000
    rng = np.random.default_rng(6)
    example = {**f.example, **({"nu": 9.0} if name == "student_t" else {})}
    y = simulated(name, {key: np.full(n, value) for key, value in example.items()}, rng)
    assert y.dtype == float
    assert y.shape == (n,)
    variance = CASES[name].variance(**example)
    mean = f.mean(**example) * (TRIALS if of_trials(name) else 1)
    assert y.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / n))
    spread = np.std((y - y.mean()) ** 2) / np.sqrt(n)
    assert y.var() == pytest.approx(variance, abs=6 * spread)
    observed(name, y)


def test_simulation_where_a_formula_would_cancel():
    rng = np.random.default_rng(7)
    y = family("negative_binomial").simulate(rng, mu=np.full(100_000, 4.0), alpha=1e12)
    assert y.var() == pytest.approx(4.0, rel=0.03)
    ends = family("beta").simulate(rng, mu=np.array([0.0, 1.0]), phi=6.0)
    np.testing.assert_allclose(ends, [0.0, 1.0], atol=1e-15)
    for shape, below, above in ((1e-3, 0, 1e9), (1e-310, 0, 1e-300), (np.inf, 0.999, 1.001)):
        y = family("gamma").simulate(rng, mu=np.full(1000, 1.0), shape=shape)
        assert ((y > below) & (y < above)).all()
    y = family("beta").simulate(rng, mu=np.full(10_000, 0.3), phi=1e-310)
    assert y.mean() == pytest.approx(0.3, abs=0.02)
    assert family("negative_binomial").simulate(rng, mu=np.full(99, 4.0), alpha=1e-310).max() == 0


@pytest.mark.parametrize(("mu", "shape"), [(1e160, 1.0), (2.0, 1e-20)])
def test_inverse_gaussian_draws_of_a_large_mean_over_the_shape_are_levy_ones(mu, shape):
    rng = np.random.default_rng(8)
    y = family("inverse_gaussian").simulate(rng, mu=np.full(5000, mu), shape=shape)
    assert stats.kstest(y / shape, stats.levy.cdf).pvalue > 0.01


def test_positive_counts_of_the_smallest_alpha_have_a_logarithmic_distribution():
    """P(y) = q^y / (-y log(1 - q)), 1 - q = alpha / (mu + alpha): log y is nearly uniform."""
    f, alpha = family("hurdle_negative_binomial"), 1e-30
    y = f.simulate(np.random.default_rng(10), mu=np.full(4000, 5.0), alpha=alpha, psi=0.0)
    total = np.log(5.0 / alpha)
    assert np.mean(y == 1) == pytest.approx(1 / total, abs=5 * np.sqrt(1 / total / 4000))
    for end in (10, 20):  # the sum of 1 / y to 10^end
        below = (end * np.log(10.0) + np.euler_gamma) / total
        assert np.mean(y <= 10.0**end) == pytest.approx(below, abs=0.04)


EXTREME = {*FAMILIES, *TIMES} - {"spline", "cured", "zero", "point"}  # a spline needs knots


@np.errstate(all="ignore")
@pytest.mark.parametrize("name", sorted(EXTREME))
def test_draws_at_extreme_parameters_are_responses(name):
    f, rng = family(name), np.random.default_rng(9)
    extra = {"trials": np.full(50, 6.0)} if of_trials(name) else {}
    real = f.valid is None and not f.is_survival
    for p in f.parameters:
        low, high = max(p.link.lower, -1e300), min(p.link.upper, 1e300)
        for value in (low + 1e-310, high * (1 - 1e-16), 1e-310):
            natural = {**f.example, p.name: value}
            y = f.simulate(rng, **{k: np.full(50, v) for k, v in natural.items()}, **extra)
            assert ((y >= 0) | (real & ~np.isnan(y))).all()


def test_the_mean_of_student_t_exists_above_one_degree_of_freedom():
    mean = family("student_t").mean(mu=np.array([1.0, 2.0]), sigma=1.0, nu=np.array([0.9, 1.1]))
    np.testing.assert_array_equal(mean, [np.nan, 2.0])


@every_link
def test_starts_are_finite_and_inside_the_links(name, link):
    f = family(name, link)
    positive = f.bounds or get_link(link).lower == 0 or CASES[name].lower == 0
    awkward = [[3.0], [2.0] * 5, [1.0, 2.0, 1e6 if not of_trials(name) else 12.0]]
    awkward += [[0.0] * 4] if CASES[name].counts else [[1e-5, 2e-5]]
    awkward += [] if positive else [[-5.0, -3.0, 0.0], [0.0, 0.0]]
    if CASES[name].upper == 1:
        awkward = [[0.3], [0.2] * 5, [0.1, 0.2, 1 - 1e-9], [1e-5, 2e-5]]
    for y in awkward:
        obs = observed(name, y)
        start = f.starting(obs)
        assert list(start) == [p.name for p in f.parameters]
        assert all(np.shape(start[p.name]) == () for p in f.dispersions)
        etas = tuple(np.asarray(p.link.forward(start[p.name])) for p in f.parameters)
        assert all(np.isfinite(eta).all() for eta in etas)
        assert np.isfinite(f.log_density(obs, etas)).all()


@pytest.mark.parametrize("name", [n for n in WITH_PARAMETERS if not of_trials(n)])
def test_the_search_finds_the_parameters(name):
    f, rng = family(name), np.random.default_rng(8)
    y = simulated(name, {k: np.full(2000, v) for k, v in f.example.items()}, rng)
    obs = observed(name, y)
    found = search_start(f, obs)
    logf = [
        f.log_density(obs, etas_of(name, f.parameters[0].link.name, values)).mean()
        for values in (found, dict(f.example))
    ]
    assert logf[0] > logf[1] - 0.01


@every_family
def test_responses_outside_the_support_are_refused(name):
    allowed = {"zero": 0.0, "beta": 0.5}.get(name, 1.0)
    for bad in CASES[name].refused:
        response = Response("y", "numeric", np.array([allowed, bad]), None, ("y",))
        with pytest.raises(DataError, match=f"{name} family"):
            family(name).observe(response)
    if not of_trials(name):
        both = Response("p(y, n)", "binomial", np.ones(2), np.ones(2), ("y", "n"))
        with pytest.raises(DataError, match="successes and trials"):
            family(name).observe(both)


def test_a_column_of_zeros_and_ones_is_binomial_with_one_trial():
    obs = family("binomial").observe(Response("y", "numeric", np.array([0.0, 1.0]), None, ("y",)))
    np.testing.assert_array_equal(obs.trials, [1, 1])
    np.testing.assert_allclose(
        family("binomial").log_density(obs, (np.zeros(2),)), np.log([0.5, 0.5])
    )


def test_some_rows_of_the_observed():
    obs = observed("binomial", [1, 2, 3])
    part = obs.take(np.array([2, 0]))
    np.testing.assert_array_equal(part.y, [3, 1])
    np.testing.assert_array_equal(part.const, obs.const[[2, 0]])


def test_zero_has_no_parameters():
    f, obs = family("zero"), observed("zero", [0, 3, 0])
    np.testing.assert_array_equal(f.log_density(obs, ()), [0, -np.inf, 0])
    d = f.derivatives(obs, ())
    assert d.first == ()
    assert d.curvature == ()
    assert f.starting(obs) == {}
    assert f.dispersions == ()
    with pytest.raises(SpecError, match="no location"):
        f.with_link("log")


# --- names, links, copies ------------------------------------------------------------------


@every_family
def test_a_family_survives_pickling(name):
    assert pickle.loads(pickle.dumps(family(name))) is family(name)
    for link in CASES[name].links:
        copy = pickle.loads(pickle.dumps(family(name, link)))
        assert copy.parameters[0].link is get_link(link)
        assert copy.kernel is family(name).kernel


def test_unknown_names_are_refused_with_a_hint():
    with pytest.raises(SpecError, match="did you mean 'poisson'"):
        family("poison")
    with pytest.raises(SpecError, match="a text or a Family"):
        family(3)
    with pytest.raises(SpecError, match="link 'square' is unknown"):
        family("gaussian", "square")


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_links_whose_means_do_not_suit_a_family_are_refused(name):
    unsuited = sorted(set(LINKS) - set(CASES[name].links))
    assert unsuited
    for link in unsuited:
        with pytest.raises(SpecError, match=rf"{link!r} .* mean of the family {name!r}; use one"):
            family(name, link)


def test_the_links_that_a_mean_allows_are_named():
    with pytest.raises(SpecError, match=r"use one of log, identity, inverse$"):
        family("poisson", "logit")
    with pytest.raises(SpecError, match=r"use one of logit, probit, cloglog, log, identity$"):
        family("binomial", "inverse")


# --- PyTensor ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_the_density_and_gradient_in_pytensor_are_those_of_numpy(name):
    pytensor = pytest.importorskip("pytensor")
    import pytensor.tensor as pt

    inputs: list[tuple[Any, np.ndarray]] = []
    outputs: list[Any] = []
    expected: list[np.ndarray] = []
    for link in CASES[name].links:
        f, obs, etas, _ = points(name, link, seed=9)
        variables = tuple(pt.vector(f"{link}{j}", dtype="float64") for j in range(len(etas)))
        logf = plain(f.log_density(obs, tuple(map(Symbol, variables))))
        inputs += list(zip(variables, etas, strict=True))
        outputs += [logf, *pytensor.grad(logf.sum(), list(variables))]
        d = f.derivatives(obs, etas)
        expected += [d.logf, *(np.broadcast_to(x, d.logf.shape) for x in d.first)]
    function = pytensor.function([v for v, _ in inputs], outputs, mode="FAST_COMPILE")
    for got, want in zip(function(*(e for _, e in inputs)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_one_component_ends_where_scipy_ends(name):
    """Maximum likelihood of the independent density, with a slope, by BFGS."""
    rng = np.random.default_rng(sum(map(ord, name)))
    f, x = family(name), rng.normal(size=N)
    location, *others = f.parameters
    natural = {p.name: float(np.clip(f.example[p.name], 0.3, 5)) for p in others}
    begin = float(location.link.forward(np.array(f.example[location.name])))
    mu = location.link.inverse(begin + 0.3 * x)
    more = {"trials": np.full(N, TRIALS)} if f.binomial else {}
    y = f.simulate(rng, **{location.name: mu}, **natural, **more)

    def cost(b):
        given = {p.name: p.link.inverse(np.full(N, v)) for p, v in zip(others, b[2:], strict=True)}
        with np.errstate(all="ignore"):
            given[location.name] = location.link.inverse(b[0] + b[1] * x)
            return -CASES[name].reference(y, **given).sum()

    first = [begin, 0.3, *(float(p.link.forward(np.array(natural[p.name]))) for p in others)]
    found = optimize.minimize(cost, first, method="BFGS", options={"gtol": 1e-6})
    data = pd.DataFrame({"y": y, "x": x, "n": TRIALS})
    ours = bmx.Mixture(f"{'p(y, n)' if f.binomial else 'y'} ~ x", data, family=name, k=1).fit("em")
    assert ours.loglik == pytest.approx(-found.fun, abs=1e-4)
    np.testing.assert_allclose(ours.coefficients().iloc[:, 0], found.x[:2], atol=0.01)
