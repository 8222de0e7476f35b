"""Model formulas; the only module that touches formulae.

formulae never sees the user's text, of which it leaves out in silence what it cannot
read.  Our own tokenizer, algebra and coding of interactions stand in `_language`; formulae
supplies the transformations that remember their training data and the codings of factors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import CODINGS, evaluate
from bayesmix.formula.parser import ParsedFormula, parse_formula
from bayesmix.formula.scope import Scope
from bayesmix.formula.splines import NaturalSpline, roughness

__all__ = [
    "Bounded",
    "CategoryBox",
    "ParsedFormula",
    "Scope",
    "evaluate",
    "make_transform",
    "parse_formula",
]


@dataclass(frozen=True, eq=False)
class CategoryBox:
    """Data to be taken as categories: the result of ``C(x)``, ``T(x)`` or ``S(x)``.

    Parameters
    ----------
    data : Series or ndarray, shape (n,)
    contrast : object or None
        A coding of formulae (`Treatment`, `Sum`); None: treatment, first level the reference.
    levels : sequence or None
    """

    data: Any
    contrast: Any = None
    levels: Any = None


def _categories(data: Any, contrast: Any = None, levels: Any = None) -> CategoryBox:
    contrast = contrast() if isinstance(contrast, type) else contrast
    if contrast is not None and not hasattr(contrast, "code_without_intercept"):
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
    return _categories(data, make_transform("Sum")(omit), levels)


def _treatment_categories(data: Any, ref: Any = None, levels: Any = None) -> CategoryBox:
    return _categories(data, make_transform("Treatment")(ref), levels)


MOST_COLUMNS = 1000
_OWN = {"C": _categories, "S": _sum_categories, "T": _treatment_categories}


def make_transform(name: str) -> Callable[..., Any]:
    """Find the function of that name; a new one each time where it remembers its data."""
    if name in _OWN:
        return _OWN[name]
    if name in CODINGS:
        from formulae.categorical import ENCODINGS

        return ENCODINGS[name]
    if name == "cr":
        return Bounded(name, NaturalSpline())
    from formulae.transforms import TRANSFORMS

    transform = TRANSFORMS[name]()
    return Bounded(name, transform) if name in ("bs", "poly") else transform


class Bounded:
    """Splines and polynomials of a size, the former only in the range they were made for."""

    def __init__(self, name: str, transform: Callable[..., Any]) -> None:
        self.name = name
        self.transform = transform
        self.limits: tuple[float, float] | None = None
        self.given: dict[str, Any] = {}

    @property
    def is_spline(self) -> bool:
        """Whether it is made of polynomials between knots."""
        return self.name != "poly"

    @property
    def knots(self) -> np.ndarray:
        """Of a spline the distinct knots, with both ends."""
        made: Any = self.transform
        return np.unique(made.knots if self.name == "cr" else made._knots)

    @property
    def roughness(self) -> np.ndarray:
        """Of a spline the integrals of products of second derivatives, (P, P)."""
        degree = int(self.given.get("degree", 3))
        return roughness(self.columns, self.knots, degree)

    def columns(self, x: np.ndarray) -> np.ndarray:
        """The columns (m, P) at x (m,), by the constants of the training data."""
        return np.asarray(self.transform(x, **self.given), dtype=float)

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The columns of the data's x; the first call makes the constants."""
        given = inspect.signature(self.transform).bind(x, *args, **kwargs).arguments
        for size in ("df", "degree"):
            if isinstance(given.get(size), int) and given[size] > MOST_COLUMNS:
                msg = f"{self.name}({size}={given[size]}) makes more than {MOST_COLUMNS} columns"
                raise FormulaError(f"{msg}. Write a smaller number.")
        if self.is_spline:
            self._check_range(x, given)
        self.given = {n: v for n, v in given.items() if n != "x"}
        return self.transform(x, *args, **kwargs)

    def _check_range(self, x: Any, given: Mapping[str, Any]) -> None:
        values = np.asarray(x, dtype=np.float64)
        if self.limits is None:
            low, high = given.get("lower_bound"), given.get("upper_bound")
            self.limits = (
                float(values.min() if low is None else low),
                float(values.max() if high is None else high),
            )
        low, high = self.limits
        outside = (values < low) | (values > high)
        if outside.any():
            shown = ", ".join(f"{v:g}" for v in values[outside][:5])
            raise DataError(
                f"{self.name}(...) was made for values from {low:g} to {high:g}; "
                f"{int(outside.sum())} values lie outside ({shown}). A "
                "spline is not extrapolated: leave these rows out, or set lower_bound and "
                "upper_bound when fitting."
            )
