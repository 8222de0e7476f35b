"""Leaving units out one by one, with the draws of one fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Lines
from bayesmix.comparison.pointwise import Predictive, blocks, checked, frame, log_mean, plural
from bayesmix.comparison.psis import good_k, left_out


@dataclass(frozen=True, eq=False, repr=False)
class Loo(Predictive):
    """Leave-one-unit-out by Pareto-smoothed importance sampling.  Made by `loo` and `repair`.

    Parameters
    ----------
    pointwise : DataFrame
        For each unit: elpd_loo, lppd, p_loo; pareto_k of the estimate (0 for an exact refit);
        first_pareto_k, before any repair; repaired ("", "moment matching" or "refit"); and
        weight if there are case weights.
    good_k : float
        Estimates are reliable up to this Pareto k.
    n_draws : int
    """

    kind: ClassVar[str] = "loo"
    criterion: ClassVar[str] = "LOOIC"
    pointwise: pd.DataFrame
    good_k: float
    n_draws: int

    @property
    def elpd_loo(self) -> float:
        """Expected log predictive density of units left out."""
        return self.elpd

    @property
    def p_loo(self) -> float:
        """Effective number of parameters."""
        return self.parameters

    @property
    def pareto_k(self) -> pd.Series:
        """Shape of the importance ratios' tail, by unit."""
        return self.pointwise["pareto_k"]

    @property
    def n_first_bad(self) -> int:
        """Units whose Pareto k was above `good_k` before any repair."""
        return int((self.pointwise["first_pareto_k"] > self.good_k).sum())

    @property
    def n_bad(self) -> int:
        """Units whose Pareto k is above `good_k` now."""
        return int((self.pareto_k > self.good_k).sum())

    @property
    def n_moment_matched(self) -> int:
        """Units repaired by moment matching."""
        return int((self.pointwise["repaired"] == "moment matching").sum())

    @property
    def n_refitted(self) -> int:
        """Units repaired by an exact refit without them."""
        return int((self.pointwise["repaired"] == "refit").sum())

    @property
    def n_repaired(self) -> int:
        """Units repaired either way."""
        return self.n_moment_matched + self.n_refitted

    @property
    def warning(self) -> str:
        """Why you should not rely on the estimate; empty if all is well."""
        if not self.n_bad:
            return ""
        return (
            f"{plural(self.n_bad, 'unit')} with a Pareto k above {self.good_k:.2f}: their "
            "estimates are unreliable; repair them by moment matching or refits"
        )

    def _more(self) -> Lines:
        first = self.n_first_bad
        tail = f"at most {self.good_k:.2f} in {len(self.pointwise) - first} units"
        if first:
            tail += (
                f", above in {first}: {self.n_moment_matched} repaired by moment matching, "
                f"{self.n_refitted} by exact refits, {self.n_bad} left"
            )
        return [("Pareto k", tail)]


def loo(log_lik: Any, unit_index: Any, weight: Any = None, r_eff: float = 1.0) -> Loo:
    r"""Leave one unit out, by Pareto-smoothed importance sampling.

    .. math::

       \mathrm{elpd} = \sum_u \log
           \frac{\sum_s w_{us} \, p(y_u \mid \theta_s)}{\sum_s w_{us}},
       \qquad w_{us} = \mathrm{smoothed} \; \frac{1}{p(y_u \mid \theta_s)}

    Parameters
    ----------
    log_lik : array_like, shape (chains, draws, U)
        Log-likelihood of every unit, already multiplied by its case weight.
    unit_index : Index or sequence, length U
        Names of the units.
    weight : array_like, shape (U,), optional
        Case weights.  A unit is left out as a whole, with all its copies; those
        of weight zero do not count.
    r_eff : float
        Effective draws divided by draws; it sets the length of the tail only.

    Returns
    -------
    Loo

    Raises
    ------
    FitError
        If the shapes do not agree, or values are NaN or inf.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432.
    Vehtari et al. (2024), Journal of Machine Learning Research 25(72).
    """
    values, index, w = checked(log_lik, unit_index, weight)
    n_draws, n_units = values.shape
    lppd, elpd, khat = np.empty(n_units), np.empty(n_units), np.empty(n_units)
    for at, block in blocks(values):
        lppd[at] = log_mean(block)
        elpd[at], khat[at] = left_out(block, r_eff)
    with np.errstate(invalid="ignore"):
        p = lppd - elpd
    table = frame(
        index,
        w,
        elpd_loo=elpd,
        lppd=lppd,
        p_loo=p,
        pareto_k=khat,
        first_pareto_k=khat,
        repaired=np.full(n_units, "", object),
    )
    return Loo(table, good_k(n_draws), n_draws)
