"""The deviance D of the standard generalized F density, with derivatives.

With w = (log t - mu) / sigma, the density of w is exp(n(Q, P) - D(w; Q, P)) / sqrt(2 pi), where
D is zero with curvature one at w = 0, and n (`shapes.normaliser`) is small for a nearly normal
density.  With d^2 = Q^2 + 2 P and pi = (1 - Q / d) / 2,

    D(x) = (2 / P) (log(1 + pi (e^(d x) - 1)) - pi d x),   P > 0,
    D(x) = (e^(Q x) - 1 - Q x) / Q^2,                      P = 0, the generalized gamma,
    D(x) = x^2 / 2,                                        P = Q = 0, the normal.

D'' = V solves V' = S V, S' = -P V, V(0) = 1, S(0) = Q: it is analytic in (x, Q, P) also where
Q = P = 0, and D(x; Q, P) = D(-x; -Q, P).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bayesmix.arrays.autodiff import Jet, known
from bayesmix.arrays.generalized_f.series import monomials, near, series

# Squares of exp() are finite up to here; beyond, the density is zero for every purpose.
_HIGHEST = 300.0


class Deviance(NamedTuple):
    """D at some x with derivatives in x, and in the shapes (Q, or Q and p = log P).

    `first` has one array for each shape, `slopes` their derivatives in x, and `second` the
    second derivatives in the shapes: QQ, or QQ, Qp and pp.
    """

    value: np.ndarray
    slope: np.ndarray
    curve: np.ndarray | None = None
    first: tuple[np.ndarray, ...] = ()
    slopes: tuple[np.ndarray, ...] = ()
    second: tuple[np.ndarray, ...] = ()

    def jet(self) -> Jet:
        """The same with its derivatives in x and the shapes together."""
        assert self.curve is not None
        pairs = (self.second[:1], self.second[1:])
        rows = [(cross, *own) for cross, own in zip(self.slopes, pairs, strict=False)]
        return known(self.value, (self.slope, *self.first), [(self.curve,), *rows])


def deviance(x: np.ndarray, Q: np.ndarray, P: np.ndarray | None, order: int) -> Deviance:
    """D at one x for each shape, whichever way is accurate there; all of shape (n,)."""
    d = np.sqrt(Q * Q + (0.0 if P is None else 2 * P))
    close = near(d * x)
    chosen = [(rows, how) for rows, how in ((close, expanded), (~close, direct)) if rows.any()]
    parts = [
        how(x[rows, None], Q[rows], None if P is None else P[rows], order, slopes=True)
        for rows, how in chosen
    ]

    def join(*values: np.ndarray | None) -> np.ndarray:
        out = np.empty(x.shape)
        for (rows, _), value in zip(chosen, values, strict=True):
            assert value is not None
            out[rows] = value[:, 0]
        return out

    single: Any = (join(*values) for values in zip(*(part[:3] for part in parts), strict=True))
    several: Any = (
        tuple(join(*values) for values in zip(*each, strict=True))
        for each in zip(*(part[3:] for part in parts), strict=True)
    )
    return Deviance(*single, *several)


def expanded(
    x: np.ndarray, Q: np.ndarray, P: np.ndarray | None, order: int, slopes: bool = False
) -> Deviance:
    """By the power series in x: x has shape (n, m), Q and P (n,)."""
    m, count = monomials(Q, P), 1 if P is None else 2
    value, slope = series("value", x, m), series("value", x, m, slope=True)
    bent = 0.0 if P is None else P[:, None] * value
    curve = np.exp(Q[:, None] * x - bent) if slopes else None
    if order == 0:
        return Deviance(value, slope, curve)
    names, pairs = ("Q", "p")[:count], ("QQ", "Qp", "pp")[: 2 * count - 1]
    return Deviance(
        value,
        slope,
        curve,
        tuple(series(name, x, m) for name in names),
        tuple(series(name, x, m, slope=True) for name in names) if slopes else (),
        tuple(series(name, x, m) for name in pairs),
    )


def direct(
    x: np.ndarray, Q: np.ndarray, P: np.ndarray | None, order: int, slopes: bool = False
) -> Deviance:
    """By the closed form: x has shape (n, m), Q and P (n,); d x must not be small everywhere."""
    if P is None:
        return _gamma(x, Q[:, None], order, slopes)
    return _beta(x, Q[:, None], P[:, None], order, slopes)


def _gamma(x: np.ndarray, Q: np.ndarray, order: int, slopes: bool) -> Deviance:
    """D = f(u) / Q^2 with u = Q x and f(u) = e^u - 1 - u."""
    u = Q * x
    E = np.expm1(np.minimum(u, _HIGHEST))
    inverse = 1 / Q
    square = inverse * inverse
    f = E - u
    value, slope = f * square, E * inverse
    curve = 1 + E if slopes else None
    if order == 0:
        return Deviance(value, slope, curve)
    u_E = u * E
    bent = u * (u_E + u)
    f *= 2
    first = u_E - f  # u f' - 2 f
    u_E *= 4
    f *= 3
    bent -= u_E
    bent += f  # u^2 f'' - 4 u f' + 6 f
    slopes_Q = ((u * (1 + E) - E) * square,) if slopes else ()
    first *= square * inverse
    bent *= square * square
    return Deviance(value, slope, curve, (first,), slopes_Q, (bent,))


def _beta(x: np.ndarray, Q: np.ndarray, P: np.ndarray, order: int, slopes: bool) -> Deviance:
    """As above; all derivatives are polynomials in x, the slope and the curvature over d^4."""
    square = Q * Q + 2 * P
    d = np.sqrt(square)
    signed = np.where(Q < 0, -d, d)
    u = signed * x
    low = np.minimum(u, _HIGHEST)
    E = np.expm1(low)
    share = P / (d * (d + np.abs(Q)))
    m = share * E
    value = np.log1p(m)
    value += np.subtract(u, low, out=low)
    u *= share
    value -= u
    value *= 2 / P
    m += 1
    slope = E / m
    slope *= 1 / signed
    if order == 0 and not slopes:
        return Deviance(value, slope)
    E += 1
    m *= m
    curve = np.divide(E, m, out=E)
    if order == 0:
        return Deviance(value, slope, curve)
    scale = 1 / square
    a, b = Q * x - 2, P * x + Q
    slope_b, curve_a, curve_b = slope * b, curve * a, curve * b
    D_Q = (a * slope + 2 * x) * scale
    D_p = (slope_b - a - 2) * scale - value
    D_QQ = (2 * slope_b + a * curve_a - 2 * a - 8) * (scale * scale)
    D_Qp = (a * (curve_b - Q - (P + square) * slope) + (4 * Q - 4 * b)) * (scale * scale)
    D_pp = b * curve_b + Q * b - 2 * Q * Q - P * slope_b - (square * Q) * slope
    D_pp *= scale * scale
    D_pp -= D_p
    slopes_Qp: tuple[np.ndarray, ...] = ()
    if slopes:
        slopes_Qp = (
            (Q * slope + curve_a + 2) * scale,
            (curve_b - Q + P * slope) * scale - slope,
        )
    return Deviance(value, slope, curve, (D_Q, D_p), slopes_Qp, (D_QQ, D_Qp, D_pp))
