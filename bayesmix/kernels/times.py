"""What times known in one way say about a component: terms of families of times.

A family gives a number x of the time whose distribution is known, with derivatives in its two
linear predictors; a *jet* is a value with them: (value, a, b, aa, ab, bb).  Functions of a number
give a value with two derivatives; where the value is -inf these are some finite numbers.
"""

from __future__ import annotations

import functools
import math
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bayesmix.arrays.special import EXPREL, MILLS, MILLS_BEND
from bayesmix.families.by_term import HUGE
from bayesmix.families.links import HALF_LOG_2PI
from bayesmix.families.survival import late
from bayesmix.families.survival.base import LARGEST, LATE
from bayesmix.kernels import math as scalars
from bayesmix.kernels.compile import callback, polynomial, scalar
from bayesmix.kernels.math import log1mexp, log1p, log_ndtr
from bayesmix.kernels.names import times_name
from bayesmix.kernels.terms import TERM_SIGNATURE, over_rows

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

    from bayesmix.families.kernel import TimesKernel

exp, log = scalars.exp, scalars.log
Jet = tuple[float, float, float, float, float, float]
NOTHING: Jet = (0.0,) * 6

# The series of log((exp(u) - 1) / u) in u^2, of its slope and its bend.
_even = polynomial(*EXPREL[9::-1])
_even_slope = polynomial(*(2.0 * k * EXPREL[k - 1] for k in range(10, 0, -1)))
_even_bend = polynomial(*(2.0 * k * (2.0 * k - 1.0) * EXPREL[k - 1] for k in range(10, 0, -1)))

_mills = polynomial(*MILLS[::-1])
_mills_bend = polynomial(*MILLS_BEND[::-1])


@scalar
def clip(x: float) -> float:
    """Keep x finite: beyond it products would be infinite, and times zero no number."""
    x = HUGE if x > HUGE else x
    return -HUGE if x < -HUGE else x


@scalar
def log_exprel(u: float) -> tuple[float, float, float]:
    """log((exp(u) - 1) / u); within one of zero by the series of `special.log_exprel_parts`."""
    square = u * u
    size = abs(u)
    near = size < 1.0
    far = 1.0 if near else size
    small = exp(-far)
    rest = 1.0 - small
    level = (u if u > 0.0 else 0.0) + log(rest / far)
    slope = (1.0 if u > 0.0 else -small) / rest - (1.0 if u > 0.0 else -1.0) / far
    bend = 1.0 / (far * far) - small / (rest * rest)
    return (
        0.5 * u + square * _even(square) if near else level,
        0.5 + u * _even_slope(square) if near else slope,
        _even_bend(square) if near else bend,
    )


# --- the distributions of x ----------------------------------------------------------------


@scalar
def _hazard(x: float) -> float:
    return exp(LARGEST if x > LARGEST else x)


@scalar
def _extreme_density(x: float) -> tuple[float, float, float]:
    hazard = _hazard(x)
    return (-math.inf if x > LARGEST else x - hazard), 1.0 - hazard, -hazard


@scalar
def _extreme_survival(x: float) -> tuple[float, float, float]:
    hazard = _hazard(x)
    return (-math.inf if x > LARGEST else -hazard), -hazard, -hazard


@scalar
def extreme_distribution(x: float) -> tuple[float, float, float]:
    """log(1 - exp(-exp(x)))."""
    hazard = _hazard(x)
    value, odds = log1mexp(hazard)
    slope = hazard * odds
    small = x < -30.0
    return (
        x - 0.5 * hazard if small else value,
        1.0 - 0.5 * hazard if small else slope,
        -0.5 * hazard if small else slope * (1.0 - hazard - slope),
    )


@scalar
def _logistic_density(x: float) -> tuple[float, float, float]:
    size = abs(x)
    small = exp(-size)
    inverse = 1.0 / (1.0 + small)
    share = (1.0 - small) * inverse
    return -size - 2.0 * log1p(small), (-share if x > 0.0 else share), -2.0 * small * inverse**2


@scalar
def _logistic_survival(x: float) -> tuple[float, float, float]:
    small = exp(-abs(x))
    inverse = 1.0 / (1.0 + small)
    return (
        -(x if x > 0.0 else 0.0) - log1p(small),
        -(1.0 if x > 0.0 else small) * inverse,
        -small * inverse * inverse,
    )


