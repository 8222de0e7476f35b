"""The pass for Newton's method: score and exact observed information of the log-likelihood.

A component's part of the complete-data score is a sum of channels, each a multiplier u times some
columns: d1 times x for its coefficients, d_disp times 1 for its log dispersion, and 1 times z for
its concomitant coefficients (none for the baseline).  Every block of the information is then a
weighted sum of products of columns.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.kernels._blocks import (
    Array,
    Model,
    Work,
    add_products,
    add_sums,
    block_terms,
    make_work,
    read_model,
    read_rows,
)
from bayesmix.kernels._passes import PASS_SIGNATURE
from bayesmix.kernels.compile import callback, doubles, elementwise, matrix
from bayesmix.kernels.families import (
    ALPHA,
    COEF,
    D1,
    D_DISP,
    DISPERSION,
    H_CROSS,
    H_DISP,
    N_CHANNELS,
    N_TERMS,
    W,
)
from bayesmix.kernels.record import BLOCK

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc


@elementwise
def channel(model: Model, s: int, kind: int) -> tuple[int, int, int]:
    """Where a channel's columns start, how many they are, and its place in the parameters.

    The width is 0 where the component has no such channel.
    """
    p = model.n_columns
    size = p + model.has_dispersion
    if kind == COEF:
        return 0, p, s * size
    if kind == DISPERSION:
        return p, model.has_dispersion, s * size + p
    # Constant weights are a concomitant model of the column of ones, which stands before Z.
    top, q = (p + 1, model.n_concomitant) if model.alpha != 0 else (p, 1)
    return top, (q if s > 0 else 0), model.n_components * size + (s - 1) * q


@elementwise
def multipliers(model: Model, m: int, work: Work) -> None:
    """Fill ``work.each`` with the channels' multipliers u, ``work.shared`` with r u."""
    for s in range(model.n_components):
        for kind in range(N_CHANNELS):
            row = N_CHANNELS * s + kind
            place = s * N_TERMS + (D1 if kind == COEF else D_DISP)
            for i in range(m):
                r = work.posterior[s, i]
                u = 1.0 if kind == ALPHA else work.terms[place, i]
                u = 0.0 if r == 0.0 else u  # which may be infinite
                work.each[row, i] = u
                work.shared[row, i] = r * u


@elementwise
def pair_weights(s: int, kind: int, t: int, other: int, m: int, work: Work, out: Array) -> None:
    """Row weights of one block of the information, channels (s, kind) and (t, other).

    Between components ``w (r_s u) (r_t u')``; within one ``w r (h - (1 - r) u u')``, h the
    complete-data curvature, for the concomitant the multinomial ``[s = t] pi_s - pi_s pi_t``.
    """
    a, b = N_CHANNELS * s + kind, N_CHANNELS * t + other
    if s == t:
        mixed = H_DISP if other == DISPERSION else H_CROSS
        place = s * N_TERMS + (W if kind == COEF else mixed)
        for i in range(m):
            r = work.posterior[s, i]
            h = 0.0 if kind == ALPHA or r == 0.0 else work.terms[place, i]
            out[i] = r * (h - (1.0 - r) * work.each[a, i] * work.each[b, i])
    else:
        for i in range(m):
            out[i] = work.shared[a, i] * work.shared[b, i]
    if kind == ALPHA and other == ALPHA:
        same = 1.0 if s == t else 0.0
        for i in range(m):
            out[i] += work.prior[s, i] * (same - work.prior[t, i])
    for i in range(m):
        out[i] *= work.weight[i]


@elementwise
def block_score(model: Model, m: int, work: Work, score: Array) -> None:
    """Add a block's score: ``sum_i w r u column``, with r - pi in place of r for alpha."""
    c, first = work.c, np.int64(0)
    for s in range(model.n_components):
        for kind in range(N_CHANNELS):
            top, width, place = channel(model, s, kind)
            for i in range(m):
                prior = work.prior[s, i] if kind == ALPHA else 0.0
                c[i] = work.weight[i] * (work.shared[N_CHANNELS * s + kind, i] - prior)
            add_sums(c, work.columns, top, width, m, score, first, place)


@elementwise
def block_information(model: Model, m: int, work: Work, information: Array) -> None:
    """Add a block's information, every unordered pair of channels once."""
    c, product = work.c, work.product
    for s in range(model.n_components):
        for kind in range(N_CHANNELS):
            a, n_a, row = channel(model, s, kind)
            for t in range(s + 1):
                for other in range(kind + 1 if s == t else N_CHANNELS):
                    b, n_b, column = channel(model, t, other)
                    if n_a == 0 or n_b == 0:
                        continue
                    pair_weights(s, kind, t, other, m, work, c)
                    same = kind == other  # products of the same columns: the block is symmetric
                    add_products(
                        c, work.columns, a, n_a, b, n_b, same, m, product, information, row, column
                    )


def information_rows(
    rows_address: int,
    model_address: int,
    first: int,
    last: int,
    _posterior: int,
    work_address: int,
    out: int,
) -> None:
    """Add loglik, score (D,) and information (D, D) of rows first .. last to `out`."""
    rows, model = read_rows(rows_address), read_model(model_address, np.int64(1))
    _, q, place = channel(model, model.n_components - 1, np.int64(ALPHA))
    size = place + q if q > 0 else model.n_columns + model.has_dispersion
    one = np.int64(1)
    loglik, score = doubles(out, one), matrix(out + 8, one, size)
    information = matrix(out + 8 * (1 + size), size, size)
    work = make_work(model, work_address)
    for start in range(first, last, BLOCK):
        m = min(BLOCK, last - start)
        loglik[0] += block_terms(rows, model, start, m, work)
        multipliers(model, m, work)
        block_score(model, m, work, score)
        block_information(model, m, work, information)


@functools.cache
def information_callback() -> CFunc:
    """Compile or load the information pass."""
    return callback(information_rows, PASS_SIGNATURE, "information")
