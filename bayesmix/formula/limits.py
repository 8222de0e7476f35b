"""Limits of a response: beyond them values cannot occur, or are only known to lie there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmix.formula.times import spread

TRUNCATED, CENSORED = "truncated", "censored"


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits of each of n responses.

    Parameters
    ----------
    kind : str
        "truncated": values outside cannot occur, the limits themselves can.  "censored": values at
        or beyond a limit are known to lie there, no more.
    lower, upper : ndarray of float64, shape (n,)
        Infinite where there is none.
    most : float
        The largest finite limit, which counts the terms of sums.
    """

    kind: str
    lower: Any
    upper: Any
    most: float = 0.0

    @classmethod
    def of(cls, kind: str, lower: np.ndarray, upper: np.ndarray) -> Limits:
        """Limits with the largest of them."""
        every = np.concatenate([lower, upper])
        return cls(kind, lower, upper, float(every[np.isfinite(every)].max(initial=0.0)))

    def take(self, rows: Any) -> Limits:
        """The same for some rows, by position, slice or mask."""
        return replace(self, lower=self.lower[rows], upper=self.upper[rows])

    def spread(self, there: np.ndarray) -> Limits:
        """The same among rows without limits; these are where `there` (n,) is true."""
        lower, upper = spread(self.lower, there, -np.inf), spread(self.upper, there, np.inf)
        return replace(self, lower=lower, upper=upper)

    def measured(self, centre: float, unit: float) -> Limits:
        """Limits of responses less a centre, in another unit."""
        lower, upper = (self.lower - centre) / unit, (self.upper - centre) / unit
        return Limits.of(self.kind, lower, upper)

    def applied(self, y: np.ndarray) -> np.ndarray:
        """Responses as they are recorded: those beyond a limit of censoring stand at it."""
        return np.clip(y, self.lower, self.upper) if self.kind == CENSORED else y

    def exact(self, y: np.ndarray) -> np.ndarray:
        """Whether each response is known itself, (n,)."""
        if self.kind == TRUNCATED:
            return np.ones(np.shape(y), bool)
        return (y > self.lower) & (y < self.upper)
