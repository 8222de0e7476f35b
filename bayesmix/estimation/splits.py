"""Starts by design: the units divided along what one component for all would leave over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, pairwise

import numpy as np

from bayesmix.families import Observed
from bayesmix.likelihood import Problem
from bayesmix.likelihood.problem import Arrays, Group

# Shares of the units in a narrow part, and in a tail.
NARROW = (0.5, 0.2)
TAIL = 0.1
# Slopes by which a response is divided, at most.
SLOPES = 3
# Divisions of several columns around centres, and rounds of each.
CLUSTERINGS = 3
ROUNDS = 10


def splits(problem: Problem, order: np.ndarray, number: int) -> np.ndarray:
    """Components of the units, divided in ways that random ones seldom are.

    Along the residuals of a least-squares fit on the link's scale: into parts of equal
    size; into the narrowest half, or fifth, and the rest, for a tight cluster inside a
    wide one; into a tail and the rest.  Along the units' own scores for a slope: into
    parts of equal size, for lines that cross.

    Parameters
    ----------
    problem : Problem
    order : ndarray, shape (U,)
        The units in the order of `unit_order`, which decides between equal residuals.
    number : int
        At most so many.

    Returns
    -------
    ndarray of int, shape (m, U)
    """
    k, n = problem.spec.k, problem.n_units
    made = list(islice(_divided(problem, order, k), number))
    out = np.empty((len(made), n), np.int16)
    for labels, parts in zip(out, made, strict=True):
        labels[order] = parts
    return out


def _divided(problem: Problem, order: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """The divisions of the units in their order, each (U,)."""
    groups = [(a, next((g for g in a.groups if g.slots), None)) for a in problem.blocks]
    known = [(a, group) for a, group in groups if group is not None]
    for arrays, group in known:
        if group.family.columns:
            yield from _clusters(_columns(problem, arrays, group)[order], k)
    scores = [s[:, order] for a, group in known for s in _scores(problem, a, group)]
    equal = [i / k for i in range(1, k)]
    residuals = [s[0].argsort(kind="stable") for s in scores]
    for by in residuals:
        yield _parts(by, equal)
    for share in NARROW:
        for s, by in zip(scores, residuals, strict=True):
            yield _narrow(s[0], by, share, k)
    rest = [i / (k - 1) * (1 - TAIL) for i in range(k - 1)]
    for by in residuals:
        yield _parts(by, [*rest[1:], 1 - TAIL])
        yield _parts(by, [TAIL + share for share in rest])
    for slope in chain.from_iterable(s[1:] for s in scores):
        yield _parts(np.argsort(slope, kind="stable"), equal)


def _parts(by: np.ndarray, shares: list[float]) -> np.ndarray:
    """Consecutive parts of the units in the order `by`, cut at cumulative shares."""
    cuts = [0, *(round(share * len(by)) for share in shares), len(by)]
    out = np.empty(len(by), np.int16)
    for part, (begin, end) in enumerate(pairwise(cuts)):
        out[by[begin:end]] = part
    return out


def _narrow(values: np.ndarray, by: np.ndarray, share: float, k: int) -> np.ndarray:
    """The shortest interval with a share of the values, and k - 1 parts of the others."""
    size = max(2, round(share * len(by)))
    in_order = values[by]
    at = int((in_order[size - 1 :] - in_order[: len(by) - size + 1]).argmin())
    outside = np.concatenate([by[:at], by[at + size :]])
    out = np.zeros(len(by), np.int16)
    out[outside] = 1 + _parts(np.arange(len(outside)), [i / (k - 1) for i in range(1, k - 1)])
    return out


def _clusters(z: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """Divisions of units (U, q) around k centres: some units, then the means around them."""
    for seed in range(CLUSTERINGS):
        rng = np.random.default_rng(seed)
        centres = z[[int(rng.integers(len(z)))]]
        near = np.square(z - centres[0]).sum(1)
        for _ in range(k - 1):
            share = np.cumsum(near) / max(near.sum(), 1e-300)
            centres = np.vstack([centres, z[[min(int((share < rng.random()).sum()), len(z) - 1)]]])
            near = np.minimum(near, np.square(z - centres[-1]).sum(1))
        for _ in range(ROUNDS):
            nearest = (np.square(centres).sum(1) - 2 * z @ centres.T).argmin(1)
            count = np.bincount(nearest, minlength=k)
            sums = np.array([np.bincount(nearest, column, k) for column in z.T]).T
            centres = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centres)
        yield nearest.astype(np.int16)


def _columns(problem: Problem, arrays: Arrays, group: Group) -> np.ndarray:
    """Standardised residuals of the columns, means over a unit's rows, (U, q)."""
    residuals = [_residual(group, arrays, a)[0] for a in range(len(group.family.columns))]
    z = np.column_stack([r / max(float(r.std()), 1e-300) for r in residuals])
    if problem.first is not None:
        counts = np.diff(np.append(problem.first, len(z)))
        z = np.add.reduceat(z, problem.first) / counts[:, None]
    return np.round(z, 9)


def _residual(group: Group, arrays: Arrays, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of a least-squares fit on the link's scale, and the design."""
    obs, matrix, offset = arrays.seen(group)
    x = matrix[:, group.locations[column].has[0]]
    z = _working(group, obs, column) - offset
    there = ~np.isnan(z)
    seen, known = x[there], z[there]
    fitted = x @ np.linalg.lstsq(seen, known)[0] if x.shape[1] else known.mean()
    return np.where(there, z - fitted, 0.0), x


def _scores(problem: Problem, arrays: Arrays, group: Group) -> Iterator[np.ndarray]:
    """Standardised scores of the units for the intercept and some slopes, (F, U).

    Of several columns those of each.  Rows without the response have a score of zero.
    """
    for column in range(max(len(group.family.columns), 1)):
        yield _column_scores(problem, arrays, group, column)


def _column_scores(problem: Problem, arrays: Arrays, group: Group, column: int) -> np.ndarray:
    residual, x = _residual(group, arrays, column)
    slopes = x - x.sum(0) / len(x)
    slopes = slopes[:, (slopes != 0).any(0)][:, :SLOPES]
    columns = np.ones((1 + slopes.shape[1], len(residual)))
    columns[1:] = slopes.T
    score = residual * columns
    if (there := arrays.observed[group.key].there) is not None:
        every = np.zeros((2, len(columns), len(there)))
        every[:, :, there] = score, columns
        score, columns = every
    if problem.first is not None:
        size = np.add.reduceat(np.square(columns), problem.first, axis=1)
        score = np.add.reduceat(score, problem.first, axis=1) / np.sqrt(np.maximum(size, 1e-300))
    # Rounded, so that equal rows are equal wherever they stand.
    return np.round(score / np.maximum(np.abs(score).max(1, keepdims=True), 1e-300), 9)


def _working(group: Group, obs: Observed, column: int) -> np.ndarray:
    """The response on the scale of the linear predictor, (n,)."""
    family = group.family
    if family.columns:
        return obs.y[:, column]
    begin = np.asarray(family.starting(obs)[family.parameters[0].name])
    return family.parameters[0].link.forward(begin) if begin.ndim else obs.y
