"""The density of a cluster's rows with random effects as compiled code; see `families.effects`.

Clusters with the same products of the effects' columns, as those with the same times of visits,
share all matrices: only products with their residuals differ.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bayesmix.families.kernel import Block, Kernel

__all__ = ["effects_kernel"]

LOG_2PI = math.log(2 * math.pi)


def effects_kernel(q: int, *, proportional: bool) -> Kernel:
    """The kernel of q random effects; all entries of their root may be relative to the first."""
    return Kernel(
        "proportional_effects" if proportional else "effects",
        proportional_term if proportional else effects_term,
        ("y", "cluster", "effects"),
        parameters=2 + q * (q + 1) // 2,
        blocks=True,
        clusters=True,
    )


def effects_term(ops: Any) -> Block:
    """Give the density of clusters whose root has its own entries as parameters."""
    return _term(ops, proportional=False)


def proportional_term(ops: Any) -> Block:
    """Give the same where all entries but the first are relative to it."""
    return _term(ops, proportional=True)


def _term(ops: Any, *, proportional: bool) -> Block:
    """The term, with the names of `effects`: g = N Z'r / sigma^2, e = Z'V^-1 r, Q = Z'V^-1 Z."""
    exp, add_up, multiply = ops.exp, ops.scalar(_add_up), ops.scalar(_multiply)
    shared, read_root = ops.scalar(_shared(ops)), ops.scalar(_read_root(ops))
    write_slopes = ops.scalar(_write_slopes)

    def term(_level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        p = etas.shape[0]
        q = int(math.sqrt(2.0 * p - 4.0))  # p = 2 + q (q + 1) / 2
        zz, before, u = np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q))
        gain, qu, fitted = np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, 1))
        zr, g, e = np.zeros((q, 1)), np.zeros((q, 1)), np.zeros((q, 1))
        size, log_det, trace, at = 0, 0.0, 0.0, 0
        while at < n:
            last = at + int(numbers[1, at])
            rr = add_up(numbers, etas, at, last, zz, zr)
            precision = exp(-2.0 * etas[1, at])
            other = size != last - at
            size = last - at
            for a in range(q):
                for b in range(q):
                    other = other or zz[a, b] != before[a, b]
                    before[a, b] = zz[a, b]
            if other:
                read_root(etas, at, proportional, u)
                log_det, trace = shared(zz, u, precision, gain, qu)
            multiply(gain, zr, g)
            multiply(zz, g, fitted)
            explained = again = 0.0
            for a in range(q):
                explained += g[a, 0] * zr[a, 0]
                again += g[a, 0] * fitted[a, 0]
                e[a, 0] = precision * (zr[a, 0] - fitted[a, 0])
            for i in range(at, last):
                left = numbers[0, i] - etas[0, i]
                for a in range(q):
                    left -= numbers[2 + a, i] * g[a, 0]
                for j in range(p + 1):
                    out[j, i] = precision * left if j == 1 else 0.0
            constant = size * (LOG_2PI + 2.0 * etas[1, at]) + log_det
            out[0, at] = -0.5 * (constant + precision * (rr - explained))
            out[2, at] = precision * (rr - 2.0 * explained + again) - (size - trace)
            write_slopes(u, e, qu, proportional, at, out)
            at = last

    return term


def _multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Product of two matrices, small ones."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            out[i, j] = 0.0
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * b[k, j]


def _add_up(
    numbers: np.ndarray, etas: np.ndarray, first: int, last: int, zz: np.ndarray, zr: np.ndarray
) -> float:
    """Fill Z'Z and Z'r of some rows; gives r'r."""
    q, rr = len(zr), 0.0
    for a in range(q):
        zr[a, 0] = 0.0
        for b in range(q):
            zz[a, b] = 0.0
    for i in range(first, last):
        residual = numbers[0, i] - etas[0, i]
        rr += residual * residual
        for a in range(q):
            zr[a, 0] += numbers[2 + a, i] * residual
            for b in range(q):
                zz[a, b] += numbers[2 + a, i] * numbers[2 + b, i]
    return rr


def _read_root(ops: Any) -> Any:
    """Fill the root from its parameters, column by column."""
    exp = ops.exp

    def read_root(etas: np.ndarray, at: int, proportional: bool, u: np.ndarray) -> None:
        column = 2
        for j in range(len(u)):
            for i in range(j + 1):
                value = exp(etas[column, at]) if i == j else etas[column, at]
                u[i, j] = value * u[0, 0] if proportional and column > 2 else value
                column += 1

    return read_root


def _write_slopes(
    u: np.ndarray, e: np.ndarray, qu: np.ndarray, proportional: bool, at: int, out: np.ndarray
) -> None:
    """Slopes in the root's parameters: those in its entries are (e e' - Q) U."""
    column = 3
    for j in range(len(u)):
        along = 0.0
        for a in range(j + 1):
            along += e[a, 0] * u[a, j]
        for i in range(j + 1):
            slope = e[i, 0] * along - qu[i, j]
            relative = proportional and column > 3
            own = u[i, j] if i == j else (u[0, 0] if relative else 1.0)
            out[column, at] = slope * own
            out[3, at] += slope * u[i, j] if relative else 0.0
            column += 1


def _shared(ops: Any) -> Any:
    """What the products Z'Z decide: N / sigma^2 and Q U; log det M and the trace."""
    multiply, halve = ops.scalar(_multiply), ops.scalar(_halve(ops))

    def shared(
        zz: np.ndarray, u: np.ndarray, precision: float, gain: np.ndarray, qu: np.ndarray
    ) -> tuple[float, float]:
        q, trace = len(u), 0.0
        m, half = np.zeros((q, q)), np.zeros((q, q))
        multiply(zz, u, qu)
        multiply(u.T, qu, m)
        log_det = halve(m, u, precision, half)
        multiply(half.T, half, gain)
        multiply(zz, gain, m)
        multiply(m, qu, half)
        for i in range(q):
            trace += precision * m[i, i]
            for j in range(q):
                gain[i, j] *= precision
                qu[i, j] = precision * (qu[i, j] - precision * half[i, j])
        return log_det, trace

    return shared


def _halve(ops: Any) -> Any:
    """Fill L^-1 U' for the Cholesky factor L of M = I + m / sigma^2; gives log det M."""
    log = ops.log

    def halve(m: np.ndarray, u: np.ndarray, precision: float, half: np.ndarray) -> float:
        log_det = 0.0
        for i in range(len(u)):
            for j in range(i + 1):
                value = precision * m[i, j] + (1.0 if i == j else 0.0)
                for a in range(j):
                    value -= m[i, a] * m[j, a]
                m[i, j] = math.sqrt(value) if i == j else value / m[j, j]
            log_det += 2.0 * log(m[i, i])
            for j in range(len(u)):
                value = u[j, i]
                for a in range(i):
                    value -= m[i, a] * half[a, j]
                half[i, j] = value / m[i, i]
        return log_det

    return halve
