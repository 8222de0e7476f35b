"""Sums over a block of rows: linear predictors, softmax, and weighted sums of columns.

Arrays hold rows along their last axis, which is contiguous: every inner loop runs over rows and
vectorises.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import math as scalars
from bayesmix.kernels.compile import doubles, elementwise, integers, reduction

Array = NDArray[np.float64]

exp, log = scalars.exp, scalars.log


@elementwise
def clear(address: int, size: int) -> None:
    """Set numbers to zero."""
    values = doubles(address, size)
    for i in range(size):
        values[i] = 0.0


@elementwise
def finite(size: int, address: int) -> bool:
    """Whether all numbers at an address are finite."""
    values = doubles(address, size)
    result = True
    for j in range(size):
        result = result and math.isfinite(values[j])
    return result


@elementwise
def copy(size: int, source: int, target: int) -> None:
    """Copy numbers from address to address."""
    values, out = doubles(source, size), doubles(target, size)
    for i in range(size):
        out[i] = values[i]


@elementwise
def add_all(size: int, source: int, target: int) -> None:
    """Add numbers at an address to those at another."""
    values, out = doubles(source, size), doubles(target, size)
    for i in range(size):
        out[i] += values[i]


@elementwise
def gather(theta: Array, index: int, size: int, out: Array) -> None:
    """Take entries of theta, 0 where the index is -1."""
    at = integers(index, size)
    for i in range(size):
        out[i] = theta[at[i]] if at[i] >= 0 else 0.0


@elementwise
def scaled(values: Array, scale: Array, n: int, out: Array) -> None:
    """``out[i] = scale[i] values[i]``, 0 where the scale is 0 whatever the value."""
    for i in range(n):
        out[i] = scale[i] * values[i] if scale[i] != 0.0 else 0.0


@elementwise
def linear_predictor(coef: Array, columns: Array, n: int, out: Array) -> None:
    """Add ``sum_j coef[j] columns[j, i]``, four columns at a time."""
    width = columns.shape[0]
    for j in range(0, width, 4):
        # Columns beyond the last are the last one times zero.
        b, c, d = min(j + 1, width - 1), min(j + 2, width - 1), min(j + 3, width - 1)
        first = coef[j]
        second = coef[b] if j + 1 < width else 0.0
        third = coef[c] if j + 2 < width else 0.0
        fourth = coef[d] if j + 3 < width else 0.0
        if j + 2 < width:
            for i in range(n):
                out[i] += (
                    first * columns[j, i]
                    + second * columns[b, i]
                    + third * columns[c, i]
                    + fourth * columns[d, i]
                )
        else:
            for i in range(n):
                out[i] += first * columns[j, i] + second * columns[b, i]


@elementwise
def softmax(terms: Array, n: int, total: Array, mass: Array, out: Array) -> None:
    """Normalise terms (S, n): ``total = log sum_s exp(terms)``, ``out = exp(terms - total)``.

    Terms may be -inf; where all of them are, total is -inf and out is 0.
    """
    n_components = terms.shape[0]
    for i in range(n):
        total[i] = terms[0, i]
    for s in range(1, n_components):
        for i in range(n):
            total[i] = terms[s, i] if terms[s, i] > total[i] else total[i]
    for i in range(n):
        mass[i] = 0.0
        # Where all terms are -inf, -inf - -inf would be NaN.
        total[i] = 0.0 if total[i] == -math.inf else total[i]
    for s in range(n_components):
        for i in range(n):
            out[s, i] = exp(terms[s, i] - total[i])
            mass[i] += out[s, i]
    for i in range(n):
        total[i] += log(mass[i])
        mass[i] = 0.0 if mass[i] == 0.0 else 1.0 / mass[i]
    for s in range(n_components):
        for i in range(n):
            out[s, i] *= mass[i]


@reduction
def total(values: Array, n: int) -> float:
    """Sum of the first n values."""
    result = 0.0
    for i in range(n):
        result += values[i]
    return result


@reduction
def add_sums(values: Array, columns: Array, width: int, n: int, target: Array) -> None:
    """``target[j] += sum_i values[i] columns[j, i]`` for j < width, four sums at a time."""
    for j in range(0, width, 4):
        # Columns beyond the last are the last one, whose sum is left.
        b, c, d = min(j + 1, width - 1), min(j + 2, width - 1), min(j + 3, width - 1)
        s0 = s1 = s2 = s3 = 0.0
        if j + 2 < width:
            for i in range(n):
                s0 += values[i] * columns[j, i]
                s1 += values[i] * columns[b, i]
                s2 += values[i] * columns[c, i]
                s3 += values[i] * columns[d, i]
        else:
            for i in range(n):
                s0 += values[i] * columns[j, i]
                s1 += values[i] * columns[b, i]
        target[j] += s0
        if j + 1 < width:
            target[b] += s1
        if j + 2 < width:
            target[c] += s2
        if j + 3 < width:
            target[d] += s3


@elementwise
def add_products(
    values: Array, one: Array, other: Array, lower: bool, n: int, product: Array, target: Array
) -> None:
    """``target[j, k] += sum_i values[i] one[j, i] other[k, i]``; with `lower` only k <= j."""
    for j in range(one.shape[0]):
        for i in range(n):
            product[i] = values[i] * one[j, i]
        add_sums(product, other, j + 1 if lower else other.shape[0], n, target[j])


@elementwise
def scatter_vector(index: int, values: Array, out: Array) -> None:
    """Add values to their entries of a vector of theta; -1: nowhere."""
    at = integers(index, len(values))
    for i in range(len(values)):
        if at[i] >= 0:
            out[at[i]] += values[i]


@elementwise
def scatter(row_index: int, column_index: int, lower: bool, values: Array, out: Array) -> None:
    """Add a matrix to the lower half of one of theta.

    With `lower`, that matrix is symmetric, and only its lower half is there.
    """
    rows, columns = integers(row_index, values.shape[0]), integers(column_index, values.shape[1])
    for a in range(values.shape[0]):
        for b in range(a + 1 if lower else values.shape[1]):
            if rows[a] >= 0 and columns[b] >= 0:
                out[max(rows[a], columns[b]), min(rows[a], columns[b])] += values[a, b]


@elementwise
def mirror(values: Array) -> None:
    """Fill the upper half of a symmetric matrix from the lower one."""
    for i in range(values.shape[0]):
        for j in range(i):
            values[j, i] = values[i, j]
