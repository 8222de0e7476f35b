"""One partition of the units that stands for those of all draws.

A partition needs no labels, so that nothing here depends on relabelling.
"""

from bayesmix.posterior.partition.ball import Ball, credible_ball
from bayesmix.posterior.partition.best import LOSSES, Consensus, consensus
from bayesmix.posterior.partition.losses import (
    binder,
    canonical,
    criterion,
    distances,
    similarity,
)
