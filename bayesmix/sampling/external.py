"""Draws of the PyMC model that somebody else made, and points where samplers can begin."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix._arguments import generator
from bayesmix.errors import SpecError, warn
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.posterior.drawn import STATS, Drawn, draws_dataset
from bayesmix.priors import Penalty, PriorModel, resolve, with_smooths
from bayesmix.pymc_model import draws_to_theta, initial_point
from bayesmix.sampling import Chains
from bayesmix.sampling.posterior import LaplaceOptions, begin, chain_diagnosis


def starting_values(spec: MixtureSpec, priors: Any, seed: Any) -> dict[str, np.ndarray]:
    """The posterior mode as values of the PyMC model's free variables.

    Parameters
    ----------
    spec : MixtureSpec
    priors : None or dict
        See `priors.resolve`.
    seed : int or numpy.random.Generator, optional
    """
    spec = with_smooths(spec, priors)
    model = _proper(resolve(spec, priors))
    begun = begin(spec, model, priors, LaplaceOptions(), generator(seed))
    return initial_point(spec, model, begun.point.theta)


def draws_from_pymc(spec: MixtureSpec, priors: Any, idata: Any, seed: Any) -> Drawn:
    """A posterior from draws of the PyMC model, relabelled and diagnosed.

    Parameters
    ----------
    spec : MixtureSpec
    priors : None or dict
    idata : DataTree
    seed : int or numpy.random.Generator, optional
    """
    spec = with_smooths(spec, priors)
    model = _proper(resolve(spec, priors))
    posterior = _group(idata, "posterior")
    if posterior is None:
        msg = f"from_pymc takes what pm.sample returns, with a group posterior; given {type(idata)}"
        raise SpecError(msg)
    theta = draws_to_theta(spec, model, posterior)
    problem = build_problem(spec, penalty=Penalty(model, jacobian=True))
    density = log_likelihood(problem, theta.reshape(-1, theta.shape[-1]))
    begun = begin(spec, model, priors, LaplaceOptions(), generator(seed))
    stats = _group(idata, "sample_stats")
    kept = {
        str(n): np.asarray(v.values)
        for n, v in ({} if stats is None else stats.data_vars).items()
        if n in STATS and v.shape == theta.shape[:2]
    }
    nowhere = np.full(len(theta), -1)
    chains = Chains(theta, density.reshape(theta.shape[:2]), kept, nowhere, len(theta))
    sampler = str(getattr(idata, "attrs", {}).get("sampler", "pymc"))
    drawn = begun.drawn("nuts", sampler, chains, beside=_beside(spec, model, theta, posterior))
    if len(theta) > 1:
        for finding in chain_diagnosis(drawn).findings:
            warn(finding.kind, str(finding))
    return drawn


def _beside(
    spec: MixtureSpec, model: PriorModel, theta: np.ndarray, posterior: Any
) -> tuple[str, ...]:
    """Variables of the draws that are not of the specification's own model."""
    own = draws_dataset(spec, model, theta[:1, :1])
    others = {n: v for n, v in posterior.data_vars.items() if n not in own}
    return tuple(str(n) for n, v in others.items() if "obs" not in v.dims)


def _group(idata: Any, name: str) -> Any:
    """A group of a DataTree as a Dataset; None where there is none."""
    found = getattr(idata, "children", {}).get(name)
    return None if found is None else found.to_dataset()


def _proper(model: PriorModel | None) -> PriorModel:
    if model is None:
        msg = "priors='flat': there is no PyMC model; leave priors= out, or give your own"
        raise SpecError(msg)
    return model
