"""A response: its values and how it was observed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.calls import Call, call_of, taken_apart
from bayesmix.formula.expressions import read_text
from bayesmix.formula.frames import check_data, first_rows
from bayesmix.formula.levels import read_levels
from bayesmix.formula.limits import CENSORED, TRUNCATED, Limits
from bayesmix.formula.parser import ParsedFormula
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import Times, spread


def read_limits(call: Call, data: pd.DataFrame, scope: Scope) -> Limits:
    """The limits of a response ``truncated(...)`` or ``censored(...)``; none where missing."""
    ends = []
    for name, none in (("lower", -np.inf), ("upper", np.inf)):
        values = np.full(len(data), none)
        if (written := call.options.get(name)) is not None:
            values = evaluate(written, data, scope, "limit", finite=False)
            values = np.where(np.isnan(values), none, values)
        ends.append(values)
    return Limits.of(call.name, *ends)


def _check_limits(text: str, y: np.ndarray, limits: Limits, data: pd.DataFrame) -> None:
    label = f"The response {text!r:.200}"
    _refuse(limits.lower >= limits.upper, data, f"{label}: the lower limit is not below the upper")
    if limits.kind == TRUNCATED:
        outside = (y < limits.lower) | (y > limits.upper)
        _refuse(
            outside, data, f"{label}: values outside the limits cannot occur, but there are some"
        )
    elif not ((y > limits.lower) & (y < limits.upper)).any():
        raise DataError(
            f"{label}: every value is at or beyond a limit, so nothing is known exactly."
        )


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
    call = taken_apart(text)
    label = f"The response {text!r:.200}"
    if call.kind == "interval":
        lower, upper = _numbers(call, data, scope, finite=False)
        return _interval(lower, upper, data, label)
    values = _numbers(call, data, scope, finite=True)
    background = values.pop() if call.background is not None else None
    if background is not None:
        _refuse(background < 0, data, f"{label}: the background hazard is negative")
    entry = values.pop(0) if call.kind == "counting" else np.zeros(len(data))
    time = values[0]
    status = _status(values[1], data, label) if len(values) > 1 else np.ones(len(data), bool)
    _refuse(time < 0, data, f"{label}: the time is negative")
    _refuse(status & (time == 0), data, f"{label}: an event at time zero has no density")
    _refuse(entry < 0, data, f"{label}: the entry is negative")
    _refuse((entry > 0) & (entry >= time), data, f"{label}: the entry is not before the time")
    return Times(time, np.where(status, time, np.inf), entry, background)


def _numbers(call: Call, data: pd.DataFrame, scope: Scope, *, finite: bool) -> list[np.ndarray]:
    return [evaluate(text, data, scope, what, finite=finite) for text, what in call.named]


def _status(status: np.ndarray, data: pd.DataFrame, label: str) -> np.ndarray:
    bad = ~np.isin(status, (0, 1))
    if bad.any():
        codes = ", ".join(f"{c:g}" for c in np.unique(status)[:6])
        raise DataError(
            f"{label}: the status is 1 for an event and 0 for a right-censored time, but it has "
            f"the values {codes} ({first_rows(data, bad)}). Recode it; name the event in the "
            "column of event=."
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


@dataclass(frozen=True, eq=False)
class Response:
    """A response as the families read it.

    Parameters
    ----------
    name : str
        As written: ``Patents``, ``p(Deaths, Total)``.
    kind : {"numeric", "binomial", "survival", "levels", "columns"}
    y : ndarray of float64, shape (n,), or (n, q) of several columns
        The successes of a binomial response; the `middle` of a survival time's bounds; the
        places of levels.
    trials : ndarray of float64, shape (n,), or None
        Only for ``p(successes, trials)``.
    columns : tuple of str
        Data columns used.
    times : Times, or None
        Only for ``surv(...)``: how each time was observed.
    limits : Limits, or None
        Only for ``truncated(...)`` and ``censored(...)``; `y` stands at a limit of censoring.
    there : ndarray of bool, shape (n,), or None
        Where the response was observed; None for everywhere.  In the other rows `y` is NaN, and
        of a time nothing is known.
    levels : tuple
        Of the kind "levels".
    ordered : bool
        Whether the order of levels was given a meaning.
    parts : tuple of str, length q
        Only for ``mv(y1, y2, ...)``: its columns as written.
    """

    name: str
    kind: str
    y: np.ndarray
    trials: np.ndarray | None = None
    columns: tuple[str, ...] = ()
    times: Times | None = None
    there: np.ndarray | None = None
    levels: tuple[Hashable, ...] = ()
    ordered: bool = False
    parts: tuple[str, ...] = ()
    limits: Limits | None = None

    def take(self, rows: Any) -> Response:
        """Keep some rows, by position, slice or mask."""
        trials = None if self.trials is None else self.trials[rows]
        times = None if self.times is None else self.times.take(rows)
        there = None if self.there is None else self.there[rows]
        limits = None if self.limits is None else self.limits.take(rows)
        y = self.y[rows]
        return replace(self, y=y, trials=trials, times=times, there=there, limits=limits)

    def spread(self, there: np.ndarray) -> Response:
        """The same among rows in which nothing is known; these are where `there` (n,) is true."""
        times = None if self.times is None else self.times.spread(there)
        limits = None if self.limits is None else self.limits.spread(there)
        y = spread(self.y, there, np.nan) if times is None else middle(times)
        return replace(self, y=y, times=times, limits=limits, there=there)


def middle(times: Times) -> np.ndarray:
    """A time within each row's bounds: the exact one, the middle, or the one bound there is."""
    upper = np.where(np.isinf(times.upper), times.lower, times.upper)
    return np.where(times.lower > 0, 0.5 * (times.lower + upper), upper)


