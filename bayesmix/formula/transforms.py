"""The functions of formulas beyond arithmetic: codings of factors, and those that remember data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix.errors import FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.parser import ParsedFormula, parse_formula
from bayesmix.formula.scope import Scope
from bayesmix.formula.splines import BSpline, NaturalSpline
from bayesmix.formula.stateful import Center, Poly, Scale, Stateful

__all__ = [
    "CategoryBox",
    "ParsedFormula",
    "Scope",
    "evaluate",
    "make_transform",
    "parse_formula",
]


@dataclass(frozen=True)
class Treatment:
    """A column for each level but the reference, by default the first."""

    reference: Any = None

    def coded(self, levels: list[Any], *, full: bool) -> tuple[np.ndarray, list[Any]]:
        """A row for each level, and what the columns are named after."""
        if full:
            return np.eye(len(levels)), levels
        at = 0 if self.reference is None else levels.index(self.reference)
        return np.delete(np.eye(len(levels)), at, 1), [*levels[:at], *levels[at + 1 :]]


@dataclass(frozen=True)
class Sum:
    """Differences of the levels from their mean; that of one level, the last, is left out."""

    omit: Any = None

    def coded(self, levels: list[Any], *, full: bool) -> tuple[np.ndarray, list[Any]]:
        """A row for each level, and what the columns are named after."""
        at = len(levels) - 1 if self.omit is None else levels.index(self.omit)
        matrix = np.delete(np.eye(len(levels)), at, 1)
        matrix[at] = -1.0
        names = [*levels[:at], *levels[at + 1 :]]
        return (np.insert(matrix, 0, 1.0, 1), ["mean", *names]) if full else (matrix, names)


@dataclass(frozen=True, eq=False)
class CategoryBox:
    """Data to be taken as categories: the result of ``C(x)``, ``T(x)`` or ``S(x)``.

    Parameters
    ----------
    data : Series or ndarray, shape (n,)
    contrast : Treatment, Sum or None
        None: treatment, first level the reference.
    levels : sequence or None
    """

    data: Any
    contrast: Treatment | Sum | None = None
    levels: Any = None


def _categories(data: Any, contrast: Any = None, levels: Any = None) -> CategoryBox:
    contrast = contrast() if isinstance(contrast, type) else contrast
    if contrast is not None and not isinstance(contrast, Treatment | Sum):
        raise FormulaError(
            f"C(...): the coding is a {type(contrast).__name__}; use Treatment('level') or Sum."
        )
    if isinstance(data, CategoryBox):
        return CategoryBox(
            data.data,
            data.contrast if contrast is None else contrast,
            data.levels if levels is None else levels,
        )
    return CategoryBox(data, contrast, levels)


def _sum_categories(data: Any, omit: Any = None, levels: Any = None) -> CategoryBox:
    return _categories(data, Sum(omit), levels)


def _treatment_categories(data: Any, ref: Any = None, levels: Any = None) -> CategoryBox:
    return _categories(data, Treatment(ref), levels)


_CODINGS: dict[str, Callable[..., Any]] = {
    "C": _categories,
    "S": _sum_categories,
    "T": _treatment_categories,
    "Sum": Sum,
    "Treatment": Treatment,
}
_STATEFUL: dict[str, type[Stateful]] = {
    "bs": BSpline,
    "center": Center,
    "cr": NaturalSpline,
    "poly": Poly,
    "scale": Scale,
    "standardize": Scale,
}


def make_transform(
    name: str, weight: np.ndarray | None = None, *, waits: bool = False
) -> Callable[..., Any]:
    """Find the function of that name; a new one each time where it remembers its data.

    `weight` (n,) and `waits` are as in `Stateful`.
    """
    if name in _CODINGS:
        return _CODINGS[name]
    return _STATEFUL[name](name, weight, waits=waits)
