"""What a mixture is made of before its number of components is known.

Formulas are read and evaluated on the data; units, case weights, labels and
concomitants are checked.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import column_name, door, plain
from bayesmix.errors import DataError, FormulaError, SpecError, warn
from bayesmix.families import Family
from bayesmix.formula.binding import STATEFUL
from bayesmix.formula.design import (
    Design,
    Units,
    build_design,
    build_units,
    check_columns,
    select_rows,
)
from bayesmix.formula.flags import flag_spelling
from bayesmix.formula.frames import check_data, check_na_action, first_rows, missing_values
from bayesmix.formula.response import (
    Response,
    complete_columns,
    is_surv,
    observed_rows,
    read_observed,
    read_response,
)
from bayesmix.formula.sources import Stream, opened, read, surveyed
from bayesmix.formula.times import Times
from bayesmix.formula.transforms import ParsedFormula, Scope, parse_formula
from bayesmix.model.blocks import FamilyBlocks, family_blocks, reads
from bayesmix.model.identifiability import check_full_rank
from bayesmix.model.units import (
    case_weights,
    constant_in_units,
    known_labels,
    once_by_unit,
    unit_values,
)

__all__ = [
    "EventPart",
    "Events",
    "Part",
    "Prepared",
    "RandomEffects",
    "Regression",
    "clusters",
    "complete",
    "concomitant_design",
    "described_rows",
    "in_all_rows",
    "nested_pairs",
    "prepare",
    "unit_response",
]

# A time that is the same in all rows of more than this share of the groups belongs to these.
REPEATED = 0.9
COVARIANCES = ("varying", "fixed", "proportional")
Parsed = tuple[ParsedFormula, ParsedFormula | None, tuple[ParsedFormula, ...]]


@door
@dataclass(frozen=True)
class Regression:
    """The regression of one response; several share the components of a `Mixture`.

    Parameters
    ----------
    formula : str
        Response and varying effects.
    family : str, Family, list or dict of these
        One for all components, or one for each.  A dict has the number of components of
        each family, with "k" for all that are left: ``{"zero": 1, "poisson": "k"}``.  A dict of
        families names the components.
    fixed : str, optional
        Effects with one coefficient for all components.
    nested : list of (str, int), optional
        Formula and number of components of each block.
    dispersion : str or list of int
        "varying", "fixed", or the sizes of the blocks that share one.
    per : {"row", "unit"}
        "unit": a time ``surv(...)`` that belongs to the group, once, beside repeated
        measurements.  In the rows of a group it is the same, or missing in all but one.
    random_covariance : str
        Of random effects ``(1 + x | id)``: "varying", "fixed" (one for all components) or
        "proportional" (one, times a scale of each component's own).

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.Regression("y ~ x", family="poisson").family
    'poisson'
    """

    formula: str
    family: (
        str
        | Family
        | Sequence[str | Family]
        | Mapping[str | Family, int | str]
        | Mapping[Hashable, str | Family]
        | FamilyBlocks
    ) = "gaussian"
    fixed: str | None = None
    nested: Sequence[tuple[str, int]] | None = None
    dispersion: str | Sequence[int] = "varying"
    per: str = "row"
    random_covariance: str = "varying"

    def __post_init__(self) -> None:
        """Read a dict of families."""
        if self.random_covariance not in COVARIANCES:
            msg = f"random_covariance={self.random_covariance!r} is unknown; use {COVARIANCES}"
            raise SpecError(msg)
        object.__setattr__(self, "family", family_blocks(self.family))


@dataclass(frozen=True)
class Part:
    """One response with its evaluated designs, before the number of components is known."""

    regression: Regression
    formula: ParsedFormula
    response: Response
    designs: tuple[Design, ...]
    kinds: tuple[str, ...]  # "fixed", "nested", "varying", beside `designs`
    described: np.ndarray | None = None  # rows (n,) whose covariates are known; None for all
    random: RandomEffects | None = None


@dataclass(frozen=True)
class RandomEffects:
    """Random effects of one response: their design, and the cluster of each row (n,)."""

    design: Design
    column: str
    codes: np.ndarray
    index: pd.Index


@dataclass(frozen=True)
class EventPart:
    """How the time to one competing event was observed, and what describes it.

    Parameters
    ----------
    formula : ParsedFormula
    response : Response
        Nothing is known where the row had another event.
    design : Design
        Of the location.
    ancillary : dict of str to Design
        Of other parameters, by name.
    """

    formula: ParsedFormula
    response: Response
    design: Design
    ancillary: Mapping[str, Design]

    @property
    def designs(self) -> tuple[Design, ...]:
        """All designs of the event, the location's first."""
        return (self.design, *self.ancillary.values())


@dataclass(frozen=True)
class Events:
    """Competing events: the components, and which of them each row may belong to.

    Parameters
    ----------
    column : str
    names : tuple
        Of the components, in order.
    families : tuple
        As given, one for each event.
    parts : tuple of EventPart
    partial : dict
        Codes of partly known events with the events each may be.
    allowed : ndarray of bool, shape (n, S)
    truncation : str
        "mixture" or "component".
    """

    column: str
    names: tuple[Hashable, ...]
    families: tuple[Any, ...]
    parts: tuple[EventPart, ...]
    partial: Mapping[Hashable, tuple[Hashable, ...]]
    allowed: np.ndarray
    truncation: str


@dataclass(frozen=True)
class Prepared:
    """Everything that does not depend on the number of components."""

    parts: tuple[Part, ...]
    units: Units
    concomitant: Design | None
    weight: np.ndarray | None
    labels: pd.Categorical | None
    scope: Scope
    group: str | None
    weights_column: str | None
    labels_column: str | None
    columns: tuple[str, ...]
    n_dropped: int
    table: pd.DataFrame  # the rows in use; other columns too, unless that would copy them
    events: Events | None = None
    fiml: bool = False  # whether responses may be missing
    stream: Stream | None = None  # all rows, where the table has a sample of them

    @property
    def index(self) -> pd.Index:
        """The labels of the rows in use."""
        return self.table.index

    @property
    def na_action(self) -> str:
        """How missing values were treated: "fiml", "drop" where that left out rows, or "error"."""
        return "fiml" if self.fiml else "drop" if self.n_dropped else "error"

    @property
    def readings(self) -> tuple[Part | EventPart, ...]:
        """How what was observed is read: once for each response, or for each event."""
        return self.parts if self.events is None else self.events.parts

    @cached_property
    def times(self) -> dict[str, Times]:
        """What is known of every row's time, by response as written.

        Events with one response have one time: a row whose event is known says it there.
        """
        out: dict[str, Times] = {}
        for reading in self.readings:
            now, name = reading.response.times, reading.response.name
            if now is not None and (before := out.get(name)) is not None:
                now = Times(
                    np.maximum(before.lower, now.lower),
                    np.minimum(before.upper, now.upper),
                    np.maximum(before.entry, now.entry),
                )
            out |= {} if now is None else {name: now}
        return out

    @property
    def n_missing(self) -> dict[str, int]:
        """Rows in use in which each response is missing; units, where each has it once."""
        per_unit = {p.response.name for p in self.parts if p.regression.per == "unit"}
        out = {}
        for r in (reading.response for reading in self.readings):
            rows = self.units.first if r.name in per_unit else slice(None)
            out[r.name] = 0 if r.there is None else int((~r.there[rows]).sum())
            for part, y in zip(r.parts, r.y.T, strict=False):  # each of several columns
                out[part] = int(np.isnan(y[rows]).sum())
            if r.parts:
                del out[r.name]
        return out

    @property
    def data(self) -> pd.DataFrame:
        """The rows and columns in use, for plots."""
        return self.table[list(self.columns)]


def prepare(
    regressions: Sequence[Regression],
    data: pd.DataFrame,
    *,
    concomitant: str | None,
    group: str | None,
    weights: str | None,
    labels: str | None,
    na_action: str,
    scope: Scope,
) -> Prepared:
    """Read the formulas and evaluate them on the data.

    Raises
    ------
    FormulaError, DataError, SpecError
        With what was given, what is allowed and what to do.
    """
    check_na_action(na_action)
    if not regressions:
        msg = "a mixture needs at least one Regression; the list given is empty"
        raise SpecError(msg)
    parsed = [_parse(r) for r in regressions]
    group = _one_group(column_name("group", group), [p[0] for p in parsed])
    given = (column_name("labels", labels), column_name("weights", weights), group)
    weight_design = None if concomitant is None else parse_formula(concomitant, "concomitant")
    _refuse_own_response(parsed, weight_design)
    scope = scope.restrict(_scope_names(parsed, weight_design))
    columns = _columns(parsed, weight_design, group, weights)
    fiml = na_action == "fiml"
    by_row = [p for r, p in zip(regressions, parsed, strict=True) if r.per == "row" and not fiml]
    whole = _columns(by_row, weight_design, group, weights)
    needed = [c for c in columns if c in whole]
    needed = needed if fiml else complete(needed, [p[0] for p in parsed])
    data, stream = _rows_of(data, columns, needed, (labels, weights, group), na_action)
    check_data(data)
    data = data.copy(deep=False)  # the user's may change
    data.attrs = {}  # else copied with every column that is looked at
    check_columns(data, [c for c in given if c is not None])
    columns = tuple(c for c in columns if c in data.columns)
    needed = [c for c in needed if c in columns]
    kept, dropped = select_rows(data, needed, na_action)
    flag_spelling(kept, (group, labels))
    units = build_units(kept, group)
    parts = tuple(
        _part(r, p, kept, scope, units, fiml=fiml) for r, p in zip(regressions, parsed, strict=True)
    )
    if labels is not None:
        _warn_of_position(regressions, data[labels], labels)
    if stream is not None:
        _warn_of_constants([d for p in parts for d in p.designs], len(kept))
    names = [p.response.name for p in parts]
    if len(set(names)) < len(names):
        msg = f"two regressions have the same response {names}; each needs its own"
        raise SpecError(msg)
    return Prepared(
        parts,
        units,
        None if weight_design is None else concomitant_design(weight_design, kept, units, scope),
        None if weights is None else case_weights(kept, weights, units),
        None if labels is None else known_labels(kept, labels, units),
        scope,
        group,
        weights,
        labels,
        columns,
        dropped if stream is None else stream.totals.n_dropped,
        kept[list(columns)] if dropped else kept,
        fiml=fiml,
        stream=stream,
    )


def _rows_of(
    data: Any,
    columns: Sequence[str],
    needed: Sequence[str],
    given: tuple[str | None, str | None, str | None],
    na_action: str,
) -> tuple[Any, Stream | None]:
    """The data as a frame: all rows, or a sample of them with the stream of all."""
    source = opened(data)
    if not hasattr(source, "chosen"):
        return source, None
    labels, weights, group = given
    check_columns(pd.DataFrame(columns=list(source.names), index=[0]), [c for c in given if c])
    wanted = dict.fromkeys([*columns, *([labels] if labels else [])])
    used = [c for c in wanted if c in source.names]
    if source.count() <= source.small:
        return read(source, used), None
    if na_action == "fiml":
        msg = (
            "na_action='fiml' needs the rows in memory, and these come in blocks; use 'drop', or "
            "read the columns in use into a DataFrame"
        )
        raise SpecError(msg)
    return surveyed(source, used, [c for c in needed if c in used], group, weights, na_action)


def _warn_of_constants(designs: Sequence[Design], n: int) -> None:
    """Say which terms take constants from a sample of the rows."""
    expressions = [encoder.bound.expression for d in designs for encoder in d.encoders]
    texts = [e.text for e in expressions if STATEFUL & set(e.functions)]
    if texts:
        warn(
            "sample",
            f"{', '.join(dict.fromkeys(texts))}: the constants come from the {n} rows of a sample, "
            "as the data come in blocks. Write them into the formula where they matter",
        )


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
        msg = (
            f"the formula {regression.formula!r} has no response; write it on the left, "
            "as in 'y ~ x' (only fixed, nested and concomitant formulas have none)"
        )
        raise FormulaError(msg)
    fixed = None if regression.fixed is None else parse_formula(regression.fixed, "fixed")
    nested = tuple(parse_formula(f, "nested") for f, _ in nested_pairs(regression.nested))
    if any(f.offsets for f in nested):
        msg = "an offset stands in the main or the fixed formula, not in a nested one"
        raise FormulaError(msg)
    return formula, fixed, nested


def _refuse_own_response(parsed: list[Parsed], concomitant: ParsedFormula | None) -> None:
    """A response does not explain itself, in the other formulas either."""
    for formula, fixed, nested in parsed:
        for other in (fixed, *nested, concomitant):
            if other is not None:
                right = other.text.split("~")[-1].strip()
                parse_formula(f"{formula.response} ~ {right}", "formula")


def nested_pairs(nested: Any) -> list[tuple[str, int]]:
    """Formulas and sizes of the nested blocks, checked."""
    if nested is None:
        return []
    wrong = not isinstance(nested, (list, tuple)) or any(
        not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in nested
    )
    if wrong:
        msg = (
            f"nested={nested!r} must be a list of (formula, number of components) pairs, such as "
            "[('~ x', 1), ('~ 0', 2)]"
        )
        raise SpecError(msg)
    for text, size in nested:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            msg = f"the nested block {text!r} has size {size!r}; a size is an integer of at least 1"
            raise SpecError(msg)
    return [(text, int(size)) for text, size in nested]


def _one_group(group: str | None, formulas: list[ParsedFormula]) -> str | None:
    given = {g for g in (group, *(f.group for f in formulas)) if g is not None}
    # Without a group the clusters of random effects are the units.
    given = given or {f.effects.cluster for f in formulas if f.effects is not None}
    if len(given) > 1:
        msg = f"the groups {sorted(given)} disagree; rows share a component by one column only"
        raise SpecError(msg)
    return next(iter(given), None)


def _scope_names(parsed: list[Parsed], concomitant: ParsedFormula | None) -> list[str]:
    """Names that formulas may look for in the user's scope; the rest of it is let go."""
    every = [f for formula, fixed, nested in parsed for f in (formula, fixed, *nested)]
    every.append(concomitant)
    return [n for f in every if f is not None for n in (*f.names, *f.response_names, *f.functions)]


def _columns(
    parsed: list[Parsed], concomitant: ParsedFormula | None, group: str | None, weights: str | None
) -> tuple[str, ...]:
    names: list[str] = []
    for formula, fixed, nested in parsed:
        names += formula.response_names
        for part in (formula, fixed, *nested):
            names += part.names if part is not None else ()
    names += concomitant.names if concomitant is not None else ()
    names += [c for c in (group, weights) if c]
    return tuple(dict.fromkeys(names))


def complete(columns: Sequence[str], formulas: Sequence[ParsedFormula]) -> list[str]:
    """The columns that may not be missing: bounds of an interval-censored time may."""
    open_ended = {n for f in formulas for n in f.response_names if n not in complete_columns(f)}
    return [c for c in columns if c not in open_ended]


def unit_response(
    formula: ParsedFormula,
    names: Sequence[str],
    data: pd.DataFrame,
    units: Units,
    scope: Scope,
    *,
    fiml: bool = False,
) -> tuple[pd.DataFrame, Response]:
    """The rows with their unit's values of some columns, and the response that each has once.

    Raises
    ------
    SpecError, DataError
        Without groups, for another response than a time, or where values disagree.
    """
    text = str(formula.response)
    if not units.grouped or not is_surv(text):
        why = "rows are not grouped" if not units.grouped else "the response is not a surv(...)"
        msg = f"per='unit' of {text!r}: {why}; it is for a time of each group (group=)"
        raise SpecError(msg)
    here = [c for c in dict.fromkeys((*formula.response_names, *names)) if c in data.columns]
    whole = set(complete_columns(formula)) | set(names)
    others = [c for c in here if c not in whole]
    needed = [c for c in here if c in whole]
    known = observed_rows(formula, data) if fiml else None
    table = unit_values(data, units, needed, others, text, known)
    read = read_observed if fiml else read_response
    return table, once_by_unit(read(formula, table, scope), units)


def described_rows(
    formula: ParsedFormula, names: Sequence[str], data: pd.DataFrame, there: np.ndarray | None
) -> np.ndarray | None:
    """Where the covariates of a response are known, (n,); None where they always are.

    Raises
    ------
    DataError
        If one is missing in a row that has the response.
    """
    missing = missing_values(data, [n for n in names if n in data.columns])
    if not missing:
        return None
    there = np.ones(len(data), bool) if there is None else there
    bad = {name: where & there for name, where in missing.items() if (where & there).any()}
    if bad:
        found = "; ".join(f"{name!r}: {first_rows(data, where)}" for name, where in bad.items())
        msg = (
            f"na_action='fiml' is for missing responses, but covariates of {formula.response!r} "
            f"are missing where it is observed: {found}. Impute them several times and combine "
            "the fits by bmx.pool([...]), or leave these rows out with na_action='drop'"
        )
        raise DataError(msg)
    return ~np.logical_or.reduce(list(missing.values()))


def _refuse_repeated(response: Response, units: Units) -> None:
    """Refuse a time that stands in all rows of its group: it would count once for each."""
    times = response.times
    if times is None or not units.grouped:
        return
    bounds = np.column_stack([times.lower, times.upper, times.entry])
    differs = (bounds != bounds[units.first][units.codes]).any(1)
    several = np.bincount(units.codes) > 1
    repeated = several & (np.bincount(units.codes, differs) == 0)
    if several.any() and repeated[several].mean() > REPEATED:
        msg = (
            f"{response.name!r} is the same in all rows of {int(repeated.sum())} of the "
            f"{int(several.sum())} groups with several rows, and each row would count as a time of "
            "its own. If it is one time for each group, write bmx.Regression("
            f'"{response.name} ~ ...", family=..., per="unit")'
        )
        raise DataError(msg)


def _part(
    regression: Regression,
    parsed: Parsed,
    data: pd.DataFrame,
    scope: Scope,
    units: Units,
    *,
    fiml: bool,
) -> Part:
    formula, fixed, nested = parsed
    assert formula.response is not None
    names = [n for part in (formula, fixed, *nested) if part is not None for n in part.names]
    if regression.per == "unit":
        data, response = unit_response(formula, names, data, units, scope, fiml=fiml)
    else:
        reader = read_observed if fiml else read_response
        levels = reads(regression.family, "levels")
        response = reader(formula, data, scope, levels=levels)
        _refuse_repeated(response, units)
    described = described_rows(formula, names, data, response.there) if fiml else None
    everyone = data
    if described is not None:
        data = data[described]
    varying = build_design(formula, data, scope, implicit_intercept=True, reference_coding=False)
    designs: list[Design] = []
    kinds: list[str] = []
    reference = varying.has_intercept
    if fixed is not None:
        design = build_design(
            fixed, data, scope, implicit_intercept=False, reference_coding=reference
        )
        reference = reference or design.has_intercept
        designs.append(design)
        kinds.append("fixed")
    for part in nested:
        designs.append(
            build_design(part, data, scope, implicit_intercept=False, reference_coding=reference)
        )
        kinds.append("nested")
    designs.append(varying)
    if described is not None:
        designs = [design.take(in_all_rows(described)) for design in designs]
    effects = _random(regression, formula, data, scope)
    random = None if effects is None else _clustered(*effects, everyone, units, described)
    given = (regression, formula, response, tuple(designs), (*kinds, "varying"), described)
    return Part(*given, random)


def in_all_rows(described: np.ndarray) -> np.ndarray:
    """Of each row (n,) its place among those described; of the others that of some other one."""
    return np.maximum(np.cumsum(described) - 1, 0)


def _random(
    regression: Regression,
    formula: ParsedFormula,
    data: pd.DataFrame,
    scope: Scope,
) -> tuple[Design, str] | None:
    """The design of a formula's random effects, and the column of their clusters."""
    given = formula.effects
    if given is None:
        if regression.random_covariance != "varying":
            msg = (
                f"random_covariance={regression.random_covariance!r}, but {formula.text!r} has no "
                "random effects (1 | id); leave it out"
            )
            raise SpecError(msg)
        return None
    if regression.per == "unit":
        msg = f"{formula.text!r} belongs to the unit (per='unit'): random effects are of its rows"
        raise SpecError(msg)
    design = build_design(
        given.formula, data, scope, implicit_intercept=True, reference_coding=False
    )
    if not design.terms:
        msg = f"the random effects of {formula.text!r} have no term; write (1 | {given.cluster})"
        raise FormulaError(msg)
    check_full_rank(design.matrix, design.terms, f"the random effects of {formula.text!r}")
    return design, given.cluster


def _clustered(
    design: Design,
    column: str,
    data: pd.DataFrame,
    units: Units,
    described: np.ndarray | None,
) -> RandomEffects:
    """Random effects with the clusters of all rows, which are units or stand inside them."""
    codes, index = clusters(data, column, units)
    if len(design.matrix) <= len(index) * len(design.terms):
        msg = (
            f"the random effects (... | {column}) are {len(index) * len(design.terms)} values, "
            f"{len(design.terms)} for each {column}, and there are {len(design.matrix)} rows: they "
            "cannot be told from the residuals. Use fewer terms, or more rows of each"
        )
        raise DataError(msg)
    design = design if described is None else design.take(in_all_rows(described))
    return RandomEffects(design, column, codes, index)


def clusters(data: pd.DataFrame, column: str, units: Units) -> tuple[np.ndarray, pd.Index]:
    """The cluster of each row (n,) and their names, each inside one unit.

    Raises
    ------
    DataError
        If the rows of a cluster belong to several groups.
    """
    found = build_units(data, column)
    if (units.codes != units.codes[found.first][found.codes]).any():
        rows = units.codes != units.codes[found.first][found.codes]
        bad = found.index[found.codes[np.flatnonzero(rows)[0]]]
        msg = (
            f"random effects (... | {column}) need {column!r} to be the group or to stand inside "
            f"it, but rows of {column} = {plain(bad)!r} belong to several values of "
            f"{units.name!r}; give group={column!r}, or names that belong to one group each"
        )
        raise DataError(msg)
    return found.codes, found.index


def concomitant_design(
    parsed: ParsedFormula, data: pd.DataFrame, units: Units, scope: Scope
) -> Design:
    """The design of the weights, the same within a unit."""
    if parsed.offsets:
        msg = f"offset(...) has no meaning in the concomitant formula {parsed.text!r}; remove it"
        raise FormulaError(msg)
    design = build_design(parsed, data, scope, implicit_intercept=True, reference_coding=False)
    if not design.terms:
        msg = f"the concomitant formula {parsed.text!r} has no term; leave it out, or write '~ 1'"
        raise FormulaError(msg)
    if units.grouped:
        constant_in_units(design.matrix, units, "the concomitant variables", parsed.text)
    unit_matrix = design.matrix[units.first] if units.grouped else design.matrix
    check_full_rank(unit_matrix, design.terms, f"the concomitant formula {parsed.text!r}")
    return design
