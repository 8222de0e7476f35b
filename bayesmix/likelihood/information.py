"""The exact observed information of a mixture and the scores of its units.

I = complete-data information - missing information, with the latter the
covariance of the complete-data scores under the responsibilities (Louis 1982,
JRSS B 44, 226-233).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bayesmix.likelihood.densities import EVERY, by_unit, join, log_weights, to_rows, weighted_sum
from bayesmix.likelihood.passes import (
    Evaluated,
    complete_information,
    evaluate,
    normal_information,
    scatter_alpha,
)
from bayesmix.likelihood.problem import Chunk, Problem, chunks
from bayesmix.model import MixtureSpec

# A membership above which a unit is one component's, and a share of others that is most.
CLEAR = 1 - 1e-12
MOST_OPEN = 0.5


class Information(NamedTuple):
    """`loglik` (R,), `score` (R, D) and the observed information `matrix` (R, D, D)."""

    loglik: np.ndarray
    score: np.ndarray
    matrix: np.ndarray


def information(problem: Problem, theta: np.ndarray) -> Information:
    """Log-likelihood, score and exact observed information, without priors.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    """
    size = problem.spec.layout.size
    loglik = np.zeros(len(theta))
    score = np.zeros((len(theta), size))
    matrix = np.zeros((len(theta), size, size))
    per_row = len(theta) * max(problem.spec.k, size)
    sums: dict[Any, Any] = {}
    normals: dict[Any, Evaluated] = {}
    for chunk in chunks(problem, per_row):
        unit_loglik, unit_score, part = _unit_information(problem, theta, chunk, sums, normals)
        loglik += weighted_sum(problem, unit_loglik, chunk)
        score += weighted_sum(problem, unit_score, chunk)
        matrix += part
    for key, piece in normals.items():
        normal_information(piece, sums[key], matrix)
    return Information(loglik, score, matrix)


def unit_scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Score of every unit's log-likelihood, (U, D), at one theta (D,)."""
    out = np.empty((problem.n_units, problem.spec.layout.size))
    for chunk in chunks(problem, max(problem.spec.k, problem.spec.layout.size)):
        out[chunk.units] = _unit_information(problem, theta[None], chunk)[1][0].T
    return out


