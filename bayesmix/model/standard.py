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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families import Family, Observed
from bayesmix.families.effects import places
from bayesmix.families.survival.start import working
from bayesmix.families.units import Change, change, is_centred
from bayesmix.formula.response import Response, middle
from bayesmix.formula.sources.stream import Block as Streamed
from bayesmix.formula.times import KINDS, Times
from bayesmix.model.coordinates import Bend, Map, Standard
from bayesmix.model.layout import BlockLayout, Layout, Predictor
from bayesmix.model.prepare import Prepared
from bayesmix.model.rows import BlockRows, Rows
from bayesmix.model.sampled import Sampled, read_block, without_rows
from bayesmix.model.spec import MixtureSpec

__all__ = ["Turns", "Units", "constant_shares", "standardise"]

EXACT = KINDS.index("exact")
# Effects with coefficients that components share.
SHARED = {"nested": 1, "fixed": 2}
# Columns among which a constant is looked for, and how well they have to make it up.
MOST_COLUMNS = 200
CONSTANT = 1e-9
# The largest rounding error of centred responses, in units of their usual distance.
ROUNDED = 1e-6


class _Inconsistent(Exception):
    """Components that share a parameter would need different values of it."""


# --- columns -------------------------------------------------------------------------------


class Turned(NamedTuple):
    """Orthogonal columns X' = X T: `matrix` (n, P), `turn` T (P, P), `rank` (P,) their order."""

    matrix: np.ndarray
    turn: np.ndarray
    rank: np.ndarray


def absorbing(predictors: list[np.ndarray], free: np.ndarray) -> np.ndarray:
    """Whether column i can take over a multiple of column j, (P, P).

    Every component with j has i, a coefficient that is not held, and components that share
    the one of i share that of j.

    Parameters
    ----------
    predictors : list of ndarray of int, each (S, P)
        Entries of theta, -1 for none.
    free : ndarray of bool, shape (D,)
    """
    p = predictors[0].shape[1]
    out = np.ones((p, p), bool)
    for index in predictors:
        has = index >= 0
        out &= ~(has[:, None, :] & ~has[:, :, None]).any(0)
        held = has & ~np.append(free, False)[index]
        out &= ~(held[:, :, None] & has[:, None, :]).any(0)
        for i in range(p):
            for at in np.unique(index[has[:, i], i]):
                members = index[index[:, i] == at]
                out[i] &= (members == members[0]).all(0)
    return out


def orthogonal(
    x: np.ndarray, absorbs: np.ndarray, weight: np.ndarray, kinds: np.ndarray | None = None
) -> Turned:
    """Columns less what others explain of them, of mean square one.

    First a constant, then in the order of their kinds.

    Parameters
    ----------
    x : ndarray, shape (n, P)
    absorbs : ndarray of bool, shape (P, P)
    weight : ndarray, shape (n,) or (1,)
        Sums to one over the rows.
    kinds : ndarray of int, shape (P,), optional
        Whose coefficients belong to single components come first, shared ones last.
    """
    p = x.shape[1]
    kinds = np.zeros(p, int) if kinds is None else kinds
    constant = [j for j in range(p) if len(x) and x[0, j] and (x[:, j] == x[0, j]).all()]
    rest = (j for j in range(p) if j not in constant[:1])
    order = [*constant[:1], *sorted(rest, key=lambda j: kinds[j])]
    out, turn, gram = np.array(x, float), np.eye(p), np.eye(p)
    for place, j in enumerate(order):
        done = order[:place]
        _scale(out, turn, j, weight)
        before = [i for i in done if absorbs[i, j]]
        for _ in range(2 if before else 0):  # twice is enough
            part = _products(out, before, j, weight)
            share = np.linalg.solve(gram[np.ix_(before, before)], part)
            out[:, j] -= out[:, before] @ share
            turn[:, j] -= turn[:, before] @ share
        _scale(out, turn, j, weight)
        gram[done, j] = gram[j, done] = _products(out, done, j, weight)
    rank = np.empty(p, int)
    rank[order] = np.arange(p)
    return Turned(out, turn, rank)


