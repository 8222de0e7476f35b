"""Steps over one block of rows, shared by all passes.

Arrays hold the rows of a block along their last axis, which is contiguous: every inner loop runs
over rows and vectorises.  A block's buffers stay in the first two levels of cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import math as _math
from bayesmix.kernels.compile import (
    call_family,
    doubles,
    elementwise,
    flags,
    integers,
    matrix,
    reduction,
)
from bayesmix.kernels.families import LOGF, N_CHANNELS, N_TERMS
from bayesmix.kernels.record import BLOCK

Array = NDArray[np.float64]

exp, log = _math.exp, _math.log


class Rows(NamedTuple):
    """The data: addresses (0: absent) and, for the matrices, strides in elements."""

    x: int
    x_row: int
    x_column: int
    offset: int
    y: int
    aux: int
    const: int
    weight: int
    z: int
    z_row: int
    z_column: int
    allowed: int


class Model(NamedTuple):
    """The family's and the parameters' addresses, the sizes, and whether all terms are wanted."""

    family: int
    has_dispersion: int
    coef: int
    dispersion: int
    logprior: int
    alpha: int
    n_components: int
    n_columns: int
    n_concomitant: int
    full: int


class Work(NamedTuple):
    """Buffers of one block; B = BLOCK.

    columns (P + 1 + Q, B): X, ones, Z; terms (S * N_TERMS, B): the family's outputs, at
    s N_TERMS + place;
    joint, prior, posterior (S, B); each, shared (N_CHANNELS * S, B): see `_information`;
    the rest (B,).
    """

    columns: Array
    terms: Array
    joint: Array
    prior: Array
    posterior: Array
    each: Array
    shared: Array
    weight: Array
    total: Array
    mass: Array
    eta: Array
    zeros: Array
    ones: Array
    c: Array
    product: Array


@elementwise
def read_rows(address: int) -> Rows:
    """Unpack `Rows` from 64-bit integers."""
    a = integers(address, 12)
    return Rows(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11])


@elementwise
def read_model(address: int, full: int) -> Model:
    """Unpack `Model`, all but its last field, from 64-bit integers."""
    a = integers(address, 9)
    return Model(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], full)


@elementwise
def make_work(model: Model, address: int) -> Work:
    """Lay the buffers out in the zeroed memory (`_call.work_size`) at an address."""
    s = model.n_components
    width = model.n_columns + 1 + model.n_concomitant
    line = 8 * BLOCK
    terms = address + line * width
    joint = terms + line * N_TERMS * s
    each = joint + line * 3 * s
    vectors = each + line * 2 * N_CHANNELS * s
    ones = doubles(address + line * model.n_columns, BLOCK)
    for i in range(BLOCK):
        ones[i] = 1.0
    return Work(
        matrix(address, width, BLOCK),
        matrix(terms, s * N_TERMS, BLOCK),
        matrix(joint, s, BLOCK),
        matrix(joint + line * s, s, BLOCK),
        matrix(joint + line * 2 * s, s, BLOCK),
        matrix(each, N_CHANNELS * s, BLOCK),
        matrix(each + line * N_CHANNELS * s, N_CHANNELS * s, BLOCK),
        doubles(vectors, BLOCK),
        doubles(vectors + line, BLOCK),
        doubles(vectors + line * 2, BLOCK),
        doubles(vectors + line * 3, BLOCK),
        doubles(vectors + line * 4, BLOCK),
        ones,
        doubles(vectors + line * 5, BLOCK),
        doubles(vectors + line * 6, BLOCK),
    )


@elementwise
def pack(
    address: int,
    row_stride: int,
    column_stride: int,
    first: int,
    m: int,
    width: int,
    out: Array,
    top: int,
) -> None:
    """Transpose m rows of a strided matrix, from row `first`, into ``out[top : top + width]``."""
    for j in range(width):
        start = address + 8 * (first * row_stride + j * column_stride)
        column = doubles(start, (m - 1) * row_stride + 1)
        if row_stride == 1:
            for i in range(m):
                out[top + j, i] = column[i]
        else:
            for i in range(m):
                out[top + j, i] = column[i * row_stride]


@elementwise
def linear_predictor(
    coef: Array, s: int, columns: Array, top: int, m: int, offset: Array, out: Array
) -> None:
    """``out[i] = offset[i] + sum_j coef[s, j] columns[top + j, i]``."""
    width = coef.shape[1]
    if width % 2 == 1:
        a = coef[s, 0]
        for i in range(m):
            out[i] = offset[i] + a * columns[top, i]
    else:
        for i in range(m):
            out[i] = offset[i]
    j = width % 2
    while j < width:  # two columns at once: the sum is loaded and stored half as often
        a, b, c = coef[s, j], coef[s, j + 1], top + j
        for i in range(m):
            out[i] = out[i] + a * columns[c, i] + b * columns[c + 1, i]
        j += 2


@elementwise
def softmax(terms: Array, m: int, total: Array, mass: Array, out: Array) -> None:
    """Normalise terms (S, m): ``total = log sum_s exp(terms)``, ``out = exp(terms - total)``.

    Terms may be -inf; where all of them are, total is -inf and out is 0.
    """
    n_components = terms.shape[0]
    for i in range(m):
        total[i] = terms[0, i]
    for s in range(1, n_components):
        for i in range(m):
            total[i] = terms[s, i] if terms[s, i] > total[i] else total[i]
    for i in range(m):
        mass[i] = 0.0
        # Where all terms are -inf, -inf - -inf would be NaN.
        total[i] = 0.0 if total[i] == -math.inf else total[i]
    for s in range(n_components):
        for i in range(m):
            out[s, i] = exp(terms[s, i] - total[i])
            mass[i] += out[s, i]
    for i in range(m):
        total[i] += log(mass[i])
        mass[i] = 0.0 if mass[i] == 0.0 else 1.0 / mass[i]
    for s in range(n_components):
        for i in range(m):
            out[s, i] *= mass[i]


@elementwise
def prior_terms(rows: Rows, model: Model, start: int, m: int, work: Work) -> None:
    """Fill ``work.joint`` with log pi_s(z_i) and ``work.prior`` with pi_s(z_i), both (S, m)."""
    if model.alpha == 0:
        logprior = doubles(model.logprior, model.n_components)
        for s in range(model.n_components):
            probability = exp(logprior[s])
            for i in range(m):
                work.joint[s, i] = logprior[s]
                work.prior[s, i] = probability
        return
    top = model.n_columns + 1
    pack(rows.z, rows.z_row, rows.z_column, start, m, model.n_concomitant, work.columns, top)
    alpha = matrix(model.alpha, model.n_components, model.n_concomitant)
    for s in range(model.n_components):
        linear_predictor(alpha, s, work.columns, top, m, work.zeros, work.joint[s])
    softmax(work.joint, m, work.total, work.mass, work.prior)
    for s in range(model.n_components):
        for i in range(m):
            work.joint[s, i] -= work.total[i]


@elementwise
def family_terms(rows: Rows, model: Model, start: int, m: int, work: Work) -> None:
    """Fill ``work.terms`` with the family's outputs, component by component."""
    # A literal argument would compile one more version of every function called with it.
    first = np.int64(0)
    at = 8 * start
    zeros, eta, terms = work.zeros.ctypes.data, work.eta.ctypes.data, work.terms.ctypes.data
    offset = doubles(rows.offset + at, m) if rows.offset != 0 else work.zeros
    aux = rows.aux + at if rows.aux != 0 else zeros
    const = rows.const + at if rows.const != 0 else zeros
    pack(rows.x, rows.x_row, rows.x_column, start, m, model.n_columns, work.columns, first)
    coef = matrix(model.coef, model.n_components, model.n_columns)
    dispersion = doubles(model.dispersion, model.n_components)
    for s in range(model.n_components):
        linear_predictor(coef, s, work.columns, first, m, offset, work.eta)
        out = terms + 8 * s * N_TERMS * BLOCK
        call_family(model.family, model.full, m, dispersion[s], rows.y + at, aux, const, eta, out)


