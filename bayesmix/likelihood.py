r"""The likelihood of a mixture and the sums that its EM steps need: the one place.

    log L = sum_u w_u log sum_s m_us pi_s(w_u) prod_{i in u} f_s(y_i | x_i)

Every function takes parameter vectors theta of shape (R, D), so that R starts
are evaluated together, and walks over the rows in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesmix import compiled
from bayesmix.families import Derivatives, Family, Observed
from bayesmix.fused import FusedPass, fused_em, is_fused
from bayesmix.penalty import log_prior
from bayesmix.problem import (
    Arrays,
    Chunk,
    Group,
    Problem,
    add_linear,
    build_problem,
    chunks,
    products,
    square,
)
from bayesmix.spec import MixtureSpec

if TYPE_CHECKING:
    from bayesmix.kernels import SmallPass

__all__ = [
    "Pass",
    "Problem",
    "Squares",
    "build_problem",
    "em_pass",
    "largest_shift",
    "log_likelihood",
    "unit_terms",
]

Responsibilities = Callable[[slice, np.ndarray], np.ndarray]
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
    `squares`, for each block with a closed-form scale its `Squares`.
    """

    loglik: np.ndarray
    score: np.ndarray
    scoring: np.ndarray
    mass: np.ndarray
    squares: dict[int, Squares]


# --- densities -----------------------------------------------------------------------------


def linear_predictors(
    arrays: Arrays, group: Group, theta: np.ndarray, rows: slice
) -> tuple[np.ndarray, ...]:
    """Linear predictors of a family's m components, each (R, m, n) or (R, m, 1)."""
    etas = []
    for number, slot in enumerate(group.slots):
        eta = slot.coefficients(theta)
        if not slot.constant:
            eta = eta @ arrays.matrix[rows].T
        if number == 0 and arrays.offset is not None:
            eta = eta + offset_of(arrays, group, rows)
        etas.append(eta)
    return tuple(etas)


def offset_of(arrays: Arrays, group: Group, rows: slice) -> np.ndarray | float:
    """The offset of the location in a family's components, (n,) or (m, n)."""
    if arrays.offset is None:
        return 0.0
    offset = arrays.offset[..., rows]
    return offset if offset.ndim == 1 else offset[group.members]


def by_unit(values: np.ndarray, chunk: Chunk) -> np.ndarray:
    return values if chunk.first is None else np.add.reduceat(values, chunk.first, axis=-1)


def to_rows(values: np.ndarray, chunk: Chunk) -> np.ndarray:
    return values if chunk.counts is None else np.repeat(values, chunk.counts, axis=-1)


def log_densities(
    problem: Problem, theta: np.ndarray, chunk: Chunk, *, entry: bool = False
) -> np.ndarray:
    """Sum over blocks and rows of log f, or of the log survival to the entry, (R, S, units)."""
    total = np.zeros((len(theta), problem.spec.k, 1))
    for arrays in problem.blocks:
        observed = arrays.entry if entry else arrays.observed
        if observed is None:
            continue
        logf = np.empty((len(theta), problem.spec.k, chunk.rows.stop - chunk.rows.start))
        for group in arrays.groups:
            obs = observed[group.key].take(chunk.rows)
            etas = linear_predictors(arrays, group, theta, chunk.rows)
            with np.errstate(all="ignore"):
                logf[:, group.members] = group.family.log_density(obs, etas)
        total = total + by_unit(logf, chunk)
    return total


