"""Diagnostics of relabelled chains: whether they agree, and if not, why."""

from bayesmix.diagnose.chains import Chains, chain_memberships
from bayesmix.diagnose.convergence import Convergence, convergence, convergence_table
from bayesmix.diagnose.diagnosis import Diagnosis, diagnose, diagnose_laplace, diagnose_stacked
from bayesmix.diagnose.findings import ESS, GOOD_K, R_HAT, Finding, lesser_modes
from bayesmix.diagnose.missed import Visits, visits

__all__ = [
    "ESS",
    "GOOD_K",
    "R_HAT",
    "Chains",
    "Convergence",
    "Diagnosis",
    "Finding",
    "Visits",
    "chain_memberships",
    "convergence",
    "convergence_table",
    "diagnose",
    "diagnose_laplace",
    "diagnose_stacked",
    "lesser_modes",
    "visits",
]
