r"""Times by a natural cubic spline in log time (Royston and Parmar).

    g(S(t)) = s(x) = gamma0 + gamma1 x + sum_j gamma_{j+1} v_j(x),    x = log t

with g the log cumulative hazard, the log cumulative odds or minus the normal quantile of S,
and for the knots k_0 < ... < k_m, l_j = (k_m - k_j) / (k_m - k_0),

    v_j(x) = (x - k_j)_+^3 - l_j (x - k_0)_+^3 - (1 - l_j) (x - k_m)_+^3

The spline is linear beyond the outer knots.  One that decreases anywhere is not a distribution:
its likelihood is zero, whatever was observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays import Symbol
from bayesmix.distributions import Prior
from bayesmix.errors import DataError, SpecError
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.links import Linked, get_link
from bayesmix.families.survival.base import (
    Instant,
    Survival,
    by_quadrature,
    quantile,
)
from bayesmix.families.survival.start import guess, working
from bayesmix.families.survival.transformed import chain, law
from bayesmix.families.units import Change
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

_ALONG = {"hazard": "extreme", "odds": "logistic", "normal": "normal"}
SCALES = tuple(_ALONG)

# --- the spline ----------------------------------------------------------------------------


class Spline(NamedTuple):
    """Log knots, ascending, and what the coefficients are of.

    With `turn` R, rows of an upper triangular matrix whose first entry is one, s(x) is
    sum_j gamma_j (sum_i v_i(x) r_ij): coefficients of functions that are nearly orthogonal at
    the data, where v_1 = 1, v_2 = x, ... are as good as dependent on short spans of log time.
    """

    knots: tuple[float, ...]
    turn: tuple[tuple[float, ...], ...] | None = None


def basis(spline: Spline, x: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What gamma0, gamma1, ... multiply in s(x), and in its slope, each (n,)."""
    knots = spline.knots
    first, last = knots[0], knots[-1]
    low, high = np.maximum(x - first, 0.0), np.maximum(x - last, 0.0)
    values, slopes = [np.ones_like(x), x], [np.zeros_like(x), np.ones_like(x)]
    for knot in knots[1:-1]:
        share = (last - knot) / (last - first)
        here = np.maximum(x - knot, 0.0)
        values.append(here**3 - share * low**3 - (1 - share) * high**3)
        slopes.append(3 * (here**2 - share * low**2 - (1 - share) * high**2))
    if spline.turn is None:
        return values, slopes
    columns = list(zip(*spline.turn, strict=True))
    return tuple(  # type: ignore[return-value]
        [
            sum(v * r for v, r in zip(some[: j + 1], column, strict=False))
            for j, column in enumerate(columns)
        ]
        for some in (values, slopes)
    )


def line(spline: Spline, at: Instant, *gammas: Linked) -> tuple[tuple[Array], Array]:
    """The spline s(log t), and the log of its slope in t; -inf where it does not rise."""
    values, slopes = basis(spline, at.log)
    slope = sum(g.value * v for g, v in zip(gammas[1:], slopes[1:], strict=True))
    rises = slope > 0
    log_slope = xp.where(rises, xp.log(xp.where(rises, slope, 1.0)), -np.inf)
    return (sum(g.value * v for g, v in zip(gammas, values, strict=True)),), log_slope - at.log


@lru_cache(maxsize=64)
def _corners(spline: Spline) -> np.ndarray:
    """What gamma1, ... multiply in the slope at the ends and middles of the m pieces, (3, m, P)."""
    a, b = np.array(spline.knots[:-1]), np.array(spline.knots[1:])
    points = np.array([a, 0.5 * (a + b), b])
    _, slopes = basis(spline, points.ravel())
    return np.stack(slopes[1:], axis=-1).reshape(3, len(a), -1)


def rises(spline: Spline, gammas: tuple[Linked, ...]) -> Array:
    """Whether the spline rises everywhere: its slope is a parabola between two knots."""
    values = [xp.value_of(g.value) for g in gammas[1:]]
    values = [v if isinstance(v, Symbol) else np.asarray(v) for v in values]
    low, mid, high = (
        sum(v[..., None] * c for v, c in zip(values, corner.T, strict=True))
        for corner in _corners(spline)
    )  # each (..., m)
    bend, tilt = 2.0 * (low - 2.0 * mid + high), 4.0 * mid - 3.0 * low - high
    inside = (bend > 0) & (tilt < 0) & (-tilt < 2.0 * bend)
    lowest = low - tilt * tilt / (4.0 * xp.where(bend > 0, bend, 1.0))
    return xp.where(inside, lowest, np.minimum(low, high)).min(axis=-1) >= 0


