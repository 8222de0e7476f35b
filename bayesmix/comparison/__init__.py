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
