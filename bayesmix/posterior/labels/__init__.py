"""Labels of posterior draws made to agree, within the model's symmetry.

The posterior of a mixture stays as it is when interchangeable components change
places, so that the same component may stand at different places in different
draws.  Every method here chooses one order of the components for each draw, among
those that `layout.symmetric` allows.
"""

from bayesmix.posterior.labels.draws import component_values, draw_memberships, membership_batches
from bayesmix.posterior.labels.methods import METHODS, Relabelled, ecr, ordering, stephens
from bayesmix.posterior.labels.orders import agreement, relabel_theta
from bayesmix.posterior.labels.relabel import Relabelling, filled_counts, relabel
