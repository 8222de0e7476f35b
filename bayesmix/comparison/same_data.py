"""Whether two fits are to the same data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.shown import type_name
from bayesmix.errors import SpecError
from bayesmix.formula.sources.stream import Block
from bayesmix.formula.times import Times
from bayesmix.model import MixtureSpec
from bayesmix.model.parts import Events


def mixture_spec(fit: Any) -> MixtureSpec:
    """The frozen specification of a fit."""
    spec = fit.spec
    while not isinstance(spec, MixtureSpec):
        spec = spec.spec
    return spec


def check_fits(fits: Any, call: str) -> dict[str, Any]:
    """Take two or more fits by name.

    Raises
    ------
    SpecError
        If there are fewer, or something in it is not a fit.
    """
    example = f"{call}({{'two': fit2, 'three': fit3}})"
    if not isinstance(fits, Mapping) or len(fits) < 2:
        given = f"{len(fits)} of them" if isinstance(fits, Mapping) else type(fits).__name__
        msg = f"{call}() takes a dict of at least two fits by name, as in {example}; given {given}"
        raise SpecError(msg)
    for name, fit in fits.items():
        if not hasattr(fit, "spec") or not hasattr(fit, "summary"):
            msg = f"{call}(): {name!r} is {type_name(fit)}, not a fit; see {example}"
            raise SpecError(msg)
    return {str(name): fit for name, fit in fits.items()}


def _digest(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(b"none" if values is None else np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def _numbers(values: np.ndarray | None) -> np.ndarray | None:
    # Adding zero makes one number of 0.0 and -0.0.
    return None if values is None else np.asarray(values, np.float64) + 0.0


def fingerprint(spec: MixtureSpec) -> dict[str, Any]:
    """What makes up the data of a likelihood, as numbers and digests.

    Two specifications have comparable likelihoods where these agree.  The order of
    the rows counts; covariates, names of units and weights that are all one do not.

    Parameters
    ----------
    spec : MixtureSpec

    Returns
    -------
    dict
        `rows` and `units`, their numbers; `responses`, digests of values and trials
        by name, of a time's bounds and its entry; and digests of `unit_codes` (the unit of
        each row), `weights`, `labels` (known components) and `events` (those each row
        had), None where there are none.  Of rows in `blocks` the sums of hashes of the
        columns, which their order and the cuts do not change.
    """
    rows = spec.rows
    if rows.stream is not None:
        return _of_blocks(spec)
    events = spec.prepared.events
    responses = {
        block.response.name: _digest(_numbers(block.response.y), _numbers(block.response.trials))
        for block in rows.blocks
        if block.response is not None
    }
    responses |= {name: _digest(*_bounds(times)) for name, times in spec.prepared.times.items()}
    weight = rows.weight
    labels = spec.prepared.labels
    return {
        "rows": rows.n,
        "units": rows.n_units,
        "responses": responses,
        "unit_codes": _digest(np.asarray(rows.units.codes, np.int64)),
        "weights": None if weight is None or (weight == 1).all() else _digest(_numbers(weight)),
        "labels": None
        if labels is None
        else _digest(np.asarray(labels.codes, np.int64), np.array(labels.categories.map(str), "U")),
        "events": None if events is None else _known_events(spec, events),
        "blocks": False,
    }


def _of_blocks(spec: MixtureSpec) -> dict[str, Any]:
    """The same of rows in blocks, in one pass."""
    prepared, rows = spec.prepared, spec.rows
    stream: Any = rows.stream
    single = {
        "unit_codes": prepared.group,
        "weights": prepared.weights_column,
        "labels": prepared.labels_column,
        "events": prepared.events_column,
    }
    columns = {r.response.name: r.response.columns for r in prepared.readings}
    used = {(name,): (name,) for name in single.values() if name is not None} | columns
    parts = list(stream.map(partial(_hashes, used)))
    sums = {key: hex(sum(part[key] for part in parts) % 2**64) for key in used}
    return {
        "rows": rows.n,
        "units": rows.n_units,
        "responses": {name: sums[name] for name in columns},
        **{key: None if name is None else sums[name,] for key, name in single.items()},
        "blocks": True,
    }


def _hashes(columns: Mapping[Any, Sequence[str]], block: Block) -> dict[Any, int]:
    """Sums over rows of the hashes of some columns, by their key."""
    return {
        key: int(pd.util.hash_pandas_object(block.frame[list(own)], index=False).sum())
        for key, own in columns.items()
    }


def _bounds(times: Times) -> tuple[Any, ...]:
    """What is known of times."""
    own = () if times.background is None else (times.background,)
    return tuple(_numbers(v) for v in (times.lower, times.upper, times.entry, *own))


def _known_events(spec: MixtureSpec, events: Events) -> str:
    """Which events each row may have had, as their names; all as no name."""
    codes = spec.prepared.table[events.column]
    known = codes.notna().to_numpy()
    names = np.where(known, codes.astype(str).to_numpy(dtype=object), "")
    partial = sorted((str(code), sorted(map(str, may))) for code, may in events.partial.items())
    return _digest(names.astype("U"), np.array(repr(partial), "U"))


def differences(
    one: Mapping[str, Any], other: Mapping[str, Any], keys: Sequence[str] | None = None
) -> list[str]:
    """Name in words what differs between two fingerprints; empty where nothing does.

    Parameters
    ----------
    one, other : dict
        From `fingerprint`.
    keys : sequence of str, optional
        What to look at; everything by default.
    """
    keys = list(one) if keys is None else keys
    if one["blocks"] != other["blocks"]:
        return ["whether the rows come in blocks"]
    if "rows" in keys and one["rows"] != other["rows"]:
        return [f"the number of rows ({one['rows']} and {other['rows']})"]
    words = []
    if "responses" in keys:
        words += _responses(one["responses"], other["responses"])
    if "units" in keys and one["units"] != other["units"]:
        words.append(f"the number of units ({one['units']} and {other['units']})")
    elif "unit_codes" in keys and one["unit_codes"] != other["unit_codes"]:
        words.append("the units (which rows belong together)")
    named = {
        "weights": "the case weights",
        "labels": "the known labels",
        "events": "the events that happened",
    }
    return words + [w for k, w in named.items() if k in keys and one[k] != other[k]]


def _responses(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    if sorted(one.values()) == sorted(other.values()):
        return []
    if set(one) == set(other):
        changed = [name for name in one if one[name] != other[name]]
        return [f"the values of the response {', '.join(changed)}"]
    return [f"the responses ({', '.join(one)} and {', '.join(other)})"]


def check_same_data(fits: Mapping[str, Any], call: str, keys: Sequence[str] | None = None) -> None:
    """Refuse fits to different data.

    Raises
    ------
    SpecError
        Naming the fits and what differs.
    """
    (first, fit), *others = fits.items()
    mine = fingerprint(mixture_spec(fit))
    for name, other in others:
        words = differences(mine, fingerprint(mixture_spec(other)), keys)
        if words:
            msg = (
                f"{call}() needs fits to the same data, rows in the same order; {first!r} and "
                f"{name!r} differ in {' and '.join(words)}"
            )
            raise SpecError(msg)
