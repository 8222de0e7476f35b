"""Rows as the likelihood reads them, and new data through the encodings of the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesmix.errors import DataError
from bayesmix.families import Observed
from bayesmix.families.levels import as_levels
from bayesmix.formula.design import Design
from bayesmix.formula.frames import Units, build_units, check_data, select_rows
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times
from bayesmix.model.atoms import allowed_units, read_by_component
from bayesmix.model.events import complete_again, read_again
from bayesmix.model.histories import continuing
from bayesmix.model.layout import BlockLayout, Layout, PartLayout
from bayesmix.model.parts import Part, Prepared, Read
from bayesmix.model.reading import Counted, clusters, in_all_rows
from bayesmix.model.units import constant_in_units


@dataclass(frozen=True)
class Clustered:
    """Rows whose responses are not independent, for families that give their density together.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The cluster of each row: a unit, or within one.
    effects : ndarray, shape (n, q), or None
        Columns of random effects.
    """

    codes: np.ndarray
    effects: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Clustered:
        """The same for some rows, by position."""
        return Clustered(self.codes[rows], None if self.effects is None else self.effects[rows])


@dataclass(frozen=True)
class BlockRows:
    """The rows of one response: what changes with the data, not with the model.

    Parameters
    ----------
    matrix : ndarray, shape (n, P)
    offset : ndarray, shape (n,), or (S, n) by component, or None
    response : Response, or None
        None where only predictions are wanted; competing events have more, in `own`.
    observed : dict of str to Observed
        The response as each component reads it, by the block's `keys`.
    entry : dict of str to Observed, or None
        Survivals to the delayed entries, where the whole mixture is truncated.
    allowed : ndarray of bool, shape (n, S), or None
        The components that each row leaves possible; None where all are.
    clustered : Clustered, or None
    described : ndarray of bool, shape (n,), or None
        Rows whose covariates are known, None for all.  The others, which have no response either,
        hold the columns of some other row.
    own : tuple of Response
        What each of competing events reads.
    """

    matrix: np.ndarray
    offset: np.ndarray | None
    response: Response | None
    observed: Mapping[str, Observed]
    entry: Mapping[str, Observed] | None = None
    allowed: np.ndarray | None = None
    clustered: Clustered | None = None
    described: np.ndarray | None = None
    own: tuple[Response, ...] = ()

    @property
    def responses(self) -> tuple[Response | None, ...]:
        """The response, or those of competing events."""
        return self.own or (self.response,)

    @property
    def there(self) -> np.ndarray | None:
        """Rows (n,) in which the response was observed; None for all."""
        return None if self.response is None else self.response.there

    def seen(self, weight: np.ndarray | None) -> tuple[BlockRows, np.ndarray | None]:
        """The rows in which the response was observed, with their weights (n,)."""
        if self.there is None:
            return self, weight
        some = weight if weight is None or len(weight) == 1 else weight[self.there]
        return self.take(np.flatnonzero(self.there)), some

    def take(self, rows: np.ndarray) -> BlockRows:
        """The same for some rows, by position."""
        return BlockRows(
            self.matrix[rows],
            None if self.offset is None else self.offset[..., rows],
            None if self.response is None else self.response.take(rows),
            {key: obs.take(rows) for key, obs in self.observed.items()},
            None if self.entry is None else {k: obs.take(rows) for k, obs in self.entry.items()},
            None if self.allowed is None else self.allowed[rows],
            None if self.clustered is None else self.clustered.take(rows),
            None if self.described is None else self.described[rows],
            tuple(response.take(rows) for response in self.own),
        )


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
    known : ndarray of bool, shape (U, S), or None
        The same as far as labels say it, whatever the responses are.
    """

    blocks: tuple[BlockRows, ...]
    units: Units
    concomitant: np.ndarray | None
    weight: np.ndarray | None = None
    allowed: np.ndarray | None = None
    known: np.ndarray | None = None

    stream = None  # of rows that come in blocks: see `sampled.Sampled`

    @property
    def sample(self) -> Rows:
        """All of them; of rows that come in blocks some."""
        return self

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.units.codes)

    @property
    def n_units(self) -> int:
        """Number of units, U."""
        return len(self.units.first)

    @property
    def observed(self) -> np.ndarray | None:
        """Rows (n,) with an observed response, or a label; None for all."""
        there = [block.there for block in self.blocks]
        known = [mask for mask in there if mask is not None]
        if len(known) < len(there):
            return None
        if self.known is not None:
            known.append((~self.known).any(1)[self.units.codes])
        return np.logical_or.reduce(known)

    @property
    def informed(self) -> np.ndarray:
        """Units (U,) with an observed response, or a label."""
        if self.observed is None:
            return np.ones(self.n_units, bool)
        return np.bincount(self.units.codes, self.observed, self.n_units) > 0

    @property
    def n_unseen(self) -> int:
        """Number of units of which nothing was observed."""
        return int((~self.informed).sum())

    @property
    def counts(self) -> np.ndarray | None:
        """The case weights of the rows, (n,); None where there are none."""
        return self.units.by_row(self.weight)

    @property
    def row_weights(self) -> np.ndarray:
        """The case weights of the rows, (n,); one where there are none."""
        counts = self.counts
        return np.ones(self.n) if counts is None else counts

    @property
    def unit_weights(self) -> np.ndarray:
        """The case weights of the units, (U,); one where there are none."""
        return np.ones(self.n_units) if self.weight is None else self.weight

    @property
    def row_weight(self) -> float:
        """The sum of the case weights over rows with an observed response."""
        there = self.observed
        if self.weight is None:
            return self.n if there is None else int(there.sum())
        by_row = self.row_weights
        return float((by_row if there is None else by_row[there]).sum())

    @property
    def unit_weight(self) -> float:
        """The sum of the case weights of units with an observed response."""
        counted = self.counted
        return self.n_units if counted is None else float(counted.sum())

    @property
    def counted(self) -> np.ndarray | None:
        """Weights (U,) of the units, zero where nothing was observed; None where all are one."""
        if self.observed is None:
            return self.weight
        return np.where(self.informed, 1.0 if self.weight is None else self.weight, 0.0)


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
    counted = Counted(newdata, units, None, prepared.scope, prepared.fiml)
    blocks = []
    for part, block in zip(prepared.parts, layout.blocks, strict=True):
        table, read, described = newdata, None, None
        if response:
            table, read, described = read_again(part, counted)
        matrix, offset = _apply_designs(part, block.terms, table, described)
        clustered = _apply_effects(part, table, described, units, needed=response)
        if read is None:
            made = BlockRows(matrix, offset, None, {}, clustered=clustered)
        else:
            made = block_rows(block, read, matrix, offset, units, clustered)
        blocks.append(replace(made, described=described))
    concomitant = None
    if weighted is not None:
        design, _ = weighted.apply(newdata)
        if units.grouped:
            constant_in_units(design, units, "the concomitant variables", "in the new data")
        concomitant = design[units.first]
    allowed = allowed_units(units, [b.allowed for b in blocks], None)
    return Rows(tuple(blocks), units, concomitant, None, allowed)


