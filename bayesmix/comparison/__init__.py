"""Fits to the same data compared: criteria, stacking, estimates side by side."""

from bayesmix.comparison.effects import Wald, comparisons, predictions, slopes, wald
from bayesmix.comparison.estimates import compare_estimates
from bayesmix.comparison.loo import Loo, loo
from bayesmix.comparison.order import Comparison, compare
from bayesmix.comparison.pooling import Pooled, pool
from bayesmix.comparison.psis import good_k, psis_smooth, resample_indices
from bayesmix.comparison.repair import Matching, repair
from bayesmix.comparison.same_data import differences, fingerprint
from bayesmix.comparison.stacking import stacking_weights
from bayesmix.comparison.waic import Waic, waic

__all__ = [
    "Comparison",
    "Loo",
    "Matching",
    "Pooled",
    "Waic",
    "Wald",
    "compare",
    "compare_estimates",
    "comparisons",
    "differences",
    "fingerprint",
    "good_k",
    "loo",
    "pool",
    "predictions",
    "psis_smooth",
    "repair",
    "resample_indices",
    "slopes",
    "stacking_weights",
    "waic",
    "wald",
]
