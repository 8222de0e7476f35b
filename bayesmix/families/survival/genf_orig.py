"""Generalized F times by both shapes: loglogistic at s1 = s2 = 1."""

from __future__ import annotations

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays import generalized_f
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.base import Instant
from bayesmix.families.survival.generalized import Line
from bayesmix.families.survival.start import Guess, guess
from bayesmix.formula.times import Times

PARAMS = {"mu": "identity", "sigma": "log", "s1": "log", "s2": "log"}


def shapes(log_s1: Array, log_s2: Array) -> tuple[Array, Array, Array]:
    """Log d, Q and log P: d^2 = 1 / s1 + 1 / s2, Q d = 1 / s1 - 1 / s2, P = 2 / (s1 + s2)."""
    log_d = 0.5 * xp.logaddexp(-log_s1, -log_s2)
    Q = generalized.exponential(-log_s1 - log_d) - generalized.exponential(-log_s2 - log_d)
    return log_d, Q, np.log(2.0) - xp.logaddexp(log_s1, log_s2)


def line(at: Instant, mu: Linked, sigma: Linked, s1: Linked, s2: Linked) -> Line:
    """(log t - mu) / (sigma d)."""
    log_d, Q, p = shapes(s1.log, s2.log)
    w = (at.log - mu.value) * generalized.exponential(-sigma.log - log_d)
    return Line(w, Q, p, -sigma.log - log_d - at.log)


def quantile(
    p: np.ndarray, mu: np.ndarray, sigma: np.ndarray, s1: np.ndarray, s2: np.ndarray
) -> np.ndarray:
    """exp(mu + sigma d w_p)."""
    log_d, Q, log_P = shapes(np.log(s1), np.log(s2))
    return np.exp(mu + sigma * np.exp(log_d) * generalized_f.quantile(p, Q, log_P))


def candidates(rough: Guess) -> list[dict[str, float]]:
    """A few shapes with the mean and spread of log time."""
    found = []
    for s1, s2 in ((1.0, 1.0), (1.0, 4.0), (4.0, 1.0), (4.0, 4.0)):
        log_d, Q, log_P = (float(v) for v in shapes(np.log(s1), np.log(s2)))
        mu, sigma = generalized.centred(rough, Q, np.exp(log_P))
        found.append({"mu": mu, "sigma": sigma * np.exp(-log_d), "s1": s1, "s2": s2})
    return found


def start(times: Times) -> dict:
    """The likeliest of them."""
    return generalized.best(times, SURVIVAL, PARAMS, candidates)


def _log_moment(power: float, sigma: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    b = power * np.asarray(sigma, dtype=float)
    s1, s2 = np.asarray(s1, dtype=float), np.asarray(s2, dtype=float)
    return generalized_f.log_ratio(s1, b) + generalized_f.log_ratio(s2, -b)


def mean(mu: np.ndarray, sigma: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """exp(mu) E exp(sigma u); infinite where s2 <= sigma."""
    return np.exp(mu + _log_moment(1.0, sigma, s1, s2))


def variance(mu: np.ndarray, sigma: np.ndarray, s1: np.ndarray, s2: np.ndarray) -> np.ndarray:
    """mean^2 (E exp(2 sigma u) / (E exp(sigma u))^2 - 1)."""
    one, two = _log_moment(1.0, sigma, s1, s2), _log_moment(2.0, sigma, s1, s2)
    return generalized.variance(mu, one, two)


def simulate(
    rng: np.random.Generator, mu: np.ndarray, sigma: np.ndarray, s1: np.ndarray, s2: np.ndarray
) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    mu, sigma, s1, s2 = np.broadcast_arrays(mu, sigma, s1, s2)
    u = generalized.log_gamma_draw(rng, s1) - generalized.log_gamma_draw(rng, s2)
    return np.maximum(np.exp(mu + sigma * u), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The spread of log time, and shapes of one, up to a factor of three or so."""
    spread = float(np.log(guess(times).spread / 1.8))
    return {
        "sigma": Prior("lognormal", mu=spread, sigma=1.0),
        "s1": Prior("lognormal", mu=0.0, sigma=1.0),
        "s2": Prior("lognormal", mu=0.0, sigma=1.0),
    }


SURVIVAL = generalized.survival(line, quantile)

FAMILY = Family(
    "genf_orig",
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
    units={"mu": "log", "sigma": 0, "s1": 0, "s2": 0},
    equation=(
        r"f(t) = \frac{(s_1/s_2)^{s_1} e^{s_1 u}}{\sigma t (1 + s_1 e^u / s_2)^{s_1 + s_2} "
        r"B(s_1, s_2)},\ u = (\log t - \mu) / \sigma"
    ),
    source="Prentice (1975), Biometrika 62, 607-614",
    example={"mu": 0.6, "sigma": 0.6, "s1": 1.4, "s2": 2.5},
)
