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

from math import factorial
from typing import NamedTuple

import numpy as np

from bayesmix.arrays.generalized_f.series import monomials, near, series

# Squares of exp() are finite up to here; beyond, the density is zero for every purpose.
_HIGHEST = 300.0
_PHI_4 = tuple(1 / factorial(n + 4) for n in range(9))


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

    def each(tuples: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
        return tuple(join(*values) for values in zip(*tuples, strict=True))

    return Deviance(
        join(*(part.value for part in parts)),
        join(*(part.slope for part in parts)),
        join(*(part.curve for part in parts)),
        each([part.first for part in parts]),
        each([part.slopes for part in parts]),
        each([part.second for part in parts]),
    )


def expanded(
    x: np.ndarray, Q: np.ndarray, P: np.ndarray | None, order: int, slopes: bool = False
) -> Deviance:
    """By the power series in x: x has shape (n, m), Q and P (n,)."""
    if P is None:
        return _near_gamma(x, Q[:, None], order, slopes)
    m = monomials(Q, P)
    value, slope = series("value", x, m), series("value", x, m, slope=True)
    curve = np.exp(Q[:, None] * x - P[:, None] * value) if slopes else None
    if order == 0:
        return Deviance(value, slope, curve)
    names, pairs = ("Q", "p"), ("QQ", "Qp", "pp")
    return Deviance(
        value,
        slope,
        curve,
        tuple(series(name, x, m) for name in names),
        tuple(series(name, x, m, slope=True) for name in names) if slopes else (),
        tuple(series(name, x, m) for name in pairs),
    )


def _near_gamma(x: np.ndarray, Q: np.ndarray, order: int, slopes: bool) -> Deviance:
    """D = x^2 phi_2(Q x) by phi_k(u) = sum_n u^n / (n + k)! = 1 / k! + u phi_(k+1)(u)."""
    u = Q * x
    phi_4 = np.full_like(u, _PHI_4[-1])
    for c in _PHI_4[-2::-1]:
        phi_4 *= u
        phi_4 += c
    phi_3 = u * phi_4 + 1 / 6
    phi_2 = u * phi_3 + 0.5
    phi_1 = u * phi_2 + 1
    square = x * x
    value, slope = square * phi_2, x * phi_1
    curve = u * phi_1 + 1 if slopes else None
    if order == 0:
        return Deviance(value, slope, curve)
    phi_3 *= 2
    twice = phi_2 - phi_3  # phi_2'
    phi_4 *= 6
    phi_4 -= phi_3
    phi_4 += twice  # phi_2''
    slopes_Q = (square * (phi_1 - phi_2),) if slopes else ()
    twice *= square
    twice *= x
    phi_4 *= square
    phi_4 *= square
    return Deviance(value, slope, curve, (twice,), slopes_Q, (phi_4,))


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
