"""Pictures of a fit; matplotlib is imported when the first one is drawn.

Components differ by colour, marker, line style and hatch, so that a picture can be read
by colour-blind people and in black and white.  Seven pictures have an interactive form too,
drawn by ArviZ's backends: ``backend="plotly"`` or ``backend="bokeh"``.

Examples
--------
>>> import bayesmix as bmx
>>> patent = bmx.load_data("patent")
>>> spec = bmx.Mixture("Patents ~ lgRD", patent, family="poisson", k=3, concomitant="~ RDS")
>>> fit = spec.fit("em", seed=1)
>>> bmx.plot.fitted(fit).get_xlabel()
'lgRD'
"""

from bayesmix.plot.coefficients import coefficients, estimates
from bayesmix.plot.comparison import compare
from bayesmix.plot.curves import fitted
from bayesmix.plot.diagnostics import diagnostics
from bayesmix.plot.effects import effects
from bayesmix.plot.memberships import membership, rootogram
from bayesmix.plot.predictive import posterior_predictive, prior_predictive
from bayesmix.plot.profile import profile
from bayesmix.plot.residuals import residuals
from bayesmix.plot.selection import selection
from bayesmix.plot.states import states
from bayesmix.plot.survival import survival
from bayesmix.plot.ternary import ternary
from bayesmix.plot.trajectories import trajectories
from bayesmix.plot.weights import mixing

__all__ = [
    "coefficients",
    "compare",
    "diagnostics",
    "effects",
    "estimates",
    "fitted",
    "membership",
    "mixing",
    "posterior_predictive",
    "prior_predictive",
    "profile",
    "residuals",
    "rootogram",
    "selection",
    "states",
    "survival",
    "ternary",
    "trajectories",
]


def __getattr__(name: str) -> object:
    """Point from a picture of another package to the one here."""
    from bayesmix._arguments import unknown_function

    raise unknown_function("bayesmix.plot", name, __all__)
