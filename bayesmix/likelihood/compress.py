"""Units that are equal in all that the likelihood reads are computed once, with their number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesmix.likelihood.distinct import distinct_rows
from bayesmix.likelihood.problem import Problem, build_problem
from bayesmix.model import Rows

# Fewer units are computed as they are; it pays where at most this share of them is left.
FEWEST, PAYS = 1000, 0.8


def compressed(problem: Problem) -> Problem:
    """The same problem with equal units as one, whose weight is the sum of theirs.

    Sums over the units stay what they are.  Units of weight zero are excluded, so that
    their values cause no difficulty.  The others stay as they are if counting shows that it would
    not pay, and with groups, times or random effects.

    Parameters
    ----------
    problem : Problem
    """
    if problem.stream is None and problem.weight is not None and not problem.weight.all():
        problem = _of(problem, units_of(problem.spec.rows, np.flatnonzero(problem.weight)))
    if problem.stream is not None or problem.first is not None or problem.n_units < FEWEST:
        return problem
    columns = _columns(problem)
    if columns is None:
        return problem
    found = distinct_rows(columns, problem.n_units, PAYS * problem.n_units)
    if found is None:
        return problem
    weight = np.bincount(found.codes, problem.weight, len(found.first)).astype(float)
    rows = replace(units_of(problem.spec.rows, found.first), weight=weight)
    return _of(problem, rows)


def _of(problem: Problem, rows: Rows) -> Problem:
    """The problem of other rows."""
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
        for obs in arrays.observed.values():
            if obs.times is not None or obs.cluster is not None:
                return None
            out += arrays.columns(obs)
    by_unit = (rows.concomitant, rows.allowed, rows.known)
    out += [column for x in by_unit if x is not None for column in x.T]
    return [np.asarray(column, float) for column in out]
