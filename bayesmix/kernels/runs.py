"""Whole runs of starts over small data in one call: EM, squared extrapolation, first steps.

They do what `estimation.em` and `estimation.starts` do, one start after another.  The pass over
the rows and the M step are callbacks of their own, called by address: so they are compiled once,
not into every function here.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numba import types

from bayesmix.kernels import math as _math
from bayesmix.kernels.compile import (
    call_pass,
    call_step,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.record import (
    ALPHA_INDEX,
    CLASSIFY,
    CONSTANT,
    COUNT,
    DEGENERATE,
    EXTRAPOLATE,
    GRAMS,
    HARD,
    INFORMATION,
    INFORMATIONS,
    LOG_LIKELIHOOD,
    MASS,
    MEMBERSHIPS,
    N_COLUMNS,
    N_COMPONENTS,
    N_PLACES,
    N_UNITS,
    NONE,
    OWN,
    PARTS,
    PASS,
    PASS_KERNEL,
    PROPOSAL,
    RESTING,
    RUNNING,
    SCORE,
    SCORING,
    SECOND,
    SIZE,
    SQUARES,
    STEP_KERNEL,
)
from bayesmix.kernels.rows import Array, Integers

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

HALVINGS = 12
exp, log = _math.exp, _math.log

# (task, model, n_starts, theta, options, arguments, numbers, counts): integers and addresses.
SMALL_SIGNATURE = types.void(*[types.int64] * 8)


@elementwise
def sums_at(model: Integers, theta: int, given: int, working: int) -> float:
    """Do a pass at the theta at an address."""
    return call_pass(model[PASS_KERNEL], model.ctypes.data, theta, given, working)


@elementwise
def step_from(model: Integers, theta: int, closed: int, new: int) -> None:
    """Do an M step from the theta at an address, after a pass there."""
    call_step(model[STEP_KERNEL], model.ctypes.data, theta, closed, new)


@elementwise
def copy(size: int, source: int, target: int) -> None:
    """Copy numbers from address to address."""
    values, out = doubles(source, size), doubles(target, size)
    for j in range(size):
        out[j] = values[j]


@elementwise
def finite(size: int, address: int) -> bool:
    """Whether all numbers at an address are finite."""
    values = doubles(address, size)
    result = True
    for j in range(size):
        result = result and math.isfinite(values[j])
    return result


@elementwise
def ascend(model: Integers, theta: int, before: float, proposal: int) -> tuple[float, bool]:
    """Halve a proposal until the log-likelihood does not fall; the sums are those there."""
    size, own, none = model[SIZE], np.int64(OWN), np.int64(0)
    old, new = doubles(theta, size), doubles(proposal, size)
    loglik = sums_at(model, proposal, own, none)
    for _ in range(HALVINGS):
        if loglik >= before - 1e-12 * (abs(before) + 1.0):
            return loglik, True
        for j in range(size):
            new[j] = 0.5 * (new[j] + old[j])
        loglik = sums_at(model, proposal, own, none)
    if loglik >= before - 1e-12 * (abs(before) + 1.0):
        return loglik, True
    copy(size, theta, proposal)
    return sums_at(model, proposal, own, none), False


@elementwise
def collapsed(model: Integers, theta: Array, options: Array, arguments: Integers) -> bool:
    """Whether a scale is below its floor or a constant weight has vanished."""
    for i in range(arguments[1]):
        if theta[arguments[2 + i]] < options[2 + i]:
            return True
    k = model[N_COMPONENTS]
    if model[CONSTANT] == 0 or k == 1:
        return False
    index = integers(model[ALPHA_INDEX], k)
    top, low = 0.0, 0.0  # the first logit is 0
    for s in range(1, k):
        top, low = max(top, theta[index[s]]), min(low, theta[index[s]])
    mass = exp(-top)
    for s in range(1, k):
        mass += exp(theta[index[s]] - top)
    return low - top - log(mass) < options[1]


@elementwise
def extrapolate(model: Integers, theta_address: int, before: float) -> float:
    """Two EM steps and, where it is better, a longer one along them."""
    size, own, none, closed = model[SIZE], np.int64(OWN), np.int64(0), np.int64(1)
    first, second = model[PROPOSAL], model[SECOND]
    theta, one, two = doubles(theta_address, size), doubles(first, size), doubles(second, size)
    step_from(model, theta_address, closed, first)
    loglik, _ = ascend(model, theta_address, before, first)
    step_from(model, first, closed, second)
    loglik, _ = ascend(model, first, loglik, second)
    straight, bent = 0.0, 0.0
    for j in range(size):
        a, b = one[j] - theta[j], (two[j] - one[j]) - (one[j] - theta[j])
        straight, bent = straight + a * a, bent + b * b
    length = math.sqrt(straight) / max(math.sqrt(bent), 1e-300) if bent > 0.0 else 1.0
    length = min(max(length, 1.0), 100.0)
    for j in range(size):
        a, b = one[j] - theta[j], (two[j] - one[j]) - (one[j] - theta[j])
        theta[j] = theta[j] + 2.0 * length * a + length * length * b
    far = sums_at(model, theta_address, own, none)
    if far >= loglik:
        return far
    copy(size, second, theta_address)
    return sums_at(model, theta_address, own, none)


@elementwise
def climb(
    model: Integers, address: int, squared: bool, options: Array, arguments: Integers, trace: Array
) -> tuple[int, int]:
    """EM or its extrapolation from one start; gives status and number of iterations.

    `options`: tolerance, log of the smallest weight, floors; `arguments`: most iterations, number
    of floors, their entries of theta; `trace`: receives the log-likelihoods.
    """
    size, proposal, closed = model[SIZE], model[PROPOSAL], np.int64(1)
    status, count = RUNNING, 0
    loglik = sums_at(model, address, np.int64(OWN), np.int64(0))
    while count < arguments[0] and status == RUNNING:
        before, moved = loglik, True
        if squared:
            loglik = extrapolate(model, address, before)
        else:
            step_from(model, address, closed, proposal)
            loglik, moved = ascend(model, address, before, proposal)
            copy(size, proposal, address)
        trace[count] = loglik
        count += 1
        if not moved or loglik - before <= options[0] * (abs(loglik) + 0.1):
            status = RESTING
        if collapsed(model, doubles(address, size), options, arguments):
            status = DEGENERATE
    for i in range(count, arguments[0]):
        trace[i] = loglik
    return status, count


@elementwise
def first_steps(model: Integers, theta: int, given: int, working: int, steps: int) -> None:
    """M steps at given responsibilities, the first from the working response."""
    size, new = model[SIZE], model[PROPOSAL]
    for step in range(steps + 1):
        sums_at(model, theta, given, working if step == 0 else 0)
        step_from(model, theta, min(step, 1), new)
        if step > 0 and not finite(size, new):
            return
        copy(size, new, theta)


@elementwise
def classify(model: Integers, theta: int, steps: int) -> None:
    """Classification EM; stops before a step that loses a component or the likelihood."""
    k, size, new = model[N_COMPONENTS], model[SIZE], model[PROPOSAL]
    mass = doubles(model[MASS], k)
    sums_at(model, theta, np.int64(HARD), np.int64(0))
    for step in range(steps):
        step_from(model, theta, np.int64(1), new)
        for s in range(k):
            if not mass[s] >= 1.0:
                return
        if not finite(size, new):
            return
        # The last pass is only asked for the log-likelihood.
        loglik = sums_at(model, new, HARD if step + 1 < steps else NONE, np.int64(0))
        if not math.isfinite(loglik):
            return
        copy(size, new, theta)


@elementwise
def store_score(model: Integers, out: int) -> None:
    """Write the score, and both halves of the scoring matrix or information."""
    size = model[SIZE]
    scoring = matrix(model[SCORING], size, size)
    for i in range(size):
        for j in range(i):
            scoring[j, i] = scoring[i, j]
    copy(size, model[SCORE], out)
    copy(size * size, model[SCORING], out + 8 * size)


@elementwise
def store_sums(model: Integers, out: int) -> None:
    """Write a pass's sums by component one after another."""
    k, p = model[N_COMPONENTS], model[N_COLUMNS]
    grams = matrix(model[GRAMS], k * p, p)
    for s in range(k):
        for i in range(p):
            for j in range(i):
                grams[s * p + j, i] = grams[s * p + i, j]
    at = out
    for place, n in (
        (model[MASS], k),
        (model[SQUARES], k),
        (model[COUNT], k),
        (model[PARTS], k * p),
        (model[GRAMS], k * p * p),
    ):
        copy(n, place, at)
        at += 8 * n


