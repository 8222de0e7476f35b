"""A posterior as an ArviZ DataTree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.model.params import plain_components
from bayesmix.posterior.dataset import dataset
from bayesmix.posterior.drawn import Drawn, draws_dataset
from bayesmix.posterior.predict import simulate
from bayesmix.priors import sample_prior
from bayesmix.results.predict import response_name

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["to_tree"]

PRIOR_DRAWS = 1000


def to_tree(drawn: Drawn, *, predictive: int, seed: int) -> xr.DataTree:
    """The groups posterior, sample_stats, log_likelihood, prior, observed_data, constant_data.

    Parameters
    ----------
    drawn : Drawn
    predictive : int
        Draws of the group posterior_predictive; 0 leaves it out.
    seed : int
        Of the prior and predictive draws.
    """
    import xarray as xr

    spec = drawn.spec
    rng = np.random.default_rng(seed)
    groups: dict[str, xr.Dataset] = {
        "posterior": draws_dataset(spec, drawn.theta),
        "sample_stats": _stats(drawn),
        "log_likelihood": _log_likelihood(drawn),
        "prior": draws_dataset(spec, sample_prior(spec, drawn.priors, PRIOR_DRAWS, rng)[None]),
        "observed_data": _observed(drawn),
        "constant_data": _constant(drawn),
    }
    if predictive:
        groups["posterior_predictive"] = _predictive(drawn, predictive, rng)
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
    chains, draws = drawn.theta.shape[:2]
    known = {"diverging", "depth", "n_steps", "energy", "tree_depth", "step_size"}
    kept = {n: v for n, v in drawn.stats.items() if n in known}
    variables: dict[str, Any] = {n: (("chain", "draw"), v) for n, v in kept.items()}
    variables["lp"] = (("chain", "draw"), drawn.log_density)
    return dataset(variables, {"chain": np.arange(chains), "draw": np.arange(draws)})


def _unit_labels(drawn: Drawn) -> np.ndarray:
    values = drawn.spec.rows.units.index.to_numpy()
    # One text each: of a MultiIndex the values are tuples, which NumPy would take for a matrix.
    return values if values.dtype.kind in "iuf" else np.array([str(label) for label in values])


def _log_likelihood(drawn: Drawn) -> xr.Dataset:
    chains, draws = drawn.theta.shape[:2]
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "unit": _unit_labels(drawn),
    }
    name = " & ".join(block.name for block in drawn.spec.layout.blocks)
    return dataset({name: (("chain", "draw", "unit"), drawn.log_likelihood)}, coords)


def _observed(drawn: Drawn) -> xr.Dataset:
    events = drawn.spec.prepared.events
    found = [d.response for d in drawn.spec.rows.blocks if d.response is not None]
    times = {r.name: r.times for r in found if r.times is not None}
    times = times if events is None else events.times
    variables: dict[str, Any] = {r.name: (("row",), r.y) for r in found if r.times is None}
    for name, known in times.items():
        for bound in ("lower", "upper", "entry"):
            variables[f"{bound} of {name}"] = (("row",), getattr(known, bound))
    if events is not None:
        variables["allowed"] = (("row", "component"), events.allowed)
    names = list(plain_components(drawn.spec.components))
    coords = {"row": np.arange(drawn.spec.rows.n), "component": names}
    return dataset(variables, coords if events is not None else {"row": coords["row"]})


def _constant(drawn: Drawn) -> xr.Dataset:
    rows = drawn.spec.rows
    variables: dict[str, Any] = {"unit_of_row": (("row",), rows.units.codes)}
    for data in rows.blocks:
        if data.response is not None and data.response.trials is not None:
            variables[f"trials of {data.response.name}"] = (("row",), data.response.trials)
        if data.offset is not None and data.response is not None:
            dims = ("row",) if data.offset.ndim == 1 else ("component", "row")
            variables[f"offset of {data.response.name}"] = (dims, data.offset)
    if rows.weight is not None:
        variables["case_weight"] = (("unit",), rows.weight)
    return dataset(variables, {})


def _predictive(drawn: Drawn, draws: int, rng: np.random.Generator) -> xr.Dataset:
    values = simulate(drawn, None, draws, rng)
    names = [response_name(drawn.spec, block) for block in drawn.spec.layout.blocks]
    variables = {
        name: (("chain", "draw", "row"), values[None, :, b]) for b, name in enumerate(names)
    }
    coords = {"chain": [0], "draw": np.arange(draws), "row": np.arange(drawn.spec.rows.n)}
    return dataset(variables, coords)
