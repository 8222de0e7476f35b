"""A model's probabilities beside the Aalen-Johansen or Kaplan-Meier estimate of its data."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

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
from bayesmix.survival.intervals import (
    Estimator,
    Source,
    averages,
    band,
    covariate_names,
    response_place,
)
from bayesmix.survival.nonparametric import (
    StateCurves,
    aalen_johansen,
    kaplan_meier,
    seen_events,
)

POINTS = 100
# Draws of a posterior behind a curve.
MOST_DRAWS = 1000
COLUMNS = ("time", "state", "estimate", "lower", "upper", "source")


def start_state(events: Sequence[Hashable]) -> str:
    """What the state without an event is called: "start", unless an event is called so."""
    return next(name for name in ("start", "no event", "without an event") if name not in events)


def compare_states(
    source: Source,
    estimator: Estimator,
    by: str | Sequence[str] | None,
    times: Sequence[float] | None,
) -> pd.DataFrame:
    """The model's state probabilities and the Aalen-Johansen estimate, tidy.

    The model's are averaged over the rows of each group, as they are in the data.

    Parameters
    ----------
    source : Source
    estimator : Estimator
    by : str or sequence of str, optional
        Columns of the data that the model uses, whose levels make the groups.
    times : sequence of float, optional
        Of the model's curves; by default 100 up to the last one observed.

    Raises
    ------
    FitError
        If a column is not in use or has too many values.
    DataError
        Where there is no such estimate, as for interval-censored times.
    """
    spec, by = source.spec, _names(by)
    names = covariate_names(by, COLUMNS)
    groups = [levels for levels, _ in _groups(spec, by)]
    light = Source(spec, None, None)
    parts = by_part(light, partial(_seen, by, groups))
    seen = [_together(list(each)) for each in zip(*parts, strict=True)]
    grid = _grid(max(float(np.max(_last(times), initial=0.0)) for times, *_ in seen), times)

    def states_at(theta: np.ndarray) -> np.ndarray:
        sums = by_part(light, partial(_state_sums, theta, grid, by, groups))
        total, weight = (np.add.reduce(list(each)) for each in zip(*sums, strict=True))
        return total / weight[:, None, None]

    band = estimator.over([source], states_at, "logit")
    frames = []
    for number, (levels, (observed, codes, weight)) in enumerate(zip(groups, seen, strict=True)):
        limits = (getattr(band, n)[number].ravel() for n in ("estimate", "lower", "upper"))
        curves = aalen_johansen(observed, codes, spec.k, weight, level=estimator.ci)
        both = [_model(spec, grid, *limits), _nonparametric(spec, curves)]
        more = {names[name]: value for name, value in levels.items()}
        frames += [replaced(table, more) for table in both]
    out = pd.concat(frames, ignore_index=True)
    return out[[*names.values(), *COLUMNS]]


def _seen(
    by: tuple[str, ...], groups: list[dict[str, Any]], source: Source
) -> list[tuple[Times, np.ndarray, np.ndarray]]:
    """What was observed in each group: times, codes of events, and case weights."""
    spec = source.spec
    observed, codes = _observed(spec.rows.blocks[0])
    weight = spec.rows.row_weights
    return [(observed.take(at), codes[at], weight[at]) for at in _rows_of(spec, by, groups)]


def _together(
    parts: list[tuple[Times, np.ndarray, np.ndarray]],
) -> tuple[Times, np.ndarray, np.ndarray]:
    """The same of several blocks."""
    times, codes, weight = zip(*parts, strict=True)
    names = ("lower", "upper", "entry")
    ends = (np.concatenate([getattr(t, name) for t in times]) for name in names)
    return Times(*ends), np.concatenate(codes), np.concatenate(weight)


def _state_sums(
    theta: np.ndarray,
    grid: np.ndarray,
    by: tuple[str, ...],
    groups: list[dict[str, Any]],
    source: Source,
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of states' probabilities over the rows of groups, (T, G, grid, 1 + S), and weights."""
    spec = source.spec
    every = spec.rows.row_weights
    total = np.zeros((len(theta), len(groups), len(grid), 1 + spec.k))
    count = np.zeros(len(groups))

    def states(times: EventTimes) -> np.ndarray:
        return state_probabilities(times, grid)

    for number, at in enumerate(_rows_of(spec, by, groups)):
        weight = np.zeros(spec.rows.n)
        weight[at] = every[at]
        if (size := weight.sum()) > 0:
            found = averages(spec, theta, spec.rows, states, weight)
            total[:, number], count[number] = size * found[:, 0], size
    return total, count


