"""Quantiles and moments of the standard generalized F distribution."""

from __future__ import annotations

import numpy as np
from scipy import special

from bayesmix.arrays.generalized_f.shapes import inverse_shapes
from bayesmix.arrays.special import log1pmx, stirling_value

__all__ = ["log_ratio", "start_quantile"]

# Shapes nearer to zero are those of a normal distribution to ten digits of a starting value.
_NORMAL = 1e-3
_UNDERFLOW = 1e-290


def start_quantile(share: np.ndarray, Q: np.ndarray, P: np.ndarray | None) -> np.ndarray:
    """The w below which a share lies, to the accuracy of SciPy's inverses.

    Parameters
    ----------
    share, Q, P : ndarray, shape (n,)
        P = None for zero.

    Returns
    -------
    ndarray, shape (n,)
    """
    lower, upper = inverse_shapes(Q, P)
    d = np.sqrt(lower + upper)
    normal = special.ndtri(share)
    safe = np.where(d > _NORMAL, d, 1.0)
    if P is None:
        found = np.where(Q > 0, 1.0, -1.0) * _gamma_place(share, Q, safe**-2) / safe
    else:
        found = _beta_place(share, 1 / lower, 1 / upper) / safe
    return np.where(d > _NORMAL, found, normal)


def _gamma_place(share: np.ndarray, Q: np.ndarray, q: np.ndarray) -> np.ndarray:
    """log(x / q) with P(q, x) the share, or one minus it where Q < 0."""
    x = np.where(Q > 0, special.gammaincinv(q, share), special.gammainccinv(q, share))
    log_share = np.where(Q > 0, np.log(share), np.log1p(-share))
    far = (log_share + special.gammaln(q + 1)) / q
    return np.where(x > _UNDERFLOW, np.log(x), far) - np.log(q)


def _beta_place(share: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """log(odds s2 / s1) with I(s1, s2) of the odds' probability the share."""
    one, two = special.betaincinv(s1, s2, share), special.betainccinv(s2, s1, share)
    low = (np.log(share) + np.log(s1) + special.betaln(s1, s2)) / s1
    high = (np.log1p(-share) + np.log(s2) + special.betaln(s1, s2)) / s2
    log_one = np.where(one > _UNDERFLOW, np.log(one), low)
    log_two = np.where(two > _UNDERFLOW, np.log(two), high)
    return log_one - log_two + np.log(s2 / s1)


def log_ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log(Gamma(a + b) / Gamma(a)) - b log(a), infinite where a + b <= 0.

    Written with Stirling's remainder, so that nothing cancels where a is large.
    """
    x = b / a
    inside = x > -1
    x = np.where(inside, x, 0.0)
    excess = a * log1pmx(x) + (a * x - 0.5) * np.log1p(x)
    remainder = stirling_value(a * (1 + x)) - stirling_value(a)
    return np.where(inside, excess + remainder, np.inf)
