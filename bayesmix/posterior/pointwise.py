"""Log-likelihoods and memberships of units at many draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from bayesmix.likelihood.blocks import by_block
from bayesmix.likelihood.compress import units_of
from bayesmix.likelihood.engine import engine, is_large, threads
from bayesmix.likelihood.problem import Problem, build_problem
from bayesmix.posterior.labels import membership_batches

# Bytes of the log-likelihoods that one part of the units has.
PART = 1 << 24

# From log-likelihoods (1, T, U), names of the units and their weights to a table by unit.
Summary = Callable[[np.ndarray, pd.Index, np.ndarray | None], pd.DataFrame]


def by_units(problem: Problem, theta: np.ndarray, summary: Summary) -> pd.DataFrame:
    """A table of the units by their log-likelihoods at the draws theta (T, D).

    Some thousand units are looked at together, and as many such parts as there are threads.
    """
    size = max(64, PART // (8 * len(theta)))
    n_threads = threads(problem)
    large = is_large(problem)

    def tables(block: Problem) -> list[pd.DataFrame]:
        make = partial(_table, theta, summary, large)
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(make, _parts(block, size)))

    return pd.concat([table for made in by_block(problem, tables, 1) for table in made])


def _parts(block: Problem, size: int) -> Iterator[Problem]:
    rows = block.spec.rows
    for a in range(0, rows.n_units, size):
        chosen = np.arange(a, min(a + size, rows.n_units))
        yield replace(block, spec=replace(block.spec, rows=units_of(rows, chosen)))


def _table(theta: np.ndarray, summary: Summary, large: bool, part: Problem) -> pd.DataFrame:
    problem = replace(build_problem(part.spec, n_threads=1), large=large)
    values = unit_log_likelihood(problem, theta)
    return summary(values[None], problem.spec.rows.units.index, problem.weight)


def unit_log_likelihood(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of every unit at every draw, (T, U), times the unit's case weight.

    The unit's component is integrated out; theta is (T, D).
    """
    out = engine(problem).units(theta, shares=False)[0]
    if problem.weight is None:
        return out
    return np.where(problem.weight > 0, out * problem.weight, 0.0)


def mean_membership(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over the draws of the memberships, each (U, S)."""
    total = np.zeros((problem.n_units, problem.spec.k))
    square = np.zeros_like(total)
    for _, _, resp in membership_batches(problem, theta):
        total += resp.sum(0).T
        square += np.square(resp).sum(0).T
    mean = total / len(theta)
    return mean, np.sqrt(np.maximum(square / len(theta) - mean**2, 0.0))
