"""Laplace's approximation, corrected by Pareto-smoothed importance sampling.

Draws come from a normal or t(7) distribution at the mode of the unconstrained
density with its exact curvature; their importance weights are smoothed (Vehtari,
Simpson, Gelman, Yao and Gabry 2024, JMLR 25(72)) and the draws resampled.

Of many units the density is the sum of its own quadratic expansion at the mode, which one pass
gives, and of the remainder, which a random part of the units estimates (Quiroz, Kohn, Villani and
Tran 2019, JASA 114, 831-843).  Some draws are computed in full too: where the two differ, all are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from bayesmix.comparison.psis import good_k, psis_smooth, resample_indices
from bayesmix.estimation.starts import subsample
from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.engine import information
from bayesmix.likelihood.problem import Problem, sample_of
from bayesmix.posterior.diagnostics import GOOD_K
from bayesmix.posterior.mode import Mode
from bayesmix.priors import log_prior, opened_volume
from bayesmix.sampling.density import Coordinates
from bayesmix.sampling.ranges import Opened
from bayesmix.sampling.smooth import SmoothCoordinates

__all__ = ["GOOD_K", "LaplaceDraws", "laplace_draws"]

T_DEGREES = 7.0
# From this many units on the density is nearly normal.
NEARLY_NORMAL = 5_000
# Units that estimate the remainder, as few as do; draws that are computed in full beside it, and
# the standard deviation up to which both agree: that of a mean of 4,000 draws is as large.
PARTS, CHECKED, CLOSE = (10_000, 40_000), 200, 0.015


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
        theta, volume = _moved(problem, mode, z)
        density = _log_density(problem, mode.theta, theta, rng)
        ratios = density + volume - log_q
        ratios = np.where(np.isfinite(ratios), ratios, -np.inf)
        log_weights, khat = psis_smooth(ratios)
        candidates.append((khat, name, theta, density, log_weights))
        if problem.n_units > NEARLY_NORMAL and khat < good_k(draws):
            break
    khat, name, theta, density, log_weights = min(candidates, key=lambda c: c[0])
    at = resample_indices(log_weights, draws, rng)
    return LaplaceDraws(theta[at], density[at], float(khat), name)


def _moved(problem: Problem, mode: Mode, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Theta (T, D) from a mode's coordinates (T, f), and its log volume up to a constant."""
    ends = Opened.of(problem)
    kind = SmoothCoordinates if ends.model.smooths else Coordinates
    at = kind(problem, ends.mode(mode))
    theta = ends.theta(at.theta(z))
    volume = at.log_volume(z) if isinstance(at, SmoothCoordinates) else 0.0
    return theta, volume + opened_volume(problem.spec, ends.model, theta)


def _log_density(
    problem: Problem, mode: np.ndarray, theta: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Log density (T,) at draws theta (T, D) around a mode."""
    if problem.n_units <= NEARLY_NORMAL or len(theta) <= CHECKED:
        return log_likelihood(problem, theta)
    checked, sample = log_likelihood(problem, theta[:CHECKED]), sample_of(problem)
    base = _expanded(problem, mode, theta)
    for size in PARTS:
        if 2 * size <= sample.n_units:
            part = subsample(replace(sample, penalty=None), size, rng)
            rest = log_likelihood(part, theta) - _expanded(part, mode, theta)
            near = base + problem.n_units / size * rest
            gap = near[:CHECKED] - checked
            if np.std(gap) < CLOSE:
                return np.append(checked, near[CHECKED:] - np.mean(gap))
    return np.append(checked, log_likelihood(problem, theta[CHECKED:]))


def _expanded(problem: Problem, mode: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The quadratic expansion (T,) of the log-likelihood at a mode; priors are as they are."""
    info = information(replace(problem, penalty=None), mode[None])
    step, penalty = theta - mode, problem.penalty
    out = info.loglik + step @ info.score[0]
    out -= 0.5 * np.einsum("td,de,te->t", step, info.matrix[0], step, optimize=True)
    if penalty is not None:
        out += log_prior(problem.spec, penalty.model, theta, jacobian=penalty.jacobian).value
    return out


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
