"""Diagnostics of relabelled chains: whether they agree, and if not, why."""

from bayesmix.posterior.diagnostics.causes import chain_memberships
from bayesmix.posterior.diagnostics.convergence import convergence, convergence_table
from bayesmix.posterior.diagnostics.diagnosis import (
    Diagnosis,
    diagnose,
    diagnose_laplace,
    diagnose_stacked,
)
from bayesmix.posterior.diagnostics.findings import ESS, GOOD_K, R_HAT, Finding, lesser_modes
from bayesmix.posterior.diagnostics.visits import Visits, visits
