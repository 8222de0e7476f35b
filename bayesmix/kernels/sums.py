"""The sums of an EM step of small data: score and scoring matrix of one start."""

from __future__ import annotations

import numpy as np

from bayesmix.kernels._blocks import add_products, add_sums, total
from bayesmix.kernels._passes import scaled
from bayesmix.kernels.compile import (
    doubles,
    elementwise,
    integers,
    matrix,
)
from bayesmix.kernels.families import D1, STATISTIC, W
from bayesmix.kernels.record import (
    ALPHA_INDEX,
    CONSTANT,
    COUNT,
    DISPERSION,
    DISPERSION_INDEX,
    GRAMS,
    HARD,
    HAS_DISPERSION,
    INDEX,
    LINE,
    MASS,
    N_COLUMNS,
    N_COMPONENTS,
    N_CONCOMITANT,
    N_UNITS,
    OFFSET,
    PARTS,
    PI,
    POSTERIOR,
    PRIOR,
    PRODUCT,
    SCORE,
    SCORING,
    SHARE,
    SIZE,
    SLOPE,
    SQUARES,
    UNIT_WEIGHT,
    Z_INFORMATION,
    Z_SCORE,
    C,
    X,
    Z,
)
from bayesmix.kernels.rows import Array, Integers, terms_of, to_rows


@elementwise
def clear(address: int, size: int) -> None:
    """Set numbers to zero."""
    values = doubles(address, size)
    for i in range(size):
        values[i] = 0.0


@elementwise
def clear_sums(model: Integers, given: int) -> None:
    """Set all sums of a pass to zero."""
    s, p, q, size = model[N_COMPONENTS], model[N_COLUMNS], model[N_CONCOMITANT], model[SIZE]
    clear(model[MASS], s)
    clear(model[COUNT], s)
    clear(model[SQUARES], s)
    clear(model[PARTS], s * p)
    clear(model[Z_SCORE], s * q)
    clear(model[SCORE], size)
    if given != SLOPE:
        clear(model[GRAMS], s * p * p)
        clear(model[Z_INFORMATION], s * q * s * q)
        clear(model[SCORING], size * size)


@elementwise
def use_responsibilities(model: Integers, given: int, unit: int, n: int) -> None:
    """Replace the responsibilities of a chunk by hard ones, or by those (S, U) at an address."""
    s = model[N_COMPONENTS]
    posterior = matrix(model[POSTERIOR], s, model[LINE])
    if given != HARD:
        values = matrix(given, s, model[N_UNITS])
        for component in range(s):
            for i in range(n):
                posterior[component, i] = values[component, unit + i]
        return
    for i in range(n):
        best = 0
        for component in range(1, s):
            if posterior[component, i] > posterior[best, i]:
                best = component
        for component in range(s):
            posterior[component, i] = 1.0 if component == best else 0.0


@elementwise
def component_share(
    model: Integers, s: int, row: int, unit: int, n_units: int, share: Array
) -> float:
    """Fill the rows' weights of a component, w r; gives their sum over units."""
    line = model[LINE]
    posterior = matrix(model[POSTERIOR], model[N_COMPONENTS], line)
    weight, product = doubles(model[UNIT_WEIGHT], line), doubles(model[PRODUCT], line)
    for i in range(n_units):
        product[i] = weight[i] * posterior[s, i]
    to_rows(model, row, unit, n_units, product, share)
    return total(product, n_units)


@elementwise
def add_component(
    model: Integers, s: int, row: int, n: int, unit: int, n_units: int, working: int
) -> None:
    """Add a component's sums over a chunk: r, r statistic, r d1 x and the lower r w x x'."""
    k, p, line, first = model[N_COMPONENTS], model[N_COLUMNS], model[LINE], np.int64(0)
    share, c, product = (
        doubles(model[SHARE], line),
        doubles(model[C], line),
        doubles(model[PRODUCT], line),
    )
    terms = terms_of(model, s)
    columns = matrix(model[X] + 8 * p * row, p, n)
    doubles(model[MASS], k)[s] += component_share(model, s, row, unit, n_units, share)
    doubles(model[COUNT], k)[s] += total(share, n)
    if model[HAS_DISPERSION] != 0:
        scaled(terms[STATISTIC], share, n, c)
        doubles(model[SQUARES], k)[s] += total(c, n)
    scaled(terms[D1], share, n, c)
    if working != 0:
        eta = doubles(working + 8 * row, n)
        for i in range(n):
            c[i] += share[i] * terms[W, i] * eta[i]
        if model[OFFSET] != 0:
            offset = doubles(model[OFFSET] + 8 * row, n)
            for i in range(n):
                c[i] -= share[i] * terms[W, i] * offset[i]
    add_sums(c, columns, first, p, n, matrix(model[PARTS], k, p), s, first)
    scaled(terms[W], share, n, c)
    lower, grams = p > 0, matrix(model[GRAMS], k * p, p)  # lower is true, but not a literal
    add_products(c, columns, first, p, first, p, lower, n, product, grams, s * p, first)


