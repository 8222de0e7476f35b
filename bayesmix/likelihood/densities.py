r"""The likelihood of a mixture: the one place.

    log L = sum_u w_u log sum_s m_us pi_s(w_u) prod_{i in u} f_s(y_i | x_i)

Every function takes parameter vectors theta of shape (R, D), so that R starts
are evaluated together, and walks over the rows in blocks.
"""

from __future__ import annotations

import numpy as np

from bayesmix.likelihood.problem import BLOCK, Arrays, Chunk, Group, Problem, chunks

EVERY = slice(None)


def linear_predictors(
    arrays: Arrays, group: Group, theta: np.ndarray, rows: slice
) -> tuple[np.ndarray, ...]:
    """Linear predictors of a family's m components, each (R, m, n) or (R, m, 1)."""
    etas = []
    matrix = arrays.matrix[rows]
    if group.family.normal is not None and arrays.alike:  # normal columns read one number for all
        matrix = matrix[:1]
    for slot in group.slots:
        eta = slot.coefficients(theta)
        if not slot.constant:
            eta = eta @ matrix.T
        if slot.located and arrays.offset is not None:
            eta = eta + offset_of(arrays, group, rows)
        etas.append(eta)
    return tuple(etas)


def offset_of(arrays: Arrays, group: Group, rows: slice) -> np.ndarray | float:
    """The offset of the locations in a family's components, (n,) or (m, n)."""
    if arrays.offset is None:
        return 0.0
    offset = arrays.offset[..., rows]
    return offset if offset.ndim == 1 else offset[group.members]


def by_unit(values: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Sums of rows (..., n) within each unit, (..., units)."""
    return values if chunk.first is None else np.add.reduceat(values, chunk.first, axis=-1)


def to_rows(values: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Values of units (..., units) at each of their rows, (..., n)."""
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
            table = None if entry else arrays.table(group)
            if table is None:
                obs = observed[group.key].take(chunk.rows)
                etas = linear_predictors(arrays, group, theta, chunk.rows)
            else:
                obs = table.arrays.observed[group.key]
                etas = linear_predictors(table.arrays, group, theta, EVERY)
            with np.errstate(all="ignore"):
                values = group.family.log_density(obs, etas)
            logf[:, group.members] = values if table is None else table.spread(values, chunk.rows)
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
    terms -= safe
    share = np.exp(terms, out=terms)
    total = share.sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        loglik = (safe + np.log(total))[:, 0]
    share /= np.where(total > 0, total, 1.0)
    return loglik, share


def log_weights(problem: Problem, theta: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Log weights of the components, (R, S, units) or (R, S, 1)."""
    z = None if problem.concomitant is None else problem.concomitant[chunk.units]
    return problem.spec.weights.log_weights(theta, z)


def weighted_sum(problem: Problem, values: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Sum over units of w_u values, where units of weight zero never count."""
    if problem.weight is None:
        return values.sum(-1)
    w = problem.weight[chunk.units]
    return np.where(w > 0, values * w, 0.0).sum(-1)


def log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of shape (R,), without priors."""
    out = np.zeros(len(theta))
    for chunk in chunks(problem, len(theta) * problem.densities):
        loglik, _ = unit_likelihood(problem, theta, log_weights(problem, theta, chunk), chunk)
        out += weighted_sum(problem, loglik, chunk)
    return out


def largest_shift(problem: Problem, step: np.ndarray) -> np.ndarray:
    """Largest change of a linear predictor under a step (R, D) of theta, (R,).

    Those of locations with the identity link do not count, unless they are log odds of levels:
    they have no scale.  Constant ones count where rows have a density together: logarithms of a
    covariance's root run to infinity in a curved valley.
    """
    out = np.abs(problem.spec.weights.logits(step)).max((1, 2), initial=0.0)
    if problem.concomitant is not None:
        logits = problem.spec.weights.logits(step)
        out = np.abs(logits @ problem.concomitant.T).max((1, 2), initial=0.0)
    for arrays in problem.blocks:
        for group in arrays.groups:
            for parameter, slot in zip(group.family.parameters, group.slots, strict=True):
                scaled = parameter.link.name != "identity" or group.family.levels
                if slot.constant and scaled and group.family.whole is not None:
                    out = np.maximum(out, np.abs(slot.coefficients(step)).max((1, 2)))
                elif not slot.constant and scaled:
                    table = arrays.table(group)
                    matrix = arrays.matrix if table is None else table.arrays.matrix
                    change = slot.coefficients(step) @ matrix.T
                    out = np.maximum(out, np.abs(change).max((1, 2)))
    return out


def units(
    problem: Problem, theta: np.ndarray, *, shares: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihoods (R, U) and responsibilities (R, S, U), if wanted, at theta (R, D)."""
    k = problem.spec.k
    loglik = np.empty((len(theta), problem.n_units))
    resp = np.empty((len(theta), k, problem.n_units) if shares else 0)
    # Starts and rows together fill a work array that stays in the cache.
    size = max(1, BLOCK // (k * min(problem.n_rows, 4096)))
    for few in (slice(a, a + size) for a in range(0, len(theta), size)):
        for chunk in chunks(problem, len(theta[few]) * problem.densities):
            log_pi = log_weights(problem, theta[few], chunk)
            loglik[few, chunk.units], own = unit_likelihood(problem, theta[few], log_pi, chunk)
            if shares:
                resp[few, :, chunk.units] = own
    return loglik, resp