def _products(x: np.ndarray, columns: list[int], j: int, weight: np.ndarray) -> np.ndarray:
    return (weight * x[:, j]) @ x[:, columns] if len(columns) else np.zeros(0)


def _scale(x: np.ndarray, turn: np.ndarray, j: int, weight: np.ndarray) -> None:
    top = float(np.abs(x[:, j]).max(initial=0.0)) or 1.0
    size = top * float(np.sqrt((weight * np.square(x[:, j] / top)).sum()))
    if size > 0:
        x[:, j] /= size
        turn[:, j] /= size


def constant_shares(matrix: np.ndarray, index: np.ndarray) -> np.ndarray | None:
    """Coefficients (P,) of columns (n, P) that make up a constant of one.

    Only columns of all components that have any, by `index` (S, P); None where they do not.
    """
    has = index >= 0
    columns = np.flatnonzero(has[has.any(1)].all(0)) if has.any() else np.zeros(0, int)
    if not 0 < len(columns) <= MOST_COLUMNS:
        return None
    x = matrix[:, columns]
    out = np.zeros(matrix.shape[1])
    alone = np.flatnonzero((x == x[0]).all(0) & (x[0] != 0))
    if len(alone):
        out[columns[alone[0]]] = 1 / x[0, alone[0]]
        return out
    out[columns] = np.linalg.lstsq(x, np.ones(len(x)))[0]
    return out if np.abs(x @ out[columns] - 1).max() < CONSTANT else None


# --- responses -----------------------------------------------------------------------------


class Units(NamedTuple):
    """The unit and the centre of a response; 1 and 0 where it has none.

    Of a response of several columns one of each, (q,).
    """

    unit: Any
    centre: Any

    @property
    def are_own(self) -> bool:
        """Whether responses stay as they are."""
        return bool(np.all(np.equal(self.unit, 1.0)) and np.all(np.equal(self.centre, 0.0)))

    def coarser(self) -> list[Units]:
        """These, then with as much left out as components, or columns, may disagree about."""
        pooled = self._replace(unit=np.exp(np.mean(np.log(self.unit), keepdims=True)))
        others = [pooled] if np.ndim(self.unit) else []
        return [self, *others, self._replace(centre=0.0 * self.centre)]


def units_of(layout: BlockLayout, rows: BlockRows, weight: np.ndarray) -> Units:
    """Where the responses are and how far they spread; times: their geometric mean."""
    given = [f for f in layout.families if not _apart(f, rows)]
    families = [f for f in given if f.location is not None]
    if not families or any(f.units is None and f.in_units is None for f in given):
        return Units(1.0, 0.0)
    if layout.survival:
        return Units(_middle_time(rows, weight), 0.0)
    rows, by_row = rows.seen(weight)
    weight = weight if by_row is None else by_row
    y: np.ndarray = next(
        rows.observed[key].y
        for f, key in zip(layout.families, layout.keys, strict=True)
        if not _apart(f, rows)
    )
    centred = all(is_centred(f) for f in families)
    if y.ndim == 1:
        return _own_units(y, weight, centred=centred)
    columns = []
    for column in y.T:
        there = ~np.isnan(column)
        w = np.broadcast_to(weight, there.shape)[there]
        columns.append(_own_units(column[there], w / w.sum(), centred=centred))
    return Units(*(np.array(values) for values in zip(*columns, strict=True)))


def _own_units(y: np.ndarray, weight: np.ndarray, *, centred: bool) -> Units:
    """Of one column."""
    top = float(np.abs(y).max(initial=0.0)) or 1.0
    y = y / top
    centre = float((weight * y).sum())
    if not centred:
        return Units(top * float(np.sqrt((weight * y * y).sum())) or 1.0, 0.0)
    if _rounded_away(y, centre):
        return Units(1.0, 0.0)
    return Units(top * float(np.sqrt((weight * np.square(y - centre)).sum())) or 1.0, top * centre)


