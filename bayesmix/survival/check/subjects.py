"""Whether the data have one row for each subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayesmix.formula.frames import first_rows, near_names

if TYPE_CHECKING:
    import pandas as pd

    from bayesmix.survival.check.events import EventColumn

__all__ = ["check_subjects"]

ONE_ROW = (
    "A model of competing events has one row for each subject: the time of the first event, its "
    "status, and its name in the event column (missing if censored)."
)


def check_subjects(
    data: pd.DataFrame,
    event: str | None,
    subject: str | None,
    times: set[str],
    column: EventColumn,
    problems: list[str],
) -> None:
    """Add what is wrong with the subjects to the problems.

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
    problems : list of str
    """
    if subject is None:
        if event is not None and column.name is not None and len(column.names) > 1:
            problems += _repeated_by_event(data, event, times, column)
        return
    if subject not in data.columns:
        problems.append(
            f"Column {subject!r} is not in the data. {near_names(subject, data.columns)}"
        )
        return
    missing = data[subject].isna().to_numpy()
    if missing.any():
        problems.append(f"The subject {subject!r} is missing in {first_rows(data, missing)}.")
    again = data[subject].duplicated().to_numpy() & ~missing
    if again.any():
        count = int(data.loc[data[subject].duplicated(keep=False) & ~missing, subject].nunique())
        problems.append(
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
) -> list[str]:
    """Rows that are the same but for the event and the status, once for every event."""
    events = len(column.names)
    status = _statuses(data, times)
    clocks = [c for c in data.columns if c in times and c not in status]
    if not clocks or len(data) < 2 * events or any(data[c].is_unique for c in clocks):
        return []
    # A column with a value for each row, such as a number of the row, tells no subjects.
    others = [c for c in data.columns if c != event and c not in status and not data[c].is_unique]
    try:
        group = data.groupby(others, dropna=False, observed=True, sort=False).ngroup().to_numpy()
    except TypeError:  # values that cannot be told apart, such as lists
        return []
    size = np.bincount(group)
    key = np.unique(np.column_stack([group, np.where(column.single, column.label, -1)]), axis=0)
    known = np.bincount(key[key[:, 1] >= 0, 0], minlength=len(size))
    whole = (size == events) & (known == events)
    share = whole[group].mean()
    if share < 0.5:
        return []
    text = (
        f"{int(whole[group].sum())} of {len(data)} rows come in groups of {events} that are the "
        f"same but for the event {event!r}: they look like one row for each event. {ONE_ROW}"
    )
    return [text]


def _statuses(data: pd.DataFrame, times: set[str]) -> set[str]:
    """Columns of the response that hold no more than two values."""
    return {c for c in times if c in data.columns and data[c].nunique(dropna=True) <= 2}
