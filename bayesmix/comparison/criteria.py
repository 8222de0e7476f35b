"""Predictive criteria from draws: WAIC, and PSIS leave-one-out with its repairs."""

from bayesmix.comparison.loo import Loo, loo
from bayesmix.comparison.matching import Matching
from bayesmix.comparison.psis import good_k, psis_smooth, resample_indices
from bayesmix.comparison.repair import repair
from bayesmix.comparison.stacking import stacking_weights
from bayesmix.comparison.waic import Waic, waic

__all__ = [
    "Loo",
    "Matching",
    "Waic",
    "good_k",
    "loo",
    "psis_smooth",
    "repair",
    "resample_indices",
    "stacking_weights",
    "waic",
]
