"""Log densities as C functions, for samplers and graphs of other programs.

They take their buffers from the heap, so that threads do not share any.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from bayesmix.kernels.compile import (
    callback,
    caller,
    doubles,
    elementwise,
    integers,
    matrix,
    records,
)
from bayesmix.kernels.passes import PASS_SIGNATURE, calls_at, models_at, works_at
from bayesmix.kernels.record import CALL, DENSITY, NOT_FINITE, SCORE, VALUE, WORK, names
from bayesmix.kernels.sums import Array, clear, copy, finite

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# (f, z, gradient, value, density) and (f, f, z, out, density): sizes and addresses.
DENSITY_SIGNATURE = types.int64(types.uint64, *[types.int64] * 4)
COPY_SIGNATURE = types.int64(types.uint64, types.uint64, *[types.int64] * 3)
# (density, theta, weights or 0, out): addresses.
UNITS_SIGNATURE = types.void(*[types.int64] * 4)
N_WORK, N_CALL = len(names(WORK)), len(names(CALL))

call_pass, densities_at = caller(PASS_SIGNATURE), records(DENSITY)


@elementwise
def place_buffers(density: Any, work: int, buffers: int) -> None:
    """The record of buffers at an address."""
    offsets, addresses = integers(density.offsets, N_WORK), integers(work, N_WORK)
    for i in range(N_WORK):
        addresses[i] = offsets[i] + buffers


@elementwise
def start_call(call: int, theta: int, sums: int, last: int, want: int) -> None:
    """A call of a pass over all chunks, at the responsibilities of theta."""
    record = calls_at(call)
    record[0].theta, record[0].sums, record[0].last = theta, sums, last
    record[0].want = want


@elementwise
def add_dirichlet(model: Any, work: Any, concentration: float, score: Array) -> float:
    """Add the gradient of concentration sum_s log pi_s to the score; gives its value."""
    k = model.k
    index, pi = integers(model.alpha, k), doubles(work.pi, k)
    log_pi, value = doubles(work.log_prior, k), 0.0
    for s in range(k):
        value += concentration * log_pi[s]
        if index[s] >= 0:
            score[index[s]] += concentration * (1.0 - k * pi[s])
    return value


@elementwise
def add_gaussian(f: int, z: Array, prior: int, gradient: Array) -> float:
    """Add the gradient of z' slope - z' curvature z / 2 to another; gives its value."""
    slope, curvature = doubles(prior, f), matrix(prior + 8 * f, f, f)
    value = 0.0
    for i in range(f):
        pull = 0.0
        for j in range(f):
            pull += curvature[i, j] * z[j]
        gradient[i] += slope[i] - pull
        value += z[i] * (slope[i] - 0.5 * pull)
    return value


@elementwise
def place(f: int, z: Array, numbers: int, at: Array, theta: Array) -> None:
    """Theta at z, origin + factor z in its free entries."""
    d = len(theta)
    factor = matrix(numbers + 8 * d, f, f)
    copy(d, numbers, theta.ctypes.data)
    for i in range(f):
        shift = 0.0
        for j in range(f):
            shift += factor[i, j] * z[j]
        theta[at[i]] += shift


def log_density(size: int, z_address: int, gradient_address: int, value: int, address: int) -> int:
    """Log density and gradient at z; 0, or `NOT_FINITE`."""
    density = densities_at(address)[0]
    f = density.f
    if size != f:
        return -1
    model = models_at(density.model)[0]
    d, k, numbers = model.size, model.k, density.numbers
    work, call = np.empty(N_WORK, np.int64), np.zeros(N_CALL, np.int64)
    buffers, theta = np.empty(density.length), np.empty(d)
    sums = np.empty(model.sums)
    place_buffers(density, work.ctypes.data, buffers.ctypes.data)
    start_call(call.ctypes.data, theta.ctypes.data, sums.ctypes.data, model.n_chunks, SCORE)
    z, gradient = doubles(z_address, f), doubles(gradient_address, f)
    at, factor = integers(density.free, f), matrix(numbers + 8 * d, f, f)
    prior = numbers + 8 * (d + f * f)
    constants = doubles(prior, np.int64(2))
    place(f, z, numbers, at, theta)
    call_pass(density.pass_kernel, (density.model, work.ctypes.data, call.ctypes.data))
    total, score = constants[0] + sums[0], sums[1 + k : 1 + k + d]
    if constants[1] != 0.0:
        total += add_dirichlet(model, works_at(work.ctypes.data)[0], constants[1], score)
    clear(gradient_address, f)
    for i in range(f):
        for j in range(f):
            gradient[j] += factor[i, j] * score[at[i]]
    total += add_gaussian(f, z, prior + 16, gradient)
    good = math.isfinite(total) and finite(f, gradient_address)
    doubles(value, np.int64(1))[0] = total
    # The buffers are given back after their last use by name, which has to be here.
    kept = len(work) + len(call) + len(buffers) + len(theta) > 0
    return 0 if good and kept else NOT_FINITE


def copy_z(size: int, expanded: int, z_address: int, out_address: int, _density: int) -> int:
    """Copy z."""
    if size != expanded:
        return -1
    copy(np.int64(size), z_address, out_address)
    return 0


def units(address: int, theta: int, weights: int, out: int) -> None:
    """Write the log-likelihood of every unit, times its weight.

    With `weights` (an address): the derivative by theta of the sum of those times these.
    """
    density = densities_at(address)[0]
    model = models_at(density.model)[0]
    n, k, d = model.n_units, model.k, model.size
    work, call = np.empty(N_WORK, np.int64), np.zeros(N_CALL, np.int64)
    buffers, sums, product = np.empty(density.length), np.empty(model.sums), np.empty(n)
    place_buffers(density, work.ctypes.data, buffers.ctypes.data)
    want = VALUE if weights == 0 else SCORE
    start_call(call.ctypes.data, theta, sums.ctypes.data, model.n_chunks, want)
    record = calls_at(call.ctypes.data)
    own = doubles(model.weight, n)
    target = doubles(out, n)
    if weights == 0:
        record[0].units = out
    else:
        given = doubles(weights, n)
        for i in range(n):
            product[i] = given[i] * (own[i] if model.weight != 0 else 1.0)
        record[0].weight = product.ctypes.data
    call_pass(density.pass_kernel, (density.model, work.ctypes.data, call.ctypes.data))
    if weights != 0:
        copy(d, sums.ctypes.data + 8 * (1 + k), out)
    elif model.weight != 0:
        for i in range(n):
            target[i] = 0.0 if own[i] == 0.0 else own[i] * target[i]
    # The buffers are given back after their last use by name, which has to be here.
    work[0] += len(buffers) + len(call) + len(sums) + len(product)


@functools.cache
def density_callback() -> CFunc:
    """Compile or load the log density."""
    return callback(log_density, DENSITY_SIGNATURE, "density")


@functools.cache
def copy_callback() -> CFunc:
    """Compile or load the copy."""
    return callback(copy_z, COPY_SIGNATURE, "copy")


@functools.cache
def units_callback() -> CFunc:
    """Compile or load the log-likelihood by unit and its transposed derivative."""
    return callback(units, UNITS_SIGNATURE, "units")
