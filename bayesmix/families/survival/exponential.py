"""Exponential times: a constant hazard."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.families.base import Family
from bayesmix.families.kernel import Line, TimesKernel
from bayesmix.families.survival.start import guess
from bayesmix.families.survival.transformed import transformed
from bayesmix.formula.times import Times


def kernel_line(ops: Any) -> Line:
    """Give the log cumulative hazard, log(rate t)."""

    def line(_t: float, log_t: float, rate: float, _second: float) -> tuple[float, ...]:
        return rate + log_t, 1.0, 0.0, 0.0, 0.0, 0.0, -log_t, 0.0, 0.0, 0.0, 0.0, 0.0

    return line


def quantile(p: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """-log(1 - p) / rate."""
    return -np.log1p(-np.asarray(p)) / rate


def start(times: Times) -> dict:
    """Events by time at risk."""
    return {"rate": guess(times).rate}


def simulate(rng: np.random.Generator, rate: np.ndarray) -> np.ndarray:
    """Draw times."""
    return np.maximum(rng.exponential(1 / np.asarray(rate)), np.finfo(float).tiny)


FAMILY = Family(
    "exponential",
    params={"rate": "log"},
    location="rate",
    survival=transformed(
        TimesKernel("exponential", kernel_line, "extreme", straight=True, parameters=1), quantile
    ),
    start=start,
    mean=lambda rate: 1 / rate,
    variance=lambda rate: 1 / rate**2,
    simulate=simulate,
    support="positive times",
    units={"rate": -1},
    equation=r"f(t) = \lambda e^{-\lambda t},\ S(t) = e^{-\lambda t},\ \lambda = \mathrm{rate}",
    source="Kalbfleisch and Prentice (2002), section 2.2.1",
    example={"rate": 0.4},
)
