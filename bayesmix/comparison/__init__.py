"""Several fits to the same data: which is best by a criterion, and estimates side by side."""

from bayesmix.ranking.estimates import compare_estimates
from bayesmix.ranking.fingerprint import check_same_data, differences, fingerprint
from bayesmix.ranking.order import Comparison, compare

__all__ = [
    "Comparison",
    "check_same_data",
    "compare",
    "compare_estimates",
    "differences",
    "fingerprint",
]
