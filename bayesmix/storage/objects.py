"""What of the user's own a model needs: names in formulas, and families."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from bayesmix.errors import DataError, SpecError
from bayesmix.families import Family, remade, shipped
from bayesmix.formula.binding import MATHS, NUMPY, TRANSFORMS
from bayesmix.formula.scope import Scope
from bayesmix.model import MixtureSpec
from bayesmix.model.blocks import FamilyBlocks
from bayesmix.model.parts import Prepared
from bayesmix.storage.columns import pack, unpack
from bayesmix.storage.file import Arrays, as_json, from_json

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
        The user's objects by name.

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
        elif name not in NUMPY:  # early formats name functions such as np.where
            missing.append(f"{name!r} ({entry.get('needed') or entry.get('ufunc')})")
    if missing:
        first = next(n for n in described if n not in found)
        raise DataError(
            f"the formulas use objects of yours that a file cannot hold: {', '.join(missing)}. "
            f"Define them as they were and give them, as in "
            f"bmx.load(path, functions={{{first!r}: ...}})"
        )
    return Scope([found])


# --- families ------------------------------------------------------------------------------


def pack_families(given: Any) -> Any:
    """Describe `Regression.family`: shipped families by name and link, others by their name."""
    if isinstance(given, list | tuple):
        return [pack_families(f) for f in given]
    if isinstance(given, FamilyBlocks):
        return {"blocks": pack_families(given.families), "sizes": list(given.sizes)}
    if isinstance(given, Mapping):
        names = [as_json(name, "the name of a component") for name in given]
        return {"names": names, "families": [pack_families(f) for f in given.values()]}
    if not isinstance(given, Family):
        return given
    if (description := shipped(given)) is not None:
        return description
    return {"own": given.name, "location": _locations(given), "links": _links(given)}


def _locations(f: Family) -> Any:
    """The one location, or a list of several."""
    return list(f.locations) if len(f.locations) > 1 else f.location


def _links(f: Family) -> dict[str, str]:
    return {p.name: p.link.name for p in f.parameters}


def unpack_families(described: Any, given: Mapping[str, Family] | None) -> Any:
    """What `pack_families` described; families of the user's are those `given` by name.

    Raises
    ------
    DataError
        If a family is not given, or has other parameters than the one that was saved.
    """
    if isinstance(described, dict) and "blocks" in described:
        families = unpack_families(described["blocks"], given)
        return FamilyBlocks(tuple(families), tuple(described["sizes"]))
    if isinstance(described, dict) and "names" in described:
        names = [from_json(name) for name in described["names"]]
        return dict(zip(names, unpack_families(described["families"], given), strict=True))
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
        raise DataError(
            f"the model has a family of your own, {name!r} with the parameters "
            f"{described['links']}, which a file cannot hold. Define it as it was and give it, as "
            f"in bmx.load(path, families={{{name!r}: ...}})"
        )
    now = {"location": _locations(found), "links": _links(found)}
    then = {key: described[key] for key in now}
    if now != then or found.name != name:
        raise DataError(
            f"families[{name!r}] is {found.name!r} with {now}, but the model was saved with "
            f"{name!r} and {then}; give the same family"
        )
    return found


STEPS = 24
TOLERANCE = 1e-9
GOLDEN = 0.6180339887498949


def fingerprints(spec: MixtureSpec) -> dict[str, dict[str, Any]]:
    """Fingerprints by what they are of, in words: columns, offsets, responses, units, weights."""
    found = [*_of_responses(spec), *_of_times(spec), *_of_units(spec)]
    return {what: fingerprint(values) for what, values in found if values is not None}


def _of_responses(spec: MixtureSpec) -> Iterator[tuple[str, np.ndarray | None]]:
    for layout, block in zip(spec.layout.blocks, spec.rows.sample.blocks, strict=True):
        assert block.response is not None
        name, y = layout.name, block.response.y
        names = (name,) if y.ndim == 1 else layout.columns
        for part, column in zip(names, np.atleast_2d(y.T), strict=True):
            yield f"the response {part!r}", column
        yield f"the trials of {name!r}", block.response.trials
        yield f"the offset of {name!r}", block.offset
        for term, column in zip(layout.terms, block.matrix.T, strict=True):
            yield f"the term {term!r} of {name!r}", column


def _of_times(spec: MixtureSpec) -> Iterator[tuple[str, np.ndarray]]:
    """Of the bounds of times, those of each event by itself, and of knots."""
    for block, data in zip(spec.layout.blocks, spec.rows.sample.blocks, strict=True):
        own = zip(block.keys, data.own, strict=True) if data.own else ()
        found: dict[str, Any] = {f"{response.name} of {key}": response for key, response in own}
        for name, response in (found or {block.name: data.response}).items():
            for bound in ("lower", "upper", "entry"):
                if response.times is not None:
                    at = getattr(response.times, bound)
                    yield f"the {bound} bounds of {name!r}", np.where(np.isinf(at), -1.0, at)
        for key, family in zip(block.keys, block.families, strict=True):
            if knots := family.options.get("knots"):
                yield f"the knots of {key!r}", np.array(knots)


def _of_units(spec: MixtureSpec) -> Iterator[tuple[str, np.ndarray | None]]:
    rows = spec.rows.sample
    yield "the units", rows.units.codes
    columns = () if rows.concomitant is None else rows.concomitant.T
    for term, column in zip(spec.layout.concomitant_terms or (), columns, strict=True):
        yield f"the concomitant term {term!r}", column
    yield "the weights of the units", rows.weight
    yield "the labels of the units", rows.allowed


def fingerprint(values: np.ndarray) -> dict[str, Any]:
    """A hash of rounded values, their length and a projection.

    Missing values are a number of their own, beyond all others.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    missing = np.isnan(x)
    if missing.any():
        x = np.where(missing, 2 * np.abs(x[~missing]).max(initial=0.5), x)
    exponent = int(np.frexp(np.abs(x).max(initial=0.0))[1])
    x = np.ldexp(x, -exponent)  # between -1 and 1
    steps = np.rint(np.ldexp(x, STEPS)).astype("<i4")
    where = (np.arange(len(x)) * GOLDEN) % 1.0 - 0.5
    digest = hashlib.sha256(f"{len(x)} {exponent} ".encode() + steps.tobytes())
    sums = np.array([np.sqrt(np.sum(x * x)), np.sum(where * x)])
    with np.errstate(over="ignore"):
        length, projection = np.nan_to_num(np.ldexp(sums, exponent)).tolist()
    return {"sha256": digest.hexdigest(), "length": length, "projection": projection}


def differences(
    then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """What differs, in words; empty where all is the same."""
    changed = [what for what in then if what in now and not _same(then[what], now[what])]
    gone = [f"{what} (no longer there)" for what in then if what not in now]
    new = [f"{what} (not there before)" for what in now if what not in then]
    return [*changed, *gone, *new]


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if a["sha256"] == b["sha256"]:
        return True
    most = TOLERANCE * a["length"]
    return all(abs(a[key] - b[key]) <= most for key in ("length", "projection"))
