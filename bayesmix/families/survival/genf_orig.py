"""Generalized F times by both shapes: loglogistic at s1 = s2 = 1."""

from __future__ import annotations

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.generalized import Standard
from bayesmix.families.survival.start import guess
from bayesmix.formula.times import Times

PARAMS = {"mu": "identity", "sigma": "log", "s1": "log", "s2": "log"}
TRIED = [{"s1": s1, "s2": s2} for s1, s2 in ((1.0, 1.0), (1.0, 4.0), (4.0, 1.0), (4.0, 4.0))]


def standard(mu: Linked, sigma: Linked, s1: Linked, s2: Linked) -> Standard:
    """Sigma times d, d^2 = 1 / s1 + 1 / s2; Q d = 1 / s1 - 1 / s2, and P = 2 / (s1 + s2)."""
    log_d = 0.5 * xp.logaddexp(-s1.log, -s2.log)
    Q = generalized.exponential(-s1.log - log_d) - generalized.exponential(-s2.log - log_d)
    p = np.log(2.0) - xp.logaddexp(s1.log, s2.log)
    return Standard(mu.value, sigma.log + log_d, Q, p)


def back(mu: float, sigma: float, s1: float, s2: float) -> dict[str, float]:
    """The inverse."""
    return {"mu": mu, "sigma": sigma / np.sqrt(1 / s1 + 1 / s2), "s1": s1, "s2": s2}


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time, and shapes of one, up to a factor of three or so."""
    spread = float(np.log(guess(times).spread / 1.8))
    return {
        "sigma": Prior("lognormal", mu=spread, sigma=1.0),
        "s1": Prior("lognormal", mu=0.0, sigma=1.0),
        "s2": Prior("lognormal", mu=0.0, sigma=1.0),
    }


FAMILY = Family(
    "genf_orig",
    **generalized.functions(PARAMS, standard, back, TRIED),
    priors=priors,
    collapse=("sigma", -1),
    units={"mu": "log", "sigma": 0, "s1": 0, "s2": 0},
    equation=(
        r"f(t) = \frac{(s_1/s_2)^{s_1} e^{s_1 u}}{\sigma t (1 + s_1 e^u / s_2)^{s_1 + s_2} "
        r"B(s_1, s_2)},\ u = (\log t - \mu) / \sigma"
    ),
    source="Prentice (1975), Biometrika 62, 607-614",
    example={"mu": 0.6, "sigma": 0.6, "s1": 1.4, "s2": 2.5},
)
