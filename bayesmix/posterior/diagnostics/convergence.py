"""R-hat and effective sample sizes, as ArviZ computes them.

Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16, 667-718:
R-hat is the larger of those of the rank-normalised split chains and of their distances
to the median; the bulk ESS that of the rank-normalised draws; the tail ESS the smaller
of those of the 5 and 95 percent quantiles.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesmix.results.tables import KEYS

TAILS = (0.05, 0.95)
# Fewer draws cannot be split into halves that vary.
FEWEST = 4


class Convergence(NamedTuple):
    """`r_hat`, `ess_bulk` and `ess_tail`, (P,) each."""

    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray


def convergence(values: np.ndarray) -> Convergence:
    """R-hat and effective sample sizes of several quantities.

    Parameters
    ----------
    values : ndarray, shape (chain, draw, P)

    Returns
    -------
    Convergence
        NaN for a quantity that is constant or not finite, and R-hat for one chain.
    """
    import arviz_stats

    out = Convergence(*np.full((3, values.shape[2]), np.nan))
    if values.shape[1] < FEWEST:
        return out
    at = np.isfinite(values).all((0, 1)) & (np.ptp(values, axis=(0, 1)) > 0)
    if not at.any():
        return out
    some, axes = values[..., at], {"chain_axis": 0, "draw_axis": 1}
    out.ess_bulk[at] = arviz_stats.ess(some, method="bulk", **axes)
    out.ess_tail[at] = arviz_stats.ess(some, method="tail", prob=TAILS, **axes)
    if len(values) > 1:
        # Chains that each stand still at another value have no variance within: infinity.
        with np.errstate(divide="ignore"):
            out.r_hat[at] = arviz_stats.rhat(some, **axes)
    return out


def convergence_table(draws: Mapping[tuple[Hashable, str, str], np.ndarray]) -> pd.DataFrame:
    """One row for each quantity with R-hat and effective sample sizes.

    Parameters
    ----------
    draws : mapping of (component, term, effect) to ndarray, shape (chain, draw)

    Returns
    -------
    DataFrame
        The columns component, term, effect, r_hat, ess_bulk and ess_tail.
    """
    index = pd.DataFrame(list(draws), columns=KEYS)
    values = np.stack(list(draws.values()), axis=-1) if draws else np.empty((1, 0, 0))
    found = convergence(values)
    return index.assign(**found._asdict())
