"""Outside variables: what predicts the classes of a fit, and what differs between them."""

from bayesmix.comparison.outside.results import OutsideFit, OutsidePosterior
from bayesmix.comparison.outside.steps import cut, distal, relate, solved
