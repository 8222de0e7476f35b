"""exp, log and other functions of a number, written so that LLVM vectorises loops with them.

Families build their terms from these: see `families.kernel`.

``math.exp`` inside a numba loop is a call per element, six times slower than ``np.exp``.  These are
branch-free (every special case is a select), need no table, and are inlined by LLVM, not by numba's
``inline="always"``, which would apply the caller's fastmath flags to them.  Only contraction into
fused multiply-adds is allowed here: reassociation would cancel the rounding trick in `exp` and the
compensation in `log1p`.

The largest errors found are 1.0, 0.8 and 0.8 units in the last place; `exp` is 0 below 2.3e-308.
"""

from __future__ import annotations

import math

import numpy as np

from bayesmix.arrays.special import SERIES_FROM, STIRLING, make_rising
from bayesmix.kernels.compile import elementwise as elementwise
from bayesmix.kernels.compile import from_bits, polynomial, scalar, to_bits

LN2_HIGH = 6.93147180369123816490e-01  # 33 bits: k * LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634
ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits
EXP_MAX = 709.782712893384
EXP_MIN = -708.3964185322641
SMALLEST_NORMAL = 2.2250738585072014e-308
ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_BY_PI = math.sqrt(2.0 / math.pi)
# Below it 1 - exp(-h) is h (1 - h / 2) to rounding.
TINY = 1e-9
TWO_54 = 18014398509481984.0
TWO_52 = 4503599627370496.0

# Unsigned, for logical shifts: AVX2 has no arithmetic one for 64 bits.
MANTISSA_BITS = np.uint64(52)
EXPONENT_BIAS = np.uint64(1023)
BIAS_IN_PLACE = np.uint64(1023 << 52)
TWO_52_BITS = np.uint64(0x4330000000000000)
SQRT_HALF_BITS = np.uint64(0x3FE6A09E667F3BCD)


@scalar
def pick(condition: bool, one: float, other: float) -> float:
    """One number where a condition is true, else the other; of both arrays are NumPy's `where`."""
    return one if condition else other


# (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2.
_exp_tail = polynomial(
    2.5000020789555686e-08, 2.76303068029812e-07, 2.755758680037073e-06, 2.480149294798737e-05,
    1.984126950577352e-04, 1.3888888943761658e-03, 8.33333333349498e-03, 4.166666666652972e-02,
    1.666666666666643e-01, 5.000000000000011e-01,
)  # fmt: skip


@scalar
def exp(x: float) -> float:
    """exp(x) = 2^k exp(r), |r| <= log(2) / 2; minimax polynomial of degree 11 (error 4e-18)."""
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    power = 1.0 + (r + r * r * _exp_tail(r))
    # The integer k sits in the low bits of `shifted`: move it into the exponent.
    result = from_bits(to_bits(power) + (to_bits(shifted) << MANTISSA_BITS))
    result = math.inf if x > EXP_MAX else result
    return 0.0 if x < EXP_MIN else result


@scalar
def _log_parts(x: float) -> tuple[float, float]:
    """Split x into k (a float) and m with x = 2^k m and sqrt(1/2) <= m < sqrt(2), x > 0."""
    biased = (to_bits(x) - SQRT_HALF_BITS + BIAS_IN_PLACE) >> MANTISSA_BITS
    m = from_bits(to_bits(x) - ((biased - EXPONENT_BIAS) << MANTISSA_BITS))
    # No vector instruction of AVX2 converts 64-bit integers: place k in the mantissa of 2^52.
    return from_bits(biased + TWO_52_BITS) - (TWO_52 + 1023.0), m


# R / z with log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R), s = f / (2 + f), z = s^2; fdlibm's e_log.c.
_log_remainder = polynomial(
    1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
    2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
    6.666666666666735130e-01,
)  # fmt: skip


@scalar
def _log_sum(k: float, m: float, correction: float) -> float:
    """Add k log(2), log(m) and a correction, the small parts first."""
    f = m - 1.0
    half_square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    tail = s * (half_square + z * _log_remainder(z)) + (k * LN2_LOW + correction)
    return k * LN2_HIGH - ((half_square - tail) - f)


@scalar
def log(x: float) -> float:
    """Natural logarithm; -inf at 0, NaN below."""
    tiny = x < SMALLEST_NORMAL
    k, m = _log_parts(x * TWO_54 if tiny else x)
    result = _log_sum(k - 54.0 if tiny else k, m, 0.0)
    result = x if x == math.inf else result
    result = math.nan if x < 0.0 else result
    result = -math.inf if x == 0.0 else result
    return result if x == x else x  # NaN


@scalar
def log1p(u: float) -> float:
    """log(1 + u) for u > -1."""
    v = 1.0 + u
    # What the addition lost, relative to v; exact whichever of 1 and u is the larger.
    lost = (1.0 - (v - u) if u > 1.0 else u - (v - 1.0)) / v
    k, m = _log_parts(v)
    result = _log_sum(k, m, lost)
    return u if u == math.inf else result


@scalar
def exp_both(x: float) -> tuple[float, float]:
    """exp(x) and exp(x) - 1, each accurate relative to its size; infinite beyond 700."""
    x = -700.0 if x < -700.0 else x
    shifted = (x if x < 700.0 else 700.0) * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    scale = from_bits(to_bits(1.0) + (to_bits(shifted) << MANTISSA_BITS))
    rest = scale * (r + r * r * _exp_tail(r))
    far = x > 700.0
    return (math.inf if far else rest + scale), (math.inf if far else rest + (scale - 1.0))


@scalar
def expm1(x: float) -> float:
    """exp(x) - 1 of `exp_both`."""
    return exp_both(x)[1]


