"""Competing events: what a user writes about them, read and evaluated on the data."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError, FormulaError, SpecError
from bayesmix.families import resolve
from bayesmix.formula.calls import is_surv, taken_apart
from bayesmix.formula.design import Design
from bayesmix.formula.frames import check_columns, first_rows
from bayesmix.formula.parser import ParsedFormula, parse_formula
from bayesmix.formula.response import (
    Response,
    complete_columns,
    middle,
    observed_rows,
    read_response,
)
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Stream
from bayesmix.formula.times import Times
from bayesmix.formula.tokens import right_side
from bayesmix.model.identifiability import check_full_rank
from bayesmix.model.parts import Events, Part, Prepared, Read, Reading, Regression
from bayesmix.model.prepare import InUse, columns_of, complete, evaluated, rows_of
from bayesmix.model.reading import Counted, described_rows, observe

Names = tuple[Hashable, ...]


def event_rows(
    data: Any,
    formula: Any,
    *,
    event: str,
    ancillary: Any,
    concomitant: str | None,
    weights: str | None,
    na_action: str,
    scope: Scope,
) -> tuple[Any, Stream | None]:
    """The data of competing events as a frame, or a sample of their rows with all of them.

    Here formulas only tell which columns are in use; `prepare_components` checks them.
    """
    mains = list(formula.values()) if isinstance(formula, Mapping) else [formula]
    extra = [f for d in (ancillary or {}).values() for f in d.values()]
    formulas = [parse_formula(text, "formula") for text in mains]
    others = [parse_formula(text, "ancillary") for text in (*extra, concomitant) if text]
    columns = columns_of([*formulas, *others], weights)
    needed = _needed(columns, formulas, na_action)
    return rows_of(data, columns, needed, (event, weights, None), na_action, scope)


def _needed(columns: Sequence[str], formulas: Sequence[ParsedFormula], na_action: str) -> list[str]:
    """The columns in which nothing may be missing."""
    times = {n for f in formulas for n in f.response_names} if na_action == "fiml" else set()
    return [c for c in complete(columns, formulas) if c not in times]


def event_components(
    data: pd.DataFrame,
    event: str,
    weights: str | None,
    family: Any,
    partial_events: Mapping[Hashable, Sequence[Hashable]] | None,
) -> tuple[dict[Hashable, Any], dict[Hashable, Names]]:
    """The events with their families, and what the codes of several events may be.

    Raises
    ------
    DataError, SpecError
        With what was given, what is allowed and what to do.
    """
    check_columns(data, [event, *([] if weights is None else [weights])])
    partial = partial_codes(partial_events)
    return _components(data[event], event, family, partial), partial


def prepare_components(
    formula: str | Mapping[Hashable, str],
    data: pd.DataFrame,
    families: Mapping[Hashable, Any],
    *,
    event: str,
    ancillary: Mapping[Hashable, Mapping[str, str]] | None,
    concomitant: str | None,
    partial: Mapping[Hashable, Names],
    truncation: str,
    weights: str | None,
    na_action: str,
    scope: Scope,
    stream: Stream | None = None,
    known: Sequence[dict[str, Any]] | None = (),
) -> Prepared:
    """Read the formulas of competing events and evaluate them on the data.

    The components are known, in order, with their families.  With a `stream` the data are a
    sample of its rows, and of a sample `known` are the constants that all rows gave.

    Raises
    ------
    FormulaError, DataError, SpecError
        With what was given, what is allowed and what to do.
    """
    names = tuple(families)
    formulas = _formulas(formula, names)
    extra = _ancillary(ancillary, names)
    every = [*formulas, *(p for d in extra for p in d.values())]
    every += [] if concomitant is None else [parse_formula(concomitant, "concomitant")]

    def read(counted: Counted) -> tuple[Part, ...]:
        allowed = _allowed(counted.data, event, names, partial)
        pairs = enumerate(zip(formulas, extra, strict=True))
        readings = tuple(_reading(f, own, counted, allowed[:, s], every) for s, (f, own) in pairs)
        for family in families.values():  # an error before a dict of them is read
            resolve(family, survival=True)
        regression = Regression(formulas[0].text, dict(families))
        events = Events(event, partial, truncation)
        return (Part(regression, readings, events=events, allowed=allowed),)

    columns = columns_of(every, weights)
    needed, used = _needed(columns, formulas, na_action), list(dict.fromkeys((*columns, event)))
    data = data.copy(deep=False)
    rows = InUse(data, used, needed, None, weights, None, na_action, scope, stream)
    return evaluated(every, concomitant is not None, rows, read, known)


# --- components ----------------------------------------------------------------------------


def partial_codes(given: Mapping[Hashable, Sequence[Hashable]] | None) -> dict[Hashable, Names]:
    """The events that each code of the event column may stand for.

    Raises
    ------
    SpecError
        If a code stands for no event.
    """
    codes = {code: tuple(events) for code, events in (given or {}).items()}
    if not all(codes.values()):
        raise SpecError(
            f"partial_events={given!r} must map a code of the event column to the events it may "
            "be, such as {'a_or_b': ['a', 'b']}"
        )
    return codes


def _components(
    values: pd.Series, column: str, family: Any, partial: Mapping[Hashable, Names]
) -> dict[Hashable, Any]:
    """The components with their families."""
    observed = [c for c in _levels(values, column) if c not in partial]
    named = isinstance(family, Mapping)
    if named:  # categories that no row has need no family
        held = {plain(v) for v in values.dropna().unique()}
        observed = [c for c in observed if c in family or c in held]
    names = (*observed, *(c for c in family if c not in observed)) if named else tuple(observed)
    if not names:
        raise DataError(f"the event column {column!r} has no known event; every value is missing")
    wrong = [c for codes in partial.values() for c in codes if c not in names]
    wrong += [c for c in partial if named and c in family]
    if wrong:
        raise SpecError(
            f"partial_events uses {wrong}, but the events are {list(names)}; a code stands for "
            "several events and cannot be one of them"
        )
    if not named:
        return dict.fromkeys(names, family)
    missing = [c for c in names if c not in family]
    if missing:
        raise SpecError(
            f"family= names {list(family)}, but the column {column!r} also has {missing}. Give "
            "these a family too, list codes of several events in partial_events=, or mark rows "
            "without a known event as missing"
        )
    return {c: family[c] for c in names}


def _levels(values: pd.Series, column: str) -> list[Hashable]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [plain(c) for c in values.cat.categories]
    found = [plain(v) for v in values.dropna().unique()]
    if not all(isinstance(v, str) for v in found):
        raise DataError(
            f"the event column {column!r} holds {values.dtype}: {found[:5]}; it names the events, "
            "as strings or a Categorical, missing where the event is unknown (a 0/1 status stands "
            "in surv(time, status))"
        )
    return sorted(found, key=str)


def _allowed(
    data: pd.DataFrame, column: str, names: Names, partial: Mapping[Hashable, Names]
) -> np.ndarray:
    """Which events (n, S) every row may have had."""
    values = data[column]
    allowed = np.ones((len(data), len(names)), bool)
    for code in values.dropna().unique():
        where = (values == code).to_numpy(dtype=bool, na_value=False)  # missing strings are NA
        may = partial.get(plain(code), (plain(code),))
        if any(e not in names for e in may):
            raise DataError(
                f"the event column {column!r} has the code {code!r} in {first_rows(data, where)}, "
                f"but the events are {list(names)}; correct it, or list it in partial_events="
            )
        allowed[where] = [e in may for e in names]
    return allowed


# --- formulas ------------------------------------------------------------------------------


def _formulas(given: Any, names: Names) -> list[ParsedFormula]:
    by_event = isinstance(given, Mapping)
    if by_event and set(given) != set(names):
        msg = f"the formulas are for {list(given)}, but the events are {list(names)}; give each one"
        raise SpecError(msg)
    parsed = [parse_formula(given[c] if by_event else given, "formula") for c in names]
    for f in parsed:
        if f.response is None or not is_surv(f.response):
            raise FormulaError(
                f"the formula {f.text!r:.200} has no survival time on its left; write "
                "'surv(time, status) ~ x'"
            )
        if f.group is not None:
            raise FormulaError(
                f"the formula {f.text!r:.200} groups rows by {f.group!r}, but competing events "
                "have one row for each subject; remove '| ...'"
            )
        if f.effects is not None:
            raise FormulaError(
                f"the formula {f.text!r:.200} has random effects (... | id), which are for "
                "Gaussian responses of bmx.Mixture; remove them"
            )
    return parsed


def _ancillary(given: Any, names: Names) -> list[dict[str, ParsedFormula]]:
    """Formulas of other parameters, by event and name."""
    given = given or {}
    unknown = [c for c in given if c not in names]
    if unknown:
        raise SpecError(f"ancillary= names {unknown}, but the events are {list(names)}")
    parsed = [
        {name: parse_formula(text, "ancillary") for name, text in given.get(c, {}).items()}
        for c in names
    ]
    for formulas in parsed:
        for name, f in formulas.items():
            if f.offsets:
                raise FormulaError(
                    "offset(...) stands in the main formula; the ancillary formula "
                    f"{f.text!r:.200} of "
                    f"{name!r} cannot have one"
                )
    return parsed


def _reading(
    formula: ParsedFormula,
    ancillary: Mapping[str, ParsedFormula],
    counted: Counted,
    rows: np.ndarray,
    every: Sequence[ParsedFormula],
) -> Reading:
    for other in every:  # no time explains itself, in another formula either
        parse_formula(f"{formula.response} ~ {right_side(other.text)}", "formula")

    def design(parsed: ParsedFormula) -> Design:
        made = counted.design(parsed)
        check_full_rank(made.matrix, made.terms, f"the formula {parsed.text!r:.200}")
        return made

    response = _restricted(formula, counted, rows)
    designs = tuple(design(f) for f in (formula, *ancillary.values()))
    return Reading(formula, response, designs, ("varying", *ancillary))


def _restricted(formula: ParsedFormula, counted: Counted, rows: np.ndarray) -> Response:
    """The times of some rows (n,); of the others nothing is known, nor need it be.

    Where a time may be missing nothing is known of it either.
    """
    assert formula.response is not None
    if taken_apart(formula.response).background is not None:
        raise FormulaError(
            f"{formula.response!r:.200}: background= is for bmx.Mixture; with competing events, "
            "make the background an event of its own"
        )
    data, scope = counted.data, counted.scope
    there = observed_rows(formula, data) if counted.fiml else np.ones(len(data), bool)
    rows = rows & there
    # Delayed entry concerns every event, whichever one it was.
    needed = there & (rows | (taken_apart(formula.response).kind == "counting"))
    if rows.all():
        return read_response(formula, data, scope)
    read = read_response(formula, data[needed], scope) if needed.any() else None
    columns = tuple(c for c in formula.response_names if c in data.columns)
    none = np.zeros(0)
    some = Times(none, none, none) if read is None or read.times is None else read.times
    times = some.spread(needed).only(rows)
    known = None if there.all() else there
    return Response(formula.response, "survival", middle(times), None, columns, times, known)


# --- new rows ------------------------------------------------------------------------------


def covariates(part: Part) -> list[str]:
    """Names that the designs of a response use."""
    return [name for design in part.designs for name in design.formula.names]


def complete_again(part: Part, *, response: bool, fiml: bool) -> list[str]:
    """Columns of new rows in which nothing may be missing.

    What belongs to a response that may be missing is looked at with it, and so are times of
    events, which need not be known of other events.
    """
    names = covariates(part)
    if not response or part.events is not None:
        return names
    if fiml or part.regression.per == "unit":
        return []
    effects = () if part.random is None else part.random.design.formula.names
    return [*names, *complete_columns(part.formula), *effects]


def read_again(part: Part, counted: Counted) -> tuple[pd.DataFrame, Read, np.ndarray | None]:
    """A response of new rows: the rows as its covariates see them, the response, and `described`.

    Raises
    ------
    DataError
        If it cannot be read, or an event is unknown.
    """
    if part.events is None:
        names = covariates(part)
        seen, response = observe(part.regression, part.formula, names, counted, part.response)
        described = None
        if counted.fiml:
            described = described_rows(part.formula, names, seen.data, response.there)
        return seen.data, Read((response,)), described
    check_columns(counted.data, [part.events.column])
    allowed = _allowed(counted.data, part.events.column, part.names, part.events.partial)
    pairs = zip(part.readings, allowed.T, strict=True)
    responses = tuple(_restricted(reading.formula, counted, may) for reading, may in pairs)
    return counted.data, Read(responses, allowed, part.events.truncation), None
