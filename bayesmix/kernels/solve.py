"""Systems of equations: Cholesky factors, and Newton steps from them."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from numba import types

from bayesmix.kernels.compile import callback, doubles, elementwise, integers, matrix
from bayesmix.kernels.sums import Array

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

TINY = 1e-300
SURE = 1e-10


@elementwise
def factorise(a: Array, n: int, ridge: float, least: float, begin: Array) -> bool:
    """Replace the lower half of a matrix by its Cholesky factor; false at a pivot below `least`.

    Zeros before a row's first other entry, which `begin` receives, are left out: components without
    common coefficients cost no more than one after another.
    """
    for i in range(n):
        j = 0
        while j < i and a[i, j] == 0.0:
            j += 1
        begin[i] = j
        own = a[i, i] + ridge
        for k in range(j, i):
            value = a[i, k]
            for m in range(max(j, int(begin[k])), k):
                value -= a[i, m] * a[k, m]
            value /= a[k, k]
            a[i, k] = value
            own -= value * value
        if not own > least:
            return False
        a[i, i] = math.sqrt(own)
    return True


@elementwise
def substitute(a: Array, n: int, begin: Array, x: Array) -> None:
    """Solve L L' x = x by the factor that `factorise` has left."""
    for i in range(n):
        value = x[i]
        for k in range(int(begin[i]), i):
            value -= a[i, k] * x[k]
        x[i] = value / a[i, i]
    for back in range(n):
        i = n - 1 - back
        x[i] /= a[i, i]
        for k in range(int(begin[i]), i):
            x[k] -= a[i, k] * x[i]


@elementwise
def take_system(
    score: Array, scoring: Array, places: Array, scale: Array, a: Array, right: Array
) -> bool:
    """Copy the equations of some entries of theta, diagonal scaled to one; true if finite."""
    finite = True
    for i in range(len(places)):
        at = int(places[i])
        scale[i] = math.sqrt(scoring[at, at]) if scoring[at, at] > TINY else 1.0
        right[i] = (score[at] if math.isfinite(score[at]) else 0.0) / scale[i]
        for j in range(i + 1):
            a[i, j] = scoring[at, int(places[j])] / (scale[i] * scale[j])
            finite = finite and math.isfinite(a[i, j])
    return finite


def newton_steps(
    n_starts: int,
    size: int,
    n: int,
    free_address: int,
    matrix_address: int,
    score_address: int,
    work: int,
    step_address: int,
    decrement_address: int,
) -> None:
    """Solve information times step = score in n free entries, diagonal scaled to one.

    The decrement is NaN where the information is not surely positive definite: the pivots' product
    over e bounds the smallest eigenvalue from below, for the eigenvalues' sum is n.
    """
    free, decrement = integers(free_address, n), doubles(decrement_address, n_starts)
    a, scale = matrix(work, n, n), doubles(work + 8 * n * n, n)
    begin = doubles(work + 8 * n * (n + 1), n)
    for r in range(n_starts):
        given = matrix(matrix_address + 8 * r * size * size, size, size)
        score, step = (
            doubles(score_address + 8 * r * size, size),
            doubles(step_address + 8 * r * n, n),
        )
        decrement[r] = math.nan
        if not (
            take_system(score, given, free, scale, a, step) and factorise(a, n, 0.0, SURE, begin)
        ):
            continue
        pivots = 1.0
        for i in range(n):
            pivots *= a[i, i] * a[i, i]
        if pivots < SURE:
            continue
        substitute(a, n, begin, step)
        decrement[r] = 0.0
        for i in range(n):
            step[i] /= scale[i]
            decrement[r] += step[i] * score[free[i]]


@functools.cache
def newton_callback() -> CFunc:
    """Compile or load the Newton steps."""
    return callback(newton_steps, types.void(*[types.int64] * 9), "newton")
