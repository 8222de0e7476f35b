"""The pass over small data: for an M step, for the information, or for the log-likelihood alone."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels.compile import SMALL_PASS_SIGNATURE, callback, doubles, integers
from bayesmix.kernels.information import add_chunk, assemble_information
from bayesmix.kernels.record import (
    CONSTANT,
    INFORMATION,
    N_CHUNKS,
    N_COMPONENTS,
    N_PLACES,
    NONE,
    OWN,
    SIZE,
)
from bayesmix.kernels.rows import chunk_of, chunk_terms, read_parameters
from bayesmix.kernels.sums import (
    add_component,
    add_concomitant,
    assemble,
    clear_sums,
    use_responsibilities,
)

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


def run_pass(model_address: int, theta_address: int, given: int, working: int) -> float:
    """One pass over all rows at theta; leaves its sums in the buffers, gives the log-likelihood.

    `given` says what for (`_small_places`), `working` is 0 or the address of linear predictors in
    place of those at theta: the score is then that of the working response.
    """
    model = integers(model_address, np.int64(N_PLACES))
    read_parameters(model, doubles(theta_address, model[SIZE]))
    clear_sums(model, given)
    loglik, full = 0.0, np.int64(given == INFORMATION)
    for chunk in range(model[N_CHUNKS]):
        row, n, unit, n_units = chunk_of(model, chunk)
        loglik += chunk_terms(model, row, n, unit, n_units, full, working)
        if given == INFORMATION:
            add_chunk(model, row, n, unit, n_units)
        elif given != NONE:
            if given != OWN:
                use_responsibilities(model, given, unit, n_units)
            for s in range(model[N_COMPONENTS]):
                add_component(model, s, row, n, unit, n_units, working)
            if model[CONSTANT] == 0:
                add_concomitant(model, unit, n_units, given)
    if given == INFORMATION:
        assemble_information(model)
    elif given != NONE:
        assemble(model, given)
    return loglik


@functools.cache
def pass_callback() -> CFunc:
    """Compile or load the pass over small data."""
    return callback(run_pass, SMALL_PASS_SIGNATURE, "small-pass")
