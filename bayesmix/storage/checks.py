"""Checksums of what a model makes of its data, so that a design made again is the same one.

A column is rounded to 2^-24 of its largest value and hashed.  A value near the edge of a
rounding step may hash otherwise on another machine, whose logarithm differs in the last digit;
so where hashes differ, a projection of the column decides, to a billionth of its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix.model import MixtureSpec

__all__ = ["differences", "fingerprints"]

STEPS = 24
TOLERANCE = 1e-9
GOLDEN = 0.6180339887498949


def fingerprints(spec: MixtureSpec) -> dict[str, dict[str, Any]]:
    """Fingerprints by what they are of, in words: columns, offsets, responses, units, weights."""
    rows = spec.rows
    out: dict[str, dict[str, Any]] = {}
    for layout, block in zip(spec.layout.blocks, rows.blocks, strict=True):
        name = layout.name
        assert block.response is not None
        out[f"the response {name!r}"] = fingerprint(block.response.y)
        if block.response.trials is not None:
            out[f"the trials of {name!r}"] = fingerprint(block.response.trials)
        if block.offset is not None:
            out[f"the offset of {name!r}"] = fingerprint(block.offset.ravel())
        for term, column in zip(layout.predictors[0].terms, block.matrix.T, strict=True):
            out[f"the term {term!r} of {name!r}"] = fingerprint(column)
    out |= _times(spec)
    out["the units"] = fingerprint(rows.units.codes)
    if rows.concomitant is not None:
        terms = spec.layout.concomitant_terms or ()
        for term, column in zip(terms, rows.concomitant.T, strict=True):
            out[f"the concomitant term {term!r}"] = fingerprint(column)
    if rows.weight is not None:
        out["the weights of the units"] = fingerprint(rows.weight)
    if rows.allowed is not None:
        out["the labels of the units"] = fingerprint(rows.allowed.ravel())
    return out


def _times(spec: MixtureSpec) -> dict[str, dict[str, Any]]:
    """Of the bounds of times, those of each event by itself, and of knots."""
    events = spec.prepared.events
    if events is None:
        found = {
            b.name: d.response for b, d in zip(spec.layout.blocks, spec.rows.blocks, strict=True)
        }
    else:
        found = {
            f"{part.response.name} of {name}": part.response
            for name, part in zip(events.names, events.parts, strict=True)
        }
    out = {}
    for name, response in found.items():
        if response is None or response.times is None:
            continue
        for bound in ("lower", "upper", "entry"):
            values = getattr(response.times, bound)
            finite = np.where(np.isinf(values), -1.0, values)
            out[f"the {bound} bounds of {name!r}"] = fingerprint(finite)
    blocks = spec.layout.blocks
    families = {key: f for b in blocks for key, f in zip(b.keys, b.families, strict=True)}
    knots = {key: f.options.get("knots") for key, f in families.items()}
    return out | {
        f"the knots of {name!r}": fingerprint(np.array(at)) for name, at in knots.items() if at
    }


def fingerprint(values: np.ndarray) -> dict[str, Any]:
    """A hash of rounded values (n,), their length and a projection."""
    x = np.asarray(values, dtype=np.float64)
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
