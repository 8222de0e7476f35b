"""Closed-form derivatives of distributions that a transformed log time x alone decides.

Each function gives the log density of x (where `event` is 1) or the log survival function
(where it is 0) with first and second derivative in x, all of shape (..., n).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from bayesmix.arrays.special import mills, mills_excess, softplus
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.kernel import Line
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import LARGEST, Instant

__all__ = ["Along", "cumulative", "extreme", "logistic", "normal", "scaled", "scaled_line"]

Along = tuple[np.ndarray, np.ndarray, np.ndarray]
HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
# Beyond it products would be infinite, and times zero no number.
HUGE = 1e150


def cumulative(x: np.ndarray) -> np.ndarray:
    """exp(x), infinite from where `minus_exp` is."""
    hazard = np.exp(x)
    far = x > LARGEST
    return np.where(far, np.inf, hazard) if far.any() else hazard


def extreme(x: np.ndarray, event: np.ndarray) -> Along:
    """X the log cumulative hazard."""
    hazard = cumulative(x)
    return event * x - hazard, event - hazard, -hazard


def logistic(x: np.ndarray, event: np.ndarray) -> Along:
    """X the log odds."""
    up, down = special.expit(x), special.expit(-x)
    value = -softplus(x) - event * softplus(-x)
    return value, event * down - up, -(1 + event) * up * down


def normal(x: np.ndarray, event: np.ndarray) -> Along:
    """X the normal quantile of the distribution function."""
    value, first, second = -0.5 * x * x - HALF_LOG_2PI, -x, np.full_like(x, -1.0)
    censored = np.flatnonzero(event == 0)
    if len(censored):
        minus = -x[..., censored]
        ratio = mills(minus)
        value[..., censored] = special.log_ndtr(minus)
        first[..., censored] = -ratio
        second[..., censored] = -ratio * mills_excess(minus, ratio)
    return value, first, second


def scaled(
    along: Callable[[np.ndarray, np.ndarray], Along],
    at: Instant,
    event: np.ndarray,
    scale: Linked,
    shape: Linked,
) -> Derivatives:
    """For x = shape log(t / scale): derivatives in (log scale, log shape)."""
    a = shape.value
    x = np.clip(a * (at.log - scale.log), -HUGE, HUGE)
    value, first, second = along(x, event)
    both = first + x * second
    cross = -a * both
    return Derivatives(
        value + event * (shape.log - at.log),
        (-a * first, event + x * first),
        ((a * (a * second), cross), (cross, x * both)),
    )


def scaled_line(ops: Any) -> Line:
    """Give x = shape log(t / scale) to the kernels; see `families.kernel.TimesKernel`."""
    exp, clip = ops.exp, ops.clip

    def line(
        _t: float, log_t: float, scale: float, shape: float
    ) -> tuple[float, float, float, float, float, float]:
        a = exp(shape)
        x = clip(a * (log_t - scale))
        return x, -a, x, shape - log_t, 0.0, 1.0

    return line
