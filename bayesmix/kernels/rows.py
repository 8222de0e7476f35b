"""The E step of a chunk: terms of all items, weights of the components, responsibilities."""

from __future__ import annotations

import math
from typing import Any

from bayesmix.kernels import record as r
from bayesmix.kernels.compile import (
    caller,
    doubles,
    elementwise,
    flags,
    integers,
    matrix,
    records,
    reduction,
)
from bayesmix.kernels.sums import Array, clear, copy, gather, linear_predictor, softmax, total
from bayesmix.kernels.terms import LINK_SIGNATURE, TERM_SIGNATURE

call_term, call_link = caller(TERM_SIGNATURE), caller(LINK_SIGNATURE)
chunks_at, items_at, slots_at, parts_at = (
    records(kind) for kind in (r.CHUNK, r.ITEM, r.SLOT, r.PART)
)


@elementwise
def read_weights(model: Any, work: Any, theta: Array) -> None:
    """Logarithms of constant weights, and these."""
    k = model.k
    log_prior, mass = doubles(work.log_prior, k), doubles(work.totals, 2)
    gather(theta, model.alpha, k, log_prior)
    softmax(matrix(work.log_prior, k, 1), 1, mass, mass[1:], matrix(work.pi, k, 1))
    for s in range(k):
        log_prior[s] -= mass[0]


@reduction
def by_unit(model: Any, chunk: Any, values: Array, out: Array) -> None:
    """Add to every unit its rows' values."""
    if model.first_row == 0:
        for i in range(chunk.n_units):
            out[i] += values[i]
        return
    first = integers(model.first_row + 8 * chunk.unit, chunk.n_units + 1)
    for u in range(chunk.n_units):
        sum_of_unit = 0.0
        for i in range(first[u] - chunk.row, first[u + 1] - chunk.row):
            sum_of_unit += values[i]
        out[u] += sum_of_unit


@elementwise
def to_rows(model: Any, chunk: Any, values: Array, out: Array) -> None:
    """Give every row its unit's value."""
    if model.first_row == 0:
        for i in range(chunk.n_units):
            out[i] = values[i]
        return
    first = integers(model.first_row + 8 * chunk.unit, chunk.n_units + 1)
    for u in range(chunk.n_units):
        for i in range(first[u] - chunk.row, first[u + 1] - chunk.row):
            out[i] = values[u]


@elementwise
def dense_of(item: Any, call: Any) -> int:
    """How many leading slots have a value for each row; given ones do."""
    return max(item.dense, item.located) if call.working != 0 else item.dense


@elementwise
def predict(model: Any, work: Any, call: Any, chunk: Any, number: int) -> None:
    """Linear predictors of an item into `eta`; constant ones are a line's first number."""
    item = items_at(model.items)[number]
    theta, n, p = doubles(call.theta, model.size), chunk.n, item.columns
    etas = matrix(work.eta, item.n_slots, model.line)
    coef = doubles(work.vector, max(p, 1))
    for j in range(item.n_slots):
        slot = slots_at(model.slots)[item.slot + j]
        gather(theta, slot.index, slot.width, coef)
        if slot.design == 0:
            for i in range(n if j < dense_of(item, call) else 1):
                etas[j, i] = coef[0]
            continue
        if j < item.located and item.offset != 0:
            copy(n, item.offset + 8 * chunk.row, work.eta + 8 * j * model.line)
        else:
            clear(work.eta + 8 * j * model.line, n)
        linear_predictor(coef, matrix(item.x + 8 * p * chunk.row, p, n), n, etas[j])
    if call.working != 0:
        working = integers(call.working, model.n_items)[number]
        for j in range(item.located if working != 0 else 0):
            given = working + 8 * (j * item.rows + chunk.row)
            copy(n, given, work.eta + 8 * j * model.line)


@elementwise
def level_of(item: Any, level: int) -> int:
    """A level with all that an item needs for it."""
    return r.INFORMATION if level == r.STEP and (item.concave == 1 or item.subtracts > 0) else level


@elementwise
def lines_of(item: Any, level: int) -> int:
    """How many outputs a term has at a level."""
    if level <= r.SCORE:
        return 1 + level * item.n_slots
    if level == r.STEP and item.concave < 2:
        return 1 + 2 * item.n_slots + (1 if item.statistic != 0 else 0)
    return item.outputs


@elementwise
def gather_rows(work: Any, item: Any, dense: int, line: int, start: int, n: int, rows: int) -> None:
    """Predictors at n rows into `gathered`, BLOCK apart."""
    etas = matrix(work.eta, item.n_slots, line)
    some = matrix(work.gathered, item.n_slots, r.BLOCK)
    for j in range(item.n_slots):
        if j >= dense:
            some[j, 0] = etas[j, 0]
        elif rows == 0:
            for i in range(n):
                some[j, i] = etas[j, start + i]
        else:
            at = integers(rows + 8 * start, n)
            for i in range(n):
                some[j, i] = etas[j, at[i]]


