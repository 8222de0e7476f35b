"""Rows as the likelihood reads them, and new data through the encodings of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmix._rows import check_data
from bayesmix.design import Design, Units, build_units, select_rows
from bayesmix.errors import DataError
from bayesmix.families import Observed
from bayesmix.inputs import Part, Prepared
from bayesmix.layout import Layout
from bayesmix.response import Response, read_response
from bayesmix.unitdata import constant_in_units

__all__ = ["BlockRows", "Rows", "apply"]


@dataclass(frozen=True)
class BlockRows:
    """The rows of one response: what changes with the data, not with the model.

    Parameters
    ----------
    matrix : ndarray, shape (n, P)
    offset : ndarray, shape (n,), or None
    response : Response, or None
        None where only predictions are asked for.
    observed : dict of str to Observed
        The response as each family reads it, by the family's name.
    """

    matrix: np.ndarray
    offset: np.ndarray | None
    response: Response | None
    observed: Mapping[str, Observed]


@dataclass(frozen=True)
class Rows:
    """Data as the likelihood reads them.

    Parameters
    ----------
    blocks : tuple of BlockRows
    units : Units
    concomitant : ndarray, shape (U, Q), or None
    weight : ndarray, shape (U,), or None
        Case weights of the units.
    allowed : ndarray of bool, shape (U, S), or None
        The components a unit may belong to.
    """

    blocks: tuple[BlockRows, ...]
    units: Units
    concomitant: np.ndarray | None
    weight: np.ndarray | None = None
    allowed: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.units.codes)

    @property
    def n_units(self) -> int:
        """Number of units, U."""
        return len(self.units.first)


def apply(
    prepared: Prepared,
    layout: Layout,
    newdata: pd.DataFrame,
    *,
    response: bool,
    weights: bool = True,
) -> Rows:
    """Put new data through the encodings of the training data.

    Parameters
    ----------
    prepared : Prepared
    layout : Layout
    newdata : DataFrame
    response : bool
        Whether the response is needed too.
    weights : bool
        Whether the weights are needed; without them the concomitant columns are not.

    Raises
    ------
    DataError
        If a column or group is missing, a level is new, or a value cannot be used.
    """
    check_data(newdata)
    weighted = prepared.concomitant if weights and layout.concomitant_terms is not None else None
    grouped = prepared.group is not None and (response or prepared.group in newdata.columns)
    needed = _needed(prepared, weighted, response=response)
    needed += [str(prepared.group)] if grouped else []
    _complete(newdata, needed)
    units = build_units(newdata, prepared.group if grouped else None)
    blocks = []
    for part, block in zip(prepared.parts, layout.blocks, strict=True):
        matrix, offset = _apply_designs(part, block.predictors[0].terms, newdata)
        read = read_response(part.formula, newdata, prepared.scope) if response else None
        observed = {} if read is None else {f.name: f.observe(read) for f in block.families}
        blocks.append(BlockRows(matrix, offset, read, observed))
    concomitant = None
    if weighted is not None:
        design, _ = weighted.apply(newdata)
        if units.grouped:
            constant_in_units(design, units, "the concomitant variables", "in the new data")
        concomitant = design[units.first]
    return Rows(tuple(blocks), units, concomitant)


def _needed(prepared: Prepared, concomitant: Design | None, *, response: bool) -> list[str]:
    """Columns that new data must have; other names in formulas are the user's own variables."""
    names: list[str] = []
    for part in prepared.parts:
        names += [n for d in part.designs for n in d.formula.names]
        names += part.formula.response_names if response else ()
    names += concomitant.formula.names if concomitant is not None else ()
    return [n for n in dict.fromkeys(names) if n != prepared.group and n in prepared.columns]


def _complete(newdata: pd.DataFrame, columns: list[str]) -> None:
    _, missing = select_rows(newdata, columns, "drop")
    if missing:
        msg = (
            f"newdata has missing values in {missing} of {len(newdata)} rows in the columns in use "
            f"({', '.join(columns)}); fill them in or leave these rows out"
        )
        raise DataError(msg)


def _apply_designs(
    part: Part, terms: tuple[str, ...], newdata: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray | None]:
    matrix = np.empty((len(newdata), len(terms)))
    offset: np.ndarray | None = None
    for design in part.designs:
        values, shift = design.apply(newdata)
        for j, term in enumerate(design.terms):
            matrix[:, terms.index(term)] = values[:, j]
        if shift is not None:
            offset = shift if offset is None else offset + shift
    return matrix, offset
