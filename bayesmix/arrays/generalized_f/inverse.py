"""Quantiles and moments of the standard generalized F distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import Jet, compose, known
from bayesmix.arrays.generalized_f.series import DEPTH, NODES, WEIGHTS, inverse_shapes
from bayesmix.arrays.special import log1pmx, stirling_value

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


Array = Any


def slow_tail(w: Array, Q: Array, P: Array | None, p: Array | None) -> Array:
    """Logarithm of the upper tail where its shape s = s2 is below one and w before the cliff.

    With z = log odds of the tail + log N, N = s1 + s2, r = 1 / N and l(z) = log(1 + r e^z) / r,

        log tail = s z - log Gamma(1 + s) - B(s, r) + log(1 + s I),
        I = int_0^inf e^(-s y) (e^(-l(z - y)) - 1) dy,

    where B(s, r) = log Gamma(N - s) - log Gamma(N) + s log N.  The integrand of I falls like
    e^(-(1 + s) y) however small s is, and s I keeps its relative accuracy.

    Parameters
    ----------
    w, Q, P, p : ndarray or Jet, shape (n,)
        P = exp(p); None for P = 0.

    Returns
    -------
    ndarray or Jet, shape (n,)
    """
    other, own = inverse_shapes(Q, P)
    d = xp.sqrt(own + other)
    s = 1 / own
    log_rest = _log_rest(own, other)
    z = -d * w - xp.log(own) - log_rest
    r = None if P is None else 0.5 * P
    value = s * z - xp.lgamma1p(s) + xp.log1p(s * _excess(z, s, r, p))
    return value if r is None else value - _beta_part(s, r, log_rest)


def _log_rest(own: Array, other: Array) -> Array:
    """log(1 - s r) with s r = s / (s1 + s2)."""
    share = other / (own + other)
    small = xp.where(share < 0.5, share, 0.5)
    return xp.where(share < 0.5, xp.log1p(-small), xp.log(own / (own + other)))


def _beta_part(s: Array, r: Array, log_rest: Array) -> Array:
    share = s * r
    small = xp.where(share < 0.5, share, 0.5)
    excess = xp.where(share < 0.5, xp.log1pmx(-small), log_rest + share)
    remainder = xp.stirling_inverse(r * xp.exp(-log_rest)) - xp.stirling_inverse(r)
    return excess / r - (s + 0.5) * log_rest + remainder


def _excess(z: Array, s: Array, r: Array | None, p: Array | None) -> Array:
    """I, as an array or a Jet like its arguments."""
    if not isinstance(z, Jet):
        return _integral(z, s, r, 0)[0]
    r_value = None if r is None else r.value
    outer = known(*_integral(z.value, s.value, r_value, 2))
    return compose(outer, (z, s) if r is None else (z, s, p))


def _integral(z: np.ndarray, s: np.ndarray, r: np.ndarray | None, order: int) -> tuple:
    """I with its derivatives in (z, s) or (z, s, p = log r), see `known`."""
    reach = DEPTH / (1 + s[:, None])
    y = reach * NODES
    weight = reach * WEIGHTS * np.exp(-s[:, None] * y)
    rise, *rise_p = _log_odds(z[:, None] - y, None if r is None else r[:, None])
    gap = weight * np.expm1(-rise)
    value = gap.sum(axis=1)
    if order == 0:
        return value, [], []
    by_y = gap * y
    I_s, I_ss = -by_y.sum(axis=1), (by_y * y).sum(axis=1)
    # e^(-s y) is the only place of y beside z - y: an integration by parts gives the rest.
    here, *here_p = _log_odds(z, r)
    left = np.exp(-here)
    slope = np.exp(z) / (1.0 if r is None else 1 + r * np.exp(z))
    I_z = np.expm1(-here) - s * value
    I_zz, I_zs = -left * slope - s * I_z, -value - s * I_s
    if r is None:
        return value, [I_z, I_s], [[I_zz], [I_zs, I_ss]]
    inner = weight * np.exp(-rise)
    moved = inner * rise_p[0]
    I_p, I_sp = -moved.sum(axis=1), (moved * y).sum(axis=1)
    I_pp = (moved * rise_p[0] - inner * rise_p[1]).sum(axis=1)
    I_zp = -left * here_p[0] - s * I_p
    return value, [I_z, I_s, I_p], [[I_zz], [I_zs, I_ss], [I_zp, I_sp, I_pp]]


def _log_odds(t: np.ndarray, r: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """l(t) and, with r > 0, its two derivatives in log r."""
    e = np.exp(t)
    if r is None:
        return (e,)
    o = r * e
    value = np.log1p(o) / r
    ratio = e / (1 + o)
    first = ratio - value
    return value, first, -ratio * o / (1 + o) - first
