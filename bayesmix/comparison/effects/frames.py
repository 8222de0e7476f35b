"""The data that effects are computed at: rows in use, grids, and rows with a variable changed."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain
from bayesmix.errors import DataError, FitError
from bayesmix.formula.frames import is_number, levels_of, replaced
from bayesmix.formula.splines import weighted_quantile
from bayesmix.model import MixtureSpec, Rows
from bayesmix.priors.defaults import weighted_sd

# Half the distance of a slope's two points, in standard deviations of the variable.
STEP = 1e-4
SPREADS = ("sd", "iqr", "minmax")


@dataclass(frozen=True)
class Contrast:
    """Two frames that differ in one variable; the effect is (high - low) / distance.

    Parameters
    ----------
    term, label : str
        The variable, and what is compared: "1 - 0", or "dY/dX".
    high, low : DataFrame
    distance : ndarray, shape (n,), or float
    """

    term: str
    label: str
    high: pd.DataFrame
    low: pd.DataFrame
    distance: Any = 1.0


def data_of(spec: MixtureSpec, newdata: Any) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows (n,) that effects are averaged over, with their case weights (n,).

    Parameters
    ----------
    spec : MixtureSpec
    newdata : DataFrame, dict or None
        None: the training rows.  A dict of values by variable: their combinations, with the
        other variables at their means, or their most frequent values.
    """
    if newdata is None:
        return spec.prepared.table, spec.rows.sample.row_weights
    if isinstance(newdata, Mapping):
        newdata = _grid(spec, newdata)
    return newdata, np.ones(len(newdata))


def counted(spec: MixtureSpec, rows: Rows, at: int) -> np.ndarray:
    """1 for the rows (n,) in which averages count a response: of the unit's, in the first."""
    if spec.prepared.parts[at].regression.per != "unit":
        return np.ones(rows.n)
    out = np.zeros(rows.n)
    out[rows.units.first] = 1.0
    return out


def _grid(spec: MixtureSpec, values: Mapping[str, Any]) -> pd.DataFrame:
    """All combinations of the values given, other covariates at typical values."""
    data, weight = spec.prepared.data, spec.rows.sample.row_weights
    _known(spec, values)
    lists = {n: [v] if np.isscalar(v) else list(v) for n, v in values.items()}
    grid = pd.DataFrame(list(itertools.product(*lists.values())), columns=list(lists))
    out = {
        name: _as(data[name], grid[name].tolist()) if name in grid else _typical(data[name], weight)
        for name in data.columns
        if name not in spec.prepared.identifiers
    }
    return pd.DataFrame(out, index=grid.index)


def _typical(column: pd.Series, weight: np.ndarray) -> Any:
    """The mean, or the level of the largest weight; missing values do not count."""
    known = column.notna().to_numpy()
    column, weight = column[known], weight[known]
    if is_number(column):
        return float(np.average(column.to_numpy(float), weights=weight))
    return pd.Series(weight).groupby(column.array, observed=True).sum().idxmax()


def _known(spec: MixtureSpec, names: Any) -> None:
    columns, readings = spec.prepared.data.columns, spec.prepared.readings
    missing = [n for n in names if n not in columns]
    if missing:
        apart = spec.prepared.identifiers.union(*(r.response.columns for r in readings))
        others = ", ".join(repr(c) for c in columns if c not in apart) or "none"
        named = ", ".join(map(repr, missing))
        raise FitError(f"{named} is not a variable of the model; it has {others}")


def contrasts(spec: MixtureSpec, data: pd.DataFrame, variables: Any) -> list[Contrast]:
    """The contrasts of `comparisons`.

    Parameters
    ----------
    spec : MixtureSpec
    data : DataFrame
    variables : str, list of str, or dict
        See `comparisons`.
    """
    if isinstance(variables, str):
        variables = [variables]
    if not isinstance(variables, Mapping):
        variables = dict.fromkeys(variables)
    _some("comparisons", variables)
    _known(spec, variables)
    _present(data, variables)
    return [c for n, v in variables.items() for c in _of_variable(spec, data, n, v)]


def _some(call: str, variables: Collection[str]) -> None:
    if not variables:
        raise FitError(f"{call}(variables={variables!r}) names no variable; give at least one")


