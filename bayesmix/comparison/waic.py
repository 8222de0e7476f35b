"""WAIC, which ArviZ no longer has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayesmix.comparison.pointwise import Predictive, blocks, checked, frame, log_mean, plural

LARGEST_VARIANCE = 0.4


@dataclass(frozen=True, eq=False, repr=False)
class Waic(Predictive):
    """The widely applicable information criterion.  Made by `waic`.

    Parameters
    ----------
    pointwise : DataFrame
        For each unit: elpd_waic, lppd, p_waic, and weight if there are case weights.
    n_draws : int
    """

    kind: ClassVar[str] = "waic"
    criterion: ClassVar[str] = "WAIC"
    pointwise: pd.DataFrame
    n_draws: int

    @property
    def elpd_waic(self) -> float:
        """Expected log predictive density of new units."""
        return self.elpd

    @property
    def p_waic(self) -> float:
        """Effective number of parameters."""
        return self.parameters

    @property
    def n_high(self) -> int:
        """Units whose log-likelihood has a posterior variance above 0.4."""
        return int((self.pointwise["p_waic"] > LARGEST_VARIANCE).sum())

    @property
    def warning(self) -> str:
        """Why you should not rely on the estimate; empty if all is well."""
        if not self.n_high:
            return ""
        return (
            f"{plural(self.n_high, 'unit')} with a posterior variance of the log-likelihood "
            f"above {LARGEST_VARIANCE:g}: WAIC is unreliable here, use LOO"
        )


def waic(log_lik: Any, unit_index: Any, weight: Any = None) -> Waic:
    r"""Widely applicable information criterion.

    .. math::

       \mathrm{elpd} = \sum_u \Big( \log \frac{1}{S} \sum_s p(y_u \mid \theta_s)
                       - \mathrm{var}_s \log p(y_u \mid \theta_s) \Big)

    Parameters
    ----------
    log_lik : array_like, shape (chains, draws, U)
        Log-likelihood of every unit, already multiplied by its case weight.
    unit_index : Index or sequence, length U
        Names of the units.
    weight : array_like, shape (U,), optional
        Case weights.  A unit counts as a whole, with all its copies; those of
        weight zero do not count.

    Returns
    -------
    Waic

    Raises
    ------
    FitError
        If the shapes do not agree, or values are NaN or inf.

    References
    ----------
    Watanabe (2010), Journal of Machine Learning Research 11, 3571-3594.  Gelman,
    Hwang and Vehtari (2014), Statistics and Computing 24, 997-1016, equations (11)
    and (13).  Vehtari, Gelman and Gabry (2017), Statistics and Computing 27,
    1413-1432: the standard error and the warning above a variance of 0.4.

    Examples
    --------
    >>> import numpy as np
    >>> waic(np.full((2, 50, 3), -1.0), ["a", "b", "c"]).elpd
    -3.0
    """
    values, index, w = checked(log_lik, unit_index, weight)
    n_draws, n_units = values.shape
    lppd, p = np.empty(n_units), np.empty(n_units)
    for at, block in blocks(values):
        lppd[at] = log_mean(block)
        with np.errstate(invalid="ignore"):
            spread = block.var(axis=1, ddof=1)
        p[at] = np.where(np.isnan(spread), np.inf, spread)
    return Waic(frame(index, w, elpd_waic=lppd - p, lppd=lppd, p_waic=p), n_draws)
