"""A response: its values and how it was observed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.expressions import read_text
from bayesmix.formula.frames import check_data, first_rows
from bayesmix.formula.levels import read_levels
from bayesmix.formula.limits import CENSORED, TRUNCATED, Limits
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import Times
from bayesmix.formula.tokens import match_brackets, split_at, tokenize

if TYPE_CHECKING:
    import pandas as pd

FORMS = (
    "surv(time, status), surv(time), surv(lower, upper, kind='interval') or "
    "surv(entry, time, status, kind='counting')"
)
BACKGROUND = "background hazard"

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
    background: str | None = None

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """The expressions, each with what it gives: "survival time", "status", "entry" ..."""
        found = tuple(zip(self.arguments, PARTS[self.kind], strict=False))
        return found if self.background is None else (*found, (self.background, BACKGROUND))


def is_surv(text: str) -> bool:
    """Whether a response is written ``surv(...)``."""
    return _is_call(text, "surv")


def is_mv(text: str) -> bool:
    """Whether a response is written ``mv(...)``: several columns at once."""
    return _is_call(text, "mv")


def _is_call(text: str, name: str) -> bool:
    return text.startswith(name) and text[len(name) :].lstrip().startswith("(")


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
    kind, background, arguments = "right", None, []
    for run in runs:
        if len(run) > 1 and run[1].text == "=":
            if run[0].text == "background" and len(run) > 2:
                background = text[run[2].start : run[-1].end]
                continue
            if run[0].text != "kind" or len(run) != 3 or run[2].kind != "string":
                raise FormulaError(
                    f"{label}: the options are kind= and background=. Write {FORMS}."
                )
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
    if background is not None and kind == "interval":
        raise FormulaError(
            f"{label}: background= is the rate at an exact time, which bounds do not have; use it "
            "with surv(time, status) or kind='counting'."
        )
    return SurvCall(kind, tuple(arguments), background)


class LimitedCall(NamedTuple):
    """A response ``truncated(...)`` or ``censored(...)`` taken apart: expressions, or None."""

    kind: str
    inner: str
    lower: str | None
    upper: str | None


LIMITED_FORMS = "truncated(y, lower=, upper=) or censored(y, lower=, upper=)"


def limited_call(text: str) -> LimitedCall | None:
    """What stands in a response ``truncated(...)`` or ``censored(...)``; None for any other.

    Raises
    ------
    FormulaError
        If it has no limit, or none of the two forms.
    """
    kind = next((k for k in (TRUNCATED, CENSORED) if text.startswith(k)), None)
    if kind is None or not text[len(kind) :].lstrip().startswith("("):
        return None
    label = f"The response {text!r}"
    tokens = tokenize(text, label)
    match_brackets(tokens, label)
    inner, given = [], {}
    for run in (run for run in split_at(tokens[2:-1], ",") if run):
        named = len(run) > 1 and run[1].text == "="
        name = run[0].text if named else ""
        first = run[2] if named and len(run) > 2 else run[0]
        part = text[first.start : run[-1].end]
        if named and (name not in ("lower", "upper") or name in given or len(run) < 3):
            raise FormulaError(
                f"{label}: the options are lower= and upper=. Write {LIMITED_FORMS}."
            )
        if named:
            given[name] = part
        else:
            inner.append(part)
    if len(inner) != 1 or not given:
        raise FormulaError(
            f"{label} takes one response and one limit or both, by name. Write {LIMITED_FORMS}."
        )
    if inner[0].startswith(tuple(f"{name}(" for name in ("p", "surv", "mv", TRUNCATED, CENSORED))):
        raise FormulaError(
            f"{label}: limits need a plain response. Times have censoring and entry in "
            "surv(...); proportions and several columns have no limits; one response is "
            "truncated or censored, not both."
        )
    return LimitedCall(kind, inner[0], given.get("lower"), given.get("upper"))


def read_limits(text: str, data: pd.DataFrame, scope: Scope) -> Limits:
    """The limits of a response ``truncated(...)`` or ``censored(...)``; none where missing."""
    call = limited_call(text)
    assert call is not None
    ends = []
    for written, none in ((call.lower, -np.inf), (call.upper, np.inf)):
        values = np.full(len(data), none)
        if written is not None:
            values = evaluate(written, data, scope, "limit", finite=False)
            values = np.where(np.isnan(values), none, values)
        ends.append(values)
    return Limits.of(call.kind, *ends)


def _check_limits(text: str, y: np.ndarray, limits: Limits, data: pd.DataFrame) -> None:
    label = f"The response {text!r}"
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
    call = surv_call(text)
    label = f"The response {text!r}"
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


def _numbers(call: SurvCall, data: pd.DataFrame, scope: Scope, *, finite: bool) -> list[np.ndarray]:
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
    trials: np.ndarray | None
    columns: tuple[str, ...]
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


def middle(times: Times) -> np.ndarray:
    """A time within each row's bounds: the exact one, the middle, or the one bound there is."""
    upper = np.where(np.isinf(times.upper), times.lower, times.upper)
    return np.where(times.lower > 0, 0.5 * (times.lower + upper), upper)


def complete_columns(formula: _WithResponse) -> tuple[str, ...]:
    """The columns of a response that may not be missing: bounds of an interval, and limits, may."""
    text = formula.response
    if text is not None and (call := limited_call(text)) is not None:
        return read_text(call.inner, "response").variables
    if text is not None and is_surv(text) and surv_call(text).kind == "interval":
        return ()
    return formula.response_names


