"""Elementary functions of arrays, whatever the arrays are.

A density is written once with these functions.  They act on NumPy arrays, on
`Jet` (values carrying exact first and second derivatives) and on PyTensor
variables, so that EM, standard errors and the PyMC model share one formula.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from scipy import special as _scipy

from bayesmix.arrays import autodiff as _jets
from bayesmix.arrays.autodiff import Jet, jets
from bayesmix.arrays.symbolic import Symbol, plain, symbolic

__all__ = [
    "Jet",
    "Symbol",
    "abs",
    "betaln",
    "clip",
    "digamma",
    "exp",
    "expit",
    "expm1",
    "gammaln",
    "jets",
    "lgamma1p",
    "log",
    "log1mexp",
    "log1p",
    "log1pmx",
    "log_exprel",
    "log_mills",
    "log_ndtr",
    "logaddexp",
    "ndtr",
    "plain",
    "softplus",
    "sqrt",
    "square",
    "stirling",
    "stirling_inverse",
    "symbolic",
    "times",
    "value_of",
    "where",
]

Array = Any


def _is_bare(x: object) -> bool:
    """Whether `x` is a PyTensor variable, asked without importing PyTensor."""
    pytensor = sys.modules.get("pytensor")
    return pytensor is not None and isinstance(x, pytensor.graph.basic.Variable)


def _of_variables(function: Callable[..., Array]) -> Callable[..., Array]:
    """Let a function of Symbols take bare PyTensor variables too, and give one back."""

    @wraps(function)
    def call(*given: Array, **options: Array) -> Array:
        if not any(_is_bare(x) for x in given):
            return function(*given, **options)
        return plain(function(*(Symbol(x) if _is_bare(x) else x for x in given), **options))

    return call


def _elementwise(name: str) -> Callable[[Array], Array]:
    function = _jets._RULES[name][0]

    def call(x: Array) -> Array:
        return x.apply(name) if isinstance(x, Jet | Symbol) else function(x)

    call.__name__ = name
    call.__doc__ = f"Elementwise `{name}` of a NumPy array, a `Jet` or a PyTensor variable."
    return _of_variables(call)


exp = _elementwise("exp")
expm1 = _elementwise("expm1")
log = _elementwise("log")
log1p = _elementwise("log1p")
log1pmx = _elementwise("log1pmx")
sqrt = _elementwise("sqrt")
gammaln = _elementwise("gammaln")
digamma = _elementwise("psi")
stirling = _elementwise("stirling")
stirling_inverse = _elementwise("stirling_inverse")
lgamma1p = _elementwise("lgamma1p")
log1mexp = _elementwise("log1mexp")
softplus = _elementwise("softplus")
expit = _elementwise("expit")
ndtr = _elementwise("ndtr")
log_exprel = _elementwise("log_exprel")
log_mills = _elementwise("log_mills")
log_ndtr = _elementwise("log_ndtr")
abs = _elementwise("absolute")  # noqa: A001


def value_of(x: Array) -> Array:
    """The value of a `Jet` or a `Symbol` without its derivatives; anything else as it is."""
    return x.held() if isinstance(x, Symbol) else x.value if isinstance(x, Jet) else x


def square(x: Array) -> Array:
    """Elementwise x * x."""
    return x * x


@_of_variables
def betaln(a: Array, b: Array) -> Array:
    """Logarithm of the beta function, B(a, b) = G(a) G(b) / G(a + b)."""
    return _scipy.betaln(a, b)


@_of_variables
def logaddexp(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)) without overflow."""
    return np.logaddexp(a, b)


@_of_variables
def where(condition: Array, a: Array, b: Array) -> Array:
    """Choose elementwise; the derivatives follow the chosen branch."""
    return np.where(condition, a, b)


@_of_variables
def clip(x: Array, lower: float = -np.inf, upper: float = np.inf) -> Array:
    """Elementwise the nearest number in [lower, upper]."""
    return np.clip(x, lower, upper)


def times(count: Array, x: Array) -> Array:
    """Multiply, where zero times minus infinity is zero."""
    with np.errstate(invalid="ignore"):
        return where(count == 0, 0.0, count * x)
