"""The upper tail of the standard generalized F density by quadrature, with derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import Jet
from bayesmix.arrays.generalized_f.deviance import Deviance, deviance, direct, expanded
from bayesmix.arrays.generalized_f.series import (
    DEPTH,
    HALF_LOG_2PI,
    NODES,
    WEIGHTS,
    near,
    normaliser,
)

# Rows taken at once, so that their nodes stay in the cache.
_ROWS = 256
_ONES = np.ones(len(NODES))
# Pairs of shapes in the order of `Deviance.second`.
_PAIRS = ((0, 0), (0, 1), (1, 1))


def falling_tail(
    w: np.ndarray, Q: np.ndarray, p: np.ndarray | None, order: int
) -> np.ndarray | Jet:
    """Logarithm of the upper tail where the density of w falls from w on.

    log tail = n - log(2 pi) / 2 - D(w) + log int_0^inf exp(D(w) - D(w + y)) dy,

    by a fixed rule over the y in which the density falls by e^-36.  Its derivatives in the shapes
    are expectations and covariances of scores over the tail, by the same nodes; those in w have
    closed forms.

    Parameters
    ----------
    w, Q, p : ndarray, shape (n,)
        p = log P; None for P = 0.
    order : int
        0: values; 2: with first and second derivatives in (w, Q) or (w, Q, p).

    Returns
    -------
    ndarray or Jet, shape (n,)
    """
    P = None if p is None else np.exp(p)
    at = deviance(w, Q, P, order)
    reach, close = _reach(w, Q, P, at)
    log_integral = np.empty(w.shape)
    moments = np.empty((_count(P, order), *w.shape))
    for where, how in ((close, expanded), (~close, direct)):
        places = np.flatnonzero(where)
        for start in range(0, len(places), _ROWS):
            rows = places[start : start + _ROWS]
            shapes = (Q[rows], None if P is None else P[rows])
            log_integral[rows], moments[:, rows] = _integrate(
                w[rows], shapes, at.slope[rows], at.value[rows], reach[rows], order, how
            )
    n = constant(Q, p, order)
    base = log_integral - at.value - HALF_LOG_2PI
    return n + base if order == 0 else _assemble(n, base, at, moments)


def _count(P: np.ndarray | None, order: int) -> int:
    return 0 if order == 0 else 3 if P is None else 6


def once(Q: np.ndarray, p: np.ndarray | None) -> list[np.ndarray]:
    """The shapes, as one row if all rows are alike: what depends on them alone is computed once."""
    given = [Q] if p is None else [Q, p]
    alike = all(bool((a == a[0]).all()) for a in given)
    return [a[:1] if alike else a for a in given]


def constant(Q: np.ndarray, p: np.ndarray | None, order: int) -> Any:
    """The normaliser n, with derivatives in (w, Q) or (w, Q, p)."""
    shapes: Any = once(Q, p)
    shapes = xp.jets(np.zeros_like(shapes[0]), *shapes)[1:] if order else shapes
    return normaliser(shapes[0], None if p is None else xp.exp(shapes[1]))


def flip(f: Jet, sign: float, variables: tuple[int, ...]) -> Jet:
    """The same function of variables that are `sign` (plus or minus one) times those before."""
    signs = np.ones(len(f.first))
    signs[list(variables)] = sign
    return Jet(f.value, f.first * signs[:, None], f.second * (signs[:, None] * signs)[..., None])


def _reach(
    w: np.ndarray, Q: np.ndarray, P: np.ndarray | None, at: Deviance
) -> tuple[np.ndarray, np.ndarray]:
    """The y at which D(w + y) - D(w) is about 36, and where the series is accurate up to there.

    From the parabola at w, then Newton's method for the logarithms of both.
    """
    assert at.curve is not None
    y = 2 * DEPTH / (at.slope + np.sqrt(at.slope**2 + 2 * DEPTH * at.curve))
    d = np.sqrt(Q * Q + (0.0 if P is None else 2 * P))
    close = near(d * (np.abs(w) + y))
    rows = ~close
    if rows.any():
        P_rows = None if P is None else P[rows]
        x, trial, slope, value = w[rows], y[rows], at.slope[rows], at.value[rows]
        for _ in range(4):
            there = direct((x + trial)[:, None], Q[rows], P_rows, 0)
            rise = np.maximum(there.value[:, 0] - value, np.maximum(slope, 1e-8) * trial)
            power = np.maximum(trial * there.slope[:, 0] / rise, 1.0)
            trial = trial * (DEPTH / rise) ** (1 / power)
        y[rows] = trial
    return y, close


def _integrate(
    w: np.ndarray,
    shapes: tuple[np.ndarray, np.ndarray | None],
    slope: np.ndarray,
    value: np.ndarray,
    reach: np.ndarray,
    order: int,
    how: Callable[..., Deviance],
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithm of the integral, and moments over the tail.

    The moments: mean of D'(x) - D'(w); means of the scores D_Q, D_p; means of their products
    about them, less means of the second derivatives.
    """
    x = w[:, None] + reach[:, None] * NODES
    there = how(x, *shapes, order)
    mass = WEIGHTS * np.exp(value[:, None] - there.value)
    total = mass @ _ONES
    log_integral = np.log(reach * total)
    if order == 0:
        return log_integral, np.empty((0, len(w)))
    mass /= total[:, None]

    def mean(of: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nk->n", mass, of)

    means = [mean(score) for score in there.first]
    centred = [s - m[:, None] for s, m in zip(there.first, means, strict=True)]
    products = [
        mean(centred[i] * centred[j] - second)
        for (i, j), second in zip(_PAIRS, there.second, strict=False)
    ]
    return log_integral, np.array([mean(there.slope - slope[:, None]), *means, *products])


def _assemble(n: Jet, base: np.ndarray, at: Deviance, moments: np.ndarray) -> Jet:
    """The log tail with derivatives: n + base, its hazard, and the moments of the tail."""
    q = len(at.first)
    excess, means, products = moments[0], moments[1 : q + 1], moments[q + 1 :]
    hazard = at.slope + excess
    cross = [-hazard * (mean - first) for mean, first in zip(means, at.first, strict=True)]
    tail = Deviance(base, -hazard, -hazard * excess, tuple(-means), tuple(cross), tuple(products))
    return n + tail.jet()
