r"""Random effects by clusters: the algebra of `families.effects`, and the term of the kernels.

The algebra is written once, over *lines*: numbers (k, C), of which every function adds to one line
after the other.  As it stands here lines are lists of whatever `bayesmix.arrays` knows, such as
arrays (..., C) of many starts.  To the kernels they are rows of arrays: `effects_term` takes the
same code with the arithmetic of rows, `ROWS`, in the place of that of lists.
"""

from __future__ import annotations

import math
from types import FunctionType
from typing import Any

import numpy as np

from bayesmix.arrays import exp, log, sqrt
from bayesmix.families.interface import Observed
from bayesmix.families.kernel import Block, Kernel
from bayesmix.families.links import HALF_LOG_2PI
from bayesmix.families.whole import clusters_of

Lines = Any


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


# --- the kernels' term ---------------------------------------------------------------------


def effects_term(ops: Any) -> Block:
    """Give the density of clusters, of which residuals are linear in the coefficients b.

    A cluster is one row of numbers: the products of its columns, from which r'r, Z'r and X'r follow
    for any b.  The responses are taken less a fit b0 of all rows, so that little cancels.
    """
    names = {**globals(), "exp": ops.exp, "log": ops.log}

    def same(function: Any) -> Any:
        """The code of a function here, which finds under these names what it calls."""
        return FunctionType(function.__code__, names)

    made = {f.__name__: f for f in ALGEBRA} | ROWS
    names |= {name: ops.elementwise(same(f)) for name, f in made.items()}
    return same(clusters_term)


