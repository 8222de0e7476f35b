"""The observed information of a chunk (Louis 1982) less that of the complete data.

    I = complete - sum_u w_u (sum_s r_us g_us g_us' - gbar_u gbar_u'),  gbar_u = sum_s r_us g_us

g_us is the complete-data score of unit u in component s.

References
----------
Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm.
Journal of the Royal Statistical Society B 44, 226-233.
"""

from __future__ import annotations

from typing import Any

from bayesmix.kernels.compile import doubles, elementwise, integers, matrix
from bayesmix.kernels.rows import by_unit, chunks_at, items_at, look_up, slots_at
from bayesmix.kernels.sums import Array, add_products, add_sums, clear, copy


@elementwise
def item_channels(model: Any, work: Any, chunk: Any, item: Any, count: int) -> int:
    """The units' complete-data scores in an item's parameters, from channel `count` on."""
    line, tabled = model.line, item.codes != 0
    own = chunks_at(model.chunks)[item.table] if tabled else chunk
    terms = matrix(work.terms + 8 * item.place * line, item.outputs, line)
    channels, c = matrix(work.channels, 1 << 20, line), doubles(work.c, line)
    places, by_row = doubles(work.places, 1 << 20), doubles(work.product, line)
    columns = matrix(item.x + 8 * item.columns * own.row, item.columns, own.n)
    for j in range(item.n_slots):
        slot = slots_at(model.slots)[item.slot + j]
        index = integers(slot.index, slot.width)
        for a in range(slot.width):
            if index[a] < 0:
                continue
            values = terms[1 + j]
            if slot.design != 0:
                values = c
                for i in range(own.n):
                    c[i] = terms[1 + j, i] * columns[a, i]
            if tabled:
                look_up(item, chunk, values, by_row)
                values = by_row
            clear(work.channels + 8 * count * line, chunk.n_units)
            by_unit(model, chunk, values, channels[count])
            places[count] = index[a]
            count += 1
    return count


@elementwise
def component_channels(model: Any, work: Any, chunk: Any, s: int) -> int:
    """All of a component's scores by unit; gives how many these are.

    Those of its logits are z, whose products with the others are what is missing; their own part
    of the score is not.
    """
    n, line, q = chunk.n_units, model.line, model.q
    channels, places = matrix(work.channels, 1 << 20, line), doubles(work.places, 1 << 20)
    used, count = doubles(work.used, model.n_items), 0
    for number in range(model.n_items):
        item = items_at(model.items)[number]
        if item.component == s and used[number] != 0.0:
            count = item_channels(model, work, chunk, item, count)
    if s == 0:
        return count
    logits = integers(model.alpha + 8 * q * s, q)
    for j in range(q):
        if model.constant != 0:
            for i in range(n):
                channels[count, i] = 1.0
        else:
            z = model.z + 8 * (q * chunk.unit + j * n)
            copy(n, z, work.channels + 8 * count * line)
        places[count] = logits[j]
        count += 1
    return count


@elementwise
def subtract_missing(
    model: Any, work: Any, n: int, s: int, count: int, means: Array, out: Array
) -> None:
    """Subtract sum_u w r g g' of a component, and add r g to the units' mean scores."""
    line = model.line
    channels, products = matrix(work.channels, count, line), matrix(work.products, count, count)
    posterior, weight = doubles(work.posterior + 8 * s * line, n), doubles(work.unit_weight, n)
    c, product, places = doubles(work.c, n), doubles(work.product, n), doubles(work.places, count)
    clear(work.products, count * count)
    for i in range(n):
        c[i] = weight[i] * posterior[i]
    add_products(c, channels, channels, count > 0, n, product, products)
    for a in range(count):
        at = int(places[a])
        for i in range(n):
            means[at, i] += posterior[i] * channels[a, i]
        for b in range(a + 1):
            other = int(places[b])
            out[max(at, other), min(at, other)] -= products[a, b]


@elementwise
def add_information(model: Any, work: Any, chunk: Any, score: Array, out: Array) -> None:
    """Add a chunk's score, but for the logits, and its information less the complete one."""
    d, line, n = model.size, model.line, chunk.n_units
    means, product = matrix(work.means, d, line), doubles(work.product, line)
    weight = doubles(work.unit_weight, line)
    clear(work.means, d * line)
    for s in range(model.k):
        count = component_channels(model, work, chunk, s)
        subtract_missing(model, work, n, s, count, means, out)
    add_products(weight, means, means, d > 0, n, product, out)
    add_mean_score(model, work, n, score)


@elementwise
def add_mean_score(model: Any, work: Any, n: int, score: Array) -> None:
    """Add the sums over units of w gbar; logits have scores of their own."""
    d, q = model.size, model.q
    whole, weight = doubles(work.step, d), doubles(work.unit_weight, n)
    clear(work.step, d)
    add_sums(weight, matrix(work.means, d, model.line), d, n, whole)
    for s in range(1, model.k):
        logits = integers(model.alpha + 8 * q * s, q)
        for j in range(q):
            whole[logits[j]] = 0.0
    for j in range(d):
        score[j] += whole[j]
