"""Log-likelihood, score and exact observed information of small data (Louis 1982)."""

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
from bayesmix.kernels.families import D1, D_DISP, H_CROSS, H_DISP, W
from bayesmix.kernels.record import (
    ALPHA_INDEX,
    CHANNELS,
    DISPERSION_INDEX,
    GRAMS,
    HAS_DISPERSION,
    INDEX,
    INFORMATION,
    LINE,
    MEANS,
    N_COLUMNS,
    N_COMPONENTS,
    N_CONCOMITANT,
    PARTS,
    PLACES,
    POSTERIOR,
    PRODUCT,
    PRODUCTS,
    SCORE,
    SCORING,
    SHARE,
    SIZE,
    SQUARES,
    UNIT_WEIGHT,
    Z_SCORE,
    C,
    X,
    Z,
)
from bayesmix.kernels.rows import Array, Integers, by_unit, terms_of
from bayesmix.kernels.sums import (
    add_concomitant,
    clear,
    component_share,
    scatter_grams,
    scatter_vector,
)


@elementwise
def add_complete(model: Integers, s: int, row: int, n: int, unit: int, n_units: int) -> None:
    """Add a component's expected complete-data information over a chunk."""
    k, p, line, first = model[N_COMPONENTS], model[N_COLUMNS], model[LINE], np.int64(0)
    share, c, product = (
        doubles(model[SHARE], line),
        doubles(model[C], line),
        doubles(model[PRODUCT], line),
    )
    terms = terms_of(model, s)
    columns = matrix(model[X] + 8 * p * row, p, n)
    component_share(model, s, row, unit, n_units, share)
    scaled(terms[W], share, n, c)
    lower, grams = p > 0, matrix(model[GRAMS], k * p, p)  # lower is true, but not a literal
    add_products(c, columns, first, p, first, p, lower, n, product, grams, s * p, first)
    if model[HAS_DISPERSION] != 0:
        scaled(terms[H_CROSS], share, n, c)
        add_sums(c, columns, first, p, n, matrix(model[PARTS], k, p), s, first)
        scaled(terms[H_DISP], share, n, c)
        doubles(model[SQUARES], k)[s] += total(c, n)


@elementwise
def unit_channel(
    model: Integers, row: int, unit: int, n_units: int, values: Array, out: Array
) -> None:
    """Sum rows' values by unit."""
    for i in range(n_units):
        out[i] = 0.0
    by_unit(model, row, unit, n_units, values, out)


@elementwise
def fill_channels(model: Integers, s: int, row: int, n: int, unit: int, n_units: int) -> int:
    """The units' complete-data scores in component s's parameters; gives how many these are.

    Their entries of theta go to `PLACES`.
    """
    k, p, q, line = model[N_COMPONENTS], model[N_COLUMNS], model[N_CONCOMITANT], model[LINE]
    channels, c = matrix(model[CHANNELS], p + 1 + q, line), doubles(model[C], line)
    terms = terms_of(model, s)
    columns, z = matrix(model[X] + 8 * p * row, p, n), matrix(model[Z] + 8 * q * unit, q, n_units)
    places, count = doubles(model[PLACES], model[SIZE]), 0
    index = integers(model[INDEX] + 8 * s * p, p)
    for j in range(p):
        if index[j] >= 0:
            for i in range(n):
                c[i] = terms[D1, i] * columns[j, i]
            unit_channel(model, row, unit, n_units, c, channels[count])
            places[count] = index[j]
            count += 1
    if model[HAS_DISPERSION] != 0:
        unit_channel(model, row, unit, n_units, terms[D_DISP], channels[count])
        places[count] = integers(model[DISPERSION_INDEX], k)[s]
        count += 1
    if s > 0:
        logits = integers(model[ALPHA_INDEX] + 8 * s * q, q)
        for j in range(q):
            for i in range(n_units):
                channels[count, i] = z[j, i]
            places[count] = logits[j]
            count += 1
    return count


@elementwise
def subtract_missing(
    model: Integers, s: int, count: int, n_units: int, means: Array, out: Array
) -> None:
    """Subtract sum_u w r g g' of a component, and add r g to the units' mean scores."""
    line, size, first = model[LINE], model[SIZE], np.int64(0)
    width = model[N_COLUMNS] + 1 + model[N_CONCOMITANT]
    channels, products = matrix(model[CHANNELS], width, line), matrix(model[PRODUCTS], width, width)
    posterior = matrix(model[POSTERIOR], model[N_COMPONENTS], line)
    weight, c, product = (
        doubles(model[UNIT_WEIGHT], line),
        doubles(model[C], line),
        doubles(model[PRODUCT], line),
    )
    places = doubles(model[PLACES], size)
    clear(model[PRODUCTS], width * width)
    for i in range(n_units):
        c[i] = weight[i] * posterior[s, i]
    lower = width > 0  # true, but not a literal
    add_products(
        c, channels, first, count, first, count, lower, n_units, product, products, first, first
    )
    for a in range(count):
        at = int(places[a])
        for i in range(n_units):
            means[at, i] += posterior[s, i] * channels[a, i]
        for b in range(a + 1):
            other = int(places[b])
            out[max(at, other), min(at, other)] -= products[a, b]


@elementwise
def add_chunk(model: Integers, row: int, n: int, unit: int, n_units: int) -> None:
    """Add a chunk's part of the information, in `SCORE` and `SCORING` or in the sums."""
    line, size, first = model[LINE], model[SIZE], np.int64(0)
    score, out = matrix(model[SCORE], 1, size), matrix(model[SCORING], size, size)
    means, product = matrix(model[MEANS], size, line), doubles(model[PRODUCT], line)
    weight = doubles(model[UNIT_WEIGHT], line)
    clear(model[MEANS], size * line)
    for s in range(model[N_COMPONENTS]):
        add_complete(model, s, row, n, unit, n_units)
        count = fill_channels(model, s, row, n, unit, n_units)
        subtract_missing(model, s, count, n_units, means, out)
    add_concomitant(model, unit, n_units, np.int64(INFORMATION))
    lower = size > 0  # true, but not a literal
    add_products(
        weight, means, first, size, first, size, lower, n_units, product, out, first, first
    )
    add_sums(weight, means, first, size, n_units, score, first, first)


@elementwise
def add_dispersions(model: Integers, out: Array) -> None:
    """Scatter the complete-data information of the dispersions."""
    k, p = model[N_COMPONENTS], model[N_COLUMNS]
    index, at = integers(model[INDEX], k * p), integers(model[DISPERSION_INDEX], k)
    cross, inner = doubles(model[PARTS], k * p), doubles(model[SQUARES], k)
    for s in range(k):
        out[at[s], at[s]] += inner[s]
        for j in range(s * p, (s + 1) * p):
            if index[j] >= 0:
                out[max(at[s], index[j]), min(at[s], index[j])] += cross[j]


@elementwise
def assemble_information(model: Integers) -> None:
    """Add what was kept by component to the information, and the logits' score."""
    k, q, size = model[N_COMPONENTS], model[N_CONCOMITANT], model[SIZE]
    score, out = doubles(model[SCORE], size), matrix(model[SCORING], size, size)
    scatter_grams(model, out)
    if model[HAS_DISPERSION] != 0:
        add_dispersions(model, out)
    # The score of the logits is (r - pi) z, not their part of the mean complete-data score.
    logits = integers(model[ALPHA_INDEX], k * q)
    for i in range(k * q):
        if logits[i] >= 0:
            score[logits[i]] = 0.0
    scatter_vector(model[ALPHA_INDEX], k * q, model[Z_SCORE], score)
