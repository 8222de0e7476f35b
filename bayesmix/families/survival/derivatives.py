"""Derivatives of what times say about a component, in its linear predictors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from bayesmix.arrays.autodiff import mirrored
from bayesmix.arrays.special import mills, mills_excess, softplus
from bayesmix.families.derivatives import Derivatives, automatic, finite
from bayesmix.families.kernel import Line
from bayesmix.families.links import HALF_LOG_2PI as HALF_LOG_2PI
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import (
    LARGEST,
    LATE,
    TERMS,
    Instant,
    Rows,
    Survival,
    apart,
    at_once,
    entry_term,
    join,
    pieces,
    some_rows,
)
from bayesmix.formula.times import RIGHT, Times, which


def derivatives(
    survival: Survival, times: Times, linked: tuple[Linked, ...], *, closed: bool = True
) -> Derivatives:
    """The terms of the log-likelihood with their derivatives in the linear predictors.

    Parameters
    ----------
    survival : Survival
    times : Times
    linked : tuple of Linked
        p linear predictors, ndarrays that broadcast to (..., n).
    closed : bool
        Use closed forms where the family has them.

    Returns
    -------
    Derivatives
        Zero where the term is -inf.
    """
    form = survival.closed_form if closed else None
    if form is not None and isinstance(times.points, slice) and times.entered is None:
        # A sampler's case: nothing to put together.
        return finite(form(Instant(times.lower, times.log_lower), times.event, *linked))
    parts: list[tuple[Rows, Derivatives]] = []
    terms = dict(pieces(survival, times))
    if form is not None:
        # A hazard for some, a cumulative hazard for all.
        terms = {kind: rows for kind, rows in terms.items() if kind not in _CLOSED}
        parts += _points(survival, form, times, linked)
    for kind, rows in terms.items():
        some = times.take(rows)
        term = partial(TERMS[kind], survival, some)
        parts.append((rows, automatic(term, some_rows(linked, rows), len(some))))
    d = join_derivatives(parts, linked, len(times))
    if (entered := apart(survival, times)) is None:
        return finite(d)
    late, own = times.take(entered), some_rows(linked, entered)
    if form is None:
        entry = automatic(partial(entry_term, survival, late), own, len(late))
    else:
        entry = form(Instant(late.entry, late.log_entry), np.zeros(len(late)), *own)
    entry = finite(join_derivatives([(entered, entry)], linked, len(times)))
    logf = np.where(entry.logf > -np.inf, d.logf - entry.logf, -np.inf)
    return finite(d.map(np.subtract, entry)._replace(logf=logf))


_CLOSED = ("exact", "right", *LATE)


def _points(
    survival: Survival, form: Callable[..., Derivatives], times: Times, linked: tuple[Linked, ...]
) -> Iterator[tuple[Rows, Derivatives]]:
    """Times known exactly or right-censored, without a background, by closed forms."""
    late = at_once(survival, times)
    points = (times.code <= RIGHT) & ~times.exposed
    if (rows := which(points & ~late)) is not None:
        some = times.take(rows)
        at = Instant(some.lower, some.log_lower)
        yield rows, form(at, some.event, *some_rows(linked, rows))
    if (rows := which(points & late)) is not None:
        some = times.take(rows)
        at, entry = Instant(some.lower, some.log_lower), Instant(some.entry, some.log_entry)
        yield rows, form(at, some.event, *some_rows(linked, rows), entry=entry)


def join_derivatives(
    parts: list[tuple[Rows, Derivatives]], linked: tuple[Linked, ...], n: int
) -> Derivatives:
    """Derivatives of some rows each as those of all n, zero where no part has a row."""
    if len(parts) == 1 and isinstance(parts[0][0], slice):
        return parts[0][1]
    p = len(linked)

    def joined(values: list[np.ndarray]) -> np.ndarray:
        return join(list(zip(places, values, strict=True)), linked, n)

    places, ds = [rows for rows, _ in parts], [d for _, d in parts]
    return Derivatives(
        joined([d.logf for d in ds]),
        tuple(joined([d.first[i] for d in ds]) for i in range(p)),
        mirrored([[joined([d.second[i][j] for d in ds]) for j in range(i + 1)] for i in range(p)]),
    )


Along = tuple[np.ndarray, np.ndarray, np.ndarray]


def cumulative(x: np.ndarray) -> np.ndarray:
    """exp(x), infinite from where `minus_exp` is."""
    hazard = np.exp(x)
    far = x > LARGEST
    return np.where(far, np.inf, hazard) if far.any() else hazard


def extreme(x: np.ndarray, event: np.ndarray) -> Along:
    """X the log cumulative hazard."""
    hazard = cumulative(x)
    return event * x - hazard, event - hazard, -hazard


def logistic(x: np.ndarray, event: np.ndarray) -> Along:
    """X the log odds."""
    up, down = special.expit(x), special.expit(-x)
    value = -softplus(x) - event * softplus(-x)
    return value, event * down - up, -(1 + event) * up * down


def normal(x: np.ndarray, event: np.ndarray) -> Along:
    """X the normal quantile of the distribution function."""
    value, first, second = -0.5 * x * x - HALF_LOG_2PI, -x, np.full_like(x, -1.0)
    censored = np.flatnonzero(event == 0)
    if len(censored):
        minus = -x[..., censored]
        ratio = mills(minus)
        value[..., censored] = special.log_ndtr(minus)
        first[..., censored] = -ratio
        second[..., censored] = -ratio * mills_excess(minus, ratio)
    return value, first, second


def scaled_line(ops: Any) -> Line:
    """Give x = shape log(t / scale) to the kernels; see `families.kernel.TimesKernel`."""
    exp, clip = ops.exp, ops.clip

    def line(_t: float, log_t: float, scale: float, shape: float) -> tuple[float, ...]:
        a = exp(shape)
        x = clip(a * (log_t - scale))
        return x, -a, x, 0.0, -a, x, shape - log_t, 0.0, 1.0, 0.0, 0.0, 0.0

    return line
