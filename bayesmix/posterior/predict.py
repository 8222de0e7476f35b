"""Predictions and simulated data with posterior uncertainty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import fraction
from bayesmix.errors import FitError
from bayesmix.model import Rows
from bayesmix.posterior.drawn import Drawn
from bayesmix.results.predict import (
    component_means,
    draw_components,
    draw_response,
    linear_predictors,
    row_weights,
    simulation_rows,
    warn_of_impossible,
)

__all__ = ["predict", "simulate"]

MOST_DRAWS = 1000
WHAT = ("mean", "link", "weight")


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
        "component" or "marginal".
    ci : float

    Returns
    -------
    DataFrame
        Rows by (component, statistic), or by statistic for "marginal"; the
        statistics are estimate, lower and upper.
    """
    if what not in WHAT:
        msg = f"predict(what={what!r}) is unknown; use one of {WHAT}"
        raise FitError(msg)
    if by not in ("component", "marginal") or (by == "marginal" and what != "mean"):
        msg = f"predict(what={what!r}, by={by!r}): by is 'component', or 'marginal' with 'mean'"
        raise FitError(msg)
    ci = fraction("ci", ci, 0.95, error=FitError)
    spec = drawn.spec
    rows = spec.apply(newdata, response=False, weights=what == "weight" or by == "marginal")
    index = spec.prepared.index if newdata is None else newdata.index
    names = ["weight"] if what == "weight" else [b.name for b in spec.layout.blocks]
    draws = np.array(list(_values(drawn, rows, what, by)))  # (T, blocks, n, S or 1)
    # Between an infinite expected time and a finite one there is nothing to interpolate.
    method: Any = "linear" if np.isfinite(draws).all() else "inverted_cdf"
    tails = np.quantile(draws, [0.5 - ci / 2, 0.5 + ci / 2], axis=0, method=method)
    stack = np.stack([draws.mean(0), *tails], axis=-1)  # (blocks, n, S or 1, 3)
    frames = {
        n: _frame(part, index, spec.components, by) for n, part in zip(names, stack, strict=True)
    }
    return next(iter(frames.values())) if len(frames) == 1 else pd.concat(frames, axis=1)


def _values(drawn: Drawn, rows: Rows, what: str, by: str) -> Iterator[np.ndarray]:
    spec = drawn.spec
    for theta in drawn.thinned(MOST_DRAWS):
        if what == "weight":
            yield row_weights(spec, theta, rows)[None]
            continue
        function = linear_predictors if what == "link" else component_means
        pairs = zip(spec.layout.blocks, rows.blocks, strict=True)
        values = np.array([function(block, data, theta) for block, data in pairs])
        if by == "marginal":
            weights = row_weights(spec, theta, rows)
            values = np.where(weights > 0, weights * values, 0.0).sum(-1, keepdims=True)
        yield values


def _frame(part: np.ndarray, index: pd.Index, components: tuple, by: str) -> pd.DataFrame:
    statistics = ["estimate", "lower", "upper"]
    if by == "marginal":
        return pd.DataFrame(part[:, 0], index=index, columns=statistics)
    columns = pd.MultiIndex.from_product([list(components), statistics], names=["component", None])
    return pd.DataFrame(part.reshape(len(part), -1), index=index, columns=columns)


def simulate(
    drawn: Drawn, newdata: pd.DataFrame | None, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Posterior predictive responses, (draws, blocks, n): parameters, components, responses.

    Parameters
    ----------
    drawn : Drawn
    newdata : DataFrame, optional
    draws : int
    rng : numpy.random.Generator
    """
    spec = drawn.spec
    rows = simulation_rows(spec, newdata)
    flat = drawn.flat
    out = np.empty((draws, len(spec.layout.blocks), rows.n))
    for d, at in enumerate(rng.integers(0, len(flat), draws)):
        component = draw_components(spec, flat[at], rows, rng)
        for b, (block, data) in enumerate(zip(spec.layout.blocks, rows.blocks, strict=True)):
            out[d, b] = draw_response(block, data, flat[at], component, rng)
    warn_of_impossible(out)
    return out
