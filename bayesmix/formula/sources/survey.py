"""The first pass over a source: what is there, and a few of its rows that stand for all.

The rows drawn are some at random, and all those that a random part could lack: one for every
level of a factor or other column of few values, and those with a column's smallest and largest
value.  So a model made of them has the same terms and limits as one of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError
from bayesmix.formula.frames import build_units, check_columns, first_places, select_rows
from bayesmix.formula.sources.stream import Block, Source, Stream, Totals, complete_rows

# Rows drawn at random, about.
SAMPLE = 50_000
# Values of a column of numbers up to which each one is among the rows drawn.
FEW = 200


def surveyed(
    source: Source,
    columns: Sequence[str],
    needed: Sequence[str],
    group: str | None,
    weights: str | None,
    na_action: str,
) -> tuple[pd.DataFrame, Stream]:
    """A sample of the rows in use, and all of them as blocks.

    Parameters
    ----------
    source : Source
    columns : sequence of str
        Those in use.
    needed : sequence of str
        Those in which nothing may be missing.
    group, weights : str, optional
        Columns.
    na_action : {"error", "drop", "fiml"}

    Raises
    ------
    DataError
        If a column is not there, a value missing or infinite, or a group is in two places.
    """
    check_columns(pd.DataFrame(columns=list(source.names), index=[0]), columns)
    given, source = source, source.chosen(tuple(columns), group)
    share = SAMPLE / max(source.count(), 1)
    look = _Look(tuple(needed), group, weights, na_action, share)
    seen = _Seen(group, source.together.format(group=group))
    for found in source.map(look):
        seen.add(found)
    if not seen.totals.n:
        raise DataError("The data have no complete rows; at least one is needed.")
    frame = _as_text(pd.concat(seen.rows))
    return frame, Stream(source, tuple(needed), na_action == "drop", seen.totals, given)


@dataclass(frozen=True)
class _Found:
    """What one block has, with rows by their position in the block, as labels may repeat.

    Of the `rows` at `places` some are `drawn` at random; the others may be needed for the values
    that they stand for.
    """

    rows: pd.DataFrame
    places: np.ndarray
    drawn: np.ndarray
    values: dict[str, dict[Any, int]]
    ends: dict[str, tuple[float, int, float, int]]
    groups: pd.Index | None
    totals: Totals


@dataclass(frozen=True)
class _Look:
    """Look at one block."""

    needed: tuple[str, ...]
    group: str | None
    weights: str | None
    na_action: str
    share: float

    def __call__(self, block: Block) -> _Found:
        frame, before, drops = block.frame, len(block.frame), self.na_action == "drop"
        if drops:
            frame = frame[complete_rows(frame, self.needed)]
            if not len(frame):
                none = np.zeros(0, int)
                empty = Totals(n_dropped=before)
                return _Found(frame, none, none.astype(bool), {}, {}, None, empty)
        select_rows(frame, self.needed, "error" if drops else self.na_action)
        values: dict[str, dict[Any, int]] = {}
        ends: dict[str, tuple[float, int, float, int]] = {}
        for name in frame.columns:
            if name != self.group:
                _note(frame, name, values, ends)
        units = build_units(frame, self.group)
        drawn = self._drawn(frame, block.number)
        places = {p for v in values.values() for p in v.values()}
        places |= {p for e in ends.values() for p in (e[1], e[3])}
        kept = np.zeros(len(frame), bool)
        kept[list(places)] = True
        if self.group is not None:
            kept = np.isin(units.codes, units.codes[kept])
        n, n_units = len(frame), len(units.first)
        w = np.ones(n) if self.weights is None else frame[self.weights].to_numpy(dtype=float)
        sums = float(w.sum()), float(w[units.first].sum())
        totals = Totals(n, n_units, before - n, *sums)
        at = np.flatnonzero(drawn | kept)
        groups = None if self.group is None else units.index
        return _Found(frame.iloc[at], at, drawn[at], values, ends, groups, totals)

    def _drawn(self, frame: pd.DataFrame, number: int) -> np.ndarray:
        """Rows drawn at random; all of a group, or none."""
        if self.share >= 1:
            return np.ones(len(frame), bool)
        if self.group is None:
            return np.random.default_rng([7, number]).random(len(frame)) < self.share
        hashed = pd.util.hash_array(np.asarray(frame[self.group]), categorize=True)
        return hashed < self.share * 2.0**64


def _note(
    frame: pd.DataFrame,
    name: str,
    values: dict[str, dict[Any, int]],
    ends: dict[str, tuple[float, int, float, int]],
) -> None:
    """Note the values of a column of few, and the ends of a column of numbers, by position."""
    column = frame[name]
    try:
        codes, found = pd.factorize(column)
    except TypeError:
        raise DataError(
            f"The column {name!r} has lists or other things that are no single values; numbers, "
            "booleans, text and categories can be used."
        ) from None
    few = not pd.api.types.is_numeric_dtype(column.dtype) or len(found) <= FEW
    if few:
        values[name] = {found[codes[p]]: int(p) for p in first_places(codes)}
    if pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        if not np.isnan(numbers).all():
            low, high = int(np.nanargmin(numbers)), int(np.nanargmax(numbers))
            ends[name] = (float(numbers[low]), low, float(numbers[high]), high)


@dataclass
class _Seen:
    """What all blocks so far have."""

    group: str | None
    remedy: str
    rows: list[pd.DataFrame] = field(default_factory=list)
    values: dict[str, set[Any]] = field(default_factory=dict)
    ends: dict[str, tuple[float, float]] = field(default_factory=dict)
    groups: set[Any] = field(default_factory=set)
    totals: Totals = field(default_factory=Totals)

    def add(self, found: _Found) -> None:
        """Add one block."""
        self.totals = self.totals.plus(found.totals)
        self._add_groups(found.groups)
        needed: set[int] = set()
        for name, values in found.values.items():
            seen = self.values.setdefault(name, set())
            needed |= {at for value, at in values.items() if value not in seen}
            seen |= set(values)
        for name, (low, a, high, b) in found.ends.items():
            before = self.ends.get(name, (np.inf, -np.inf))
            needed |= ({a} if low < before[0] else set()) | ({b} if high > before[1] else set())
            self.ends[name] = (min(low, before[0]), max(high, before[1]))
        kept = found.drawn | np.isin(found.places, list(needed))
        if self.group is not None:
            codes, _ = pd.factorize(found.rows[self.group])
            kept = np.isin(codes, codes[kept])
        self.rows.append(found.rows[kept])

    def _add_groups(self, groups: pd.Index | None) -> None:
        if groups is None:
            return
        again = [value for value in groups if value in self.groups]
        if again:
            raise DataError(
                f"The rows of the group {self.group} = {plain(again[0])!r} are not together. "
                f"{self.remedy}."
            )
        self.groups.update(groups)


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories that are text in its own order as text, so that it is looked at as such."""
    out = {}
    for name, column in frame.items():
        dtype = column.dtype
        if isinstance(dtype, pd.CategoricalDtype) and not dtype.ordered:
            levels = list(dtype.categories)
            if all(isinstance(v, str) for v in levels) and levels == sorted(levels):
                column = column.astype(object)
        out[name] = column
    return pd.DataFrame(out, index=frame.index)
