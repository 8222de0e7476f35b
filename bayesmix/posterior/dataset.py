"""Datasets that a DataTree and a file can hold, whatever the responses are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.model.data import DIMS
from bayesmix.model.params import plain_name

if TYPE_CHECKING:
    import xarray as xr


def dataset(variables: Mapping[str, tuple[Any, Any]], coords: Mapping[str, Any]) -> xr.Dataset:
    """A Dataset of variables that are called as users wrote them.

    As in the PyMC model a slash becomes an underscore, since it separates the groups of a
    DataTree, and a name that is already that of a dimension has one more at its end.

    Parameters
    ----------
    variables : mapping of str to (dims, values)
    coords : mapping of str to array_like
        Those of chains and draws are their numbers.
    """
    import xarray as xr

    taken = {plain_name(dim) for written, _ in variables.values() for dim in written}
    counted = {
        dim: np.arange(n)
        for written, values in variables.values()
        for dim, n in zip(written, np.shape(values), strict=True)
        if dim in ("chain", "draw")
    }
    labels = counted | {plain_name(name): values for name, values in coords.items()}
    taken |= {*DIMS, *labels}
    out: dict[str, Any] = {}
    for name, (written, values) in variables.items():
        plain = plain_name(name)
        while plain in taken or plain in out:
            plain += "_"
        # A copy: what a result hands out may be written into.
        out[plain] = (tuple(plain_name(dim) for dim in written), np.array(values))
    return xr.Dataset(out, labels)
