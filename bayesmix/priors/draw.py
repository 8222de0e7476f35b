"""What samplers need of the priors: a quick gradient, and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import special

from bayesmix.model import MixtureSpec
from bayesmix.model.coordinates import Map
from bayesmix.priors.log_density import PriorModel, log_prior


def gradient(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """A quick function of one theta (D,): log density of theta itself, and its gradient.

    What `log_prior` gives with the Jacobian, for samplers that call it very often.
    """
    if (place := model.map) is None:
        return _of_place(spec, model)
    plain = _of_place(spec, replace(model, map=None))
    volume = place.log_volume

    def mapped(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, score = plain(place(theta))
        return value + volume, place.back(theta, score)

    return mapped


def _of_place(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The same as a function of what the priors are of."""
    if not model.is_normal or spec.weights.held is not None:
        return lambda theta: _general_gradient(spec, model, theta)
    at = np.concatenate([g.at for g in model.groups] or [np.empty(0, int)])
    order = np.argsort(at)
    mu, sigma = (
        np.concatenate([g.parameters[name] for g in model.groups] or [np.empty(0)])[order]
        for name in ("mu", "sigma")
    )
    keep = spec.free[at[order]]
    at, mu, precision = at[order][keep], mu[keep], 1 / sigma[keep]
    constant = float(np.log(precision).sum() - 0.5 * len(at) * np.log(2 * np.pi))
    weights = _weights_gradient(spec, model)

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = np.zeros(len(theta))
        z = (theta[at] - mu) * precision
        score[at] = -z * precision
        return constant - 0.5 * float(z @ z) + weights(theta, score), score

    return value_and_gradient


def _general_gradient(
    spec: MixtureSpec, model: PriorModel, theta: np.ndarray
) -> tuple[float, np.ndarray]:
    prior = log_prior(spec, model, theta[None], jacobian=True)
    return float(prior.value[0]), prior.score[0]


def _weights_gradient(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The weights' part: adds to a score (D,), returns the value."""
    k, index = spec.k, spec.layout.alpha[1:]
    if model.concentration is not None:
        a, at = model.concentration, index[:, 0]
        constant = float(special.gammaln(k * a) - k * special.gammaln(a))

        def dirichlet(theta: np.ndarray, score: np.ndarray) -> float:
            logits = np.append(0.0, theta[at])
            top = logits.max()
            total = top + np.log(np.exp(logits - top).sum())
            score[at] += a * (1 - k * np.exp(logits[1:] - total))
            return constant + a * float(logits.sum() - k * total)

        return dirichlet
    if model.spread is not None:
        inverse = 1 / model.spread
        start = -(k - 1) * float(
            np.log(model.spread).sum() + 0.5 * len(inverse) * np.log(2 * np.pi)
        )

        def zero_sum(theta: np.ndarray, score: np.ndarray) -> float:
            a = theta[index] * inverse  # (S - 1, Q)
            pull = a - a.sum(0) / k
            score[index] -= pull * inverse
            return start - 0.5 * float((a * pull).sum())

        return zero_sum
    return lambda _theta, _score: 0.0


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
