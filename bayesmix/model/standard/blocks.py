"""A response's rows in standard coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bayesmix.families import Observed
from bayesmix.families.units import Change, change
from bayesmix.model.layout import BlockLayout, Layout, Predictor
from bayesmix.model.rows import BlockRows, Rows
from bayesmix.model.standard.columns import Turned, constant_shares
from bayesmix.model.standard.responses import (
    Inconsistent,
    Units,
    in_units,
    is_apart,
    log_unit,
    measured,
)
from bayesmix.model.units import as_copies


class Turn(NamedTuple):
    """How the rows of a response become those of standard coordinates.

    `matrix` (P, P) turns the design, `changes` has the components' families in standard units,
    `apart` the responses, by key, that have no unit, and `effects` (q, q) turns the columns of
    random effects.
    """

    matrix: np.ndarray
    changes: tuple[Change, ...]
    units: Units
    apart: frozenset[str]
    effects: np.ndarray

    def rows(
        self,
        layout: BlockLayout,
        rows: BlockRows,
        matrix: np.ndarray,
        effects: np.ndarray | None = None,
    ) -> BlockRows:
        """Rows in standard coordinates, with their design and random effects there."""
        observed, entry, response = rows.observed, rows.entry, rows.response
        if not self.units.are_own:
            by_key = {k: c.family for k, c in zip(layout.keys, self.changes, strict=True)}

            def read(each: Mapping[str, Observed]) -> dict[str, Observed]:
                return {
                    k: o if k in self.apart else measured(o, by_key[k], self.units, layout.name)
                    for k, o in each.items()
                }

            observed, entry = read(observed), entry and read(entry)
            response = response and in_units(response, self.units)
        clustered = rows.clustered
        if clustered is not None and clustered.effects is not None:
            turned = clustered.effects @ self.effects if effects is None else effects
            clustered = replace(clustered, effects=turned)
            observed = {key: obs._replace(effects=turned) for key, obs in observed.items()}
        return replace(
            rows,
            matrix=matrix,
            clustered=clustered,
            offset=_offset(rows.offset, self.changes),
            response=response,
            observed=observed,
            entry=entry,
            own=(),
        )


class Block(NamedTuple):
    """A response in standard coordinates with the way back to the user's."""

    layout: BlockLayout
    rows: BlockRows
    turned: Turned
    turn: Turn
    constants: tuple[np.ndarray | None, ...]  # of each predictor
    log_unit: np.ndarray


@dataclass(frozen=True)
class Turns:
    """How rows in the user's coordinates become those of a specification's standard ones.

    `layout` is the user's, `alpha` turns the concomitants.
    """

    layout: Layout
    blocks: tuple[Turn, ...]
    alpha: np.ndarray | None

    def __call__(self, rows: Rows) -> Rows:
        """Rows in standard coordinates."""
        triples = zip(self.blocks, self.layout.blocks, rows.blocks, strict=True)
        blocks = tuple(t.rows(b, r, r.matrix @ t.matrix) for t, b, r in triples)
        z = None if rows.concomitant is None else rows.concomitant @ self.alpha
        return replace(rows, blocks=blocks, concomitant=z)


def made_block(
    layout: BlockLayout,
    rows: BlockRows,
    turned: Turned,
    effects: Turned,
    units: Units,
    changes: tuple[Change, ...],
    allowed: np.ndarray | None,
) -> Block:
    """A response's rows by turned designs, in units to which its families change."""
    families = tuple(c.family for c in changes)
    apart = frozenset(k for k, f in zip(layout.keys, families, strict=True) if is_apart(f, rows))
    turn = Turn(turned.turn, changes, units, apart, effects.turn)
    return Block(
        replace(layout, families=families),
        turn.rows(layout, rows, turned.matrix, effects.matrix),
        turned,
        turn,
        tuple(_constant(turned, predictor) for predictor in layout.predictors),
        log_unit(units, layout, rows, allowed),
    )


def changes_to(
    layout: BlockLayout, rows: BlockRows, units: Units, weight: np.ndarray | None
) -> tuple[Change, ...]:
    """The components' families in other units; `weight` (n,) is of the rows.

    Raises
    ------
    Inconsistent
        If one has no unit.
    """
    known: dict[tuple[int, str], Change] = {}
    for family, key in zip(layout.families, layout.keys, strict=True):
        if (id(family), key) not in known:
            obs = rows.observed[key]
            if family.in_units is not None and weight is not None:
                obs = obs.take(as_copies(weight))
            found = (
                Change(family, np.eye(0), np.zeros(0))
                if is_apart(family, rows)
                else change(family, *units, obs)
            )
            if found is None:
                raise Inconsistent
            known[id(family), key] = found
    return tuple(known[id(f), key] for f, key in zip(layout.families, layout.keys, strict=True))


def unchanged(layout: BlockLayout) -> tuple[Change, ...]:
    """The components' families as they are."""
    sizes = {f: len(f.parameters) for f in layout.families}
    made = {f: Change(f, np.eye(m), np.zeros(m)) for f, m in sizes.items()}
    return tuple(made[f] for f in layout.families)


def _constant(turned: Turned, predictor: Predictor) -> np.ndarray | None:
    """The user's coefficients of a constant of one, where a predictor has it."""
    if predictor.constant:
        return np.ones(1)
    shares = constant_shares(turned.matrix, predictor.index)
    return None if shares is None else turned.turn @ shares


def _offset(offset: np.ndarray | None, changes: tuple[Change, ...]) -> np.ndarray | None:
    """Offsets of locations in units of their linear predictors."""
    if offset is None:
        return None
    located = [c.mixing.diagonal()[: len(c.family.locations)] for c in changes]
    if any((f != f[0]).any() for f in located if f.size):
        raise Inconsistent  # one offset of several columns, which have units of their own
    factors = np.array([f[0] if f.size else 1.0 for f in located])
    if offset.ndim == 1 and (factors == factors[0]).all():
        return offset / factors[0]
    return offset / factors[:, None]
