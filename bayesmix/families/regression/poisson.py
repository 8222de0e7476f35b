"""Poisson family."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term

# Beyond it a mean is infinite.
LARGEST = 709.782712893384


def is_count(y: np.ndarray) -> np.ndarray:
    """Whether each response is 0, 1, 2, ..."""
    return (y >= 0) & (y == np.floor(y)) & np.isfinite(y)


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-log(y!)."""
    return -special.gammaln(y + 1)


def start(y: np.ndarray) -> dict:
    """Each response, moved towards positive values."""
    return {"mu": y + 0.1}


def kernel_term(ops: Any) -> Term:
    """Give the Poisson probability at the logarithm of the mean."""
    exp, pick = ops.exp, ops.pick

    def term(y: float, const: float, eta: float) -> tuple[float, ...]:
        # Derivatives are those of the largest finite mean where the probability is 0.
        mean = exp(pick(eta < LARGEST, eta, LARGEST))
        # -inf * 0 would be NaN: a count of zero has log probability -mean whatever eta is.
        count_part = pick(y == 0.0, 0.0, y * eta)
        logf = pick(eta > LARGEST, -math.inf, count_part - mean + const)
        return logf, y - mean, mean, mean

    return term


def draw_counts(rng: np.random.Generator, mu: np.ndarray) -> np.ndarray:
    """Draw counts; above 1e15 the normal limit, which doubles cannot tell apart.

    An infinite mean gives infinite counts.
    """
    mu = np.asarray(mu, dtype=float)
    small = mu < 1e15
    counts = rng.poisson(np.where(small, mu, 0.0)).astype(float)
    if small.all():
        return counts
    large = np.where(np.isinf(mu), 0.0, mu)
    normal = np.rint(large + np.sqrt(large) * rng.standard_normal(mu.shape))
    return np.where(small, counts, np.where(np.isinf(mu), mu, normal))


def tails(y: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y)."""
    count = np.floor(y)
    none, count = count < 0, np.maximum(count, 0.0)
    lower, upper = special.pdtr(count, mu), special.pdtrc(count, mu)
    return np.where(none, 0.0, lower), np.where(none, 1.0, upper)


FAMILY = Family(
    "poisson",
    discrete=True,
    params={"mu": "log"},
    location="mu",
    links=("log", "identity", "inverse"),
    start=start,
    mean=lambda mu: mu,
    variance=lambda mu: mu,
    tails=tails,
    simulate=draw_counts,
    pymc=lambda pm, mu: pm.Poisson.dist(mu),
    valid=is_count,
    support="counts 0, 1, 2, ...",
    bounds={"mu": (0.0, np.inf)},
    constant=constant,
    kernel=Kernel("poisson", kernel_term, reads=("y", "const"), link="log"),
    equation=r"f(y) = \mu^y e^{-\mu} / y!",
    source="McCullagh and Nelder (1989), chapter 6",
    example={"mu": 3.2},
)
