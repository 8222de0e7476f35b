"""Special functions of NumPy arrays that neither NumPy nor SciPy offers accurately."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special

# B_2k / (2k (2k - 1)), k = 1, ..., 8: the asymptotic series of Stirling's remainder.
STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
SERIES_FROM = 10.0
# (-1)^k zeta(k) / k, k = 2, ..., 27, and minus Euler's constant before: log Gamma(1 + a) / a.
_LGAMMA1P = (-np.euler_gamma, *((-1) ** k * special.zeta(k) / k for k in range(2, 28)))
_ATANH = tuple(1 / (2 * k + 1) for k in range(1, 13))
# B_2k / (2k)!, k = 1, ..., 10.
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip
EXPREL = tuple(b / (2 * k) for k, b in enumerate(_BERNOULLI, start=1))
# Of x + phi(-x) / Phi(-x) in 1 / x from far above, and minus what its derivative has.
MILLS = (1.0, -2.0, 10.0, -74.0, 706.0, -8162.0)
MILLS_BEND = tuple((2 * k + 1) * c for k, c in enumerate(MILLS))


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
    return Stirling(*_split(a, a < SERIES_FROM, _stirling_direct, lambda x: stirling_series(1 / x)))


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


def stirling_series(inverse: np.ndarray) -> tuple[np.ndarray, ...]:
    """What `stirling` gives for a of ten or more, from 1 / a."""
    square = inverse * inverse
    powers = range(1, 2 * len(STIRLING), 2)
    scaled1 = tuple(-p * c for p, c in zip(powers, STIRLING, strict=True))
    scaled2 = tuple(p * (p + 1) * c for p, c in zip(powers, STIRLING, strict=True))
    return tuple(inverse * _horner(c, square) for c in (STIRLING, scaled1, scaled2))


def stirling_inverse(r: np.ndarray) -> Stirling:
    """Stirling's remainder at 1 / r with its derivatives in r, smooth at r = 0.

    Parameters
    ----------
    r : ndarray, shape (...)
        Zero or positive.

    Returns
    -------
    Stirling
        R(r) = S(1 / r), R'(r) and R''(r), of shape (...).
    """
    r = np.asarray(r, dtype=float)
    return Stirling(*_split(r, r > 1 / SERIES_FROM, _inverse_direct, _inverse_series))


def _inverse_direct(r: np.ndarray) -> tuple[np.ndarray, ...]:
    a = 1 / r
    s = stirling(a)
    return s.value, -a * s.scaled1, a * a * (2 * s.scaled1 + s.scaled2)


def _inverse_series(r: np.ndarray) -> tuple[np.ndarray, ...]:
    square = r * r
    powers = range(1, 2 * len(STIRLING), 2)
    once = tuple(p * c for p, c in zip(powers, STIRLING, strict=True))
    twice = tuple(p * (p - 1) * c for p, c in zip(powers[1:], STIRLING[1:], strict=True))
    return r * _horner(STIRLING, square), _horner(once, square), r * _horner(twice, square)


def make_rising(pick: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """The function that moves numbers below ten by ten steps, of arrays or of scalars.

    Parameters
    ----------
    pick : callable
        ``pick(condition, one, other)``.
    """

    def rising(x: Any) -> tuple[Any, ...]:
        """X, moved if it is below ten; the product of the steps, and its log slopes.

        The last two are the first and minus the second derivative of the product's logarithm.
        """
        small = x < SERIES_FROM
        base = pick(small, x, 1.0)
        p, first, second = base, 1.0, 0.0
        for step in range(1, 10):
            value = base + step
            second = second * value + 2.0 * first
            first = first * value + p
            p = p * value
        inverse = 1.0 / p
        slope = first * inverse
        bend = slope * slope - second * inverse
        return (
            pick(small, x + 10.0, x),
            pick(small, p, 1.0),
            pick(small, slope, 0.0),
            pick(small, bend, 0.0),
        )

    return rising


def lgamma1p(a: np.ndarray) -> np.ndarray:
    """Log Gamma(1 + a) for a > -1, to full relative accuracy near a = 0."""
    a = np.asarray(a, dtype=float)
    small = np.abs(a) < 0.25
    s = np.where(small, a, 0.0)
    return np.where(small, s * _horner(_LGAMMA1P, s), special.gammaln(1 + a))


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


def mills_excess(x: np.ndarray, ratio: np.ndarray | None = None) -> np.ndarray:
    """`mills(x)` + x, which cancels in the lower tail: there by its asymptotic series."""
    x = np.asarray(x, dtype=float)
    ratio = mills(x) if ratio is None else ratio
    far = x < -50
    if not far.any():
        return ratio + x
    inverse = -1 / np.minimum(x, -1.0)
    return np.where(far, inverse * _horner(MILLS, inverse * inverse), ratio + x)


def log_mills(x: np.ndarray) -> np.ndarray:
    """Log of `mills`, also where that is too small for a number."""
    x = np.asarray(x, dtype=float)
    above = -0.5 * (x * x + np.log(2 * np.pi)) - special.log_ndtr(x)
    return np.where(x > 5, above, np.log(mills(np.minimum(x, 5.0))))


def log_mills_bend(x: np.ndarray) -> np.ndarray:
    """Second derivative of `log_mills`, whose first is -`mills_excess`."""
    x = np.asarray(x, dtype=float)
    ratio = mills(x)
    square = np.square(1 / np.minimum(x, -1.0))
    return np.where(x < -50, -square * _horner(MILLS_BEND, square), ratio * (ratio + x) - 1)


def log_exprel(x: np.ndarray) -> np.ndarray:
    """log((exp(x) - 1) / x), also at zero and where exp(x) overflows."""
    return log_exprel_parts(x)[0]


def log_exprel_parts(x: np.ndarray) -> tuple[np.ndarray, ...]:
    """`log_exprel` with its first and second derivative, each of x's shape.

    Within one of zero by x / 2 + sum_k B_2k x^2k / (2k (2k)!), where they would cancel.
    """
    x = np.asarray(x, dtype=float)
    return _split(x, np.abs(x) < 1.0, _exprel_series, _exprel_direct)


def _exprel_series(x: np.ndarray) -> tuple[np.ndarray, ...]:
    square = x * x
    bend = tuple((2 * k - 1) * b for k, b in enumerate(_BERNOULLI, start=1))
    return (
        0.5 * x + square * _horner(EXPREL, square),
        0.5 + x * _horner(_BERNOULLI, square),
        _horner(bend, square),
    )


def _exprel_direct(x: np.ndarray) -> tuple[np.ndarray, ...]:
    size = np.abs(x)
    small = np.exp(-size)
    rest = -np.expm1(-size)
    inverse = 1 / x
    return (
        np.maximum(x, 0.0) + np.log(rest / size),
        np.where(x > 0, 1.0, -small) / rest - inverse,
        inverse * inverse - small / (rest * rest),
    )
