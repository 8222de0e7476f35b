"""Arrow tables and files as sources: read once where their columns in use fit, else every time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.memory import available_bytes
from bayesmix.errors import DataError
from bayesmix.formula.sources.stream import Block

# Rows of a block, about.
ROWS = 1 << 16
# Rows up to which a source is simply read.
SMALL = 500_000
# The share of the free memory that columns in use may take; beyond it files are read again.
SHARE = 0.25
BYTES = 10  # of a value: eight, or a code and its text


@dataclass(frozen=True, eq=False)
class Table:
    """An Arrow table in memory.

    Parameters
    ----------
    table : pyarrow.Table
    words : str
    rows : int
        Rows of a block, about.
    small : int
        Rows up to which all are read at once.
    index : ndarray, shape (n,), or None
        The label of each row, where they are not 0, 1, ...
    group : str, optional
    files : Files, optional
        Where the rows were read.
    """

    table: Any
    words: str
    rows: int = ROWS
    small: int = SMALL
    index: np.ndarray | None = None
    group: str | None = None
    files: Files | None = None
    together = "Sort the rows by {group!r}"  # `chosen` has done so

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(self.table.column_names)

    def count(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    def chosen(self, columns: tuple[str, ...], group: str | None) -> Table:
        """The same rows with some columns, sorted by the group where its rows are apart."""
        table = _coded(self.table.select(list(columns)))
        if group is None:
            return replace(self, table=table)
        codes, _ = pd.factorize(to_frame(table.select([group]))[group])
        if (np.diff(codes) >= 0).all():
            return replace(self, table=table, group=group)
        order = np.argsort(codes, kind="stable")
        index = order if self.index is None else self.index[order]
        return replace(self, table=table.take(order), index=index, group=group)

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:
        """The results of a task for every block."""
        return in_order(task, self._blocks(), n_threads)

    def _blocks(self) -> Iterator[Block]:
        for block in block_frames([self.table], self.rows, self.group):
            if self.index is not None:
                frame = block.frame.set_axis(self.index[block.frame.index], axis=0)
                block = block._replace(frame=frame)
            yield block


@dataclass(frozen=True, eq=False)
class Files:
    """Parquet or Feather files, read block by block.

    Parameters
    ----------
    paths : tuple of str
    format : str
        "parquet" or "feather".
    words : str
        As the user gave them.
    rows : int
        Rows of a block, about.
    small : int
        Rows up to which all are read at once.
    columns : tuple of str, optional
    group : str, optional
    """

    paths: tuple[str, ...]
    format: str
    words: str
    rows: int = ROWS
    small: int = SMALL
    columns: tuple[str, ...] | None = None
    group: str | None = None
    together = (
        "The data are too large to be sorted in memory. Sort the files by {group!r} first, as with "
        "polars.scan_parquet(...).sort(...).sink_parquet(...)"
    )

    @cached_property
    def _dataset(self) -> Any:
        """All files, whose numbers may be of different types; folders may name values, `year=2026`.

        Raises
        ------
        DataError
            If a file cannot be read, or a column is text in one and numbers in another.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        with _readable(self.words):
            how: dict[str, Any] = {"format": self.format, "partitioning": "hive"}
            found = ds.dataset(list(self.paths), **how)
            schema = found.schema
            for part in found.get_fragments():
                try:
                    schema = pa.unify_schemas(
                        [schema, part.physical_schema], promote_options="permissive"
                    )
                except pa.ArrowTypeError as error:
                    raise DataError(
                        f"{part.path} has a column of another type than the files before it "
                        f"({error}). Write it again with the type that the others have."
                    ) from None
            return ds.dataset(list(self.paths), schema=schema, **how)

    def _check(self, columns: tuple[str, ...]) -> None:
        """Refuse files that lack a column, whose values would be silently missing."""
        import pyarrow.dataset as ds

        for part in self._dataset.get_fragments():
            folders = ds.get_partition_keys(part.partition_expression)  # columns by their names
            own = {*part.physical_schema.names, *folders}
            for name in columns:
                if name not in own:
                    raise DataError(f"{part.path} has no column {name!r}, which other files have.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind."""
        return {k: v for k, v in self.__dict__.items() if k != "_dataset"}

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return self.columns or tuple(self._dataset.schema.names)

    def count(self) -> int:
        """The number of rows."""
        dataset = self._dataset
        with _readable(self.words):
            return int(dataset.count_rows())

    def whole(self, columns: tuple[str, ...]) -> Table:
        """All rows of some columns, in memory."""
        self._check(columns)
        with _readable(self.words):
            table = self._dataset.to_table(columns=list(columns))
        return Table(table, self.words, self.rows, files=self)

    def chosen(self, columns: tuple[str, ...], group: str | None) -> Table | Files:
        """The same rows with some columns: in memory where they fit."""
        if BYTES * self.count() * len(columns) < SHARE * available_bytes():
            return self.whole(columns).chosen(columns, group)
        self._check(columns)
        return replace(self, columns=columns, group=group)

    def map[T](self, task: Callable[[Block], T], n_threads: int = 1) -> Iterator[T]:
        """The results of a task for every block."""
        import pyarrow as pa

        dataset = self._dataset

        def tables() -> Iterator[Any]:
            with _readable(self.words):
                for batch in dataset.to_batches(columns=list(self.names), batch_size=self.rows):
                    yield pa.Table.from_batches([batch])

        return in_order(task, block_frames(tables(), self.rows, self.group), n_threads)


@contextmanager
def _readable(words: str) -> Iterator[None]:
    """Say which files cannot be read, and why."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{words} cannot be read: {error}. Every file has to be there, whole, of the kind that "
            "its name says, with columns of the same types."
        ) from None


def in_order[T](task: Callable[[Block], T], blocks: Iterable[Block], n_threads: int) -> Iterator[T]:
    """The results of a task in the order of the blocks, some of which are at work together."""
    if n_threads <= 1:
        yield from map(task, blocks)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for block in blocks:
                waiting.append(pool.submit(task, block))
                if len(waiting) > n_threads:  # one more is read than is worked on
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def to_frame(table: Any) -> pd.DataFrame:
    """An Arrow table for pandas: text is a category, whose levels are sorted where it was text."""
    frame: pd.DataFrame = table.to_pandas(
        strings_to_categorical=True, ignore_metadata=True, split_blocks=True
    )
    return frame


def block_frames(tables: Iterable[Any], rows: int, group: str | None) -> Iterator[Block]:
    """Tables cut anew into blocks of about so many rows, and never within a group.

    Rows are labelled by their number.
    """
    begin = 0
    for number, table in enumerate(_cut(tables, rows, group)):
        frame = to_frame(table)
        frame.index = pd.RangeIndex(begin, begin + len(frame))
        begin += len(frame)
        yield Block(number, frame)


def _cut(tables: Iterable[Any], rows: int, group: str | None) -> Iterator[Any]:
    import pyarrow as pa

    rest = None
    for table in tables:
        rest = table if rest is None or not rest.num_rows else pa.concat_tables([rest, table])
        while rest.num_rows > rows:
            at = rows if group is None else _edge(rest, group, rows)
            if at is None:
                break
            yield rest.slice(0, at)
            rest = rest.slice(at)
    if rest is not None and rest.num_rows:
        yield rest


def _edge(table: Any, group: str, rows: int) -> int | None:
    """The last row at or before `rows`, else the first one after, at which a group begins."""
    low, high = 0, rows + 1
    while low < table.num_rows - 1:
        values = to_frame(table.slice(low, high - low).select([group]))[group]
        codes, _ = pd.factorize(values)
        edges = low + 1 + np.flatnonzero(np.diff(codes))
        if len(edges):
            return int(edges[-1] if low == 0 else edges[0])
        low, high = high - 1, 2 * high
    return None


def _coded(table: Any) -> Any:
    """The same table with text as codes, the same ones in all its parts."""
    import pyarrow as pa

    for place, entry in enumerate(table.schema):
        texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
        if any(is_text(entry.type) for is_text in texts):
            table = table.set_column(place, entry.name, _as_codes(table.column(place)))
    return table.unify_dictionaries()


def _as_codes(column: Any) -> Any:
    """A column of text as codes, whose levels stand in their order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    coded = column.cast(pa.large_string()).dictionary_encode().unify_dictionaries().combine_chunks()
    order = pc.array_sort_indices(coded.dictionary)
    rank = pa.array(np.argsort(order), pa.int32())
    return pa.DictionaryArray.from_arrays(rank.take(coded.indices), coded.dictionary.take(order))
