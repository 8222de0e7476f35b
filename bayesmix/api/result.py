"""What a point fit and a posterior share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import pandas as pd

from bayesmix.api.base import Modelled
from bayesmix.api.reported import Reported
from bayesmix.survival.cured import cured_fraction
from bayesmix.survival.intervals import Source

__all__ = ["Result"]


class Result(Modelled, Reported):
    """A point fit or a posterior."""

    @property
    @abstractmethod
    def _source(self) -> Source:
        """The parameters that quantities of new rows are computed from."""

    def cured_fraction(
        self, newdata: pd.DataFrame | None = None, response: str | None = None, **options: Any
    ) -> pd.DataFrame:
        r"""Probability never to have the event, with a confidence or credible interval.

        .. math:: \sum_s \pi_s(w) \lim_{t \to \infty} S_s(t \mid x)

        The weights of the components "cured", and what families that leave a mass beyond
        all times add (gompertz with a negative shape).

        Parameters
        ----------
        newdata : DataFrame, optional
            Without: the training rows, or a single row where the model has no covariates.
        response : str, optional
            Which survival time, where the model has several.
        **options
            ``spent``, a time already spent without the event (a number, or a column of
            the new data): the probability is given that.  ``ci``, the coverage.  Of a point
            fit ``interval``, "delta" (on the logit scale) or "simulation", with ``draws``
            and ``seed``.

        Returns
        -------
        DataFrame
            Columns row, covariates, estimate, lower, upper.

        Raises
        ------
        FitError
            If every component has the event sooner or later.

        Examples
        --------
        Of 400 patients 30 percent are cured, and followed for 5 years at most.

        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> time = np.where(rng.random(400) < 0.3, np.inf, rng.weibull(1.5, 400))
        >>> end = rng.uniform(1, 5, 400)
        >>> data = pd.DataFrame({"time": np.minimum(time, end), "dead": (time < end).astype(int)})
        >>> spec = bmx.Mixture("surv(time, dead) ~ 1", data, family=["weibull", "cured"], k=2)
        >>> share = spec.fit("em", seed=1).cured_fraction()
        >>> bool(share.loc[0, "lower"] < 0.3 < share.loc[0, "upper"])
        True
        """
        return cured_fraction(self._source, newdata, response, options)
