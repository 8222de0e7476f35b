"""The pass for samplers over rows that are units, without weights or known labels.

Its functions take addresses: a call that passes arrays costs as much as dozens of rows.
"""

from __future__ import annotations

import math

import numpy as np

from bayesmix.kernels import _math
from bayesmix.kernels._compile import doubles, elementwise, matrix, reduction
from bayesmix.kernels._families import D1, LOGF, N_TERMS, STATISTIC
from bayesmix.kernels._small import Array, Integers, call_component, prior_terms
from bayesmix.kernels._small_places import (
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
    OFFSET,
    PARTS,
    POSTERIOR,
    SQUARES,
    TERMS,
    TOTALS,
    UNIT_WEIGHT,
    ZEROS,
    C,
    X,
)

exp, log = _math.exp, _math.log

# Rows whose sums over components, each from 1 to S, are multiplied before a logarithm is taken.
FACTORS = 64


@elementwise
def predictor(model: Integers, s: int, row: int, n: int) -> None:
    """A component's linear predictors into `ETA`, three columns at a time."""
    p = model[N_COLUMNS]
    coef = doubles(model[COEF] + 8 * p * s, p)
    x, eta = matrix(model[X] + 8 * p * row, p, n), doubles(model[ETA], n)
    before = doubles(model[OFFSET] + 8 * row if model[OFFSET] != 0 else model[ZEROS], n)
    if p == 0:
        for i in range(n):
            eta[i] = before[i]
    for j in range(0, p, 3):
        second, third = min(j + 1, p - 1), min(j + 2, p - 1)
        a = coef[j]
        b = coef[second] if j + 1 < p else 0.0
        c = coef[third] if j + 2 < p else 0.0
        for i in range(n):
            eta[i] = before[i] + a * x[j, i] + b * x[second, i] + c * x[third, i]
        before = eta


@elementwise
def joint_terms(model: Integers, s: int, n: int) -> None:
    """Log pi_s f_s of a component into `JOINT`, the largest so far into `TOTALS`."""
    line = model[LINE]
    logf = doubles(model[TERMS] + 8 * (s * N_TERMS + LOGF) * line, n)
    joint, top = doubles(model[JOINT] + 8 * s * line, n), doubles(model[TOTALS], n)
    if model[CONSTANT] != 0:
        log_prior = doubles(model[LOG_PRIOR], model[N_COMPONENTS])[s]
        for i in range(n):
            joint[i] = logf[i] + log_prior
    else:
        for i in range(n):
            joint[i] += logf[i]
    if s == 0:
        for i in range(n):
            top[i] = joint[i]
    else:
        for i in range(n):
            top[i] = joint[i] if joint[i] > top[i] else top[i]


@reduction
def join(model: Integers, n: int) -> float:
    """``exp(JOINT - TOTALS)`` into `JOINT`, 1 / sum into `MASSES`; gives the log-likelihood."""
    k, line = model[N_COMPONENTS], model[LINE]
    top, mass = doubles(model[TOTALS], n), doubles(model[MASSES], n)
    loglik = 0.0
    for i in range(n):
        # Where all terms are -inf, -inf - -inf would be NaN.
        top[i] = 0.0 if top[i] == -math.inf else top[i]
        loglik += top[i]
        mass[i] = 0.0
    for s in range(k):
        joint = doubles(model[JOINT] + 8 * s * line, n)
        for i in range(n):
            joint[i] = exp(joint[i] - top[i])
            mass[i] += joint[i]
    for start in range(0, n, FACTORS):
        part, product = doubles(model[MASSES] + 8 * start, FACTORS), 1.0
        for i in range(min(FACTORS, n - start)):
            product *= part[i]
        loglik += log(product)
    for i in range(n):
        mass[i] = 0.0 if mass[i] == 0.0 else 1.0 / mass[i]
    return loglik


@reduction
def add_component(model: Integers, s: int, row: int, n: int) -> None:
    """Add a component's sums over a chunk: r, r statistic and r d1 x, three columns at a time.

    The rows' r are `JOINT` times `MASSES`.
    """
    k, p, line = model[N_COMPONENTS], model[N_COLUMNS], model[LINE]
    terms = model[TERMS] + 8 * s * N_TERMS * line
    d1 = doubles(terms + 8 * D1 * line, n)
    statistic = doubles(terms + 8 * (STATISTIC if model[HAS_DISPERSION] != 0 else D1) * line, n)
    share, scale = doubles(model[JOINT] + 8 * s * line, n), doubles(model[MASSES], n)
    c = doubles(model[C], n)
    # Without columns any place that can be read serves: what comes of it is not kept.
    x = matrix(model[X] + 8 * p * row if p > 0 else model[ZEROS], max(p, 1), n)
    target = doubles(model[PARTS] + 8 * p * s, p)
    count = squares = 0.0
    second, third = max(min(1, p - 1), 0), max(min(2, p - 1), 0)
    s0 = s1 = s2 = 0.0
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
    for j in range(3, p, 3):
        second, third = min(j + 1, p - 1), min(j + 2, p - 1)
        s0 = s1 = s2 = 0.0
        for i in range(n):
            s0 += c[i] * x[j, i]
            s1 += c[i] * x[second, i]
            s2 += c[i] * x[third, i]
        add_three(target, j, p, s0, s1, s2)
    doubles(model[COUNT], k)[s] += count
    doubles(model[SQUARES], k)[s] += squares if model[HAS_DISPERSION] != 0 else 0.0


@elementwise
def add_three(target: Array, j: int, p: int, s0: float, s1: float, s2: float) -> None:
    """Add sums to the entries j, j + 1 and j + 2 that are below p."""
    if j < p:
        target[j] += s0
    if j + 1 < p:
        target[j + 1] += s1
    if j + 2 < p:
        target[j + 2] += s2


@elementwise
def responsibilities(model: Integers, n: int) -> None:
    """Fill `POSTERIOR` and `UNIT_WEIGHT`, which the concomitant's sums read."""
    line = model[LINE]
    mass, weight = doubles(model[MASSES], n), doubles(model[UNIT_WEIGHT], n)
    for s in range(model[N_COMPONENTS]):
        share = doubles(model[JOINT] + 8 * s * line, n)
        out = doubles(model[POSTERIOR] + 8 * s * line, n)
        for i in range(n):
            out[i] = share[i] * mass[i]
    for i in range(n):
        weight[i] = 1.0


@elementwise
def add_plain(model: Integers, row: int, n: int) -> float:
    """Add the sums of a chunk's rows; gives its log-likelihood."""
    k, first = model[N_COMPONENTS], np.int64(0)
    mass, count = doubles(model[MASS], k), doubles(model[COUNT], k)
    if model[CONSTANT] == 0:
        prior_terms(model, row, n)
    for s in range(k):
        predictor(model, s, row, n)
        call_component(model, s, row, n, first)
        joint_terms(model, s, n)
    loglik = join(model, n)
    for s in range(k):
        add_component(model, s, row, n)
        mass[s] = count[s]
    if model[CONSTANT] == 0:
        responsibilities(model, n)
    return loglik
