"""Public classes by name, for the signatures of rooms that `api` is built of.

The door looks at the name of an argument's class, so no room needs to import a later one, not
even for its types.  To mypy they are anything.
"""

from __future__ import annotations

from typing import Any

type PointFit = Any
type Posterior = Any
type Selection = Any
type Mixture = Any
type CompetingRisks = Any
type CompetingRisksFit = Any
type CompetingRisksPosterior = Any
type OutsideFit = Any
type OutsidePosterior = Any
