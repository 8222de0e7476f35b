"""Events and times side by side: what one says against the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayesmix.formula.frames import first_rows, near_names
from bayesmix.formula.times import EXACT, INTERVAL, LEFT, NOTHING, RIGHT
from bayesmix.survival.check.events import MANY, EventColumn, counted
from bayesmix.survival.check.times import UNREADABLE

FEW = 5  # an event seen in fewer rows is reported


def check_together(column: EventColumn, kind: np.ndarray) -> None:
    """Add what events and times say against each other to the problems and notes of the column.

    Parameters
    ----------
    column : EventColumn
        Of n rows.
    kind : ndarray of int, shape (n,)
        How each time was observed.
    """
    seen = np.isin(kind, (EXACT, INTERVAL, LEFT))
    censored = np.isin(kind, (RIGHT, NOTHING))
    if (kind != UNREADABLE).any() and not seen.any():
        column.problems.append(
            "Every time is right-censored: no event was seen, and nothing can be learned of times. "
            "Is the status coded the other way round (1 is an event)?"
        )
    if column.name is None:
        return
    suspected = _each_event(column, kind, seen)
    expected = column.single & censored & ~suspected
    if expected.any():
        column.notes.append(
            f"A known event has a right-censored time in {counted(expected)}. This is allowed: it "
            "says which event will happen, but not yet when. If nothing is known of the event, "
            "mark it as missing."
        )
    unknown = column.unknown & seen
    if unknown.any():
        column.notes.append(
            f"An event at a known time or interval is missing its name in {counted(unknown)}. "
            "This is allowed: all events that it may have been are summed."
        )
    if seen.any() and not (column.single & seen).any():
        column.problems.append(
            f"No row has both a known event in {column.name!r} and a time at which it was seen: "
            "nothing distinguishes the events."
        )


def _each_event(column: EventColumn, kind: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rows (n,) of events that may be no events, reported together with rare ones."""
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
                column.notes.append(text + "Such a component needs the family 'cured'.")
            else:
                column.problems.append(
                    text + "If it means that nothing happened, mark the event as missing there."
                )
        elif column.components and not (column.allowed[:, k] & seen).any() and seen.any():
            if not column.means_never(name):
                column.problems.append(
                    f"The event {name!r} is in no row that had an event, and no row without a name "
                    "that had one may have had it: nothing shows when it comes. Remove it, or "
                    "give it the family 'cured' if it never does."
                )
        elif rows.any() and count < FEW:
            column.notes.append(
                f"The event {name!r} was seen in {counted(rows & seen)} only: its parameters will "
                "be uncertain."
            )
    return suspected


ONE_ROW = (
    "A model of competing events has one row for each subject: the time of the first event, its "
    "status, and its name in the event column (missing if censored)."
)


def check_subjects(
    data: pd.DataFrame, event: str | None, subject: str | None, times: set[str], column: EventColumn
) -> None:
    """Add what is wrong with the subjects to the problems of the event column.

    Parameters
    ----------
    data : DataFrame of n rows
    event : str or None
        The event column.
    subject : str or None
        The column of the subjects.
    times : set of str
        Columns used in the response.
    column : EventColumn
    """
    if subject is None:
        if event is not None and column.name is not None and len(column.names) > 1:
            column.problems += _repeated_by_event(data, event, times, column)
        return
    if subject not in data.columns:
        column.problems.append(
            f"Column {subject!r} is not in the data. {near_names(subject, data.columns)}"
        )
        return
    missing = data[subject].isna().to_numpy()
    if missing.any():
        column.problems.append(
            f"The subject {subject!r} is missing in {first_rows(data, missing)}."
        )
    again = data[subject].duplicated().to_numpy() & ~missing
    if again.any():
        count = int(data.loc[data[subject].duplicated(keep=False) & ~missing, subject].nunique())
        column.problems.append(
            f"{count} {'subject has' if count == 1 else 'subjects have'} more than one row; "
            f"repeated are {first_rows(data, again)}. "
            + _reason(data, subject, event, column)
            + ONE_ROW
        )


def _reason(data: pd.DataFrame, subject: str, event: str | None, column: EventColumn) -> str:
    sizes = data.groupby(subject, observed=True).size()
    if event is None or column.name is None:
        return ""
    different = data.groupby(subject, observed=True)[event].nunique()
    events = len(column.names)
    if events > 1 and (sizes == events).all() and (different == events).mean() > 0.5:
        return f"They look like one row for each of the {events} events. "
    if (different.reindex(sizes.index) <= 1).all():
        return (
            "They may be pieces of one history, or episodes of it; covariates that change in time "
            "are not there. "
        )
    return ""


def _repeated_by_event(
    data: pd.DataFrame, event: str, times: set[str], column: EventColumn
) -> Iterator[str]:
    """Rows that are the same but for the event and the status, once for every event."""
    events = len(column.names)
    used = [c for c in data.columns if c in times]
    status = [c for c in used if data[c].nunique(dropna=True) <= 2]  # or what may be one
    clocks = [c for c in used if c not in status]
    if not clocks or len(data) < 2 * events or any(data[c].is_unique for c in clocks):
        return
    # A column with a value for each row, such as a number of the row, tells no subjects.
    others = [c for c in data.columns if c != event and c not in status and not data[c].is_unique]
    try:
        group = data.groupby(others, dropna=False, observed=True, sort=False).ngroup().to_numpy()
    except TypeError:  # values that cannot be distinguished, such as lists
        return
    size = np.bincount(group)
    key = np.unique(np.column_stack([group, np.where(column.single, column.label, -1)]), axis=0)
    known = np.bincount(key[key[:, 1] >= 0, 0], minlength=len(size))
    whole = (size == events) & (known == events)
    if whole[group].mean() >= 0.5:
        yield (
            f"{int(whole[group].sum())} of {len(data)} rows come in groups of {events} that are "
            f"the same but for the event {event!r}: they look like one row for each event. "
            f"{ONE_ROW}"
        )
