"""What each kind of observation of a time adds to the likelihood."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

from bayesmix.errors import DataError
from bayesmix.families import TIMES, Observed, family
from bayesmix.families.survival.base import NARROW
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

INF = np.inf
SCALE, SHAPE = 2.5, 1.4
ETAS = (np.array([np.log(SCALE)]), np.array([np.log(SHAPE)]))


def observed(lower: Any, upper: Any, entry: Any = 0.0) -> Observed:
    lower, upper, entry = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (lower, upper, entry))
    lower, upper, entry = np.broadcast_arrays(lower, upper, entry)
    return Observed(lower, None, 0.0, Times(lower, upper, entry))


def settled(name: str, factor: float = 1.0) -> Any:
    return family(name, knots=factor * np.array([0.3, 1, 8])) if name == "spline" else family(name)


def log_survival(t: Any) -> Any:
    return -((mp.mpf(t) / mp.exp(mp.mpf(float(ETAS[0][0])))) ** mp.exp(mp.mpf(float(ETAS[1][0]))))


def log_interval(lower: float, upper: float) -> float:
    with mp.workdps(60):
        return float(mp.log(mp.exp(log_survival(lower)) - mp.exp(log_survival(upper))))


# --- times ---------------------------------------------------------------------------------


def test_every_row_has_its_kind():
    times = Times([2, 3, 0, 1, 0, 4], [2, INF, 4, 5, INF, 4], [0, 1, 0, 0, 0, 0])
    kinds = {kind: rows.tolist() for kind, rows in times.kinds()}
    assert kinds == {"exact": [0, 5], "right": [1], "left": [2], "interval": [3]}
    assert len(times) == 6
    assert times.truncated
    np.testing.assert_array_equal(times.log_lower, [np.log(2), np.log(3), -INF, 0, -INF, np.log(4)])


def test_rows_of_one_kind_are_a_slice():
    times = Times(np.ones(3), np.full(3, INF), np.zeros(3))
    assert times.kinds() == (("right", slice(None)),)
    assert not times.truncated
    assert Times(np.zeros(2), np.full(2, INF), np.zeros(2)).kinds() == ()


@pytest.mark.parametrize("rows", [slice(1, 4), np.array([4, 0, 2]), np.arange(6) > 3, slice(0, 0)])
def test_some_rows_are_what_they_were(rows):
    bounds = np.array([[2, 3, 0, 1, 0, 4], [2, INF, 4, 5, INF, 4], [0, 1, 0, 0, 0, 0]], dtype=float)
    taken, fresh = Times(*bounds).take(rows), Times(*bounds[:, rows])
    assert taken.__dict__.keys() == fresh.__dict__.keys()
    for name, values in taken.__dict__.items():
        np.testing.assert_array_equal(values, getattr(fresh, name))


@pytest.mark.parametrize(
    ("lower", "upper", "entry", "match"),
    [
        (np.nan, 1.0, 0.0, "missing"),
        (-1.0, 1.0, 0.0, "negative"),
        (2.0, 1.0, 0.0, "above the upper"),
        (0.0, 0.0, 0.0, "exact time is zero"),
        (INF, INF, 0.0, "infinite bound"),
        (2.0, 2.0, 3.0, "not before the last"),
    ],
)
def test_times_that_cannot_be_are_refused(lower, upper, entry, match):
    with pytest.raises(DataError, match=match) as error:
        Times([1.0, lower], [1.0, upper], [0.0, entry])
    assert "the first is 1" in str(error.value)


def test_shapes_have_to_agree():
    with pytest.raises(DataError, match="shapes are"):
        Times(np.ones(2), np.ones(3), np.zeros(2))


# --- terms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [1e-12, 1e-3, 1.0, 2.5, 9.0, 100.0, 250.0])
@pytest.mark.parametrize("width", [1e-12, 1e-9, 0.5 * NARROW, 2 * NARROW, 0.01, 0.7, 30.0])
def test_an_interval_has_the_difference_of_two_survival_functions(lower, width):
    upper = lower * (1 + width)
    obs = observed(lower, upper)
    tolerance = 1e-11 * max(1.0, abs(float(log_survival(lower))))
    want = log_interval(lower, upper)
    d = family("weibull").derivatives(obs, ETAS)
    assert d.logf[0] == pytest.approx(want, rel=1e-12, abs=tolerance)
    assert family("weibull").log_density(obs, ETAS)[0] == d.logf[0]
    assert all(np.isfinite(x).all() for x in d.first)


def test_an_interval_of_a_billionth_is_the_density_times_its_width():
    for name in TIMES:
        if name == "cured":
            continue
        f = settled(name)
        etas = tuple(np.atleast_1d(p.link.forward(f.example[p.name])) for p in f.parameters)
        t = np.array([0.05, 0.9, 3.0, 12.0])
        upper = t * (1 + 1e-9)
        narrow = f.derivatives(observed(t, upper), etas)
        exact = f.derivatives(observed(t, t), etas)
        np.testing.assert_allclose(
            narrow.logf, exact.logf + np.log(upper - t), rtol=1e-8, atol=1e-7
        )
        for got, want in zip(narrow.first, exact.first, strict=True):
            np.testing.assert_allclose(
                np.broadcast_to(got, 4), np.broadcast_to(want, 4), rtol=1e-6, atol=1e-7
            )


def test_an_interval_in_the_far_tail():
    for lower, upper in ((300.0, 310.0), (4000.0, 4001.0), (1e200, 1e201)):
        d = family("weibull").derivatives(observed(lower, upper), ETAS)
        want = log_interval(lower, upper) if lower < 1e3 else float(log_survival(lower))
        if np.isfinite(want) and want > -1e250:
            assert d.logf[0] == pytest.approx(want, rel=1e-9)
        assert not np.isnan(d.logf).any()
        assert all(not np.isnan(x).any() for x in d.first)


@pytest.mark.parametrize("name", TIMES)
def test_a_row_without_information_counts_nothing_whatever_the_parameters(name):
    f = settled(name)
    for value in (-700.0, 0.0, 700.0):
        etas = tuple(np.full(2, value) for _ in f.parameters)
        d = f.derivatives(observed([0.0, 0.0], [INF, INF]), etas)
        np.testing.assert_array_equal(np.broadcast_to(d.logf, 2), 0)
        for first in d.first:
            np.testing.assert_array_equal(np.broadcast_to(first, 2), 0)
        np.testing.assert_array_equal(f.log_density(observed([0.0, 0.0], [INF, INF]), etas), [0, 0])


def test_the_kinds_add_up_to_one():
    """Below, between and above have probabilities that sum to one; so have two intervals."""
    for name in TIMES:
        f = settled(name)
        etas = tuple(np.atleast_1d(p.link.forward(f.example[p.name])) for p in f.parameters)
        obs = observed([0.0, 0.7, 1.9, 4.0], [0.7, 1.9, 4.0, INF])
        assert np.exp(f.log_density(obs, etas)).sum() == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("name", TIMES)
def test_a_delayed_entry_divides_by_the_survival_until_then(name):
    f = settled(name)
    etas = tuple(np.atleast_1d(p.link.forward(f.example[p.name])) for p in f.parameters)
    lower, upper, entry = [2.0, 3.0, 2.5, 0.0], [2.0, INF, 4.0, 2.0], [1.0, 2.0, 1.5, 0.0]
    late = f.log_density(observed(lower, upper, entry), etas)
    plain = f.log_density(observed(lower, upper), etas)
    until = f.log_density(observed(entry, INF), etas)
    np.testing.assert_allclose(late, plain - until, rtol=1e-13)
    d, automatic = (g(observed(lower, upper, entry), etas) for g in (f.derivatives, f.automatic))
    np.testing.assert_allclose(d.logf, late, rtol=1e-13)
    for got, want in zip(d.first, automatic.first, strict=True):
        np.testing.assert_allclose(
            np.broadcast_to(got, 4), np.broadcast_to(want, 4), rtol=1e-9, atol=1e-12
        )


def test_an_entry_that_nobody_reaches_is_impossible_and_no_nan():
    f = family("weibull")
    etas = (np.array([-500.0]), np.array([np.log(3.0)]))
    obs = observed([5.0, 6.0], [5.0, INF], [4.0, 4.0])
    d = f.derivatives(obs, etas)
    np.testing.assert_array_equal(d.logf, -INF)
    np.testing.assert_array_equal(f.log_density(obs, etas), -INF)
    assert all((np.broadcast_to(x, 2) == 0).all() for x in d.first)


def test_an_event_of_a_cured_subject_is_impossible():
    f = family("cured")
    obs = observed(
        [2.0, 2.0, 0.0, 1.0, 0.0, 2.0], [2.0, INF, 3.0, 4.0, INF, INF], [0, 0, 0, 0, 0, 1.0]
    )
    want = [-INF, 0, -INF, -INF, 0, 0]
    np.testing.assert_array_equal(f.log_density(obs, ()), want)
    d = f.derivatives(obs, ())
    np.testing.assert_array_equal(d.logf, want)
    assert d.first == ()
    assert f.starting(obs) == {}


# --- shapes and units ----------------------------------------------------------------------


@pytest.mark.parametrize("name", TIMES)
def test_starts_and_components_broadcast(name):
    f, rng = settled(name), np.random.default_rng(1)
    lower = np.array([2.0, 3.0, 0.0, 1.0, 0.0, 4.0])
    obs = observed(lower, [2.0, INF, 0.5, 5.0, INF, INF], [0, 1, 0, 0, 0, 0])
    base = [p.link.forward(np.asarray(f.example[p.name])) for p in f.parameters]
    etas = tuple(b + 0.1 * rng.normal(size=(2, 3, 6 if j == 0 else 1)) for j, b in enumerate(base))
    d = f.derivatives(obs, etas)
    curvature = d.curvature
    if not etas:
        return
    assert d.logf.shape == f.log_density(obs, etas).shape == (2, 3, 6)
    one = f.derivatives(obs, tuple(e[1, 2] for e in etas))
    np.testing.assert_allclose(d.logf[1, 2], one.logf, rtol=1e-13)
    for j in range(len(etas)):
        got = np.broadcast_to(d.first[j], (2, 3, 6))[1, 2]
        np.testing.assert_allclose(got, np.broadcast_to(one.first[j], 6), rtol=1e-12, atol=1e-300)
        assert (np.broadcast_to(curvature[j], (2, 3, 6)) >= 0).all()


@pytest.mark.parametrize("name", [n for n in TIMES if n != "cured"])
def test_days_and_years_give_the_same_fit(name):
    """From the starts: log densities differ by the log of the unit, the others not at all."""
    day, rng = 365.25, np.random.default_rng(2)
    t = rng.weibull(1.3, 40) * 3
    upper = np.where(t < 3.5, t, INF)
    lower = np.minimum(t, 3.5)
    lower[:5], upper[5:9] = 0.5 * lower[:5], 1.2 * lower[5:9]
    exact = lower == upper
    logs = []
    for factor in (1.0, day, 1e-6):
        f = settled(name, factor)
        obs = observed(factor * lower, factor * upper)
        start = f.starting(obs)
        etas = tuple(np.atleast_1d(p.link.forward(np.asarray(start[p.name]))) for p in f.parameters)
        logs.append(f.log_density(obs, etas) + np.where(exact, np.log(factor), 0.0))
    np.testing.assert_allclose(logs[1], logs[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(logs[2], logs[0], rtol=1e-6, atol=1e-6)


def test_the_response_keeps_its_times():
    times = Times([2.0, 3.0], [2.0, INF], [0.0, 0.0])
    response = Response("surv(t, d)", "survival", np.array([2.0, 3.0]), None, ("t", "d"), times)
    obs = family("weibull").observe(response.take([1]))
    assert obs.times is not None
    assert obs.times.kinds() == (("right", slice(None)),)
    assert obs.take(slice(0, 0)).times is not None
