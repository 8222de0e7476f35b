"""Reasons why chains disagree, each a function of numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.likelihood.problem import Problem
from bayesmix.model.layout import Layout
from bayesmix.model.params import permute
from bayesmix.posterior.labels.draws import mean_weights, membership_batches
from bayesmix.results.matching import assign

# Memberships looked at in each chain, and how many draws these are at least and at most.
EFFORT = 20_000_000
DRAWS = (20, 200)


class Chains(NamedTuple):
    """Relabelled chains, and their memberships from evenly spaced draws.

    `theta` (chain, draw, D), `log_density` (chain, draw).
    `mean` (chain, S, U): mean memberships times w_u / (2 sum w), so that the sum of the absolute
    differences between two is the mean total variation.
    `drift` (chain,): mean over units of the total variation between the mean
    memberships of a chain's two halves.
    `rows` (chain, S): rows that a component holds, sum_u w_u n_u p_us, or that its
    weight gives it, whatever is less.
    `distance` (chain, S, S): mean over draws of the total variation between the units
    of two components, 1/2 sum_u |p_us / sum p_s - p_ut / sum p_t|: 0 when every unit
    belongs to them in the same proportion, 1 when they share none.
    """

    theta: np.ndarray
    log_density: np.ndarray
    mean: np.ndarray
    drift: np.ndarray
    rows: np.ndarray
    distance: np.ndarray

    def part(self, some: np.ndarray) -> Chains:
        """Some of the chains."""
        return Chains(*(values[some] for values in self))


def chain_memberships(problem: Problem, theta: np.ndarray, log_density: np.ndarray) -> Chains:
    """Summaries of the memberships in each chain.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (chain, draw, D)
        Relabelled.
    log_density : ndarray, shape (chain, draw)
    """
    fewest, most = DRAWS
    size = EFFORT // (problem.n_units * problem.spec.k)
    step = max(1, theta.shape[1] // min(most, max(fewest, size)))
    parts = [_one_chain(problem, chain[::step]) for chain in theta]
    found = (np.array(column) for column in zip(*parts, strict=True))
    return Chains(theta, log_density, *found)


def _one_chain(
    problem: Problem, theta: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    k, w = problem.spec.k, np.ones(problem.n_units) if problem.weight is None else problem.weight
    n_rows = np.ones(problem.n_units)
    if problem.first is not None:
        n_rows = np.diff(np.append(problem.first, problem.n_rows))
    halves = np.zeros((2, k, problem.n_units))
    distance = np.zeros((k, k))
    middle = len(theta) // 2
    for draws, _, p in membership_batches(problem, theta):
        first = max(0, min(middle - draws.start, len(p)))
        halves[0] += p[:first].sum(0)
        halves[1] += p[first:].sum(0)
        distance += _distances(p * w)
    mean, share = halves.sum(0) / len(theta), w / (2 * w.sum())
    change = halves[0] / max(middle, 1) - halves[1] / (len(theta) - middle)
    drift = float(np.abs(change).sum(0) @ share) if middle else 0.0
    rows = w * n_rows
    by_weight = rows.sum() * mean_weights(problem.spec, theta).mean(0)
    return mean * share, drift, np.minimum(mean @ rows, by_weight), distance / len(theta)


def _distances(weighted: np.ndarray) -> np.ndarray:
    """Total variation between the units of every two components, summed over draws."""
    total = weighted.sum(2, keepdims=True)
    share = weighted / np.where(total > 0, total, 1.0)
    k = share.shape[1]
    out = np.zeros((k, k))
    for s in range(k):
        for t in range(s):
            out[s, t] = out[t, s] = np.abs(share[:, s] - share[:, t]).sum() / 2
    return out


# A chain is stuck when its variance is below this share of the other chains', in the
# median parameter, or when this share of its draws repeat the one before.
FAR_BELOW = 0.05
REPEATED = 0.5
# Mean log densities differ when by so many standard errors and standard deviations.
ERRORS, DEVIATIONS = 4.0, 0.5
# Memberships differ when by this much, and by so many times what a chain drifts.
MEMBERSHIP, DRIFTS = 0.1, 5.0
# Parameters of two chains do not overlap when so many standard deviations apart.
APART = 3.0
# Twins: parameters overlap within so many standard deviations, units are less than
# this far from being shared in proportion.
OVERLAP, SHARED = 2.0, 0.8


def stuck(theta: np.ndarray) -> np.ndarray:
    """Which chains hardly move, (chain,).

    Parameters
    ----------
    theta : ndarray, shape (chain, draw, P)
        Free parameters.
    """
    repeated = (np.diff(theta, axis=1) == 0).all(2).mean(1)
    out = repeated > REPEATED
    if len(theta) > 1 and theta.shape[2]:
        variance = theta.var(1)
        for c in range(len(theta)):
            others = np.median(np.delete(variance, c, axis=0), axis=0)
            ratio = variance[c] / np.maximum(others, np.finfo(float).tiny)
            out[c] |= np.median(ratio) < FAR_BELOW
    return out


def vanished(layout: Layout, chains: Chains) -> np.ndarray:
    """Which components hold no more rows than they have parameters, (chain, S)."""
    own = np.zeros(layout.k)
    for coordinate in layout.coordinates:
        if coordinate.effect not in ("weight", "concomitant") and len(coordinate.components) == 1:
            own[coordinate.components[0]] += 1
    return chains.rows < np.maximum(own, 1)


def log_density_error(log_density: np.ndarray) -> np.ndarray:
    """Standard errors of the chains' mean log densities, (chain,)."""
    import arviz_stats

    sd = log_density.std(1)
    moving = sd > 0
    out = sd.copy()
    for c in np.flatnonzero(moving):
        ess = float(arviz_stats.ess(log_density[c : c + 1], method="mean"))
        out[c] = sd[c] / np.sqrt(max(ess, 1.0)) if np.isfinite(ess) else sd[c]
    return out