def _present(data: pd.DataFrame, names: Any) -> None:
    missing = [n for n in names if n not in data.columns]
    if missing:
        msg = f"newdata lacks the column {', '.join(map(repr, missing))}; its effect needs it"
        raise DataError(msg)


def _of_variable(spec: MixtureSpec, data: pd.DataFrame, name: str, values: Any) -> list[Contrast]:
    column = spec.prepared.table[name]
    if values is None:
        values = 1.0 if is_number(column) else levels_of(column)
    if isinstance(values, str) and values in SPREADS and is_number(column):
        return [_spread(data, column, name, values, spec.rows.sample.row_weights)]
    if isinstance(values, int | float | np.number) and is_number(column):
        high = data[name].to_numpy(float) + float(values)
        return [Contrast(name, f"+{float(values):g}", replaced(data, {name: high}), data)]
    levels = [] if isinstance(values, str) or not hasattr(values, "__iter__") else list(values)
    if len(levels) < 2:
        raise FitError(
            f"{{{name!r}: {values!r}}} is not understood; give two or more values, or of a numeric "
            f"variable a number to add, or one of {SPREADS}"
        )
    frames = [replaced(data, {name: _as(column, [v] * len(data), data.index)}) for v in levels]
    return [
        Contrast(name, f"{plain(high)} - {plain(levels[0])}", frame, frames[0])
        for high, frame in zip(levels[1:], frames[1:], strict=True)
    ]


def _spread(
    data: pd.DataFrame, column: pd.Series, name: str, how: str, weight: np.ndarray
) -> Contrast:
    """A change of a numeric variable by its own spread in the training rows."""
    training = column.to_numpy(float)
    if how == "sd":
        n = max(weight.sum(), np.count_nonzero(weight))  # weights may be shares
        sd = weighted_sd(training, weight) * np.sqrt(n / (n - 1))
        half, here = sd / 2, data[name].to_numpy(float)
        low, high, label = here - half, here + half, "+1 sd"
    else:
        tails, label = ((0.25, 0.75), "Q3 - Q1") if how == "iqr" else ((0.0, 1.0), "max - min")
        order = np.argsort(training)
        ends = weighted_quantile(training[order], weight[order], np.array(tails))
        low, high = (np.full(len(data), end) for end in ends)
    return Contrast(name, label, replaced(data, {name: high}), replaced(data, {name: low}))


def _as(column: pd.Series, values: list[Any], index: Any = None) -> Any:
    """Values as the training column has them: its levels, where it is categorical."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        unknown = [v for v in dict.fromkeys(values) if v not in column.cat.categories]
        if unknown:
            levels = ", ".join(map(repr, column.cat.categories))
            raise DataError(f"{unknown[0]!r} is not a level of {column.name!r}; it has {levels}")
        return pd.Series(pd.Categorical(values, dtype=column.dtype), index=index)
    return pd.Series(values, index=index)


def slope_contrasts(spec: MixtureSpec, data: pd.DataFrame, variables: Any) -> list[Contrast]:
    """The contrasts of `slopes`: of one variable, or of each in a list."""
    names = [variables] if isinstance(variables, str) else list(variables)
    _some("slopes", names)
    return [_slope(spec, data, name) for name in names]


def _slope(spec: MixtureSpec, data: pd.DataFrame, name: str) -> Contrast:
    """Two points around every row, for the derivative in a numeric variable.

    Where a transformation such as ``bs`` ends at the training range, the points stay in it.
    """
    _known(spec, [name])
    _present(data, [name])
    if not is_number(data[name]):
        raise FitError(
            f"slopes({name!r}): {name!r} is not a number; use comparisons({name!r}) for its levels"
        )
    training = spec.prepared.table[name].to_numpy(float)
    spread = float(np.std(training)) or float(np.abs(training).max()) or 1.0
    here = data[name].to_numpy(float)

    def contrast(high: np.ndarray, low: np.ndarray) -> Contrast:
        ends = [replaced(data, {name: values}) for values in (high, low)]
        for frame in ends:
            spec.apply(frame, response=False)
        return Contrast(name, "dY/dX", ends[0], ends[1], high - low)

    points = here + STEP * spread, here - STEP * spread
    try:
        return contrast(*points)
    except DataError:
        return contrast(*(np.clip(x, training.min(), training.max()) for x in points))
