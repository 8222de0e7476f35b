"""PyTensor variables that answer to NumPy and SciPy functions, so that a density is written once.

A bare PyTensor variable compares by identity (``y == 0`` is False, whatever y) and is unknown
to `numpy.where` and `scipy.special`.  A `Symbol` wraps one: operators, ufuncs and a few other
functions of NumPy build its graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from bayesmix.arrays.operators import Operators
from bayesmix.arrays.special import EXPREL, SERIES_FROM, STIRLING


class NotSymbolicError(TypeError):
    """A function that has no graph was called with a `Symbol`."""


# What functions of NumPy, SciPy and `arrays` are called in PyTensor, where the names differ.
_NAMES = {
    "absolute": "abs", "add": "add", "arctan": "arctan", "bitwise_and": "and_",
    "bitwise_or": "or_", "divide": "true_div", "equal": "eq", "expit": "sigmoid",
    "float_power": "pow", "floor_divide": "int_div", "gammainc": "gammainc",
    "gammaincc": "gammaincc", "greater": "gt", "greater_equal": "ge", "invert": "invert",
    "less": "lt", "less_equal": "le", "logical_and": "and_", "logical_not": "invert",
    "logical_or": "or_", "multiply": "mul", "negative": "neg", "not_equal": "neq", "power": "pow",
    "psi": "digamma", "remainder": "mod", "rint": "round", "square": "sqr", "subtract": "sub",
}  # fmt: skip
_SAME = {
    "ceil", "cos", "cosh", "erf", "erfc", "erfcx", "exp", "exp2", "expm1", "floor", "gamma",
    "gammaln", "isinf", "isnan", "log", "log10", "log1mexp", "log1p", "log2", "logaddexp",
    "maximum", "minimum", "reciprocal", "sign", "sin", "sinh", "softplus", "sqrt", "tan", "tanh",
}  # fmt: skip


def _xlogy(pt: Any, x: Any, y: Any) -> Any:
    zero = pt.eq(x, 0)
    return pt.switch(zero, 0.0, x * pt.log(pt.switch(zero, 1.0, y)))


_BUILT: dict[str, Callable[..., Any]] = {
    "betainc": lambda pt, a, b, x: pt.betainc(a, b, x),
    "betaincc": lambda pt, a, b, x: pt.betainc(b, a, 1 - x),
    "betaln": lambda pt, a, b: pt.gammaln(a) + pt.gammaln(b) - pt.gammaln(a + b),
    "lgamma1p": lambda pt, x: pt.gammaln(1 + x),
    "log1pmx": lambda pt, x: pt.log1p(x) - x,
    "log_exprel": lambda pt, x: _log_exprel(pt, x),
    "stirling": lambda pt, x: _stirling(pt, x),
    "stirling_inverse": lambda pt, x: _stirling_inverse(pt, x),
    "isfinite": lambda pt, x: pt.invert(pt.or_(pt.isnan(x), pt.isinf(x))),
    "log_expit": lambda pt, x: -pt.softplus(-x),
    "log_mills": lambda pt, x: _log_mills(pt, x),
    "log_ndtr": lambda pt, x: _log_ndtr(pt, x),
    "loggamma": lambda pt, x: pt.gammaln(x),
    "logit": lambda pt, x: pt.log(x) - pt.log1p(-x),
    "ndtr": lambda pt, x: 0.5 * pt.erfc(-x / np.sqrt(2.0)),
    "ndtri": lambda pt, x: -np.sqrt(2.0) * pt.erfcinv(2 * x),
    "stdtr": lambda pt, nu, z: _student_t(pt, nu, z),
    "positive": lambda _pt, x: x,
    "xlog1py": lambda pt, x, y: _xlogy(pt, x, 1 + y),
    "xlogy": _xlogy,
}


def _student_t(pt: Any, nu: Any, z: Any) -> Any:
    """Student's t distribution function, accurate below zero."""
    tail = 0.5 * pt.betainc(nu / 2, 0.5, nu / (nu + z * z))
    return pt.switch(pt.lt(z, 0), tail, 1 - tail)


