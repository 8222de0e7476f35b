"""A response: its values and how it was observed."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.calls import Call, call_of, taken_apart
from bayesmix.formula.expressions import read_text
from bayesmix.formula.frames import first_rows
from bayesmix.formula.levels import read_levels
from bayesmix.formula.limits import CENSORED, TRUNCATED, Limits
from bayesmix.formula.parser import ParsedFormula
from bayesmix.formula.scope import Scope
from bayesmix.formula.surv import CORRECT, read_bounds
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
    refuse = _refusal(text, data)
    refuse(limits.lower >= limits.upper, "the lower limit is not below the upper")
    if limits.kind == TRUNCATED:
        outside = (y < limits.lower) | (y > limits.upper)
        refuse(outside, "values outside the limits cannot occur, but there are some")
    elif not ((y > limits.lower) & (y < limits.upper)).any():
        raise DataError(
            f"The response {text!r:.200}: every value is at or beyond a limit, so nothing is known "
            "exactly."
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
    finite = call.kind != "interval"
    values = [evaluate(given, data, scope, what, finite=finite) for given, what in call.named]
    return Times(*read_bounds(call, values, _refusal(text, data)))


def _refusal(text: str, data: pd.DataFrame) -> Callable[..., None]:
    """What refuses rows (n,) of a response by saying what is wrong with them, and what to do."""

    def refuse(bad: np.ndarray, what: str, advice: str = CORRECT) -> None:
        if bad.any():
            rows = first_rows(data, bad)
            raise DataError(f"The response {text!r:.200}: {what} in {rows}. {advice}")

    return refuse


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
    refuse = _refusal(name, data)
    counts = f"Counts are 0, 1, 2, ... {CORRECT}"
    for values, what in ((y, "successes"), (trials, "trials")):
        refuse(values < 0, f"the number of {what} is negative", counts)
        refuse(values != np.floor(values), f"the number of {what} is not whole", counts)
    cases = "Write p(successes, trials), the trials being all cases, not the failures."
    refuse(y > trials, "there are more successes than trials", cases)
