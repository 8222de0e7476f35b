r"""How good predicted probabilities of events are: Brier scores and calibration.

The Brier score of event k at t, with C_k(t) the event by then and F_k the prediction given that
a row was under observation from its entry E (0 unless late), is the mean over the rows with E < t
of

.. math::

   \left[\frac{1\{T_i \le t, \delta_i\}}{G(T_i-) / G(E_i)}
       + \frac{1\{T_i > t\}}{G(t) / G(E_i)}\right] (C_{ki}(t) - F_k(t \mid x_i, T > E_i))^2,

where the weights stand for those who were censored before t (G is the Kaplan-Meier estimate of
the time of censoring).  Standard errors are those of the influence function, that of G included.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayesmix._arguments.printing import Printed
from bayesmix.errors import DataError, FitError
from bayesmix.formula.splines import weighted_quantile
from bayesmix.formula.times import EXACT, Times
from bayesmix.model import MixtureSpec, Rows
from bayesmix.model.rows import entries
from bayesmix.results import marginal
from bayesmix.results.censoring import refuse_background
from bayesmix.results.event_times import EventTimes, one_response, state_probabilities
from bayesmix.results.uncertainty import Source
from bayesmix.survival.intervals import point_values, response_place
from bayesmix.survival.nonparametric import aalen_johansen, check_seen, counts, seen_events

LABEL = "event"


@dataclass(frozen=True)
class Seen:
    """What was seen of rows: times with entries, events by number (-1: none yet), case weights."""

    times: Times
    codes: np.ndarray
    weight: np.ndarray

    @property
    def happened(self) -> np.ndarray:
        """Whether the row had its event, (n,)."""
        return self.times.code == EXACT

    def take(self, rows: np.ndarray) -> Seen:
        """Some of the rows."""
        return Seen(self.times.take(rows), self.codes[rows], self.weight[rows])


@dataclass(frozen=True)
class Followed:
    """Rows of one response, those that count, and what was seen of these."""

    spec: MixtureSpec
    rows: Rows
    counted: np.ndarray
    seen: Seen
    events: tuple[Hashable, ...]


def _followed(
    spec: MixtureSpec, newdata: pd.DataFrame | None, response: str | None, what: str
) -> Followed:
    rows = spec.apply(newdata, response=True)
    at = response_place(spec, response, what)
    one, alone = one_response(spec, rows, at)
    block, data = one.layout.blocks[0], alone.blocks[0]
    weight = rows.row_weights
    found = {key: obs.times for key, obs in data.observed.items() if obs.times is not None}
    if any(times.truncated for times in found.values()):
        raise DataError(
            "scores take delayed entries under truncation='mixture' and one row a subject; not a "
            "history in several rows, or entries of each component"
        )
    for key, own in found.items():
        late = entries(data, key)
        if late is not None:
            found[key] = Times(own.lower, own.upper, late, own.background)
    times, codes = found[block.keys[0]], np.zeros(rows.n, int)
    events: tuple[Hashable, ...] = (LABEL,)
    if data.own and data.allowed is not None:
        times, codes = seen_events([found[key] for key in block.keys], data.allowed)
        events = spec.components
    refuse_background(times, f"{what}()")
    # Of a missing time, or one of the unit after its first row, nothing is known.
    kept = np.flatnonzero(times.known)
    return Followed(one, alone, kept, Seen(times, codes, weight).take(kept), events)


def _incidence(source: Source, data: Followed, grid: np.ndarray) -> np.ndarray:
    """Predicted probabilities of each event by each time, given the entry, (n, T, E)."""

    def incidence(times: EventTimes) -> np.ndarray:
        if data.events == (LABEL,):
            return 1.0 - marginal.survival(times, grid)[..., :1]
        return state_probabilities(times, grid)[..., 1:]

    entry = np.zeros(data.rows.n)
    entry[data.counted] = data.seen.times.entry
    given = entry if entry.any() else None
    found = point_values(replace(source, spec=data.spec), data.rows, incidence, given)
    return found[data.counted]


def _checked(data: Followed, grid: np.ndarray, what: str) -> None:
    seen = data.seen
    last, first = float(seen.times.lower.max()), float(seen.times.entry.min())
    if (grid > last).any():
        msg = f"{what}(): nobody was followed beyond {last:g}, so that {grid.max():g} is too late"
        raise FitError(msg)
    if first > 0 and (grid <= first).any():
        msg = f"{what}(): nobody was followed before {first:g}, so that {grid.min():g} is too early"
        raise FitError(msg)
    check_seen(seen.times, seen.codes)


def _without(known: Seen, events: int, grid: np.ndarray, entry: np.ndarray) -> np.ndarray:
    """Aalen-Johansen estimates by each time given the entry, (n or 1, T, E)."""
    curves = aalen_johansen(known.times, known.codes, events, known.weight)
    by = curves.at(grid)[None, :, 1:]
    if not entry.any():
        return by
    before = np.nan_to_num(curves.at(entry))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        given = (by - before[..., 1:]) / before[..., :1]
    return np.where(grid[:, None] > entry[:, None, None], given, 0.0)


def brier_scores(
    source: Source,
    grid: np.ndarray,
    newdata: pd.DataFrame | None,
    response: str | None,
    level: float,
) -> pd.DataFrame:
    """Brier scores with those of predictions without covariates, tidy.

    Parameters
    ----------
    source : Source
    grid : ndarray, shape (T,)
        Times.
    newdata : DataFrame, optional
        Other rows than the training rows, with their responses and events.
    response : str, optional
    level : float
        Of the limits.

    Returns
    -------
    DataFrame
        Columns time, event, score, se, lower, upper, reference, improvement.
    """
    data = _followed(source.spec, newdata, response, "brier_score")
    _checked(data, grid, "brier_score")
    seen = data.seen
    known = seen if newdata is None else _followed(source.spec, None, response, "brier_score").seen
    without = _without(known, len(data.events), grid, seen.times.entry)
    predicted = _incidence(source, data, grid)
    reach = float(ndtri(0.5 + level / 2))
    rows = []
    for j, t in enumerate(grid):
        censored = Censored(seen, t)
        for k, event in enumerate(data.events):
            came = seen.happened & (seen.times.lower <= t) & (seen.codes == k)
            score, se = censored.mean((came - predicted[:, j, k]) ** 2)
            reference, _ = censored.mean((came - without[:, j, k]) ** 2)
            gain = 1 - score / reference if reference > 0 else np.nan
            factor = np.exp(reach * se / score) if score > 0 else 1.0
            rows.append((t, event, score, se, score / factor, score * factor, reference, gain))
    names = ["time", "event", "score", "se", "lower", "upper", "reference", "improvement"]
    return Printed(pd.DataFrame(rows, columns=names))


class Censored:
    """Means at a time t over rows, of which some were censored before.

    Parameters
    ----------
    seen : Seen
    t : float
    """

    def __init__(self, seen: Seen, t: float) -> None:
        end, entry, happened = seen.times.lower, seen.times.entry, seen.happened
        ever = np.where(happened, np.inf, np.maximum(end, np.finfo(float).tiny))
        swapped = Times(end, ever, entry)
        grid, at_risk, left = counts(swapped, np.zeros(len(end), int), 1, seen.weight)
        self.at_risk = np.maximum(at_risk, np.finfo(float).tiny)
        self.share = left[:, 0] / self.at_risk
        self.within = entry < t
        self.weight = seen.weight
        # From the first time after the entry, up to just before an event, to t, or to the end.
        place = np.searchsorted
        came = happened & (end <= t)
        until = int(place(grid, t, side="right"))
        self.first = np.minimum(place(grid, entry, side="right"), until)
        self.last = np.where(came, place(grid, end, side="left"), until)
        self.own = np.minimum(place(grid, end, side="right"), until)
        self.lost = ~happened & (end <= t)
        whole = self.share >= 1
        logs = np.r_[0.0, np.cumsum(np.log1p(-np.where(whole, 0.0, self.share)))]
        all_left = np.r_[0, np.cumsum(whole)]
        kept = np.exp(logs[self.last] - logs[self.first])
        kept = np.where(all_left[self.last] > all_left[self.first], 0.0, kept)
        with np.errstate(divide="ignore"):
            self.inverse = np.where(self.within & (came | (end > t)), 1 / kept, 0.0)

    def mean(self, value: np.ndarray) -> tuple[float, float]:
        """The mean of values (n,), and its standard error by the influence function."""
        total = self.weight[self.within].sum()
        own = self.inverse * value
        mean = float((self.weight * own).sum() / total)
        # How a loss at a time moves the sum of those whose weights count it.
        change = np.zeros(len(self.share) + 1)
        np.add.at(change, self.first, self.weight * own)
        np.add.at(change, self.last, -self.weight * own)
        slope = np.cumsum(change)[:-1] / self.at_risk
        drift = np.r_[0.0, np.cumsum(slope * self.share)]
        moved = np.where(self.lost, slope[self.own - 1], 0.0) - (
            drift[self.own] - drift[self.first]
        )
        influence = np.where(self.within, own - mean + moved, 0.0)
        return mean, float(np.sqrt((self.weight * influence**2).sum()) / total)


def calibration(
    source: Source,
    grid: np.ndarray,
    newdata: pd.DataFrame | None,
    response: str | None,
    groups: int,
    level: float,
) -> pd.DataFrame:
    """Predicted probabilities beside those observed, in groups by prediction, tidy.

    Without late entries the latter are the Aalen-Johansen estimates of the groups.

    Parameters
    ----------
    source, grid, newdata, response
        As of `brier_scores`.
    groups : int
        Of about equal size, by the predicted probability.
    level : float
        Of the limits of what was observed.

    Returns
    -------
    DataFrame
        Columns time, event, group, n, predicted, observed, lower, upper.
    """
    data = _followed(source.spec, newdata, response, "calibration")
    _checked(data, grid, "calibration")
    predicted = _incidence(source, data, grid)
    rows: list[tuple[Any, ...]] = []
    inner = np.linspace(0, 1, groups + 1)[1:-1]
    for j, t in enumerate(grid):
        there = data.seen.times.entry < t
        seen = data.seen.take(there)
        for k, event in enumerate(data.events):
            value = predicted[there, j, k]
            order = np.argsort(value)
            cuts = weighted_quantile(value[order], seen.weight[order], inner)
            number = np.searchsorted(np.unique(cuts), value, side="left")
            for group in np.unique(number):
                own = number == group
                some = seen.take(own)
                mean = np.average(value[own], weights=some.weight)
                found = _observed(some, t, k, level)
                rows.append((t, event, int(group) + 1, some.weight.sum(), mean, *found))
    names = ["time", "event", "group", "n", "predicted", "observed", "lower", "upper"]
    return Printed(pd.DataFrame(rows, columns=names))


def _observed(seen: Seen, t: float, event: int, level: float) -> tuple[float, float, float]:
    """The share with an event by t, with limits; NaN where nobody was followed so long."""
    end = seen.times.lower
    if t > end.max() and not seen.happened[end == end.max()].all():
        return np.nan, np.nan, np.nan
    came = seen.happened & (end <= t) & (seen.codes == event)
    share, se = Censored(seen, t).mean(came.astype(float))
    share = min(share, 1.0)  # weights of late entries may add up to more
    if not (0 < share < 1):  # nobody, or everybody: the exact limit of a binomial share
        reach = 1 - (0.5 - level / 2) ** (1 / seen.weight.sum())
        return share, max(share - reach, 0.0), min(share + reach, 1.0)
    # Symmetric on the scale of the complementary log-log, as Aalen-Johansen's limits.
    q = 1 - share
    reach = np.exp(float(ndtri(0.5 + level / 2)) * se / (q * -np.log(q)))
    return share, float(1 - q ** (1 / reach)), float(1 - q**reach)
