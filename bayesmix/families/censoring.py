r"""What a time says about a component, however it was observed: the one place.

======================  =============================================
known of the time       its term of the log-likelihood
======================  =============================================
exactly t               log f(t)
above l                 log S(l)
below u                 log F(u)
between l and u         log(F(u) - F(l)) = log S(l) + log(1 - S(u) / S(l))
nothing                 0
======================  =============================================

With a delayed entry, minus log S(entry).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.families.derivatives import Derivatives
from bayesmix.links import LINKS, Linked
from bayesmix.times import KINDS, Times, which

__all__ = [
    "Instant",
    "Survival",
    "contributions",
    "derivatives",
    "event_term",
    "log1mexp_exp",
    "minus_exp",
]

Array = Any
Rows = slice | np.ndarray

# Beyond e^600 a cumulative hazard is infinite: its derivatives would overflow soon.
LARGEST = 600.0
# Relative width below which the hazard's integral over an interval is its quadrature:
# the difference of two cumulative hazards would lose as many digits.
NARROW = 1e-4
_NODES = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3.0)  # Gauss-Legendre on (0, 1)


class Instant(NamedTuple):
    """Positive times and their logarithms, each of shape (n,)."""

    t: np.ndarray
    log: np.ndarray


class Survival(NamedTuple):
    """A distribution of times to an event, as functions of `Linked` parameters.

    Parameters
    ----------
    logpdf, logsf : callable
        ``logpdf(at, *linked)``: log density at an `Instant`, and log survival
        function, over `bayesmix.arrays`; parameters in the family's order.
    quantile : callable, optional
        ``quantile(p, **natural)``: the time that a share p does not exceed; inf
        where a share of less than p ever has the event.
    logcdf : callable, optional
        Log distribution function, where log(1 - S) is not accurate enough.
    never : callable, optional
        ``never(**natural)``: the share that never has the event; zero if not given.
    closed_form : callable, optional
        ``closed_form(at, event, *linked)``: `Derivatives` of log f where `event`
        is 1 and of log S where it is 0; `event` has shape (n,) or ().
    """

    logpdf: Callable[..., Array]
    logsf: Callable[..., Array]
    quantile: Callable[..., np.ndarray] | None = None
    logcdf: Callable[..., Array] | None = None
    never: Callable[..., np.ndarray] | None = None
    closed_form: Callable[..., Derivatives] | None = None

    def log_distribution(self, at: Instant, *linked: Linked) -> Array:
        """Log of the distribution function."""
        if self.logcdf is not None:
            return self.logcdf(at, *linked)
        return xp.log1mexp(self.logsf(at, *linked))


def minus_exp(x: Array) -> Array:
    """-exp(x); -inf where that is beyond -exp(600)."""
    far = x > LARGEST
    return xp.where(far, -np.inf, -xp.exp(xp.where(far, 0.0, x)))


def event_term(log_hazard: Array, x: Array) -> Array:
    """Log density: the log hazard - exp(x); -inf as `minus_exp`."""
    far = x > LARGEST
    return xp.where(far, -np.inf, log_hazard - xp.exp(xp.where(far, 0.0, x)))


# log(1 - exp(-exp(x))): the log distribution function at a log cumulative hazard of x.
log1mexp_exp = LINKS["cloglog"].log_inverse


# --- one kind of observation ---------------------------------------------------------------


def _exact(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.logpdf(Instant(times.lower, times.log_lower), *linked)


def _right(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.logsf(Instant(times.lower, times.log_lower), *linked)


def _left(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.log_distribution(Instant(times.upper, times.log_upper), *linked)


def _entry(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.logsf(Instant(times.entry, times.log_entry), *linked)


def _interval(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    lower = _right(survival, times, linked)
    upper = survival.logsf(Instant(times.upper, times.log_upper), *linked)
    there = lower > -np.inf
    # The ratio of the two is zero from e^-800 on, whatever its slope.
    ratio = xp.clip(xp.where(there, upper - lower, -1.0), -800.0, 0.0)
    return xp.where(there, lower + xp.log1mexp(ratio), -np.inf)


def _narrow(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    """An interval in which the cumulative hazard hardly grows: the hazard's quadrature."""
    lower = _right(survival, times, linked)
    width = times.upper - times.lower
    hazards = []
    for node in _NODES:
        t = times.lower + node * width
        at = Instant(t, times.log_lower + np.log1p(node * width / times.lower))
        logsf = survival.logsf(at, *linked)
        there = logsf > -np.inf
        logpdf = survival.logpdf(at, *linked)
        hazards.append(xp.where(there, logpdf - xp.where(there, logsf, 0.0), -np.inf))
    there = (hazards[0] > -np.inf) & (hazards[1] > -np.inf) & (lower > -np.inf)
    first, second = (xp.where(there, h, 0.0) for h in hazards)
    growth = xp.logaddexp(first, second) + np.log(0.5 * width)
    return xp.where(there, lower + log1mexp_exp(growth), -np.inf)


