"""Formulas are read and evaluated on the data; units, weights, labels and concomitants checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bayesmix.errors import FormulaError, SpecError, warn
from bayesmix.formula.constants import Constants
from bayesmix.formula.design import Design
from bayesmix.formula.flags import flag_spelling
from bayesmix.formula.frames import (
    build_units,
    check_columns,
    check_data,
    select_rows,
)
from bayesmix.formula.parser import ParsedFormula, parse_formula
from bayesmix.formula.response import complete_columns
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Stream, opened, read, surveyed
from bayesmix.formula.splines import NaturalSpline
from bayesmix.formula.tokens import right_side
from bayesmix.model.identifiability import check_full_rank
from bayesmix.model.parts import Part, Prepared, Regression
from bayesmix.model.reading import Counted, Parsed, read_part
from bayesmix.model.units import case_weights, constant_in_units, known_labels


def prepare(
    regressions: Sequence[Regression],
    data: pd.DataFrame,
    *,
    scope: Scope,
    concomitant: str | None = None,
    group: str | None = None,
    weights: str | None = None,
    labels: str | None = None,
    na_action: str = "error",
    known: Sequence[dict[str, Any]] | None = (),
) -> Prepared:
    """Read the formulas and evaluate them on the data.

    Of a sample of rows `known` are the constants that all rows gave; None: they count no case
    weights, as in models stored before they did.

    Raises
    ------
    FormulaError, DataError, SpecError
        With what was given, what is allowed and what to do.
    """
    if not regressions:
        raise SpecError("a mixture needs at least one Regression; the list given is empty")
    parsed = [_parse(r) for r in regressions]
    group = _one_group(group, [p.formula for p in parsed])
    beside = [] if concomitant is None else [parse_formula(concomitant, "concomitant")]
    for p in parsed:  # a response does not explain itself, in the other formulas either
        for other in (*p.every[1:], *beside):
            parse_formula(f"{p.formula.response} ~ {right_side(other.text)}", "formula")
    every = [f for p in parsed for f in p.every] + beside
    columns = columns_of(every, group, weights)
    fiml = na_action == "fiml"
    by_row = [p for r, p in zip(regressions, parsed, strict=True) if r.per == "row" and not fiml]
    needed = columns_of([f for p in by_row for f in p.every] + beside, group, weights)
    needed = needed if fiml else complete(needed, [p.formula for p in parsed])
    data, stream = rows_of(data, columns, needed, (labels, weights, group), na_action, scope)
    check_data(data)
    data = data.copy(deep=False)  # the user's may change
    data.attrs = {}  # else copied with every column that is looked at
    check_columns(data, [c for c in (labels, weights, group) if c is not None])

    def read(counted: Counted) -> tuple[Part, ...]:
        for name in (group, labels):
            if name is not None:
                values = counted.units.index if name == group else counted.data[name].unique()
                flag_spelling(name, values)
        pairs = zip(regressions, parsed, strict=True)
        parts = tuple(read_part(r, p, counted) for r, p in pairs)
        if labels is not None:
            _warn_of_position(regressions, data[labels], labels)
        names = [name for p in parts for name in p.response.parts or (p.response.name,)]
        if twice := list(dict.fromkeys(n for n in names if names.count(n) > 1)):
            raise SpecError(f"two regressions have the same response {twice}; each needs its own")
        return parts

    rows = InUse(data, columns, needed, group, weights, labels, na_action, scope, stream)
    return evaluated(every, concomitant is not None, rows, read, known)


class InUse(NamedTuple):
    """Data with the columns in use, and those in which nothing may be missing.

    With a `stream` they are a sample of its rows.
    """

    data: pd.DataFrame
    columns: Sequence[str]
    needed: Sequence[str]
    group: str | None
    weights: str | None
    labels: str | None
    na_action: str
    scope: Scope
    stream: Stream | None


def evaluated(
    formulas: Sequence[ParsedFormula],
    concomitant: bool,
    given: InUse,
    read: Callable[[Counted], tuple[Part, ...]],
    known: Sequence[dict[str, Any]] | None,
) -> Prepared:
    """Evaluate formulas on the rows in use.

    Parameters
    ----------
    formulas : sequence of ParsedFormula
        All that look for names in the scope.
    concomitant : bool
        Whether the last of them is that of the weights.
    given : InUse
    read : callable
        From the rows in use to the responses with their designs.
    known : sequence of dict, or None
        See `prepare`.
    """
    data, columns, needed, group, weights, labels, na_action, scope, stream = given
    names = {n for f in formulas for n in (*f.names, *f.response_names)}
    functions = {n for f in formulas for n in f.functions}
    # The rest of it is let go, also what is hidden by a column, such as Python's module `time`.
    scope = scope.restrict(sorted({n for n in names if n not in data.columns} | functions))
    columns = tuple(c for c in columns if c in data.columns)
    kept, dropped = select_rows(data, [c for c in needed if c in columns], na_action)
    units = build_units(kept, group)
    weight = None if weights is None else case_weights(kept, weights, units)
    constants = Constants(weights, stream, known or ())
    counts = None if known is None else units.by_row(weight)
    counted = Counted(kept, units, counts, scope, na_action == "fiml", constants)
    prepared = Prepared(
        read(counted),
        units,
        concomitant_design(formulas[-1], counted) if concomitant else None,
        weight,
        None if labels is None else known_labels(kept, labels, units),
        scope,
        group,
        weights,
        labels,
        columns,
        dropped if stream is None else stream.totals.n_dropped,
        kept[list(columns)] if dropped else kept,
        counted.fiml,
        stream,
        None if known is None else tuple(constants.found),
    )
    warn_of_constants(prepared)
    return prepared


def rows_of(
    data: Any,
    columns: Sequence[str],
    needed: Sequence[str],
    given: tuple[str | None, str | None, str | None],
    na_action: str,
    scope: Scope,
) -> tuple[Any, Stream | None]:
    """The data as a frame: all rows, or a sample of them with the stream of all.

    Parameters
    ----------
    data : DataFrame, or what `sources.opened` takes
    columns, needed : sequence of str
        Columns in use, names of the scope among them, and those in which nothing may be missing.
    given : tuple of (str or None)
        The columns of labels (or events), case weights and groups.
    na_action : str
    scope : Scope
    """
    source = opened(data)
    if not hasattr(type(source), "chosen"):
        return source, None
    labels, weights, group = given
    known = [*(c for c in given if c), *(c for c in columns if c not in scope)]
    check_columns(pd.DataFrame(columns=list(source.names), index=[0]), known)
    wanted = dict.fromkeys([*columns, *([labels] if labels else [])])
    used = [c for c in wanted if c in source.names]
    if source.count() <= source.small:
        return read(source, used), None
    return surveyed(source, used, [c for c in needed if c in used], group, weights, na_action)


def warn_of_constants(prepared: Prepared) -> None:
    """Say which splines have their knots from a sample of the rows."""
    effects = [part.random.design for part in prepared.parts if part.random is not None]
    weights = [] if prepared.concomitant is None else [prepared.concomitant]
    designs = [*(d for part in prepared.parts for d in part.designs), *effects, *weights]
    bound = [encoder.bound for d in designs for encoder in d.encoders]
    texts = [b.expression.text for b in bound if any(map(_is_sampled, b.functions))]
    if texts and prepared.stream is not None:
        warn(
            "sample",
            f"{', '.join(dict.fromkeys(texts))}: the knots are quantiles of the distinct values in "
            f"a sample of {len(prepared.index)} rows, as the data come in blocks. Write them as "
            "knots= where they matter",
        )


def _is_sampled(function: Any) -> bool:
    return isinstance(function, NaturalSpline) and function.given["df"] is not None


def _warn_of_position(regressions: Sequence[Regression], values: pd.Series, labels: str) -> None:
    """Labels and a list of families meet by position: say so where that may not be meant."""
    ordered = isinstance(values.dtype, pd.CategoricalDtype)
    found = list(values.cat.categories) if ordered else sorted(values.dropna().unique(), key=str)
    for family in (r.family for r in regressions):
        if not isinstance(family, list | tuple) or all(f == family[0] for f in family):
            continue
        if not (ordered and len(found) == len(family)):
            pairs = ", ".join(
                f"{name!r} is {f if isinstance(f, str) else getattr(f, 'name', f)!s}"
                for name, f in zip(found, family, strict=False)
            )
            warn(
                "labels",
                f"labels={labels!r} and a list of families go together by position: {pairs}. If "
                "that is not meant, give family= as a dict from the labels to families",
            )


def _parse(regression: Regression) -> Parsed:
    formula = parse_formula(regression.formula, "formula")
    if formula.response is None:
        raise FormulaError(
            f"the formula {regression.formula!r:.200} has no response; write it on the left, "
            "as in 'y ~ x' (only fixed, nested and concomitant formulas have none)"
        )
    others = [] if regression.fixed is None else [("fixed", regression.fixed)]
    others += [("nested", text) for text, _ in regression.nested or ()]
    parsed = tuple((kind, parse_formula(text, kind)) for kind, text in others)
    if any(kind == "nested" and f.offsets for kind, f in parsed):
        raise FormulaError("an offset stands in the main or the fixed formula, not in a nested one")
    return Parsed(formula, parsed)


def _one_group(group: str | None, formulas: list[ParsedFormula]) -> str | None:
    given = {g for g in (group, *(f.group for f in formulas)) if g is not None}
    # Without a group the clusters of random effects are the units.
    given = given or {f.effects.cluster for f in formulas if f.effects is not None}
    if len(given) > 1:
        msg = f"the groups {sorted(given)} disagree; rows share a component by one column only"
        raise SpecError(msg)
    return next(iter(given), None)


def columns_of(formulas: Sequence[ParsedFormula], *others: str | None) -> list[str]:
    """The names that formulas use, and other columns, once each."""
    names = [n for f in formulas for n in (*f.response_names, *f.names)]
    return list(dict.fromkeys([*names, *(c for c in others if c)]))


def complete(columns: Sequence[str], formulas: Sequence[ParsedFormula]) -> list[str]:
    """The columns that may not be missing: bounds of an interval-censored time may."""
    open_ended = {n for f in formulas for n in f.response_names if n not in complete_columns(f)}
    return [c for c in columns if c not in open_ended]


def concomitant_design(parsed: ParsedFormula, counted: Counted) -> Design:
    """The design of the weights, the same within a unit."""
    if parsed.offsets:
        msg = (
            f"offset(...) has no meaning in the concomitant formula {parsed.text!r:.200}; remove it"
        )
        raise FormulaError(msg)
    units = counted.units
    design = counted.design(parsed)
    if not design.terms:
        msg = f"the concomitant formula {parsed.text!r} has no term; leave it out, or write '~ 1'"
        raise FormulaError(msg)
    if units.grouped:
        constant_in_units(design.matrix, units, "the concomitant variables", parsed.text)
    unit_matrix = design.matrix[units.first] if units.grouped else design.matrix
    check_full_rank(unit_matrix, design.terms, f"the concomitant formula {parsed.text!r:.200}")
    return design
