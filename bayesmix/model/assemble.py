"""A prepared model with its number of components becomes a specification."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain, whole_number
from bayesmix.errors import SpecError
from bayesmix.model.competing import plan_events
from bayesmix.model.identifiability import check_identified
from bayesmix.model.layout import PartLayout, build_layout
from bayesmix.model.prepare import Prepared
from bayesmix.model.regression import plan
from bayesmix.model.rows import BlockRows, Rows
from bayesmix.model.spec import MixtureSpec
from bayesmix.model.weights import WeightModel

__all__ = ["assemble"]


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
        planned = plan_events(prepared.parts[0], prepared.events, k)
        known = prepared.events.allowed
        apart = tuple((s,) for s in range(k))
        return _assembled(
            prepared, prepared.events.names, [planned], apart, None if known.all() else known
        )
    components = _names(prepared.labels, k)
    several = len(prepared.parts) > 1
    plans = [plan(part, k, f"_{part.response.name}" if several else "") for part in prepared.parts]
    symmetric = _symmetric(k, [layout for layout, _ in plans], prepared.labels)
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
        [part for part, _ in plans],
        None if concomitant is None else concomitant.terms,
        symmetric,
    )
    rows = tuple(data for _, data in plans)
    check_identified(layout, [r.matrix for r in rows])
    unit_matrix = None if concomitant is None else concomitant.matrix[prepared.units.first]
    data = Rows(rows, prepared.units, unit_matrix, prepared.weight, allowed)
    return MixtureSpec(layout, data, WeightModel(layout.alpha), prepared)


def _names(labels: pd.Categorical | None, k: int) -> tuple[Hashable, ...]:
    if labels is None:
        return tuple(range(1, k + 1))
    known = [plain(c) for c in labels.categories]
    if len(known) > k:
        names = ", ".join([*map(repr, known[:6]), *(["..."] if len(known) > 6 else [])])
        msg = (
            f"the labels name {len(known)} components [{names}], but k={k}; use k of at least that"
        )
        raise SpecError(msg)
    rest = [n for n in range(1, 2 * k + 1) if n not in known and n > len(known)]
    return (*known, *rest[: k - len(known)])


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
