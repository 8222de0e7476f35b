"""What a point fit found: how it ended, criteria, estimates and their covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix.api.times import TimeQuantities
from bayesmix.comparison import Wald, wald
from bayesmix.errors import FitError
from bayesmix.results import tables
from bayesmix.results.covariance import covariance, covariance_frame
from bayesmix.results.fitted import Fitted
from bayesmix.results.uncertainty import Source

if TYPE_CHECKING:
    import xarray as xr


@door(error=FitError)
class Estimates(TimeQuantities):
    """How a fit ended, its criteria, its estimates and what they are tested for."""

    _kind: ClassVar[str] = "point"
    _fitted: Fitted

    @property
    def source(self) -> Source:
        """The specification with its estimates, for `bmx.slopes` and its relatives."""
        return Source(self._fitted.spec, self._fitted, None)

    @property
    def numbers(self) -> Fitted:
        """The arrays behind the tables, with the specification, for your own code."""
        return self._fitted

    @property
    def method(self) -> str:
        """How it was fitted: "em", "cem", "sem", "ml" or "map"."""
        return self._fitted.method

    @property
    def status(self) -> str:
        """How the fit ended; for all but "converged", `reasons` says why.

        "boundary": a parameter is infinite or at a bound.  "degenerate": a scale collapsed or a
        component vanished.  "spurious": the maximum rests on a component of a handful of
        units, ten times narrower than the others, and no start ended at a regular maximum.
        "max_iter": the fit stopped before it converged.  "reduced": `min_weight` removed
        components.
        """
        return self._fitted.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """What to know about how the fit ended, such as that few starts agree."""
        return self._fitted.reasons

    @property
    def converged(self) -> bool:
        """Whether the status is "converged"."""
        return self._fitted.status == "converged"

    @property
    def iterations(self) -> int:
        """Number of passes over the data by the best start."""
        return self._fitted.iterations

    @property
    def trace(self) -> np.ndarray:
        """Log-likelihoods of the best start after each iteration of the starts."""
        return self._fitted.trace.copy()

    @property
    def loglik(self) -> float:
        """Log-likelihood, all constants included."""
        return self._fitted.loglik

    @property
    def log_prior(self) -> float:
        """Log prior density of the natural parameters; zero for maximum likelihood."""
        return self._fitted.log_prior

    @property
    def aic(self) -> float:
        """-2 loglik + 2 df."""
        return self._fitted.aic

    @property
    def bic(self) -> float:
        """-2 loglik + df log(n_obs)."""
        return self._fitted.bic

    @property
    def bic_units(self) -> float:
        """-2 loglik + df log(n_units)."""
        return self._fitted.bic_units

    @property
    def icl(self) -> float:
        """BIC minus twice the sum over units of log(max membership)."""
        return self._fitted.icl

    @property
    def sabic(self) -> float:
        """-2 loglik + df log((n_obs + 2) / 24): BIC adjusted for the sample size (Sclove 1987)."""
        return self._fitted.sabic

    @property
    def caic(self) -> float:
        """-2 loglik + df (log(n_obs) + 1), the consistent AIC (Bozdogan 1987)."""
        return self._fitted.caic

    @property
    def entropy(self) -> float:
        """Relative entropy of the memberships: 1 means clear-cut, 0 means uninformative.

        1 - sum_u sum_s -p_us log(p_us) / (n_units log(k)) (Ramaswamy and others 1993); 1 for
        one component.
        """
        return self._fitted.entropy

    @property
    def k_requested(self) -> int:
        """Number of components that was requested."""
        return self._fitted.k_requested

    @property
    def mixing(self) -> pd.Series:
        """Mean weights over the units, by component."""
        index = tables.component_index(self._fitted.spec)
        return pd.Series(self._fitted.mixing.copy(), index=index, name="weight")

    @property
    def params(self) -> xr.Dataset:
        """Estimates on natural scales; a Dataset with named dimensions."""
        return self._fitted.params

    @property
    def starts(self) -> pd.DataFrame:
        """Log-likelihood, iterations and status of every start.

        ``starts.attrs["agreeing"]`` counts the starts that reached the best.  If you do not set
        ``starts=`` and fewer than three of the ten starts reach the best, ten more follow:
        some near the best one, some with components merged and split, some random.  Starts that
        cannot pass the best one any more are stopped early, with the status "max_iter".
        """
        return self._fitted.ends.frame()

    def coefficients(self) -> pd.DataFrame:
        """Coefficients, terms by components; NaN where a component lacks a term.

        The coefficients are on the scale of the family's link.

        Returns
        -------
        DataFrame, terms by components

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.coefficients().round(2).loc["Intercept"].tolist()
        [-3.13, -2.36]
        """
        return tables.coefficient_table(self._fitted.spec, self._fitted.theta)

    def dispersion(self) -> pd.DataFrame:
        """Dispersions on natural scales: components by parameters.

        Returns
        -------
        DataFrame, components by parameters
            Such as ``sigma`` for a Gaussian family; NaN where a component lacks the parameter.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("NregFix")
        >>> spec = bmx.Mixture("y ~ x1", data, k=3, fixed="~ x2", dispersion="fixed")
        >>> spec.fit("em", seed=1).dispersion()["sigma"].round(2).tolist()
        [0.97, 0.97, 0.97]
        """
        return tables.dispersion_table(self._fitted.spec, self._fitted.theta)

    def concomitant(self) -> pd.DataFrame:
        """Multinomial-logit coefficients of the weights, terms by components.

        They are the alpha_s in log(pi_s / pi_1) = z' alpha_s; those of the first component, the
        baseline, are zero.

        Returns
        -------
        DataFrame, terms by components

        Raises
        ------
        FitError
            If the weights are constant.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
        >>> spec.fit("em", seed=1).concomitant().loc["RDS"].round(1).tolist()
        [0.0, -40.3, 0.7]
        """
        return tables.concomitant_table(self._fitted.spec, self._fitted.theta)

    def covariance(
        self, kind: str = "observed", cluster: str | Sequence[Any] | None = None
    ) -> pd.DataFrame:
        """Covariance of the free parameters on their unconstrained scales.

        Dispersions enter as logarithms (their link), constant weights as log(pi_k / pi_1).

        Parameters
        ----------
        kind : str
            "observed": the inverse of the exact observed information.  "robust": the sandwich
            J^-1 K J^-1, with the information J and the sum K of the outer products of the
            units' scores (White 1982); use it for sampling weights.
        cluster : str, Series or array, optional
            For "robust": a column of the data, or values by row.  Scores are first summed
            within each of the G clusters, and K is multiplied by G / (G - 1).

        Returns
        -------
        DataFrame, free parameters by free parameters
            Both indexes are (component, term, effect).  A parameter that several components
            share appears once.

        Raises
        ------
        FitError
            If the kind is unknown, or `cluster` is given with "observed".
        DataError
            If there is no such column, or a group belongs to two clusters.

        References
        ----------
        White (1982), Econometrica 50, 1-25.  Liang and Zeger (1986), Biometrika 73, 13-22.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.covariance().shape
        (4, 4)
        >>> fit.covariance().index.get_level_values("term").tolist()
        ['log(Length)', 'Intercept', 'Intercept', 'weight']
        """
        return covariance_frame(self._fitted.spec, covariance(self._fitted, kind, cluster))

    def summary(
        self,
        ci: float = 0.95,
        exp: bool = False,
        kind: str = "observed",
        cluster: str | Sequence[Any] | None = None,
    ) -> pd.DataFrame:
        """Estimates, standard errors, z, p-values and Wald intervals.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.
        exp : bool
            Show exp(coefficient), an odds, rate or hazard ratio, for every coefficient with a
            log, logit or cloglog link, and for those of the weights.  Standard errors use the
            delta method, intervals are transformed, and z and p-values still test that the
            coefficient is zero (the ratio one).
        kind, cluster
            Which covariance, as for `covariance`: ``kind="robust", cluster="clinic"`` gives
            errors that are robust to clusters.

        Returns
        -------
        DataFrame
            Rows by effect (fixed, nested, varying, dispersion, concomitant,
            weight), component and term.  Estimates and standard errors are on natural scales
            (by the delta method for dispersions and weights).  `scale` is the scale on which
            the interval was computed before it was transformed back.

        Raises
        ------
        FitError
            If `ci` is not between 0 and 1, ``exp=True`` and no coefficient is a log ratio, or the
            covariance is unknown.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> row = fit.summary().iloc[0]
        >>> row["term"], round(float(row["estimate"]), 3), round(float(row["se"]), 3)
        ('log(Length)', 0.799, 0.235)
        >>> round(float(fit.summary(exp=True)["estimate"].iloc[0]), 2)
        2.22
        """
        return tables.summary(self._fitted, ci, exp, kind, cluster)

    def wald(
        self,
        hypothesis: str | Sequence[str],
        ci: float = 0.95,
        kind: str = "observed",
        cluster: str | Sequence[Any] | None = None,
    ) -> Wald:
        r"""Test hypotheses about coefficients.

        .. math:: W = r^\top (R V R^\top)^{-1} r

        Here r is what the hypothesis sets to zero, R its derivatives with respect to the
        parameters, and V their covariance.  Under the hypothesis W is chi-squared, with one
        degree of freedom for each entry of r.

        Parameters
        ----------
        hypothesis : str or list of str
            Arithmetic with the estimates of `summary`.  ``"x[1]"`` is the coefficient of x in
            component 1, and ``"x"`` stands for those of all components:
            ``"x[1] = x[2] = x[3]"``, ``"x = 0"``, ``"exp(x[1]) = 2"``.  Coefficients of the
            weights are ``"alpha[z][2]"``.  A list is tested jointly.
        ci : float
            Coverage of the intervals in the table.
        kind, cluster
            Which covariance, as for `covariance`.

        Returns
        -------
        Wald
            statistic, df, p_value, and a table with one row for each equation.

        Raises
        ------
        FitError
            If the hypothesis cannot be read, or the data do not determine its parameters.

        References
        ----------
        Wald (1943), Transactions of the American Mathematical Society 54, 426-482.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
        >>> fit = spec.fit("em", seed=1)
        >>> test = fit.wald("lgRD[1] = lgRD[2] = lgRD[3]")
        >>> test.df, test.p_value < 0.01
        (2, True)
        """
        return wald(self.source, hypothesis, ci, kind, cluster)
