"""The density of a cluster's rows with random effects as compiled code; see `families.effects`.

Residuals are linear in the coefficients b, so a cluster is one row of numbers to the kernels: the
products of its columns, from which r'r, Z'r and X'r follow for any b.  The responses are taken
less a fit b0 of all rows, so that little cancels.  Every loop runs over clusters.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bayesmix.families.interface import Observed
from bayesmix.families.kernel import Block, Kernel
from bayesmix.families.whole import clusters_of

LOG_2PI = math.log(2 * math.pi)


def effects_kernel(*, proportional: bool) -> Kernel:
    """The kernel of random effects; all entries of their root may be relative to the first."""
    name, term = "effects", effects_term
    if proportional:
        name, term = "proportional_effects", proportional_term
    return Kernel(name, term, (), blocks=True, together=products_by_cluster)


def products_by_cluster(obs: Observed, x: np.ndarray) -> np.ndarray:
    """What the term reads of each cluster, (m, C).

    The number of effects and b0, the same for all; the number of rows; then, with r = y - X b0,
    the entries of Z'Z, Z'r, Z'X, X'X, X'r and r'r.
    """
    assert obs.effects is not None
    z, at = obs.effects, clusters_of(obs)
    base = np.linalg.lstsq(x, obs.y)[0]
    r, (p, q) = obs.y - x @ base, (x.shape[1], z.shape[1])
    rows = [
        *(z[:, i] * z[:, j] for j in range(q) for i in range(q)),
        *(z[:, a] * r for a in range(q)),
        *(z[:, a] * x[:, j] for a in range(q) for j in range(p)),
        *(x[:, i] * x[:, j] for i in range(p) for j in range(p)),
        *(x[:, j] * r for j in range(p)),
        r * r,
    ]
    size = np.diff(np.append(at.first, at.n))
    constants = np.broadcast_to(np.append(q, base)[:, None], (1 + p, len(size)))
    return np.vstack([constants, size, at.sums(np.array(rows))])


def effects_term(ops: Any) -> Block:
    """Give the density of clusters whose root has its own entries as parameters."""
    return _term(ops, proportional=False)


def proportional_term(ops: Any) -> Block:
    """Give the same where all entries but the first are relative to it."""
    return _term(ops, proportional=True)


def _term(ops: Any, *, proportional: bool) -> Block:
    """The term, with the names of `effects`: g = N Z'r / sigma^2, e = Z'V^-1 r, Q = Z'V^-1 Z."""
    exp, add, multiply = ops.exp, ops.scalar(_add), ops.scalar(_multiply(ops))
    residuals, read_root = ops.scalar(_residuals(ops)), ops.scalar(_read_root(ops))
    fill, halve = ops.scalar(_fill(ops)), ops.scalar(_halve(ops))
    write_slopes = ops.scalar(_write_slopes(ops))

    def term(_level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        q = int(numbers[0, 0])
        p = etas.shape[0] - 1 - q * (q + 1) // 2
        size, zz, zx = numbers[1 + p], numbers[2 + p :], numbers[2 + p + q * q + q :]
        log_sigma = etas[p, 0]
        precision = exp(-2.0 * log_sigma)
        u = read_root(etas[p + 1 :, 0], q, proportional)
        one, zr, pull = np.ones(n), np.zeros((q, n)), np.zeros((p + 1, n))
        residuals(numbers, etas, q, n, zr, pull)
        zu = fill(zz, u, q, n)
        half, h, hz = np.zeros((q * q, n)), np.zeros((q * q, n)), np.zeros((q * q, n))
        log_det = halve(zu, u, precision, q, n, half)
        multiply(1.0, half, False, zu, q, q, n, h)
        multiply(1.0, half, False, zz, q, q, n, hz)
        multiply(-precision, hz, True, h, q, q, n, zu)  # now Q U / precision
        w, g, e = np.zeros((q, n)), np.zeros((q, n)), np.zeros((q, n))
        multiply(1.0, half, False, zr, q, 1, n, w)
        multiply(precision, half, True, w, q, 1, n, g)
        multiply(-precision, zz, False, g, q, 1, n, e)
        explained, again, trace = np.zeros(n), np.zeros(n), np.zeros(n)
        for a in range(q * q):
            add(precision, hz[a], half[a], n, trace)
        for a in range(q):
            add(-1.0 / precision, g[a], e[a], n, again)
            add(precision, one, zr[a], n, e[a])
            add(precision, w[a], w[a], n, explained)
        for c in range(n):
            constant = size[c] * (LOG_2PI + 2.0 * log_sigma) + log_det[c]
            out[0, c] = -0.5 * (constant + precision * (pull[p, c] - explained[c]))
            square = pull[p, c] - 2.0 * explained[c] + again[c]
            out[1 + p, c] = precision * square - size[c] + trace[c]
        for j in range(p):
            out[1 + j, :n] = precision * pull[j]
            for a in range(q):
                add(-precision, zx[a * p + j], g[a], n, out[1 + j])
        write_slopes(u, e, zu, precision, proportional, n, out[p + 2 :])

    return term


def _add(scale: float, one: np.ndarray, other: np.ndarray, n: int, out: np.ndarray) -> None:
    """Add a multiple of the product of two lines to another."""
    for c in range(n):
        out[c] += scale * one[c] * other[c]


def _multiply(ops: Any) -> Any:
    """Add a multiple of a product, (q, q) times (q, k) or `turned`, of matrices of lines."""
    add = ops.scalar(_add)

    def multiply(
        scale: float, one: np.ndarray, turned: bool, other: np.ndarray,
        q: int, k: int, n: int, out: np.ndarray,
    ) -> None:  # fmt: skip
        for i in range(q):
            for j in range(k):
                for a in range(q):
                    at = a * q + i if turned else i * q + a
                    add(scale, one[at], other[a * k + j], n, out[i * k + j])

    return multiply


def _residuals(ops: Any) -> Any:
    """Fill Z'r, X'r and, after it, r'r at the coefficients."""
    add = ops.scalar(_add)

    def residuals(
        numbers: np.ndarray, etas: np.ndarray, q: int, n: int, zr: np.ndarray, pull: np.ndarray
    ) -> None:
        p, one = pull.shape[0] - 1, np.ones(n)
        given = numbers[2 + p + q * q :]
        zx, xx, xr = given[q:], given[q + q * p :], given[q + q * p + p * p :]
        for a in range(q):
            add(1.0, one, given[a], n, zr[a])
            for j in range(p):
                add(numbers[1 + j, 0] - etas[j, 0], one, zx[a * p + j], n, zr[a])
        add(1.0, one, xr[p], n, pull[p])
        for j in range(p):
            back = numbers[1 + j, 0] - etas[j, 0]
            add(1.0, one, xr[j], n, pull[j])
            for k in range(p):
                add(numbers[1 + k, 0] - etas[k, 0], one, xx[j * p + k], n, pull[j])
            add(back, one, xr[j], n, pull[p])
            add(back, one, pull[j], n, pull[p])

    return residuals


def _read_root(ops: Any) -> Any:
    """The root from its parameters, column by column."""
    exp = ops.exp

    def read_root(eta: np.ndarray, q: int, proportional: bool) -> np.ndarray:
        u, column = np.zeros((q, q)), 0
        for j in range(q):
            for i in range(j + 1):
                value = exp(eta[column]) if i == j else eta[column]
                u[i, j] = value * u[0, 0] if proportional and column > 0 else value
                column += 1
        return u

    return read_root


def _fill(ops: Any) -> Any:
    """Z'Z U, by rows."""
    add = ops.scalar(_add)

    def fill(zz: np.ndarray, u: np.ndarray, q: int, n: int) -> np.ndarray:
        out, one = np.zeros((q * q, n)), np.ones(n)
        for i in range(q):
            for j in range(q):
                for a in range(j + 1):
                    add(u[a, j], one, zz[i * q + a], n, out[i * q + j])
        return out

    return fill


def _halve(ops: Any) -> Any:
    """Fill L^-1 U' for the Cholesky factor L of M = I + U'Z'Z U / sigma^2; gives log det M."""
    log, add = ops.log, ops.scalar(_add)

    def halve(
        zu: np.ndarray, u: np.ndarray, precision: float, q: int, n: int, half: np.ndarray
    ) -> np.ndarray:
        log_det, one, m = np.zeros(n), np.ones(n), np.zeros((q * q, n))
        for i in range(q):
            for j in range(i + 1):
                own = m[i * q + j]
                for a in range(i + 1):
                    add(precision * u[a, i], one, zu[a * q + j], n, own)
                for a in range(j):
                    add(-1.0, m[i * q + a], m[j * q + a], n, own)
                if j < i:
                    own /= m[j * q + j]
            diagonal = m[i * q + i]
            for c in range(n):
                diagonal[c] = math.sqrt(1.0 + diagonal[c])
                log_det[c] += 2.0 * log(diagonal[c])
            for j in range(q):
                half[i * q + j, :] = u[j, i]
                for a in range(i):
                    add(-1.0, m[i * q + a], half[a * q + j], n, half[i * q + j])
                half[i * q + j] /= diagonal
        return log_det

    return halve


def _write_slopes(ops: Any) -> Any:
    """Slopes in the root's parameters: those in its entries are (e e' - Q) U."""
    add = ops.scalar(_add)

    def write_slopes(
        u: np.ndarray, e: np.ndarray, qu: np.ndarray, precision: float, proportional: bool,
        n: int, out: np.ndarray,
    ) -> None:  # fmt: skip
        q, one, column = len(u), np.ones(n), 0
        for j in range(q):
            along = np.zeros(n)
            for a in range(j + 1):
                add(u[a, j], one, e[a], n, along)
            for i in range(j + 1):
                relative = proportional and column > 0
                own = u[i, j] if i == j else (u[0, 0] if relative else 1.0)
                out[column, :n] = 0.0
                add(own, e[i], along, n, out[column])
                add(-own * precision, one, qu[i * q + j], n, out[column])
                if relative:
                    add(u[i, j], e[i], along, n, out[0])
                    add(-u[i, j] * precision, one, qu[i * q + j], n, out[0])
                column += 1

    return write_slopes
