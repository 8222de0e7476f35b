"""Columns of survival times read without stopping at what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.calls import Call, taken_apart
from bayesmix.formula.frames import first_rows
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import NOTHING, codes

# Kinds of observation and what they are called; the last is no time at all.
KIND_WORDS = (
    "exact time",
    "right-censored",
    "left-censored",
    "interval-censored",
    "nothing known",
    "cannot be read",
)
UNREADABLE = NOTHING + 1
# Times are taken for two groups in different units where nothing lies between a and b with
# b / a above GAP and at least SHARE of the rows on either side.
GAP, SHARE = 10.0, 0.02


@dataclass(eq=False)
class Reading:
    """A response ``surv(...)`` as far as its n rows can be read.

    Parameters
    ----------
    text : str
    data : DataFrame of n rows
    kind : ndarray of int, shape (n,)
        Places in `KIND_WORDS`.
    lower, upper, entry : ndarray of float64, shape (n,)
        As in `Times`; of no meaning where the kind is "cannot be read".
    good : ndarray of bool, shape (n,)
        Rows with which nothing was wrong so far.
    problems, notes : list of str
    """

    text: str
    data: pd.DataFrame
    kind: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    entry: np.ndarray
    good: np.ndarray
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def readable(self) -> np.ndarray:
        """Rows that a model can use, (n,)."""
        return self.kind != UNREADABLE

    def refuse(self, bad: np.ndarray, what: str, advice: str) -> None:
        """Say what is wrong with rows (n,) of which nothing was said before."""
        bad = bad & self.good
        if bad.any():
            self.problems.append(f"{self.text}: {what} in {first_rows(self.data, bad)}. {advice}")
            self.good = self.good & ~bad

    def bounds(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Keep what is known of the times, and of which kind they are where they can be read."""
        self.lower, self.upper = lower, upper
        self.kind[self.good] = codes(lower, upper)[self.good]


def read_columns(text: str, data: pd.DataFrame, scope: Scope) -> Reading:
    """Read a response, and say of all rows what is wrong with them.

    Parameters
    ----------
    text : str
        ``surv(...)``.
    data : DataFrame of n rows
    scope : Scope

    Raises
    ------
    FormulaError
        If it has none of the forms of ``surv(...)``.
    """
    call = taken_apart(text)
    n = len(data)
    nothing = np.zeros(n), np.full(n, np.inf), np.zeros(n), np.ones(n, dtype=bool)
    reading = Reading(text, data, np.full(n, UNREADABLE), *nothing)
    columns = list(_columns(call, data, scope, reading))
    read = [values for values in columns if values is not None]
    if len(read) < len(columns):
        return reading
    if call.background is not None:
        rate = read.pop()
        bad = ~np.isfinite(rate) | (rate < 0)
        if bad.any():
            rows = first_rows(data, bad)
            reading.problems.append(f"{text}: the background hazard is not a rate in {rows}.")
    if call.kind == "interval":
        _read_interval(reading, *read)
    else:
        entry = read.pop(0) if call.kind == "counting" else np.zeros(n)
        status = read[1] if len(read) > 1 else np.ones(n)
        _read_status(reading, read[0], status, entry)
    if not reading.problems:
        _units(reading)
    return reading


def _columns(
    call: Call, data: pd.DataFrame, scope: Scope, reading: Reading
) -> Iterator[np.ndarray | None]:
    for expression, what in call.named:
        try:
            yield evaluate(expression, data, scope, what, finite=False)
        except BayesmixError as error:
            reading.problems.append(str(error) + _hint(expression, what, data))
            yield None


def _hint(expression: str, what: str, data: pd.DataFrame) -> str:
    """What to write where a column is not a number."""
    if expression not in data.columns:
        return ""
    column = data[expression]
    if what == "status":
        level = column.dropna().iloc[0] if column.notna().any() else "dead"
        return f" For a status, write the level of an event: {expression} == {str(level)!r}."
    if getattr(column.dtype, "kind", "") == "m":
        return f" A duration becomes days with data[{expression!r}].dt.total_seconds() / 86400."
    if getattr(column.dtype, "kind", "") == "M":
        return " Subtract the date at which the subject's time begins, and take days or years."
    return ""


