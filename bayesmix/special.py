"""Special functions of NumPy arrays that neither NumPy nor SciPy offers accurately."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

__all__ = [
    "Stirling",
    "log1mexp",
    "log1pmx",
    "mills",
    "mills_excess",
    "softplus",
    "stirling",
    "stirling_value",
]

# B_2k / (2k (2k - 1)), k = 1, ..., 8: the asymptotic series of Stirling's remainder.
STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
SERIES_FROM = 10.0
_ATANH = tuple(1 / (2 * k + 1) for k in range(1, 13))
_MILLS = (1.0, -2.0, 10.0, -74.0, 706.0, -8162.0)


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    total = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total *= x
        total += c
    return total


def _split(
    x: np.ndarray, small: np.ndarray, below: Callable[..., tuple], above: Callable[..., tuple]
) -> tuple[np.ndarray, ...]:
    """Two functions, each evaluated only where it is meant."""
    if not small.any():
        return above(x)
    if small.all():
        return below(x)
    parts = list(zip(below(x[small]), above(x[~small]), strict=True))
    out = tuple(np.empty_like(x) for _ in parts)
    for target, (low, high) in zip(out, parts, strict=True):
        target[small], target[~small] = low, high
    return out


class Stirling(NamedTuple):
    """Stirling's remainder S(a) with `scaled1` = a S'(a) and `scaled2` = a^2 S''(a)."""

    value: np.ndarray
    scaled1: np.ndarray
    scaled2: np.ndarray


def stirling(a: np.ndarray) -> Stirling:
    """What Stirling's formula leaves over, with derivatives, to full relative accuracy.

    S(a) = log Gamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2

    Differences of log Gamma at large arguments cancel; written with S they do not.

    Parameters
    ----------
    a : ndarray, shape (...)
        Positive.

    Returns
    -------
    Stirling
        Three arrays of shape (...).

    References
    ----------
    NIST Digital Library of Mathematical Functions, 5.11.1.
    """
    a = np.asarray(a, dtype=float)
    return Stirling(*_split(a, a < SERIES_FROM, _stirling_direct, _stirling_series))


def stirling_value(a: np.ndarray) -> np.ndarray:
    """S(a) of `stirling` alone."""
    a = np.asarray(a, dtype=float)
    (value,) = _split(a, a < SERIES_FROM, _direct_value, _series_value)
    return value


def _direct_value(a: np.ndarray) -> tuple[np.ndarray, ...]:
    return (special.gammaln(a) - (a - 0.5) * np.log(a) + a - 0.5 * np.log(2 * np.pi),)


def _series_value(a: np.ndarray) -> tuple[np.ndarray, ...]:
    inverse = 1 / a
    return (inverse * _horner(STIRLING, inverse * inverse),)


def _stirling_direct(a: np.ndarray) -> tuple[np.ndarray, ...]:
    return (
        *_direct_value(a),
        a * (special.psi(a) - np.log(a)) + 0.5,
        a * (a * special.polygamma(1, a) - 1) - 0.5,
    )


def _stirling_series(a: np.ndarray) -> tuple[np.ndarray, ...]:
    inverse = 1 / a
    square = inverse * inverse
    powers = range(1, 2 * len(STIRLING), 2)
    scaled1 = tuple(-p * c for p, c in zip(powers, STIRLING, strict=True))
    scaled2 = tuple(p * (p + 1) * c for p, c in zip(powers, STIRLING, strict=True))
    return tuple(inverse * _horner(c, square) for c in (STIRLING, scaled1, scaled2))


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def log1pmx(x: np.ndarray) -> np.ndarray:
    """log(1 + x) - x for x > -1, without cancellation near zero.

    With r = x / (2 + x), log(1 + x) = 2 atanh(r).
    """
    x = np.asarray(x, dtype=float)
    small = np.abs(x) < 0.3
    s = np.where(small, x, 0.0)
    r = s / (2 + s)
    square = r * r
    return np.where(small, r * (2 * square * _horner(_ATANH, square) - s), np.log1p(x) - x)


def log1mexp(x: np.ndarray) -> np.ndarray:
    """log(1 - exp(x)) for x < 0 (Maechler 2012): each branch where it is accurate."""
    x = np.asarray(x, dtype=float)
    near = x > -np.log(2)
    return np.where(near, np.log(-np.expm1(x)), np.log1p(-np.exp(np.where(near, -1.0, x))))


def mills(x: np.ndarray) -> np.ndarray:
    """phi(x) / Phi(x), the normal density over its distribution function."""
    return np.sqrt(2 / np.pi) / special.erfcx(-np.asarray(x, dtype=float) / np.sqrt(2))


def mills_excess(x: np.ndarray) -> np.ndarray:
    """`mills(x)` + x, which cancels in the lower tail: there by its asymptotic series."""
    x = np.asarray(x, dtype=float)
    inverse = -1 / np.minimum(x, -1.0)
    return np.where(x < -50, inverse * _horner(_MILLS, inverse * inverse), mills(x) + x)
