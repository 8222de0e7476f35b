r"""What a time says about a component, however it was observed: the one place.

======================  =============================================
known of the time       its term of the log-likelihood
======================  =============================================
exactly t               log f(t)
exactly t, background   log(f(t) + b S(t))
above l                 log S(l)
below u                 log F(u)
between l and u         log(F(u) - F(l)) = log S(l) + log(1 - S(u) / S(l))
nothing                 0
======================  =============================================

With a delayed entry e, minus log S(e): of times t known exactly or right-censored in one term, if
the family has log S(t) - log S(e) without the two, which may both be huge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.quadrature import halved, legendre
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.interface import FamilyLike
from bayesmix.families.kernel import TimesKernel
from bayesmix.families.links import LINKS, Linked, at_values
from bayesmix.formula.times import EXACT, KINDS, RIGHT, Times, which

Array = Any
Rows = slice | np.ndarray

# Beyond e^600 a cumulative hazard is infinite: its derivatives would overflow soon.
LARGEST = 600.0
# Relative width below which the hazard's integral over an interval is its quadrature:
# the difference of two cumulative hazards would lose as many digits.
NARROW = 1e-4
_NODES = legendre(2)[0]


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
        is 1 and of log S where it is 0; `event` has shape (n,) or ().  With ``entry=``, another
        `Instant`, given survival to it, if there is `since`.
    kernel : TimesKernel, optional
        The same as scalar functions, for compiled code.
    since : callable, optional
        ``since(entry, at, *linked)``: the log hazard at an `Instant`, and the log probability of
        no event between another one and it.
    """

    logpdf: Callable[..., Array]
    logsf: Callable[..., Array]
    quantile: Callable[..., np.ndarray] | None = None
    logcdf: Callable[..., Array] | None = None
    never: Callable[..., np.ndarray] | None = None
    closed_form: Callable[..., Derivatives] | None = None
    kernel: TimesKernel | None = None
    since: Callable[..., tuple[Array, Array]] | None = None

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


