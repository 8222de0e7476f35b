"""Passes over the rows: responsibilities, scores, and the sums that an EM step needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families import Derivatives, Family, Observed
from bayesmix.families.derivatives import finite
from bayesmix.families.multivariate.normal import (
    Moments,
    Normal,
    completed,
    evaluate_normal,
    exact_information,
    moments_of,
    score_and_scoring,
)
from bayesmix.likelihood.densities import (
    EVERY,
    by_unit,
    join,
    linear_predictors,
    log_weights,
    offset_of,
    to_rows,
    weighted_sum,
)
from bayesmix.likelihood.problem import (
    Arrays,
    Chunk,
    Group,
    Problem,
    Slot,
    Table,
    add_linear,
    chunks,
    products,
    square,
)
from bayesmix.likelihood.whole import Together, add_scoring, component_information, scatter
from bayesmix.model import MixtureSpec

Responsibilities = Callable[[slice, Callable[[], np.ndarray]], np.ndarray]
# Linear predictors (L, n) of the L locations, by block and the key of its response.
Working = dict[tuple[int, str], np.ndarray]


class Squares(NamedTuple):
    """What gives a scale in closed form.

    Weighted squared residuals (R, S) and their weights (R, S), with the component's
    own score (R, S, P) and information (R, S, P, P) in the location's coefficients.
    """

    total: np.ndarray
    rows: np.ndarray
    score: np.ndarray
    gram: np.ndarray


class Pass(NamedTuple):
    """What an EM step needs, for R starts.

    `loglik` (R,); `score` (R, D); `scoring` (R, D, D), a positive semi-definite
    matrix for ascent steps; `mass` (R, S), the weighted sums of responsibilities;
    `squares`, for each block with a closed-form scale its `Squares`, and for normal columns, by
    block and key of the response, their `Moments`.
    """

    loglik: np.ndarray
    score: np.ndarray
    scoring: np.ndarray
    mass: np.ndarray
    squares: dict[Any, Any]


class Evaluated(NamedTuple):
    """A family's log densities in a chunk, with what they were computed from.

    With a `table` they are those of its distinct rows, whatever the chunk.
    """

    arrays: Arrays
    group: Group
    obs: Observed
    etas: tuple[np.ndarray, ...]
    d: Derivatives
    together: Together | None = None
    normal: Normal | None = None
    table: Table | None = None

    def gathered(self, r: np.ndarray, chunk: Chunk) -> tuple[np.ndarray, slice]:
        """Responsibilities (..., n) of a chunk at the rows evaluated, and which of `arrays`."""
        if self.table is None:
            return r, chunk.rows
        return self.table.gathered(r, chunk.rows), EVERY


def evaluate(
    problem: Problem,
    theta: np.ndarray,
    chunk: Chunk,
    working: Working | None = None,
    *,
    entry: bool = False,
    order: int = 3,
) -> tuple[np.ndarray, list[Evaluated]]:
    """As `log_densities`, with the derivatives of every family.

    Of rows that have a density together as far as `order` says, see `families.whole`: 2 is enough
    for an ascent step.  Families whose sums over rows are enough for one leave out those of rows.
    """
    total = np.zeros((len(theta), problem.spec.k, 1))
    pieces = []
    for arrays in problem.blocks:
        observed = arrays.entry if entry else arrays.observed
        if observed is None:
            continue
        logf = np.empty((len(theta), problem.spec.k, chunk.rows.stop - chunk.rows.start))
        for group in arrays.groups:
            table = None if entry else arrays.table(group)
            own, rows = (arrays, chunk.rows) if table is None else (table.arrays, EVERY)
            seen = observed if table is None else own.observed
            obs = seen[group.key].take(rows)
            etas = linear_predictors(own, group, theta, rows)
            # Some have no working response: from coefficients of zero it is their own.
            if working is not None and etas and group.family.by_row:
                at = chunk.rows if table is None else table.distinct.first
                given = working[arrays.number, group.key][:, at]
                located = (np.broadcast_to(x, etas[0].shape) for x in given)
                etas = (*located, *etas[len(given) :])
            with np.errstate(all="ignore"):
                piece = _evaluated(own, group, obs, etas, order)
            found = piece.d.logf
            logf[:, group.members] = found if table is None else table.spread(found, chunk.rows)
            pieces.append(piece._replace(table=table))
        total = total + by_unit(logf, chunk)
    return total, pieces


def _evaluated(
    arrays: Arrays, group: Group, obs: Observed, etas: tuple[np.ndarray, ...], order: int
) -> Evaluated:
    structure = group.family.normal
    if structure is not None:
        patterns = arrays.patterns[group.key]
        normal, d = evaluate_normal(structure, obs, etas, patterns, slopes=order > 2)
        return Evaluated(arrays, group, obs, etas, finite(d), normal=normal)
    whole = group.family.whole
    if whole is None:
        return Evaluated(arrays, group, obs, etas, finite(group.family.derivatives(obs, etas)))
    linked = group.family.linked(etas)
    parts = whole.parts(obs, linked, order=order)
    d = finite(whole.derivatives(obs, linked, parts))
    return Evaluated(arrays, group, obs, etas, d, Together(whole, obs, linked, parts))


def em_pass(
    problem: Problem,
    theta: np.ndarray,
    *,
    responsibilities: Responsibilities | None = None,
    working: Working | None = None,
) -> Pass:
    """Responsibilities at theta, and the sums that the next step needs, without priors.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    responsibilities : callable, optional
        Given the units and a function that gives their responsibilities (R, S, units), those to
        use instead: a start's, or hard or drawn labels.
    working : dict, optional
        Linear predictors of the locations in place of those at theta.  The score is then that
        of the working response eta + d1 / curvature, so that a step from coefficients of zero
        gives the first iteratively reweighted least-squares fit.
    """
    spec = problem.spec
    n_starts, k, size = len(theta), spec.k, spec.layout.size
    out = Pass(
        np.zeros(n_starts),
        np.zeros((n_starts, size)),
        np.zeros((n_starts, size, size)),
        np.zeros((n_starts, k)),
        {},
    )
    normals: dict[tuple[int, str], Evaluated] = {}
    for chunk in chunks(problem, n_starts * problem.densities):
        logf, pieces = evaluate(problem, theta, chunk, working, order=2)
        log_pi = log_weights(problem, theta, chunk)
        unit_loglik, resp = join(problem.allowed, logf, log_pi, chunk)
        out.loglik[:] += weighted_sum(problem, unit_loglik, chunk)
        if responsibilities is not None:
            resp = responsibilities(chunk.units, partial(np.asarray, resp))
        weight = None if problem.weight is None else problem.weight[chunk.units]
        r = resp if weight is None else resp * weight
        out.mass[:] += r.sum(-1)
        z = None if problem.concomitant is None else problem.concomitant[chunk.units]
        alpha_score, alpha_info = spec.weights.score_information(resp, log_pi, z, weight)
        scatter_alpha(spec, alpha_score, alpha_info, out.score, out.scoring)
        r = to_rows(r, chunk)
        for piece in pieces:
            _accumulate(piece, r, chunk, out, working)
        if problem.truncated and working is None:
            _subtract_seen(problem, theta, log_pi, chunk, out)
        normals |= {(p.arrays.number, p.group.key): p for p in pieces if p.normal is not None}
    for key, piece in normals.items():
        _finish_normal(piece, key, out)
    return out


def _subtract_seen(
    problem: Problem, theta: np.ndarray, log_pi: np.ndarray, chunk: Chunk, out: Pass
) -> None:
    """Take the log chance of being seen off the log-likelihood, and its score off the score.

    The scoring matrix stays that of the complete data: a metric for ascent steps.
    """
    logf, pieces = evaluate(problem, theta, chunk, entry=True)
    seen, share = join(None, logf, log_pi, chunk)
    out.loglik[:] -= weighted_sum(problem, seen, chunk)
    weight = None if problem.weight is None else problem.weight[chunk.units]
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    score, scoring = np.zeros_like(out.score), np.zeros_like(out.scoring)
    part, info = problem.spec.weights.score_information(share, log_pi, z, weight)
    scatter_alpha(problem.spec, part, info, score, scoring)
    r = to_rows(share if weight is None else share * weight, chunk)
    own = out._replace(score=score, scoring=scoring)
    for piece in pieces:
        _accumulate(piece, r, chunk, own, None)
    out.score[:] -= score


def _accumulate(
    piece: Evaluated,
    r: np.ndarray,
    chunk: Chunk,
    out: Pass,
    working: Working | None,
) -> None:
    """Add a family's part of the normal equations to the pass."""
    if not piece.etas:
        return
    arrays, group = piece.arrays, piece.group
    r = r if group.everyone else r[:, group.members]
    if piece.together is not None:
        _accumulate_whole(piece, r, chunk, out)
        return
    r, rows = piece.gathered(r, chunk)
    r = r if piece.obs.there is None else r * piece.obs.there
    if piece.normal is not None:
        add_moments(piece, r, chunk, out.squares)
        return
    curvature = piece.d.curvature
    location = None
    for number, slot in enumerate(group.slots):
        first = piece.d.first[number]
        if slot.constant:
            slope, second = (r * first).sum(-1), (r * curvature[number]).sum(-1)
            for m, position in enumerate(slot.index[:, 0]):
                out.score[:, position] += slope[:, m]
                out.scoring[:, position, position] += second[:, m]
            continue
        if slot.located and working is not None:
            shift = piece.etas[number] - offset_of(arrays, group, rows)
            first = first + curvature[number] * shift
        b = (r * first) @ arrays.matrix[rows]
        flat = products(arrays, r * curvature[number], rows)
        add_linear(arrays, slot, b, flat, out.score, out.scoring)
        location = location or (b, flat)
    if group.family.concave and working is None:
        _by_row_information(piece, r, rows, out.scoring, between=True)
    if location is not None and closed_scale(group.family):
        b, flat = location
        _squares(piece, r, square(arrays, flat), b, out.squares)


