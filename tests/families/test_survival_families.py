"""Families for times against mpmath, scipy and finite differences, far into both tails."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.interpolate import CubicSpline
from times_models import density_in_a_graph

import bayesmix as bmx
from bayesmix.errors import DataError, SpecError
from bayesmix.families import TIMES, family, resolve
from bayesmix.families.links import Linked, get_link
from bayesmix.families.survival import base as numbers
from bayesmix.families.survival import spline
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

mp.mp.dps = 50
KNOTS = (0.3, 1.0, 2.5, 8.0)


@dataclass(frozen=True)
class Case:
    """Log survival and log hazard in mpmath, scipy's distribution, parameters and times to try."""

    log_survival: Callable[..., Any]
    log_hazard: Callable[..., Any]
    scipy: Callable[..., Any]
    at: tuple[tuple[float, dict[str, float]], ...]

    def log_density(self, t: Any, **natural: Any) -> Any:
        return self.log_hazard(t, **natural) + self.log_survival(t, **natural)


def log_tail(z: Any) -> Any:
    """Log of the upper tail of the normal distribution."""
    z = z / mp.sqrt(2)
    return mp.log(mp.erfc(z) / 2) if z > 0 else mp.log1p(-mp.erfc(-z) / 2)


def lognormal_hazard(t: Any, meanlog: Any, sdlog: Any) -> Any:
    z = (mp.log(t) - meanlog) / sdlog
    return -z * z / 2 - mp.log(mp.sqrt(2 * mp.pi) * sdlog * t) - log_tail(z)


def gompertz(t: Any, rate: Any, shape: Any) -> Any:
    return -rate * (mp.expm1(shape * t) / shape if shape else t)


def points(values: tuple, **parameters: tuple[float, ...]) -> tuple:
    """Every time with every row of parameters."""
    rows = [
        dict(zip(parameters, row, strict=True)) for row in zip(*parameters.values(), strict=True)
    ]
    return tuple((t, row) for row in rows for t in values)


SPAN = (1e-290, 1e-30, 1e-3, 0.6, 2.0, 7.0)
CASES = {
    "exponential": Case(
        lambda t, rate: -rate * t,
        lambda t, rate: mp.log(rate),
        lambda rate: stats.expon(scale=1 / rate),
        points((*SPAN, 60.0, 1e5), rate=(0.4, 5e-3, 11.0)),
    ),
    "weibull": Case(
        lambda t, scale, shape: -((t / scale) ** shape),
        lambda t, scale, shape: mp.log(shape / scale * (t / scale) ** (shape - 1)),
        lambda scale, shape: stats.weibull_min(shape, scale=scale),
        points((*SPAN, 19.0, 3e4), scale=(2.5, 700.0, 0.4), shape=(1.4, 0.6, 2.2)),
    ),
    "weibull_ph": Case(
        lambda t, scale, shape: -scale * t**shape,
        lambda t, scale, shape: mp.log(scale * shape * t ** (shape - 1)),
        lambda scale, shape: stats.weibull_min(shape, scale=scale ** (-1 / shape)),
        points((*SPAN, 19.0, 3e4), scale=(0.3, 1e-6, 4.0), shape=(1.4, 2.6, 0.7)),
    ),
    "lognormal": Case(
        lambda t, meanlog, sdlog: log_tail((mp.log(t) - meanlog) / sdlog),
        lognormal_hazard,
        lambda meanlog, sdlog: stats.lognorm(sdlog, scale=np.exp(meanlog)),
        points(
            (1e-9, 1e-3, 0.6, 2.0, 50.0, 1e6, 1e12), meanlog=(0.6, -3.0, 5.0), sdlog=(0.8, 1.7, 0.5)
        ),
    ),
    "loglogistic": Case(
        lambda t, scale, shape: -mp.log1p((t / scale) ** shape),
        lambda t, scale, shape: mp.log(shape / t / (1 + (t / scale) ** -shape)),
        lambda scale, shape: stats.fisk(shape, scale=scale),
        points((*SPAN, 1e4, 1e150), scale=(2.0, 300.0, 0.1), shape=(1.0, 0.5, 1.9)),
    ),
    "gompertz": Case(
        gompertz,
        lambda t, rate, shape: mp.log(rate) + shape * t,
        lambda rate, shape: stats.gompertz(rate / shape, scale=1 / shape),
        (
            *points(
                (*SPAN, 30.0, 800.0),
                rate=(0.2, 0.2, 1e-3, 2e-9, 0.5, 0.4),
                shape=(0.3, -0.4, 1e-9, 0.02, -5.0, 0.0),
            ),
            (800.0, {"rate": 1e-300, "shape": 0.86}),
            (1e-3, {"rate": 1e-290, "shape": 3e5}),
        ),
    ),
}
NAMES = tuple(CASES)
every_case = pytest.mark.parametrize("name", NAMES)
every_family = pytest.mark.parametrize("name", TIMES)
FOR_TIMES_ALONE = ("promotion_time", "spline", "cured")  # no plain positive response has these


