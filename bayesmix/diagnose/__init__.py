"""Diagnostics of relabelled chains: whether they agree, and if not, why."""

from bayesmix.diagnose.chains import Chains, chain_memberships
from bayesmix.diagnose.convergence import Convergence, convergence, convergence_table
from bayesmix.diagnose.diagnosis import Diagnosis, diagnose
from bayesmix.diagnose.findings import ESS, R_HAT, Finding

__all__ = [
    "ESS",
    "R_HAT",
    "Chains",
    "Convergence",
    "Diagnosis",
    "Finding",
    "chain_memberships",
    "convergence",
    "convergence_table",
    "diagnose",
]