# Both branches of a choice are evaluated, and so are their gradients: each gets an argument from
# its own range, for zero times infinity would be NaN.


def _log_ndtr(pt: Any, x: Any) -> Any:
    """Log of the normal distribution function."""
    tail, body = pt.minimum(x, -1.0), pt.maximum(x, -1.0)
    far = pt.log(pt.erfcx(-tail / np.sqrt(2.0)) / 2) - tail * tail / 2
    return pt.switch(pt.lt(x, -1.0), far, pt.log1p(-pt.erfc(body / np.sqrt(2.0)) / 2))


def _log_mills(pt: Any, x: Any) -> Any:
    """Log of the normal density over its distribution function; far below by a series."""
    end, tail, body = pt.maximum(-x, 50.0), pt.clip(x, -50.0, -1.0), pt.maximum(x, -1.0)
    least = pt.log(end) - pt.log(_series((1.0, -1.0, 3.0, -15.0, 105.0), 1 / (end * end)))
    far = 0.5 * np.log(2 / np.pi) - pt.log(pt.erfcx(-tail / np.sqrt(2.0)))
    near = -0.5 * (body * body + np.log(2 * np.pi)) - _log_ndtr(pt, body)
    return pt.switch(pt.lt(x, -50.0), least, pt.switch(pt.lt(x, -1.0), far, near))


def _stirling(pt: Any, x: Any) -> Any:
    small, large = pt.minimum(x, SERIES_FROM), pt.maximum(x, SERIES_FROM)
    direct = pt.gammaln(small) - (small - 0.5) * pt.log(small) + small - 0.5 * np.log(2 * np.pi)
    inverse = 1 / large
    series = inverse * _series(STIRLING, inverse * inverse)
    return pt.switch(pt.lt(x, SERIES_FROM), direct, series)


def _stirling_inverse(pt: Any, x: Any) -> Any:
    edge = 1 / SERIES_FROM
    small, large = pt.minimum(x, edge), pt.maximum(x, edge)
    series = small * _series(STIRLING, small * small)
    return pt.switch(pt.lt(x, edge), series, _stirling(pt, 1 / large))


def _log_exprel(pt: Any, x: Any) -> Any:
    near = pt.lt(pt.abs(x), 0.05)  # below, three terms are exact and a gradient would cancel
    small, large = pt.switch(near, x, 0.0), pt.switch(near, 2.0, x)
    size = pt.abs(large)
    direct = pt.maximum(large, 0.0) + pt.log(-pt.expm1(-size)) - pt.log(size)
    square = small * small
    return pt.switch(near, 0.5 * small + square * _series(EXPREL[:3], square), direct)


def _series(coefficients: tuple[float, ...], x: Any) -> Any:
    """A polynomial, from the constant on."""
    total = 0.0
    for c in reversed(coefficients):
        total = total * x + c
    return total


def plain(x: Any) -> Any:
    """The PyTensor variable of a `Symbol`; anything else as it is."""
    return x.variable if isinstance(x, Symbol) else x


def symbolic(function: Callable[..., Any], *arguments: Any) -> Symbol:
    """A function of PyTensor's module ``tensor`` and variables, as one of Symbols.

    Parameters
    ----------
    function : callable
        ``function(pt, *variables)``.
    *arguments : Symbol, ndarray or float
    """
    import pytensor.tensor as pt

    return Symbol(function(pt, *map(plain, arguments)))


def _named(name: str, *arguments: Any) -> Symbol:
    if name in _BUILT:
        return symbolic(_BUILT[name], *arguments)
    if name not in _NAMES and name not in _SAME:
        _refuse(name)
    return symbolic(lambda pt, *v: getattr(pt, _NAMES.get(name, name))(*v), *arguments)


def _refuse(what: str) -> NoReturn:
    known = ", ".join(sorted({*_NAMES, *_SAME, *_BUILT}))
    msg = f"{what} is not a function of PyTensor that bayesmix knows; use arithmetic, {known}"
    raise NotSymbolicError(msg)


