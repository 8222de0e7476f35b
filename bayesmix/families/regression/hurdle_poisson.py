"""Hurdle poisson family: zeros with a probability of their own, positive values of `poisson`."""

from bayesmix.families.regression.poisson import FAMILY as POSITIVE
from bayesmix.families.zeros import hurdle

FAMILY = hurdle(POSITIVE)
