"""Where compiled kernels are kept.

numba's own cache does not notice an edit in a called function of another file.  Here the folder is
named after a hash of all kernel sources, of numba, Python and the processor: whatever changes,
another folder is used.  numba's settings are not changed, so functions of others cache as before.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesmix._arguments.files import write_whole
from bayesmix.errors import DataError

if TYPE_CHECKING:
    from numba.core.compiler import CompileResult

logger = logging.getLogger("bayesmix")

# Modules of this room with nothing that is compiled in.
NOT_COMPILED = ("__init__", "cache", "mixture", "names", "native", "pack", "warming")


@functools.cache
def log_once(message: str, level: int = logging.WARNING) -> None:
    """Log a message the first time it is given in this process."""
    logger.log(level, message)


def source_digest(paths: Iterable[Path]) -> str:
    """Digest files' names and contents into 16 hexadecimal characters."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _user_cache_folder() -> Path:
    """Where this user's caches are, by the habits of the operating system."""
    for variable in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def _machine_digest() -> str:
    """Digest everything but the sources that compiled code depends on."""
    import llvmlite  # type: ignore[import-untyped]
    import numba
    from numba.core.registry import cpu_target

    target = cpu_target.target_context.codegen().magic_tuple()
    parts = (sys.version_info[:2], numba.__version__, llvmlite.__version__, target)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


@functools.cache
def cache_folder() -> Path | None:
    """Name the folder of the compiled kernels; it is made when the first is written.

    Returns
    -------
    Path or None
        ``<user cache>/bayesmix/kernels-<sources>-<numba version>-<machine>``; None where the
        sources cannot be read (a zipped install) or no home is known.
    """
    parts = _folder_parts()
    return None if parts is None else parts[0] / f"{parts[1]}-{_machine_digest()}"


@functools.cache
def _folder_parts() -> tuple[Path, str] | None:
    """The parent of `cache_folder` and how its name begins, without importing numba."""
    folder = Path(__file__).parent
    sources = [path for path in folder.glob("*.py") if path.stem not in NOT_COMPILED]
    try:
        name = f"kernels-{source_digest(sources)}-{version('numba')}"
        return (_user_cache_folder() / "bayesmix", name) if sources else None
    except (RuntimeError, PackageNotFoundError):  # there is no home, or no installed numba
        return None


def may_be_kept(names: Iterable[str]) -> bool:
    """Whether some machine has kept all these kernels in this user's cache; numba stays away."""
    parts, names = _folder_parts(), list(names)
    folders = [] if parts is None else list(parts[0].glob(f"{parts[1]}-*"))
    return any(all((f / f"{name}.kernel").is_file() for name in names) for f in folders)


class DiskCache:
    """The part of numba's cache interface that a callback uses: one kernel, one file.

    Parameters
    ----------
    name : str or None
        File name; None keeps nothing.

    Notes
    -----
    No failure here may stop a fit: a file that cannot be read is compiled again, one that cannot be
    written is reported once.  numba's private parts are imported where they are used: without them
    `compile.callback` does without a cache.
    """

    def __init__(self, name: str | None) -> None:
        folder = None if name is None else cache_folder()
        self._path = None if folder is None else folder / f"{name}.kernel"

    def load_overload(self, _signature: Any, target_context: Any) -> CompileResult | None:
        """Load the kernel; None where it has to be compiled."""
        if self._path is None:
            return None
        from numba.core.compiler import CompileResult
        from numba.core.runtime import rtsys

        try:
            payload = pickle.loads(_checked(self._path.read_bytes()))
            # What machine code links to; what compiling needs more takes 0.3 s to load.
            rtsys.initialize(target_context)
            return CompileResult._rebuild(target_context, *payload)
        except OSError:  # not there, or not to be read
            pass
        except Exception as error:  # noqa: BLE001  (a damaged file can raise anything)
            logger.debug("%s is damaged and will be rebuilt: %r", self._path, error)
        log_once("compiling kernels, once per machine (some seconds)", logging.INFO)
        return None

    def save_overload(self, _signature: Any, result: CompileResult) -> None:
        """Keep a compiled kernel; the file appears whole or not at all."""
        from numba.core.serialize import dumps

        if self._path is None or result.library.has_dynamic_globals:
            return
        try:
            content = dumps(result._reduce())
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, hashlib.sha256(content).digest() + content)
        except (OSError, DataError) as error:
            reason = getattr(error, "strerror", error)
            log_once(
                f"kernels are compiled in every process: cannot write to {self._path.parent} "
                f"({reason}); set XDG_CACHE_HOME to a folder that is writable"
            )


def _checked(stored: bytes) -> bytes:
    """A kernel without its checksum; damaged machine code would end the process that runs it."""
    digest, content = stored[:32], stored[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its checksum is another")
    return content