@scalar
def _normal_density(x: float) -> tuple[float, float, float]:
    return -0.5 * x * x - HALF_LOG_2PI, -x, -1.0


@scalar
def _normal_distribution(x: float) -> tuple[float, float, float]:
    value, mills = log_ndtr(x)
    return value, mills, -mills * (x + mills)


@scalar
def _normal_hazard(x: float) -> tuple[float, float, float]:
    """The log hazard; far above by the series of `special.mills_excess`."""
    value, mills = log_ndtr(-x)
    far = x > 50.0
    inverse = 1.0 / (x if far else 1.0)
    square = inverse * inverse
    slope = inverse * _mills(square) if far else mills - x
    bend = -square * _mills_bend(square) if far else mills * slope - 1.0
    return (log(mills) if x > -5.0 else -0.5 * x * x - HALF_LOG_2PI - value), slope, bend


def _reflected(function: Any) -> Any:
    """A function of -x, with its derivatives in x."""

    def reflected(x: float) -> tuple[float, float, float]:
        value, slope, bend = function(-x)
        return value, -slope, bend

    return scalar(reflected)


_logistic_distribution = _reflected(_logistic_survival)
_normal_survival = _reflected(_normal_distribution)
ALONG = {
    "extreme": (_extreme_density, _extreme_survival, extreme_distribution),
    "logistic": (_logistic_density, _logistic_survival, _logistic_distribution),
    "normal": (_normal_density, _normal_survival, _normal_distribution),
}


# --- jets -----------------------------------------------------------------------------------

_along, _plus, _minus = scalar(late.along), scalar(late.plus), scalar(late.minus)


@scalar
def _value(value: float, x: Jet) -> Jet:
    """Another value with the derivatives of a jet."""
    return value, x[1], x[2], x[3], x[4], x[5]


@scalar
def _between(lower: Jet, upper: Jet) -> Jet:
    """log(S(l) - S(u)) from log S(l) and log S(u)."""
    there = lower[0] > -math.inf
    gap = lower[0] - upper[0] if there else 1.0
    # The ratio of the two is zero from e^-800 on, whatever its slope.
    gap = 0.0 if gap < 0.0 else (800.0 if gap > 800.0 else gap)
    value, odds = log1mexp(gap)
    # Nobody may be left at the upper bound, whose derivatives are then any number.
    change = NOTHING if gap >= 800.0 else _minus(lower, upper)
    return _plus(lower, _along(value, odds, -odds * (1.0 + odds), change))


@scalar
def _growth(first: Jet, second: Jet) -> Jet:
    """log(e^first + e^second)."""
    above = first[0] > second[0]
    high, low = (first, second) if above else (second, first)
    gap = high[0] - low[0] if high[0] > -math.inf else 0.0
    small = exp(-gap)
    share = 1.0 / (1.0 + small)
    change = _along(log1p(small), small * share, small * share * share, _minus(low, high))
    return _plus(high, change)


# --- beyond a delayed entry -----------------------------------------------------------------

_OPS = SimpleNamespace(
    along=_along,
    either=scalar(late.chosen(scalars)),
    exp=exp,
    extreme_survival=_extreme_survival,
    log_exprel=log_exprel,
    logistic_distribution=_logistic_distribution,
    logistic_survival=_logistic_survival,
    minus=_minus,
    normal_hazard=_normal_hazard,
    normal_survival=_normal_survival,
    plus=_plus,
    product=scalar(late.product),
)
_OPS.log_growth = scalar(late.growth(_OPS))


# --- terms ----------------------------------------------------------------------------------


def _makers(line: Any, along: str) -> tuple[Any, Any, Any]:
    """Log density, log survival and log distribution function at a time, as jets."""
    density, survival, distribution = ALONG[along]

    def density_at(t: float, log_t: float, a: float, b: float) -> Jet:
        parts = line(t, log_t, a, b)
        return _plus(_along(*density(parts[0]), parts[:6]), parts[6:])

    def tail(function: Any) -> Any:
        def tail_at(t: float, log_t: float, a: float, b: float) -> Jet:
            parts = line(t, log_t, a, b)
            return _along(*function(parts[0]), parts[:6])

        return scalar(tail_at)

    return scalar(density_at), tail(survival), tail(distribution)


