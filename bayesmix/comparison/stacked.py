"""Chains in modes that they do not leave, weighted by how well the modes predict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesmix.comparison.criteria import Loo, good_k, loo, stacking_weights
from bayesmix.comparison.pointwise import counted, standard_error
from bayesmix.posterior.drawn import Drawn

__all__ = ["Stacked", "groups_of_chains", "stack"]


@dataclass(frozen=True)
class Stacked:
    """Weights of groups of chains and the draws resampled by them.

    Parameters
    ----------
    table : DataFrame
        By group: its chains, whether they were kept apart, their share of the reported
        chains, elpd_loo with its standard error se, the number of units with a high
        Pareto k, and weight.
    elpd_loo : float
        Expected log predictive density of the weighted groups, units left out.
    se : float
        Its standard error over units.
    drawn : Drawn
        As many draws as were reported, in one chain.
    """

    table: pd.DataFrame
    elpd_loo: float
    se: float
    drawn: Drawn


def groups_of_chains(modes: tuple[int, ...], places: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Chains of the same mode together; one without a mode (-1) is a group of its own.

    Chains apart, with the next numbers, are together where their place is the same; one
    that went over to where the others are (-1) is in no group.
    """
    labels = [("mode", m) if m >= 0 else ("chain", c) for c, m in enumerate(modes)]
    labels += [("place", place) for place in places]
    names = [x for x in dict.fromkeys(labels) if x != ("place", -1)]
    return [np.array([c for c, x in enumerate(labels) if x == y]) for y in names]


def stack(drawn: Drawn, groups: list[np.ndarray], rng: np.random.Generator) -> Stacked:
    """Weigh groups of chains by stacking, and resample their draws by the weights.

    Parameters
    ----------
    drawn : Drawn
    groups : list of ndarray of int
        Chains by group; those apart are numbered after the reported ones.
    rng : numpy.random.Generator
        Of the resampling.
    """
    index, weight = drawn.spec.rows.units.index, drawn.spec.rows.weight
    whole, reported = drawn.whole, len(drawn.theta)
    found = [loo(whole.log_likelihood[g], index, weight) for g in groups]
    use = counted(found[0].pointwise)
    by_unit = np.column_stack([f.pointwise["elpd_loo"].to_numpy()[use] for f in found])
    weights = stacking_weights(by_unit)
    with np.errstate(divide="ignore"):
        mixed = logsumexp(by_unit + np.log(weights), axis=1)
    table = pd.DataFrame(
        {
            "chains": [", ".join(map(str, g)) for g in groups],
            "apart": [bool((g >= reported).all()) for g in groups],
            "share": [(g < reported).sum() / reported for g in groups],
            "elpd_loo": [f.elpd_loo for f in found],
            "se": [f.se for f in found],
            "bad_k": [_bad(f) for f in found],
            "weight": weights,
        }
    ).rename_axis("group")
    resampled = _resample(whole, groups, weights, reported * drawn.theta.shape[1], rng)
    return Stacked(table, float(mixed.sum()), standard_error(mixed), resampled)


def _bad(found: Loo) -> int:
    return int((found.pareto_k > good_k(found.n_draws)).sum())


def _resample(
    drawn: Drawn,
    groups: list[np.ndarray],
    weights: np.ndarray,
    size: int,
    rng: np.random.Generator,
) -> Drawn:
    """So many draws, evenly spaced in every group's chains, as one chain."""
    chains, draws = drawn.theta.shape[:2]
    ends = np.rint(np.cumsum(weights) * size).astype(int)
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
