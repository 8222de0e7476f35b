"""Weibull times in the proportional-hazards form: S(t) = exp(-scale t^shape)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayesmix.families.base import Family, Observed
from bayesmix.families.kernel import Line, TimesKernel
from bayesmix.families.survival import weibull
from bayesmix.families.survival.base import LARGEST
from bayesmix.families.survival.start import guess
from bayesmix.families.survival.transformed import transformed
from bayesmix.families.units import Change
from bayesmix.formula.times import Times


def kernel_line(ops: Any) -> Line:
    """Give the log cumulative hazard, log(scale) + shape log(t)."""
    exp, clip = ops.exp, ops.clip

    def line(_t: float, log_t: float, scale: float, shape: float) -> tuple[float, ...]:
        w = clip(exp(shape) * log_t)
        return scale + w, 1.0, w, 0.0, 0.0, w, shape - log_t, 0.0, 1.0, 0.0, 0.0, 0.0

    return line


def by_usual(function: Callable[..., np.ndarray], words: str = "") -> Callable[..., np.ndarray]:
    """A function of the usual scale, by keyword, as one of the scale here; `words` say what.

    The usual scale b, of S(t) = exp(-(t / b)^shape), is scale^(-1 / shape).
    """

    def here(*first: Any, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
        return function(*first, scale=np.exp(-np.log(scale) / shape), shape=shape)

    here.__doc__ = words
    return here


def simulate(rng: np.random.Generator, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    x = np.log(rng.standard_exponential(np.broadcast_shapes(np.shape(scale), np.shape(shape))))
    return np.maximum(np.exp((x - np.log(scale)) / shape), np.finfo(float).tiny)


def start(times: Times) -> dict:
    """A line through the log cumulative hazard by log time."""
    rough = guess(times)
    scale = np.exp(np.clip(-rough.shape * np.log(rough.scale), -LARGEST, LARGEST))
    return {"scale": float(scale), "shape": rough.shape}


def in_units(family: Family, unit: float, _obs: Observed) -> Change:
    """With times t / u the scale is that of t times u^shape."""
    return Change(family, np.eye(2), np.zeros(2), bend=(0, 1, float(np.log(unit))))


FAMILY = Family(
    "weibull_ph",
    params={"shape": "log", "scale": "log"},
    location="scale",
    survival=transformed(
        TimesKernel("weibull_ph", kernel_line, "extreme", straight=True), by_usual(weibull.quantile)
    ),
    start=start,
    mean=by_usual(weibull.mean, "scale^(-1 / shape) Gamma(1 + 1 / shape)."),
    variance=by_usual(
        weibull.variance, "mean^2 (Gamma(1 + 2 / shape) / Gamma(1 + 1 / shape)^2 - 1)."
    ),
    simulate=simulate,
    priors=weibull.priors,
    in_units=in_units,
    collapse=("shape", 1),
    support="positive times",
    equation=r"S(t) = \exp(-b t^a),\ a = \mathrm{shape},\ b = \mathrm{scale}",
    source="Kalbfleisch and Prentice (2002), section 2.2.2",
    example={"scale": 0.3, "shape": 1.4},
)
