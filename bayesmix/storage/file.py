"""The arrays of a file by name, and the one NetCDF-4 file that holds them with a manifest."""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmix._arguments.files import NoFileError, write_whole
from bayesmix._arguments.memory import check_memory
from bayesmix.errors import BayesmixError, DataError

if TYPE_CHECKING:
    import xarray as xr

MANIFEST = "bayesmix"
# Arrays of at least so many bytes are compressed.
LARGE = 1 << 14
# The first format whose checksum is of the manifest too.
WHOLE = 3


class Arrays:
    """Arrays by name, "group/variable", with the names of their dimensions.

    Numbers, booleans and texts (objects that are all str) of any shape.
    """

    def __init__(self) -> None:
        self.values: dict[str, np.ndarray] = {}
        self.dims: dict[str, tuple[str, ...]] = {}

    def put(self, name: str, values: np.ndarray, *dims: str) -> str:
        """Keep an array; where no dimensions are given they are called after it."""
        leaf = name.rpartition("/")[2]
        self.values[name] = values
        self.dims[name] = dims or tuple(f"{leaf}_{i}" for i in range(values.ndim))
        return name

    def get(self, name: str) -> np.ndarray:
        """The array of that name."""
        return self.values[name]

    def checksum(self) -> str:
        """Sha256 of all names, types, shapes and values."""
        digest = hashlib.sha256()
        for name, values in sorted(self.values.items()):
            digest.update(f"{name} {values.dtype} {values.shape} ".encode())
            text = values.dtype.kind == "O"
            digest.update(json.dumps(values.tolist()).encode() if text else _little(values))
        return digest.hexdigest()


def _little(values: np.ndarray) -> bytes:
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


# --- writing -------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a file; the old one stays until the new one is whole.

    Parameters
    ----------
    path : str or path
    manifest : mapping
        What JSON can hold.
    arrays : Arrays

    Raises
    ------
    DataError
        If the folder does not exist, or the path is a folder, a device, a pipe or a socket.
    OSError
        If the disk is full or may not be written to.
    """
    write_whole(path, _as_bytes(manifest, arrays))


def _as_bytes(manifest: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The file in memory: HDF5 writing to a full disk would end the process."""
    import xarray as xr

    stored: dict[str, tuple[str, tuple[int, ...]]] = {}
    groups: dict[str, dict[str, xr.Variable]] = {}
    for name, values in arrays.values.items():
        kind, variable = _variable(values, arrays.dims[name])
        stored[name] = (kind, values.shape)
        if values.size:
            group, _, leaf = name.rpartition("/")
            groups.setdefault(f"/{group}", {})[leaf] = variable
    full = json.loads(json.dumps({**manifest, "arrays": stored}, allow_nan=False))
    text = json.dumps({**full, "contents": checksum(full, arrays)})
    datasets = {group: xr.Dataset(variables) for group, variables in groups.items()}
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs={MANIFEST: text}), **datasets})
    content = tree.to_netcdf(engine="h5netcdf")
    assert isinstance(content, memoryview)
    return bytes(content)


def checksum(manifest: Mapping[str, Any], arrays: Arrays) -> str:
    """Sha256 of the arrays and, from format 3 on, of everything in the manifest but itself."""
    values = arrays.checksum()
    if manifest.get("format", WHOLE) < WHOLE:
        return values
    rest = {name: entry for name, entry in manifest.items() if name != "contents"}
    return hashlib.sha256(json.dumps([values, rest], sort_keys=True).encode()).hexdigest()


def _variable(values: np.ndarray, dims: tuple[str, ...]) -> tuple[str, xr.Variable]:
    """How an array is stored, and the variable that stores it."""
    import xarray as xr

    encoding: dict[str, Any] = {"_FillValue": None}
    if values.nbytes >= LARGE and values.ndim:
        encoding["zlib"] = True
    kind = str(values.dtype)
    if values.dtype.kind == "O":
        plain = all(_writable(v) for v in values.flat)
        kind = "text" if plain else "json"
        if not plain:
            values = np.array([json.dumps(v) for v in values.flat], object).reshape(values.shape)
        encoding = {}
    elif values.dtype.kind == "b":
        values = values.astype(np.uint8)
    elif kind == "float16":
        values = values.astype(np.float32)
    return kind, xr.Variable(dims, values, encoding=encoding)