@elementwise
def add_rows(work: Any, line: int, lines: int, out: int, part: Any, start: int, n: int) -> None:
    """Add a term's outputs in `scratch` to those of an item, at n rows of a part."""
    scratch = matrix(work.scratch, lines, r.BLOCK)
    for t in range(lines):
        target = doubles(out + 8 * t * line, line)
        at = integers(part.rows + 8 * start, n)
        if part.rows == 0:
            for i in range(n):
                target[start + i] += scratch[t, i]
        elif part.sign > 0:
            for i in range(n):
                target[at[i]] += scratch[t, i]
        else:
            for i in range(n):
                # Nobody could have entered: the time cannot have been seen.
                nobody = t == 0 and scratch[t, i] == -math.inf
                target[at[i]] -= math.inf if nobody else scratch[t, i]


@elementwise
def add_part(
    model: Any, work: Any, call: Any, item: Any, part: Any, level: int, fresh: bool
) -> None:
    """Compute an item's term at the rows of a part; `fresh` if these are the item's first."""
    line, lines, dense = model.line, lines_of(item, level), dense_of(item, call)
    p, out = item.n_slots, work.terms + 8 * item.place * line
    table = work.tables + 8 * item.looked if item.counts != 0 else 0
    whole = fresh and part.rows == 0 and line == r.BLOCK
    etas, target = (work.eta, out) if whole else (work.gathered, work.scratch)
    if fresh and not whole:
        clear(out, lines * line)
    for start in range(0, part.n, r.BLOCK):
        n, data = min(r.BLOCK, part.n - start), part.data + 8 * start
        if not whole:
            gather_rows(work, item, dense, line, start, n, part.rows)
        call_term(part.term, (level, dense, n, data, part.stride, etas, target, p, table))
        if not whole:
            add_rows(work, line, lines, out, part, start, n)


@elementwise
def tabulate(model: Any, work: Any, call: Any, number: int) -> None:
    """Compute what an item's term looks up for each count."""
    item = items_at(model.items)[number]
    predict(model, work, call, chunks_at(model.chunks)[0], number)
    gather_rows(work, item, dense_of(item, call), model.line, 0, 0, 0)
    table = work.tables + 8 * item.looked
    call_term(item.term, (r.VALUE, 1, item.counts, 0, 0, work.gathered, 0, item.n_slots, table))


