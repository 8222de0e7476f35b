"""Components of two sets of parameters matched by how they classify the same units."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from bayesmix.model import MixtureSpec


def best_order(spec: MixtureSpec, mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Assignment within the symmetric sets that maximises sum of mine * other."""
    overlap = mine.T @ np.nan_to_num(other)
    order = np.arange(spec.k)
    for members in spec.layout.symmetric:
        at = np.array(members)
        mine_at, other_at = linear_sum_assignment(-overlap[np.ix_(at, at)])
        order[at[mine_at]] = at[other_at]
    return order
