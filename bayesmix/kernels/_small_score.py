"""The pass over small data for samplers: the log-likelihood and its score, and nothing else."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels._blocks import total
from bayesmix.kernels._small_plain import add_component, add_plain, component_predictors
from bayesmix.kernels.compile import (
    SMALL_PASS_SIGNATURE,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.families import LOGF
from bayesmix.kernels.record import (
    ALLOWED,
    CONSTANT,
    FIRST,
    JOINT,
    LINE,
    MASS,
    MASSES,
    N_CHUNKS,
    N_COMPONENTS,
    N_PLACES,
    POSTERIOR,
    SIZE,
    SLOPE,
    UNIT_WEIGHT,
    WEIGHT,
    C,
)
from bayesmix.kernels.rows import (
    Integers,
    by_unit,
    call_component,
    chunk_of,
    join_terms,
    prior_terms,
    read_parameters,
    terms_of,
    to_rows,
)
from bayesmix.kernels.sums import add_concomitant, assemble, clear_sums

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


@elementwise
def joint_terms(model: Integers, row: int, n: int, unit: int, n_units: int) -> None:
    """Logarithms of pi_s f_s of a chunk's units into `JOINT`."""
    k, first = model[N_COMPONENTS], np.int64(0)
    joint = matrix(model[JOINT], k, model[LINE])
    prior_terms(model, unit, n_units)
    for s in range(k):
        component_predictors(model, s, row, n)
        call_component(model, s, row, n, first)
        by_unit(model, row, unit, n_units, terms_of(model, s)[LOGF], joint[s])


@elementwise
def add_units(model: Integers, row: int, n: int, unit: int, n_units: int) -> None:
    """Add the sums of a chunk whose units have weights, labels or several rows."""
    k, line = model[N_COMPONENTS], model[LINE]
    posterior, joint = matrix(model[POSTERIOR], k, line), matrix(model[JOINT], k, line)
    weight, c = doubles(model[UNIT_WEIGHT], line), doubles(model[C], line)
    ones = doubles(model[MASSES], line)
    for i in range(n):
        ones[i] = 1.0
    for s in range(k):
        for i in range(n_units):
            c[i] = weight[i] * posterior[s, i]
        doubles(model[MASS], k)[s] += total(c, n_units)
        to_rows(model, row, unit, n_units, c, joint[s])
        add_component(model, s, row, n)


def run_score(model_address: int, theta_address: int, _given: int, _working: int) -> float:
    """One pass over all rows at theta; leaves the score in its buffer, gives the log-likelihood."""
    model, given = integers(model_address, np.int64(N_PLACES)), np.int64(SLOPE)
    read_parameters(model, doubles(theta_address, model[SIZE]))
    clear_sums(model, given)
    plain = model[WEIGHT] == 0 and model[FIRST] == 0 and model[ALLOWED] == 0
    loglik = 0.0
    for chunk in range(model[N_CHUNKS]):
        row, n, unit, n_units = chunk_of(model, chunk)
        if plain:
            loglik += add_plain(model, row, n)
        else:
            joint_terms(model, row, n, unit, n_units)
            loglik += join_terms(model, unit, n_units)
            add_units(model, row, n, unit, n_units)
            if model[CONSTANT] == 0:
                add_concomitant(model, unit, n_units, given)
    assemble(model, given)
    return loglik


@functools.cache
def score_callback() -> CFunc:
    """Compile or load the pass over small data for samplers."""
    return callback(run_score, SMALL_PASS_SIGNATURE, "small-score")
