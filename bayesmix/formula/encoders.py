"""Written terms as columns: numbers or coded factors, with what new data need of them."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import BoundExpression
from bayesmix.formula.coding import Block
from bayesmix.formula.evaluation import syntax_tree
from bayesmix.formula.flags import flag_factor
from bayesmix.formula.frames import (
    check_finite,
    conversion,
    describe,
    first_rows,
    moment,
    numeric_values,
    truth_values,
)
from bayesmix.formula.splines import Spline
from bayesmix.formula.transforms import CategoryBox

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
        A coding of formulae; None: treatment, the first level the reference.
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
        codes, found = _factorize(
            value.data if isinstance(value, CategoryBox) else value, data, text
        )
        return _positions(codes, found, self.levels, data, text)

    def fill(self, out: np.ndarray, values: np.ndarray, coding: str) -> None:
        """Code the levels `values` in zeros of shape (n, width)."""
        matrix = self._matrix(coding)[0]
        if matrix is not None:
            out[:] = matrix[values]
            return
        first = 0 if coding == "full" else 1
        (rows,) = (values >= first).nonzero()
        out[rows, values[rows] - first] = 1.0

    def size(self, coding: str) -> int:
        """Number of columns."""
        return len(self.levels) - (coding != "full")

    def names(self, coding: str) -> list[str]:
        """Name the columns."""
        return [f"{self.bound.expression.text}[{label}]" for label in self._matrix(coding)[1]]

    def _matrix(self, coding: str) -> tuple[np.ndarray | None, list[str]]:
        levels = list(self.levels)
        if self.contrast is None:
            return None, [str(level) for level in (levels if coding == "full" else levels[1:])]
        code = f"code_{'with' if coding == 'full' else 'without'}_intercept"
        try:
            coded = getattr(self.contrast, code)(levels)
        except ValueError as error:
            raise FormulaError(
                f"{self.bound.expression.text!r:.200}: the coding does not fit the levels "
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
    codes, found = _factorize(box.data, data, text)
    categories = getattr(box.data, "array", box.data)
    ordered = hasattr(categories, "categories")
    if not (boxed or ordered or all(isinstance(level, str) for level in found)):
        how = f"Convert it: {conversion(box.data)}" if moment(box.data) else "Convert it"
        raise DataError(
            f"The term {text!r:.200} is {describe(box.data)}; numbers, booleans, text and "
            f"categories can be used. {how}, or write C(...) for a factor."
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
            f"The factor {text!r:.200} has the single level {levels[0]!r}; at least two are "
            "needed. Leave it out."
        )
    encoder = FactorEncoder(bound, levels, box.contrast, unused)
    positions = _positions(codes, found, levels, data, text)
    counts = np.bincount(positions, minlength=len(levels)).tolist()
    flag_factor(text, levels, counts, chosen=boxed or ordered)
    return encoder, positions


def _factorize(values: Any, data: pd.DataFrame, text: str) -> tuple[np.ndarray, list[Any]]:
    """Codes of shape (n,), none of them missing, and the values that they stand for."""
    categories = getattr(values, "array", values)
    if isinstance(categories, pd.Categorical):
        codes, found = categories.codes, categories.categories
    elif np.ndim(values) != 1:
        raise FormulaError(f"The term {text!r:.200}: a factor has one value for each row.")
    else:
        try:
            codes, found = pd.factorize(values)
        except TypeError as error:
            raise DataError(
                f"The values of the term {text!r:.200} cannot be compared ({error})."
            ) from error
    if codes.min() < 0:
        raise DataError(
            f"The factor {text!r:.200} is missing in {first_rows(data, codes < 0)}. Fill it in, or "
            "leave these rows out with na_action='drop'."
        )
    return codes, found.tolist()


def _sorted(levels: list[Any]) -> list[Any]:
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def _given_levels(given: Any, present: list[Any], text: str) -> tuple[Any, ...]:
    listed = isinstance(given, Iterable) and all(isinstance(level, Hashable) for level in given)
    levels = tuple(given) if listed else ()
    if not levels or len(set(levels)) < len(levels):
        raise FormulaError(
            f"{text!r:.200}: levels= is a list of distinct levels, such as ['low', 'high']."
        )
    absent = [level for level in levels if level not in present]
    if absent:
        raise DataError(
            f"{text!r:.200}: no row has the level {absent[0]!r}. The data have {_shown(present)}."
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
            f"The factor {text!r:.200} has levels that the model does not know: "
            f"{_shown(unknown)} in "
            f"{first_rows(data, bad)}. Known are {_shown(levels)}. Leave these rows out or recode "
            "them."
        )
    return positions


def _shown(levels: Any) -> str:
    return ", ".join(repr(level) for level in levels[:20]) + (", ..." if len(levels) > 20 else "")


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

    @property
    def spline(self) -> Spline | None:
        """The spline that the term is, if it is one and no function of one."""
        node = syntax_tree(self.bound.expression.source)
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return None
        called = self.bound.functions[int(node.func.id.removeprefix("f"))]
        return called if isinstance(called, Spline) else None

    def read(self, data: pd.DataFrame) -> np.ndarray:
        """Read new rows: values of shape (n,) or (n, width)."""
        text = self.bound.expression.text
        values = _numbers(self.bound(data), data, text)
        if values is None:
            raise DataError(
                f"The term {text!r:.200} was numeric when the model was fitted and is not in the "
                "new data. Convert the column to numbers."
            )
        if (1 if values.ndim == 1 else values.shape[1]) != self.width:
            raise DataError(
                f"The term {text!r:.200} has {self.width} columns, but not in the new data."
            )
        return values

    def fill(self, out: np.ndarray, values: np.ndarray, coding: str) -> None:  # noqa: ARG002
        """Put the values into an array of shape (n, width); there is one coding, "value"."""
        out[:] = values[:, None] if values.ndim == 1 else values

    def size(self, coding: str) -> int:  # noqa: ARG002
        """Number of columns."""
        return self.width

    def names(self, coding: str) -> list[str]:  # noqa: ARG002
        """Name the columns."""
        text = self.bound.expression.text
        return [text] if self.width == 1 else [f"{text}[{i}]" for i in range(self.width)]


Encoder = NumericEncoder | FactorEncoder


def encode(bound: BoundExpression, data: pd.DataFrame) -> tuple[Encoder, np.ndarray]:
    """Evaluate a written term on the training data.

    Parameters
    ----------
    bound : BoundExpression
    data : DataFrame of n rows

    Returns
    -------
    NumericEncoder or FactorEncoder
    ndarray
        Its values: float64 of shape (n,) or (n, width), or the levels, int64 of shape (n,).

    Raises
    ------
    DataError, FormulaError
    """
    bound, value = evaluated(bound, data)
    text = bound.expression.text
    values = _numbers(value, data, text)
    if values is None:
        return encode_factor(bound, value, data)
    if not bound.bare and not values.any() and truth_values(value) is not None:
        raise DataError(
            f"The term {text!r:.200} is false in every row. Check the value and its type: a "
            "text level is compared with text, as in I(x == '3')."
        )
    return NumericEncoder(bound, 1 if values.ndim == 1 else values.shape[1]), values


def evaluated(bound: BoundExpression, data: pd.DataFrame) -> tuple[BoundExpression, Any]:
    """The value of an expression on the training data, and whether it mixes rows."""
    value = bound(data)
    if bound.foreign:
        bound = replace(bound, mixes=not _acts_by_row(bound, data, value))
    return bound, value


def _numbers(value: Any, data: pd.DataFrame, text: str) -> np.ndarray | None:
    """Finite float64 numbers of n rows, or None for a factor."""
    label = f"The term {text!r:.200}"
    if isinstance(value, CategoryBox):
        coded = value.contrast is not None or value.levels is not None
        if coded or truth_values(value.data) is None:
            return None
        value = value.data  # C(x == 3) is one 0/1 column
    if hasattr(type(value), "columns"):  # a DataFrame
        value = value.to_numpy()
    values = numeric_values(value)
    # An object of the user's with a shape of its own making is one value.
    listed = isinstance(value, list) or hasattr(value, "dtype")
    shape = values.shape if values is not None else np.shape(value) if listed else ()
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
    widths = [[encoders[i].size(coding) for i, coding in block] for block in plan]
    matrix = np.zeros((n, sum(map(prod, widths))))
    start = 0
    for block, sizes in zip(plan, widths, strict=True):
        target = matrix[:, start : start + prod(sizes)]
        start += prod(sizes)
        parts = [target] if len(block) == 1 else [np.zeros((n, size)) for size in sizes]
        for (i, coding), part in zip(block, parts, strict=True):
            encoders[i].fill(part, values[i], coding)
        if len(block) != 1:  # the first factor varies slowest, as the names do
            target[:] = reduce(_products, parts, np.ones((n, 1)))
    return matrix


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Each of the columns (n, P) times each of (n, Q)."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)


def design_width(plan: tuple[Block, ...], encoders: tuple[Encoder, ...]) -> int:
    """Number of columns, before any of them is named or made."""
    return sum(prod([encoders[i].size(coding) for i, coding in block]) for block in plan)


def block_names(plan: tuple[Block, ...], encoders: tuple[Encoder, ...]) -> list[list[str]]:
    """Name the columns of every block."""
    out = []
    for block in plan:
        names = ["Intercept"] if not block else [""]
        for i, coding in block:
            names = [f"{a}:{b}" if a else b for a in names for b in encoders[i].names(coding)]
        out.append(names)
    return out
