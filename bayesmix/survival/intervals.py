"""Estimates of quantities with their uncertainty, from point fits or from draws.

A point fit gives the estimate with an interval by the delta method (or from draws of the
estimates' normal approximation), a posterior the mean of its draws with equal-tailed limits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import linalg, special

from bayesmix._arguments import fraction, generator, whole_number
from bayesmix.errors import FitError, IdentifiabilityWarning
from bayesmix.model import MixtureSpec
from bayesmix.results.covariance import covariance
from bayesmix.results.fitted import Fitted

__all__ = ["Band", "Estimator", "Source"]

Values = Callable[[np.ndarray], np.ndarray]
# Step of the delta method, in standard errors.
STEP = 0.05
PACKAGE = str(Path(__file__).parents[1])
INTERVALS = ("delta", "simulation")
# Where intervals are symmetric.
SCALES: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "probability": (special.logit, special.expit),
    "positive": (np.log, np.exp),
}


@dataclass(frozen=True)
class Band:
    """Estimates with limits, each of shape (n, ...)."""

    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Source:
    """Where the numbers come from: a point fit, or draws (T, D) of a posterior."""

    spec: MixtureSpec
    fitted: Fitted | None
    draws: np.ndarray | None


@dataclass(frozen=True)
class Estimator:
    """How uncertainty is computed.

    Parameters
    ----------
    ci : float
        Coverage of the intervals.
    interval : str, optional
        Of a point fit: "delta", the default, or "simulation" from the normal approximation.
    draws : int, optional
        Of a simulation, 1000 by default.
    seed : int or numpy.random.Generator, optional
        Of a simulation.
    """

    ci: float = 0.95
    interval: str | None = None
    draws: int | None = None
    seed: Any = None

    def __post_init__(self) -> None:
        """Check the options."""
        fraction("ci", self.ci, 0.95, error=FitError)
        if self.interval not in (None, *INTERVALS):
            msg = f"interval={self.interval!r} is unknown; use one of {INTERVALS}"
            raise FitError(msg)
        if self.draws is not None:
            whole_number("draws", self.draws, "the number of draws", 100, FitError)
        if self.interval != "simulation" and (self.draws, self.seed) != (None, None):
            msg = (
                "draws= and seed= belong to interval='simulation'; give that too, or leave them out"
            )
            raise FitError(msg)

    def over(self, sources: Sequence[Source], values_at: Values, scale: str) -> Band:
        """Estimates of a quantity of one fit, or of several independent ones, with limits.

        Parameters
        ----------
        sources : sequence of Source
            All point fits, or all posteriors, whose draws go together in order.
        values_at : callable
            From parameters (T, D), those of the fits side by side, to (T, n, ...).
        scale : str
            "probability" or "positive": where intervals are symmetric.
        """
        draws = [s.draws for s in sources if s.draws is not None]
        if draws:
            if self.interval is not None:
                msg = (
                    f"interval={self.interval!r} belongs to point fits; a posterior's limits are "
                    "those of its draws, so leave it out"
                )
                raise FitError(msg)
            least = min(len(d) for d in draws)
            values = values_at(np.hstack([d[:least] for d in draws]))
            return Band(values.mean(0), *self._tails(values))
        fits = [s.fitted for s in sources if s.fitted is not None]
        theta = np.concatenate([f.theta for f in fits])
        center = values_at(theta[None])[0]
        factors = [factor for f in fits if (factor := _factor(f)) is not None]
        if len(factors) < len(fits):
            unknown = np.full(center.shape, np.nan)
            return Band(center, unknown, unknown)
        factor = linalg.block_diag(*factors)
        if self.interval == "simulation":
            rng = generator(self.seed)
            moves = rng.standard_normal((self.draws or 1000, factor.shape[1])) @ factor.T
            return Band(center, *self._tails(values_at(theta + moves)))
        return self._delta(values_at, theta, factor, scale, center)

    def _tails(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tails = np.quantile(values, [0.5 - self.ci / 2, 0.5 + self.ci / 2], axis=0)
        return tails[0], tails[1]

    def _delta(
        self,
        values_at: Values,
        theta: np.ndarray,
        factor: np.ndarray,
        scale: str,
        center: np.ndarray,
    ) -> Band:
        """Symmetric on the logit or log scale; slopes by differences along the factor."""
        forward, inverse = SCALES[scale]
        moves = np.concatenate([STEP * factor.T, -STEP * factor.T])
        with np.errstate(all="ignore"):
            values = forward(values_at(theta + moves))
            up, down = np.split(values, 2)
            se = np.sqrt(np.square((up - down) / (2 * STEP)).sum(0))
            reach = special.ndtri(0.5 + self.ci / 2) * se
            lower, upper = inverse(forward(center) - reach), inverse(forward(center) + reach)
        # Where a quantity cannot vary (a probability of zero, an infinite time) it is its interval.
        still = ~np.isfinite(forward_of(forward, center))
        return Band(center, np.where(still, center, lower), np.where(still, center, upper))


def forward_of(forward: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """A transformation without the warnings of its ends."""
    with np.errstate(all="ignore"):
        return forward(values)


def _factor(fitted: Fitted) -> np.ndarray | None:
    """A square root (D, f) of the covariance of theta; None where there is none."""
    cov = covariance(fitted)
    free = np.flatnonzero(fitted.spec.free)
    matrix = cov.matrix[np.ix_(free, free)]
    if not np.isfinite(matrix).all():
        warnings.warn(
            f"no intervals: the fit (status {fitted.status!r}) has no finite covariance, for its "
            "data do not determine all parameters, or it is no maximum; use fit('map') or a "
            "posterior",
            IdentifiabilityWarning,
            skip_file_prefixes=(PACKAGE,),
        )
        return None
    values, vectors = np.linalg.eigh(matrix)
    out = np.zeros((len(cov.matrix), len(free)))
    out[free] = vectors * np.sqrt(np.maximum(values, 0.0))
    return out
