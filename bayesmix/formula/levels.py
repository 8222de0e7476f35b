"""A response that is a factor: the place of each value among its levels."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.frames import first_rows
from bayesmix.formula.scope import Scope


class Levels(NamedTuple):
    """Codes (n,), NaN where missing, of levels; `ordered`: somebody gave their order a meaning."""

    codes: np.ndarray
    levels: tuple[Hashable, ...]
    ordered: bool


def read_levels(text: str, data: pd.DataFrame, scope: Scope) -> Levels:
    """The levels of a response: those of a Categorical, whole numbers, or texts in their order.

    Parameters
    ----------
    text : str
        A column, or an expression that gives whole numbers.
    data : DataFrame of n rows
    scope : Scope

    Raises
    ------
    DataError
        If the values are neither.
    """
    name = text.strip("`")
    if name not in data.columns:
        values = pd.Series(evaluate(text, data, scope, "response"), index=data.index)
    else:
        values = data[name]
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy(float)
        levels = tuple(map(plain, dtype.categories))
        return Levels(np.where(codes < 0, np.nan, codes), levels, bool(dtype.ordered))
    known = values.dropna()
    found = set(map(plain, known.unique()))
    if pd.api.types.is_numeric_dtype(dtype):
        if pd.api.types.is_float_dtype(dtype):
            found = _whole(name, values, data)
        ordered = True
    elif all(isinstance(v, str) for v in found) or all(isinstance(v, bool) for v in found):
        ordered = all(isinstance(v, bool) for v in found)
    else:
        kinds = ", ".join(sorted({type(v).__name__ for v in found}))
        raise DataError(
            f"the response {name!r} has values of the type {kinds}; its levels are those of a "
            "Categorical, whole numbers, or texts"
        )
    ordering: tuple[Any, ...] = tuple(sorted(found, key=lambda level: level))
    place = {level: float(j) for j, level in enumerate(ordering)}
    return Levels(values.map(place).to_numpy(float), ordering, ordered)


def _whole(name: str, values: pd.Series, data: pd.DataFrame) -> set[Hashable]:
    numbers = values.to_numpy(float, na_value=np.nan)
    bad = ~np.isnan(numbers) & (~np.isfinite(numbers) | (numbers != np.floor(numbers)))
    if bad.any():
        raise DataError(
            f"the response {name!r} is read as levels, but has {numbers[bad][0]:g} in "
            f"{first_rows(data, bad)}; levels are those of a Categorical, whole numbers, or texts"
        )
    return set(map(int, numbers[~np.isnan(numbers)]))
