"""Families of times whose transform x has a known distribution.

A family says once how x and log |dx / dt| come from the time and the linear predictors, as the
line of its `TimesKernel`.  Compiled code takes it from there.  Here it is evaluated on whatever
arrays there are, and on NumPy's with its derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import mirrored
from bayesmix.arrays.generalized_f import log_density, log_lower, log_upper
from bayesmix.families.by_term import LATER, OPS, later
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.kernel import TimesKernel
from bayesmix.families.links import HALF_LOG_2PI, Linked
from bayesmix.families.survival import late
from bayesmix.families.survival.base import (
    Array,
    Instant,
    Survival,
    event_term,
    log1mexp_exp,
    minus_exp,
)
from bayesmix.families.survival.derivatives import (
    Along,
    extreme,
    logistic,
    normal,
)


class Distribution(NamedTuple):
    """The distribution of x, over `bayesmix.arrays`.

    ``logpdf(x, rest)`` is the log density of the time, with the log of dx / dt as `rest`;
    ``slopes(x, event)`` gives the log density of x, or its log survival where `event` is 0, with
    two derivatives.  ``hazard(x)`` is its log hazard, and ``stay(a, b, gap, log_gap)`` the log
    probability of b > a given a, with b - a, which a and b may have lost, and its logarithm.
    """

    logpdf: Callable[..., Array]
    logsf: Callable[..., Array]
    logcdf: Callable[..., Array]
    slopes: Callable[[np.ndarray, np.ndarray], Along] | None = None
    hazard: Callable[[Array], Array] | None = None
    stay: Callable[[Array, Array, Array, Array], Array] | None = None


def _extreme_stay(a: Array, _b: Array, gap: Array, log_gap: Array) -> Array:
    return minus_exp(a + log_gap + xp.log_exprel(gap))


def _logistic_stay(a: Array, _b: Array, gap: Array, log_gap: Array) -> Array:
    return -xp.softplus(log_gap + xp.log_exprel(gap) - xp.softplus(-a))


def _normal_stay(a: Array, b: Array, gap: Array, _log_gap: Array) -> Array:
    """In the upper tail by log hazards, without the squares of a and b."""
    tail = a > 0
    near = xp.log_ndtr(xp.where(tail, 0.0, -b)) - xp.log_ndtr(xp.where(tail, 0.0, -a))
    a, b = xp.where(tail, a, 1.0), xp.where(tail, b, 1.0)
    far = xp.log_mills(-a) - xp.log_mills(-b) - 0.5 * gap * (a + b)
    return xp.where(tail, far, near)


DISTRIBUTIONS = {
    "extreme": Distribution(
        lambda x, rest: event_term(rest + x, x),
        minus_exp,
        log1mexp_exp,
        extreme,
        lambda x: x,
        _extreme_stay,
    ),
    "logistic": Distribution(
        lambda x, rest: rest - xp.softplus(x) - xp.softplus(-x),
        lambda x: -xp.softplus(x),
        lambda x: -xp.softplus(-x),
        logistic,
        lambda x: -xp.softplus(-x),
        _logistic_stay,
    ),
    "normal": Distribution(
        lambda x, rest: rest - 0.5 * x * x - HALF_LOG_2PI,
        lambda x: xp.log_ndtr(-x),
        xp.log_ndtr,
        normal,
        lambda x: xp.log_mills(-x),
        _normal_stay,
    ),
    # Of x with the shapes Q and log P.
    "generalized F": Distribution(
        lambda x, Q, p, rest: log_density(x, Q, p) + rest, log_upper, log_lower
    ),
}


def law(line: Callable[..., tuple[tuple[Any, ...], Array]], along: str, **more: Any) -> Survival:
    """The distribution of times from that of x.

    Parameters
    ----------
    line : callable
        ``line(at, *linked)``: x, with its shapes if it has some, and the log of dx / dt.
    along : str
        One of `DISTRIBUTIONS`.
    **more
        Other fields of `Survival`.
    """
    tails = (partial(_tail, line, along, side) for side in ("logsf", "logcdf"))
    return Survival(partial(_density, line, along), next(tails), logcdf=next(tails), **more)


def _density(line: Any, along: str, at: Instant, *linked: Linked) -> Array:
    x, rest = line(at, *linked)
    return DISTRIBUTIONS[along].logpdf(*x, rest)


def _tail(line: Any, along: str, side: str, at: Instant, *linked: Linked) -> Array:
    return getattr(DISTRIBUTIONS[along], side)(*line(at, *linked)[0])


def transformed(
    kernel: TimesKernel,
    quantile: Callable[..., np.ndarray],
    never: Callable[..., np.ndarray] | None = None,
) -> Survival:
    """Everything about such times that follows from x."""
    values, slopes = kernel.make_line(LATER), kernel.make_line(OPS)
    beyond = late.SINCE[kernel.along](late.OPS)

    def evaluated(line: Any, t: Any, log_t: Any, etas: list[Any]) -> tuple[Any, ...]:
        """The twelve numbers of a line; a parameter that the family lacks is zero."""
        return line(t, log_t, *etas, *[0.0] * (2 - len(etas)))

    def line(at: Instant, *linked: Linked) -> tuple[tuple[Array], Array]:
        parts = evaluated(values, later(at.t), later(at.log), [later(v.eta) for v in linked])
        return (parts[0].value,), parts[6].value

    def closed_form(
        at: Instant, event: np.ndarray, *linked: Linked, entry: Instant | None = None
    ) -> Derivatives:
        etas, p = [v.eta for v in linked], len(linked)
        parts = evaluated(slopes, at.t, at.log, etas)
        if entry is not None:
            start = evaluated(slopes, entry.t, entry.log, etas)[:6]
            return _late(beyond, start, parts, np.log(_log_ratio(entry, at)) + at.log, event, p)
        x, rest = (
            (some[0], some[1 : 1 + p], (some[3:4], some[4:])[:p]) for some in (parts[:6], parts[6:])
        )
        return chain(kernel.along, x, rest, event)

    more: dict[str, Any] = {"quantile": quantile, "never": never, "kernel": kernel}
    more["closed_form"] = closed_form
    if kernel.straight:
        more["since"] = partial(_since, line, kernel.along)
    return law(line, kernel.along, **more)


def _since(
    line: Any, along: str, entry: Instant, at: Instant, *linked: Linked
) -> tuple[Array, Array]:
    """The log hazard at a time, and log S(t) - log S(entry), where x is linear in log t."""
    law = DISTRIBUTIONS[along]
    assert law.hazard is not None
    assert law.stay is not None
    ((a,), _), ((b,), rest) = line(entry, *linked), line(at, *linked)
    log_gap = rest + at.log + xp.log(_log_ratio(entry, at))
    return law.hazard(b) + rest, law.stay(a, b, xp.exp(log_gap), log_gap)


def _log_ratio(entry: Instant, at: Instant) -> Array:
    """log(t / entry), also where they are close."""
    return xp.log1p((at.t - entry.t) / entry.t)


def _late(
    beyond: late.Since, start: late.Jet, parts: late.Jet, log_t: Array, event: np.ndarray, p: int
) -> Derivatives:
    """Of n times beyond their entries, from x at both and its slope in log t."""
    rest = parts[6:]
    hazard, stayed = beyond(start, parts[:6], (rest[0] + log_t, *rest[1:]))
    both = [
        s + np.where(event > 0, h + r, 0.0) for s, h, r in zip(stayed, hazard, rest, strict=True)
    ]
    return Derivatives(both[0], tuple(both[1 : 1 + p]), mirrored([both[3:4], both[4:]][:p]))


# A value, its slopes in p linear predictors, and the bends, row by row to the diagonal.
Known = tuple[Any, Sequence[Any], Sequence[Sequence[Any]]]


def chain(along: str, x: Known, rest: Known, event: np.ndarray) -> Derivatives:
    """The chain rule: the distribution at x, and `rest` where there was an event."""
    slopes = DISTRIBUTIONS[along].slopes
    assert slopes is not None
    value, first, second = slopes(x[0], event)
    size = range(len(x[1]))
    bends = [
        [
            _sum(
                _times(_times(second, x[1][i]), x[1][j]),
                _times(first, x[2][i][j]),
                _times(event, rest[2][i][j]),
            )
            for j in range(i + 1)
        ]
        for i in size
    ]
    return Derivatives(
        value + np.where(event > 0, rest[0], 0.0),
        tuple(_sum(_times(first, x[1][i]), _times(event, rest[1][i])) for i in size),
        mirrored(bends),
    )


# Zeros and ones of a line are plain numbers, and take no time.


def _times(x: Any, y: Any) -> Any:
    plain = isinstance(y, float) and y in (0.0, 1.0)
    return x * y if not plain else x if y else 0.0


def _sum(*terms: Any) -> Any:
    some = [x for x in terms if not (isinstance(x, float) and x == 0.0)]
    return sum(some[1:], some[0]) if some else 0.0
