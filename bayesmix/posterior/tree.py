"""A posterior as an ArviZ DataTree."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmix.model import MixtureSpec
from bayesmix.model.data import NamedData, named_data, to_rows
from bayesmix.posterior.dataset import dataset
from bayesmix.posterior.drawn import STATS, Drawn, draws_dataset, log_prior_dataset
from bayesmix.posterior.predict import simulate
from bayesmix.priors import sample_prior
from bayesmix.results.simulation import columns_of

if TYPE_CHECKING:
    import xarray as xr

PRIOR_DRAWS = 1000


def to_tree(drawn: Drawn, *, predictive: int, seed: int, by: str = "unit") -> xr.DataTree:
    """The groups posterior, sample_stats, log_likelihood, log_prior, prior, and the data.

    Parameters
    ----------
    drawn : Drawn
    predictive : int
        Draws of the group posterior_predictive; 0 leaves it out.
    seed : int
        Of the prior and predictive draws.
    by : str
        "unit", or "row": the unit's log-likelihood at each of its responses.  Predictive draws are
        then one of each draw in the other groups, which have as many.
    """
    import xarray as xr

    paired = predictive > 0 and by == "row"
    drawn = drawn.every(predictive) if paired else drawn
    spec, named = drawn.spec, named_data(drawn.spec)
    rng = np.random.default_rng(seed)
    before = sample_prior(spec, drawn.priors, PRIOR_DRAWS, rng)[None]
    groups: dict[str, xr.Dataset] = {
        "posterior": draws_dataset(spec, drawn.priors, drawn.theta),
        "sample_stats": _stats(drawn),
        "log_likelihood": _log_likelihood(drawn, named, by),
        "log_prior": log_prior_dataset(spec, drawn.priors, drawn.theta),
        "prior": draws_dataset(spec, drawn.priors, before),
        "observed_data": _observed(spec, named),
        "constant_data": _constant(named),
    }
    if predictive:
        simulated = simulate(drawn, None, None if paired else predictive, rng)
        simulated = simulated.reshape(len(drawn.theta) if paired else 1, -1, *simulated.shape[1:])
        groups["posterior_predictive"] = predictive_dataset(spec, named, simulated)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "inference_library": "bayesmix",
        "method": drawn.method,
        "sampler": drawn.sampler,
        "relabelling": drawn.relabelling,
        "thin": drawn.thin,
    }
    return tree


def _stats(drawn: Drawn) -> xr.Dataset:
    kept = {n: v for n, v in drawn.stats.items() if n in STATS}
    variables: dict[str, Any] = {n: (("chain", "draw"), v) for n, v in kept.items()}
    variables["lp"] = (("chain", "draw"), drawn.log_density)
    return dataset(variables, {})


def _log_likelihood(drawn: Drawn, named: NamedData, by: str) -> xr.Dataset:
    values, names, dim = drawn.log_likelihood, [named.response], "unit"
    if by == "row":
        values = values[..., drawn.spec.rows.units.codes]
        names, dim = list(_responses(drawn.spec, named)), row_dim(drawn.spec)
    return _labelled(named, dict.fromkeys(names, (("chain", "draw", dim), values)))


def _responses(spec: MixtureSpec, named: NamedData) -> dict[str, np.ndarray]:
    """The responses by row."""
    found = to_rows(spec, named.values[f"{named.response}_data"])
    return found if len(found) > 1 else dict.fromkeys([named.response], *found.values())


def _labelled(named: NamedData, variables: Mapping[str, tuple[Any, Any]]) -> xr.Dataset:
    """A Dataset of variables, with the labels of units, rows and what else the data name."""
    used = {dim for dims, _ in variables.values() for dim in dims if dim in named.coords}
    return dataset(variables, {dim: _labels(named.coords[dim]) for dim in sorted(used)})


def _labels(labels: Sequence[Hashable]) -> np.ndarray:
    """Numbers as they are; other labels as one text each, which a file can hold."""
    values = pd.Index(list(labels)).to_numpy()
    return values if values.dtype.kind in "iuf" else np.array([str(label) for label in labels])


def _observed(spec: MixtureSpec, named: NamedData) -> xr.Dataset:
    """Responses by row, which are the units where these are single rows."""
    dims = (row_dim(spec),)
    return _labelled(named, {n: (dims, v) for n, v in _responses(spec, named).items()})


def row_dim(spec: MixtureSpec) -> str:
    """The dimension of responses by row: "unit" where each row is one."""
    return "obs" if spec.rows.units.grouped else "unit"


def _constant(named: NamedData) -> xr.Dataset:
    """All data of the PyMC model but the responses."""
    kept = {n: v for n, v in named.values.items() if n != f"{named.response}_data"}
    return _labelled(named, {n: (named.dims[n], v) for n, v in kept.items()})


def predictive_dataset(spec: MixtureSpec, named: NamedData, values: np.ndarray) -> xr.Dataset:
    """Simulated responses (chain, draw, response, row) under the names of those observed."""
    names = [column.name for column in columns_of(spec, spec.rows)]
    names = [named.response] if len(names) == 1 else names
    dims = ("chain", "draw", row_dim(spec))
    return _labelled(named, {n: (dims, values[:, :, b]) for b, n in enumerate(names)})