def _read_status(reading: Reading, time: np.ndarray, status: np.ndarray, entry: np.ndarray) -> None:
    leave_out = "Fill it in or leave these rows out with na_action='drop'."
    for values, name in ((time, "time"), (status, "status"), (entry, "entry")):
        reading.refuse(np.isnan(values), f"the {name} is missing", leave_out)
    reading.refuse(np.isinf(time) | np.isinf(entry), "a time is infinite", "Correct these rows.")
    reading.refuse(~np.isin(status, (0, 1)), *_wrong_status(status))
    reading.refuse(time < 0, "the time is negative", "Times count from the subject's own start.")
    reading.refuse(
        (time == 0) & (status == 1),
        "an event happens at time zero, where it has no density",
        "Correct these rows, or give a small positive time such as half the unit of measurement.",
    )
    reading.refuse(entry < 0, "the entry is negative", "Without a delayed entry it is 0.")
    reading.refuse(
        (entry > 0) & (entry >= time),
        "the entry is not before the time",
        "Both count from the same start; were they swapped, or in different units?",
    )
    reading.entry = entry
    reading.bounds(time, np.where(status == 1, time, np.inf))


def _wrong_status(status: np.ndarray) -> tuple[str, str]:
    """What the status holds, and what to write instead."""
    values = np.unique(status[np.isfinite(status)])
    what = f"the status is neither 0 nor 1 (it has the values {_listed(values)})"
    if set(values) == {1.0, 2.0}:
        return what, "This looks like 1 for censored and 2 for an event: write status - 1 for it."
    if len(values) > 2 and 0 in values and (values == np.floor(values)).all():
        return what, (
            "This looks like a code of what happened: write code > 0 for the status, and put the "
            "events, by name, in the column of event=, missing where it is 0."
        )
    return what, "It is 1 for an event and 0 for a right-censored time; recode it."


def _listed(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{v:g}" for v in values[:6]) + (", ..." if len(values) > 6 else "")


def _read_interval(reading: Reading, lower: np.ndarray, upper: np.ndarray) -> None:
    reading.refuse(
        np.isnan(lower) & np.isnan(upper),
        "both bounds are missing",
        "Where nothing is known of the time, write 0 and infinity.",
    )
    lower = np.where(np.isnan(lower), 0.0, lower)
    upper = np.where(np.isnan(upper), np.inf, upper)
    reading.refuse((lower < 0) | (upper < 0), "a bound is negative", "Times count from the start.")
    reading.refuse(np.isinf(lower), "the lower bound is infinite", "Correct these rows.")
    reading.refuse(upper < lower, "the upper bound is below the lower one", "Were they swapped?")
    reading.refuse(
        (lower == 0) & (upper == 0),
        "an event happens at time zero, where it has no density",
        "Correct these rows.",
    )
    reading.bounds(lower, upper)


def _units(reading: Reading) -> None:
    """Notes on times that may not all be in one unit, or are dates."""
    times = np.where(np.isfinite(reading.upper), reading.upper, reading.lower)
    times = np.sort(times[reading.readable & (times > 0)])
    if len(times) == 0:
        return
    whole = (times == np.floor(times)).all()
    if whole and times[0] >= 1850 and times[-1] <= 2150:
        reading.notes.append(
            f"{reading.text}: all times lie between {times[0]:g} and {times[-1]:g}: are they "
            "calendar years? Times count from the subject's own start."
        )
    least = max(5, int(np.ceil(SHARE * len(times))))
    inner = np.log(times[least - 1 : len(times) - least + 1])
    if len(inner) < 2:
        return
    place = int(np.argmax(np.diff(inner)))
    below, above = np.exp(inner[place]), np.exp(inner[place + 1])
    if above > GAP * below:
        many = int((times <= below * (1 + 1e-9)).sum())
        reading.notes.append(
            f"{reading.text}: {many} times are at most {below:.4g} and the other "
            f"{len(times) - many} at least {above:.4g}, {above / below:.0f} times as long, with "
            "none between: are all in the same unit?"
        )
