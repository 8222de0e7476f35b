"""Generalized gamma times (Prentice): lognormal at Q = 0, Weibull at Q = 1, gamma at Q = sigma."""

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

PARAMS = {"mu": "identity", "sigma": "log", "Q": "identity"}


def line(at: Instant, mu: Linked, sigma: Linked, Q: Linked) -> Line:
    """(log t - mu) / sigma."""
    w = (at.log - mu.value) / sigma.value
    return Line(w, Q.value, None, -sigma.log - at.log)


def quantile(p: np.ndarray, mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """exp(mu + sigma w_p)."""
    return np.exp(mu + sigma * generalized_f.quantile(p, Q))


def candidates(rough: Guess) -> list[dict[str, float]]:
    """Shapes on both sides of the lognormal distribution; not that, which has a flat slope."""
    found = []
    for Q in (-0.5, 0.5, 1.0):
        mu, sigma = generalized.centred(rough, Q)
        found.append({"mu": mu, "sigma": sigma, "Q": Q})
    return found


def start(times: Times) -> dict:
    """The likeliest of a few shapes with the mean and spread of log time."""
    return generalized.best(times, SURVIVAL, PARAMS, candidates)


def mean(mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """exp(mu) E exp(sigma w); infinite where 1 / Q^2 + sigma / Q <= 0."""
    return np.exp(mu + generalized.log_moment(sigma, Q, None))


def variance(mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """mean^2 (E exp(2 sigma w) / (E exp(sigma w))^2 - 1)."""
    one, two = (generalized.log_moment(k * np.asarray(sigma), Q, None) for k in (1, 2))
    return generalized.variance(mu, one, two)


def simulate(
    rng: np.random.Generator, mu: np.ndarray, sigma: np.ndarray, Q: np.ndarray
) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    mu, sigma, Q = np.broadcast_arrays(mu, sigma, Q)
    return np.maximum(np.exp(mu + sigma * generalized.draw(rng, Q, None)), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time up to a factor of three or so; Q between its named members."""
    return {
        "sigma": Prior("lognormal", mu=float(np.log(guess(times).spread)), sigma=1.0),
        "Q": Prior("normal", mu=0.0, sigma=1.5),
    }


SURVIVAL = generalized.survival(line, quantile)

FAMILY = Family(
    "gengamma",
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
    units={"mu": "log", "sigma": 0, "Q": 0},
    equation=(
        r"f(t) = \frac{|Q| q^q}{\sigma t \Gamma(q)} \exp\{q (Q w - e^{Q w})\},\ "
        r"w = (\log t - \mu) / \sigma,\ q = Q^{-2}"
    ),
    source="Prentice (1975), Biometrika 62, 607-614",
    example={"mu": 0.6, "sigma": 0.8, "Q": 0.7},
)
