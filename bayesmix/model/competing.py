"""The parameters and rows of competing events."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families import Family, resolve
from bayesmix.model.layout import Effect, PartLayout
from bayesmix.model.parts import EventPart, Events, Part
from bayesmix.model.regression import placed, settled
from bayesmix.model.rows import BlockRows, block_rows


def plan_events(
    joint: Part, events: Events, k: int, weight: np.ndarray | None
) -> tuple[PartLayout, BlockRows]:
    """One response, with a design, family and times for each event.

    Raises
    ------
    SpecError
        If k is not the number of events, or a parameter is described twice or by no family.
    """
    if k != len(events.names):
        msg = f"k={k}, but the components are the {len(events.names)} events {list(events.names)}"
        raise SpecError(msg)
    responses = [part.response for part in events.parts]
    families = settled(
        [resolve(f, survival=True) for f in events.families],
        responses,
        weight,
    )
    layout, matrix, offset = _events_layout(joint, events, tuple(families))
    allowed = events.allowed
    return layout, block_rows(layout, responses, matrix, offset, allowed, events.truncation)


def _events_layout(
    joint: Part, events: Events, families: tuple[Family, ...]
) -> tuple[PartLayout, np.ndarray, np.ndarray | None]:
    columns: dict[str, np.ndarray] = {"Intercept": np.ones(len(joint.response.y))}
    effects: list[Effect] = []
    ancillary: dict[tuple[int, str], tuple[int, ...]] = {}
    texts = [part.formula.text for part in events.parts]
    for s, (part, family) in enumerate(zip(events.parts, families, strict=True)):
        # A formula that is another event's too says nothing of one without a location.
        if family.location is not None or part.ancillary or texts.count(part.formula.text) == 1:
            _check_ancillary(part, family, events.names[s])
        if family.location is None:
            continue
        (location,) = family.locations
        for name, design in {location: part.design, **part.ancillary}.items():
            at = placed(columns, design, "the formulas of the events")
            if name == location:
                effects.append(Effect("varying", design.terms, at, ((s,),)))
            else:
                ancillary[s, name] = at
    matrix = np.column_stack(list(columns.values()))
    offset = joint.offset([design.offset for design in joint.designs])
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


def _check_ancillary(part: EventPart, family: Family, event: Hashable) -> None:
    """Each parameter of an event's family is described once."""
    unknown = [name for name in part.ancillary if name not in family.params]
    if unknown:
        raise SpecError(
            f"ancillary= gives {event!r} formulas for {unknown}, but its family {family.name!r} "
            f"has the parameters {list(family.params)}"
        )
    described = [t for t in part.design.terms if t != "Intercept"]
    if described and (family.location is None or family.location in part.ancillary):
        where = "no location" if family.location is None else "its location in ancillary= as well"
        raise SpecError(
            f"the formula {part.formula.text!r:.200} of {event!r} has the covariates "
            f"{described}, but "
            f"the family {family.name!r} has {where}; give them once"
        )
