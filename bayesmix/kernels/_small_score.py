"""The pass over small data for samplers: the log-likelihood and its score, and nothing else."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels._blocks import add_sums, linear_predictor, total
from bayesmix.kernels._compile import (
    SMALL_PASS_SIGNATURE,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
    reduction,
)
from bayesmix.kernels._families import D1, LOGF, N_TERMS, STATISTIC
from bayesmix.kernels._passes import scaled
from bayesmix.kernels._small import (
    Array,
    Integers,
    by_unit,
    call_component,
    chunk_of,
    join_terms,
    prior_terms,
    read_parameters,
    to_rows,
)
from bayesmix.kernels._small_places import (
    COEF,
    CONSTANT,
    COUNT,
    ETA,
    FIRST,
    HAS_DISPERSION,
    JOINT,
    LINE,
    LOG_PRIOR,
    MASS,
    N_CHUNKS,
    N_COLUMNS,
    N_COMPONENTS,
    N_PLACES,
    OFFSET,
    PARTS,
    POSTERIOR,
    SHARE,
    SIZE,
    SLOPE,
    SQUARES,
    TERMS,
    UNIT_WEIGHT,
    WEIGHT,
    ZEROS,
    C,
    X,
)
from bayesmix.kernels._small_sums import add_concomitant, assemble, clear_sums

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


@reduction
def product_sum(scale: Array, values: Array, at: int, n: int) -> float:
    """``sum_i scale[i] values[at + i]``, 0 where the scale is 0 whatever the value."""
    result = 0.0
    for i in range(n):
        result += scale[i] * values[at + i] if scale[i] != 0.0 else 0.0
    return result


@elementwise
def joint_terms(model: Integers, row: int, n: int, unit: int, n_units: int) -> None:
    """Logarithms of pi_s f_s of a chunk's units into `JOINT`."""
    k, p, line, first = model[N_COMPONENTS], model[N_COLUMNS], model[LINE], np.int64(0)
    columns, coef = matrix(model[X] + 8 * p * row, p, n), matrix(model[COEF], k, p)
    offset = doubles(model[OFFSET] + 8 * row if model[OFFSET] != 0 else model[ZEROS], n)
    eta, joint = doubles(model[ETA], n), matrix(model[JOINT], k, line)
    log_prior = doubles(model[LOG_PRIOR], k)
    plain = model[CONSTANT] != 0 and model[FIRST] == 0
    if not plain:
        prior_terms(model, unit, n_units)
    for s in range(k):
        linear_predictor(coef, s, columns, first, n, offset, eta)
        call_component(model, s, row, n, first)
        logf = doubles(model[TERMS] + 8 * (s * N_TERMS + LOGF) * line, n)
        if plain:
            for i in range(n):
                joint[s, i] = logf[i] + log_prior[s]
        else:
            by_unit(model, row, unit, n_units, logf, joint[s])


@elementwise
def add_slopes(model: Integers, s: int, row: int, n: int, unit: int, n_units: int) -> None:
    """Add a component's sums over a chunk: r, r statistic and r d1 x."""
    k, p, line, first = model[N_COMPONENTS], model[N_COLUMNS], model[LINE], np.int64(0)
    terms = matrix(model[TERMS], k, N_TERMS * line)[s]
    columns = matrix(model[X] + 8 * p * row, p, n)
    posterior, weight = matrix(model[POSTERIOR], k, line)[s], doubles(model[UNIT_WEIGHT], line)
    c, share = doubles(model[C], line), posterior
    if model[WEIGHT] != 0 or model[FIRST] != 0:
        share = doubles(model[SHARE], line)
        for i in range(n_units):
            c[i] = weight[i] * posterior[i]
        doubles(model[MASS], k)[s] += total(c, n_units)
        to_rows(model, row, unit, n_units, c, share)
    else:
        doubles(model[MASS], k)[s] += total(posterior, n_units)
    if model[HAS_DISPERSION] != 0:
        doubles(model[COUNT], k)[s] += total(share, n)
        doubles(model[SQUARES], k)[s] += product_sum(share, terms, STATISTIC * line, n)
    scaled(terms, D1 * line, share, n, c)
    add_sums(c, columns, first, p, n, matrix(model[PARTS], k, p), s, first)


def run_score(model_address: int, theta_address: int, _given: int, _working: int) -> float:
    """One pass over all rows at theta; leaves the score in its buffer, gives the log-likelihood."""
    model, given = integers(model_address, np.int64(N_PLACES)), np.int64(SLOPE)
    read_parameters(model, doubles(theta_address, model[SIZE]))
    clear_sums(model, given)
    loglik = 0.0
    for chunk in range(model[N_CHUNKS]):
        row, n, unit, n_units = chunk_of(model, chunk)
        joint_terms(model, row, n, unit, n_units)
        loglik += join_terms(model, unit, n_units)
        for s in range(model[N_COMPONENTS]):
            add_slopes(model, s, row, n, unit, n_units)
        if model[CONSTANT] == 0:
            add_concomitant(model, unit, n_units, given)
    assemble(model, given)
    return loglik


@functools.cache
def score_callback() -> CFunc:
    """Compile or load the pass over small data for samplers."""
    return callback(run_score, SMALL_PASS_SIGNATURE, "small-score")
