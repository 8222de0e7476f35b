"""Posterior draws of random effects, which the sampled density has integrated out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesmix._arguments.memory import check_memory
from bayesmix.likelihood import build_problem, unit_terms
from bayesmix.posterior.drawn import Drawn
from bayesmix.results.at import At
from bayesmix.results.conditional import effects_by_component
from bayesmix.results.means import linear_predictors
from bayesmix.results.random_effects import effects_of, rows_of
from bayesmix.results.simulation import draw_from

if TYPE_CHECKING:
    import xarray as xr


def random_effect_draws(
    drawn: Drawn, newdata: pd.DataFrame | None, rng: np.random.Generator
) -> xr.DataArray:
    """For each draw of the parameters a component of each unit, then its effects.

    Parameters
    ----------
    drawn : Drawn
    newdata : DataFrame, optional
    rng : numpy.random.Generator

    Returns
    -------
    xarray.DataArray, (chain, draw, cluster, random_term)
    """
    import xarray as xr

    spec, number = drawn.spec, effects_of(drawn.spec)
    block = spec.layout.blocks[number]
    rows, index, unit = rows_of(spec, newdata, number)
    shape = (*drawn.theta.shape[:2], len(index), len(block.random))
    what = f"the random effects of {len(index)} clusters in {len(drawn.flat)} draws"
    check_memory(16.0 * np.prod(shape), what, "ask for fewer draws")
    problem, data = build_problem(spec, rows), rows.blocks[number]
    out = np.empty((len(drawn.flat), *shape[2:]))
    for d, theta in enumerate(drawn.flat):
        at = At(block, data, theta)
        given = effects_by_component(at, linear_predictors(at))
        component = draw_from(unit_terms(problem, theta)[1], rng)[unit]
        own = (component, np.arange(len(index)))
        root = np.linalg.cholesky(given.spread[own])
        noise = rng.standard_normal((*shape[2:], 1))
        out[d] = given.mean[own] + (root @ noise)[..., 0]
    coords = {"random_term": list(block.random), str(index.name): index}
    dims = ("chain", "draw", str(index.name), "random_term")
    return xr.DataArray(out.reshape(shape), coords, dims, name="random_effects")
