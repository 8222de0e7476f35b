"""Leave-one-out estimates with a high Pareto k, replaced by better ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bayesmix.comparison.loo import Loo
from bayesmix.comparison.matching import Matching, match_unit
from bayesmix.errors import FitError

__all__ = ["repair"]


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