@elementwise
def drop_forbidden(rows: Rows, start: int, m: int, joint: Array) -> None:
    """Set the log terms (S, m) of components that a row may not belong to to -inf."""
    n_components = joint.shape[0]
    allowed = flags(rows.allowed + start * n_components, m * n_components)
    for s in range(n_components):
        for i in range(m):
            joint[s, i] = joint[s, i] if allowed[i * n_components + s] != 0 else -math.inf


@elementwise
def block_terms(rows: Rows, model: Model, start: int, m: int, work: Work) -> float:
    """Do the E step of m rows from row `start`.

    Fills ``work.terms``, ``work.weight`` and ``work.posterior``, r_is = pi_is f_is / sum_t pi_it
    f_it; returns ``sum_i w_i log sum_s pi_is f_is``.
    """
    prior_terms(rows, model, start, m, work)
    family_terms(rows, model, start, m, work)
    for s in range(model.n_components):
        for i in range(m):
            work.joint[s, i] += work.terms[s * N_TERMS + LOGF, i]
    if rows.allowed != 0:
        drop_forbidden(rows, start, m, work.joint)
    softmax(work.joint, m, work.total, work.mass, work.posterior)
    weight = doubles(rows.weight + 8 * start, m) if rows.weight != 0 else work.ones
    for i in range(m):
        work.weight[i] = weight[i]
        # A row of weight 0 is absent, possible or not.
        work.total[i] = 0.0 if weight[i] == 0.0 else weight[i] * work.total[i]
    return total(work.total, m)


