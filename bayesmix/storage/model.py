"""A specification as a manifest and arrays, and the same one made again of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import BayesmixError, DataError, DataWarning
from bayesmix.estimation.reduce import without_components
from bayesmix.families import Family
from bayesmix.formula.sources import pack_stream, unpack_stream
from bayesmix.model import MixtureSpec, assemble
from bayesmix.model.events import prepare_components
from bayesmix.model.parts import Events, Part, Prepared, Regression
from bayesmix.model.prepare import prepare
from bayesmix.model.smooth import smoothed
from bayesmix.model.weights import WeightModel
from bayesmix.storage.columns import pack, pack_frame, unpack, unpack_frame
from bayesmix.storage.file import Arrays, as_json, from_json
from bayesmix.storage.objects import (
    differences,
    fingerprints,
    pack_families,
    pack_scope,
    unpack_families,
    unpack_scope,
)


def pack_events(part: Part, events: Events) -> dict[str, Any]:
    """Describe what a user wrote about competing events, event by event in their order."""
    return {
        "column": events.column,
        **pack_families(part.regression.family),  # names and families
        "formulas": [reading.formula.text for reading in part.readings],
        "ancillary": [
            {name: design.formula.text for name, design in reading.ancillary.items()}
            for reading in part.readings
        ],
        "partial": [[_name(code), [_name(e) for e in may]] for code, may in events.partial.items()],
        "truncation": events.truncation,
    }


def unpack_events(
    described: Mapping[str, Any], families: Mapping[str, Family] | None
) -> dict[str, Any]:
    """Arguments of `prepare_components`, all but those that every model has.

    Parameters
    ----------
    described : mapping
        From `pack_events`.
    families : mapping of str to Family, or None
        The user's families.
    """
    made = unpack_families({key: described[key] for key in ("names", "families")}, families)
    partial = {
        from_json(code): tuple(from_json(e) for e in may) for code, may in described["partial"]
    }
    return {
        "event": described["column"],
        "families": made,
        "formula": dict(zip(made, described["formulas"], strict=True)),
        "ancillary": dict(zip(made, described["ancillary"], strict=True)),
        "partial": partial,
        "truncation": described["truncation"],
    }


def _name(event: Any) -> Any:
    return as_json(event, "the name of an event")


# Their functions and types decide what a design is.
LIBRARIES = ("formulae", "numpy", "pandas")


def pack_spec(arrays: Arrays, spec: MixtureSpec) -> dict[str, Any]:
    """Describe a specification; the columns that its formulas use go to the arrays.

    Of rows that come in blocks the sample goes there, and where the files are.
    """
    prepared = spec.prepared
    part, events = prepared.parts[0], prepared.events
    labels = prepared.labels
    rows = None if labels is None else labels.take(prepared.units.codes)
    return {
        "libraries": {name: version(name) for name in LIBRARIES},
        "call": {
            "responses": [] if events else [_regression(p) for p in prepared.parts],
            "k": len(spec.whole or spec.components),
            "concomitant": (
                None if prepared.concomitant is None else prepared.concomitant.formula.text
            ),
            "group": prepared.group,
            "weights": prepared.weights_column,
            "labels": prepared.labels_column,
            "events": None if events is None else pack_events(part, events),
            # Nothing else is missing in the rows that are stored: "error" would do for "drop".
            "na_action": prepared.na_action,
        },
        "n_dropped": prepared.n_dropped,
        "stream": None if prepared.stream is None else pack_stream(prepared.stream),
        "constants": None if prepared.constants is None else list(prepared.constants),
        "data": pack_frame(arrays, "training", prepared.data),
        "labels": None if rows is None else pack(arrays, "training/labels", rows, "row"),
        "scope": pack_scope(arrays, prepared),
        "components": [as_json(c, "a component's name") for c in spec.components],
        **pack_state(spec),
        "parameters": _parameters(spec),
        "checks": fingerprints(spec),
    }


def pack_state(spec: MixtureSpec) -> dict[str, Any]:
    """What became of a specification since it was written: components removed, parameters held."""
    held, whole = spec.weights.held, spec.whole or spec.components
    return {
        "kept": [whole.index(name) for name in spec.components],
        "symmetric": [list(members) for members in spec.layout.symmetric],
        "held": [[int(at), float(value)] for at, value in spec.held.items()],
        "smooth": list(dict.fromkeys(smooth.term for smooth in spec.smooths)),
        "held_weights": (
            None if held is None else [None if np.isnan(w) else float(w) for w in held]
        ),
    }


def unpack_state(whole: MixtureSpec, state: Mapping[str, Any]) -> MixtureSpec:
    """A specification as `pack_state` found it, from the one that was written."""
    kept, held = state["kept"], state["held_weights"]
    spec = whole if kept == list(range(whole.k)) else without_components(whole, kept)
    spec = smoothed(spec, state.get("smooth", ()))
    layout = replace(spec.layout, symmetric=tuple(map(tuple, state["symmetric"])))
    known = None if held is None else np.array([np.nan if w is None else w for w in held])
    weights = WeightModel(layout.alpha, known)
    return replace(spec, layout=layout, weights=weights, held=dict(state["held"]))


def _regression(part: Part) -> dict[str, Any]:
    return {**vars(part.regression), "family": pack_families(part.regression.family)}


def _parameters(spec: MixtureSpec) -> list[list[Any]]:
    return [[c.effect, c.variable, c.term, list(c.components)] for c in spec.layout.coordinates]


# --- made again ----------------------------------------------------------------------------


def unpack_spec(
    arrays: Arrays,
    manifest: Mapping[str, Any],
    functions: Mapping[str, Any] | None,
    families: Mapping[str, Family] | None,
) -> MixtureSpec:
    """Make the specification again: formulas on the stored columns.

    Parameters
    ----------
    arrays : Arrays
    manifest : mapping
        From `pack_spec`.
    functions : mapping of str to object, or None
        The user's functions that the formulas use.
    families : mapping of str to Family, or None
        The user's families.

    Raises
    ------
    DataError
        If an object of the user's is missing, or the designs are no longer the same.
    """
    prepared_by, arguments = _arguments(manifest["call"], families)
    names = unpack_scope(arrays, manifest["scope"], functions)
    data, labels = unpack_frame(arrays, manifest["data"]), manifest["call"]["labels"]
    if labels is not None and labels not in data.columns:
        data[labels] = pd.Series(unpack(arrays, manifest["labels"]), index=data.index)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # given when the model was written
            known = manifest.get("constants")
            prepared = prepared_by(data=data, scope=names, known=known, **arguments)
        stream = None if manifest.get("stream") is None else unpack_stream(manifest["stream"])
        prepared = replace(prepared, n_dropped=manifest["n_dropped"], stream=stream)
        whole = assemble(prepared, manifest["call"]["k"])
    except BayesmixError as error:
        msg = f"the model cannot be rebuilt from the stored data: {error}. {_origin(manifest)}"
        raise DataError(msg) from error
    spec = unpack_state(whole, manifest)
    _check(spec, manifest)
    return spec


def _arguments(
    call: Mapping[str, Any], families: Mapping[str, Family] | None
) -> tuple[Callable[..., Prepared], dict[str, Any]]:
    """The function that prepared the model, and what it was given beside the data."""
    na_action = "fiml" if call.get("na_action") == "fiml" else "error"
    common = {"concomitant": call["concomitant"], "weights": call["weights"]}
    common["na_action"] = na_action
    if (events := call.get("events")) is not None:  # format 1 has none
        return prepare_components, unpack_events(events, families) | common
    regressions = [_written(described, families) for described in call["responses"]]
    own = {"regressions": regressions, "group": call["group"], "labels": call["labels"]}
    return prepare, own | common


def _written(described: Mapping[str, Any], families: Mapping[str, Family] | None) -> Regression:
    return Regression(**{**described, "family": unpack_families(described["family"], families)})


def _check(spec: MixtureSpec, manifest: Mapping[str, Any]) -> None:
    differing = differences(manifest["checks"], fingerprints(spec))
    if not differing and manifest["parameters"] != _parameters(spec):
        differing = ["the order of the parameters"]
    if differing:
        shown = "; ".join(differing[:5]) + ("; ..." if len(differing) > 5 else "")
        raise DataError(
            "the formulas on the stored data no longer give the design that was fitted. What "
            f"differs: {shown}. {_origin(manifest)}"
        )


def _origin(manifest: Mapping[str, Any]) -> str:
    """What may have changed since the file was written, and what to do."""
    then = manifest["libraries"]
    now = {name: version(name) for name in LIBRARIES}
    changed = [f"{n} {then[n]} (here {now[n]})" for n in LIBRARIES if then.get(n) != now[n]]
    changed += [f"your {name!r}" for name, entry in manifest["scope"].items() if "needed" in entry]
    since = f" with {', '.join(changed)}" if changed else ""
    return (
        f"The file was written by bayesmix {manifest['bayesmix']}{since}: load it with the same "
        "versions and functions, or fit the model again"
    )
