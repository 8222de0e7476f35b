"""What belongs to units, not rows: case weights, known labels, and what must agree in a group."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError
from bayesmix.formula.frames import Units
from bayesmix.formula.response import Response

# Copies of weighted rows that are made where a family looks at its response.
MOST_COPIES = 100_000


def constant_in_units(values: np.ndarray, units: Units, what: str, name: str) -> None:
    """Refuse values (n,) or (n, Q) that differ between the rows of a group."""
    differs = values != values[units.first][units.codes]
    rows = differs if values.ndim == 1 else differs.any(1)
    if rows.any():
        bad = units.index[np.unique(units.codes[rows])]
        raise DataError(
            f"{what} ({name}) must be the same in all rows of a group, but differ in "
            f"{len(bad)} of them, such as {units.name} = {plain(bad[0])!r}; a group has one "
            "component"
        )


def unit_values(
    data: pd.DataFrame,
    units: Units,
    needed: list[str],
    others: list[str],
    name: str,
    known: np.ndarray | None = None,
) -> pd.DataFrame:
    """The rows with the values of their unit, from the one of its rows that has them.

    Parameters
    ----------
    data : DataFrame of n rows
    units : Units
    needed, others : list of str
        Columns that must be there, and those that may be missing (bounds of an interval).
    name : str
        The response.
    known : ndarray of bool, shape (n,), optional
        Where the response is known: a unit may have it in no row, and keeps its first row's values.

    Raises
    ------
    DataError
        If no row of a unit has the values, or two rows have different ones.
    """
    columns = [*needed, *others]
    there = data[needed].notna().all(axis=1).to_numpy()
    if others:
        there = there & data[others].notna().any(axis=1).to_numpy()
    chosen = np.full(len(units.first), len(data))
    np.minimum.at(chosen, units.codes[there], np.flatnonzero(there))
    lost = chosen == len(data)
    if known is not None:
        at = np.flatnonzero(known)[::-1]  # the first such row of a unit is written last
        first = units.first.copy()
        first[units.codes[at]] = at
        chosen, lost = np.where(lost, first, chosen), np.zeros(len(lost), bool)
    if lost.any():
        raise DataError(
            f"{name!r} belongs to the unit (per='unit'), but {int(lost.sum())} groups have it in "
            f"no row, such as {units.name} = {plain(units.index[lost][0])!r}; give it in one row "
            "of each group, or leave these groups out"
        )
    found = data.iloc[chosen[units.codes]].set_axis(data.index)
    for column in columns:
        now, own = data[column], found[column]
        differs = (now.notna() & ~(now == own).fillna(False)).to_numpy(dtype=bool)
        if differs.any():
            bad = units.index[units.codes[np.flatnonzero(differs)[0]]]
            raise DataError(
                f"{name!r} belongs to the unit (per='unit'), but the column {column!r} has "
                f"different values in rows of one group, such as {units.name} = {plain(bad)!r}; it "
                "is the same in all rows of a group, or missing in all but one"
            )
    return found


def once_by_unit(response: Response, units: Units) -> Response:
    """A response that stands in all rows of its unit, kept in the first of them alone."""
    once, times = np.zeros(len(response.y), bool), response.times
    once[units.first] = True
    if times is None:
        there = once if response.there is None else once & response.there
        kept = response.take(there).spread(there)
        return replace(kept, trials=response.trials)
    entry = np.where(once, times.entry, 0.0)
    return replace(response, times=replace(times.only(once), entry=entry))


def case_weights(
    data: pd.DataFrame, column: str, units: Units, *, whole: bool = True
) -> np.ndarray:
    """Weights of the units, (U,), from a column; of a part of the rows unless they are `whole`.

    Raises
    ------
    DataError
        Unless they are non-negative numbers, the same within a group, and some positive.
    """
    if not pd.api.types.is_numeric_dtype(data[column]):
        msg = f"the weights column {column!r} holds {data[column].dtype}; weights are numbers"
        raise DataError(msg)
    w = data[column].to_numpy(dtype=float)
    if not np.isfinite(w).all() or (w < 0).any():
        bad = int((~np.isfinite(w) | (w < 0)).sum())
        msg = f"the weights column {column!r} has {bad} negative or infinite values; use w >= 0"
        raise DataError(msg)
    if whole and not w.any():
        raise DataError(f"all weights in {column!r} are zero; at least one row must count")
    if units.grouped:
        constant_in_units(w, units, "the weights", column)
    return w[units.first]


def as_copies(weight: np.ndarray | None) -> np.ndarray | slice:
    """Positions of rows, each as often as its weight says.

    Exact for whole weights with a sum of at most 100,000; else the nearest whole
    numbers of copies with that sum.

    Parameters
    ----------
    weight : ndarray, shape (n,), or None
    """
    if weight is None:
        return slice(None)
    total = weight.sum()
    if (weight == np.rint(weight)).all() and total <= MOST_COPIES:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    ends = np.rint(np.cumsum(weight) * (MOST_COPIES / total)).astype(int)
    return np.repeat(np.arange(len(weight)), np.diff(ends, prepend=0))


def known_components(labels: pd.Categorical, components: tuple[Hashable, ...]) -> np.ndarray:
    """The components (U, S) that the labels of the units leave possible."""
    places = np.array([components.index(plain(c)) for c in labels.categories])
    allowed = np.ones((len(labels), len(components)), bool)
    known = labels.codes >= 0
    allowed[known] = places[labels.codes[known], None] == np.arange(len(components))
    return allowed


def known_labels(
    data: pd.DataFrame, column: str, units: Units, levels: pd.Index | None = None
) -> pd.Categorical:
    """Known components of the units, missing where unknown; categories in their order.

    Of a part of the rows, which may have no label, `levels` are the categories of all.

    Raises
    ------
    DataError
        If no label is known, labels cannot be ordered, or they differ within a group.
    """
    if levels is None:
        labels = _categorical(data[column], column)
    else:
        labels = pd.Categorical(data[column], categories=levels)
    if levels is None and not (labels.codes >= 0).any():
        raise DataError(f"the labels column {column!r} has no known label; leave labels= out")
    if not units.grouped:
        return labels
    # A label known in one row of a group holds for the group; two different ones conflict.
    known = labels.codes >= 0
    low = np.full(len(units.first), len(labels.categories))
    high = np.full(len(units.first), -1)
    np.minimum.at(low, units.codes[known], labels.codes[known])
    np.maximum.at(high, units.codes[known], labels.codes[known])
    clash = (high >= 0) & (low != high)
    if clash.any():
        bad = units.index[clash]
        raise DataError(
            f"{int(clash.sum())} groups have rows with different labels in {column!r}, such as "
            f"{units.name} = {plain(bad[0])!r}; the rows of a group share one component"
        )
    return pd.Categorical.from_codes(high, categories=labels.categories)


def _categorical(values: pd.Series, column: str) -> pd.Categorical:
    """A column as categories, sorted unless they have an order of their own."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return pd.Categorical(values)
    found = values.dropna().unique().tolist()
    if all(isinstance(v, float) and v.is_integer() for v in found):
        # Integers that have become floats because some labels are missing.
        found, values = [int(v) for v in found], values.astype("Int64")
    try:
        categories = sorted(found)
    except TypeError:
        kinds = sorted({type(v).__name__ for v in found})
        raise DataError(
            f"the labels column {column!r} mixes {' and '.join(kinds)}; use one type, or a "
            "Categorical with its categories in order"
        ) from None
    return pd.Categorical(values, categories=categories)
