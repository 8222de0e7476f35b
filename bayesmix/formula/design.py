"""Designs: formulas and data as matrices that new data can be put through again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.memory import check_memory
from bayesmix.errors import FormulaError
from bayesmix.formula.binding import BoundExpression, bind, refuse_unknown
from bayesmix.formula.coding import Block, coding_plan
from bayesmix.formula.constants import Constants, Table
from bayesmix.formula.encoders import (
    Encoder,
    FactorEncoder,
    NumericEncoder,
    assemble,
    block_names,
    design_width,
    encode,
    evaluated,
)
from bayesmix.formula.frames import check_columns, check_finite, row_values
from bayesmix.formula.parser import ParsedFormula
from bayesmix.formula.scope import Scope
from bayesmix.formula.splines import Spline
from bayesmix.formula.transforms import make_transform


@dataclass(frozen=True, eq=False)
class Design:
    """A formula's columns for some rows, with the encodings they came from.

    Parameters
    ----------
    matrix : ndarray of float64, shape (n, p)
    terms : tuple of str, length p
    offset : ndarray of float64, shape (n,), or None
        Sum of the offsets.
    has_intercept : bool
        Whether "Intercept" is a term.
    formula : ParsedFormula
    plan : tuple
        How the encoded terms make up the columns.
    encoders : tuple
        One for every written term.
    offsets : tuple of BoundExpression
    columns : tuple of str
        The data columns that are read.
    notes : tuple of str
        What was left out: categories without rows.
    """

    matrix: np.ndarray
    terms: tuple[str, ...]
    offset: np.ndarray | None
    has_intercept: bool
    formula: ParsedFormula
    plan: tuple[Block, ...]
    encoders: tuple[Encoder, ...]
    offsets: tuple[BoundExpression, ...]
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def apply(self, newdata: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
        """Put new data through the same encodings.

        Parameters
        ----------
        newdata : DataFrame of m rows

        Returns
        -------
        ndarray of float64, shape (m, p)
        ndarray of float64, shape (m,), or None
            The offset.

        Raises
        ------
        DataError
            For missing columns, other types, unseen levels, values outside a spline's range.
        FormulaError
            For terms that have no value for new rows.
        """
        check_columns(newdata, self.columns)
        for bound in (*(e.bound for e in self.encoders), *self.offsets):
            if bound.mixes:
                raise FormulaError(
                    f"{bound.expression.text!r:.200} depends on all rows of the data at once, so "
                    "it has no value for new data. Use center, scale, poly, bs or cr, which "
                    "remember the training data, or make it a column."
                )
        values = [encoder.read(newdata) for encoder in self.encoders]
        matrix = assemble(self.plan, self.encoders, values, len(newdata))
        return matrix, _offset([(bound, bound(newdata)) for bound in self.offsets], newdata)

    def splines(self) -> dict[str, tuple[Spline, list[str]]]:
        """Terms that are splines by their text, with the names of their columns."""
        out = {}
        for block, names in zip(self.plan, block_names(self.plan, self.encoders), strict=True):
            encoder = self.encoders[block[0][0]] if len(block) == 1 else None
            spline = encoder.spline if isinstance(encoder, NumericEncoder) else None
            if encoder is not None and spline is not None:
                out[encoder.bound.expression.text] = (spline, names)
        return out

    def take(self, rows: Any) -> Design:
        """Keep some rows, by position, slice or mask."""
        offset = None if self.offset is None else self.offset[rows]
        return replace(self, matrix=self.matrix[rows], offset=offset)


def build_design(
    formula: ParsedFormula,
    data: pd.DataFrame,
    scope: Scope,
    *,
    implicit_intercept: bool,
    reference_coding: bool,
    weight: np.ndarray | None = None,
    constants: Constants | None = None,
    table: Table | None = None,
) -> Design:
    """Evaluate the right-hand side of a formula.

    Parameters
    ----------
    formula : ParsedFormula
    data : DataFrame of n rows
        Complete in the columns used (`select_rows`).
    scope : Scope
        The user's functions and variables; columns go first.
    implicit_intercept : bool
        Whether there is an intercept unless it is removed, rather than only where written.
    reference_coding : bool
        Whether factors are coded as beside an intercept even where there is none here.
    weight : ndarray, shape (n,), optional
        Case weights: constants such as means and knots are those of as many copies.
    constants : Constants, optional
        Where these come from, if not from the data.
    table : callable, optional
        What makes of a block of all rows what `data` are of the sample.

    Returns
    -------
    Design

    Raises
    ------
    DataError, FormulaError
    """
    right = formula.right
    refuse_unknown((*right.atoms, *right.offsets), data, scope)
    constants = Constants() if constants is None else constants
    made = partial(make_transform, weight=weight, waits=constants.waits)
    bound = [bind(written, data, scope, made) for written in (*right.atoms, *right.offsets)]
    constants.settle(bound, data, table)
    encoded = [encode(atom, data) for atom in bound[: len(right.atoms)]]
    encoders = tuple(encoder for encoder, _ in encoded)
    intercept = implicit_intercept if formula.intercept is None else formula.intercept
    plan = coding_plan(
        right.terms,
        tuple(encoder.kind for encoder in encoders),
        spans_constant=intercept or reference_coding,
    )
    plan = tuple(block for block in plan if block or intercept)
    columns = design_width(plan, encoders)
    check_memory(
        16.0 * len(data) * columns,
        f"the design of {formula.text!r:.200} with {columns} columns and {len(data)} rows",
        "name fewer products of factors with many levels",
    )
    terms = tuple(name for names in block_names(plan, encoders) for name in names)
    twice = sorted({name for name in terms if terms.count(name) > 1})
    if twice:
        raise FormulaError(
            f"The formula {formula.text!r:.200} gives two columns the name {twice[0]!r}. Rename "
            "the column or the levels."
        )
    notes = [
        f"{e.bound.expression.text}: no rows in the categories {', '.join(map(repr, e.unused))}"
        for e in encoders
        if isinstance(e, FactorEncoder) and e.unused
    ]
    shifts = [evaluated(offset, data) for offset in bound[len(right.atoms) :]]
    offsets = tuple(bound for bound, _ in shifts)
    read = (*(e.bound for e in encoders), *offsets)
    return Design(
        matrix=assemble(plan, encoders, [values for _, values in encoded], len(data)),
        terms=terms,
        offset=_offset(shifts, data),
        has_intercept=intercept,
        formula=formula,
        plan=plan,
        encoders=encoders,
        offsets=offsets,
        columns=tuple(dict.fromkeys(name for b in read for name in b.columns)),
        notes=tuple(notes),
    )


def _offset(
    offsets: Iterable[tuple[BoundExpression, Any]], data: pd.DataFrame
) -> np.ndarray | None:
    total: np.ndarray | None = None
    for bound, value in offsets:
        label = f"The offset {bound.expression.text!r:.200}"
        values = row_values(value, data, label)
        check_finite(values, data, label)
        total = values if total is None else total + values
    return total
