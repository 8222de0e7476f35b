"""Typical subjects, and subjects whose covariates a reader chooses by sliders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.formula.response import time_name
from bayesmix.model import MixtureSpec
from bayesmix.plot.grid import Covariates, covariates_of, levels_of, new_rows
from bayesmix.plot.style import colour
from bayesmix.reporting.blocks import Block, Sliders, Table, Words
from bayesmix.reporting.files import interval, number
from bayesmix.survival.comparison import start_state

MOST = 8  # subjects
ENDS = ["estimate", "lower", "upper"]


def typical_rows(spec: MixtureSpec) -> pd.DataFrame:
    """Subjects with every combination of the factors' levels, numbers at their medians.

    Factors that would make more than eight subjects stay at their first level.
    """
    data = spec.prepared.data
    known = _covariates(spec)
    levels: dict[str, list[Any]] = {}
    for name in known.factors:
        found = levels_of(data[name])
        if np.prod([len(found), *map(len, levels.values())]) <= MOST:
            levels[name] = found
    return _combinations(spec, levels)


def _covariates(spec: MixtureSpec) -> Covariates:
    designs = [d for part in spec.prepared.parts for d in part.designs]
    concomitant = spec.prepared.concomitant
    every = [*designs, *([] if concomitant is None else [concomitant])]
    return covariates_of(every, spec.prepared.data)


def _combinations(spec: MixtureSpec, values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A row for each combination of the values, the last column moving fastest."""
    rows = list(product(*values.values()))
    moving = {n: np.array([r[i] for r in rows], dtype=object) for i, n in enumerate(values)}
    return new_rows(spec, len(rows), moving)


def typical_events(name: str, fit: Any, spec: MixtureSpec) -> Table | Words:
    """Probability of each event, and median and mean time to it, of typical subjects."""
    subjects = typical_rows(spec)
    try:
        found = {
            "probability": fit.event_probabilities(subjects),
            "median time": fit.quantile_time(0.5, subjects),
            "mean time": fit.mean_time(subjects),
        }
    except BayesmixError as error:
        return Words(f"{name}: no predictions for typical subjects: {error}", "note")
    key = ["row", *subjects.columns, "event"]
    table = found["probability"][key]
    shown = table.drop(columns="row")
    for words, own in found.items():
        told = own[["row", "event", *ENDS]].rename(columns={end: f"{words} {end}" for end in ENDS})
        table = table.merge(told, on=["row", "event"], how="left")
        numbers = table[[f"{words} {end}" for end in ENDS]].to_numpy(dtype=float)
        shown = shown.assign(
            **{
                words: [number(v) for v in numbers[:, 0]],
                f"{words}, 95% interval": [interval(*ends) for ends in numbers[:, 1:]],
            }
        )
    caption = (
        f"Typical subjects by {name}, numbers at their medians: the probability of each event, "
        "and the time to it of those who have it"
    )
    return Table(f"typical_{name}", caption, table, shown)


MOST_ROWS = 120  # combinations of covariates that are computed beforehand
POINTS = (9, 5, 3)  # values of a numeric covariate
TAILS = (0.05, 0.95)  # of the data, between which these lie
STEPS = 41  # times
NO_EVENT = "0.35"


def slider_values(spec: MixtureSpec) -> dict[str, list[Any]]:
    """Values of the covariates that have sliders, at most 120 combinations of them.

    The numbers of values are as large as these allow; covariates beyond are left out.
    """
    data, known = spec.prepared.data, _covariates(spec)
    for points in POINTS:
        found = {n: _numbers(data[n], points) for n in known.numeric}
        found |= {n: levels_of(data[n]) for n in known.factors}
        if np.prod([len(values) for values in found.values()]) <= MOST_ROWS:
            return found
    while found and np.prod([len(values) for values in found.values()]) > MOST_ROWS:
        found.popitem()
    return found


def _numbers(column: pd.Series, points: int) -> list[float]:
    """Evenly spaced values of the middle of a column, to three digits."""
    low, high = np.quantile(column.to_numpy(dtype=float), TAILS)
    whole = bool((column == column.round()).all()) and high - low >= points
    values = [round(v) if whole else float(f"{v:.3g}") for v in np.linspace(low, high, points)]
    return list(dict.fromkeys(values))


def event_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Probabilities of the states over time, for covariates that sliders choose."""
    times = spec.prepared.times
    start = start_state(fit.components)
    lines = [(str(c), colour(s)) for s, c in enumerate(fit.components)] + [("no event yet", "")]
    caption = f"Probabilities over time for a subject of your choice ({name})"
    states = [*fit.components, start]
    return _sliders(
        spec,
        caption,
        (time_name(list(times)), _last(times.values())),
        lines,
        lambda times, rows: fit.state_probabilities(times, rows),
        ("state", states),
    )


def survival_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Survival curves of all together and of the components, by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    lines = [("all", "")]
    if fit.k > 1:
        lines += [(f"component {c}", colour(s)) for s, c in enumerate(fit.components)]
    caption = f"Survival curves for a subject of your choice ({name})"
    return _sliders(
        spec,
        caption,
        (time_name([response]), _last([part.response.times])),
        lines,
        lambda times, rows: fit.survival(times, rows, response=response),
        ("component", [None, *fit.components][: len(lines)]),
    )


def _last(times: Any) -> float:
    """The last time that was seen."""
    ends = [np.concatenate([t.lower, t.upper[np.isfinite(t.upper)]]) for t in times]
    return float(np.max(np.concatenate(ends)))


def _sliders(
    spec: MixtureSpec,
    caption: str,
    time: tuple[str, float],
    lines: Sequence[tuple[str, str]],
    table_of: Any,
    key: tuple[str, Sequence[Any]],
) -> list[Block]:
    """One block, or none without covariates, or a note where the numbers cannot be had."""
    values = slider_values(spec)
    if not values:
        return []
    rows = _combinations(spec, values)
    times = np.linspace(0.0, time[1], STEPS)
    try:
        table = table_of(list(times), rows)
    except BayesmixError as error:
        return [Words(f"{caption}: not available: {error}", "note")]
    column = table[key[0]].astype(object)
    own = [table[(column.isna() if k is None else column == k).to_numpy(bool)] for k in key[1]]
    found = [part[ENDS].to_numpy(dtype=float).reshape(len(rows), STEPS, 3) for part in own]
    known = np.isfinite(np.stack(found)).all()
    caption += ", with 95% intervals" + ("" if known else " where they are known")
    held = [n for n in _covariates(spec).names if n not in values]
    words = f"{caption} ({', '.join(held)}: median or first level)" if held else caption
    axes = tuple((n, tuple(number(v) for v in given)) for n, given in values.items())
    return [Sliders(words, axes, time[0], times, tuple(lines), np.stack(found, axis=1))]
