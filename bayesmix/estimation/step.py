"""One M-step: from a pass over the rows to new parameters."""

from __future__ import annotations

import numpy as np

from bayesmix.families.multivariate.normal import Moments
from bayesmix.likelihood import Pass, Problem, Squares
from bayesmix.priors import confined

# Largest change of a link-scale dispersion in one scoring step.
STRIDE = 2.0
# The same of the root of a random effects' covariance, in units of the response.
ROOT_STRIDE = 0.5
TINY = 1e-300
FARTHEST = 8.0
ROUNDING = 1e-13


def solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Solve positive semi-definite systems after scaling their diagonals to one.

    Parameters
    ----------
    matrix : ndarray, shape (R, f, f)
    vector : ndarray, shape (R, f)

    Returns
    -------
    ndarray, shape (R, f)
        A ridge of 1e-10 keeps empty and dependent directions at rest.
    """
    diagonal = np.einsum("rjj->rj", matrix)
    scale = np.sqrt(np.where(diagonal > TINY, diagonal, 1.0))
    scaled = matrix / (scale[:, :, None] * scale[:, None])
    f = matrix.shape[1]
    scaled[:, np.arange(f), np.arange(f)] += 1e-10
    bad = ~np.isfinite(scaled).all((1, 2))
    scaled[bad] = np.eye(f)
    right = np.where(np.isfinite(vector), vector, 0.0) / scale
    return np.linalg.solve(scaled, right[..., None])[..., 0] / scale


def m_step(problem: Problem, theta: np.ndarray, p: Pass) -> np.ndarray:
    """New parameters (R, D) that raise the expected complete-data log-likelihood.

    Coefficients and logits move by one scoring step, from the weighted normal
    equations; constant weights and Gaussian scales have closed forms.
    """
    spec = problem.spec
    free = np.flatnonzero(spec.free)
    step = np.zeros_like(theta)
    if len(free):
        step[:, free] = solve(p.scoring[:, free[:, None], free], p.score[:, free])
    dispersion = [j for j, c in enumerate(spec.layout.coordinates) if c.effect == "dispersion"]
    step[:, dispersion] = np.clip(step[:, dispersion], -STRIDE, STRIDE)
    random = [j for j, c in enumerate(spec.layout.coordinates) if c.effect == "random"]
    # All by one factor, so that they still point uphill where a covariance is nearly singular.
    widest = np.abs(step[:, random]).max(1, initial=ROOT_STRIDE, keepdims=True)
    step[:, dispersion + random] *= ROOT_STRIDE / widest
    if spec.layout.concomitant_terms is not None:
        _bound_logits(problem, step)
    new = theta + step
    for key, squares in p.squares.items():
        if isinstance(squares, Squares):
            _scales(problem, key, squares, theta, new)
        else:
            _covariances(problem, key, squares, theta, new)
    constant = spec.layout.concomitant_terms is None and spec.weights.held is None
    if constant and problem.penalty is None and not problem.truncated:
        _weights(problem, p.mass, new)
    if problem.penalty is not None:
        inside = confined(problem.penalty.model, new)
        new = np.where(spec.free, inside, new)
    return new


def _bound_logits(problem: Problem, step: np.ndarray) -> None:
    """Shorten steps that would change a unit's logit by more than `FARTHEST`."""
    assert problem.concomitant is not None
    index = problem.spec.layout.alpha[1:]
    crude = np.abs(step[:, index]) @ np.abs(problem.concomitant).max(0)
    rows = np.flatnonzero((crude > FARTHEST).any(1))
    if len(rows):
        moves = step[rows][:, index]
        shift = np.abs(moves @ problem.concomitant.T).max((1, 2))
        shrink = np.minimum(1.0, FARTHEST / np.maximum(shift, TINY))
        step[rows[:, None], index.ravel()] = (moves * shrink[:, None, None]).reshape(len(rows), -1)


def _weights(problem: Problem, mass: np.ndarray, new: np.ndarray) -> None:
    """Mean responsibilities, as logits against the first component."""
    index = problem.spec.layout.alpha[1:, 0]
    logs = np.log(np.maximum(mass, TINY))
    held = ~problem.spec.free[index]
    new[:, index] = np.where(held, new[:, index], logs[:, 1:] - logs[:, :1])


def _scales(
    problem: Problem, number: int, squares: Squares, theta: np.ndarray, new: np.ndarray
) -> None:
    """sigma^2 = sum w r^2 / sum w at the new coefficients, pooled where shared."""
    layout = problem.blocks[number].layout
    for family, members in layout.groups():
        if not family.closed_scale:
            continue
        location, scale = (layout.predictors[j] for j in layout.slots[members[0]])
        at = scale.index[members, 0]
        variance = np.exp(2 * theta[:, at])
        delta = (location.coefficients(new) - location.coefficients(theta))[:, members]
        # The sum of squares is quadratic in the coefficients: no second pass.
        linear = (squares.score[:, members] * delta).sum(-1)
        curved = np.einsum("rsp,rspq,rsq->rs", delta, squares.gram[:, members], delta)
        # Below its rounding error the difference says nothing: the next step looks again.
        old = squares.total[:, members]
        total = np.maximum(old + variance * (curved - 2 * linear), ROUNDING * old)
        for position in np.unique(at):
            if problem.spec.free[position]:
                shared = at == position
                count = squares.rows[:, members][:, shared].sum(-1)
                mean = total[:, shared].sum(-1) / np.maximum(count, TINY)
                new[:, position] = 0.5 * np.log(np.maximum(mean, TINY))


def _covariances(
    problem: Problem, key: tuple[int, str], sums: Moments, theta: np.ndarray, new: np.ndarray
) -> None:
    """Sigma = sum w r r' / sum w at the new coefficients, pooled where shared."""
    number, name = key
    group = next(g for g in problem.blocks[number].groups if g.key == name)
    structure = group.family.normal
    assert structure is not None
    change = np.stack(
        [slot.coefficients(new) - slot.coefficients(theta) for slot in group.locations], axis=-1
    )  # (R, m, P, q)
    linear = np.swapaxes(change, -1, -2) @ sums.cross
    square = sums.square - linear - np.swapaxes(linear, -1, -2)
    square = square + np.swapaxes(change, -1, -2) @ sums.gram @ change
    index = np.stack(group.dispersions, axis=-1)  # (m, p)
    for first in np.unique(index[:, 0]):
        shared = index[:, 0] == first
        at = index[shared][0]
        if problem.spec.free[at].all():
            count = np.maximum(sums.mass[:, shared].sum(1), TINY)
            pooled = square[:, shared].sum(1) / count[:, None, None]
            own = np.arange(structure.q)
            pooled[:, own, own] = np.maximum(pooled[:, own, own], TINY)
            new[:, at] = structure.parameters(pooled)
