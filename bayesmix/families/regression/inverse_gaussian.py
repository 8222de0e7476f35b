"""Inverse Gaussian family by mean and shape: the variance is mu^3 / shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import HALF_LOG_2PI, Linked


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-log(y)."""
    return -np.log(y)


def log_tails(obs: Observed, mu: Linked, shape: Linked) -> tuple[Array, Array]:
    """Phi(a) + exp(2 shape / mu) Phi(-b) and Phi(-a) less that, a and b = r (y / mu -+ 1).

    With r = sqrt(shape / y); Shuster (1968), Journal of the American Statistical Association 63.
    """
    root, ratio = xp.exp(0.5 * (shape.log + obs.const)), xp.exp(-obs.const - mu.log)
    a, b = root * (ratio - 1.0), root * (ratio + 1.0)
    far = 2.0 * xp.exp(shape.log - mu.log) + xp.log_ndtr(-b)
    upper = xp.log_ndtr(-a)
    gap = xp.clip(far - upper, upper=-1e-300)
    return xp.logaddexp(xp.log_ndtr(a), far), upper + xp.log1mexp(gap)


def kernel_term(ops: Any) -> Term:
    """Give the density at the logarithm of the mean; const = -log(y)."""
    exp, exp_both, pick = ops.exp, ops.exp_both, ops.pick

    def term(y: float, const: float, eta: float, log_shape: float) -> tuple[float, ...]:
        w = -const - eta
        w = pick(w < 350.0, w, 350.0)
        ratio, excess = exp_both(pick(w > -700.0, w, -700.0))  # y / mu, and less one
        root = exp(0.5 * log_shape)  # of the least shapes too a number that keeps its digits
        x, r = root * excess, root * ratio / y
        half, slope = 0.5 * (x * x / y), x * r
        return (
            0.5 * log_shape - half + 1.5 * const - HALF_LOG_2PI,
            slope, 0.5 - half,
            root * r, 0.5,
            root * r * (ratio + excess), -slope, half,
        )  # fmt: skip

    return term


def _pooled_shape(y: np.ndarray) -> float:
    """ML of all responses together: 1 / mean(1 / y - 1 / mean)."""
    spread = float(np.mean(1 / y)) - 1 / float(np.mean(y))
    return 1 / spread if spread > 0 else float(np.mean(y))


def start(y: np.ndarray) -> dict:
    """Each response or their mean, if that is larger; the shape of all together.

    A scoring step from a mean m below the response y changes log(m) by y / m - 1: too much.
    """
    mean = float(np.mean(y))
    return {
        "mu": np.maximum(y, mean),
        "shape": float(np.clip(_pooled_shape(y), 1e-3 * mean, 1e6 * mean)),
    }


def simulate(rng: np.random.Generator, mu: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Draw responses; one too small for a number becomes the smallest positive one.

    The smaller root of a quadratic equation or the larger one, without cancellation: Michael,
    Schucany and Haas (1976), The American Statistician 30, 88-90.
    """
    mu, shape = np.clip(mu, 1e-300, 1e300), np.clip(shape, 1e-300, 1e300)
    size = np.broadcast_shapes(mu.shape, shape.shape)
    w = np.minimum(rng.chisquare(1, size) * (0.5 * mu / shape), 1e307)
    ratio = 1 + w + np.sqrt(w) * np.sqrt(w + 2)
    small = rng.random(size) * (ratio + 1) < ratio
    with np.errstate(over="ignore"):  # of what is not drawn, or beyond all numbers
        return np.maximum(np.where(small, mu / ratio, mu * ratio), np.finfo(float).tiny)


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Twice the shape of all responses together, up to a factor of four or so."""
    return {"shape": Prior("lognormal", mu=float(np.log(2 * _pooled_shape(y))), sigma=1.5)}


FAMILY = Family(
    "inverse_gaussian",
    params={"mu": "log", "shape": "log"},
    location="mu",
    links=("log", "inverse", "identity"),
    start=start,
    mean=lambda mu, shape: mu,
    variance=lambda mu, shape: mu**3 / shape,
    log_tails=log_tails,
    simulate=simulate,
    valid=lambda y: y > 0,
    support="positive numbers",
    bounds={"mu": (0.0, np.inf)},
    constant=constant,
    priors=priors,
    units={"mu": 1, "shape": 1},
    collapse=("shape", 1),
    kernel=Kernel("inverse_gaussian", kernel_term, reads=("y", "const"), parameters=2, link="log"),
    pymc=lambda pm, mu, shape: pm.Wald.dist(mu=mu, lam=shape),
    equation=(
        r"f(y) = \sqrt{\frac{\lambda}{2\pi y^3}} "
        r"\exp\left\{-\frac{\lambda (y-\mu)^2}{2\mu^2 y}\right\},\ \lambda = \mathrm{shape}"
    ),
    source="Tweedie (1957), Annals of Mathematical Statistics 28, 362-377",
    example={"mu": 2.5, "shape": 4.0},
)
