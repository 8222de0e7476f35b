"""What times known in one way say about a component, as a callback over many of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from bayesmix.arrays import special
from bayesmix.families.survival import base as censoring
from bayesmix.families.survival import derivatives
from bayesmix.kernels import times_math as _times_math
from bayesmix.kernels._family_block import cache_name
from bayesmix.kernels.compile import callback, matrix, scalar
from bayesmix.kernels.times_math import ALONG, extreme_distribution, log1mexp, log1p

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

    from bayesmix.families.kernel import TimesKernel

# (n, numbers, etas, out): of n times the rows of numbers that `_times_data.NUMBERS` names, and two
# linear predictors (2, n); out (3, n) gets the value and its derivatives in these.
TERM_SIGNATURE = types.void(*[types.int64] * 4)


@intrinsic
def call_term(_typing: Any, _address: Any, _n: Any, _numbers: Any, _etas: Any, _out: Any) -> Any:
    """Call a callback at an address."""

    def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        pointer = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 4).as_pointer()
        builder.call(builder.inttoptr(args[0], pointer), args[1:])
        return context.get_dummy_value()

    return types.void(types.int64, *TERM_SIGNATURE.args), codegen


@functools.cache
def term_callback(family: TimesKernel, kind: str) -> CFunc:
    """Compile or load the term of a family for one kind of observation.

    Parameters
    ----------
    family : TimesKernel
    kind : str
        A key of `families.censoring.TERMS`.
    """
    line = scalar(family.make_line(_times_math))
    density, survival, distribution = ALONG[family.along]
    makers: dict[str, Callable[[], Callable[..., None]]] = {
        "exact": lambda: _at_points(_density_term(line, density)),
        "right": lambda: _at_points(_point_term(line, survival)),
        "left": lambda: _at_points(_point_term(line, distribution)),
        "interval": lambda: _interval(_point_term(line, survival)),
        "narrow": lambda: _narrow(_point_term(line, survival), _density_term(line, density)),
    }
    name = cache_name(
        f"times-{family.name}-{kind}", family.make_line, derivatives, censoring, special
    )
    return callback(makers[kind](), TERM_SIGNATURE, name)


def _density_term(line: Any, density: Any) -> Any:
    def term(t: float, log_t: float, a: float, b: float) -> tuple[float, float, float]:
        x, x_a, x_b, change, change_a, change_b = line(t, log_t, a, b)
        value, slope = density(x)
        return value + change, slope * x_a + change_a, slope * x_b + change_b

    return scalar(term)


def _point_term(line: Any, distribution: Any) -> Any:
    def term(t: float, log_t: float, a: float, b: float) -> tuple[float, float, float]:
        x, x_a, x_b, _, _, _ = line(t, log_t, a, b)
        value, slope = distribution(x)
        return value, slope * x_a, slope * x_b

    return scalar(term)


# One array for all outputs, as in `_family_block`.


def _at_points(term: Any) -> Callable[..., None]:
    def points(n: int, numbers: int, etas: int, out: int) -> None:
        at, eta, terms = matrix(numbers, 2, n), matrix(etas, 2, n), matrix(out, 3, n)
        for i in range(n):
            value, d_a, d_b = term(at[0, i], at[1, i], eta[0, i], eta[1, i])
            terms[0, i] = value
            terms[1, i] = d_a
            terms[2, i] = d_b

    return points


@scalar
def _between(lower: float, upper: float) -> tuple[float, float]:
    """log(S(l) - S(u)) from log S(l) and log S(u), with its derivative in their difference."""
    there = lower > -math.inf
    gap = lower - upper if there else 1.0
    # The ratio of the two is zero from e^-800 on, whatever its slope.
    gap = 0.0 if gap < 0.0 else (800.0 if gap > 800.0 else gap)
    value, slope = log1mexp(gap)
    return (lower + value if there else -math.inf), (0.0 if gap >= 800.0 else slope)


def _interval(survival: Any) -> Callable[..., None]:
    def interval(n: int, numbers: int, etas: int, out: int) -> None:
        at, eta, terms = matrix(numbers, 4, n), matrix(etas, 2, n), matrix(out, 3, n)
        for i in range(n):
            lower, lower_a, lower_b = survival(at[0, i], at[1, i], eta[0, i], eta[1, i])
            upper, upper_a, upper_b = survival(at[2, i], at[3, i], eta[0, i], eta[1, i])
            value, slope = _between(lower, upper)
            terms[0, i] = value
            # Nobody may be left at the upper bound, whose derivatives are then any number.
            far = slope == 0.0
            terms[1, i] = lower_a + (0.0 if far else slope * (lower_a - upper_a))
            terms[2, i] = lower_b + (0.0 if far else slope * (lower_b - upper_b))

    return interval


@scalar
def _growth(first: float, second: float) -> tuple[float, float]:
    """log(e^first + e^second) with the share of the first."""
    top = first if first > second else second
    gap = abs(first - second) if top > -math.inf else 0.0
    small = math.exp(-gap)
    major = 1.0 / (1.0 + small)
    return top + log1p(small), (major if first > second else 1.0 - major)


def _narrow(survival: Any, density: Any) -> Callable[..., None]:
    def hazard(t: float, log_t: float, a: float, b: float) -> tuple[float, float, float]:
        value, d_a, d_b = density(t, log_t, a, b)
        alive, alive_a, alive_b = survival(t, log_t, a, b)
        there = alive > -math.inf
        return (value - alive if there else -math.inf), d_a - alive_a, d_b - alive_b

    hazard = scalar(hazard)

    def narrow(n: int, numbers: int, etas: int, out: int) -> None:
        at, eta, terms = matrix(numbers, 7, n), matrix(etas, 2, n), matrix(out, 3, n)
        for i in range(n):
            a, b = eta[0, i], eta[1, i]
            lower, lower_a, lower_b = survival(at[0, i], at[1, i], a, b)
            first, first_a, first_b = hazard(at[2, i], at[3, i], a, b)
            second, second_a, second_b = hazard(at[4, i], at[5, i], a, b)
            growth, share = _growth(first, second)
            value, slope = extreme_distribution(growth + at[6, i])
            there = first > -math.inf and second > -math.inf and lower > -math.inf
            terms[0, i] = lower + value if there else -math.inf
            rest = 1.0 - share
            terms[1, i] = lower_a + slope * (share * first_a + rest * second_a)
            terms[2, i] = lower_b + slope * (share * first_b + rest * second_b)

    return narrow