def unit_likelihood(
    problem: Problem, theta: np.ndarray, log_pi: np.ndarray, chunk: Chunk
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood (R, units) and responsibilities (R, S, units) of a chunk.

    Under truncation a unit's likelihood is divided by its chance of being seen,
    sum_s pi_s S_s(entry).
    """
    loglik, resp = join(problem.allowed, log_densities(problem, theta, chunk), log_pi, chunk)
    if problem.truncated:
        seen = log_densities(problem, theta, chunk, entry=True)
        loglik = loglik - join(None, seen, log_pi, chunk)[0]
    return loglik, resp


def join(
    allowed: np.ndarray | None, logf: np.ndarray, log_pi: np.ndarray, chunk: Chunk
) -> tuple[np.ndarray, np.ndarray]:
    """Log sums over the allowed components (R, units) and their shares (R, S, units)."""
    terms = logf + log_pi
    if allowed is not None:
        terms = np.where(allowed[chunk.units].T, terms, -np.inf)
    top = terms.max(1, keepdims=True)
    safe = np.where(top == -np.inf, 0.0, top)
    shifted = np.exp(terms - safe)
    total = shifted.sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        loglik = (safe + np.log(total))[:, 0]
    return loglik, shifted / np.where(total > 0, total, 1.0)


def log_weights(problem: Problem, theta: np.ndarray, chunk: Chunk) -> np.ndarray:
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    return problem.spec.weights.log_weights(theta, z)


def weighted_sum(problem: Problem, values: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Sum over units of w_u values, where units of weight zero never count."""
    if problem.weight is None:
        return values.sum(-1)
    w = problem.weight[chunk.units]
    return np.where(w > 0, values * w, 0.0).sum(-1)


def log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of shape (R,), with the log prior where the problem has a penalty."""
    out = _log_likelihood(problem, theta)
    if problem.penalty is None:
        return out
    model, jacobian = problem.penalty
    return out + log_prior(problem.spec, model, theta, jacobian=jacobian).value


def _log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    if is_fused(problem):
        return np.array([fused_em(problem, one).loglik for one in theta])
    if (engine := compiled.engine(problem)) is not None:
        return engine.log_likelihood(theta)
    out = np.zeros(len(theta))
    for chunk in chunks(problem, len(theta) * problem.spec.k):
        loglik, _ = unit_likelihood(problem, theta, log_weights(problem, theta, chunk), chunk)
        out += weighted_sum(problem, loglik, chunk)
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
            for parameter, slot in zip(group.family.parameters, group.slots, strict=True):
                if not slot.constant and parameter.link.name != "identity":
                    change = slot.coefficients(step) @ arrays.matrix.T
                    out = np.maximum(out, np.abs(change).max((1, 2)))
    return out


def unit_terms(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood by unit (U,) and responsibilities (U, S) at one theta (D,)."""
    loglik = np.empty(problem.n_units)
    resp = np.empty((problem.n_units, problem.spec.k))
    theta = theta[None]
    for chunk in chunks(problem, problem.spec.k):
        log_pi = log_weights(problem, theta, chunk)
        unit_loglik, r = unit_likelihood(problem, theta, log_pi, chunk)
        loglik[chunk.units], resp[chunk.units] = unit_loglik[0], r[0].T
    return loglik, resp


# --- passes --------------------------------------------------------------------------------


class Evaluated(NamedTuple):
    arrays: Arrays
    group: Group
    obs: Observed
    etas: tuple[np.ndarray, ...]
    d: Derivatives


def evaluate(
    problem: Problem,
    theta: np.ndarray,
    chunk: Chunk,
    working: Working | None = None,
    *,
    entry: bool = False,
) -> tuple[np.ndarray, list[Evaluated]]:
    """As `log_densities`, with the derivatives of every family."""
    total = np.zeros((len(theta), problem.spec.k, 1))
    pieces = []
    for arrays in problem.blocks:
        observed = arrays.entry if entry else arrays.observed
        if observed is None:
            continue
        logf = np.empty((len(theta), problem.spec.k, chunk.rows.stop - chunk.rows.start))
        for group in arrays.groups:
            obs = observed[group.key].take(chunk.rows)
            etas = linear_predictors(arrays, group, theta, chunk.rows)
            if working is not None and etas:
                rows = working[arrays.number, group.key][chunk.rows]
                etas = (np.broadcast_to(rows, etas[0].shape), *etas[1:])
            with np.errstate(all="ignore"):
                d = finite(group.family.derivatives(obs, etas))
            logf[:, group.members] = d.logf
            pieces.append(Evaluated(arrays, group, obs, etas, d))
        total = total + by_unit(logf, chunk)
    return total, pieces


def finite(d: Derivatives) -> Derivatives:
    """Zero derivatives where the density is zero: no responsibility, no NaN."""
    impossible = d.logf == -np.inf
    if not d.first or not impossible.any():
        return d
    clean = [np.where(impossible, 0.0, f) for f in d.first]
    second = tuple(tuple(np.where(impossible, 0.0, x) for x in row) for row in d.second)
    return Derivatives(d.logf, tuple(clean), second)


def em_pass(
    problem: Problem,
    theta: np.ndarray,
    *,
    responsibilities: Responsibilities | None = None,
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
    working : dict, optional
        Linear predictors (n,) of the location by block and family, in place of
        those at theta.  The score is then that of the working response
        eta + d1 / curvature, so that a step from coefficients of zero gives the
        first iteratively reweighted least-squares fit.
    """
    p = _likelihood_pass(problem, theta, responsibilities=responsibilities, working=working)
    if problem.penalty is None:
        return p
    prior = log_prior(problem.spec, problem.penalty.model, theta, jacobian=problem.penalty.jacobian)
    return Pass(
        p.loglik + prior.value, p.score + prior.score, p.scoring + prior.scoring, p.mass, {}
    )


def _likelihood_pass(
    problem: Problem,
    theta: np.ndarray,
    *,
    responsibilities: Responsibilities | None,
    working: Working | None,
) -> Pass:
    if responsibilities is None and working is None:
        if is_fused(problem):
            return _stack([fused_em(problem, one) for one in theta])
        if (engine := compiled.engine(problem)) is not None:
            return _from_compiled(problem, engine.em_pass(theta))
    spec = problem.spec
    n_starts, k, size = len(theta), spec.k, spec.layout.size
    out = Pass(
        np.zeros(n_starts),
        np.zeros((n_starts, size)),
        np.zeros((n_starts, size, size)),
        np.zeros((n_starts, k)),
        {},
    )
    for chunk in chunks(problem, n_starts * k):
        logf, pieces = evaluate(problem, theta, chunk, working)
        log_pi = log_weights(problem, theta, chunk)
        unit_loglik, resp = join(problem.allowed, logf, log_pi, chunk)
        out.loglik[:] += weighted_sum(problem, unit_loglik, chunk)
        if responsibilities is not None:
            resp = responsibilities(chunk.units, resp)
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


def _stack(passes: list[FusedPass]) -> Pass:
    """The passes of several starts as one."""
    squares: dict[int, Squares] = {}
    if passes[0].squares is not None:
        columns = (
            [getattr(p, name) for p in passes] for name in ("squares", "mass", "parts", "grams")
        )
        squares[0] = Squares(*(np.array(c) for c in columns))
    return Pass(
        np.array([p.loglik for p in passes]),
        np.array([p.score for p in passes]),
        np.array([p.scoring for p in passes]),
        np.array([p.mass for p in passes]),
        squares,
    )


def _from_compiled(problem: Problem, p: SmallPass) -> Pass:
    """The compiled pass of small data in the terms of the general one."""
    closed = closed_scale(problem.blocks[0].groups[0].family)
    squares = {0: Squares(p.squares, p.rows, p.parts, p.grams)} if closed else {}
    return Pass(p.loglik, p.score, p.scoring, p.mass, squares)


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
    with np.errstate(all="ignore"):
        curvature = group.family.positive_curvature(piece.obs, piece.etas, piece.d)
    location = None
    for number, slot in enumerate(group.slots):
        first = piece.d.first[number]
        if slot.constant:
            slope, second = (r * first).sum(-1), (r * curvature[number]).sum(-1)
            for m, position in enumerate(slot.index[:, 0]):
                out.score[:, position] += slope[:, m]
                out.scoring[:, position, position] += second[:, m]
            continue
        if number == 0 and working is not None:
            shift = piece.etas[0] - offset_of(arrays, group, chunk.rows)
            first = first + curvature[0] * shift
        b = (r * first) @ arrays.matrix[chunk.rows]
        flat = products(arrays, r * curvature[number], chunk.rows)
        add_linear(arrays, slot, b, flat, out.score, out.scoring)
        location = location or (b, flat)
    if location is not None and closed_scale(group.family):
        b, flat = location
        _squares(piece, r, square(arrays, flat), b, out.squares)


def closed_scale(family: Family) -> bool:
    """Whether the scale has a closed form given the location's coefficients."""
    return family.squares is not None and family.parameters[0].link.name == "identity"


def _squares(
    piece: Evaluated, r: np.ndarray, a: np.ndarray, b: np.ndarray, squares: dict[int, Squares]
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


def scatter_alpha(
    spec: MixtureSpec, part: np.ndarray, info: np.ndarray, score: np.ndarray, matrix: np.ndarray
) -> None:
    has, at = spec.weights.places
    n, m = len(part), len(has)
    if not m:
        return
    size = part.shape[1] * part.shape[2]
    score[:, at] += part.reshape(n, size)[:, has]
    matrix[:, at[:, None], at] += info.reshape(n, size, size)[:, has[:, None], has]
