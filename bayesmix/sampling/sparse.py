r"""Coordinates in which NUTS moves where a sparse Dirichlet prior empties components.

The weights are pi = softmax(l).  Under a concentration a < 1 the logarithms l_s have
tails exp(a l_s): an empty component is anywhere along a length of 1 / a, a filled one
within a few tenths.  So they are bent,

    l(y) = y - c/2 softplus(-y)^2,    c = 1 / (a WIDTH^2),

straight where a component has units, and where it is empty such that the tail becomes
that of a normal distribution with standard deviation WIDTH.  The density of the draws
is the posterior's whatever the bend: its slope l'(y) is part of the density of y.  The
weights leave sum_s exp(l_s) open; its logarithm is normal with standard deviation TOTAL.

Coefficients and dispersions are moved and scaled one by one.  Their correlations at a
mode say little here, since an empty component's come from the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import expit

from bayesmix.sampling.density import Coordinates

WIDTH = 2.0
TOTAL = 0.3
# Where a component begins to fill the density is narrow: steps shorter than usual.
ACCEPT = 0.95


def bend(y: np.ndarray, concentration: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bent l(y) with its first and second derivatives, each shaped as y."""
    c = 1 / (concentration * WIDTH**2)
    soft, share = np.logaddexp(0.0, -y), expit(-y)
    slope = 1 + c * soft * share
    return y - 0.5 * c * soft**2, slope, -c * share * (share + soft * (1 - share))


def unbend(log_weight: np.ndarray, concentration: float) -> np.ndarray:
    """Y with l(y) as given, by Newton's method: l is concave and increases."""
    y = np.minimum(log_weight, 0.0)
    for _ in range(100):
        value, slope, _ = bend(y, concentration)
        y = y - (value - log_weight) / slope
    return y


@dataclass(frozen=True)
class SparseCoordinates(Coordinates):
    """Points z (f + 1,) around a mode: the other free parameters, then y of the weights.

    Parameters
    ----------
    problem : Problem
        With the sparse priors and the Jacobian as its penalty.
    mode : Mode
        Where chains begin: a mode under a Dirichlet prior that has one.
    """

    bent = True

    @cached_property
    def at(self) -> tuple[np.ndarray, np.ndarray]:
        """Entries of theta: of the other free parameters, and of the logits."""
        spec = self.problem.spec
        logits = spec.layout.alpha[1:, 0]
        return np.setdiff1d(np.flatnonzero(spec.free), logits), logits

    @cached_property
    def scale(self) -> np.ndarray:
        """Standard deviations at the mode of the other free parameters."""
        sd = np.zeros(len(self.mode.theta))
        sd[self.problem.spec.free] = np.sqrt(np.square(self.mode.factor).sum(1))
        return sd[self.at[0]]

    @cached_property
    def concentration(self) -> float:
        """Of the Dirichlet prior."""
        found = self.problem.priors.concentration
        assert found is not None
        return found

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.scale) + self.problem.spec.k

    @cached_property
    def centre(self) -> np.ndarray:
        """The mode's coordinates."""
        log_weight = self.problem.spec.weights.log_weights(self.mode.theta, None)[:, 0]
        return np.append(np.zeros(len(self.scale)), unbend(log_weight, self.concentration))

    def theta(self, z: np.ndarray) -> np.ndarray:
        """Theta (..., D) at points z (..., f + 1)."""
        others, logits = self.at
        n = len(others)
        theta = np.tile(self.mode.theta, (*z.shape[:-1], 1))
        theta[..., others] += self.scale * z[..., :n]
        log_weight = bend(z[..., n:], self.concentration)[0]
        theta[..., logits] = log_weight[..., 1:] - log_weight[..., :1]
        return theta

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of `at`, the places among the free parameters, and the mode's logits."""
        free = np.flatnonzero(self.problem.spec.free)
        others, logits = self.at
        return np.searchsorted(free, others), np.searchsorted(free, logits), self.mode.theta[logits]

    @cached_property
    def _of_theta(self) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """The density of the free part of theta and its gradient, from the mode."""
        plain = replace(self.mode, factor=np.eye(len(self.mode.factor)))
        return Coordinates(self.problem, plain).density

    def density(self, z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        """Log density of z (f + 1,) and its gradient."""
        others, logits, base = self._places
        n = len(others)
        log_weight, first, second = bend(z[n:], self.concentration)
        step = np.empty(n + len(logits))
        step[others] = self.scale * z[:n]
        step[logits] = log_weight[1:] - log_weight[0] - base
        value, score = self._of_theta(step)
        total = float(np.logaddexp.reduce(log_weight))
        value += float(np.log(first).sum()) - 0.5 * (total / TOTAL) ** 2
        by_weight = np.exp(log_weight - total) * (-total / TOTAL**2)
        by_weight[1:] += score[logits]
        by_weight[0] -= score[logits].sum()
        return value, np.append(self.scale * score[others], first * by_weight + second / first)
