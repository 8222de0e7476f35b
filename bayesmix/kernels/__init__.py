"""Compiled passes over the rows of a mixture.

One sweep over chunks of whole units computes log densities, responsibilities and the weighted sums
that EM, Newton's method or a sampler needs, without an array of rows x components.  The kernels are
compiled by numba when first used and kept on disk; importing this package does not import numba.
"""

from bayesmix.kernels.cache import log_once
from bayesmix.kernels.mixture import Mixture, Run, Sums
from bayesmix.kernels.names import are_kept, kernel_name, link_name, times_name
from bayesmix.kernels.native import Density, GaussianPrior, Units
from bayesmix.kernels.pack import Arranged, Item, Part, Slot
from bayesmix.kernels.record import COEFFICIENT, HELD, LOG_DISPERSION, LOGIT, WEIGHT
from bayesmix.kernels.warming import warm

__all__ = [
    "COEFFICIENT", "HELD", "LOGIT", "LOG_DISPERSION", "WEIGHT", "Arranged", "Density",
    "GaussianPrior", "Item", "Mixture", "Part", "Run", "Slot", "Sums", "Units", "are_kept",
    "kernel_name", "link_name", "log_once", "times_name", "warm",
]  # fmt: skip
