"""A response: its values and how it was observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.frames import check_data, first_rows
from bayesmix.formula.scope import Scope
from bayesmix.formula.surv import is_surv, read_times, surv_call
from bayesmix.formula.times import Times
from bayesmix.formula.tokens import match_brackets, split_at, tokenize

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Response", "binomial_arguments", "complete_columns", "middle", "read_response"]


@dataclass(frozen=True, eq=False)
class Response:
    """A response as the families read it.

    Parameters
    ----------
    name : str
        As written: ``Patents``, ``p(Deaths, Total)``.
    kind : {"numeric", "binomial", "survival"}
    y : ndarray of float64, shape (n,)
        The successes of a binomial response; the `middle` of a survival time's bounds.
    trials : ndarray of float64, shape (n,), or None
        Only for ``p(successes, trials)``.
    columns : tuple of str
        Data columns used.
    times : Times, or None
        Only for ``surv(...)``: how each time was observed.
    """

    name: str
    kind: str
    y: np.ndarray
    trials: np.ndarray | None
    columns: tuple[str, ...]
    times: Times | None = None

    def take(self, rows: Any) -> Response:
        """Keep some rows, by position, slice or mask."""
        trials = None if self.trials is None else self.trials[rows]
        times = None if self.times is None else self.times.take(rows)
        return Response(self.name, self.kind, self.y[rows], trials, self.columns, times)


def middle(times: Times) -> np.ndarray:
    """A time within each row's bounds: the exact one, the middle, or the one bound there is."""
    upper = np.where(np.isinf(times.upper), times.lower, times.upper)
    return np.where(times.lower > 0, 0.5 * (times.lower + upper), upper)


def complete_columns(formula: _WithResponse) -> tuple[str, ...]:
    """The columns of a response that may not be missing: bounds of an interval may."""
    text = formula.response
    if text is not None and is_surv(text) and surv_call(text).kind == "interval":
        return ()
    return formula.response_names


class _WithResponse(Protocol):
    """What is needed of a parsed formula."""

    @property
    def response(self) -> str | None: ...
    @property
    def response_names(self) -> tuple[str, ...]: ...


def read_response(formula: _WithResponse, data: pd.DataFrame, scope: Scope) -> Response:
    """Evaluate the left-hand side of a formula.

    Parameters
    ----------
    formula : ParsedFormula
    data : DataFrame of n rows
    scope : Scope

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
    if text.startswith("p") and text[1:].lstrip().startswith("("):
        successes, trials = binomial_arguments(text)
        y = evaluate(successes, data, scope, "number of successes")
        total = evaluate(trials, data, scope, "number of trials")
        _check_counts(text, y, total, data)
        return Response(text, "binomial", y, total, columns)
    return Response(text, "numeric", evaluate(text, data, scope, "response"), None, columns)


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