# --- the three scales ----------------------------------------------------------------------


def _possible(spline: Spline, function: Any, at: Instant, *gammas: Linked) -> Array:
    """A log density or tail where the spline rises, else minus infinity."""
    return xp.where(rises(spline, gammas), function(at, *gammas), -np.inf)


def closed_form(
    spline: Spline, scale: str, at: Instant, event: np.ndarray, *gammas: Linked
) -> Derivatives:
    """Derivatives in gamma0, gamma1, ..."""
    values, slopes = basis(spline, at.log)
    (x,), rest = line(spline, at, *gammas)
    relative = [b * np.where(rest > -np.inf, np.exp(-rest - at.log), 0.0) for b in slopes]
    size = range(len(values))
    flat = [[0.0] * (j + 1) for j in size]
    bends = [[-relative[j] * relative[k] for k in range(j + 1)] for j in size]
    d = chain(_ALONG[scale], (x, values, flat), (rest, relative, bends), event)
    return d._replace(logf=np.where(rises(spline, gammas), d.logf, -np.inf))


def survival_of(spline: Spline, scale: str) -> Survival:
    """The distribution of the times."""
    plain = law(partial(line, spline), _ALONG[scale])
    functions = (plain.logpdf, plain.logsf, plain.logcdf)
    logpdf, logsf, logcdf = (partial(_possible, spline, f) for f in functions)
    form = partial(closed_form, spline, scale)
    mass = partial(never, spline, logsf)
    return Survival(logpdf, logsf, logcdf=logcdf, never=mass, closed_form=form)


def never(spline: Spline, logsf: Any, **gammas: np.ndarray) -> np.ndarray:
    """Survival at the last knot where the spline does not rise from there on, else zero."""
    last = np.asarray(spline.knots[-1])
    _, slopes = basis(spline, last)
    slope = sum(np.asarray(g) * v for g, v in zip(gammas.values(), slopes, strict=True))
    linked = (Linked(get_link("identity"), np.asarray(g)) for g in gammas.values())
    flat = np.exp(logsf(Instant(np.exp(last), last), *linked))
    return np.where(slope > 0, 0.0, flat)


# --- starts, priors, simulation ------------------------------------------------------------


def straight(scale: str, times: Times) -> tuple[float, float]:
    """Intercept and slope of the spline without bends."""
    rough = guess(times)
    if scale == "hazard":
        return -rough.shape * float(np.log(rough.scale)), rough.shape
    slope = (np.pi / np.sqrt(3) if scale == "odds" else 1.0) / rough.spread
    return float(-slope * rough.centre), float(slope)


def start(names: tuple[str, ...], spline: Spline | None, scale: str, times: Times) -> dict:
    """A straight line: a Weibull, loglogistic or lognormal distribution."""
    gammas = np.zeros(len(names))
    gammas[:2] = straight(scale, times)
    if spline is not None and spline.turn is not None:
        gammas = np.linalg.solve(np.array(spline.turn), gammas)
    return dict(zip(names, gammas.tolist(), strict=True))


def priors(spline: Spline, names: tuple[str, ...], scale: str, times: Times) -> dict:
    """The slope of a straight line, and bends that may change it by as much or so."""
    slope = start(names, spline, scale, times)["gamma1"]
    if spline.turn is not None:
        bend = width = 2.5
    else:
        bend, width = 2.5 * slope / (spline.knots[-1] - spline.knots[0]) ** 2, slope
    first = {"gamma1": Prior("normal", mu=slope, sigma=width)}
    return first | {name: Prior("normal", mu=0.0, sigma=bend) for name in names[2:]}


def in_units(spline: Spline, scale: str, family: Family, unit: float, obs: Observed) -> Change:
    """With times t / u the knots move, and coefficients are of orthogonal functions.

    They are orthogonal at the times that are not right-censored.
    """
    shift, m = float(np.log(unit)), len(spline.knots)
    moved = Spline(tuple(knot - shift for knot in spline.knots))
    assert obs.times is not None
    x = working(obs.times)[np.isfinite(obs.times.upper)] - shift
    mixing = np.eye(m)
    mixing[0, 1] = -shift
    if len(np.unique(x)) > m:
        values = np.stack(basis(moved, x)[0], axis=-1)
        triangle = np.linalg.qr(values, mode="r") / np.sqrt(len(x))
        turn = np.linalg.inv(triangle * np.sign(np.diag(triangle))[:, None])
        moved = moved._replace(turn=tuple(map(tuple, turn.tolist())))
        mixing = mixing @ turn
    return Change(_make(None, moved, scale), mixing, np.zeros(m))


