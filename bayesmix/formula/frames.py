"""Rows and columns of the data: what a model uses, what it cannot use, who shares a component."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.flags import odd_numbers

_SHOWN = 5


def near_names(name: str, names: Iterable[Any], kind: str = "columns") -> str:
    """Write a sentence with the names close to an unknown one, else with the names there are."""
    known = list(dict.fromkeys(n for n in names if isinstance(n, str)))
    lowered = {n.lower(): n for n in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(repr(lowered[n]) for n in close) + "?"
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return f"The {kind} are: {shown}." if known else f"There are no {kind}."


def first_rows(data: pd.DataFrame, bad: np.ndarray) -> str:
    """Count and first labels of the rows where `bad`, shape (n,), is true."""
    where = np.flatnonzero(bad)
    labels = ", ".join(str(label) for label in data.index[where[:_SHOWN]])
    rest = ", ..." if where.size > _SHOWN else ""
    return f"{where.size} {'row' if where.size == 1 else 'rows'} ({labels}{rest})"


def replaced(data: pd.DataFrame, columns: Mapping[Any, Any]) -> pd.DataFrame:
    """The data with other values in some columns, or new ones; their names may be any."""
    out = data.copy(deep=False)
    for name, values in columns.items():
        out[name] = values
    return out


def same_names(given: pd.Index, names: pd.Index) -> bool:
    """Whether both have the same names, once each."""
    distinct = len(given) == len(names) and given.is_unique and names.is_unique
    return distinct and bool(names.isin(given).all())


def in_order(given: pd.Index, names: pd.Index) -> np.ndarray:
    """Where the names stand among those given, if these are the same, once each; else as given."""
    return given.get_indexer(names) if same_names(given, names) else np.arange(len(given))


def check_data(data: Any) -> None:
    """Refuse anything but a DataFrame that has rows and distinct column names."""
    if not isinstance(data, pd.DataFrame):
        made = hasattr(data, "to_pandas")
        how = "Call its to_pandas()" if made else "Make one with pandas.DataFrame(data)"
        raise DataError(
            f"The data are a {type(data).__name__}; a pandas.DataFrame is needed. {how}."
        )
    columns = data.columns
    if columns.nlevels > 1:
        raise DataError("The data have a MultiIndex as columns; give every column one name.")
    if not columns.is_unique:
        twice = columns[columns.duplicated()].unique()
        raise DataError(
            f"The data have more than one column named {', '.join(map(repr, twice))}; "
            "rename or drop all but one."
        )
    if len(data.index) == 0:
        raise DataError("The data have no rows; at least one is needed.")


def check_columns(data: Any, columns: Iterable[str]) -> None:
    """Refuse data that lack one of the columns.

    Parameters
    ----------
    data : DataFrame
    columns : iterable of str

    Raises
    ------
    DataError
        Naming every missing column with the names near it.
    """
    check_data(data)
    missing = [name for name in dict.fromkeys(columns) if name not in data.columns]
    if missing:
        raise DataError(
            " ".join(
                f"Column {name!r} is not in the data. {near_names(name, data.columns)}"
                for name in missing
            )
        )


def select_rows(
    data: pd.DataFrame, columns: Iterable[str], na_action: str
) -> tuple[pd.DataFrame, int]:
    """Select the rows that are complete in the columns in use.

    Parameters
    ----------
    data : DataFrame of n rows
    columns : iterable of str
        Only these count.
    na_action : {"error", "drop", "fiml"}
        Missing values are refused under "error" and "fiml": give this only what must be there.

    Returns
    -------
    DataFrame
        `data` itself where nothing is missing.
    int
        Number of rows dropped.

    Raises
    ------
    DataError
        For infinite values; for missing ones unless under "drop"; where no row is left.
    """
    missing = missing_values(data, columns)
    if not missing:
        return data, 0
    if na_action != "drop":
        parts = "; ".join(f"{name!r}: {first_rows(data, bad)}" for name, bad in missing.items())
        raise DataError(f"Missing values in columns in use: {parts}. {_REMEDIES[na_action]}.")
    bad = np.logical_or.reduce(list(missing.values()))
    if bad.all():
        counts = "; ".join(f"{name!r}: {int(b.sum())}" for name, b in missing.items())
        raise DataError(f"Every row has a missing value in a column in use: {counts}.")
    return data[~bad], int(bad.sum())


_REMEDIES = {
    "error": "Fill them in, or leave these rows out with na_action='drop'; rows that only lack a "
    "response can be kept with na_action='fiml'",
    "fiml": "na_action='fiml' is for missing responses: fill these in, or leave the rows out with "
    "na_action='drop'",
}


def missing_values(data: pd.DataFrame, columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Where columns are missing, by name, for those that are somewhere.

    Raises
    ------
    DataError
        If a column is not there, or has infinite values.
    """
    columns = list(dict.fromkeys(columns))
    check_columns(data, columns)
    return {name: bad for name in columns if (bad := _missing(data, name)) is not None}


