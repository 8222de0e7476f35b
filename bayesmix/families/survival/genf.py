"""Generalized F times (Prentice, Cox): generalized gamma as P -> 0, loglogistic at Q = 0, P = 1."""

from __future__ import annotations

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.generalized import Standard
from bayesmix.families.survival.start import guess
from bayesmix.formula.times import Times

PARAMS = {"mu": "identity", "sigma": "log", "Q": "identity", "P": "log"}
# Light and heavy tails on both sides.
TRIED = [{"Q": Q, "P": P} for Q, P in ((-0.5, 0.3), (0.5, 0.3), (1.0, 0.1), (0.0, 1.0))]


def standard(mu: Linked, sigma: Linked, Q: Linked, P: Linked) -> Standard:
    """As the parameters are."""
    return Standard(mu.value, sigma.log, Q.value, P.log)


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time up to a factor of three or so; shapes between the named members."""
    return {
        "sigma": Prior("lognormal", mu=float(np.log(guess(times).spread)), sigma=1.0),
        "Q": Prior("normal", mu=0.0, sigma=1.5),
        "P": Prior("lognormal", mu=-1.0, sigma=1.5),
    }


FAMILY = Family(
    "genf",
    **generalized.functions(PARAMS, standard, tried=TRIED),
    priors=priors,
    collapse=("sigma", -1),
    units={"mu": "log", "sigma": 0, "Q": 0, "P": 0},
    equation=(
        r"f(t) = \frac{d (s_1/s_2)^{s_1} e^{s_1 u}}{\sigma t (1 + s_1 e^u / s_2)^{s_1 + s_2} "
        r"B(s_1, s_2)},\ u = d (\log t - \mu) / \sigma,\ d = \sqrt{Q^2 + 2P},\ "
        r"s_1 = \frac{2}{d (d + Q)},\ s_2 = \frac{2}{d (d - Q)}"
    ),
    source="Cox (2008), Statistics in Medicine 27, 4301-4312",
    example={"mu": 0.6, "sigma": 0.7, "Q": 0.5, "P": 0.3},
)
