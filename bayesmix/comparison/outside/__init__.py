"""Outside variables: what predicts the classes of a fit, and what differs between them."""

from bayesmix.comparison.outside.steps import Outside, cut, distal, relate, solved
