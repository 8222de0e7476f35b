"""Priors: what can be said of a parameter before the data."""

from bayesmix.distributions.kinds import KINDS, KINK
from bayesmix.distributions.preliz import as_prior, as_priors
from bayesmix.distributions.prior import Prior, cut
