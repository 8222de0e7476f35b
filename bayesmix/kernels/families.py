"""The families that have a kernel, and the places of what they compute."""

from __future__ import annotations

from bayesmix.families import FAMILIES as NAMES
from bayesmix.families import family
from bayesmix.families.kernel import KernelFamily, Term

__all__ = ["FAMILIES", "KernelFamily", "Term"]

# Places of a term's outputs in the block that a family's callback fills.
LOGF, D1, W, STATISTIC, D_DISP, H_DISP, H_CROSS, N_TERMS = range(8)

# Parts of a component's score: multipliers of x, of 1 (log dispersion), of z; see `_information`.
COEF, DISPERSION, ALPHA, N_CHANNELS = range(4)

FAMILIES: dict[str, KernelFamily] = {
    kernel.name: kernel for name in NAMES if (kernel := family(name).kernel) is not None
}
