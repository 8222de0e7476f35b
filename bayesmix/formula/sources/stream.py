"""The rows in use of a source, block by block, in which units are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import pandas as pd

from bayesmix.errors import DataError


class Block(NamedTuple):
    """Some rows: `number` counts blocks from zero, `frame` has their columns in use."""

    number: int
    frame: pd.DataFrame


class Source(Protocol):
    """Rows in blocks of whole units; a task is done where a block is, its result comes back."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        ...

    @property
    def words(self) -> str:
        """What the source is, such as a pattern of file names."""
        ...

    def count(self) -> int:
        """The number of rows."""
        ...

    @property
    def together(self) -> str:
        """What the user does so that the rows of a `{group!r}` are in one block."""
        ...

    def chosen(self, columns: tuple[str, ...], group: str | None) -> Source:
        """The same rows with some columns alone, ready to be read many times.

        Rows of one value of the `group` stand in one block.
        """
        ...

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:
        """The results of a task for every block, in the order of the blocks."""
        ...


class Totals(NamedTuple):
    """Rows and units of a stream, and the sums of the case weights over them.

    Where responses may be missing, `missing` counts them, `unseen` the units of which nothing was
    observed, and the sums are of what was.
    """

    n: int = 0
    n_units: int = 0
    n_dropped: int = 0
    row_weight: float = 0.0
    unit_weight: float = 0.0
    missing: dict[str, int] | None = None
    unseen: int = 0

    def plus(self, other: Totals) -> Totals:
        """With those of other rows; none of them are counted as missing."""
        sums: Any = [a + b for a, b in zip(self[:5], other[:5], strict=True)]
        return Totals(*sums)


@dataclass(frozen=True, eq=False)
class Stream:
    """The rows that a model uses.

    Parameters
    ----------
    source : Source
        With the columns in use, and blocks of whole units.
    needed : tuple of str
        Columns in which nothing may be missing.
    drops : bool
        Whether rows that miss something are left out; they are refused otherwise.
    totals : Totals
    given : Source
        With all columns.
    """

    source: Source
    needed: tuple[str, ...]
    drops: bool
    totals: Totals
    given: Source

    def reading(self, column: str) -> Stream:
        """The same rows with another column too.

        Raises
        ------
        DataError
            If there is no such column, or the rows are others than before.
        """
        if column in self.source.names:
            return self
        if column not in self.given.names:
            raise DataError(f"{column!r} is not a column of {self.given.words}.")
        columns = (*self.source.names, column)
        group = getattr(self.source, "group", None)
        source, n = self.given.chosen(columns, group), self.totals.n + self.totals.n_dropped
        if (found := source.count()) != n:
            raise DataError(f"{source.words} had {n} rows for the fit, and has {found} now.")
        return replace(self, source=source)

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:
        """The results of a task for the complete rows of every block, in order."""
        if not self.drops:
            return self.source.map(task, n_threads)
        found = self.source.map(partial(_of_complete, task, self.needed), n_threads)
        return (made for made in found if made is not None)


def _of_complete[T](task: Callable[[Block], T], needed: Sequence[str], block: Block) -> T | None:
    """The result of a task for the rows that are complete; None without any."""
    rows = complete_rows(block.frame, needed)
    if not rows.any():
        return None
    return task(block if rows.all() else block._replace(frame=block.frame[rows]))


def complete_rows(frame: pd.DataFrame, needed: Sequence[str]) -> pd.Series:
    """Which rows have a value in every needed column."""
    return frame[list(needed)].notna().all(axis=1)
