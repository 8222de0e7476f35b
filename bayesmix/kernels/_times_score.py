"""The pass over times for samplers: the log-likelihood of a mixture, and its score.

A component's log density of a unit is the sum of items, each a family's term at the rows of a chunk
that are known in one way and may belong to the component.  Items know where their rows' units,
designs and parameters are, so that several events, responses and rows of a unit are all the same.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels._blocks import add_sums, linear_predictor, total
from bayesmix.kernels._passes import scaled
from bayesmix.kernels._times_places import (
    BARRED,
    CHUNK_WIDTH,
    CHUNKS,
    COMPONENT,
    DESIGN,
    END,
    ENTERED,
    ENTRIES,
    ITEM_WIDTH,
    ITEMS,
    KNOWN,
    N_BARRED,
    N_COLUMNS,
    N_PAIRS,
    N_SEVERAL,
    NUMBERS,
    OBSERVED,
    OFFSET,
    OUTPUTS,
    PREDICTOR_WIDTH,
    PREDICTORS,
    SIGN,
    TERM,
    TRUNCATED,
    UNITS,
)
from bayesmix.kernels.compile import (
    SMALL_PASS_SIGNATURE,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.record import (
    COEF,
    CONSTANT,
    ETA,
    JOINT,
    LINE,
    MASS,
    N_CHUNKS,
    N_COMPONENTS,
    N_PLACES,
    PARTS,
    POSTERIOR,
    SCORE,
    SHARE,
    SIZE,
    SLOPE,
    TERMS,
    UNIT_WEIGHT,
    WEIGHT,
    ZEROS,
    C,
)
from bayesmix.kernels.rows import (
    Array,
    Integers,
    chunk_of,
    gather,
    join_terms,
    prior_terms,
    read_parameters,
)
from bayesmix.kernels.sums import (
    add_concomitant,
    assemble,
    clear,
    clear_sums,
    scatter_vector,
)
from bayesmix.kernels.times_families import call_term

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


@elementwise
def predict(model: Integers, predictor: Integers, theta: Array, eta: Array) -> None:
    """A linear predictor at an item's pairs."""
    n, p, first = len(eta), predictor[N_COLUMNS], np.int64(0)
    gather(theta, predictor[ENTRIES], p, doubles(model[COEF], p))
    offset = doubles(predictor[OFFSET] if predictor[OFFSET] != 0 else model[ZEROS], n)
    if predictor[DESIGN] != 0:
        columns, coef = matrix(predictor[DESIGN], p, n), matrix(model[COEF], np.int64(1), p)
        linear_predictor(coef, first, columns, first, n, offset, eta)
        return
    level = total(doubles(model[COEF], p), p)
    for i in range(n):
        eta[i] = level + offset[i]


@elementwise
def add_item(model: Integers, item: Integers, theta: Array) -> None:
    """Compute an item's terms, and add their values to those of its component's units."""
    n = item[N_PAIRS]
    for j in range(2):
        at = PREDICTORS + PREDICTOR_WIDTH * j
        if item[at] > 0:
            eta = doubles(model[ETA] + 8 * j * n, n)
            predict(model, item[at : at + PREDICTOR_WIDTH], theta, eta)
    out = model[TERMS] + 8 * item[OUTPUTS]
    call_term(item[TERM], n, item[NUMBERS], model[ETA], out)
    joint = matrix(model[JOINT], model[N_COMPONENTS], model[LINE])[item[COMPONENT]]
    value, unit = doubles(out, n), integers(item[UNITS], n)
    if item[SIGN] > 0:
        for i in range(n):
            joint[unit[i]] += value[i]
    else:
        for i in range(n):
            # Nobody could have entered: the time cannot have been seen.
            joint[unit[i]] -= math.inf if value[i] == -math.inf else value[i]


@elementwise
def add_slopes(model: Integers, item: Integers) -> None:
    """Add an item's part of the score; `POSTERIOR` has the units' weights in the components."""
    n, line, first = item[N_PAIRS], model[LINE], np.int64(0)
    out, unit = matrix(model[TERMS] + 8 * item[OUTPUTS], 3, n), integers(item[UNITS], n)
    posterior = matrix(model[POSTERIOR], model[N_COMPONENTS], line)[item[COMPONENT]]
    share, c = doubles(model[SHARE], n), doubles(model[C], n)
    for i in range(n):
        share[i] = item[SIGN] * posterior[unit[i]]
    for j in range(2):
        at = PREDICTORS + PREDICTOR_WIDTH * j
        p = item[at]
        if p > 0:
            predictor = item[at : at + PREDICTOR_WIDTH]
            scaled(out[j + 1], share, n, c)
            parts = matrix(model[PARTS], np.int64(1), p)
            if predictor[DESIGN] != 0:
                clear(model[PARTS], p)
                add_sums(c, matrix(predictor[DESIGN], p, n), first, p, n, parts, first, first)
            else:
                level = total(c, n)
                for i in range(p):
                    parts[0, i] = level
            scatter_vector(predictor[ENTRIES], p, model[PARTS], doubles(model[SCORE], model[SIZE]))


