"""Coordinates in which priors that are zero outside a range have no ends.

A posterior may be highest at an end of the range, where theta's own density jumps to zero.  In
coordinates without ends (`priors.ranges`) it has a mode inside, near which it is smooth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.model.coordinates import Map
from bayesmix.posterior.mode import Mode
from bayesmix.priors import PriorModel, Ranged, closing, free_ranges, opening


@dataclass(frozen=True)
class Opened:
    """Theta with each free entry whose prior has a range replaced by one without ends.

    Parameters
    ----------
    model : PriorModel
    free : ndarray of bool, shape (D,)
    """

    model: PriorModel
    free: np.ndarray

    @classmethod
    def of(cls, problem: Problem) -> Opened:
        """Those of a problem with priors as its penalty."""
        return cls(problem.priors, problem.spec.free)

    @cached_property
    def ranges(self) -> tuple[Ranged, ...]:
        """The entries and their ranges."""
        return free_ranges(self.model, self.free)

    @cached_property
    def _place(self) -> Map:
        """To the natural ranges of what has one; the rest of theta stays."""
        size, mask = len(self.free), np.zeros(len(self.free), bool)
        for own in self.ranges:
            mask[own.at] = True
        plain = Map.identity(size)
        return plain if self.model.map is None else self.model.map.rows(mask, plain)

    def mode(self, mode: Mode) -> Mode:
        """A mode, found in coordinates without ends, as a place and a root of them."""
        if not self.ranges:
            return mode
        opened = np.where(self.free, opening(self.ranges, self._place(mode.theta)), mode.theta)
        slope = closing(self.ranges, opened)[1]
        ways = self._slopes(mode.theta) @ mode.factor
        return replace(mode, theta=opened, factor=ways / slope[self.free, None])

    def theta(self, opened: np.ndarray) -> np.ndarray:
        """Theta (..., D) at points (..., D)."""
        if not self.ranges:
            return opened
        moved = self._place.solve(closing(self.ranges, opened)[0])
        return np.where(self.free, moved, opened)

    def score(self, opened: np.ndarray, theta: np.ndarray, score: np.ndarray) -> np.ndarray:
        """The free part of a score in theta (D,) as one in these coordinates, (f,)."""
        if not self.ranges:
            return score[self.free]
        slope = closing(self.ranges, opened)[1]
        return slope[self.free] * np.linalg.solve(self._slopes(theta).T, score[self.free])

    def _slopes(self, theta: np.ndarray) -> np.ndarray:
        return self._place.jacobian(theta)[np.ix_(self.free, self.free)]
