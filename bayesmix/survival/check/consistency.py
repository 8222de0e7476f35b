"""Events and times side by side: what one says against the other."""

from __future__ import annotations

import numpy as np

from bayesmix.survival.check.events import MANY, EventColumn, counted
from bayesmix.survival.check.times import EXACT, INTERVAL, LEFT, NOTHING, RIGHT, UNREADABLE

__all__ = ["check_together"]

FEW = 5  # an event seen in fewer rows is told


def check_together(
    column: EventColumn, kind: np.ndarray, problems: list[str], notes: list[str]
) -> None:
    """Add what events and times say against each other.

    Parameters
    ----------
    column : EventColumn
        Of n rows.
    kind : ndarray of int, shape (n,)
        How each time was observed.
    problems, notes : list of str
    """
    seen = np.isin(kind, (EXACT, INTERVAL, LEFT))
    censored = np.isin(kind, (RIGHT, NOTHING))
    if (kind != UNREADABLE).any() and not seen.any():
        problems.append(
            "Every time is right-censored: no event was seen, and nothing can be learned of times. "
            "Is the status coded the other way round (1 is an event)?"
        )
    if column.name is None:
        return
    suspected = _each_event(column, kind, seen, problems, notes)
    expected = column.single & censored & ~suspected
    if expected.any():
        notes.append(
            f"A known event has a right-censored time in {counted(expected)}. This is allowed: it "
            "says which event will happen, but not yet when. If nothing is known of the event, "
            "mark it as missing."
        )
    unknown = column.unknown & seen
    if unknown.any():
        notes.append(
            f"An event at a known time or interval is missing its name in {counted(unknown)}. "
            "This is allowed: all events that it may have been are summed."
        )
    if seen.any() and not (column.single & seen).any():
        problems.append(
            f"No row has both a known event in {column.name!r} and a time at which it was seen: "
            "nothing tells the events apart."
        )


def _each_event(
    column: EventColumn,
    kind: np.ndarray,
    seen: np.ndarray,
    problems: list[str],
    notes: list[str],
) -> np.ndarray:
    """Rows (n,) of events that may be no events, told together with rare ones."""
    suspected = np.zeros(len(kind), dtype=bool)
    for k, name in enumerate(column.names[:MANY]):
        rows = column.known(k) & (kind != UNREADABLE)
        count = int((rows & seen).sum())
        if column.means_censored(name):
            suspected |= rows
        elif rows.any() and count == 0 and seen.any():
            suspected |= rows
            text = f"The event {name!r} stands at right-censored times only, in {counted(rows)}. "
            if column.means_never(name):
                notes.append(text + "Such a component needs the family 'cured'.")
            else:
                problems.append(
                    text + "If it means that nothing happened, mark the event as missing there."
                )
        elif rows.any() and count < FEW:
            notes.append(
                f"The event {name!r} was seen in {counted(rows & seen)} only: its parameters will "
                "be uncertain."
            )
    return suspected
