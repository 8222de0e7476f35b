"""The options and the result of a run of NUTS; where its chains begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.drawn import Apart
from bayesmix.posterior.mode import LEAST_SHARE, Mode
from bayesmix.sampling.ranges import Opened

JITTER = 0.3
# Of the Stan project, and nutpie's own.
ACCEPT = 0.8


class Saved(Protocol):
    """Where the parts of a run are kept, so that a run that was ended goes on from them."""

    def get(self, part: str) -> dict[str, np.ndarray] | None:
        """The arrays of a part by name; None where it was not made yet."""
        ...

    def put(self, part: str, values: Mapping[str, np.ndarray]) -> None:
        """Keep a part."""
        ...


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
    saved : Saved, optional
        Chains are then drawn in rounds, each of which is kept there.
    """

    draws: int
    tune: int
    chains: int
    seed: int
    progress: bool
    thin: int = 1
    accept: float = ACCEPT
    saved: Saved | None = None


@dataclass(frozen=True)
class Chains:
    """Draws of theta (chain, draw, D) with the sampler's statistics.

    `log_density` (chain, draw); `stats` by name, each (chain, draw); `mode` (chain,), the
    mode at which a chain began; `pooled` chains come first, those apart after them.
    `interrupted`: Ctrl-C ended the run, and these are the draws so far.
    """

    theta: np.ndarray
    log_density: np.ndarray
    stats: dict[str, np.ndarray]
    mode: np.ndarray
    pooled: int
    interrupted: bool = False

    def part(self, some: slice) -> Apart:
        """Some of the chains, as they were drawn."""
        theta, stats = self.theta[some], {name: v[some] for name, v in self.stats.items()}
        return Apart(theta, theta, self.log_density[some], stats, self.mode[some])


def share_chains(modes: tuple[Mode, ...], chains: int) -> list[int]:
    """Chains that begin at every mode, in proportion to its share of the mass.

    A mode of a few percent gets none of them: pooled with the others it would count
    for much more than its mass.  `modes_apart` has it.
    """
    wanted = np.array([m.share if m.share > LEAST_SHARE else 0.0 for m in modes])
    wanted = wanted / wanted.sum() * chains
    counts = np.floor(wanted).astype(int)
    rest = np.argsort(-(wanted - counts), kind="stable")
    counts[rest[: chains - counts.sum()]] += 1
    return counts.tolist()


def modes_apart(modes: tuple[Mode, ...], chains: int) -> tuple[int, ...]:
    """Modes with some of the mass at which sharing lets no chain begin, by number.

    One chain more begins at each of them and is not pooled with the others.  They are
    the heaviest such modes, and no more than there are chains.
    """
    shared = share_chains(modes, chains)
    left = [m for m, mode in enumerate(modes) if mode.share > LEAST_SHARE and not shared[m]]
    return tuple(sorted(left, key=lambda m: -modes[m].share)[:chains])


def beginnings(modes: tuple[Mode, ...], chains: int, apart: Sequence[int]) -> list[tuple[int, int]]:
    """Modes by number and how many chains begin there: those to be pooled, then those apart."""
    shared = enumerate(share_chains(modes, chains))
    return [(m, count) for m, count in shared if count] + [(m, 1) for m in apart]


def jitter(size: int, rng: np.random.Generator) -> np.ndarray:
    """Where a chain begins, in the coordinates of its mode."""
    return JITTER * rng.standard_normal(size)


def first_draw(problem: Problem, mode: Mode, rng: np.random.Generator) -> np.ndarray:
    """Where a chain begins, as theta (D,)."""
    ends = Opened.of(problem)
    opened = ends.mode(mode)
    theta = opened.theta.copy()
    theta[problem.spec.free] += opened.factor @ jitter(len(opened.factor), rng)
    return ends.theta(theta)
