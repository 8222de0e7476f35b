"""The posterior of the number of components that have units."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.labels import filled_counts

SHOWN_DRAWS = 1000


def filled_table(drawn: Drawn, rng: np.random.Generator) -> pd.DataFrame:
    """Probabilities of 1, ..., k filled components.

    Parameters
    ----------
    drawn : Drawn
    rng : numpy.random.Generator
        Of the allocations.

    Returns
    -------
    DataFrame
        By the number of components: probability, and mcse, its Monte Carlo standard
        error sqrt(p (1 - p) / ESS).
    """
    import arviz_stats

    counts = filled_counts(drawn.problem, drawn.theta, rng)
    rows = []
    for k in range(1, drawn.spec.k + 1):
        hit = (counts == k).astype(float)
        p = hit.mean()
        ess = float(arviz_stats.ess(hit, method="mean")) if 0 < p < 1 else np.nan
        # All draws alike: what the next one may be is known to one over their number.
        error = np.sqrt(p * (1 - p) / ess) if 0 < p < 1 else 1 / counts.size
        rows.append((p, error))
    index = pd.RangeIndex(1, drawn.spec.k + 1, name="components")
    return pd.DataFrame(rows, index=index, columns=["probability", "mcse"])


def filled_words(drawn: Drawn) -> str:
    """The likely numbers in words, from evenly spaced draws."""
    theta = drawn.thinned(SHOWN_DRAWS)
    counts = filled_counts(drawn.problem, theta, np.random.default_rng(0))
    share = pd.Series(counts).value_counts(normalize=True)
    return ", ".join(f"{k} ({p:.0%})" for k, p in share.items() if p >= 0.005)
