"""What the priors say: in words, as draws of parameters, and as simulated data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Printed
from bayesmix.distributions import Prior
from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.model.data import named_data, to_rows
from bayesmix.model.smooth import smooth_sets
from bayesmix.posterior.drawn import draws_dataset
from bayesmix.posterior.tree import predictive_dataset
from bayesmix.priors import PriorModel, sample_prior
from bayesmix.priors.conditional import shown
from bayesmix.results.at import At
from bayesmix.results.simulation import (
    Column,
    columns_of,
    draw_components,
    draw_data_sets,
    draw_response,
    side_by_column,
)

if TYPE_CHECKING:
    import xarray as xr

SMOOTH = "a curve that departs from a straight line by about tau"


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
        return Printed({"parameter": ["all"], "prior": ["flat"], "words": ["no prior"]})
    rows: dict[str, tuple[str, str]] = {}
    smooth = {
        j: s.term for s in spec.smooths for at, _, _ in smooth_sets(spec, s) for j in at.tolist()
    }
    for at in sorted(model.single):
        prior, of = shown(spec, model, at)
        c = spec.layout.coordinates[at]
        if at in smooth:
            rows[smooth[at]] = (repr(Prior.smooth()), SMOOTH)
            continue
        name = c.variable if c.term == c.variable else f"{c.variable}[{c.term}]"
        if name in rows and rows[name][0] == repr(prior):
            continue
        if name in rows:
            name = f"{name} of component {spec.components[c.components[0]]}"
        low, high = prior.quantile([0.025, 0.975])
        cut = ", cut off where the parameter ends" if "truncated" in prior.kind else ""
        words = f"95% between {low:.3g} and {high:.3g}{cut}"
        rows[name] = (repr(prior), f"{of}, {words}" if of else words)
    if model.concentration is not None:
        a = model.concentration
        units = "unit" if a == 2 else "units"
        words = (
            f"as if {a - 1:g} more {units} had been seen in every component"
            if a >= 1
            else "surplus components are emptied"
        )
        rows["weight"] = (f"Prior('dirichlet', concentration={a:g})", words)
    terms = spec.layout.concomitant_terms or ()
    for term, tau in zip(terms, () if model.spread is None else model.spread, strict=False):
        words = "sum to zero over the components; contrasts to the first are derived"
        at = spec.layout.alpha[-1, terms.index(term)]
        if at in model.standard:
            words = f"at the means of the covariates that it absorbs; {words}"
        rows[f"alpha[{term}]"] = (f"Prior('normal', mu=0, sigma={tau:g})", words)
    table = [(name, prior, words) for name, (prior, words) in rows.items()]
    return Printed(table, columns=["parameter", "prior", "words"])


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
        msg = "flat priors are not a distribution to draw from; leave priors= out, or give your own"
        raise SpecError(msg)
    theta = sample_prior(spec, model, draws, rng)
    with np.errstate(all="ignore"):
        out = draw_data_sets(spec, theta, spec.rows, rng)
    return xr.DataTree.from_dict(
        {
            "prior": draws_dataset(spec, model, theta[None]),
            "prior_predictive": predictive_dataset(spec, named_data(spec), out[None]),
        }
    )


def with_predictive_ranges(
    table: pd.DataFrame, spec: MixtureSpec, model: PriorModel
) -> pd.DataFrame:
    """The table of priors, with the middle 95 percent of each response under them at the end.

    Parameters
    ----------
    table : DataFrame
        From `prior_table`.
    spec : MixtureSpec
    model : PriorModel
    """
    spec = replace(spec, rows=spec.rows.sample)  # of rows in blocks
    draws = int(np.clip(PREDICTED // spec.rows.n, *FEWEST_MOST))
    theta = sample_prior(spec, model, draws, np.random.default_rng(0))
    rows = []
    for c, column in enumerate(columns_of(spec, spec.rows)):
        block = spec.layout.blocks[column.block]
        if not block.survival and any(f.simulate is None for f in block.families if f.params):
            continue
        with np.errstate(all="ignore"):
            drawn = np.concatenate([_one_response(spec, column, t, i) for i, t in enumerate(theta)])
        rows.append((column.name, "implied", _range_words(spec, c, drawn)))
    return Printed(pd.concat([table, pd.DataFrame(rows, columns=table.columns)], ignore_index=True))


# Simulated responses that a range is read from, and the fewest and most data sets.
PREDICTED, FEWEST_MOST = 200_000, (20, 400)
# A prior that reaches so many times as far as the data do is flagged.
FAR = 1e4


def _one_response(spec: MixtureSpec, column: Column, theta: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    component = draw_components(spec, theta, spec.rows, rng)
    block = spec.layout.blocks[column.block]
    drawn = draw_response(At(block, column.data, theta), component, rng)
    return side_by_column([drawn])[column.number]


def _range_words(spec: MixtureSpec, b: int, drawn: np.ndarray) -> str:
    named = named_data(spec)
    names, values = zip(*to_rows(spec, named.values[f"{named.response}_data"]).items(), strict=True)
    at = min(b, len(names) - 1)
    whole = len(values) == len(columns_of(spec, spec.rows))
    observed = values[at] if whole else np.concatenate(values)
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return "no response is possible under the priors"
    low, high = np.quantile(known, [0.025, 0.975], method="inverted_cdf")
    first, last = np.nanmin(observed), np.nanmax(observed)
    words = f"95% between {low:.3g} and {high:.3g}; the data between {first:.3g} and {last:.3g}"
    reach = FAR * max(last - first, abs(last), np.finfo(float).tiny)
    if max(abs(low), abs(high)) > reach:
        words += ": FAR WIDER than the data, give narrower priors"
    return words
