"""Which kernels small data need, and whether this machine has compiled them before.

This module does not import numba: a question about the cache does only where it may be yes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bayesmix.kernels.families import FAMILIES, KernelFamily

if TYPE_CHECKING:
    from numba.core.ccallback import CFunc

NAMES = ("small-pass", "small-step", "small-newton", "small-runs")


def is_compiled(family: KernelFamily) -> bool:
    """Whether the kernels of small data can be loaded from this machine's cache."""
    from bayesmix.kernels import cache as _cache

    if not _cache.may_be_kept(NAMES):
        return False
    from bayesmix.kernels._family_block import _cache_name

    folder, name = _cache.cache_folder(), _cache_name(family)
    return (
        folder is not None
        and name is not None
        and all((folder / f"{each}.kernel").is_file() for each in (*NAMES, name))
    )


def warm() -> None:
    """Compile the kernels of small data, or load them, for this and later processes.

    It takes some seconds once per machine.  Without it small data are fitted by
    NumPy until compiling pays.
    """
    from bayesmix.kernels._family_block import family_callback

    for callback in callbacks():
        callback()
    for family in FAMILIES.values():
        family_callback(family)


def callbacks() -> tuple[Callable[[], CFunc], ...]:
    """The functions that compile or load the kernels, in the order of their use."""
    from bayesmix.kernels._small_solve import newton_callback
    from bayesmix.kernels.passes import pass_callback
    from bayesmix.kernels.runs import small_callback
    from bayesmix.kernels.step import step_callback

    return small_callback, newton_callback, pass_callback, step_callback
