"""Weights and means at rows, and the split of a difference into two parts.

With total_i = sum_s pi_is mu_is, weights and means change from (pi0, mu0) to (pi1, mu1):

    total1 - total0 = sum_s (pi0 + pi1) / 2 (mu1 - mu0)  +  sum_s (mu0 + mu1) / 2 (pi1 - pi0)

The first sum is the part through the components, the second that through the weights; in a
slope the two points fall together, and the split is the product rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesmix.errors import FitError
from bayesmix.families.survival.base import log_survival
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout
from bayesmix.results.predict import (
    Cell,
    cells_of,
    linear_cells,
    mean_cells,
    mean_scale,
    natural,
    row_weights,
)

__all__ = ["PARTS", "Quantity", "quantity", "split"]

PARTS = ("total", "components", "weights")
WHAT = ("mean", "link", "weight", "survival")


@dataclass(frozen=True)
class Quantity:
    """What is predicted for a row: a value by component, and whether it has a marginal.

    Parameters
    ----------
    what : str
    cells : tuple of Cell
        The numbers of the responses.
    of_block : callable, or None
        From (block, rows, theta) to values (cells, n, S); None for the weights themselves.
    marginal : bool
        Whether the mean over the components, by their weights, has a meaning.
    scale : str
        Where intervals of predictions are symmetric.
    """

    what: str
    cells: tuple[Cell, ...]
    of_block: Callable[[BlockLayout, BlockRows, np.ndarray], np.ndarray] | None
    marginal: bool
    scale: str

    def values(
        self, spec: MixtureSpec, rows: Rows, theta: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (n, S) and values (cells, n, S)."""
        weights = np.asarray(row_weights(spec, theta, rows)) if self.weighted else np.empty(0)
        if self.of_block is None:
            return weights, weights[None]
        pairs = zip(spec.layout.blocks, rows.blocks, strict=True)
        of_block = self.of_block
        names = {cell.response for cell in self.cells}
        return weights, np.concatenate([of_block(b, r, theta) for b, r in pairs if b.name in names])

    @property
    def weighted(self) -> bool:
        """Whether the components' weights are needed."""
        return self.marginal or self.of_block is None


def quantity(spec: MixtureSpec, what: str, response: str | None, time: float | None) -> Quantity:
    """The quantity with this name.

    Raises
    ------
    FitError
        If it is unknown, or does not go with the response.
    """
    if what not in WHAT:
        msg = f"what={what!r} is unknown; use one of {WHAT}"
        raise FitError(msg)
    blocks = [b for b in spec.layout.blocks if what != "survival" or b.survival]
    names = tuple(b.name for b in blocks if response in (None, b.name))
    if not names:
        every = ", ".join(repr(b.name) for b in spec.layout.blocks)
        asked = f"response={response!r}" if response is not None else "what='survival'"
        msg = f"{asked}: the responses are {every}" + (
            "; survival is of surv(...) responses" if what == "survival" else ""
        )
        raise FitError(msg)
    if (time is not None) != (what == "survival"):
        msg = "time= goes with what='survival', P(T > time), which needs it; give both or neither"
        raise FitError(msg)
    if what == "weight":
        return Quantity(what, (Cell("weight"),), None, marginal=False, scale="probability")
    cells = tuple(c for b in blocks if b.name in names for c in cells_of(b, what))
    if what == "link":
        return Quantity(what, cells, linear_cells, marginal=False, scale="identity")
    if what == "mean":
        scales = {mean_scale(b) for b in blocks if b.name in names}
        scale = scales.pop() if len(scales) == 1 else "identity"
        return Quantity(what, cells, mean_cells, marginal=True, scale=scale)
    assert time is not None
    return Quantity(what, cells, _survival_at(float(time)), marginal=True, scale="probability")


def _survival_at(time: float) -> Callable[[BlockLayout, BlockRows, np.ndarray], np.ndarray]:
    if not time >= 0:
        msg = f"time={time!r} must be a time of zero or more"
        raise FitError(msg)

    def survival(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
        n = len(data.matrix)
        columns = [
            np.broadcast_to(
                np.exp(log_survival(f, np.full(n, time), natural(block, data, theta, s))), n
            )
            for s, f in enumerate(block.families)
        ]
        return np.column_stack(columns)[None]

    return survival


def split(
    high: tuple[np.ndarray, np.ndarray],
    low: tuple[np.ndarray, np.ndarray],
    *,
    marginal: bool,
) -> np.ndarray:
    """Differences (cells, n, m): total, components and weights, then by component.

    Parameters
    ----------
    high, low : tuple of ndarray
        Weights (n, S) and values (cells, n, S).
    marginal : bool
        Whether there are a total and its parts.
    """
    change = high[1] - low[1]
    if not marginal:
        return change
    weight = (high[0] + low[0]) / 2
    through = _sum(weight, change)
    shifted = _sum(high[0] - low[0], (high[1] + low[1]) / 2)
    return np.concatenate([np.stack([through + shifted, through, shifted], -1), change], -1)


def _sum(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums over the components, where a weight of zero counts nothing."""
    return np.where(weights != 0, weights * values, 0.0).sum(-1)
