"""Compiled densities handed to nutpie by address: the only module that knows its private fields.

nutpie's public way to a density of one's own, `from_pyfunc`, calls Python for every gradient.  Its
models of PyMC hold two C functions and the address of their last argument instead.  What they
look like is checked before it is used, and where anything differs there is no native model.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bayesmix.kernels import Density

logger = logging.getLogger("bayesmix")
NAME = "z"


class _Later(ModuleType):
    """A stand-in for a module, which is imported once something in it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_nutpie() -> None:
    """Import nutpie, with ArviZ only where nutpie uses it: for its own trees, never for raw draws.

    ArviZ imports all of matplotlib, which takes half a second.
    """
    later = _Later("arviz")
    if sys.modules.setdefault("arviz", later) is later:
        try:
            importlib.import_module("nutpie")
        finally:
            if sys.modules.get("arviz") is later:
                del sys.modules["arviz"]


@dataclass(frozen=True)
class _Function:
    """What nutpie asks of a compiled function; `owner` keeps it and its data alive."""

    address: int
    owner: Density


def native_model(density: Density, first_point: Callable[[int], np.ndarray]) -> Any | None:
    """A model for `nutpie.sample` that runs no Python; None where this nutpie has another form.

    Parameters
    ----------
    density : Density
    first_point : callable
        From a chain's seed to its first point, shape (f,).
    """
    reason = _difference()
    if not reason:
        try:
            model = _make(density, first_point)
            model._make_model(None)
        except Exception as error:  # noqa: BLE001  (whatever another version does)
            reason = repr(error)
        else:
            return model
    _tell(reason)
    return None


def _make(density: Density, first_point: Callable[[int], np.ndarray]) -> Any:
    from nutpie.compile_pymc import CompiledPyMCModel

    return CompiledPyMCModel(**_fields(density, first_point))


def _fields(density: Any, first_point: Any) -> dict[str, Any]:
    size = density.size
    return {
        "dims": {NAME: ("free",)},
        "compiled_logp_func": _Function(density.address, density),
        "compiled_expand_func": _Function(density.copy_address, density),
        "initial_point_func": first_point,
        "shared_data": {},
        "shared_var_keys": {},
        "user_data": density.arguments,
        "n_expanded": size,
        "shape_info": ([NAME], [slice(0, size)], [(size,)]),
        "logp_func": None,
        "expand_func": None,
        "_n_dim": size,
        "_shapes": {NAME: (size,)},
        "_coords": {"free": np.arange(size)},
    }


@functools.cache
def _difference() -> str:
    """How this nutpie differs from what `_make` relies on; empty where it does not."""
    try:
        from nutpie import compile_pymc

        fields = dataclasses.fields(compile_pymc.CompiledPyMCModel)
        signatures = _signatures(compile_pymc)
    except Exception as error:  # noqa: BLE001  (whatever another version does)
        return repr(error)
    given = set(_fields(_Example, None))
    needed = {f.name for f in fields if _is_needed(f)}
    if not needed <= given <= {f.name for f in fields}:
        return f"its compiled model has the fields {sorted(f.name for f in fields)}"
    expected = _expected_signatures()
    if signatures != expected:
        return f"its functions have the signatures {signatures}, not {expected}"
    return ""


class _Example:
    """A density of one dimension, for the names of the fields."""

    size, address, copy_address, arguments = 1, 0, 0, None


def _is_needed(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _signatures(compile_pymc: Any) -> tuple[Any, Any]:
    """The C signatures of the functions that nutpie compiles; nothing is compiled here."""
    nothing = np.zeros(())
    _, density = compile_pymc._make_c_logp_func(1, abs, nothing, [], {})
    _, expand = compile_pymc._make_c_expand_func(1, 1, abs, nothing, [], {})
    return density, expand


def _expected_signatures() -> tuple[Any, Any]:
    from numba import types

    numbers = types.CPointer(types.double)
    size = types.uint64
    return (
        types.int64(size, numbers, numbers, numbers, types.voidptr),
        types.int64(size, size, numbers, numbers, types.voidptr),
    )


@functools.cache
def _tell(reason: str) -> None:
    logger.warning(
        "nutpie is used by its public from_pyfunc, which takes more time: bayesmix does not know "
        "the compiled models of this version (%s)",
        reason,
    )
