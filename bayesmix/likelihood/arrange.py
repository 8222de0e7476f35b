"""A problem as the compiled kernels take it: items, and the rows at which each is observed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.families import Family, Observed
from bayesmix.families.kernel import OTHER_LINKS, Kernel, TimesKernel
from bayesmix.families.survival.base import LATE, Instant, Survival, apart, nodes, pieces
from bayesmix.families.whole import clusters_of
from bayesmix.formula.times import Times
from bayesmix.likelihood.passes import closed_scale
from bayesmix.likelihood.problem import Arrays, Group, Problem

if TYPE_CHECKING:
    from bayesmix.kernels import Arranged, Item, Part, Slot


@functools.lru_cache
def kernel_of(family: Family) -> Kernel | TimesKernel | None:
    """What the kernels know of a family, None if they do not know it with its link."""
    if family.limited:
        return None  # terms are of the density alone
    if family.survival is not None:
        return family.survival.kernel
    if not isinstance(family.kernel, Kernel) or not family.params:
        return family.kernel
    link = family.parameters[0].link.name
    if family.kernel.together is not None and link != family.kernel.link:
        return None  # linear in coefficients
    known = (family.kernel.link, *OTHER_LINKS.get(family.kernel.link, ()))
    return family.kernel if link in known else None


def known(problem: Problem) -> bool:
    """Whether the kernels can do a problem: all its families and responses, no held weights."""
    return problem.spec.weights.held is None and all(
        kernel_of(group.family) is not None and _readable(arrays.observed[group.key])
        for arrays, group in _groups(problem)
    )


def has_runs(problem: Problem) -> bool:
    """Whether the kernels that know a problem have its M steps too."""
    return all(_together(group.family) is None for _, group in _groups(problem))


def _together(family: Family) -> Callable[..., np.ndarray] | None:
    """What the kernels read of a cluster's rows, where these have a density together."""
    kernel = kernel_of(family)
    return kernel.together if isinstance(kernel, Kernel) else None


def _readable(obs: Observed) -> bool:
    """Whether some row has the response, and no background has a part in an event."""
    if obs.times is not None:
        return not obs.times.exposed.any()
    return obs.there is None or bool(np.any(obs.there))


def kernel_names(problem: Problem) -> set[str | None]:
    """File names of the terms and links that a problem needs."""
    from bayesmix.kernels import kernel_name, link_name, times_name

    names: set[str | None] = set()
    for arrays, group in _groups(problem):
        kernel = kernel_of(group.family)
        assert kernel is not None
        if isinstance(kernel, Kernel):
            names.add(kernel_name(kernel))
            if link := _link(group.family, kernel):
                names.add(link_name(kernel.link, link))
            continue
        if arrays.observed[group.key].times is None:
            names.add(times_name(kernel, "exact"))
        for observed in (arrays.observed, arrays.entry):
            times = None if observed is None else observed[group.key].times
            if times is not None:
                survival = group.family.survival
                assert survival is not None
                names |= {times_name(kernel, kind) for kind, _ in pieces(survival, times)}
                names |= set() if apart(survival, times) is None else {times_name(kernel, "right")}
    return names


def _groups(problem: Problem) -> Iterator[tuple[Arrays, Group]]:
    for arrays in problem.blocks:
        for group in arrays.groups:
            yield arrays, group


def _link(family: Family, kernel: Kernel | TimesKernel) -> str:
    """The location's link, empty if the kernel is written for it."""
    if not isinstance(kernel, Kernel) or not family.params:
        return ""
    name = family.parameters[0].link.name
    return "" if name == kernel.link else name


