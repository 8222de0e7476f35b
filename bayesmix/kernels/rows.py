"""The E step of small data: one start after another, over rows sorted by unit.

The kernels for small data read an array of integers, the model: sizes, addresses of the data and of
the buffers, at the places named below.  `_small_call` fills it.  Nothing about the data is compiled
in.  The rows are walked through in chunks of whole units, which fit the processor's cache; with the
data of a chunk side by side, every inner loop runs over adjacent numbers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import math as _math
from bayesmix.kernels._blocks import linear_predictor, softmax, total
from bayesmix.kernels.compile import call_family, doubles, elementwise, flags, integers, matrix
from bayesmix.kernels.families import D1, D_DISP, LOGF, N_TERMS
from bayesmix.kernels.record import (
    ALLOWED,
    ALPHA,
    ALPHA_INDEX,
    AUX,
    BLOCK,
    BOUNDS,
    COEF,
    CONSTANT,
    DENSITY_CONSTANT,
    DISPERSION,
    DISPERSION_INDEX,
    ETA,
    FAMILY,
    FIRST,
    HAS_DISPERSION,
    INDEX,
    JOINT,
    LINE,
    LOG_PRIOR,
    MASSES,
    N_CHUNKS,
    N_COLUMNS,
    N_COMPONENTS,
    N_CONCOMITANT,
    N_UNITS,
    OFFSET,
    PI,
    POSTERIOR,
    PRIOR,
    SCRATCH,
    TERMS,
    TOTALS,
    UNIT_WEIGHT,
    WEIGHT,
    ZEROS,
    X,
    Y,
    Z,
)

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

exp, log = _math.exp, _math.log


@elementwise
def gather(theta: Array, index: int, size: int, out: Array) -> None:
    """Take entries of theta, 0 where the index is -1."""
    at = integers(index, size)
    for i in range(size):
        out[i] = theta[at[i]] if at[i] >= 0 else 0.0


@elementwise
def read_parameters(model: Integers, theta: Array) -> None:
    """Coefficients, dispersions, logits and constant weights of one start."""
    s, p, q = model[N_COMPONENTS], model[N_COLUMNS], model[N_CONCOMITANT]
    gather(theta, model[INDEX], s * p, doubles(model[COEF], s * p))
    dispersion, alpha = doubles(model[DISPERSION], s), doubles(model[ALPHA], s * q)
    gather(theta, model[ALPHA_INDEX], s * q, alpha)
    if model[HAS_DISPERSION] != 0:
        gather(theta, model[DISPERSION_INDEX], s, dispersion)
        for i in range(s):
            dispersion[i] = exp(dispersion[i])
    if model[CONSTANT] != 0:
        log_prior, pi = doubles(model[LOG_PRIOR], s), doubles(model[PI], s)
        top, mass = alpha[0], 0.0
        for i in range(1, s):
            top = max(top, alpha[i])
        for i in range(s):
            mass += exp(alpha[i] - top)
        for i in range(s):
            log_prior[i] = alpha[i] - top - log(mass)
            pi[i] = exp(log_prior[i])


@elementwise
def chunk_of(model: Integers, c: int) -> Any:
    """First row, number of rows, first unit and number of units of a chunk."""
    bounds = integers(model[BOUNDS], model[N_CHUNKS] + 1)
    unit, end = bounds[c], bounds[c + 1]
    if model[FIRST] == 0:
        return unit, end - unit, unit, end - unit
    first = integers(model[FIRST], model[N_UNITS] + 1)
    return first[unit], first[end] - first[unit], unit, end - unit


@elementwise
def by_unit(model: Integers, row: int, unit: int, n_units: int, values: Array, out: Array) -> None:
    """Add to every unit its rows' values."""
    if model[FIRST] == 0:
        for i in range(n_units):
            out[i] += values[i]
        return
    first = integers(model[FIRST], model[N_UNITS] + 1)
    for u in range(n_units):
        for i in range(first[unit + u] - row, first[unit + u + 1] - row):
            out[u] += values[i]


@elementwise
def to_rows(model: Integers, row: int, unit: int, n_units: int, values: Array, out: Array) -> None:
    """Give every row its unit's value."""
    if model[FIRST] == 0:
        for i in range(n_units):
            out[i] = values[i]
        return
    first = integers(model[FIRST], model[N_UNITS] + 1)
    for u in range(n_units):
        for i in range(first[unit + u] - row, first[unit + u + 1] - row):
            out[i] = values[u]


@elementwise
def terms_of(model: Integers, s: int) -> Array:
    """A component's outputs of the family, (N_TERMS, LINE)."""
    line = model[LINE]
    return matrix(model[TERMS] + 8 * s * N_TERMS * line, N_TERMS, line)


