"""Gamma family by mean and shape: the variance is mu^2 / shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays.generalized_f import log_lower, log_upper
from bayesmix.arrays.special import stirling
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import Linked

HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)
# Linear predictors beyond it are taken for it.
HUGE = 1e150


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-log(y)."""
    return -np.log(y)


def density(obs: Observed, mu: Linked, shape: Linked) -> Array:
    """Shape (w - expm1(w)) - log(y) + log(shape / (2 pi)) / 2 - S(shape), w = log(y / mu).

    This is the usual density with log Gamma(shape) by Stirling's formula and its
    remainder S, so that nothing large cancels when the shape is large.
    """
    w = -obs.const - mu.log
    normaliser = 0.5 * shape.log - xp.stirling(shape.value) - HALF_LOG_2PI
    deviance = xp.where(w < 700.0, w - xp.expm1(w), -np.inf)
    return shape.value * deviance + normaliser + obs.const


def closed_form(obs: Observed, mu: Linked, shape: Linked) -> Derivatives | None:
    """Derivatives in (eta, log shape) for the log and the inverse link."""
    if mu.link.name not in ("log", "inverse"):
        return None
    a = shape.value
    s = stirling(a)
    w = -obs.const - mu.log
    excess = np.expm1(w)  # y / mu - 1
    deviance = a * (w - excess)
    if mu.link.name == "log":
        eta_first, eta_second = a * excess, -a * np.exp(w)
    else:
        eta_first, eta_second = -a * excess / mu.eta, -a / np.square(mu.eta)
    return Derivatives(
        deviance + (0.5 * shape.log - s.value - HALF_LOG_2PI) + obs.const,
        (eta_first, deviance + (0.5 - s.scaled1)),
        ((eta_second, eta_first), (eta_first, deviance - (s.scaled1 + s.scaled2))),
    )


def log_tails(obs: Observed, mu: Linked, shape: Linked) -> tuple[Array, Array]:
    """Of w = sqrt(shape) log(y / mu), a standard log gamma variable with Q = 1 / sqrt(shape)."""
    half = xp.clip(0.5 * shape.log, -300.0, 300.0)
    w, q = xp.exp(half) * (-obs.const - mu.log), xp.exp(-half)
    return log_lower(w, q, None), log_upper(w, q, None)


def curvature(obs: Observed, mu: Linked, shape: Linked) -> tuple[np.ndarray, ...]:
    """Expected information: shape slope^2 / mu^2, and shape^2 psi'(shape) - shape."""
    location = shape.value * np.exp(2 * (mu.log_slope - mu.log))
    return location, 0.5 + stirling(shape.value).scaled2


def kernel_term(ops: Any) -> Term:
    """Give the gamma density at the logarithm of the mean; const = -log(y)."""
    exp, expm1, stirling = ops.exp, ops.expm1, ops.stirling

    def term(const: float, eta: float, log_shape: float) -> tuple[float, ...]:
        a = exp(log_shape)
        remainder, first, second = stirling(a)
        w = -const - eta
        w = w if w > -HUGE else -HUGE
        excess = expm1(w if w < 700.0 else 700.0)  # y / mu - 1
        deviance = a * (w - excess)
        normaliser = 0.5 * log_shape - remainder - HALF_LOG_2PI
        residual = a * excess
        return (
            (-math.inf if w >= 700.0 else deviance + normaliser + const),
            residual, deviance + 0.5 - first,
            a, 0.5 + second,
            a + residual, -residual, first + second - deviance,
        )  # fmt: skip

    return term


def _pooled_shape(y: np.ndarray) -> float:
    """Mean^2 / variance of all responses, from y / max(y) so that no square overflows."""
    scaled = y / np.max(y)
    variance = float(np.var(scaled))
    return float(np.mean(scaled)) ** 2 / variance if variance > 0 else 1.0


def start(y: np.ndarray) -> dict:
    """Each response; the shape from the mean and variance of all."""
    shape = _pooled_shape(y)
    return {"mu": y, "shape": float(np.clip(shape, 0.1, 1e4))}


def simulate(rng: np.random.Generator, mu: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw responses; one too small for a number becomes the smallest positive one."""
    return np.maximum(rng.gamma(shape, mu / shape), np.finfo(float).tiny)


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Twice the shape of all responses together, up to a factor of four or so."""
    return {"shape": Prior("lognormal", mu=float(np.log(2 * _pooled_shape(y))), sigma=1.5)}


def tails(y: np.ndarray, mu: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y)."""
    scaled = shape * np.maximum(y, 0.0) / mu
    return special.gammainc(shape, scaled), special.gammaincc(shape, scaled)


FAMILY = Family(
    "gamma",
    discrete=False,
    params={"mu": "log", "shape": "log"},
    location="mu",
    links=("log", "identity", "inverse"),
    density=density,
    closed_form=closed_form,
    curvature=curvature,
    start=start,
    mean=lambda mu, shape: mu,
    variance=lambda mu, shape: mu**2 / shape,
    tails=tails,
    log_tails=log_tails,
    simulate=simulate,
    valid=lambda y: y > 0,
    support="positive numbers",
    bounds={"mu": (0.0, np.inf)},
    constant=constant,
    priors=priors,
    collapse=("shape", 1),
    timed="gamma",
    units={"mu": 1, "shape": 0},
    kernel=Kernel("gamma", kernel_term, reads=("const",), parameters=2, link="log"),
    equation=r"f(y) = \frac{(a/\mu)^a}{\Gamma(a)} y^{a-1} e^{-a y/\mu},\ a = \mathrm{shape}",
    source="McCullagh and Nelder (1989), chapter 8",
    example={"mu": 2.5, "shape": 3.0},
)
