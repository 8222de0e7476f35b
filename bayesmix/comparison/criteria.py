"""Predictive criteria from draws: WAIC, and PSIS leave-one-out with its repairs."""

from bayesmix.criteria._loo import Loo, loo
from bayesmix.criteria._waic import Waic, waic
from bayesmix.criteria.matching import Matching
from bayesmix.criteria.psis import good_k, psis_smooth, resample_indices
from bayesmix.criteria.repair import repair
from bayesmix.criteria.stacking import stacking_weights

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