@elementwise
def call_component(model: Integers, s: int, row: int, n: int, full: int) -> None:
    """The family's outputs at the linear predictors in `ETA`, each `LINE` values apart."""
    at, line, zeros = 8 * row, model[LINE], model[ZEROS]
    out = model[TERMS] + 8 * s * N_TERMS * line
    dispersion = doubles(model[DISPERSION], model[N_COMPONENTS])[s]
    # The family writes its outputs BLOCK values apart: long chunks are copied together.
    direct = line == BLOCK
    start = 0
    while start < n:
        m = min(n - start, BLOCK)
        here = at + 8 * start
        aux = model[AUX] + here if model[AUX] != 0 else zeros
        const = model[DENSITY_CONSTANT] + here if model[DENSITY_CONSTANT] != 0 else zeros
        target = out if direct else model[SCRATCH]
        call_family(
            model[FAMILY],
            full,
            m,
            dispersion,
            model[Y] + here,
            aux,
            const,
            model[ETA] + 8 * start,
            target,
        )
        if not direct:
            block, terms = matrix(target, N_TERMS, BLOCK), matrix(out + 8 * start, N_TERMS, line)
            for t in range(N_TERMS):
                for i in range(m):
                    terms[t, i] = block[t, i]
        start += m


@elementwise
def component_terms(model: Integers, s: int, row: int, n: int, full: int) -> None:
    """The same; where the density is zero the derivatives, which may be anything, are 0."""
    call_component(model, s, row, n, full)
    line = model[LINE]
    out = model[TERMS] + 8 * s * N_TERMS * line
    logf, d1 = doubles(out + 8 * LOGF * line, n), doubles(out + 8 * D1 * line, n)
    for i in range(n):
        d1[i] = 0.0 if logf[i] == -math.inf else d1[i]
    if full != 0 and model[HAS_DISPERSION] != 0:
        d_disp = doubles(out + 8 * D_DISP * line, n)
        for i in range(n):
            d_disp[i] = 0.0 if logf[i] == -math.inf else d_disp[i]


@elementwise
def family_terms(model: Integers, row: int, n: int, full: int, working: int) -> None:
    """The family's outputs of all components; `working` is the address of other predictors."""
    s, p, first = model[N_COMPONENTS], model[N_COLUMNS], np.int64(0)
    columns = matrix(model[X] + 8 * p * row, p, n)
    coef, eta = matrix(model[COEF], s, p), doubles(model[ETA], n)
    offset = doubles(model[OFFSET] + 8 * row if model[OFFSET] != 0 else model[ZEROS], n)
    for component in range(s):
        if working != 0:
            given = doubles(working + 8 * row, n)
            for i in range(n):
                eta[i] = given[i]
        else:
            linear_predictor(coef, component, columns, first, n, offset, eta)
        component_terms(model, component, row, n, full)


@elementwise
def prior_terms(model: Integers, unit: int, n: int) -> None:
    """Log weights of a chunk's units into `JOINT`, weights into `PRIOR`."""
    s, q, line, first = model[N_COMPONENTS], model[N_CONCOMITANT], model[LINE], np.int64(0)
    joint, prior = matrix(model[JOINT], s, line), matrix(model[PRIOR], s, line)
    if model[CONSTANT] != 0:
        log_prior, pi = doubles(model[LOG_PRIOR], s), doubles(model[PI], s)
        for component in range(s):
            for i in range(n):
                joint[component, i] = log_prior[component]
                prior[component, i] = pi[component]
        return
    z, alpha = matrix(model[Z] + 8 * q * unit, q, n), matrix(model[ALPHA], s, q)
    zeros, totals = doubles(model[ZEROS], line), doubles(model[TOTALS], line)
    for component in range(s):
        linear_predictor(alpha, component, z, first, n, zeros, joint[component])
    softmax(joint, n, totals, doubles(model[MASSES], line), prior)
    for component in range(s):
        for i in range(n):
            joint[component, i] -= totals[i]


@elementwise
def chunk_terms(
    model: Integers, row: int, n: int, unit: int, n_units: int, full: int, working: int
) -> float:
    """The E step of a chunk: family terms, weights, `POSTERIOR`; gives its log-likelihood."""
    s, line = model[N_COMPONENTS], model[LINE]
    joint = matrix(model[JOINT], s, line)
    prior_terms(model, unit, n_units)
    family_terms(model, row, n, full, working)
    for component in range(s):
        logf = doubles(model[TERMS] + 8 * (component * N_TERMS + LOGF) * line, n)
        by_unit(model, row, unit, n_units, logf, joint[component])
    return join_terms(model, unit, n_units)


@elementwise
def join_terms(model: Integers, unit: int, n_units: int) -> float:
    """`POSTERIOR` of a chunk's units from `JOINT`, and their log-likelihood."""
    s, line = model[N_COMPONENTS], model[LINE]
    joint, posterior = matrix(model[JOINT], s, line), matrix(model[POSTERIOR], s, line)
    totals, weight = doubles(model[TOTALS], line), doubles(model[UNIT_WEIGHT], line)
    if model[ALLOWED] != 0:
        allowed = flags(model[ALLOWED] + s * unit, s * n_units)
        for component in range(s):
            for i in range(n_units):
                if allowed[component * n_units + i] == 0:
                    joint[component, i] = -math.inf
    softmax(joint, n_units, totals, doubles(model[MASSES], line), posterior)
    for i in range(n_units):
        weight[i] = 1.0
    if model[WEIGHT] != 0:
        given = doubles(model[WEIGHT] + 8 * unit, n_units)
        for i in range(n_units):
            weight[i] = given[i]
            # A unit of weight 0 is absent, possible or not.
            totals[i] = 0.0 if given[i] == 0.0 else given[i] * totals[i]
    return total(totals, n_units)
