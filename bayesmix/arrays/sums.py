"""Sums of exponentials of NumPy arrays by their logarithms, and shares of them."""

from __future__ import annotations

import numpy as np


def log_sum_exp(terms: np.ndarray, axis: int = -1, *, keepdims: bool = False) -> np.ndarray:
    """log(sum exp(terms)) along an axis; -inf where all terms are.

    Parameters
    ----------
    terms : ndarray
    axis : int
    keepdims : bool
        Whether the axis stays, with length one.
    """
    top = terms.max(axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = top + np.log(np.exp(terms - top).sum(axis, keepdims=True))
    return total if keepdims else total.squeeze(axis)


def shares(terms: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(terms) over their sum along an axis."""
    odds = np.exp(terms - terms.max(axis, keepdims=True))
    return odds / odds.sum(axis, keepdims=True)
