"""Records that the compiled code reads: sizes, addresses and places, by name.

A kernel's arguments are addresses of such records, so nothing about the data is compiled in.  All
fields are 64-bit integers: numbers, addresses (0: absent), or places in an array.
"""

from __future__ import annotations

import numpy as np

# Rows that a family's term is computed at in one call, and about as many as a chunk has.
BLOCK = 256

# What a pass is for; each includes what stands before it, but for INFORMATION, which has the
# observed information in the place of an M step's scoring matrix.  Families' terms compute no more:
# the density, derivatives, curvatures for a scoring step, all second derivatives.
VALUE, SCORE, STEP, INFORMATION = range(4)
# Responsibilities: those at theta, the most probable component's, or an address.
OWN, HARD = range(2)
# What can be done for every start, and how its run ends.
PASSES, MEMBERSHIPS, CLASSIFY, CLIMB, EXTRAPOLATE, NEWTON = range(6)
RUNNING, RESTING, DEGENERATE, CONVERGED, BOUNDARY = range(5)
# Kinds of the entries of theta: what is neither moves by a scoring step and nothing else.
HELD, COEFFICIENT, LOG_DISPERSION, LOGIT, WEIGHT = range(5)
# A link gives the family's own predictor with two derivatives.
LINK_OUTPUTS = 3


def _record(*names: str) -> np.dtype:
    return np.dtype([(name, np.int64) for name in names])


def names(kind: np.dtype) -> tuple[str, ...]:
    """The names of a record's fields."""
    return kind.names or ()


# The model: sizes (`line`: values between the lines of a chunk's buffers; `sums`: how many numbers
# a pass adds up), flags (`constant`: weights without covariates; `closed`: which have a closed
# form; `truncated`: units are seen only if they outlive their entries) and addresses of the data.
MODEL = _record(
    "k", "q", "size", "n_units", "n_rows", "n_chunks", "line", "n_items", "sums",
    "constant", "closed", "truncated",
    "z", "z_units", "largest_z", "weight", "allowed", "first_row",
    "alpha", "kind", "chunks", "items", "slots", "parts",
)  # fmt: skip
# A range of whole units with its parts: observations, then survivals to delayed entries.
CHUNK = _record("row", "n", "unit", "n_units", "first", "entered", "last")
# A component's family at one response: `dense` leading slots have a value for each row, a design is
# `columns` wide, at `x`, by chunk; `place` is the first line of its outputs; `squares` the place of
# the sums for a scale in closed form (0: none), whose entry of theta is `scale_at`; `statistic` and
# `second` are outputs (0: none).  `concave` adds the cross terms of parameters to the scoring: 1
# second derivatives, 2 those that its term has for an M step.  The first `located` slots have the
# offset, and working responses of `rows` rows each.
# `subtracts` says that some part of it has a negative sign.  With `codes`, a byte for each row, it
# is computed at the few rows of a chunk of its own, number `table`, and looked up.  Of the `counts`
# below a number (0: none) `term` has a table, from number `looked` of `tables` on.
ITEM = _record(
    "component", "n_slots", "dense", "columns", "x", "offset", "slot", "link", "place",
    "outputs", "statistic", "second", "squares", "scale_at", "concave", "subtracts",
    "located", "rows", "codes", "table", "counts", "looked", "term",
)  # fmt: skip
# A parameter of an item: where its coefficients stand in theta (-1: nowhere), and whether the
# design multiplies them (else there is one, the parameter itself).
SLOT = _record("index", "width", "design")
# Rows of a chunk (0: all) at which an item's term is computed, from numbers `stride` apart.
PART = _record("item", "term", "sign", "n", "rows", "data", "stride")
# One call of a pass: chunks `first` to `last`; `weight` replaces the units' weights, `working` has
# for every item the address of predictors (0: those at theta); `units` and `posterior` receive
# log-likelihoods (U,) and responsibilities (S, U).
CALL = _record(
    "theta", "first", "last", "want", "given", "working", "weight", "units", "posterior", "sums"
)
# Starts: their theta, what is theirs among sums, responsibilities and posteriors (how far apart),
# `steps` to do, `options` (tolerance, least log weight), entries of theta with floors and ceilings.
RUN = _record(
    "model", "work", "call", "pass_kernel", "step_kernel", "n_starts", "theta", "sums",
    "given_step", "units_step", "posterior_step", "steps", "options", "n_where", "where", "low",
    "high", "trace", "counts",
)  # fmt: skip
# A density for other programs: its model, free entries of theta, numbers of the change of
# coordinates and the priors, and the buffers it needs (`offsets` of WORK, `length` in all).
DENSITY = _record("model", "pass_kernel", "f", "free", "numbers", "offsets", "length")
NOT_FINITE = 3


def buffers(
    model: np.void, columns: int, slots: int, outputs: int, most: int, tables: int, width: int
) -> dict:
    """How many numbers each buffer of one thread has.

    Parameters
    ----------
    model : record of MODEL
    columns, slots : int
        The widest design, and the most parameters of an item.
    outputs, most : int
        Outputs of all items' terms together, and of one.
    tables : int
        Numbers of all tables, with the lines before them.
    width : int
        The most entries of theta that a component uses.
    """
    k, q, size, line, sums = (int(model[name]) for name in ("k", "q", "size", "line", "sums"))
    wide = max(columns, q, 1)
    return {
        "log_prior": k, "pi": k, "net": k, "vector": wide, "gram": wide * wide,
        "eta": slots * line, "raw": line, "link": LINK_OUTPUTS * line, "gathered": slots * BLOCK,
        "scratch": most * BLOCK, "terms": outputs * line, "used": int(model["n_items"]),
        "tally": int(model["n_items"]) * line, "tables": tables,
        "joint": k * line, "prior": k * line, "posterior": k * line, "share": k * line,
        "unit_weight": line, "totals": line, "masses": line, "c": line, "product": line,
        "channels": width * line, "means": size * line, "places": max(width, size),
        "products": width * width,
        "step": size, "right": size, "scale": size, "factor": size * size, "observed": size * size,
        "proposal": size, "second_proposal": size, "sums": sums,
    }  # fmt: skip


WORK = _record(*buffers(np.zeros(1, MODEL)[0], 0, 0, 0, 0, 0, 0))