def simulate(
    spline: Spline, scale: str, rng: np.random.Generator, **gammas: np.ndarray
) -> np.ndarray:
    """Draw times by inverting the distribution function."""
    size = np.broadcast_shapes(*(np.shape(g) for g in gammas.values()))
    t = quantile(_make(None, spline, scale), rng.uniform(size=size), gammas)
    return np.maximum(t, np.finfo(float).tiny)


def mean(spline: Spline, scale: str, **gammas: np.ndarray) -> np.ndarray:
    """By quadrature of the survival function."""
    return by_quadrature(_make(None, spline, scale), gammas)


# --- the family ----------------------------------------------------------------------------


def make(
    df: int | None = None, knots: Iterable[float] | None = None, scale: str = "hazard"
) -> Family:
    """The family with `df` degrees of freedom, or with given knots.

    Parameters
    ----------
    df : int, optional
        Number of coefficients beside gamma0; 3 unless knots are given.  The df + 1 knots
        are equally spaced quantiles of the uncensored log times.
    knots : iterable of float, optional
        The knots as times, ascending, the first and the last being the outer ones.
    scale : {"hazard", "odds", "normal"}

    Raises
    ------
    SpecError
        For values that are not allowed, or both df and knots.
    """
    if scale not in SCALES:
        raise SpecError(f"spline: scale={scale!r} is unknown; use one of {', '.join(SCALES)}")
    if knots is None:
        df = 3 if df is None else df
        if isinstance(df, bool) or not isinstance(df, int | np.integer) or df < 1:
            raise SpecError(f"spline: df={df!r}; it must be a whole number of 1 or more")
        return _make(int(df), None, scale)
    if df is not None:
        raise SpecError("spline: give df= or knots=, not both; with m + 1 knots df is m")
    at = np.asarray(tuple(knots), dtype=float)
    if len(at) < 2 or not (np.isfinite(at) & (at > 0)).all() or not (np.diff(at) > 0).all():
        msg = f"spline: knots={at.tolist()}; they must be two or more ascending positive times"
        raise SpecError(msg)
    return _make(None, Spline(tuple(np.log(at).tolist())), scale, tuple(at.tolist()))


def settle(df: int, scale: str, response: Response) -> Family:
    """The family with knots at quantiles of the times that are not right-censored."""
    times = response.times
    assert times is not None
    log_t = working(times)[np.isfinite(times.upper)]
    distinct = len(np.unique(log_t))
    knots = np.quantile(log_t, np.linspace(0, 1, df + 1)) if distinct else np.zeros(1)
    if distinct < df + 1 or not (np.diff(knots) > 0).all():
        raise DataError(
            f"a spline with df={df} needs {df + 1} different knots, but the {len(log_t)} "
            f"uncensored times have {distinct} different values; use a smaller df, or give knots="
        )
    return make(knots=np.exp(knots), scale=scale)


@lru_cache(maxsize=256)
def _make(
    df: int | None,
    spline: Spline | None,
    scale: str,
    given: tuple[float, ...] | None = None,
) -> Family:
    """With log knots, or with none where they have to be found for the data."""
    n = len(spline.knots) if spline is not None else (df or 0) + 1
    names = tuple(f"gamma{j}" for j in range(n))
    common: dict[str, Any] = {
        "name": "spline",
        "params": dict.fromkeys(names, "identity"),
        "location": "gamma0",
        "links": ("identity",),
        "start": partial(start, names, spline, scale),
        "support": "positive times",
        "equation": r"g(S(t)) = \gamma_0 + \gamma_1 x + \sum_j \gamma_{j+1} v_j(x),\ x = \log t",
        "source": "Royston and Parmar (2002), Statistics in Medicine 21, 2175-2197",
        "example": dict.fromkeys(names, 0.0) | {"gamma0": -1.0, "gamma1": 1.5},
    }
    if spline is None:
        assert df is not None
        options: Mapping[str, Any] = {"df": df, "scale": scale}
        settling = partial(settle, df, scale)
        return Family(**common, reads="survival", settle=settling, options=options)
    return Family(
        **common,
        survival=survival_of(spline, scale),
        mean=partial(mean, spline, scale),
        simulate=partial(simulate, spline, scale),
        priors=partial(priors, spline, names, scale),
        in_units=partial(in_units, spline, scale),
        concave=True,
        options={"knots": list(given or np.exp(spline.knots)), "scale": scale},
    )


FAMILY = make()
