"""Columns of survival times read without stopping at what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.calls import Call, taken_apart
from bayesmix.formula.frames import first_rows
from bayesmix.formula.scope import Scope
from bayesmix.formula.surv import read_bounds
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
    reading.lower, reading.upper, reading.entry, _ = read_bounds(call, read, reading.refuse)
    reading.kind[reading.good] = codes(reading.lower, reading.upper)[reading.good]
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
