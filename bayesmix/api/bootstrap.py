"""The public result of a bootstrap."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmix._arguments import Hinted, door
from bayesmix._arguments.printing import html_table
from bayesmix.errors import FitError
from bayesmix.estimation.bootstrap import Resampled, resampled_summary


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Hinted):
    """Refits to resampled data.  Made by `PointFit.bootstrap`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=2)
    >>> spec.fit("em", seed=1).bootstrap(n=20, seed=1)
    Bootstrap (parametric): 20 resamples, 20 usable refits
    """

    _resampled: Resampled

    @property
    def n(self) -> int:
        """Number of resamples."""
        return len(self._resampled.theta)

    @property
    def refits(self) -> pd.DataFrame:
        """Log-likelihood and status of every refit."""
        return pd.DataFrame(
            {"loglik": self._resampled.loglik, "status": self._resampled.status}
        ).rename_axis("resample")

    @property
    def draws(self) -> np.ndarray:
        """Unconstrained parameters of every refit, (n, D), components matched."""
        return self._resampled.theta.copy()

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimates with bootstrap standard errors, percentile intervals and bias.

        Refits that did not end at a maximum are excluded; `refits` shows them.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            The rows of `PointFit.summary`: component, term, effect, estimate; then
            se, lower, upper, bias and scale.  All are on natural scales; `scale` means the
            same as in `PointFit.summary`.  `se` is infinite if a refit ended at infinity.

        Raises
        ------
        FitError
            If fewer than two refits are usable, or `ci` is not between 0 and 1.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> resampled = fit.bootstrap(n=20, kind="case", seed=1, progress=False)
        >>> resampled.summary(ci=0.9).shape
        (6, 9)
        """
        return resampled_summary(self._resampled, ci)

    def __repr__(self) -> str:
        used = int(self._resampled.usable.sum())
        return f"Bootstrap ({self._resampled.kind}): {self.n} resamples, {used} usable refits"

    def _repr_html_(self) -> str:
        enough = self._resampled.usable.sum() > 1
        table = html_table(self.summary()) if enough else ""
        return f"<div><strong>{html.escape(repr(self))}</strong>{table}</div>"
