"""Hurdle lognormal family: zeros with a probability of their own, lognormal amounts."""

from bayesmix.families.numbers import for_numbers
from bayesmix.families.survival.lognormal import FAMILY as TIMES
from bayesmix.families.zeros import hurdle

FAMILY = hurdle(for_numbers(TIMES))
