"""A model's probabilities beside the Aalen-Johansen or Kaplan-Meier estimate of its data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.comparison.effects.frames import counted
from bayesmix.errors import FitError
from bayesmix.formula.frames import replaced
from bayesmix.formula.times import Times
from bayesmix.model import MixtureSpec
from bayesmix.model.rows import BlockRows
from bayesmix.results import marginal
from bayesmix.results.censoring import refuse_background
from bayesmix.results.event_times import EventTimes, one_response, state_probabilities
from bayesmix.results.streaming import by_part
from bayesmix.results.uncertainty import Source
from bayesmix.survival.intervals import Estimator, averages, covariate_names
from bayesmix.survival.nonparametric import aalen_johansen, seen_events

POINTS = 100
COLUMNS = ("time", "state", "estimate", "lower", "upper", "source")


def start_state(events: Sequence[Hashable]) -> str:
    """What the state without an event is called: "start", unless an event is called so."""
    return next(name for name in ("start", "no event", "without an event") if name not in events)


def compare_curves(
    source: Source,
    estimator: Estimator,
    by: str | Sequence[str] | None,
    times: Sequence[float] | None,
    at: int | None = None,
) -> pd.DataFrame:
    """The model's probabilities and those estimated without a model, tidy.

    The model's are averaged over the rows of each group, as they are in the data.

    Parameters
    ----------
    source : Source
    estimator : Estimator
    by : str or sequence of str, optional
        Columns of the data that the model uses, whose levels make the groups.
    times : sequence of float, optional
        Of the model's curves; by default 100 up to the last one observed.
    at : int, optional
        The number of a response: its survival and the Kaplan-Meier estimate.  Without it all
        states of competing events, and the Aalen-Johansen estimate.

    Raises
    ------
    FitError
        If a column is not in use or has too many values.
    DataError
        Where there is no such estimate, as for interval-censored times.
    """
    given = () if by is None else (by,) if isinstance(by, str) else by
    spec, by = source.spec, tuple(map(plain, given))
    names = covariate_names(by, COLUMNS)
    groups = [levels for levels, _ in _groups(spec, by)]
    light = Source(spec, None, None)
    parts = by_part(light, partial(_seen, by, groups, at))
    seen = [_together(list(each)) for each in zip(*parts, strict=True)]
    bounds = np.concatenate([np.r_[0.0, each.lower, each.upper] for each, *_ in seen])
    grid = _grid(float(bounds[np.isfinite(bounds)].max()), times)

    def values_at(theta: np.ndarray) -> np.ndarray:
        sums = by_part(light, partial(_sums, theta, grid, by, groups, at))
        total, weight = (np.add.reduce(list(each)) for each in zip(*sums, strict=True))
        return total / weight[:, None, None]

    band = estimator.over([source], values_at, "logit" if at is None else "log-log")
    events = list(spec.components) if at is None else ["event"]
    states = [start_state(events), *(events if at is None else ())]
    frames = []
    for number, (levels, (observed, codes, weight)) in enumerate(zip(groups, seen, strict=True)):
        limits = {n: getattr(band, n)[number].ravel() for n in ("estimate", "lower", "upper")}
        place = {"time": np.repeat(grid, len(states)), "state": states * len(grid)}
        model = pd.DataFrame({**place, **limits, "source": "model"})
        curves = aalen_johansen(observed, codes, len(events), weight, level=estimator.ci)
        other = curves.table(events, states[0]).assign(source="nonparametric")
        more = {names[name]: value for name, value in levels.items()}
        frames += [replaced(f, more) for f in (model, other[other["state"].isin(states)])]
    shown = COLUMNS if at is None else [name for name in COLUMNS if name != "state"]
    return pd.concat(frames, ignore_index=True)[[*names.values(), *shown]]


def _seen(
    by: tuple[str, ...], groups: list[dict[str, Any]], at: int | None, source: Source
) -> list[tuple[Times, np.ndarray, np.ndarray]]:
    """What was observed in each group: times, codes of events, and case weights."""
    spec, weight = source.spec, source.spec.rows.row_weights
    observed, codes = _observed(spec.rows.blocks[at or 0])
    if at is not None:
        refuse_background(observed, "kaplan_meier()")
        codes, weight = np.zeros(len(observed), int), weight * counted(spec, spec.rows, at)
    return [(observed.take(of), codes[of], weight[of]) for of in _rows_of(spec, by, groups)]


def _observed(data: BlockRows) -> tuple[Times, np.ndarray]:
    """The times of a response, and the events known to end them."""
    found = [r.times for r in data.responses if r is not None and r.times is not None]
    if data.allowed is None or not data.own:
        return found[0], np.zeros(len(data.matrix), int)
    return seen_events(found, data.allowed)


def _together(
    parts: list[tuple[Times, np.ndarray, np.ndarray]],
) -> tuple[Times, np.ndarray, np.ndarray]:
    """The same of several blocks."""
    times, codes, weight = zip(*parts, strict=True)
    names = ("lower", "upper", "entry")
    ends = (np.concatenate([getattr(t, name) for t in times]) for name in names)
    return Times(*ends), np.concatenate(codes), np.concatenate(weight)


def _sums(
    theta: np.ndarray,
    grid: np.ndarray,
    by: tuple[str, ...],
    groups: list[dict[str, Any]],
    at: int | None,
    source: Source,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of probabilities over the rows of groups, (T, G, grid, states), and their weights."""
    spec, rows = source.spec, source.spec.rows
    every = rows.row_weights
    if at is not None:
        every = every * counted(spec, rows, at)
        spec, rows = one_response(spec, rows, at)

    def quantity(times: EventTimes) -> np.ndarray:
        if at is None:
            return state_probabilities(times, grid)
        return marginal.survival(times, grid)[..., :1]

    total = np.zeros((len(theta), len(groups), len(grid), 1 + spec.k if at is None else 1))
    count = np.zeros(len(groups))
    for number, of in enumerate(_rows_of(source.spec, by, groups)):
        weight = np.zeros(rows.n)
        weight[of] = every[of]
        if (size := weight.sum()) > 0:
            total[:, number] = size * averages(spec, theta, rows, quantity, weight)
            count[number] = size
    return total, count


