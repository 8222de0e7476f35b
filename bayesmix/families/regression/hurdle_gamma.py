"""Hurdle gamma family: zeros with a probability of their own, positive values of `gamma`."""

from bayesmix.families.regression.gamma import FAMILY as POSITIVE
from bayesmix.families.zeros import hurdle

FAMILY = hurdle(POSITIVE)
