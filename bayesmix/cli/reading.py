"""Data from a CSV file, and words about how its columns were read."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bayesmix.errors import DataError
from bayesmix.reporting.model import described
from bayesmix.reporting.numbers import MINUS

__all__ = ["column_lines", "columns_read", "read_csv"]

MISSING = ["", "NA", "NaN", "nan"]


def read_csv(file: str, sep: str | None, levels: Sequence[tuple[str, list[str]]]) -> pd.DataFrame:
    """Read a CSV file with names of columns in its first line.

    Parameters
    ----------
    file : str
        "-": standard input.
    sep : str, optional
        What parts the columns; a comma unless given.
    levels : sequence of (str, list of str)
        Text columns with their levels in order.

    Raises
    ------
    DataError
        If the file is no table, a name stands twice, or a level is unknown.
    OSError
        If it cannot be read.
    """
    sep = sep or ","
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
        _check_names(file, text, sep)
        frame = pd.read_csv(io.StringIO(text), sep=sep, na_values=MISSING, keep_default_na=False)
    except (UnicodeDecodeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        msg = f"{file}: not read as CSV: {error}. It must be UTF-8 text; see also --sep"
        raise DataError(msg) from error
    for column, names in dict(levels).items():
        frame[column] = _factor(file, frame, column, names)
    return frame


def _check_names(file: str, text: str, sep: str) -> None:
    """Refuse names that stand twice: pandas would rename the second without a word."""
    names = next(csv.reader(io.StringIO(text), delimiter=sep), [])
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        msg = f"{file}: more than one column is called {', '.join(twice)}; rename them"
        raise DataError(msg)


def _factor(file: str, frame: pd.DataFrame, column: str, levels: list[str]) -> pd.Series:
    if column not in frame:
        msg = f"--levels {column}=...: {file} has the columns {', '.join(map(str, frame))}"
        raise DataError(msg)
    values = frame[column]
    text = values.where(values.isna(), values.astype(str))
    unknown = sorted(set(text.dropna()) - set(levels))
    if unknown:
        msg = f"--levels {column}=...: the file has other levels too: {', '.join(unknown)}"
        raise DataError(msg)
    return pd.Series(pd.Categorical(text, categories=levels), index=frame.index)


def columns_read(data: pd.DataFrame) -> list[dict[str, str]]:
    """Name, kind and values of every column, for the eyes of who gave the file."""
    rows = []
    for name in data:
        kind, values = described(data[name])
        values = values.replace(MINUS, "-")  # some terminals have no other
        missing = int(data[name].isna().sum())
        values += f", {missing} missing" if missing else ""
        rows.append({"name": str(name), "kind": kind, "values": values})
    return rows


def column_lines(data: pd.DataFrame, unused: Mapping[str, object] | Sequence[str]) -> list[str]:
    """A line for each column in use, and one that names the others."""
    rows = columns_read(data)
    widest = max(len(row["name"]) for row in rows)
    lines = [f"  {row['name']:<{widest}}  {row['kind']}: {row['values']}" for row in rows]
    return [*lines, f"  not in use: {', '.join(unused)}"] if unused else lines
