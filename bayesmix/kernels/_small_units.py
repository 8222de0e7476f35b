"""The log-likelihood of every unit, and its transposed derivative, as C functions.

They serve graphs of other programs, which give the derivative of their result by every unit's
log-likelihood and ask for that by theta.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numba import types

from bayesmix.kernels.compile import call_pass, callback, doubles, elementwise, integers
from bayesmix.kernels.record import (
    LINE,
    N_CHUNKS,
    N_DATA,
    N_PLACES,
    N_UNITS,
    PASS_KERNEL,
    SCORE,
    SIZE,
    SLOPE,
    TOTALS,
    WEIGHT,
)
from bayesmix.kernels.rows import Integers, chunk_of, chunk_terms, read_parameters

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# (arguments, theta, out) and (arguments, theta, weights, out): addresses.
UNITS_SIGNATURE = types.void(*[types.int64] * 3)
SLOPES_SIGNATURE = types.void(*[types.int64] * 4)


@elementwise
def fill_model(base: int, work: int, first: int, last: int, model: Integers) -> None:
    """The model with the addresses of buffers, whose zeros are set."""
    given = integers(base, np.int64(N_PLACES))
    for i in range(N_PLACES):
        model[i] = given[i] if i < N_DATA else given[i] + work
    zeros = doubles(work + 8 * first, last - first)
    for i in range(last - first):
        zeros[i] = 0.0


def units(arguments: int, theta: int, out_address: int) -> None:
    """Write the log-likelihood of every unit, times its weight, at theta."""
    given = integers(arguments, np.int64(4))
    model, work = np.empty(N_PLACES, np.int64), np.empty(given[1])
    fill_model(given[0], work.ctypes.data, given[2], given[3], model)
    read_parameters(model, doubles(theta, model[SIZE]))
    out, none = doubles(out_address, model[N_UNITS]), np.int64(0)
    for chunk in range(model[N_CHUNKS]):
        row, n, unit, n_units = chunk_of(model, chunk)
        chunk_terms(model, row, n, unit, n_units, none, none)
        totals = doubles(model[TOTALS], model[LINE])
        for i in range(n_units):
            out[unit + i] = totals[i]
    # The buffers are given back after their last use by name, which has to be here.
    model[0] += len(work)


def slopes(arguments: int, theta: int, weights_address: int, out_address: int) -> None:
    """Write the derivative by theta of the sum of the units' log-likelihoods times weights."""
    given = integers(arguments, np.int64(4))
    model, work = np.empty(N_PLACES, np.int64), np.empty(given[1])
    fill_model(given[0], work.ctypes.data, given[2], given[3], model)
    n = model[N_UNITS]
    weights, product = doubles(weights_address, n), np.empty(n)
    own = doubles(model[WEIGHT] if model[WEIGHT] != 0 else weights_address, n)
    for i in range(n):
        product[i] = weights[i] * own[i] if model[WEIGHT] != 0 else weights[i]
    model[WEIGHT] = product.ctypes.data
    call_pass(model[PASS_KERNEL], model.ctypes.data, theta, np.int64(SLOPE), np.int64(0))
    score, out = doubles(model[SCORE], model[SIZE]), doubles(out_address, model[SIZE])
    for j in range(model[SIZE]):
        out[j] = score[j]
    model[0] += len(work) + len(product)


@functools.cache
def units_callback() -> CFunc:
    """Compile or load the log-likelihood by unit."""
    return callback(units, UNITS_SIGNATURE, "small-units")


@functools.cache
def slopes_callback() -> CFunc:
    """Compile or load its transposed derivative."""
    return callback(slopes, SLOPES_SIGNATURE, "small-slopes")
