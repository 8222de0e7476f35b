"""What the kernels of times need beyond exp and log, written so that LLVM vectorises it.

Functions of a number give a value with its derivative.  Those in `ALONG` are the log density, the
log survival function and the log distribution function at x; where they are -inf the derivative
is some finite number.
"""

from __future__ import annotations

import math

from bayesmix.arrays.special import EXPREL
from bayesmix.families.survival.base import LARGEST
from bayesmix.families.survival.derivatives import HALF_LOG_2PI, HUGE
from bayesmix.kernels import math as _math
from bayesmix.kernels.compile import scalar

__all__ = ["ALONG", "clip", "exp", "log", "log1mexp", "log1p", "log_exprel"]

exp, log, log1p = _math.exp, _math.log, _math.log1p

# Even coefficients of the series of log((exp(u) - 1) / u), and of its slope's.
A = EXPREL
B = tuple(2.0 * k * a for k, a in enumerate(A, start=1))
ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_BY_PI = math.sqrt(2.0 / math.pi)
# Below it 1 - exp(-h) is h (1 - h / 2) to rounding.
TINY = 1e-9


@scalar
def clip(x: float) -> float:
    """Keep x finite: beyond it products would be infinite, and times zero no number."""
    x = HUGE if x > HUGE else x
    return -HUGE if x < -HUGE else x


@scalar
def log1mexp(h: float) -> tuple[float, float]:
    """log(1 - exp(-h)) for h >= 0, -inf at zero."""
    q = exp(-h)
    # Kahan's expm1: the logarithm has the same rounding errors as the difference.
    down = -log(q)
    rest = h * (1.0 - 0.5 * h) if h < TINY else (1.0 if q == 0.0 else (1.0 - q) * (h / down))
    odds = q / rest
    return -log1p(odds), (0.0 if rest == 0.0 else odds)


@scalar
def log_exprel(u: float) -> tuple[float, float]:
    """log((exp(u) - 1) / u); within one of zero by the series of `special.log_exprel_parts`."""
    square = u * u
    a, b = A[9], B[9]
    a, b = a * square + A[8], b * square + B[8]
    a, b = a * square + A[7], b * square + B[7]
    a, b = a * square + A[6], b * square + B[6]
    a, b = a * square + A[5], b * square + B[5]
    a, b = a * square + A[4], b * square + B[4]
    a, b = a * square + A[3], b * square + B[3]
    a, b = a * square + A[2], b * square + B[2]
    a, b = a * square + A[1], b * square + B[1]
    a, b = a * square + A[0], b * square + B[0]
    size = abs(u)
    near = size < 1.0
    far = 1.0 if near else size
    small = exp(-far)
    rest = 1.0 - small
    level = (u if u > 0.0 else 0.0) + log(rest / far)
    slope = (1.0 if u > 0.0 else -small) / rest - (1.0 if u > 0.0 else -1.0) / far
    return (
        0.5 * u + square * a if near else level,
        0.5 + u * b if near else slope,
    )


@scalar
def erfcx(x: float) -> float:
    """exp(x^2) erfc(x) for x >= 0: 4 / (4 + x) times a polynomial in (4 - x) / (4 + x).

    The polynomial is the Chebyshev interpolant of degree 22; its largest relative error is 5e-16.
    """
    inverse = 1.0 / (4.0 + x)
    s = 8.0 * inverse - 1.0
    q = 3.130423070529455e-10
    q = q * s - 6.617942512486173e-11
    q = q * s - 3.880515697903128e-09
    q = q * s - 2.0691219034054744e-10
    q = q * s + 3.077901855639743e-08
    q = q * s + 1.8994402187265254e-08
    q = q * s - 2.1111037846283067e-07
    q = q * s - 3.562393200959625e-07
    q = q * s + 1.1732609498291667e-06
    q = q * s + 4.715370444493941e-06
    q = q * s - 9.086395093590862e-07
    q = q * s - 4.420327118929924e-05
    q = q * s - 0.00011376321237622333
    q = q * s + 7.023973429864022e-05
    q = q * s + 0.0015280139205288011
    q = q * s + 0.006592513332237486
    q = q * s + 0.019095378726752158
    q = q * s + 0.04350273431022892
    q = q * s + 0.08271289696952584
    q = q * s + 0.13521345782829913
    q = q * s + 0.19330217556630902
    q = q * s + 0.2441371822702206
    q = q * s + 0.27399891525012277
    return 4.0 * inverse * q


@scalar
def log_ndtr(x: float) -> tuple[float, float]:
    """Log of the normal distribution function; its derivative is the inverse Mills ratio."""
    tail = erfcx(abs(x) * ROOT_HALF)
    square = 0.5 * x * x
    gauss = exp(-square)
    beyond = 0.5 * tail * gauss
    below = x < 0.0
    # The odds of the other side; far below, of what is left without exp(-x^2 / 2).
    inverse = 1.0 / (tail if below else 1.0 - beyond)
    odds = 2.0 * inverse - 1.0 if below else beyond * inverse
    value = -log1p(odds) - (square if below else 0.0)
    return value, ROOT_TWO_BY_PI * inverse * (1.0 if below else 0.5 * gauss)


# --- the distributions of x ----------------------------------------------------------------


@scalar
def _hazard(x: float) -> float:
    return exp(LARGEST if x > LARGEST else x)


@scalar
def _extreme_density(x: float) -> tuple[float, float]:
    hazard = _hazard(x)
    return (-math.inf if x > LARGEST else x - hazard), 1.0 - hazard


@scalar
def _extreme_survival(x: float) -> tuple[float, float]:
    hazard = _hazard(x)
    return (-math.inf if x > LARGEST else -hazard), -hazard


@scalar
def extreme_distribution(x: float) -> tuple[float, float]:
    """log(1 - exp(-exp(x)))."""
    hazard = _hazard(x)
    value, slope = log1mexp(hazard)
    small = x < -30.0
    return (
        x - 0.5 * hazard if small else value,
        1.0 - 0.5 * hazard if small else hazard * slope,
    )


@scalar
def _logistic_density(x: float) -> tuple[float, float]:
    size = abs(x)
    small = exp(-size)
    share = (1.0 - small) / (1.0 + small)
    return -size - 2.0 * log1p(small), (-share if x > 0.0 else share)


@scalar
def _logistic_survival(x: float) -> tuple[float, float]:
    small = exp(-abs(x))
    return (
        -(x if x > 0.0 else 0.0) - log1p(small),
        -(1.0 if x > 0.0 else small) / (1.0 + small),
    )


@scalar
def _logistic_distribution(x: float) -> tuple[float, float]:
    value, slope = _logistic_survival(-x)
    return value, -slope


@scalar
def _normal_density(x: float) -> tuple[float, float]:
    return -0.5 * x * x - HALF_LOG_2PI, -x


@scalar
def _normal_survival(x: float) -> tuple[float, float]:
    value, slope = log_ndtr(-x)
    return value, -slope


ALONG = {
    "extreme": (_extreme_density, _extreme_survival, extreme_distribution),
    "logistic": (_logistic_density, _logistic_survival, _logistic_distribution),
    "normal": (_normal_density, _normal_survival, log_ndtr),
}
