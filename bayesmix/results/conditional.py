"""Random effects given the responses of their clusters, in every component."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.families.effects import conditional_effects
from bayesmix.model import BlockRows
from bayesmix.model.layout import BlockLayout
from bayesmix.model.random import effect_roots


class Given(NamedTuple):
    """Means (S, C, q) and covariances (S, C, q, q) by component, and each row's cluster (n,)."""

    mean: np.ndarray
    spread: np.ndarray
    codes: np.ndarray


def effects_by_component(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, mean: np.ndarray
) -> Given:
    """The random effects of the clusters given their responses, in every component.

    Parameters
    ----------
    block : BlockLayout
    data : BlockRows
    theta : ndarray, shape (D,)
    mean : ndarray, shape (n, S)
        Of the responses, without the effects.
    """
    assert data.clustered is not None
    order = np.argsort(data.clustered.codes, kind="stable")
    u, found = effect_roots(block, theta), []
    for s, (key, slots) in enumerate(zip(block.keys, block.slots, strict=True)):
        sigma = float(np.exp(block.predictors[slots[1]].coefficients(theta)[s, 0]))
        obs = data.observed[key].take(order)
        found.append(conditional_effects(obs, mean[order, s], sigma, u[s])[:2])
    values, spread = (np.array(x) for x in zip(*found, strict=True))
    codes = np.unique(data.clustered.codes, return_inverse=True)[1]
    return Given(values, spread, codes)


def shifts(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, mean: np.ndarray
) -> np.ndarray | float:
    """What the random effects given the responses add to the rows' means, (n, S)."""
    if not block.random:
        return 0.0
    assert data.clustered is not None
    z = data.clustered.effects
    assert z is not None
    given = effects_by_component(block, data, theta, mean)
    return np.einsum("nq,snq->ns", z, given.mean[:, given.codes])


def joined(given: Given, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (C, q) over the components, by shares (C, S)."""
    weight = share.T[..., None]
    mean = (weight * given.mean).sum(0)
    own = np.diagonal(given.spread, axis1=-2, axis2=-1) + np.square(given.mean - mean)
    return mean, np.sqrt((weight * own).sum(0))


def one_by_one(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (n, S) of responses given the earlier rows of their cluster.

    The effects' distribution follows from row to row, as in Kalman's filter.

    Parameters
    ----------
    block, data, theta, mean
        As of `effects_by_component`.
    """
    assert data.clustered is not None
    effects, obs = data.clustered.effects, next(iter(data.observed.values()))
    y, there = obs.y, obs.there
    assert effects is not None
    codes = np.unique(data.clustered.codes, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    counts = np.diff(np.append(first, len(codes)))
    slots = enumerate(block.slots)
    sigma = np.exp([block.predictors[at[1]].coefficients(theta)[s, 0] for s, at in slots])
    z = np.swapaxes(effects @ effect_roots(block, theta), 0, 1)  # of effects with variance one
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
