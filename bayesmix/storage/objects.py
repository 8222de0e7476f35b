"""What of the user's own a model needs: names in formulas, and families."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np

from bayesmix.errors import DataError, SpecError
from bayesmix.families import Family, remade, shipped
from bayesmix.formula.binding import MATHS, TRANSFORMS
from bayesmix.formula.scope import Scope
from bayesmix.model.prepare import Prepared
from bayesmix.storage.columns import pack, unpack
from bayesmix.storage.file import Arrays
from bayesmix.storage.values import as_json, from_json

__all__ = ["pack_families", "pack_scope", "unpack_families", "unpack_scope"]

# Larger arrays of the user's are not stored.
MOST = 10_000
OURS = frozenset({"I", "offset", "p", "surv", *TRANSFORMS})


# --- names in formulas ---------------------------------------------------------------------


def used_names(prepared: Prepared) -> dict[str, Any]:
    """The values of the user's scope that the formulas use, by name."""
    # The varying formula's design has the response's names too.
    formulas = [design.formula for part in prepared.parts for design in part.designs]
    formulas += [] if prepared.concomitant is None else [prepared.concomitant.formula]
    scope = prepared.scope
    names: list[str] = []
    for f in formulas:
        names += [n for n in (*f.names, *f.response_names) if n not in prepared.columns]
        names += [n for n in f.functions if _is_own(n, scope)]
    return {n: scope.peek(n) for n in dict.fromkeys(names) if n in scope}


def _is_own(name: str, scope: Scope) -> bool:
    """Whether a called function is the user's; of those, only one made with ``def`` hides ours."""
    if name in OURS or name not in scope:
        return False
    return name not in MATHS or isinstance(scope.peek(name), FunctionType)


def pack_scope(arrays: Arrays, prepared: Prepared) -> dict[str, dict[str, Any]]:
    """Describe the user's names: plain values by themselves, other objects by their type."""
    used = used_names(prepared).items()
    return {name: _described(arrays, f"scope/value_{i}", v) for i, (name, v) in enumerate(used)}


def _described(arrays: Arrays, at: str, value: Any) -> dict[str, Any]:
    if isinstance(value, np.ufunc):
        found = _ufuncs().get(value)
        return {"needed": "a ufunc"} if found is None else {"ufunc": found}
    try:
        if isinstance(value, np.ndarray) and value.size <= MOST:
            return {"array": pack(arrays, at, value)}
        return {"value": as_json(value, at)}
    except DataError:
        kind = "function" if callable(value) else type(value).__name__
        return {"needed": f"a {kind}"}


def _ufuncs() -> dict[np.ufunc, str]:
    """NumPy's and SciPy's elementwise functions, which a file may name."""
    from scipy import special

    return {
        function: f"{module.__name__}.{name}"
        for module in (special, np)
        for name, function in vars(module).items()
        if isinstance(function, np.ufunc)
    }


def unpack_scope(
    arrays: Arrays, described: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any] | None
) -> Scope:
    """The names that the formulas use, with the user's objects where they are needed.

    Parameters
    ----------
    arrays : Arrays
    described : mapping
        From `pack_scope`.
    given : mapping of str to object, or None
        The user's objects by name; ``np.log`` is found in ``{"np": np}`` too.

    Raises
    ------
    DataError
        Naming the objects that are not given.
    """
    own = Scope([given or {}])
    functions = {name: function for function, name in _ufuncs().items()}
    found: dict[str, Any] = {}
    missing: list[str] = []
    for name, entry in described.items():
        if "value" in entry:
            found[name] = from_json(entry["value"])
        elif "array" in entry:
            found[name] = unpack(arrays, entry["array"])
        elif entry.get("ufunc") in functions:
            found[name] = functions[entry["ufunc"]]
        elif name in own:
            found[name] = own.peek(name)
        else:
            missing.append(f"{name!r} ({entry.get('needed') or entry.get('ufunc')})")
    if missing:
        first = next(n for n in described if n not in found)
        msg = (
            f"the formulas use objects of yours that a file cannot hold: {', '.join(missing)}. "
            f"Define them as they were and give them, as in "
            f"bmx.load(path, scope={{{first!r}: ...}})"
        )
        raise DataError(msg)
    return Scope([found])


# --- families ------------------------------------------------------------------------------


def pack_families(given: Any) -> Any:
    """Describe `Regression.family`: shipped families by name and link, others by their name."""
    if isinstance(given, list | tuple):
        return [pack_families(f) for f in given]
    if not isinstance(given, Family):
        return given
    if (description := shipped(given)) is not None:
        return description
    return {"own": given.name, "location": given.location, "links": _links(given)}


def _links(f: Family) -> dict[str, str]:
    return {p.name: p.link.name for p in f.parameters}


def unpack_families(described: Any, given: Mapping[str, Family] | None) -> Any:
    """What `pack_families` described; families of the user's are those `given` by name.

    Raises
    ------
    DataError
        If a family is not given, or has other parameters than the one that was saved.
    """
    if not isinstance(described, list):
        return _family(described, given or {})
    # One object for each family: components of the same family share it.
    made = {json.dumps(f): _family(f, given or {}) for f in described}
    return [made[json.dumps(f)] for f in described]


def _family(described: Any, given: Mapping[str, Family]) -> Any:
    if isinstance(described, str):
        return described
    if "own" not in described:
        try:
            return remade(described)
        except SpecError as error:
            msg = f"the model has a family that this version does not have: {error}"
            raise DataError(msg) from error
    name = described["own"]
    found = given.get(name)
    if not isinstance(found, Family):
        msg = (
            f"the model has a family of your own, {name!r} with the parameters "
            f"{described['links']}, which a file cannot hold. Define it as it was and give it, as "
            f"in bmx.load(path, families={{{name!r}: ...}})"
        )
        raise DataError(msg)
    now = {"location": found.location, "links": _links(found)}
    then = {key: described[key] for key in now}
    if now != then or found.name != name:
        msg = (
            f"families[{name!r}] is {found.name!r} with {now}, but the model was saved with "
            f"{name!r} and {then}; give the same family"
        )
        raise DataError(msg)
    return found
