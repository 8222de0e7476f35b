"""The parameters and rows of competing events."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families import Family, resolve
from bayesmix.formula.frames import Units
from bayesmix.model.layout import Effect, PartLayout
from bayesmix.model.parts import Events, Part, Read, Reading
from bayesmix.model.regression import placed, settled
from bayesmix.model.rows import BlockRows, block_rows


def plan_events(
    part: Part, events: Events, units: Units, weight: np.ndarray | None
) -> tuple[PartLayout, BlockRows]:
    """One response, with a design, family and times for each event.

    Raises
    ------
    SpecError
        If a parameter is described twice or by no family.
    """
    responses = tuple(reading.response for reading in part.readings)
    given: Any = part.regression.family
    resolved = {name: resolve(f, survival=True) for name, f in given.items()}
    families = settled(list(resolved.values()), responses, weight)
    layout, matrix, offset = _events_layout(part, dict(zip(resolved, families, strict=True)))
    read = Read(responses, part.allowed, events.truncation)
    return layout, block_rows(layout, read, matrix, offset, units)


def _events_layout(
    part: Part, families: dict[Hashable, Family]
) -> tuple[PartLayout, np.ndarray, np.ndarray | None]:
    columns: dict[str, np.ndarray] = {"Intercept": np.ones(len(part.response.y))}
    effects: list[Effect] = []
    ancillary: dict[tuple[int, str], tuple[int, ...]] = {}
    texts = [reading.formula.text for reading in part.readings]
    pairs = zip(part.readings, families.items(), strict=True)
    for s, (reading, (event, family)) in enumerate(pairs):
        # A formula that is another event's too says nothing of one without a location.
        if family.location is not None or reading.ancillary or texts.count(texts[s]) == 1:
            _check_ancillary(reading, family, event)
        if family.location is None:
            continue
        (location,) = family.locations
        for name, design in {location: reading.designs[0], **reading.ancillary}.items():
            at = placed(columns, design, "the formulas of the events")
            if name == location:
                effects.append(Effect("varying", design.terms, at, ((s,),)))
            else:
                ancillary[s, name] = at
    matrix = np.column_stack(list(columns.values()))
    offset = part.offset([design.offset for design in part.designs])
    layout = PartLayout(
        part.response.name,
        "",
        tuple(families.values()),
        tuple(map(str, families)),
        tuple(columns),
        tuple(effects),
        tuple((s,) for s in range(len(families))),
        ancillary,
    )
    return layout, matrix, offset


def _check_ancillary(reading: Reading, family: Family, event: Hashable) -> None:
    """Each parameter of an event's family is described once."""
    unknown = [name for name in reading.ancillary if name not in family.params]
    if unknown:
        raise SpecError(
            f"ancillary= gives {event!r} formulas for {unknown}, but its family {family.name!r} "
            f"has the parameters {list(family.params)}"
        )
    described = [t for t in reading.designs[0].terms if t != "Intercept"]
    if described and (family.location is None or family.location in reading.ancillary):
        where = "no location" if family.location is None else "its location in ancillary= as well"
        raise SpecError(
            f"the formula {reading.formula.text!r:.200} of {event!r} has the covariates "
            f"{described}, but the family {family.name!r} has {where}; give them once"
        )
