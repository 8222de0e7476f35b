"""What a column or the result of an expression is worth as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.frames import first_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_finite", "describe", "numeric_values", "row_values"]


def numeric_values(values: Any) -> np.ndarray | None:
    """Numbers and booleans as float64 of the same shape; None for anything else.

    Missing values of nullable and object columns become NaN.
    """
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "fiub":
            return np.asarray(values, dtype=np.float64)
        return _object_numbers(values) if dtype.kind == "O" else None
    import pandas as pd

    factor = isinstance(dtype, pd.CategoricalDtype)
    if dtype is None or factor or not pd.api.types.is_numeric_dtype(dtype):
        return None
    return np.asarray(pd.array(values).to_numpy(dtype=np.float64, na_value=np.nan))


def _object_numbers(values: Any) -> np.ndarray | None:
    import pandas as pd

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
            "data first: a category of two, for example, to 0 and 1."
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


def describe(value: Any) -> str:
    """Describe a value that is no number, with its first levels."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return f"a {type(value).__name__}"
    if isinstance(dtype, np.dtype) and dtype.kind in "mM":
        return "dates or times"
    import pandas as pd

    kind = "categorical" if isinstance(dtype, pd.CategoricalDtype) else f"of type {dtype}"
    levels = ", ".join(repr(v) for v in list(pd.unique(pd.Series(value)))[:4])
    return f"{kind} ({levels}, ...)"
