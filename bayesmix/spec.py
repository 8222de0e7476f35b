"""A mixture, frozen: parameters with their places, rows, and how both came about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain, whole_number
from bayesmix.concomitant import WeightModel
from bayesmix.design import Design
from bayesmix.errors import SpecError
from bayesmix.families import Family, resolve
from bayesmix.identifiability import check_identified, check_varies
from bayesmix.inputs import (
    EventPart,
    Events,
    Part,
    Prepared,
    Regression,
    nested_pairs,
    prepare,
)
from bayesmix.layout import Effect, Layout, PartLayout, build_layout
from bayesmix.newdata import BlockRows, Rows, apply, block_rows
from bayesmix.times import Times

__all__ = ["BlockRows", "MixtureSpec", "Regression", "Rows", "assemble", "prepare"]


@dataclass(frozen=True)
class MixtureSpec:
    """A mixture, ready for any method of estimation.

    Parameters
    ----------
    layout : Layout
    rows : Rows
    weights : WeightModel
    prepared : Prepared
        What the designs came from; new data go through the same encodings.
    held : dict of int to float
        Entries of theta that are not estimated, unconstrained scale.
    """

    layout: Layout
    rows: Rows
    weights: WeightModel
    prepared: Prepared
    held: Mapping[int, float] = field(default_factory=dict)

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self.layout.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self.layout.k

    @property
    def named(self) -> bool:
        """Whether some units are known to belong to each component, as with competing events."""
        allowed = self.rows.allowed
        if allowed is None:
            return False
        return bool(allowed[allowed.sum(1) == 1].any(0).all())

    @property
    def free(self) -> np.ndarray:
        """Which entries of theta are estimated, shape (D,)."""
        mask = np.ones(self.layout.size, bool)
        mask[list(self.held)] = False
        return mask

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return int(self.free.sum())

    @property
    def n_obs(self) -> float:
        """Number of rows, or the sum of their weights."""
        if self.rows.weight is None:
            return self.rows.n
        return float(self.rows.weight[self.rows.units.codes].sum())

    @property
    def n_units(self) -> float:
        """Number of units, or the sum of their weights."""
        return self.rows.n_units if self.rows.weight is None else float(self.rows.weight.sum())

    def with_k(self, k: int) -> MixtureSpec:
        """The same model with another number of components."""
        return assemble(self.prepared, k)

    def apply(self, newdata: pd.DataFrame | None, *, response: bool, weights: bool = True) -> Rows:
        """New data through the same encodings.

        Parameters
        ----------
        newdata : DataFrame, or None
            None: the training rows.
        response : bool
            Whether the response is needed too.
        weights : bool
            Whether the components' weights are needed.
        """
        if newdata is None:
            return self.rows
        return apply(self.prepared, self.layout, newdata, response=response, weights=weights)


def assemble(prepared: Prepared, k: int) -> MixtureSpec:
    """Give a prepared model its number of components.

    Raises
    ------
    SpecError
        If k is no positive integer, exceeds the number of units, or does not
        agree with the families, blocks or labels.
    """
    k = whole_number("k", k, "the number of components", 1)
    n_units = len(prepared.units.first)
    if k > n_units:
        what = "groups" if prepared.units.grouped else "rows"
        msg = f"k={k} components are more than the {n_units} {what}; use a smaller k"
        raise SpecError(msg)
    if prepared.events is not None:
        return _assemble_events(prepared, prepared.events, k)
    components = _names(prepared.labels, k)
    several = len(prepared.parts) > 1
    plans = [_plan(part, k, f"_{part.response.name}" if several else "") for part in prepared.parts]
    symmetric = _symmetric(k, [plan for plan, _ in plans], prepared.labels)
    allowed = None if prepared.labels is None else _allowed(prepared.labels, k)
    return _assembled(prepared, components, plans, symmetric, allowed)


def _assembled(
    prepared: Prepared,
    components: tuple[Hashable, ...],
    plans: Sequence[tuple[PartLayout, BlockRows]],
    symmetric: tuple[tuple[int, ...], ...],
    allowed: np.ndarray | None,
) -> MixtureSpec:
    concomitant = None if len(components) == 1 else prepared.concomitant
    layout = build_layout(
        components,
        [plan for plan, _ in plans],
        None if concomitant is None else concomitant.terms,
        symmetric,
    )
    rows = tuple(data for _, data in plans)
    check_identified(layout, [r.matrix for r in rows])
    unit_matrix = None if concomitant is None else concomitant.matrix[prepared.units.first]
    data = Rows(rows, prepared.units, unit_matrix, prepared.weight, allowed)
    return MixtureSpec(layout, data, WeightModel(layout.alpha), prepared)


def _plan(part: Part, k: int, suffix: str) -> tuple[PartLayout, BlockRows]:
    """The parameters and rows of one response."""
    survival = part.response.times is not None
    families = _families(part.regression.family, k, survival=survival)
    if part.response.times is not None:
        families = tuple(settled(families, [part.response.times] * k))
    terms, effects, matrix, offset = _design(part, k)
    shared = _dispersion_sets(part.regression.dispersion, k, families)
    if survival and "Intercept" not in terms:  # the parameters beside the location need one
        terms, matrix = (*terms, "Intercept"), np.column_stack([matrix, np.ones(len(matrix))])
    keys = tuple(f.name for f in families)
    layout = PartLayout(part.response.name, suffix, families, keys, terms, tuple(effects), shared)
    rows = block_rows(layout, [part.response] * k, matrix, offset)
    check_varies(part.response, families, rows.observed)
    return layout, rows


def settled(families: Sequence[Family], times: Sequence[Times]) -> list[Family]:
    """Families made final by the data, such as the knots of splines; the same stays the same."""
    made: dict[tuple[int, int], Family] = {}
    for f, t in zip(families, times, strict=True):
        if (id(f), id(t)) not in made:
            made[id(f), id(t)] = f if f.settle is None else f.settle(t)
    return [made[id(f), id(t)] for f, t in zip(families, times, strict=True)]


def _assemble_events(prepared: Prepared, events: Events, k: int) -> MixtureSpec:
    """Competing events: one response, with a design, family and times for each event."""
    if k != len(events.names):
        msg = f"k={k}, but the components are the {len(events.names)} events {list(events.names)}"
        raise SpecError(msg)
    responses = [part.response for part in events.parts]
    families = settled(
        [resolve(f, survival=True) for f in events.families],
        [r.times for r in responses if r.times],
    )
    layout, matrix, offset = _events_layout(prepared.parts[0], events, tuple(families))
    rows = block_rows(layout, responses, matrix, offset, events.truncation)
    allowed = None if events.allowed.all() else events.allowed
    apart = tuple((s,) for s in range(k))
    return _assembled(prepared, events.names, [(layout, rows)], apart, allowed)


def _events_layout(
    joint: Part, events: Events, families: tuple[Family, ...]
) -> tuple[PartLayout, np.ndarray, np.ndarray | None]:
    columns: dict[str, np.ndarray] = {"Intercept": np.ones(len(joint.response.y))}
    effects: list[Effect] = []
    ancillary: dict[tuple[int, str], tuple[int, ...]] = {}
    offsets = [part.design.offset for part in events.parts]
    for s, (part, family) in enumerate(zip(events.parts, families, strict=True)):
        _check_ancillary(part, family, events.names[s])
        if family.location is None:
            continue
        for name, design in {family.location: part.design, **part.ancillary}.items():
            at = _place(columns, design)
            if name == family.location:
                effects.append(Effect("varying", design.terms, at, ((s,),)))
            else:
                ancillary[s, name] = at
    matrix = np.column_stack(list(columns.values()))
    offset = None
    if any(o is not None for o in offsets):
        offset = np.array([np.zeros(len(matrix)) if o is None else o for o in offsets])
    layout = PartLayout(
        joint.response.name,
        "",
        families,
        tuple(str(name) for name in events.names),
        tuple(columns),
        tuple(effects),
        tuple((s,) for s in range(len(families))),
        ancillary,
    )
    return layout, matrix, offset


def _place(columns: dict[str, np.ndarray], design: Design) -> tuple[int, ...]:
    """Where a design's terms stand among all columns; new ones are added."""
    for term, column in zip(design.terms, design.matrix.T, strict=True):
        if not np.array_equal(columns.setdefault(term, column), column):
            msg = f"the formulas of the events code the term {term!r} differently; write it alike"
            raise SpecError(msg)
    names = list(columns)
    return tuple(names.index(term) for term in design.terms)


