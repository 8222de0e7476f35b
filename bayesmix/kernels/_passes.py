"""The EM pass: sums of the M step.

A pass is a callback of addresses and row numbers.  It walks through rows first .. last block by
block and adds its sums to `out`, so that a caller can split the rows among threads and add the
parts in a fixed order.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numba import types

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
    total,
)
from bayesmix.kernels.compile import callback, doubles, elementwise, matrix
from bayesmix.kernels.families import D1, N_TERMS, STATISTIC, W
from bayesmix.kernels.record import BLOCK

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# (rows, model, first, last, posterior, work, out)
PASS_SIGNATURE = types.void(*[types.int64] * 7)


@elementwise
def store_posterior(address: int, start: int, m: int, posterior: Array) -> None:
    """Write a block's responsibilities (S, m) to the (n, S) array at an address."""
    n_components = posterior.shape[0]
    out = doubles(address + 8 * start * n_components, m * n_components)
    for s in range(n_components):
        for i in range(m):
            out[i * n_components + s] = posterior[s, i]


@elementwise
def scaled(values: Array, scale: Array, m: int, out: Array) -> None:
    """``out[i] = scale[i] values[i]``, 0 where the scale is 0 whatever the value."""
    for i in range(m):
        out[i] = scale[i] * values[i] if scale[i] != 0.0 else 0.0


@elementwise
def component_sums(
    s: int, model: Model, m: int, work: Work, sums: Array, score: Array, gram: Array
) -> None:
    """Add one component's sums over a block: r, r statistic, r d1 x and the lower r w x x'."""
    share, c = work.eta, work.c  # the predictor is not needed any more
    first, p, terms = np.int64(0), model.n_columns, s * N_TERMS
    scaled(work.weight, work.posterior[s], m, share)
    sums[0, s] += total(share, m)
    if model.has_dispersion != 0:
        scaled(work.terms[terms + STATISTIC], share, m, c)
        sums[1, s] += total(c, m)
    scaled(work.terms[terms + D1], share, m, c)
    add_sums(c, work.columns, first, p, m, score, s, first)
    scaled(work.terms[terms + W], share, m, c)
    lower = p > 0  # True, but not a literal
    add_products(c, work.columns, first, p, first, p, lower, m, work.product, gram, s * p, first)


@elementwise
def concomitant_sums(model: Model, m: int, work: Work, score: Array, information: Array) -> None:
    """Add the multinomial logit's score (S, Q) and information ((S - 1) Q, (S - 1) Q)."""
    c, product = work.c, work.product
    first, top, q = np.int64(0), model.n_columns + 1, model.n_concomitant
    lower = q > 0
    for s in range(model.n_components):
        for i in range(m):
            c[i] = work.weight[i] * (work.posterior[s, i] - work.prior[s, i])
        add_sums(c, work.columns, top, q, m, score, s, first)
        for t in range(1, s + 1):
            same = 1.0 if s == t else 0.0
            for i in range(m):
                c[i] = work.weight[i] * work.prior[s, i] * (same - work.prior[t, i])
            row, column = (s - 1) * q, (t - 1) * q
            add_products(
                c, work.columns, top, q, top, q, lower, m, product, information, row, column
            )


def em_rows(
    rows_address: int,
    model_address: int,
    first: int,
    last: int,
    posterior: int,
    work_address: int,
    out: int,
) -> None:
    """Add the sums of rows first .. last, in the order of `_results.em_shapes`, to `out`.

    With `posterior` (an address) only the log-likelihood, and the responsibilities go there.
    """
    rows, model = read_rows(rows_address), read_model(model_address, np.int64(0))
    s, p, q = model.n_components, model.n_columns, model.n_concomitant
    at_score = 1 + 2 * s
    at_gram = at_score + s * p
    at_concomitant = at_gram + s * p * p
    loglik, sums = doubles(out, np.int64(1)), matrix(out + 8, np.int64(2), s)
    score = matrix(out + 8 * at_score, s, p)
    gram = matrix(out + 8 * at_gram, s * p, p)
    z_score = matrix(out + 8 * at_concomitant, s, q)
    z_information = matrix(out + 8 * (at_concomitant + s * q), (s - 1) * q, (s - 1) * q)
    work = make_work(model, work_address)
    for start in range(first, last, BLOCK):
        m = min(BLOCK, last - start)
        loglik[0] += block_terms(rows, model, start, m, work)
        if posterior != 0:
            store_posterior(posterior, start, m, work.posterior)
            continue
        for component in range(s):
            component_sums(component, model, m, work, sums, score, gram)
        if model.alpha != 0:
            concomitant_sums(model, m, work, z_score, z_information)


@functools.cache
def em_callback() -> CFunc:
    """Compile or load the EM pass."""
    return callback(em_rows, PASS_SIGNATURE, "em")
