"""Generalized F times (Prentice, Cox): generalized gamma as P -> 0, loglogistic at Q = 0, P = 1."""

from __future__ import annotations

import numpy as np

from bayesmix.arrays import generalized_f
from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.base import Instant
from bayesmix.families.survival.generalized import Line
from bayesmix.families.survival.start import Guess, guess
from bayesmix.formula.times import Times

PARAMS = {"mu": "identity", "sigma": "log", "Q": "identity", "P": "log"}


def line(at: Instant, mu: Linked, sigma: Linked, Q: Linked, P: Linked) -> Line:
    """(log t - mu) / sigma."""
    w = (at.log - mu.value) / sigma.value
    return Line(w, Q.value, P.log, -sigma.log - at.log)


def quantile(
    p: np.ndarray, mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray, P: np.ndarray
) -> np.ndarray:
    """exp(mu + sigma w_p)."""
    return np.exp(mu + sigma * generalized_f.quantile(p, Q, np.log(P)))


def candidates(rough: Guess) -> list[dict[str, float]]:
    """Light and heavy tails on both sides, with the mean and spread of log time."""
    found = []
    for Q, P in ((-0.5, 0.3), (0.5, 0.3), (1.0, 0.1), (0.0, 1.0)):
        mu, sigma = generalized.centred(rough, Q, P)
        found.append({"mu": mu, "sigma": sigma, "Q": Q, "P": P})
    return found


def start(times: Times) -> dict:
    """The likeliest of them."""
    return generalized.best(times, SURVIVAL, PARAMS, candidates)


def mean(mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray, P: np.ndarray) -> np.ndarray:
    """exp(mu) E exp(sigma w); infinite where s2 <= sigma / d."""
    return np.exp(mu + generalized.log_moment(sigma, Q, P))


def variance(mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray, P: np.ndarray) -> np.ndarray:
    """mean^2 (E exp(2 sigma w) / (E exp(sigma w))^2 - 1)."""
    one, two = (generalized.log_moment(k * np.asarray(sigma), Q, P) for k in (1, 2))
    return generalized.variance(mu, one, two)


def simulate(
    rng: np.random.Generator, mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray, P: np.ndarray
) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    mu, sigma, Q, P = np.broadcast_arrays(mu, sigma, Q, P)
    return np.maximum(np.exp(mu + sigma * generalized.draw(rng, Q, P)), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time up to a factor of three or so; shapes between the named members."""
    return {
        "sigma": Prior("lognormal", mu=float(np.log(guess(times).spread)), sigma=1.0),
        "Q": Prior("normal", mu=0.0, sigma=1.5),
        "P": Prior("lognormal", mu=-1.0, sigma=1.5),
    }


SURVIVAL = generalized.survival(line, quantile)

FAMILY = Family(
    "genf",
    params=PARAMS,
    location="mu",
    links=("identity",),
    survival=SURVIVAL,
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    collapse=("sigma", -1),
    support="positive times",
    units={"mu": "log", "sigma": 0, "Q": 0, "P": 0},
    equation=(
        r"f(t) = \frac{d (s_1/s_2)^{s_1} e^{s_1 u}}{\sigma t (1 + s_1 e^u / s_2)^{s_1 + s_2} "
        r"B(s_1, s_2)},\ u = d (\log t - \mu) / \sigma,\ d = \sqrt{Q^2 + 2P},\ "
        r"s_1 = \frac{2}{d (d + Q)},\ s_2 = \frac{2}{d (d - Q)}"
    ),
    source="Cox (2008), Statistics in Medicine 27, 4301-4312",
    example={"mu": 0.6, "sigma": 0.7, "Q": 0.5, "P": 0.3},
)
