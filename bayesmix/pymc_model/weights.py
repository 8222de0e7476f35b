"""Random variables of the weights: constant ones, or the logits of concomitants.

Constant weights have a Dirichlet prior over the components whose weight is not
held.  Logits have a normal prior with sum zero over the components; where some
are held the others have what that prior is given the held ones.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from bayesmix.model import MixtureSpec
from bayesmix.model.params import plain_components
from bayesmix.priors import PriorModel
from bayesmix.pymc_model.theta import Theta

__all__ = ["add_weights", "weight_values"]

Tensor = Any


class _Logits(NamedTuple):
    """Free logits and their normal prior: entries of theta, labels, mean and covariance."""

    at: np.ndarray
    labels: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray


def _free_weights(spec: MixtureSpec) -> np.ndarray:
    """Components whose constant weight is not held; the first is the baseline of the others."""
    held = spec.weights.held
    return np.arange(spec.k) if held is None else np.flatnonzero(np.isnan(held))


def _free_logits(spec: MixtureSpec) -> np.ndarray:
    """Entries of theta of the logits that are not held, by term and component."""
    at = spec.layout.alpha[1:].T.ravel()
    return np.array([j for j in at if j not in spec.held], dtype=int)


def _logits_given_held(spec: MixtureSpec, model: PriorModel) -> _Logits:
    """The prior of free logits given the held ones.

    With precision (I - 11'/k) / tau_q^2 of the contrasts of term q.
    """
    assert model.spread is not None
    terms: tuple[Hashable, ...] = spec.layout.concomitant_terms or ()
    at = spec.layout.alpha[1:].T
    k, total = spec.k, at.size
    precision = np.zeros((total, total))
    for q, tau in enumerate(model.spread):
        rows = slice(q * (k - 1), (q + 1) * (k - 1))
        precision[rows, rows] = (np.eye(k - 1) - 1 / k) / tau**2
    held = np.array([j in spec.held for j in at.ravel()])
    values = np.array([spec.held[j] for j in at.ravel()[held]])
    covariance = np.linalg.inv(precision[np.ix_(~held, ~held)])
    names = [f"{spec.components[s]}:{term}" for term in terms for s in range(1, k)]
    return _Logits(
        at.ravel()[~held],
        tuple(n for n, h in zip(names, held, strict=True) if not h),
        -covariance @ precision[np.ix_(~held, held)] @ values,
        covariance,
    )


def weight_values(spec: MixtureSpec, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Values at theta (D,) of the weights' random variables, under every name they may have."""
    if spec.layout.concomitant_terms is not None:
        logits = spec.weights.logits(theta)
        return {
            "alpha_centred": (logits - logits.mean(0)).T,
            "alpha_free": theta[_free_logits(spec)],
        }
    free = _free_weights(spec)
    weight = np.exp(spec.weights.log_weights(theta, None)[:, 0])
    share = weight[free] / weight[free].sum() if len(free) else weight[free]
    return {"weight": weight, "weight_free": share}


def add_weights(spec: MixtureSpec, priors: PriorModel, theta: Theta) -> None:
    """Register the random variables of the weights in the model whose context it is."""
    if spec.layout.concomitant_terms is None:
        _constant_weights(spec, priors, theta)
    else:
        _logits(spec, priors, theta)


def _constant_weights(spec: MixtureSpec, priors: PriorModel, theta: Theta) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    free = _free_weights(spec)
    whole = len(free) == spec.k
    if len(free) < 2:
        held = np.full(1, np.nan) if spec.weights.held is None else spec.weights.held
        known = np.where(np.isnan(held), 1 - np.nansum(held), held)
        pm.Deterministic("weight", pt.as_tensor(known), dims="component")
        return
    assert priors.concentration is not None
    dim = "component" if whole else "component_free"
    model = pm.modelcontext(None)
    if not whole:
        names = plain_components(spec.components)
        model.add_coord(dim, tuple(names[s] for s in free))
    concentration = np.full(len(free), priors.concentration)
    share = pm.Dirichlet("weight" if whole else "weight_free", a=concentration, dims=dim)
    logits = _log_ratios(share)
    theta.add(spec.layout.alpha[free[1:], 0], logits, logits)
    if not whole:
        held = np.asarray(spec.weights.held)
        total = pt.as_tensor(np.where(np.isnan(held), 0.0, held))
        total = pt.set_subtensor(total[free], share * (1 - np.nansum(held)))
        pm.Deterministic("weight", total, dims="component")


def _logits(spec: MixtureSpec, priors: PriorModel, theta: Theta) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    model = pm.modelcontext(None)
    terms: tuple[Hashable, ...] = spec.layout.concomitant_terms or ()
    model.add_coord("concomitant_term", terms)
    index = spec.layout.alpha[1:]
    if len(_free_logits(spec)) == index.size:
        assert priors.spread is not None
        centred = pm.ZeroSumNormal(
            "alpha_centred",
            sigma=priors.spread[:, None],
            n_zerosum_axes=1,
            dims=("concomitant_term", "component"),
        )
        contrasts = centred.T[1:] - centred.T[0]
        theta.add(index, contrasts.ravel(), contrasts.ravel())
    elif len(_free_logits(spec)):
        known = _logits_given_held(spec, priors)
        model.add_coord("alpha_entry", known.labels)
        root = np.linalg.cholesky(known.covariance)
        free = pm.MvNormal("alpha_free", mu=known.mean, chol=root, dims="alpha_entry")
        theta.add(known.at, free, free)
    zero = pt.zeros((1, index.shape[1]))
    alpha = theta.vector()[index.ravel()].reshape(index.shape)
    pm.Deterministic("alpha", pt.concatenate([zero, alpha]), dims=("component", "concomitant_term"))


def _log_ratios(weight: Tensor) -> Tensor:
    """Logits of all but the first of some weights, which is the baseline."""
    import pytensor.tensor as pt

    logs = pt.log(weight)
    return logs[1:] - logs[0]