def _rows_of(
    spec: MixtureSpec, by: tuple[str, ...], groups: list[dict[str, Any]]
) -> list[np.ndarray]:
    """The positions of the rows of each group; of a block it may have none."""
    if not by:
        return [np.arange(spec.rows.n)]
    found = {tuple(levels.values()): rows for levels, rows in _groups(spec, by)}
    return [found.get(tuple(levels.values()), np.zeros(0, int)) for levels in groups]


def _grid(last: float, times: Sequence[float] | None) -> np.ndarray:
    if times is None:
        return np.linspace(0.0, last, POINTS)
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not np.isfinite(grid).all() or (grid < 0).any():
        raise FitError(f"times={times!r} must be finite numbers of zero or more")
    return grid


def _groups(spec: MixtureSpec, by: tuple[str, ...]) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Levels of the columns and the positions of their rows."""
    names = list(by)
    if not names:
        return [({}, np.arange(spec.rows.n))]
    data = spec.prepared.table
    unknown = [n for n in names if n not in data.columns]
    if unknown:
        raise FitError(
            f"by={by!r}: {unknown} are not among the columns that the model keeps, "
            f"{list(data.columns)}; a model with dropped rows or from a file has those in use"
        )
    many = [n for n in names if data[n].nunique() > 20]
    if many:
        raise FitError(f"by={by!r}: {many} have more than 20 values; cut them into groups first")
    found = data.groupby(names, observed=True, sort=True).indices
    out = []
    for key, rows in found.items():
        values = key if isinstance(key, tuple) else (key,)
        out.append((dict(zip(names, values, strict=True)), np.asarray(rows)))
    return out
