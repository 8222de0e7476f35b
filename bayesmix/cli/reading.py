"""Data from a CSV, Parquet or Feather file, and words about how its columns were read."""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bayesmix.errors import DataError
from bayesmix.formula.sources import opened, read
from bayesmix.reporting.files import MINUS
from bayesmix.reporting.model import described

MISSING = ["", "NA", "NaN", "nan"]
# Other things than commas that part columns, and how --sep names them.
OTHER_MARKS = {";": "';'", "\t": "tab", "|": "'|'"}


BINARY = (".parquet", ".feather")


def in_blocks(file: str) -> bool:
    """Whether Parquet or Feather files, a pattern for several, have rows for many blocks."""
    if Path(file).suffix.lower() not in BINARY:
        return False
    source = opened(file)
    return bool(source.count() > source.small)


def read_table(
    file: str,
    sep: str | None = None,
    levels: Sequence[tuple[str, list[str]]] = (),
    decimal: str | None = None,
) -> pd.DataFrame:
    """Read a file by the end of its name; what is neither Parquet nor Feather is CSV.

    A pattern stands for several Parquet or Feather files.

    Parameters
    ----------
    file : str
        "-": standard input.
    sep : str, optional
        What parts the columns of a CSV file; a comma unless given.
    levels : sequence of (str, list of str)
        Text columns with their levels in order.
    decimal : str, optional
        The decimal mark of a CSV file; a point unless given.

    Raises
    ------
    DataError
        If the file is not a table, a name stands twice, or a level is unknown; also if pyarrow,
        which reads Parquet and Feather, is not installed.
    OSError
        If it cannot be read.
    """
    if Path(file).suffix.lower() not in BINARY:
        frame = _read_csv(file, sep, decimal)
    elif wrong := [flag for flag, v in (("--sep", sep), ("--decimal", decimal)) if v]:
        raise DataError(f"{', '.join(wrong)} is for CSV files; {file} is none; leave it out")
    else:
        source = opened(file)
        frame = read(source, source.names)
    for column, names in dict(levels).items():
        frame[column] = _factor(called(file), frame, column, names)
    return frame


def _read_csv(file: str, sep: str | None, decimal: str | None) -> pd.DataFrame:
    """Read a CSV file with names of columns in its first line."""
    mark, point = sep or ",", decimal or "."
    if mark == point:
        msg = f"{mark!r} cannot both separate columns and be the decimal mark; give --sep ';', say"
        raise DataError(msg)
    text, file = _text(file), called(file)
    try:
        _check_names(file, text, sep)
        return pd.read_csv(
            io.StringIO(text),
            sep=mark,
            decimal=point,
            na_values=MISSING,
            keep_default_na=False,
            low_memory=False,  # else a long column may become numbers here and text there
        )
    except (ValueError, csv.Error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: not read as CSV: {error}; see also --sep") from error


def called(file: str) -> str:
    """The file in words."""
    return "standard input" if file == "-" else file


def _text(file: str) -> str:
    try:
        if file == "-" and sys.stdin is None:
            raise DataError("standard input is closed; give a file, or data to read there")
        if file == "-":
            text = io.TextIOWrapper(sys.stdin.buffer, "utf-8-sig").read()
        else:
            text = Path(file).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"{called(file)}: byte {error.start + 1}"
        raise DataError(f"{place} is not UTF-8 text; store the file as CSV in UTF-8") from error
    if not text.strip():
        raise DataError(f"{called(file)}: the file is empty; its first line must name the columns")
    return text


def _check_names(file: str, text: str, sep: str | None) -> None:
    """Refuse names that stand twice, which pandas would change, and other separators."""
    names = next(row for row in csv.reader(io.StringIO(text), delimiter=sep or ",") if row)
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if twice:
        raise DataError(f"{file}: more than one column is called {', '.join(twice)}; rename them")
    other = next((mark for mark in OTHER_MARKS if mark in names[0]), None)
    if sep is None and len(names) == 1 and other is not None:
        mark = OTHER_MARKS[other]
        raise DataError(
            f"{file}: its only column is called {names[0]!r}; if that is several, give --sep "
            f"{mark} (and --decimal , for numbers such as 1,5), else --sep ,"
        )


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