def modes(layout: Layout, chains: Chains) -> np.ndarray:
    """The mode that each chain is in, numbered from 0, (chain,).

    Two chains are in different modes when their mean log densities differ, or, with
    the components of one in the order that agrees best with the other, their mean
    memberships differ or some parameter's draws do not overlap.

    Parameters
    ----------
    layout : Layout
    chains : Chains
    """
    n, theta, log_density = len(chains.theta), chains.theta, chains.log_density
    level, error = log_density.mean(1), log_density_error(log_density)
    spread = log_density.std(1)
    group = np.arange(n)
    for c in range(n):
        for d in range(c):
            gap = abs(level[c] - level[d])
            noise = np.hypot(error[c], error[d])
            if gap > ERRORS * noise and gap > DEVIATIONS * max(spread[c], spread[d]):
                continue
            difference, order = between(layout, chains.mean[c], chains.mean[d])
            drift = max(chains.drift[c], chains.drift[d])
            if difference > max(MEMBERSHIP, DRIFTS * drift):
                continue
            if not _apart(theta[c], permute(layout, theta[d], order)):
                group[group == group[c]] = group[d]
    return np.unique(group, return_inverse=True)[1]


def between(layout: Layout, a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Least total variation of `mean` (S, U) over labels, and b's order for it."""
    cost = np.array([[np.abs(x - y).sum() for y in b] for x in a])
    order = assign(cost[None], layout.symmetric)[0]
    return float(cost[np.arange(len(a)), order].sum()), order


def _apart(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether some parameter of two chains (draw, D) has draws that do not overlap."""
    spread = np.hypot(a.std(0), b.std(0))
    gap = np.abs(a.mean(0) - b.mean(0))
    return bool((gap > APART * np.maximum(spread, 1e-10 * (1 + np.abs(a.mean(0))))).any())


def twins(layout: Layout, chains: Chains) -> list[tuple[int, int]]:
    """Pairs of interchangeable components that are alike.

    In at least half of the chains all their parameters overlap, |mean d| < 2 sd(d) for
    the differences d within draws, and their units are not far from being shared in
    proportion.

    Parameters
    ----------
    layout : Layout
    chains : Chains
    """
    found = []
    for members in layout.symmetric:
        for i, s in enumerate(members):
            for t in members[:i]:
                alike = _overlap(layout, chains.theta, s, t) & (chains.distance[:, s, t] < SHARED)
                if alike.mean() >= 0.5:
                    found.append((t, s))
    return sorted(found)


def _overlap(layout: Layout, theta: np.ndarray, s: int, t: int) -> np.ndarray:
    """Whether all parameters of two components overlap, (chain,)."""
    out = np.ones(len(theta), bool)
    for block in layout.blocks:
        for predictor in block.predictors:
            a, b = predictor.index[s], predictor.index[t]
            own = (a >= 0) & (b >= 0) & (a != b)
            d = theta[..., a[own]] - theta[..., b[own]]
            out &= (np.abs(d.mean(1)) <= OVERLAP * d.std(1)).all(1)
    return out
