"""Arrays that carry exact first and second derivatives: forward-mode differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from scipy import special

from bayesmix.arrays.operators import Operators
from bayesmix.arrays.special import (
    lgamma1p,
    log1mexp,
    log1pmx,
    log_exprel,
    log_exprel_parts,
    log_mills,
    log_mills_bend,
    mills,
    mills_excess,
    softplus,
    stirling,
    stirling_inverse,
    stirling_value,
)

# name -> (value, first derivative, second derivative); each takes the argument x
# and the function's value v, so that nothing is computed twice.
_RULES: dict[str, tuple[Callable, Callable, Callable]] = {
    "negative": (np.negative, lambda x, v: -np.ones_like(x), lambda x, v: np.zeros_like(x)),
    "positive": (np.positive, lambda x, v: np.ones_like(x), lambda x, v: np.zeros_like(x)),
    "absolute": (np.absolute, lambda x, v: np.sign(x), lambda x, v: np.zeros_like(x)),
    "square": (np.square, lambda x, v: 2 * x, lambda x, v: np.full_like(x, 2.0)),
    "sqrt": (np.sqrt, lambda x, v: 0.5 / v, lambda x, v: -0.25 / (x * v)),
    "reciprocal": (np.reciprocal, lambda x, v: -v * v, lambda x, v: 2 * v**3),
    "exp": (np.exp, lambda x, v: v, lambda x, v: v),
    "expm1": (np.expm1, lambda x, v: np.exp(x), lambda x, v: np.exp(x)),
    "log": (np.log, lambda x, v: 1 / x, lambda x, v: -1 / x**2),
    "log1p": (np.log1p, lambda x, v: 1 / (1 + x), lambda x, v: -1 / (1 + x) ** 2),
    "log1pmx": (log1pmx, lambda x, v: -x / (1 + x), lambda x, v: -1 / (1 + x) ** 2),
    "log_exprel": (
        log_exprel,
        lambda x, v: log_exprel_parts(x)[1],
        lambda x, v: log_exprel_parts(x)[2],
    ),
    "sin": (np.sin, lambda x, v: np.cos(x), lambda x, v: -v),
    "cos": (np.cos, lambda x, v: -np.sin(x), lambda x, v: -v),
    "sinh": (np.sinh, lambda x, v: np.cosh(x), lambda x, v: v),
    "cosh": (np.cosh, lambda x, v: np.sinh(x), lambda x, v: v),
    "tanh": (np.tanh, lambda x, v: np.cosh(x) ** -2, lambda x, v: -2 * v * np.cosh(x) ** -2),
    "arctan": (np.arctan, lambda x, v: 1 / (1 + x * x), lambda x, v: -2 * x / (1 + x * x) ** 2),
    "gammaln": (
        special.gammaln,
        lambda x, v: special.psi(x),
        lambda x, v: special.polygamma(1, x),
    ),
    "psi": (
        special.psi,
        lambda x, v: special.polygamma(1, x),
        lambda x, v: special.polygamma(2, x),
    ),
    "stirling": (
        stirling_value,
        lambda x, v: stirling(x).scaled1 / x,
        lambda x, v: stirling(x).scaled2 / (x * x),
    ),
    "stirling_inverse": (
        lambda x: stirling_inverse(x).value,
        lambda x, v: stirling_inverse(x).scaled1,
        lambda x, v: stirling_inverse(x).scaled2,
    ),
    "lgamma1p": (
        lgamma1p,
        lambda x, v: special.psi(1 + x),
        lambda x, v: special.polygamma(1, 1 + x),
    ),
    "log_ndtr": (
        special.log_ndtr,
        lambda x, v: mills(x),
        lambda x, v: -mills(x) * mills_excess(x),
    ),
    "log_mills": (log_mills, lambda x, v: -mills_excess(x), lambda x, v: log_mills_bend(x)),
    "ndtr": (special.ndtr, lambda x, v: _normal(x), lambda x, v: -x * _normal(x)),
    "erf": (
        special.erf,
        lambda x, v: 2 / np.sqrt(np.pi) * np.exp(-x * x),
        lambda x, v: -4 * x / np.sqrt(np.pi) * np.exp(-x * x),
    ),
    "expit": (
        special.expit,
        lambda x, v: v * special.expit(-x),
        lambda x, v: -v * special.expit(-x) * np.tanh(x / 2),
    ),
    "log_expit": (
        special.log_expit,
        lambda x, v: special.expit(-x),
        lambda x, v: -special.expit(x) * special.expit(-x),
    ),
    "softplus": (
        softplus,
        lambda x, v: special.expit(x),
        lambda x, v: special.expit(x) * special.expit(-x),
    ),
    "log1mexp": (
        log1mexp,
        lambda x, v: np.exp(x) / np.expm1(x),
        lambda x, v: -np.exp(x) / np.expm1(x) ** 2,
    ),
}
_RULES["loggamma"] = _RULES["gammaln"]


def _multiple(function: Callable, name: str, factor: float) -> tuple[Callable, Callable, Callable]:
    """The rule of a function that is a multiple of another one, but for a constant."""
    _, first, second = _RULES[name]
    return function, lambda x, v: factor * first(x, v), lambda x, v: factor * second(x, v)


_RULES["log2"] = _multiple(np.log2, "log", 1 / np.log(2))
_RULES["log10"] = _multiple(np.log10, "log", 1 / np.log(10))
_RULES["erfc"] = _multiple(special.erfc, "erf", -1.0)


def _normal(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


class Jet(Operators):
    """An array with its first and second derivatives with respect to p variables.

    Parameters
    ----------
    value : ndarray, shape (...)
    first : ndarray, shape (p, ...)
    second : ndarray, shape (p, p, ...)

    Notes
    -----
    Every operation carries the exact chain rule, so derivatives are as accurate
    as the value.  NumPy's elementwise functions and those of `scipy.special`
    that have a rule accept a `Jet`, as do `numpy.where`, `numpy.clip` and
    comparisons; anything else raises a `TypeError` that names it.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmix.arrays import jets
    >>> (x,) = jets(np.array([2.0]))
    >>> y = np.log(x) * x
    >>> float(y.first[0, 0]), float(y.second[0, 0, 0])  # log 2 + 1, 1/2
    (1.6931471805599454, 0.5)
    """

    __slots__ = ("first", "second", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        self.value, self.first, self.second = value, first, second

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return np.shape(self.value)

    @property
    def ndim(self) -> int:
        """Number of dimensions of the value."""
        return np.ndim(self.value)

    def _chain(self, value: np.ndarray, d1: np.ndarray, d2: np.ndarray) -> Jet:
        outer = self.first[:, None] * self.first[None]
        return Jet(value, d1 * self.first, d1 * self.second + d2 * outer)

    def apply(self, name: str) -> Jet:
        """The function called `name` of this array."""
        f, d1, d2 = _RULES[name]
        x = np.asarray(self.value, dtype=float)
        value = f(x)
        return self._chain(value, d1(x, value), d2(x, value))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Differentiate a NumPy or SciPy function of jets."""
        name = ufunc.__name__
        if method != "__call__" or kwargs:
            what = "an assignment such as `a += b` or out=" if "out" in kwargs else method
            _refuse(f"{name!r} with {what}")
        if len(inputs) == 1 and name in _RULES:
            return inputs[0].apply(name)
        if name in _BINARY:
            return _BINARY[name](*inputs)
        if name not in _PLAIN:
            _refuse(f"the function {name!r}")
        return ufunc(*(_value(x) for x in inputs))

    def __array_function__(self, func: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        """`numpy.where` and a few others that are not ufuncs."""
        if func not in _FUNCTIONS:
            _refuse(f"the function {func.__name__!r}")
        return _FUNCTIONS[func](*args, **kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to become an array of numbers, which would lose the derivatives."""
        _refuse("turning it into an array of numbers")

    def __float__(self) -> float:
        """Refuse to become a number."""
        _refuse("turning it into a number, or putting it into an array,")

    def __bool__(self) -> bool:
        """Refuse to be true or false."""
        _refuse("`if`, `and` or `or` with arrays (numpy.where does that)")

    def __neg__(self) -> Jet:
        return by_parts(np.negative, self)


def _refuse(what: str) -> NoReturn:
    raise TypeError(
        f"{what} has no derivative rule in bayesmix; use arithmetic, numpy.where, numpy.clip, "
        f"{', '.join(sorted({*_RULES, *_BINARY} - {'negative', 'positive'}))} "
        "(of numpy, scipy.special or bayesmix.arrays), or functions built from them"
    )


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Jet) else x


def fit(x: Any, shape: tuple[int, ...], p: int) -> Jet:
    """A number, array or Jet as a Jet of p variables whose value has this shape."""
    if not isinstance(x, Jet):
        value = np.broadcast_to(np.asarray(x, dtype=float), shape)
        return Jet(value, np.zeros((p, *shape)), np.zeros((p, p, *shape)))
    if x.shape == shape:
        return x
    pad = (1,) * (len(shape) - x.ndim)

    def wide(part: np.ndarray) -> np.ndarray:
        lead = part.shape[: part.ndim - x.ndim]
        return np.broadcast_to(part.reshape(*lead, *pad, *x.shape), (*lead, *shape))

    return by_parts(wide, x)


def by_parts(function: Callable[..., np.ndarray], *given: Any) -> Any:
    """A function of arrays; of Jets, that of their values, and of first and second derivatives.

    Derivatives have the axes of their variables before those of the value.
    """
    if not isinstance(given[0], Jet):
        return function(*given)
    parts = ((a.value, a.first, a.second) for a in given)
    return Jet(*map(function, *parts))


def known(
    value: np.ndarray, first: Sequence[np.ndarray], lower: Sequence[Sequence[np.ndarray]]
) -> Jet:
    """A Jet from its derivatives, the second ones row by row to the diagonal."""
    return Jet(value, np.array(first), np.array(mirrored(lower)))


def mirrored(lower: Sequence[Sequence[np.ndarray]]) -> tuple[tuple[np.ndarray, ...], ...]:
    """Second derivatives from those to the diagonal, row by row."""
    size = range(len(lower))
    return tuple(tuple(lower[max(i, j)][min(i, j)] for j in size) for i in size)


def _pair(a: Any, b: Any) -> tuple[Jet, Any]:
    """A Jet first, then the other; a Jet has the shape of the result."""
    if not isinstance(a, Jet):
        a, b = b, a
    if not isinstance(b, Jet):
        b = np.asarray(b, dtype=float)
    if a.shape != b.shape:
        shape, p = np.broadcast_shapes(a.shape, b.shape), len(a.first)
        a = fit(a, shape, p)
        b = fit(b, shape, p) if isinstance(b, Jet) else b
    return a, b


def _add(a: Any, b: Any) -> Jet:
    a, b = _pair(a, b)
    if isinstance(b, Jet):
        return Jet(a.value + b.value, a.first + b.first, a.second + b.second)
    return Jet(a.value + b, a.first, a.second)


def _subtract(a: Any, b: Any) -> Jet:
    return _add(a, -b if isinstance(b, Jet) else -np.asarray(b, dtype=float))


def _multiply(a: Any, b: Any) -> Jet:
    a, b = _pair(a, b)
    if not isinstance(b, Jet):
        return Jet(a.value * b, a.first * b, a.second * b)
    cross = a.first[:, None] * b.first[None]
    return Jet(
        a.value * b.value,
        a.first * b.value + a.value * b.first,
        a.second * b.value + a.value * b.second + cross + np.swapaxes(cross, 0, 1),
    )


def _divide(a: Any, b: Any) -> Jet:
    if isinstance(b, Jet):
        return _multiply(b.apply("reciprocal"), a)
    a, b = _pair(a, b)
    return Jet(a.value / b, a.first / b, a.second / b)


def _power(a: Any, b: Any) -> Jet:
    if isinstance(b, Jet):
        return _multiply(b, _call("log", a)).apply("exp")
    a, b = _pair(a, b)
    x = a.value
    # x^0 and x^1 have derivatives of zero also at x = 0, where the rule gives 0 times infinity.
    with np.errstate(all="ignore"):
        d1 = np.where(b == 0, 0.0, b * x ** (b - 1))
        d2 = np.where((b == 0) | (b == 1), 0.0, b * (b - 1) * x ** (b - 2))
    return a._chain(x**b, d1, d2)


def _call(name: str, x: Any) -> Any:
    return x.apply(name) if isinstance(x, Jet) else _RULES[name][0](np.asarray(x, dtype=float))


def _logaddexp(a: Any, b: Any) -> Jet:
    with np.errstate(invalid="ignore"):
        total = _add(_subtract(a, b).apply("softplus"), b)
    # (a - b) + b is not a where b is huge.
    total = Jet(np.logaddexp(_value(a), _value(b)), total.first, total.second)
    return where(_value(b) == -np.inf, a, total)


def _xlogy(a: Any, b: Any, log: str = "log") -> Jet:
    with np.errstate(all="ignore"):
        logarithm = _call(log, b)
        product = _multiply(a, logarithm)
    return where((_value(a) == 0) & ~(_value(logarithm) > -np.inf), 0.0, product)


def _betaln(a: Any, b: Any) -> Jet:
    total = _call("gammaln", _add(a, b))
    jet = _subtract(_add(_call("gammaln", a), -total), -_call("gammaln", b))
    return Jet(special.betaln(_value(a), _value(b)), jet.first, jet.second)


def where(condition: Any, a: Any, b: Any) -> Jet:
    """Choose elementwise; the derivatives follow the chosen branch."""
    p = len((a if isinstance(a, Jet) else b).first)
    shape = np.broadcast_shapes(np.shape(condition), np.shape(_value(a)), np.shape(_value(b)))
    a, b = fit(a, shape, p), fit(b, shape, p)
    return by_parts(lambda x, y: np.where(condition, x, y), a, b)


def _clip(x: Any, lower: Any = None, upper: Any = None) -> Any:
    x = x if lower is None else np.maximum(x, lower)
    return x if upper is None else np.minimum(x, upper)


_BINARY: dict[str, Callable[..., Jet]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "float_power": _power,
    "logaddexp": _logaddexp,
    "maximum": lambda a, b: where(_value(a) >= _value(b), a, b),
    "minimum": lambda a, b: where(_value(a) <= _value(b), a, b),
    "xlogy": _xlogy,
    "xlog1py": lambda a, b: _xlogy(a, b, "log1p"),
    "betaln": _betaln,
}
# Functions that are constant almost everywhere: their values are plain arrays.
_PLAIN = {
    "greater", "less", "greater_equal", "less_equal", "equal", "not_equal",
    "isfinite", "isnan", "isinf", "sign", "signbit", "floor", "ceil", "rint",
}  # fmt: skip
_FUNCTIONS: dict[Any, Callable] = {
    np.where: where,
    np.clip: _clip,
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.zeros_like: lambda x: np.zeros(x.shape),
    np.ones_like: lambda x: np.ones(x.shape),
    np.full_like: lambda x, fill: np.full(x.shape, fill, dtype=float),
}


def jets(*values: np.ndarray) -> tuple[Jet, ...]:
    """Independent variables for differentiation.

    Parameters
    ----------
    *values : ndarray
        p arrays; what all rows share is smallest, and quickest, with one row.

    Returns
    -------
    tuple of Jet
        Variable j has first derivative one with respect to itself.
    """
    p, out = len(values), []
    for j, value in enumerate(np.asarray(v, dtype=float) for v in values):
        first = np.zeros((p, *value.shape))
        first[j] = 1.0
        out.append(Jet(value, first, np.zeros((p, p, *value.shape))))
    return tuple(out)


def compose(outer: Jet, arguments: tuple[Any, ...]) -> Jet:
    """A function of several arguments that are themselves functions of other variables.

    Parameters
    ----------
    outer : Jet
        The function with its derivatives with respect to its q arguments.
    arguments : tuple of Jet, ndarray or float
        The arguments; at least one is a `Jet`, and the others are constant.

    Returns
    -------
    Jet
        The same values with derivatives in the variables of the arguments.
    """
    p = next(len(a.first) for a in arguments if isinstance(a, Jet))
    first = np.zeros((p, *outer.shape))
    second = np.zeros((p, p, *outer.shape))
    inner = {j: fit(a, outer.shape, p) for j, a in enumerate(arguments) if isinstance(a, Jet)}
    for j, a in inner.items():
        first += outer.first[j] * a.first
        bent = sum(outer.second[j, k] * b.first for k, b in inner.items())
        second += outer.first[j] * a.second + a.first[:, None] * bent[None]
    return Jet(outer.value, first, second)
