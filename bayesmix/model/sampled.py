"""Rows that come in blocks: a sample stands for them, and each block is read as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

import pandas as pd

from bayesmix.errors import DataError
from bayesmix.formula.sources import Stream
from bayesmix.formula.sources.stream import Block
from bayesmix.model.atoms import allowed_units
from bayesmix.model.rows import Rows, apply
from bayesmix.model.spec import MixtureSpec
from bayesmix.model.units import case_weights, known_components, known_labels


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
    resampled : callable, optional
        Other rows for those of a block: of a bootstrap.
    """

    sample: Rows
    stream: Stream
    turned: Any = None
    resampled: Callable[[Rows, Block], Rows] | None = None
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
    def n_unseen(self) -> int:
        """Number of units of which nothing was observed."""
        return self.stream.totals.unseen

    @property
    def row_weight(self) -> float:
        """The sum of the rows' case weights."""
        total = self.stream.totals.row_weight
        return int(total) if self.sample.weight is None else total

    @property
    def unit_weight(self) -> float:
        """The sum of the units' case weights."""
        total = self.stream.totals.unit_weight
        return int(total) if self.sample.weight is None else total

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse what only rows in memory have."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise unavailable(self.n)


def unavailable(n: int) -> DataError:
    """The error of what needs all rows at once."""
    return DataError(
        f"this needs all {n} rows at once, and the data come in blocks. Fits, standard errors, "
        "criteria, memberships, residuals and predictions go block by block, pictures show a "
        "sample, and what takes newdata= may have rows of yours; for the rest read the columns in "
        "use into a DataFrame, or take a part of the rows"
    )


def without_rows(spec: MixtureSpec) -> MixtureSpec:
    """A specification of rows in blocks as a task needs it: how blocks are read, and no row."""
    none, prepared = slice(0, 0), spec.prepared
    parts = tuple(
        replace(part, readings=tuple(r.take(none) for r in part.readings), allowed=None)
        for part in prepared.parts
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
    rows: Any = replace(given, sample=None, stream=None)
    return replace(spec, prepared=prepared, rows=rows)


def counted(spec: MixtureSpec) -> MixtureSpec:
    """A specification of rows in blocks whose responses may be missing, with how many are."""
    given: Any = spec.rows
    counts = list(given.stream.map(partial(_counts, without_rows(spec))))
    missing = {name: sum(c[0][name] for c in counts) for name in counts[0][0]}
    rows, units, unseen = (sum(c[i] for c in counts) for i in (1, 2, 3))
    totals = given.stream.totals._replace(missing=missing, unseen=unseen)
    totals = totals._replace(row_weight=rows, unit_weight=units)
    stream = replace(given.stream, totals=totals)
    prepared = replace(spec.prepared, stream=stream)
    return replace(spec, prepared=prepared, rows=replace(given, stream=stream))


def _counts(spec: MixtureSpec, block: Block) -> tuple[dict[str, int], float, float, int]:
    """Missing responses of a block, the weights of rows and units that have some, and the rest."""
    rows = read_block(spec, block)
    responses: list[Any] = [r for own in rows.blocks for r in own.responses]
    missing = spec.prepared.missing(responses, rows.units)
    return missing, rows.row_weight, rows.unit_weight, rows.n_unseen


def read_block(spec: MixtureSpec, block: Block) -> Rows:
    """Rows of a block in the user's coordinates, with case weights and known labels."""
    given: Any = spec.rows
    prepared, frame = spec.prepared, block.frame
    layout = spec.layout if given.turned is None else given.turned.layout
    rows = apply(prepared, layout, frame, response=True)
    weight = known = None
    if prepared.weights_column is not None:
        weight = case_weights(frame, prepared.weights_column, rows.units, whole=False)
    if prepared.labels is not None and prepared.labels_column is not None:
        levels = prepared.labels.categories
        labels = known_labels(frame, prepared.labels_column, rows.units, levels)
        known = known_components(labels, layout.components)
    allowed = allowed_units(rows.units, [b.allowed for b in rows.blocks], known)
    rows = replace(rows, weight=weight, allowed=allowed, known=known)
    return rows if given.resampled is None else given.resampled(rows, block)
