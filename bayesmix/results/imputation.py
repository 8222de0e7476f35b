"""Draws of missing responses, given what was observed of their units."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.likelihood import Problem, unit_terms
from bayesmix.results.at import responses
from bayesmix.results.simulation import (
    columns_of,
    draw_from,
    draw_missing,
    labelled_frame,
    side_by_column,
    warn_of_impossible,
)


def impute(problem: Problem, theta: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Missing responses: a component by the unit's membership, then the response in it.

    Parameters
    ----------
    problem : Problem
        In the coordinates of `theta`.
    theta : ndarray, shape (T, D)
        One data set is drawn for each.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame
        Rows by response and row, a column for each draw.

    Raises
    ------
    FitError
        If no response is missing.
    """
    spec, rows = problem.spec, problem.spec.rows
    columns = columns_of(spec, rows)
    lost = {c: ~x.there for c, x in enumerate(columns) if x.there is not None}
    if not spec.prepared.fiml or not lost:
        raise FitError("impute(): no response is missing; it is for models with na_action='fiml'")
    once = np.zeros(rows.n, bool)
    once[rows.units.first] = True
    for c in lost:
        if spec.prepared.parts[columns[c].block].regression.per == "unit":
            lost[c] &= once
    out = {c: np.empty((int(where.sum()), len(theta))) for c, where in lost.items()}
    for d, at in enumerate(theta):
        component = draw_from(unit_terms(problem, at)[1], rng)[rows.units.codes]
        every = responses(spec, rows, at)
        drawn = side_by_column([draw_missing(one, component, rng) for one in every])
        warn_of_impossible(drawn, columns)
        for c, where in lost.items():
            out[c][:, d] = drawn[c, where]
    index = spec.prepared.index
    frames = {
        columns[c].name: labelled_frame(spec.layout.blocks[columns[c].block], v, index[lost[c]])
        for c, v in out.items()
    }
    return pd.concat(frames, names=["response", "row"]).rename_axis(columns="draw")