def _check_ancillary(part: EventPart, family: Family, event: Hashable) -> None:
    """Each parameter of an event's family is described once."""
    unknown = [name for name in part.ancillary if name not in family.params]
    if unknown:
        msg = (
            f"ancillary= gives {event!r} formulas for {unknown}, but its family {family.name!r} "
            f"has the parameters {list(family.params)}"
        )
        raise SpecError(msg)
    described = [t for t in part.design.terms if t != "Intercept"]
    if described and (family.location is None or family.location in part.ancillary):
        where = "no location" if family.location is None else "its location in ancillary= as well"
        msg = (
            f"the formula {part.formula.text!r} of {event!r} has the covariates {described}, but "
            f"the family {family.name!r} has {where}; give them once"
        )
        raise SpecError(msg)


def _names(labels: pd.Categorical | None, k: int) -> tuple[Hashable, ...]:
    if labels is None:
        return tuple(range(1, k + 1))
    known = [plain(c) for c in labels.categories]
    if len(known) > k:
        msg = f"the labels name {len(known)} components {known}, but k={k}; use k of at least that"
        raise SpecError(msg)
    rest = [n for n in range(1, 2 * k + 1) if n not in known and n > len(known)]
    return (*known, *rest[: k - len(known)])


def _families(given: Any, k: int, *, survival: bool = False) -> tuple[Family, ...]:
    if isinstance(given, (list, tuple)):
        if len(given) != k:
            msg = f"family= lists {len(given)} families for k={k} components; give one or {k}"
            raise SpecError(msg)
        made: dict[Any, Family] = {}
        for g in given:
            made.setdefault(_key(g), resolve(g, survival=survival))
        families = tuple(made[_key(g)] for g in given)
    else:
        families = (resolve(given, survival=survival),) * k
    distinct = {id(f): f for f in families}.values()
    names = [f.name for f in distinct]
    if len(set(names)) < len(names):
        msg = f"two different families are both named {names}; give each its own name"
        raise SpecError(msg)
    if not survival:
        _check_links(distinct)
    return families


