"""Starts by design: the units divided along what one component for all would leave over."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, pairwise

import numpy as np

from bayesmix.families import Observed
from bayesmix.likelihood import Problem
from bayesmix.likelihood.problem import Arrays, Group

__all__ = ["splits"]

# Shares of the units in a narrow part, and in a tail.
NARROW = (0.5, 0.2)
TAIL = 0.1
# Slopes by which a response is divided, at most.
SLOPES = 3


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
    out[:, order] = np.reshape(made, (len(made), n))
    return out


def _divided(problem: Problem, order: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """The divisions of the units in their order, each (U,)."""
    groups = [(a, next((g for g in a.groups if g.slots), None)) for a in problem.blocks]
    scores = [_scores(problem, a, group)[:, order] for a, group in groups if group is not None]
    equal = [i / k for i in range(1, k)]
    residuals = [np.argsort(s[0], kind="stable") for s in scores]
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
    cuts = [round(i / (k - 1) * len(outside)) for i in range(k)]
    for part, (begin, end) in enumerate(pairwise(cuts)):
        out[outside[begin:end]] = 1 + part
    return out


def _scores(problem: Problem, arrays: Arrays, group: Group) -> np.ndarray:
    """Standardised scores of the units for the intercept and some slopes, (F, U).

    Rows without the response have a score of zero.
    """
    obs, matrix, offset = arrays.seen(group)
    z = _working(group, obs) - offset
    x = matrix[:, group.has[0]]
    residual = z - x @ np.linalg.lstsq(x, z)[0] if x.shape[1] else z - z.mean()
    slopes = x - x.mean(0)
    slopes = slopes[:, (slopes != 0).any(0)][:, :SLOPES]
    columns = np.vstack([np.ones(len(z)), slopes.T])
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


def _working(group: Group, obs: Observed) -> np.ndarray:
    """The response on the scale of the linear predictor, (n,)."""
    family = group.family
    assert family.location is not None
    begin = np.asarray(family.starting(obs)[family.location])
    return family.parameters[0].link.forward(begin) if begin.ndim else obs.y
