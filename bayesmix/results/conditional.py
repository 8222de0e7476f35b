"""Random effects given the responses of their clusters, in every component."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.families.effects import conditional_effects
from bayesmix.model.random import effect_roots
from bayesmix.results.at import At


class Given(NamedTuple):
    """Means (S, C, q) and covariances (S, C, q, q) by component, and each row's cluster (n,)."""

    mean: np.ndarray
    spread: np.ndarray
    codes: np.ndarray


def effects_by_component(at: At, mean: np.ndarray) -> Given:
    """The random effects of the clusters given their responses, in every component.

    Parameters
    ----------
    at : At
    mean : ndarray, shape (n, S)
        Of the responses, without the effects.
    """
    codes, _ = at.clusters
    order = np.argsort(codes, kind="stable")
    u, sigma, found = effect_roots(at.block, at.theta), _sigma(at), []
    for s, _, key in at.components():
        obs = at.data.observed[key].take(order)
        found.append(conditional_effects(obs, mean[order, s], float(sigma[s]), u[s])[:2])
    values, spread = (np.array(x) for x in zip(*found, strict=True))
    return Given(values, spread, codes)


def _sigma(at: At) -> np.ndarray:
    """Standard deviations of the rows, (S,)."""
    slots = enumerate(at.block.slots)
    return np.exp([at.block.predictors[own[1]].coefficients(at.theta)[s, 0] for s, own in slots])


def shifts(at: At, mean: np.ndarray) -> np.ndarray | float:
    """What the random effects given the responses add to the rows' means, (n, S)."""
    if not at.block.random:
        return 0.0
    given = effects_by_component(at, mean)
    return np.einsum("nq,snq->ns", at.clusters[1], given.mean[:, given.codes])


def joined(given: Given, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (C, q) over the components, by shares (C, S)."""
    weight = share.T[..., None]
    mean = (weight * given.mean).sum(0)
    own = np.diagonal(given.spread, axis1=-2, axis2=-1) + np.square(given.mean - mean)
    return mean, np.sqrt((weight * own).sum(0))


def one_by_one(at: At, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (n, S) of responses given the earlier rows of their cluster.

    The effects' distribution follows from row to row, as in Kalman's filter.

    Parameters
    ----------
    at, mean
        As of `effects_by_component`.
    """
    (codes, own), obs = at.clusters, next(iter(at.data.observed.values()))
    y, there = obs.y, obs.there
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    counts = np.diff(np.append(first, len(codes)))
    sigma, u = _sigma(at), effect_roots(at.block, at.theta)
    z = np.swapaxes(own @ u, 0, 1)  # of effects with variance one
    spread = np.tile(np.eye(z.shape[-1]), (len(first), len(sigma), 1, 1))
    effects = np.zeros(spread.shape[:3])
    centre, sd = np.empty_like(mean), np.empty_like(mean)
    for step in range(int(counts.max())):
        some = np.flatnonzero(counts > step)
        rows = order[first[some] + step]
        along = np.einsum("csij,csj->csi", spread[some], z[rows])
        variance = np.einsum("csi,csi->cs", along, z[rows]) + sigma**2
        centre[rows] = mean[rows] + np.einsum("csi,csi->cs", effects[some], z[rows])
        sd[rows] = np.sqrt(variance)
        gain = along / variance[..., None]
        if there is not None:  # a missing response says nothing of the next one
            gain = gain * there[rows, None, None]
        residual = np.nan_to_num(y[rows, None] - centre[rows])
        effects[some] += gain * residual[..., None]
        spread[some] -= gain[..., None] * along[..., None, :]
    return centre, sd
