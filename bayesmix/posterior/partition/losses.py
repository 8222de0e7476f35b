r"""Losses of a partition, and what is expected of them over the posterior.

* Binder (1978, Biometrika 65, 31-38), here as the share of pairs on which two
  partitions disagree.  Over the posterior it is the mean over pairs of
  |1{c_i = c_j} - P_ij|, exactly.
* The variation of information H(c) + H(z) - 2 I(c, z), in bits (Meila 2007, J.
  Multivariate Anal. 98, 873-895).  Its expectation needs the draws; Wade and
  Ghahramani (2018, Bayesian Analysis 13, 559-626) minimise in its place what
  Jensen's inequality gives when the logarithm and the expectation change places,

      1/n sum_i [log2 sum_j 1{c_j = c_i} + log2 sum_j P_ij
                 - 2 log2 sum_j P_ij 1{c_j = c_i}].

Both criteria are means over units of a function of the size of the unit's cluster, of
own_i = sum_j P_ij 1{c_j = c_i}, and of total_i = sum_j P_ij.
"""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

__all__ = [
    "binder",
    "canonical",
    "expected_binder",
    "expected_variation",
    "unit_losses",
    "variation_bound",
    "variation_of_information",
]

# Entries of the contingency tables made at once.
BLOCK = 1 << 22


def canonical(labels: np.ndarray) -> np.ndarray:
    """Clusters numbered 0, 1, ... by their first unit."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which.reshape(-1)]


def contingency(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Units in each cluster of one partition (U,) and of several others (T, U): (T, K, M)."""
    k, m = int(labels.max()) + 1, int(others.max()) + 1
    codes = (np.arange(len(others))[:, None] * k + labels) * m + others
    return np.bincount(codes.ravel(), minlength=len(others) * k * m).reshape(-1, k, m)


def binder(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pairs that are together in one partition and apart in the other.

    One minus Rand's index: (sum_k n_k.^2 + sum_m n_.m^2 - 2 sum_km n_km^2) / (n (n - 1)).

    Parameters
    ----------
    a, b : ndarray of int, shape (U,)
    """
    n = len(a)
    counts = contingency(canonical(a), canonical(b)[None])[0].astype(float)
    apart = (counts.sum(1) ** 2).sum() + (counts.sum(0) ** 2).sum() - 2 * (counts**2).sum()
    return float(apart / (n * (n - 1))) if n > 1 else 0.0


def variation_of_information(a: np.ndarray, b: np.ndarray) -> float:
    """H(a) + H(b) - 2 I(a, b) = 2 H(a, b) - H(a) - H(b), in bits.

    Parameters
    ----------
    a, b : ndarray of int, shape (U,)
    """
    return float(_variations(canonical(a), canonical(b)[None])[0])


def _variations(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    share = contingency(labels, others) / len(labels)
    joint = -xlogy(share, share).sum((1, 2))
    rows, columns = share.sum(2), share.sum(1)
    own = -xlogy(rows, rows).sum(1) - xlogy(columns, columns).sum(1)
    return np.maximum(0.0, (2 * joint - own) / np.log(2))


def expected_variation(labels: np.ndarray, allocations: np.ndarray) -> float:
    """Mean variation of information to the partitions of the draws, in bits.

    Parameters
    ----------
    labels : ndarray of int, shape (U,)
    allocations : ndarray of int, shape (T, U)
    """
    labels = canonical(labels)
    size = max(1, BLOCK // len(labels))
    parts = range(0, len(allocations), size)
    return float(
        np.concatenate([_variations(labels, allocations[a : a + size]) for a in parts]).mean()
    )


def unit_losses(
    loss: str, own: np.ndarray, size: np.ndarray, total: np.ndarray, n: int
) -> np.ndarray:
    """Every unit's part of a criterion, which is the mean of them.

    Parameters
    ----------
    loss : str
        "binder" or "vi".
    own : ndarray, shape (..., U)
        Similarity of the units to their own clusters, themselves included.
    size : ndarray, shape (..., U)
        Sizes of their clusters.
    total : ndarray, shape (..., U)
        Their similarity to all units.
    n : int
        Number of all units.
    """
    if loss == "binder":
        return (total + size - 2 * own) / max(1, n - 1)
    return np.log2(size) + np.log2(total) - 2 * np.log2(own)


def own_and_size(labels: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of the units to their own clusters, and the clusters' sizes, (U,) each."""
    own = np.array([row[labels == k].sum() for row, k in zip(similarity, labels, strict=True)])
    return own, np.bincount(labels)[labels]


def criterion(loss: str, labels: np.ndarray, similarity: np.ndarray) -> float:
    """What is minimised, for one partition."""
    own, size = own_and_size(canonical(labels), similarity)
    return float(unit_losses(loss, own, size, similarity.sum(1), len(labels)).mean())


def expected_binder(labels: np.ndarray, similarity: np.ndarray) -> float:
    """Posterior expectation of Binder's loss, the mean over pairs of |1{c_i = c_j} - P_ij|.

    Parameters
    ----------
    labels : ndarray of int, shape (U,)
    similarity : ndarray, shape (U, U)
    """
    return criterion("binder", labels, similarity)


def variation_bound(labels: np.ndarray, similarity: np.ndarray) -> float:
    """Wade and Ghahramani's criterion for the variation of information, in bits.

    Parameters
    ----------
    labels : ndarray of int, shape (U,)
    similarity : ndarray, shape (U, U)
    """
    return criterion("vi", labels, similarity)
