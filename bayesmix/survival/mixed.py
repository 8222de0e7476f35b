"""Tables of times: by component or event and of all, by row or averaged over rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Printed
from bayesmix.comparison.effects.frames import counted, data_of
from bayesmix.comparison.effects.table import Averages
from bayesmix.errors import FitError
from bayesmix.model import Rows
from bayesmix.results import event_times as quantities
from bayesmix.results import marginal
from bayesmix.results.event_times import EventTimes, one_response
from bayesmix.results.uncertainty import Source
from bayesmix.survival.comparison import start_state
from bayesmix.survival.intervals import (
    Band,
    Estimator,
    band,
    known_options,
    response_place,
    rows_of,
    spent_by_row,
    tidy,
)

KINDS = ("component", "marginal")
# By the function that computes it: where its intervals are symmetric, and the axis of its grid.
QUANTITIES: dict[str, tuple[str, str | None]] = {
    "survival": ("log-log", "time"),
    "hazard": ("log", "time"),
    "mean_time": ("log", None),
    "quantile_time": ("log", "q"),
    "restricted_mean_time": ("log", None),
    "event_probabilities": ("logit", None),
    "density": ("log", "time"),
    "state_probabilities": ("logit", "time"),
    "cured_fraction": ("logit", None),
}


def times_table(
    source: Source,
    what: str,
    newdata: pd.DataFrame | None,
    by: bool | str | Sequence[str] | None,
    response: str | None,
    options: Mapping[str, Any],
    *arguments: Any,
    usual: tuple[str, ...] = KINDS,
) -> pd.DataFrame:
    """A quantity of the times, tidy, with limits.

    Parameters
    ----------
    source : Source
    what : str
        One of `QUANTITIES`.  Where the components are events, those that `quantities` has are
        of each event by itself, and of all together only where `by` says so.
    newdata : DataFrame, optional
    by : None, True, str or list of str
        "component" or "marginal" for these rows of the table alone; True, or columns of the
        data, for averages over all rows or within the groups that they make.
    response : str, optional
        Which survival time, where the model has several.
    options : mapping
        ``spent`` and those of an `Estimator`.
    *arguments
        Of the function; the first is the grid of a quantity that has one.
    usual : tuple of str
        The rows where `by` names none.
    """
    spec = source.spec
    at = response_place(spec, response, what)
    of_events = spec.kind.named and hasattr(quantities, what)
    kinds, columns = _read_by(by, KINDS[:1] if of_events else usual)
    given = dict(options)
    spent = given.pop("spent", None)
    estimator = Estimator(**known_options(given))
    scale, grid = QUANTITIES[what]
    alone = of_events and by is None
    function = getattr(quantities if alone else marginal, what)
    labels: list[Hashable] = list(spec.components if alone else (None, *spec.components))
    name = spec.kind.component if of_events else KINDS[0]
    if what == "state_probabilities":
        name, labels = "state", [start_state(labels), *labels]
    shown = [i for i, label in enumerate(labels) if alone or KINDS[label is None] in kinds]

    def limits(rows: Rows, since: np.ndarray | None, population: np.ndarray | None = None) -> Band:
        def quantity(times: EventTimes) -> np.ndarray:
            return np.asarray(function(times, *arguments))[..., shown]

        one, own = one_response(spec, rows, at)
        where = replace(source, spec=one)
        return band(estimator, where, own, quantity, scale, spent=since, population=population)

    axes = [(grid, list(arguments[0]))] if grid else []
    axes.append((name, [labels[i] for i in shown]))
    if columns is None:
        rows, covariates = rows_of(spec, newdata)
        table = tidy(limits(rows, spent_by_row(spent, newdata, rows.n)), covariates, axes)
    else:
        found, keys = _averaged(source, at, newdata, columns, spent, limits)
        table = tidy(found, keys, axes).drop(columns="row")
    return table if alone else _named(table, name, spec.components)


def cured_fraction(
    source: Source,
    newdata: pd.DataFrame | None,
    by: bool | str | Sequence[str] | None,
    response: str | None,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """The share of those who never have the event: row, covariates, estimate, lower, upper.

    Parameters
    ----------
    source, newdata, by, response, options
        As of `times_table`; by component only where `by` says so.

    Raises
    ------
    FitError
        If the model has no such component, or no survival time.
    """
    block = source.spec.layout.blocks[response_place(source.spec, response, "cured_fraction")]
    families = [f for f in block.families if f.survival is not None]
    if all(f.survival is None or f.survival.never is None for f in families):
        names = ", ".join(dict.fromkeys(f.name for f in families))
        raise FitError(
            f"every component of {block.name!r} has the event sooner or later ({names}), so there "
            "is no cured fraction; add a component with the family 'cured', or use 'gompertz', "
            "whose shape may be negative"
        )
    usual = ("marginal",)
    table = times_table(source, "cured_fraction", newdata, by, response, options, usual=usual)
    name = "component" if "component" in table else "event"
    return table if table[name].notna().any() else table.drop(columns=name)


def _read_by(by: Any, usual: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    """Which rows of the table, and what makes groups: None, True or columns."""
    names = [by] if isinstance(by, str) else list(by) if isinstance(by, Sequence) else []
    kinds = tuple(n for n in names if n in KINDS)
    columns = [n for n in names if n not in KINDS]
    if isinstance(by, Sequence) and not names:
        msg = "by=[] names nothing; use by=True for the average of all rows, or leave by= out"
        raise FitError(msg)
    return kinds or usual, columns or (True if by is True else None)


def _averaged(
    source: Source, at: int, newdata: Any, by: Any, spent: Any, limits: Callable[..., Band]
) -> tuple[Band, pd.DataFrame]:
    """Averages over each group of rows, and the groups' values of the columns."""
    data, weight = data_of(source.spec, newdata)
    averages = Averages.of(data, weight, by)
    rows = source.spec.apply(None if newdata is None else data, response=False)
    since = spent_by_row(spent, data, rows.n)
    weight = weight * counted(source.spec, rows, at)
    assert averages.codes is not None
    groups = range(averages.codes.max() + 1)
    found = [limits(rows, since, np.where(averages.codes == g, weight, 0.0)) for g in groups]
    whole = Band(*(np.concatenate([getattr(b, n) for b in found]) for n in Band.__annotations__))
    return whole, pd.DataFrame(index=groups) if averages.keys is None else averages.keys


def _named(table: pd.DataFrame, name: str, components: Sequence[Hashable]) -> pd.DataFrame:
    """The same with the component of the marginal missing."""
    names: Any = "Int64" if all(isinstance(c, int) for c in components) else object
    table[name] = table[name].where(table[name].notna(), pd.NA).astype(names)
    return Printed(table)