def observed(f: Any, lower: Any, upper: Any, entry: Any = 0.0) -> Any:
    lower, upper, entry = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (lower, upper, entry))
    lower, upper, entry = np.broadcast_arrays(lower, upper, entry)
    times = Times(lower, upper, entry)
    return f.observe(Response("surv(t)", "survival", lower, None, ("t",), times))


def settled(name: str) -> Any:
    return family(name, knots=KNOTS) if name == "spline" else family(name)


def etas_of(f: Any, natural: dict[str, Any]) -> tuple[np.ndarray, ...]:
    return tuple(np.atleast_1d(p.link.forward(np.asarray(natural[p.name]))) for p in f.parameters)


# --- density and survival ------------------------------------------------------------------


@every_case
def test_log_survival_agrees_with_mpmath_in_both_tails(name):
    f, case = family(name), CASES[name]
    deepest = 0.0
    for t, natural in case.at:
        exact = {k: mp.mpf(v) for k, v in natural.items()}
        want = float(case.log_survival(mp.mpf(t), **exact))
        got = f.log_density(observed(f, t, np.inf), etas_of(f, natural))[0]
        # Relative accuracy also where S is near one, and log S is minus the tiny cumulative hazard.
        if want > -1e250:
            assert got == pytest.approx(want, rel=2e-12, abs=0), (t, natural)
            deepest = min(deepest, want)
        left = f.log_density(observed(f, 0.0, t), etas_of(f, natural))[0]
        logs = case.log_survival(mp.mpf(t), **exact)
        want = float(mp.log(-mp.expm1(logs)) if logs > -1 else mp.log1p(-mp.exp(logs)))
        assert left == pytest.approx(want, rel=2e-12, abs=1e-300), (t, natural)
    assert deepest < -500


# Linear predictors at which log S(t) and log S(entry) are huge, and near a limit or far from one.
FAR = {
    "exponential": [(0.3,), (20.0,)],
    "weibull": [(-4e6, -12.0), (-100.0, -2.0)],
    "weibull_ph": [(43.0, -42.5), (4.0, -2.0)],
    "lognormal": [(-1e9, 10.2), (-1e3, 2.0), (-30.0, 0.0), (5.0, -1.0)],
    "loglogistic": [(-1e9, 0.3), (-50.0, 1.0), (3.0, 0.0)],
}


@pytest.mark.parametrize("rows", [(1.5, 2.5), (2.0, 2.000001), (1e8, 1e8 + 1)])
@pytest.mark.parametrize("name", FAR)
def test_delayed_entries_do_not_cancel(name, rows):
    """What is known of a time given survival to its entry, with derivatives, against mpmath."""
    f, case, (entry, t) = family(name), CASES[name], rows
    for upper, etas in product((t, np.inf), FAR[name]):

        def exact(*values, upper=upper):
            log = (mp.exp, lambda x: x)
            named = zip(f.parameters, values, strict=True)
            natural = {p.name: log[p.link.name == "identity"](v) for p, v in named}
            alive = case.log_survival(mp.mpf(t), **natural) - case.log_survival(
                mp.mpf(entry), **natural
            )
            return alive + (case.log_hazard(mp.mpf(t), **natural) if upper == t else 0)

        with mp.workdps(80):
            at = tuple(mp.mpf(v) for v in etas)
            want = float(exact(*at))
            slopes = np.array(
                [float(mp.diff(exact, at, unit)) for unit in np.eye(len(at), dtype=int).tolist()]
            )
        obs = observed(f, t, upper, entry)
        arrays = tuple(np.array([v]) for v in etas)
        d = f.derivatives(obs, arrays)
        for value in (f.log_density(obs, arrays)[0], d.logf[0]):
            assert value == pytest.approx(want, rel=2e-14, abs=1e-14)
        # Of the errors of the arguments in the middle of the logistic and normal distributions.
        np.testing.assert_allclose(np.array(d.first)[:, 0], slopes, rtol=1e-10, atol=1e-12)


@every_case
def test_log_density_agrees_with_mpmath_in_both_tails(name):
    f, case = family(name), CASES[name]
    for t, natural in case.at:
        exact = {k: mp.mpf(v) for k, v in natural.items()}
        want = float(case.log_density(mp.mpf(t), **exact))
        got = f.log_density(observed(f, t, t), etas_of(f, natural))[0]
        if want > -1e250:
            assert got == pytest.approx(want, rel=5e-12, abs=5e-12), (t, natural)
        else:
            assert got == -np.inf or got < -1e249


