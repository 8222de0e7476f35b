"""Ends of starts that are no successes: collapsed scales, lost and spurious components."""

from __future__ import annotations

from functools import reduce

import numpy as np

from bayesmix.estimation.em import HIGHEST, Floors, Runs
from bayesmix.likelihood import Problem
from bayesmix.likelihood.problem import BLOCK, Arrays, Group
from bayesmix.results.spurious import COLLAPSED_GAIN, is_bounded, narrowness, suspects

COLLAPSED = 1e-8
VANISHED = 1e-9
# Mean log density of a normal density 1e12 times narrower than what it describes.
ROUNDING_GAIN = float(np.log(1e12)) - 0.5
# The same of one that a start could not get to the end of: responses on a line.
LINE_GAIN = float(np.log(1e6)) - 0.5


def has_status(runs: Runs, *names: str) -> np.ndarray:
    """Which starts have one of these statuses, (R,); `np.isin` would sort them first."""
    return reduce(np.logical_or, [runs.status == name for name in names])


def collapse_test(problem: Problem) -> Floors:
    """A test that says which theta (R, D) have a collapsed scale or a lost component."""
    if "floors" not in problem.kept:
        problem.kept["floors"] = _floors(problem)
    return problem.kept["floors"]


def _floors(problem: Problem) -> Floors:
    limits: list[tuple[int, float, float]] = []
    angles: list[int] = []
    for arrays in problem.blocks:
        for group in arrays.groups:
            family = group.family
            if family.normal is not None:
                limits += _column_floors(arrays, group)
                found = group.dispersions[len(family.normal.scales) :]
                angles += [int(j) for at in found for j in at]
            if family.collapse is None:
                continue
            name, sign = family.collapse
            at = group.dispersions[[p.name for p in family.dispersions].index(name)]
            if sign < 0:
                logarithmic = family.is_survival or family.location != "mu"
                low = np.log(_smallest_scale(arrays, group, logarithmic=logarithmic))
                limits += [(int(j), low, np.inf) for j in at]
            else:
                limits += [(int(j), -np.inf, HIGHEST) for j in at]
    where, low, high = np.array(limits).reshape(-1, 3).T
    spec = problem.spec
    constant = spec.k > 1 and spec.layout.concomitant_terms is None and spec.weights.held is None
    weights = spec.weights if constant else None
    least, parts = float(np.log(VANISHED)), np.array(angles, dtype=int)
    return Floors(where.astype(int), low, high, weights, least, parts)


def _column_floors(arrays: Arrays, group: Group) -> list[tuple[int, float, float]]:
    """The smallest logarithms of the standard deviations of several columns."""
    structure = group.family.normal
    assert structure is not None
    obs, matrix, offset = arrays.seen(group)
    low = []
    for y in obs.y.T:
        there = ~np.isnan(y)
        shift = offset[there] if isinstance(offset, np.ndarray) else offset
        low.append(float(np.log(_residual_scale(matrix[there], y[there] - shift))))
    low = low if len(structure.scales) > 1 else [min(low)]
    pairs = zip(group.dispersions, low, strict=False)
    return [(int(j), floor, np.inf) for at, floor in pairs for j in at]


def _smallest_scale(arrays: Arrays, group: Group, *, logarithmic: bool) -> float:
    """The residual scale of all data together, or that of logarithms, times `COLLAPSED`."""
    obs, matrix, offset = arrays.seen(group)
    y = obs.y
    if logarithmic:
        return COLLAPSED * max(float(np.log(y[y > 0]).std()), 1e-3)
    return _residual_scale(matrix, y - offset)


def _residual_scale(matrix: np.ndarray, y: np.ndarray) -> float:
    rows = slice(None, None, max(1, len(y) // 5000))
    x, z = matrix[rows], y[rows]
    residual = z - x @ np.linalg.lstsq(x, z)[0] if x.shape[1] else z
    return max(COLLAPSED * float(residual.std()), 1e-13 * float(np.abs(y).max()), 1e-150)


def name_ends(problem: Problem, runs: Runs, collapsed: Floors) -> None:
    """Starts with a lost or spurious component or no likelihood are not successes."""
    runs.status[collapsed(runs.theta)] = "degenerate"
    runs.status[~np.isfinite(runs.loglik)] = "failed"
    if problem.spec.k == 1:
        narrow = _within_rounding(problem, runs.loglik)
        unfinished = ~has_status(runs, "converged", "boundary")
        runs.status[(narrow > ROUNDING_GAIN) | (unfinished & (narrow > LINE_GAIN))] = "degenerate"
    (rows,) = (~has_status(runs, "degenerate", "failed")).nonzero()
    constant = collapsed.weights is not None
    if not len(rows) or problem.spec.k == 1 or (constant and is_bounded(problem)):
        return
    shares = mean_weights(problem, runs.theta[rows])
    if collapsed.weights is None:
        runs.status[rows[(shares < VANISHED).any(1)]] = "degenerate"
    for r in rows[suspects(problem, shares)]:
        gain = narrowness(problem, runs.theta[r]).max()
        if gain > 0 and runs.status[r] != "degenerate":
            runs.status[r] = "degenerate" if gain > COLLAPSED_GAIN else "spurious"


def _within_rounding(problem: Problem, loglik: np.ndarray) -> np.ndarray:
    """Log of how much narrower than the responses one component of a user's family is, (R,).

    By the mean log density, which is that of a normal density so narrow; zero for other models.
    """
    none = np.zeros(len(loglik))
    if len(problem.blocks) > 1:
        return none
    (arrays,), (group,) = problem.blocks, problem.blocks[0].groups
    y = arrays.observed[group.key].y
    if not group.family.is_own or group.family.is_survival or not (y != np.round(y)).any():
        return none
    count = len(y) if problem.weight is None else float(np.sum(problem.weight))
    return np.asarray(np.nan_to_num(loglik, nan=-np.inf) / count + np.log(np.std(y)))


def mean_weights(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Mean weights of the components over the units, (R, S)."""
    weights, z, w = problem.spec.weights, problem.concomitant, problem.weight
    if z is None:
        return np.exp(weights.log_weights(theta, None))[:, :, 0]
    size = max(1, BLOCK // (problem.spec.k * problem.n_units))  # starts at once
    parts = [theta[a : a + size] for a in range(0, len(theta), size)]
    means = [np.average(np.exp(weights.log_weights(part, z)), axis=2, weights=w) for part in parts]
    return np.concatenate(means)
