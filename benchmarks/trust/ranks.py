"""Ranks of true values among draws, and bands that hold for all ranks together."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Band", "band", "p_value", "rank"]

SIMULATIONS = 4000


class Band(NamedTuple):
    """Limits (points,) of the empirical distribution of uniform ranks, at shares `points`."""

    points: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def rank(truth: float, draws: np.ndarray, rng: np.random.Generator) -> int:
    """How many draws are below the truth; among equal ones the place is random.

    Parameters
    ----------
    truth : float
    draws : ndarray, shape (draws,)
    rng : numpy.random.Generator
    """
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    return below + int(rng.integers(equal + 1))


def _least_tail(ranks: np.ndarray, draws: int) -> np.ndarray:
    """The smallest two-sided tail probability over all ranks, (...,), of sets (..., N).

    Among N uniform ranks the number below a point is binomial.
    """
    sets, n = ranks.shape[-1], draws + 1
    counts = np.apply_along_axis(lambda r: np.bincount(r, minlength=n), -1, ranks)
    below = np.cumsum(counts, -1)[..., :-1]
    share = np.arange(1, n) / n
    tails = np.minimum(stats.binom.cdf(below, sets, share), stats.binom.sf(below - 1, sets, share))
    return np.minimum(1.0, 2 * tails.min(-1))


@cache
def _under_uniform(sets: int, draws: int) -> np.ndarray:
    rng = np.random.default_rng(2022)
    blocks = [rng.integers(draws + 1, size=(500, sets)) for _ in range(SIMULATIONS // 500)]
    return np.sort(np.concatenate([_least_tail(block, draws) for block in blocks]))


def p_value(ranks: np.ndarray, draws: int) -> float:
    """The probability of ranks as uneven as these, if draws and truths are of one distribution.

    Parameters
    ----------
    ranks : ndarray of int, shape (sets,)
        Between 0 and `draws`.
    draws : int
    """
    ranks = np.asarray(ranks)
    found = float(_least_tail(ranks, draws))
    return float((1 + (_under_uniform(len(ranks), draws) <= found).sum()) / (1 + SIMULATIONS))


def band(sets: int, draws: int, level: float = 0.95) -> Band:
    """Limits in which the whole empirical distribution of uniform ranks stays with `level`.

    The limits at each point are those of a binomial count, at the level at which they hold for
    all points together; that level is found by simulation (Säilynoja, Bürkner and Vehtari 2022,
    Statistics and Computing 32:32).

    Parameters
    ----------
    sets, draws : int
    level : float
    """
    tail = np.quantile(_under_uniform(sets, draws), 1 - level) / 2
    share = np.arange(1, draws + 1) / (draws + 1)
    lower, upper = stats.binom.ppf(tail, sets, share), stats.binom.isf(tail, sets, share)
    return Band(share, lower / sets, upper / sets)
