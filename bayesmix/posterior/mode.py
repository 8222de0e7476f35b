"""A mode of a posterior density, and what share of the mass makes one count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A mode with a larger share of the mass than this gets a chain, and is missed without one.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Mode:
    """A mode of the density of theta.

    Parameters
    ----------
    theta : ndarray, shape (D,)
        Held parameters at their values.
    log_density : float
    factor : ndarray, shape (f, f)
        A square root L of the inverse curvature in the free parameters, L L' = H^-1.
    log_mass : float
        Laplace's estimate of the log mass around it.
    share : float
        Its share of the mass of all modes found.
    """

    theta: np.ndarray
    log_density: float
    factor: np.ndarray
    log_mass: float
    share: float
