"""Rows that come in blocks: a sample stands for them, and each block is read as they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import uuid4

import numpy as np
import pandas as pd

from bayesmix.errors import DataError
from bayesmix.formula.sources import Stream
from bayesmix.model.atoms import allowed_units
from bayesmix.model.layout import Layout
from bayesmix.model.parts import Prepared
from bayesmix.model.rows import Rows, apply
from bayesmix.model.units import case_weights, known_components, known_labels

if TYPE_CHECKING:
    from bayesmix.model.spec import MixtureSpec

__all__ = ["Sampled", "read_block", "unavailable", "without_rows"]


@dataclass(frozen=True, eq=False)
class Sampled:
    """What stands in the place of `Rows` that come in blocks.

    Whatever needs all rows at once asks for more than there is, and is refused.

    Parameters
    ----------
    sample : Rows
        Some rows, among them the ends of every column and each level of every factor.
    stream : Stream
        All rows.
    turned : object, optional
        How rows become those of standard coordinates, where the sample has these.
    """

    sample: Rows
    stream: Stream
    turned: Any = None
    # A name of its own, by which arranged blocks are found again.
    number: str = field(default_factory=lambda: uuid4().hex)

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.stream.totals.n

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.stream.totals.n_units

    @property
    def row_weight(self) -> float:
        """The sum of the rows' case weights."""
        return self.n if self.sample.weight is None else self.stream.totals.row_weight

    @property
    def unit_weight(self) -> float:
        """The sum of the units' case weights."""
        return self.n_units if self.sample.weight is None else self.stream.totals.unit_weight

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what only rows in memory have."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise unavailable(self.n)


def unavailable(n: int) -> DataError:
    """The error of what needs all rows at once."""
    return DataError(
        f"this needs all {n} rows at once, and the data come in blocks. Fits, standard errors, "
        "criteria, memberships and predictions go block by block; for the rest read the columns "
        "in use into a DataFrame, or take a part of the rows"
    )


def without_rows(spec: MixtureSpec) -> MixtureSpec:
    """A specification of rows in blocks as a task needs it: how blocks are read, and no row."""
    none, prepared = slice(0, 0), spec.prepared
    parts = tuple(
        replace(p, response=p.response.take(none), designs=tuple(d.take(none) for d in p.designs))
        for p in prepared.parts
    )
    concomitant, units = prepared.concomitant, prepared.units
    prepared = replace(
        prepared,
        parts=parts,
        units=replace(units, codes=units.codes[none], first=units.first[none], index=pd.Index([])),
        concomitant=None if concomitant is None else concomitant.take(none),
        weight=None,
        labels=None if prepared.labels is None else prepared.labels[none],
        table=prepared.table[none],
        stream=None,
    )
    given: Any = spec.rows
    rows: Any = Sampled(None, None, given.turned, given.number)  # type: ignore[arg-type]
    return replace(spec, prepared=prepared, rows=rows)


def read_block(prepared: Prepared, layout: Layout, frame: pd.DataFrame) -> Rows:
    """Rows of a block in the user's coordinates, with case weights and known labels.

    Parameters
    ----------
    prepared : Prepared
    layout : Layout
        In the user's coordinates.
    frame : DataFrame
    """
    rows = apply(prepared, layout, frame, response=True)
    weight = known = None
    if prepared.weights_column is not None:
        weight = case_weights(frame, prepared.weights_column, rows.units, whole=False)
    if prepared.labels is not None and prepared.labels_column is not None:
        levels = prepared.labels.categories
        labels = known_labels(frame, prepared.labels_column, rows.units, levels)
        known = known_components(labels, layout.components)
    allowed = allowed_units(rows.units, [b.allowed for b in rows.blocks], known)
    if allowed is None and known is not None:
        allowed = np.ones(known.shape, bool)
    return replace(rows, weight=weight, allowed=allowed, known=known)
