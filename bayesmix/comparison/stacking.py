"""Weights of predictive distributions whose mixture predicts best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import Posterior
from bayesmix._arguments.printing import Described, Lines
from bayesmix.arrays.sums import log_sum_exp
from bayesmix.comparison.loo import loo
from bayesmix.comparison.pointwise import standard_error
from bayesmix.errors import FitError
from bayesmix.posterior.drawn import Drawn

NOTHING = 1e-9


def stacking_weights(log_density: Any) -> np.ndarray:
    r"""Weights by stacking of predictive distributions.

    .. math::

       \max_w \sum_u \log \sum_m w_m \exp(l_{um}), \qquad w_m \ge 0, \; \sum_m w_m = 1

    The problem is concave; where several weights are best, those that are found from
    equal ones.

    Parameters
    ----------
    log_density : array_like, shape (U, M)
        Log predictive density of every unit, left out, by every distribution.  Units
        that none of them allows say nothing of the weights.

    Returns
    -------
    ndarray, shape (M,)

    Raises
    ------
    FitError
        If there is no number to go by.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018), Bayesian Analysis 13, 917-1007.

    Examples
    --------
    Each predicts one of two units well: both are needed.

    >>> stacking_weights([[0.0, -9.0], [-9.0, 0.0]]).round(3).tolist()
    [0.5, 0.5]
    """
    values = np.asarray(log_density, float)
    if values.ndim != 2 or not (values < np.inf).all():
        msg = f"log densities are units by distributions without NaN or inf; given {values.shape}"
        raise FitError(msg)
    top = values.max(1, keepdims=True, initial=-np.inf)
    allowed = np.isfinite(top[:, 0])
    if not allowed.any():
        raise FitError("no unit has a finite log predictive density; there is nothing to weigh by")
    return _maximise(np.exp(values[allowed] - top[allowed]))


def _maximise(density: np.ndarray) -> np.ndarray:
    from scipy import optimize

    m = density.shape[1]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(density @ w, np.finfo(float).tiny)
        return -float(np.log(mixed).mean()), -(density / mixed[:, None]).mean(0)

    found = optimize.minimize(
        loss,
        np.full(m, 1 / m),
        (),
        "SLSQP",
        True,
        bounds=optimize.Bounds(np.zeros(m), np.ones(m)),
        constraints=optimize.LinearConstraint(np.ones((1, m)), 1.0, 1.0),
        options={"ftol": 1e-12, "maxiter": 500},
    )
    out = np.where(found.x > NOTHING, found.x, 0.0)
    return out / out.sum()


@dataclass(frozen=True, eq=False, repr=False)
class Stacking(Described):
    """Groups of chains weighted by stacking.  Made by `Posterior.stack`.

    Parameters
    ----------
    table : DataFrame
        For each group: its chains, whether they are separate chains (numbered after the
        reported ones), their share of the reported chains, elpd_loo with its standard error
        se, bad_k (number of units with too high a Pareto k), and weight.
    elpd_loo : float
        Expected log predictive density of the weighted groups, with units left out.
    se : float
        Its standard error over units.
    posterior : Posterior
        The draws resampled with the weights, in one chain without ESS and R-hat.
    """

    table: pd.DataFrame
    elpd_loo: float
    se: float
    posterior: Posterior

    @property
    def warning(self) -> str:
        """Why you should not rely on the weights; empty if all is well."""
        bad = int(self.table["bad_k"].max())
        if not bad:
            return ""
        return f"up to {bad} units of a group have a high Pareto k: its elpd_loo is unreliable"

    def _lines(self) -> Lines:
        lines = []
        for row in self.table.itertuples():
            what = "separate" if row.apart else f"{row.share:.0%} of the chains"
            words = f"weight {row.weight:.3f} ({what}), elpd_loo "
            words += f"{row.elpd_loo:.2f} (standard error {row.se:.2f})"
            lines.append((f"chains {row.chains}", words))
        lines.append(("stacked", f"elpd_loo {self.elpd_loo:.2f} (standard error {self.se:.2f})"))
        return lines + ([("warning", self.warning)] if self.warning else [])

    def _title(self) -> str:
        return "Stacking of chains"


def groups_of_chains(modes: tuple[int, ...], places: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Chains of the same mode together; one without a mode (-1) is a group of its own.

    Chains apart, with the next numbers, are together where their place is the same; one
    that went over to where the others are (-1) is in no group.
    """
    labels = [("mode", m) if m >= 0 else ("chain", c) for c, m in enumerate(modes)]
    labels += [("place", place) for place in places]
    names = [x for x in dict.fromkeys(labels) if x != ("place", -1)]
    return [np.array([c for c, x in enumerate(labels) if x == y]) for y in names]


def stack(
    drawn: Drawn,
    groups: list[np.ndarray],
    rng: np.random.Generator,
    posterior_of: Callable[[Drawn], Posterior],
) -> Stacking:
    """Weigh groups of chains by stacking, and resample their draws by the weights.

    Parameters
    ----------
    drawn : Drawn
    groups : list of ndarray of int
        Chains by group; those apart are numbered after the reported ones.
    rng : numpy.random.Generator
        Of the resampling.
    posterior_of : callable
        Makes the public posterior of the resampled draws.
    """
    index, weight = drawn.spec.rows.units.index, drawn.spec.rows.weight
    whole, reported = drawn.whole, len(drawn.theta)
    found = [loo(whole.log_likelihood[g], index, weight) for g in groups]
    by_unit = np.column_stack([f.by_unit for f in found])
    weights = stacking_weights(by_unit)
    with np.errstate(divide="ignore"):
        mixed = log_sum_exp(by_unit + np.log(weights))
    table = pd.DataFrame(
        {
            "chains": [", ".join(map(str, g)) for g in groups],
            "apart": [bool((g >= reported).all()) for g in groups],
            "share": [(g < reported).sum() / reported for g in groups],
            "elpd_loo": [f.elpd_loo for f in found],
            "se": [f.se for f in found],
            "bad_k": [f.n_bad for f in found],
            "weight": weights,
        }
    ).rename_axis("group")
    resampled = _resample(whole, groups, weights, reported * drawn.theta.shape[1], rng)
    return Stacking(table, float(mixed.sum()), standard_error(mixed), posterior_of(resampled))


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

    return drawn.of_each(take, method="stacking", modes=(), chain_mode=np.full(1, -1))
