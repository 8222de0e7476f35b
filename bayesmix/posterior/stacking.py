"""Chains in modes that they do not leave, weighted by how well the modes predict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesmix.criteria import Loo, good_k, loo, stacking_weights
from bayesmix.criteria.pointwise import counted, standard_error
from bayesmix.posterior.drawn import Drawn

__all__ = ["Stacked", "groups_of_chains", "stack"]


@dataclass(frozen=True)
class Stacked:
    """Weights of groups of chains and the draws resampled by them.

    Parameters
    ----------
    table : DataFrame
        By group: its chains, their share of all chains, elpd_loo with its standard
        error se, the number of units with a high Pareto k, and weight.
    elpd_loo : float
        Expected log predictive density of the weighted groups, units left out.
    se : float
        Its standard error over units.
    drawn : Drawn
        As many draws as before, in one chain.
    """

    table: pd.DataFrame
    elpd_loo: float
    se: float
    drawn: Drawn


def groups_of_chains(modes: tuple[int, ...]) -> list[np.ndarray]:
    """Chains of the same mode together; one without a mode (-1) is a group of its own."""
    labels = [m if m >= 0 else -1 - c for c, m in enumerate(modes)]
    return [np.array([c for c, x in enumerate(labels) if x == y]) for y in dict.fromkeys(labels)]


def stack(drawn: Drawn, groups: list[np.ndarray], rng: np.random.Generator) -> Stacked:
    """Weigh groups of chains by stacking, and resample their draws by the weights.

    Parameters
    ----------
    drawn : Drawn
    groups : list of ndarray of int
        Chains by group.
    rng : numpy.random.Generator
        Of the resampling.
    """
    index, weight = drawn.spec.rows.units.index, drawn.spec.rows.weight
    found = [loo(drawn.log_likelihood[g], index, weight) for g in groups]
    use = counted(found[0].pointwise)
    by_unit = np.column_stack([f.pointwise["elpd_loo"].to_numpy()[use] for f in found])
    weights = stacking_weights(by_unit)
    with np.errstate(divide="ignore"):
        mixed = logsumexp(by_unit + np.log(weights), axis=1)
    chains = len(drawn.theta)
    table = pd.DataFrame(
        {
            "chains": [", ".join(map(str, g)) for g in groups],
            "share": [len(g) / chains for g in groups],
            "elpd_loo": [f.elpd_loo for f in found],
            "se": [f.se for f in found],
            "bad_k": [_bad(f) for f in found],
            "weight": weights,
        }
    ).rename_axis("group")
    resampled = _resample(drawn, groups, weights, rng)
    return Stacked(table, float(mixed.sum()), standard_error(mixed), resampled)


def _bad(found: Loo) -> int:
    return int((found.pareto_k > good_k(found.n_draws)).sum())


def _resample(
    drawn: Drawn, groups: list[np.ndarray], weights: np.ndarray, rng: np.random.Generator
) -> Drawn:
    """As many draws as there were, evenly spaced in every group's chains, as one chain."""
    chains, draws = drawn.theta.shape[:2]
    ends = np.rint(np.cumsum(weights) * chains * draws).astype(int)
    at = []
    for group, n in zip(groups, np.diff(ends, prepend=0), strict=True):
        whole = (group[:, None] * draws + np.arange(draws)).ravel()
        places = (np.arange(n) + rng.random()) * (len(whole) / max(n, 1))
        at.append(whole[np.minimum(places.astype(int), len(whole) - 1)])
    which = np.concatenate(at)

    def take(values: np.ndarray) -> np.ndarray:
        return values.reshape(chains * draws, *values.shape[2:])[which][None]

    return replace(
        drawn,
        method="stacking",
        theta=take(drawn.theta),
        raw=take(drawn.raw),
        log_density=take(drawn.log_density),
        stats={name: take(values) for name, values in drawn.stats.items()},
        modes=(),
        chain_mode=np.full(1, -1),
    )
