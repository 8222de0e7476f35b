"""How the draws of each chain rank among the draws of all."""

from __future__ import annotations

import numpy as np
import pandas as pd

RANK_BINS = 20


def rank_counts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many draws of every chain, (chain, bin), have ranks within each bin, and its edges."""
    ranks = pd.Series(values.ravel()).rank().to_numpy().reshape(values.shape)
    edges = np.linspace(0, values.size, RANK_BINS + 1)
    return np.array([np.histogram(chain - 0.5, edges)[0] for chain in ranks]), edges
