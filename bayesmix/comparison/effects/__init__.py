"""What a fit says about its variables: predictions, differences and slopes, with their errors."""

from bayesmix.comparison.effects.verbs import comparisons, predictions, slopes
from bayesmix.comparison.effects.wald import Wald, wald