def _missing(data: pd.DataFrame, name: str) -> np.ndarray | None:
    """Where a column is missing, or None for nowhere; infinite values are refused."""
    column = data[name]
    dtype = column.dtype
    kind = dtype.kind if isinstance(dtype, np.dtype) else ""
    if kind and kind in "iub":
        return None
    if kind == "f":
        values = column.to_numpy()
        if np.isfinite(values).all():
            return None
        if (infinite := np.isinf(values)).any():
            raise DataError(
                f"Column {name!r} has infinite values in {first_rows(data, infinite)}; only finite "
                "values can be used. Correct them or mark them as missing."
            )
    bad = np.asarray(column.array.isna())
    return bad if bad.any() else None


@dataclass(frozen=True, eq=False)
class Units:
    """Which rows share one latent component.

    Parameters
    ----------
    codes : ndarray of int64, shape (n,)
        Unit of each row; units are numbered by first appearance.
    index : pandas.Index, length n_units
        The group's value, or the row's index label without groups.
    name : str or None
        The group column.
    first : ndarray of int64, shape (n_units,)
        First row of each unit.
    grouped : bool
    """

    codes: np.ndarray
    index: pd.Index
    name: str | None
    first: np.ndarray
    grouped: bool

    def by_row(self, values: np.ndarray | None) -> np.ndarray | None:
        """Values (n_units,) of the units, for each of their rows (n,); none of none."""
        return None if values is None else values[self.codes]

    def sums(self, by_row: np.ndarray) -> np.ndarray:
        """Sums of values (n, ...) over the rows of each unit, (n_units, ...)."""
        total = np.zeros((len(self.first), *by_row.shape[1:]))
        np.add.at(total, self.codes, by_row)
        return total


def build_units(data: pd.DataFrame, group: str | None) -> Units:
    """Find the units of the data: the rows, or the values of a group column.

    Parameters
    ----------
    data : DataFrame of n rows
    group : str or None

    Returns
    -------
    Units

    Raises
    ------
    DataError
        Where the group column is absent or has missing values.
    """
    if group is None:
        rows = np.arange(len(data), dtype=np.int64)
        return Units(rows, data.index, None, rows, False)
    check_columns(data, [group])
    try:
        found, values = pd.factorize(data[group])
    except TypeError as error:
        raise DataError(
            f"The group column {group!r} has values that are no names ({error}); use numbers or "
            "text."
        ) from None
    codes = found.astype(np.int64, copy=False)
    if (codes < 0).any():
        raise DataError(
            f"The group column {group!r} is missing in {first_rows(data, codes < 0)}; every row "
            "needs a group. Fill it in or leave these rows out."
        )
    if isinstance(values, pd.CategoricalIndex):  # its other categories are no units
        values = values.categories[values.codes]
    return Units(codes, values.rename(group), group, first_places(codes), True)


