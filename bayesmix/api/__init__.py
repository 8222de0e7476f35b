"""The public classes, one file each; each method is one call into the module that does the work."""

from __future__ import annotations

from bayesmix.api.competing import CompetingRisks, CompetingRisksFit, CompetingRisksPosterior
from bayesmix.api.loading import load
from bayesmix.api.mixture import Mixture
from bayesmix.api.multistate import MultiState
from bayesmix.api.penalties import penalty_path
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.api.selection import Selection, select