class Symbol(Operators):
    """A PyTensor variable with NumPy's operators and functions.

    Parameters
    ----------
    variable : TensorVariable

    Examples
    --------
    >>> import numpy as np
    >>> import pytensor.tensor as pt
    >>> from bayesmix.arrays.symbolic import Symbol
    >>> y = Symbol(pt.vector("y"))
    >>> np.where(y == 0, 1.0, np.log(y)).variable.ndim
    1
    """

    __array_priority__ = 2000
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.variable.type.ndim)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Build the graph of a NumPy or SciPy ufunc."""
        if method != "__call__" or kwargs:
            _refuse(f"{ufunc.__name__}.{method}" if method != "__call__" else "out=, where=")
        return _named(ufunc.__name__, *inputs)

    def __array_function__(self, func: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        """`numpy.where` and a few others that are not ufuncs."""
        if func not in _FUNCTIONS:
            _refuse(func.__name__)
        return _FUNCTIONS[func](*args, **kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to become an array of numbers."""
        _refuse("turning a variable into an array of numbers")

    def __float__(self) -> float:
        """Refuse to become a number."""
        _refuse("turning a variable into a number")

    def __bool__(self) -> bool:
        """Refuse to be true or false."""
        _refuse("`if`, `and` or `or` with variables (numpy.where does that)")

    def __getitem__(self, key: Any) -> Symbol:
        keys = key if isinstance(key, tuple) else (key,)
        return Symbol(self.variable[tuple(map(plain, keys))])

    def apply(self, name: str) -> Symbol:
        """The function called `name` of these numbers."""
        return _named(name, self)

    def held(self) -> Symbol:
        """The same numbers, through which no derivative passes."""
        from pytensor.gradient import disconnected_grad

        return Symbol(disconnected_grad(self.variable))

    def astype(self, dtype: Any) -> Symbol:
        """The same as another type of number."""
        return Symbol(self.variable.astype(np.dtype(dtype).name))

    def sum(self, axis: int | None = None, *, keepdims: bool = False) -> Symbol:
        """Sum along an axis."""
        return Symbol(self.variable.sum(axis=axis, keepdims=keepdims))

    def min(self, axis: int | None = None) -> Symbol:
        """Least along an axis."""
        return Symbol(self.variable.min(axis=axis))

    def max(self, axis: int | None = None, *, keepdims: bool = False) -> Symbol:
        """Greatest along an axis."""
        return Symbol(self.variable.max(axis=axis, keepdims=keepdims))

    def reshape(self, *shape: Any) -> Symbol:
        """The same numbers in another shape."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape
        return Symbol(self.variable.reshape(given))


def _clip(x: Any, lower: Any = None, upper: Any = None) -> Symbol:
    x = x if lower is None else _named("maximum", x, lower)
    return x if upper is None else _named("minimum", x, upper)


def _full_like(x: Symbol, fill: Any) -> Symbol:
    return symbolic(lambda pt, v, f: pt.full_like(v, f, dtype="float64"), x, fill)


def _broadcast_arrays(*arrays: Any) -> list[Symbol]:
    import pytensor.tensor as pt

    return list(map(Symbol, pt.broadcast_arrays(*map(plain, arrays))))


def _stack(arrays: Any, axis: int = 0) -> Symbol:
    return symbolic(lambda pt, *v: pt.stack(v, axis=axis), *arrays)


_FUNCTIONS: dict[Any, Callable] = {
    np.where: lambda *given: symbolic(lambda pt, *v: pt.switch(*v), *given),
    np.clip: _clip,
    np.ndim: lambda x: x.ndim,
    np.zeros_like: lambda x: _full_like(x, 0.0),
    np.ones_like: lambda x: _full_like(x, 1.0),
    np.full_like: _full_like,
    np.sum: lambda x, axis=None: x.sum(axis=axis),
    np.broadcast_arrays: _broadcast_arrays,
    np.stack: _stack,
}
