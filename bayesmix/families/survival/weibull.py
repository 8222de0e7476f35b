"""Weibull times by shape and scale: S(t) = exp(-(t / scale)^shape)."""

from __future__ import annotations

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import TimesKernel
from bayesmix.families.survival.derivatives import scaled_line
from bayesmix.families.survival.start import guess, shape_prior
from bayesmix.families.survival.transformed import transformed
from bayesmix.formula.times import Times


def quantile(p: np.ndarray, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Scale (-log(1 - p))^(1 / shape)."""
    return scale * (-np.log1p(-np.asarray(p))) ** (1 / shape)


def start(times: Times) -> dict:
    """A line through the log cumulative hazard by log time."""
    rough = guess(times)
    return {"scale": rough.scale, "shape": rough.shape}


def mean(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Scale Gamma(1 + 1 / shape)."""
    return scale * special.gamma(1 + np.true_divide(1, shape))


def variance(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """mean^2 (Gamma(1 + 2 / shape) / Gamma(1 + 1 / shape)^2 - 1)."""
    inverse = 1 / np.asarray(shape)
    growth = special.gammaln(1 + 2 * inverse) - 2 * special.gammaln(1 + inverse)
    return mean(scale, shape) ** 2 * np.expm1(growth)


def simulate(rng: np.random.Generator, scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    size = np.broadcast_shapes(np.shape(scale), np.shape(shape))
    x = np.log(rng.standard_exponential(size))
    return np.maximum(np.exp(np.log(scale) + x / shape), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The shape of all times together, up to a factor of three or so."""
    return {"shape": shape_prior(times)}


FAMILY = Family(
    "weibull",
    params={"shape": "log", "scale": "log"},
    location="scale",
    survival=transformed(TimesKernel("weibull", scaled_line, "extreme", straight=True), quantile),
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    collapse=("shape", 1),
    support="positive times",
    units={"scale": 1, "shape": 0},
    equation=r"S(t) = \exp\{-(t/b)^a\},\ a = \mathrm{shape},\ b = \mathrm{scale}",
    source="Kalbfleisch and Prentice (2002), section 2.2.2",
    example={"scale": 2.5, "shape": 1.4},
)
