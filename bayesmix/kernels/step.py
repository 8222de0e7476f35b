"""The M step, as `bayesmix.estimation.step` does it for any model."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

from numba import types

from bayesmix.kernels import math as scalars
from bayesmix.kernels.compile import callback, doubles, elementwise, integers, matrix
from bayesmix.kernels.passes import calls_at, models_at, works_at
from bayesmix.kernels.record import HELD, LOG_DISPERSION, WEIGHT
from bayesmix.kernels.rows import items_at, slots_at
from bayesmix.kernels.solve import TINY, factorise, substitute, take_system
from bayesmix.kernels.sums import Array, clear

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

STRIDE = 2.0
FARTHEST = 8.0
RIDGE, SURE = 1e-10, 1e-10
ROUNDING = 1e-13

# (model, work, theta, closed, sums, new): addresses, and whether closed forms are wanted.
STEP_SIGNATURE = types.void(*[types.int64] * 6)
log = scalars.log


@elementwise
def solve_free(model: Any, work: Any, sums: int, end: int, ridge: float, least: float) -> int:
    """Fill `step` by the equations of the free entries of a kind below `end`, from a pass' sums.

    Gives their number; 0 where there is no Cholesky factor with pivots above `least`.
    """
    d, n, solved = model.size, 0, 0
    score = doubles(sums + 8 * (1 + model.k), d)
    kind, every = integers(model.kind, d), doubles(work.places, d)
    step, right, scale = (doubles(work.step, d), doubles(work.right, d), doubles(work.scale, d))
    clear(work.step, d)
    for j in range(d):
        if HELD < kind[j] < end:
            every[n] = j
            n += 1
    places, a = doubles(work.places, n), matrix(work.factor, d, d)
    if take_system(score, matrix(sums + 8 * (1 + model.k + d), d, d), places, scale, a, right):
        # `step` is not needed yet.
        if factorise(a, n, ridge, least, step):
            substitute(a, n, step, right)
            solved = n
        else:
            clear(work.right, n)
        clear(work.step, n)
    for i in range(n):
        step[int(places[i])] = right[i] / scale[i]
    return solved


@elementwise
def newton_step(model: Any, work: Any, call: int, from_theta: int, to: int) -> Any:
    """Theta after a Newton step; gives score times step, and the step's size.

    That is the largest change relative to 1 + |theta|, and the sum of all changes.  The former is
    NaN where the information is not surely positive definite: its diagonal is scaled to one, and
    the pivots' product over e bounds the smallest eigenvalue from below, as their sum is n.
    """
    d, sums = model.size, calls_at(call)[0].sums
    n = solve_free(model, work, sums, WEIGHT + 1, 0.0, SURE)
    a, step = matrix(work.factor, d, d), doubles(work.step, d)
    theta, new = doubles(from_theta, d), doubles(to, d)
    score = doubles(sums + 8 * (1 + model.k), d)
    pivots, decrement, largest, total = 1.0, 0.0, 0.0, 0.0
    for i in range(n):
        pivots *= a[i, i] * a[i, i]
    for j in range(d):
        new[j] = theta[j] + step[j]
        decrement += step[j] * score[j] if step[j] != 0.0 else 0.0
        largest = max(largest, abs(step[j]) / (1.0 + abs(theta[j])))
        total += abs(step[j])
    return (decrement if n > 0 and pivots >= SURE else math.nan), largest, total


@elementwise
def bound_logits(model: Any, work: Any) -> None:
    """Shorten a step that would change a unit's logit by more than `FARTHEST`."""
    k, q, n = model.k, model.q, model.n_units
    step, index = doubles(work.step, model.size), integers(model.alpha, k * q)
    largest, crude = doubles(model.largest_z, q), 0.0
    for s in range(1, k):
        change = 0.0
        for j in range(q):
            change += abs(step[index[s * q + j]]) * largest[j]
        crude = max(crude, change)
    if not crude > FARTHEST:
        return
    z, shift = matrix(model.z_units, n, q), 0.0
    for s in range(1, k):
        for i in range(n):
            change = 0.0
            for j in range(q):
                change += step[index[s * q + j]] * z[i, j]
            shift = max(shift, abs(change))
    shrink = min(1.0, FARTHEST / max(shift, TINY))
    for i in range(q, k * q):
        step[index[i]] *= shrink


@elementwise
def change_of_squares(slot: Any, squares: int, theta: Array, new: Array) -> float:
    """How much a component's sum of squares differs at new coefficients: it is quadratic."""
    w = slot.width
    index, part = integers(slot.index, w), doubles(squares + 16, w)
    gram, change = matrix(squares + 16 + 8 * w, w, w), 0.0
    for i in range(w):
        pull = -2.0 * part[i]
        for j in range(w):
            pull += gram[i, j] * (new[index[j]] - theta[index[j]]) if index[j] >= 0 else 0.0
        change += pull * (new[index[i]] - theta[index[i]]) if index[i] >= 0 else 0.0
    return change


@elementwise
def scales(model: Any, work: Any, sums: int, theta: Array, new: Array) -> None:
    """sigma^2 = sum w r^2 / sum w at the new coefficients, pooled where shared."""
    d = model.size
    kind, totals, counts = integers(model.kind, d), doubles(work.right, d), doubles(work.scale, d)
    clear(work.right, d)
    clear(work.scale, d)
    for number in range(model.n_items):
        item = items_at(model.items)[number]
        if item.squares == 0:
            continue
        squares, at = sums + 8 * item.squares, item.scale_at
        change = change_of_squares(slots_at(model.slots)[item.slot], squares, theta, new)
        own = doubles(squares, 2)
        # Below its rounding error the difference says nothing: the next step looks again.
        whole = own[0] + math.exp(2.0 * theta[at]) * change
        totals[at] += max(whole, ROUNDING * own[0])
        counts[at] += own[1]
    for number in range(model.n_items):
        item = items_at(model.items)[number]
        at = item.scale_at
        if item.squares != 0 and kind[at] == LOG_DISPERSION:
            new[at] = 0.5 * log(max(totals[at] / max(counts[at], TINY), TINY))


@elementwise
def constant_weights(model: Any, mass: Array, new: Array) -> None:
    """Mean responsibilities, as logits against the first component."""
    index, kind = integers(model.alpha, model.k), integers(model.kind, model.size)
    for s in range(1, model.k):
        if kind[index[s]] == WEIGHT:
            new[index[s]] = log(max(mass[s], TINY)) - log(max(mass[0], TINY))


def m_step(
    model_address: int, work_address: int, theta_address: int, closed: int, sums: int, new: int
) -> None:
    """New parameters from the sums of a pass at theta; scales in closed form if so wanted."""
    model, work = models_at(model_address)[0], works_at(work_address)[0]
    d = model.size
    theta, out, kind = doubles(theta_address, d), doubles(new, d), integers(model.kind, d)
    # The ridge keeps empty and dependent directions at rest.
    solve_free(model, work, sums, WEIGHT, RIDGE, 0.0)
    if model.constant == 0:
        bound_logits(model, work)
    step = doubles(work.step, d)
    for j in range(d):
        stride = STRIDE if kind[j] == LOG_DISPERSION else math.inf
        out[j] = theta[j] + min(max(step[j], -stride), stride)
    if closed != 0:
        scales(model, work, sums, theta, out)
    if model.closed != 0:
        constant_weights(model, doubles(sums + 8, model.k), out)


@functools.cache
def step_callback() -> CFunc:
    """Compile or load the M step."""
    return callback(m_step, STEP_SIGNATURE, "step")
