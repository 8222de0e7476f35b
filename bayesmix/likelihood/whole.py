"""Second derivatives where a family gives the log density of a cluster's rows together.

Two rows of a cluster have a second derivative in common.  With sums T of the rows, whose slopes in
the location's coefficients are A_t = sum_i t'_i x_i,

    d2 log f / db db'   = sum_t F_t sum_i t''_i x_i x_i' + sum_tu F_tu A_t A_u'
    d2 log f / db dphi' = sum_t F_t,phi A_t
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.families import Observed
from bayesmix.families.links import Linked
from bayesmix.families.whole import Parts, Whole, clusters_of
from bayesmix.likelihood.problem import Arrays, Chunk, Slot, products, square


class Together(NamedTuple):
    """A family's density of rows together in a chunk: its rows, parameters and derivatives."""

    whole: Whole
    obs: Observed
    linked: tuple[Linked, ...]
    parts: Parts


def component_information(
    given: Together,
    arrays: Arrays,
    slots: tuple[Slot, ...],
    r: np.ndarray,
    chunk: Chunk,
    matrix: np.ndarray,
) -> None:
    """Add the exact expected complete-data information of a family's components.

    Parameters
    ----------
    given : Together
        With all second derivatives.
    arrays : Arrays
    slots : tuple of Slot
        The location's, which has the design, then constants.
    r : ndarray, shape (R, m, n)
        Weighted responsibilities.
    chunk : Chunk
    matrix : ndarray, shape (R, D, D)
    """
    parts = given.parts
    weight = clusters_of(given.obs).first_of(r)
    block, sums = _location(given, arrays, r, weight, chunk)
    m, p = len(parts.sums), arrays.matrix.shape[1]
    for (i, j), bend in parts.bends.items():
        if i < m:
            continue
        here = p + i - m
        if j < m:
            crossed = -_weighted(weight * bend, sums[j])
            block[..., :p, here] += crossed
            block[..., here, :p] += crossed
        else:
            there = p + j - m
            block[..., here, there] = block[..., there, here] = -(weight * bend).sum(-1)
    scatter(slots, block, matrix)


def add_scoring(
    given: Together,
    arrays: Arrays,
    slots: tuple[Slot, ...],
    r: np.ndarray,
    chunk: Chunk,
    matrix: np.ndarray,
) -> None:
    """Add a positive matrix for ascent steps: the location's information, and the dispersions'.

    The latter is the expected one where the family gives it, else the sum of squared scores: the
    same in expectation, and never indefinite (Berndt, Hall, Hall and Hausman 1974).

    Parameters
    ----------
    given, arrays, slots, r, chunk, matrix
        As of `component_information`.
    """
    parts = given.parts
    weight = clusters_of(given.obs).first_of(r)
    block, _ = _location(given, arrays, r, weight, chunk)
    p = arrays.matrix.shape[1]
    if parts.expected is None:
        shape = np.broadcast_shapes(*(f.shape for f in parts.phi), weight.shape)
        scores = np.stack([np.broadcast_to(f, shape) for f in parts.phi], axis=-2)
        block[..., p:, p:] = (scores * weight[..., None, :]) @ np.swapaxes(scores, -1, -2)
    for (i, j), value in (parts.expected or {}).items():
        block[..., p + i, p + j] = block[..., p + j, p + i] = (weight * value).sum(-1)
    scatter(slots, block, matrix)


def _location(
    given: Together, arrays: Arrays, r: np.ndarray, weight: np.ndarray, chunk: Chunk
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """The location's information in matrices (R, m, F, F), and slopes (..., P, C) of the sums."""
    whole, obs, linked, parts = given
    at, x = clusters_of(obs), arrays.matrix[chunk.rows]
    slopes, bends = whole.row_slopes(obs, linked[0])
    used = {i for pair in parts.bends for i in pair}
    sums = {i: at.sums(slopes[i][..., None, :] * x.T) for i in range(len(slopes)) if i in used}
    own = np.zeros(1)
    for f, bend in zip(parts.sums, bends, strict=True):
        if bend.any():
            own = own - at.to_rows(f) * bend
    p = x.shape[1]
    size = p + len(parts.phi)
    block = np.zeros((*r.shape[:2], size, size))
    block[..., :p, :p] = square(arrays, products(arrays, r * own, chunk.rows))
    for (i, j), bend in parts.bends.items():
        if max(i, j) < len(slopes) and bend.any():
            part = _products(-weight * bend, sums[i], sums[j])
            block[..., :p, :p] += part if i == j else part + np.swapaxes(part, -1, -2)
    return block, sums


def _weighted(weight: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Sums (R, m, P) over clusters of weights (R, m, C) times (..., P, C)."""
    if sums.ndim == 2:
        return weight @ sums.T
    return (weight[..., None, :] @ np.swapaxes(sums, -1, -2))[..., 0, :]


def _products(weight: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sums (R, m, P, P) over clusters of weights (R, m, C) times products of (..., P, C)."""
    if one.ndim == other.ndim == 2:
        return (weight @ (one[:, None] * other).reshape(-1, one.shape[-1]).T).reshape(
            *weight.shape[:-1], len(one), len(other)
        )
    return (weight[..., None, :] * one) @ np.swapaxes(other, -1, -2)


def scatter(
    slots: tuple[Slot, ...],
    block: np.ndarray,
    matrix: np.ndarray,
    score: np.ndarray | None = None,
    total: np.ndarray | None = None,
) -> None:
    """Put the components' matrices (R, m, F, F), and scores (R, m, F), into those of theta."""
    index = np.concatenate([slot.index for slot in slots], axis=1)
    for m, row in enumerate(index):
        has = np.flatnonzero(row >= 0)
        at = row[has]
        matrix[:, at[:, None], at] += block[:, m, has[:, None], has]
        if score is not None and total is not None:
            total[:, at] += score[:, m, has]
