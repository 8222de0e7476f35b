"""The public results of a second step: what predicts the classes, what differs by class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesmix._arguments import door
from bayesmix._arguments.printing import Described, Printed
from bayesmix.comparison.effects.wald import Wald, wald
from bayesmix.errors import FitError
from bayesmix.posterior.tables import drawn_summary
from bayesmix.results import tables
from bayesmix.results.covariance import covariance, covariance_frame
from bayesmix.results.tables import natural_values
from bayesmix.results.uncertainty import Source

if TYPE_CHECKING:
    import xarray as xr

RELATED = ("concomitant",)


@dataclass(frozen=True, eq=False, repr=False)
class SecondStep(Described):
    """What both kinds of a second step have, and how they print.

    Parameters
    ----------
    name : str
        "relate" or "distal".
    source : Source
        The specification with its estimates or draws, for `bmx.slopes` and its relatives.
    method : str
        The method of the second step: "ml", "bch" or "two-step".
    assign : str, or None
        How units were assigned to classes: "modal", "proportional" or None.
    """

    name: str
    source: Source
    method: str
    assign: str | None

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the classes."""
        return self.source.spec.components

    @abstractmethod
    def summary(self) -> pd.DataFrame:
        """The rows of the second step."""

    def _title(self) -> str:
        head = {"relate": "What predicts the classes", "distal": "An outcome by class"}
        how = self.method if self.assign is None else f"{self.method}, {self.assign} assignment"
        return f"{head[self.name]} ({how})"

    def _table(self) -> pd.DataFrame:
        return self.summary()


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class OutsideFit(SecondStep):
    """A second step with fixed classes.  Made by `PointFit.relate` and `PointFit.distal`.

    `bmx.predictions`, `bmx.comparisons` and `bmx.slopes` accept it like a fit.

    Parameters
    ----------
    name, source, method, assign
        As of every second step; the covariance of `source` carries the first step's uncertainty.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
    >>> related = fit.relate("~ RDS", method="two-step")
    >>> related.summary()["term"].tolist()
    ['Intercept', 'RDS', 'Intercept', 'RDS']
    """

    _errors: pd.DataFrame

    @property
    def errors(self) -> pd.DataFrame:
        """Classification errors P(assigned | class), classes by assigned classes."""
        return self._errors.copy()

    @property
    def params(self) -> xr.Dataset:
        """The estimates, as in `PointFit.params`; for `relate` with those of the first step."""
        fitted: Any = self.source.fitted
        return fitted.params.copy(deep=True)

    def covariance(self) -> pd.DataFrame:
        """Covariance of the parameters on their unconstrained scales.

        It sums the outer products of the units' influences over both steps; a unit of weight w
        counts as w copies.

        Returns
        -------
        DataFrame
            As for `PointFit.covariance`.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
        >>> fit.distal("RDS ~ 1", dispersion="fixed").covariance().shape
        (6, 6)
        """
        fitted: Any = self.source.fitted
        return covariance_frame(fitted.spec, covariance(fitted))

    def summary(self, ci: float = 0.95, exp: bool = False) -> pd.DataFrame:
        """Estimates, with standard errors that include the first step's uncertainty.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.
        exp : bool
            Show odds ratios and other ratios, as `PointFit.summary` does.

        Returns
        -------
        DataFrame
            The columns of `PointFit.summary`.  `relate` gives the coefficients of the
            multinomial logit, with the first class as the baseline.  `distal` gives the
            coefficients of the outcome in each class, and the shares of the classes.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
        >>> fit.distal("RDS ~ 1", dispersion="fixed").summary()["effect"].unique().tolist()
        ['varying', 'dispersion', 'weight']
        """
        fitted: Any = self.source.fitted
        out = tables.summary(fitted, ci, exp)
        return _shown(out, self.name)

    def wald(self, hypothesis: str | Sequence[str], ci: float = 0.95) -> Wald:
        """Test hypotheses about the coefficients, as `PointFit.wald` does.

        Parameters
        ----------
        hypothesis : str or list of str
            ``"alpha[age] = 0"`` for `relate`; ``"Intercept[1] = Intercept[2]"`` for `distal`.
        ci : float
            Coverage of the intervals in the table.

        Returns
        -------
        Wald

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
        >>> fit.relate("~ RDS", method="two-step").wald("alpha[RDS] = 0").df
        2
        """
        return wald(self.source, hypothesis, ci, "observed", None)


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class OutsidePosterior(SecondStep):
    """A second step for every draw of a posterior.  Made by `Posterior.relate` and `distal`.

    The draws are those of a cut posterior: the outside variables do not change the classes.
    `bmx.predictions`, `bmx.comparisons` and `bmx.slopes` accept it like a posterior.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> second = rng.random(200) < 0.4
    >>> data = pd.DataFrame({"y": 4.0 * second, "x": 1.0 * second}) + rng.normal(size=(200, 2))
    >>> posterior = bmx.Mixture("y ~ 1", data, k=2).fit("laplace", draws=500, seed=1)
    >>> related = posterior.relate("~ x", draws=20, seed=1)
    >>> related.summary().columns.tolist()
    ['component', 'term', 'effect', 'mean', 'sd', 'lower', 'upper']
    """

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Means, standard deviations and equal-tailed intervals.

        Parameters
        ----------
        ci : float
            Probability of the intervals.

        Returns
        -------
        DataFrame
            Columns component, term, effect, mean, sd, lower, upper; the rows of
            `OutsideFit.summary`.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> second = rng.random(200) < 0.4
        >>> data = pd.DataFrame({"y": 4.0 * second, "x": 1.0 * second}) + rng.normal(size=(200, 2))
        >>> posterior = bmx.Mixture("y ~ 1", data, k=2).fit("laplace", draws=500, seed=1)
        >>> len(posterior.relate("~ x", draws=20, seed=1).summary())
        2
        """
        theta: Any = self.source.draws
        draws = natural_values(self.source.spec, theta)
        return _shown(drawn_summary(draws, ci), self.name)


def _shown(table: pd.DataFrame, name: str) -> Printed:
    """For `relate` only the rows of the weights: the others belong to the first step."""
    if name == "relate":
        table = table[table["effect"].isin(RELATED)].reset_index(drop=True)
    return Printed(table)
