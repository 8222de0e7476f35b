"""The C functions of `_small_density`.

They take their buffers from the heap, so that threads do not share any.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numba import types

from bayesmix.kernels.compile import (
    call_pass,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.record import (
    ALPHA_INDEX,
    LOG_PRIOR,
    N_COMPONENTS,
    N_DATA,
    N_PLACES,
    NOT_FINITE,
    PASS_KERNEL,
    PI,
    SCORE,
    SIZE,
    SLOPE,
)
from bayesmix.kernels.rows import Array, Integers

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# (f, z, gradient, value, arguments) and (f, f, z, out, arguments): sizes and addresses.
DENSITY_SIGNATURE = types.int64(types.uint64, *[types.int64] * 4)
COPY_SIGNATURE = types.int64(types.uint64, types.uint64, *[types.int64] * 3)


@elementwise
def add_dirichlet(model: Integers, concentration: float, score: Array) -> float:
    """Add the gradient of concentration sum_s log pi_s to the score; gives its value."""
    k = model[N_COMPONENTS]
    index, pi = integers(model[ALPHA_INDEX], k), doubles(model[PI], k)
    log_pi, value = doubles(model[LOG_PRIOR], k), 0.0
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
def place(f: int, z: Array, origin: Array, factor: Array, at: Integers, theta: Array) -> None:
    """Theta at z."""
    for j in range(len(theta)):
        theta[j] = origin[j]
    for i in range(f):
        shift = 0.0
        for j in range(f):
            shift += factor[i, j] * z[j]
        theta[at[i]] += shift


def density(size: int, z_address: int, gradient_address: int, value: int, arguments: int) -> int:
    """Log density and gradient at z; 0, or `NOT_FINITE`."""
    given = integers(arguments, np.int64(7))
    f = given[4]
    if size != f:
        return -1
    model, work = np.empty(N_PLACES, np.int64), np.empty(given[1])
    base = integers(given[0], np.int64(N_PLACES))
    for i in range(N_PLACES):
        model[i] = base[i] if i < N_DATA else base[i] + work.ctypes.data
    for i in range(given[2], given[3]):
        work[i] = 0.0
    d, numbers = model[SIZE], given[6]
    z, gradient = doubles(z_address, f), doubles(gradient_address, f)
    at, factor = integers(given[5], f), matrix(numbers + 8 * d, f, f)
    prior = numbers + 8 * (d + f * f)
    constants = doubles(prior, np.int64(2))
    theta = np.empty(d)
    place(f, z, doubles(numbers, d), factor, at, theta)
    total = constants[0] + call_pass(
        model[PASS_KERNEL], model.ctypes.data, theta.ctypes.data, np.int64(SLOPE), np.int64(0)
    )
    score = doubles(model[SCORE], d)
    if constants[1] != 0.0:
        total += add_dirichlet(model, constants[1], score)
    for j in range(f):
        gradient[j] = 0.0
    for i in range(f):
        for j in range(f):
            gradient[j] += factor[i, j] * score[at[i]]
    total += add_gaussian(f, z, prior + 16, gradient)
    good = math.isfinite(total)
    for j in range(f):
        good = good and math.isfinite(gradient[j])
    doubles(value, np.int64(1))[0] = total
    # The buffers are given back after their last use by name, which has to be here.
    kept = len(work) + len(model) + len(theta) > 0
    return 0 if good and kept else NOT_FINITE


def copy(size: int, expanded: int, z_address: int, out_address: int, _arguments: int) -> int:
    """Copy z."""
    if size != expanded:
        return -1
    z, out = doubles(z_address, np.int64(size)), doubles(out_address, np.int64(size))
    for i in range(np.int64(size)):
        out[i] = z[i]
    return 0


@functools.cache
def density_callback() -> CFunc:
    """Compile or load the log density."""
    return callback(density, DENSITY_SIGNATURE, "small-density")


@functools.cache
def copy_callback() -> CFunc:
    """Compile or load the copy."""
    return callback(copy, COPY_SIGNATURE, "small-copy")
