"""What a long run has made so far, in one file that is replaced whole after each part."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from bayesmix._arguments.files import target_file
from bayesmix.errors import DataError
from bayesmix.model import MixtureSpec
from bayesmix.results.fitted import Fitted
from bayesmix.storage.file import WHOLE, Arrays, read, write
from bayesmix.storage.fits import pack_fitted, pack_given, unpack_fitted
from bayesmix.storage.model import pack_state, unpack_state
from bayesmix.storage.objects import fingerprints

KIND = "checkpoint"


class Checkpoint:
    """Parts of a run by name: arrays, or point fits.

    Parameters
    ----------
    path : str or path
        A file that is there has to be of the same run.
    spec : MixtureSpec
    priors : None, "flat" or dict
    options : mapping of str to object
        Of the call; `seed` is an integer, or None for a random one that the file keeps.

    Raises
    ------
    DataError
        If the file is of another run, or no checkpoint at all.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        spec: MixtureSpec,
        priors: Any,
        options: Mapping[str, Any],
    ) -> None:
        self.path = target_file(path, "run.nc")
        self._arrays, self._parts = Arrays(), dict[str, Any]()
        self._run = _description(spec, priors, options)
        self.seed: int = secrets.randbelow(2**31)
        if options.get("seed") is not None:
            self.seed = int(options["seed"])
        if self.path.exists():
            manifest, self._arrays = read(self.path, self._check)
            self._parts, self.seed = manifest["parts"], manifest["seed"]
        else:
            self._write()

    def get(self, part: str) -> dict[str, np.ndarray] | None:
        """The arrays of a part by name; None where it was not made yet."""
        if part not in self._parts:
            return None
        return {name: self._arrays.get(f"{part}/{name}") for name in self._parts[part]}

    def put(self, part: str, values: Mapping[str, np.ndarray]) -> None:
        """Keep a part of the run, and write the file."""
        for name, array in values.items():
            self._arrays.put(f"{part}/{name}", array)
        self._parts[part] = list(values)
        self._write()

    def get_fit(self, part: str, spec: MixtureSpec) -> Fitted | None:
        """A point fit of a specification; None where it was not made yet."""
        entry = self._parts.get(part)
        if entry is None:
            return None
        own = Arrays()
        for name, values in self._arrays.values.items():
            if name.startswith(f"{part}/"):
                own.put(name.removeprefix(f"{part}/"), values, *self._arrays.dims[name])
        return unpack_fitted(own, entry["fit"], unpack_state(spec, entry["state"]))

    def put_fit(self, part: str, fitted: Fitted) -> None:
        """Keep a point fit, and write the file."""
        own = Arrays()
        entry = {"fit": pack_fitted(own, fitted), "state": pack_state(fitted.spec)}
        for name, values in own.values.items():
            # Names of dimensions are of one fit: others have other lengths.
            self._arrays.put(f"{part}/{name}", values, *(f"{part}_{d}" for d in own.dims[name]))
        self._parts[part] = entry
        self._write()

    def _write(self) -> None:
        manifest = {
            "format": WHOLE,
            "kind": KIND,
            "bayesmix": version("bayesmix"),
            "run": self._run,
            "seed": self.seed,
            "parts": self._parts,
        }
        write(self.path, manifest, self._arrays)

    def _check(self, manifest: dict[str, Any]) -> None:
        """Refuse a file that is not of this run."""
        if manifest.get("kind") != KIND or not isinstance(manifest.get("run"), dict):
            raise DataError(
                f"checkpoint={str(self.path)!r} is a file, but no checkpoint; a run would replace "
                "it. Give another path"
            )
        then, now = manifest["run"], self._run
        differ = [name for name in {**then, **now} if then.get(name) != now.get(name)]
        if differ:
            shown = "; ".join(f"{n} was {then.get(n)}, now {now.get(n)}" for n in differ[:5])
            raise DataError(
                f"checkpoint={str(self.path)!r} belongs to another run ({shown}); give another "
                "path, or remove the file"
            )


def _description(spec: MixtureSpec, priors: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a run the same one: the model, its data and the options of the call."""
    model = {
        "checks": fingerprints(spec),
        "terms": [[c.effect, c.variable, c.term] for c in spec.layout.coordinates],
        "families": [f.name for block in spec.layout.blocks for f in block.families],
        "priors": pack_given(priors),
    }
    digest = hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
    given = {name: repr(value) for name, value in options.items() if value is not None}
    return {"the model or its data": digest[:16], **given}
