"""Hurdle negative binomial family: zeros by a probability of their own, counts cut off at zero."""

from bayesmix.families.regression.negative_binomial import FAMILY as POSITIVE
from bayesmix.families.zeros import hurdle

FAMILY = hurdle(POSITIVE)