@every_case
def test_the_density_of_a_plain_positive_response_agrees_with_mpmath(name):
    f, case = resolve(name, survival=False), CASES[name]
    for t, natural in case.at:
        exact = {k: mp.mpf(v) for k, v in natural.items()}
        want = float(case.log_density(mp.mpf(t), **exact))
        obs = f.observe(Response("y", "numeric", np.array([t]), None, ("y",)))
        etas = etas_of(f, natural)
        got = f.log_density(obs, etas)[0]
        if want > -1e250:
            assert got == pytest.approx(want, rel=5e-12, abs=5e-12), (t, natural)
            assert f.derivatives(obs, etas).logf[0] == pytest.approx(want, rel=5e-12, abs=5e-12)
        else:
            assert got == -np.inf or got < -1e249
    for y in (0.0, -1.0, np.inf):
        with pytest.raises(DataError):
            f.observe(Response("y", "numeric", np.array([y]), None, ("y",)))


@every_case
def test_density_survival_and_quantiles_agree_with_scipy(name):
    f, case, rng = family(name), CASES[name], np.random.default_rng(1)
    for _, natural in case.at[:: max(1, len(case.at) // 3)]:
        if natural.get("shape", 1.0) <= 1e-8 and name == "gompertz":
            continue
        reference = case.scipy(**natural)
        p = rng.uniform(1e-6, 1 - 1e-6, 50)
        t = reference.ppf(p)
        np.testing.assert_allclose(numbers.quantile(f, p, natural), t, rtol=1e-9)
        np.testing.assert_allclose(
            numbers.log_survival(f, t, natural), reference.logsf(t), rtol=1e-9
        )
        np.testing.assert_allclose(
            numbers.log_density_at(f, t, natural), reference.logpdf(t), rtol=1e-8, atol=1e-8
        )
        if np.isfinite(reference.mean()):
            assert f.mean(**natural) == pytest.approx(reference.mean(), rel=1e-7)
        if np.isfinite(reference.var()):
            assert f.variance(**natural) == pytest.approx(reference.var(), rel=1e-6)


@every_case
def test_quantiles_go_back_to_their_shares(name):
    f = family(name)
    p = np.array([1e-200, 1e-12, 0.2, 0.9, 1 - 1e-12])
    t = numbers.quantile(f, p, f.example)
    np.testing.assert_allclose(-np.expm1(numbers.log_survival(f, t, f.example)), p, rtol=1e-10)
    searched = replace(f, survival=f.survival._replace(quantile=None))
    np.testing.assert_allclose(numbers.quantile(searched, p, f.example), t, rtol=2e-12)
    np.testing.assert_array_equal(numbers.quantile(searched, [0.0, 1.0], f.example), [0, np.inf])
    np.testing.assert_array_equal(numbers.quantile(f, [0.0, 1.0], f.example), [0, np.inf])


# --- derivatives ---------------------------------------------------------------------------


@every_case
def test_derivatives_agree_with_mpmath(name):
    f, case = family(name), CASES[name]
    for t, natural in case.at[2::5]:
        etas = etas_of(f, natural)
        exact = tuple(mp.mpf(float(e[0])) for e in etas)

        def at(function: Any, *eta: Any, t: float = t) -> Any:
            pairs = zip(f.parameters, eta, strict=True)
            natural = {p.name: mp.exp(e) if p.link.name == "log" else e for p, e in pairs}
            return function(mp.mpf(t), **natural)

        for kind, upper in (("right", np.inf), ("exact", t)):
            reference = partial(at, case.log_survival if kind == "right" else case.log_density)
            value = float(reference(*exact))
            if value < -1e100 or -1e-45 < value <= 0:
                continue
            noise = 1e-13 * (abs(value) if kind == "right" else 1.0)
            d = f.derivatives(observed(f, t, upper), etas)
            for orders in product(range(3), repeat=len(etas)):
                which = [j for j, order in enumerate(orders) for _ in range(order)]
                if len(which) not in (1, 2):
                    continue
                with mp.workdps(110):
                    want = float(mp.diff(reference, exact, orders))
                got = d.first[which[0]] if len(which) == 1 else d.second[which[0]][which[1]]
                got = float(np.broadcast_to(got, 1)[0])
                assert got == pytest.approx(want, rel=1e-9, abs=noise), (kind, t, natural, orders)


MIXED = (
    np.array([2.0, 1e-6, 3.0, 40.0, 0.0, 0.0, 0.5, 2.0, 1.0, 0.0, 2.5, 4.0]),
    np.array([2.0, 1e-6, np.inf, np.inf, 0.7, 9.0, 4.0, 2.0 + 1e-8, 1.0001, np.inf, 2.5, np.inf]),
    np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5, 2.0]),
)


