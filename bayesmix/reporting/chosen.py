"""Typical subjects, and rows for combinations of covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.formula.frames import levels_of
from bayesmix.model import MixtureSpec
from bayesmix.plot.grid import (
    covariates_of,
    designs_of,
    new_rows,
)
from bayesmix.reporting.blocks import Table, Words
from bayesmix.reporting.files import with_interval
from bayesmix.results.tables import ENDS

MOST = 8  # subjects


def typical_rows(spec: MixtureSpec) -> pd.DataFrame:
    """Subjects with every combination of the factors' levels, numbers at their medians.

    Factors that would make more than eight subjects stay at their first level.
    """
    data = spec.prepared.data
    known = covariates_of(designs_of(spec), data)
    levels: dict[str, list[Any]] = {}
    for name in known.factors:
        found = levels_of(data[name])
        if np.prod([len(found), *map(len, levels.values())]) <= MOST:
            levels[name] = found
    return combinations(spec, levels)


def combinations(spec: MixtureSpec, values: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
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
        columns = {end: f"{words} {end}" for end in ENDS}
        own = own[["row", "event", *ENDS]].rename(columns=columns)
        table = table.merge(own, on=["row", "event"], how="left")
        shown = shown.assign(**with_interval(words, table[list(columns.values())]))
    caption = (
        f"Typical subjects by {name}, numbers at their medians: the probability of each event, "
        "and the time to it of those who have it"
    )
    return Table(f"typical_{name}", caption, table, shown)
