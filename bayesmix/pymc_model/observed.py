"""Responses by unit: what the model observes, and draws of it.

A unit of one row and one response is a number.  The rows of a group are a
further axis, as long as the largest group and NaN beyond a smaller one's rows;
several responses are the last axis.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.formula.response import middle
from bayesmix.model import MixtureSpec
from bayesmix.results.predict import draw_components, draw_response

__all__ = ["by_unit", "draw", "event_dims", "responses", "to_rows", "unit_labels"]


def event_dims(spec: MixtureSpec) -> dict[str, tuple[Hashable, ...]]:
    """Dimensions of a unit's response beside "unit", with their labels."""
    dims: dict[str, tuple[Hashable, ...]] = {}
    if spec.rows.units.grouped:
        dims["row_in_unit"] = tuple(range(int(np.bincount(spec.rows.units.codes).max())))
    if len(spec.layout.blocks) > 1:
        dims["response"] = tuple(block.name for block in spec.layout.blocks)
    return dims


def unit_labels(spec: MixtureSpec) -> tuple[Hashable, ...]:
    """The groups' values or the rows' index; numbers where these do not tell units apart."""
    index = spec.rows.units.index
    if isinstance(index, pd.MultiIndex) or not index.is_unique or index.hasnans:
        return tuple(range(len(index)))
    return tuple(index)


def _places(spec: MixtureSpec) -> tuple[np.ndarray, ...]:
    """Unit of every row and, in groups, its place among the unit's rows."""
    units = spec.rows.units
    if not units.grouped:
        return (units.codes,)
    order = np.argsort(units.codes, kind="stable")
    first = np.flatnonzero(np.diff(units.codes[order], prepend=-1))
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - first[units.codes[order]]
    return units.codes, place


def by_unit(spec: MixtureSpec, values: list[np.ndarray]) -> np.ndarray:
    """Arrange rows by unit.

    Parameters
    ----------
    spec : MixtureSpec
    values : list of ndarray, shape (n,)
        One for each response.

    Returns
    -------
    ndarray, shape (U,), (U, M), (U, B) or (U, M, B)
        For U units of at most M rows and B responses.
    """
    shape = (spec.rows.n_units, *(len(labels) for labels in event_dims(spec).values()))
    out = np.full(shape, np.nan)
    out[_places(spec)] = np.stack(values, axis=-1) if len(values) > 1 else values[0]
    return out


def to_rows(spec: MixtureSpec, values: np.ndarray) -> dict[str, np.ndarray]:
    """Back from units to the rows of the data.

    Parameters
    ----------
    spec : MixtureSpec
    values : ndarray, shape (..., U), (..., U, M), (..., U, B) or (..., U, M, B)
        The observed variable, or predictive draws of it.

    Returns
    -------
    dict of str to ndarray, shape (..., n)
        By response; rows in the order of the data.
    """
    taken = np.asarray(values)
    names = [block.name for block in spec.layout.blocks]
    several = len(names) > 1
    stacked = taken if several else taken[..., None]
    at: Any = (..., *_places(spec), slice(None))
    rows = stacked[at]
    return {name: rows[..., b] for b, name in enumerate(names)}


def responses(spec: MixtureSpec) -> np.ndarray:
    """The data as the model observes them; successes for the binomial.

    Of a survival time, the middle of its bounds: how it was observed is part of the density.
    """
    events = spec.prepared.events
    if events is not None:
        return by_unit(spec, [np.max([middle(times) for times in events.times.values()], axis=0)])
    values = []
    for data in spec.rows.blocks:
        assert data.response is not None
        values.append(np.asarray(data.response.y, dtype=float))
    return by_unit(spec, values)


def draw(
    spec: MixtureSpec, theta: np.ndarray, rng: np.random.Generator, size: tuple[int, ...] | None
) -> np.ndarray:
    """Random responses of all units: a component for each, then its rows.

    Case weights do not matter: a unit is drawn once.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (D,) or (..., U or 1, D)
    rng : numpy.random.Generator
    size : tuple of int, or None
        The shape before the axes of a unit's own response; its last is U.

    Returns
    -------
    ndarray, shape (*size, ...)

    Raises
    ------
    ValueError
        If some but not all units are asked for.
    """
    n_units = spec.rows.n_units
    size = (n_units,) if size is None else tuple(int(length) for length in size)
    if not size or size[-1] != n_units:
        msg = f"the model draws its {n_units} units together; the shape asked for is {size}"
        raise ValueError(msg)
    wide = np.broadcast_to(theta, (*size, theta.shape[-1]))[..., 0, :]
    out: Any = [_draw_once(spec, one, rng) for one in wide.reshape(-1, theta.shape[-1])]
    return np.reshape(out, (*size, *out[0].shape[1:]))


def _draw_once(spec: MixtureSpec, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = draw_components(spec, theta, spec.rows, rng)
    pairs = zip(spec.layout.blocks, spec.rows.blocks, strict=True)
    return by_unit(spec, [draw_response(b, rows, theta, drawn, rng) for b, rows in pairs])
