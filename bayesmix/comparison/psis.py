"""Pareto-smoothed importance sampling: weights, the tail's shape, and resampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.errors import FitError

# The tail is a fifth of few draws, and a Pareto fit needs five of them.
FEWEST_DRAWS = 25
# Log ratios that differ by less are equal.
ROUNDING = 1e-12
# Ratios below it have lost digits.
UNDERFLOW = 1e-290
# One logarithm is taken of the product of so many factors, each of at most this size.
FACTORS, LARGEST_FACTOR = 8, 1e30


def good_k(n_draws: int) -> float:
    """Largest Pareto k at which S draws give a usable estimate, min(1 - 1 / log10 S, 0.7).

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance
    sampling, Journal of Machine Learning Research 25(72), section 3.2.4.
    """
    return min(1 - 1 / float(np.log10(n_draws)), 0.7)


def psis_smooth(log_ratios: Any, r_eff: float = 1.0) -> tuple[np.ndarray, float]:
    """Smooth importance ratios by a generalised Pareto distribution fitted to their tail.

    The M = min(S / 5, 3 sqrt(S / r_eff)) largest ratios are replaced by the expected
    order statistics of the fitted distribution, cut at the largest ratio.

    Parameters
    ----------
    log_ratios : array_like, shape (S,)
        log(target / proposal) at the draws, up to a constant; -inf for no weight.
    r_eff : float
        Effective draws divided by draws.

    Returns
    -------
    log_weights : ndarray, shape (S,)
        Their exponentials add up to one.
    khat : float
        Shape of the tail.  -inf where the largest ratios are equal, so that the
        ratios are bounded; inf where it cannot be estimated: fewer than 25 draws,
        or all weight on a few of them.

    Raises
    ------
    FitError
        If a ratio is NaN or infinite, or all are zero.

    References
    ----------
    Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine Learning
    Research 25(72).  The fit: Zhang and Stephens (2009), Technometrics 51, 316-325.

    Examples
    --------
    >>> import numpy as np
    >>> log_weights, khat = psis_smooth(np.zeros(100))
    >>> round(float(np.exp(log_weights).sum()), 12), khat
    (1.0, -inf)
    """
    ratios = np.asarray(log_ratios, float)
    if ratios.ndim != 1 or not (ratios < np.inf).all():
        msg = f"log ratios form one array without NaN or inf; given the shape {ratios.shape}"
        raise FitError(msg)
    if not (ratios > -np.inf).any():
        raise FitError("every importance ratio is zero; no draw of the proposal lies in the target")
    ratios = ratios - ratios.max()
    if ratios.min() > -ROUNDING:  # such as of a unit without any response
        return np.full(len(ratios), -np.log(len(ratios))), -np.inf
    if len(ratios) < FEWEST_DRAWS:
        return ratios - np.logaddexp.reduce(ratios), np.inf
    n, size = len(ratios), _tail_length(len(ratios), r_eff)
    order = np.argsort(ratios)
    with np.errstate(all="ignore"):
        khat, _, smooth = (x[..., 0] for x in _smoothed(ratios[order[n - size - 1 :], None]))
    if np.isfinite(khat):
        ratios[order[n - size :]] = np.log(smooth)
        return ratios - np.logaddexp.reduce(ratios), float(khat)
    from arviz_stats.base import array_stats

    try:
        with np.errstate(all="ignore"):
            # ArviZ takes the logarithms of the ratios with the opposite sign.
            log_weights, khat = array_stats.psislw(-ratios, r_eff=r_eff)
    except ValueError:  # the whole tail is the largest ratio
        return ratios - np.logaddexp.reduce(ratios), -np.inf
    return np.asarray(log_weights), np.inf if np.isnan(khat) else float(khat)


def left_out(log_lik: np.ndarray, r_eff: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Log predictive densities of units left out, and their Pareto k.

    What `psis_smooth` gives for a unit, for many units together.

    Parameters
    ----------
    log_lik : ndarray, shape (U, S)
    r_eff : float

    Returns
    -------
    elpd, khat : ndarray, shape (U,)
    """
    elpd, khat = np.full((2, len(log_lik)), np.nan)
    if log_lik.shape[1] >= FEWEST_DRAWS:
        elpd, khat = _left_out(log_lik, r_eff)
    for u in np.flatnonzero(~(np.isfinite(elpd) & np.isfinite(khat))):
        elpd[u], khat[u] = _one_left_out(log_lik[u], r_eff)
    return elpd, khat