def block_rows(
    block: BlockLayout | PartLayout,
    read: Read,
    matrix: np.ndarray,
    offset: np.ndarray | None,
    units: Units,
    clustered: Clustered | None = None,
) -> BlockRows:
    """Rows of a response as every component's family reads them.

    Under the mixture's own truncation a delayed entry is a factor of the whole mixture,
    not of its components: the survival to it, in the denominator.

    Parameters
    ----------
    block : BlockLayout or PartLayout
    read : Read
    matrix, offset, clustered
        As in `BlockRows`.
    units : Units
    """
    response = as_levels(read.responses[0], block.families)
    alike, allowed = read_by_component(response, block.families)
    own = alike if len(read.responses) == 1 else read.responses
    # Rows whose entry is none of their unit's: it is their component's.
    inside = np.zeros(len(matrix), bool)
    if response.times is not None:
        inside = continuing(response.times, units)
    observed: dict[str, Observed] = {}
    entries: dict[str, Observed] = {}
    delayed = any(r.times is not None and (r.times.entry > 0)[~inside].any() for r in own)
    apart = delayed and read.truncation == "mixture"
    for family, key, now in zip(block.families, block.keys, own, strict=True):
        if key in observed:
            continue
        if apart and now.times is not None:
            entered, now = _split_entry(now, now.times, inside)
            entries[key] = family.observe(entered)
        observed[key] = family.observe(now)
    rows = BlockRows(matrix, offset, response, observed, entries if apart else None, allowed)
    if read.allowed is not None:  # an event is observed where its time is not
        known = replace(response, there=None)
        return replace(rows, response=known, allowed=read.allowed, own=read.responses)
    if all(family.whole is None for family in block.families):
        return rows
    return _together(block, rows, clustered or Clustered(units.codes))


