"""Passes over many rows by the fused kernels, in the terms of theta.

They serve models of one response and one family with a kernel, whose rows are
the units; everything else, and small data, goes through NumPy.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from bayesmix.likelihood.problem import Arrays, Group, Problem

__all__ = ["FusedInformation", "FusedPass", "fused_em", "fused_information", "is_fused"]

# Rows times components from which a compiled pass pays for loading it.
LARGE = 200_000


class FusedPass(NamedTuple):
    """The sums of an EM step at one theta.

    `loglik`, `score` (D,), `scoring` (D, D), `mass` (S,), and of the gaussian
    `squares` (S,) with each component's own `parts` (S, P) and `grams` (S, P, P).
    """

    loglik: float
    score: np.ndarray
    scoring: np.ndarray
    mass: np.ndarray
    squares: np.ndarray | None
    parts: np.ndarray
    grams: np.ndarray


class FusedInformation(NamedTuple):
    """`loglik`, `score` (D,) and the observed information `matrix` (D, D)."""

    loglik: float
    score: np.ndarray
    matrix: np.ndarray


def is_fused(problem: Problem) -> bool:
    """Whether a problem is large enough, and of a form, for the kernels."""
    if problem.n_rows * problem.spec.k < LARGE or problem.first is not None:
        return False
    if len(problem.blocks) > 1 or len(problem.blocks[0].groups) > 1:
        return False
    family = problem.blocks[0].groups[0].family
    return family.has_kernel and problem.spec.weights.held is None


@lru_cache(maxsize=1)
def n_threads() -> int:
    """Threads of a pass: the processors this process may use, at most four."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(4, count)


def _arguments(problem: Problem, theta: np.ndarray) -> tuple[tuple, dict[str, Any]]:
    """The kernels' arguments at one theta (D,)."""
    arrays, group = problem.blocks[0], problem.blocks[0].groups[0]
    obs = arrays.observed[group.key]
    coef = arrays.layout.predictors[0].coefficients(theta)
    disp = np.exp(theta[group.dispersions[0]]) if group.dispersions else None
    constant = isinstance(obs.const, np.ndarray)
    data: dict[str, Any] = {
        "offset": arrays.offset,
        "aux": obs.trials,
        "const": obs.const if constant else None,
        "weight": problem.weight,
        "allowed": problem.allowed,
        "n_threads": n_threads(),
    }
    if problem.concomitant is None:
        data["logprior"] = problem.spec.weights.log_weights(theta, None)[:, 0]
    else:
        data |= {"Z": problem.concomitant, "alpha": problem.spec.weights.logits(theta)}
    return (group.family.kernel, arrays.matrix, obs.y, coef, disp), data


def fused_em(problem: Problem, theta: np.ndarray) -> FusedPass:
    """One EM pass at one theta (D,)."""
    from bayesmix import kernels

    arguments, data = _arguments(problem, theta)
    result = kernels.em_pass(*arguments, **data)
    group = problem.blocks[0].groups[0]
    score = np.zeros(len(theta))
    scoring = np.zeros((len(theta), len(theta)))
    for s, (has, at) in enumerate(zip(group.has, group.at, strict=True)):
        score[at] += result.score[s, has]
        scoring[np.ix_(at, at)] += result.gram[s][np.ix_(has, has)]
    squares = None
    if group.dispersions:
        squares = result.ssq
        at = group.dispersions[0]
        variance = np.exp(2 * theta[at])
        np.add.at(score, at, squares / variance - result.rsum)
        np.add.at(scoring, (at, at), 2 * result.rsum)
    _add_alpha(problem, theta, result, score, scoring)
    return FusedPass(
        float(result.loglik), score, scoring, result.rsum, squares, result.score, result.gram
    )


def _add_alpha(
    problem: Problem, theta: np.ndarray, result: Any, score: np.ndarray, scoring: np.ndarray
) -> None:
    index = problem.spec.layout.alpha
    if len(index) == 1:
        return
    at = index[1:].ravel()
    if problem.concomitant is None:
        pi = np.exp(problem.spec.weights.log_weights(theta, None)[1:, 0])
        total = result.rsum.sum()
        score[at] += result.rsum[1:] - total * pi
        scoring[np.ix_(at, at)] += total * (np.diag(pi) - np.outer(pi, pi))
        return
    score[at] += result.zscore[1:].ravel()
    scoring[np.ix_(at, at)] += result.zinfo


def fused_information(problem: Problem, theta: np.ndarray) -> FusedInformation:
    """Log-likelihood, score and observed information at one theta (D,)."""
    from bayesmix import kernels

    arguments, data = _arguments(problem, theta)
    result = kernels.information_pass(*arguments, **data)
    at = _places(problem, problem.blocks[0], problem.blocks[0].groups[0])
    used = np.flatnonzero(at >= 0)
    score = np.zeros(len(theta))
    matrix = np.zeros((len(theta), len(theta)))
    np.add.at(score, at[used], result.score[used])
    np.add.at(matrix, (at[used][:, None], at[used]), result.information[np.ix_(used, used)])
    return FusedInformation(float(result.loglik), score, matrix)


def _places(problem: Problem, arrays: Arrays, group: Group) -> np.ndarray:
    """Entries of theta of the kernels' parameters; -1 for absent coefficients."""
    index = arrays.layout.predictors[0].index
    rows = [
        np.append(row, group.dispersions[0][s]) if group.dispersions else row
        for s, row in enumerate(index)
    ]
    return np.concatenate([*rows, problem.spec.layout.alpha[1:].ravel()])
