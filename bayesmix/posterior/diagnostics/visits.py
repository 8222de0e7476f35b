"""The modes to which chains came, and those to which none did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
from scipy import special

from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.labels import relabel
from bayesmix.posterior.mode import Mode

# Modes with less of the mass are not looked at, and a draw is at a mode when it is in
# the part of Laplace's approximation with so much of it.
LEAST, INSIDE = 0.001, 0.99
# Memberships looked at for each mode, and how many draws these are at least and at most.
EFFORT, DRAWS = 4_000_000, (50, 1000)
# A chain is often at a mode where it has so many of its draws; chains together are there
# in earnest where they have this part of the draws that its mass would give it.
OFTEN, PART = 0.05, 0.05


class Visits(NamedTuple):
    """Where chains came.

    `unvisited`: numbers of the modes at which no chain began and no draw is, or where a
    chain apart began and was often before it went over to the others, which hardly came.
    `places`, one for each chain apart: -1 where it goes over to modes at which the other
    chains are, or they to its; else its place, called by the lowest number of the modes
    between which chains of that place go.
    """

    unvisited: tuple[int, ...]
    places: tuple[int, ...]


def visits(
    problem: Problem,
    modes: Sequence[Mode],
    begun: np.ndarray,
    theta: np.ndarray,
    begun_apart: Sequence[int] | np.ndarray = (),
    apart: np.ndarray | None = None,
) -> Visits:
    """Which modes chains visited.

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
    begun_apart : sequence of int
        The same for separate chains.
    apart : ndarray, shape (chain apart, draw, D), optional
    """
    listed = [m for m, mode in enumerate(modes) if mode.share > LEAST]
    if set(listed) <= set(begun):
        return Visits((), (-1,) * len(begun_apart))
    seen = _shares(problem, modes, listed, theta)
    home = {m for m, share in seen.items() if share > PART * modes[m].share} | set(begun)
    chains = zip(begun_apart, () if apart is None else apart, strict=True)
    went = [{int(m): 0.0} | _shares(problem, modes, listed, chain) for m, chain in chains]
    often = [{m for m, share in each.items() if share > OFTEN} for each in went]
    trips = [many | {m} for many, m in zip(often, begun_apart, strict=True)]
    places = _places(home, trips)
    joined = [place < 0 for place in places]
    late = set().union(*compress(often, joined)) - home
    came = set(begun).union(seen, *went) - late
    return Visits(tuple(m for m in listed if m not in came), places)


def _places(home: set[int], trips: list[set[int]]) -> tuple[int, ...]:
    """The lowest mode of the place of each trip; -1 for those joined to `home`."""
    joined = [set(home)]
    for trip in trips:
        met = [place for place in joined if place & trip]
        joined = [place for place in joined if not place & trip] + [trip.union(*met)]
    of = [next(place for place in joined if place & trip) for trip in trips]
    return tuple(-1 if place & home else min(place) for place in of)


def _shares(
    problem: Problem, modes: Sequence[Mode], listed: list[int], theta: np.ndarray
) -> dict[int, float]:
    """The share of the draws (..., D) that are at each of the modes where there are any."""
    flat = theta.reshape(-1, theta.shape[-1])
    fewest, most = DRAWS
    size = min(most, max(fewest, EFFORT // (problem.n_units * problem.spec.k)))
    some = flat[:: max(1, -(-len(flat) // size))]
    distance = np.array([_squared_distance(problem, modes[m], some) for m in listed])
    height = [np.log(modes[m].share) - np.linalg.slogdet(modes[m].factor)[1] for m in listed]
    nearest = (np.array(height)[:, None] - 0.5 * distance).argmax(0)
    radius = special.chdtri(len(modes[0].factor), 1 - INSIDE)
    inside = distance[nearest, np.arange(len(some))] < radius
    found, counts = np.unique(nearest[inside], return_counts=True)
    return {listed[i]: float(n) / len(some) for i, n in zip(found, counts, strict=True)}


def _squared_distance(problem: Problem, mode: Mode, theta: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances (T,) of draws from a mode, labels apart."""
    near = relabel(problem, theta, "pivot", mode=mode.theta).theta
    free = problem.spec.free
    z = np.linalg.solve(mode.factor, (near - mode.theta)[:, free].T)
    return np.square(z).sum(0)
