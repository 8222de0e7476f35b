"""Posterior predictive checks of statistics of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.predict import simulate
from bayesmix.results.simulation import columns_of, side_by_column

Statistic = Callable[[Any], float]


def predictive_check(
    drawn: Drawn,
    statistics: Mapping[str, Statistic],
    draws: int,
    ci: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Statistics of the data beside those of simulated data; see `Posterior.predictive_check`."""
    spec = drawn.spec
    timed = [b.name for b in spec.layout.blocks if b.survival]
    if timed:
        raise FitError(
            f"predictive_check(): simulated times have no censoring, those of {timed[0]} may; use "
            "residuals('quantile') of point(), or bmx.plot.survival"
        )
    names = [column.name for column in columns_of(spec, spec.rows)]
    responses = [data.response for data in spec.rows.blocks]
    seen = side_by_column([np.asarray(r.y, float) for r in responses if r is not None])
    simulated = simulate(drawn, None, draws, rng, missing=True)
    index = spec.prepared.index
    rows = []
    for name, statistic in statistics.items():
        observed = _value(name, statistic, _frame(seen, names, index))
        values = np.array([_value(name, statistic, _frame(y, names, index)) for y in simulated])
        low, high = np.quantile(values, [0.5 - ci / 2, 0.5 + ci / 2])
        rows.append((name, observed, values.mean(), low, high, float((values >= observed).mean())))
    columns = ["statistic", "observed", "mean", "lower", "upper", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def _frame(values: np.ndarray, names: list[str], index: pd.Index) -> pd.Series | pd.DataFrame:
    """Responses as a user's function takes them: one as a Series, several as a frame."""
    if len(names) == 1:
        return pd.Series(values[0], index=index, name=names[0])
    return pd.DataFrame(dict(zip(names, values, strict=True)), index=index)


def _value(name: str, statistic: Statistic, data: Any) -> float:
    value = statistic(data)
    if np.ndim(value) != 0:
        msg = f"the statistic {name!r} gives {np.shape(value)} values; it must give one number"
        raise FitError(msg)
    if np.isnan(value):
        raise FitError(
            f"the statistic {name!r} is NaN; missing responses are NaN in what it takes, so it "
            "must leave them out, as data.mean() does"
        )
    return float(value)
