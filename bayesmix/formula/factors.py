"""Factors: which levels the values have, and how levels become columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import BoundExpression
from bayesmix.formula.frames import first_rows
from bayesmix.formula.transforms import CategoryBox
from bayesmix.formula.values import describe

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FactorEncoder", "encode_factor"]

_UNKNOWN = -2


@dataclass(frozen=True, eq=False)
class FactorEncoder:
    """A term with levels.

    Parameters
    ----------
    bound : BoundExpression
    levels : tuple
        In their order, the reference first.
    contrast : object or None
        A coding of formulae; None: treatment.
    unused : tuple
        Categories of the data without a row, which have no column.
    """

    bound: BoundExpression
    levels: tuple[Any, ...]
    contrast: Any
    unused: tuple[Any, ...]

    kind = "factor"

    def read(self, data: pd.DataFrame) -> np.ndarray:
        """Read new rows: levels as int64 of shape (n,); an unseen one is refused."""
        text = self.bound.expression.text
        value = self.bound(data)
        codes, found = _factorize(value.data if isinstance(value, CategoryBox) else value, text)
        _refuse_missing(codes, data, text)
        return _positions(codes, found, self.levels, data, text)

    def columns(self, values: np.ndarray, coding: str) -> np.ndarray:
        """Code the levels `values` as float64 of shape (n, width)."""
        matrix = self._matrix(coding)[0]
        if matrix is not None:
            return np.asarray(matrix[values])
        first = 0 if coding == "full" else 1
        out = np.zeros((len(values), len(self.levels) - first))
        rows = np.flatnonzero(values >= first)
        out[rows, values[rows] - first] = 1.0
        return out

    def names(self, coding: str) -> list[str]:
        """Name the columns."""
        return [f"{self.bound.expression.text}[{label}]" for label in self._matrix(coding)[1]]

    def _matrix(self, coding: str) -> tuple[np.ndarray | None, list[str]]:
        levels = list(self.levels)
        if self.contrast is None:
            return None, [str(level) for level in (levels if coding == "full" else levels[1:])]
        code = getattr(
            self.contrast,
            "code_with_intercept" if coding == "full" else "code_without_intercept",
        )
        try:
            coded = code(levels)
        except ValueError as error:
            raise FormulaError(
                f"{self.bound.expression.text!r}: the coding does not fit the levels "
                f"{_shown(levels)} ({error}). Name one of them."
            ) from error
        return np.asarray(coded.matrix, dtype=np.float64), list(coded.labels)


def encode_factor(
    bound: BoundExpression, value: Any, data: pd.DataFrame
) -> tuple[FactorEncoder, np.ndarray]:
    """Find the levels of a term's `value` on the training data.

    Parameters
    ----------
    bound : BoundExpression
    value : array-like of length n, or CategoryBox
        Text or categories; a box may hold anything that can be compared.
    data : DataFrame of n rows

    Returns
    -------
    FactorEncoder
    ndarray of int64, shape (n,)
        The levels.
    """
    text = bound.expression.text
    boxed = isinstance(value, CategoryBox)
    box = value if boxed else CategoryBox(value)
    codes, found = _factorize(box.data, text)
    _refuse_missing(codes, data, text)
    categories = getattr(box.data, "array", box.data)
    ordered = hasattr(categories, "categories")
    if not (boxed or ordered or all(isinstance(level, str) for level in found)):
        raise DataError(
            f"The term {text!r} is {describe(box.data)}; numbers, booleans, text and categories "
            "can be used. Convert it, or write C(...) for a factor."
        )
    used = np.bincount(codes, minlength=len(found)) > 0
    present = [level for level, u in zip(found, used, strict=True) if u]
    unused = tuple(level for level, u in zip(found, used, strict=True) if not u)
    if box.levels is not None:
        levels = _given_levels(box.levels, present, text)
    else:
        levels = tuple(present if ordered else _sorted(present))
    if len(levels) < 2:
        raise DataError(
            f"The factor {text!r} has the single level {levels[0]!r}; at least two are needed. "
            "Leave it out."
        )
    encoder = FactorEncoder(bound, levels, box.contrast, unused)
    return encoder, _positions(codes, found, levels, data, text)


def _factorize(values: Any, text: str) -> tuple[np.ndarray, list[Any]]:
    """Codes of shape (n,), -1 where missing, and the values that they stand for."""
    import pandas as pd

    categories = getattr(values, "array", values)
    if isinstance(categories, pd.Categorical):
        return categories.codes, categories.categories.tolist()
    if np.ndim(values) != 1:
        raise FormulaError(f"The term {text!r}: a factor has one value for each row.")
    try:
        codes, found = pd.factorize(values)
    except TypeError as error:
        raise DataError(f"The values of the term {text!r} cannot be compared ({error}).") from error
    return codes, found.tolist()


def _refuse_missing(codes: np.ndarray, data: pd.DataFrame, text: str) -> None:
    if codes.min() < 0:
        raise DataError(
            f"The factor {text!r} is missing in {first_rows(data, codes < 0)}. Fill it in, or "
            "leave these rows out with na_action='drop'."
        )


def _sorted(levels: list[Any]) -> list[Any]:
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def _given_levels(given: Any, present: list[Any], text: str) -> tuple[Any, ...]:
    levels = tuple(given)
    absent = [level for level in levels if level not in present]
    if absent:
        raise DataError(
            f"{text!r}: no row has the level {absent[0]!r}. The data have {_shown(present)}."
        )
    return levels


def _positions(
    codes: np.ndarray, found: list[Any], levels: tuple[Any, ...], data: pd.DataFrame, text: str
) -> np.ndarray:
    """Position among the levels of every value, int64 of shape (n,)."""
    of_level = {level: i for i, level in enumerate(levels)}
    of_code = np.array([of_level.get(value, _UNKNOWN) for value in found], dtype=np.int64)
    positions = of_code[codes]
    bad = positions == _UNKNOWN
    if bad.any():
        unknown = [found[c] for c in np.unique(codes[bad])]
        raise DataError(
            f"The factor {text!r} has levels that the model does not know: {_shown(unknown)} in "
            f"{first_rows(data, bad)}. Known are {_shown(levels)}. Leave these rows out or recode "
            "them."
        )
    return positions


def _shown(levels: Any) -> str:
    return ", ".join(repr(level) for level in levels[:20]) + (", ..." if len(levels) > 20 else "")
