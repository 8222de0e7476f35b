r"""Times of a mixture as a whole, beside those of its components.

.. math::

   S(t) = \sum_s \pi_s S_s(t), \qquad h(t) = \sum_s \pi_s f_s(t) / S(t)

Every function takes `EventTimes` of D draws and n rows and gives an array (D, n, ..., 1 + S): of
all, then of each component.  Where the rows have shares they are one population, and the second
axis has length one: survival functions and densities are averaged over the rows, and hazards
and quantiles are those of the averages.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bayesmix.arrays.quadrature import crossing
from bayesmix.arrays.sums import log_sum_exp
from bayesmix.families import Family
from bayesmix.families.survival import base as time_of
from bayesmix.results import event_times as quantities
from bayesmix.results.event_times import (
    NEGLIGIBLE,
    EventTimes,
    by_event,
    by_row,
    on_grid,
)

Array = Any


def survival(times: EventTimes, t: np.ndarray) -> np.ndarray:
    """Probability to be without the event at times t, (T,), from the origin: (D, n, T, 1 + S)."""
    alive = on_grid(times, time_of.log_survival, t - by_row(times.spent))
    return np.minimum(np.exp(_log_all(times, alive)), 1.0)


def hazard(times: EventTimes, t: np.ndarray) -> np.ndarray:
    """Rate of the event at times t, (T,), of those without it until then: (D, n, T, 1 + S)."""
    density = _log_all(times, on_grid(times, time_of.log_density_at, t - by_row(times.spent)))
    alive = _log_all(times, on_grid(times, time_of.log_survival, t - by_row(times.spent)))
    with np.errstate(invalid="ignore"):
        return np.where(density > -np.inf, np.exp(density - alive), 0.0)


def _log_all(times: EventTimes, log: np.ndarray) -> np.ndarray:
    """Logs (D, n, T, S) with that of all before, averaged over a population."""
    with np.errstate(divide="ignore"):
        weighted = log + np.log(times.weights)[:, :, None]
        shares = None if times.share is None else np.log(times.share / times.share.sum())
    total = log_sum_exp(weighted, keepdims=True)
    both = np.concatenate([total, log], axis=-1)
    if shares is None:
        return both
    return log_sum_exp(both + shares[:, None, None], 1, keepdims=True)


def mean_time(times: EventTimes, among: str = "all") -> np.ndarray:
    """Expected time to the event, (D, n, 1 + S).

    Infinite where more than one in a million never have it; `among` the "events", of those who
    do.
    """
    ever = 1.0 - by_event(times, _never, 0.0)
    events = _means(times, quantities.mean_time(times, "events"), ever)
    if among == "events":
        return events
    each = _means(times, quantities.mean_time(times), np.ones_like(ever))
    lost = 1.0 - _means(times, ever, np.ones_like(ever))[..., 0]
    total = np.where(lost > NEGLIGIBLE, np.inf, events[..., 0])
    return np.concatenate([total[..., None], each[..., 1:]], axis=-1)


def cured_fraction(times: EventTimes) -> np.ndarray:
    """Probability that the event never comes: (D, n, 1 + S)."""
    never = by_event(times, _never, 0.0)
    return np.minimum(_means(times, never, np.ones_like(never)), 1.0)


def restricted_mean_time(times: EventTimes, tau: float, among: str = "all") -> np.ndarray:
    """Expected time until the event or tau, whichever is first: (D, n, 1 + S)."""
    ever = np.ones(times.weights.shape)
    if among == "events":
        ever = 1.0 - by_event(times, _never, 0.0)
    return _means(times, quantities.restricted_mean_time(times, tau, among), ever)


def _never(family: Family, _: Array, natural: Any) -> np.ndarray:
    return time_of.never_happens(family, natural)


def _means(times: EventTimes, values: np.ndarray, ever: np.ndarray) -> np.ndarray:
    """Values (D, n, S) of components, of whom shares `ever` count, with those of all before."""
    weights = times.weights * ever
    mass = np.concatenate([weights.sum(-1, keepdims=True), ever], axis=-1)
    both = np.concatenate([_mean(values, weights, -1), values], axis=-1)
    return both if times.share is None else _mean(both, times.share[:, None] * mass, 1)


def _mean(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Weighted means along an axis, which stays; infinite where nothing counts."""
    weights = np.broadcast_to(weights, values.shape)
    total = weights.sum(axis, keepdims=True)
    with np.errstate(invalid="ignore"):
        sums = np.where(weights > 0, weights * values, 0.0).sum(axis, keepdims=True)
    return np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.inf)


def quantile_time(times: EventTimes, q: np.ndarray, among: str = "all") -> np.ndarray:
    """Times by which shares q, (Q,), have had the event: (D, n, Q, 1 + S).

    Infinite where fewer ever have it; `among` the "events", of those who do.
    """
    total = _quantile(times, q, among)
    if times.share is None:
        own = quantities.quantile_time(times, q, among)
        return np.concatenate([total[..., None], own], axis=-1)
    sure = np.ones((*times.weights.shape[:2], 1))
    alone = (replace(times, weights=sure, components=(part,)) for part in times.components)
    return np.stack([total, *(_quantile(one, q, among) for one in alone)], axis=-1)


def _quantile(times: EventTimes, q: np.ndarray, among: str) -> np.ndarray:
    """Quantiles (D, n, Q) of a mixture; of a population (D, 1, Q)."""
    weights = times.weights
    ever = _means(times, 1.0 - by_event(times, _never, 0.0), np.ones_like(weights))[..., :1]
    share = q * (ever if among == "events" else np.ones_like(ever))
    own = on_grid(times, time_of.quantile, share) + by_row(times.spent)[..., None]
    used = np.broadcast_to((weights > 0)[:, :, None], own.shape)
    axes = 3 if times.share is None else (1, 3)
    least = np.where(used, own, np.inf).min(axes)
    most = np.where(used, own, -np.inf).max(axes)
    if times.share is not None:
        least, most = least[:, None], most[:, None]
    never = (share >= ever) | ~np.isfinite(least)

    def below(t: np.ndarray) -> np.ndarray:
        had = -np.expm1(on_grid(times, time_of.log_survival, t - by_row(times.spent)))
        total = (had * weights[:, :, None]).sum(-1)
        if times.share is not None:
            part = times.share / times.share.sum()
            total = (total * part[:, None]).sum(1, keepdims=True)
        return np.where(never, 1.0, total - share)

    least = np.where(never, 1.0, least)
    return np.where(never, np.inf, crossing(below, least, np.where(never, 1.0, most)))
