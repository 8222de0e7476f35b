"""The modes of a posterior density, and how much of its mass each one holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayesmix.em.run import Options, make_starts, maximise
from bayesmix.errors import FitError
from bayesmix.information import information
from bayesmix.params import permute
from bayesmix.problem import Problem
from bayesmix.result.fitted import canonical_order

__all__ = ["Mode", "find_modes"]

SAME = 1e-3


@dataclass(frozen=True)
class Mode:
    """A mode of the density of theta.

    Parameters
    ----------
    theta : ndarray, shape (D,)
        Held parameters at their values.
    log_density : float
    factor : ndarray, shape (f, f)
        A square root L of the inverse curvature in the free parameters, L L' = H^-1.
    log_mass : float
        Laplace's estimate of the log mass around it.
    share : float
        Its share of the mass of all modes found.
    """

    theta: np.ndarray
    log_density: float
    factor: np.ndarray
    log_mass: float
    share: float


def find_modes(
    problem: Problem, first: np.ndarray, n_starts: int, rng: np.random.Generator
) -> tuple[Mode, ...]:
    """Modes that differ beyond labels, by decreasing mass.

    Parameters
    ----------
    problem : Problem
        With the priors as its penalty.
    first : ndarray, shape (m, D)
        Where to start, such as point fits; random starts follow.
    n_starts : int
        Number of random starts.
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If no start ends at a proper mode.
    """
    starts = [first] if n_starts < 1 else [first, make_starts(problem, n_starts, rng)]
    outcome = maximise(problem, np.vstack(starts), Options())
    good = np.flatnonzero(outcome.status == "converged")
    if not len(good):
        msg = (
            "no start ended at a mode of the posterior: its density may be unbounded or flat. "
            "Use proper priors (not 'flat'), or a simpler model"
        )
        raise FitError(msg)
    found: list[tuple[np.ndarray, float]] = []
    for r in good[np.argsort(-outcome.loglik[good])]:
        theta = outcome.theta[r]
        theta = permute(problem.spec.layout, theta, canonical_order(problem.spec, theta))
        value = float(outcome.loglik[r])
        if not any(_same(theta, value, other) for other in found):
            found.append((theta, value))
    return _weigh(problem, found)


def _same(theta: np.ndarray, value: float, other: tuple[np.ndarray, float]) -> bool:
    near = np.abs(theta - other[0]) <= SAME * (1 + np.abs(other[0]))
    return bool(near.all()) and abs(value - other[1]) < 1e-4


def _weigh(problem: Problem, found: list[tuple[np.ndarray, float]]) -> tuple[Mode, ...]:
    free = np.flatnonzero(problem.spec.free)
    modes: list[Mode] = []
    for theta, value in found:
        matrix = information(problem, theta[None]).matrix[0][np.ix_(free, free)]
        values, vectors = np.linalg.eigh(matrix)
        if values[0] > 0:
            log_mass = value + 0.5 * (len(free) * np.log(2 * np.pi) - np.log(values).sum())
            modes.append(Mode(theta, value, vectors / np.sqrt(values), float(log_mass), np.nan))
    if not modes:
        msg = "the posterior is flat around its mode: the data and priors do not determine it"
        raise FitError(msg)
    masses = np.array([m.log_mass for m in modes])
    shares = np.exp(masses - masses.max())
    shares /= shares.sum()
    order = np.argsort(-shares, kind="stable")
    return tuple(replace(modes[i], share=float(shares[i])) for i in order)
