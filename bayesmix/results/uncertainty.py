"""How uncertain a quantity of the parameters is: by the delta method, or from draws.

The delta method needs the slopes of a quantity q in the parameters.  They are central
differences along the columns of a square root L of the covariance V = L L', so that a step
is a small fraction of a standard error whatever the units of measurement:

    se(q)^2 = sum_j [ (q(theta + h L_j) - q(theta - h L_j)) / (2 h) ]^2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from bayesmix._arguments import fraction
from bayesmix.errors import FitError
from bayesmix.model import MixtureSpec
from bayesmix.results.covariance import covariance
from bayesmix.results.fitted import Fitted

__all__ = ["SCALES", "SHIFT", "Estimates", "Source", "depends", "estimates"]

Values = Callable[[np.ndarray], np.ndarray]
# Step of the differences, in standard errors.
STEP = 1e-3
# How far parameters go along a direction that the data do not determine, in units of their
# linear predictors, to see which values depend on it: far enough to leave a limit such as
# p = 1.  A change below these shares of a value and of its standard error is none.
SHIFT = 20.0
DEPENDS, DEPENDS_SE = 1e-6, 1e-3
# Where intervals are symmetric.
SCALES: dict[str, tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]] = {
    "identity": (np.asarray, np.asarray),
    "probability": (special.logit, special.expit),
    "positive": (np.log, np.exp),
}


@dataclass(frozen=True)
class Source:
    """Where the numbers come from: a point fit, or draws (T, D) of a posterior."""

    spec: MixtureSpec
    fitted: Fitted | None
    draws: np.ndarray | None


@dataclass(frozen=True)
class Estimates:
    """Quantities and how they vary.

    Parameters
    ----------
    value : ndarray, shape (...)
    moves : ndarray, shape (f, ...), or None
        Of a point fit: the change of the value by one standard deviation along each of f
        independent directions of the parameters.
    unknown : ndarray of bool, shape (...), or None
        Values that depend on a parameter which the data do not determine.
    draws : ndarray, shape (T, ...), or None
        Of a posterior.
    """

    value: np.ndarray
    moves: np.ndarray | None = None
    unknown: np.ndarray | None = None
    draws: np.ndarray | None = None

    @property
    def se(self) -> np.ndarray:
        """Standard errors; of draws their standard deviations."""
        if self.draws is not None:
            return self.draws.std(0, ddof=1)
        assert self.moves is not None
        assert self.unknown is not None
        return np.where(self.unknown, np.inf, np.sqrt(np.square(self.moves).sum(0)))

    def part(self, at: Any) -> Estimates:
        """Some of the values, by an index into their shape."""
        moves = None if self.moves is None else self.moves[:, at]
        unknown = None if self.unknown is None else self.unknown[at]
        draws = None if self.draws is None else self.draws[:, at]
        return Estimates(self.value[at], moves, unknown, draws)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance matrix (m, m) of m values."""
        if self.draws is not None:
            return np.atleast_2d(np.cov(self.draws, rowvar=False))
        assert self.moves is not None
        return self.moves.T @ self.moves

    def limits(self, ci: float, scale: str = "identity") -> tuple[np.ndarray, np.ndarray]:
        """Wald limits, symmetric on a scale; of draws equal-tailed ones.

        Parameters
        ----------
        ci : float
        scale : str
            One of `SCALES`.
        """
        fraction("ci", ci, 0.95, error=FitError)
        if self.draws is not None:
            # Between an infinite value and a finite one there is nothing to interpolate.
            method: Any = "linear" if np.isfinite(self.draws).all() else "inverted_cdf"
            tails = [0.5 - ci / 2, 0.5 + ci / 2]
            low, high = np.quantile(self.draws, tails, axis=0, method=method)
            return low, high
        forward, inverse = SCALES[scale]
        with np.errstate(all="ignore"):
            center = forward(self.value)
            reach = special.ndtri(0.5 + ci / 2) * self.se * _slope(scale, self.value)
            # What cannot vary (a probability of zero, an infinite time) is its own interval.
            still = ~np.isfinite(center)
            low = np.where(still, self.value, inverse(center - reach))
            high = np.where(still, self.value, inverse(center + reach))
        return low, high


def _slope(scale: str, value: np.ndarray) -> np.ndarray | float:
    """Derivative of the scale's transformation."""
    if scale == "identity":
        return 1.0
    return 1 / value if scale == "positive" else 1 / (value * (1 - value))


def estimates(
    source: Source, values_at: Values, *, kind: str = "observed", cluster: Any = None
) -> Estimates:
    """Values of a function of the parameters, and how they vary.

    Parameters
    ----------
    source : Source
    values_at : callable
        From parameters (D,) to values (...).
    kind, cluster
        As of `covariance`; of point fits.

    Raises
    ------
    FitError
        If a posterior is asked for another covariance than its draws'.
    """
    if source.draws is not None:
        if kind != "observed" or cluster is not None:
            msg = (
                "kind= and cluster= choose the covariance of a point fit; a posterior's "
                "uncertainty is that of its draws, so leave them out"
            )
            raise FitError(msg)
        draws = np.array([values_at(theta) for theta in source.draws])
        return Estimates(draws.mean(0), draws=draws)
    assert source.fitted is not None
    fitted = source.fitted
    cov = covariance(fitted, kind, cluster)
    center = np.asarray(values_at(fitted.theta), dtype=float)
    unknown = np.zeros(center.shape, bool)
    if np.isnan(cov.root).any():
        return Estimates(center, np.full((1, *center.shape), np.nan), unknown)
    moves = differences(values_at, fitted.theta, cov.root.T, STEP)
    se = np.sqrt(np.square(moves).sum(0))
    for shift in SHIFT * cov.flat:
        for moved in (fitted.theta + shift, fitted.theta - shift):
            with np.errstate(all="ignore"):
                unknown |= depends(np.asarray(values_at(moved)), center, se)
    return Estimates(center, moves, unknown)


def depends(moved: np.ndarray, center: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Whether finite values changed by more than nothing, measured by their size and error."""
    still = np.abs(moved - center) <= DEPENDS * np.abs(center) + DEPENDS_SE * se
    return ~still & np.isfinite(center)


def differences(
    values_at: Values, theta: np.ndarray, directions: np.ndarray, step: float
) -> np.ndarray:
    """Slopes (f, ...) along directions (f, D), by central differences."""
    out = [
        (values_at(theta + step * along) - values_at(theta - step * along)) / (2 * step)
        for along in directions
    ]
    return np.array(out) if out else np.zeros((1, *np.shape(values_at(theta))))
