"""Rules of quadrature, and roots of monotone functions of a positive number, whatever its unit."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

FARTHEST = 1e300
# Of the widest bracket, 1380, they leave 1e-18.
HALVINGS = 70


@functools.cache
def legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes between 0 and 1 and weights (count,) of Gauss and Legendre's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return 0.5 * (1 + nodes), 0.5 * weights


def unit_interval(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) and weights of the double exponential rule (Takahasi and Mori 1974).

    The function may be singular at both ends.

    Parameters
    ----------
    tau : ndarray, shape (count,)
        Equally spaced.
    """
    x, rest = (1 / (1 + np.exp(sign * np.pi * np.sinh(tau))) for sign in (-1, 1))
    return x, (tau[1] - tau[0]) * np.pi * np.cosh(tau) * x * rest


def half_line(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in (0, inf), for a function that falls."""
    x = np.exp(0.5 * np.pi * np.sinh(tau))
    return x, (tau[1] - tau[0]) * 0.5 * np.pi * np.cosh(tau) * x


def halved(
    later: Callable[[np.ndarray], np.ndarray], lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Where functions of log t change sides, by bisection between `lower` and `upper`.

    Parameters
    ----------
    later : callable
        From log t to whether each root is beyond it.
    lower, upper : ndarray
    """
    for _ in range(HALVINGS):
        middle = 0.5 * (lower + upper)
        beyond = later(middle)
        lower, upper = np.where(beyond, middle, lower), np.where(beyond, upper, middle)
    return 0.5 * (lower + upper)


def crossing(
    below: Callable[[np.ndarray], np.ndarray], least: np.ndarray, most: np.ndarray | None = None
) -> np.ndarray:
    """Where increasing functions cross zero beyond `least`; infinite where they never do.

    By false position in log t (Illinois; Dowell and Jarratt 1971).

    Parameters
    ----------
    below : callable
        From t to values of the same shape, each of its own function.
    least, most : ndarray
        Bounds; without an upper one, or where it is infinite, one is looked for.
    """
    least = np.clip(least, np.finfo(float).tiny, FARTHEST)
    known = np.full(least.shape, np.inf) if most is None else most
    upper = np.where(known < FARTHEST, np.maximum(known, least), np.minimum(2 * least, FARTHEST))
    high = below(upper)
    while ((high < 0) & (known >= FARTHEST) & (upper < FARTHEST)).any():
        upper = np.where(high < 0, np.minimum(upper * 8.0, FARTHEST), upper)
        high = below(upper)
    never = (high < 0) & (upper >= FARTHEST)
    a, b = np.log(least), np.log(upper)
    fa, fb = np.minimum(below(least), 0.0), np.maximum(high, 0.0)
    for _ in range(100):
        if np.all(never | (b - a < 1e-11) | (fa == 0) | (fb == 0)):
            break
        with np.errstate(all="ignore"):
            c = np.where(fb > fa, (a * fb - b * fa) / (fb - fa), 0.5 * (a + b))
        c = np.clip(c, a, b)
        fc = below(np.exp(c))
        left = fc < 0
        # The end that stays for a second time counts half.
        a, fa, b, fb = (
            np.where(left, c, a),
            np.where(left, fc, 0.5 * fa),
            np.where(left, b, c),
            np.where(left, 0.5 * fb, fc),
        )
    root = np.where(np.abs(fa) < np.abs(fb), a, b)
    return np.where(never, np.inf, np.exp(root))