def arrange(problem: Problem) -> Arranged:
    """The problem's data for the kernels, if they are `known`."""
    from bayesmix.kernels import Arranged

    items: list[Item] = []
    parts: list[Part] = []
    for arrays, group in _groups(problem):
        table = arrays.table(group)
        few = arrays if table is None else table.arrays
        places = range(len(items), len(items) + len(group.members))
        for m, s in enumerate(group.members.tolist()):
            item = _item(few, group, m, s)
            items.append(item if table is None else item._replace(codes=table.distinct.codes))
        alike = [places] if not _by_component(problem, arrays, group) else [[at] for at in places]
        for some in alike:
            s = int(group.members[some[0] - places[0]])
            parts += [part._replace(items=some) for part in _parts(problem, few, group, s)]
    n_rows, first = problem.n_rows, problem.first
    if first is not None and all(_together(group.family) for _, group in _groups(problem)):
        # Rows but the first of each cluster, and one of a unit without responses, say nothing.
        used = np.unique(np.concatenate([first, *(_rows(part, n_rows) for part in parts)]))
        parts = [p._replace(rows=np.searchsorted(used, _rows(p, n_rows))) for p in parts]
        n_rows, first = len(used), np.searchsorted(used, first)
    return Arranged(
        tuple(items),
        tuple(parts),
        problem.spec.layout.alpha,
        _kinds(problem),
        n_rows,
        not problem.truncated,
        problem.concomitant,
        first,
        problem.weight,
        problem.allowed,
    )


def _rows(part: Part, n: int) -> np.ndarray:
    return np.arange(n) if part.rows is None else part.rows


def _item(arrays: Arrays, group: Group, m: int, component: int) -> Item:
    from bayesmix.kernels import Item, Slot

    family, kernel = group.family, kernel_of(group.family)
    assert kernel is not None
    offset = arrays.offset
    if offset is not None and offset.ndim > 1:
        offset = offset[component]
    slots = [
        _slot(arrays, slot.index[m], slot.constant, offset if slot.located else None)
        for slot in group.slots
    ]
    if _together(family) is not None:
        first = [Slot(at, design=False) for at in group.slots[0].index[m][:, None]]
        slots = [*first, *slots[1:]]
    # What a kernel reads and the family does not have is any number.
    slots += [Slot(np.array([-1]), design=False)] * (kernel.parameters - len(slots))
    used = slots[0].design if slots else False
    return Item(
        component,
        kernel,
        _link(family, kernel),
        arrays.matrix,
        offset if used else None,
        tuple(slots),
        closed_scale(family) and kernel.statistic,
        2 if _together(family) is not None else int(family.concave),
        located=len(group.locations),
    )


def _slot(arrays: Arrays, index: np.ndarray, constant: bool, offset: np.ndarray | None) -> Slot:
    """A parameter; an intercept alone needs no design."""
    from bayesmix.kernels import Slot

    if constant:
        return Slot(index, design=False)
    column = _only_ones(arrays, index)
    if column is not None and offset is None:
        return Slot(index[column : column + 1], design=False)
    return Slot(index, design=True)


def _only_ones(arrays: Arrays, index: np.ndarray) -> int | None:
    """The column of a linear predictor that is a constant, None if it is not."""
    has = (index >= 0).nonzero()[0]
    if len(has) != 1 or not (arrays.matrix[:, has[0]] == 1).all():
        return None
    return int(has[0])


def _kinds(problem: Problem) -> np.ndarray:
    """What each entry of theta is, for the compiled M step."""
    from bayesmix import kernels

    kinds = {
        "dispersion": kernels.LOG_DISPERSION,
        "concomitant": kernels.LOGIT,
        "weight": kernels.LOGIT if problem.truncated else kernels.WEIGHT,
    }
    effects = (c.effect for c in problem.spec.layout.coordinates)
    out = np.array([kinds.get(e, kernels.COEFFICIENT) for e in effects], dtype=np.int64)
    out[~problem.spec.free] = kernels.HELD
    return out


# --- observations ---------------------------------------------------------------------------


def _by_component(problem: Problem, arrays: Arrays, group: Group) -> bool:
    """Whether components of a group are observed at different rows."""
    shifts = arrays.offset
    moved = shifts is not None and shifts.ndim > 1 and _together(group.family) is not None
    timed = arrays.observed[group.key].times is not None
    return moved or (problem.allowed is not None and timed)


def _parts(problem: Problem, arrays: Arrays, group: Group, component: int) -> Iterator[Part]:
    from bayesmix.kernels import Part

    obs = arrays.observed[group.key]
    if obs.times is None:
        kernel = kernel_of(group.family)
        assert kernel is not None
        kind = "" if isinstance(kernel, Kernel) else "exact"
        some = None if obs.there is None else np.flatnonzero(obs.there)
        if (read := _together(group.family)) is not None:
            yield _clusters(read, arrays, group.key, component)
            return
        yield Part((), kind, _numbers(kernel, obs if some is None else obs.take(some)), some)
        return
    may = None
    if problem.allowed is not None:
        may = problem.allowed[:, component]
        if problem.first is not None:
            may = np.repeat(may, np.diff(np.append(problem.first, problem.n_rows)))
    survival = group.family.survival
    assert survival is not None
    yield from _times_parts(survival, obs.times, may, entered=False)
    if arrays.entry is not None:
        times = arrays.entry[group.key].times
        assert times is not None
        yield from _times_parts(survival, times, None, entered=True)


