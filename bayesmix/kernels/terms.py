"""A family's scalar term, and a link, as callbacks over a block of rows.

Of every family, and of times by how they were observed, there is one callback of
``(level, dense, n, data, stride, etas, out, p, table)``: for n rows it reads the numbers that the
family needs, `stride` apart, and its linear predictors, `BLOCK` apart, of which the first, or with
`dense` above one all, have one value for each row and the others one for all.  It writes to `out`,
`BLOCK` apart: the log density; then, by level, p derivatives; p curvatures for a scoring step and
the statistic of a scale in closed form; the lower triangle of minus the second derivatives.

At `table`, if not 0, stands for each count what a term of counts needs of it and of constant
predictors; without `out` that is written for the counts below n.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from numba import types

from bayesmix.kernels import math as scalars
from bayesmix.kernels.compile import callback, doubles, loader, matrix, scalar, store
from bayesmix.kernels.links import CHAINS
from bayesmix.kernels.names import kernel_name, link_name
from bayesmix.kernels.record import BLOCK, SCORE, STEP, VALUE

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

    from bayesmix.families.kernel import Kernel

TERM_SIGNATURE = types.void(*[types.int64] * 9)
# (n, stride, eta, out)
LINK_SIGNATURE = types.void(*[types.int64] * 4)


@functools.cache
def family_callback(kernel: Kernel) -> CFunc:
    """Compile or load the term of a regression family."""
    if kernel.blocks and kernel.parameters:  # the code is one for any number of them
        return family_callback(replace(kernel, parameters=0))
    term = scalar(kernel.build(scalars))
    if kernel.blocks:
        loop = of_block(term)
    else:
        sizes = (len(kernel.reads), kernel.parameters, kernel.statistic)
        loop = over_rows(term, *sizes, None if kernel.make_table is None else kernel)
    return callback(loop, TERM_SIGNATURE, kernel_name(kernel))


def of_block(term: Any) -> Callable[..., None]:
    """A term that reads all rows at once, with predictors that are constant at each of them."""

    def rows(
        level: int, dense: int, n: int, given: int, stride: int, etas: int, out: int, p: int,
        _table: int,
    ) -> None:  # fmt: skip
        every = matrix(etas, p, BLOCK)
        for j in range(dense, p):
            for i in range(1, n):
                every[j, i] = every[j, 0]
        term(level, n, matrix(given, 1 << 20, stride), every, matrix(out, 1 << 20, BLOCK))

    return rows


def over_rows(
    term: Any, n_data: int, p: int, statistic: bool, counted: Kernel | None = None
) -> Callable[..., None]:
    """A term over rows; what is not stored is not computed, what is constant computed once.

    `counted` is its kernel where that has a table of counts.
    """
    most = 1 + 2 * p + statistic
    stored = (1, 1 + p, most, most + p * (p + 1) // 2)
    loops = [_loops(term, n_data, p, count) for count in stored]
    if counted is not None:
        levels = enumerate(zip(loops, stored, strict=True))
        loops = [_by_count(counted, level, *plain) for level, plain in levels]
    value, score, step, whole = loops

    def rows(
        level: int, dense: int, n: int, given: int, stride: int, etas: int, out: int, _p: int,
        table: int,
    ) -> None:  # fmt: skip
        if level == VALUE:
            value(dense, n, given, stride, etas, out, table)
        elif level == SCORE:
            score(dense, n, given, stride, etas, out, table)
        elif level == STEP:
            step(dense, n, given, stride, etas, out, table)
        else:
            whole(dense, n, given, stride, etas, out, table)

    return rows


def _loops(term: Any, n_data: int, p: int, count: int) -> Any:
    """The loops that store a term's first outputs: the first, or all predictors vary."""
    data, every, leading = loader(n_data), loader(p), loader(1)

    def loops(
        dense: int, n: int, given: int, stride: int, etas: int, out: int, _table: int
    ) -> None:
        others = every(etas, BLOCK, 0)[1:]
        if dense <= 1:
            for i in range(n):
                eta = leading(etas, BLOCK, i)
                store(out, BLOCK, i, term(*data(given, stride, i), *eta, *others)[:count])
        else:
            for i in range(n):
                eta = every(etas, BLOCK, i)
                store(out, BLOCK, i, term(*data(given, stride, i), *eta)[:count])

    # Inlined: called by name, it could be that of another family from the cache.
    return scalar(loops)


def _by_count(kernel: Kernel, level: int, plain: Any, count: int) -> Any:
    """The same of counts: by a table, whose numbers are taken to lines before it, or as `plain`."""
    assert kernel.make_table is not None
    numbers, short = scalar(kernel.make_table(scalars)), scalar(kernel.short(scalars))
    data, every, leading = loader(len(kernel.reads)), loader(kernel.parameters), loader(1)
    size = kernel.looked[-1]
    some, lines = loader(kernel.looked[min(level, STEP)]), loader(size)

    def loops(dense: int, n: int, given: int, stride: int, etas: int, out: int, table: int) -> None:
        found, others = table - 8 * size * BLOCK, every(etas, BLOCK, 0)[1:]
        if table == 0:
            plain(dense, n, given, stride, etas, out, table)
        elif out == 0:
            for i in range(n):
                store(table, 1, size * i, numbers(float(i), *others))
        else:
            for i in range(n):
                at = size * int(leading(given, stride, i)[0])
                store(found, BLOCK, i, some(table, 1, at))
            for i in range(n):
                eta, row = leading(etas, BLOCK, i), lines(found, BLOCK, i)
                store(out, BLOCK, i, short(*data(given, stride, i), *eta, *others, *row)[:count])

    return scalar(loops)


@functools.cache
def link_callback(own: str, link: str) -> CFunc:
    """Compile or load the way from a link's predictor to that of a family's own link."""
    chained = CHAINS[own, link]

    def rows(n: int, stride: int, eta: int, out: int) -> None:
        given = doubles(eta, n)
        for i in range(n):
            store(out, stride, i, chained(given[i]))

    return callback(rows, LINK_SIGNATURE, link_name(own, link))
