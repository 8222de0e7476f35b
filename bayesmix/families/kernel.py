"""What a family gives the compiled kernels: one scalar function of a row.

No numba here: the kernels compile the function when they first use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["KernelFamily", "Line", "Term", "TimesKernel"]

Term = Callable[..., tuple[float, ...]]
Line = Callable[[float, float, float, float], tuple[float, float, float, float, float, float]]


@dataclass(frozen=True)
class KernelFamily:
    """A family as the kernels see it.

    Parameters
    ----------
    name : str
        Part of the cache's file name.
    make_term : callable
        ``make_term(ops)`` returns ``term(y, aux, const, eta, dispersion)``, scalars in, and out:
        ``logf, d1, w`` (log density, d logf / d eta, -d2 logf / d eta2); with a dispersion also
        ``statistic, d_disp, h_disp, h_cross``: what the M step sums, then with
        t = log(dispersion): d logf / dt, -d2 logf / dt2 and -d2 logf / (d eta dt).
    dispersion : bool
        Whether there is a dispersion parameter (positive).
    aux : bool
        Whether a second number per row (the trials) is needed.

    Notes
    -----
    `ops` has ``exp, log, log1p`` (the last for arguments >= 0) that vectorise; a term may use
    these, arithmetic and conditional expressions.  Its derivatives may only be infinite or NaN
    where logf is -inf.  Its compiled form is kept on disk if `make_term` is a module's function
    without defaults or a closure.
    """

    name: str
    make_term: Callable[[Any], Term]
    dispersion: bool = False
    aux: bool = False


@dataclass(frozen=True)
class TimesKernel:
    """A family of times as the kernels see it: a number x of the time whose distribution is known.

    Parameters
    ----------
    name : str
        Part of the cache's file name.
    make_line : callable
        ``make_line(ops)`` returns ``line(t, log_t, first, second)``, of a time, its logarithm
        and the linear predictors of the family's parameters in their order (what it does not
        have is any number).  It gives x with its derivatives in the two, then log |dx / dt| with
        its two.
    along : str
        The distribution of x: "extreme" (x is the log cumulative hazard), "logistic" (the log
        odds of an event by t) or "normal" (the normal quantile of the distribution function).

    Notes
    -----
    `ops` has ``exp, log, log1p`` as for `KernelFamily`, ``log_exprel`` with its derivative, and
    ``clip``, which keeps x finite.  `make_line` is kept on disk as there.
    """

    name: str
    make_line: Callable[[Any], Line]
    along: str
