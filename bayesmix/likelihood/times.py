"""Mixtures of survival times as the compiled pass for samplers takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.families import Family
from bayesmix.families.survival.base import Instant, nodes, pieces
from bayesmix.formula.times import Times
from bayesmix.likelihood import to_rows
from bayesmix.likelihood.pairs import Part, Side, Terms, make_plan
from bayesmix.likelihood.problem import Chunk, Problem, chunks

if TYPE_CHECKING:
    from bayesmix.families.kernel import TimesKernel
    from bayesmix.kernels import TimesChunk, TimesData, TimesItem, TimesPredictor

__all__ = ["has_kernel", "times_data"]

# Numbers for each row of a chunk, which `chunks` makes fit the cache.
PER_ROW = 64


def has_kernel(problem: Problem) -> bool:
    """Whether the compiled pass can do a problem: every component has times that it knows."""
    return problem.spec.weights.held is None and all(
        _kernel(group.family) is not None for arrays in problem.blocks for group in arrays.groups
    )


def _kernel(family: Family) -> TimesKernel | None:
    return None if family.survival is None else family.survival.kernel


def times_data(problem: Problem) -> TimesData:
    """The problem as the kernel takes it, if `has_kernel` says that it can be one."""
    from bayesmix.kernels import TimesData

    made = [_chunk(problem, chunk) for chunk in chunks(problem, PER_ROW)]
    order = np.concatenate([order for _, order in made])
    z, weight = problem.concomitant, problem.weight
    return TimesData(
        tuple(chunk for chunk, _ in made),
        problem.spec.layout.alpha,
        problem.spec.layout.size,
        problem.truncated,
        None if z is None else z[order],
        None if weight is None else weight[order],
    )


def _chunk(problem: Problem, chunk: Chunk) -> tuple[TimesChunk, np.ndarray]:
    """A chunk, and its units in the kernel's order: by what is known of their components."""
    from bayesmix.kernels import TimesChunk

    n = chunk.units.stop - chunk.units.start
    allowed = np.ones((n, 2), bool) if problem.allowed is None else problem.allowed[chunk.units]
    several = allowed.sum(1) > 1
    known = np.where(several, -1, allowed.argmax(1))
    order = np.argsort(known, kind="stable")
    place = np.empty(n, int)
    place[order] = np.arange(n)
    plan, count = make_plan(problem, chunk), int(several.sum())
    return TimesChunk(
        n,
        known[order[count:]],
        np.argwhere(~allowed[order[:count]].T),
        tuple(_items(plan.observed, chunk, place)),
        () if plan.entry is None else tuple(_items(plan.entry, chunk, place)),
    ), chunk.units.start + order


def _items(side: Side, chunk: Chunk, place: np.ndarray) -> Iterator[TimesItem]:
    """The items of a side; `place` has the units' places in the kernel's order."""
    n = chunk.rows.stop - chunk.rows.start
    unit = to_rows(place, chunk)
    for part in side.parts:
        for m, (edge, count) in enumerate(zip(part.edges, part.counts, strict=True)):
            units = unit[part.place[edge : edge + count] % n]
            order = np.argsort(units, kind="stable")
            component = int(part.place[edge] // n)
            yield from _component_items(part, m, component, order, units[order])


def _component_items(
    part: Part, m: int, component: int, order: np.ndarray, units: np.ndarray
) -> Iterator[TimesItem]:
    """The items of a part's m-th component; a delayed entry of its own is one that subtracts.

    `order` has its pairs in the order of their `units`.
    """
    from bayesmix.kernels import TimesItem

    family = _kernel(part.family)
    assert part.obs.times is not None
    assert family is not None
    times = part.obs.times.take(part.edges[m] + order)
    found = [(kind, rows, 1, _numbers(kind, times.take(rows))) for kind, rows in pieces(times)]
    if (entered := times.entered) is not None:
        some = times.take(entered)
        found.append(("right", entered, -1, _stack(Instant(some.entry, some.log_entry))))
    for kind, rows, sign, numbers in found:
        predictors = tuple(_predictor(terms, m, part, order[rows]) for terms in part.terms)
        yield TimesItem(component, family, kind, sign, numbers, units[rows], predictors)


def _numbers(kind: str, times: Times) -> np.ndarray:
    lower = Instant(times.lower, times.log_lower)
    upper = Instant(times.upper, times.log_upper)
    if kind in ("exact", "right"):
        return _stack(lower)
    if kind == "left":
        return _stack(upper)
    if kind == "interval":
        return _stack(lower, upper)
    assert kind == "narrow"
    return np.vstack([_stack(lower, *nodes(times)), np.log(0.5 * (times.upper - times.lower))])


def _stack(*instants: Instant) -> np.ndarray:
    return np.stack([values for at in instants for values in at])


def _predictor(terms: Terms, m: int, part: Part, pairs: np.ndarray) -> TimesPredictor:
    """A parameter at some pairs of a part's m-th component."""
    from bayesmix.kernels import TimesPredictor

    columns = None if terms.designs is None else terms.designs[m][pairs].T
    offset = None if terms.offset is None else terms.offset[part.edges[m] + pairs]
    return TimesPredictor(terms.at[m], columns, offset)
