"""The data of a model by name, with dimensions and labels: what PyMC and ArviZ hold."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesmix.formula.calls import limited_call, taken_apart, time_name
from bayesmix.formula.frames import Units
from bayesmix.formula.times import INTERVAL, LEFT, NOTHING, Times
from bayesmix.model.layout import BlockLayout
from bayesmix.model.params import plain_components, plain_name, term_dim
from bayesmix.model.rows import BlockRows, Clustered, Rows
from bayesmix.model.spec import MixtureSpec

# Data of units, whatever the responses are.
UNIT_DATA = ("Z", "unit_of_row", "row_number", "case_weight", "allowed", "known")
# Dimensions of some group: a variable is called the same in all of them.
DIMS = ("chain", "draw", "obs", "unit", "row_in_unit", "response", "component", "concomitant_term")


@dataclass(frozen=True)
class NamedData:
    """Arrays by name, the names of their axes, and labels along these.

    Parameters
    ----------
    values : dict of str to ndarray
    dims : dict of str to tuple of str
    coords : dict of str to tuple
    response : str
        The name of the observed variable; its values are called ``response + "_data"``.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    dims: dict[str, tuple[str, ...]] = field(default_factory=dict)
    coords: dict[str, tuple[Hashable, ...]] = field(default_factory=dict)
    response: str = ""

    def add(self, name: str, values: np.ndarray, *dims: str) -> None:
        """Give an array its name and the names of its axes; PyMC's whole numbers have 32 bits."""
        array = np.asarray(values)
        whole = array.dtype.kind in "iu"
        self.values[name], self.dims[name] = array.astype(np.int32) if whole else array, dims


def named_data(
    spec: MixtureSpec,
    rows: Rows | None = None,
    index: pd.Index | None = None,
    *,
    observed: bool = True,
) -> NamedData:
    """Designs, offsets, trials, groups and responses of some rows.

    `X` (obs, term) or ``X_<response>``, `Z` (unit, concomitant_term), `offset`, `trials`,
    `unit_of_row`, `row_number` (within its unit), `case_weight`, `allowed` (unit, component),
    and the responses by unit, see `by_unit`.  Of times the value is the time, or the bound at
    which it is censored; `observed_as` says which (0 exact, 1 right, 2 left, 3 interval,
    4 nothing known), `upper` ends an interval, `entry` is a delayed entry.

    Parameters
    ----------
    spec : MixtureSpec
    rows : Rows, optional
        New rows; the training rows if not given.
    index : Index, optional
        Labels of new rows.
    observed : bool
        Whether the responses are known; otherwise they are NaN, and nothing is known of times.
    """
    if rows is None:
        rows, index = spec.rows, spec.prepared.index
    out = NamedData(coords=_coords(spec, rows, index), response=observed_name(spec))
    values: list[np.ndarray] = []
    for block, data in zip(spec.layout.blocks, rows.blocks, strict=True):
        names, dim = names_of(spec, block), plain_name(term_dim(spec.layout, block))
        out.coords[dim] = block.terms
        out.add(names["X"], data.matrix, "obs", dim)
        if data.offset is not None:
            by_component = data.offset.ndim == 2
            out.add(names["offset"], data.offset.T, "obs", *["component"] * by_component)
        trials = None if data.response is None else data.response.trials
        if trials is not None:
            known = np.where(np.isnan(trials), 1.0, trials)  # unknown only with their response
            out.add(names["trials"], known, "obs")
        _add_limits(data, names, out)
        if data.clustered is not None:
            _clusters(spec, block, data.clustered, rows.units, out)
        if block.survival:
            values += _times(spec, block, data, out)
        else:
            unknown = np.full((rows.n, len(block.columns)), np.nan)
            known = data.response.y if observed and data.response else unknown
            values += list(known.reshape(rows.n, -1).T)
    if rows.concomitant is not None:
        out.coords["concomitant_term"] = spec.layout.concomitant_terms or ()
        out.add("Z", rows.concomitant, "unit", "concomitant_term")
    if spec.rows.units.grouped:
        unit, number = _places(rows)
        out.add("unit_of_row", unit, "obs")
        out.add("row_number", number, "obs")
    if spec.rows.weight is not None:
        weight = rows.unit_weights
        out.add("case_weight", weight, "unit")
    _add_allowed(spec, rows, out)
    dims = ("unit", *(d for d in ("row_in_unit", "response") if d in out.coords))
    out.add(f"{out.response}_data", by_unit(spec, rows, values), *dims)
    return out