def _writable(text: str) -> bool:
    """Whether HDF5 can hold a text as it is."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


# --- reading -------------------------------------------------------------------------------


def read(
    path: str | os.PathLike[str], check: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], Arrays]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : str or path
    check : callable
        Gets the manifest before anything else is read, and raises if it is not understood.

    Raises
    ------
    DataError
        If there is no such file, it is another kind of file, or it is damaged.
    FitError
        If its arrays need more memory than is free; also a `MemoryError`.
    """
    import h5py
    import xarray as xr

    place = Path(path).expanduser()
    if not place.is_file():
        msg = f"there is no file {str(place)!r}; files are written by the method save(path)"
        raise NoFileError(errno.ENOENT, msg, str(place))
    try:
        with h5py.File(place):  # where it cannot be opened, h5netcdf would also write to stderr
            pass
        with xr.open_datatree(str(place), engine="h5netcdf", decode_cf=False) as tree:
            manifest = _manifest(tree, place)
            check(manifest)
            needed = sum(8.0 * math.prod(shape) for _, shape in manifest["arrays"].values())
            remedy = "free some, or take another copy: it may be damaged or made to fill the memory"
            check_memory(needed, f"reading {str(place)!r}", remedy)
            arrays = _arrays(tree, manifest)
            whole = checksum(manifest, arrays) == manifest["contents"]
    except (BayesmixError, MemoryError):
        raise
    except Exception as error:  # HDF5 has many ways to say so
        raise DataError(
            f"{str(place)!r} cannot be read: it is truncated or damaged, or no NetCDF-4 file at "
            f"all ({type(error).__name__}: {error}). bayesmix reads files that its method "
            "save(path) wrote; save the model again, or take another copy of the file"
        ) from error
    if not whole:
        raise DataError(
            f"{str(place)!r} is damaged or was edited: its contents are not what was written. Save "
            "the model again, or take another copy of the file"
        )
    return manifest, arrays


def _manifest(tree: xr.DataTree, place: Path) -> dict[str, Any]:
    text = tree.attrs.get(MANIFEST)
    manifest = json.loads(text) if isinstance(text, str) else None
    if isinstance(manifest, dict):
        return manifest
    groups = ", ".join(sorted(tree.children)) or "none"
    raise DataError(
        f"{str(place)!r} is a NetCDF-4 file, but not of bayesmix: it has no manifest (attribute "
        f"{MANIFEST!r}); its groups: {groups}. Use a file that save(path) wrote; xarray's "
        "open_datatree reads others"
    )


def _arrays(tree: xr.DataTree, manifest: Mapping[str, Any]) -> Arrays:
    arrays = Arrays()
    for name, (kind, shape) in manifest["arrays"].items():
        dtype = object if kind in ("text", "json") else np.dtype(kind)
        if 0 in shape:
            arrays.put(name, np.empty(shape, dtype))
            continue
        if tree[f"/{name}"].shape != tuple(shape):  # before it is read: it may be huge
            msg = f"the array {name!r} has the shape {tree[f'/{name}'].shape}, not {tuple(shape)}"
            raise ValueError(msg)
        values = np.asarray(tree[f"/{name}"].values)
        if kind == "json":
            texts = [json.loads(v) for v in values.flat]
            values = np.array(texts, object).reshape(values.shape)
        arrays.put(name, values.astype(dtype))
    return arrays


# Type, tag, what JSON holds, and how the value is made of it; subclasses first.  Members of a list
# are written as values themselves.
_TAGS: tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (float, "float", repr, float),
    (list, "list", list, list),
    (tuple, "tuple", list, tuple),
    (pd.Interval, "interval", lambda v: [v.left, v.right, v.closed], lambda v: pd.Interval(*v)),
    (pd.Timestamp, "timestamp", lambda v: v.isoformat(), pd.Timestamp),
    (pd.Timedelta, "timedelta", lambda v: v.isoformat(), pd.Timedelta),
    (
        pd.Period,
        "period",
        lambda v: [v.ordinal, v.freqstr],
        lambda v: pd.Period(ordinal=v[0], freq=v[1]),
    ),
    (datetime.datetime, "datetime", lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    (datetime.date, "date", lambda v: v.isoformat(), datetime.date.fromisoformat),
)


def as_json(value: Any, what: str) -> Any:
    """Write a value as something that JSON holds.

    Parameters
    ----------
    value : object
    what : str
        What messages call it.

    Raises
    ------
    DataError
        For any other object.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    for kind, tag, write, _ in _TAGS:
        if isinstance(value, kind) and value is not pd.NaT:
            written = write(value)
            if isinstance(written, list):
                written = [as_json(member, what) for member in written]
            return {tag: written}
    raise DataError(
        f"{what}: a value of type {type(value).__name__} cannot be saved; numbers, text, dates "
        "and intervals can"
    )


def from_json(written: Any) -> Any:
    """The value that `as_json` wrote."""
    if not isinstance(written, dict):
        return written
    ((tag, content),) = written.items()
    if isinstance(content, list):
        content = list(map(from_json, content))
    return next(make for _, t, _, make in _TAGS if t == tag)(content)