def complete_columns(formula: ParsedFormula) -> tuple[str, ...]:
    """The columns of a response that may not be missing: bounds of an interval, and limits, may."""
    call = call_of(formula.response or "")
    if call is not None and call.name in (TRUNCATED, CENSORED):
        return read_text(call.arguments[0], "response").variables
    if call is not None and call.name == "surv" and call.kind == "interval":
        return ()
    return formula.response_names


def read_response(
    formula: ParsedFormula,
    data: pd.DataFrame,
    scope: Scope,
    *,
    levels: bool = False,
    partly: bool = False,
) -> Response:
    """Evaluate the left-hand side of a formula.

    Parameters
    ----------
    formula : ParsedFormula
    data : DataFrame of n rows
    scope : Scope
    levels : bool
        Whether a family reads it as levels, not as numbers.
    partly : bool
        Whether some of several columns may be missing in a row.

    Returns
    -------
    Response

    Raises
    ------
    DataError
        For values that are no numbers, and for successes and trials, or survival
        times, that cannot be.
    FormulaError
        Where the formula has no response, or ``surv(...)`` has a form of its own.
    """
    check_data(data)
    text = formula.response
    if text is None:
        raise FormulaError("The formula has no response. Write it on the left, as in 'y ~ x'.")
    columns = tuple(name for name in formula.response_names if name in data.columns)
    call = call_of(text)
    made = partial(Response, text, columns=columns)
    if call is not None and call.name == "surv":
        times = read_times(text, data, scope)
        return made("survival", middle(times), times=times)
    if call is not None and call.name == "mv":
        read = [evaluate(p, data, scope, "response", finite=not partly) for p in call.arguments]
        y = np.column_stack(read)
        if np.isinf(y).any():
            raise DataError(f"The response {text!r:.200} has infinite values; correct them.")
        return made("columns", y, parts=call.arguments)
    if levels and call is not None:
        plain = call.arguments[0]
        what = "no limits" if call.options else "one column"
        raise FormulaError(f"The response {text!r:.200}: levels have {what}; write {plain}.")
    if levels:
        found = read_levels(text, data, scope)
        return made("levels", found.codes, levels=found.levels, ordered=found.ordered)
    if call is None:
        return made("numeric", evaluate(text, data, scope, "response"))
    if call.name == "p":
        names = ("number of successes", "number of trials")
        pairs = zip(call.arguments, names, strict=True)
        y, trials = (evaluate(part, data, scope, name) for part, name in pairs)
        _check_counts(text, y, trials, data)
        return made("binomial", y, trials)
    y = evaluate(call.arguments[0], data, scope, "response")
    limits = read_limits(call, data, scope)
    _check_limits(text, y, limits, data)
    return made("numeric", limits.applied(y), limits=limits)


def observed_rows(formula: ParsedFormula, data: pd.DataFrame) -> np.ndarray:
    """Where a response is known: none of its columns is missing, or one bound of an interval."""
    whole = complete_columns(formula)
    names = [name for name in whole or formula.response_names if name in data.columns]
    known = data[names].notna()
    call = call_of(formula.response or "")
    every = (bool(whole) and not (call is not None and call.name == "mv")) or not names
    return (known.all(axis=1) if every else known.any(axis=1)).to_numpy()


def read_observed(
    formula: ParsedFormula,
    data: pd.DataFrame,
    scope: Scope,
    *,
    levels: bool = False,
    like: Response | None = None,
) -> Response:
    """As `read_response`, of a response that may be missing in some rows.

    It may be missing in all rows if it is `like` one that was read before.

    Raises
    ------
    DataError
        As there, or if the response is missing in every row.
    """
    check_data(data)
    there = observed_rows(formula, data)
    if there.all():
        return read_response(formula, data, scope, levels=levels, partly=True)
    if not there.any() and like is not None:
        trials = None if like.trials is None else np.ones(len(data))
        return replace(like.take(slice(0, 0)).spread(there), trials=trials)
    if not there.any():
        raise DataError(
            f"The response {formula.response!r:.200} is missing in all {len(data)} rows; leave "
            "it out."
        )
    some = read_response(formula, data[there], scope, levels=levels, partly=True)
    found = some.spread(there)
    if some.trials is not None:  # they may be known where the successes are not
        written = taken_apart(some.name).arguments[1]
        found = replace(found, trials=evaluate(written, data, scope, "trials", finite=False))
    return found


def _check_counts(name: str, y: np.ndarray, trials: np.ndarray, data: pd.DataFrame) -> None:
    for values, what in ((y, "successes"), (trials, "trials")):
        for bad, how in ((values < 0, "negative"), (values != np.floor(values), "not whole")):
            if bad.any():
                raise DataError(
                    f"The response {name!r}: the number of {what} is {how} in "
                    f"{first_rows(data, bad)}; counts are 0, 1, 2, ... Correct these rows."
                )
    above = y > trials
    if above.any():
        raise DataError(
            f"The response {name!r}: there are more successes than trials in "
            f"{first_rows(data, above)}. Write p(successes, trials), the trials being all cases, "
            "not the failures."
        )