def first_places(codes: np.ndarray) -> np.ndarray:
    """Where each code stands first, of codes (n,) that count from zero as they appear."""
    highest = np.maximum.accumulate(codes)
    new = highest >= 0  # -1 is no code
    new[1:] &= highest[1:] > highest[:-1]
    return new.nonzero()[0]


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers: no levels, and no yes or no."""
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column))


def levels_of(column: pd.Series) -> list[Any]:
    """The levels that a column has: as it orders them, else sorted."""
    found = column.dropna().unique()
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(found)
        return [level for level in column.cat.categories if level in present]
    return sorted(found.tolist())


def numeric_values(values: Any) -> np.ndarray | None:
    """Numbers and booleans as float64 of the same shape; None for anything else.

    Missing values of nullable and object columns become NaN.
    """
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "fiub":
            return np.asarray(getattr(values, "array", values), dtype=np.float64)
        return _object_numbers(values) if dtype.kind == "O" else None
    kinds = pd.api.types
    if dtype is None or isinstance(dtype, pd.CategoricalDtype):
        return None
    if not (kinds.is_numeric_dtype(dtype) or kinds.is_bool_dtype(dtype)):
        return None
    return np.asarray(pd.array(values).to_numpy(dtype=np.float64, na_value=np.nan))


def truth_values(values: Any) -> np.ndarray | None:
    """Booleans of any type, none of them missing, as NumPy's; None for anything else."""
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return np.asarray(values) if dtype.kind == "b" else None
    kinds = pd.api.types
    listed = isinstance(dtype, np.dtype) and kinds.infer_dtype(values, skipna=False) == "boolean"
    if isinstance(dtype, pd.CategoricalDtype) or not (listed or kinds.is_bool_dtype(values)):
        return None
    missing = np.asarray(pd.isna(values))
    return None if missing.any() else np.asarray(values, dtype=bool)


def _object_numbers(values: Any) -> np.ndarray | None:
    numbers = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}
    if np.ndim(values) != 1 or pd.api.types.infer_dtype(values, skipna=True) not in numbers:
        return None
    missing = np.asarray(pd.isna(values))
    return np.array([np.nan if m else float(v) for v, m in zip(values, missing, strict=True)])


def row_values(value: Any, data: pd.DataFrame, label: str) -> np.ndarray:
    """Take a result as float64 of shape (n,); anything but numbers, one a row, is refused."""
    if isinstance(value, int | float | np.number | np.bool_):
        return np.full(len(data), value, dtype=np.float64)
    values = numeric_values(value)
    if values is None:
        raise DataError(
            f"{label} is {describe(value)}; numbers or booleans are needed. Convert it in the "
            f"data first: {conversion(value)}."
        )
    if values.shape != (len(data),):
        raise FormulaError(
            f"{label} has the shape {values.shape}; one value for each of the {len(data)} rows "
            "is needed."
        )
    return values


def check_finite(values: np.ndarray, data: pd.DataFrame, label: str) -> None:
    """Refuse missing and infinite numbers in `values`, shape (n,) or (n, p)."""
    good = np.isfinite(values)
    if not good.all():
        bad = ~good if values.ndim == 1 else ~good.all(axis=1)
        raise DataError(
            f"{label} is missing or infinite in {first_rows(data, bad)}. Correct these rows or "
            "the expression (the logarithm of 0, for example, is infinite)."
        )


def moment(value: Any) -> str:
    """NumPy's letter for durations, "m", and dates, "M"; "" for anything else."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind if kind in ("m", "M") else ""


LEVELS = (
    "a category of two, for example, to 0 and 1; a response of levels has family='categorical' or "
    "'ordinal'"
)


def conversion(value: Any) -> str:
    """How a column becomes numbers."""
    return {
        "m": "column.dt.total_seconds() / 86400 is in days",
        "M": "(column - start).dt.days is in days from a date, or from a column of dates",
    }.get(moment(value), LEVELS)


def describe(value: Any) -> str:
    """Describe a value that is not a number, with its first levels."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return f"a {type(value).__name__}"
    if moment(value):
        kinds = {"m": "durations (timedelta)", "M": "dates or times"}
        return f"a column of {kinds[moment(value)]}"
    kind = "categorical" if isinstance(dtype, pd.CategoricalDtype) else f"of type {dtype}"
    found = list(pd.unique(pd.Series(value)))
    levels = ", ".join(repr(v) for v in found[:4])
    odd = odd_numbers(found)
    note = f"; most are numbers, but not {', '.join(map(repr, odd[:5]))}" if odd else ""
    return f"{kind} ({levels}, ...){note}"
