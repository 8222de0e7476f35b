"""Log-likelihoods and memberships of units at many draws."""

from __future__ import annotations

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.labels import membership_batches

__all__ = ["mean_membership", "unit_log_likelihood"]


def unit_log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of every unit at every draw, (T, U), times the unit's case weight.

    The unit's component is integrated out; theta is (T, D).
    """
    out = np.empty((len(theta), problem.n_units))
    for draws, loglik, _ in membership_batches(problem, theta):
        out[draws] = loglik
    if problem.weight is None:
        return out
    return np.where(problem.weight > 0, out * problem.weight, 0.0)


def mean_membership(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the draws of the memberships, each (U, S)."""
    total = np.zeros((problem.n_units, problem.spec.k))
    square = np.zeros_like(total)
    for _, _, resp in membership_batches(problem, theta):
        total += resp.sum(0).T
        square += np.square(resp).sum(0).T
    mean = total / len(theta)
    return mean, np.sqrt(np.maximum(square / len(theta) - mean**2, 0.0))
