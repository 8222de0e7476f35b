"""Gaussian family."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import HALF_LOG_2PI, Linked


def log_tails(obs: Observed, mu: Linked, sigma: Linked) -> tuple[Array, Array]:
    """Log Phi(z) and log Phi(-z), z = (y - mu) / sigma."""
    z = (obs.y - mu.value) / sigma.value
    return xp.log_ndtr(z), xp.log_ndtr(-z)


def start(y: np.ndarray) -> dict:
    """The mean and the standard deviation of all responses."""
    spread = float(np.std(y))
    return {"mu": float(np.mean(y)), "sigma": spread if spread > 0 else 1.0}


def simulate(rng: np.random.Generator, mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Draw responses."""
    return rng.normal(mu, sigma)


def kernel_term(ops: Any) -> Term:
    """Give the normal density; the statistic is the squared residual."""
    exp = ops.exp

    def term(y: float, mu: float, log_sigma: float) -> tuple[float, ...]:
        # A division a row takes as long as all the rest: one serves all rows.
        inverse = exp(-log_sigma)
        residual = y - mu
        z = residual * inverse
        square = z * z
        slope = z * inverse
        precision = inverse * inverse
        return (
            -HALF_LOG_2PI - log_sigma - 0.5 * square,
            slope, square - 1.0,
            precision, 2.0,
            residual * residual,
            precision, 2.0 * slope, 2.0 * square,
        )  # fmt: skip

    return term


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Half the responses' standard deviation, up to a factor of e or so.

    A lognormal density vanishes faster than any power at zero: a component cannot
    collapse on a few responses.
    """
    return {"sigma": Prior("lognormal", mu=float(np.log(0.5 * (np.std(y) or 1.0))), sigma=1.0)}


FAMILY = Family(
    "gaussian",
    discrete=False,
    params={"mu": "identity", "sigma": "log"},
    location="mu",
    links=("identity", "log", "inverse"),
    start=start,
    mean=lambda mu, sigma: mu,
    variance=lambda mu, sigma: sigma**2,
    log_tails=log_tails,
    simulate=simulate,
    pymc=lambda pm, mu, sigma: pm.Normal.dist(mu, sigma),
    kernel=Kernel("gaussian", kernel_term, parameters=2, statistic=True),
    priors=priors,
    collapse=("sigma", -1),
    units={"mu": "response", "sigma": 1},
    equation=r"f(y) = \frac{1}{\sigma\sqrt{2\pi}} \exp\{-(y-\mu)^2 / (2\sigma^2)\}",
    source="McCullagh and Nelder (1989), section 2.2",
    example={"mu": 0.7, "sigma": 1.3},
)
