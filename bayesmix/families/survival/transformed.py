"""Families of times whose transform x has a known distribution.

A family says once how x and log |dx / dt| come from the time and the linear predictors, as the
line of its `TimesKernel`.  Compiled code takes it from there.  Here it is evaluated on whatever
arrays there are, and on NumPy's with its derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.special import log_exprel_parts
from bayesmix.families.derivatives import Derivatives, mirrored
from bayesmix.families.kernel import TimesKernel
from bayesmix.families.links import HALF_LOG_2PI, Linked
from bayesmix.families.survival.base import (
    Array,
    Instant,
    Survival,
    event_term,
    log1mexp_exp,
    minus_exp,
)
from bayesmix.families.survival.derivatives import (
    HUGE,
    Along,
    extreme,
    logistic,
    normal,
)


class Distribution(NamedTuple):
    """The distribution of x, over `bayesmix.arrays`.

    ``logpdf(x, rest)`` is the log density of the time, with the log of dx / dt as `rest`;
    ``slopes(x, event)`` gives the log density of x, or its log survival where `event` is 0, with
    two derivatives.
    """

    logpdf: Callable[[Array, Array], Array]
    logsf: Callable[[Array], Array]
    logcdf: Callable[[Array], Array]
    slopes: Callable[[np.ndarray, np.ndarray], Along]


DISTRIBUTIONS = {
    "extreme": Distribution(
        lambda x, rest: event_term(rest + x, x), minus_exp, log1mexp_exp, extreme
    ),
    "logistic": Distribution(
        lambda x, rest: rest - xp.softplus(x) - xp.softplus(-x),
        lambda x: -xp.softplus(x),
        lambda x: -xp.softplus(-x),
        logistic,
    ),
    "normal": Distribution(
        lambda x, rest: rest - 0.5 * x * x - HALF_LOG_2PI,
        lambda x: xp.log_ndtr(-x),
        xp.log_ndtr,
        normal,
    ),
}

# What a line is made with: values alone over `bayesmix.arrays`, or NumPy arrays with derivatives.
_VALUES = SimpleNamespace(
    exp=xp.exp, clip=lambda x: x, log_exprel=lambda u: (xp.log_exprel(u), 0.0, 0.0)
)
_SLOPES = SimpleNamespace(
    exp=np.exp,
    clip=lambda x: np.maximum(np.minimum(x, HUGE), -HUGE),
    log_exprel=log_exprel_parts,
)


def transformed(
    kernel: TimesKernel,
    quantile: Callable[..., np.ndarray],
    never: Callable[..., np.ndarray] | None = None,
) -> Survival:
    """Everything about such times that follows from x."""
    distribution = DISTRIBUTIONS[kernel.along]
    values, slopes = kernel.make_line(_VALUES), kernel.make_line(_SLOPES)

    def logpdf(at: Instant, *linked: Linked) -> Array:
        parts = _parts(values, at, linked)
        return distribution.logpdf(parts[0], parts[6])

    def logsf(at: Instant, *linked: Linked) -> Array:
        return distribution.logsf(_parts(values, at, linked)[0])

    def logcdf(at: Instant, *linked: Linked) -> Array:
        return distribution.logcdf(_parts(values, at, linked)[0])

    def closed_form(at: Instant, event: np.ndarray, *linked: Linked) -> Derivatives:
        parts = _parts(slopes, at, linked)
        along = distribution.slopes(parts[0], event)
        return _chain(along, parts[:6], parts[6:], event, len(linked))

    return Survival(logpdf, logsf, quantile, logcdf, never, closed_form, kernel)


def _parts(line: Any, at: Instant, linked: tuple[Linked, ...]) -> tuple[Any, ...]:
    """The twelve numbers of a line; a parameter that the family lacks is zero."""
    etas = [v.eta for v in linked]
    return line(at.t, at.log, *etas, *[0.0] * (2 - len(etas)))


def _chain(
    along: Along, x: tuple[Any, ...], rest: tuple[Any, ...], event: np.ndarray, count: int
) -> Derivatives:
    """The chain rule: `along` at x, and `rest` where there was an event."""
    value, first, second = along
    bends: list[list[np.ndarray]] = [[], []]
    for at, (i, j) in ((3, (0, 0)), (4, (1, 0)), (5, (1, 1)))[: 2 * count - 1]:
        bend = _times(_times(second, x[1 + i]), x[1 + j])
        bends[i].append(_sum(bend, _times(first, x[at]), _times(event, rest[at])))
    return Derivatives(
        value + event * rest[0],
        tuple(_sum(_times(first, x[1 + i]), _times(event, rest[1 + i])) for i in range(count)),
        mirrored(bends[:count]),
    )


# Zeros and ones of a line are plain numbers, and take no time.


def _times(x: Any, y: Any) -> Any:
    plain = isinstance(y, float) and y in (0.0, 1.0)
    return x * y if not plain else x if y else 0.0


def _sum(*terms: Any) -> Any:
    some = [x for x in terms if not (isinstance(x, float) and x == 0.0)]
    return sum(some[1:], some[0]) if some else 0.0
