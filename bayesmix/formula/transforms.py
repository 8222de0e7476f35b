"""The functions of formulas beyond arithmetic: codings of factors, and those that remember data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmix.errors import FormulaError
from bayesmix.formula.library import coding
from bayesmix.formula.splines import BSpline, NaturalSpline
from bayesmix.formula.stateful import Center, Poly, Scale, Stateful


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
    if not isinstance(data, CategoryBox):
        return CategoryBox(data, contrast, levels)
    given = {"contrast": contrast, "levels": levels}
    return replace(data, **{name: value for name, value in given.items() if value is not None})


def _sum_categories(data: Any, omit: Any = None, levels: Any = None) -> CategoryBox:
    return _categories(data, coding("Sum")(omit), levels)


def _treatment_categories(data: Any, ref: Any = None, levels: Any = None) -> CategoryBox:
    return _categories(data, coding("Treatment")(ref), levels)


CODINGS: dict[str, Callable[..., Any]] = {
    "C": _categories,
    "S": _sum_categories,
    "T": _treatment_categories,
}
# Codings of formulae, classes that ``C(x, Sum)`` takes.
CONTRASTS = ("Sum", "Treatment")
STATEFUL: dict[str, type[Stateful]] = {
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
    if name in STATEFUL:
        return STATEFUL[name](name, weight, waits=waits)
    return CODINGS[name] if name in CODINGS else coding(name)
