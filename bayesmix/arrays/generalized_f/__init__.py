"""Logarithms of incomplete gamma and beta integrals, with exact derivatives in all arguments.

All are tails of one standard density, the generalized F with location 0 and scale 1 on the log
time scale (Prentice 1975; Cox 2008), in the shapes Q and P = exp(p); P = 0 (`p=None`) is the
generalized gamma.  It passes smoothly through the normal at Q = P = 0.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import Jet, by_parts, compose, fit
from bayesmix.arrays.generalized_f.deviance import deviance
from bayesmix.arrays.generalized_f.integral import constant, falling_tail, flip, once
from bayesmix.arrays.generalized_f.inverse import log_ratio, slow_tail, start_quantile
from bayesmix.arrays.generalized_f.series import HALF_LOG_2PI, inverse_shapes, rises

Array = Any

# Rows taken at once, so that jets of them stay in the cache.
_ROWS = 4096
# Beyond these, powers overflow; P below e^-300 is zero for every purpose.
_LARGEST_W = 1e60
_LARGEST_Q, _SMALLEST_P, _LARGEST_P = 1e30, -300.0, 120.0


def log_density(w: Array, Q: Array, p: Array | None = None) -> Array:
    """Log density of the standard generalized F distribution at w.

    Parameters
    ----------
    w : ndarray, Jet or TensorVariable
        Standardised log time, (log t - mu) / sigma.
    Q : ndarray, Jet, TensorVariable or float
        Any real number.
    p : ndarray, Jet, TensorVariable, float or None
        log P; None for P = 0, the generalized gamma.

    Returns
    -------
    ndarray, Jet or TensorVariable
        n(Q, P) - D(w; Q, P) - log(2 pi) / 2, of the arguments' common shape.

    References
    ----------
    Prentice (1975), Biometrika 62, 607-614; Cox (2008), Statistics in Medicine 27, 4301-4312.

    Examples
    --------
    The normal density is the limit at Q = 0:

    >>> import numpy as np
    >>> from bayesmix.arrays.generalized_f import log_density
    >>> float(np.exp(log_density(0.0, 0.0)) * np.sqrt(2 * np.pi))
    1.0
    """
    return _evaluate(_density, "log_density", w, Q, p)


def log_upper(w: Array, Q: Array, p: Array | None = None) -> Array:
    """Logarithm of the upper tail of the standard generalized F distribution at w.

    Accurate to about 1e-12 of its value in both tails: near zero as minus the lower tail, and far
    below the logarithm of the smallest number.

    Parameters
    ----------
    w, Q, p : as for `log_density`

    Returns
    -------
    ndarray, Jet or TensorVariable

    Examples
    --------
    An exponential time with Q = 1, S(t) = exp(-t):

    >>> import numpy as np
    >>> from bayesmix.arrays.generalized_f import log_upper
    >>> bool(np.isclose(log_upper(np.log(700.0), 1.0), -700.0, rtol=1e-12))
    True
    """
    return _evaluate(_upper, "log_upper", w, Q, p)


def log_lower(w: Array, Q: Array, p: Array | None = None) -> Array:
    """Logarithm of the lower tail, which is the upper one of -w with -Q."""
    return log_upper(-w, -Q, p)


def quantile(share: np.ndarray, Q: np.ndarray, p: np.ndarray | None = None) -> np.ndarray:
    """The w below which a share lies: -inf for none of it, inf for all.

    SciPy's inverse, made accurate by Newton's method for the logarithm of the smaller tail,
    which is concave.

    Parameters
    ----------
    share, Q, p : ndarray or float
        As for `log_density`, with the shares between 0 and 1.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> from bayesmix.arrays.generalized_f import quantile
    >>> round(float(quantile(0.5, 0.0)), 12)
    0.0
    """
    given = [np.asarray(a, dtype=float) for a in (share, Q, p) if a is not None]
    shape = np.broadcast_shapes(*(a.shape for a in given))
    share, Q, *rest = (np.broadcast_to(a, shape).ravel() for a in given)
    Q = np.clip(Q, -_LARGEST_Q, _LARGEST_Q)
    shapes = (Q, *(np.clip(a, _SMALLEST_P, _LARGEST_P) for a in rest))
    with np.errstate(all="ignore"):
        inside = (share > 0) & (share < 1)
        safe = np.where(inside, share, 0.5)
        w = start_quantile(safe, Q, np.exp(shapes[1]) if rest else None)
        low = safe < 0.5
        target = np.where(low, np.log(safe), np.log1p(-safe))
        for _ in range(4):
            tail = np.where(low, log_lower(w, *shapes), log_upper(w, *shapes))
            step = (tail - target) * np.exp(tail - log_density(w, *shapes))
            w = w - np.where(np.isfinite(step), np.where(low, step, -step), 0.0)
    ends = np.where(share <= 0, -np.inf, np.where(share >= 1, np.inf, np.nan))
    return np.where(inside, w, ends).reshape(shape)


def _evaluate(core: Any, name: str, *arguments: Array) -> Array:
    """A core function of flat arrays, for arrays, jets or tensors of any shape."""
    given = tuple(a for a in arguments if a is not None)
    if any(isinstance(a, xp.Symbol) for a in given):
        from bayesmix.arrays.generalized_f.pytensor import elementwise

        return xp.symbolic(lambda _pt, *v: elementwise(name, v), *given)
    shape = np.broadcast_shapes(*(np.shape(a) for a in given))
    count = next((len(a.first) for a in given if isinstance(a, Jet)), 0)
    if 0 in shape:
        return fit(np.empty(shape), shape, count) if count else np.empty(shape)
    flat = [_flat(a, shape, count) for a in given]
    with np.errstate(all="ignore"):
        parts = [_block(core, flat, start) for start in range(0, math.prod(shape), _ROWS)]
    return by_parts(
        lambda *x: np.concatenate(x, axis=-1).reshape((*x[0].shape[:-1], *shape))[()], *parts
    )


def _flat(a: Array, shape: tuple[int, ...], count: int) -> Array:
    """An array or Jet with the broadcast shape made flat."""
    jet = isinstance(a, Jet)
    wide = fit(a, shape, count) if jet else np.broadcast_to(np.asarray(a, dtype=float), shape)
    return by_parts(lambda x: x.reshape(*x.shape[: x.ndim - len(shape)], -1), wide)


def _block(core: Any, flat: list[Array], start: int) -> Array:
    """Some rows, as a Jet where an argument is one."""
    part = [by_parts(lambda x: x[..., start : start + _ROWS], a) for a in flat]
    if not any(isinstance(a, Jet) for a in part):
        return _in_range(core, 0, *part)
    return compose(_in_range(core, 2, *map(xp.value_of, part)), tuple(part))


def _in_range(core: Any, order: int, w: np.ndarray, Q: np.ndarray, *p: np.ndarray) -> Any:
    w, Q = np.clip(w, -_LARGEST_W, _LARGEST_W), np.clip(Q, -_LARGEST_Q, _LARGEST_Q)
    return core(w, Q, np.clip(p[0], _SMALLEST_P, _LARGEST_P) if p else None, order)


def _density(w: np.ndarray, Q: np.ndarray, p: np.ndarray | None, order: int) -> Any:
    at = deviance(w, Q, None if p is None else np.exp(p), order)
    return constant(Q, p, order) - (at.jet() if order else at.value) - HALF_LOG_2PI


def _upper(w: np.ndarray, Q: np.ndarray, p: np.ndarray | None, order: int) -> Any:
    """The tail on the falling side, or one minus the other tail."""
    up = rises(w, Q, None if p is None else np.exp(p))

    def part(rows: np.ndarray, sign: float) -> Any:
        tail = _tail(sign * w[rows], sign * Q[rows], None if p is None else p[rows], order)
        if sign > 0:
            return tail
        return xp.log1mexp(flip(tail, -1.0, (0, 1)) if order else tail)

    return _by_rows(up, lambda rows: part(rows, 1.0), lambda rows: part(rows, -1.0))


def _tail(w: np.ndarray, Q: np.ndarray, p: np.ndarray | None, order: int) -> Any:
    """The upper tail: a slow one up to its cliff, or a falling one."""

    def part(function: Any) -> Any:
        return lambda rows: function(w[rows], Q[rows], None if p is None else p[rows], order)

    slow = inverse_shapes(Q, None if p is None else np.exp(p))[1] > 1
    return _by_rows(slow, part(_slow), part(falling_tail))


def _slow(w: np.ndarray, Q: np.ndarray, p: np.ndarray | None, order: int) -> Any:
    if order == 0:
        return slow_tail(w, Q, None if p is None else np.exp(p), p)
    given: Any = xp.jets(w, *once(Q, p))
    return slow_tail(*given[:2], *((None, None) if p is None else (xp.exp(given[2]), given[2])))


def _by_rows(where: np.ndarray, yes: Any, no: Any) -> Any:
    """Arrays or Jets of two functions, each called with the rows where it is meant."""
    if where.all():
        return yes(slice(None))
    if not where.any():
        return no(slice(None))
    return by_parts(partial(_merge, where), yes(where), no(~where))


def _merge(where: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty((*a.shape[:-1], len(where)))
    out[..., where], out[..., ~where] = a, b
    return out
