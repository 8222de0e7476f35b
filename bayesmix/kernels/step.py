"""The M step of small data, as `bayesmix.estimation.step` does it for any data."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels import math as _math
from bayesmix.kernels._small_solve import TINY, factorise, substitute
from bayesmix.kernels.compile import (
    SMALL_STEP_SIGNATURE,
    callback,
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.record import (
    ALPHA_INDEX,
    COEFFICIENT,
    CONSTANT,
    CONSTANT_WEIGHT,
    DISPERSION,
    DISPERSION_INDEX,
    FACTOR,
    GRAMS,
    HAS_DISPERSION,
    HELD,
    INDEX,
    KIND,
    LARGEST_Z,
    LOG_DISPERSION,
    LOGIT,
    MASS,
    N_COLUMNS,
    N_COMPONENTS,
    N_CONCOMITANT,
    N_PLACES,
    N_UNITS,
    PARTS,
    PLACES,
    RIGHT,
    SCALE,
    SCORE,
    SCORING,
    SIZE,
    SQUARES,
    STEP,
    Z,
)
from bayesmix.kernels.record import COUNT as COUNTS
from bayesmix.kernels.rows import Array, Integers

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

STRIDE = 2.0
FARTHEST = 8.0
RIDGE = 1e-10
ROUNDING = 1e-13

log = _math.log


@elementwise
def take_system(model: Integers, n: int, scale: Array, a: Array, right: Array) -> bool:
    """Copy the equations of the places to be solved, diagonal scaled to one; true if finite."""
    size = model[SIZE]
    score, scoring = doubles(model[SCORE], size), matrix(model[SCORING], size, size)
    places, finite = doubles(model[PLACES], size), True
    for i in range(n):
        at = int(places[i])
        scale[i] = math.sqrt(scoring[at, at]) if scoring[at, at] > TINY else 1.0
        right[i] = (score[at] if math.isfinite(score[at]) else 0.0) / scale[i]
        for j in range(i + 1):
            a[i, j] = scoring[at, int(places[j])] / (scale[i] * scale[j])
            finite = finite and math.isfinite(a[i, j])
    return finite


@elementwise
def scoring_step(model: Integers) -> None:
    """Fill `STEP` by the normal equations of the free coefficients and logits."""
    size, n = model[SIZE], 0
    kind, places = integers(model[KIND], size), doubles(model[PLACES], size)
    step, right = doubles(model[STEP], size), doubles(model[RIGHT], size)
    for j in range(size):
        step[j] = 0.0
        if kind[j] == COEFFICIENT or kind[j] == LOGIT:
            places[n] = j
            n += 1
    scale, a = doubles(model[SCALE], size), matrix(model[FACTOR], size, size)
    if take_system(model, n, scale, a, right):
        # The ridge keeps empty and dependent directions at rest.  `step` is not needed yet.
        if factorise(a, n, RIDGE, 0.0, step):
            substitute(a, n, step, right)
        else:
            for i in range(n):
                right[i] = 0.0
        for i in range(n):
            step[i] = 0.0
    for i in range(n):
        right[i] /= scale[i]
    for i in range(n):
        step[int(places[i])] = right[i]


@elementwise
def dispersion_step(model: Integers) -> None:
    """Bounded scoring steps of the dispersions."""
    size = model[SIZE]
    kind, step = integers(model[KIND], size), doubles(model[STEP], size)
    score, scoring = doubles(model[SCORE], size), matrix(model[SCORING], size, size)
    for j in range(size):
        if kind[j] == LOG_DISPERSION:
            own = scoring[j, j] if scoring[j, j] > TINY else 1.0
            step[j] = score[j] / own / (1.0 + RIDGE) if math.isfinite(score[j]) else 0.0
            step[j] = min(max(step[j], -STRIDE), STRIDE)


@elementwise
def bound_logits(model: Integers) -> None:
    """Shorten a step that would change a unit's logit by more than `FARTHEST`."""
    k, q, n = model[N_COMPONENTS], model[N_CONCOMITANT], model[N_UNITS]
    step, index = doubles(model[STEP], model[SIZE]), integers(model[ALPHA_INDEX], k * q)
    largest, crude = doubles(model[LARGEST_Z], q), 0.0
    for s in range(1, k):
        change = 0.0
        for j in range(q):
            change += abs(step[index[s * q + j]]) * largest[j]
        crude = max(crude, change)
    if not crude > FARTHEST:
        return
    z, shift = matrix(model[Z] + 8 * q * n, n, q), 0.0  # a copy by units follows the chunks
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
def change_of_squares(model: Integers, s: int, theta: Array, new: Array) -> float:
    """How much a component's sum of squares differs at new coefficients: it is quadratic."""
    k, p, first = model[N_COMPONENTS], model[N_COLUMNS], np.int64(0)
    index, gram = (
        integers(model[INDEX] + 8 * s * p, p),
        matrix(model[GRAMS], k * p, p),
    )
    part, linear, curved = doubles(model[PARTS] + 8 * s * p, p), 0.0, 0.0
    for i in range(first, p):
        at = index[i]
        if at < 0:
            continue
        delta = new[at] - theta[at]
        linear += part[i] * delta
        curved += gram[s * p + i, i] * delta * delta
        for j in range(i):
            other = index[j]
            if other >= 0:
                curved += 2.0 * gram[s * p + i, j] * delta * (new[other] - theta[other])
    return curved - 2.0 * linear


