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

from bayesmix.errors import FitError

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


def _variations(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    share = contingency(labels, others) / len(labels)
    joint = -xlogy(share, share).sum((1, 2))
    rows, columns = share.sum(2), share.sum(1)
    own = -xlogy(rows, rows).sum(1) - xlogy(columns, columns).sum(1)
    return np.maximum(0.0, (2 * joint - own) / np.log(2))


def distances(loss: str, labels: np.ndarray, allocations: np.ndarray) -> np.ndarray:
    """The distance of a partition to that of each draw, (T,).

    Parameters
    ----------
    loss : str
        "vi", in bits, or "binder", the share of pairs.
    labels : ndarray of int, shape (U,)
    allocations : ndarray of int, shape (T, U)
    """
    labels = canonical(labels)
    if loss == "binder":
        return np.array([binder(labels, other) for other in allocations])
    size = max(1, BLOCK // len(labels))
    parts = range(0, len(allocations), size)
    return np.concatenate([_variations(labels, allocations[a : a + size]) for a in parts])


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
    """What is minimised, for one partition (U,) and similarities (U, U); of "vi" in bits."""
    own, size = own_and_size(canonical(labels), similarity)
    return float(unit_losses(loss, own, size, similarity.sum(1), len(labels)).mean())


# More units than this need too large a matrix; above SINGLE it is kept in single precision.
MOST_UNITS = 20_000
SINGLE = 4_000


def similarity(memberships: np.ndarray) -> np.ndarray:
    """Posterior similarities P_ij = P(z_i = z_j | data).

    Parameters
    ----------
    memberships : ndarray, shape (T, U, S)
        P_ij = mean_t sum_s p_tis p_tjs, as units are independent given the parameters, and
        P_ii = 1 (Binder 1978, Biometrika 65, 31-38, of drawn components).

    Returns
    -------
    ndarray, shape (U, U)

    Raises
    ------
    FitError
        If there are too many units for a matrix.
    """
    n_draws, n_units, k = memberships.shape
    if n_units > MOST_UNITS:
        raise FitError(
            f"{n_units} units have a similarity matrix of {n_units**2 * 4 / 1e9:.1f} GB; at most "
            f"{MOST_UNITS} units are allowed. Take the most probable component of each unit, or "
            "a sample of the units, memberships[:, sample]"
        )
    out = np.zeros((n_units, n_units), np.float64 if n_units <= SINGLE else np.float32)
    width = max(1, BLOCK // n_units)
    size = max(1, BLOCK // (n_units * k))
    for first in range(0, n_draws, size):
        z = memberships[first : first + size].swapaxes(1, 2).reshape(-1, n_units).astype(out.dtype)
        for a in range(0, n_units, width):
            out[a : a + width, a:] += z[:, a : a + width].T @ z[:, a:]
    for a in range(0, n_units, width):
        some = slice(a, a + width)
        out[some, a:] /= n_draws
        out[a:, some] = out[some, a:].T
    np.fill_diagonal(out, 1.0)
    return out
