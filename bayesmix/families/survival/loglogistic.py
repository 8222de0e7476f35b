"""Loglogistic times: S(t) = 1 / (1 + (t / scale)^shape)."""

from __future__ import annotations

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import TimesKernel
from bayesmix.families.survival.derivatives import scaled_line
from bayesmix.families.survival.start import guess
from bayesmix.families.survival.transformed import transformed
from bayesmix.formula.times import Times

# Standard deviation of a standard logistic variable.
LOGISTIC_SD = np.pi / np.sqrt(3)
# (tan b - b) / b^3 near zero: what is left of it after 15 terms is below 1e-17 for b < 0.3.
_TAN = (1 / 3, 2 / 15, 17 / 315, 62 / 2835, 1382 / 155925, 21844 / 6081075, 929569 / 638512875)


def quantile(p: np.ndarray, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Scale (p / (1 - p))^(1 / shape)."""
    p = np.asarray(p, dtype=float)
    with np.errstate(divide="ignore"):
        return scale * np.exp((np.log(p) - np.log1p(-p)) / shape)


def start(times: Times) -> dict:
    """The mean and the standard deviation of log time."""
    rough = guess(times)
    return {"scale": float(np.exp(rough.centre)), "shape": LOGISTIC_SD / rough.spread}


def mean(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Scale b / sin(b) with b = pi / shape; infinite for a shape of one or less."""
    b = np.pi / np.maximum(shape, 1.0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(np.greater(shape, 1), scale * b / np.sin(b), np.inf)


def variance(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """scale^2 (2 b / sin(2 b) - (b / sin(b))^2); infinite for a shape of two or less."""
    there = np.asarray(shape) > 2
    b = np.pi / np.where(there, shape, 4.0)
    square = b * b
    series = np.zeros_like(square)
    for c in reversed(_TAN):
        series = series * square + c
    excess = np.where(b < 0.1, b * square * series, np.tan(b) - b)
    return np.where(there, np.square(scale) * b * excess / np.square(np.sin(b)), np.inf)


def simulate(rng: np.random.Generator, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    size = np.broadcast_shapes(np.shape(scale), np.shape(shape))
    x = rng.logistic(size=size)
    return np.maximum(np.exp(np.log(scale) + x / shape), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The shape of all times together, up to a factor of three or so."""
    shape = LOGISTIC_SD / guess(times).spread
    return {"shape": Prior("lognormal", mu=float(np.log(shape)), sigma=1.0)}


FAMILY = Family(
    "loglogistic",
    params={"shape": "log", "scale": "log"},
    location="scale",
    survival=transformed(
        TimesKernel("loglogistic", scaled_line, "logistic", straight=True), quantile
    ),
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    collapse=("shape", 1),
    support="positive times",
    units={"scale": 1, "shape": 0},
    equation=r"S(t) = 1 / \{1 + (t/b)^a\},\ a = \mathrm{shape},\ b = \mathrm{scale}",
    source="Kalbfleisch and Prentice (2002), section 2.2.6",
    example={"scale": 2.0, "shape": 2.6},
)
