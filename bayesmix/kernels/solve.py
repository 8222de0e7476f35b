"""Systems of equations and their Cholesky factors."""

from __future__ import annotations

import math

from bayesmix.kernels.compile import elementwise
from bayesmix.kernels.sums import Array

TINY = 1e-300


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
