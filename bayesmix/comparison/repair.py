"""Leave-one-out estimates with a high Pareto k, replaced by better ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from bayesmix.arrays.sums import log_sum_exp
from bayesmix.comparison.loo import Loo
from bayesmix.comparison.psis import psis_smooth
from bayesmix.errors import FitError
from bayesmix.model.coordinates import Map

MOST_MOVES = 30
# Moves go on below the k that can be relied on.  In conjugate regressions with planted
# outliers (tests/test_criteria.py) stopping just below 0.7 left errors of up to 0.6 in a
# unit's elpd, stopping below 0.2 of at most 0.1, for three times as many evaluations.
ENOUGH_K = 0.2
DRAWS_FOR_COVARIANCE = 10  # for each parameter


@dataclass(frozen=True, eq=False)
class Matching:
    """What moment matching needs of a posterior, on unconstrained parameters.

    Parameters
    ----------
    draws : ndarray, shape (T, D)
        Draws of the posterior.
    log_density : callable
        ``log_density(theta)``: log density (T,) of the posterior of all data at
        theta (T, D), up to a constant, Jacobian included; -inf outside.
    unit_log_lik : callable
        ``unit_log_lik(theta, unit)``: log-likelihood (T,) of the unit at this
        position, multiplied by its case weight.
    r_eff : float
        Effective draws divided by draws.
    """

    draws: np.ndarray
    log_density: Callable[[np.ndarray], np.ndarray]
    unit_log_lik: Callable[[np.ndarray, int], np.ndarray]
    r_eff: float = 1.0


class State(NamedTuple):
    """Moved draws: how they came about, log density and log-likelihood, weights and k."""

    theta: np.ndarray
    move: Map
    log_density: np.ndarray
    log_lik: np.ndarray
    log_weights: np.ndarray
    khat: float


def match_unit(
    matching: Matching, log_density: np.ndarray, unit: int, good_k: float
) -> tuple[float, float] | None:
    r"""Log predictive density of a unit left out, by importance-weighted moment matching.

    The draws are moved by T, so that their mean, then their variances, then their
    covariance match those of the importance-weighted draws; a move stays when it lowers
    the Pareto k of the ratios

    .. math::

       r(\theta) = \frac{p(T \theta \mid y)}{p(y_u \mid T \theta) \, p(\theta \mid y)} .

    The estimate takes every second draw moved and the others as they are, with the
    ratios to the mixture g of both proposals:
    r = p(theta | y) / (p(y_u | theta) g(theta)).

    Parameters
    ----------
    matching : Matching
    log_density : ndarray, shape (T,)
        At the draws.
    unit : int
    good_k : float

    Returns
    -------
    (float, float), or None
        The log predictive density and its Pareto k, the larger one of the moved
        draws and of the mixture; None where k stays above `good_k`.

    References
    ----------
    Paananen, Piironen, Buerkner and Vehtari (2021), Implicitly adaptive importance
    sampling, Statistics and Computing 31, 16: algorithms 1 and 2.  Theirs stop at
    `good_k`; here moves go on while they help.
    """
    size = matching.draws.shape[1]
    start = Map.identity(size)
    log_lik = np.asarray(matching.unit_log_lik(matching.draws, unit), float)
    weights, khat = _weigh(-log_lik, matching.r_eff)
    first = state = State(matching.draws, start, log_density, log_lik, weights, khat)
    for _ in range(MOST_MOVES):
        if state.khat <= ENOUGH_K:
            break
        better = _improve(matching, first, state, unit)
        if better is None:
            break
        state = better
    if state.khat > good_k:
        return None
    elpd, khat = _split(matching, first, state)
    return (elpd, khat) if khat <= good_k else None


def _improve(matching: Matching, first: State, state: State, unit: int) -> State | None:
    """The first of the three moves that lowers k, or None."""
    for step in moves(state.theta, np.exp(state.log_weights)):
        theta = step(state.theta)
        density = np.asarray(matching.log_density(theta), float)
        log_lik = np.asarray(matching.unit_log_lik(theta, unit), float)
        with np.errstate(invalid="ignore"):
            weights, khat = _weigh(density - log_lik - first.log_density, matching.r_eff)
        if khat < state.khat:
            return State(theta, step.after(state.move), density, log_lik, weights, khat)
    return None


def _weigh(log_ratios: np.ndarray, r_eff: float) -> tuple[np.ndarray, float]:
    """Smoothed log weights and k; undefined ratios have no weight."""
    ratios = np.where(log_ratios < np.inf, log_ratios, -np.inf)
    if not (ratios > -np.inf).any():
        return ratios, np.inf
    return psis_smooth(ratios, r_eff)


def moves(theta: np.ndarray, weights: np.ndarray) -> Iterator[Map]:
    """Moves to the weighted mean; to the weighted variances too; to the weighted covariance too."""
    n, size = theta.shape
    mean, target = theta.mean(0), weights @ theta
    yield Map(np.eye(size), target - mean)
    centred = theta - target
    spread = weights @ centred**2 * n / (n - 1)
    with np.errstate(all="ignore"):
        scale = np.sqrt(spread / theta.var(0, ddof=1))
    if (np.isfinite(scale) & (scale > 0)).all():
        yield Map(np.diag(scale), target - scale * mean)
    if n < DRAWS_FOR_COVARIANCE * size:
        return
    wanted = (centred * weights[:, None]).T @ centred * n / (n - 1)
    try:
        new = np.linalg.cholesky(wanted)
        old = np.linalg.cholesky(np.atleast_2d(np.cov(theta.T)))
    except np.linalg.LinAlgError:
        return
    matrix = np.linalg.solve(old.T, new.T).T
    yield Map(matrix, target - matrix @ mean)


def _split(matching: Matching, first: State, last: State) -> tuple[float, float]:
    """The estimate from both halves, and the larger k."""
    moved = np.arange(len(first.theta)) % 2 == 0
    # Both proposals at the draws: the posterior, and the posterior moved.
    plain = np.where(moved, last.log_density, first.log_density)
    shifted = first.log_density.copy()
    shifted[~moved] = matching.log_density(last.move.solve(first.theta[~moved]))
    shifted -= last.move.log_volume
    log_lik = np.where(moved, last.log_lik, first.log_lik)
    with np.errstate(invalid="ignore"):
        ratios = plain - log_lik - np.logaddexp(plain, shifted)
    log_weights, khat = _weigh(ratios, matching.r_eff)
    with np.errstate(invalid="ignore"):
        elpd = log_sum_exp(np.where(log_weights > -np.inf, log_weights + log_lik, -np.inf))
    return float(elpd), max(khat, last.khat)


def repair(
    loo: Loo,
    refit: Callable[[np.ndarray], np.ndarray] | None = None,
    matching: Matching | None = None,
) -> Loo:
    """Replace the estimates of units whose Pareto k is too high.

    Moment matching is tried first; a unit where it does not bring k down to
    `Loo.good_k` gets an exact refit.  Those that neither reaches stay as they are, and
    the result's warning counts them.

    Parameters
    ----------
    loo : Loo
    refit : callable, optional
        ``refit(units)``: for the units at these positions (n,), each left out by
        itself, the log predictive densities (n,) from fits without it.
    matching : Matching, optional
        The posterior for moment matching.

    Returns
    -------
    Loo
        `n_moment_matched`, `n_refitted` and `n_bad` count what became of them; the
        Pareto k of a refitted unit is 0.

    Raises
    ------
    FitError
        If refits do not give one number for each unit.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432.
    Paananen, Piironen, Buerkner and Vehtari (2021), Statistics and Computing 31, 16.
    """
    frame = loo.pointwise.copy()
    elpd, khat = frame["elpd_loo"].to_numpy(copy=True), frame["pareto_k"].to_numpy(copy=True)
    repaired = frame["repaired"].to_numpy(copy=True)
    left = np.flatnonzero(khat > loo.good_k)
    if matching is not None and len(left):
        density = np.asarray(matching.log_density(matching.draws), float)
        for unit in left.tolist():
            found = match_unit(matching, density, unit, loo.good_k)
            if found is not None:
                (elpd[unit], khat[unit]), repaired[unit] = found, "moment matching"
        left = np.flatnonzero(khat > loo.good_k)
    if refit is not None and len(left):
        elpd[left] = _refitted(refit, left)
        khat[left], repaired[left] = 0.0, "refit"
    frame["elpd_loo"], frame["pareto_k"], frame["repaired"] = elpd, khat, repaired
    frame["p_loo"] = frame["lppd"] - elpd
    return replace(loo, pointwise=frame)


def _refitted(refit: Callable[[np.ndarray], np.ndarray], units: np.ndarray) -> np.ndarray:
    values = np.asarray(refit(units), float)
    if values.shape != units.shape or not (values < np.inf).all():
        msg = f"refits of {len(units)} units gave {values!r}; one log density for each is needed"
        raise FitError(msg)
    return values
