"""Random effects of the units given their responses: best linear unbiased predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known
from bayesmix.errors import FitError
from bayesmix.likelihood import build_problem, unit_terms
from bayesmix.model import MixtureSpec, Rows
from bayesmix.model.reading import clusters
from bayesmix.results.at import At
from bayesmix.results.conditional import effects_by_component, joined
from bayesmix.results.fitted import Fitted
from bayesmix.results.means import linear_predictors


def effects_of(spec: MixtureSpec) -> int:
    """The response that has random effects.

    Raises
    ------
    FitError
        If none has.
    """
    having = [b for b, block in enumerate(spec.layout.blocks) if block.random]
    if not having:
        raise FitError("this model has no random effects; write them as 'y ~ x + (1 + x | id)'")
    return having[0]


def rows_of(
    spec: MixtureSpec, newdata: pd.DataFrame | None, number: int
) -> tuple[Rows, pd.Index, np.ndarray]:
    """Rows with their responses, the clusters' names, and the unit of each cluster (C,)."""
    rows, given = spec.apply(newdata, response=True), spec.prepared.parts[number].random
    assert given is not None
    data = rows.blocks[number].clustered
    assert data is not None
    _, first = np.unique(data.codes, return_index=True)
    index = given.index
    if newdata is not None:
        index = rows.units.index
        if given.column in newdata.columns:
            index = clusters(newdata, given.column, rows.units)[1]
    return rows, index, rows.units.codes[first]


def random_effects(fitted: Fitted, newdata: pd.DataFrame | None, by: str) -> pd.DataFrame:
    """Predicted random effects, a row for each cluster and term, or each component of these.

    Raises
    ------
    FitError
        If the model has none, or `by` is unknown.
    """
    check_known(f"random_effects(by={by!r})", by, ("membership", "component"))
    spec, number = fitted.spec, effects_of(fitted.spec)
    block = spec.layout.blocks[number]
    rows, index, unit = rows_of(spec, newdata, number)
    at = At(block, rows.blocks[number], fitted.theta)
    given = effects_by_component(at, linear_predictors(at))
    axes: dict[str, Any] = {str(index.name): index}
    if by == "membership":
        share = unit_terms(build_problem(spec, rows), fitted.theta)[1][unit]
        mean, sd = joined(given, share)
    else:
        axes["component"] = list(spec.components)
        spread = np.sqrt(np.diagonal(given.spread, axis1=-2, axis2=-1))
        mean, sd = given.mean.swapaxes(0, 1), spread.swapaxes(0, 1)
    axes["term"] = list(block.random)
    keys = pd.MultiIndex.from_product(list(axes.values()), names=list(axes)).to_frame(index=False)
    return keys.assign(estimate=mean.ravel(), sd=sd.ravel())
