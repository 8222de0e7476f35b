r"""Standard coordinates: the model in which units of measurement mean nothing.

Columns of a design are made orthogonal and of mean square one, one after the other, as far as
others can absorb the change,

    x'_j = (x_j - sum_i t_ij x_i) / d_j:

an intercept that every component with x_j has absorbs its mean, year absorbs most of year^2.
Responses with a unit are centred and scaled, times are divided by their geometric mean.
What remains of the model is the same model: its likelihood differs by a constant, its
parameters by a `Map`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from typing import Any
from uuid import uuid4

import numpy as np

from bayesmix.families.units import Change
from bayesmix.formula.sources.stream import Block as Streamed
from bayesmix.model.coordinates import Map, Standard
from bayesmix.model.layout import BlockLayout
from bayesmix.model.rows import BlockRows, Rows
from bayesmix.model.sampled import read_block, without_rows
from bayesmix.model.spec import MixtureSpec
from bayesmix.model.standard.blocks import Block, Turns, changes_to, made_block, unchanged
from bayesmix.model.standard.columns import Turned, absorbing, orthogonal
from bayesmix.model.standard.maps import Rules, block_rules, maps, weight_rules
from bayesmix.model.standard.responses import OWN, Inconsistent, Units, log_unit, units_of

# Effects with coefficients that components share.
SHARED = {"nested": 1, "fixed": 2}
# Columns of no random effects.
NONE = Turned(np.empty((0, 0)), np.empty((0, 0)), np.empty(0, int))


def standardise(spec: MixtureSpec) -> MixtureSpec:
    """The same model in standard coordinates; its `standard` leads back.

    Parameters
    ----------
    spec : MixtureSpec
        In the user's coordinates.

    Returns
    -------
    MixtureSpec
        With the same layout, but for families that depend on the unit of time, other rows,
        and held values in standard coordinates.
    """
    given, rows = spec.rows, spec.rows.sample
    blocks, concomitant, turns, (to_user, to_standard) = _turned(spec, measured=True)
    by_row = reduce(np.add, [b.log_unit for b in blocks])
    by_unit = rows.units.sums(by_row)
    constant = _unit_sum(by_unit, rows)
    if given.stream is not None:
        constant = _whole_constant(spec, turns, by_row)
    units = tuple(b.turn.units for b in blocks)
    standard = Standard(to_user, to_standard, constant, units, by_unit)
    held = {
        at: (value - to_user.shift[at]) / to_user.matrix[at, at] for at, value in spec.held.items()
    }
    made_rows: Any = replace(rows, blocks=tuple(b.rows for b in blocks), concomitant=concomitant)
    if given.stream is not None:
        made_rows = replace(given, sample=made_rows, turned=turns, number=uuid4().hex)
    return replace(
        spec,
        layout=replace(spec.layout, blocks=tuple(b.layout for b in blocks)),
        rows=made_rows,
        held=held,
        standard=standard,
    )


def centred(spec: MixtureSpec) -> tuple[Turns, Map]:
    """Rows with turned columns in the user's units, and theta's map to their coefficients.

    Far from the origin an intercept and a slope nearly cancel; differences of what other rows
    or other parameters give keep their digits here.
    """
    _, _, turns, (_, to_turned) = _turned(spec, measured=False)
    return turns, to_turned


def _turned(
    spec: MixtureSpec, *, measured: bool
) -> tuple[tuple[Block, ...], np.ndarray | None, Turns, tuple[Map, Map]]:
    """Blocks, concomitants, how other rows are turned, and theta's maps to the user and back."""
    rows = spec.rows.sample
    weight = _shares(rows.counts, rows.n)
    made = [
        _standard_block(spec, layout, data, weight, measured)
        for layout, data in zip(spec.layout.blocks, rows.blocks, strict=True)
    ]
    blocks, rules = map(list, zip(*made, strict=True))
    concomitant, to_z = rows.concomitant, None
    if concomitant is not None:
        alpha = spec.layout.alpha
        turned = orthogonal(
            concomitant, absorbing([alpha], spec.free), _shares(rows.weight, rows.n_units)
        )
        concomitant, to_z = turned.matrix, turned.turn
        rules.append(weight_rules(alpha, turned, spec.layout.size))
    turns = Turns(spec.layout, tuple(b.turn for b in blocks), to_z)
    return tuple(blocks), concomitant, turns, maps(rules)