@reduction
def total(values: Array, m: int) -> float:
    """Sum of the first m values."""
    result = 0.0
    for i in range(m):
        result += values[i]
    return result


@reduction
def add_sums(
    values: Array,
    columns: Array,
    top: int,
    width: int,
    m: int,
    target: Array,
    row: int,
    column: int,
) -> None:
    """``target[row, column + j] += sum_i values[i] columns[top + j, i]``."""
    j = 0
    while j + 2 <= width:  # two sums at once: the values are loaded once for two columns
        s0 = s1 = 0.0
        c = top + j
        for i in range(m):
            s0 += values[i] * columns[c, i]
            s1 += values[i] * columns[c + 1, i]
        target[row, column + j] += s0
        target[row, column + j + 1] += s1
        j += 2
    if j < width:
        s0 = 0.0
        for i in range(m):
            s0 += values[i] * columns[top + j, i]
        target[row, column + j] += s0


@reduction
def add_products(
    values: Array,
    columns: Array,
    a: int,
    n_a: int,
    b: int,
    n_b: int,
    lower: bool,
    m: int,
    product: Array,
    target: Array,
    row: int,
    column: int,
) -> None:
    """``target[row + j, column + k] += sum_i values[i] columns[a + j, i] columns[b + k, i]``.

    With `lower` only k <= j.
    """
    for j in range(n_a):
        for i in range(m):
            product[i] = values[i] * columns[a + j, i]
        width = j + 1 if lower else n_b
        k = 0
        while k + 4 <= width:  # four sums at once: the product is loaded once for four columns
            s0 = s1 = s2 = s3 = 0.0
            c = b + k
            for i in range(m):
                s0 += product[i] * columns[c, i]
                s1 += product[i] * columns[c + 1, i]
                s2 += product[i] * columns[c + 2, i]
                s3 += product[i] * columns[c + 3, i]
            target[row + j, column + k] += s0
            target[row + j, column + k + 1] += s1
            target[row + j, column + k + 2] += s2
            target[row + j, column + k + 3] += s3
            k += 4
        while k < width:
            s0 = 0.0
            for i in range(m):
                s0 += product[i] * columns[b + k, i]
            target[row + j, column + k] += s0
            k += 1
