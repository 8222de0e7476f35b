"""What each chain says of the memberships."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.labels.draws import mean_weights, membership_batches

__all__ = ["Chains", "chain_memberships"]

# Memberships looked at in each chain, and how many draws these are at least and at most.
EFFORT = 20_000_000
DRAWS = (20, 200)


class Chains(NamedTuple):
    """Memberships by chain, from evenly spaced draws.

    `mean` (chain, S, U): mean memberships.
    `drift` (chain,): mean over units of the total variation between the mean
    memberships of a chain's two halves.
    `rows` (chain, S): rows that a component holds, sum_u w_u n_u p_us, or that its
    weight gives it, whatever is less.
    `distance` (chain, S, S): mean over draws of the total variation between the units
    of two components, 1/2 sum_u |p_us / sum p_s - p_ut / sum p_t|: 0 when every unit
    belongs to them in the same proportion, 1 when they share none.
    """

    mean: np.ndarray
    drift: np.ndarray
    rows: np.ndarray
    distance: np.ndarray


def unit_weight(problem: Problem) -> np.ndarray:
    """Weights of the units (U,), ones where there are none."""
    return np.ones(problem.n_units) if problem.weight is None else problem.weight


def chain_memberships(problem: Problem, theta: np.ndarray) -> Chains:
    """Summaries of the memberships in each chain.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (chain, draw, D)
        Relabelled.
    """
    fewest, most = DRAWS
    size = EFFORT // (problem.n_units * problem.spec.k)
    step = max(1, theta.shape[1] // min(most, max(fewest, size)))
    parts = [_one_chain(problem, chain[::step]) for chain in theta]
    return Chains(*(np.array(column) for column in zip(*parts, strict=True)))


def _one_chain(
    problem: Problem, theta: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    k, w = problem.spec.k, unit_weight(problem)
    n_rows = np.ones(problem.n_units)
    if problem.first is not None:
        n_rows = np.diff(np.append(problem.first, problem.n_rows))
    halves = np.zeros((2, k, problem.n_units))
    distance = np.zeros((k, k))
    middle = len(theta) // 2
    for draws, _, p in membership_batches(problem, theta):
        first = max(0, min(middle - draws.start, len(p)))
        halves[0] += p[:first].sum(0)
        halves[1] += p[first:].sum(0)
        distance += _distances(p * w)
    mean = halves.sum(0) / len(theta)
    drift = 0.0
    if middle:
        drift = variation(halves[0] / middle, halves[1] / (len(theta) - middle), w)
    rows = w * n_rows
    by_weight = rows.sum() * mean_weights(problem.spec, theta).mean(0)
    return mean, drift, np.minimum(mean @ rows, by_weight), distance / len(theta)


def variation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    """Mean over units of the total variation between memberships (S, U)."""
    return float(np.abs(a - b).sum(0) @ weight / (2 * weight.sum()))


def _distances(weighted: np.ndarray) -> np.ndarray:
    """Total variation between the units of every two components, summed over draws."""
    total = weighted.sum(2, keepdims=True)
    share = weighted / np.where(total > 0, total, 1.0)
    k = share.shape[1]
    out = np.zeros((k, k))
    for s in range(k):
        for t in range(s):
            out[s, t] = out[t, s] = np.abs(share[:, s] - share[:, t]).sum() / 2
    return out