def _apart(family: Family, rows: BlockRows) -> bool:
    """Whether a family is an atom beside densities: its rows are known, in any unit."""
    return family.atom is not None and rows.allowed is not None


def _rounded_away(y: np.ndarray, centre: float) -> bool:
    """Whether taking the centre off loses how most responses differ: others are too far out."""
    if not len(y):
        return False
    spread = float(np.median(np.abs(y - np.median(y))))
    error = np.abs((y - centre) + centre - y)
    return spread > 0 and float(error.max()) > ROUNDED * spread


def _middle_time(rows: BlockRows, weight: np.ndarray) -> float:
    logs, counts = [], []
    for obs in rows.observed.values():
        assert obs.times is not None
        known = np.isfinite(obs.times.upper) | (obs.times.lower > 0)
        logs.append(working(obs.times.take(known)))
        counts.append(np.broadcast_to(weight, known.shape)[known])
    total = np.concatenate(counts)
    return float(np.exp(np.average(np.concatenate(logs), weights=total))) if total.any() else 1.0


def measured(obs: Observed, family: Family, units: Units, name: str) -> Observed:
    """A response in standard units, as its family reads it."""
    if obs.times is None:
        y = (obs.y - units.centre) / units.unit
        kind = family.reads or "numeric"
        limits = None if obs.limits is None else obs.limits.measured(units.centre, units.unit)
        given = Response(name, kind, y, None, (), there=obs.there, limits=limits)
        read = family.observe(given)
        return read._replace(cluster=obs.cluster, effects=obs.effects)
    times = _in_unit(obs.times, units.unit)
    return family.observe(Response(name, "survival", middle(times), None, (), times))


def _in_unit(times: Times, unit: float) -> Times:
    rate = None if times.background is None else times.background * unit
    return Times(times.lower / unit, times.upper / unit, times.entry / unit, rate)


def _log_unit(
    units: Units, layout: BlockLayout, rows: BlockRows, allowed: np.ndarray | None
) -> np.ndarray:
    """What the unit adds to each row's log density, (n,)."""
    if np.all(np.equal(units.unit, 1.0)):
        return np.zeros(len(rows.matrix))
    out = -np.log(units.unit) * log_units(layout, rows, allowed)
    return out if out.ndim == 1 else out.sum(1)


def log_units(layout: BlockLayout, rows: BlockRows, allowed: np.ndarray | None) -> np.ndarray:
    """How often each row's density is per unit of its response, (n,): once, or never.

    Of several columns (n, q), by column.
    """
    if layout.families[0].columns:
        return 1.0 - np.isnan(rows.observed[layout.keys[0]].y)
    if not layout.survival:
        given = [
            (f, rows.observed[key].y)
            for f, key in zip(layout.families, layout.keys, strict=True)
            if not _apart(f, rows)
        ]
        lumps = np.array([y == f.lump for f, y in given])
        if (lumps != lumps[0]).any():
            raise _Inconsistent
        out = 1.0 - lumps[0]
        out = out if rows.there is None else out * rows.there
        limits = None if rows.response is None else rows.response.limits
        if limits is not None:  # of a censored response there is a probability
            out = out * limits.exact(given[0][1])
        if rows.allowed is None:
            return out
        # A value at an atom has a probability, which no unit changes.
        densities = [f.atom is None for f in layout.families]
        return out * rows.allowed[:, densities].any(1)
    exact = np.array([rows.observed[key].times.code == EXACT for key in layout.keys])  # type: ignore[union-attr]
    may = np.ones_like(exact) if allowed is None else allowed.T
    some, all_of = (exact & may).any(0), (exact | ~may).all(0)
    if (some != all_of).any():
        raise _Inconsistent
    return some.astype(float)


