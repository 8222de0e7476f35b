"""Interactive pictures, drawn by ArviZ's backends plotly and bokeh.

The numbers are those of the pictures that matplotlib draws, made by the same functions.
"""

from bayesmix.plot.interactive.chains import draw_chains
from bayesmix.plot.interactive.checks import draw_check
from bayesmix.plot.interactive.comparison import draw_comparison
from bayesmix.plot.interactive.intervals import draw_intervals
from bayesmix.plot.interactive.states import draw_states