def add_moments(piece: Evaluated, r: np.ndarray, chunk: Chunk, sums: dict[Any, Any]) -> None:
    """Add the sums of a chunk to those of normal columns, by block and key of the response."""
    assert piece.normal is not None
    key = (piece.arrays.number, piece.group.key)
    new = moments_of(piece.normal, piece.arrays.matrix[chunk.rows], r)
    sums[key] = Moments(*map(np.add, sums[key], new)) if key in sums else new


def _finish_normal(piece: Evaluated, key: tuple[int, str], out: Pass) -> None:
    """The scores of normal columns from their sums, which stay for the M step, completed."""
    assert piece.normal is not None
    sums = out.squares[key]
    score, scoring = score_and_scoring(piece.normal, sums)
    scatter(piece.group.slots, scoring, out.scoring, score, out.score)
    out.squares[key] = completed(piece.normal, sums)


def _accumulate_whole(piece: Evaluated, r: np.ndarray, chunk: Chunk, out: Pass) -> None:
    """The same of a family that gives the density of rows together."""
    x, group = piece.arrays.matrix[chunk.rows], piece.group
    for slot, first in zip(group.slots, piece.d.first, strict=True):
        weighted = r * first
        scores = weighted.sum(-1)[..., None] if slot.constant else weighted @ x
        for m, (has, at) in enumerate(zip(slot.has, slot.at, strict=True)):
            out.score[:, at] += scores[:, m, has]
    assert piece.together is not None
    add_scoring(piece.together, piece.arrays, group.slots, r, chunk, out.scoring)


