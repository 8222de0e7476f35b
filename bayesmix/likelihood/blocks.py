"""A problem whose rows come in blocks: a function of every block's own problem.

A block is read, put in the coordinates of the specification and arranged like any data, so that
whatever is a sum over units is the sum of what the blocks give.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from bayesmix.formula.sources.stream import Block
from bayesmix.likelihood.problem import Problem, build_problem
from bayesmix.model import MixtureSpec, read_block, without_rows

if TYPE_CHECKING:
    import pandas as pd

# Bytes of arranged blocks that are kept for the next pass.
KEPT = 1 << 28
# Of a block's design there are so many copies: as arranged, by chunks, and products of columns.
COPIES = 3


def by_block[T](problem: Problem, function: Callable[[Problem], T], n_threads: int) -> Iterator[T]:
    """The values of a function of every block's problem, in the order of the rows.

    Parameters
    ----------
    problem : Problem
        One that holds all its rows is its only block.
    function : callable
    n_threads : int
        Blocks at work together.
    """
    if problem.stream is None:
        yield function(problem)
        return
    if "task" not in problem.kept:
        problem.kept["task"] = without_rows(problem.spec)
    yield from problem.stream.map(_Task(problem.kept["task"], function), n_threads)


def with_column[T](
    problem: Problem, column: str, function: Callable[[Problem, pd.DataFrame], T], n_threads: int
) -> Iterator[T]:
    """The values of a function of every block's problem and rows, which have another column too.

    Parameters
    ----------
    problem : Problem
        One whose rows come in blocks.
    column : str
    function : callable
    n_threads : int
    """
    assert problem.stream is not None
    task = _Task(without_rows(problem.spec), function)
    yield from problem.stream.reading(column).map(task.with_rows, n_threads)


@dataclass(frozen=True)
class _Task:
    """What is done where a block is."""

    spec: MixtureSpec
    function: Callable[..., Any]

    def with_rows(self, block: Block) -> Any:
        """A function of the problem and the rows of a block that is read for it alone."""
        return self.function(self._problem(block), block.frame)

    def __call__(self, block: Block) -> Any:
        number = self.spec.rows.number  # type: ignore[attr-defined]
        return self.function(_cache.get((number, block.number), lambda: self._problem(block)))

    def _problem(self, block: Block) -> Problem:
        given: Any = self.spec.rows
        turned = given.turned
        rows = read_block(self.spec, block)
        spec = replace(self.spec, rows=rows if turned is None else turned(rows))
        return replace(build_problem(spec, n_threads=1), large=True)


class _Cache:
    """Arranged blocks of the problems in use last, as far as there is room."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], tuple[Problem, float]] = OrderedDict()
        self._size, self._lock = 0.0, Lock()

    def get(self, key: tuple[str, int], make: Callable[[], Problem]) -> Problem:
        """The problem of a block, made if it is not kept."""
        with self._lock:
            if key in self._kept:
                return self._kept[key][0]
        made = make()
        size = float(COPIES * sum(a.matrix.nbytes for a in made.blocks))
        with self._lock:
            while self._size + size > KEPT and self._kept and next(iter(self._kept))[0] != key[0]:
                self._size -= self._kept.popitem(last=False)[1][1]
            if self._size + size <= KEPT:
                self._kept[key] = made, size
                self._size += size
        return made


_cache = _Cache()