# Sum of z^(k - 1) / (2 k + 1), k = 1, ..., 12: the series of the inverse hyperbolic tangent.
_atanh = polynomial(*(1 / (2 * k + 1) for k in range(12, 0, -1)))


@scalar
def log1pmx_near(x: float) -> float:
    """The same for |x| < 1 / 2."""
    s = x / (2.0 + x)
    z = s * s
    return 2.0 * s * z * _atanh(z) - s * x


@scalar
def log1pmx(x: float) -> float:
    """log(1 + x) - x for x > -1, as `arrays.special.log1pmx`: nothing cancels at small x."""
    return log1pmx_near(x) if abs(x) < 0.5 else log1p(x) - x


@scalar
def log1mexp(h: float) -> tuple[float, float]:
    """log(1 - exp(-h)) for h >= 0, -inf at zero, with its derivative, 1 / (exp(h) - 1)."""
    q = exp(-h)
    # Kahan's expm1: the logarithm has the same rounding errors as the difference.
    down = -log(q)
    rest = h * (1.0 - 0.5 * h) if h < TINY else (1.0 if q == 0.0 else (1.0 - q) * (h / down))
    odds = q / rest
    return -log1p(odds), (0.0 if rest == 0.0 else odds)


# The Chebyshev interpolant of degree 22 in (4 - x) / (4 + x); its largest relative error is 5e-16.
_erfcx = polynomial(
    3.130423070529455e-10, -6.617942512486173e-11, -3.880515697903128e-09, -2.0691219034054744e-10,
    3.077901855639743e-08, 1.8994402187265254e-08, -2.1111037846283067e-07, -3.562393200959625e-07,
    1.1732609498291667e-06, 4.715370444493941e-06, -9.086395093590862e-07, -4.420327118929924e-05,
    -0.00011376321237622333, 7.023973429864022e-05, 0.0015280139205288011, 0.006592513332237486,
    0.019095378726752158, 0.04350273431022892, 0.08271289696952584, 0.13521345782829913,
    0.19330217556630902, 0.2441371822702206, 0.27399891525012277,
)  # fmt: skip


@scalar
def erfcx(x: float) -> float:
    """exp(x^2) erfc(x) for x >= 0: 4 / (4 + x) times a polynomial in (4 - x) / (4 + x)."""
    inverse = 1.0 / (4.0 + x)
    return 4.0 * inverse * _erfcx(8.0 * inverse - 1.0)


@scalar
def _tail(x: float) -> tuple[float, float, float, float]:
    """For h = x^2 / 2 and e = exp(h): e erfc, h, 1 / e, and the smaller tail's probability."""
    tail = erfcx(abs(x) * ROOT_HALF)
    square = 0.5 * x * x
    gauss = exp(-square)
    return tail, square, gauss, 0.5 * tail * gauss


@scalar
def log_ndtr(x: float) -> tuple[float, float]:
    """Log of the normal distribution function; its derivative is the inverse Mills ratio."""
    tail, square, gauss, beyond = _tail(x)
    below = x < 0.0
    # The odds of the other side; far below, of what is left without exp(-x^2 / 2).
    inverse = 1.0 / (tail if below else 1.0 - beyond)
    odds = 2.0 * inverse - 1.0 if below else beyond * inverse
    value = -log1p(odds) - (square if below else 0.0)
    return value, ROOT_TWO_BY_PI * inverse * (1.0 if below else 0.5 * gauss)


@scalar
def mills_both(x: float) -> tuple[float, float, float]:
    """log(Phi(x) / Phi(-x)), and the inverse Mills ratios phi(x) / Phi(x) and phi(x) / Phi(-x)."""
    tail, square, gauss, beyond = _tail(x)
    odds = log1p(-beyond) - log(0.5 * tail) + square
    near, far = 0.5 * ROOT_TWO_BY_PI * gauss / (1.0 - beyond), ROOT_TWO_BY_PI / tail
    above = x > 0.0
    return (odds if above else -odds), (near if above else far), (far if above else near)


# --- the gamma function ------------------------------------------------------------------------

POWERS = range(1, 2 * len(STIRLING), 2)
_s0 = polynomial(*STIRLING[::-1])
_s1 = polynomial(*[-p * c for p, c in zip(POWERS, STIRLING, strict=True)][::-1])
_s2 = polynomial(*[p * (p + 1) * c for p, c in zip(POWERS, STIRLING, strict=True)][::-1])


@scalar
def stirling_series(inverse: float) -> tuple[float, float, float]:
    """Stirling's remainder S(a) with a S'(a) and a^2 S''(a), for 1 / a of a >= 10."""
    z = inverse * inverse
    return inverse * _s0(z), inverse * _s1(z), inverse * _s2(z)


rising = scalar(make_rising(pick))


@scalar
def stirling(x: float) -> tuple[float, float, float]:
    """Stirling's remainder S(x) of `arrays.special.stirling` with x S'(x) and x^2 S''(x)."""
    m, product, slope, bend = rising(x)
    inverse = 1.0 / m
    value, first, second = stirling_series(inverse)
    small = x < SERIES_FROM
    log_m, log_x = log(m), log(x)
    rest = (m - 0.5) * log_m - 10.0 - (x - 0.5) * log_x - log(product)
    psi = log_m - log_x + (first - 0.5) * inverse - slope
    trigamma = inverse + (second + 0.5) * inverse * inverse + bend
    return (
        value + (rest if small else 0.0),
        (x * psi + 0.5 if small else first),
        (x * x * trigamma - x - 0.5 if small else second),
    )