@every_family
def test_closed_forms_agree_with_automatic_derivatives(name):
    f, rng = settled(name), np.random.default_rng(2)
    for rows in (slice(None), [0, 1, 2, 3], [0], [2, 3], [9]):
        obs = observed(f, *(x[rows] for x in MIXED))
        n = len(obs.y)
        base = etas_of(f, f.example)
        etas = tuple(
            e + 0.1 * rng.normal(size=(2, 3, n if j == 0 else 1)) for j, e in enumerate(base)
        )
        closed, automatic = f.derivatives(obs, etas), f.automatic(obs, etas)
        logf = f.log_density(obs, etas)
        assert closed.logf.shape == (2, 3, n) or not etas
        np.testing.assert_allclose(closed.logf, logf, rtol=1e-12, atol=1e-14)
        there, zeros = np.isfinite(logf), np.zeros(logf.shape)
        assert there.any() or name == "cured"
        for j in range(len(etas)):
            np.testing.assert_allclose(
                (closed.first[j] + zeros)[there],
                (automatic.first[j] + zeros)[there],
                rtol=1e-9,
                atol=1e-12,
            )
            for k in range(len(etas)):
                np.testing.assert_allclose(
                    (closed.second[j][k] + zeros)[there],
                    (automatic.second[j][k] + zeros)[there],
                    rtol=1e-8,
                    atol=1e-11,
                )


@every_family
def test_derivatives_agree_with_finite_differences_for_every_kind_of_row(name):
    f = settled(name)
    obs, etas = observed(f, *MIXED), etas_of(f, f.example)
    n, h = len(obs.y), 1e-4
    etas = tuple(np.full(n, e) for e in etas)
    d = f.derivatives(obs, etas)
    possible = np.isfinite(d.logf)
    for j in range(len(etas)):
        moved = [
            f.derivatives(obs, (*etas[:j], etas[j] + m * h, *etas[j + 1 :])) for m in (-2, -1, 1, 2)
        ]
        for values, want in [
            ([m.logf for m in moved], d.first[j]),
            *[([m.first[k] for m in moved], d.second[j][k]) for k in range(len(etas))],
        ]:
            with np.errstate(invalid="ignore"):
                slope = (8 * (values[2] - values[1]) - (values[3] - values[0])) / (12 * h)
            want = np.broadcast_to(want, n)
            np.testing.assert_allclose(slope[possible], want[possible], rtol=1e-6, atol=1e-7)
            assert (want[~possible] == 0).all()


@every_family
@pytest.mark.filterwarnings("error")
def test_no_linear_predictor_gives_nan(name):
    f = settled(name)
    grid = np.array([-700.0, -300.0, -40.0, -3.0, 0.0, 0.5, 3.0, 40.0, 300.0, 700.0])
    if len(f.params) > 2:
        grid = np.array([-300.0, -3.0, 0.0, 0.5, 40.0])
    etas = tuple(e.reshape(-1, 1) for e in np.meshgrid(*[grid] * len(f.params)))
    obs = observed(f, *MIXED)
    d = f.derivatives(obs, etas)
    assert not np.isnan(f.log_density(obs, etas)).any()
    assert not np.isnan(d.logf).any()
    assert not (d.logf == np.inf).any()
    impossible = d.logf == -np.inf
    for first in d.first:
        assert not np.isnan(np.broadcast_to(first, d.logf.shape)[impossible]).any()


# --- means ---------------------------------------------------------------------------------

RESTRICTED = {
    "exponential": ({"rate": 0.4},),
    "weibull": tuple({"scale": 2.0, "shape": a} for a in (0.3, 1.4, 12.0)),
    "weibull_ph": ({"scale": 0.3, "shape": 1.4},),
    "lognormal": ({"meanlog": 0.6, "sdlog": 0.8}, {"meanlog": -1.0, "sdlog": 3.0}),
    "loglogistic": tuple({"scale": 2.0, "shape": a} for a in (0.5, 1.05, 7.0)),
    "gompertz": tuple({"rate": 0.2, "shape": a} for a in (0.3, 0.0, -0.5)),
}


@every_case
def test_the_restricted_mean_is_the_integral_of_survival(name):
    f, case = family(name), CASES[name]
    for natural in RESTRICTED[name]:
        for tau in (1e-4, 3.0):
            with mp.workdps(20):
                cuts = [mp.mpf(tau) * mp.mpf(2) ** -k for k in range(40, -1, -1)]
                exact = {k: mp.mpf(v) for k, v in natural.items()}

                def survival(t: Any, exact: dict = exact) -> Any:
                    return mp.exp(case.log_survival(t, **exact))

                want = float(mp.quad(survival, cuts, maxdegree=4) + cuts[0])
            got = numbers.restricted_mean(f, tau, natural)
            assert float(got) == pytest.approx(want, rel=1e-10), (natural, tau)


@every_case
def test_the_mean_is_the_integral_of_survival(name):
    f = family(name)
    natural = dict(f.example)
    assert numbers.expected(f, natural) == pytest.approx(f.mean(**natural), rel=1e-12)
    assert numbers.by_quadrature(f, natural) == pytest.approx(f.mean(**natural), rel=1e-9)


