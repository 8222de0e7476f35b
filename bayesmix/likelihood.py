r"""The likelihood of a mixture, its score and its information: the one place.

    log L = sum_u w_u log sum_s m_us pi_s(w_u) prod_{i in u} f_s(y_i | x_i)

Every function takes parameter vectors theta of shape (R, D), so that R starts
are evaluated together, and walks over the rows in blocks.  The exact observed
information follows Louis (1982, JRSS B 44, 226-233).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bayesmix.families import Derivatives, Family, Observed
from bayesmix.layout import BlockLayout
from bayesmix.spec import MixtureSpec, Rows

__all__ = ["Information", "Pass", "Problem", "build_problem"]

# Elements of a work array: it should stay in the processor's cache.
BLOCK = 1 << 17
PRODUCTS = 1 << 22
DENSE = 1 << 18


class _Group(NamedTuple):
    """Components of one family and where their parameters stand in theta.

    `has` and `at` give for each component its terms' columns and their entries
    of theta; `dispersions` the entries (S,) of each dispersion.  `to_score` and
    `to_scoring` add the components' parts up as matrix products, where those
    are small: (S P, D) and (S P (P + 1) / 2, D D).
    """

    family: Family
    members: np.ndarray
    everyone: bool
    has: tuple[np.ndarray, ...]
    at: tuple[np.ndarray, ...]
    dispersions: tuple[np.ndarray, ...]
    to_score: np.ndarray | None
    to_scoring: np.ndarray | None


@dataclass(frozen=True)
class _Arrays:
    """The rows of one response, sorted by unit where units have several rows."""

    number: int
    layout: BlockLayout
    groups: tuple[_Group, ...]
    matrix: np.ndarray
    offset: np.ndarray | None
    observed: dict[str, Observed]
    triangle: tuple[np.ndarray, np.ndarray]
    products: np.ndarray | None  # (n, P (P + 1) / 2): column products, where they fit


@dataclass(frozen=True)
class Problem:
    """A specification with its data arranged for passes over rows.

    Parameters
    ----------
    spec : MixtureSpec
    blocks : tuple of _Arrays
    first : ndarray, shape (U,), or None
        First sorted row of each unit; None where every row is a unit.
    order : ndarray, shape (n,), or None
        The row of the data at each sorted place.
    concomitant : ndarray, shape (U, Q), or None
    weight : ndarray, shape (U,), or None
    forbidden : ndarray of bool, shape (S, U), or None
    """

    spec: MixtureSpec
    blocks: tuple[_Arrays, ...]
    first: np.ndarray | None
    order: np.ndarray | None
    concomitant: np.ndarray | None
    weight: np.ndarray | None
    forbidden: np.ndarray | None
    n_rows: int
    n_units: int


class _Chunk(NamedTuple):
    rows: slice
    units: slice
    first: np.ndarray | None
    counts: np.ndarray | None


class Squares(NamedTuple):
    """Weighted squared residuals (R, S) and their weights (R, S), with the component's
    own score (R, S, P) and information (R, S, P, P) in the location's coefficients.
    """

    total: np.ndarray
    count: np.ndarray
    score: np.ndarray
    gram: np.ndarray


class Pass(NamedTuple):
    """What an EM step needs, for R starts.

    `loglik` (R,); `score` (R, D); `scoring` (R, D, D), a positive semi-definite
    matrix for ascent steps; `mass` (R, S), the weighted sums of responsibilities;
    `squares`, for each block with a closed-form scale its `Squares`.
    """

    loglik: np.ndarray
    score: np.ndarray
    scoring: np.ndarray
    mass: np.ndarray
    squares: dict[int, Squares]


class Information(NamedTuple):
    """`loglik` (R,), `score` (R, D), the observed information `matrix` (R, D, D), and
    `complete` (R, D, D), the information that known components would give.
    """

    loglik: np.ndarray
    score: np.ndarray
    matrix: np.ndarray
    complete: np.ndarray


Responsibilities = Callable[[slice, np.ndarray], np.ndarray]
Working = dict[tuple[int, str], np.ndarray]


def build_problem(spec: MixtureSpec, rows: Rows | None = None) -> Problem:
    """Arrange data for passes over their rows.

    Parameters
    ----------
    spec : MixtureSpec
    rows : Rows, optional
        Other data than those of the specification, with responses.
    """
    rows = spec.rows if rows is None else rows
    order = first = None
    if rows.units.grouped:
        order = np.argsort(rows.units.codes, kind="stable")
        first = np.flatnonzero(np.diff(rows.units.codes[order], prepend=-1))
    blocks = []
    for layout, data in zip(spec.layout.blocks, rows.blocks, strict=True):
        matrix = data.matrix if order is None else data.matrix[order]
        offset = data.offset if order is None or data.offset is None else data.offset[order]
        observed = {
            name: obs if order is None else obs.take(order) for name, obs in data.observed.items()
        }
        n, p = matrix.shape
        triangle = np.triu_indices(p)
        fits = n * len(triangle[0]) <= PRODUCTS
        products = matrix[:, triangle[0]] * matrix[:, triangle[1]] if fits else None
        groups = tuple(
            _group(layout, family, members, triangle, spec.layout.size)
            for family, members in layout.groups()
        )
        blocks.append(
            _Arrays(len(blocks), layout, groups, matrix, offset, observed, triangle, products)
        )
    forbidden = None if rows.allowed is None else ~rows.allowed.T
    return Problem(
        spec, tuple(blocks), first, order, rows.concomitant, rows.weight, forbidden,
        rows.n, rows.n_units,
    )


def _group(
    layout: BlockLayout, family: Family, members: np.ndarray,
    triangle: tuple[np.ndarray, np.ndarray], size: int,
) -> _Group:
    index = layout.predictors[0].index[members]
    has = tuple(np.flatnonzero(row >= 0) for row in index)
    at = tuple(row[h] for row, h in zip(index, has, strict=True))
    slots = layout.slots[members[0]][1:]
    dispersions = tuple(layout.predictors[slot].index[members, 0] for slot in slots)
    i, j = triangle
    to_score = to_scoring = None
    if len(members) * len(i) * size * size <= DENSE:
        to_score = np.zeros((index.size, size))
        inside = np.flatnonzero(index.ravel() >= 0)
        to_score[inside, index.ravel()[inside]] = 1.0
        to_scoring = np.zeros((len(members) * len(i), size * size))
        a, b = index[:, i].ravel(), index[:, j].ravel()
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        to_scoring[rows, a[rows] * size + b[rows]] = 1.0
        to_scoring[rows, b[rows] * size + a[rows]] = 1.0
    everyone = len(members) == len(layout.families)
    return _Group(family, members, everyone, has, at, dispersions, to_score, to_scoring)


def _chunks(problem: Problem, per_row: int) -> Iterator[_Chunk]:
    """Ranges of whole units whose work arrays stay small."""
    size = max(256, BLOCK // max(per_row, 1))
    if problem.first is None:
        for a in range(0, problem.n_rows, size):
            span = slice(a, min(a + size, problem.n_rows))
            yield _Chunk(span, span, None, None)
        return
    edges = np.append(problem.first, problem.n_rows)
    a = 0
    while a < problem.n_units:
        b = int(np.searchsorted(edges, edges[a] + size, side="right")) - 1
        b = min(max(b, a + 1), problem.n_units)
        first = edges[a:b] - edges[a]
        yield _Chunk(
            slice(int(edges[a]), int(edges[b])), slice(a, b), first, np.diff(edges[a : b + 1])
        )
        a = b


# --- densities -----------------------------------------------------------------------------


def _etas(
    arrays: _Arrays, theta: np.ndarray, rows: slice
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Linear predictor of the location (R, S, n), and of each dispersion (R, S, 1)."""
    location, *others = arrays.layout.predictors
    eta = location.coefficients(theta) @ arrays.matrix[rows].T
    if arrays.offset is not None:
        eta = eta + arrays.offset[rows]
    return eta, [p.coefficients(theta) for p in others]