_TERMS: dict[str, Callable[[Survival, Times, tuple[Linked, ...]], Array]] = {
    "exact": _exact,
    "right": _right,
    "left": _left,
    "interval": _interval,
    "narrow": _narrow,
}


def _pieces(times: Times) -> Iterator[tuple[str, Rows]]:
    """The terms that occur, each with its rows."""
    for kind, rows in times.kinds():
        if kind != "interval":
            yield kind, rows
            continue
        narrow = times.log_upper[rows] - times.log_lower[rows] < NARROW
        if not narrow.any():
            yield kind, rows
            continue
        index = np.arange(len(times))[rows]
        for term, chosen in (("narrow", index[narrow]), ("interval", index[~narrow])):
            if len(chosen):
                yield term, chosen


# --- all rows ------------------------------------------------------------------------------


def contributions(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    """Term of the log-likelihood of each of n times.

    Parameters
    ----------
    survival : Survival
    times : Times
    linked : tuple of Linked
        Linear predictors that broadcast to (..., n): NumPy arrays or PyTensor variables.

    Returns
    -------
    ndarray or TensorVariable, shape (..., n)
    """
    parts = [
        (rows, _TERMS[kind](survival, times.take(rows), _some(linked, rows)))
        for kind, rows in _pieces(times)
    ]
    value = _join(parts, linked, len(times))
    entered = which(times.entry > 0)
    if entered is None:
        return value
    entry = _entry(survival, times.take(entered), _some(linked, entered))
    entry = _join([(entered, entry)], linked, len(times))
    # Nobody could have entered: the time cannot have been seen.
    there = entry > -np.inf
    return xp.where(there, value - xp.where(there, entry, 0.0), -np.inf)


def _some(linked: tuple[Linked, ...], rows: Rows) -> tuple[Linked, ...]:
    """Parameters of some rows; those that are the same for all rows stay."""
    if isinstance(rows, slice):
        return linked
    return tuple(Linked(v.link, v.eta[..., rows] if _by_row(v.eta) else v.eta) for v in linked)


def _by_row(eta: Array) -> bool:
    if xp.is_tensor(eta):
        return not eta.type.broadcastable[-1]
    return np.ndim(eta) > 0 and np.shape(eta)[-1] != 1


def _join(parts: list[tuple[Rows, Array]], linked: tuple[Linked, ...], n: int) -> Array:
    """Values of some rows each as one array of all n, zero where no part has a row."""
    if len(parts) == 1 and isinstance(parts[0][0], slice):
        return parts[0][1]
    if any(xp.is_tensor(v.eta) for v in linked):
        return _join_tensors(parts, linked, n)
    lead = np.broadcast_shapes(*(np.shape(v.eta)[:-1] for v in linked), ())
    out = np.zeros((*lead, n))
    for rows, value in parts:
        out[..., rows] = value
    return out


def _join_tensors(parts: list[tuple[Rows, Array]], linked: tuple[Linked, ...], n: int) -> Array:
    import pytensor.tensor as pt

    # A row of zeros of the parameters' leading shape, and a place in it for rows without a part.
    zero = sum(pt.zeros_like(v.eta[..., :1]) for v in linked)
    place = np.zeros(n, dtype=np.int64)
    columns, used = [zero], 1
    for rows, value in parts:
        index = np.arange(n)[rows]
        place[index] = used + np.arange(len(index))
        columns.append(value + zero)
        used += len(index)
    return pt.concatenate(columns, axis=-1)[..., place]


# --- derivatives ---------------------------------------------------------------------------


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
    parts: list[tuple[Rows, Derivatives]] = []
    terms = dict(_pieces(times))
    if form is not None and (points := _points(times)) is not None:
        some = times.take(points)
        event = (some.code == KINDS.index("exact")).astype(float)
        at = Instant(some.lower, some.log_lower)
        parts.append((points, form(at, event, *_some(linked, points))))
        terms = {kind: rows for kind, rows in terms.items() if kind not in ("exact", "right")}
    for kind, rows in terms.items():
        parts.append((rows, _automatic(_TERMS[kind], survival, times.take(rows), linked, rows)))
    d = _join_derivatives(parts, linked, len(times))
    entered = which(times.entry > 0)
    if entered is not None:
        d = _enter(d, survival, times.take(entered), linked, entered, form, len(times))
    return _finite(d)


def _points(times: Times) -> Rows | None:
    """Rows known exactly or right-censored: a hazard for some, a cumulative hazard for all."""
    return which(times.code <= KINDS.index("right"))


def _automatic(
    term: Callable[..., Array],
    survival: Survival,
    times: Times,
    linked: tuple[Linked, ...],
    rows: Rows,
) -> Derivatives:
    """Derivatives of a term for some rows, by automatic differentiation."""
    some = _some(linked, rows)
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
        return _join(list(zip(places, values, strict=True)), linked, n)

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
        entry = _automatic(_entry, survival, times, linked, rows)
    else:
        at = Instant(times.entry, times.log_entry)
        entry = form(at, np.zeros(len(times)), *_some(linked, rows))
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