def test_means_that_do_not_exist_are_infinite():
    loglogistic, gompertz = family("loglogistic"), family("gompertz")
    np.testing.assert_array_equal(loglogistic.mean(2.0, np.array([0.4, 1.0])), np.inf)
    np.testing.assert_array_equal(loglogistic.variance(2.0, np.array([1.5, 2.0])), np.inf)
    assert numbers.by_quadrature(loglogistic, {"scale": 2.0, "shape": 0.9}) == np.inf
    assert gompertz.mean(0.2, -0.1) == np.inf
    assert numbers.by_quadrature(gompertz, {"rate": 0.2, "shape": -0.1}) == np.inf
    assert numbers.expected(family("cured"), {}) == np.inf
    assert numbers.restricted_mean(family("cured"), 3.0, {}) == pytest.approx(3.0)
    until = numbers.restricted_mean(loglogistic, [0.0, 1.0, np.inf], {"scale": 2.0, "shape": 3.0})
    assert until[0] == 0
    assert 0 < until[1] < 1
    assert until[2] == loglogistic.mean(2.0, 3.0)


@pytest.mark.parametrize("shape", [0.0, 1e-12, 1e-6, 1e-3, 0.3, 5.0, 1e3])
def test_the_mean_and_variance_of_gompertz_for_every_shape(shape):
    rate = 0.2

    # E[g(T)] over the cumulative hazard, which is exponential.
    def time(h: Any) -> Any:
        return mp.log1p(shape * h / rate) / shape if shape else h / rate

    cuts = [0, 1e-6, 1e-3, 0.1, 1, 5, 20, 60, 200]
    mean = mp.quad(lambda h: time(h) * mp.exp(-h), cuts)
    variance = mp.quad(lambda h: (time(h) - mean) ** 2 * mp.exp(-h), cuts)
    f = family("gompertz")
    assert f.mean(rate, shape) == pytest.approx(float(mean), rel=1e-12)
    assert f.variance(rate, shape) == pytest.approx(float(variance), rel=1e-9)


def test_variances_at_large_shapes_do_not_cancel():
    for shape in (30.0, 1e3, 1e6):
        a = mp.mpf(shape)
        want = mp.gamma(1 + 2 / a) - mp.gamma(1 + 1 / a) ** 2
        assert family("weibull").variance(1.0, shape) == pytest.approx(float(want), rel=1e-7)
        b = mp.pi / a
        want = 2 * b / mp.sin(2 * b) - (b / mp.sin(b)) ** 2
        assert family("loglogistic").variance(1.0, shape) == pytest.approx(float(want), rel=1e-10)


def test_a_negative_shape_of_gompertz_leaves_a_share_that_never_has_the_event():
    f, natural = family("gompertz"), {"rate": 0.2, "shape": -0.4}
    share = np.exp(-0.5)
    assert f.survival.never(**natural) == pytest.approx(share, rel=1e-15)
    assert numbers.log_survival(f, np.inf, natural) == pytest.approx(-0.5, rel=1e-15)
    assert numbers.log_survival(f, 1e6, natural) == pytest.approx(-0.5, rel=1e-15)
    np.testing.assert_array_equal(
        numbers.quantile(f, [1 - share + 1e-9, 0.9, 1.0], natural), np.inf
    )
    assert np.isfinite(numbers.quantile(f, 1 - share - 1e-9, natural))
    t = f.simulate(np.random.default_rng(1), rate=np.full(20_000, 0.2), shape=-0.4)
    assert np.mean(np.isinf(t)) == pytest.approx(
        share, abs=5 * np.sqrt(share * (1 - share) / 20_000)
    )


def test_times_outside_the_support():
    for name in NAMES:
        f = family(name)
        natural = f.example
        np.testing.assert_array_equal(
            numbers.log_survival(f, [-1.0, 0.0, np.inf], natural), [0, 0, -np.inf]
        )
        np.testing.assert_array_equal(numbers.log_density_at(f, [-1.0, np.inf], natural), -np.inf)
    rate = numbers.log_density_at(family("exponential"), 0.0, {"rate": 0.4})
    assert rate == pytest.approx(np.log(0.4))


# --- the spline ----------------------------------------------------------------------------

GAMMAS = {"gamma0": -1.1, "gamma1": 1.6, "gamma2": 0.35, "gamma3": -0.45}


def level(scale: str, t: np.ndarray, gammas: dict[str, float], knots: Any = KNOTS) -> np.ndarray:
    """The spline read back from the survival function."""
    logs = numbers.log_survival(family("spline", knots=knots, scale=scale), t, gammas)
    if scale == "hazard":
        return np.log(-logs)
    return np.log(np.expm1(-logs)) if scale == "odds" else -stats.norm.ppf(np.exp(logs))


