"""Written terms as columns: numbers or coded factors, with what new data need of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import BoundExpression, bind
from bayesmix.formula.coding import Block
from bayesmix.formula.expressions import Expression
from bayesmix.formula.factors import FactorEncoder, encode_factor
from bayesmix.formula.scope import Scope
from bayesmix.formula.transforms import CategoryBox, make_transform
from bayesmix.formula.values import check_finite, numeric_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Encoder", "NumericEncoder", "assemble", "block_names", "encode", "evaluated"]


@dataclass(frozen=True, eq=False)
class NumericEncoder:
    """A term of one or more columns of numbers.

    Parameters
    ----------
    bound : BoundExpression
        With the states of its transformations.
    width : int
        Number of columns.
    """

    bound: BoundExpression
    width: int

    kind = "numeric"

    def read(self, data: pd.DataFrame) -> np.ndarray:
        """Read new rows: values of shape (n,) or (n, width)."""
        text = self.bound.expression.text
        values = _numbers(self.bound(data), data, text)
        if values is None:
            raise DataError(
                f"The term {text!r} was numeric when the model was fitted and is not in the new "
                "data. Convert the column to numbers."
            )
        if (1 if values.ndim == 1 else values.shape[1]) != self.width:
            raise DataError(f"The term {text!r} has {self.width} columns, but not in the new data.")
        return values

    def columns(self, values: np.ndarray, coding: str) -> np.ndarray:  # noqa: ARG002
        """Return the same with shape (n, width); there is one coding, "value"."""
        return values[:, None] if values.ndim == 1 else values

    def names(self, coding: str) -> list[str]:  # noqa: ARG002
        """Name the columns."""
        text = self.bound.expression.text
        return [text] if self.width == 1 else [f"{text}[{i}]" for i in range(self.width)]


Encoder = NumericEncoder | FactorEncoder


def encode(expression: Expression, data: pd.DataFrame, scope: Scope) -> tuple[Encoder, np.ndarray]:
    """Evaluate a written term on the training data.

    Parameters
    ----------
    expression : Expression
    data : DataFrame of n rows
    scope : Scope

    Returns
    -------
    NumericEncoder or FactorEncoder
    ndarray
        Its values: float64 of shape (n,) or (n, width), or the levels, int64 of shape (n,).

    Raises
    ------
    DataError, FormulaError
    """
    bound, value = evaluated(expression, data, scope)
    values = _numbers(value, data, expression.text)
    if values is None:
        return encode_factor(bound, value, data)
    if _is_boolean(value) and not bound.bare and not values.any():
        raise DataError(
            f"The term {expression.text!r} is false in every row. Check the value and its type: a "
            "text level is compared with text, as in I(x == '3')."
        )
    return NumericEncoder(bound, 1 if values.ndim == 1 else values.shape[1]), values


def evaluated(
    expression: Expression, data: pd.DataFrame, scope: Scope
) -> tuple[BoundExpression, Any]:
    """Bind an expression, with its own transformations, and evaluate it on the training data."""
    bound = bind(expression, data, scope, make_transform)
    value = bound(data)
    if bound.foreign:
        bound = replace(bound, mixes=not _acts_by_row(bound, data, value))
    return bound, value


def _numbers(value: Any, data: pd.DataFrame, text: str) -> np.ndarray | None:
    """Finite float64 numbers of n rows, or None for a factor."""
    label = f"The term {text!r}"
    if isinstance(value, CategoryBox):
        coded = value.contrast is not None or value.levels is not None
        if coded or not _is_boolean(value.data):
            return None
        value = value.data  # C(x == 3) is one 0/1 column
    if hasattr(value, "columns"):  # a DataFrame
        value = value.to_numpy()
    values = numeric_values(value)
    shape = np.shape(value) if values is None else values.shape
    if shape[:1] != (len(data),) or len(shape) > 2:
        raise FormulaError(
            f"{label} gives {'one value' if not shape else f'the shape {shape}'}; a value for "
            f"each of the {len(data)} rows is needed."
        )
    index = getattr(value, "index", None)
    if index is not None and index is not data.index and not data.index.equals(index):
        raise FormulaError(f"{label} has its rows in another order than the data.")
    if values is not None:
        check_finite(values, data, label)
    return values


def _is_boolean(value: Any) -> bool:
    value = value.data if isinstance(value, CategoryBox) else value
    return str(getattr(value, "dtype", "")) in ("bool", "boolean")


def _acts_by_row(bound: BoundExpression, data: pd.DataFrame, whole: Any) -> bool:
    """Whether each half of the rows, alone, gets the values it has among all of them."""
    n, most = len(data), 1000
    if n < 2:
        return True
    halves = (slice(0, min(n // 2, most)), slice(max(n // 2, n - most), n))
    try:
        return all(_same(bound(data.iloc[rows]), whole, rows) for rows in halves)
    except FormulaError:
        return False


def _same(part: Any, whole: Any, rows: slice) -> bool:
    if isinstance(whole, CategoryBox):
        part, whole = getattr(part, "data", part), whole.data
    a, b = np.asarray(part), np.asarray(whole)
    if b.ndim == 0:
        return bool(a == b)
    b = b[rows]
    if a.shape != b.shape:
        return False
    numbers = a.dtype.kind in "fiub" and b.dtype.kind in "fiub"
    return bool(np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True) if numbers else (a == b).all())


def assemble(
    plan: tuple[Block, ...], encoders: tuple[Encoder, ...], values: list[np.ndarray], n: int
) -> np.ndarray:
    """Make the design matrix.

    Parameters
    ----------
    plan : tuple of blocks
        From `coding_plan`.
    encoders : tuple
    values : list of ndarray
        What the encoders have read, n rows each.
    n : int

    Returns
    -------
    ndarray of float64, shape (n, p)
    """
    widths = [len(names) for names in block_names(plan, encoders)]
    matrix = np.empty((n, sum(widths)))
    start = 0
    for block, width in zip(plan, widths, strict=True):
        target = matrix[:, start : start + width]
        parts = [encoders[i].columns(values[i], coding) for i, coding in block]
        # The first factor varies slowest, as the names do.
        target[:] = (
            reduce(lambda a, b: (a[:, :, None] * b[:, None, :]).reshape(n, -1), parts)
            if parts
            else 1.0
        )
        start += width
    return matrix


def block_names(plan: tuple[Block, ...], encoders: tuple[Encoder, ...]) -> list[list[str]]:
    """Name the columns of every block."""
    out = []
    for block in plan:
        names = ["Intercept"] if not block else [""]
        for i, coding in block:
            names = [f"{a}:{b}" if a else b for a in names for b in encoders[i].names(coding)]
        out.append(names)
    return out
