"""Residuals of several columns: of each against its mean, and of each given the earlier ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from bayesmix.model import BlockRows
from bayesmix.model.layout import BlockLayout
from bayesmix.results.means import mean_cells, natural


def column_residuals(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, kind: str
) -> Iterator[tuple[str, np.ndarray]]:
    """Of every column its name and residuals (n, S); NaN where it is missing.

    "response": y - mean; "pearson" and "deviance", which are the same for a normal column: that
    over its standard deviation.
    """
    assert data.response is not None
    means = mean_cells(block, data, theta)
    spread = np.empty(means.shape)
    for s, family in enumerate(block.families):
        assert family.variance is not None
        found = family.variance(**natural(block, data, theta, s))
        spread[..., s] = np.sqrt(np.broadcast_to(found, data.response.y.shape)).T
    for number, name in enumerate(block.columns):
        values = data.response.y[:, number, None] - means[number]
        yield name, values if kind == "response" else values / spread[number]


def columns_in_turn(
    block: BlockLayout, data: BlockRows, theta: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Of every column, given the earlier ones: name, log densities (n, S), ends, where it is known.

    The ends (S, 4, n) are P(Y < y), P(Y <= y), P(Y > y) and P(Y >= y) by component.
    """
    assert data.response is not None
    y = data.response.y
    found = []
    for s, family in enumerate(block.families):
        assert family.in_turn is not None
        found.append(family.in_turn(y, **natural(block, data, theta, s)))
    scores, densities = (np.array(each) for each in zip(*found, strict=True))  # (S, n, q)
    for number, name in enumerate(block.columns):
        score = np.nan_to_num(scores[:, :, number])
        below, above = ndtr(score), ndtr(-score)
        ends = np.stack([below, below, above, above], axis=1)
        yield name, densities[:, :, number].T, ends, ~np.isnan(y[:, number])