@elementwise
def scales(model: Integers, theta: Array, new: Array) -> None:
    """sigma^2 = sum w r^2 / sum w at the new coefficients, pooled where shared."""
    k, size = model[N_COMPONENTS], model[SIZE]
    at, kind = integers(model[DISPERSION_INDEX], k), integers(model[KIND], size)
    sigma, squares, count = (
        doubles(model[DISPERSION], k),
        doubles(model[SQUARES], k),
        doubles(model[COUNTS], k),
    )
    sums, counts = doubles(model[RIGHT], size), doubles(model[SCALE], size)
    for j in range(size):
        sums[j] = counts[j] = 0.0
    for s in range(k):
        change = change_of_squares(model, s, theta, new)
        # Below its rounding error the difference says nothing: the next step looks again.
        total = squares[s] + sigma[s] * sigma[s] * change
        sums[at[s]] += max(total, ROUNDING * squares[s])
        counts[at[s]] += count[s]
    for j in range(size):
        if kind[j] == LOG_DISPERSION:
            new[j] = 0.5 * log(max(sums[j] / max(counts[j], TINY), TINY))


@elementwise
def constant_weights(model: Integers, new: Array) -> None:
    """Mean responsibilities, as logits against the first component."""
    k = model[N_COMPONENTS]
    mass, index = doubles(model[MASS], k), integers(model[ALPHA_INDEX], k)
    kind = integers(model[KIND], model[SIZE])
    for s in range(1, k):
        if kind[index[s]] == CONSTANT_WEIGHT:
            new[index[s]] = log(max(mass[s], TINY)) - log(max(mass[0], TINY))


def m_step(model_address: int, theta_address: int, closed: int, new_address: int) -> None:
    """New parameters from the sums of a pass at theta; scales in closed form if so wanted."""
    model = integers(model_address, np.int64(N_PLACES))
    size = model[SIZE]
    theta, new = doubles(theta_address, size), doubles(new_address, size)
    step, kind = doubles(model[STEP], size), integers(model[KIND], size)
    scoring_step(model)
    if model[HAS_DISPERSION] != 0:
        dispersion_step(model)
    if model[CONSTANT] == 0:
        bound_logits(model)
    for j in range(size):
        new[j] = theta[j] + (0.0 if kind[j] == HELD else step[j])
    if closed != 0 and model[HAS_DISPERSION] != 0:
        scales(model, theta, new)
    if model[CONSTANT] != 0:
        constant_weights(model, new)


@functools.cache
def step_callback() -> CFunc:
    """Compile or load the M step of small data."""
    return callback(m_step, SMALL_STEP_SIGNATURE, "small-step")
