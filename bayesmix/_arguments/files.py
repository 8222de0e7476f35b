"""Bytes on a disk: whole files or none, and only in place of regular files."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesmix._arguments.shown import shown
from bayesmix.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileError(OSError, DataError):
    """What the operating system refused, such as a name that is too long or a full disk.

    It has the number and the file of the system's error.
    """

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class NoFileError(FileError, FileNotFoundError):
    """A file or folder that is not there."""


class NotAllowedError(FileError, PermissionError):
    """A file or folder that may not be read or written to."""


def refusal(title: str, cause: OSError) -> FileError:
    """The error for what the operating system refused to the function of this title."""
    place = "" if cause.filename is None else f"{shown(str(cause.filename))}: "
    reason = cause.strerror or str(cause) or type(cause).__name__
    remedy = "; give another path" if place else ""
    if cause.errno in FULL:
        remedy = "; make room, or give another path"
    kinds = {FileNotFoundError: NoFileError, PermissionError: NotAllowedError}
    kind = kinds.get(type(cause), FileError)
    return kind(cause.errno, f"{title or 'it'}: {place}{reason}{remedy}", cause.filename)


def target_file(path: str | os.PathLike[str], such_as: str = "fit.nc") -> Path:
    """Where a file may be written: the end of links, a new name or a regular file.

    Parameters
    ----------
    path : str or path
    such_as : str
        A name for messages.

    Raises
    ------
    DataError
        If the folder does not exist, or the path is a folder, a device, a pipe or a socket.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if not target.parent.is_dir():
        msg = f"the folder {str(target.parent)!r} does not exist; make it, or give another path"
        raise NoFileError(errno.ENOENT, msg, str(target.parent))
    if target.is_dir():
        msg = f"{str(target)!r} is a folder; give the name of a file in it, such as {such_as!r}"
        raise DataError(msg)
    if target.is_symlink():  # its end would have been followed
        msg = f"{str(path)!r} is a link that leads back to itself; give the path of a regular file"
        raise DataError(msg)
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        raise DataError(
            f"{str(path)!r} is a device, a pipe or a socket, which a file would replace; give the "
            f"path of a regular file, such as {such_as!r}"
        )
    return target


def write_whole(path: str | os.PathLike[str], content: bytes, such_as: str = "fit.nc") -> Path:
    """Write a file beside its place and move it there; a file that is there stays until then.

    Parameters
    ----------
    path : str or path
    content : bytes
    such_as : str
        A name for messages.

    Returns
    -------
    Path
        The file, links followed.

    Raises
    ------
    DataError
        As `target_file`.
    OSError
        If the disk is full or may not be written to; the old file is as it was.
    """
    target = target_file(path, such_as)
    with beside(target) as temporary, temporary.open("xb") as file:
        if target.exists():  # with its permissions from the first byte on
            shutil.copymode(target, temporary)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return target


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A name for a file beside the target, which takes its place once it is whole."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:  # users know the target, not the file beside it
        if error.errno is not None:
            error.filename, error.strerror = str(target), os.strerror(error.errno)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Make the move last; some systems cannot open a folder, or flush it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
