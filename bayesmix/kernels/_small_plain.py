"""The pass for samplers over rows that are units, without weights or known labels.

Its functions take addresses: a call that passes arrays costs as much as dozens of rows.
"""

from __future__ import annotations

import math

import numpy as np

from bayesmix.kernels import math as _math
from bayesmix.kernels.compile import doubles, elementwise, matrix, reduction
from bayesmix.kernels.families import D1, LOGF, N_TERMS, STATISTIC
from bayesmix.kernels.record import (
    ALPHA,
    COEF,
    CONSTANT,
    COUNT,
    ETA,
    HAS_DISPERSION,
    JOINT,
    LINE,
    LOG_PRIOR,
    MASS,
    MASSES,
    N_COLUMNS,
    N_COMPONENTS,
    N_CONCOMITANT,
    OFFSET,
    PARTS,
    PRIOR,
    PRODUCT,
    SHARE,
    SQUARES,
    TERMS,
    TOTALS,
    Z_SCORE,
    ZEROS,
    C,
    X,
    Z,
)
from bayesmix.kernels.rows import Integers, call_component

exp, log = _math.exp, _math.log

# Rows whose sums over components, each from 1 to S, are multiplied before a logarithm is taken.
FACTORS = 64


@elementwise
def predictors(coef: int, x: int, p: int, n: int, before: int, out: int) -> None:
    """Add sum_j coef[j] x[j] to what stands before, three columns at a time."""
    a, columns, values = doubles(coef, p), matrix(x, p, n), doubles(out, n)
    given = doubles(before, n)
    if p == 0:
        for i in range(n):
            values[i] = given[i]
    for j in range(0, p, 3):
        second, third = min(j + 1, p - 1), min(j + 2, p - 1)
        b0 = a[j]
        b1 = a[second] if j + 1 < p else 0.0
        b2 = a[third] if j + 2 < p else 0.0
        for i in range(n):
            values[i] = (
                given[i] + b0 * columns[j, i] + b1 * columns[second, i] + b2 * columns[third, i]
            )
        given = values


@elementwise
def component_predictors(model: Integers, s: int, row: int, n: int) -> None:
    """A component's linear predictors into `ETA`."""
    p = model[N_COLUMNS]
    offset = model[OFFSET] + 8 * row if model[OFFSET] != 0 else model[ZEROS]
    predictors(model[COEF] + 8 * p * s, model[X] + 8 * p * row, p, n, offset, model[ETA])


@elementwise
def joint_terms(model: Integers, s: int, row: int, n: int) -> None:
    """Log pi_s f_s of a component into `JOINT`.

    Weights by a logit have only its linear predictor z' alpha_s there, and in `PRIOR`; the
    log of sum_t exp(z' alpha_t) is left to be subtracted.
    """
    line, q = model[LINE], model[N_CONCOMITANT]
    logf = doubles(model[TERMS] + 8 * (s * N_TERMS + LOGF) * line, n)
    joint = doubles(model[JOINT] + 8 * s * line, n)
    if model[CONSTANT] != 0:
        log_prior = doubles(model[LOG_PRIOR], model[N_COMPONENTS])[s]
        for i in range(n):
            joint[i] = logf[i] + log_prior
    else:
        at = model[PRIOR] + 8 * s * line
        predictors(model[ALPHA] + 8 * q * s, model[Z] + 8 * q * row, q, n, model[ZEROS], at)
        logit = doubles(at, n)
        for i in range(n):
            joint[i] = logf[i] + logit[i]


@reduction
def join(terms: int, k: int, line: int, n: int, best: int, total: int) -> float:
    """Log sum_s exp(terms[s]) summed over rows.

    Leaves exp(terms - their largest), which goes to `best`, and 1 / the sum over s in `total`.
    """
    top, mass = doubles(best, n), doubles(total, n)
    values = matrix(terms, k, line)
    for i in range(n):
        top[i] = values[0, i]
        mass[i] = 0.0
    for s in range(1, k):
        for i in range(n):
            top[i] = values[s, i] if values[s, i] > top[i] else top[i]
    result = 0.0
    for i in range(n):
        # Where all terms are -inf, -inf - -inf would be NaN.
        top[i] = 0.0 if top[i] == -math.inf else top[i]
        result += top[i]
    for s in range(k):
        for i in range(n):
            values[s, i] = exp(values[s, i] - top[i])
            mass[i] += values[s, i]
    for start in range(0, n, FACTORS):
        part, product = doubles(total + 8 * start, FACTORS), 1.0
        for i in range(min(FACTORS, n - start)):
            product *= part[i]
        result += log(product)
    for i in range(n):
        mass[i] = 0.0 if mass[i] == 0.0 else 1.0 / mass[i]
    return result


