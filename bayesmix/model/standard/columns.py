"""Columns of a design made orthogonal, as far as others can absorb the change."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np

# Columns among which a constant is looked for, and how well they have to make it up.
MOST_COLUMNS = 200
CONSTANT = 1e-9


class Turned(NamedTuple):
    """Orthogonal columns X' = X T: `matrix` (n, P), `turn` T (P, P), `rank` (P,) their order."""

    matrix: np.ndarray
    turn: np.ndarray
    rank: np.ndarray


def absorbing(predictors: list[np.ndarray], free: np.ndarray) -> np.ndarray:
    """Whether column i can take over a multiple of column j, (P, P).

    Every component with j has i, a coefficient that is not held, and components that share
    the one of i share that of j.

    Parameters
    ----------
    predictors : list of ndarray of int, each (S, P)
        Entries of theta, -1 for none.
    free : ndarray of bool, shape (D,)
    """
    p = predictors[0].shape[1]
    out, held = np.ones((p, p), bool), np.ones(len(free) + 1, bool)
    held[:-1] = ~free
    for index in predictors:
        has = index >= 0
        fixed = held[index]  # or not there
        apart = (index[:, None] != index).reshape(len(has) ** 2, p)
        together = ~apart & has.repeat(len(has), axis=0)
        out &= ~(fixed.T @ has) & ~(together.T @ apart)
    return out


def orthogonal(
    x: np.ndarray, absorbs: np.ndarray, weight: np.ndarray, kinds: np.ndarray | None = None
) -> Turned:
    """Columns less what others explain of them, of mean square one.

    First a constant, then in the order of their kinds.

    Parameters
    ----------
    x : ndarray, shape (n, P)
    absorbs : ndarray of bool, shape (P, P)
    weight : ndarray, shape (n,) or (1,)
        Sums to one over the rows.
    kinds : ndarray of int, shape (P,), optional
        Whose coefficients belong to single components come first, shared ones last.
    """
    p = x.shape[1]
    kinds = np.zeros(p, int) if kinds is None else kinds
    out = np.array(x.T, float, order="C")
    alike = (j for j in range(p) if len(x) and out[j, 0] and (out[j] == out[j, 0]).all())
    constant = list(islice(alike, 1))
    rest = (j for j in range(p) if j not in constant)
    order = [*constant, *sorted(rest, key=kinds.__getitem__)]
    largest = np.maximum(out.max(1, initial=0.0), -out.min(1, initial=0.0))
    # First by a power of two, without any rounding, so that no square overflows.
    unit = np.ldexp(1.0, np.frexp(largest)[1])
    out /= unit[:, None]
    size = _sizes(out, weight)
    size[constant] = out[constant, 0]  # of one exactly, as kernels have no design for it
    out /= size[:, None]
    # Products of columns are zero, except where one may not absorb the other.
    turn, gram, oblique = np.diag(1 / unit / size), np.eye(p), False
    for place, j in enumerate(order):
        before, apart = (
            [i for i in order[:place] if absorbs[i, j] == may] for may in (True, False)
        )
        if before:
            basis, shares = out[before], np.zeros(len(before))
            for _ in range(2):  # twice is enough
                share = basis.dot(weight * out[j])  # quicker than @ for a few numbers
                share = np.linalg.solve(gram[before][:, before], share) if oblique else share
                out[j] -= share.dot(basis)
                shares += share
            (size,) = _sizes(out[j : j + 1], weight)
            out[j] /= size
            turn[:, j] = (turn[:, j] - turn[:, before].dot(shares)) / size
        if apart:
            gram[apart, j] = gram[j, apart] = out[apart].dot(weight * out[j])
            oblique = True
    rank = np.empty(p, int)
    rank[order] = np.arange(p)
    return Turned(out.T, turn, rank)


def _sizes(columns: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Root mean squares of columns (m, n), one for those of zeros."""
    size = np.sqrt([column.dot(weight * column) for column in columns])
    size[size == 0] = 1.0
    return size


def constant_shares(matrix: np.ndarray, index: np.ndarray) -> np.ndarray | None:
    """Coefficients (P,) of columns (n, P) that make up a constant of one.

    Only columns of all components that have any, by `index` (S, P); None where they do not.
    """
    has = index >= 0
    columns = has[has.any(1)].all(0).nonzero()[0] if has.any() else np.zeros(0, int)
    if not 0 < len(columns) <= MOST_COLUMNS:
        return None
    x = matrix[:, columns]
    out = np.zeros(matrix.shape[1])
    alone = ((x == x[0]).all(0) & (x[0] != 0)).nonzero()[0]
    if len(alone):
        out[columns[alone[0]]] = 1 / x[0, alone[0]]
        return out
    out[columns] = np.linalg.lstsq(x, np.ones(len(x)))[0]
    return out if np.abs(x @ out[columns] - 1).max() < CONSTANT else None
