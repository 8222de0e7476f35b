"""Expressions bound to the user's functions and evaluated on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, cast

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError, DataError, FormulaError
from bayesmix.formula.evaluation import UNREACHABLE, syntax_tree, value_of
from bayesmix.formula.expressions import Expression, read_text
from bayesmix.formula.frames import (
    check_columns,
    check_finite,
    near_names,
    numeric_values,
    row_values,
    truth_values,
)
from bayesmix.formula.scope import Scope
from bayesmix.formula.stateful import Unsettled
from bayesmix.formula.transforms import CODINGS, CONTRASTS, STATEFUL

MATHS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in ("log", "exp", "sqrt", "log1p", "expm1", "abs", "log2", "log10", "sin", "cos")
}
LEVELS = {*CODINGS, *CONTRASTS}
TRANSFORMS = {*STATEFUL, *LEVELS}
_MODULES = ("np", "numpy", "math")


def _chosen(condition: Any, first: Any, second: Any) -> Any:
    return np.where(condition, first, second)


def _limited(x: Any, lower: Any, upper: Any) -> Any:
    return np.clip(x, lower, upper)


def _rounded(x: Any, decimals: Any = 0) -> Any:
    return np.round(x, decimals)


# Functions of NumPy that act row by row, by the usual names of its module.  They come from this
# table, not from the module: a formula reaches no attribute of anything.
NUMPY: dict[str, Any] = {
    f"{module}.{name}": function
    for module in _MODULES
    for name, function in (
        *((n, f) for n, f in vars(np).items() if isinstance(f, np.ufunc)),
        ("where", _chosen),
        ("clip", _limited),
        ("round", _rounded),
    )
}
CONSTANTS = {f"{m}.{name}": getattr(np, name) for m in _MODULES for name in ("pi", "e", "inf")}
CONSTANTS["inf"] = np.inf

_HINTS = {
    "cbind": "Write p(successes, trials), or mv(y1, y2) for several columns at once.",
    "Surv": "Write surv(time, status).",
    "factor": "Write C(x).",
    "as.factor": "Write C(x).",
    "ns": "Write cr(x, df=4).",
    "ln": "Write log(x).",
    "Q": "Write the name of the column in backticks: `name`.",
    "prop": "Write p(successes, trials).",
    "proportion": "Write p(successes, trials).",
    "offset": "offset(...) must be a term of its own on the right side, outside other functions.",
    "p": "p(successes, trials) is a response: it must stand alone on the left of the tilde.",
    **{
        name: f"{name}(...) is a response: it must stand alone on the left of the tilde."
        for name in ("surv", "mv", "truncated", "censored")
    },
}
# What makes the transformation of one of the names in `TRANSFORMS`; None: they are refused.
type Transform = Callable[[str], Any] | None
_RESERVED = ("offset", "p", "surv", "mv", "truncated", "censored")


@dataclass(frozen=True, eq=False)
class BoundExpression:
    """An expression with its functions (and their states) and the scope's values.

    Parameters
    ----------
    expression : Expression
    functions : tuple of callable
    columns : tuple of str
        The variables that are data columns.
    values : dict of str to object
        The other variables.
    plain : bool
        Whether only operators and functions known to act on arrays are used.
    foreign : bool
        Whether it calls a function of the user's that may mix rows.
    mixes : bool
        Whether a row's value was found to depend on other rows.
    """

    expression: Expression
    functions: tuple[Callable[..., Any], ...]
    columns: tuple[str, ...]
    values: dict[str, Any]
    plain: bool
    foreign: bool
    mixes: bool = False

    @property
    def bare(self) -> bool:
        """Whether the expression is a column's name and nothing else."""
        return self.expression.source == "v0"

    def __call__(self, data: pd.DataFrame) -> Any:
        """Value for the rows of `data`, whatever its type."""
        if self.bare:
            return data[self.columns[0]]
        functions = {f"f{i}": f for i, f in enumerate(self.functions)}
        read = _operand if self.plain else _identity
        variables = {
            f"v{i}": self.values[name] if name in self.values else read(data[name])
            for i, name in enumerate(self.expression.variables)
        }
        try:
            with np.errstate(all="ignore"):
                return value_of(syntax_tree(self.expression.source), variables, functions)
        except (BayesmixError, Unsettled):
            raise
        except Exception as error:
            raise FormulaError(
                f"{self.expression.text!r:.200} cannot be evaluated: {type(error).__name__}: "
                f"{error}. "
                "Check its arguments and the types of its columns."
            ) from error


def _operand(column: pd.Series) -> Any:
    """Take a numeric column as a float array (integers would overflow), others as they are."""
    truths = truth_values(column)
    values = numeric_values(column) if truths is None else truths
    return column if values is None else values


def _identity(x: Any) -> Any:
    return x


def bind(
    expression: Expression, data: pd.DataFrame, scope: Scope, transform: Transform = None
) -> BoundExpression:
    """Find the functions and variables of an expression.

    Parameters
    ----------
    expression : Expression
    data : DataFrame
        Its columns go before the scope's names.
    scope : Scope
    transform : Transform

    Returns
    -------
    BoundExpression

    Raises
    ------
    DataError, FormulaError
        For an unknown variable or function.
    """
    columns = tuple(name for name in expression.variables if name in data.columns)
    if len(columns) < len(expression.variables):
        refuse_unknown([expression], data, scope)
    values = {
        name: _scope_value(name, expression, data, scope, transform)
        for name in expression.variables
        if name not in columns
    }
    functions = tuple(_function(n, expression, scope, transform) for n in expression.functions)
    named = zip(expression.functions, functions, strict=True)
    others = {name for name, function in named if not _acts_on_arrays(name, function)}
    foreign = not others <= LEVELS
    return BoundExpression(expression, functions, columns, values, not others, foreign)


