"""The map from standard coordinates to the user's, entry by entry of theta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np

from bayesmix.families.effects_kernel import places
from bayesmix.families.units import Change
from bayesmix.model.coordinates import Bend, Map
from bayesmix.model.layout import Predictor
from bayesmix.model.standard.blocks import Block
from bayesmix.model.standard.columns import Turned
from bayesmix.model.standard.responses import Inconsistent


class Rules(NamedTuple):
    """How some of the user's entries of theta follow from standard ones; zero for the others.

    Rows of the `matrix` (D, D), `shift` (D,), of some entries the one that bends them with its
    factor, and a `rank` (D,): in its order the matrix is upper triangular.
    """

    matrix: np.ndarray
    shift: np.ndarray
    bends: dict[int, tuple[int, float]]
    rank: np.ndarray

    @classmethod
    def empty(cls, size: int) -> Rules:
        """Rules of no entry."""
        return cls(np.zeros((size, size)), np.zeros(size), {}, np.zeros(size))


class _Entries(NamedTuple):
    """Those of a parameter of some components: where they stand, and what `Rules` say of them."""

    at: np.ndarray
    rows: np.ndarray
    shift: np.ndarray
    bends: dict[int, tuple[int, float]]
    rank: np.ndarray


def block_rules(block: Block, held: Mapping[int, float], size: int) -> Rules:
    """The rules of a response's coefficients and dispersions.

    Raises
    ------
    Inconsistent
        Where components that share an entry need different ones, or one that is held depends on
        others.
    """
    out, known = Rules.empty(size), np.zeros(size, bool)
    for entries in _entries(block, size):
        at, rows, shift, bends, rank = entries
        if (again := known[at]).any():
            _agree(out, entries, again)
        for j, row in zip(at.tolist(), rows, strict=True) if held else ():
            if j in held and (j in bends or np.delete(row, j).any()):
                raise Inconsistent
        out.matrix[at], out.shift[at], out.rank[at], known[at] = rows, shift, rank, True
        out.bends.update(bends)
        if len(set(at.tolist())) < len(at):
            _agree(out, entries, np.ones(len(at), bool))
    if block.layout.random:
        _effect_rules(block, out)
    return out


def _agree(out: Rules, given: _Entries, again: np.ndarray) -> None:
    """Refuse rules that differ from those that some of the entries, `again` (e,), have already."""
    at, rows, shift = given.at[again], given.rows[again], given.shift[again]
    far = np.abs(out.matrix[at] - rows) > 1e-9 * np.abs(rows)
    apart = np.abs(out.shift[at] - shift) > 1e-8 + 1e-5 * np.abs(shift)
    if far.any() or apart.any() or any(out.bends.get(j) != given.bends.get(j) for j in at.tolist()):
        raise Inconsistent


def _entries(block: Block, size: int) -> Iterator[_Entries]:
    """The entries of theta, parameter by parameter, of components alike."""
    layout, turn, width = block.layout, block.turned.turn, len(block.turned.rank) + 1
    for members in _alike(block):
        change, slots = block.turn.changes[members[0]], layout.slots[members[0]]
        predictors = [layout.predictors[number] for number in slots]
        for i, (number, predictor) in enumerate(zip(slots, predictors, strict=True)):
            constant, index = block.constants[number], predictor.index[members]
            if change.shift[i] and constant is None:
                raise Inconsistent
            s, has = (index >= 0).nonzero()
            rows = np.zeros((len(has), size + 1))  # the last column is of no entry
            for other, factor in zip(predictors, change.mixing[i].tolist(), strict=True):
                if not factor:
                    continue
                theirs = other.index[members]
                if other is not predictor and ((theirs >= 0) & (index < 0)).any():
                    raise Inconsistent
                turned = 1.0 if predictor.constant else turn[has]
                rows[np.arange(len(has))[:, None], theirs[s]] += factor * turned
            shift = np.zeros(len(has)) if constant is None else change.shift[i] * constant[has]
            bends = _bends(change, i, predictors, members[0], has) if change.bend else {}
            rank = i * width + (has if predictor.constant else block.turned.rank[has])
            yield _Entries(index[s, has], rows[:, :size], shift, bends, rank)


def _alike(block: Block) -> Iterator[np.ndarray]:
    """Components of one family; each by itself where entries bend others."""
    for _, members in block.layout.groups():
        bent = block.turn.changes[members[0]].bend
        yield from [members] if bent is None else members[:, None]


def _bends(
    change: Change, i: int, predictors: list[Predictor], s: int, columns: np.ndarray
) -> dict[int, tuple[int, float]]:
    """The entry that bends another, and the factor, by that other one: both intercepts alone."""
    assert change.bend is not None
    bent, by, log_unit = change.bend
    if i != bent or not log_unit:
        return {}
    used = np.flatnonzero(predictors[by].index[s] >= 0)
    if len(used) != 1 or predictors[by].terms[used[0]] != "Intercept":
        raise Inconsistent
    index = predictors[bent].index[s]
    if len(columns) and index[used[0]] < 0:
        raise Inconsistent
    pair = (int(predictors[by].index[s, used[0]]), -log_unit)
    return {int(index[used[0]]): pair} if len(columns) else {}


def _effect_rules(block: Block, out: Rules) -> None:
    """Where the root U of the random effects' covariance goes: U = u T U', a triangle too.

    A diagonal entry is a logarithm, so that it bends those of its column.  Under a proportional
    covariance all entries but the first are relative to the first.
    """
    layout, turn, unit = block.layout, block.turn.effects, block.turn.units.unit
    relative = layout.random_covariance == "proportional"
    factor = 1 / turn[0, 0] if relative else unit
    numbers = dict(zip(places(len(layout.random)), layout.roots, strict=True))
    for s in range(len(layout.families)):
        at = {p: int(layout.predictors[n].index[s, 0]) for p, n in numbers.items()}
        for (i, j), position in at.items():
            row, first = np.zeros(len(out.shift)), not (i or j)
            if i == j:
                row[position] = 1.0
                scale = unit if first or not relative else factor
                out.shift[position] = np.log(turn[j, j] * scale)
            else:
                for k in range(i, j):
                    row[at[k, j]] = factor * turn[i, k]
                if turn[i, j]:
                    out.bends[position] = (at[j, j], float(turn[i, j] / turn[j, j]))
                out.shift[position] = 0.0
            out.matrix[position] = row


def weight_rules(alpha: np.ndarray, turned: Turned, size: int) -> Rules:
    """The rules of the weights' coefficients (S, Q), whose designs have been turned."""
    out = Rules.empty(size)
    for at in alpha[(alpha >= 0).all(1)]:
        out.matrix[at[:, None], at], out.rank[at] = turned.turn, turned.rank
    return out


def maps(parts: Sequence[Rules]) -> tuple[Map, Map]:
    """To the user's coordinates, and back, by rules of different entries; others stay."""
    matrix = reduce(np.add, [part.matrix for part in parts])
    shift = reduce(np.add, [part.shift for part in parts])
    rank = reduce(np.add, [part.rank for part in parts])
    matrix = matrix + np.diag(~matrix.any(1))
    order = rank.argsort(kind="stable")
    back = order.argsort()
    # A triangular matrix is inverted without cancellation, however different its columns' units.
    inverse = np.linalg.inv(matrix[order][:, order])[back][:, back]
    one, to, fro = np.eye(len(rank)), [], []
    for at, (by, factor) in (pair for part in parts for pair in part.bends.items()):
        to.append(Bend(one[at], factor, matrix[by], float(shift[by])))
        fro.append(Bend(-inverse[:, at], factor, one[by], 0.0))
    return Map(matrix, shift, tuple(to)), Map(inverse, -inverse @ shift, tuple(fro))
