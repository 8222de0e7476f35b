"""Where columns are and how far they spread, rows counted by their case weights."""

from __future__ import annotations

import numpy as np

__all__ = ["as_copies", "column_spread", "row_weight", "weighted_mean", "weighted_sd"]

# Values farther from the median than so many robust standard deviations are moved there.
REACH = 3.0
ROBUST = 1.4826
# Copies of weighted rows that are made where a family looks at its response.
MOST_COPIES = 100_000


def row_weight(weight: np.ndarray | None, codes: np.ndarray) -> np.ndarray | None:
    """Case weights of rows (n,) from those of units (U,) and the unit of each row."""
    return None if weight is None else weight[codes]


def weighted_mean(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Means over the first axis."""
    return np.average(x, axis=0, weights=weight)


def weighted_sd(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Standard deviations over the first axis."""
    return np.sqrt(weighted_mean(np.square(x - weighted_mean(x, weight)), weight))


def column_spread(matrix: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Standard deviations of columns without the pull of outliers, (p,).

    Values farther than three robust standard deviations (1.4826 times the median
    absolute deviation) from a column's median are moved to there first.  Columns with
    one value in at least half of the rows, such as zero-one ones, stay as they are.

    Parameters
    ----------
    matrix : ndarray, shape (n, p)
    weight : ndarray, shape (n,), or None
    """
    clipped = np.array(matrix, float)
    for j, x in enumerate(matrix.T):
        middle = _median(x, weight)
        reach = REACH * ROBUST * _median(np.abs(x - middle), weight)
        if reach > 0:
            clipped[:, j] = np.clip(x, middle - reach, middle + reach)
    return weighted_sd(clipped, weight)


def _median(x: np.ndarray, weight: np.ndarray | None) -> float:
    if weight is None:
        return float(np.median(x))
    order = np.argsort(x, kind="stable")
    total = np.cumsum(weight[order])
    half = total[-1] / 2
    ends = [np.searchsorted(total, half, side=side) for side in ("left", "right")]
    return float(np.mean(x[order][np.minimum(ends, len(x) - 1)]))


def as_copies(weight: np.ndarray | None) -> np.ndarray | slice:
    """Positions of rows, each as often as its weight says.

    Exact for whole weights with a sum of at most 100,000; else the nearest whole
    numbers of copies with that sum.

    Parameters
    ----------
    weight : ndarray, shape (n,), or None
    """
    if weight is None:
        return slice(None)
    total = weight.sum()
    if (weight == np.rint(weight)).all() and total <= MOST_COPIES:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    ends = np.rint(np.cumsum(weight) * (MOST_COPIES / total)).astype(int)
    return np.repeat(np.arange(len(weight)), np.diff(ends, prepend=0))
