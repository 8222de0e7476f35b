"""Partitions of small expected loss: the draws' own, cuts of a dendrogram, moves of units."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bayesmix.posterior.partition.losses import canonical, own_and_size, unit_losses

Linkage = Literal["average", "complete"]

# Multiplications spent on trying the draws' own partitions.
EFFORT = 2e10
BLOCK = 1 << 22
SWEEPS = 30


def best_draw(
    loss: str, similarity: np.ndarray, draws: np.ndarray, max_k: int
) -> np.ndarray | None:
    """The draw (U,) of least criterion among draws (T, U); evenly spaced ones when many."""
    n_units, k = draws.shape[1], int(draws.max()) + 1
    affordable = max(10, int(EFFORT // (2 * n_units * n_units * k)))
    draws = draws[:: max(1, -(-len(draws) // affordable))]
    total = similarity.sum(1)
    size = max(1, BLOCK // (n_units * k))
    values = []
    for a in range(0, len(draws), size):
        part = draws[a : a + size]
        z = part[:, None] == np.arange(k)[:, None]
        sums = z.reshape(-1, n_units).astype(similarity.dtype) @ similarity
        own = np.take_along_axis(sums.reshape(z.shape), part[:, None], axis=1)[:, 0]
        counts = z.sum(2)
        sizes = np.take_along_axis(counts, part, axis=1)
        value = unit_losses(loss, own, sizes, total, n_units).mean(1)
        values.append(np.where((counts > 0).sum(1) <= max_k, value, np.inf))
    every = np.concatenate(values)
    best = int(every.argmin())
    return canonical(draws[best]) if np.isfinite(every[best]) else None


def best_cut(loss: str, similarity: np.ndarray, method: Linkage, max_k: int) -> np.ndarray:
    """The best cut of a hierarchical clustering of 1 - P, among all numbers of clusters.

    The criterion is followed from merge to merge, so that all cuts together cost what
    one of them does.

    Parameters
    ----------
    loss : str
    similarity : ndarray, shape (U, U)
    method : "average" or "complete"
        Linkage.
    max_k : int
        Most clusters of a cut.
    """
    n = len(similarity)
    labels, found = np.arange(n), np.zeros(n, int)
    own, size = np.ones(n), np.ones(n)
    total = similarity.sum(1, dtype=float)
    parts = unit_losses(loss, own, size, total, n)
    value, best = parts.sum(), np.inf
    members = {i: np.array([i]) for i in range(n)}
    for step, merge in enumerate([None, *_merges(similarity, method)]):
        if merge is not None:
            a, b = (members.pop(int(x)) for x in merge)
            between = similarity[np.ix_(a, b)]
            own[a] += between.sum(1)
            own[b] += between.sum(0)
            both = members[n + step - 1] = np.concatenate([a, b])
            labels[both], size[both] = labels[a[0]], len(both)
            value -= parts[both].sum()
            parts[both] = unit_losses(loss, own[both], size[both], total[both], n)
            value += parts[both].sum()
        if n - step <= max_k and value < best - 1e-12 * n:
            best, found = value, labels.copy()
    return canonical(found)


def _merges(similarity: np.ndarray, method: Linkage) -> np.ndarray:
    """Which clusters are merged at each step, as `scipy.cluster.hierarchy` numbers them."""
    from scipy.cluster.hierarchy import linkage

    n = len(similarity)
    if n == 1:
        return np.empty((0, 2))
    distance = np.concatenate([1.0 - similarity[i, i + 1 :] for i in range(n - 1)], dtype=float)
    return linkage(np.maximum(distance, 0.0), method)[:, :2]


def refine(loss: str, similarity: np.ndarray, labels: np.ndarray, max_k: int) -> np.ndarray:
    """Move single units to the cluster, or a new one, that lowers the criterion most.

    Wade and Ghahramani's greedy search with steps of one unit: sweeps over the units
    until none moves.

    Parameters
    ----------
    loss : str
    similarity : ndarray, shape (U, U)
    labels : ndarray of int, shape (U,)
    max_k : int
        Most clusters.
    """
    n = len(labels)
    labels = canonical(labels)
    own = own_and_size(labels, similarity)[0].astype(float)
    sizes = np.zeros(min(max_k, n) + 1, int)
    sizes[: labels.max() + 1] = np.bincount(labels)
    for _ in range(SWEEPS):
        moved = False
        for i in range(n):
            moved |= _move(loss, similarity[i], i, labels, own, sizes)
        if not moved:
            break
    return canonical(labels)


def _move(
    loss: str, row: np.ndarray, i: int, labels: np.ndarray, own: np.ndarray, sizes: np.ndarray
) -> bool:
    """Put unit i where it costs least, in place; whether that is somewhere else."""
    old = labels[i]
    fellows = labels == old
    fellows[i] = False
    own[fellows] -= row[fellows]
    sizes[old] -= 1
    cost = _joining_costs(loss, row, i, labels, own, sizes)
    best = int(cost.argmin())
    new = best if cost[best] < cost[old] - 1e-10 else int(old)
    joined = fellows if new == old else labels == new
    own[joined] += row[joined]
    own[i] = row[joined].sum() + 1.0
    labels[i] = new
    sizes[new] += 1
    return new != old


def _joining_costs(
    loss: str, row: np.ndarray, i: int, labels: np.ndarray, own: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """N times the rise of the criterion when unit i joins each cluster (K,).

    Only what depends on the cluster; one empty cluster stands for a new one, the
    others and the last place (one cluster too many) are closed.
    """
    k = len(sizes)
    alone = row.copy()
    alone[i] = 0.0
    near = np.bincount(labels, alone, minlength=k)
    if loss == "binder":
        cost = 2 * (sizes - 2 * near)
    else:
        change = np.log2(1 + alone / own)
        joined = np.maximum(sizes, 1)
        cost = sizes * np.log2((sizes + 1) / joined) - 2 * np.bincount(labels, change, minlength=k)
        cost += np.log2(sizes + 1) - 2 * np.log2(near + 1)
    empty = np.flatnonzero(sizes[:-1] == 0)
    cost[-1] = np.inf
    cost[empty[1:]] = np.inf
    return cost
