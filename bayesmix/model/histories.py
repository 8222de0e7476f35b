"""Histories: rows of one group that continue each other are one subject's time in pieces."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from bayesmix.errors import warn
from bayesmix.formula.frames import Units, build_units
from bayesmix.formula.times import Times
from bayesmix.model.parts import Prepared

# Ends and entries agree up to rounding.
CLOSE = 1e-9


def continuing(times: Times, units: Units) -> np.ndarray:
    """Rows (n,) that begin where another row of their group ends.

    Whose rows do not overlap is one subject, seen in pieces: such a row is conditional on what
    the rows before it say, within each component, and its entry is no late one of the group.
    Groups whose rows overlap hold several subjects, each with an entry of its own.

    Parameters
    ----------
    times : Times
        Of n rows.
    units : Units
    """
    out = np.zeros(len(times), bool)
    if not units.grouped or not times.truncated:
        return out
    end = np.where(np.isinf(times.upper), times.lower, times.upper)
    order = np.lexsort((end, times.entry, units.codes))
    entry, ends, unit = times.entry[order], end[order], units.codes[order]
    same = unit[1:] == unit[:-1]
    gap = entry[1:] - ends[:-1]
    rounding = CLOSE * np.maximum(entry[1:], ends[:-1])
    overlaps = np.zeros(len(units.first), bool)
    overlaps[unit[1:][same & (gap < -rounding)]] = True
    follows = same & (np.abs(gap) <= rounding) & ~overlaps[unit[1:]]
    out[order[1:][follows]] = True
    return out


def pieces_of(data: pd.DataFrame, times: Times, used: Collection[str]) -> str | None:
    """The column that makes pieces of one subject's time of the rows with a late entry.

    Parameters
    ----------
    data : DataFrame of n rows
    times : Times
        Of n rows that are taken for a unit each.
    used : collection of str
        Columns that the response is made of.

    Returns
    -------
    str or None
        A column whose rows continue each other at most entries after zero.
    """
    late = times.entry > 0
    if not times.truncated or late.all():
        return None
    for name in data.columns:
        values = data[name]
        if name in used or values.dtype.kind == "f" or values.isna().any() or values.is_unique:
            continue
        if continuing(times, build_units(data, name))[late].mean() > 0.5:
            return str(name)
    return None


def flag_pieces(data: object, prepared: Prepared) -> None:
    """Warn of rows that look like pieces of one subject's time but count as subjects."""
    if not isinstance(data, pd.DataFrame):
        return
    for part in prepared.readings:
        times = part.response.times
        if prepared.group is not None or times is None or len(times) != len(data):
            continue
        subject = pieces_of(data, times, part.formula.response_names)
        if subject is not None:
            warn("pieces", pieces_text(subject))
            return


def pieces_text(subject: str) -> str:
    """What such rows look like, and what to do."""
    return (
        f"most rows with an entry after zero begin where another row of the same {subject!r} ends: "
        "they look like pieces of one subject's time, and each counts as a subject of its own "
        f"here. Write them as one, '... | {subject}' (or group={subject!r}); a "
        "model of competing events takes one row for each subject"
    )
