"""Whole runs of starts in one call: EM, squared extrapolation, Newton, first steps, passes.

They do what `bayesmix.estimation` does in `em`, `newton` and `starts`, one start after another.
The pass over the rows and the M step are callbacks of their own, called by address: so they are
compiled once, not into every function here.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from numba import types

from bayesmix.kernels import record as r
from bayesmix.kernels.compile import callback, caller, doubles, elementwise, integers, records
from bayesmix.kernels.passes import PASS_SIGNATURE, calls_at, models_at, works_at
from bayesmix.kernels.rows import read_weights
from bayesmix.kernels.step import STEP_SIGNATURE, newton_step
from bayesmix.kernels.sums import Array, copy, finite, total

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

HALVINGS = 12
# Relative changes of theta: of a last step, and of those of parameters on their way to infinity.
LAST, FAR = 1e-3, 1e-2
# Below the former no step is too long, else a linear predictor changes by the latter at most.
SHORT, LONGEST = 0.1, 8.0

# Complete-data information, in standard coordinates, of a parameter that no unit informs.
UNINFORMED = 1e-12
# The least share of the complete-data information that makes the observed one definite is sought
# from here on, four times as large each time.
SHARE, SHARES = 1e-3, 10

call_pass, call_step, runs_at = caller(PASS_SIGNATURE), caller(STEP_SIGNATURE), records(r.RUN)

# (task, run): a number and the address of a record of RUN.
RUN_SIGNATURE = types.void(types.int64, types.int64)


@elementwise
def sums_at(run: Any, theta: int, want: int, given: int) -> float:
    """Do a pass at the theta at an address; gives the log-likelihood."""
    call = calls_at(run.call)
    call[0].theta = theta
    call[0].want = want
    call[0].given = given
    call_pass(run.pass_kernel, (run.model, run.work, run.call))
    return doubles(call[0].sums, 1)[0]


@elementwise
def step_from(run: Any, theta: int, closed: int, new: int) -> None:
    """Do an M step from the theta at an address, after a pass there."""
    sums = calls_at(run.call)[0].sums
    call_step(run.step_kernel, (run.model, run.work, theta, closed, sums, new))


@elementwise
def stretch(size: int, theta: int, proposal: int, factor: float, out: int) -> None:
    """Go that many times as far from theta as a proposal."""
    old, new, target = doubles(theta, size), doubles(proposal, size), doubles(out, size)
    for j in range(size):
        target[j] = old[j] + factor * (new[j] - old[j])


@elementwise
def ascend(run: Any, size: int, theta: int, before: float, proposal: int, want: int) -> Any:
    """Halve a proposal until the log-likelihood does not fall; the sums are those there.

    Gives the log-likelihood, and whether it did not fall.
    """
    for _ in range(HALVINGS + 1):
        loglik = sums_at(run, proposal, want, r.OWN)
        if loglik >= before - 1e-12 * (abs(before) + 1.0):
            return loglik, True
        stretch(size, theta, proposal, 0.5, proposal)
    copy(size, theta, proposal)
    return sums_at(run, proposal, want, r.OWN), False


@elementwise
def collapsed(model: Any, run: Any, work: Any, theta: Array) -> bool:
    """Whether a scale is below its floor, above its ceiling, or a constant weight has vanished."""
    where, floors = integers(run.where, run.n_where), doubles(run.low, run.n_where)
    ceilings = doubles(run.high, run.n_where)
    for i in range(run.n_where):
        if theta[where[i]] < floors[i] or theta[where[i]] > ceilings[i]:
            return True
    k, least = model.k, doubles(run.options, 2)[1]
    if model.constant == 0 or k == 1:
        return False
    read_weights(model, work, theta)
    log_prior, smallest = doubles(work.log_prior, k), 0.0
    for s in range(k):
        smallest = min(smallest, log_prior[s])
    return smallest < least


@elementwise
def extrapolate(run: Any, work: Any, size: int, theta_address: int, before: float) -> float:
    """Two EM steps and, where it is better, a longer one along them."""
    first, second = work.proposal, work.second_proposal
    theta, one, two = doubles(theta_address, size), doubles(first, size), doubles(second, size)
    step_from(run, theta_address, 1, first)
    loglik, _ = ascend(run, size, theta_address, before, first, r.STEP)
    step_from(run, first, 1, second)
    loglik, _ = ascend(run, size, first, loglik, second, r.STEP)
    straight, bent = 0.0, 0.0
    for j in range(size):
        a, b = one[j] - theta[j], (two[j] - one[j]) - (one[j] - theta[j])
        straight, bent = straight + a * a, bent + b * b
    length = math.sqrt(straight) / max(math.sqrt(bent), 1e-300) if bent > 0.0 else 1.0
    length = min(max(length, 1.0), 100.0)
    for j in range(size):
        a, b = one[j] - theta[j], (two[j] - one[j]) - (one[j] - theta[j])
        theta[j] = theta[j] + 2.0 * length * a + length * length * b
    far = sums_at(run, theta_address, r.STEP, r.OWN)
    if far >= loglik:
        return far
    copy(size, second, theta_address)
    return sums_at(run, theta_address, r.STEP, r.OWN)


@elementwise
def climb(model: Any, run: Any, work: Any, theta: int, squared: bool, trace: Array) -> Any:
    """EM or its extrapolation from one start; gives status and number of iterations.

    `trace` receives the log-likelihoods.
    """
    size, proposal = model.size, work.proposal
    status, count, tol = r.RUNNING, 0, doubles(run.options, 2)[0]
    loglik = sums_at(run, theta, r.STEP, r.OWN)
    while count < run.steps and status == r.RUNNING:
        before, moved = loglik, True
        if squared:
            loglik = extrapolate(run, work, size, theta, before)
        else:
            step_from(run, theta, 1, proposal)
            loglik, moved = ascend(run, size, theta, before, proposal, r.STEP)
            copy(size, proposal, theta)
        trace[count] = loglik
        count += 1
        if not moved or loglik - before <= tol * (abs(loglik) + 0.1):
            status = r.RESTING
        if collapsed(model, run, work, doubles(theta, size)):
            status = r.DEGENERATE
    return status, count, loglik


@elementwise
def guarded_step(model: Any, run: Any, work: Any, theta: int, new: int) -> Any:
    """As `newton_step` where the observed information H, just computed, is not definite.

    H + c C takes its place, where C is the complete-data information: in its metric no eigenvalue
    of H exceeds one, so with c = 0 the step is Newton's, and with a large c a short one of EM.
    There is none where the complete data say nothing of a parameter: it is at infinity.
    """
    d, n, call = model.size, model.size * model.size, calls_at(run.call)
    at = call[0].sums + 8 * (1 + model.k + d)
    copy(n, at, work.observed)
    sums_at(run, theta, r.STEP, r.OWN)
    own, both, kind = doubles(work.observed, n), doubles(at, n), integers(model.kind, d)
    decrement, length, change = math.nan, 0.0, 0.0
    for j in range(d):
        if kind[j] != r.HELD and not both[j * d + j] > UNINFORMED:
            return decrement, length, change
    for i in range(n):
        both[i] = own[i] + SHARE * both[i]
    for _ in range(SHARES):
        decrement, length, change = newton_step(model, work, run.call, theta, new)
        if decrement >= 0.0:
            break
        for i in range(n):
            both[i] += 3.0 * (both[i] - own[i])
    return decrement, length, change


@elementwise
def newton(model: Any, run: Any, work: Any, theta: int, trace: Array) -> Any:
    """Newton's method with the observed information, guarded where that is not definite.

    No step may move a linear predictor too far: no column has values above `options[1]`.
    """
    size, new, beyond = model.size, work.proposal, work.second_proposal
    options, count, status, far, moved = doubles(run.options, 2), 0, r.RESTING, 0, True
    loglik = sums_at(run, theta, r.INFORMATION, r.OWN)
    while count < run.steps and status == r.RESTING and moved:
        decrement, length, change = newton_step(model, work, run.call, theta, new)
        definite = decrement >= 0.0
        if not definite:
            decrement, length, change = guarded_step(model, run, work, theta, new)
        small = decrement <= 1e-2 * options[0] * (abs(loglik) + 0.1)
        if not (definite or (decrement >= 0.0 and not small)):
            break
        if length >= SHORT and change * options[1] > LONGEST:
            stretch(size, theta, new, LONGEST / (change * options[1]), new)
        loglik, moved = ascend(run, size, theta, loglik, new, r.INFORMATION)
        far = far + 1 if length > FAR else 0
        if far >= 4:  # these parameters run to infinity
            stretch(size, theta, new, 3.0, beyond)
            if sums_at(run, beyond, r.VALUE, r.OWN) > loglik:
                copy(size, beyond, new)
            loglik = sums_at(run, new, r.INFORMATION, r.OWN)
        copy(size, new, theta)
        if definite and moved and small and (length <= LAST or far >= 4):
            status = r.CONVERGED if length <= LAST else r.BOUNDARY
        trace[count] = loglik
        count += 1
    return status, count, loglik


@elementwise
def total_mass(model: Any, run: Any) -> float:
    """Number of units, by their weights, of the last pass."""
    return total(doubles(calls_at(run.call)[0].sums + 8, model.k), model.k)


@elementwise
def first_steps(model: Any, run: Any, work: Any, theta: int, given: int) -> None:
    """M steps at given responsibilities, the first from the working response.

    They stop before one that loses the likelihood, or more than a factor e of it per unit.
    """
    size, new = model.size, work.proposal
    call = calls_at(run.call)
    working = call[0].working
    for step in range(run.steps + 1):
        call[0].working = working if step == 0 else 0
        loglik = sums_at(run, theta, r.STEP, given)
        least = loglik - total_mass(model, run)
        step_from(run, theta, min(step, 1), new)
        if step > 0 and not (finite(size, new) and sums_at(run, new, r.VALUE, given) >= least):
            break
        old, moved = doubles(theta, size), 0.0
        for j in range(size):
            moved = max(moved, abs(doubles(new, size)[j] - old[j]))
        copy(size, new, theta)
        if step > 0 and moved < doubles(run.options, 2)[0]:
            break
    call[0].working = working


@elementwise
def classify(model: Any, run: Any, work: Any, theta: int) -> None:
    """Classification EM; stops before a step that loses a component or the likelihood.

    Or more than a factor e of the likelihood per unit.
    """
    k, size, new = model.k, model.size, work.proposal
    mass = doubles(calls_at(run.call)[0].sums + 8, k)
    loglik = sums_at(run, theta, r.STEP, r.HARD)
    for step in range(run.steps):
        least = loglik - total_mass(model, run)
        step_from(run, theta, 1, new)
        for s in range(k):
            if not mass[s] >= 1.0:
                return
        if not finite(size, new):
            return
        # The last pass gives the log-likelihood alone.
        loglik = sums_at(run, new, r.STEP if step + 1 < run.steps else r.VALUE, r.HARD)
        if not loglik >= least:
            return
        copy(size, new, theta)


@elementwise
def one_pass(run: Any, want: int, theta: int) -> None:
    """A pass at a start's theta; then the call has the addresses of what the next start owns."""
    call = calls_at(run.call)
    sums_at(run, theta, want, call[0].given)
    call[0].sums += 8 * run.sums
    call[0].given += run.given_step
    call[0].units += run.units_step
    call[0].posterior += run.posterior_step


def runs(task: int, address: int) -> None:
    """Do one task for every start."""
    run = runs_at(address)[0]
    model, work = models_at(run.model)[0], works_at(run.work)[0]
    call = calls_at(run.call)
    size, want, given = model.size, call[0].want, call[0].given
    counts = integers(run.counts, 2 * run.n_starts)
    for start in range(run.n_starts):
        theta = run.theta + 8 * start * size
        if task == r.PASSES:
            one_pass(run, want, theta)
        elif task == r.MEMBERSHIPS:
            first_steps(model, run, work, theta, given + start * run.given_step)
        elif task == r.CLASSIFY:
            classify(model, run, work, theta)
        else:
            trace = doubles(run.trace + 8 * start * run.steps, run.steps)
            if task == r.NEWTON:
                status, count, loglik = newton(model, run, work, theta, trace)
            else:
                status, count, loglik = climb(model, run, work, theta, task == r.EXTRAPOLATE, trace)
            counts[start], counts[run.n_starts + start] = status, count
            for i in range(count, run.steps):
                trace[i] = loglik


@functools.cache
def runs_callback() -> CFunc:
    """Compile or load the kernel that runs starts."""
    return callback(runs, RUN_SIGNATURE, "runs")