@elementwise
def chain(work: Any, item: Any, terms: Array, line: int, n: int, level: int) -> None:
    """From derivatives in the family's own predictor to those in the link's."""
    p, links = item.n_slots, matrix(work.link, r.LINK_OUTPUTS, line)
    value, slope, bend = links[0], links[1], links[2]
    for i in range(n):
        terms[0, i] = terms[0, i] if value[i] == value[i] else -math.inf
    if level == r.VALUE:
        return
    if level == r.INFORMATION:
        second = item.second
        for i in range(n):
            terms[second, i] = terms[second, i] * slope[i] * slope[i] - terms[1, i] * bend[i]
        for j in range(1, p):
            cross = terms[second + j * (j + 1) // 2]
            for i in range(n):
                cross[i] *= slope[i]
    for i in range(n):
        terms[1, i] *= slope[i]
    if level != r.SCORE:
        for i in range(n):
            terms[1 + p, i] *= slope[i] * slope[i]


@elementwise
def positive_curvature(item: Any, out: Array, n: int) -> None:
    """Curvatures of what several parts have added up to: the information, or the squared score."""
    for j in range(item.n_slots):
        first, curvature = out[1 + j], out[1 + item.n_slots + j]
        second = out[item.second + j * (j + 1) // 2 + j]
        for i in range(n):
            curvature[i] = second[i] if second[i] > 0.0 else first[i] * first[i]


@elementwise
def clean(item: Any, out: Array, n: int, level: int) -> None:
    """Where the density is zero the derivatives, which may be anything, are 0."""
    impossible = 0
    for i in range(n):
        impossible += 1 if out[0, i] == -math.inf else 0
    if impossible == 0:
        return
    for t in range(1, lines_of(item, level)):
        for i in range(n):
            out[t, i] = 0.0 if out[0, i] == -math.inf else out[t, i]


@elementwise
def mark_missing(work: Any, item: Any, dense: int, line: int, out: Array, n: int) -> None:
    """Without a predictor there is no density: a term may have taken NaN for one at its bound."""
    for j in range(item.n_slots):
        linked = j == 0 and item.link != 0
        eta = doubles(work.raw if linked else work.eta + 8 * j * line, n)
        for i in range(n if j < dense or eta[0] != eta[0] else 0):
            own = eta[i if j < dense else 0]
            out[0, i] = math.nan if own != own else out[0, i]


@elementwise
def look_up(item: Any, chunk: Any, values: Array, out: Array) -> None:
    """Give every row its value of an item's few."""
    codes = flags(item.codes + chunk.row, chunk.n)
    for i in range(chunk.n):
        out[i] = values[codes[i]]


@elementwise
def add_tally(model: Any, work: Any, chunk: Any, number: int) -> None:
    """Add the rows' weights to those of the few rows at which an item is computed."""
    item = items_at(model.items)[number]
    tally = doubles(work.tally + 8 * number * model.line, model.line)
    share = doubles(work.share + 8 * item.component * model.line, chunk.n)
    codes = flags(item.codes + chunk.row, chunk.n)
    for i in range(chunk.n):
        tally[codes[i]] += share[i]


@elementwise
def evaluate(
    model: Any, work: Any, call: Any, chunk: Any, first: int, last: int, level: int
) -> int:
    """Terms of the item that the first of some parts is of; gives the first part of another."""
    line, n, at = model.line, chunk.n, first
    number = parts_at(model.parts)[first].item
    item, own = items_at(model.items)[number], level_of(items_at(model.items)[number], level)
    out = matrix(work.terms + 8 * item.place * line, item.outputs, line)
    predict(model, work, call, chunk, number)
    if item.link != 0:
        copy(n, work.eta, work.raw)
        call_link(item.link, (n, line, work.raw, work.link))
        copy(n, work.link, work.eta)
    while at < last and parts_at(model.parts)[at].item == number:
        add_part(model, work, call, item, parts_at(model.parts)[at], own, at == first)
        at += 1
    if item.link != 0:
        chain(work, item, out, line, n, own)
    if own != level and item.subtracts != 0:
        positive_curvature(item, out, n)
    clean(item, out, n, own)
    mark_missing(work, item, dense_of(item, call), line, out, n)
    return at


@elementwise
def add_items(model: Any, work: Any, call: Any, chunk: Any, entered: bool, level: int) -> None:
    """Terms of all items with parts, and their values by unit into `joint`."""
    line, n, c = model.line, chunk.n, doubles(work.c, chunk.n)
    joint, used = matrix(work.joint, model.k, line), doubles(work.used, model.n_items)
    for number in range(model.n_items):
        item = items_at(model.items)[number]
        used[number] = 0.0
        if item.codes != 0 and not entered:
            used[number] = 1.0
            look_up(item, chunk, doubles(work.terms + 8 * item.place * line, line), c)
            by_unit(model, chunk, c, joint[item.component])
    at, last = (chunk.entered, chunk.last) if entered else (chunk.first, chunk.entered)
    while at < last:
        number = parts_at(model.parts)[at].item
        item = items_at(model.items)[number]
        used[number] = 1.0
        at = evaluate(model, work, call, chunk, at, last, level)
        logf = doubles(work.terms + 8 * item.place * line, n)
        by_unit(model, chunk, logf, joint[item.component])


@elementwise
def prior_terms(model: Any, work: Any, call: Any, chunk: Any) -> None:
    """Log weights of a chunk's units into `joint`, weights into `prior`."""
    k, q, line, n = model.k, model.q, model.line, chunk.n_units
    joint, prior = matrix(work.joint, k, line), matrix(work.prior, k, line)
    if model.constant != 0:
        log_prior, pi = doubles(work.log_prior, k), doubles(work.pi, k)
        for s in range(k):
            for i in range(n):
                joint[s, i] = log_prior[s]
                prior[s, i] = pi[s]
        return
    z, alpha = matrix(model.z + 8 * q * chunk.unit, q, n), doubles(work.vector, q)
    theta, totals = doubles(call.theta, model.size), doubles(work.totals, line)
    for s in range(k):
        gather(theta, model.alpha + 8 * q * s, q, alpha)
        clear(work.joint + 8 * s * line, n)
        linear_predictor(alpha, z, n, joint[s])
    softmax(joint, n, totals, doubles(work.masses, line), prior)
    for s in range(k):
        for i in range(n):
            joint[s, i] -= totals[i]


@elementwise
def forbid(model: Any, work: Any, chunk: Any) -> None:
    """Set the log terms of components that a unit may not belong to to -inf."""
    k, n = model.k, chunk.n_units
    allowed = flags(model.allowed + k * chunk.unit, k * n)
    joint = matrix(work.joint, k, model.line)
    for s in range(k):
        for i in range(n):
            joint[s, i] = joint[s, i] if allowed[s * n + i] != 0 else -math.inf


@elementwise
def join(model: Any, work: Any, call: Any, chunk: Any) -> float:
    """`posterior` and log-likelihoods of a chunk's units; gives their weighted sum."""
    k, line, n = model.k, model.line, chunk.n_units
    totals, weight = doubles(work.totals, line), doubles(work.unit_weight, line)
    softmax(
        matrix(work.joint, k, line), n, totals, doubles(work.masses, line),
        matrix(work.posterior, k, line),
    )  # fmt: skip
    address = call.weight if call.weight != 0 else model.weight
    if address == 0:
        for i in range(n):
            weight[i] = 1.0
        return total(totals, n)
    given = doubles(address + 8 * chunk.unit, n)
    weighted = doubles(work.product, line)
    for i in range(n):
        weight[i] = given[i]
        # A unit of weight 0 is absent, possible or not.
        weighted[i] = 0.0 if given[i] == 0.0 else given[i] * totals[i]
    return total(weighted, n)
