"""The log-likelihood and its gradient at one theta, prepared for tens of thousands of calls.

The numbers are those of `likelihood.em_pass`, without what only an EM step needs, and each
component is evaluated only at the rows that may belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from bayesmix import compiled
from bayesmix.families import Derivatives, Family, Observed
from bayesmix.fused import is_fused
from bayesmix.likelihood import (
    by_unit,
    em_pass,
    finite,
    join,
    log_weights,
    offset_of,
    to_rows,
    weighted_sum,
)
from bayesmix.problem import Arrays, Chunk, Group, Problem, Slot, chunks
from bayesmix.times import KINDS, NOTHING

__all__ = ["value_and_gradient"]

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
    if is_fused(problem) or compiled.engine(problem) is not None:
        return lambda theta: _of_pass(problem, theta)
    plans = [_plan(problem, chunk) for chunk in chunks(problem, problem.spec.k)]

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        parts = [_chunk_slope(problem, plan, theta) for plan in plans]
        return sum(value for value, _ in parts), np.sum([slope for _, slope in parts], axis=0)

    return value_and_gradient


def _of_pass(problem: Problem, theta: np.ndarray) -> tuple[float, np.ndarray]:
    p = em_pass(problem, theta[None])
    return float(p.loglik[0]), p.score[0]


# --- what is evaluated where ---------------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """A parameter's linear predictor at the pairs of a part, one component after the other.

    `at` has the entries of theta of every component, `designs` its columns at its pairs
    (none where the linear predictor is a constant) and `offset` (pairs,) what is added.
    """

    at: tuple[np.ndarray, ...]
    designs: tuple[np.ndarray, ...] | None
    offset: np.ndarray | None


@dataclass(frozen=True)
class Part:
    """Pairs of a component and a row, at which a family reads observations of one kind.

    `place` has their places in the flattened (components, rows), `edges` where the pairs
    of each component begin, and `counts` how many it has.
    """

    family: Family
    obs: Observed
    place: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    terms: tuple[Terms, ...]


@dataclass(frozen=True)
class Side:
    """Parts whose log densities add up, with the entries of theta that their slopes are of."""

    parts: tuple[Part, ...]
    at: np.ndarray


@dataclass(frozen=True)
class Known:
    """Units of one possible component: their places among the units and in (S, U).

    `share` (1, S, U) is one there.
    """

    units: np.ndarray
    place: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Plan:
    """A chunk of whole units: its densities, and the survivals to delayed entries.

    `known` is None where all units may belong to several components; `several` has the
    units that do, and `barred` (S, them) their impossible components, if there are any.
    """

    chunk: Chunk
    observed: Side
    entry: Side | None
    known: Known | None = None
    several: np.ndarray = field(default_factory=lambda: np.arange(0))
    barred: np.ndarray | None = None


def _plan(problem: Problem, chunk: Chunk) -> Plan:
    observed = _side(problem, chunk, entry=False)
    entry = _side(problem, chunk, entry=True) if problem.truncated else None
    allowed = None if problem.allowed is None else problem.allowed[chunk.units]
    if allowed is None or (allowed.sum(1) > 1).all():
        return Plan(chunk, observed, entry)
    several = allowed.sum(1) > 1
    only = allowed.T & ~several
    place = np.flatnonzero(only)
    known = Known(place % len(allowed), place, only[None].astype(float))
    barred = ~allowed[several].T
    return Plan(
        chunk, observed, entry, known, np.flatnonzero(several), barred if barred.any() else None
    )


def _side(problem: Problem, chunk: Chunk, *, entry: bool) -> Side:
    n = chunk.rows.stop - chunk.rows.start
    allowed = None if problem.allowed is None or entry else problem.allowed[chunk.units].T
    may = np.ones((problem.spec.k, n), bool) if allowed is None else to_rows(allowed, chunk)
    parts = tuple(
        part
        for arrays in problem.blocks
        if (observed := arrays.entry if entry else arrays.observed) is not None
        for group in arrays.groups
        for part in _parts(arrays, group, observed[group.key].take(chunk.rows), chunk, may)
    )
    at = [at for part in parts for terms in part.terms for at in terms.at]
    return Side(parts, np.concatenate([np.empty(0, int), *at]))


def _parts(
    arrays: Arrays, group: Group, obs: Observed, chunk: Chunk, may: np.ndarray
) -> Iterator[Part]:
    n = may.shape[1]
    for kind in _kinds(obs):
        rows = [np.flatnonzero(may[s] & kind) for s in group.members]
        used = [m for m, some in enumerate(rows) if len(some)]
        if not used:
            continue
        rows = [rows[m] for m in used]
        counts = np.array([len(some) for some in rows])
        place = np.concatenate([group.members[m] * n + r for m, r in zip(used, rows, strict=True)])
        yield Part(
            group.family,
            obs.take(np.concatenate(rows)),
            place,
            np.cumsum(counts) - counts,
            counts,
            tuple(
                _terms(arrays, group, slot, used, rows, chunk, first=number == 0)
                for number, slot in enumerate(group.slots)
            ),
        )


def _kinds(obs: Observed) -> Iterator[np.ndarray]:
    """Masks of the rows that are read alike; rows that say nothing are in none."""
    times = obs.times
    if times is None:
        yield np.ones(len(obs.y), bool)
        return
    # Exact and right-censored times share their closed forms.
    form = np.where(times.code == KINDS.index("right"), KINDS.index("exact"), times.code)
    key = 2 * form + (times.entry > 0)
    for each in np.unique(key[key != 2 * NOTHING]):
        yield key == each


def _terms(
    arrays: Arrays,
    group: Group,
    slot: Slot,
    used: list[int],
    rows: list[np.ndarray],
    chunk: Chunk,
    *,
    first: bool,
) -> Terms:
    at = tuple(slot.at[m] for m in used)
    if slot.constant:
        return Terms(at, None, None)
    matrix = arrays.matrix[chunk.rows]
    designs: tuple[np.ndarray, ...] | None
    designs = tuple(matrix[some][:, slot.has[m]] for m, some in zip(used, rows, strict=True))
    offset = None
    if first and arrays.offset is not None:
        whole = np.broadcast_to(
            offset_of(arrays, group, chunk.rows), (len(group.members), len(matrix))
        )
        offset = np.concatenate([whole[m, some] for m, some in zip(used, rows, strict=True)])
    if offset is None and all(x.shape[1] == 1 and (x == 1).all() for x in designs):
        designs = None
    return Terms(at, designs, offset)


# --- the evaluation ------------------------------------------------------------------------


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
