"""A mixture, frozen: parameters with their places, rows, and how both came about."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from bayesmix.model.coordinates import Standard
from bayesmix.model.kinds import Kind
from bayesmix.model.layout import Layout, Smooth
from bayesmix.model.parts import Prepared
from bayesmix.model.rows import Rows, apply
from bayesmix.model.weights import WeightModel


@dataclass(frozen=True)
class MixtureSpec:
    """A mixture, ready for any method of estimation.

    Parameters
    ----------
    layout : Layout
    rows : Rows
        Or `Sampled`, of rows that come in blocks.
    weights : WeightModel
    prepared : Prepared
        What the designs came from; new data go through the same encodings.
    held : dict of int to float
        Entries of theta that are not estimated, unconstrained scale.
    standard : Standard, or None
        The way back to the user's coordinates, where these are standard ones.
    smooths : tuple of Smooth
        Splines whose priors have parameters of their own.
    whole : tuple
        Names of all components, if some have been removed.
    """

    layout: Layout
    rows: Rows
    weights: WeightModel
    prepared: Prepared
    held: Mapping[int, float] = field(default_factory=dict)
    standard: Standard | None = None
    smooths: tuple[Smooth, ...] = ()
    whole: tuple[Hashable, ...] = ()

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self.layout.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self.layout.k

    @property
    def kind(self) -> Kind:
        """What the components are."""
        return self.prepared.kind

    @property
    def hidden(self) -> bool:
        """Whether there are several components, and data do not name them."""
        return self.k > 1 and not self.kind.named

    @property
    def named(self) -> bool:
        """Whether some units are known to belong to each component, as with competing events."""
        allowed = self.rows.sample.allowed
        if allowed is None:
            return False
        return bool(allowed[allowed.sum(1) == 1].any(0).all())

    @cached_property
    def free(self) -> np.ndarray:
        """Which entries of theta are estimated, shape (D,)."""
        mask = np.ones(self.layout.size, bool)
        mask[list(self.held)] = False
        mask.flags.writeable = False
        return mask

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return int(self.free.sum())

    @property
    def n_obs(self) -> float:
        """Number of rows with an observed response, or the sum of their weights."""
        return self.rows.row_weight

    @property
    def n_units(self) -> float:
        """Number of units with an observed response, or the sum of their weights."""
        return self.rows.unit_weight

    def user(self, theta: np.ndarray) -> np.ndarray:
        """Theta (..., D) in the user's coordinates."""
        return theta if self.standard is None else self.standard.to_user(theta)

    def apply(self, newdata: pd.DataFrame | None, *, response: bool, weights: bool = True) -> Rows:
        """New data through the same encodings.

        Parameters
        ----------
        newdata : DataFrame, or None
            None: the training rows.
        response : bool
            Whether the response is needed too.
        weights : bool
            Whether the components' weights are needed.
        """
        if newdata is None:
            return self.rows
        return apply(self.prepared, self.layout, newdata, response=response, weights=weights)
