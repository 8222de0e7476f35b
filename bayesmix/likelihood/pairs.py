"""Which components are evaluated at which rows, prepared for tens of thousands of passes.

Each component is evaluated only at the rows that may belong to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bayesmix.families import Family, Observed
from bayesmix.formula.times import KINDS, NOTHING
from bayesmix.likelihood.densities import offset_of, to_rows
from bayesmix.likelihood.problem import Arrays, Chunk, Group, Problem, Slot


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


def make_plan(problem: Problem, chunk: Chunk) -> Plan:
    """What a pass evaluates in a chunk of whole units."""
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
            obs.take(np.concatenate(rows)).apart(counts),
            place,
            np.cumsum(counts) - counts,
            counts,
            tuple(_terms(arrays, group, slot, used, rows, chunk) for slot in group.slots),
        )


def _kinds(obs: Observed) -> Iterator[np.ndarray]:
    """Masks of the rows that are read alike; rows that say nothing are in none."""
    times = obs.times
    if times is None:
        yield np.ones(len(obs.y), bool) if obs.there is None else obs.there
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
) -> Terms:
    at = tuple(slot.at[m] for m in used)
    if slot.constant:
        return Terms(at, None, None)
    matrix = arrays.matrix[chunk.rows]
    designs: tuple[np.ndarray, ...] | None
    designs = tuple(matrix[some][:, slot.has[m]] for m, some in zip(used, rows, strict=True))
    offset = None
    if slot.located and arrays.offset is not None:
        whole = np.broadcast_to(
            offset_of(arrays, group, chunk.rows), (len(group.members), len(matrix))
        )
        offset = np.concatenate([whole[m, some] for m, some in zip(used, rows, strict=True)])
    if offset is None and all(x.shape[1] == 1 and (x == 1).all() for x in designs):
        designs = None
    return Terms(at, designs, offset)
