"""Dask frames as sources: tasks go to the partitions, and only what they give travels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.formula.sources.stream import Block


def is_dask(value: Any) -> bool:
    """Whether something is a frame of dask."""
    return type(value).__module__.startswith("dask.") and hasattr(value, "to_delayed")


@dataclass(frozen=True, eq=False)
class Partitions:
    """The partitions of a dask frame, one block each.

    The user's client, or dask's own scheduler without one, runs a task for each partition where
    it lies.  If a worker dies, dask makes its partitions again on another one.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    small : int
        Rows up to which all are read at once: never.
    """

    frame: Any
    small: int = -1
    words = "a dask frame"
    together = "Put them together first: data.shuffle({group!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(self.frame.columns)

    def count(self) -> int:
        """The number of rows."""
        return int(self._first[-1])

    def chosen(self, columns: tuple[str, ...], group: str | None) -> Partitions:  # noqa: ARG002
        """The same rows with some columns, kept where they are."""
        return replace(self, frame=self.frame[list(columns)].persist())

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:  # noqa: ARG002
        """The results of a task for every partition that has rows."""
        yield from (made for made in self._run(partial(_numbered, task)) if made is not None)

    @cached_property
    def _first(self) -> np.ndarray:
        """The number of the first row of every partition, and of all."""
        return np.append(0, np.cumsum(self._run(_length, 0)))

    def _run(self, function: Callable[..., Any], first: int | None = None) -> tuple[Any, ...]:
        import dask

        sent = dask.delayed(function, pure=False, traverse=False)
        begin = self._first.tolist() if first is None else [first] * (self.frame.npartitions + 1)
        parts = enumerate(self.frame.to_delayed())
        made: tuple[Any, ...] = dask.compute(*(sent(n, begin[n], part) for n, part in parts))
        return made


def _length(_number: int, _first: int, frame: pd.DataFrame) -> int:
    return len(frame)


def _numbered[T](
    task: Callable[[Block], T], number: int, first: int, frame: pd.DataFrame
) -> T | None:
    """Do a task for a partition, whose rows are labelled by their number among all."""
    if not len(frame):
        return None
    rows = pd.RangeIndex(first, first + len(frame))
    return task(Block(number, frame.set_axis(rows, axis=0)))
