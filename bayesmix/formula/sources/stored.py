"""Sources of models that were saved: what a file keeps of them, and the rows again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bayesmix.errors import DataError
from bayesmix.formula.sources.stream import Block, Source, Stream, Totals
from bayesmix.formula.sources.tables import Files

# What to do without the rows.
AGAIN = (
    "Estimates, their standard errors, AIC and BIC were saved with it, and what takes newdata= may "
    "have rows of yours; for anything else fit the model again."
)


@dataclass(frozen=True, eq=False)
class Saved:
    """The rows of a model that was loaded, read from their files when they are needed.

    Parameters
    ----------
    words : str
    names : tuple of str
        The columns in use.
    group : str, optional
    n : int
        Rows, those that were dropped too.
    files : Files, or None
        None where the rows came from memory or a cluster: they are gone.
    """

    words: str
    names: tuple[str, ...]
    group: str | None
    n: int
    files: Files | None
    together = "Sort the files by {group!r}"  # they were together before

    def count(self) -> int:
        """The number of rows."""
        return self.n

    def chosen(self, columns: tuple[str, ...], group: str | None) -> Source:
        """The same rows with some columns."""
        return self._source.chosen(columns, group)

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:
        """The results of a task for every block."""
        return self._source.map(task, n_threads)

    @cached_property
    def _source(self) -> Source:
        if self.files is None:
            raise DataError(
                f"The model was saved without its rows, which came from {self.words} in blocks. "
                f"{AGAIN}"
            )
        if (found := self.files.count()) != self.n:
            raise DataError(
                f"{self.words} had {self.n} rows when the model was saved, and has {found} now. "
                f"{AGAIN}"
            )
        return self.files.chosen(self.names, self.group)


def pack_stream(stream: Stream) -> dict[str, Any]:
    """Describe a stream in numbers and texts: of files their paths, never the rows."""
    source: Any = stream.source
    files: Files | None = source if isinstance(source, Files) else getattr(source, "files", None)
    return {
        "words": source.words,
        "names": list(source.names),
        "group": getattr(source, "group", None),
        "needed": list(stream.needed),
        "drops": stream.drops,
        "totals": list(stream.totals),
        "files": None if files is None else [list(files.paths), files.format, files.rows],
    }


def unpack_stream(described: Mapping[str, Any]) -> Stream:
    """The stream that `pack_stream` described."""
    totals = Totals(*described["totals"])
    words, files = described["words"], None
    if described["files"] is not None:
        paths, kind, rows = described["files"]
        files = Files(tuple(paths), kind, words, rows)
    n = totals.n + totals.n_dropped
    source = Saved(words, tuple(described["names"]), described["group"], n, files)
    given = source if files is None else files
    return Stream(source, tuple(described["needed"]), described["drops"], totals, given)
