"""Saving and loading: specifications, point fits and draws in one NetCDF-4 file.

The manifest is a JSON text, the root's attribute "bayesmix"; the columns that the formulas use
and all numbers are arrays.  A design is not stored: it is made again of formulas and columns,
and its checksum compared.  Nothing in a file is code: a formula is evaluated by `formula` alone,
with its transformations and the functions that the caller gives by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from bayesmix.errors import BayesmixError, DataError
from bayesmix.families import Family
from bayesmix.model import MixtureSpec
from bayesmix.posterior.drawn import Drawn
from bayesmix.results.fitted import Fitted
from bayesmix.storage.checkpoint import Checkpoint
from bayesmix.storage.file import Arrays, read, write
from bayesmix.storage.fits import (
    pack_drawn,
    pack_fitted,
    pack_given,
    unpack_drawn,
    unpack_fitted,
    unpack_given,
)
from bayesmix.storage.model import pack_spec, unpack_spec

# 2: models of competing events.  3: the checksum is of the manifest too.  Earlier formats are read
# alike.
FORMAT = 3
READ = (1, 2, 3)
KINDS = {"spec": "a specification", "point": "a point fit", "posterior": "draws"}


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Parameters
    ----------
    kind : str
        "spec", "point" or "posterior".
    value : MixtureSpec, Fitted or Drawn
    priors : None, "flat" or dict
        As they were given to the model.
    """

    kind: str
    value: MixtureSpec | Fitted | Drawn
    priors: Any = None


def save(
    path: str | os.PathLike[str], value: MixtureSpec | Fitted | Drawn, priors: Any = None
) -> None:
    """Write a file; one that is there is replaced only by a whole new one.

    Parameters
    ----------
    path : str or path
    value : MixtureSpec, Fitted or Drawn
    priors : None, "flat" or dict, optional
        As given to the model.

    Raises
    ------
    DataError
        If the folder does not exist, or a column holds what a file cannot.
    """
    arrays = Arrays()
    spec = value if isinstance(value, MixtureSpec) else value.spec
    manifest = {
        "format": FORMAT,
        "kind": "spec",
        "bayesmix": version("bayesmix"),
        **pack_spec(arrays, spec),
    }
    manifest["call"]["priors"] = pack_given(priors)
    if isinstance(value, Fitted):
        manifest |= {"kind": "point", "point": pack_fitted(arrays, value)}
    elif isinstance(value, Drawn):
        manifest |= {"kind": "posterior", "posterior": pack_drawn(arrays, value)}
    write(path, manifest, arrays)


def load(
    path: str | os.PathLike[str],
    functions: Mapping[str, Any] | None = None,
    families: Mapping[str, Family] | None = None,
) -> Stored:
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or path
    functions : mapping of str to object, optional
        The user's functions that the formulas use.
    families : mapping of str to Family, optional
        The user's families.

    Raises
    ------
    DataError
        If the file is missing, damaged, of another kind or format, if it needs an object that
        is not given, or if the model is no longer what it was.
    FitError
        If its arrays need more memory than is free; also a `MemoryError`.
    """
    manifest, arrays = read(path, lambda found: _check(path, found))
    kind = manifest["kind"]
    try:
        spec = unpack_spec(arrays, manifest, functions, families)
        value: MixtureSpec | Fitted | Drawn = spec
        if kind == "point":
            value = unpack_fitted(arrays, manifest["point"], spec)
        elif kind == "posterior":
            value = unpack_drawn(arrays, manifest["posterior"], spec)
        priors = unpack_given(manifest["call"]["priors"])
    except BayesmixError as error:
        raise DataError(f"{os.fspath(path)!r}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # an edited manifest of an early format can hold anything
        raise DataError(
            f"{os.fspath(path)!r} is damaged or was edited: its description of the model makes "
            f"no sense ({type(error).__name__}: {error}). Save the model again, or take another "
            "copy of the file"
        ) from error
    return Stored(kind, value, priors)


def _check(path: str | os.PathLike[str], manifest: Mapping[str, Any]) -> None:
    """Refuse formats and kinds that this version does not know."""
    found, kind = manifest.get("format"), manifest.get("kind")
    written = f"{os.fspath(path)!r} was written by bayesmix {manifest.get('bayesmix')}"
    if found not in READ:
        raise DataError(
            f"{written} in format {found!r}; this version, {version('bayesmix')}, reads the "
            f"formats {', '.join(map(str, READ))}. Use the version that wrote it or a newer "
            "one, or save the model again"
        )
    if kind == "checkpoint":
        raise DataError(
            f"{os.fspath(path)!r} is the checkpoint of a run, not its result; the same call of "
            "fit() or select(), with checkpoint=, continues it"
        )
    if kind not in KINDS:
        known = ", ".join(f"{name!r} ({words})" for name, words in KINDS.items())
        raise DataError(
            f"{written} and holds {kind!r}; this version, {version('bayesmix')}, reads {known}. "
            "Use the version that wrote it or a newer one"
        )