def complete_information(
    piece: Evaluated,
    r: np.ndarray,
    chunk: Chunk,
    matrix: np.ndarray,
    *,
    between: bool = False,
    sums: dict[Any, Any] | None = None,
) -> None:
    """Add the expected complete-data information (R, D, D) of a family's components.

    Parameters
    ----------
    piece : Evaluated
    r : ndarray, shape (R, S, n) or (R, m, n)
        Weighted responsibilities, of all components or of the family's own.
    chunk : Chunk
    matrix : ndarray
    between : bool
        Only what stands between two parameters of the family.
    sums : dict, optional
        Of normal columns the sums are added to these, and nothing to the matrix: it is
        `normal_information` of all chunks.
    """
    if not piece.etas:
        return
    arrays, group = piece.arrays, piece.group
    r = r if r.shape[1] == len(group.members) else r[:, group.members]
    if piece.together is not None:
        component_information(piece.together, arrays, group.slots, r, chunk, matrix)
        return
    if piece.normal is not None:
        own: dict[Any, Any] = {} if sums is None else sums
        add_moments(piece, r, chunk, own)
        if sums is None:
            normal_information(piece, own[arrays.number, group.key], matrix)
        return
    _by_row_information(piece, *piece.gathered(r, chunk), matrix, between=between)


