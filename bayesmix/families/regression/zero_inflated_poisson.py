"""Zero-inflated poisson family: the counts of `poisson` and zeros beside them."""

from bayesmix.families.regression.poisson import FAMILY as COUNTS
from bayesmix.families.zeros import zero_inflated

FAMILY = zero_inflated(COUNTS)
