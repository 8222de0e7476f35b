"""The log-likelihood and its gradient at one theta, prepared for tens of thousands of calls.

The numbers are those of `likelihood.em_pass`, without what only an EM step needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bayesmix.families import Derivatives
from bayesmix.families.derivatives import finite
from bayesmix.likelihood.densities import by_unit, join, log_weights, to_rows, weighted_sum
from bayesmix.likelihood.pairs import Part, Plan, Side, Terms, make_plan
from bayesmix.likelihood.problem import Chunk, Problem, chunks

NOTHING_ADDED = np.zeros((1, 1, 1))

ValueAndGradient = Callable[[np.ndarray], tuple[float, np.ndarray]]


def value_and_gradient(problem: Problem) -> ValueAndGradient:
    """The log-likelihood of theta (D,) with its gradient (D,), as a quick function.

    Parameters
    ----------
    problem : Problem
        Without priors.
    """
    assert problem.penalty is None
    plans = [make_plan(problem, chunk) for chunk in chunks(problem, problem.spec.k)]

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        parts = [_chunk_slope(problem, plan, theta) for plan in plans]
        return sum(value for value, _ in parts), np.sum([slope for _, slope in parts], axis=0)

    return value_and_gradient


def _chunk_slope(problem: Problem, plan: Plan, theta: np.ndarray) -> tuple[float, np.ndarray]:
    chunk, spec = plan.chunk, problem.spec
    log_pi = log_weights(problem, theta[None], chunk)
    logf, found = _log_densities(plan.observed, theta, spec.k, chunk)
    loglik, share = _join(problem, plan, logf, log_pi)
    value = float(weighted_sum(problem, loglik, chunk)[0])
    slope = _gradient(problem, plan.observed, found, share, log_pi, chunk)
    if plan.entry is None:
        return value, slope
    logf, found = _log_densities(plan.entry, theta, spec.k, chunk)
    seen, share = join(None, logf, log_pi, chunk)
    value -= float(weighted_sum(problem, seen, chunk)[0])
    return value, slope - _gradient(problem, plan.entry, found, share, log_pi, chunk)


def _join(
    problem: Problem, plan: Plan, logf: np.ndarray, log_pi: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `likelihood.join`, with no sum over components where a unit's is known."""
    if plan.known is None:
        return join(problem.allowed, logf, log_pi, plan.chunk)
    known, several = plan.known, plan.several
    terms = logf + log_pi
    loglik, share = np.empty((1, terms.shape[2])), known.share.copy()
    loglik[0, known.units] = terms.ravel()[known.place]
    if len(several):
        some = terms[:, :, several]
        if plan.barred is not None:
            some = np.where(plan.barred, -np.inf, some)
        loglik[:, several], share[:, :, several] = join(None, some, NOTHING_ADDED, plan.chunk)
    return loglik, share


def _log_densities(
    side: Side, theta: np.ndarray, k: int, chunk: Chunk
) -> tuple[np.ndarray, list[Derivatives]]:
    """Log densities (1, S, units), and the parts' derivatives."""
    n = chunk.rows.stop - chunk.rows.start
    total = np.zeros(k * n)
    found: list[Derivatives] = []
    for part in side.parts:
        etas = tuple(_eta(terms, part, theta) for terms in part.terms)
        with np.errstate(all="ignore"):
            d = finite(part.family.derivatives(part.obs, etas))
        total[part.place] += d.logf
        found.append(d)
    return by_unit(total.reshape(1, k, n), chunk), found


def _eta(terms: Terms, part: Part, theta: np.ndarray) -> np.ndarray:
    """The linear predictor at the pairs, (pairs,) or (1,)."""
    if terms.designs is None:
        constants = np.array([theta[at].sum() for at in terms.at])
        return constants if len(constants) == 1 else np.repeat(constants, part.counts)
    values = [x @ theta[at] for x, at in zip(terms.designs, terms.at, strict=True)]
    eta = values[0] if len(values) == 1 else np.concatenate(values)
    return eta if terms.offset is None else eta + terms.offset


def _gradient(
    problem: Problem,
    side: Side,
    found: list[Derivatives],
    share: np.ndarray,
    log_pi: np.ndarray,
    chunk: Chunk,
) -> np.ndarray:
    weight = None if problem.weight is None else problem.weight[chunk.units]
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    spec = problem.spec
    has, entries = spec.weights.places
    alpha = spec.weights.score(share, log_pi, z, weight)[0].ravel()[has]
    r = to_rows(share if weight is None else share * weight, chunk).ravel()
    slopes = [alpha]
    for part, d in zip(side.parts, found, strict=True):
        of_pairs = r[part.place]
        for terms, first in zip(part.terms, d.first, strict=True):
            slopes.extend(_slopes(terms, part, of_pairs * first))
    at = np.concatenate([entries, side.at])
    return np.bincount(at, np.concatenate(slopes), spec.layout.size)


def _slopes(terms: Terms, part: Part, score: np.ndarray) -> Iterator[np.ndarray]:
    """Sums over the pairs of a score (pairs,) times the columns of each component."""
    if terms.designs is None:
        sums = np.add.reduceat(score, part.edges)
        for total, at in zip(sums, terms.at, strict=True):
            yield np.full(len(at), total)
        return
    for x, edge, count in zip(terms.designs, part.edges, part.counts, strict=True):
        yield score[edge : edge + count] @ x