def _slot_etas(
    layout: BlockLayout, group: _Group, eta: np.ndarray, others: list[np.ndarray]
) -> tuple[np.ndarray, ...]:
    chosen = (eta if j == 0 else others[j - 1] for j in layout.slots[group.members[0]])
    return tuple(e if group.everyone else e[:, group.members] for e in chosen)


def _by_unit(values: np.ndarray, chunk: _Chunk) -> np.ndarray:
    return values if chunk.first is None else np.add.reduceat(values, chunk.first, axis=-1)


def _to_rows(values: np.ndarray, chunk: _Chunk) -> np.ndarray:
    return values if chunk.counts is None else np.repeat(values, chunk.counts, axis=-1)


def _log_densities(problem: Problem, theta: np.ndarray, chunk: _Chunk) -> np.ndarray:
    """Sum over blocks and rows of log f, (R, S, units)."""
    total = np.zeros((len(theta), problem.spec.k, 1))
    for arrays in problem.blocks:
        eta, others = _etas(arrays, theta, chunk.rows)
        logf = np.empty((*eta.shape[:2], chunk.rows.stop - chunk.rows.start))
        for group in arrays.groups:
            obs = arrays.observed[group.family.name].take(chunk.rows)
            etas = _slot_etas(arrays.layout, group, eta, others)
            with np.errstate(all="ignore"):
                logf[:, group.members] = group.family.log_density(obs, etas)
        total = total + _by_unit(logf, chunk)
    return total