# --- a response's block ----------------------------------------------------------------------


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
        observed, entry = rows.observed, rows.entry
        if not self.units.are_own:
            by_key = {k: c.family for k, c in zip(layout.keys, self.changes, strict=True)}

            def read(each: Mapping[str, Observed]) -> dict[str, Observed]:
                return {
                    k: o if k in self.apart else measured(o, by_key[k], self.units, layout.name)
                    for k, o in each.items()
                }

            observed, entry = read(observed), entry and read(entry)
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
            response=_response(rows.response, self.units),
            observed=observed,
            entry=entry,
        )


class Block(NamedTuple):
    """A response in standard coordinates with the way back to the user's."""

    layout: BlockLayout
    rows: BlockRows
    turned: Turned
    turn: Turn
    constants: tuple[np.ndarray | None, ...]  # of each predictor
    log_unit: np.ndarray

    @property
    def changes(self) -> tuple[Change, ...]:
        """The components' changes."""
        return self.turn.changes

    @property
    def units(self) -> Units:
        """The unit and the centre of the response."""
        return self.turn.units


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


def _block(
    layout: BlockLayout,
    rows: BlockRows,
    turned: Turned,
    units: Units,
    allowed: np.ndarray | None,
    effects: Turned,
) -> Block:
    known: dict[tuple[int, str], Change] = {}
    for family, key in zip(layout.families, layout.keys, strict=True):
        if (id(family), key) not in known:
            found = (
                Change(family, np.eye(0), np.zeros(0))
                if _apart(family, rows)
                else change(family, *units, rows.observed[key])
            )
            if found is None:
                raise _Inconsistent
            known[id(family), key] = found
    changes = tuple(known[id(f), key] for f, key in zip(layout.families, layout.keys, strict=True))
    families = tuple(c.family for c in changes)
    apart = frozenset(k for k, f in zip(layout.keys, families, strict=True) if _apart(f, rows))
    turn = Turn(turned.turn, changes, units, apart, effects.turn)
    log_unit = _log_unit(units, layout, rows, allowed)
    constants = tuple(_constant(turned, predictor) for predictor in layout.predictors)
    return Block(
        replace(layout, families=families),
        turn.rows(layout, rows, turned.matrix, effects.matrix),
        turned,
        turn,
        constants,
        log_unit,
    )


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
        raise _Inconsistent  # one offset of several columns, which have units of their own
    factors = np.array([f[0] if f.size else 1.0 for f in located])
    if offset.ndim == 1 and (factors == factors[0]).all():
        return offset / factors[0]
    return offset / factors[:, None]


def _response(response: Response | None, units: Units) -> Response | None:
    if response is None or units.are_own:
        return response
    if response.times is None:
        limits = response.limits and response.limits.measured(units.centre, units.unit)
        return replace(response, y=(response.y - units.centre) / units.unit, limits=limits)
    times = _in_unit(response.times, units.unit)
    return replace(response, y=middle(times), times=times)


def _entries(block: Block, held: Mapping[int, float], size: int) -> Iterator[tuple]:
    """Of each coordinate its row of the matrix (D,), its shift and its bend, or None."""
    for s, slots in enumerate(block.layout.slots):
        change = block.changes[s]
        predictors = [block.layout.predictors[number] for number in slots]
        for i, (number, predictor) in enumerate(zip(slots, predictors, strict=True)):
            constant = block.constants[number]
            if change.shift[i] and constant is None:
                raise _Inconsistent
            for column in np.flatnonzero(predictor.index[s] >= 0).tolist():
                row = np.zeros(size)
                for other, factor in zip(predictors, change.mixing[i], strict=True):
                    if factor:
                        _add(row, factor, block.turned.turn, predictor, other, s, column)
                at = int(predictor.index[s, column])
                shift = 0.0 if constant is None else float(change.shift[i] * constant[column])
                bend = _bend(change, i, predictors, s, column) if change.bend else None
                alone = bend is None and not np.delete(row, at).any()
                if at in held and not alone:
                    raise _Inconsistent
                yield at, row, shift, bend


