"""What a user gives as data: a pandas frame, or something that is read as far as needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import at_least, door
from bayesmix.errors import DataError
from bayesmix.formula.sources.partitions import Partitions, is_dask
from bayesmix.formula.sources.stream import Source
from bayesmix.formula.sources.tables import ROWS, Files, Table

# What `Mixture` takes: a frame of pandas or polars, an Arrow table, a path, a `Scan`.
type Data = Any
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".ipc": "feather",
}
# What names rows that are still to be read, and what to give instead.
UNREAD = {
    "LazyFrame": "give data.collect(), or the pattern of its files, after data.sink_parquet(path) "
    "where something was done to them",
    "FileSystemDataset": "give the pattern of its files",
}


@dataclass(frozen=True, eq=False)
class Scan:
    """Data to be gone through block by block; made by `scan`."""

    data: Any
    rows: int


@door(error=DataError, rows=at_least(1, "the number of rows of a block"))
def scan(data: Data, rows: int = ROWS) -> Scan:
    """Read data block by block, even if they are small.

    Parameters
    ----------
    data : DataFrame, Arrow table, str or path
        As for `Mixture`.
    rows : int
        Approximate number of rows of a block; groups stay whole.

    Returns
    -------
    Scan
        Give it as `data=` to `Mixture`, or as `newdata=` to memberships and predictions.

    Raises
    ------
    DataError
        If the data are of another kind, or `rows` is not positive.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.scan(bmx.load_data("fabricfault"), rows=10)
    >>> spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2)
    >>> fit = spec.fit("em", seed=1)
    >>> [len(block) for block in fit.membership()]
    [10, 10, 10, 2]
    """
    return Scan(data, int(rows))


def opened(data: Any) -> Any:
    """Data for a model: a DataFrame as it is, a source otherwise; anything else as it is.

    Parameters
    ----------
    data : DataFrame of pandas, polars or dask, Arrow table, str, path, or Scan

    Raises
    ------
    DataError
        If a path has no files, or is of no known kind.
    """
    if isinstance(data, Scan):
        source = opened(data.data)
        if isinstance(source, pd.DataFrame):
            pa = _pyarrow("blocks of rows")
            table, index = pa.Table.from_pandas(source, preserve_index=False), source.index
            source = Table(table, "a DataFrame", index=np.asarray(index))
        if isinstance(source, Partitions):
            raise DataError(
                "scan() cuts rows into blocks; those of a dask frame are its partitions. Give the "
                "frame itself, with data.repartition(...) where these are too large."
            )
        return replace(source, rows=data.rows, small=0)
    if isinstance(data, (str, os.PathLike)):
        return _files(os.fspath(data))
    if is_dask(data):
        return Partitions(data)
    for kind, remedy in UNREAD.items():
        if type(data).__name__ == kind and type(data).__module__.startswith(("polars", "pyarrow")):
            raise DataError(f"The data are a {kind}, which is not read yet: {remedy}.")
    # Frames of polars and Arrow's own give their columns to Arrow; so do those of pandas.
    arrow = hasattr(type(data), "__arrow_c_stream__") and not isinstance(data, pd.DataFrame)
    return _of_arrow(data) if arrow else data


def read(source: Source, columns: Sequence[str]) -> pd.DataFrame:
    """All rows of some columns, text as text."""
    names = tuple(dict.fromkeys(columns))
    whole = source.whole(names) if isinstance(source, Files) else source
    assert isinstance(whole, Table)
    frame: pd.DataFrame = whole.table.select(list(names)).to_pandas(ignore_metadata=True)
    return frame if whole.index is None else frame.set_axis(whole.index, axis=0)


def _of_arrow(data: Any) -> Table:
    pa = _pyarrow("Arrow tables and polars frames")
    try:
        # A trip through Arrow's C stream loses views of text in some versions.
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except pa.ArrowInvalid:  # one column of its own
        raise DataError(
            f"The data are a {type(data).__name__}; a frame with named columns is needed."
        ) from None
    return Table(table, f"a {type(data).__module__.split('.')[0]} table")


def _files(path: str) -> Files:
    _pyarrow("Parquet and Feather files")
    found = sorted(glob(path, recursive=True)) if has_magic(path) else [path]
    if path and len(found) == 1 and Path(found[0]).is_dir():
        found = sorted(str(p) for p in Path(found[0]).rglob("*") if p.suffix.lower() in FORMATS)
    there = [p for p in found if Path(p).is_file()]
    if not there or len(there) < len(found):
        raise DataError(f"data={path!r}: there is no such file; give a path or a pattern of files.")
    kinds = {FORMATS.get(Path(p).suffix.lower()) for p in there}
    if len(kinds) > 1 or None in kinds:
        raise DataError(
            f"data={path!r} names {Path(there[0]).name!r}: files that are read block by block are "
            f"of one kind, {', '.join(FORMATS)}. Read others yourself, as with pandas.read_csv."
        )
    return Files(tuple(there), str(kinds.pop()), path)


def _pyarrow(what: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise DataError(f"{what} need PyArrow: pip install 'bayesmix[files]'.") from None
    return pa
