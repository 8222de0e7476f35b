"""A point mass at zero, for responses with more zeros than another component gives."""

from __future__ import annotations

import numpy as np

from bayesmix.families.base import Array, Family, Observed


def density(obs: Observed) -> Array:
    """0 where y is zero, -inf elsewhere: log probability, shape (n,)."""
    return np.where(obs.y == 0, 0.0, -np.inf)


FAMILY = Family(
    "zero",
    params={},
    location=None,
    density=density,
    mean=lambda: 0.0,
    variance=lambda: 0.0,
    tails=lambda y: (np.where(y >= 0, 1.0, 0.0), np.where(y >= 0, 0.0, 1.0)),
    simulate=lambda rng: np.zeros(()),
    equation=r"f(0) = 1",
    source="Lambert (1992), Technometrics 34, 1-14 (zero inflation)",
)
