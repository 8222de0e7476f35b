"""What a run of NUTS is asked for and what it gives; where its chains begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmix.modes import Mode
from bayesmix.problem import Problem

__all__ = ["ACCEPT", "LEAST_SHARE", "Chains", "Settings", "first_draw", "jitter", "share_chains"]

LEAST_SHARE = 0.01
JITTER = 0.3
# Of the Stan project, and nutpie's own.
ACCEPT = 0.8


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Parameters
    ----------
    draws : int
        Kept draws of a chain.
    tune, chains, seed : int
    progress : bool
    thin : int
        Every which draw is kept; a chain makes draws * thin.
    accept : float
        The mean probability of acceptance to which steps are tuned: closer to one, they
        are shorter and reach into narrower regions.
    """

    draws: int
    tune: int
    chains: int
    seed: int
    progress: bool
    thin: int = 1
    accept: float = ACCEPT


@dataclass(frozen=True)
class Chains:
    """Draws of theta (chain, draw, D) with the sampler's statistics.

    `log_density` (chain, draw); `stats` by name, each (chain, draw); `mode` (chain,), the
    mode at which a chain began.
    """

    theta: np.ndarray
    log_density: np.ndarray
    stats: dict[str, np.ndarray]
    mode: np.ndarray


def share_chains(modes: tuple[Mode, ...], chains: int) -> list[int]:
    """Chains that begin at every mode, in proportion to its share of the mass.

    A mode of a few percent gets no chain of its own: pooled with the others it
    would count for much more than its mass.  `Posterior.modes` lists it.
    """
    wanted = np.array([m.share if m.share > LEAST_SHARE else 0.0 for m in modes])
    wanted = wanted / wanted.sum() * chains
    counts = np.floor(wanted).astype(int)
    rest = np.argsort(-(wanted - counts), kind="stable")
    counts[rest[: chains - counts.sum()]] += 1
    return counts.tolist()


def jitter(size: int, rng: np.random.Generator) -> np.ndarray:
    """Where a chain begins, in the coordinates of its mode."""
    return JITTER * rng.standard_normal(size)


def first_draw(problem: Problem, mode: Mode, rng: np.random.Generator) -> np.ndarray:
    """Where a chain begins, as theta (D,)."""
    theta = mode.theta.copy()
    theta[problem.spec.free] += mode.factor @ jitter(len(mode.factor), rng)
    return theta
