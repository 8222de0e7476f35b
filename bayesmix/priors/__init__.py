r"""The log prior of a whole model on its vector theta, and the default priors.

Coefficients and dispersions are independent; constant weights have a symmetric
Dirichlet prior; the logits of concomitant models are normal with sum zero over
the components, so that no component is singled out as the baseline:

    log p(alpha) = -1/2 sum_q a_q' (I + 1 1')^-1 a_q / tau_q^2

for the contrasts a_q to the first component.
"""

from bayesmix.priors.defaults import CONCENTRATION
from bayesmix.priors.draw import sample_prior
from bayesmix.priors.log_density import (
    Penalty,
    PriorModel,
    confined,
    free_ranges,
    gradient,
    log_prior,
    mapped,
    opened_volume,
    range_ends,
    within,
)
from bayesmix.priors.ranges import Ranged, closing, opening
from bayesmix.priors.resolve import resolve, smooth_priors, with_smooths
