"""Standard coordinates: the model in which units of measurement mean nothing."""

from bayesmix.model.standard.columns import constant_shares
from bayesmix.model.standard.whole import centred, standardise
