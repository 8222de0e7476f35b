"""Predictions and simulated data with posterior uncertainty."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix._arguments.memory import check_memory
from bayesmix.posterior.drawn import Drawn
from bayesmix.results.predict import Prediction, side_by_side
from bayesmix.results.simulation import as_observed, columns_of, draw_data_sets, simulation_rows
from bayesmix.results.tables import ENDS
from bayesmix.results.uncertainty import Source, estimates

MOST_DRAWS = 1000


def predict(
    drawn: Drawn, newdata: pd.DataFrame | None, what: str, by: str, ci: float
) -> pd.DataFrame:
    """Posterior means and equal-tailed intervals of means, linear predictors or weights.

    Parameters
    ----------
    drawn : Drawn
    newdata : DataFrame, optional
    what : str
        "mean", "link" or "weight".
    by : str
        "component", "marginal" or "membership".
    ci : float

    Returns
    -------
    DataFrame
        Rows by (component, statistic), or by statistic over the components; the
        statistics are estimate, lower and upper.
    """
    spec = drawn.spec
    at = Prediction.of(spec, newdata, what, by)
    index = spec.prepared.index if newdata is None else newdata.index
    found = estimates(Source(spec, None, drawn.thinned(MOST_DRAWS)), at.values)
    stack = np.stack([found.value, *found.limits(ci)], axis=-1)  # (cells, n, S or 1, 3)
    frames = [_frame(part, index, spec.components, by) for part in stack]
    return frames[0] if len(frames) == 1 else side_by_side(frames, at.cells)


def _frame(part: np.ndarray, index: pd.Index, components: tuple, by: str) -> pd.DataFrame:
    if by != "component":
        return pd.DataFrame(part[:, 0], index=index, columns=ENDS)
    columns = pd.MultiIndex.from_product([list(components), ENDS], names=["component", None])
    return pd.DataFrame(part.reshape(len(part), -1), index=index, columns=columns)


def simulate(
    drawn: Drawn,
    newdata: pd.DataFrame | None,
    draws: int | None,
    rng: np.random.Generator,
    *,
    missing: bool = False,
) -> np.ndarray:
    """Posterior predictive columns, (draws, columns, n): parameters, components, responses.

    Parameters
    ----------
    drawn : Drawn
    newdata : DataFrame, optional
    draws : int, or None for one of each posterior draw, in order
    rng : numpy.random.Generator
    missing : bool
        Whether responses are missing where those of the model are.
    """
    spec = drawn.spec
    rows = simulation_rows(spec, newdata, missing=missing)
    columns = columns_of(spec, rows)
    flat = drawn.flat
    size = len(flat) if draws is None else draws
    held = 16.0 * size * len(columns) * rows.n
    check_memory(held, f"{size} simulations of {rows.n} rows", "ask for fewer draws")
    theta = flat if draws is None else flat[rng.integers(0, len(flat), draws)]
    out = draw_data_sets(spec, theta, rows, rng)
    return np.stack(as_observed(np.swapaxes(out, 0, 1), columns), axis=1) if missing else out
