"""Units that are equal in all that the likelihood reads are computed once, with their number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bayesmix.likelihood.problem import Problem, build_problem
from bayesmix.model import Rows

__all__ = ["compressed", "units_of"]

# Fewer units are computed as they are; it pays where at most this share of them is left.
FEWEST, PAYS = 1000, 0.5
# Rows that are looked at first: without two equal ones among them there are too many patterns.
SAMPLE = 500
PRIME = np.uint64(0x9E3779B97F4A7C15)


def compressed(problem: Problem) -> Problem:
    """The same problem with equal units as one, whose weight is the sum of theirs.

    Sums over the units stay what they are.  The problem itself where counting shows that it
    would not pay, and with groups, times or random effects.

    Parameters
    ----------
    problem : Problem
    """
    if problem.stream is not None or problem.first is not None or problem.n_units < FEWEST:
        return problem
    columns = _columns(problem)
    if columns is None:
        return problem
    bits = [np.ascontiguousarray(c + 0.0).view(np.uint64) for c in columns if _varies(c)]
    step = max(1, problem.n_units // SAMPLE)
    if len(np.unique(_hash([b[::step] for b in bits]))) == len(range(0, problem.n_units, step)):
        return problem
    _, first, codes = np.unique(_hash(bits), return_index=True, return_inverse=True)
    pays = len(first) <= PAYS * problem.n_units
    if not pays or not all(np.array_equal(b, b[first][codes]) for b in bits):
        return problem
    weight = np.bincount(codes, problem.weight, len(first)).astype(float)
    order = np.argsort(first)
    rows = replace(units_of(problem.spec.rows, first[order]), weight=weight[order])
    made = build_problem(replace(problem.spec, rows=rows), penalty=problem.penalty)
    return replace(made, n_threads=problem.n_threads)


def units_of(rows: Rows, chosen: np.ndarray) -> Rows:
    """Some units with all their rows, by their positions in ascending order or without groups."""
    place = np.full(rows.n_units, -1)
    place[chosen] = np.arange(len(chosen))
    keep = np.flatnonzero(place[rows.units.codes] >= 0) if rows.units.grouped else chosen
    codes = place[rows.units.codes[keep]]
    first = np.full(len(chosen), len(keep))
    np.minimum.at(first, codes, np.arange(len(keep)))
    units = replace(rows.units, codes=codes, index=rows.units.index[chosen], first=first)
    by_unit = (rows.concomitant, rows.weight, rows.allowed, rows.known)
    return Rows(
        tuple(b.take(keep) for b in rows.blocks),
        units,
        *(None if x is None else x[chosen] for x in by_unit),
    )


def _columns(problem: Problem) -> list[np.ndarray] | None:
    """All numbers that the likelihood reads of a unit, (n,) each; None where rows are together."""
    out: list[np.ndarray] = []
    rows = problem.spec.rows
    for arrays in problem.blocks:
        out += [*arrays.matrix.T, *(() if arrays.offset is None else np.atleast_2d(arrays.offset))]
        for obs in arrays.observed.values():
            if obs.times is not None or obs.cluster is not None:
                return None
            limits = () if obs.limits is None else (obs.limits.lower, obs.limits.upper)
            given = (x for x in (*obs, *limits) if isinstance(x, np.ndarray))
            out += [column for x in given for column in _flat(x)]
    by_unit = (rows.concomitant, rows.allowed, rows.known)
    out += [column for x in by_unit if x is not None for column in x.T]
    return [np.asarray(column, float) for column in out]


def _flat(x: np.ndarray) -> Iterator[np.ndarray]:
    """Columns of an array (n,) or (n, m)."""
    yield from x.reshape(len(x), -1).T


def _varies(column: np.ndarray) -> bool:
    return bool((column != column[0]).any())


def _hash(bits: list[np.ndarray]) -> np.ndarray:
    """A number of 64 bits for each row, equal where all columns are."""
    out = np.zeros(len(bits[0]) if bits else 1, np.uint64)
    with np.errstate(over="ignore"):
        for column in bits:
            out = (out ^ column) * PRIME
            out ^= out >> np.uint64(29)
    return out