def _interval(survival: Any) -> Any:
    def interval(l: float, log_l: float, u: float, log_u: float, a: float, b: float) -> Jet:  # noqa: E741
        return _between(survival(l, log_l, a, b), survival(u, log_u, a, b))

    return scalar(interval)


def _narrow(survival: Any, density: Any) -> Any:
    def hazard(t: float, log_t: float, a: float, b: float) -> Jet:
        value, alive = density(t, log_t, a, b), survival(t, log_t, a, b)
        difference = _minus(value, alive)
        return _value(difference[0] if alive[0] > -math.inf else -math.inf, difference)

    hazard = scalar(hazard)

    def narrow(
        t: float, log_t: float, t1: float, log_t1: float, t2: float, log_t2: float,
        log_width: float, a: float, b: float,
    ) -> Jet:  # fmt: skip
        lower = survival(t, log_t, a, b)
        first, second = hazard(t1, log_t1, a, b), hazard(t2, log_t2, a, b)
        growth = _growth(first, second)
        there = first[0] > -math.inf and second[0] > -math.inf and lower[0] > -math.inf
        whole = _plus(lower, _along(*extreme_distribution(growth[0] + log_width), growth))
        return _value(whole[0] if there else -math.inf, whole)

    return scalar(narrow)


def _late(line: Any, since: Any) -> tuple[Any, Any]:
    """Terms of times known exactly and right-censored, with their entries."""

    def parts(
        e: float, log_e: float, t: float, log_t: float, growth: float, a: float, b: float
    ) -> tuple[Jet, Jet]:
        x = line(t, log_t, a, b)
        rest = x[6:]
        log_gap = _value(rest[0] + log_t + log(growth), rest)
        hazard, stayed = since(line(e, log_e, a, b)[:6], x[:6], log_gap)
        return _plus(_plus(hazard, rest), stayed), stayed

    parts = scalar(parts)

    def exact(
        e: float, log_e: float, t: float, log_t: float, growth: float, a: float, b: float
    ) -> Jet:
        return parts(e, log_e, t, log_t, growth, a, b)[0]

    def right(
        e: float, log_e: float, t: float, log_t: float, growth: float, a: float, b: float
    ) -> Jet:
        return parts(e, log_e, t, log_t, growth, a, b)[1]

    return scalar(exact), scalar(right)


@scalar
def _positive(information: float, score: float) -> float:
    return information if information > 0.0 else score * score


def _outputs(jet: Any, parameters: int) -> Any:
    """The outputs of a term, from its jet: see `terms`."""

    def of_one(*given: float) -> tuple[float, ...]:
        value, a, _, aa, _, _ = jet(*given, 0.0)
        return value, a, _positive(-aa, a), -aa

    def term(*given: float) -> tuple[float, ...]:
        value, a, b, aa, ab, bb = jet(*given)
        return value, a, b, _positive(-aa, a), _positive(-bb, b), -aa, -ab, -bb

    return scalar(of_one if parameters == 1 else term)


# Numbers of a time and its logarithm that each kind of observation has.
NUMBERS = {"exact": 2, "right": 2, "left": 2, "interval": 4, "narrow": 7}
NUMBERS |= dict.fromkeys(LATE, 5)


@functools.cache
def times_callback(family: TimesKernel, kind: str) -> CFunc:
    """Compile or load the term of a family for one kind of observation.

    Parameters
    ----------
    family : TimesKernel
    kind : str
        One of `families.survival.base.COMPILED`, or of `LATE` where x is linear in log t.
    """
    line = scalar(family.make_line(sys.modules[__name__]))
    density, survival, distribution = _makers(line, family.along)
    jets = {
        "exact": density,
        "right": survival,
        "left": distribution,
        "interval": _interval(survival),
        "narrow": _narrow(survival, density),
    }
    jets |= zip(LATE, _late(line, scalar(late.SINCE[family.along](_OPS))), strict=True)
    p = family.parameters
    loop = over_rows(_outputs(jets[kind], p), NUMBERS[kind], p, statistic=False)
    return callback(loop, TERM_SIGNATURE, times_name(family, kind))