def _add(
    row: np.ndarray,
    factor: float,
    turn: np.ndarray,
    predictor: Predictor,
    other: Predictor,
    s: int,
    column: int,
) -> None:
    """Add what a predictor's coefficients contribute to one of another (or the same)."""
    has = other.index[s] >= 0
    if other is not predictor and (has & (predictor.index[s] < 0)).any():
        raise _Inconsistent
    turned = np.ones(1) if predictor.constant else turn[column, has]
    row[other.index[s, has]] += factor * turned


def _bend(
    change: Change, i: int, predictors: list[Predictor], s: int, column: int
) -> tuple[int, float] | None:
    """The entry of theta that bends this one, and the factor: both intercepts alone."""
    assert change.bend is not None
    bent, by, log_unit = change.bend
    if i != bent or not log_unit:
        return None
    used = np.flatnonzero(predictors[by].index[s] >= 0)
    if len(used) != 1 or predictors[by].terms[used[0]] != "Intercept":
        raise _Inconsistent
    if column != used[0]:
        if predictors[bent].index[s, used[0]] < 0:
            raise _Inconsistent
        return None
    return int(predictors[by].index[s, used[0]]), -log_unit


class Rules(NamedTuple):
    """Rows of the map to the user's coordinates, their shifts and bends, by entry of theta."""

    rows: dict[int, np.ndarray]
    shifts: dict[int, float]
    bends: dict[int, tuple[int, float]]


def _rules(block: Block, held: Mapping[int, float], size: int) -> Rules:
    out = Rules({}, {}, {})
    for at, row, shift, bend in _entries(block, held, size):
        if at in out.rows:
            same = np.allclose(out.rows[at], row, 1e-9, 0) and np.isclose(out.shifts[at], shift)
            if not same or out.bends.get(at) != bend:
                raise _Inconsistent
        out.rows[at], out.shifts[at] = row, shift
        if bend is not None:
            out.bends[at] = bend
    return out


# --- the whole -----------------------------------------------------------------------------


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
    given, size = spec.rows, spec.layout.size
    rows = given.sample
    weight = _shares(None if rows.weight is None else rows.weight[rows.units.codes], rows.n)
    made = [
        _standard_block(spec, layout, data, weight)
        for layout, data in zip(spec.layout.blocks, rows.blocks, strict=True)
    ]
    total = Rules({}, {}, {})
    for _, rules in made:
        total.rows.update(rules.rows)
        total.shifts.update(rules.shifts)
        total.bends.update(rules.bends)
    blocks = [block for block, _ in made]
    rank = _rank(blocks, size)
    concomitant, to_z = rows.concomitant, None
    if concomitant is not None:
        alpha = spec.layout.alpha
        turned = orthogonal(
            concomitant, absorbing([alpha], spec.free), _shares(rows.weight, rows.n_units)
        )
        concomitant, to_z = turned.matrix, turned.turn
        for s, at in zip(*np.nonzero(alpha >= 0), strict=True):
            row = np.zeros(size)
            row[alpha[s]] = turned.turn[at]
            total.rows[int(alpha[s, at])] = row
            rank[alpha[s, at]] = turned.rank[at]
    to_user, to_standard = _maps(total, rank)
    turns = Turns(spec.layout, tuple(b.turn for b in blocks), to_z)
    by_row = np.sum([b.log_unit for b in blocks], axis=0)
    constant = _row_sum(by_row, rows)
    if given.stream is not None:
        constant = _whole_constant(spec, turns, by_row)
    standard = Standard(to_user, to_standard, constant, tuple(b.units for b in blocks))
    held = {
        at: (value - to_user.shift[at]) / to_user.matrix[at, at] for at, value in spec.held.items()
    }
    made_rows: Any = replace(rows, blocks=tuple(b.rows for b in blocks), concomitant=concomitant)
    if given.stream is not None:
        made_rows = Sampled(made_rows, given.stream, turns)
    return replace(
        spec,
        layout=replace(spec.layout, blocks=tuple(b.layout for b in blocks)),
        rows=made_rows,
        held=held,
        standard=standard,
    )