def _unit_sum(by_unit: np.ndarray, rows: Rows) -> float:
    return float(by_unit.sum() if rows.weight is None else by_unit @ rows.weight)


def _whole_constant(spec: MixtureSpec, turns: Turns, by_row: np.ndarray) -> float:
    """What the units of the responses add to the log-likelihood of rows that come in blocks."""
    blocks = zip(spec.layout.blocks, turns.blocks, strict=True)
    plain = all(
        np.all(np.equal(t.units.unit, 1.0))
        or not (b.survival or any(f.lump is not None or f.columns for f in b.families))
        for b, t in blocks
    )
    given: Any = spec.rows
    same = len(by_row) and (by_row == by_row[0]).all()
    if plain and same and (not by_row[0] or given.resampled is None):
        return float(by_row[0]) * spec.n_obs
    return float(sum(given.stream.map(partial(_of_block, without_rows(spec), turns))))


def _of_block(spec: MixtureSpec, turns: Turns, block: Streamed) -> float:
    """The part of one block in that sum."""
    rows = read_block(spec, block)
    total = np.zeros(rows.n)
    for layout, turn, own in zip(turns.layout.blocks, turns.blocks, rows.blocks, strict=True):
        total += log_unit(turn.units, layout, own, _by_row(rows))
    return _unit_sum(rows.units.sums(total), rows)


def _by_row(rows: Rows) -> np.ndarray | None:
    """The components that each row may belong to, (n, S)."""
    return None if rows.allowed is None else rows.allowed[rows.units.codes]


def _shares(weight: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(1, 1 / max(n, 1)) if weight is None else weight / weight.sum()


def _standard_block(
    spec: MixtureSpec, layout: BlockLayout, rows: BlockRows, weight: np.ndarray, measured: bool
) -> tuple[Block, Rules]:
    """A block with as much of units and centre taken off as its components agree on."""
    indices = [p.index for p in layout.predictors if not p.constant]
    indices = indices or [np.full((spec.k, rows.matrix.shape[1]), -1)]
    absorbs, kinds = absorbing(indices, spec.free), _kinds(spec, indices)
    if rows.there is not None:
        weight = _shares(weight * rows.there, len(rows.there))
    effects = _turned_effects(spec, layout, rows, weight)
    turned = orthogonal(rows.matrix, absorbs, weight, kinds)
    allowed, counts = _by_row(spec.rows.sample), spec.rows.sample.counts

    def made(units: Units, changes: tuple[Change, ...]) -> tuple[Block, Rules]:
        block = made_block(layout, rows, turned, effects, units, changes, allowed)
        return block, block_rules(block, spec.held, spec.layout.size)

    for units in units_of(layout, rows, weight).coarser() if measured else ():
        try:
            return made(units, changes_to(layout, rows, units, counts))
        except Inconsistent:
            continue
    return made(OWN, unchanged(layout))


def _turned_effects(
    spec: MixtureSpec, layout: BlockLayout, rows: BlockRows, weight: np.ndarray
) -> Turned:
    """Orthogonal columns of random effects; scaled only where some parameters are held."""
    if not layout.random:
        return NONE
    assert rows.clustered is not None
    assert rows.clustered.effects is not None
    q = len(layout.random)
    places = [layout.predictors[number].index for number in layout.roots]
    held = any(int(at) in spec.held for index in places for at in index.ravel())
    absorbs = np.zeros((q, q), bool) if held else np.triu(np.ones((q, q), bool), 1)
    return orthogonal(rows.clustered.effects, absorbs, weight)


def _kinds(spec: MixtureSpec, indices: list[np.ndarray]) -> np.ndarray:
    """Of each column how many components share its coefficients, by `SHARED`, (P,)."""
    kinds = np.array([*(SHARED.get(c.effect, 0) for c in spec.layout.coordinates), 0])
    return np.max([kinds[index].max(0) for index in indices], axis=0)