def _clusters(
    spec: MixtureSpec, block: BlockLayout, given: Clustered, units: Units, out: NamedData
) -> None:
    """Rows whose density is given together: their cluster, its unit, columns of random effects."""
    names = names_of(spec, block)
    _, first, codes = np.unique(given.codes, return_index=True, return_inverse=True)
    out.coords[names["cluster"]] = tuple(range(len(first)))
    out.add(names["cluster_of_row"], codes, "obs")
    out.add(names["unit_of_cluster"], units.codes[first], names["cluster"])
    if given.effects is not None:
        out.coords[names["random_term"]] = block.random
        out.add(names["effects"], given.effects, "obs", names["random_term"])


def _add_limits(data: BlockRows, names: dict[str, str], out: NamedData) -> None:
    """The limits of a truncated or censored response; infinite where there is none."""
    limits = None if data.response is None else data.response.limits
    if limits is not None:
        out.add(names["lower_limit"], limits.lower, "obs")
        out.add(names["upper_limit"], limits.upper, "obs")


def _add_allowed(spec: MixtureSpec, rows: Rows, out: NamedData) -> None:
    """The components a unit may belong to; beside point masses, what its label says of them."""
    if spec.rows.allowed is not None:
        allowed = np.ones((rows.n_units, spec.k)) if rows.allowed is None else rows.allowed
        out.add("allowed", allowed.astype(float), "unit", "component")
    if spec.rows.known is not None and any(b.allowed is not None for b in spec.rows.blocks):
        known = np.ones((rows.n_units, spec.k)) if rows.known is None else rows.known
        out.add("known", known.astype(float), "unit", "component")


def _coords(
    spec: MixtureSpec, rows: Rows, index: pd.Index | None
) -> dict[str, tuple[Hashable, ...]]:
    coords = {
        "component": tuple(plain_components(spec.components)),
        "obs": _labels(index, rows.n),
        "unit": _labels(rows.units.index, rows.n_units),
    }
    if spec.rows.units.grouped:
        coords["row_in_unit"] = tuple(range(int(np.bincount(rows.units.codes).max())))
    names = response_names(spec)
    return coords | ({"response": names} if len(names) > 1 else {})


def _labels(index: pd.Index | None, n: int) -> tuple[Hashable, ...]:
    """The index, or numbers where it does not tell rows apart."""
    if index is None or not index.is_unique:
        return tuple(range(n))
    if isinstance(index, pd.MultiIndex):
        return tuple(map(str, index))
    return tuple(range(n)) if index.hasnans else tuple(index)


# --- names ---------------------------------------------------------------------------------


def response_names(spec: MixtureSpec) -> tuple[str, ...]:
    """What is observed of a row; competing events may have times of their own."""
    return tuple(
        name
        for block in spec.layout.blocks
        for name in (dict.fromkeys(time_sources(spec, block)) if block.survival else block.columns)
    )


def observed_name(spec: MixtureSpec) -> str:
    """The name of the observed variable, which no other variable or dimension has."""
    names = response_names(spec)
    name = plain_name(_short(names[0]) if len(names) == 1 else "responses")
    taken = {*DIMS, "weight", "alpha", "alpha_centred", "mu"}
    taken |= {plain_name(p.variable) for b in spec.layout.blocks for p in b.predictors}
    taken |= {plain_name(term_dim(spec.layout, b)) for b in spec.layout.blocks}
    taken |= {*UNIT_DATA, *(n for b in spec.layout.blocks for n in names_of(spec, b).values())}
    timed = (b for b in spec.layout.blocks if b.survival)
    taken |= {n for b in timed for names in time_data(spec, b).values() for n in names.values()}
    while name in taken:
        name += "_"
    return name


def _short(name: str) -> str:
    if (call := limited_call(name)) is not None:
        return call.arguments[0]
    return time_name([name]) if name.startswith("surv(") else name


def names_of(spec: MixtureSpec, block: BlockLayout) -> dict[str, str]:
    """What the data of a response are called, and its mean `mu`."""
    several = len(spec.layout.blocks) > 1
    ending = f"_{plain_name(block.name)}" if several else ""
    given: tuple[str, ...] = ("X", "offset", "trials", "mu", "effects", "random_term")
    given += ("cluster", "cluster_of_row", "unit_of_cluster", "lower_limit", "upper_limit")
    given += ("output",)
    return {name: name + ending for name in given}


# --- responses -----------------------------------------------------------------------------


def time_sources(spec: MixtureSpec, block: BlockLayout) -> list[str]:
    """The response that each component's time is read from."""
    part = next(part for part in spec.prepared.parts if part.response.name == block.name)
    return [reading.response.name for reading in part.read_by(spec.k)]


