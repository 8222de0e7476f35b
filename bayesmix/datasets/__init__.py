"""The datasets that come with bayesmix, with their columns, units and sources.

Examples
--------
>>> from bayesmix.datasets import load_data
>>> seizure = load_data("seizure")
>>> seizure["Treatment"].cat.categories.tolist()
['No', 'Yes']
"""

import re
from difflib import get_close_matches

import pandas as pd

from bayesmix._arguments import door
from bayesmix._arguments.printing import Printed
from bayesmix.datasets.catalogue import Column, Dataset, described, read
from bayesmix.errors import DataError

__all__ = ["DATASETS", "Column", "Dataset", "describe_data", "list_data", "load_data"]

DATASETS: dict[str, Dataset] = described()
"""The shipped datasets by name."""


@door(error=DataError)
def list_data() -> pd.DataFrame:
    """List the datasets that come with bayesmix.

    Returns
    -------
    pandas.DataFrame
        One row per dataset: name, rows, description and source, in short.  The full sources
        are in ``load_data(name).attrs["source"]``.

    See Also
    --------
    describe_data : the columns of one dataset.
    load_data : the data themselves.

    Examples
    --------
    >>> list_data()[["name", "rows"]].head(3)
              name  rows
    0      NregFix   200
    1  betablocker    44
    2        Mehta    44
    """
    return Printed(
        [(each.name, each.rows, each.description, _brief(each)) for each in DATASETS.values()],
        columns=["name", "rows", "description", "source"],
    )


def _brief(dataset: Dataset) -> str:
    """The first publication of a source by surnames and year, and the R package."""
    first, year = re.findall(r"^(.*?) \((\d{4})\)", dataset.source)[0]
    surnames = re.sub(r"\b[A-Z]\. ?", "", first).split(", ")
    names = f"{surnames[0]} and others" if len(surnames) > 2 else ", ".join(surnames)
    package = re.findall(r"R package \w+ [\d.-]+\d", dataset.source)[0]
    return f"{names} ({year}); {package}"


@door(error=DataError)
def load_data(name: str) -> pd.DataFrame:
    """Load a dataset that comes with bayesmix.

    Parameters
    ----------
    name : str
        A name from `list_data`; upper and lower case do not matter.

    Returns
    -------
    pandas.DataFrame
        A new frame at every call. Factors are unordered Categoricals with the reference level
        first; an empty cell is a missing value. `attrs` has the name, the description and the
        source.

    Raises
    ------
    DataError
        If there is no dataset with this name.

    Examples
    --------
    >>> patent = load_data("patent")
    >>> patent.shape
    (70, 4)
    >>> patent.attrs["description"]
    'Patents and research spending of 70 pharmaceutical and biomedical companies in 1976.'
    """
    return read(_find(name))


@door(error=DataError)
def describe_data(name: str) -> pd.DataFrame:
    """Describe the columns of a dataset that comes with bayesmix.

    Parameters
    ----------
    name : str
        A name from `list_data`; upper and lower case do not matter.

    Returns
    -------
    pandas.DataFrame
        One row per column: column, meaning, unit (empty if unknown or none) and levels (those
        of a factor, joined by commas; empty for other columns).

    Raises
    ------
    DataError
        If there is no dataset with this name.

    Examples
    --------
    >>> seizure = describe_data("seizure").set_index("column")
    >>> seizure.loc["Hours", "meaning"]
    'parental observation on the day; log(Hours) is the offset'
    >>> seizure.loc["Treatment", "levels"]
    'No, Yes'
    """
    return Printed(
        [
            (column.name, column.meaning, column.unit, ", ".join(column.levels))
            for column in _find(name).columns
        ],
        columns=["column", "meaning", "unit", "levels"],
    )


def _find(name: str) -> Dataset:
    """Return the dataset of that name, whatever its case."""
    by_lower = {known.lower(): dataset for known, dataset in DATASETS.items()}
    wanted = str(name).lower()
    if wanted in by_lower:
        return by_lower[wanted]
    longer = [known for known in by_lower if wanted and known.startswith(wanted)]
    near = longer or get_close_matches(wanted, by_lower, n=1, cutoff=0.4)
    hint = (
        f" Did you mean {' or '.join(repr(by_lower[each].name) for each in near)}?" if near else ""
    )
    raise DataError(
        f"There is no dataset {name!r}.{hint} The shipped ones are {', '.join(DATASETS)}."
    )