@elementwise
def add_concomitant(model: Integers, unit: int, n: int, given: int) -> None:
    """Add the multinomial logit's score (S, Q) and lower information (S Q, S Q) of a chunk.

    The latter is left out where only the score is wanted.
    """
    k, q, line, first = model[N_COMPONENTS], model[N_CONCOMITANT], model[LINE], np.int64(0)
    posterior, prior = matrix(model[POSTERIOR], k, line), matrix(model[PRIOR], k, line)
    weight, c, product = (
        doubles(model[UNIT_WEIGHT], line),
        doubles(model[C], line),
        doubles(model[PRODUCT], line),
    )
    z, score = matrix(model[Z] + 8 * q * unit, q, n), matrix(model[Z_SCORE], k, q)
    information = matrix(model[Z_INFORMATION], k * q, k * q)
    for s in range(1, k):
        for i in range(n):
            c[i] = weight[i] * (posterior[s, i] - prior[s, i])
        add_sums(c, z, first, q, n, score, s, first)
        for t in range(1, 1 if given == SLOPE else s + 1):
            same = 1.0 if s == t else 0.0
            for i in range(n):
                c[i] = weight[i] * prior[s, i] * (same - prior[t, i])
            # All products: those of two components have no lower half of their own.
            add_products(c, z, first, q, first, q, q < 0, n, product, information, s * q, t * q)


@elementwise
def constant_logits(model: Integers) -> None:
    """The same for constant weights, from the sums of responsibilities."""
    k = model[N_COMPONENTS]
    mass, pi = doubles(model[MASS], k), doubles(model[PI], k)
    score, information = doubles(model[Z_SCORE], k), matrix(model[Z_INFORMATION], k, k)
    everyone = total(mass, k)
    for s in range(1, k):
        score[s] = mass[s] - everyone * pi[s]
        for t in range(1, s + 1):
            information[s, t] = everyone * pi[s] * ((1.0 if s == t else 0.0) - pi[t])


@elementwise
def scatter(
    index: int, n: int, values: Array, row: int, column: int, sign: float, out: Array
) -> None:
    """Add the lower n x n values from a corner to the lower half of a matrix of theta."""
    at = integers(index, n)
    for a in range(n):
        for b in range(a + 1):
            if at[a] >= 0 and at[b] >= 0:
                high, low = max(at[a], at[b]), min(at[a], at[b])
                out[high, low] += sign * values[row + a, column + b]


@elementwise
def scatter_grams(model: Integers, out: Array) -> None:
    """Add the components' and the logits' matrices to the lower half of one of theta."""
    k, p, q, first = model[N_COMPONENTS], model[N_COLUMNS], model[N_CONCOMITANT], np.int64(0)
    grams, information = (
        matrix(model[GRAMS], k * p, p),
        matrix(model[Z_INFORMATION], k * q, k * q),
    )
    for s in range(k):
        scatter(model[INDEX] + 8 * s * p, p, grams, s * p, first, 1.0, out)
    scatter(model[ALPHA_INDEX], k * q, information, first, first, 1.0, out)


@elementwise
def scatter_vector(index: int, n: int, values: int, out: Array) -> None:
    """Add n values at an address to their entries of a vector of theta."""
    at, given = integers(index, n), doubles(values, n)
    for i in range(n):
        if at[i] >= 0:
            out[at[i]] += given[i]


@elementwise
def assemble(model: Integers, given: int) -> None:
    """Score and, unless it is all that is wanted, scoring matrix (lower half) of theta."""
    k, p, q, size = model[N_COMPONENTS], model[N_COLUMNS], model[N_CONCOMITANT], model[SIZE]
    score, scoring = doubles(model[SCORE], size), matrix(model[SCORING], size, size)
    if model[CONSTANT] != 0:
        constant_logits(model)
    scatter_vector(model[INDEX], k * p, model[PARTS], score)
    scatter_vector(model[ALPHA_INDEX], k * q, model[Z_SCORE], score)
    if given != SLOPE:
        scatter_grams(model, scoring)
    if model[HAS_DISPERSION] != 0:
        at, sigma = integers(model[DISPERSION_INDEX], k), doubles(model[DISPERSION], k)
        squares, count = doubles(model[SQUARES], k), doubles(model[COUNT], k)
        for s in range(k):
            score[at[s]] += squares[s] / (sigma[s] * sigma[s]) - count[s]
            if given != SLOPE:
                scoring[at[s], at[s]] += 2.0 * count[s]
