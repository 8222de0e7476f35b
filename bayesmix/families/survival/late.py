"""Derivatives of what a time says beyond a delayed entry, of numbers and arrays alike.

A *jet* is a value with its derivatives in two linear predictors: (value, a, b, aa, ab, bb).
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayesmix.arrays import special
from bayesmix.families.survival.derivatives import extreme, logistic, normal

Jet = tuple[Any, ...]
Since = Callable[[Jet, Jet, Jet], tuple[Jet, Jet]]


def along(value: Any, slope: Any, bend: Any, x: Jet) -> Jet:
    """A function of a number, of a jet."""
    _, a, b, aa, ab, bb = x
    return (
        value,
        slope * a,
        slope * b,
        slope * aa + bend * a * a,
        slope * ab + bend * a * b,
        slope * bb + bend * b * b,
    )


def plus(x: Jet, y: Jet) -> Jet:
    """The sum of two."""
    return x[0] + y[0], x[1] + y[1], x[2] + y[2], x[3] + y[3], x[4] + y[4], x[5] + y[5]


def minus(x: Jet, y: Jet) -> Jet:
    """The difference of two."""
    return x[0] - y[0], x[1] - y[1], x[2] - y[2], x[3] - y[3], x[4] - y[4], x[5] - y[5]


def product(x: Jet, y: Jet) -> Jet:
    """The product of two."""
    return (
        x[0] * y[0],
        x[0] * y[1] + x[1] * y[0],
        x[0] * y[2] + x[2] * y[0],
        x[0] * y[3] + x[3] * y[0] + 2.0 * x[1] * y[1],
        x[0] * y[4] + x[4] * y[0] + x[1] * y[2] + x[2] * y[1],
        x[0] * y[5] + x[5] * y[0] + 2.0 * x[2] * y[2],
    )


def chosen(ops: Any) -> Callable[[Any, Jet, Jet], Jet]:
    """Give a function that picks one of two jets."""
    pick = ops.pick

    def either(where: Any, x: Jet, y: Jet) -> Jet:
        return (
            pick(where, x[0], y[0]),
            pick(where, x[1], y[1]),
            pick(where, x[2], y[2]),
            pick(where, x[3], y[3]),
            pick(where, x[4], y[4]),
            pick(where, x[5], y[5]),
        )

    return either


def _extreme(ops: Any) -> Since:
    plus, along, log_growth, survival = ops.plus, ops.along, ops.log_growth, ops.extreme_survival

    def since(entry: Jet, time: Jet, log_gap: Jet) -> tuple[Jet, Jet]:
        between = plus(entry, log_growth(log_gap))
        value, slope, bend = survival(between[0])
        return time, along(value, slope, bend, between)

    return since


def _logistic(ops: Any) -> Since:
    plus, along, log_growth = ops.plus, ops.along, ops.log_growth
    survival, distribution = ops.logistic_survival, ops.logistic_distribution

    def since(entry: Jet, time: Jet, log_gap: Jet) -> tuple[Jet, Jet]:
        value, slope, bend = distribution(entry[0])
        between = plus(along(value, slope, bend, entry), log_growth(log_gap))
        value, slope, bend = survival(between[0])
        stayed = along(value, slope, bend, between)
        value, slope, bend = distribution(time[0])
        return along(value, slope, bend, time), stayed

    return since


def _normal(ops: Any) -> Since:
    plus, minus, along, either = ops.plus, ops.minus, ops.along, ops.either
    survival, log_hazard, product, exp = (
        ops.normal_survival,
        ops.normal_hazard,
        ops.product,
        ops.exp,
    )

    def since(entry: Jet, time: Jet, log_gap: Jet) -> tuple[Jet, Jet]:
        value, slope, bend = log_hazard(time[0])
        hazard = along(value, slope, bend, time)
        value, slope, bend = log_hazard(entry[0])
        change = minus(along(value, slope, bend, entry), hazard)
        half = exp(log_gap[0]) * 0.5
        # In the upper tail by log hazards, without the squares of both.
        far = minus(change, product(along(half, half, half, log_gap), plus(entry, time)))
        value, slope, bend = survival(time[0])
        stayed = along(value, slope, bend, time)
        value, slope, bend = survival(entry[0])
        near = minus(stayed, along(value, slope, bend, entry))
        return hazard, either(entry[0] > 0.0, far, near)

    return since


# The log hazard at a time, and log S(t) - log S(entry), from x at both and from the logarithm of
# its growth, which x may have lost.
SINCE = {"extreme": _extreme, "logistic": _logistic, "normal": _normal}


def growth(ops: Any) -> Callable[[Jet], Jet]:
    """Give log(exp(g) - 1) as a function of log g."""
    exp, log_exprel, along, plus = ops.exp, ops.log_exprel, ops.along, ops.plus

    def log_growth(log_gap: Jet) -> Jet:
        gap = exp(log_gap[0])
        value, slope, bend = log_exprel(gap)
        return plus(log_gap, along(value, slope, bend, along(gap, gap, gap, log_gap)))

    return log_growth


def _normal_hazard(x: np.ndarray) -> tuple[np.ndarray, ...]:
    excess = special.mills_excess(-x)
    return special.log_mills(-x), excess, special.log_mills_bend(-x)


def _distribution(x: np.ndarray) -> tuple[np.ndarray, ...]:
    value, slope, bend = logistic(-x, np.zeros(()))
    return value, -slope, bend


_NONE = np.zeros(1)
OPS = SimpleNamespace(
    along=along,
    either=chosen(SimpleNamespace(pick=np.where)),
    exp=np.exp,
    extreme_survival=lambda x: extreme(x, _NONE),
    log_exprel=special.log_exprel_parts,
    logistic_distribution=_distribution,
    logistic_survival=lambda x: logistic(x, _NONE),
    minus=minus,
    normal_hazard=_normal_hazard,
    normal_survival=lambda x: normal(x, _zeros(x)),
    plus=plus,
    product=product,
)
OPS.log_growth = growth(OPS)


def _zeros(x: np.ndarray) -> np.ndarray:
    return np.zeros(x.shape[-1])
