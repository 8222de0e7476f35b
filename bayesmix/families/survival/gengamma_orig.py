"""Generalized gamma times (Stacy): (t / scale)^shape is a gamma variable with shape k."""

from __future__ import annotations

import numpy as np

from bayesmix.arrays import generalized_f
from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival import generalized
from bayesmix.families.survival.base import Instant
from bayesmix.families.survival.generalized import Line
from bayesmix.families.survival.start import Guess, shape_prior
from bayesmix.formula.times import Times

PARAMS = {"scale": "log", "shape": "log", "k": "log"}


def line(at: Instant, scale: Linked, shape: Linked, k: Linked) -> Line:
    """sqrt(k) (shape log(t / scale) - log(k)), with Q = 1 / sqrt(k)."""
    root = generalized.exponential(0.5 * k.log)
    w = root * (shape.value * (at.log - scale.log) - k.log)
    return Line(w, generalized.exponential(-0.5 * k.log), None, 0.5 * k.log + shape.log - at.log)


def quantile(p: np.ndarray, scale: np.ndarray, shape: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Scale k^(1 / shape) exp(Q w_p / shape)."""
    Q = 1 / np.sqrt(k)
    return scale * np.exp((np.log(k) + Q * generalized_f.quantile(p, Q)) / shape)


def candidates(rough: Guess) -> list[dict[str, float]]:
    """A few k with the mean and spread of log time."""
    found = []
    for k in (0.5, 1.0, 4.0):
        mu, sigma = generalized.centred(rough, k**-0.5)
        shape = 1 / (sigma * np.sqrt(k))
        found.append({"scale": np.exp(mu - np.log(k) / shape), "shape": shape, "k": k})
    return found


def start(times: Times) -> dict:
    """The likeliest of them."""
    return generalized.best(times, SURVIVAL, PARAMS, candidates)


def mean(scale: np.ndarray, shape: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Scale Gamma(k + 1 / shape) / Gamma(k)."""
    return scale * np.exp(_log_moment(1.0, shape, k))


def variance(scale: np.ndarray, shape: np.ndarray, k: np.ndarray) -> np.ndarray:
    """mean^2 (E T^2 / (E T)^2 - 1)."""
    one, two = _log_moment(1.0, shape, k), _log_moment(2.0, shape, k)
    return np.square(scale * np.exp(one)) * np.expm1(two - 2 * one)


def _log_moment(power: float, shape: np.ndarray, k: np.ndarray) -> np.ndarray:
    b = power / np.asarray(shape, dtype=float)
    return generalized_f.log_ratio(np.asarray(k, dtype=float), b) + b * np.log(k)


def simulate(
    rng: np.random.Generator, scale: np.ndarray, shape: np.ndarray, k: np.ndarray
) -> np.ndarray:
    """Draw times; one too small for a number becomes the smallest positive one."""
    scale, shape, k = np.broadcast_arrays(scale, shape, k)
    log_x = generalized.log_gamma_draw(rng, k) + np.log(k)
    return np.maximum(scale * np.exp(log_x / shape), np.finfo(float).tiny)


def priors(times: Times) -> dict[str, Prior]:
    """The shape of all times together, and k = 1, up to a factor of three or so."""
    return {"shape": shape_prior(times), "k": Prior("lognormal", mu=0.0, sigma=1.0)}


SURVIVAL = generalized.survival(line, quantile)

FAMILY = Family(
    "gengamma_orig",
    params=PARAMS,
    location="scale",
    links=("log",),
    survival=SURVIVAL,
    start=start,
    mean=mean,
    variance=variance,
    simulate=simulate,
    priors=priors,
    collapse=("shape", 1),
    support="positive times",
    units={"scale": 1, "shape": 0, "k": 0},
    equation=(
        r"f(t) = \frac{a\, t^{a k - 1}}{b^{a k} \Gamma(k)} e^{-(t / b)^a},\ "
        r"a = \mathrm{shape},\ b = \mathrm{scale}"
    ),
    source="Stacy (1962), Annals of Mathematical Statistics 33, 1187-1192",
    example={"scale": 1.5, "shape": 1.3, "k": 1.7},
)