def _unit_information(
    problem: Problem,
    theta: np.ndarray,
    chunk: Chunk,
    sums: dict[Any, Any] | None = None,
    normals: dict[Any, Evaluated] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a chunk: log-likelihood (R, units), scores (R, D, units), information (R, D, D).

    With `sums` the complete-data information of normal columns is left out: their sums are added
    there, and to `normals` what they are of.
    """
    whole = _joint_information(problem, theta, chunk, sums=sums, normals=normals)
    if not problem.truncated:
        return whole
    seen = _joint_information(problem, theta, chunk, entry=True)
    return whole[0] - seen[0], whole[1] - seen[1], whole[2] - seen[2]


def _joint_information(
    problem: Problem,
    theta: np.ndarray,
    chunk: Chunk,
    *,
    entry: bool = False,
    sums: dict[Any, Any] | None = None,
    normals: dict[Any, Evaluated] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of the mixture of densities, or of survivals to the entries."""
    spec = problem.spec
    n_starts, size = len(theta), spec.layout.size
    logf, pieces = evaluate(problem, theta, chunk, entry=entry)
    log_pi = log_weights(problem, theta, chunk)
    loglik, resp = join(None if entry else problem.allowed, logf, log_pi, chunk)
    weight = None if problem.weight is None else problem.weight[chunk.units]
    r = resp if weight is None else resp * weight
    matrix = np.zeros((n_starts, size, size))
    n_units = chunk.units.stop - chunk.units.start
    mean = np.zeros((n_starts, size, n_units))
    rows = to_rows(r, chunk)
    for piece in pieces:
        complete_information(piece, rows, chunk, matrix, sums=sums)
        if normals is not None and piece.normal is not None:
            normals[piece.arrays.number, piece.group.key] = piece
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    # Units that belong to one component miss no information: their products cancel.
    open_ = np.flatnonzero((resp.max(1) < CLEAR).any(0))
    some: Any = slice(None) if len(open_) > MOST_OPEN * n_units else open_
    root = None if weight is None else np.sqrt(weight[some])
    for s in range(spec.k):
        at, g = _component_scores(problem, pieces, s, theta, z, chunk)
        if not len(at):
            continue
        share = resp[:, s, None]
        for j, scores in zip(at, np.moveaxis(g * share, 1, 0), strict=True):
            mean[:, j] += scores
        own = g[..., some] * np.sqrt(share[..., some])
        own = own if root is None else own * root
        matrix[:, at[:, None], at] -= own @ np.swapaxes(own, 1, 2)
    left = mean[..., some] if root is None else mean[..., some] * root
    matrix += left @ np.swapaxes(left, 1, 2)
    alpha_score, alpha_info = spec.weights.score_information(resp, log_pi, z, weight)
    scatter_alpha(spec, alpha_score, alpha_info, np.zeros((n_starts, size)), matrix)
    _alpha_mean(spec, resp, log_pi, z, mean)
    return loglik, mean, matrix


def _member(values: np.ndarray, m: int) -> np.ndarray:
    return (
        values[:, m]
        if values.ndim == 3 and values.shape[1] > 1
        else values.reshape(values.shape[0], values.shape[-1])
    )


def _as_they_are(values: np.ndarray) -> np.ndarray:
    return values


def _component_scores(
    problem: Problem,
    pieces: list[Evaluated],
    s: int,
    theta: np.ndarray,
    z: np.ndarray | None,
    chunk: Chunk,
) -> tuple[np.ndarray, np.ndarray]:
    """Entries of theta that component s uses, and its units' scores there (R, m, units)."""
    where: list[np.ndarray] = []
    values: list[np.ndarray] = []
    n_units = chunk.units.stop - chunk.units.start
    for piece in pieces:
        group = piece.group
        if s not in group.members or not piece.etas:
            continue
        m = int(np.searchsorted(group.members, s))
        if piece.normal is not None:
            at, g = _normal_scores(piece, m, chunk)
            where.append(at)
            values.append(by_unit(g, chunk))
            continue
        n = chunk.rows.stop - chunk.rows.start
        rows, at_rows = EVERY if piece.table is not None else chunk.rows, _as_they_are
        if piece.table is not None:
            at_rows = partial(piece.table.spread, rows=chunk.rows)
        first = [np.broadcast_to(at_rows(_member(f, m)), (len(theta), n)) for f in piece.d.first]
        for slot, f in zip(group.slots, first, strict=True):
            if slot.constant:
                where.append(slot.index[m])
                values.append(by_unit(f[:, None], chunk))
            elif len(slot.has[m]):
                x = at_rows(piece.arrays.matrix[rows][:, slot.has[m]].T)
                where.append(slot.at[m])
                values.append(by_unit(f[:, None] * x, chunk))
    at, alpha = problem.spec.weights.component_scores(s, theta, z)
    if len(at):
        where.append(at)
        values.append(np.broadcast_to(alpha, (len(theta), len(at), n_units)))
    if not where:
        return np.empty(0, int), np.empty((len(theta), 0, n_units))
    return np.concatenate(where), np.concatenate(values, axis=1)


def _normal_scores(piece: Evaluated, m: int, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """The same of a component of normal columns, by row."""
    assert piece.normal is not None
    assert piece.normal.slopes is not None
    slopes, x = piece.normal.slopes[:, m], piece.arrays.matrix[chunk.rows]
    index = np.concatenate([slot.index[m] for slot in piece.group.slots])
    if x.shape[1] != 1 or (x != 1).any():
        q = piece.normal.at.structure.q
        means = (slopes[:, :q, None] * x.T).reshape(len(slopes), -1, len(x))
        slopes = np.concatenate([means, slopes[:, q:]], axis=1)
    has = index >= 0
    return index[has], slopes if has.all() else slopes[:, has]


def _alpha_mean(
    spec: MixtureSpec,
    resp: np.ndarray,
    log_pi: np.ndarray,
    z: np.ndarray | None,
    mean: np.ndarray,
) -> None:
    """Put the units' scores in alpha, (r - pi) z, in the place of their working form."""
    has, at = spec.weights.places
    if len(has):
        scores = spec.weights.unit_scores(resp, log_pi, z)
        mean[:, at] = scores.reshape(len(scores), -1, scores.shape[-1])[:, has]
