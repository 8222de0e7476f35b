"""Zero-inflated negative binomial family: overdispersed counts and zeros beside them."""

from bayesmix.families.regression.negative_binomial import FAMILY as COUNTS
from bayesmix.families.zeros import zero_inflated

FAMILY = zero_inflated(COUNTS)
