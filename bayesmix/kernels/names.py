"""Names of the kernels' files in the cache, and whether this machine has them.

This module does not import numba, but to ask what a machine is where files may be there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from bayesmix.arrays import special
from bayesmix.families.kernel import Kernel, TimesKernel
from bayesmix.families.survival import base, derivatives, late
from bayesmix.kernels.cache import cache_folder, may_be_kept, source_digest

# What every fit needs besides the terms of its families.
ALWAYS = ("pass", "step", "runs")


def cache_name(stem: str, makers: Iterable[Callable[..., Any]], *used: ModuleType) -> str | None:
    """File name in the cache; None where a change of what `makers` make could go unnoticed.

    `used` are modules elsewhere whose numbers are compiled in.
    """
    sources, names = [Path(str(module.__file__)) for module in used], []
    for make in makers:
        if not inspect.isfunction(make) or make.__closure__ or make.__defaults__:
            return None
        source = inspect.getsourcefile(make)
        if source is None or not Path(source).is_file():
            return None
        sources.append(Path(source))
        names.append(make.__name__)
    return "-".join([stem, *names, source_digest(sources)])


@functools.cache
def kernel_name(kernel: Kernel) -> str | None:
    """File name of a regression family's term."""
    return cache_name(f"family-{kernel.name}", kernel.made_of, special)


@functools.cache
def times_name(family: TimesKernel, kind: str) -> str | None:
    """File name of the term of a family for one kind of observation."""
    return cache_name(
        f"times-{family.name}-{kind}", (family.make_line,), derivatives, base, late, special
    )


def link_name(own: str, link: str) -> str:
    """File name of the way from one link's predictor to another's."""
    return f"link-{own}-{link}"


def are_kept(names: Iterable[str | None]) -> bool:
    """Whether these kernels, and what every fit needs, are in this machine's cache."""
    needed = [*ALWAYS, *names]
    if None in needed or not may_be_kept(name for name in needed if name is not None):
        return False
    folder = cache_folder()
    return folder is not None and all((folder / f"{name}.kernel").is_file() for name in needed)
