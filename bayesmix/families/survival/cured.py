"""The event never happens: the cured share of a mixture cure model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bayesmix.families.base import Array, Family
from bayesmix.families.kernel import Line, TimesKernel
from bayesmix.families.survival.base import Instant, Survival


def logpdf(at: Instant) -> Array:
    """-inf: no time is possible."""
    return np.full_like(at.t, -np.inf)


def logsf(at: Instant) -> Array:
    """Zero: every time is survived."""
    return np.zeros_like(at.t)


def kernel_line(ops: Any) -> Line:
    """Give a cumulative hazard of zero."""

    def line(_t: float, _log_t: float, _first: float, _second: float) -> tuple[float, ...]:
        return -math.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0

    return line


FAMILY = Family(
    "cured",
    params={},
    location=None,
    survival=Survival(
        logpdf,
        logsf,
        quantile=lambda p: np.full(np.shape(p), np.inf),
        logcdf=logpdf,
        never=lambda: np.ones(()),
        kernel=TimesKernel("cured", kernel_line, "extreme"),
    ),
    mean=lambda: np.inf,
    variance=lambda: np.inf,
    simulate=lambda rng: np.full((), np.inf),
    support="times that never come",
    units={},
    equation=r"S(t) = 1",
    source="Boag (1949), Journal of the Royal Statistical Society B 11, 15-53",
)