class _WithResponse(Protocol):
    """What is needed of a parsed formula."""

    @property
    def response(self) -> str | None: ...
    @property
    def response_names(self) -> tuple[str, ...]: ...


def read_response(
    formula: _WithResponse,
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
    if is_surv(text):
        times = read_times(text, data, scope)
        return Response(text, "survival", middle(times), None, columns, times)
    if is_mv(text):
        parts = column_arguments(text)
        read = [evaluate(part, data, scope, "response", finite=not partly) for part in parts]
        y = np.column_stack(read)
        if np.isinf(y).any():
            raise DataError(f"The response {text!r} has infinite values; correct them.")
        return Response(text, "columns", y, None, columns, parts=parts)
    limited = limited_call(text)
    if levels and limited is not None:
        raise FormulaError(f"The response {text!r}: levels have no limits; write {limited.inner}.")
    if levels:
        found = read_levels(text, data, scope)
        return Response(
            text,
            "levels",
            found.codes,
            None,
            columns,
            levels=found.levels,
            ordered=found.ordered,
        )
    if limited is not None:
        y = evaluate(limited.inner, data, scope, "response")
        limits = read_limits(text, data, scope)
        _check_limits(text, y, limits, data)
        return Response(text, "numeric", limits.applied(y), None, columns, limits=limits)
    if _is_call(text, "p"):
        successes, trials = binomial_arguments(text)
        y = evaluate(successes, data, scope, "number of successes")
        total = evaluate(trials, data, scope, "number of trials")
        _check_counts(text, y, total, data)
        return Response(text, "binomial", y, total, columns)
    return Response(text, "numeric", evaluate(text, data, scope, "response"), None, columns)


def observed_rows(formula: _WithResponse, data: pd.DataFrame) -> np.ndarray:
    """Where a response is known: none of its columns is missing, or one bound of an interval."""
    whole = complete_columns(formula)
    names = [name for name in whole or formula.response_names if name in data.columns]
    known = data[names].notna()
    every = (bool(whole) and not is_mv(str(formula.response))) or not names
    return (known.all(axis=1) if every else known.any(axis=1)).to_numpy()


def read_observed(
    formula: _WithResponse, data: pd.DataFrame, scope: Scope, *, levels: bool = False
) -> Response:
    """As `read_response`, of a response that may be missing in some rows.

    Raises
    ------
    DataError
        As there, or if the response is missing in every row.
    """
    check_data(data)
    there = observed_rows(formula, data)
    if there.all():
        return read_response(formula, data, scope, levels=levels, partly=True)
    if not there.any():
        raise DataError(
            f"The response {formula.response!r} is missing in all {len(data)} rows; leave it out."
        )
    some = read_response(formula, data[there], scope, levels=levels, partly=True)
    n = len(data)
    y = np.full((n, *some.y.shape[1:]), np.nan)
    y[there] = some.y
    trials = times = None
    if some.trials is not None:  # they may be known where the successes are not
        trials = evaluate(binomial_arguments(some.name)[1], data, scope, "trials", finite=False)
    limits = some.limits
    if limits is not None:
        ends = np.full(n, -np.inf), np.full(n, np.inf)
        for values, given in zip(ends, (limits.lower, limits.upper), strict=True):
            values[there] = given
        limits = Limits.of(limits.kind, *ends)
    if some.times is not None:
        bounds = {"lower": np.zeros(n), "upper": np.full(n, np.inf), "entry": np.zeros(n)}
        bounds |= {} if some.times.background is None else {"background": np.zeros(n)}
        for name, values in bounds.items():
            values[there] = getattr(some.times, name)
        times = Times(**bounds)
        y = middle(times)
    return replace(some, y=y, trials=trials, times=times, there=there, limits=limits)


@lru_cache(maxsize=256)
def column_arguments(text: str) -> tuple[str, ...]:
    """The columns of a response written ``mv(y1, y2, ...)``.

    Raises
    ------
    FormulaError
        For fewer than two, or one that is there twice.
    """
    label = f"The response {text!r}"
    tokens = tokenize(text, label)
    match_brackets(tokens, label)
    runs = split_at(tokens[2:-1], ",")
    if len(runs) < 2 or not all(runs):
        raise FormulaError(
            f"{label} needs two columns or more, as in mv(y1, y2); write a single one without mv."
        )
    parts = tuple(text[run[0].start : run[-1].end] for run in runs)
    twice = [part for i, part in enumerate(parts) if part in parts[:i]]
    if twice:
        raise FormulaError(f"{label} has {twice[0]!r} twice; name it once.")
    return parts


@lru_cache(maxsize=256)
def binomial_arguments(text: str) -> tuple[str, str]:
    """Successes and trials of a response written ``p(successes, trials)``."""
    label = f"The response {text!r}"
    tokens = tokenize(text, label)
    match_brackets(tokens, label)
    runs = split_at(tokens[2:-1], ",")
    if len(runs) != 2 or not all(runs):
        raise FormulaError(f"{label} needs two arguments: p(successes, trials).")
    successes, trials = (text[run[0].start : run[-1].end] for run in runs)
    return successes, trials


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


def time_name(responses: Sequence[str]) -> str:
    """What simulated times are called: the time within all of ``surv(...)``, else "time"."""
    calls = [{what: text for text, what in surv_call(name).named} for name in responses]
    names = {call.get("survival time") for call in calls}
    return (names.pop() if len(names) == 1 else None) or "time"