@pytest.mark.parametrize("scale", ["hazard", "odds", "normal"])
def test_the_spline_is_the_natural_cubic_one_through_its_knots(scale):
    k = np.log(KNOTS)
    at_knots = level(scale, np.array(KNOTS), GAMMAS)
    natural = CubicSpline(k, at_knots, bc_type="natural")
    inside = np.linspace(k[0], k[-1], 50)
    np.testing.assert_allclose(level(scale, np.exp(inside), GAMMAS), natural(inside), rtol=1e-10)
    for end, beyond in ((k[0], k[0] - np.array([0.5, 1.5])), (k[-1], k[-1] + np.array([0.2, 0.4]))):
        line = natural(end) + natural(end, 1) * (beyond - end)
        np.testing.assert_allclose(level(scale, np.exp(beyond), GAMMAS), line, rtol=1e-9)
    # gamma1 is the slope before the first knot, gamma_j+1 a sixth of the third derivative's jump.
    assert natural(k[0], 1) == pytest.approx(GAMMAS["gamma1"], rel=1e-9)
    share = (k[-1] - k[1]) / (k[-1] - k[0])
    jump = natural(k[1] + 0.01, 3) - natural(k[1] - 0.01, 3)
    assert jump == pytest.approx(6 * GAMMAS["gamma2"], rel=1e-8)
    assert 0 < share < 1


@pytest.mark.parametrize("scale", ["hazard", "odds", "normal"])
def test_the_density_of_the_spline_is_the_slope_of_its_distribution(scale):
    f, t = family("spline", knots=KNOTS, scale=scale), np.array([0.02, 0.4, 1.0, 1.7, 5.0, 9.0])
    h = 1e-4 * t
    survival = [np.exp(numbers.log_survival(f, t + m * h, GAMMAS)) for m in (-2, -1, 1, 2)]
    slope = (8 * (survival[2] - survival[1]) - (survival[3] - survival[0])) / (12 * h)
    density = np.exp(numbers.log_density_at(f, t, GAMMAS))
    np.testing.assert_allclose(density, -slope, rtol=1e-8, atol=1e-11)
    total = integrate.quad(
        lambda x: np.exp(x + numbers.log_density_at(f, np.exp(x), GAMMAS)), -30, 12
    )
    assert total[0] == pytest.approx(1, abs=1e-8)
    p = np.array([1e-9, 0.1, 0.7, 0.999])
    back = numbers.log_survival(f, numbers.quantile(f, p, GAMMAS), GAMMAS)
    np.testing.assert_allclose(-np.expm1(back), p, rtol=1e-9)
    t = f.simulate(np.random.default_rng(3), **{k: np.full(4000, v) for k, v in GAMMAS.items()})
    assert stats.kstest(-np.expm1(numbers.log_survival(f, t, GAMMAS)), "uniform").pvalue > 1e-3
    mean = f.mean(**GAMMAS)
    if np.isfinite(mean):
        assert t.mean() == pytest.approx(mean, abs=6 * t.std() / np.sqrt(4000))


@pytest.mark.parametrize(
    ("scale", "name", "natural"),
    [
        ("hazard", "weibull", {"scale": 2.5, "shape": 1.4}),
        ("odds", "loglogistic", {"scale": 2.5, "shape": 1.4}),
        ("normal", "lognormal", {"meanlog": 0.6, "sdlog": 0.8}),
    ],
)
def test_a_spline_without_inner_knots_is_a_known_distribution(scale, name, natural):
    spline, other = family("spline", knots=(0.5, 4.0), scale=scale), family(name)
    if name == "lognormal":
        gammas = {"gamma0": -0.6 / 0.8, "gamma1": 1 / 0.8}
    else:
        gammas = {"gamma0": -1.4 * np.log(2.5), "gamma1": 1.4}
    t = np.array([1e-8, 0.1, 2.5, 11.0, 40.0])
    for function in (numbers.log_survival, numbers.log_density_at):
        np.testing.assert_allclose(
            function(spline, t, gammas), function(other, t, natural), rtol=1e-12
        )
    assert spline.mean(**gammas) == pytest.approx(other.mean(**natural), rel=1e-9)


@pytest.mark.parametrize("scale", ["hazard", "odds", "normal"])
def test_a_spline_starts_where_the_hazard_falls_steeply(scale):
    """A first step may bend the spline down; the fit begins at a straight line then."""
    rng = np.random.default_rng(4)
    falls = 1 + np.log(rng.random(300)) * 0.4 / 0.3
    time = np.where(falls > 0, -np.log(np.maximum(falls, 1e-300)) / 0.4, np.inf)
    end = rng.uniform(1, 14, 300)
    data = pd.DataFrame({"t": np.minimum(time, end), "s": (time <= end).astype(int)})
    found = [
        bmx.Mixture(
            "surv(t, s) ~ 1", data, family=bmx.family("spline", df=df, scale=scale), k=1
        ).fit("em", seed=1)
        for df in (1, 3)
    ]
    assert [fit.status for fit in found] == ["converged"] * 2
    assert found[1].loglik > found[0].loglik + 3  # nested but for the knots