@elementwise
def weigh(model: Integers, n: int) -> None:
    """Give `POSTERIOR` the units' weights, and add up the components' masses."""
    k, line = model[N_COMPONENTS], model[LINE]
    weight, mass = doubles(model[UNIT_WEIGHT], line), doubles(model[MASS], k)
    posterior = matrix(model[POSTERIOR], k, line)
    for s in range(k):
        for i in range(n):
            posterior[s, i] *= weight[i]
        mass[s] += total(posterior[s], n)


@elementwise
def add_known(model: Integers, unit: int, n: int, chunk: Integers) -> float:
    """`POSTERIOR` of units whose component is known; gives their log-likelihood."""
    k, line, first = model[N_COMPONENTS], model[LINE], chunk[N_SEVERAL]
    joint, posterior = matrix(model[JOINT], k, line), matrix(model[POSTERIOR], k, line)
    weight, known = doubles(model[UNIT_WEIGHT], line), integers(chunk[KNOWN], n - first)
    for s in range(k):
        for i in range(first, n):
            posterior[s, i] = 1.0 if known[i - first] == s else 0.0
    for i in range(first, n):
        weight[i] = 1.0
    if model[WEIGHT] != 0:
        given = doubles(model[WEIGHT] + 8 * unit, n)
        for i in range(first, n):
            weight[i] = given[i]
    value = 0.0
    for i in range(first, n):
        # A unit of weight 0 is absent, possible or not.
        value += 0.0 if weight[i] == 0.0 else weight[i] * joint[known[i - first], i]
    return value


@elementwise
def join_observed(model: Integers, unit: int, n: int, chunk: Integers) -> float:
    """`POSTERIOR` of a chunk's units; gives their log-likelihood."""
    joint, barred = (
        matrix(model[JOINT], model[N_COMPONENTS], model[LINE]),
        integers(chunk[BARRED], 2 * chunk[N_BARRED]),
    )
    for i in range(chunk[N_BARRED]):
        joint[barred[2 * i], barred[2 * i + 1]] = -math.inf
    value = join_terms(model, unit, chunk[N_SEVERAL])
    return value + (add_known(model, unit, n, chunk) if chunk[N_SEVERAL] < n else 0.0)


@elementwise
def add_items(model: Integers, theta: Array, unit: int, n: int, low: int, high: int) -> None:
    """Logarithms of pi_s f_s of a chunk's units into `JOINT`."""
    prior_terms(model, unit, n)
    for at in range(low, high):
        address = model[ITEMS] + 8 * ITEM_WIDTH * at
        add_item(model, integers(address, np.int64(ITEM_WIDTH)), theta)


@elementwise
def add_scores(model: Integers, unit: int, n: int, low: int, high: int, sign: float) -> None:
    """Add a chunk's score times a sign."""
    weight, given = doubles(model[UNIT_WEIGHT], n), np.int64(SLOPE)
    for i in range(n):
        weight[i] *= sign
    if model[CONSTANT] == 0:
        add_concomitant(model, unit, n, given)
    weigh(model, n)
    for at in range(low, high):
        address = model[ITEMS] + 8 * ITEM_WIDTH * at
        add_slopes(model, integers(address, np.int64(ITEM_WIDTH)))


def run_times(model_address: int, theta_address: int, _given: int, _working: int) -> float:
    """One pass over all rows at theta; leaves the score in its buffer, gives the log-likelihood."""
    model, given = integers(model_address, np.int64(N_PLACES)), np.int64(SLOPE)
    theta = doubles(theta_address, model[SIZE])
    read_parameters(model, theta)
    clear_sums(model, given)
    loglik = 0.0
    for c in range(model[N_CHUNKS]):
        chunk = integers(model[CHUNKS] + 8 * CHUNK_WIDTH * c, np.int64(CHUNK_WIDTH))
        _, _, unit, n = chunk_of(model, c)
        low, high, end = chunk[OBSERVED], chunk[ENTERED], chunk[END]
        add_items(model, theta, unit, n, low, high)
        loglik += join_observed(model, unit, n, chunk)
        add_scores(model, unit, n, low, high, 1.0)
        if model[TRUNCATED] != 0:
            add_items(model, theta, unit, n, high, end)
            loglik -= join_terms(model, unit, n)
            add_scores(model, unit, n, high, end, -1.0)
    assemble(model, given)
    return loglik


@functools.cache
def times_callback() -> CFunc:
    """Compile or load the pass over times for samplers."""
    return callback(run_times, SMALL_PASS_SIGNATURE, "times-score")
