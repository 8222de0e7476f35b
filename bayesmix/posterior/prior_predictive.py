"""What the priors say: in words, as draws of parameters, and as simulated data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.model.data import named_data
from bayesmix.posterior.drawn import draws_dataset
from bayesmix.posterior.tree import predictive_dataset
from bayesmix.priors import PriorModel, sample_prior
from bayesmix.results.predict import (
    draw_components,
    draw_response,
    warn_of_impossible,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["prior_table", "prior_tree"]


def prior_table(spec: MixtureSpec, model: PriorModel | None) -> pd.DataFrame:
    """The priors of a model, a row for each name of `fit.params`.

    Parameters
    ----------
    spec : MixtureSpec
    model : PriorModel, or None
        None: flat priors.

    Returns
    -------
    DataFrame
        parameter, prior, and what it says: the middle 95 percent of the parameter.
    """
    if model is None:
        return pd.DataFrame({"parameter": ["all"], "prior": ["flat"], "words": ["no prior"]})
    rows: dict[str, tuple[str, str]] = {}
    for at, (prior, _) in sorted(model.single.items()):
        c = spec.layout.coordinates[at]
        name = c.variable if c.term == c.variable else f"{c.variable}[{c.term}]"
        if name in rows and rows[name][0] == repr(prior):
            continue
        if name in rows:
            name = f"{name} of component {spec.components[c.components[0]]}"
        low, high = prior.quantile([0.025, 0.975])
        rows[name] = (repr(prior), f"95% between {low:.3g} and {high:.3g}")
    if model.concentration is not None:
        a = model.concentration
        units = "unit" if a == 2 else "units"
        words = (
            f"as if {a - 1:g} more {units} had been seen in every component"
            if a >= 1
            else "surplus components are emptied"
        )
        rows["weight"] = (f"Prior('dirichlet', concentration={a:g})", words)
    for term, tau in zip(
        spec.layout.concomitant_terms or (),
        () if model.spread is None else model.spread,
        strict=False,
    ):
        words = "sum to zero over the components; contrasts to the first are derived"
        rows[f"alpha[{term}]"] = (f"Prior('normal', mu=0, sigma={tau:g})", words)
    table = [(name, prior, words) for name, (prior, words) in rows.items()]
    return pd.DataFrame(table, columns=["parameter", "prior", "words"])


def prior_tree(
    spec: MixtureSpec, model: PriorModel | None, draws: int, rng: np.random.Generator
) -> xr.DataTree:
    """Draws of the parameters from the priors, and a simulated data set for each.

    Returns
    -------
    xarray.DataTree
        Groups prior and prior_predictive.

    Raises
    ------
    SpecError
        Under flat priors, which cannot be drawn from.
    """
    import xarray as xr

    if model is None:
        msg = "flat priors are no distribution to draw from; leave priors= out, or give your own"
        raise SpecError(msg)
    theta = sample_prior(spec, model, draws, rng)
    out = np.empty((draws, len(spec.layout.blocks), spec.rows.n))
    with np.errstate(all="ignore"):
        for d in range(draws):
            component = draw_components(spec, theta[d], spec.rows, rng)
            for b, (block, data) in enumerate(
                zip(spec.layout.blocks, spec.rows.blocks, strict=True)
            ):
                out[d, b] = draw_response(block, data, theta[d], component, rng)
    warn_of_impossible(out)
    return xr.DataTree.from_dict(
        {
            "prior": draws_dataset(spec, model, theta[None]),
            "prior_predictive": predictive_dataset(spec, named_data(spec), out[None]),
        }
    )
