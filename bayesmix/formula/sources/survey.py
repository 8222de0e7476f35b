"""The first pass over a source: what is there, and a few of its rows that stand for all.

The rows drawn are some at random, and all those that a random part could lack: one for every
level of a factor or other column of few values, and those with a column's smallest and largest
value.  So a model made of them has the same terms and limits as one of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    seen = _Seen(group, source.together.format(group=group))
    for found in source.map(_Look(tuple(needed), group, weights, na_action, share)):
        seen.add(found)
    if not seen.totals.n:
        raise DataError("The data have no complete rows; at least one is needed.")
    frame = _as_text(seen.frame())
    return frame, Stream(source, tuple(needed), na_action == "drop", seen.totals, given)


class _Found(NamedTuple):
    """What one block has: rows, of which some are `drawn` at random, and the values of its groups.

    The other rows may be needed for what they stand for.
    """

    rows: pd.DataFrame
    drawn: np.ndarray
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
                return _Found(frame, np.zeros(0, bool), None, Totals(n_dropped=before))
        select_rows(frame, self.needed, "error" if drops else self.na_action)
        units, n = build_units(frame, self.group), len(frame)
        w = np.ones(n) if self.weights is None else frame[self.weights].to_numpy(dtype=float)
        sums = float(w.sum()), float(w[units.first].sum())
        totals = Totals(n, len(units.first), before - n, *sums)
        drawn = self._drawn(frame, block.number)
        kept = drawn | _standing(frame, self.group)
        groups = None if self.group is None else units.index
        return _Found(frame[kept], drawn[kept], groups, totals)

    def _drawn(self, frame: pd.DataFrame, number: int) -> np.ndarray:
        """Rows drawn at random; all of a group, or none."""
        if self.share >= 1:
            return np.ones(len(frame), bool)
        if self.group is None:
            return np.random.default_rng([7, number]).random(len(frame)) < self.share
        hashed = pd.util.hash_array(np.asarray(frame[self.group]), categorize=True)
        return hashed < self.share * 2.0**64


def _standing(frame: pd.DataFrame, group: str | None) -> np.ndarray:
    """Rows (n,) that a random part of them could lack, with all others of their groups."""
    kept = np.zeros(len(frame), bool)
    for name in (name for name in frame.columns if name != group):
        kept[_of_column(frame, name)] = True
    if group is not None:
        codes, _ = pd.factorize(frame[group])
        kept = np.isin(codes, codes[kept])
    return kept


def _of_column(frame: pd.DataFrame, name: str) -> list[int]:
    """The first rows of a column's values, if they are few, and those of the ends of numbers."""
    column = frame[name]
    try:
        codes, found = pd.factorize(column)
    except TypeError:
        raise DataError(
            f"The column {name!r} has lists or other things that are no single values; numbers, "
            "booleans, text and categories can be used."
        ) from None
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    places = [] if numeric and len(found) > FEW else first_places(codes).tolist()
    if numeric and len(found):
        numbers = column.to_numpy(dtype=float, na_value=np.nan)
        places += [int(np.nanargmin(numbers)), int(np.nanargmax(numbers))]
    return places


@dataclass
class _Seen:
    """What all blocks so far have."""

    group: str | None
    remedy: str
    rows: list[pd.DataFrame] = field(default_factory=list)
    drawn: list[np.ndarray] = field(default_factory=list)
    groups: set[Any] = field(default_factory=set)
    totals: Totals = field(default_factory=Totals)
    most: int = 4 * SAMPLE

    def add(self, found: _Found) -> None:
        """Add one block."""
        self.totals = self.totals.plus(found.totals)
        self._add_groups(found.groups)
        self.rows.append(found.rows)
        self.drawn.append(found.drawn)
        if sum(map(len, self.rows)) > self.most:
            self.most = max(self.most, 2 * len(self.frame()))

    def frame(self) -> pd.DataFrame:
        """The rows drawn, and those that stand for others of all blocks; the rest is let go."""
        whole, drawn = pd.concat(self.rows), np.concatenate(self.drawn)
        kept = drawn | _standing(whole, self.group)
        self.rows, self.drawn = [whole[kept]], [drawn[kept]]
        return self.rows[0]

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
