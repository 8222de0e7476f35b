"""Lognormal times: log T is normal with mean meanlog and standard deviation sdlog."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Line, TimesKernel
from bayesmix.families.survival.start import guess
from bayesmix.families.survival.transformed import transformed
from bayesmix.formula.times import Times


def kernel_line(ops: Any) -> Line:
    """Give the standardised log time, (log t - meanlog) / sdlog."""
    exp, clip = ops.exp, ops.clip

    def line(_t: float, log_t: float, meanlog: float, sdlog: float) -> tuple[float, ...]:
        precision = exp(-sdlog)
        z = clip((log_t - meanlog) * precision)
        return z, -precision, -z, 0.0, precision, z, -sdlog - log_t, 0.0, -1.0, 0.0, 0.0, 0.0

    return line


def quantile(p: np.ndarray, meanlog: np.ndarray, sdlog: np.ndarray) -> np.ndarray:
    """exp(meanlog + sdlog z_p)."""
    return np.exp(meanlog + sdlog * special.ndtri(p))


def start(times: Times) -> dict:
    """Mean and standard deviation of log time."""
    rough = guess(times)
    return {"meanlog": rough.centre, "sdlog": rough.spread}


def mean(meanlog: np.ndarray, sdlog: np.ndarray) -> np.ndarray:
    """exp(meanlog + sdlog^2 / 2)."""
    return np.exp(meanlog + 0.5 * np.square(sdlog))


def variance(meanlog: np.ndarray, sdlog: np.ndarray) -> np.ndarray:
    """mean^2 (exp(sdlog^2) - 1)."""
    return mean(meanlog, sdlog) ** 2 * np.expm1(np.square(sdlog))


def simulate(rng: np.random.Generator, meanlog: np.ndarray, sdlog: np.ndarray) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    return np.maximum(rng.lognormal(meanlog, sdlog), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The standard deviation of log time, up to a factor of three or so."""
    return {"sdlog": Prior("lognormal", mu=float(np.log(guess(times).spread)), sigma=1.0)}


FAMILY = Family(
    "lognormal",
    params={"meanlog": "identity", "sdlog": "log"},
    location="meanlog",
    survival=transformed(TimesKernel("lognormal", kernel_line, "normal", straight=True), quantile),
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    collapse=("sdlog", -1),
    support="positive times",
    units={"meanlog": "log", "sdlog": 0},
    equation=r"S(t) = \Phi\{-(\log t - m) / s\},\ m = \mathrm{meanlog},\ s = \mathrm{sdlog}",
    source="Kalbfleisch and Prentice (2002), section 2.2.4",
    example={"meanlog": 0.6, "sdlog": 0.8},
)
