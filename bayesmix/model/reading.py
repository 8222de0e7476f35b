"""One response with its designs, read from the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError, FormulaError, SpecError
from bayesmix.formula.constants import Constants, Table
from bayesmix.formula.design import Design, build_design
from bayesmix.formula.frames import Units, build_units, first_rows, missing_values
from bayesmix.formula.parser import ParsedFormula
from bayesmix.formula.response import (
    Response,
    complete_columns,
    observed_rows,
    read_observed,
    read_response,
)
from bayesmix.formula.scope import Scope
from bayesmix.model.blocks import reads
from bayesmix.model.identifiability import check_full_rank
from bayesmix.model.parts import Part, RandomEffects, Reading, Regression
from bayesmix.model.units import once_by_unit, unit_values

# A time that is the same in all rows of more than this share of the groups belongs to these.
REPEATED = 0.9


class Parsed(NamedTuple):
    """The formula of one response, and those of its fixed and nested effects with their kinds."""

    formula: ParsedFormula
    others: tuple[tuple[str, ParsedFormula], ...]

    @property
    def every(self) -> tuple[ParsedFormula, ...]:
        """All formulas, that of the response first."""
        return (self.formula, *(f for _, f in self.others))


@dataclass(frozen=True)
class Counted:
    """Rows with their case weights (n,), the names and constants that formulas use on them.

    With `fiml` a response may be missing.  Of rows that come in blocks the data are a sample, and
    `table` makes of a block what they are.
    """

    data: pd.DataFrame
    units: Units
    weight: np.ndarray | None
    scope: Scope
    fiml: bool = False
    constants: Constants = field(default_factory=Constants)
    table: Table | None = None

    def take(self, rows: np.ndarray) -> Counted:
        """Some of the rows, by a mask; their units stay those of all."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, data=self.data[rows], weight=weight)

    def design(
        self, formula: ParsedFormula, *, implicit: bool = True, reference: bool = False
    ) -> Design:
        """The columns of a formula; see `build_design`."""
        return build_design(
            formula,
            self.data,
            self.scope,
            implicit_intercept=implicit,
            reference_coding=reference,
            weight=self.weight,
            constants=self.constants,
            table=self.table,
        )


def _described_table(
    names: Sequence[str], before: Table | None, frame: pd.DataFrame
) -> pd.DataFrame:
    """The rows of a block whose covariates are known."""
    frame = frame if before is None else before(frame)
    return frame[frame[[n for n in names if n in frame.columns]].notna().all(axis=1)]


def _of_units(
    formula: ParsedFormula, names: Sequence[str], group: str | None, fiml: bool, data: pd.DataFrame
) -> pd.DataFrame:
    """The rows with their unit's values of what a response that each has once is made of.

    Raises
    ------
    SpecError, DataError
        Without groups, or where values disagree.
    """
    text, units = str(formula.response), build_units(data, group)
    if not units.grouped:
        raise SpecError(
            f"per='unit' of {text!r:.200}: rows are not grouped; it is for a response that each "
            "group has once (group=)"
        )
    here = [c for c in dict.fromkeys((*formula.response_names, *names)) if c in data.columns]
    whole = set(complete_columns(formula)) | set(names)
    others = [c for c in here if c not in whole]
    needed = [c for c in here if c in whole]
    known = observed_rows(formula, data) if fiml else None
    return unit_values(data, units, needed, others, text, known)


