"""Cross-validation: how probable units are under a fit to the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesmix._arguments import whole_number
from bayesmix.errors import FitError
from bayesmix.estimation.maximise import refitted
from bayesmix.likelihood import unit_terms
from bayesmix.results.fitted import Fitted


def fold_of(n_units: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """A fold of each unit (U,), of nearly equal sizes, at random.

    Raises
    ------
    FitError
        If the number of folds is below two or above that of the units.
    """
    folds = whole_number("folds", folds, "the number of parts of the units", 2, FitError)
    if folds > n_units:
        raise FitError(f"folds={folds} are more than the {n_units} units; use fewer")
    return rng.permutation(np.arange(n_units) % folds)


def held_out(fitted: Fitted, fold: np.ndarray) -> np.ndarray:
    """Log predictive density of every unit, (U,), from a fit to the other folds.

    Each begins at the fit to all units.

    Parameters
    ----------
    fitted : Fitted
    fold : ndarray of int, shape (U,)
    """
    spec = fitted.spec
    weight = spec.rows.unit_weights
    out = np.full(len(fold), np.nan)
    for number in range(int(fold.max()) + 1):
        left = fold == number
        rows = replace(spec.rows, weight=np.where(left, 0.0, weight))
        theta, _, _ = refitted(spec, rows, fitted.theta, fitted.penalty)
        loglik, _ = unit_terms(fitted.problem, theta)
        out[left] = loglik[left]
    return out