def _key(given: Any) -> Any:
    return given if isinstance(given, (str, Family)) else repr(given)


def _check_links(families: Iterable[Family]) -> None:
    """Dispersions of one name are one quantity, with one link."""
    links: dict[str, str] = {}
    for parameter in (p for f in families for p in f.dispersions):
        known = links.setdefault(parameter.name, parameter.link.name)
        if known != parameter.link.name:
            msg = (
                f"the dispersion {parameter.name!r} has the link {known!r} in one family and "
                f"{parameter.link.name!r} in another; give it one link or two names"
            )
            raise SpecError(msg)


def _design(
    part: Part, k: int
) -> tuple[tuple[str, ...], list[Effect], np.ndarray, np.ndarray | None]:
    """Join the designs of one response; a term that several blocks use is one column."""
    terms: list[str] = []
    columns: list[np.ndarray] = []
    effects: list[Effect] = []
    offset: np.ndarray | None = None
    used: dict[str, str] = {}
    blocks = _nested_sets(part.regression.nested, k)
    everyone = (tuple(range(k)),)
    nested = iter(blocks)
    for design, kind in zip(part.designs, part.kinds, strict=True):
        for term in design.terms:
            if term in used and not used[term] == kind == "nested":
                msg = (
                    f"the term {term!r} of {part.regression.formula!r} is both {used[term]} and "
                    f"{kind}; a term has one kind of coefficient"
                )
                raise SpecError(msg)
        where = []
        for j, term in enumerate(design.terms):
            column = design.matrix[:, j]
            if term in terms and np.array_equal(columns[terms.index(term)], column):
                where.append(terms.index(term))
                continue
            if term in terms:
                msg = f"the nested formulas code the term {term!r} differently; write it alike"
                raise SpecError(msg)
            where.append(len(terms))
            terms.append(term)
            columns.append(column)
            used[term] = kind
        shared = {"fixed": everyone, "varying": tuple((s,) for s in range(k))}
        sets = (next(nested),) if kind == "nested" else shared[kind]
        if design.terms:
            effects.append(Effect(kind, design.terms, tuple(where), sets))
        if design.offset is not None:
            offset = design.offset if offset is None else offset + design.offset
    matrix = _join(part.designs, columns, len(part.response.y))
    return tuple(terms), effects, matrix, offset


