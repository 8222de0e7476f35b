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
    read = relative_products if proportional else products_by_cluster
    return Kernel("effects", effects_term, (), blocks=True, together=read)


def relative_products(obs: Observed, x: np.ndarray) -> np.ndarray:
    """The same as `products_by_cluster`, for a root whose entries are relative to the first."""
    return products_by_cluster(obs, x, proportional=True)


def products_by_cluster(obs: Observed, x: np.ndarray, *, proportional: bool = False) -> np.ndarray:
    """What the term reads of each cluster, (m, C).

    The number of effects, negative if `proportional`, and b0, the same for all; the number of rows;
    then, with r = y - X b0, the entries of Z'Z, Z'r, Z'X, X'X, X'r and r'r.
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
    constants = np.broadcast_to(
        np.append(-q if proportional else q, base)[:, None], (1 + p, len(size))
    )
    return np.vstack([constants, size, at.sums(np.array(rows))])


def effects_term(ops: Any) -> Block:
    """Give the density of clusters, with the names of `effects`; what cancels is avoided as there.

    `s` = M^-1 U' / sigma^2, so that U'Z'V^-1 = s Z' and N / sigma^2 = U s; `uz` = U'Z'Z.
    """
    exp, add, plus = ops.exp, ops.elementwise(_add), ops.elementwise(_plus)
    multiply, turn = ops.elementwise(_multiply(ops)), ops.elementwise(_turn(ops))
    residuals, read_root = ops.elementwise(_residuals(ops)), ops.elementwise(_read_root(ops))
    halve, root_slopes = ops.elementwise(_halve(ops)), ops.elementwise(_root_slopes)
    score, second = ops.elementwise(_score(ops)), ops.elementwise(_second(ops))

    def term(level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        q, proportional = abs(int(numbers[0, 0])), numbers[0, 0] < 0.0
        p = etas.shape[0] - 1 - q * (q + 1) // 2
        size, zz, zx = numbers[1 + p], numbers[2 + p :], numbers[2 + p + q * q + q :]
        log_sigma = etas[p, 0]
        precision, u = exp(-2.0 * log_sigma), read_root(etas[p + 1 :, 0], q, proportional)
        zr, pull = np.zeros((q, n)), np.zeros((p + 1, n))
        residuals(numbers, etas, q, n, zr, pull)
        uz, half, s = np.zeros((q * q, n)), np.zeros((q * q, n)), np.zeros((q * q, n))
        turn(u, True, zz, q, n, uz)
        log_det = halve(uz, u, precision, q, n, half, s)
        w, ue, g, e = np.zeros((q, n)), np.zeros((q, n)), np.zeros((q, n)), np.zeros((q, n))
        multiply(1.0, half, False, zr, q, 1, n, w)
        multiply(1.0, s, False, zr, q, 1, n, ue)
        turn(u, False, ue, 1, n, g)
        multiply(-precision, zz, False, g, q, 1, n, e)
        explained, again, trace = np.zeros(n), np.zeros(n), np.zeros(n)
        for a in range(q):
            add(precision, w[a], w[a], n, explained)
            add(-1.0 / precision, g[a], e[a], n, again)
            plus(precision, zr[a], n, e[a])
        for a in range(q * q):
            add(1.0, uz[a], s[a], n, trace)
        for c in range(n):
            constant = size[c] * (LOG_2PI + 2.0 * log_sigma) + log_det[c]
            out[0, c] = -0.5 * (constant + precision * (pull[p, c] - explained[c]))
            square = pull[p, c] - 2.0 * explained[c] + again[c]
            out[1 + p, c] = precision * square - size[c] + trace[c]
        for j in range(p):
            out[1 + j, :n] = precision * pull[j]
            for a in range(q):
                add(-precision, zx[a * p + j], g[a], n, out[1 + j])
        uq, slopes = np.zeros((q * q, n)), root_slopes(u, proportional)
        multiply(1.0, s, False, zz, q, q, n, uq)
        score(slopes, uq, e, ue, q, n, out[p + 2 :])
        if level > 1:
            second(
                level > 2, proportional, precision, u, slopes, numbers[1 + p :],
                uz, s, uq, e, ue, p, n, out,
            )  # fmt: skip

    return term


def _score(ops: Any) -> Any:
    """Slopes in the root's parameters: those in its entries are (e e' - Q) U."""
    add, plus, places = ops.elementwise(_add), ops.elementwise(_plus), ops.elementwise(_places)

    def score(
        slopes: np.ndarray, uq: np.ndarray, e: np.ndarray, ue: np.ndarray, q: int, n: int,
        out: np.ndarray,
    ) -> None:  # fmt: skip
        row, column = places(q)
        for c in range(len(row)):
            out[c, :n] = 0.0
            for a in range(len(row)):
                if slopes[c, a] != 0.0:
                    add(slopes[c, a], e[row[a]], ue[column[a]], n, out[c])
                    plus(-slopes[c, a], uq[column[a] * q + row[a]], n, out[c])

    return score


def _second(ops: Any) -> Any:
    """Minus the second derivatives, or for an ascent step what is expected of the dispersions.

    The formulas are those of `effects._second`.  `pz` = Z'Z U s, so that Z'V^-1 X = (Z'X - pz Z'X)
    / sigma^2; `both` = Q.
    """
    plus, multiply, turn = (
        ops.elementwise(_plus), ops.elementwise(_multiply(ops)), ops.elementwise(_turn(ops))
    )  # fmt: skip
    gram, of_sigma = ops.elementwise(_gram(ops)), ops.elementwise(_of_sigma(ops))
    of_roots, exact = ops.elementwise(_of_roots(ops)), ops.elementwise(_exact(ops))

    def second(
        complete: bool, proportional: bool, precision: float, u: np.ndarray, slopes: np.ndarray,
        numbers: np.ndarray, uz: np.ndarray, s: np.ndarray, uq: np.ndarray, e: np.ndarray,
        ue: np.ndarray, p: int, n: int, out: np.ndarray,
    ) -> None:  # fmt: skip
        q, f = len(u), p + 1 + len(slopes)
        size, zz, zx = numbers[0], numbers[1:], numbers[1 + q * q + q :]
        lines, sign = out[1 + 2 * f :], -1.0 if complete else 1.0
        out[1 + f : 1 + 2 * f + f * (f + 1) // 2, :n] = 0.0
        pz, inner, both = np.zeros((q * q, n)), np.zeros((q * q, n)), np.zeros((q * q, n))
        multiply(1.0, uz, True, s, q, q, n, pz)
        multiply(-precision, pz, False, zz, q, q, n, both)
        for a in range(q * q):
            plus(precision, zz[a], n, both[a])
        turn(u, False, s, q, n, inner)
        gram(precision, zx, inner, q, p, n, lines)
        of_sigma(sign, precision, slopes, size, s, pz, both, q, p, n, lines)
        of_roots(sign, u, slopes, uq, both, e, p, n, lines)
        if complete:
            exact(proportional, precision, u, slopes, numbers, inner, pz, both, e, ue, p, n, out)
        for j in range(f):
            out[1 + f + j, :n] = lines[j * (j + 1) // 2 + j, :n]

    return second


def _gram(ops: Any) -> Any:
    """Add X'V^-1 X = (X'X - X'Z U s Z'X) / sigma^2."""
    add, plus, multiply = (
        ops.elementwise(_add), ops.elementwise(_plus), ops.elementwise(_multiply(ops))
    )  # fmt: skip

    def gram(
        precision: float, zx: np.ndarray, inner: np.ndarray, q: int, p: int, n: int,
        lines: np.ndarray,
    ) -> None:  # fmt: skip
        far = np.zeros((q * p, n))
        multiply(1.0, inner, False, zx, q, p, n, far)
        for j in range(p):
            for i in range(j + 1):
                line = lines[j * (j + 1) // 2 + i]
                plus(precision, zx[q * p + i * p + j], n, line)
                for a in range(q):
                    add(-precision, zx[a * p + i], far[a * p + j], n, line)

    return gram


def _of_sigma(ops: Any) -> Any:
    """Add what is expected of log sigma, by itself and with the root's parameters."""
    add, plus, places = ops.elementwise(_add), ops.elementwise(_plus), ops.elementwise(_places)

    def of_sigma(
        sign: float, precision: float, slopes: np.ndarray, size: np.ndarray, s: np.ndarray,
        pz: np.ndarray, both: np.ndarray, q: int, p: int, n: int, lines: np.ndarray,
    ) -> None:  # fmt: skip
        row, column = places(q)
        own = lines[p * (p + 1) // 2 + p]
        plus(2.0 * sign, size, n, own)
        for i in range(q):
            plus(-4.0 * sign, pz[i * q + i], n, own)
            for j in range(q):
                add(2.0 * sign, pz[i * q + j], pz[j * q + i], n, own)
        for c in range(len(row)):
            line = lines[(p + 1 + c) * (p + 2 + c) // 2 + p]
            for a in range(len(row)):
                scale = 2.0 * sign * slopes[c, a] / precision
                for b in range(q if scale != 0.0 else 0):
                    add(scale, both[row[a] * q + b], s[column[a] * q + b], n, line)

    return of_sigma


def _of_roots(ops: Any) -> Any:
    """Add what is expected of the root's parameters; subtracting, what a column's entries share."""
    add, plus, places = ops.elementwise(_add), ops.elementwise(_plus), ops.elementwise(_places)

    def pair(
        sign: float, scale: float, i: int, j: int, i2: int, j2: int, q: int, uq: np.ndarray,
        uqu: np.ndarray, both: np.ndarray, e: np.ndarray, n: int, line: np.ndarray,
    ) -> None:  # fmt: skip
        add(sign * scale, uq[j * q + i2], uq[j2 * q + i], n, line)
        add(sign * scale, uqu[j * q + j2], both[i * q + i2], n, line)
        if sign < 0.0 and j == j2:
            add(-scale, e[i], e[i2], n, line)
            plus(scale, both[i * q + i2], n, line)

    add_pair = ops.elementwise(pair)

    def of_roots(
        sign: float, u: np.ndarray, slopes: np.ndarray, uq: np.ndarray, both: np.ndarray,
        e: np.ndarray, p: int, n: int, lines: np.ndarray,
    ) -> None:  # fmt: skip
        q, (row, column) = len(u), places(len(u))
        uqu, of_pairs = np.zeros((q * q, n)), len(row) ** 2
        for i in range(q):
            for a in range(len(row)):
                plus(u[row[a], column[a]], uq[i * q + row[a]], n, uqu[i * q + column[a]])
        for c in range(len(row)):
            for d in range(c + 1):
                line = lines[(p + 1 + c) * (p + 2 + c) // 2 + p + 1 + d]
                for at in range(of_pairs):
                    a, b = at // len(row), at % len(row)
                    scale = slopes[c, a] * slopes[d, b]
                    if scale != 0.0:
                        add_pair(
                            sign, scale, row[a], column[a], row[b], column[b], q, uq, uqu, both, e,
                            n, line,
                        )  # fmt: skip

    return of_roots


def _exact(ops: Any) -> Any:
    """Add what depends on the responses: w'A_k V^-1 A_l w and its like, with A_k w = Z `along`."""
    add, plus = ops.elementwise(_add), ops.elementwise(_plus)
    multiply, along_of = ops.elementwise(_multiply(ops)), ops.elementwise(_along(ops))
    curve = ops.elementwise(_curve(ops))

    def exact(
        proportional: bool, precision: float, u: np.ndarray, slopes: np.ndarray,
        numbers: np.ndarray, inner: np.ndarray, pz: np.ndarray, both: np.ndarray, e: np.ndarray,
        ue: np.ndarray, p: int, n: int, out: np.ndarray,
    ) -> None:  # fmt: skip
        q, roots, at = len(u), len(slopes), p * (p + 1) // 2
        size, zx, lines = numbers[0], numbers[1 + q * q + q :], out[1 + 2 * (p + 1 + roots) :]
        ne, ke, zv = np.zeros((q, n)), e.copy(), np.zeros((q * p, n))
        multiply(1.0, inner, False, e, q, 1, n, ne)
        multiply(-1.0, pz, False, e, q, 1, n, ke)
        multiply(-precision, pz, False, zx, q, p, n, zv)
        plus(4.0, size, n, lines[at + p])
        for j in range(p + 1):
            plus(2.0, out[1 + j], n, lines[at + j])
        for a in range(q):
            plus(-4.0, pz[a * q + a], n, lines[at + p])
            add(-4.0 / precision, e[a], ne[a], n, lines[at + p])
            for j in range(p):
                plus(precision, zx[a * p + j], n, zv[a * p + j])
                add(-2.0, zx[a * p + j], ne[a], n, lines[at + j])
        along, moved = along_of(u, slopes, e, ue, n), np.zeros((roots * q, n))
        for c in range(roots):
            at, own = (p + 1 + c) * (p + 2 + c) // 2, along[c * q :]
            multiply(1.0, both, False, own, q, 1, n, moved[c * q :])
            for a in range(q):
                add(2.0, own[a], ke[a], n, lines[at + p])
                for j in range(p):
                    add(1.0, zv[a * p + j], own[a], n, lines[at + j])
            for a in range(q * (c + 1)):
                add(1.0, moved[c * q + a % q], along[a], n, lines[at + p + 1 + a // q])
        curve(proportional, q, out[p + 2 :], p, n, lines)

    return exact


def _along(ops: Any) -> Any:
    """With E the slopes of U in a parameter, (E U' + U E') e for each, lines q apart."""
    plus, places = ops.elementwise(_plus), ops.elementwise(_places)

    def along(
        u: np.ndarray, slopes: np.ndarray, e: np.ndarray, ue: np.ndarray, n: int
    ) -> np.ndarray:
        q, (row, column) = len(u), places(len(u))
        out = np.zeros((q * len(row), n))
        for c in range(len(row)):
            for a in range(len(row)):
                i, j, slope = row[a], column[a], slopes[c, a]
                plus(slope, ue[j], n, out[c * q + i])
                for b in range(j + 1 if slope != 0.0 else 0):
                    plus(slope * u[b, j], e[i], n, out[c * q + b])
        return out

    return along


def _curve(ops: Any) -> Any:
    """Subtract what the root bends in its parameters: some are logarithms, or relative."""
    plus, places = ops.elementwise(_plus), ops.elementwise(_places)

    def curve(
        proportional: bool, q: int, score: np.ndarray, p: int, n: int, lines: np.ndarray
    ) -> None:
        row, column = places(q)
        for c in range(len(row)):
            at = (p + 1 + c) * (p + 2 + c) // 2 + p + 1
            if row[c] == column[c]:
                plus(-1.0, score[c], n, lines[at + c])
            if proportional and c > 0:
                plus(-1.0, score[c], n, lines[at])

    return curve


def _add(scale: float, one: np.ndarray, other: np.ndarray, n: int, out: np.ndarray) -> None:
    """Add a multiple of the product of two lines to another."""
    for c in range(n):
        out[c] += scale * one[c] * other[c]


def _plus(scale: float, line: np.ndarray, n: int, out: np.ndarray) -> None:
    """Add a multiple of a line to another."""
    for c in range(n):
        out[c] += scale * line[c]


def _multiply(ops: Any) -> Any:
    """Add a multiple of a product, (q, q), or `turned`, times (q, k), of matrices of lines."""
    add = ops.elementwise(_add)

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


def _turn(ops: Any) -> Any:
    """Add the product of the root, or its transpose, with a matrix (q, k) of lines."""
    plus = ops.elementwise(_plus)

    def turn(
        u: np.ndarray, turned: bool, lines: np.ndarray, k: int, n: int, out: np.ndarray
    ) -> None:
        for i in range(len(u)):
            for a in range(len(u)):
                scale = u[a, i] if turned else u[i, a]
                for j in range(k if scale != 0.0 else 0):
                    plus(scale, lines[a * k + j], n, out[i * k + j])

    return turn


def _residuals(ops: Any) -> Any:
    """Fill Z'r, X'r and, after it, r'r at the coefficients."""
    plus = ops.elementwise(_plus)

    def residuals(
        numbers: np.ndarray, etas: np.ndarray, q: int, n: int, zr: np.ndarray, pull: np.ndarray
    ) -> None:
        p = pull.shape[0] - 1
        given = numbers[2 + p + q * q :]
        zx, xx, xr = given[q:], given[q + q * p :], given[q + q * p + p * p :]
        for a in range(q):
            plus(1.0, given[a], n, zr[a])
            for j in range(p):
                plus(numbers[1 + j, 0] - etas[j, 0], zx[a * p + j], n, zr[a])
        plus(1.0, xr[p], n, pull[p])
        for j in range(p):
            back = numbers[1 + j, 0] - etas[j, 0]
            plus(1.0, xr[j], n, pull[j])
            for k in range(p):
                plus(numbers[1 + k, 0] - etas[k, 0], xx[j * p + k], n, pull[j])
            plus(back, xr[j], n, pull[p])
            plus(back, pull[j], n, pull[p])

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


def _places(q: int) -> np.ndarray:
    """Row and column of each parameter of the root, (2, q (q + 1) / 2); see `effects.places`."""
    out, column = np.empty((2, q * (q + 1) // 2), np.int64), 0
    for j in range(q):
        for i in range(j + 1):
            out[0, column], out[1, column] = i, j
            column += 1
    return out


def _root_slopes(u: np.ndarray, proportional: bool) -> np.ndarray:
    """Slopes of the root's entries (second) in its parameters (first); diagonal ones are logs."""
    q = len(u)
    out, column = np.zeros((q * (q + 1) // 2, q * (q + 1) // 2)), 0
    for j in range(q):
        for i in range(j + 1):
            if proportional:
                out[0, column] = u[i, j]
            relative = proportional and column > 0
            out[column, column] = u[i, j] if i == j else (u[0, 0] if relative else 1.0)
            column += 1
    return out


def _halve(ops: Any) -> Any:
    """Fill H = L^-1 U' and L'^-1 H / sigma^2, for L the root of M; gives log det M."""
    add, plus, root = ops.elementwise(_add), ops.elementwise(_plus), ops.elementwise(_root(ops))

    def halve(
        uz: np.ndarray, u: np.ndarray, precision: float, q: int, n: int,
        half: np.ndarray, s: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        m = np.zeros((q * q, n))
        log_det = root(uz, u, precision, q, n, m)
        for i in range(q):
            for j in range(i + 1):
                half[i * q + j, :] = u[j, i]
                for a in range(j, i):
                    add(-1.0, m[i * q + a], half[a * q + j], n, half[i * q + j])
                half[i * q + j] *= m[i * q + i]
        for i in range(q - 1, -1, -1):
            for j in range(q):
                plus(precision, half[i * q + j], n, s[i * q + j])
                for a in range(i + 1, q):
                    add(-1.0, m[a * q + i], s[a * q + j], n, s[i * q + j])
                s[i * q + j] *= m[i * q + i]
        return log_det

    return halve


def _root(ops: Any) -> Any:
    """Fill the root of M = I + U'Z'Z U / sigma^2, one over its diagonal; gives log det M."""
    log, add, plus = ops.log, ops.elementwise(_add), ops.elementwise(_plus)

    def root(
        uz: np.ndarray, u: np.ndarray, precision: float, q: int, n: int, m: np.ndarray
    ) -> np.ndarray:
        log_det = np.ones(n)
        for i in range(q):
            for j in range(i + 1):
                own = m[i * q + j]
                for a in range(j + 1):
                    plus(precision * u[a, j], uz[i * q + a], n, own)
                for a in range(j):
                    add(-1.0, m[i * q + a], m[j * q + a], n, own)
                if j < i:
                    own *= m[j * q + j]
            for c in range(n):
                pivot = math.sqrt(1.0 + m[i * q + i, c])
                log_det[c] *= pivot
                m[i * q + i, c] = 1.0 / pivot
        for c in range(n):
            log_det[c] = 2.0 * log(log_det[c])
        return log_det

    return root
