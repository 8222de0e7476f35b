"""The deviance near the normal distribution, as a power series with exact coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.quadrature import legendre

# Below this |d x| the closed form cancels and the series is used: its nearest singularity lies at
# |d x| = pi, so 11 terms leave (NEAR / pi)^11, about 1e-13 of the deviance.
NEAR = 0.3
TERMS = 11


def _curvature_coefficients() -> list[np.ndarray]:
    """v[n][j]: coefficient of Q^(n - 2 j) P^j x^n in the second derivative V of the deviance.

    V' = S V and S' = -P V with V(0) = 1 and S(0) = Q, solved term by term.
    """
    v = [np.ones(1)]
    s = [np.ones(1)]  # s[n][j]: coefficient of Q^(n + 1 - 2 j) P^j x^n
    for n in range(TERMS - 1):
        total = np.zeros((n + 3) // 2 + 2)
        for a in range(n + 1):
            product = np.convolve(s[a], v[n - a])
            total[: len(product)] += product
        s.append(np.concatenate([[0.0], -v[n] / (n + 1)]))
        v.append(total[: (n + 1) // 2 + 1] / (n + 1))
    return v


def _tables() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Exponents of the monomials Q^i P^j, and each function's coefficients by them and x^n."""
    places = [(i, j) for j in range(TERMS // 2 + 1) for i in range(TERMS) if i + 2 * j < TERMS]
    where = {place: row for row, place in enumerate(places)}
    names = ("value", "Q", "QQ", "p", "pp", "Qp")
    tables = {name: np.zeros((len(places), TERMS)) for name in names}
    for n, row in enumerate(_curvature_coefficients()):
        for j, v in enumerate(row):
            i, c = n - 2 * j, v / ((n + 1) * (n + 2))
            for name, factor, lost in (
                ("value", 1, 0), ("Q", i, 1), ("QQ", i * (i - 1), 2),
                ("p", j, 0), ("pp", j * j, 0), ("Qp", i * j, 1),
            ):  # fmt: skip
                if factor:
                    tables[name][where[i - lost, j], n] += factor * c
    i, j = np.array(places).T
    return i, j, tables


_I, _J, _TABLES = _tables()


def near(reach: np.ndarray) -> np.ndarray:
    """Whether the series is accurate up to this |d x|."""
    return np.abs(reach) < NEAR


def monomials(Q: np.ndarray, P: np.ndarray | None) -> np.ndarray:
    """Q^i P^j for the coefficients of the series, shape (n, number of monomials)."""
    powers = np.vander(Q, TERMS, increasing=True)
    if P is None:  # of zero: those with j = 0, which come first
        return powers
    return powers[:, _I] * np.vander(P, TERMS // 2 + 1, increasing=True)[:, _J]


def series(name: str, x: np.ndarray, monomials: np.ndarray, slope: bool = False) -> np.ndarray:
    """The deviance D, or a derivative of it, at x; or the slope in x of that.

    Parameters
    ----------
    name : str
        "value", or the variables of the derivative: "Q", "QQ", "p", "pp", "Qp" with p = log P.
    x : ndarray, shape (n, m)
    monomials : ndarray, shape (n, l)
    slope : bool
        The derivative in x instead.

    Returns
    -------
    ndarray, shape (n, m)
    """
    table = _TABLES[name]
    if slope:
        table = table * np.arange(2, TERMS + 2)
    c = monomials @ table[: monomials.shape[1]]
    total = np.repeat(c[:, -1:], x.shape[1], axis=1)
    for n in range(TERMS - 2, -1, -1):
        total *= x
        total += c[:, n : n + 1]
    total *= x
    return total if slope else np.multiply(total, x, out=total)


Array = Any
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def inverse_shapes(Q: Array, P: Array | None) -> tuple[Array, Array]:
    """1 / s1 and 1 / s2, the rates at which the lower and the upper tail of w fall.

    1 / s1 + 1 / s2 = d^2 and (1 / s1 - 1 / s2) = Q d.  With P = None (zero) one of them is zero.
    """
    positive = Q >= 0
    size = xp.where(positive, Q, -Q)
    if P is None:
        slow, quick = Q * Q, 0.0 * Q
    else:
        d = xp.sqrt(Q * Q + 2 * P)
        slow, quick = 0.5 * d * (d + size), P * d / (d + size)
    return xp.where(positive, slow, quick), xp.where(positive, quick, slow)


def normaliser(Q: Array, P: Array | None) -> Array:
    """n(Q, P) = R(1 / (s1 + s2)) - R(1 / s1) - R(1 / s2), with R(r) = S(1 / r) of Stirling.

    The density of w at zero is exp(n) / sqrt(2 pi): by Stirling's formula all large terms cancel
    exactly, so that n goes smoothly to zero with Q and P.
    """
    lower, upper = inverse_shapes(Q, P)
    total = -xp.stirling_inverse(lower)
    if P is None:
        return total - xp.stirling_inverse(upper)
    return total - xp.stirling_inverse(upper) + xp.stirling_inverse(0.5 * P)


def rises(w: Array, Q: Array, P: Array | None) -> Array:
    """Whether the upper tail is the one to integrate at w, and the lower its complement.

    From the mode outwards where both shapes are at least one.  A tail with a shape s < 1 is long
    and flat and ends in a cliff at odds of about 1 / (s1 + s2): it is taken up to the cliff, by
    `slow.slow_tail`, and the other tail beyond.
    """
    lower, upper = inverse_shapes(Q, P)
    a, b = (xp.where(r > 0, r, 1.0) for r in (lower, upper))
    along = xp.sqrt(lower + upper) * w
    odds = along - xp.log(a) + xp.log(b)  # their logarithm, d w + log(s1 / s2)
    cliff = along - xp.log(a) + xp.log1p(upper / a)  # the same + log(s1 + s2)
    mirrored = along + xp.log(b) - xp.log1p(lower / b)  # the same - log(s1 + s2)
    crosses = xp.where(
        lower > 1, xp.where(upper > 1, odds, cliff), xp.where(upper > 1, mirrored, w)
    )
    return crosses >= 0


# The density has fallen by e^-36 at the last node.  Gauss-Legendre in t with y = expm1(b t) /
# expm1(b): 28 nodes give every tail here, from a normal's to an exponential's, to 1e-12.
DEPTH = 36.0
_COUNT, _BEND = 28, 1.75


def _rule() -> tuple[np.ndarray, np.ndarray]:
    t, weight = legendre(_COUNT)
    total = np.expm1(_BEND)
    return np.expm1(_BEND * t) / total, weight * _BEND * np.exp(_BEND * t) / total


NODES, WEIGHTS = _rule()
