"""The unit and the centre of a response, and what of its density depends on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families import Family, Observed
from bayesmix.families.survival.start import working
from bayesmix.families.units import is_centred
from bayesmix.formula.response import Response, middle
from bayesmix.formula.times import EXACT, Times
from bayesmix.model.layout import BlockLayout
from bayesmix.model.rows import BlockRows

# The largest rounding error of centred responses, in units of their usual distance.
ROUNDED = 1e-6


class Inconsistent(Exception):
    """Components that share a parameter would need different values of it."""


class Units(NamedTuple):
    """The unit and the centre of a response; 1 and 0 where it has none.

    Of a response of several columns one of each, (q,).
    """

    unit: Any
    centre: Any

    @property
    def are_own(self) -> bool:
        """Whether responses stay as they are."""
        return np.ndim(self.unit) == 0 and self == OWN

    def coarser(self) -> Iterator[Units]:
        """These, then with as much left out as components, or columns, may disagree about."""
        yield self
        if self.are_own:
            return
        if np.ndim(self.unit):
            yield self._replace(unit=np.exp(np.mean(np.log(self.unit), keepdims=True)))
        yield self._replace(centre=0.0 * self.centre)


# Of responses that stay as they are.
OWN = Units(1.0, 0.0)


def units_of(layout: BlockLayout, rows: BlockRows, weight: np.ndarray) -> Units:
    """Where the responses are and how far they spread; times: their geometric mean."""
    given = [f for f in layout.families if not is_apart(f, rows)]
    families = [f for f in given if f.location is not None]
    if not families or any(f.units is None and f.in_units is None for f in given):
        return OWN
    if layout.survival:
        return Units(_middle_time(rows, weight), 0.0)
    rows, by_row = rows.seen(weight)
    weight = weight if by_row is None else by_row
    y: np.ndarray = next(
        rows.observed[key].y
        for f, key in zip(layout.families, layout.keys, strict=True)
        if not is_apart(f, rows)
    )
    centred = all(is_centred(f) for f in families)
    if y.ndim == 1:
        return _own_units(y, weight, centred=centred)
    columns = []
    for column in y.T:
        there = ~np.isnan(column)
        w = np.broadcast_to(weight, there.shape)[there]
        columns.append(_own_units(column[there], w / w.sum(), centred=centred))
    return Units(*(np.array(values) for values in zip(*columns, strict=True)))


def _own_units(y: np.ndarray, weight: np.ndarray, *, centred: bool) -> Units:
    """Of one column."""
    top = float(np.abs(y).max(initial=0.0)) or 1.0
    y = y / top
    centre = float((weight * y).sum())
    if not centred:
        return Units(top * float(np.sqrt((weight * y * y).sum())) or 1.0, 0.0)
    if _rounded_away(y, centre):
        return OWN
    return Units(top * float(np.sqrt((weight * np.square(y - centre)).sum())) or 1.0, top * centre)


def is_apart(family: Family, rows: BlockRows) -> bool:
    """Whether a family is an atom beside densities: its rows are known, in any unit."""
    return family.atom is not None and rows.allowed is not None


def _rounded_away(y: np.ndarray, centre: float) -> bool:
    """Whether taking the centre off loses how most responses differ: others are too far out."""
    if not len(y):
        return False
    spread = float(np.median(np.abs(y - np.median(y))))
    error = np.abs((y - centre) + centre - y)
    return spread > 0 and float(error.max()) > ROUNDED * spread


def _middle_time(rows: BlockRows, weight: np.ndarray) -> float:
    logs, counts = [], []
    for obs in rows.observed.values():
        assert obs.times is not None
        known = np.isfinite(obs.times.upper) | (obs.times.lower > 0)
        logs.append(working(obs.times.take(known)))
        counts.append(np.broadcast_to(weight, known.shape)[known])
    total = np.concatenate(counts)
    return float(np.exp(np.average(np.concatenate(logs), weights=total))) if total.any() else 1.0


def measured(obs: Observed, family: Family, units: Units, name: str) -> Observed:
    """A response in standard units, as its family reads it."""
    kind = "survival" if obs.times is not None else family.reads or "numeric"
    given = Response(name, kind, obs.y, None, (), obs.times, there=obs.there, limits=obs.limits)
    read = family.observe(in_units(given, units))
    return read._replace(cluster=obs.cluster, effects=obs.effects)


def in_units(response: Response, units: Units) -> Response:
    """A response in standard units."""
    if response.times is None:
        limits = response.limits and response.limits.measured(units.centre, units.unit)
        return replace(response, y=(response.y - units.centre) / units.unit, limits=limits)
    lower, upper, entry = (
        t / units.unit for t in (response.times.lower, response.times.upper, response.times.entry)
    )
    rate = response.times.background
    times = Times(lower, upper, entry, None if rate is None else rate * units.unit)
    return replace(response, y=middle(times), times=times)


def log_unit(
    units: Units, layout: BlockLayout, rows: BlockRows, allowed: np.ndarray | None
) -> np.ndarray:
    """What the unit adds to each row's log density, (n,)."""
    if np.all(np.equal(units.unit, 1.0)):
        return np.zeros(len(rows.matrix))
    out = -np.log(units.unit) * log_units(layout, rows, allowed)
    return out if out.ndim == 1 else out.sum(1)


def log_units(layout: BlockLayout, rows: BlockRows, allowed: np.ndarray | None) -> np.ndarray:
    """How often each row's density is per unit of its response, (n,): once, or never.

    Of several columns (n, q), by column.
    """
    if layout.families[0].columns:
        return 1.0 - np.isnan(rows.observed[layout.keys[0]].y)
    if not layout.survival:
        given = [
            (f, rows.observed[key].y)
            for f, key in zip(layout.families, layout.keys, strict=True)
            if not is_apart(f, rows)
        ]
        lumps = np.array([y == f.lump for f, y in given])
        if (lumps != lumps[0]).any():
            raise Inconsistent
        out = 1.0 - lumps[0]
        out = out if rows.there is None else out * rows.there
        limits = None if rows.response is None else rows.response.limits
        if limits is not None:  # of a censored response there is a probability
            out = out * limits.exact(given[0][1])
        if rows.allowed is None:
            return out
        # A value at an atom has a probability, which no unit changes.
        densities = [f.atom is None for f in layout.families]
        return out * rows.allowed[:, densities].any(1)
    exact = np.array([rows.observed[key].times.code == EXACT for key in layout.keys])  # type: ignore[union-attr]
    may = np.ones_like(exact) if allowed is None else allowed.T
    some, all_of = (exact & may).any(0), (exact | ~may).all(0)
    if (some != all_of).any():
        raise Inconsistent
    return some.astype(float)
