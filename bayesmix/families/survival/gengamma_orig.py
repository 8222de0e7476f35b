"""Generalized gamma times (Stacy): (t / scale)^shape is a gamma variable with shape k."""

from __future__ import annotations

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.generalized import Standard
from bayesmix.families.survival.start import shape_prior
from bayesmix.formula.times import Times

PARAMS = {"scale": "log", "shape": "log", "k": "log"}
TRIED = [{"k": k} for k in (0.5, 1.0, 4.0)]


def standard(scale: Linked, shape: Linked, k: Linked) -> Standard:
    """Mu is log(scale) + log(k) / shape, sigma = 1 / (shape sqrt(k)), Q = 1 / sqrt(k)."""
    mu = scale.log + k.log * generalized.exponential(-shape.log)
    return Standard(mu, -shape.log - 0.5 * k.log, generalized.exponential(-0.5 * k.log))


def back(mu: float, sigma: float, k: float) -> dict[str, float]:
    """The inverse."""
    shape = 1 / (sigma * np.sqrt(k))
    return {"scale": np.exp(mu - np.log(k) / shape), "shape": shape, "k": k}


def priors(times: Times) -> dict[str, Prior]:
    """The shape of all times together, and k = 1, up to a factor of three or so."""
    return {"shape": shape_prior(times), "k": Prior("lognormal", mu=0.0, sigma=1.0)}


FAMILY = Family(
    "gengamma_orig",
    **generalized.functions(PARAMS, standard, back, TRIED),
    priors=priors,
    collapse=("shape", 1),
    units={"scale": 1, "shape": 0, "k": 0},
    equation=(
        r"f(t) = \frac{a\, t^{a k - 1}}{b^{a k} \Gamma(k)} e^{-(t / b)^a},\ "
        r"a = \mathrm{shape},\ b = \mathrm{scale}"
    ),
    source="Stacy (1962), Annals of Mathematical Statistics 33, 1187-1192",
    example={"scale": 1.5, "shape": 1.3, "k": 1.7},
)
