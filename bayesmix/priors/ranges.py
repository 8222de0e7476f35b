"""Parameters whose priors are zero outside a range, and coordinates in which it has no ends.

As in Stan and PyMC a natural parameter x between l and u becomes

    v = log(x - l) - log(u - x),

without the term of an end that is infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.links import Link

# Shares of a range: a parameter is kept so far inside it, and is near an end within so much.
INSIDE, REACHED = 1e-9, 1e-3
TINY = 1e-150


class Ranged(NamedTuple):
    """Entries `at` (m,) of theta whose priors are zero outside a range, and its ends, each (m,).

    `width` is the size of the range or, without two ends, of the numbers in it.
    """

    at: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    width: np.ndarray
    link: Link

    @classmethod
    def of(cls, at: np.ndarray, link: Link, lower: np.ndarray, upper: np.ndarray) -> Ranged:
        """These entries (m,) with the ends of their priors."""
        ends = np.array([lower, upper])
        size = np.where(np.isfinite(ends), np.abs(ends), 0.0).max(0)
        finite = np.isfinite(ends).all(0)
        width = np.where(finite, np.subtract(*np.where(finite, ends, 0.0)[::-1]), size + 1.0)
        return cls(at, lower, upper, width, link)

    def where(self, chosen: np.ndarray) -> Ranged:
        """Those of its entries that are chosen, (D,)."""
        keep = chosen[self.at]
        at, lower, upper, width = (part[keep] for part in self[:-1])
        return Ranged(at, lower, upper, width, self.link)

    @property
    def inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends (m,), a little inside; infinite where theta itself has none."""
        lower = np.where(self.lower > self.link.lower, self.lower + INSIDE * self.width, -np.inf)
        upper = np.where(self.upper < self.link.upper, self.upper - INSIDE * self.width, np.inf)
        return lower, upper

    def opened(self, phi: np.ndarray) -> np.ndarray:
        """V (..., m) of entries phi of theta."""
        low, high = _gaps(self.link.inverse(phi), self.lower, self.upper)
        return np.log(low) - np.log(high)

    def log_slope(self, phi: np.ndarray) -> np.ndarray:
        """Logarithm of the slope of entries phi of theta (..., m) in v, without its sign."""
        opening = log_opening(self.link.inverse(phi), self.lower, self.upper)
        return opening - self.link.log_slope(phi)

    def closed(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entries phi of theta (..., m) at v, and their slope in v."""
        low, high = np.isfinite(self.lower), np.isfinite(self.upper)
        lower, upper = np.where(low, self.lower, 0.0), np.where(high, self.upper, 0.0)
        share = np.where(high, expit(v), np.exp(v)), np.where(low, expit(-v), np.exp(-v))
        scale = np.where(low & high, upper - lower, 1.0)
        x = np.where(low, lower + scale * share[0], upper - share[1])
        slope = scale * np.where(low, share[0], 1.0) * np.where(high, share[1], 1.0)
        phi = self.link.forward(x)
        return phi, slope / self.link.slope(phi)


def opening(ranges: Sequence[Ranged], phi: np.ndarray) -> np.ndarray:
    """What the priors are of, phi (..., D), in coordinates without ends."""
    out = phi.copy()
    for own in ranges:
        out[..., own.at] = own.opened(phi[..., own.at])
    return out


def closing(ranges: Sequence[Ranged], opened: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the priors are of (..., D) from coordinates without ends, and its slope in them."""
    phi, slope = opened.copy(), np.ones_like(opened)
    for own in ranges:
        phi[..., own.at], slope[..., own.at] = own.closed(opened[..., own.at])
    return phi, slope


def has_range(prior: Prior, link: Link) -> bool:
    """Whether a prior has an end before the parameter itself has."""
    lower = prior.parameters.get("lower", -np.inf)
    upper = prior.parameters.get("upper", np.inf)
    return bool(lower > link.lower or upper < link.upper)


def log_opening(x: Any, lower: np.ndarray, upper: np.ndarray) -> Any:
    """Logarithm of dx/dv at x (..., m) between ends (m,)."""
    low, high = _gaps(x, lower, upper)
    whole = np.isfinite(lower) & np.isfinite(upper)
    return xp.log(low) + xp.log(high) - np.log(np.where(whole, upper - lower, 1.0))


def _gaps(x: Any, lower: np.ndarray, upper: np.ndarray) -> tuple[Any, Any]:
    """How far x is from its ends, hardly at all if it is beyond them; one where there is none."""
    low, high = np.isfinite(lower), np.isfinite(upper)
    below, above = x - np.where(low, lower, 0.0), np.where(high, upper, 0.0) - x
    return (
        xp.where(low, xp.where(below > 0, below, TINY), 1.0),
        xp.where(high, xp.where(above > 0, above, TINY), 1.0),
    )