def clusters_term(level: int, n: int, numbers: Lines, etas: Lines, out: Lines) -> None:
    """What `effects_term` gives, with the arithmetic of rows."""
    q, proportional = abs(int(numbers[0, 0])), numbers[0, 0] < 0.0
    f, g = etas.shape[0], q + 1 + q * (q + 1) // 2
    p = f - g + q
    precision, u = exp(-2.0 * etas[p, 0]), read_root(etas[p + 1 :, 0], q, proportional)
    zz, zr, pull = zeros(q * q, n), zeros(q, n), zeros(p + 1, n)
    residuals(precision, numbers, etas, q, n, zz, zr, pull)
    own = zeros(1 + g + g * (g + 1) // 2, n)
    size, zx = numbers[1 + p], numbers[2 + p + q * q + q :]
    sums_term(level, n, q, proportional, etas[p, 0], u, zz, zr, pull[p], size, own)
    out[: 1 + f if level < 2 else 1 + 2 * f + f * (f + 1) // 2, :n] = 0.0
    located(level, precision, zx, pull, q, n, own, out)


def read_root(eta: Lines, q: int, proportional: bool) -> Lines:
    """The root from its parameters, row by row in one line."""
    u = np.zeros(q * q)
    for c, (i, j) in enumerate(places(q)):
        value = exp(eta[c]) if i == j else eta[c]
        u[i * q + j] = value * u[0] if proportional and c > 0 else value
    return u


def residuals(
    precision: float, numbers: Lines, etas: Lines, q: int, n: int, zz: Lines, zr: Lines, pull: Lines
) -> None:
    """Fill Z'Z, Z'r, X'r and, after it, r'r at the coefficients, all divided by sigma^2."""
    p = pull.shape[0] - 1
    given = numbers[2 + p + q * q :]
    zx, xx, xr = given[q:], given[q + q * p :], given[q + q * p + p * p :]
    for a in range(q * q):
        plus(precision, numbers[2 + p + a], n, zz, a)
    for a in range(q):
        plus(precision, given[a], n, zr, a)
        for j in range(p):
            plus(precision * (numbers[1 + j, 0] - etas[j, 0]), zx[a * p + j], n, zr, a)
    plus(precision, xr[p], n, pull, p)
    for j in range(p):
        back = numbers[1 + j, 0] - etas[j, 0]
        plus(precision, xr[j], n, pull, j)
        for k in range(p):
            plus(precision * (numbers[1 + k, 0] - etas[k, 0]), xx[j * p + k], n, pull, j)
        plus(precision * back, xr[j], n, pull, p)
        plus(back, pull[j], n, pull, p)


def located(
    level: int, precision: float, zx: Lines, pull: Lines, q: int, n: int, own: Lines, out: Lines
) -> None:
    """From derivatives in Z'r, whose slopes are -Z'X, and in r'r those in the coefficients."""
    p, others = pull.shape[0] - 1, 1 + q * (q + 1) // 2
    plus(1.0, own[0], n, out, 0)
    for j in range(p):
        plus(1.0, pull[j], n, out, 1 + j)
        for a in range(q):
            add(-precision, zx[a * p + j], own[1 + a], n, out, 1 + j)
    for i in range(others):
        plus(1.0, own[1 + q + i], n, out, 1 + p + i)
    if level > 1:
        f, lower = p + others, out[1 + 2 * (p + others) :]
        gram(precision, zx, own[1 + q + others :], q, p, n, lower)
        between(level > 2, precision, zx, pull, own[1 + q + others :], q, n, lower)
        for j in range(f):
            plus(1.0, lower[corner(j, j)], n, out, 1 + f + j)


def gram(precision: float, zx: Lines, own: Lines, q: int, p: int, n: int, out: Lines) -> None:
    """Add X'V^-1 X = (X'X - X'Z N Z'X / sigma^2) / sigma^2; `own` begins with -N."""
    far = zeros(q * p, n)
    for a in range(q * q):
        line = own[corner(max(a // q, a % q), min(a // q, a % q))]
        for k in range(p):
            add(precision, line, zx[a % q * p + k], n, far, a // q * p + k)
    for j in range(p):
        for i in range(j + 1):
            plus(precision, zx[q * p + i * p + j], n, out, corner(j, i))
            for a in range(q):
                add(precision, zx[a * p + i], far[a * p + j], n, out, corner(j, i))


def between(
    exact: bool, precision: float, zx: Lines, pull: Lines, own: Lines, q: int, n: int, out: Lines
) -> None:
    """Add what the dispersions have with the coefficients, if `exact`, and with each other."""
    p = pull.shape[0] - 1
    for i in range(1 + q * (q + 1) // 2):
        here, there = corner(p + i, 0), corner(q + i, 0)
        for j in range(p if exact else 0):
            for a in range(q):
                add(-precision, zx[a * p + j], own[there + a], n, out, here + j)
            if i == 0:
                plus(2.0, pull[j], n, out, here + j)
        for k in range(i + 1):
            plus(1.0, own[there + q + k], n, out, here + p + k)


# --- the algebra, for any kind of lines ----------------------------------------------------


def sums_term(
    level: int, n: int, q: int, proportional: bool, log_sigma: float, u: Lines, zz: Lines, zr:
    Lines, rr: Lines, size: Lines, out: Lines,
) -> None:  # fmt: skip
    """Give the log density with its derivatives, from what the rows of clusters add up.

    It reads the root U of q effects, row by row, and of clusters Z'Z, Z'r and r'r, divided by
    sigma^2, and their sizes.  It adds to lines `out` of zeros as a `Kernel` of blocks does, without
    curvatures, of the q entries of the divided Z'r, log sigma, and the root's parameters; at level
    0 the log density alone.

    With H = L^-1 U', for L the root of M, and s = M^-1 U', U'Z'V^-1 = s Z' / sigma^2 keeps its
    digits where the effects are far larger than sigma; those of e = Z'V^-1 r cancel there.
    """
    uz, half, s, uq = zeros(q * q, n), zeros(q * q, n), zeros(q * q, n), zeros(q * q, n)
    w, ue, e, far, explained = zeros(q, n), zeros(q, n), zeros(q, n), zeros(q, n), zeros(1, n)
    turn(u, True, zz, q, q, n, uz, 0)
    minus_log(halve(uz, u, q, n, half, s), n, out, 0)
    multiply(1.0, half, False, zr, q, 1, n, w)
    for a in range(q):
        add(1.0, w[a], w[a], n, explained, 0)
    plus(-HALF_LOG_2PI - log_sigma, size, n, out, 0)
    plus(-0.5, rr, n, out, 0)
    plus(0.5, explained[0], n, out, 0)
    if level == 0:
        return
    multiply(1.0, s, False, zr, q, 1, n, ue)
    turn(u, False, ue, q, 1, n, out, 1)
    plus(1.0, rr, n, out, 1 + q)
    plus(-1.0, size, n, out, 1 + q)
    plus(-2.0, explained[0], n, out, 1 + q)
    for a in range(q):
        for b in range(q):
            add(1.0, zz[a * q + b], out[1 + b], n, far, a)
            add(1.0, uz[a * q + b], s[a * q + b], n, out, 1 + q)
        add(1.0, out[1 + a], far[a], n, out, 1 + q)
        plus(1.0, zr[a], n, e, a)
        plus(-1.0, far[a], n, e, a)
    multiply(1.0, s, False, zz, q, q, n, uq)
    score, rows = zeros(q * q, n), zeros((q + 1 + (q * q + q) // 2) * (q * q + q) // 2, n)
    for a in range(q * q):
        add(1.0, ue[a // q], e[a % q], n, score, a)
        plus(-1.0, uq[a], n, score, a)
    if level > 1:
        second(level > 2, u, zz, size, uz, s, e, ue, uq, score, q, n, rows, out)
    chain(level, proportional, u, score, rows, q, n, out)


def halve(uz: Lines, u: Lines, q: int, n: int, half: Lines, s: Lines) -> Lines:
    """Fill H = L^-1 U' and s = L'^-1 H, for L the root of M; gives the product of its diagonal."""
    m = zeros(q * q + 1, n)
    root(uz, u, q, n, m)
    for i in range(q):
        for j in range(i + 1):
            fill(u[j * q + i], n, half, i * q + j)
            for a in range(j, i):
                add(-1.0, m[i * q + a], half[a * q + j], n, half, i * q + j)
            times(m[i * q + i], n, half, i * q + j)
    for i in range(q - 1, -1, -1):
        for j in range(q):
            if j <= i:
                plus(1.0, half[i * q + j], n, s, i * q + j)
            for a in range(i + 1, q):
                add(-1.0, m[a * q + i], s[a * q + j], n, s, i * q + j)
            times(m[i * q + i], n, s, i * q + j)
    return m[q * q]


def root(uz: Lines, u: Lines, q: int, n: int, m: Lines) -> None:
    """Fill the root of M = I + U'Z'Z U / sigma^2, with 1 / its diagonal, whose product is last."""
    fill(1.0, n, m, q * q)
    for i in range(q):
        for j in range(i + 1):
            for a in range(j + 1):
                plus(u[a * q + j], uz[i * q + a], n, m, i * q + j)
            for a in range(j):
                add(-1.0, m[i * q + a], m[j * q + a], n, m, i * q + j)
            if j < i:
                times(m[j * q + j], n, m, i * q + j)
        pivot(n, m, i * q + i, q * q)


def second(
    exact: bool, u: Lines, zz: Lines, size: Lines, uz: Lines, s: Lines, e: Lines, ue: Lines, uq:
    Lines, score: Lines, q: int, n: int, rows: Lines, out: Lines,
) -> None:  # fmt: skip
    """Minus the second derivatives, or for an ascent step what is expected of the dispersions.

    With A = dS, Q = Z'V^-1 Z, N = U M^-1 U', K = I - N Z'Z / sigma^2 and w = V^-1 r,

        F_kl = tr(A_k Q A_l Q) / 2 - e'A_k Q A_l e + (the curvature of S),
        F_ks = sigma^2 tr(A_k Z'V^-2 Z) - 2 e'A_k K'e,
        F_ss = 2 F_s + 2 sigma^4 tr(V^-2) - 4 sigma^4 w'V^-1 w.

    Those in entries of the root go to `rows`, the others to `out`; `pz` = Z'Z N / sigma^2.
    """
    sign, f = -1.0 if exact else 1.0, q + 1 + q * (q + 1) // 2
    m, pz, both = zeros(q * q, n), zeros(q * q, n), zeros(q * q, n)
    turn(u, False, s, q, q, n, m, 0)
    multiply(1.0, uz, True, s, q, q, n, pz)
    multiply(-1.0, pz, False, zz, q, q, n, both)
    own = 1 + f + corner(q, q)
    plus(2.0, size, n, out, own)
    for j in range(q):
        if not exact:
            plus(-4.0, pz[j * q + j], n, out, own)
        for i in range(q):
            plus(1.0, zz[i * q + j], n, both, i * q + j)
            add(2.0 * sign, pz[i * q + j], pz[j * q + i], n, out, own)
        for i in range(j + 1):
            plus(-1.0, m[i * q + j], n, out, 1 + f + corner(j, i))
    for j in range(q):
        for i in range(j + 1):
            for b in range(q):
                add(2.0 * sign, both[i * q + b], s[j * q + b], n, rows, corner(j, i) * f + q)
    if exact:
        exactly(m, pz, s, e, ue, q, n, rows, out)
    of_pairs(exact, u, both, uq, score, e, ue, q, n, rows)


def exactly(
    m: Lines, pz: Lines, s: Lines, e: Lines, ue: Lines, q: int, n: int, rows: Lines, out: Lines
) -> None:
    """Add what depends on the responses to the derivatives in Z'r and log sigma."""
    f = q + 1 + q * (q + 1) // 2
    own = 1 + f + corner(q, 0)
    me, se, ke = zeros(q, n), zeros(q, n), zeros(q, n)
    multiply(1.0, m, False, e, q, 1, n, me)
    multiply(1.0, s, False, e, q, 1, n, se)
    multiply(-1.0, pz, False, e, q, 1, n, ke)
    plus(2.0, out[1 + q], n, out, own + q)
    for a in range(q):
        plus(1.0, e[a], n, ke, a)
        plus(2.0, out[1 + a], n, out, own + a)
        plus(2.0, me[a], n, out, own + a)
        add(-4.0, e[a], me[a], n, out, own + q)
    for j in range(q):
        for i in range(j + 1):
            at = corner(j, i) * f
            add(2.0, ue[j], ke[i], n, rows, at + q)
            add(2.0, e[i], se[j], n, rows, at + q)
            plus(-1.0, ue[j], n, rows, at + i)
            for b in range(q):
                add(1.0, pz[i * q + b], ue[j], n, rows, at + b)
                add(-1.0, e[i], s[j * q + b], n, rows, at + b)


def of_pairs(
    exact: bool, u: Lines, both: Lines, uq: Lines, score: Lines, e: Lines, ue: Lines, q: int, n:
    int, rows: Lines,
) -> None:  # fmt: skip
    """Add what pairs of the root's entries have; what is observed of them has the shape of it.

    What is expected of U_ij and U_kl is Q_ik (U'QU)_jl + (QU)_il (QU)_kj.  Less the second
    derivatives are 2 e_i e_k (U'e)_j (U'e)_l less the same with Q - e e', U'QU - U'e e'U - I and
    QU - e e'U.
    """
    sign, turned, uqu = -1.0 if exact else 1.0, score if exact else uq, zeros(q * q, n)
    along, f = zeros(q * q, n), q + 1 + q * (q + 1) // 2
    for j in range(q):
        for i in range(q):
            for a in range(j + 1):
                plus(u[a * q + j], uq[i * q + a], n, uqu, i * q + j)
            if exact:
                add(-1.0, e[i], e[j], n, both, i * q + j)
                add(-1.0, ue[i], ue[j], n, uqu, i * q + j)
                add(1.0, e[i], ue[j], n, along, i * q + j)
    pairs = places(q)
    for c, (i, j) in enumerate(pairs):
        for d, (k, m) in enumerate(pairs[: c + 1]):
            line = c * f + q + 1 + d
            add(sign, both[i * q + k], uqu[j * q + m], n, rows, line)
            add(sign, turned[j * q + k], turned[m * q + i], n, rows, line)
            if exact:
                add(2.0, along[i * q + j], along[k * q + m], n, rows, line)
            if exact and j == m:
                plus(1.0, both[i * q + k], n, rows, line)


def chain(
    level: int, proportional: bool, u: Lines, score: Lines, rows: Lines, q: int, n: int, out: Lines
) -> None:
    """From derivatives in the root's entries those in its parameters, of which some are logarithms.

    Of a relative root the first one moves all entries.
    """
    pairs = places(q)
    count, f = len(pairs), q + 1 + len(pairs)
    for c, (i, j) in enumerate(pairs):
        at = 1 + f + corner(q + 1 + c, 0)
        for a in range(count) if proportional and c == 0 else range(c, c + 1):
            own = slope(u, q, proportional, c, pairs[a])
            plus(own, score[pairs[a][1] * q + pairs[a][0]], n, out, 2 + q + c)
            for k in range(q + 1 if level > 1 else 0):
                plus(own, rows[a * f + k], n, out, at + k)
            for d in range(c + 1 if level > 1 else 0):
                for b in range(count) if proportional and d == 0 else range(d, d + 1):
                    other = own * slope(u, q, proportional, d, pairs[b])
                    line = rows[max(a, b) * f + q + 1 + min(a, b)]
                    plus(other, line, n, out, at + q + 1 + d)
        if level > 2 and i == j:
            plus(-1.0, out[2 + q + c], n, out, at + q + 1 + c)
        if level > 2 and proportional and c > 0:
            plus(-1.0, out[2 + q + c], n, out, at + q + 1)


def slope(u: Lines, q: int, proportional: bool, c: int, at: tuple[int, int]) -> float:
    """Slope of an entry of the root that parameter c moves; diagonal ones are logarithms."""
    i, j = at
    if i == j or (proportional and c == 0):
        return u[i * q + j]
    return u[0] if proportional else 1.0


def multiply(
    scale: float, one: Lines, turned: bool, other: Lines, q: int, k: int, n: int, out: Lines
) -> None:
    """Add a multiple of a product, (q, q), or `turned`, times (q, k), of matrices of lines."""
    for i in range(q):
        for j in range(k):
            for a in range(q):
                at = a * q + i if turned else i * q + a
                add(scale, one[at], other[a * k + j], n, out, i * k + j)


def turn(
    u: Lines, turned: bool, given: Lines, q: int, k: int, n: int, out: Lines, first: int
) -> None:
    """Add the product of the root, or its transpose, with a matrix (q, k), from line `first` on."""
    for i in range(q):
        for a in range(i + 1) if turned else range(i, q):
            scale = u[a * q + i] if turned else u[i * q + a]
            for j in range(k):
                plus(scale, given[a * k + j], n, out, first + i * k + j)


def corner(i: int, j: int) -> int:
    """Place of (i, j), i >= j, in a lower triangle row by row."""
    return i * (i + 1) // 2 + j


def places(q: int) -> list[tuple[int, int]]:
    """Places (i, j), i <= j, of a root's q (q + 1) / 2 parameters, column by column."""
    return [(i, j) for j in range(q) for i in range(j + 1)]


ALGEBRA = (
    read_root, residuals, located, gram, between, sums_term, halve, root, second, exactly,
    of_pairs, chain, slope, multiply, turn, corner, places,
)  # fmt: skip


# --- arithmetic of lists: n has no meaning ---------------------------------------------------


def zeros(k: int, _n: int) -> Lines:
    """K lines of zeros."""
    return [0.0] * k


def plus(scale: Any, line: Any, _n: int, out: Lines, k: int) -> None:
    """Add a multiple of a line to line k."""
    near, empty = out[k], isinstance(out[k], float)
    if isinstance(scale, float) and scale == 1.0:
        out[k] = line if empty else near + line
    elif isinstance(scale, float) and scale == -1.0:
        out[k] = near - line
    else:
        out[k] = scale * line if empty else near + scale * line


def add(scale: Any, one: Any, other: Any, n: int, out: Lines, k: int) -> None:
    """Add a multiple of the product of two lines to line k."""
    plus(scale, one * other, n, out, k)


def fill(value: Any, _n: int, out: Lines, k: int) -> None:
    """Fill line k with a number."""
    out[k] = value


def times(line: Any, _n: int, out: Lines, k: int) -> None:
    """Multiply line k by a line."""
    out[k] = line * out[k]


def pivot(_n: int, out: Lines, k: int, product: int) -> None:
    """Replace line k by 1 / sqrt(1 + itself), and divide another one by the same."""
    value = sqrt(1.0 + out[k])
    out[product], out[k] = out[product] * value, 1.0 / value


def minus_log(line: Any, n: int, out: Lines, k: int) -> None:
    """Subtract the logarithm of a line from line k."""
    plus(-1.0, log(line), n, out, k)


# --- the same of rows of arrays, n numbers each ----------------------------------------------


def _zeros(k: int, n: int) -> Lines:
    return np.zeros((k, n))


def _plus(scale: float, line: Lines, n: int, out: Lines, k: int) -> None:
    for c in range(n):
        out[k, c] += scale * line[c]


def _add(scale: float, one: Lines, other: Lines, n: int, out: Lines, k: int) -> None:
    for c in range(n):
        out[k, c] += scale * one[c] * other[c]


def _fill(value: float, n: int, out: Lines, k: int) -> None:
    for c in range(n):
        out[k, c] = value


def _times(line: Lines, n: int, out: Lines, k: int) -> None:
    for c in range(n):
        out[k, c] *= line[c]


def _pivot(n: int, out: Lines, k: int, product: int) -> None:
    for c in range(n):
        value = math.sqrt(1.0 + out[k, c])
        out[product, c] *= value
        out[k, c] = 1.0 / value


def _minus_log(line: Lines, n: int, out: Lines, k: int) -> None:
    for c in range(n):
        out[k, c] -= log(line[c])


ROWS = {f.__name__[1:]: f for f in (_zeros, _plus, _add, _fill, _times, _pivot, _minus_log)}
