"""Draws of parameters from their priors."""

from __future__ import annotations

import numpy as np

from bayesmix.model import MixtureSpec
from bayesmix.model.coordinates import Map
from bayesmix.priors.log_density import PriorModel


def sample_prior(
    spec: MixtureSpec, model: PriorModel, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws of theta (draws, D) from the priors; held parameters at their values.

    Parameters
    ----------
    spec : MixtureSpec
    model : PriorModel
    draws : int
    rng : numpy.random.Generator
    """
    theta = np.zeros((draws, spec.layout.size))
    for at, (prior, link) in model.single.items():
        if prior.kind != "smooth":
            theta[:, at] = link.forward(prior.sample(draws, rng))
    for smooth in model.smooths:
        size = np.exp(theta[:, [smooth.tau]])
        theta[:, smooth.bent] = size * rng.standard_normal((draws, smooth.rank))
    index = spec.layout.alpha[1:]
    if model.concentration is not None:
        weight = rng.dirichlet(np.full(spec.k, model.concentration), draws)
        logs = np.log(np.maximum(weight, 1e-300))
        theta[:, index[:, 0]] = logs[:, 1:] - logs[:, :1]
    if model.spread is not None:
        z = rng.standard_normal((draws, spec.k, len(model.spread))) * model.spread
        theta[:, index] = z[:, 1:] - z[:, :1]
    place = model.map or Map.identity(spec.layout.size)
    for at, value in spec.held.items():
        theta[:, at] = place.matrix[at, at] * value + place.shift[at]
    return place.solve(theta)
