"""Laplace's approximation, corrected by Pareto-smoothed importance sampling.

Draws come from a normal or t(7) distribution at the mode of the unconstrained
density with its exact curvature; their importance weights are smoothed (Vehtari,
Simpson, Gelman, Yao and Gabry 2024, JMLR 25(72)) and the draws resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from bayesmix.comparison.psis import psis_smooth, resample_indices
from bayesmix.estimation.maximise import MANY_UNITS
from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.diagnostics import GOOD_K
from bayesmix.posterior.mode import Mode

__all__ = ["GOOD_K", "LaplaceDraws", "laplace_draws"]

T_DEGREES = 7.0
# A k-hat with which importance sampling converges as fast as a mean does.
FINE_K = 0.5


@dataclass(frozen=True)
class LaplaceDraws:
    """Draws of theta (T, D), the Pareto shape `khat`, and the proposal, "normal" or "t(7)"."""

    theta: np.ndarray
    log_density: np.ndarray
    khat: float
    proposal: str


def laplace_draws(
    problem: Problem, mode: Mode, draws: int, rng: np.random.Generator
) -> LaplaceDraws:
    """Importance-resampled draws around a mode, from the proposal with the lower k-hat.

    With many units the density is nearly normal, and the second proposal is only looked at where
    the first is not good.

    Parameters
    ----------
    problem : Problem
        With the priors and the Jacobian as its penalty.
    mode : Mode
    draws : int
    rng : numpy.random.Generator
    """
    candidates = []
    for name, degrees in (("normal", np.inf), ("t(7)", T_DEGREES)):
        z, log_q = _propose(len(mode.factor), draws, degrees, rng)
        theta = np.tile(mode.theta, (draws, 1))
        theta[:, problem.spec.free] += z @ mode.factor.T
        density = log_likelihood(problem, theta)
        ratios = density - log_q
        ratios = np.where(np.isfinite(ratios), ratios, -np.inf)
        log_weights, khat = psis_smooth(ratios)
        candidates.append((khat, name, theta, density, log_weights))
        if problem.n_units > MANY_UNITS and khat < FINE_K:
            break
    khat, name, theta, density, log_weights = min(candidates, key=lambda c: c[0])
    at = resample_indices(log_weights, draws, rng)
    return LaplaceDraws(theta[at], density[at], float(khat), name)


def _propose(
    size: int, draws: int, degrees: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal or t draws (T, f), and their log densities up to a constant."""
    z = rng.standard_normal((draws, size))
    if np.isinf(degrees):
        return z, -0.5 * np.square(z).sum(1)
    z = z / np.sqrt(rng.chisquare(degrees, (draws, 1)) / degrees)
    constant = special.gammaln((degrees + size) / 2) - special.gammaln(degrees / 2)
    return z, constant - (degrees + size) / 2 * np.log1p(np.square(z).sum(1) / degrees)