def time_data(spec: MixtureSpec, block: BlockLayout) -> dict[str, dict[str, str]]:
    """Of each source of times the names of `observed_as`, `upper`, `entry`, `background`, `since`.

    `since` is where a row continues another of its unit, beside late entries of others.
    """
    sources = list(dict.fromkeys(time_sources(spec, block)))
    several = len(response_names(spec)) > 1
    return {
        source: {
            name: f"{name}_{plain_name(source)}" if several else name
            for name in ("observed_as", "upper", "entry", "since", "background")
        }
        for source in sources
    }


def _times(
    spec: MixtureSpec, block: BlockLayout, data: BlockRows, out: NamedData
) -> list[np.ndarray]:
    """Name what is known of the times, and return their values, one array (n,) a source."""
    values = []
    sources = time_sources(spec, block)
    for source, names in time_data(spec, block).items():
        keys = [key for key, s in zip(block.keys, sources, strict=True) if s == source]
        times, entry, since = _joined(data, list(dict.fromkeys(keys)))
        left = times.code == LEFT
        nothing = times.code == NOTHING
        values.append(np.where(nothing, 1.0, np.where(left, times.upper, times.lower)))
        out.add(names["observed_as"], times.code, "obs")
        if taken_apart(source).kind == "interval":
            interval = times.code == INTERVAL
            out.add(names["upper"], np.where(interval, times.upper, np.inf), "obs")
        if taken_apart(source).background is not None:
            rate = np.zeros(len(times)) if times.background is None else times.background
            out.add(names["background"], rate, "obs")
        if taken_apart(source).kind == "counting":
            out.add(names["entry"], entry, "obs")
            if any(rows.entry is not None for rows in spec.rows.blocks):
                out.add(names["since"], since, "obs")
    return values


def _joined(data: BlockRows, keys: list[str]) -> tuple[Times, np.ndarray, np.ndarray]:
    """What the components that read one time know of it together, and its delayed entries.

    Those of the unit, or of components where units have none; then those of components beside
    them.  Without a response nothing is known.
    """
    n, rate = len(data.matrix), None
    lower, upper, entry, since = np.zeros(n), np.full(n, np.inf), np.zeros(n), np.zeros(n)
    for key in keys if data.observed else ():
        times = data.observed[key].times
        assert times is not None
        lower, upper = np.maximum(lower, times.lower), np.minimum(upper, times.upper)
        late = times if data.entry is None else data.entry[key].times
        assert late is not None
        entry = np.maximum(entry, late.entry if data.entry is None else late.lower)
        since, rate = np.maximum(since, times.entry), times.background
    return Times(lower, upper, np.zeros(n), rate), entry, since


def _places(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Unit of every row, and its place among the unit's rows."""
    codes = np.asarray(rows.units.codes)
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - first[codes[order]]
    return codes, place


def by_unit(spec: MixtureSpec, rows: Rows, values: list[np.ndarray]) -> np.ndarray:
    """Arrange rows by unit.

    A unit of one row and one response is a number.  The rows of a group are a further axis, as
    long as the largest group; several responses are the last axis.

    Parameters
    ----------
    spec : MixtureSpec
    rows : Rows
    values : list of ndarray, shape (n,)
        One for each response.

    Returns
    -------
    ndarray, shape (U,), (U, M), (U, B) or (U, M, B)
        For U units of at most M rows and B responses; zero beyond a smaller unit's rows.
    """
    together = np.stack(values, axis=-1) if len(values) > 1 else values[0]
    if not spec.rows.units.grouped:
        return together
    unit, number = _places(rows)
    out = np.zeros((rows.n_units, int(number.max(initial=0)) + 1, *together.shape[1:]))
    out[unit, number] = together
    return out


def to_rows(
    spec: MixtureSpec, values: np.ndarray, rows: Rows | None = None
) -> dict[str, np.ndarray]:
    """Back from units to the rows of the data.

    Parameters
    ----------
    spec : MixtureSpec
    values : ndarray, shape (..., U), (..., U, M), (..., U, B) or (..., U, M, B)
        The observed variable, or predictive draws of it.
    rows : Rows, optional

    Returns
    -------
    dict of str to ndarray, shape (..., n)
        By response; rows in the order of the data.
    """
    names = response_names(spec)
    stacked = np.asarray(values)[..., None] if len(names) == 1 else np.asarray(values)
    if spec.rows.units.grouped:
        unit, number = _places(spec.rows if rows is None else rows)
        stacked = stacked[..., unit, number, :]
    return {name: stacked[..., b] for b, name in enumerate(names)}