def _clusters(read: Callable[..., np.ndarray], arrays: Arrays, key: str, component: int) -> Part:
    """Clusters as rows, each in the place of its first one with a response."""
    from bayesmix.kernels import Part

    obs, offset = arrays.observed[key], arrays.offset
    if offset is not None:
        obs = obs._replace(y=obs.y - (offset if offset.ndim == 1 else offset[component]))
    rows = np.arange(len(obs.y)) if obs.there is None else np.flatnonzero(obs.there)
    obs = obs.take(rows)
    return Part((), "", read(obs, arrays.matrix[rows]), rows[clusters_of(obs).first])


def _numbers(kernel: Kernel | TimesKernel, obs: Observed) -> np.ndarray:
    """What a regression's term reads, (m, n); of a family of times, y and its logarithm."""
    if isinstance(kernel, TimesKernel):
        return np.stack([obs.y, np.log(obs.y)])
    trials = np.ones_like(obs.y) if obs.trials is None else obs.trials
    given = {"y": obs.y, "trials": trials, "const": obs.const}
    out = np.empty((len(kernel.reads), len(obs.y)))
    for row, name in zip(out, kernel.reads, strict=True):
        row[:] = given[name]
    return out


def _times_parts(
    survival: Survival, times: Times, may: np.ndarray | None, *, entered: bool
) -> Iterator[Part]:
    """A part for each kind of observation; a delayed entry of its own is one that subtracts."""
    from bayesmix.kernels import Part

    for kind, rows in pieces(survival, times):
        some = _some(rows, len(times), may)
        if some is None or len(some):
            taken = times.take(slice(None) if some is None else some)
            yield Part((), kind, stacked(kind, taken), some, entered=entered)
    if (late_rows := apart(survival, times)) is not None:
        some = _some(late_rows, len(times), may)
        late = times.take(slice(None) if some is None else some)
        if len(late):
            numbers = _stack(Instant(late.entry, late.log_entry))
            rows_of = np.arange(len(times)) if some is None else some
            yield Part((), "right", numbers, rows_of, -1, entered)


def _some(rows: slice | np.ndarray, n: int, may: np.ndarray | None) -> np.ndarray | None:
    """The rows that may belong to the component, None for all."""
    if isinstance(rows, slice):
        return None if may is None or may.all() else np.flatnonzero(may)
    some = rows if may is None else rows[may[rows]]
    return None if len(some) == n else some


def stacked(kind: str, times: Times) -> np.ndarray:
    """What a term of times reads: each time with its logarithm."""
    lower = Instant(times.lower, times.log_lower)
    upper = Instant(times.upper, times.log_upper)
    if kind in LATE:
        entry = Instant(times.entry, times.log_entry)
        return np.vstack(
            [_stack(entry, lower), np.log1p((times.lower - times.entry) / times.entry)]
        )
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


# --- by item ---------------------------------------------------------------------------------


def closed_items(problem: Problem) -> Iterator[tuple[int, int, np.ndarray]]:
    """Of every item with a closed scale: its block, component and columns of the design."""
    for arrays, group in _groups(problem):
        if not closed_scale(group.family):
            continue
        for m, s in enumerate(group.members):
            index = group.slots[0].index[m]
            column = None if arrays.offset is not None else _only_ones(arrays, index)
            columns = np.arange(len(index)) if column is None else np.array([column])
            yield arrays.number, int(s), columns


def working_by_item(
    problem: Problem, working: dict[tuple[int, str], np.ndarray]
) -> list[np.ndarray | None]:
    """Given linear predictors of locations, by item."""
    out: list[np.ndarray | None] = []
    for arrays, group in _groups(problem):
        table = arrays.table(group)
        rows = slice(None) if table is None else table.distinct.first
        some = group.slots and group.family.by_row
        given = working[arrays.number, group.key][:, rows] if some else None
        out += [given] * len(group.members)
    return out