def small(
    task: int,
    model_address: int,
    n_starts: int,
    theta_address: int,
    options_address: int,
    arguments_address: int,
    numbers_address: int,
    counts_address: int,
) -> None:
    """Do one task for every start; see `_small_call` for what goes in and comes out."""
    model = integers(model_address, np.int64(N_PLACES))
    k, p, size = model[N_COMPONENTS], model[N_COLUMNS], model[SIZE]
    arguments = integers(arguments_address, 4 + size)
    options, counts = doubles(options_address, 2 + size), integers(counts_address, 2 * n_starts)
    information = 1 + size + size * size  # how many numbers a start gives; a pass:
    sums = information + 3 * k + k * p + k * p * p
    units = 8 * k * model[N_UNITS]
    for r in range(n_starts):
        theta = theta_address + 8 * r * size
        given = arguments[0] + r * units if arguments[0] > HARD else arguments[0]
        if task == LOG_LIKELIHOOD:
            doubles(numbers_address, n_starts)[r] = sums_at(
                model, theta, np.int64(NONE), np.int64(0)
            )
        elif task == PASS:
            at = numbers_address + 8 * r * sums
            doubles(at, size)[0] = sums_at(model, theta, given, np.int64(0))
            store_score(model, at + 8)
            store_sums(model, at + 8 * information)
        elif task == INFORMATIONS:
            at = numbers_address + 8 * r * information
            doubles(at, size)[0] = sums_at(model, theta, np.int64(INFORMATION), np.int64(0))
            store_score(model, at + 8)
        elif task == MEMBERSHIPS:
            first_steps(model, theta, given, arguments[1], arguments[2])
        elif task == CLASSIFY:
            classify(model, theta, arguments[0])
        else:
            trace = doubles(numbers_address + 8 * r * arguments[0], arguments[0])
            counts[r], counts[n_starts + r] = climb(
                model, theta, task == EXTRAPOLATE, options, arguments, trace
            )


@functools.cache
def small_callback() -> CFunc:
    """Compile or load the kernel that runs starts of small data."""
    return callback(small, SMALL_SIGNATURE, "small-runs")
