"""Tables of the times of a mixture: by component and of all, by row or averaged over rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.comparison.effects.frames import data_of
from bayesmix.comparison.effects.table import Averages
from bayesmix.errors import FitError
from bayesmix.results.printing import Printed
from bayesmix.survival.intervals import (
    Band,
    Estimator,
    Source,
    band,
    counted,
    known_options,
    one_response,
    response_place,
    rows_of,
    spent_by_row,
    tidy,
)
from bayesmix.survival.quantities import EventTimes

__all__ = ["times_table"]

KINDS = ("component", "marginal")


def times_table(
    source: Source,
    what: str,
    newdata: pd.DataFrame | None,
    by: bool | str | Sequence[str] | None,
    response: str | None,
    options: Mapping[str, Any],
    quantity: Callable[[EventTimes], np.ndarray],
    scale: str,
    *axes: tuple[str, Sequence[Any]],
) -> pd.DataFrame:
    """A quantity of the times, tidy, with limits.

    Parameters
    ----------
    source : Source
    what : str
        The name of the quantity, for messages.
    newdata : DataFrame, optional
    by : None, True, str or list of str
        "component" or "marginal" for these rows of the table alone; True, or columns of the
        data, for averages over all rows or within the groups that they make.
    response : str, optional
        Which survival time, where the model has several.
    options : mapping
        ``spent`` and those of an `Estimator`.
    quantity : callable
        From `EventTimes` to an array (D, n, ..., 1 + S).
    scale : str
    *axes : (str, sequence)
        Name and labels of the axes between the rows and the components.
    """
    at = response_place(source.spec, response, what)
    kinds, columns = _read_by(by)
    given = dict(options)
    spent = given.pop("spent", None)
    estimator = Estimator(**known_options(given))
    every = (*axes, ("component", (None, *source.spec.components)))
    if columns is None:
        rows, covariates = rows_of(source.spec, newdata)
        one, alone = one_response(source.spec, rows, at)
        since = spent_by_row(spent, newdata, rows.n)
        found = band(estimator, replace(source, spec=one), alone, quantity, scale, spent=since)
        return _shown(tidy(found, covariates, every), kinds, source.spec.components)
    parts = list(_averaged(source, estimator, at, newdata, columns, spent, quantity, scale))
    whole = Band(*(np.concatenate([getattr(b, n) for _, b in parts]) for n in Band.__annotations__))
    keys = pd.concat([key for key, _ in parts], ignore_index=True)
    table = tidy(whole, keys, every).drop(columns="row")
    return _shown(table, kinds, source.spec.components)


def _read_by(by: Any) -> tuple[tuple[str, ...], Any]:
    """Which rows of the table, and what makes groups: None, True or columns."""
    names = [by] if isinstance(by, str) else list(by) if isinstance(by, Sequence) else []
    kinds = tuple(n for n in names if n in KINDS)
    columns = [n for n in names if n not in KINDS]
    if isinstance(by, Sequence) and not names:
        msg = "by=[] names nothing; use by=True for the average of all rows, or leave by= out"
        raise FitError(msg)
    return kinds or KINDS, columns or (True if by is True else None)


def _averaged(
    source: Source,
    estimator: Estimator,
    at: int,
    newdata: Any,
    by: Any,
    spent: Any,
    quantity: Callable[[EventTimes], np.ndarray],
    scale: str,
) -> Any:
    """The values of the columns and the band of each group."""
    data, weight = data_of(source.spec, newdata)
    averages = Averages.of(data, weight, by)
    rows = source.spec.apply(None if newdata is None else data, response=False)
    one, alone = one_response(source.spec, rows, at)
    since = spent_by_row(spent, data, rows.n)
    weight = weight * counted(source.spec, rows, at)
    assert averages.codes is not None
    for group in range(averages.codes.max() + 1):
        inside = np.where(averages.codes == group, weight, 0.0)
        keys = averages.keys
        key = pd.DataFrame(index=[0]) if keys is None else keys.iloc[[group]]
        yield (
            key,
            band(
                estimator,
                replace(source, spec=one),
                alone,
                quantity,
                scale,
                spent=since,
                population=inside,
            ),
        )


def _shown(
    table: pd.DataFrame, kinds: tuple[str, ...], components: Sequence[Hashable]
) -> pd.DataFrame:
    """The rows that are asked for; the component of the marginal is missing."""
    marginal = table["component"].isna()
    names: Any = "Int64" if all(isinstance(c, int) for c in components) else object
    table["component"] = table["component"].where(~marginal, pd.NA).astype(names)
    keep = (marginal & ("marginal" in kinds)) | (~marginal & ("component" in kinds))
    return Printed(table[keep].reset_index(drop=True))
