"""Zero-inflated binomial family: the counts of `binomial` and zeros beside them."""

from bayesmix.families.regression.binomial import FAMILY as COUNTS
from bayesmix.families.zeros import zero_inflated

FAMILY = zero_inflated(COUNTS)
