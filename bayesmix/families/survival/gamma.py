"""Gamma times by shape and rate, the distribution that "gamma" is for a response ``surv(...)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.generalized import Standard
from bayesmix.families.survival.start import guess
from bayesmix.formula.times import Times


def standard(rate: Linked, shape: Linked) -> Standard:
    """Mu is log(shape / rate), sigma and Q are 1 / sqrt(shape)."""
    return Standard(
        shape.log - rate.log, -0.5 * shape.log, generalized.exponential(-0.5 * shape.log)
    )


def start(times: Times) -> dict:
    """The shape whose log time has the guessed spread (trigamma(a) ~ 1/a + 1/(2 a^2))."""
    rough = guess(times)
    spread = rough.spread**2
    shape = (1 + np.sqrt(1 + 2 * spread)) / (2 * spread)
    return {"rate": np.exp(special.psi(shape) - rough.centre), "shape": shape}


def mean(rate: Any, shape: Any) -> Any:
    """Shape / rate."""
    return shape / rate  # arithmetic alone: it stands in graphs of PyMC too


def priors(times: Times) -> dict[str, Prior]:
    """The shape of all times together, up to a factor of three or so."""
    return {"shape": Prior("lognormal", mu=float(np.log(start(times)["shape"])), sigma=1.0)}


FAMILY = Family(
    "gamma",
    **generalized.functions({"rate": "log", "shape": "log"}, standard)
    | {"start": start, "mean": mean},
    priors=priors,
    collapse=("shape", 1),
    units={"rate": -1, "shape": 0},
    equation=r"f(t) = \frac{r^a}{\Gamma(a)} t^{a-1} e^{-r t},\ a = \mathrm{shape},\ "
    r"r = \mathrm{rate}",
    source="Kalbfleisch and Prentice (2002), section 2.2.3",
    example={"rate": 0.6, "shape": 1.8},
)
