"""Competing events and survival times in words: what was given, and what is known of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.formula.times import KINDS, Times

if TYPE_CHECKING:
    from bayesmix.families import Family
    from bayesmix.model import MixtureSpec
    from bayesmix.model.prepare import Events

__all__ = ["event_lines", "family_words", "times_lines"]

Lines = list[tuple[str, str]]

TRUNCATIONS = {
    "mixture": "of the mixture: the weights are the events' probabilities at time zero",
    "component": "of each component: the weights are given that the entry is reached",
}
OBSERVED = dict.fromkeys(KINDS, "{}-censored") | {"exact": "exact"}


def event_lines(spec: MixtureSpec, events: Events) -> Lines:
    """Events, what is written about each, and how they were observed; head and words."""
    names = list(map(str, events.names))
    families = [family_words(f) for f in spec.layout.blocks[0].families]
    lines = [("events", f"{spec.k} ({', '.join(names)})")]
    lines += _by_event("formula", names, [part.formula.text for part in events.parts])
    lines += _by_event("family", names, families)
    lines += [
        ("ancillary", f"{name}: {parameter} {design.formula.text}")
        for name, part in zip(names, events.parts, strict=True)
        for parameter, design in part.ancillary.items()
    ]
    lines.append((f"column {events.column}", _known(events)))
    lines += [
        ("partial event", f"{code}: {' or '.join(map(str, may))}")
        for code, may in events.partial.items()
    ]
    several = len(events.times) > 1
    for name, times in events.times.items():
        lines += times_lines(times, f"{name}: " if several else "")
    if any(times.truncated for times in events.times.values()):
        lines.append(("truncation", TRUNCATIONS[events.truncation]))
    return lines


def times_lines(times: Times, of: str = "") -> Lines:
    """How many times were observed in which way, and how many entered late."""
    counts = np.bincount(times.code, minlength=len(KINDS) + 1).tolist()
    words = [
        f"{count} {OBSERVED[kind].format(kind)}"
        for kind, count in zip(KINDS, counts[:-1], strict=True)
        if count
    ]
    words += [f"{counts[-1]} of which nothing is known"] if counts[-1] else []
    lines = [("times", of + ", ".join(words))]
    if times.truncated:
        lines.append(("delayed entry", f"{of}{int((times.entry > 0).sum())} rows"))
    return lines


def family_words(family: Family) -> str:
    """A family with what there is to choose about it: its link, or its options."""
    inside = ", ".join(f"{name} {_value(v)}" for name, v in family.options.items())
    if family.parameters and not family.is_survival:
        inside = family.parameters[0].link.name
    return family.name + (f" ({inside})" if inside else "")


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(f'{v:.4g}' for v in value)}]"
    return str(value)


def _by_event(head: str, names: list[str], words: list[str]) -> Lines:
    """One line where all events have the same, else one for each."""
    if len(set(words)) == 1:
        return [(head, words[0])]
    return [(head, f"{name}: {w}") for name, w in zip(names, words, strict=True)]


def _known(events: Events) -> str:
    """How many rows have each event, and how many are known partly or not at all."""
    may = events.allowed.sum(1)
    words = [
        f"{int((events.allowed[:, s] & (may == 1)).sum())} {name}"
        for s, name in enumerate(events.names)
    ]
    k = len(events.names)
    partly, unknown = int(((may > 1) & (may < k)).sum()), int((may == k).sum())
    words += [f"{partly} partly known"] if partly else []
    words += [f"{unknown} unknown"] if unknown and k > 1 else []
    return ", ".join(words)
