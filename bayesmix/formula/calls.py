"""Responses that are calls, ``surv(...)`` or ``p(...)``: what stands in their brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bayesmix.errors import FormulaError
from bayesmix.formula.limits import CENSORED, TRUNCATED
from bayesmix.formula.tokens import parts, tokenize

BACKGROUND = "background hazard"
# What the arguments of each kind of time are; the status may be left out.
PARTS = {
    "right": ("survival time", "status"),
    "interval": ("lower bound", "upper bound"),
    "counting": ("entry", "survival time", "status"),
}


class Call(NamedTuple):
    """A response taken apart: expressions by position, and by name."""

    name: str
    arguments: tuple[str, ...]
    options: Mapping[str, str]

    @property
    def kind(self) -> str:
        """Of a time: "right", "interval" or "counting"."""
        return self.options.get("kind", "'right'")[1:-1]

    @property
    def background(self) -> str | None:
        """Of a time: the rate of the event for other reasons than the model's."""
        return self.options.get("background")

    @property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Of a time: the expressions, each with what it gives, "survival time", "status" ..."""
        found = tuple(zip(self.arguments, PARTS[self.kind], strict=False))
        return found if self.background is None else (*found, (self.background, BACKGROUND))


@lru_cache(maxsize=256)
def call_of(text: str) -> Call | None:
    """What stands in a response that is a call of its own kind; None for any other.

    Raises
    ------
    FormulaError
        If it is not written as such a call is.
    """
    name = text.partition("(")[0].rstrip()
    if name not in _CALLS or name == text:
        return None
    label, (known, form, check) = f"The response {text!r:.200}", _CALLS[name]
    runs = parts(tokenize(text, label)[1].inside, ",")
    arguments, options = [], {}
    for run in runs if runs[-1] else runs[:-1]:
        named = len(run) > 1 and run[1].text == "="
        value, option = run[2 * named :], run[0].text if named and run else ""
        if not value or (named and (option not in known or option in options)):
            allowed = " and ".join(f"{each}=" for each in known)
            words = f"the options are {allowed}" if known else "it takes no options"
            raise FormulaError(f"{label}: {words}. Write {form}.")
        written = text[value[0].start : value[-1].end]
        if named:
            options[option] = written
        else:
            arguments.append(written)
    call = Call(name, tuple(arguments), options)
    if (why := check(call)) is not None:
        raise FormulaError(f"{label} {why}. Write {form}.")
    return call


def _wrong_time(call: Call) -> str | None:
    count, kind = len(call.arguments), call.kind
    if (written := call.options.get("kind", "''"))[0] not in "'\"":
        return f"has kind={written} without quotes"
    if kind not in PARTS:
        return f"has no known form: kind={kind!r} is unknown"
    if count not in ((1, 2) if kind == "right" else (len(PARTS[kind]),)):
        words = f"{count} argument{'' if count == 1 else 's'}"
        return f"has {words}, which does not suit kind={kind!r}"
    if call.background is not None and kind == "interval":
        return "has bounds, but background= is the rate at an exact time"
    return None


def _wrong_limits(call: Call) -> str | None:
    if len(call.arguments) != 1 or not call.options:
        return "takes one response and one limit or both, by name"
    if any(_is(call.arguments[0], name) for name in _CALLS):
        return (
            "has limits, which need a plain response: times have censoring and entry in surv(...), "
            "proportions and several columns have no limits, and one response is truncated or "
            "censored, not both"
        )
    return None


def _wrong_columns(call: Call) -> str | None:
    parts = call.arguments
    if len(parts) < 2:
        return "needs two columns or more; a single one stands without mv"
    twice = [part for i, part in enumerate(parts) if part in parts[:i]]
    return f"has {twice[0]!r} twice; name it once" if twice else None


def _wrong_counts(call: Call) -> str | None:
    return None if len(call.arguments) == 2 else "needs two arguments"


_LIMITS = ("lower", "upper")
_LIMITED = "truncated(y, lower=, upper=) or censored(y, lower=, upper=)"
_TIMES = (
    "surv(time, status), surv(time), surv(lower, upper, kind='interval') or surv(entry, time, "
    "status, kind='counting')"
)
# Of functions that reach every number; those of others need not lead back.
_INVERSES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log": np.exp,
    "log2": np.exp2,
    "log10": lambda values: 10.0**values,
    "log1p": np.expm1,
}
# The options of each call, how it is written, and what is wrong with one.
_CALLS: dict[str, tuple[tuple[str, ...], str, Callable[[Call], str | None]]] = {
    "surv": (("kind", "background"), _TIMES, _wrong_time),
    "mv": ((), "mv(y1, y2)", _wrong_columns),
    "p": ((), "p(successes, trials)", _wrong_counts),
    TRUNCATED: (_LIMITS, _LIMITED, _wrong_limits),
    CENSORED: (_LIMITS, _LIMITED, _wrong_limits),
}


def _is(text: str, name: str) -> bool:
    return text.partition("(")[0].rstrip() == name != text


def is_surv(text: str) -> bool:
    """Whether a response is written ``surv(...)``."""
    return _is(text, "surv")


def taken_apart(text: str) -> Call:
    """What stands in a response that is known to be a call."""
    call = call_of(text)
    assert call is not None
    return call


def limited_call(text: str) -> Call | None:
    """A response ``truncated(...)`` or ``censored(...)`` taken apart; None for any other."""
    call = call_of(text)
    return call if call is not None and call.name in (TRUNCATED, CENSORED) else None


def values_read(
    response: str, values: np.ndarray, hidden: Callable[[str], bool]
) -> dict[str, np.ndarray]:
    """The columns that a response reads, where its values say what stands in them.

    Parameters
    ----------
    response : str
        As written.
    values : ndarray, shape (n,)
        Successes of ``p(...)``, exact times of ``surv(..., kind="interval")``, else what is read.
    hidden : callable
        Whether a function of the user's has a name of NumPy's.
    """
    call, found = call_of(response), {}
    texts: Sequence[str] = (response,)
    if call is not None:
        known = {"p": 1, TRUNCATED: 1, CENSORED: 1, "surv": 2 * (call.kind == "interval")}
        texts = call.arguments[: known.get(call.name, 0)]
    words = re.findall(r"\w+", response)
    for text in texts:
        name, _, inner = text.removesuffix(")").rpartition("(")
        column = (inner if name else text).strip(" `")
        if (name and (hidden(name) or name not in _INVERSES)) or words.count(column) > 1:
            return {}  # such as trials that count the successes too
        found[column] = _INVERSES[name](values) if name else values
    return found


def time_name(responses: Sequence[str]) -> str:
    """What simulated times are called: the time within all of ``surv(...)``, else "time"."""
    calls = [{what: text for text, what in taken_apart(name).named} for name in responses]
    names = {call.get("survival time") for call in calls}
    return (names.pop() if len(names) == 1 else None) or "time"