def _join(
    problem: Problem, logf: np.ndarray, log_weights: np.ndarray, chunk: _Chunk
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood (R, units) and responsibilities (R, S, units), by log-sum-exp."""
    terms = logf + log_weights
    if problem.forbidden is not None:
        terms = np.where(problem.forbidden[:, chunk.units], -np.inf, terms)
    top = terms.max(1, keepdims=True)
    safe = np.where(top == -np.inf, 0.0, top)
    shifted = np.exp(terms - safe)
    total = shifted.sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        loglik = (safe + np.log(total))[:, 0]
    return loglik, shifted / np.where(total > 0, total, 1.0)


def _log_weights(
    problem: Problem, theta: np.ndarray, chunk: _Chunk, alive: np.ndarray | None
) -> np.ndarray:
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    return problem.spec.weights.log_weights(theta, z, alive)


def _weighted_sum(problem: Problem, values: np.ndarray, chunk: _Chunk) -> np.ndarray:
    """Sum over units of w_u values, where units of weight zero never count."""
    if problem.weight is None:
        return values.sum(-1)
    w = problem.weight[chunk.units]
    return np.where(w > 0, values * w, 0.0).sum(-1)


def log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of shape (R,)."""
    out = np.zeros(len(theta))
    for chunk in _chunks(problem, len(theta) * problem.spec.k):
        logf = _log_densities(problem, theta, chunk)
        loglik, _ = _join(problem, logf, _log_weights(problem, theta, chunk, None), chunk)
        out += _weighted_sum(problem, loglik, chunk)
    return out


def largest_shift(problem: Problem, step: np.ndarray) -> np.ndarray:
    """Largest change of a linear predictor under a step (R, D) of theta, (R,).

    Those of locations with the identity link do not count: they have no scale.
    """
    out = np.abs(problem.spec.weights.logits(step)).max((1, 2), initial=0.0)
    if problem.concomitant is not None:
        logits = problem.spec.weights.logits(step)
        out = np.abs(logits @ problem.concomitant.T).max((1, 2), initial=0.0)
    for arrays in problem.blocks:
        for group in arrays.groups:
            parameters = group.family.parameters
            if parameters and parameters[0].link.name != "identity":
                change = arrays.layout.predictors[0].coefficients(step)[:, group.members]
                out = np.maximum(out, np.abs(change @ arrays.matrix.T).max((1, 2)))
    return out


def unit_terms(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood by unit (U,) and responsibilities (U, S) at one theta (D,)."""
    loglik = np.empty(problem.n_units)
    resp = np.empty((problem.n_units, problem.spec.k))
    theta = theta[None]
    for chunk in _chunks(problem, problem.spec.k):
        logf = _log_densities(problem, theta, chunk)
        by_unit, r = _join(problem, logf, _log_weights(problem, theta, chunk, None), chunk)
        loglik[chunk.units], resp[chunk.units] = by_unit[0], r[0].T
    return loglik, resp


# --- passes --------------------------------------------------------------------------------


class _Evaluated(NamedTuple):
    arrays: _Arrays
    group: _Group
    obs: Observed
    etas: tuple[np.ndarray, ...]
    d: Derivatives


def _evaluate(
    problem: Problem, theta: np.ndarray, chunk: _Chunk, working: Working | None = None
) -> tuple[np.ndarray, list[_Evaluated]]:
    """Log densities by unit with the derivatives of every family."""
    total = np.zeros((len(theta), problem.spec.k, 1))
    pieces = []
    for arrays in problem.blocks:
        eta, others = _etas(arrays, theta, chunk.rows)
        logf = np.empty((*eta.shape[:2], chunk.rows.stop - chunk.rows.start))
        for group in arrays.groups:
            name = group.family.name
            obs = arrays.observed[name].take(chunk.rows)
            etas = _slot_etas(arrays.layout, group, eta, others)
            if working is not None and etas:
                rows = working[arrays.number, name][chunk.rows]
                etas = (np.broadcast_to(rows, etas[0].shape), *etas[1:])
            with np.errstate(all="ignore"):
                d = _finite(group.family.derivatives(obs, etas))
            logf[:, group.members] = d.logf
            pieces.append(_Evaluated(arrays, group, obs, etas, d))
        total = total + _by_unit(logf, chunk)
    return total, pieces


def _finite(d: Derivatives) -> Derivatives:
    """Zero derivatives where the density is zero: no responsibility, no NaN."""
    impossible = d.logf == -np.inf
    if not d.first or not impossible.any():
        return d
    clean = [np.where(impossible, 0.0, f) for f in d.first]
    second = tuple(tuple(np.where(impossible, 0.0, x) for x in row) for row in d.second)
    return Derivatives(d.logf, tuple(clean), second)


def _products(arrays: _Arrays, c: np.ndarray, rows: slice) -> np.ndarray:
    """Upper triangles of sum_i c_i x_i x_i', (..., P (P + 1) / 2), for weights c (..., n)."""
    if arrays.products is not None:
        return c @ arrays.products[rows]
    x = arrays.matrix[rows]
    i, j = arrays.triangle
    return c @ (x[:, i] * x[:, j])


def _square(arrays: _Arrays, flat: np.ndarray) -> np.ndarray:
    """Symmetric matrices (..., P, P) from their upper triangles."""
    i, j = arrays.triangle
    p = arrays.matrix.shape[1]
    out = np.empty((*flat.shape[:-1], p, p))
    out[..., i, j] = flat
    out[..., j, i] = flat
    return out


def _add_location(
    arrays: _Arrays, group: _Group, b: np.ndarray | None, flat: np.ndarray,
    score: np.ndarray, matrix: np.ndarray,
) -> None:
    """Add components' scores b (R, S, P) and triangles (R, S, T) to those of theta."""
    n, size = len(matrix), matrix.shape[1]
    if group.to_scoring is not None and group.to_score is not None:
        if b is not None:
            score += b.reshape(n, -1) @ group.to_score
        matrix += (flat.reshape(n, -1) @ group.to_scoring).reshape(n, size, size)
        return
    a = _square(arrays, flat)
    for m, (has, at) in enumerate(zip(group.has, group.at, strict=True)):
        if b is not None:
            score[:, at] += b[:, m, has]
        matrix[:, at[:, None], at] += a[:, m, has[:, None], has]


def em_pass(
    problem: Problem,
    theta: np.ndarray,
    *,
    responsibilities: Responsibilities | None = None,
    alive: np.ndarray | None = None,
    working: Working | None = None,
) -> Pass:
    """Responsibilities at theta, and the sums that the next step needs.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    responsibilities : callable, optional
        Given the units and their responsibilities (R, S, units), those to use
        instead: a start's, or hard or drawn labels.
    alive : ndarray of bool, shape (R, S), optional
        Components that have not been removed.
    working : dict, optional
        Linear predictors (n,) of the location by block and family, in place of
        those at theta.  The score is then that of the working response
        eta + d1 / curvature, so that a step from coefficients of zero gives the
        first iteratively reweighted least-squares fit.
    """
    spec = problem.spec
    n_starts, k, size = len(theta), spec.k, spec.layout.size
    out = Pass(
        np.zeros(n_starts), np.zeros((n_starts, size)), np.zeros((n_starts, size, size)),
        np.zeros((n_starts, k)), {},
    )
    for chunk in _chunks(problem, n_starts * k):
        logf, pieces = _evaluate(problem, theta, chunk, working)
        log_weights = _log_weights(problem, theta, chunk, alive)
        by_unit, resp = _join(problem, logf, log_weights, chunk)
        out.loglik[:] += _weighted_sum(problem, by_unit, chunk)
        if responsibilities is not None:
            resp = responsibilities(chunk.units, resp)
        weight = None if problem.weight is None else problem.weight[chunk.units]
        r = resp if weight is None else resp * weight
        out.mass[:] += r.sum(-1)
        z = None if problem.concomitant is None else problem.concomitant[chunk.units]
        alpha_score, alpha_info = spec.weights.score_information(resp, log_weights, z, weight)
        _scatter_alpha(spec, alpha_score, alpha_info, out.score, out.scoring)
        r = _to_rows(r, chunk)
        for piece in pieces:
            _accumulate(piece, r, chunk, out, working)
    return out


def _accumulate(
    piece: _Evaluated,
    r: np.ndarray,
    chunk: _Chunk,
    out: Pass,
    working: Working | None,
) -> None:
    """Add a family's part of the normal equations to the pass."""
    if not piece.etas:
        return
    arrays, group = piece.arrays, piece.group
    r = r if group.everyone else r[:, group.members]
    with np.errstate(all="ignore"):
        curvature = group.family.positive_curvature(piece.obs, piece.etas, piece.d)
    first = piece.d.first[0]
    if working is not None:
        shift = 0.0 if arrays.offset is None else arrays.offset[chunk.rows]
        first = first + curvature[0] * (piece.etas[0] - shift)
    b = (r * first) @ arrays.matrix[chunk.rows]
    flat = _products(arrays, r * curvature[0], chunk.rows)
    _add_location(arrays, group, b, flat, out.score, out.scoring)
    for j, at in enumerate(group.dispersions, start=1):
        slope = (r * piece.d.first[j]).sum(-1)
        second = (r * curvature[j]).sum(-1)
        for m, position in enumerate(at):
            out.score[:, position] += slope[:, m]
            out.scoring[:, position, position] += second[:, m]
    if closed_scale(group.family):
        _squares(piece, r, _square(arrays, flat), b, out.squares)


def closed_scale(family: Family) -> bool:
    """Whether the scale has a closed form given the location's coefficients."""
    return family.squares is not None and family.parameters[0].link.name == "identity"


def _squares(
    piece: _Evaluated, r: np.ndarray, a: np.ndarray, b: np.ndarray, squares: dict[int, Squares]
) -> None:
    family, members, number = piece.group.family, piece.group.members, piece.arrays.number
    assert family.squares is not None
    k, p = len(piece.arrays.layout.families), piece.arrays.matrix.shape[1]
    if number not in squares:
        n = len(r)
        squares[number] = Squares(
            np.zeros((n, k)), np.zeros((n, k)), np.zeros((n, k, p)), np.zeros((n, k, p, p))
        )
    total, count, slopes, grams = squares[number]
    residual = family.squares(piece.obs, family.linked(piece.etas)[0])
    total[:, members] += (r * residual).sum(-1)
    count[:, members] += r.sum(-1)
    slopes[:, members] += b
    grams[:, members] += a


def _scatter_alpha(
    spec: MixtureSpec, part: np.ndarray, info: np.ndarray, score: np.ndarray, matrix: np.ndarray
) -> None:
    has, at = spec.weights.places
    n, m = len(part), len(has)
    if not m:
        return
    size = part.shape[1] * part.shape[2]
    score[:, at] += part.reshape(n, size)[:, has]
    matrix[:, at[:, None], at] += info.reshape(n, size, size)[:, has[:, None], has]


def information(problem: Problem, theta: np.ndarray) -> Information:
    """Log-likelihood, score and exact observed information.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    """
    size = problem.spec.layout.size
    loglik = np.zeros(len(theta))
    score = np.zeros((len(theta), size))
    matrix = np.zeros((len(theta), size, size))
    complete = np.zeros_like(matrix)
    per_row = len(theta) * max(problem.spec.k, size)
    for chunk in _chunks(problem, per_row):
        by_unit, unit_score, known, missing = _unit_information(problem, theta, chunk)
        loglik += _weighted_sum(problem, by_unit, chunk)
        score += _weighted_sum(problem, unit_score, chunk)
        complete += known
        matrix += known - missing
    return Information(loglik, score, matrix, complete)


def unit_scores(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Score of every unit's log-likelihood, (U, D), at one theta (D,)."""
    out = np.empty((problem.n_units, problem.spec.layout.size))
    for chunk in _chunks(problem, max(problem.spec.k, problem.spec.layout.size)):
        out[chunk.units] = _unit_information(problem, theta[None], chunk)[1][0].T
    return out


def _unit_information(
    problem: Problem, theta: np.ndarray, chunk: _Chunk
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a chunk: log-likelihood (R, units), scores (R, D, units), and the complete and the
    missing information (R, D, D), whose difference is the observed one.
    """
    spec = problem.spec
    n_starts, size = len(theta), spec.layout.size
    logf, pieces = _evaluate(problem, theta, chunk)
    log_weights = _log_weights(problem, theta, chunk, None)
    loglik, resp = _join(problem, logf, log_weights, chunk)
    weight = None if problem.weight is None else problem.weight[chunk.units]
    r = resp if weight is None else resp * weight
    complete = np.zeros((n_starts, size, size))
    missing = np.zeros((n_starts, size, size))
    n_units = chunk.units.stop - chunk.units.start
    mean = np.zeros((n_starts, size, n_units))
    rows = _to_rows(r, chunk)
    for piece in pieces:
        _complete(piece, rows, chunk, complete)
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    for s in range(spec.k):
        at, g = _component_scores(problem, pieces, s, theta, z, chunk)
        if not len(at):
            continue
        mean[:, at] += g * resp[:, s, None]
        missing[:, at[:, None], at] += (g * r[:, s, None]) @ np.swapaxes(g, 1, 2)
    weighted = mean if weight is None else mean * weight
    missing -= weighted @ np.swapaxes(mean, 1, 2)
    alpha_score, alpha_info = spec.weights.score_information(resp, log_weights, z, weight)
    _scatter_alpha(spec, alpha_score, alpha_info, np.zeros((n_starts, size)), complete)
    _alpha_mean(spec, resp, log_weights, z, mean)
    return loglik, mean, complete, missing


def _complete(piece: _Evaluated, r: np.ndarray, chunk: _Chunk, matrix: np.ndarray) -> None:
    """Add the expected complete-data information of a family's components."""
    if not piece.etas:
        return
    arrays, group = piece.arrays, piece.group
    r = r if group.everyone else r[:, group.members]
    second = piece.d.second
    flat = _products(arrays, -r * second[0][0], chunk.rows)
    _add_location(arrays, group, None, flat, matrix[:, 0], matrix)
    count = len(group.dispersions)
    cross = [
        (-r * second[0][j]) @ arrays.matrix[chunk.rows] for j in range(1, count + 1)
    ]
    inner = [
        [(r * second[i][j]).sum(-1) for j in range(1, count + 1)] for i in range(1, count + 1)
    ]
    for m, (has, at) in enumerate(zip(group.has, group.at, strict=True)):
        own = [d[m] for d in group.dispersions]
        for j, d in enumerate(own):
            matrix[:, at, d] += cross[j][:, m, has]
            matrix[:, d, at] += cross[j][:, m, has]
            for i, e in enumerate(own):
                matrix[:, d, e] -= inner[i][j][:, m]


def _member(values: np.ndarray, m: int) -> np.ndarray:
    return values[:, m] if values.ndim == 3 and values.shape[1] > 1 else values.reshape(
        values.shape[0], values.shape[-1]
    )


def _component_scores(
    problem: Problem, pieces: list[_Evaluated], s: int, theta: np.ndarray, z: np.ndarray | None,
    chunk: _Chunk,
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
        n = chunk.rows.stop - chunk.rows.start
        first = [np.broadcast_to(_member(f, m), (len(theta), n)) for f in piece.d.first]
        if len(group.has[m]):
            x = piece.arrays.matrix[chunk.rows][:, group.has[m]]
            where.append(group.at[m])
            values.append(_by_unit(first[0][:, None] * x.T, chunk))
        for d, f in zip(group.dispersions, first[1:], strict=True):
            where.append(d[m : m + 1])
            values.append(_by_unit(f[:, None], chunk))
    at, alpha = problem.spec.weights.component_scores(s, theta, z)
    if len(at):
        where.append(at)
        values.append(np.broadcast_to(alpha, (len(theta), len(at), n_units)))
    if not where:
        return np.empty(0, int), np.empty((len(theta), 0, n_units))
    return np.concatenate(where), np.concatenate(values, axis=1)


def _alpha_mean(
    spec: MixtureSpec, resp: np.ndarray, log_weights: np.ndarray, z: np.ndarray | None,
    mean: np.ndarray,
) -> None:
    """Put the units' scores in alpha, (r - pi) z, in the place of their working form."""
    has, at = spec.weights.places
    if len(has):
        scores = spec.weights.unit_scores(resp, log_weights, z)
        mean[:, at] = scores.reshape(len(scores), -1, scores.shape[-1])[:, has]
