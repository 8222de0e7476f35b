"""Poisson family."""

from __future__ import annotations

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.links import Linked


def is_count(y: np.ndarray) -> np.ndarray:
    """Whether each response is 0, 1, 2, ..."""
    return (y >= 0) & (y == np.floor(y)) & np.isfinite(y)


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-log(y!)."""
    return -special.gammaln(y + 1)


def density(obs: Observed, mu: Linked) -> Array:
    """Y log(mu) - mu - log(y!)."""
    return xp.times(obs.y, mu.log) - mu.value + obs.const


def closed_form(obs: Observed, mu: Linked) -> Derivatives | None:
    """Derivatives in eta = log(mu)."""
    if mu.link.name != "log":
        return None
    value = mu.value
    return Derivatives(obs.y * mu.eta - value + obs.const, (obs.y - value,), ((-value,),))


def curvature(obs: Observed, mu: Linked) -> tuple[np.ndarray, ...]:
    """Expected information: slope^2 / mu."""
    return (mu.value if mu.link.name == "log" else np.exp(2 * mu.log_slope - mu.log),)


def start(y: np.ndarray) -> dict:
    """Each response, moved towards positive values."""
    return {"mu": y + 0.1}


FAMILY = Family(
    "poisson",
    params={"mu": "log"},
    location="mu",
    density=density,
    closed_form=closed_form,
    curvature=curvature,
    start=start,
    mean=lambda mu: mu,
    simulate=lambda rng, mu: rng.poisson(mu).astype(float),
    valid=is_count,
    support="counts 0, 1, 2, ...",
    bounds={"mu": (0.0, np.inf)},
    constant=constant,
    kernel_link="log",
    equation=r"f(y) = \mu^y e^{-\mu} / y!",
    source="McCullagh and Nelder (1989), chapter 6",
    example={"mu": 3.2},
)
