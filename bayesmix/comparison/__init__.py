"""Several fits to the same data: which is best by a criterion, and estimates side by side."""

from bayesmix.comparison.estimates import compare_estimates
from bayesmix.comparison.order import Comparison, compare
from bayesmix.comparison.same_data import check_same_data, differences, fingerprint

__all__ = [
    "Comparison",
    "check_same_data",
    "compare",
    "compare_estimates",
    "differences",
    "fingerprint",
]
