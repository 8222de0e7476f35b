"""Competing events as a manifest, and what prepares them again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayesmix.families import Family
from bayesmix.model.prepare import Events
from bayesmix.storage.objects import pack_families, unpack_families
from bayesmix.storage.values import as_json, from_json

__all__ = ["pack_events", "unpack_events"]


def pack_events(events: Events) -> dict[str, Any]:
    """Describe what a user wrote about competing events, event by event in their order."""
    return {
        "column": events.column,
        "names": [_name(name) for name in events.names],
        "families": pack_families(list(events.families)),
        "formulas": [part.formula.text for part in events.parts],
        "ancillary": [
            {name: design.formula.text for name, design in part.ancillary.items()}
            for part in events.parts
        ],
        "partial": [[_name(code), [_name(e) for e in may]] for code, may in events.partial.items()],
        "truncation": events.truncation,
    }


def unpack_events(
    described: Mapping[str, Any], families: Mapping[str, Family] | None
) -> dict[str, Any]:
    """Arguments of `prepare_components`, all but those that every model has.

    Parameters
    ----------
    described : mapping
        From `pack_events`.
    families : mapping of str to Family, or None
        The user's families.
    """
    names = tuple(from_json(name) for name in described["names"])
    partial = {
        from_json(code): tuple(from_json(e) for e in may) for code, may in described["partial"]
    }
    return {
        "event": described["column"],
        "names": names,
        "families": tuple(unpack_families(described["families"], families)),
        "formula": dict(zip(names, described["formulas"], strict=True)),
        "ancillary": dict(zip(names, described["ancillary"], strict=True)),
        "partial": partial,
        "truncation": described["truncation"],
    }


def _name(event: Any) -> Any:
    return as_json(event, "the name of an event")
