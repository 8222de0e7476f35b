"""Where the constants of stateful functions come from: rows in memory, all blocks, or a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmix.formula.binding import BoundExpression
from bayesmix.formula.stateful import Stateful, Unsettled

if TYPE_CHECKING:
    from bayesmix.formula.sources.stream import Block, Stream

type Table = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass
class Constants:
    """The constants of a model's stateful functions, in the order of its formulas.

    Parameters
    ----------
    weights : str, optional
        The column of case weights.
    stream : Stream, optional
        All rows, where the data are a sample of them.
    known : sequence of dict
        What `found` had when the model was stored.
    """

    weights: str | None = None
    stream: Stream | None = None
    known: Sequence[dict[str, Any]] = ()
    found: list[dict[str, Any]] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether a first look at the data is not enough."""
        return self.stream is not None or bool(self.known)

    def settle(
        self, expressions: Sequence[BoundExpression], data: pd.DataFrame, table: Table | None = None
    ) -> None:
        """Give stateful functions their constants from all rows, block by block.

        Parameters
        ----------
        expressions : sequence of BoundExpression
        data : DataFrame
            The sample of the rows.
        table : callable, optional
            What makes of a block the rows that the expressions read.
        """
        bound = [b for b in expressions if any(_stateful(b))]
        functions = [f for b in bound for f in _stateful(b)]
        if self.known:
            for function, constants in zip(functions, self.known[len(self.found) :], strict=False):
                function.restore(constants)
        elif self.stream is not None:
            self._look(self.stream, bound, data, table)
        if self.waits:
            self.found += [{n: v.tolist() for n, v in f.constants.items()} for f in functions]

    def _look(
        self,
        stream: Stream,
        bound: Sequence[BoundExpression],
        data: pd.DataFrame,
        table: Table | None,
    ) -> None:
        """Go through the blocks until no function lacks a constant; outer ones wait for inner."""
        while waiting := [(b, f) for b in bound if (f := _unsettled(b, data)) is not None]:
            task = partial(_looked, [b for b, _ in waiting], self.weights, table)
            parts = list(stream.map(task))
            for i, (_, function) in enumerate(waiting):
                function.settle(function.joined([part[i] for part in parts]))


def _stateful(bound: BoundExpression) -> Iterable[Stateful]:
    return (f for f in bound.functions if isinstance(f, Stateful))


def _unsettled(bound: BoundExpression, data: pd.DataFrame) -> Stateful | None:
    """The first function of an expression that lacks a constant; None for none."""
    try:
        bound(data)
    except Unsettled as met:
        if met.function.stage == 0:
            met.function.begin(met.x)
        return _unsettled(bound, data) if met.function.settled else met.function
    return None


def _looked(
    expressions: Sequence[BoundExpression], weights: str | None, table: Table | None, block: Block
) -> list[np.ndarray]:
    """What the rows of a block contribute to the constants of some expressions."""
    frame = block.frame if table is None else table(block.frame)
    w = np.ones(len(frame)) if weights is None else frame[weights].to_numpy(float)
    return [_sums(bound, frame, w) for bound in expressions]


def _sums(bound: BoundExpression, frame: pd.DataFrame, w: np.ndarray) -> np.ndarray:
    try:
        bound(frame)
    except Unsettled as met:
        return met.function.sums(met.x, w)
    raise AssertionError(bound.expression.text)