@reduction
def column_sums(values: int, x: int, first: int, p: int, n: int, target: int) -> None:
    """Add sum_i values[i] x[j, i] to target[j], j from `first` on, three columns at a time."""
    c, columns = doubles(values, n), matrix(x, p, n)
    for j in range(first, p, 3):
        second, third = min(j + 1, p - 1), min(j + 2, p - 1)
        s0 = s1 = s2 = 0.0
        for i in range(n):
            s0 += c[i] * columns[j, i]
            s1 += c[i] * columns[second, i]
            s2 += c[i] * columns[third, i]
        add_three(target, j, p, s0, s1, s2)


@elementwise
def add_three(target: int, j: int, p: int, s0: float, s1: float, s2: float) -> None:
    """Add sums to the entries j, j + 1 and j + 2 that are below p."""
    out = doubles(target, p)
    if j < p:
        out[j] += s0
    if j + 1 < p:
        out[j + 1] += s1
    if j + 2 < p:
        out[j + 2] += s2


@reduction
def add_component(model: Integers, s: int, row: int, n: int) -> None:
    """Add a component's sums over a chunk: r, r statistic and r d1 x.

    The rows' r are `JOINT` times `MASSES`.
    """
    k, p, line = model[N_COMPONENTS], model[N_COLUMNS], model[LINE]
    terms = model[TERMS] + 8 * s * N_TERMS * line
    d1 = doubles(terms + 8 * D1 * line, n)
    statistic = doubles(terms + 8 * (STATISTIC if model[HAS_DISPERSION] != 0 else D1) * line, n)
    share, scale = doubles(model[JOINT] + 8 * s * line, n), doubles(model[MASSES], n)
    c, target = doubles(model[C], n), model[PARTS] + 8 * p * s
    # Without columns any place that can be read serves: what comes of it is not kept.
    at = model[X] + 8 * p * row if p > 0 else model[ZEROS]
    x = matrix(at, max(p, 1), n)
    second, third = max(min(1, p - 1), 0), max(min(2, p - 1), 0)
    count = squares = s0 = s1 = s2 = 0.0
    for i in range(n):
        r = share[i] * scale[i]
        count += r
        # 0 where r is 0, whatever the family says there.
        squares += r * statistic[i] if r != 0.0 else 0.0
        slope = r * d1[i] if r != 0.0 else 0.0
        c[i] = slope
        s0 += slope * x[0, i]
        s1 += slope * x[second, i]
        s2 += slope * x[third, i]
    add_three(target, np.int64(0), p, s0, s1, s2)
    column_sums(model[C], at, np.int64(3), p, n, target)
    doubles(model[COUNT], k)[s] += count
    doubles(model[SQUARES], k)[s] += squares if model[HAS_DISPERSION] != 0 else 0.0


@elementwise
def add_logits(model: Integers, row: int, n: int) -> None:
    """Add the multinomial logit's score, (r - pi) z, of a chunk."""
    q, line = model[N_CONCOMITANT], model[LINE]
    scale, total, c = doubles(model[MASSES], n), doubles(model[PRODUCT], n), doubles(model[C], n)
    for s in range(1, model[N_COMPONENTS]):
        share = doubles(model[JOINT] + 8 * s * line, n)
        prior = doubles(model[PRIOR] + 8 * s * line, n)
        for i in range(n):
            c[i] = share[i] * scale[i] - prior[i] * total[i]
        at = model[Z_SCORE] + 8 * q * s
        column_sums(model[C], model[Z] + 8 * q * row, np.int64(0), q, n, at)


@elementwise
def add_plain(model: Integers, row: int, n: int) -> float:
    """Add the sums of a chunk's rows; gives its log-likelihood."""
    k, line, first = model[N_COMPONENTS], model[LINE], np.int64(0)
    mass, count = doubles(model[MASS], k), doubles(model[COUNT], k)
    for s in range(k):
        component_predictors(model, s, row, n)
        call_component(model, s, row, n, first)
        joint_terms(model, s, row, n)
    loglik = join(model[JOINT], k, line, n, model[TOTALS], model[MASSES])
    if model[CONSTANT] == 0:
        loglik -= join(model[PRIOR], k, line, n, model[SHARE], model[PRODUCT])
        add_logits(model, row, n)
    for s in range(k):
        add_component(model, s, row, n)
        mass[s] = count[s]
    return loglik
