"""The pass over the rows: log-likelihood, score, the sums of an M step, or the information.

A pass adds its sums over a range of chunks to the numbers at `call.sums`: the log-likelihood, the
responsibilities by component, the score, the scoring matrix or observed information, and the sums
for scales in closed form.  Parts of the rows may so be given to several threads, and their sums be
added in a fixed order.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from bayesmix.kernels.compile import callback, doubles, elementwise, integers, matrix, records
from bayesmix.kernels.information import add_information
from bayesmix.kernels.record import CALL, HARD, INFORMATION, MODEL, OWN, SCORE, STEP, VALUE, WORK
from bayesmix.kernels.rows import (
    add_items,
    add_tally,
    chunks_at,
    evaluate,
    forbid,
    items_at,
    join,
    prior_terms,
    read_weights,
    slots_at,
    tabulate,
    to_rows,
)
from bayesmix.kernels.sums import (
    Array,
    add_all,
    add_products,
    add_sums,
    clear,
    copy,
    mirror,
    scaled,
    scatter,
    scatter_vector,
    total,
)

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

# (model, work, call): addresses of records.
PASS_SIGNATURE = types.void(*[types.int64] * 3)
models_at, works_at, calls_at = records(MODEL), records(WORK), records(CALL)


@elementwise
def score_of(model: Any, call: Any) -> Array:
    """The score among the sums of a call."""
    return doubles(call.sums + 8 * (1 + model.k), model.size)


@elementwise
def matrix_of(model: Any, call: Any) -> Array:
    """The scoring matrix or information among the sums of a call."""
    return matrix(call.sums + 8 * (1 + model.k + model.size), model.size, model.size)


@elementwise
def use_responsibilities(model: Any, work: Any, call: Any, chunk: Any) -> None:
    """Replace the responsibilities of a chunk by hard ones, or by those (S, U) at an address."""
    k, n, line = model.k, chunk.n_units, model.line
    posterior = matrix(work.posterior, k, line)
    if call.given != HARD:
        given = call.given + 8 * chunk.unit
        for s in range(k):
            copy(n, given + 8 * s * model.n_units, work.posterior + 8 * s * line)
        return
    for i in range(n):
        best = 0
        for s in range(1, k):
            if posterior[s, i] > posterior[best, i]:
                best = s
        for s in range(k):
            posterior[s, i] = 1.0 if s == best else 0.0


@elementwise
def give_units(model: Any, work: Any, call: Any, chunk: Any, entered: bool) -> None:
    """Write the units' log-likelihoods and responsibilities where they are requested.

    Of survivals to delayed entries, subtract the former.
    """
    k, n, line = model.k, chunk.n_units, model.line
    if call.units != 0:
        units, values = doubles(call.units + 8 * chunk.unit, n), doubles(work.totals, n)
        for i in range(n):
            units[i] = units[i] - values[i] if entered else values[i]
    if call.posterior != 0 and not entered:
        for s in range(k):
            to = call.posterior + 8 * (s * model.n_units + chunk.unit)
            copy(n, work.posterior + 8 * s * line, to)


@elementwise
def share_rows(model: Any, work: Any, chunk: Any, sign: float, mass: Array) -> None:
    """Every component's weights of rows, w r, into `share`; adds their sums over units."""
    k, line, n = model.k, model.line, chunk.n_units
    posterior, share = matrix(work.posterior, k, line), matrix(work.share, k, line)
    weight, net = doubles(work.unit_weight, line), doubles(work.net, k)
    product = doubles(work.product, line)
    for i in range(n):
        weight[i] *= sign
    for s in range(k):
        for i in range(n):
            product[i] = weight[i] * posterior[s, i]
        to_rows(model, chunk, product, share[s])
        of_component = total(product, n)
        net[s] += of_component
        if sign > 0.0:
            mass[s] += of_component


@elementwise
def working_response(
    work: Any, chunk: Any, item: Any, given: int, share: Array, curvature: Array
) -> None:
    """Add the weights times curvature times a given linear predictor to `c`."""
    n = chunk.n
    c, eta = doubles(work.c, n), doubles(given + 8 * chunk.row, n)
    for i in range(n):
        c[i] += share[i] * curvature[i] * eta[i]
    if item.offset != 0:
        offset = doubles(item.offset + 8 * chunk.row, n)
        for i in range(n):
            c[i] -= share[i] * curvature[i] * offset[i]