@np.errstate(all="ignore")
def _left_out(log_lik: np.ndarray, r_eff: float) -> tuple[np.ndarray, np.ndarray]:
    """The same for units with ordinary tails; NaN for others."""
    n, size = log_lik.shape[1], _tail_length(log_lik.shape[1], r_eff)
    low = log_lik.min(1)
    ratios = low[:, None] - log_lik
    ratios.partition(n - size - 1, axis=1)
    largest = np.sort(ratios[:, n - size - 1 :], axis=1).T
    khat, tail, smooth = _smoothed(largest)
    # Below the tail weight times density is the same at every draw.
    ratios = ratios[:, : n - size]
    total = np.exp(ratios, out=ratios).sum(1) + smooth.sum(0)
    return np.log((n - size + (smooth / tail).sum(0)) / total) + low, khat


def _smoothed(largest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shapes (U,) of tails, their ratios and the smoothed ones (M, U); NaN for unusual tails.

    Given are logarithms of ratios (M + 1, U) in their order, the largest of all ratios being one.
    """
    cutoff, tail = np.exp(largest[0]), np.exp(largest[1:])
    khat, scale = _pareto(tail - cutoff)
    share = np.log1p(-(np.arange(len(tail)) + 0.5) / len(tail))[:, None]
    smooth = np.minimum(cutoff + scale * np.expm1(-khat * share) / khat, 1.0)
    return np.where((largest[0] < -ROUNDING) & (cutoff > UNDERFLOW), khat, np.nan), tail, smooth


def _one_left_out(log_lik: np.ndarray, r_eff: float) -> tuple[float, float]:
    """The same for one unit (S,), whose tail may be none."""
    if (log_lik == -np.inf).any():  # impossible at a draw: infinite weight there
        return -np.inf, np.inf
    log_weights, khat = psis_smooth(-log_lik, r_eff)
    return float(np.logaddexp.reduce(log_weights + log_lik)), khat


def _tail_length(n_draws: int, r_eff: float) -> int:
    """M = 3 sqrt(S / r_eff) draws, or a fifth of few."""
    return int(3 * (n_draws / r_eff) ** 0.5) if n_draws * r_eff > 225 else n_draws // 5


def _pareto(tail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and scale (U,) of generalised Pareto distributions of tails (M, U) in their order.

    The posterior mean of Zhang and Stephens (2009) with a prior of ten observations at a shape of
    one half; NaN where the first quartile is the smallest value, or nothing beside the largest.
    """
    m, n_units = tail.shape
    n_points = 30 + int(m**0.5)
    quartile = tail[int(m / 4 + 0.5) - 1]
    points = 1 - np.sqrt(n_points / (np.arange(n_points) + 0.5))
    b = points[:, None] / (3 * quartile) + 1 / tail[-1]
    factors = np.concatenate([tail, np.zeros((-m % FACTORS, n_units))])
    factors = factors.reshape(FACTORS, -1, n_units)
    shape = np.array([_log_sum(each * factors) for each in b]) / m
    fit = m * (np.log(-b / shape) - shape - 1)
    weight = np.exp(fit - fit.max(0))
    weight[weight < 10 * np.finfo(float).eps * weight.sum(0)] = 0.0
    best = (b * weight).sum(0) / weight.sum(0)
    raw = _log_sum(best * factors) / m
    khat = (m * raw + 5.0) / (m + 10.0)
    usable = (quartile > tail[0]) & (tail[-1] < LARGEST_FACTOR * quartile)
    return np.where(usable, khat, np.nan), -raw / best


def _log_sum(values: np.ndarray) -> np.ndarray:
    """Sums (U,) of log(1 - x) for x (FACTORS, n, U), with one logarithm for several factors."""
    return np.log(np.multiply.reduce(1 - values, 0)).sum(0)


def resample_indices(log_weights: Any, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n indices with probabilities proportional to weights, stratified and shuffled.

    One uniform number in each of n equal intervals meets the cumulated weights, so
    that index s comes at least floor(n w_s) - 1 and at most ceil(n w_s) + 1 times.

    Parameters
    ----------
    log_weights : array_like, shape (S,)
        Up to a constant.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (n,)

    References
    ----------
    Kitagawa (1996), Journal of Computational and Graphical Statistics 5, 1-25.
    """
    weights = np.asarray(log_weights, float)
    weights = np.exp(weights - weights.max())
    cumulated = np.cumsum(weights)
    uniform = (np.arange(n) + rng.random(n)) / n * cumulated[-1]
    at = np.searchsorted(cumulated, uniform, side="right")
    return rng.permutation(np.minimum(at, np.flatnonzero(weights)[-1]))
