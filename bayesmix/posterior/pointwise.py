"""Log-likelihoods and memberships of units at many draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmix.likelihood import join, log_densities, log_weights
from bayesmix.problem import Problem, chunks

__all__ = ["mean_membership", "memberships", "unit_log_likelihood"]

BATCH = 1 << 19


def _batches(problem: Problem, n_draws: int) -> Iterator[slice]:
    size = max(1, BATCH // max(problem.n_rows * problem.spec.k, 1))
    for a in range(0, n_draws, size):
        yield slice(a, min(a + size, n_draws))


def _terms(
    problem: Problem, theta: np.ndarray
) -> Iterator[tuple[slice, slice, np.ndarray, np.ndarray]]:
    """Draws, units, their log-likelihoods (R, units) and responsibilities (R, S, units)."""
    for part in _batches(problem, len(theta)):
        some = theta[part]
        for chunk in chunks(problem, len(some) * problem.spec.k):
            logf = log_densities(problem, some, chunk)
            log_pi = log_weights(problem, some, chunk, None)
            loglik, resp = join(problem, logf, log_pi, chunk)
            yield part, chunk.units, loglik, resp


def unit_log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of every unit at every draw, (T, U), times the unit's case weight.

    The unit's component is integrated out; theta is (T, D).
    """
    out = np.empty((len(theta), problem.n_units))
    for part, units, loglik, _ in _terms(problem, theta):
        out[part, units] = loglik
    if problem.weight is None:
        return out
    return np.where(problem.weight > 0, out * problem.weight, 0.0)


def memberships(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """P(component | data, theta) of every unit at every draw, (T, U, S)."""
    out = np.empty((len(theta), problem.n_units, problem.spec.k))
    for part, units, _, resp in _terms(problem, theta):
        out[part, units] = np.swapaxes(resp, 1, 2)
    return out


def mean_membership(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the draws of the memberships, each (U, S)."""
    total = np.zeros((problem.n_units, problem.spec.k))
    square = np.zeros_like(total)
    for _, units, _, resp in _terms(problem, theta):
        total[units] += resp.sum(0).T
        square[units] += np.square(resp).sum(0).T
    mean = total / len(theta)
    return mean, np.sqrt(np.maximum(square / len(theta) - mean**2, 0.0))
