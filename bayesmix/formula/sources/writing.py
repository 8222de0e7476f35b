"""Results that come block by block: an iterator of frames, or a Parquet file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NoReturn

import pandas as pd

from bayesmix._arguments.files import beside, target_file
from bayesmix.errors import FitError


class BlockByBlock:
    """An iterator of frames, one for each block of rows.

    Parameters
    ----------
    frames : iterable of DataFrame or Series
    words : str
        What they are.
    """

    def __init__(self, frames: Iterable[pd.DataFrame | pd.Series], words: str) -> None:
        self._frames, self._words = iter(frames), words

    def __iter__(self) -> Iterator[pd.DataFrame | pd.Series]:
        return self._frames

    def __next__(self) -> pd.DataFrame | pd.Series:
        return next(self._frames)

    def __getattr__(self, name: str) -> NoReturn:
        """Say that these are several frames, to what wants one."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise FitError(
            f"the {self._words} come block by block, and .{name} is of one frame; go through them "
            'with for, write them with to="file.parquet", or fit a part of the rows in memory'
        )

    def __repr__(self) -> str:
        return (
            f'<{self._words}, block by block: go through them with for, or give to="file.parquet">'
        )


def written(frames: Iterable[pd.DataFrame | pd.Series], to: str | os.PathLike[str]) -> Path:
    """Write frames to one Parquet file, which is there only once it is whole.

    Parameters
    ----------
    frames : iterable of DataFrame or Series
        Their index becomes the first column; without a name it is called "row".
    to : str or path

    Raises
    ------
    FitError
        If the name does not end in .parquet, or PyArrow is missing.
    """
    path = target_file(to, "memberships.parquet")
    if path.suffix not in (".parquet", ".pq"):
        raise FitError(f"to={str(to)!r}: results are written as Parquet; use a name in .parquet")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise FitError("to= needs PyArrow: pip install 'bayesmix[files]'") from None
    tables = (pa.Table.from_pandas(_flat(frame), preserve_index=False) for frame in frames)
    first = next(tables)  # data without rows have been refused
    with beside(path) as part, pq.ParquetWriter(part, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table.cast(writer.schema))
    return path


def _flat(frame: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """With the index as the first column, and names that are text."""
    frame = frame.to_frame() if isinstance(frame, pd.Series) else frame
    flat = frame
    if frame.index.name is not None or "row" not in frame.columns:
        flat = frame.rename_axis(str(frame.index.name or "row")).reset_index()
    if isinstance(flat.columns, pd.MultiIndex):
        flat.columns = ["_".join(str(p) for p in c if p != "") for c in flat.columns]
    flat.columns = [str(c) for c in flat.columns]
    return flat
