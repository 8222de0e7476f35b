"""Histories: rows of one group that continue each other are one subject's time in pieces."""

from __future__ import annotations

import numpy as np

from bayesmix.formula.frames import Units
from bayesmix.formula.times import Times

__all__ = ["continuing"]

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
