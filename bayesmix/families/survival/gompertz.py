r"""Gompertz times: the hazard rate exp(shape t).

With a negative shape it dies out, and a share exp(rate / shape) never has the event.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.arrays.quadrature import half_line
from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Line, TimesKernel
from bayesmix.families.survival.start import guess, working
from bayesmix.families.survival.transformed import transformed
from bayesmix.formula.times import Times

# Levels of the continued fraction for the mean, and the quadrature for the variance.
_LEVELS = 80
_HAZARDS = half_line(np.linspace(-4.5, 4.5, 181))


def kernel_line(ops: Any) -> Line:
    """Give the log cumulative hazard, log(rate t (exp(u) - 1) / u) with u = shape t."""
    log_exprel = ops.log_exprel

    def line(t: float, log_t: float, rate: float, shape: float) -> tuple[float, ...]:
        u = shape * t
        level, slope, bend = log_exprel(u)
        bend *= t * t
        change, rise = u - level - log_t, t * (1.0 - slope)
        return (
            rate + log_t + level,
            1.0,
            t * slope,
            0.0,
            0.0,
            bend,
            change,
            0.0,
            rise,
            0.0,
            0.0,
            -bend,
        )

    return line


def never(rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """exp(rate / shape) for a negative shape, else zero."""
    negative = np.asarray(shape) < 0
    return np.where(negative, np.exp(rate / np.where(negative, shape, -1.0)), 0.0)


def at_hazard(total: np.ndarray, rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The time with this cumulative hazard, log(1 + y) / shape with y = shape total / rate."""
    ratio = total / np.asarray(rate, dtype=float)
    y = shape * ratio
    there, near = y > -1, np.abs(y) < 0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        logarithm = np.log1p(np.where(there, y, 0.0))
        growth = np.where(y == 0, 1.0, logarithm / y)
        return np.where(there, np.where(near, ratio * growth, logarithm / shape), np.inf)


def quantile(p: np.ndarray, rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """The time with cumulative hazard -log(1 - p)."""
    return at_hazard(-np.log1p(-np.asarray(p, dtype=float)), rate, shape)


def start(times: Times) -> dict:
    """A constant hazard: events by time at risk."""
    return {"rate": guess(times).rate, "shape": 0.0}


def mean(rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """exp(z) E_1(z) / shape with z = rate / shape; infinite for a negative shape.

    By a continued fraction that holds for a shape of zero as well.  Where z is small it
    converges slowly, and the exponential integral is taken instead.
    """
    from scipy.special import exp1

    rate, a = np.broadcast_arrays(np.asarray(rate, dtype=float), np.maximum(shape, 0.0))
    total = rate + (2 * _LEVELS + 1) * a
    for k in range(_LEVELS, 0, -1):
        total = rate + (2 * k - 1) * a - np.square(k * a) / total
    fast = rate >= a
    z = np.where(fast, 1.0, rate / np.where(fast, 1.0, a))
    near = np.exp(z) * exp1(z) / np.where(fast, 1.0, a)
    return np.where(np.asarray(shape) < 0, np.inf, np.where(fast, 1 / total, near))


def variance(rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """By quadrature over the cumulative hazard, whose distribution is exponential."""
    expected = mean(rate, shape)
    centre = np.where(np.isfinite(expected), expected, 0.0)
    out = np.zeros(np.shape(expected))
    for total, width in zip(*_HAZARDS, strict=True):
        if (weight := width * np.exp(-total)) > 0:
            t = at_hazard(total, rate, np.maximum(shape, 0.0))
            out = out + weight * np.square(t - centre)
    return np.where(np.isfinite(expected), out, np.inf)


def simulate(rng: np.random.Generator, rate: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw times; infinite where the event never happens."""
    size = np.broadcast_shapes(np.shape(rate), np.shape(shape))
    t = at_hazard(rng.standard_exponential(size), rate, shape)
    return np.maximum(t, np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The log hazard changes by 2.5 or so over a standard deviation of the times."""
    known = np.isfinite(times.upper) | (times.lower > 0)
    spread = float(np.std(np.exp(working(times.take(known))))) if known.any() else 0.0
    return {"shape": Prior("normal", mu=0.0, sigma=2.5 / spread if spread > 0 else 2.5)}


FAMILY = Family(
    "gompertz",
    params={"shape": "identity", "rate": "log"},
    location="rate",
    survival=transformed(TimesKernel("gompertz", kernel_line, "extreme"), quantile, never),
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    support="positive times",
    units={"rate": -1, "shape": -1},
    equation=r"h(t) = b e^{a t},\ S(t) = \exp\{-b (e^{a t} - 1) / a\},\ "
    r"a = \mathrm{shape},\ b = \mathrm{rate}",
    source="Johnson, Kotz and Balakrishnan (1995), section 22.8",
    example={"rate": 0.2, "shape": 0.3},
)