def _rows_of(
    spec: MixtureSpec, by: tuple[str, ...], groups: list[dict[str, Any]]
) -> list[np.ndarray]:
    """The positions of the rows of each group; of a block it may have none."""
    if not by:
        return [np.arange(spec.rows.n)]
    found = {tuple(levels.values()): rows for levels, rows in _groups(spec, by)}
    return [found.get(tuple(levels.values()), np.zeros(0, int)) for levels in groups]


def compare_survival(
    source: Source,
    estimator: Estimator,
    by: str | Sequence[str] | None,
    times: Sequence[float] | None,
    response: str | None,
) -> pd.DataFrame:
    """The model's survival probabilities and the Kaplan-Meier estimate, tidy.

    Parameters and errors as of `compare_states`; `response` is which survival time, where the
    model has several.
    """
    spec = source.spec
    at = response_place(spec, response, "kaplan_meier")
    one, rows = one_response(spec, spec.rows, at)
    observed = _observed(rows.blocks[0])[0]
    refuse_background(observed, "kaplan_meier()")
    grid = _grid(float(np.max(_last(observed))), times)
    weight = rows.row_weights * counted(spec, rows, at)
    names = covariate_names(_names(by), COLUMNS)
    draws = source.draws if source.draws is None else source.draws[:: _every(source.draws)]
    model, frames = replace(source, spec=one, draws=draws), []

    def survival(times: EventTimes) -> np.ndarray:
        return marginal.survival(times, grid)[..., 0]

    for found, group in _groups(spec, _names(by)):
        inside = np.zeros(rows.n)
        inside[group] = weight[group]
        curve = band(estimator, model, rows, survival, "log-log", population=inside)
        steps = kaplan_meier(observed.take(group), weight[group], estimator.ci)
        limits = {n: getattr(curve, n)[0] for n in ("estimate", "lower", "upper")}
        levels = {names[name]: value for name, value in found.items()}
        mine = pd.DataFrame({"time": grid, **limits, "source": "model"})
        table = steps.table(["event"])
        other = table[table["state"] == "start"].assign(source="nonparametric")
        frames += [replaced(frame, levels) for frame in (mine, other)]
    out = pd.concat(frames, ignore_index=True)
    return out[[*names.values(), *(c for c in COLUMNS if c != "state")]]


def _every(draws: np.ndarray) -> int:
    """How many draws one stands for, so that a curve takes at most so many."""
    return -(-len(draws) // MOST_DRAWS)


def _observed(data: BlockRows) -> tuple[Times, np.ndarray]:
    """The times of a response, and the events known to end them."""
    found = [r.times for r in data.responses if r is not None and r.times is not None]
    if data.allowed is None or not data.own:
        return found[0], np.zeros(len(data.matrix), int)
    return seen_events(found, data.allowed)


def _last(observed: Times) -> np.ndarray:
    """The last time that is known of each row."""
    return np.where(np.isinf(observed.upper), observed.lower, observed.upper)


def _grid(last: float, times: Sequence[float] | None) -> np.ndarray:
    if times is None:
        return np.linspace(0.0, last, POINTS)
    grid = np.asarray(times, dtype=float)
    if grid.ndim != 1 or not np.isfinite(grid).all() or (grid < 0).any():
        raise FitError(f"times={times!r} must be finite numbers of zero or more")
    return grid


def _names(by: str | Sequence[str] | None) -> tuple[str, ...]:
    if by is None:
        return ()
    return (by,) if isinstance(by, str) else tuple(by)


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


def _model(
    spec: MixtureSpec, grid: np.ndarray, estimate: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> pd.DataFrame:
    states = (start_state(spec.components), *spec.components)
    columns = {"estimate": estimate, "lower": lower, "upper": upper, "source": "model"}
    time = np.repeat(grid, len(states))
    return pd.DataFrame({"time": time, "state": list(states) * len(grid), **columns})


def _nonparametric(spec: MixtureSpec, curves: StateCurves) -> pd.DataFrame:
    table = curves.table(spec.components, start_state(spec.components))
    return table[["time", "state", "estimate", "lower", "upper"]].assign(source="nonparametric")
