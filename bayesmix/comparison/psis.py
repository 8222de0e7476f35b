"""Pareto-smoothed importance sampling: weights, the tail's shape, and resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from bayesmix.errors import FitError

__all__ = ["FEWEST_DRAWS", "good_k", "psis_smooth", "resample_indices"]

# The tail is a fifth of few draws, and a Pareto fit needs five of them.
FEWEST_DRAWS = 25
# Log ratios that differ by less are equal.
ROUNDING = 1e-12


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
        msg = "every importance ratio is zero; no draw of the proposal lies in the target"
        raise FitError(msg)
    ratios = ratios - ratios.max()
    if ratios.min() > -ROUNDING:  # such as of a unit without any response
        return np.full(len(ratios), -np.log(len(ratios))), -np.inf
    if len(ratios) < FEWEST_DRAWS:
        return ratios - logsumexp(ratios), np.inf
    from arviz_stats.base import array_stats

    try:
        with np.errstate(all="ignore"):
            # ArviZ takes the logarithms of the ratios with the opposite sign.
            log_weights, khat = array_stats.psislw(-ratios, r_eff=r_eff)
    except ValueError:  # the whole tail is the largest ratio
        return ratios - logsumexp(ratios), -np.inf
    return np.asarray(log_weights), np.inf if np.isnan(khat) else float(khat)


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