def test_a_spline_that_falls_anywhere_is_no_distribution():
    """Else a mixture could have a component whose survival function rises again."""
    gammas = {**GAMMAS, "gamma2": 3.0, "gamma3": 0.0}
    f = family("spline", knots=KNOTS)
    t = np.array([0.2, 1.0])
    etas = tuple(np.full(1, g) for g in gammas.values())
    for obs in (observed(f, t, t), observed(f, t, np.inf), observed(f, 0.0, t)):
        d = f.derivatives(obs, etas)
        assert (d.logf == -np.inf).all()
        assert all(np.isfinite(np.broadcast_to(x, 2)).all() for x in d.first)


@pytest.mark.parametrize("seed", range(20))
def test_splines_that_rise_are_told_from_those_that_do_not(seed):
    rng = np.random.default_rng(seed)
    gammas = np.array(list(GAMMAS.values())) + rng.normal(0, 1.0, len(GAMMAS))
    linked = tuple(Linked(get_link("identity"), np.array(g)) for g in gammas)
    logs = np.log(KNOTS)
    given = spline.Spline(tuple(logs))
    x = np.linspace(logs[0], logs[-1], 20001)
    _, slopes = spline.basis(given, x)
    least = min((gammas[1:, None] * np.array(slopes[1:])).sum(0))
    if abs(least) > 1e-6:
        assert bool(spline.rises(given, linked)) == (least > 0)


def response(times: Times) -> Response:
    return Response("t", "survival", times.lower, None, (), times)


def test_knots_come_from_the_uncensored_times():
    t = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 100.0])
    times = Times(t, np.where(t < 50, t, np.inf), np.zeros(6))
    f = family("spline", df=2, scale="odds").settle(response(times))
    assert f.options["scale"] == "odds"
    np.testing.assert_allclose(f.options["knots"], [1, 4, 16])
    assert list(f.params) == ["gamma0", "gamma1", "gamma2"]
    with pytest.raises(SpecError, match="depends on the response"):
        observed(family("spline", df=2), 1.0, 1.0)
    with pytest.raises(DataError, match="use a smaller df"):
        family("spline", df=6).settle(response(times))
    with pytest.raises(DataError, match="0 uncensored"):
        family("spline", df=1).settle(response(times.take([5])))


@pytest.mark.parametrize("method", ["em", "map"])
@pytest.mark.parametrize("given", ["gompertz", family("spline", df=2)])
def test_times_count_as_often_as_their_weights_say(given, method):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=90), "w": rng.integers(0, 4, 90)})
    data["t"] = np.exp(0.3 * data["x"]) * rng.weibull(1.5, 90)
    copies = data.loc[data.index.repeat(data["w"])]
    data.loc[data["w"] == 0, ["t", "x"]] = [500.0, 1e4]  # far out, and not there
    one = bmx.Mixture("surv(t) ~ x", data, given, 1, weights="w").fit(method)
    other = bmx.Mixture("surv(t) ~ x", copies, given, 1).fit(method)
    assert one.status == other.status == "converged"
    for column in ("estimate", "se"):
        np.testing.assert_allclose(one.summary()[column], other.summary()[column], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"df": 0}, "df=0"),
        ({"df": 2, "knots": (1, 2, 3)}, "not both"),
        ({"knots": (2.0, 1.0)}, "ascending"),
        ({"knots": (0.0, 1.0)}, "positive"),
        ({"scale": "log"}, "hazard, odds, normal"),
    ],
)
def test_splines_that_cannot_be_are_refused(options, match):
    with pytest.raises(SpecError, match=match):
        family("spline", **options)


# --- names, copies, starts, priors ---------------------------------------------------------


@every_family
def test_a_family_for_times_describes_itself(name):
    f = settled(name)
    assert f.name == name
    assert f.is_survival
    assert f.equation
    assert f.source
    assert f.example.keys() == f.params.keys()
    assert resolve(name, survival=True) is family(name)
    assert pickle.loads(pickle.dumps(f)).survival is f.survival
    if name in FOR_TIMES_ALONE:
        for given in (name, f):
            with pytest.raises(SpecError, match=r"write the response as surv\("):
                resolve(given, survival=False)
    else:
        plain = resolve(name, survival=False)
        assert not plain.is_survival
        assert plain.params == f.params
        assert resolve(name, survival=False) is plain
        assert pickle.loads(pickle.dumps(plain)) is plain
    with pytest.raises(DataError, match=r"write the response as surv\("):
        f.observe(Response("y", "numeric", np.ones(2), None, ("y",)))