def _row_sum(by_row: np.ndarray, rows: Rows) -> float:
    return float(by_row.sum() if rows.weight is None else by_row @ rows.weight[rows.units.codes])


def _whole_constant(spec: MixtureSpec, turns: Turns, by_row: np.ndarray) -> float:
    """What the units of the responses add to the log-likelihood of rows that come in blocks."""
    blocks = zip(spec.layout.blocks, turns.blocks, strict=True)
    plain = all(
        np.all(np.equal(t.units.unit, 1.0))
        or not (b.survival or any(f.lump is not None or f.columns for f in b.families))
        for b, t in blocks
    )
    if plain and len(by_row) and (by_row == by_row[0]).all():
        return float(by_row[0]) * spec.n_obs
    task = _UnitSum(without_rows(spec).prepared, turns)
    return float(sum(spec.rows.stream.map(task)))  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _UnitSum:
    """The part of one block in that sum."""

    prepared: Prepared
    turns: Turns

    def __call__(self, block: Streamed) -> float:
        rows = read_block(self.prepared, self.turns.layout, block.frame)
        total = np.zeros(rows.n)
        triples = zip(self.turns.layout.blocks, self.turns.blocks, rows.blocks, strict=True)
        for layout, turn, own in triples:
            total += _log_unit(turn.units, layout, own, _by_row(rows))
        return _row_sum(total, rows)


def _by_row(rows: Rows) -> np.ndarray | None:
    """The components that each row may belong to, (n, S)."""
    return None if rows.allowed is None else rows.allowed[rows.units.codes]


def _shares(weight: np.ndarray | None, n: int) -> np.ndarray:
    return np.full(1, 1 / max(n, 1)) if weight is None else weight / weight.sum()


def _standard_block(
    spec: MixtureSpec, layout: BlockLayout, rows: BlockRows, weight: np.ndarray
) -> tuple[Block, Rules]:
    """A block with as much of units and centre taken off as its components agree on."""
    indices = [p.index for p in layout.predictors if not p.constant]
    indices = indices or [np.full((spec.k, rows.matrix.shape[1]), -1)]
    absorbs, kinds = absorbing(indices, spec.free), _kinds(spec, indices)
    if rows.there is not None:
        weight = _shares(weight * rows.there, len(rows.there))
    effects = _turned_effects(spec, layout, rows, weight)
    turned = orthogonal(rows.matrix, absorbs, weight, kinds)
    units = units_of(layout, rows, weight)
    for trial in units.coarser():
        try:
            block = _block(layout, rows, turned, trial, _by_row(spec.rows.sample), effects)
            rules = _rules(block, spec.held, spec.layout.size)
            return block, _effect_rules(block, rules, spec.layout.size)
        except _Inconsistent:
            continue
    same = tuple(
        Change(f, np.eye(len(f.parameters)), np.zeros(len(f.parameters))) for f in layout.families
    )
    turn = Turn(turned.turn, same, Units(1.0, 0.0), frozenset(), effects.turn)
    plain = turn.rows(layout, rows, turned.matrix, effects.matrix)
    block = Block(
        layout, plain, turned, turn, (None,) * len(layout.predictors), np.zeros(len(rows.matrix))
    )
    rules = _rules(block, spec.held, spec.layout.size)
    return block, _effect_rules(block, rules, spec.layout.size)