def observe(
    regression: Regression,
    formula: ParsedFormula,
    names: Sequence[str],
    counted: Counted,
    like: Response | None = None,
) -> tuple[Counted, Response]:
    """The rows as the covariates of a response see them, and the response.

    If it may be missing, it may be so everywhere if it is `like` one that was read before.
    """
    per_unit, units = regression.per == "unit", counted.units
    if per_unit:
        table = partial(_of_units, formula, names, units.name, counted.fiml)
        counted = replace(counted, data=table(counted.data), table=table)
    reader = partial(read_observed, like=like) if counted.fiml else read_response
    levels = reads(regression.family, "levels")
    response = reader(formula, counted.data, counted.scope, levels=levels)
    return counted, once_by_unit(response, units) if per_unit else response


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
        raise DataError(
            "na_action='fiml' is for missing responses, but covariates of "
            f"{formula.response!r:.200} "
            f"are missing where it is observed: {found}. Impute them several times and combine "
            "the fits by bmx.pool([...]), or leave these rows out with na_action='drop'"
        )
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
        raise DataError(
            f"{response.name!r:.200} is the same in all rows of {int(repeated.sum())} of the "
            f"{int(several.sum())} groups with several rows, and each row would count as a time of "
            "its own. If it is one time for each group, write bmx.Regression("
            f'"{response.name} ~ ...", family=..., per="unit")'
        )


def read_part(regression: Regression, parsed: Parsed, counted: Counted) -> Part:
    """A response with the designs of its formulas, the varying one last."""
    formula, names = parsed.formula, [n for part in parsed.every for n in part.names]
    whole, response = observe(regression, formula, names, counted)
    if regression.per != "unit":
        _refuse_repeated(response, counted.units)
    counted, described = whole, None
    if counted.fiml:
        described = described_rows(formula, names, counted.data, response.there)
        counted = replace(counted, table=partial(_described_table, names, counted.table))
    if described is not None:
        counted = counted.take(described)
    varying = counted.design(formula)
    reference = varying.has_intercept
    designs = []
    for kind, part in parsed.others:
        designs.append(counted.design(part, implicit=False, reference=reference))
        reference = reference or (kind == "fixed" and designs[-1].has_intercept)
    designs.append(varying)
    kinds = (*(kind for kind, _ in parsed.others), "varying")
    if described is not None:
        designs = [design.take(in_all_rows(described)) for design in designs]
    effects = _random(regression, formula, counted)
    random = None if effects is None else _clustered(*effects, whole, described)
    reading = Reading(formula, response, tuple(designs), kinds)
    return Part(regression, (reading,), described, random)


def in_all_rows(described: np.ndarray) -> np.ndarray:
    """Of each row (n,) its place among those described; of the others that of some other one."""
    return np.maximum(np.cumsum(described) - 1, 0)


def _random(
    regression: Regression, formula: ParsedFormula, counted: Counted
) -> tuple[Design, str] | None:
    """The design of a formula's random effects, and the column of their clusters."""
    given = formula.effects
    if given is None:
        if regression.random_covariance != "varying":
            raise SpecError(
                f"random_covariance={regression.random_covariance!r}, but {formula.text!r:.200} "
                "has no random effects (1 | id); leave it out"
            )
        return None
    if regression.per == "unit":
        msg = f"{formula.text!r} belongs to the unit (per='unit'): random effects are of its rows"
        raise SpecError(msg)
    design = counted.design(given.formula)
    if not design.terms:
        msg = (
            f"the random effects of {formula.text!r:.200} have no term; write (1 | {given.cluster})"
        )
        raise FormulaError(msg)
    check_full_rank(design.matrix, design.terms, f"the random effects of {formula.text!r:.200}")
    return design, given.cluster


def _clustered(
    design: Design, column: str, whole: Counted, described: np.ndarray | None
) -> RandomEffects:
    """Random effects with the clusters of all rows, which are units or stand inside them."""
    codes, index = clusters(whole.data, column, whole.units)
    if len(design.matrix) <= len(index) * len(design.terms):
        raise DataError(
            f"the random effects (... | {column}) are {len(index) * len(design.terms)} values, "
            f"{len(design.terms)} for each {column}, and there are {len(design.matrix)} rows: they "
            "cannot be separated from the residuals. Use fewer terms, or more rows of each"
        )
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
        raise DataError(
            f"random effects (... | {column}) need {column!r} to be the group or to stand inside "
            f"it, but rows of {column} = {plain(bad)!r} belong to several values of "
            f"{units.name!r}; give group={column!r}, or names that belong to one group each"
        )
    return found.codes, found.index