def test_families_that_are_not_for_times_are_refused():
    with pytest.raises(SpecError, match="not a distribution of times"):
        resolve("poisson", survival=True)
    times = Times(np.ones(2), np.ones(2), np.zeros(2))
    with pytest.raises(DataError, match="does not read"):
        family("gaussian").observe(Response("surv(t)", "survival", np.ones(2), None, (), times))
    with pytest.raises(SpecError, match="takes no options"):
        family("weibull", df=3)
    with pytest.raises(SpecError, match="does not suit"):
        family("weibull", link="identity")


def simulated_times(name: str, n: int, seed: int) -> Times:
    f, rng = settled(name), np.random.default_rng(seed)
    t = f.simulate(rng, **{k: np.full(n, v) for k, v in f.example.items()})
    censoring = rng.uniform(0.5, 12.0, n)
    return Times(np.minimum(t, censoring), np.where(t < censoring, t, np.inf), np.zeros(n))


@pytest.mark.parametrize("name", [n for n in TIMES if n != "cured"])
def test_starts_are_rough_values_of_the_parameters(name):
    times = simulated_times(name, 4000, seed=4)
    f = settled(name)
    obs = f.observe(Response("surv(t)", "survival", times.lower, None, (), times))
    start = f.starting(obs)
    mean_log = {
        which: f.log_density(obs, etas_of(f, values)).mean()
        for which, values in (("start", start), ("truth", f.example))
    }
    assert mean_log["start"] > mean_log["truth"] - 0.1
    for prior, value in ((p, start[k]) for k, p in (f.priors or (lambda t: {}))(times).items()):
        assert np.isfinite(prior.logpdf(np.asarray(value)))


@pytest.mark.parametrize("name", [n for n in TIMES if n != "cured"])
def test_starts_are_finite_for_awkward_times(name):
    f, inf = settled(name), np.inf
    for lower, upper in (
        ([3.0], [3.0]),
        ([3.0, 5.0], [inf, inf]),
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0]),
        ([1e-12, 1e12], [1e-12, inf]),
        ([0.0, 0.0], [3.0, inf]),
        ([0.0], [inf]),
        ([1.0, 2.0, 0.0], [2.0, 5.0, 4.0]),
    ):
        obs = observed(f, lower, upper)
        start = f.starting(obs)
        etas = etas_of(f, start)
        assert all(np.isfinite(e).all() for e in etas)
        assert np.isfinite(f.log_density(obs, etas)).all()


@pytest.mark.parametrize("name", [n for n in TIMES if n not in ("cured", "spline")])
def test_simulated_times_have_the_distribution(name):
    f, n = family(name), 20_000
    t = f.simulate(np.random.default_rng(5), **{k: np.full(n, v) for k, v in f.example.items()})
    assert t.shape == (n,)
    ever, came = 1 - float(numbers.never_happens(f, f.example)), np.isfinite(t)
    assert came.mean() == pytest.approx(ever, abs=4 * np.sqrt(ever * (1 - ever) / n))
    share = -np.expm1(numbers.log_survival(f, t[came], f.example)) / ever
    assert stats.kstest(share, "uniform").pvalue > 1e-3
    variance = f.variance(**f.example)
    if np.isfinite(variance):
        assert t.mean() == pytest.approx(f.mean(**f.example), abs=6 * np.sqrt(variance / n))


# --- PyTensor ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "spline"])
def test_the_density_and_gradient_in_pytensor_are_those_of_numpy(name):
    pytensor = pytest.importorskip("pytensor")
    import pytensor.tensor as pt

    f, rng = settled(name), np.random.default_rng(9)
    obs, base = observed(f, *MIXED), etas_of(f, f.example)
    n = len(obs.y)
    spread = 0.03 if name == "spline" else 0.3  # few splines rise everywhere
    etas = tuple(e + spread * rng.normal(size=(4, n if j == 0 else 1)) for j, e in enumerate(base))
    variables = tuple(pt.tensor(shape=(4, e.shape[1]), dtype="float64") for e in etas)
    logf = density_in_a_graph(f, obs, variables)
    assert logf.type.ndim == 2
    total = pt.where(pt.eq(logf, -np.inf), 0.0, logf).sum()
    function = pytensor.function(
        list(variables), [logf, *pytensor.grad(total, list(variables))], mode="FAST_COMPILE"
    )
    got, *slopes = function(*etas)
    d = f.derivatives(obs, etas)
    assert np.isfinite(d.logf).all()
    np.testing.assert_allclose(got, d.logf, rtol=1e-9, atol=1e-12)
    for slope, first in zip(slopes, d.first, strict=True):
        want = np.broadcast_to(first, d.logf.shape)
        want = want if slope.shape[1] > 1 else want.sum(1, keepdims=True)
        np.testing.assert_allclose(slope, want, rtol=1e-8, atol=1e-9)