def _by_row_information(
    piece: Evaluated, r: np.ndarray, rows: slice, matrix: np.ndarray, *, between: bool
) -> None:
    """The same from the rows' second derivatives."""
    arrays, group, x = piece.arrays, piece.group, piece.arrays.matrix[rows]
    for i, one in enumerate(group.slots):
        for j, other in enumerate(group.slots[: i + 1 - between]):
            c = -r * piece.d.second[i][j]
            if one.constant and other.constant:
                _add(matrix, one, other, c.sum(-1)[..., None, None])
            elif one.constant:
                _add(matrix, one, other, (c @ x)[..., None, :])
            elif other.constant:
                _add(matrix, one, other, (c @ x)[..., None])
            elif i == j:
                add_linear(arrays, one, None, products(arrays, c, rows), matrix[:, 0], matrix)
            else:
                _add(matrix, one, other, square(arrays, products(arrays, c, rows)))


def normal_information(piece: Evaluated, sums: Moments, matrix: np.ndarray) -> None:
    """Add the complete-data information of normal columns from their sums."""
    assert piece.normal is not None
    scatter(piece.group.slots, exact_information(piece.normal, sums), matrix)


def _add(matrix: np.ndarray, one: Slot, other: Slot, part: np.ndarray) -> None:
    """Add the components' parts (R, m, P, Q) of two parameters, and their transposes."""
    for m, (has, at) in enumerate(zip(one.has, one.at, strict=True)):
        has2, at2 = other.has[m], other.at[m]
        block = part[:, m, has[:, None], has2]
        matrix[:, at[:, None], at2] += block
        if one is not other:
            matrix[:, at2[:, None], at] += np.swapaxes(block, 1, 2)


def closed_scale(family: Family) -> bool:
    """Whether the scale has a closed form given the location's coefficients."""
    return family.normal is not None or family.closed_scale


def _squares(
    piece: Evaluated, r: np.ndarray, a: np.ndarray, b: np.ndarray, squares: dict[int, Squares]
) -> None:
    members, number = piece.group.members, piece.arrays.number
    k, p = len(piece.arrays.layout.families), piece.arrays.matrix.shape[1]
    if number not in squares:
        n = len(r)
        squares[number] = Squares(
            np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k, p)), np.zeros((n, k, p, p))
        )
    total, count, slopes, grams = squares[number]
    residual = piece.obs.y - piece.etas[0]
    total[:, members] += (r * np.square(residual)).sum(-1)
    count[:, members] += r.sum(-1)
    slopes[:, members] += b
    grams[:, members] += a


def scatter_alpha(
    spec: MixtureSpec, part: np.ndarray, info: np.ndarray, score: np.ndarray, matrix: np.ndarray
) -> None:
    """Add scores (R, S, Q) and information (R, S, Q, S, Q) of the logits to those of theta."""
    has, at = spec.weights.places
    n, m = len(part), len(has)
    if not m:
        return
    size = part.shape[1] * part.shape[2]
    score[:, at] += part.reshape(n, size)[:, has]
    matrix[:, at[:, None], at] += info.reshape(n, size, size)[:, has[:, None], has]
