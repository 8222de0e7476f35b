"""Generalized gamma times (Prentice): lognormal at Q = 0, Weibull at Q = 1, gamma at Q = sigma."""

from __future__ import annotations

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.generalized import Standard
from bayesmix.families.survival.start import guess
from bayesmix.formula.times import Times

PARAMS = {"mu": "identity", "sigma": "log", "Q": "identity"}
# On both sides of the lognormal distribution; not that, which has a flat slope.
TRIED = [{"Q": Q} for Q in (-0.5, 0.5, 1.0)]


def standard(mu: Linked, sigma: Linked, Q: Linked) -> Standard:
    """As the parameters are."""
    return Standard(mu.value, sigma.log, Q.value)


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time up to a factor of three or so; Q between its named members."""
    return {
        "sigma": Prior("lognormal", mu=float(np.log(guess(times).spread)), sigma=1.0),
        "Q": Prior("normal", mu=0.0, sigma=1.5),
    }


FAMILY = Family(
    "gengamma",
    **generalized.functions(PARAMS, standard, tried=TRIED),
    priors=priors,
    collapse=("sigma", -1),
    units={"mu": "log", "sigma": 0, "Q": 0},
    equation=(
        r"f(t) = \frac{|Q| q^q}{\sigma t \Gamma(q)} \exp\{q (Q w - e^{Q w})\},\ "
        r"w = (\log t - \mu) / \sigma,\ q = Q^{-2}"
    ),
    source="Prentice (1975), Biometrika 62, 607-614",
    example={"mu": 0.6, "sigma": 0.8, "Q": 0.7},
)
