"""How many components have units: drawn allocations, counted."""

from __future__ import annotations

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.labels.draws import membership_batches

__all__ = ["filled_counts"]


def filled_counts(problem: Problem, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number of components to which at least one unit is allocated, at every draw.

    Every unit is allocated once by its memberships p_us; a unit of case weight w as
    often as w copies of it, w rounded to a whole number and one at least.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (..., D)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (...)
    """
    flat = theta.reshape(-1, theta.shape[-1])
    out = np.empty(len(flat), int)
    for draws, _, p in membership_batches(problem, flat):
        out[draws] = _has_units(problem, p, rng).sum(1)
    return out.reshape(theta.shape[:-1])


def _has_units(problem: Problem, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which components have units, (R, S), by memberships p (R, S, U)."""
    has = np.zeros(p.shape[:2], bool)
    if problem.weight is None:
        top = np.cumsum(p, axis=1)
        component = (top < rng.random(top[:, -1:].shape) * top[:, -1:]).sum(1)
        has[np.arange(len(p))[:, None], component] = True
        return has
    counted = problem.weight > 0
    copies = np.maximum(1, np.rint(problem.weight[counted])).astype(int)
    share = p[:, :, counted].swapaxes(1, 2)
    share = share / share.sum(2, keepdims=True)
    return rng.multinomial(copies, share).any(1)
