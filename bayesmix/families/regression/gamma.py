"""Gamma family by mean and shape: the variance is mu^2 / shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.generalized_f import log_lower, log_upper
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import HALF_LOG_2PI, Linked

# Linear predictors beyond it are taken for it.
HUGE = 1e300
# Below it the remainder S(shape) is -log(shape) / 2 and a constant.
LEAST = 1e-300
LOG_LEAST = float(np.log(LEAST))


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-log(y)."""
    return -np.log(y)


def log_tails(obs: Observed, mu: Linked, shape: Linked) -> tuple[Array, Array]:
    """Of w = sqrt(shape) log(y / mu), a standard log gamma variable with Q = 1 / sqrt(shape)."""
    half = xp.clip(0.5 * shape.log, -300.0, 300.0)
    w, q = xp.exp(half) * (-obs.const - mu.log), xp.exp(-half)
    return log_lower(w, q, None), log_upper(w, q, None)


def kernel_term(ops: Any) -> Term:
    """Give the gamma density at the logarithm of the mean; const = -log(y)."""
    exp, exp_both, pick, stirling = ops.exp, ops.exp_both, ops.pick, ops.stirling

    def term(const: float, eta: float, log_shape: float) -> tuple[float, ...]:
        inside = pick(log_shape > LOG_LEAST, log_shape, LOG_LEAST)
        a = exp(inside)
        remainder, first, second = stirling(a)
        w = -const - eta
        w = pick(w > -HUGE, w, -HUGE)
        ratio, excess = exp_both(pick(w < 700.0, w, 700.0))  # y / mu, and less one
        deviance = a * (w - excess)
        normaliser = log_shape - 0.5 * inside - remainder - HALF_LOG_2PI
        residual = a * excess
        return (
            pick(w >= 700.0, -math.inf, deviance + normaliser + const),
            residual, deviance + 0.5 - first,
            a, 0.5 + second,
            a * ratio, -residual, first + second - deviance,
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
    return np.maximum(mu * draw_ratio(rng, mu, shape), np.finfo(float).tiny)


def draw_ratio(rng: np.random.Generator, mu: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw responses over their means: near zero for the smallest shapes, one for the largest."""
    size, shape = np.broadcast_shapes(np.shape(mu), np.shape(shape)), np.clip(shape, LEAST, HUGE)
    return np.maximum(rng.standard_gamma(shape, size) / shape, np.finfo(float).tiny)


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Twice the shape of all responses together, up to a factor of four or so."""
    return {"shape": Prior("lognormal", mu=float(np.log(2 * _pooled_shape(y))), sigma=1.5)}


FAMILY = Family(
    "gamma",
    discrete=False,
    params={"mu": "log", "shape": "log"},
    location="mu",
    links=("log", "identity", "inverse"),
    start=start,
    mean=lambda mu, shape: mu,
    variance=lambda mu, shape: mu**2 / shape,
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