@elementwise
def add_squares(item: Any, squares: int, share: Array, terms: Array, n: int, c: Array) -> None:
    """Add the weighted squares of an item with a closed scale, and the rows' weights."""
    own = doubles(squares, 2)
    scaled(terms[item.statistic], share, n, c)
    own[0] += total(c, n)
    for i in range(n):  # rows without an observation have no curvature, and do not count
        c[i] = share[i] if terms[1 + item.n_slots, i] > 0.0 else 0.0
    own[1] += total(c, n)


@elementwise
def add_score(
    model: Any, work: Any, call: Any, chunk: Any, number: int, weights: int, squares: int
) -> None:
    """Add an item's score; `weights` is the address of the rows' weights."""
    item, score = items_at(model.items)[number], score_of(model, call)
    n, p, line, width = chunk.n, item.n_slots, model.line, item.columns
    terms = matrix(work.terms + 8 * item.place * line, item.outputs, line)
    share, c = doubles(weights, n), doubles(work.c, line)
    columns = matrix(item.x + 8 * width * chunk.row, width, n)
    working = integers(call.working, model.n_items)[number] if call.working != 0 else 0
    if squares != 0:
        add_squares(item, squares, share, terms, n, c)
    for j in range(p):
        slot = slots_at(model.slots)[item.slot + j]
        vector = doubles(work.vector, slot.width)
        clear(work.vector, slot.width)
        scaled(terms[1 + j], share, n, c)
        if j < item.located and working != 0:
            given = working + 8 * j * item.rows
            working_response(work, chunk, item, given, share, terms[1 + p + j])
        if slot.design != 0:
            add_sums(c, columns, width, n, vector)
        else:
            vector[0] = total(c, n)
        scatter_vector(slot.index, vector, score)
        if j == 0 and squares != 0:
            add_all(slot.width, work.vector, squares + 16)


@elementwise
def add_matrix(
    model: Any, work: Any, call: Any, chunk: Any, number: int, want: int, weights: int, squares: int
) -> None:
    """Add an item's expected complete-data information, or in an M step its scoring matrix.

    The latter has curvatures, and between parameters nothing unless the item is concave.
    """
    item, out = items_at(model.items)[number], matrix_of(model, call)
    n, line, width = chunk.n, model.line, item.columns
    terms = matrix(work.terms + 8 * item.place * line, item.outputs, line)
    share, c, product = doubles(weights, n), doubles(work.c, line), doubles(work.product, line)
    columns = matrix(item.x + 8 * width * chunk.row, width, n)
    between = want == INFORMATION or item.concave > (1 if call.working != 0 else 0)
    for j in range(item.n_slots):
        for other in range(0 if between else j, j + 1):
            one = slots_at(model.slots)[item.slot + j]
            two = slots_at(model.slots)[item.slot + other]
            exact = want == INFORMATION or other < j
            place = item.second + j * (j + 1) // 2 + other if exact else 1 + item.n_slots + j
            scaled(terms[place], share, n, c)
            gram, size = matrix(work.gram, one.width, two.width), one.width * two.width
            clear(work.gram, size)
            if one.design != 0 and two.design != 0:
                add_products(c, columns, columns, width > 0, n, product, gram)
                mirror(gram)
            elif one.design == 0 and two.design == 0:
                gram[0, 0] = total(c, n)
            else:
                add_sums(c, columns, width, n, doubles(work.gram, width))
            scatter(one.index, two.index, j == other, gram, out)
            if j == 0 and squares != 0:
                add_all(size, work.gram, squares + 16 + 8 * one.width)


@elementwise
def add_concomitant(model: Any, work: Any, want: int, chunk: Any, score: Array, out: Array) -> None:
    """Add the multinomial logit's score and information of a chunk."""
    k, q, line, n = model.k, model.q, model.line, chunk.n_units
    posterior, prior = matrix(work.posterior, k, line), matrix(work.prior, k, line)
    weight, c = doubles(work.unit_weight, line), doubles(work.c, line)
    product, z = doubles(work.product, line), matrix(model.z + 8 * q * chunk.unit, q, n)
    vector, gram = doubles(work.vector, q), matrix(work.gram, q, q)
    for s in range(1, k):
        for i in range(n):
            c[i] = weight[i] * (posterior[s, i] - prior[s, i])
        clear(work.vector, q)
        add_sums(c, z, q, n, vector)
        scatter_vector(model.alpha + 8 * q * s, vector, score)
        for t in range(1, s + 1 if want >= STEP else 1):
            same = 1.0 if s == t else 0.0
            for i in range(n):
                c[i] = weight[i] * prior[s, i] * (same - prior[t, i])
            clear(work.gram, q * q)
            add_products(c, z, z, s == t, n, product, gram)
            scatter(model.alpha + 8 * q * s, model.alpha + 8 * q * t, s == t, gram, out)


