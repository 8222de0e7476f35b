"""How much memory there is, asked before much of it is taken."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from bayesmix.errors import FitError

# Below this no question is worth asking.
SMALL = 1 << 28


class NotEnoughMemoryError(MemoryError, FitError):
    """An array that does not fit into the memory there is."""


def check_memory(needed: float, what: str, instead: str) -> None:
    """Refuse what would need more memory than there is.

    Parameters
    ----------
    needed : float
        Bytes.
    what : str
        What needs them, for the message, such as "draws=10000000000".
    instead : str
        What to do.

    Raises
    ------
    FitError
        Which is a `MemoryError` too.
    """
    if needed < SMALL:
        return
    free = available_bytes()
    if needed > free:
        raise NotEnoughMemoryError(
            f"{what} would take about {_gigabytes(needed)} of memory, and {_gigabytes(free)} are "
            f"free; {instead}"
        )


def _gigabytes(size: float) -> str:
    return f"{size / 2**30:,.1f} GiB"


def available_bytes() -> float:
    """Free memory: the least of the machine's, the container's and the process's own limit."""
    return min(_machine(), _container(), _process())


def _machine() -> float:
    if sys.platform == "win32":
        return _windows()
    try:
        with Path("/proc/meminfo").open() as lines:
            free = next(line for line in lines if line.startswith("MemAvailable"))
        return float(free.split()[1]) * 1024
    except (OSError, StopIteration, ValueError):  # macOS keeps no such file
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _windows() -> float:
    """The free part of the physical memory, by GlobalMemoryStatusEx."""
    state = (ctypes.c_ulonglong * 8)(64)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(state))  # type: ignore[attr-defined]
    return float(state[2])


def _container() -> float:
    """What a control group leaves of its limit, its caches counted as free; infinite without."""
    folder = Path("/sys/fs/cgroup")
    try:
        most = float((folder / "memory.max").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return most - float(stat["anon"])
    except (OSError, ValueError, KeyError):  # no such group, or the limit "max"
        return float("inf")


def _process() -> float:
    """What the limit of the address space leaves; infinite without one."""
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return float("inf")
    return float("inf") if most == resource.RLIM_INFINITY else float(most - used)
