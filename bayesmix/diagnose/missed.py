"""Modes of the posterior to which no chain came."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from bayesmix.labels import relabel
from bayesmix.modes import Mode
from bayesmix.problem import Problem

__all__ = ["unvisited"]

# Modes with less of the mass are not looked at, and a draw is at a mode when it is in
# the part of Laplace's approximation with so much of it.
LEAST, INSIDE = 0.001, 0.99
# Memberships looked at for each mode, and how many draws these are at least and at most.
EFFORT, DRAWS = 4_000_000, (50, 1000)


def unvisited(
    problem: Problem, modes: Sequence[Mode], begun: np.ndarray, theta: np.ndarray
) -> tuple[int, ...]:
    """Numbers of the modes at which no chain began and no draw is.

    Draws are compared with a mode's normal approximation after their components are
    brought into the order that overlaps most with its memberships; each is counted at
    the mode that is most probable for it.

    Parameters
    ----------
    problem : Problem
    modes : sequence of Mode
    begun : ndarray of int, shape (chain,)
        The mode at which each chain began.
    theta : ndarray, shape (chain, draw, D)
    """
    listed = [m for m, mode in enumerate(modes) if mode.share > LEAST]
    missing = [m for m in listed if m not in begun]
    if not missing:
        return ()
    flat = theta.reshape(-1, theta.shape[-1])
    fewest, most = DRAWS
    size = min(most, max(fewest, EFFORT // (problem.n_units * problem.spec.k)))
    some = flat[:: max(1, -(-len(flat) // size))]
    distance = np.array([_squared_distance(problem, modes[m], some) for m in listed])
    height = [np.log(modes[m].share) - np.linalg.slogdet(modes[m].factor)[1] for m in listed]
    nearest = (np.array(height)[:, None] - 0.5 * distance).argmax(0)
    radius = stats.chi2.ppf(INSIDE, len(modes[0].factor))
    inside = distance[nearest, np.arange(len(some))] < radius
    there = {listed[i] for i in set(nearest[inside])}
    return tuple(m for m in missing if m not in there)


def _squared_distance(problem: Problem, mode: Mode, theta: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (T,) of draws from a mode, labels apart."""
    near = relabel(problem, theta, "pivot", mode=mode.theta).theta
    free = problem.spec.free
    z = np.linalg.solve(mode.factor, (near - mode.theta)[:, free].T)
    return np.square(z).sum(0)