@elementwise
def add_constant(model: Any, work: Any, call: Any, mass: Array, score: Array, out: Array) -> None:
    """The same for constant weights, from the sums of responsibilities.

    An M step's matrix is that of the complete data; the information is of the units as seen.
    """
    k = model.k
    net, pi = doubles(work.net, k), doubles(work.pi, k)
    index = integers(model.alpha, k)
    everyone, seen = total(mass, k), total(net, k)
    several = seen if call.want == INFORMATION else everyone
    for s in range(1, k):
        score[index[s]] += net[s] - seen * pi[s]
        for t in range(1, s + 1 if call.want >= STEP else 1):
            part = several * pi[s] * ((1.0 if s == t else 0.0) - pi[t])
            out[max(index[s], index[t]), min(index[s], index[t])] += part


@elementwise
def add_sums_of(
    model: Any, work: Any, call: Any, chunk: Any, number: int, want: int, weights: int
) -> None:
    """Add all that an item's rows at these weights give to the sums that are wanted."""
    item = items_at(model.items)[number]
    squares = call.sums + 8 * item.squares if want == STEP and item.squares != 0 else 0
    if want != INFORMATION:
        add_score(model, work, call, chunk, number, weights, squares)
    if want >= STEP:
        add_matrix(model, work, call, chunk, number, want, weights, squares)


@elementwise
def sweep(model: Any, work: Any, call: Any, chunk: Any, entered: bool) -> None:
    """Add a chunk's observations or, subtracting, its survivals to delayed entries."""
    k = model.k
    sums, mass = doubles(call.sums, 1), doubles(call.sums + 8, k)
    score, out = score_of(model, call), matrix_of(model, call)
    # Survivals to entries leave an M step's scoring matrix that of the complete data.
    want = SCORE if entered and call.want == STEP else call.want
    prior_terms(model, work, call, chunk)
    add_items(model, work, call, chunk, entered, want)
    if model.allowed != 0 and not entered:
        forbid(model, work, chunk)
    value = join(model, work, call, chunk)
    sums[0] += -value if entered else value
    give_units(model, work, call, chunk, entered)
    if want == VALUE:
        return
    if call.given != OWN and not entered:
        use_responsibilities(model, work, call, chunk)
    share_rows(model, work, chunk, -1.0 if entered else 1.0, mass)
    used = doubles(work.used, model.n_items)
    if want == INFORMATION:
        add_information(model, work, chunk, score, out)
    for number in range(model.n_items):
        item = items_at(model.items)[number]
        if used[number] != 0.0 and item.codes != 0:
            add_tally(model, work, chunk, number)
        elif used[number] != 0.0:
            weights = work.share + 8 * item.component * model.line
            add_sums_of(model, work, call, chunk, number, want, weights)
    if model.constant == 0:
        add_concomitant(model, work, want, chunk, score, out)


@elementwise
def tables(model: Any, work: Any, call: Any, begin: int) -> None:
    """Before the chunks compute what is looked up; after them add what was counted."""
    for number in range(model.n_items):
        item, tally = items_at(model.items)[number], work.tally + 8 * number * model.line
        if begin != 0 and item.counts != 0:
            tabulate(model, work, call, number)
        if item.codes == 0:
            continue
        few = chunks_at(model.chunks)[item.table]
        if begin != 0:
            clear(tally, model.line)
            evaluate(model, work, call, few, few.first, few.entered, call.want)
        else:
            add_sums_of(model, work, call, few, number, call.want, tally)


def run(model_address: int, work_address: int, call_address: int) -> None:
    """Add the sums of chunks `call.first` to `call.last` at one theta."""
    model, work = models_at(model_address)[0], works_at(work_address)[0]
    call = calls_at(call_address)[0]
    d, k = model.size, model.k
    if model.constant != 0:
        read_weights(model, work, doubles(call.theta, d))
    clear(work.net, k)
    clear(call.sums, model.sums if call.want >= STEP else 1 + k + d)
    tables(model, work, call, np.int64(1))
    for number in range(call.first, call.last):
        sweep(model, work, call, chunks_at(model.chunks)[number], number < 0)
        if model.truncated != 0 and call.working == 0:
            sweep(model, work, call, chunks_at(model.chunks)[number], number >= 0)
    if call.want == VALUE:
        return
    tables(model, work, call, np.int64(0))
    out = matrix_of(model, call)
    if model.constant != 0:
        add_constant(model, work, call, doubles(call.sums + 8, k), score_of(model, call), out)
    if call.want >= STEP:
        mirror(out)


@functools.cache
def pass_callback() -> CFunc:
    """Compile or load the pass."""
    return callback(run, PASS_SIGNATURE, "pass")
