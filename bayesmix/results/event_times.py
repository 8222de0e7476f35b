"""What a mixture of competing events says of times: probabilities, means, quantiles, densities.

Every function takes `EventTimes`, parameters at n rows of covariates in D draws (one for a point
fit), and returns an array whose first axes are (D, n).  Given survival to a time already spent:
the same functions of ``times.after(spent)``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix.arrays.quadrature import half_line
from bayesmix.arrays.sums import log_sum_exp
from bayesmix.errors import DataError
from bayesmix.families import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import base as time_of
from bayesmix.families.survival.base import Instant, Survival
from bayesmix.model import MixtureSpec, Rows
from bayesmix.results.at import At

Array = Any
# A share of those who never have an event that is none: its mean is of the others.
NEGLIGIBLE = 1e-6


class Component(NamedTuple):
    """The distribution of the time to one event: a family, and arrays (D, n) by parameter."""

    family: Family
    natural: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class EventTimes:
    """Competing events: how likely each is, and when it comes.

    Parameters
    ----------
    names : tuple of length S
        The events.
    weights : ndarray, shape (D, n, S)
        Their probabilities.
    components : tuple of S `Component`
        The distribution of the time to each, given that it is the one that comes.
    spent : float or ndarray, shape (n,)
        Time from the origin already spent without an event.  The distributions are
        those of the rest.
    share : ndarray, shape (n,), or None
        Shares of the rows in a population, of which `results.marginal` then speaks.
    """

    names: tuple[Hashable, ...]
    weights: np.ndarray
    components: tuple[Component, ...]
    spent: np.ndarray | float = 0.0
    share: np.ndarray | None = None

    def after(self, spent: Array) -> EventTimes:
        """The same given that no event came in the time spent.

        Parameters
        ----------
        spent : float or array, shape (n,)
            From the origin.

        Raises
        ------
        DataError
            For a time that is negative or not finite, or to which nobody can survive.
        """
        given, n = np.asarray(spent, dtype=float), self.weights.shape[1]
        bad = ~(np.isfinite(given) & (given >= self.spent)) if given.shape in ((), (n,)) else True
        if np.any(bad):
            raise DataError(
                f"the time already spent is a finite number, or one for each of {n} rows, of at "
                f"least {np.max(self.spent):g}, not {given.ravel()[:5].tolist()}"
            )
        spent = np.broadcast_to(given, (n,))
        more = spent - self.spent
        if not more.any():
            return self
        with np.errstate(divide="ignore"):
            alive = by_event(self, time_of.log_survival, more[:, None])
            reached = np.log(self.weights) + alive
        total = log_sum_exp(reached, keepdims=True)
        if (total == -np.inf).any():
            row = int(np.argwhere(total[..., 0] == -np.inf)[0, 1])
            raise DataError(f"nobody can be without an event after {spent[row]:g} (row {row})")
        rest = tuple(
            Component(_remaining(c.family, more[:, None], alive[..., k, None]), c.natural)
            for k, c in enumerate(self.components)
        )
        return replace(self, weights=np.exp(reached - total), components=rest, spent=spent)


def happening(family: Family, natural: Mapping[str, np.ndarray]) -> np.ndarray:
    """Share of a component who ever have its event; one where it is the name of none, `cured`.

    A component without parameters that never happens is where those are who have no event:
    its weight is their share.
    """
    if not family.parameters:
        return np.ones(())
    return 1.0 - time_of.never_happens(family, natural)


def event_probabilities(times: EventTimes) -> np.ndarray:
    """Probability that each event ever comes, (D, n, S): the weight, less who never have it."""
    return times.weights * by_event(times, lambda f, _, natural: happening(f, natural), 0.0)


def mean_time(times: EventTimes, among: str = "all") -> np.ndarray:
    """Expected time of each event: (D, n, S).

    From the origin, time already spent included.  Infinite where the expectation does not
    exist, and where some, more than one in a million, never have the event, as with a Gompertz
    distribution of negative shape; `among` the "events" these do not count.
    """

    def of_family(family: Family, _: Array, natural: Mapping[str, np.ndarray]) -> np.ndarray:
        events = _mean_of_events(family, natural)
        if among == "events":
            return events
        never = time_of.never_happens(family, natural)
        return np.where(never > NEGLIGIBLE, np.inf, events)

    return by_event(times, of_family, 0.0) + by_row(times.spent)


def _mean_of_events(family: Family, natural: Mapping[str, np.ndarray]) -> np.ndarray:
    """The expectation given that the event comes, of parameters (D, n, 1)."""
    whole = np.asarray(time_of.expected(family, natural))
    never = np.broadcast_to(time_of.never_happens(family, natural), whole.shape)
    some = (never > 0) & (never < 1)
    if not some.any():
        return whole
    # E[T | T < inf] = integral of S(t) - S(inf), over 1 - S(inf); nodes around the median.
    median = time_of.quantile(family, np.where(some, 0.5 * (1 - never), 0.5), natural)
    t = np.where(some & np.isfinite(median), median, 1.0) * _NODES
    with np.errstate(all="ignore"):
        excess = np.exp(time_of.log_survival(family, t, natural)) - never
        excess = np.where(excess > 1e-14, excess, 0.0)  # the rest is rounding, times any t
        mean = (excess * t * (_WEIGHTS / _NODES)).sum(-1, keepdims=True) / (1 - never)
    return np.where(some, mean, whole)


_NODES, _WEIGHTS = half_line(np.linspace(-4.0, 4.0, 241))


def quantile_time(times: EventTimes, q: Array, among: str = "all") -> np.ndarray:
    """Times that shares q, shape (Q,), of a component do not exceed: (D, n, Q, S).

    Infinite where fewer ever have the event; `among` the "events", of those who do.
    """

    def of_events(family: Family, q: Array, natural: Mapping[str, np.ndarray]) -> np.ndarray:
        return time_of.quantile(family, q * happening(family, natural), natural)

    of_family = of_events if among == "events" else time_of.quantile
    rest = on_grid(times, of_family, np.asarray(q, dtype=float))
    return rest + by_row(times.spent)[..., None]


def restricted_mean_time(times: EventTimes, tau: float, among: str = "all") -> np.ndarray:
    """Expected time until each event or tau, whichever is first: (D, n, S).

    Tau counts from the origin, time already spent included.  `among` the "events": of those
    who ever have it.
    """

    def of_events(family: Family, tau: Array, natural: Mapping[str, np.ndarray]) -> np.ndarray:
        # The integral of S(t) - S(inf), over 1 - S(inf).
        ever = happening(family, natural)
        whole = time_of.restricted_mean(family, tau, natural)
        return (whole - (1 - ever) * tau) / np.where(ever > 0, ever, 1.0)

    of_family = of_events if among == "events" else time_of.restricted_mean
    rest = by_event(times, of_family, np.maximum(tau - by_row(times.spent), 0.0))
    return rest + np.minimum(by_row(times.spent), tau)


def density(times: EventTimes, t: Array) -> np.ndarray:
    """Density of the time of each event, given that it is the one that comes: (D, n, T, S).

    At times t, shape (T,), from the origin; zero before the time already spent.
    """
    return np.exp(on_grid(times, time_of.log_density_at, t - by_row(times.spent)))


def state_probabilities(times: EventTimes, t: Array) -> np.ndarray:
    """Probability to be without an event, and to have had each one, by t: (D, n, T, 1 + S).

    At times t, shape (T,), from the origin.
    """
    log_survival = on_grid(times, time_of.log_survival, t - by_row(times.spent))
    weights = times.weights[..., None, :]
    events = -np.expm1(log_survival) * weights
    over = events.sum(axis=-1, keepdims=True)
    start = (np.exp(log_survival) * weights).sum(axis=-1, keepdims=True)
    # Weights add up to one but for rounding: without events it is one exactly, and never above.
    start = np.where(over < 0.5, 1 - over, start)
    return np.concatenate([start, events], axis=-1)


# --- from a model to its times ----------------------------------------------------------------


def event_times(
    spec: MixtureSpec, theta: np.ndarray, rows: Rows, span: slice | np.ndarray = slice(None)
) -> EventTimes:
    """Probabilities and distributions of the events at rows of covariates.

    Parameters
    ----------
    spec : MixtureSpec
        Of competing events.
    theta : ndarray, shape (T, D)
    rows : Rows
    span : slice or ndarray of int
        The rows.
    """
    block, data = spec.layout.blocks[0], rows.blocks[0]
    offset = None if data.offset is None else data.offset[..., span]
    at = At(block, replace(data, matrix=data.matrix[span], offset=offset, described=None), theta)
    z = None if rows.concomitant is None else rows.concomitant[span]
    log_pi = spec.weights.log_weights(theta, z)
    pi = np.broadcast_to(np.exp(log_pi), (len(theta), spec.k, len(at.data.matrix)))
    components = tuple(Component(family, at.natural(s)) for s, family, _ in at.components())
    return EventTimes(spec.components, np.moveaxis(pi, 1, 2), components)


def one_response(spec: MixtureSpec, rows: Rows, at: int) -> tuple[MixtureSpec, Rows]:
    """The model and rows of one response, every row a unit of its own."""
    layout = replace(spec.layout, blocks=(spec.layout.blocks[at],))
    z = rows.concomitant
    by_row = None if z is None else z[rows.units.codes]
    return replace(spec, layout=layout), replace(
        rows, blocks=(rows.blocks[at],), concomitant=by_row
    )


# --- from a family's functions to arrays ---------------------------------------------------


def by_row(spent: np.ndarray | float) -> np.ndarray:
    """Times by row as a column, (n, 1) or (1, 1)."""
    return np.reshape(np.asarray(spent, dtype=float), (-1, 1))


def on_grid(times: EventTimes, function: Callable[..., np.ndarray], grid: Array) -> np.ndarray:
    """``function(family, grid, natural)`` for each event: (D, n, G, S) of a grid (G,) or (n, G)."""
    lead, values = times.weights.shape[:2], []
    for family, natural in times.components:
        beside = {name: np.asarray(value)[..., None] for name, value in natural.items()}
        values.append(np.atleast_1d(function(family, grid, beside)))
    size = max(v.shape[-1] for v in values)
    return np.stack([np.broadcast_to(v, (*lead, size)) for v in values], axis=-1)


def by_event(times: EventTimes, function: Callable[..., np.ndarray], at: Array) -> np.ndarray:
    """The same at one time by row, (n, 1): (D, n, S)."""
    return on_grid(times, function, at)[:, :, 0]


def _remaining(family: Family, s: np.ndarray, alive: np.ndarray) -> Family:
    """The family of T - s given T > s, s of shape (n, 1), for parameters of shape (D, n, 1).

    `alive` is log P(T > s), (D, n, 1).
    """
    base = family.survival
    assert base is not None

    def given(log: Callable[..., Array], at: Instant, linked: tuple[Linked, ...]) -> Array:
        value = log(Instant(s + at.t, np.where(s > 0, np.log(s + at.t), at.log)), *linked)
        return np.where(value > -np.inf, value - alive, -np.inf)

    def never(**natural: np.ndarray) -> np.ndarray:
        assert base.never is not None
        return base.never(**natural) / np.exp(alive)

    rest = Survival(
        lambda at, *linked: given(base.logpdf, at, linked),
        lambda at, *linked: given(base.logsf, at, linked),
        never=None if base.never is None else never,
    )
    return replace(family, survival=rest, mean=None, variance=None, simulate=None)
