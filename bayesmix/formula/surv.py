"""Survival times as a response: ``surv(...)`` in its three forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.frames import first_rows
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import Times
from bayesmix.formula.tokens import match_brackets, split_at, tokenize

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SurvCall", "is_surv", "read_times", "surv_call"]

FORMS = (
    "surv(time, status), surv(time), surv(lower, upper, kind='interval') or "
    "surv(entry, time, status, kind='counting')"
)

# What each kind's arguments are; the status may be left out.
PARTS = {
    "right": ("survival time", "status"),
    "interval": ("lower bound", "upper bound"),
    "counting": ("entry", "survival time", "status"),
}


class SurvCall(NamedTuple):
    """A response ``surv(...)`` taken apart: its kind and the expressions in it."""

    kind: str
    arguments: tuple[str, ...]

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The expressions, each with what it gives: "survival time", "status", "entry" ..."""
        return tuple(zip(self.arguments, PARTS[self.kind], strict=False))


def is_surv(text: str) -> bool:
    """Whether a response is written ``surv(...)``."""
    return text.startswith("surv") and text[4:].lstrip().startswith("(")


def surv_call(text: str) -> SurvCall:
    """The kind of a response ``surv(...)``, "right", "interval" or "counting", and its arguments.

    Raises
    ------
    FormulaError
        If it has none of the three forms.
    """
    label = f"The response {text!r}"
    tokens = tokenize(text, label)
    match_brackets(tokens, label)
    runs = [run for run in split_at(tokens[2:-1], ",") if run]
    kind, arguments = "right", []
    for run in runs:
        if len(run) > 1 and run[1].text == "=":
            if run[0].text != "kind" or len(run) != 3 or run[2].kind != "string":
                raise FormulaError(f"{label}: the one option is kind=. Write {FORMS}.")
            kind = run[2].text[1:-1]
        else:
            arguments.append(text[run[0].start : run[-1].end])
    if kind not in PARTS:
        raise FormulaError(f"{label}: kind={kind!r} is unknown. Write {FORMS}.")
    most = len(PARTS[kind])
    if len(arguments) not in ((1, 2) if kind == "right" else (most,)):
        count = f"{len(arguments)} argument{'' if len(arguments) == 1 else 's'}"
        raise FormulaError(
            f"{label} has {count}, which does not suit kind={kind!r}. Write {FORMS}."
        )
    return SurvCall(kind, tuple(arguments))


def read_times(text: str, data: pd.DataFrame, scope: Scope) -> Times:
    """How the times of a response ``surv(...)`` were observed.

    Parameters
    ----------
    text : str
        The response as written.
    data : DataFrame of n rows
    scope : Scope

    Raises
    ------
    DataError
        For times that cannot be, naming the rows.
    FormulaError
        If the response has none of the three forms.
    """
    call = surv_call(text)
    label = f"The response {text!r}"
    if call.kind == "interval":
        lower, upper = _numbers(call, data, scope, finite=False)
        return _interval(lower, upper, data, label)
    values = _numbers(call, data, scope, finite=True)
    entry = values.pop(0) if call.kind == "counting" else np.zeros(len(data))
    time = values[0]
    status = _status(values[1], data, label) if len(values) > 1 else np.ones(len(data), bool)
    _refuse(time < 0, data, f"{label}: the time is negative")
    _refuse(status & (time == 0), data, f"{label}: an event at time zero has no density")
    _refuse(entry < 0, data, f"{label}: the entry is negative")
    _refuse((entry > 0) & (entry >= time), data, f"{label}: the entry is not before the time")
    return Times(time, np.where(status, time, np.inf), entry)


def _numbers(call: SurvCall, data: pd.DataFrame, scope: Scope, *, finite: bool) -> list[np.ndarray]:
    return [evaluate(text, data, scope, what, finite=finite) for text, what in call.named]


def _status(status: np.ndarray, data: pd.DataFrame, label: str) -> np.ndarray:
    bad = ~np.isin(status, (0, 1))
    if bad.any():
        codes = ", ".join(f"{c:g}" for c in np.unique(status)[:6])
        raise DataError(
            f"{label}: the status is 1 for an event and 0 for a right-censored time, but it has "
            f"the values {codes} ({first_rows(data, bad)}). Recode it; which event it was stands "
            "in the column of event=."
        )
    return status == 1


def _interval(lower: np.ndarray, upper: np.ndarray, data: pd.DataFrame, label: str) -> Times:
    missing = np.isnan(lower) & np.isnan(upper)
    _refuse(missing, data, f"{label}: both bounds are missing")
    lower = np.where(np.isnan(lower), 0.0, lower)
    upper = np.where(np.isnan(upper), np.inf, upper)
    _refuse((lower < 0) | (upper < 0), data, f"{label}: a bound is negative")
    _refuse(np.isinf(lower), data, f"{label}: the lower bound is infinite")
    _refuse(upper < lower, data, f"{label}: the upper bound is below the lower one")
    _refuse((lower == 0) & (upper == 0), data, f"{label}: an event at time zero has no density")
    return Times(lower, upper, np.zeros(len(data)))


def _refuse(bad: np.ndarray, data: pd.DataFrame, what: str) -> None:
    if bad.any():
        raise DataError(f"{what} in {first_rows(data, bad)}. Correct these rows.")
