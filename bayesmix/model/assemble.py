"""A prepared model with its number of components becomes a specification."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from bayesmix._arguments import plain, whole_number
from bayesmix.errors import SpecError
from bayesmix.model.atoms import allowed_units
from bayesmix.model.competing import plan_events
from bayesmix.model.identifiability import check_identified
from bayesmix.model.layout import PartLayout, build_layout
from bayesmix.model.parts import Prepared
from bayesmix.model.regression import plan
from bayesmix.model.rows import Rows
from bayesmix.model.sampled import Sampled, counted
from bayesmix.model.spec import MixtureSpec
from bayesmix.model.units import known_components
from bayesmix.model.weights import WeightModel


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
        raise SpecError(f"k={k} components are more than the {n_units} {what}; use a smaller k")
    weight = prepared.units.by_row(prepared.weight)
    components = component_names(prepared, k)
    several = len(prepared.parts) > 1
    plans = [
        plan(part, components, f"_{part.response.name}" if several else "", prepared.units, weight)
        if part.events is None
        else plan_events(part, part.events, prepared.units, weight)
        for part in prepared.parts
    ]
    known = None if prepared.labels is None else known_components(prepared.labels, components)
    symmetric = _symmetric(k, [layout for layout, _ in plans], known)
    concomitant = None if len(components) == 1 else prepared.concomitant
    layout = build_layout(
        components,
        [part for part, _ in plans],
        None if concomitant is None else concomitant.terms,
        symmetric,
    )
    rows = tuple(data for _, data in plans)
    check_identified(layout, [r.seen(None)[0].matrix for r in rows])
    unit_matrix = None if concomitant is None else concomitant.matrix[prepared.units.first]
    allowed = allowed_units(prepared.units, [r.allowed for r in rows], known)
    data: Any = Rows(rows, prepared.units, unit_matrix, prepared.weight, allowed, known)
    if prepared.stream is not None:
        data = Sampled(data, prepared.stream)
    spec = MixtureSpec(layout, data, WeightModel(layout.alpha), prepared)
    uncounted = prepared.stream is not None and prepared.stream.totals.missing is None
    return counted(spec) if prepared.fiml and uncounted else spec


def component_names(prepared: Prepared, k: int) -> tuple[Hashable, ...]:
    """Names of k components: those of a dict of families, else of the labels, then numbers.

    Raises
    ------
    SpecError
        If the dicts, the labels and k do not agree.
    """
    labels = prepared.labels
    known = [] if labels is None else [plain(c) for c in labels.categories]
    dicts = [part.names for part in prepared.parts if part.names]
    if dicts:
        return _named(dicts, known, k)
    if labels is None:
        return tuple(range(1, k + 1))
    if len(known) > k:
        names = ", ".join([*map(repr, known[:6]), *(["..."] if len(known) > 6 else [])])
        raise SpecError(
            f"the labels name {len(known)} components [{names}], but k={k}; use k of at least that"
        )
    rest = [n for n in range(1, 2 * k + 1) if n not in known and n > len(known)]
    return (*known, *rest[: k - len(known)])


def _named(dicts: list[tuple[Hashable, ...]], known: list[Hashable], k: int) -> tuple:
    """The names in dicts of families, which the labels use."""
    names = dicts[0]
    other = next((d for d in dicts if set(d) != set(names)), None)
    if other is not None:
        msg = f"the dicts of family= name {list(names)} and {list(other)}; name the same components"
        raise SpecError(msg)
    if len(names) != k:
        msg = f"family= names {len(names)} components {list(names)}, but k={k}; give k={len(names)}"
        raise SpecError(msg)
    strange = [c for c in known if c not in names]
    if strange:
        raise SpecError(
            f"labels= has {strange}, but family= names the components {list(names)}; give these a "
            "family too, or correct the labels"
        )
    return names


def _symmetric(k: int, parts: list[PartLayout], known: np.ndarray | None) -> tuple:
    """Sets of components that no block, family or label distinguishes."""
    alone = np.zeros(k, bool) if known is None else known[known.sum(1) == 1].any(0)
    sets: dict[Any, list[int]] = {}
    for s in range(k):
        key: list[Any] = [s if alone[s] else None]
        for part in parts:
            shared = [e.shared[0] for e in part.effects if e.kind == "nested"]
            shared += [members for members in part.shared if 1 < len(members) < k]
            key += [part.keys[s], *(s in members for members in shared)]
        sets.setdefault(tuple(key), []).append(s)
    return tuple(map(tuple, sets.values()))
