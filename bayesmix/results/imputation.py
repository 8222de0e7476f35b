"""Draws of missing responses, given what was observed of their units."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.likelihood import Problem, unit_terms
from bayesmix.results.predict import draw_from, draw_response, warn_of_impossible

__all__ = ["impute"]


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
    lost = {b: ~data.there for b, data in enumerate(rows.blocks) if data.there is not None}
    if not lost:
        msg = "impute(): no response is missing; it is for models with na_action='fiml'"
        raise FitError(msg)
    once = np.zeros(rows.n, bool)
    once[rows.units.first] = True
    for b in lost:
        if spec.prepared.parts[b].regression.per == "unit":
            lost[b] &= once
    out = {b: np.empty((int(where.sum()), len(theta))) for b, where in lost.items()}
    for d, at in enumerate(theta):
        component = draw_from(unit_terms(problem, at)[1], rng)[rows.units.codes]
        drawn = np.array(
            [
                draw_response(block, data, at, component, rng)
                for block, data in zip(spec.layout.blocks, rows.blocks, strict=True)
            ]
        )
        warn_of_impossible(drawn, rows)
        for b, where in lost.items():
            out[b][:, d] = drawn[b, where]
    index, names = spec.prepared.index, [block.name for block in spec.layout.blocks]
    frames = {names[b]: pd.DataFrame(v, index[lost[b]]) for b, v in out.items()}
    return pd.concat(frames, names=["response", "row"]).rename_axis(columns="draw")
