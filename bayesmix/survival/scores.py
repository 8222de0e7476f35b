r"""How good predicted probabilities of events are: Brier scores and calibration.

The Brier score of event k at t, with C_k(t) the event by then and F_k the prediction, is

.. math::

   \frac{1}{n} \sum_i \left[\frac{1\{T_i \le t, \delta_i\}}{G(T_i-)}
       + \frac{1\{T_i > t\}}{G(t)}\right] (C_{ki}(t) - F_k(t \mid x_i))^2,

where the weights stand for those who were censored before t (G is the Kaplan-Meier estimate of
the time of censoring).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FitError
from bayesmix.formula.times import KINDS, Times
from bayesmix.model import MixtureSpec, Rows
from bayesmix.results.censoring import refuse_background
from bayesmix.results.printing import Printed
from bayesmix.survival import marginal
from bayesmix.survival.intervals import Source, one_response, point_values, response_place
from bayesmix.survival.nonparametric import UNKNOWN, aalen_johansen, first_times, kaplan_meier
from bayesmix.survival.quantities import EventTimes, state_probabilities

__all__ = ["brier_scores", "calibration"]

EXACT = KINDS.index("exact")
LABEL = "event"


@dataclass(frozen=True)
class Followed:
    """Rows with what was seen of them: times, events by number (-1: none yet), case weights."""

    spec: MixtureSpec
    rows: Rows
    times: Times
    codes: np.ndarray
    weight: np.ndarray
    events: tuple[Hashable, ...]

    @property
    def happened(self) -> np.ndarray:
        """Whether the row had its event, (n,)."""
        return self.times.code == EXACT


def _followed(spec: MixtureSpec, newdata: pd.DataFrame | None, response: str | None) -> Followed:
    rows = spec.apply(newdata, response=True)
    at = response_place(spec, response, "brier_score")
    one, alone = one_response(spec, rows, at)
    block, data = one.layout.blocks[0], alone.blocks[0]
    weight = np.ones(rows.n) if rows.weight is None else rows.weight[rows.units.codes]
    late = data.entry is not None
    if spec.prepared.events is None:
        assert data.response is not None
        assert data.response.times is not None
        times, codes = data.response.times, np.zeros(rows.n, int)
        events: tuple[Hashable, ...] = (LABEL,)
    else:
        allowed = np.ones((rows.n, spec.k), bool) if rows.allowed is None else rows.allowed
        known = allowed.sum(1) == 1
        codes = np.where(known, allowed.argmax(1), UNKNOWN)
        each = [data.observed[key].times for key in block.keys]
        times = first_times([t for t in each if t is not None], codes)
        events = spec.components
    refuse_background(times, "brier_score()")
    if late or times.truncated:
        msg = "scores by inverse probabilities of censoring do not take delayed entries"
        raise DataError(msg)
    return Followed(one, alone, times, codes, weight, events)


def _incidence(source: Source, seen: Followed, grid: np.ndarray) -> np.ndarray:
    """Predicted probabilities of each event by each time, (n, T, E)."""

    def incidence(times: EventTimes) -> np.ndarray:
        if len(seen.events) == 1 and seen.events[0] == LABEL:
            return 1.0 - marginal.survival(times, grid)[..., :1]
        return state_probabilities(times, grid)[..., 1:]

    return point_values(replace(source, spec=seen.spec), seen.rows, incidence)


def _checked(seen: Followed, grid: np.ndarray, what: str) -> None:
    last = float(seen.times.lower.max())
    if (grid > last).any():
        msg = f"{what}: nobody was followed beyond {last:g}, so that {grid.max():g} is too late"
        raise FitError(msg)
    # What cannot be used is refused with its reason.
    aalen_johansen(seen.times, seen.codes, len(seen.events), seen.weight)


def brier_scores(
    source: Source,
    grid: np.ndarray,
    newdata: pd.DataFrame | None,
    response: str | None,
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

    Returns
    -------
    DataFrame
        Columns time, event, score, se, reference, improvement.
    """
    seen = _followed(source.spec, newdata, response)
    _checked(seen, grid, "brier_score()")
    known = seen if newdata is None else _followed(source.spec, None, response)
    curves = aalen_johansen(known.times, known.codes, len(seen.events), known.weight)
    without = curves.at(grid)[:, 1:]
    predicted = _incidence(source, seen, grid)
    weights = _censoring_weights(seen, grid) * seen.weight[:, None]
    rows = []
    for j, t in enumerate(grid):
        for k, event in enumerate(seen.events):
            came = (seen.times.lower <= t) & seen.happened & (seen.codes == k)
            own = weights[:, j] * (came - predicted[:, j, k]) ** 2
            total = seen.weight.sum()
            score = own.sum() / total
            spread = ((own - seen.weight * score) ** 2).sum()
            reference = (weights[:, j] * (came - without[j, k]) ** 2).sum() / total
            gain = 1 - score / reference if reference > 0 else np.nan
            rows.append((t, event, score, np.sqrt(spread) / total, reference, gain))
    return Printed(
        pd.DataFrame(rows, columns=["time", "event", "score", "se", "reference", "improvement"])
    )


def _censoring_weights(seen: Followed, grid: np.ndarray) -> np.ndarray:
    """Inverse probabilities of not being censored, (n, T); zero where that happened before."""
    t, happened = seen.times.lower, seen.happened
    swapped = Times(t, np.where(happened, np.inf, np.maximum(t, np.finfo(float).tiny)), t * 0.0)
    curve = kaplan_meier(swapped, seen.weight)
    steps = np.searchsorted(curve.time, t, side="left") - 1  # just before an event
    before = curve.estimate[np.maximum(steps, 0), 0]
    until = curve.estimate[np.searchsorted(curve.time, grid, side="right") - 1, 0]
    early = (t[:, None] <= grid) & happened[:, None]
    later = t[:, None] > grid
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(early, 1 / before[:, None], 0.0) + np.where(later, 1 / until, 0.0)


def calibration(
    source: Source,
    grid: np.ndarray,
    newdata: pd.DataFrame | None,
    response: str | None,
    groups: int,
    level: float,
) -> pd.DataFrame:
    """Predicted probabilities beside Aalen-Johansen, in groups by prediction, tidy.

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
    seen = _followed(source.spec, newdata, response)
    _checked(seen, grid, "calibration()")
    predicted = _incidence(source, seen, grid)
    rows: list[tuple[Any, ...]] = []
    for j, t in enumerate(grid):
        for k, event in enumerate(seen.events):
            value = predicted[:, j, k]
            cuts = np.quantile(value, np.linspace(0, 1, groups + 1)[1:-1])
            number = np.searchsorted(np.unique(cuts), value, side="left")
            for group in np.unique(number):
                own = number == group
                w = seen.weight[own]
                curves = aalen_johansen(
                    seen.times.take(own), seen.codes[own], len(seen.events), w, level
                )
                place = np.searchsorted(curves.time, t, side="right") - 1
                ends = [curves.lower[place, k + 1], curves.upper[place, k + 1]]
                if t > curves.time[-1] and curves.estimate[-1, 0] > 0:
                    ends = [np.nan, np.nan]
                observed = curves.at(np.array([t]))[0, k + 1]
                mean = np.average(value[own], weights=w)
                rows.append((t, event, int(group) + 1, w.sum(), mean, observed, *ends))
    names = ["time", "event", "group", "n", "predicted", "observed", "lower", "upper"]
    return Printed(pd.DataFrame(rows, columns=names))