def _exposed(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    """An event of the model, or of the background, whose own survival is a constant."""
    own = _exact(survival, times, linked)
    assert times.background is not None
    return xp.logaddexp(own, np.log(times.background) + _right(survival, times, linked))


def _right(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.logsf(Instant(times.lower, times.log_lower), *linked)


def _left(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return survival.log_distribution(Instant(times.upper, times.log_upper), *linked)


def entry_term(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    """Log survival to the delayed entry."""
    return survival.logsf(Instant(times.entry, times.log_entry), *linked)


def _late_right(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    return _since(survival, times, linked)[1]


def _late_exact(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> Array:
    hazard, stayed = _since(survival, times, linked)
    return hazard + stayed


def _since(survival: Survival, times: Times, linked: tuple[Linked, ...]) -> tuple[Array, Array]:
    assert survival.since is not None
    entry, at = Instant(times.entry, times.log_entry), Instant(times.lower, times.log_lower)
    return survival.since(entry, at, *linked)


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
    hazards = []
    for at in nodes(times):
        logsf = survival.logsf(at, *linked)
        there = logsf > -np.inf
        logpdf = survival.logpdf(at, *linked)
        hazards.append(xp.where(there, logpdf - xp.where(there, logsf, 0.0), -np.inf))
    there = (hazards[0] > -np.inf) & (hazards[1] > -np.inf) & (lower > -np.inf)
    first, second = (xp.where(there, h, 0.0) for h in hazards)
    growth = xp.logaddexp(first, second) + np.log(0.5 * (times.upper - times.lower))
    return xp.where(there, lower + log1mexp_exp(growth), -np.inf)


def nodes(times: Times) -> tuple[Instant, ...]:
    """Gauss-Legendre nodes of narrow intervals."""
    width = times.upper - times.lower
    return tuple(
        Instant(times.lower + node * width, times.log_lower + np.log1p(node * width / times.lower))
        for node in _NODES
    )


TERMS: dict[str, Callable[[Survival, Times, tuple[Linked, ...]], Array]] = {
    "exact": _exact,
    "exposed": _exposed,
    "right": _right,
    "left": _left,
    "interval": _interval,
    "narrow": _narrow,
    "late-exact": _late_exact,
    "late-right": _late_right,
}
# What is known of a time and of its delayed entry at once.
LATE = ("late-exact", "late-right")
# Those that kernels have of every family.
COMPILED = tuple(kind for kind in TERMS if kind not in ("exposed", *LATE))


def at_once(survival: Survival, times: Times) -> np.ndarray:
    """Which times (n,) have one term with their delayed entry."""
    late = (times.entry > 0) & (survival.since is not None)
    return late & (times.code <= RIGHT) & ~times.exposed


def apart(survival: Survival, times: Times) -> Rows | None:
    """The rows whose delayed entry is a term of its own; None without any."""
    return (
        times.entered
        if survival.since is None
        else which((times.entry > 0) & ~at_once(survival, times))
    )


def pieces(survival: Survival, times: Times) -> Iterator[tuple[str, Rows]]:
    """The terms that occur, each with its rows."""
    together = at_once(survival, times)
    if together.any():
        for term, code in zip(LATE, (EXACT, RIGHT), strict=True):
            if (late := which(together & (times.code == code))) is not None:
                yield term, late
        others = np.flatnonzero(~together)
        for kind, rows in pieces(survival, times.take(others)):
            yield kind, others[rows]
        return
    yield from _finer(times)


def _finer(times: Times) -> Iterator[tuple[str, Rows]]:
    for kind, rows in times.kinds():
        if kind == "exact" and times.exposed.any():
            yield "exposed", np.flatnonzero(times.exposed)
            own = np.flatnonzero((times.code == EXACT) & ~times.exposed)
            if len(own):
                yield kind, own
            continue
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


class Seen(NamedTuple):
    """How times were observed, as variables of a graph.

    `code` is the place in `KINDS`, `kinds` those that may occur; the fields broadcast to the
    shape of the rows.  `entry` and `background` are None without any.
    """

    code: Array
    lower: Array
    upper: Array
    entry: Array | None
    kinds: tuple[str, ...]
    background: Array | None = None


class _Bounds(NamedTuple):
    """Positive bounds and entries of some kind of observation, with their logarithms."""

    lower: Array
    upper: Array
    log_lower: Array
    log_upper: Array
    entry: Array = None
    log_entry: Array = None
    background: Array = None


def _seen(survival: Survival, seen: Seen, linked: tuple[Linked, ...]) -> Array:
    """The sum of the terms; where a row is of another kind, the term of harmless times is left."""
    value = 0.0 * seen.lower
    together, late = seen.code < 0, False
    entry: Array = 1.0
    if seen.entry is not None:
        late = seen.entry > 0
        entry = xp.where(late, seen.entry, 1.0)
    for kind in seen.kinds:
        here = seen.code == KINDS.index(kind)
        lower = xp.where(here & (seen.lower > 0), seen.lower, 1.0)
        upper = xp.where(here & (seen.upper < np.inf), seen.upper, 2.0)
        bounds: Any = _Bounds(lower, upper, xp.log(lower), xp.log(upper))
        term = TERMS[kind](survival, bounds, linked)
        if seen.entry is not None and survival.since is not None and f"late-{kind}" in LATE:
            since = xp.where(late & here, entry, 0.5 * lower)
            known = bounds._replace(entry=since, log_entry=xp.log(since))
            term = xp.where(late, TERMS[f"late-{kind}"](survival, known, linked), term)
            together = together | here
        if kind == "exact" and seen.background is not None:
            exposed = seen.background > 0
            rate = xp.where(exposed, seen.background, 1.0)
            both = _exposed(survival, bounds._replace(background=rate), linked)
            term = xp.where(exposed, both, term)
            together = together & ~exposed
        if kind == "interval":
            narrow = bounds.log_upper - bounds.log_lower < NARROW
            term = xp.where(narrow, _narrow(survival, bounds, linked), term)
        value = value + xp.where(here, term, 0.0)
    if seen.entry is None:
        return value
    reached = survival.logsf(Instant(entry, xp.log(entry)), *linked)
    return _less(value, xp.where(late & ~together, reached, 0.0))


def _less(value: Array, reached: Array) -> Array:
    """Less log S(entry); if nobody could have entered, the time cannot have been seen."""
    there = reached > -np.inf
    return xp.where(there, value - xp.where(there, reached, 0.0), -np.inf)


def contributions(survival: Survival, times: Times | Seen, linked: tuple[Linked, ...]) -> Array:
    """Term of the log-likelihood of each of n times.

    Parameters
    ----------
    survival : Survival
    times : Times, or Seen in a graph
    linked : tuple of Linked
        Linear predictors that broadcast to (..., n).

    Returns
    -------
    ndarray, shape (..., n)
    """
    if isinstance(times, Seen):
        return _seen(survival, times, linked)
    parts = [
        (rows, TERMS[kind](survival, times.take(rows), some_rows(linked, rows)))
        for kind, rows in pieces(survival, times)
    ]
    value = join(parts, linked, len(times))
    entered = apart(survival, times)
    if entered is None:
        return value
    entry = entry_term(survival, times.take(entered), some_rows(linked, entered))
    return _less(value, join([(entered, entry)], linked, len(times)))


def some_rows(linked: tuple[Linked, ...], rows: Rows) -> tuple[Linked, ...]:
    """Parameters of some rows; those that are the same for all rows stay."""
    if isinstance(rows, slice):
        return linked
    return tuple(Linked(v.link, v.eta[..., rows] if _by_row(v.eta) else v.eta) for v in linked)


def _by_row(eta: Array) -> bool:
    return np.ndim(eta) > 0 and np.shape(eta)[-1] != 1


def join(parts: list[tuple[Rows, Array]], linked: tuple[Linked, ...], n: int) -> Array:
    """Values of some rows each as one array of all n, zero where no part has a row."""
    if len(parts) == 1 and isinstance(parts[0][0], slice):
        return parts[0][1]
    lead = np.broadcast_shapes(*(np.shape(v.eta)[:-1] for v in linked), ())
    out = np.zeros((*lead, n))
    for rows, value in parts:
        out[..., rows] = value
    return out


# --- on the natural scale ------------------------------------------------------------------

# Shares at which the survival function is cut into smooth pieces (below the first it is one).
_EARLY = (1e-12, 1e-9, 1e-6, 1e-4, 1e-2)
_SHARES = (*_EARLY, 0.1, 0.3, 0.5, 0.7, 0.9, *(1 - p for p in reversed(_EARLY)))
_LOG_MAX = 690.0


def log_survival(family: FamilyLike, t: Array, natural: Mapping[str, Array]) -> np.ndarray:
    """Log of the probability that the event comes after t.

    Parameters
    ----------
    family : Family
        One for times.
    t : float or ndarray
        Any time, zero and infinity included.
    natural : mapping of str to float or ndarray
        Parameters by name; all shapes broadcast.

    Returns
    -------
    ndarray
        Of the shape to which `t` and the parameters broadcast.
    """
    survival, linked, t = _prepare(family, t, natural)
    inside = (t > 0) & (t < np.inf)
    with np.errstate(all="ignore"):
        logsf = survival.logsf(_instant(np.where(inside, t, 1.0)), *linked)
        found = np.where(inside, logsf, 0.0)
        if not (t == np.inf).any():
            return found
        return np.where(t == np.inf, np.log(never_happens(family, natural)), found)


def never_happens(family: FamilyLike, natural: Mapping[str, Array]) -> np.ndarray:
    """Share that never has the event, of the shape to which the parameters broadcast, or ()."""
    return _never(family.survival, natural)


def log_density_at(family: FamilyLike, t: Array, natural: Mapping[str, Array]) -> np.ndarray:
    """Log density at t, shaped as `log_survival`; at zero its limit, -inf below and at infinity."""
    survival, linked, t = _prepare(family, t, natural)
    inside = (t >= 0) & (t < np.inf)
    at = _instant(np.clip(np.where(inside, t, 1.0), np.finfo(float).tiny, None))
    with np.errstate(all="ignore"):
        return np.where(inside, survival.logpdf(at, *linked), -np.inf)


def quantile(family: FamilyLike, p: Array, natural: Mapping[str, Array]) -> np.ndarray:
    """The time that a share p does not exceed; infinite where fewer ever have the event.

    Shapes as of `log_survival`.  By bisection of log t where the family has no formula.
    """
    survival, linked, p = _prepare(family, p, natural)
    if survival.quantile is not None:
        with np.errstate(all="ignore"):
            found = survival.quantile(p, **{k: np.asarray(v) for k, v in natural.items()})
        return np.broadcast_to(found, p.shape)
    with np.errstate(all="ignore"):
        target = np.log1p(-p)
        end = np.full(p.shape, _LOG_MAX)

        def later(log_t: np.ndarray) -> np.ndarray:
            return survival.logsf(_instant(np.exp(log_t)), *linked) > target

        found = np.where(later(end), np.inf, np.exp(halved(later, -end, end)))
    return np.where(p <= 0, 0.0, np.where(p >= 1, np.inf, found))


def restricted_mean(family: FamilyLike, tau: Array, natural: Mapping[str, Array]) -> np.ndarray:
    """Expected time until the event or tau: the survival function's integral from 0 to tau.

    Shapes as of `log_survival`.  Gauss-Legendre in log t between quantiles, to ten digits.
    """
    survival, linked, tau = _prepare(family, tau, natural)
    endless = np.isinf(tau)
    if endless.any():
        until = restricted_mean(family, np.where(endless, 1.0, tau), natural)
        return np.where(endless, expected(family, natural), until)
    with np.errstate(divide="ignore"):
        end = np.log(np.maximum(tau, 0.0))
        share = 1 - _never(survival, natural)
        # Where nobody has the event the whole of it lies before the first quantile.
        each = [np.where(share > 0, quantile(family, p * share, natural), np.inf) for p in _SHARES]
        cuts = [np.log(cut) for cut in each]
    edges = [np.minimum(cut, end) for cut in cuts]
    total = np.exp(edges[0])
    with np.errstate(all="ignore"):
        for a, b in pairwise(edges):
            a = np.maximum(a, b - 40.0)  # what lies below counts for nothing
            total += _panel(survival, linked, a, 0.5 * (a + b))
            total += _panel(survival, linked, 0.5 * (a + b), b)
        # A heavy tail decays by powers of t: pieces that double.
        shares = (2.0 ** np.arange(9) - 1) / 255.0
        tail = [edges[-1] + share * (end - edges[-1]) for share in shares]
        for a, b in pairwise(tail):
            total += _panel(survival, linked, a, b)
    return total


def expected(family: FamilyLike, natural: Mapping[str, Array]) -> np.ndarray:
    """Expected time, infinite where it does not exist or the event may never come."""
    if family.mean is None:
        found = by_quadrature(family, natural)
    else:
        shape = np.broadcast_shapes(*(np.shape(v) for v in natural.values()))
        found = np.broadcast_to(family.mean(**natural), shape)
    return np.where(never_happens(family, natural) > 0, np.inf, found)


def by_quadrature(family: FamilyLike, natural: Mapping[str, Array]) -> np.ndarray:
    """The survival function's integral, infinite where its tail is too heavy."""
    far = np.exp(_LOG_MAX)
    found = restricted_mean(family, far, natural)
    with np.errstate(divide="ignore"):
        rest = log_survival(family, far, natural) + _LOG_MAX
        return np.where(rest > np.log(found) - 25.0, np.inf, found)


def _prepare(
    family: FamilyLike, t: Array, natural: Mapping[str, Array]
) -> tuple[Survival, tuple[Linked, ...], np.ndarray]:
    """The distribution, its parameters, and t in the shape to which all broadcast."""
    linked = at_values(family.parameters, natural)
    shape = np.broadcast_shapes(np.shape(t), *(v.value.shape for v in linked))
    return family.survival, linked, np.broadcast_to(np.asarray(t, dtype=float), shape)


def _instant(t: np.ndarray) -> Instant:
    return Instant(t, np.log(t))


def _never(survival: Survival, natural: Mapping[str, Array]) -> np.ndarray:
    if survival.never is None:
        return np.zeros(())
    return np.asarray(survival.never(**{k: np.asarray(v) for k, v in natural.items()}))


def _panel(
    survival: Survival, linked: tuple[Linked, ...], a: np.ndarray, b: np.ndarray
) -> np.ndarray:
    """Integral of S between log times a and b, zero where they are equal."""
    total = np.zeros(a.shape)
    for node, weight in zip(*legendre(16), strict=True):
        log_t = a + (b - a) * node
        total += weight * np.exp(log_t + survival.logsf(Instant(np.exp(log_t), log_t), *linked))
    return np.where(b > a, (b - a) * total, 0.0)
