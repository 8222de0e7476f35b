"""Residuals of several columns: of each against its mean, and of each given the earlier ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from bayesmix.results.at import At
from bayesmix.results.means import mean_cells


def column_residuals(at: At, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Of every column its name and residuals (n, S); NaN where it is missing.

    "response": y - mean; "pearson" and "deviance", which are the same for a normal column: that
    over its standard deviation.
    """
    means = mean_cells(at)
    spread = np.empty(means.shape)
    for s, family, _ in at.components():
        assert family.variance is not None
        spread[..., s] = np.sqrt(np.broadcast_to(family.variance(**at.natural(s)), at.y.shape)).T
    for number, name in enumerate(at.block.columns):
        values = at.y[:, number, None] - means[number]
        yield name, values if kind == "response" else values / spread[number]


def columns_in_turn(at: At) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Of every column, given the earlier ones: name, log densities (n, S), ends, where it is known.

    The ends (S, 4, n) are P(Y < y), P(Y <= y), P(Y > y) and P(Y >= y) by component.
    """
    found = []
    for s, family, _ in at.components():
        assert family.in_turn is not None
        found.append(family.in_turn(at.y, **at.natural(s)))
    scores, densities = (np.array(each) for each in zip(*found, strict=True))  # (S, n, q)
    for number, name in enumerate(at.block.columns):
        score = np.nan_to_num(scores[:, :, number])
        below, above = ndtr(score), ndtr(-score)
        ends = np.stack([below, below, above, above], axis=1)
        yield name, densities[:, :, number].T, ends, ~np.isnan(at.y[:, number])
