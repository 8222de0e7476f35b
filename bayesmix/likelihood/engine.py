"""Small data and grouped data by compiled code: whole EM runs of all starts in one call.

It serves models of one response and one family with a kernel, whatever their
groups, weights, offsets, labels, concomitants and fixed or nested effects, where
`fused` does not: that shares one pass over many rows among threads.  Everything
else goes through NumPy, which gives the same numbers to rounding.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.likelihood import fused
from bayesmix.likelihood.problem import Problem

if TYPE_CHECKING:
    from bayesmix.kernels import SmallData, SmallMixture

__all__ = [
    "chosen_by_size",
    "engine",
    "has_kernel",
    "insist",
    "is_usable",
    "is_wanted",
    "runner",
    "small_data",
    "timed",
]

# Seconds that NumPy must have spent on such fits before numba is imported to load what an earlier
# process has compiled, and before it is compiled here: the order of what either costs.
IMPORT_SECONDS = 0.3
COMPILE_SECONDS = 4.0
# Rows times components from which looking for the modes of a posterior is worth a compiler.
WORTH_COMPILING = 5_000

_by_size: ContextVar[bool] = ContextVar("by_size", default=False)
_lock = threading.Lock()
_spent = 0.0
# Families whose kernels this process has loaded.
_ready: set[str] = set()
_engines: dict[int, tuple[weakref.ref[Problem], SmallMixture | None]] = {}


def is_wanted(problem: Problem) -> bool:
    """Whether compiled code may be used now: nobody's first fit waits for a compiler.

    The environment variable BAYESMIX_COMPILE decides if it is "1" (always) or
    "0" (never).  Otherwise code that this machine has compiled before is used
    as soon as loading it is cheap: numba is imported already, or NumPy has
    spent more than importing it takes.  Code is compiled when NumPy has spent
    as long as compiling would have taken, which at worst doubles the time, or
    for data so large that `fused` would compile as well.  Within `chosen_by_size` none
    of that counts.
    """
    setting = os.environ.get("BAYESMIX_COMPILE", "")
    if setting in ("0", "1"):
        return setting == "1"
    if _by_size.get():
        return problem.n_rows * problem.spec.k >= WORTH_COMPILING
    family = problem.blocks[0].groups[0].family
    if family.name in _ready or _spent > COMPILE_SECONDS or is_large(problem):
        return True
    from bayesmix.kernels import is_compiled

    if "numba" not in sys.modules and _spent <= IMPORT_SECONDS:
        return False
    return family.kernel is not None and is_compiled(family.kernel)


@contextmanager
def chosen_by_size() -> Iterator[None]:
    """Choose engines by the size of a problem, not by time spent or what has been compiled.

    Engines differ in the last bits, which may send a start to another mode: within this, a
    seed gives the same modes whatever this process or an earlier one has done.
    """
    token = _by_size.set(True)
    try:
        yield
    finally:
        _by_size.reset(token)


def is_large(problem: Problem) -> bool:
    """Whether a pass takes so long that neither its call nor loading it counts."""
    return problem.n_rows * problem.spec.k >= fused.LARGE


def has_form(problem: Problem) -> bool:
    """Whether the kernel can do a problem that `fused` does not do."""
    return not fused.is_fused(problem) and has_kernel(problem)


def has_kernel(problem: Problem) -> bool:
    """Whether the kernel can do a problem, whatever its size."""
    if problem.spec.weights.held is not None:
        return False
    if len(problem.blocks) > 1 or len(problem.blocks[0].groups) > 1:
        return False
    family = problem.blocks[0].groups[0].family
    return family.has_kernel and (not family.dispersions or family.squares is not None)


def engine(problem: Problem) -> SmallMixture | None:
    """The problem laid out for the kernel; None where it goes through NumPy.

    What was decided first holds as long as the problem lives, so that a fit
    uses one engine.
    """
    known = _engines.get(id(problem))
    if known is not None and known[0]() is problem:
        return known[1]
    if os.environ.get("BAYESMIX_COMPILE") == "0" or not has_form(problem):
        return None
    return _decide(problem)


def insist(problem: Problem) -> None:
    """Use the kernel for a problem even if it has to be compiled first.

    For sampling, which evaluates the density tens of thousands of times.
    """
    if os.environ.get("BAYESMIX_COMPILE") != "0" and has_form(problem):
        _keep(problem, small_data(problem).prepare())


def _decide(problem: Problem) -> SmallMixture | None:
    return _keep(problem, small_data(problem).prepare() if is_wanted(problem) else None)


def _keep(problem: Problem, made: SmallMixture | None) -> SmallMixture | None:
    key = id(problem)
    if made is not None:
        _ready.add(problem.blocks[0].groups[0].family.name)

    def forget(_: object) -> None:
        _engines.pop(key, None)

    _engines[key] = (weakref.ref(problem, forget), made)
    return made


def runner(problem: Problem) -> SmallMixture | None:
    """The same for whole runs in one call.

    Their M steps know no priors, and with large data they would neither report
    progress nor be interrupted.
    """
    return engine(problem) if problem.penalty is None and not is_large(problem) else None


def is_usable(problem: Problem) -> bool:
    """Whether the problem's passes are done by the kernel."""
    return engine(problem) is not None


@contextmanager
def timed(problem: Problem) -> Iterator[None]:
    """Count the time of a fit that compiled code could have done, but NumPy did."""
    global _spent
    if not has_form(problem) or is_usable(problem):
        yield
        return
    begin = time.thread_time()
    try:
        yield
    finally:
        with _lock:
            _spent += time.thread_time() - begin


def small_data(problem: Problem) -> SmallData:
    """The problem as the kernel takes it, if `has_kernel` says that it can be one."""
    from bayesmix.kernels import SmallData

    arrays, layout = problem.blocks[0], problem.spec.layout
    group = arrays.groups[0]
    obs = arrays.observed[group.key]
    assert group.family.kernel is not None
    return SmallData(
        group.family.kernel,
        arrays.matrix,
        obs.y,
        arrays.layout.predictors[0].index,
        group.dispersions[0] if group.dispersions else None,
        layout.alpha,
        _kinds(problem),
        problem.concomitant,
        problem.first,
        arrays.offset,
        obs.trials,
        obs.const if isinstance(obs.const, np.ndarray) else None,
        problem.weight,
        problem.allowed,
    )


def _kinds(problem: Problem) -> np.ndarray:
    from bayesmix.kernels import KINDS

    effects = (c.effect for c in problem.spec.layout.coordinates)
    kinds = np.array([KINDS.get(e, KINDS["coefficient"]) for e in effects], dtype=np.int64)
    kinds[~problem.spec.free] = KINDS["held"]
    return kinds
