"""What is predicted for subjects with competing events: a few typical ones."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.model import MixtureSpec
from bayesmix.plot.grid import covariates_of, levels_of, new_rows
from bayesmix.reporting.blocks import Table, Words
from bayesmix.reporting.numbers import interval, number

__all__ = ["typical_events", "typical_rows"]

MOST = 8  # subjects
ENDS = ["estimate", "lower", "upper"]


def typical_rows(spec: MixtureSpec) -> pd.DataFrame:
    """Subjects with every combination of the factors' levels, numbers at their medians.

    Factors that would make more than eight subjects stay at their first level.
    """
    data = spec.prepared.data
    designs = [d for part in spec.prepared.parts for d in part.designs]
    concomitant = spec.prepared.concomitant
    known = covariates_of([*designs, *([] if concomitant is None else [concomitant])], data)
    levels: dict[str, list[Any]] = {}
    for name in known.factors:
        found = levels_of(data[name])
        if np.prod([len(found), *map(len, levels.values())]) <= MOST:
            levels[name] = found
    rows = list(product(*levels.values()))
    moving = {n: np.array([r[i] for r in rows], dtype=object) for i, n in enumerate(levels)}
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
