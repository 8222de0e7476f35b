"""What a shipped dataset is, and how its file is read."""

import csv
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column of a dataset.

    Parameters
    ----------
    name : str
        The name in the file's header line.
    meaning : str
        What the column records.
    unit : str
        The unit of measurement; empty for counts, codes and factors, and where the source names
        none.
    levels : tuple of str
        The levels of a factor, the reference level first; empty for any other column.
    text : bool
        True where the column holds names and no factor.
    """

    name: str
    meaning: str
    unit: str = ""
    levels: tuple[str, ...] = ()
    text: bool = False


@dataclass(frozen=True)
class Dataset:
    """One dataset: its name, what it is about, where it comes from and its columns.

    Parameters
    ----------
    name : str
        The name `load_data` knows it by; the file is ``<name>.csv``.
    rows : int
        Number of rows.
    description : str
        One or two sentences on the data.
    source : str
        The publication, and the R package the copy was taken from.
    columns : tuple of Column
        The columns in file order.
    """

    name: str
    rows: int
    description: str
    source: str
    columns: tuple[Column, ...]


def described() -> dict[str, Dataset]:
    """The shipped datasets by name, as ``datasets.toml`` describes them."""
    text = files(__package__).joinpath("datasets.toml").read_text(encoding="utf-8")
    found = {}
    for name, given in tomllib.loads(text).items():
        columns = tuple(_column(*each) for each in given.pop("columns").items())
        found[name] = Dataset(name, **given, columns=columns)
    return found


def _column(name: str, given: str | dict[str, Any]) -> Column:
    """A column by its meaning alone, or by a table."""
    table = {"meaning": given} if isinstance(given, str) else given
    return Column(name, **{**table, "levels": tuple(table.get("levels", ()))})


def read(dataset: Dataset) -> pd.DataFrame:
    """Read a dataset's file, every column as its description says.

    Numbers are converted one by one, as Python does it, so that each is the double nearest to the
    decimal in the file; `pandas.read_csv` promises that only in some of its versions.

    Parameters
    ----------
    dataset : Dataset
        The description of the dataset.

    Returns
    -------
    pandas.DataFrame
        A new frame with ``dataset.rows`` rows. `attrs` holds name, description and source.

    Examples
    --------
    >>> from bayesmix.datasets import DATASETS
    >>> read(DATASETS["fabricfault"]).head(2)
       Length  Faults
    0     551       6
    1     651       4
    """
    text = files(__package__).joinpath(f"{dataset.name}.csv").read_text(encoding="ascii")
    rows = list(csv.DictReader(text.splitlines()))
    frame = pd.DataFrame(
        {
            column.name: _values([row[column.name] for row in rows], column)
            for column in dataset.columns
        }
    )
    frame.attrs = {
        "name": dataset.name,
        "description": dataset.description,
        "source": dataset.source,
    }
    return frame


def _values(cells: list[str], column: Column) -> pd.Categorical | np.ndarray | list[str]:
    """Convert the cells of one column; an empty cell is a missing value."""
    if column.levels:
        return pd.Categorical([cell or None for cell in cells], categories=list(column.levels))
    if column.text:
        return cells
    if all(cell.lstrip("-").isdigit() for cell in cells):
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    return np.array([float(cell or "nan") for cell in cells])