def _acts_on_arrays(name: str, function: Callable[..., Any]) -> bool:
    return (
        isinstance(function, np.ufunc)
        or function is _identity
        or name in STATEFUL
        or (name in NUMPY and function is NUMPY[name])
    )


def refuse_unknown(expressions: Iterable[Expression], data: pd.DataFrame, scope: Scope) -> None:
    """Raise a DataError that names every variable that is neither a column nor known."""
    unknown = [
        name
        for e in expressions
        for name in dict.fromkeys(e.variables)
        if name not in data.columns
        and (e.source == "v0" or not (name in scope or name in LEVELS or name in CONSTANTS))
    ]
    if not unknown:
        return
    elsewhere = [name for name in unknown if name in scope]
    if elsewhere:
        raise DataError(
            f"{elsewhere[0]!r} is a variable of yours, not a column of the data; a term has to be "
            "a column. Add it to the data."
        )
    dotted = [name for name in unknown if "." in name]
    if dotted:
        raise DataError(f"There is no column {dotted[0]!r}, and {UNREACHABLE}.")
    check_columns(data, unknown)


def _scope_value(
    name: str, expression: Expression, data: pd.DataFrame, scope: Scope, transform: Transform
) -> Any:
    if name not in scope:
        if name in CONSTANTS:
            return CONSTANTS[name]
        return _function(name, expression, scope, transform)
    value = scope[name]
    if isinstance(value, ModuleType):
        raise FormulaError(
            f"{name!r} in {expression.text!r:.200} is a module. Write a value or column."
        )
    if len(data) > 1 and hasattr(value, "dtype") and np.shape(value) == (len(data),):
        raise DataError(
            f"{name!r} in {expression.text!r:.200} is an array of yours with one value a row; "
            "rows are selected and predicted from the data only. Add it to the data as a column."
        )
    return value


def _function(
    name: str, expression: Expression, scope: Scope, transform: Transform
) -> Callable[..., Any]:
    """Find a function; of the user's own, only one made with ``def`` hides one of NumPy's."""
    found = scope.peek(name) if name in scope else None
    if name in {"I", *TRANSFORMS} and isinstance(found, FunctionType):
        raise FormulaError(
            f"{name}(...) in {expression.text!r:.200} is a function of bayesmix and one of yours. "
            "Give yours another name."
        )
    if name == "I":
        return _identity
    if name in TRANSFORMS:
        if transform is None:
            raise FormulaError(
                f"{name}(...) in {expression.text!r:.200} can only be used in a term of the right "
                "side. Make it a column of the data first."
            )
        return transform(name)
    if name in MATHS and not isinstance(found, FunctionType):
        return MATHS[name]
    if found is None and name in NUMPY:
        return cast("Callable[..., Any]", NUMPY[name])
    if found is None and "." in name:
        last = name.rpartition(".")[2]
        raise FormulaError(
            f"The function {name!r} in {expression.text!r:.200} is an attribute of a value, "
            "which a "
            f"formula does not reach. Give it a name of its own, {last} = {name}, and write "
            f"{last}(...)."
        )
    if found is None or name in _RESERVED:
        hint = _HINTS.get(name) or near_names(name, [*MATHS, *sorted(TRANSFORMS), "I"], "functions")
        raise FormulaError(
            f"The function {name!r} in {expression.text!r:.200} is not known. {hint} A function of "
            "your own has to be defined where the model is written."
        )
    if not callable(found):
        raise FormulaError(
            f"{name!r} in {expression.text!r:.200} is a {type(found).__name__}, not a function."
        )
    return scope[name]


def evaluate(
    expression: str, data: pd.DataFrame, scope: Scope, what: str, *, finite: bool = True
) -> np.ndarray:
    """Numbers for every row from a written expression.

    Parameters
    ----------
    expression : str
        For example ``log(Hours)``, ``a + b`` or ``1``.
    data : DataFrame of n rows
    scope : Scope
    what : str
        What messages call it: "response", "trials", "offset" ...
    finite : bool
        Whether missing and infinite values are refused; where not, ``inf`` can stand alone, and
        values may be missing where a column is.

    Returns
    -------
    ndarray of float64, shape (n,)
        Booleans are 0 and 1; a single number is repeated.

    Raises
    ------
    DataError, FormulaError
    """
    read = read_text(expression, what)
    if not finite and read.text in CONSTANTS and read.text not in data.columns:
        return np.full(len(data), CONSTANTS[read.text])
    bound, label = bind(read, data, scope), f"The {what} {read.text!r:.200}"
    values = row_values(bound(data), data, label)
    if finite:
        check_finite(values, data, label)
    elif (computed := np.isnan(values)).any():  # a logarithm of -1 is no missing value
        known = data[list(bound.columns)].notna().all(axis=1).to_numpy()
        check_finite(np.where(computed & known, np.nan, 0.0), data, label)
    return values
