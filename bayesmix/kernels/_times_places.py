"""Places in the model of the pass over times, beside those of `_small_places` that it shares.

Times have no one design and response: what stands there for small data holds these here.
"""

from __future__ import annotations

from bayesmix.kernels import record as places

# Addresses of the chunks and of the items, each a row of integers, and whether observations are
# followed by survivals to delayed entries.
CHUNKS, ITEMS, TRUNCATED = places.X, places.Y, places.AUX

# A chunk: its first item, its first survival to a delayed entry, and the item behind its last; how
# many units may belong to several components (they come first), the address of the others'
# components; and how many pairs of a component and a unit are impossible among the former, with
# their address.
OBSERVED, ENTERED, END, N_SEVERAL, KNOWN, N_BARRED, BARRED, CHUNK_WIDTH = range(8)

# An item: its component, how many pairs, the address of its compiled term, the sign of what that
# gives, and the addresses of its numbers and of the pairs' units.  For each of two parameters: how
# many columns its design has, addresses of these (0: a constant), of their entries of theta, and of
# what is added (0: nothing).  Last the place of its outputs among those of its chunk.
COMPONENT, N_PAIRS, TERM, SIGN, NUMBERS, UNITS, PREDICTORS = range(7)
N_COLUMNS, DESIGN, ENTRIES, OFFSET, PREDICTOR_WIDTH = range(5)
OUTPUTS = PREDICTORS + 2 * PREDICTOR_WIDTH
ITEM_WIDTH = OUTPUTS + 1
