"""Linear dependence between the columns of a design."""

from __future__ import annotations

import numpy as np

_CLEAR = 1e-6  # reciprocal condition of the columns' products from which none is dependent
_TOLERANCE = 1e-7  # R's, for a column's part that the others do not explain
_CONSTANT = 1e-12  # a column's spread relative to its size below which it is constant
_BLOCK = 8192


def rank_deficiency(matrix: np.ndarray, terms: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Find the sets of linearly dependent columns.

    Columns are compared after centering (where one of them is constant) and scaling, so
    neither the units of a covariate nor its distance from zero count.

    Parameters
    ----------
    matrix : ndarray, shape (n, p)
    terms : tuple of str, length p

    Returns
    -------
    tuple of tuple of str
        For every redundant column its name and those it depends on, in the order of the
        columns; () where the columns are independent.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0])
    >>> rank_deficiency(np.column_stack([x, x**2, 3 * x]), ("x", "z", "w"))
    (('x', 'w'),)
    """
    p = matrix.shape[1]
    if p == 0 or _independent(matrix):
        return ()
    constant = _constant_column(matrix)
    order = [constant, *(j for j in range(p) if j != constant)] if constant >= 0 else list(range(p))
    triangle = _triangle(matrix, order)
    size = np.linalg.norm(triangle, axis=0)
    first = int(constant >= 0)
    rest = triangle[first:, first:]
    spread = np.linalg.norm(rest, axis=0)
    flat = spread <= _CONSTANT * size[first:]
    scaled = np.divide(rest, spread, out=np.zeros_like(rest), where=~flat)
    scale = np.where(flat, 1.0, spread)
    sets = []
    for j, others in _dependent(scaled):
        members = {first + j, *(first + k for k in others)}
        if first and _needs_constant(triangle, j, others, scaled, scale, size):
            members.add(0)
        sets.append(tuple(terms[i] for i in sorted(order[m] for m in members)))
    return tuple(sorted(sets, key=lambda s: [terms.index(t) for t in s]))


@np.errstate(all="ignore")  # what is out of range is not clear
def _independent(matrix: np.ndarray) -> bool:
    """Whether the columns, scaled, are so far from dependent that their products show it."""
    from scipy.linalg.lapack import dpocon, dpotrf

    products = matrix.T @ matrix
    size = np.sqrt(products.diagonal())
    factor, failed = dpotrf(products / size / size[:, None])
    return not failed and bool(dpocon(factor, float(len(size)))[0] > _CLEAR)


def _constant_column(matrix: np.ndarray) -> int:
    """Position of the first constant column other than zero, or -1."""
    candidates = ((matrix[0] == matrix[-1]) & (matrix[0] != 0)).nonzero()[0].tolist()
    return next((j for j in candidates if (matrix[:, j] == matrix[0, j]).all()), -1)


def _triangle(matrix: np.ndarray, order: list[int]) -> np.ndarray:
    """Triangular factor (p, p) of the ordered columns by their sizes, block of rows after block."""
    from scipy.linalg.lapack import dgeqrf

    p = len(order)
    factor = np.zeros((0, p))
    largest = np.maximum(matrix.max(0, initial=0.0), -matrix.min(0, initial=0.0))
    unit = np.ldexp(1.0, -np.frexp(largest)[1])[order]  # no square overflows, nothing is rounded
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK, order] * unit
        below = block if start == 0 else np.vstack([factor, block])
        factor = np.triu(dgeqrf(below)[0][:p])
    return factor if len(factor) == p else np.vstack([factor, np.zeros((p - len(factor), p))])


def _dependent(scaled: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Find the redundant columns, each with those of the others that make it up."""
    from scipy.linalg.lapack import dgeqp3

    if scaled.shape[1] == 0:
        return []
    r, pivots = dgeqp3(scaled)[:2]  # R in the upper triangle; columns counted from one
    pivots -= 1
    rank = int((np.abs(np.diag(r)) > _TOLERANCE).sum())
    if rank == len(pivots):
        return []
    from scipy.linalg import solve_triangular

    weights = solve_triangular(r[:rank, :rank], r[:rank, rank:]) if rank else np.zeros((0, 1))
    return [
        (int(j), pivots[:rank][np.abs(weights[:, k if rank else 0]) > np.sqrt(_TOLERANCE)])
        for k, j in enumerate(pivots[rank:])
    ]


def _needs_constant(
    triangle: np.ndarray,
    j: int,
    others: np.ndarray,
    scaled: np.ndarray,
    scale: np.ndarray,
    size: np.ndarray,
) -> bool:
    """Whether the dependence of column j on the others holds only up to a constant."""
    mean = triangle[0, 1 + j] / scale[j]
    if len(others):
        weights = np.linalg.lstsq(scaled[:, others], scaled[:, j], rcond=None)[0]
        mean -= triangle[0, 1 + others] / scale[others] @ weights
    return bool(abs(mean) > np.sqrt(_TOLERANCE) * size[1 + j] / scale[j])