def _join(designs: tuple[Design, ...], columns: list[np.ndarray], n: int) -> np.ndarray:
    with_terms = [d for d in designs if d.terms]
    if len(with_terms) == 1:
        return with_terms[0].matrix
    return np.column_stack(columns) if columns else np.empty((n, 0))


def _nested_sets(nested: Any, k: int) -> list[tuple[int, ...]]:
    pairs = nested_pairs(nested)
    sizes = [size for _, size in pairs]
    if sizes and sum(sizes) != k:
        msg = f"the nested blocks have {sizes} components, {sum(sizes)} in all, but k={k}"
        raise SpecError(msg)
    return _consecutive(sizes)


def _consecutive(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    ends = np.cumsum(sizes, dtype=int)
    return [tuple(range(b - n, b)) for n, b in zip(sizes, ends, strict=True)]


def _dispersion_sets(
    given: Any, k: int, families: tuple[Family, ...]
) -> tuple[tuple[int, ...], ...]:
    if isinstance(given, str) and given == "varying":
        return tuple((s,) for s in range(k))
    sizes = list(given) if isinstance(given, (list, tuple)) else None
    if isinstance(given, str) and given == "fixed":
        sizes = [k]
    whole = sizes is not None and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes
    )
    if not whole or sizes is None or sum(sizes) != k:
        msg = (
            f"dispersion={given!r} is not understood; use 'varying', 'fixed', or the sizes of "
            f"consecutive blocks that add up to k={k}"
        )
        raise SpecError(msg)
    if not any(f.dispersions for f in families):
        names = " and ".join(dict.fromkeys(f.name for f in families))
        msg = f"dispersion={given!r}: {names} has no dispersion to share; leave dispersion= out"
        raise SpecError(msg)
    return tuple(_consecutive(sizes))


def _symmetric(k: int, parts: list[PartLayout], labels: pd.Categorical | None) -> tuple:
    """Sets of components that no block, family or label tells apart."""
    keys: list[list[Any]] = [[] for _ in range(k)]
    for part in parts:
        effects, shared = part.effects, part.shared
        for s in range(k):
            keys[s].append(part.families[s].name)
            keys[s] += [
                i
                for e in effects
                if e.kind == "nested"
                for i, members in enumerate(e.shared)
                if s in members
            ]
            nested_in = [
                j for j, e in enumerate(effects) if e.kind == "nested" and s in e.shared[0]
            ]
            keys[s].append(tuple(nested_in))
            keys[s].append(
                next((i for i, m in enumerate(shared) if s in m and 1 < len(m) < k), "own")
            )
    n_known = 0 if labels is None else len(labels.categories)
    for s in range(n_known):
        keys[s].append(("label", s))
    sets: dict[Any, list[int]] = {}
    for s in range(k):
        sets.setdefault(repr(keys[s]), []).append(s)
    return tuple(tuple(members) for members in sets.values())


def _allowed(labels: pd.Categorical, k: int) -> np.ndarray:
    codes = np.asarray(labels.codes)
    allowed = np.ones((len(codes), k), bool)
    known = codes >= 0
    allowed[known] = codes[known, None] == np.arange(k)
    return allowed
