"""Components of two sets of parameters matched by how they classify the same units."""

from __future__ import annotations

import itertools

import numpy as np

from bayesmix.model import MixtureSpec

Symmetric = tuple[tuple[int, ...], ...]

# Sets of up to this many components try all their permutations at once.
ENUMERATED = 4


def identity(n_draws: int, k: int) -> np.ndarray:
    """Orders (T, S) that change nothing."""
    return np.tile(np.arange(k), (n_draws, 1))


def assign(cost: np.ndarray, symmetric: Symmetric) -> np.ndarray:
    """The order of least cost of every draw.

    Minimises sum_j cost[t, j, order[t, j]] over the orders within the symmetric
    sets, each set by itself since the cost is a sum over places.

    Parameters
    ----------
    cost : ndarray, shape (T, S, S)
        Cost of putting old component s at place j, at [t, j, s].
    symmetric : tuple of tuple of int

    Returns
    -------
    ndarray of int, shape (T, S)
        Among equal costs of a small set the order nearest to the present one.
    """
    orders = identity(*cost.shape[:2])
    for members in symmetric:
        at = np.array(members)
        if len(at) == 1:
            continue
        part = cost[:, at[:, None], at]
        if len(at) <= ENUMERATED:
            every = np.array(list(itertools.permutations(range(len(at)))))
            best = part[:, np.arange(len(at)), every].sum(-1).argmin(1)
            orders[:, at] = at[every[best]]
        else:
            from scipy.optimize import linear_sum_assignment

            orders[:, at] = [at[linear_sum_assignment(one)[1]] for one in part]
    return orders


def best_order(spec: MixtureSpec, mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Assignment within the symmetric sets that maximises sum of mine * other."""
    overlap = mine.T @ np.nan_to_num(other)
    return assign(-overlap[None], spec.layout.symmetric)[0]
