"""The covariates of a model, and rows of new data along one of them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.formula.design import Design
from bayesmix.formula.frames import is_number, levels_of
from bayesmix.formula.splines import weighted_quantile
from bayesmix.model import MixtureSpec

STEPS = 201  # values of a number along an axis


@dataclass(frozen=True)
class Covariates:
    """Data columns that some formulas read.

    Parameters
    ----------
    numeric : tuple of str
        Read as numbers only.
    factors : tuple of str
        The others.
    """

    numeric: tuple[str, ...]
    factors: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.numeric, *self.factors)


@dataclass(frozen=True)
class Held:
    """A column that stays at one value while another one moves.

    Parameters
    ----------
    name : str
    value : object
    why : str
        "median", "reference", or "given".
    """

    name: str
    value: Any
    why: str

    def __str__(self) -> str:
        shown = f"{self.value:.4g}" if isinstance(self.value, float) else f"{self.value}"
        return f"{self.name} = {shown}" + ("" if self.why == "given" else f" ({self.why})")


def covariates_of(designs: Iterable[Design], data: pd.DataFrame) -> Covariates:
    """The columns behind the terms of some designs, without offsets, in their order."""
    numeric: dict[str, bool] = {}
    for design in designs:
        for encoder in design.encoders:
            for name in encoder.bound.columns:
                number = encoder.kind == "numeric" and is_number(data[name])
                numeric[name] = numeric.get(name, True) and number
    return Covariates(
        tuple(name for name, number in numeric.items() if number),
        tuple(name for name, number in numeric.items() if not number),
    )


def one_of(name: str, known: tuple[str, ...], argument: str) -> str:
    """The name, if it is one of those known.

    Raises
    ------
    FitError
    """
    if name not in known:
        there = f"use one of {list(known)}" if known else "there is none in this model"
        raise FitError(f"{argument}={name!r} is unknown; {there}")
    return name


def refuse_held(name: str, argument: str, at: Mapping[str, Any]) -> None:
    """Refuse a covariate that should both move and be held.

    Raises
    ------
    FitError
    """
    if name in at:
        raise FitError(
            f"{argument}={name!r} is the covariate along the axis, so at= cannot "
            "hold it; leave it out of one"
        )


def hold(
    names: Iterable[str], covariates: Covariates, spec: MixtureSpec, at: Mapping[str, Any]
) -> list[Held]:
    """Values for columns that do not move: as given, else the median or the first level.

    Raises
    ------
    FitError
        If a value given is not a level, or lies outside the range of the data.
    """
    held, weight = [], spec.rows.sample.row_weights
    for name in names:
        column = spec.prepared.data[name]
        number = name in covariates.numeric or (
            name not in covariates.factors and is_number(column)
        )
        if name in at:
            held.append(Held(name, _given(at[name], column, number), "given"))
        elif number:
            values = column.to_numpy(float)
            order = np.argsort(values)[: column.count()]  # missing values are last
            (middle,) = weighted_quantile(values[order], weight[order], np.array([0.5]))
            held.append(Held(name, float(middle), "median"))
        else:
            held.append(Held(name, levels_of(column)[0], "reference"))
    return held


def _given(value: Any, column: pd.Series, number: bool) -> Any:
    if not number:
        if value not in levels_of(column):
            raise FitError(f"at={{{column.name!r}: {value!r}}}: use one of {levels_of(column)}")
        return value
    if not isinstance(value, Real):
        raise FitError(f"at={{{column.name!r}: {value!r}}}: this covariate is held at a number")
    low, high = float(column.min()), float(column.max())
    if not low <= float(value) <= high:
        raise FitError(
            f"at={{{column.name!r}: {value!r}}} lies outside the data, which go from {low:g} to "
            f"{high:g}; pictures are not extrapolated"
        )
    return float(value)


def along(column: pd.Series, levels: list[Any] | None) -> tuple[np.ndarray, np.ndarray]:
    """Places on an axis (m,) and values of a column there: numbers, or the levels that it has."""
    if levels is None:
        low, high = float(column.min()), float(column.max())
        grid = np.linspace(low, high, STEPS) if high > low else np.array([low])
        return grid, grid
    present = [v for v in levels if (column == v).any()]
    place = np.array([levels.index(v) for v in present], dtype=float)
    return place, np.array(present, dtype=object)


def new_rows(spec: MixtureSpec, n: int, values: Mapping[str, Any]) -> pd.DataFrame:
    """New data of n rows in which every column that a prediction reads has a value.

    Parameters
    ----------
    spec : MixtureSpec
    n : int
    values : dict of str to object
        A number, a level, or an array of n of them, by column; the other columns get
        their median or first level.
    """
    data, designs = spec.prepared.data, designs_of(spec)
    covariates = covariates_of(designs, data)
    values = {h.name: h.value for h in held_columns(designs, spec, values)} | dict(values)
    columns = {}
    for name in dict.fromkeys(name for d in designs for name in d.columns):
        wanted = np.broadcast_to(np.asarray(values[name], dtype=object), n)
        columns[name] = _like(data[name], wanted, name in covariates.factors)
    return pd.DataFrame(columns, index=pd.RangeIndex(n))


def designs_of(spec: MixtureSpec) -> list[Design]:
    """The designs of all responses, and that of the weights."""
    concomitant = spec.prepared.concomitant
    every = [d for part in spec.prepared.parts for d in part.designs]
    return every if concomitant is None else [*every, concomitant]


def held_columns(
    designs: Sequence[Design], spec: MixtureSpec, moving: Container[str]
) -> list[Held]:
    """Columns that these designs read, offsets included, without those that move."""
    names = dict.fromkeys(n for d in designs for n in d.columns if n not in moving)
    return hold(names, covariates_of(designs, spec.prepared.data), spec, {})


def _like(column: pd.Series, wanted: np.ndarray, factor: bool) -> Any:
    """The values with the type of the column."""
    if not factor and is_number(column):
        return wanted.astype(float)
    levels = levels_of(column)
    first = np.array([int(np.argmax((column == level).to_numpy())) for level in levels])
    return column.iloc[first[[levels.index(v) for v in wanted]]].array
