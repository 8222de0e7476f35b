"""One response at given parameters: natural values, and what its rows hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bayesmix.families import Family
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout


class At(NamedTuple):
    """The layout and the n rows of a response, and parameters `theta` (D,)."""

    block: BlockLayout
    data: BlockRows
    theta: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of components, (n, S)."""
        return len(self.data.matrix), len(self.block.families)

    @property
    def y(self) -> np.ndarray:
        """The response, (n,) or (n, q) of several columns."""
        assert self.data.response is not None
        return self.data.response.y

    @property
    def clusters(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of each row's cluster (n,), and columns of random effects (n, q)."""
        assert self.data.clustered is not None
        assert self.data.clustered.effects is not None
        codes = np.unique(self.data.clustered.codes, return_inverse=True)[1]
        return codes, self.data.clustered.effects

    def components(self) -> Iterator[tuple[int, Family, str]]:
        """Number and family of each component, and the place of what it reads."""
        for s, (family, key) in enumerate(zip(self.block.families, self.block.keys, strict=True)):
            yield s, family, key

    def natural(self, s: int) -> dict[str, np.ndarray]:
        """Natural parameters of component s, those with a design by row (n,), others numbers.

        Of levels their probabilities (n, L).
        """
        family = self.block.families[s]
        linked = family.linked(tuple(self.eta(s, slot) for slot in self.block.slots[s]))
        return {name: np.asarray(v) for name, v in family.natural(linked).items()}

    def eta(self, s: int, slot: int) -> np.ndarray | float:
        """A linear predictor of component s, (n,), or a number where it is constant.

        NaN where covariates are missing with their response.
        """
        predictor, data = self.block.predictors[slot], self.data
        own = predictor.coefficients(self.theta)[..., s, :]
        if predictor.constant:
            return own[..., 0]
        eta = own @ data.matrix.T
        if data.described is not None:
            eta = np.where(data.described, eta, np.nan)
        if data.offset is None or slot not in self.block.located(s):
            return eta
        return eta + (data.offset if data.offset.ndim == 1 else data.offset[s])


def responses(spec: MixtureSpec, rows: Rows, theta: np.ndarray) -> list[At]:
    """All responses of some rows at theta (D,)."""
    pairs = zip(spec.layout.blocks, rows.blocks, strict=True)
    return [At(block, data, theta) for block, data in pairs]
