"""Derivatives of what times say about a component, in its linear predictors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayesmix import arrays as xp
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import (
    TERMS,
    Array,
    Instant,
    Rows,
    Survival,
    entry_term,
    join,
    pieces,
    some_rows,
)
from bayesmix.formula.times import Times

__all__ = ["derivatives"]


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
        return _finite(form(Instant(times.lower, times.log_lower), times.event, *linked))
    parts: list[tuple[Rows, Derivatives]] = []
    terms = dict(pieces(times))
    if form is not None and (points := times.points) is not None:
        # A hazard for some, a cumulative hazard for all.
        some = times.take(points)
        at = Instant(some.lower, some.log_lower)
        parts.append((points, form(at, some.event, *some_rows(linked, points))))
        terms = {kind: rows for kind, rows in terms.items() if kind not in ("exact", "right")}
    for kind, rows in terms.items():
        parts.append((rows, _automatic(TERMS[kind], survival, times.take(rows), linked, rows)))
    d = _join_derivatives(parts, linked, len(times))
    if (entered := times.entered) is not None:
        d = _enter(d, survival, times.take(entered), linked, entered, form, len(times))
    return _finite(d)


def _automatic(
    term: Callable[..., Array],
    survival: Survival,
    times: Times,
    linked: tuple[Linked, ...],
    rows: Rows,
) -> Derivatives:
    """Derivatives of a term for some rows, by automatic differentiation."""
    some = some_rows(linked, rows)
    if not some:
        return Derivatives(np.asarray(term(survival, times, some)), (), ())
    shape = np.broadcast_shapes((len(times),), *(np.shape(v.eta) for v in some))
    variables = xp.jets(*(np.broadcast_to(v.eta, shape) for v in some))
    jet = term(
        survival, times, tuple(Linked(v.link, x) for v, x in zip(some, variables, strict=True))
    )
    if not isinstance(jet, xp.Jet):  # no parameter is in it
        jet = jet + 0.0 * variables[0]
    return Derivatives(jet.value, tuple(jet.first), tuple(tuple(row) for row in jet.second))


def _join_derivatives(
    parts: list[tuple[Rows, Derivatives]], linked: tuple[Linked, ...], n: int
) -> Derivatives:
    if len(parts) == 1 and isinstance(parts[0][0], slice):
        return parts[0][1]
    p = len(linked)

    def joined(values: list[np.ndarray]) -> np.ndarray:
        return join(list(zip(places, values, strict=True)), linked, n)

    places, ds = [rows for rows, _ in parts], [d for _, d in parts]
    lower = [[joined([d.second[i][j] for d in ds]) for j in range(i + 1)] for i in range(p)]
    return Derivatives(
        joined([d.logf for d in ds]),
        tuple(joined([d.first[i] for d in ds]) for i in range(p)),
        tuple(tuple(lower[max(i, j)][min(i, j)] for j in range(p)) for i in range(p)),
    )


def _enter(
    d: Derivatives,
    survival: Survival,
    times: Times,
    linked: tuple[Linked, ...],
    rows: Rows,
    form: Callable[..., Derivatives] | None,
    n: int,
) -> Derivatives:
    """Subtract log S(entry)."""
    if form is None:
        entry = _automatic(entry_term, survival, times, linked, rows)
    else:
        at = Instant(times.entry, times.log_entry)
        entry = form(at, np.zeros(len(times)), *some_rows(linked, rows))
    entry = _finite(_join_derivatives([(rows, entry)], linked, n))
    logf = np.where(entry.logf > -np.inf, d.logf - entry.logf, -np.inf)
    return Derivatives(
        logf,
        tuple(a - b for a, b in zip(d.first, entry.first, strict=True)),
        tuple(
            tuple(a - b for a, b in zip(u, v, strict=True))
            for u, v in zip(d.second, entry.second, strict=True)
        ),
    )


def _finite(d: Derivatives) -> Derivatives:
    """Zero derivatives where the term is -inf."""
    impossible = d.logf == -np.inf
    if not d.first or not impossible.any():
        return d
    return Derivatives(
        d.logf,
        tuple(np.where(impossible, 0.0, x) for x in d.first),
        tuple(tuple(np.where(impossible, 0.0, x) for x in row) for row in d.second),
    )