def _turned_effects(
    spec: MixtureSpec, layout: BlockLayout, rows: BlockRows, weight: np.ndarray
) -> Turned:
    """Orthogonal columns of random effects; scaled only where some parameters are held."""
    if not layout.random:
        return Turned(np.empty((0, 0)), np.empty((0, 0)), np.empty(0, int))
    assert rows.clustered is not None
    assert rows.clustered.effects is not None
    q = len(layout.random)
    places = [layout.predictors[number].index for number in layout.roots]
    held = any(int(at) in spec.held for index in places for at in index.ravel())
    absorbs = np.zeros((q, q), bool) if held else np.triu(np.ones((q, q), bool), 1)
    return orthogonal(rows.clustered.effects, absorbs, weight)


def _effect_rules(block: Block, rules: Rules, size: int) -> Rules:
    """Where the root U of the random effects' covariance goes: U = u T U', a triangle too.

    A diagonal entry is a logarithm, so that it bends those of its column.  Under a proportional
    covariance all entries but the first are relative to the first.
    """
    layout = block.layout
    if not layout.random:
        return rules
    turn, unit = block.turn.effects, block.units.unit
    relative = layout.random_covariance == "proportional"
    factor = 1 / turn[0, 0] if relative else unit
    numbers = dict(zip(places(len(layout.random)), layout.roots, strict=True))
    for s in range(len(layout.families)):
        at = {p: int(layout.predictors[n].index[s, 0]) for p, n in numbers.items()}
        for (i, j), position in at.items():
            row, first = np.zeros(size), not (i or j)
            if i == j:
                row[position] = 1.0
                rules.shifts[position] = float(
                    np.log(turn[j, j] * (unit if first or not relative else factor))
                )
            else:
                for k in range(i, j):
                    row[at[k, j]] = factor * turn[i, k]
                if turn[i, j]:
                    rules.bends[position] = (at[j, j], float(turn[i, j] / turn[j, j]))
                rules.shifts[position] = 0.0
            rules.rows[position] = row
    return rules


def _kinds(spec: MixtureSpec, indices: list[np.ndarray]) -> np.ndarray:
    """Of each column how many components share its coefficients, by `SHARED`, (P,)."""
    out = np.zeros(indices[0].shape[1], int)
    for index in indices:
        for at, column in zip(*(index[index >= 0], np.nonzero(index >= 0)[1]), strict=True):
            effect = spec.layout.coordinates[at].effect
            out[column] = max(out[column], SHARED.get(effect, 0))
    return out


def _maps(rules: Rules, rank: np.ndarray) -> tuple[Map, Map]:
    """To the user's coordinates, and back; `rank` (D,) makes the matrix upper triangular."""
    one = np.eye(len(rank))
    matrix, shift = one.copy(), np.zeros(len(rank))
    for at, row in rules.rows.items():
        matrix[at], shift[at] = row, rules.shifts.get(at, 0.0)
    order = np.ix_(*[np.argsort(rank, kind="stable")] * 2)
    inverse = np.empty_like(matrix)
    # A triangular matrix is inverted without cancellation, however different its columns' units.
    inverse[order] = np.linalg.inv(matrix[order])
    there, back = [], []
    for at, (by, factor) in rules.bends.items():
        there.append(Bend(one[at], factor, matrix[by], float(shift[by])))
        back.append(Bend(-inverse[:, at], factor, one[by], 0.0))
    return Map(matrix, shift, tuple(there)), Map(inverse, -inverse @ shift, tuple(back))


def _rank(blocks: list[Block], size: int) -> np.ndarray:
    """An order of the coordinates, (D,), in which the map to the user's is upper triangular."""
    rank = np.zeros(size)
    for block in blocks:
        p = block.turned.matrix.shape[1]
        for slots in block.layout.slots:
            for i, number in enumerate(slots):
                index = block.layout.predictors[number].index
                s, column = np.nonzero(index >= 0)
                place = (
                    column
                    if block.layout.predictors[number].constant
                    else block.turned.rank[column]
                )
                rank[index[s, column]] = i * (p + 1) + place
    return rank