def _together(block: BlockLayout | PartLayout, rows: BlockRows, clustered: Clustered) -> BlockRows:
    """The rows with their clusters, for the families that read these."""
    observed = dict(rows.observed)
    for family, key in zip(block.families, block.keys, strict=True):
        if family.whole is not None:
            observed[key] = observed[key]._replace(
                cluster=clustered.codes, effects=clustered.effects
            )
    return replace(rows, observed=observed, clustered=clustered)


def _split_entry(response: Response, times: Times, inside: np.ndarray) -> tuple[Response, Response]:
    """A survival to the unit's entry, and the response with the entries of a component only."""
    never, none = np.full(len(times), np.inf), np.zeros(len(times))
    entered = Times(np.where(inside, 0.0, times.entry), never, none)
    own = np.where(inside, times.entry, 0.0)
    return (
        replace(response, times=entered),
        replace(response, times=Times(times.lower, times.upper, own, times.background)),
    )


def _needed(prepared: Prepared, concomitant: Design | None, *, response: bool) -> list[str]:
    """Columns that new data must have; other names in formulas are the user's own variables."""
    fiml = prepared.fiml
    names = [n for p in prepared.parts for n in complete_again(p, response=response, fiml=fiml)]
    names += concomitant.formula.names if concomitant is not None else ()
    skipped = {prepared.group} if response else prepared.identifiers
    return [n for n in dict.fromkeys(names) if n not in skipped and n in prepared.columns]


def _complete(newdata: pd.DataFrame, columns: list[str]) -> None:
    _, missing = select_rows(newdata, columns, "drop")
    if missing:
        raise DataError(
            f"newdata has missing values in {missing} of {len(newdata)} rows in the columns in use "
            f"({', '.join(columns)}); fill them in or leave these rows out"
        )


def _apply_designs(
    part: Part, terms: tuple[str, ...], newdata: pd.DataFrame, described: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if described is not None:
        at = in_all_rows(described)
        matrix, offset = _apply_designs(part, terms, newdata[described], None)
        return matrix[at], None if offset is None else offset[..., at]
    made = [design.apply(newdata) for design in part.designs]
    offset = part.offset([shift for _, shift in made])
    if len(made) == 1 and part.designs[0].terms == terms:
        return made[0][0], offset
    matrix = np.ones((len(newdata), len(terms)))  # an intercept may be in no design
    for design, (values, _) in zip(part.designs, made, strict=True):
        matrix[:, [terms.index(term) for term in design.terms]] = values
    return matrix, offset


def _apply_effects(
    part: Part,
    newdata: pd.DataFrame,
    described: np.ndarray | None,
    units: Units,
    *,
    needed: bool,
) -> Clustered | None:
    """Random effects of new rows; without the column of their clusters each unit is one."""
    given, codes = part.random, units.codes
    if given is None or not (needed or set(given.design.columns) <= set(newdata.columns)):
        return None
    if given.column in newdata.columns:
        codes = clusters(newdata, given.column, units)[0]
    if described is None:
        return Clustered(codes, given.design.apply(newdata)[0])
    return Clustered(codes, given.design.apply(newdata[described])[0][in_all_rows(described)])


def entries(data: BlockRows, key: str) -> np.ndarray | None:
    """Entries (n,) of a component's rows, late or into a history; None where there are none."""
    late = None if data.entry is None else data.entry[key].times
    times = data.observed[key].times if key in data.observed else None
    own = times.entry if times is not None and times.truncated else None
    if late is None or own is None:
        return own if late is None else late.lower
    return np.maximum(late.lower, own)
