"""The public class of a point fit; each method is one call."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from bayesmix._arguments import door, generator, whole_number
from bayesmix.api.base import model_of
from bayesmix.api.bootstrap import Bootstrap
from bayesmix.api.outside import OutsideFit
from bayesmix.api.times import TimeQuantities
from bayesmix.comparison import Wald, wald
from bayesmix.comparison.outside import distal, relate, solved
from bayesmix.errors import FitError
from bayesmix.estimation.bootstrap import resample
from bayesmix.formula.transforms import Scope
from bayesmix.model import MixtureSpec, Regression
from bayesmix.results import describe, tables
from bayesmix.results.covariance import covariance, covariance_frame
from bayesmix.results.fitted import Fitted
from bayesmix.results.imputation import impute
from bayesmix.results.predict import predict, simulate
from bayesmix.results.random_effects import random_effects
from bayesmix.results.reorder import reorder
from bayesmix.results.residuals import quantile_residuals, residuals
from bayesmix.results.streaming import delivered
from bayesmix.survival.intervals import Source

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.formula.sources import Data

__all__ = ["PointFit"]


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class PointFit(TimeQuantities):
    """A fit by maximum likelihood: estimates, and how they were reached.

    Made by `Mixture.fit`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> fit = spec.fit("em", seed=1)
    >>> fit.status, round(fit.bic, 2)
    ('converged', 186.53)
    >>> fit.coefficients().loc["Intercept"].round(2).to_list()
    [-3.13, -2.36]
    >>> fit.membership().shape, fit.sizes()["size"].to_list()
    ((32, 2), [27, 5])
    """

    _kind: ClassVar[str] = "point"

    _fitted: Fitted
    _priors: Any = None

    @property
    def _specification(self) -> MixtureSpec:
        return self._fitted.spec

    @property
    def _source(self) -> Source:
        return Source(self._fitted.spec, self._fitted, None)

    @property
    def numbers(self) -> Fitted:
        """The arrays behind the tables, with the specification, for code of your own."""
        return self._fitted

    @property
    def _content(self) -> tuple[Fitted, Any]:
        return self._fitted, self._priors

    @property
    def spec(self) -> Any:
        """The model that was fitted, such as a `Mixture`."""
        return model_of(self._fitted.spec, self._priors)

    @property
    def method(self) -> str:
        """How it was fitted: "em", "cem", "sem", "ml" or "map"."""
        return self._fitted.method

    @property
    def status(self) -> str:
        """How it ended; only "converged" is a success without a word in `reasons`.

        "boundary": a parameter at infinity or a bound.  "degenerate": a scale that collapsed
        or a component that vanished.  "spurious": an interior maximum on a component of a
        handful of units that is ten times narrower than the others, where no start ended at
        a regular maximum.  "max_iter": stopped early.  "reduced": by `min_weight`.
        """
        return self._fitted.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """What to know about how it ended, in words, such as that few starts agree."""
        return self._fitted.reasons

    @property
    def converged(self) -> bool:
        """Whether the status is "converged"."""
        return self._fitted.status == "converged"

    @property
    def iterations(self) -> int:
        """Passes over the data by the best start."""
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
        """BIC less twice the sum over units of log(max membership)."""
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
        """Relative entropy of the memberships: 1 is clear-cut, 0 says nothing.

        1 - sum_u sum_s -p_us log(p_us) / (n_units log(k)) (Ramaswamy and others 1993); 1 for
        one component.
        """
        return self._fitted.entropy

    @property
    def k_requested(self) -> int:
        """Number of components that were asked for."""
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

        ``starts.attrs["agreeing"]`` counts the starts that reached the best.  Where
        ``starts=`` was left open and fewer than three of the ten starts did, ten more
        follow: around the best one, with components merged and split, and random ones.
        """
        return self._fitted.ends.frame()

    def coefficients(self) -> pd.DataFrame:
        """Coefficients, terms by components; NaN where a component lacks a term.

        They are on the scale of the family's link.

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
        """Dispersions on natural scales, components by parameters.

        Returns
        -------
        DataFrame, components by parameters
            Such as ``sigma`` of a Gaussian family; NaN where a component has none.

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
        """Multinomial-logit coefficients, terms by components; the baseline's are zero.

        They are the alpha of log(pi_s / pi_1) = z' alpha_s.

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

        Dispersions are there as logarithms (their link), constant weights as
        log(pi_k / pi_1).

        Parameters
        ----------
        kind : str
            "observed": inverse of the exact observed information.  "robust": the
            sandwich J^-1 K J^-1 of the information J and the sum K of the outer
            products of the units' scores (White 1982), for sampling weights.
        cluster : str, Series or array, optional
            Of "robust": a column of the data, or its values by row.  Scores are summed over
            each of the G clusters first, and K is multiplied by G / (G - 1).

        Returns
        -------
        DataFrame, free parameters by free parameters
            Both indexes are (component, term, effect); a parameter that several
            components share stands once.

        Raises
        ------
        FitError
            If the kind is unknown, or `cluster` goes with another kind.
        DataError
            If there is no such column, or a group lies in two clusters.

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

    def summary(self, ci: float = 0.95, exp: bool = False) -> pd.DataFrame:
        """Estimates, standard errors, z, p-values and Wald intervals.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.
        exp : bool
            Show exp(coefficient), such as an odds, rate or hazard ratio, for every coefficient
            on the scale of a log, logit or cloglog link, weights included.  Standard errors are
            by the delta method, intervals those of the coefficient transformed, and z and
            p-values still test that the coefficient is zero (the ratio one).

        Returns
        -------
        DataFrame
            Rows by effect (fixed, nested, varying, dispersion, concomitant,
            weight), component and term.  Estimates and standard errors are natural (by the
            delta method for dispersions and weights); `scale` says on which scale the interval
            was computed before it was transformed back.

        Raises
        ------
        FitError
            If `ci` is not between 0 and 1, or no coefficient is the logarithm of a ratio.

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
        return tables.summary(self._fitted, ci, exp)

    def membership(
        self,
        newdata: Data | None = None,
        rows: bool = False,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """P(component | data) of every unit.

        Parameters
        ----------
        newdata : DataFrame, Arrow table, str or path, optional
            Other data, with the response.
        rows : bool
            Repeat by row.
        to : str or path, optional
            A Parquet file to write instead; its path is returned.

        Returns
        -------
        DataFrame
            Units by components; the index is the group's value or the row's index.  An iterator
            of frames where the rows come in blocks.

        Raises
        ------
        DataError
            If the new data lack a column or level, or the response is outside the
            family's support.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.membership().iloc[0].round(2).tolist()
        [0.99, 0.01]
        >>> fit.membership(data.head(3)).shape
        (3, 2)
        """
        make = partial(tables.membership, rows=rows)
        return delivered(self._fitted, newdata, make, "memberships", to)

    def clusters(
        self,
        newdata: Data | None = None,
        rows: bool = False,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """The most probable component of every unit.

        Parameters
        ----------
        newdata : DataFrame, Arrow table, str or path, optional
            Other data, with the response.
        rows : bool
            Repeat by row.
        to : str or path, optional
            A Parquet file to write instead; its path is returned.

        Returns
        -------
        Series
            Names of components; the index is that of `membership`.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.clusters().value_counts().to_dict()
        {1: 27, 2: 5}
        """
        make = partial(tables.clusters, rows=rows)
        return delivered(self._fitted, newdata, make, "most probable components", to)

    def sizes(self) -> pd.DataFrame:
        """Mean memberships and numbers of units and rows by component.

        Returns
        -------
        DataFrame
            prior: mean membership over units; units: units by most probable component; size:
            their rows; post_positive: rows with membership above 1e-4; ratio: size over
            post_positive, near one for a component with few doubtful members.  Weighted data
            have sums of weights.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.sizes()[["size", "post_positive"]].values.tolist()
        [[27, 32], [5, 32]]
        """
        return tables.sizes(self._fitted)

    def classification(self) -> pd.DataFrame:
        """How clearly the units are assigned to each component.

        Returns
        -------
        DataFrame, one row for each component
            weight: mean weight; assigned: share of the units whose most probable
            component it is; membership: mean membership of these units in it; odds: the
            odds of that membership over those of the weight.

        References
        ----------
        Nagin (2005), Group-Based Modeling of Development, section 5.4, who wants a mean
        membership of at least 0.7 and odds of at least 5.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> spec.fit("em", seed=1).classification().round(2).loc[1].tolist()
        [0.8, 0.84, 0.93, 3.22]
        """
        return tables.classification(self._fitted)

    def random_effects(
        self, newdata: pd.DataFrame | None = None, by: str = "membership"
    ) -> pd.DataFrame:
        """Random effects given the responses: best linear unbiased predictions.

        In component s they are normal around S Z' V^-1 (y - X b), with b the coefficients of s.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other units, with their responses.
        by : str
            "membership": over the components, by the unit's memberships; or "component".

        Returns
        -------
        DataFrame
            A row for each cluster and term, and for each component where by="component": the
            column of the clusters, component, term, estimate, sd.

        Raises
        ------
        FitError
            If the model has no random effects, or `by` is unknown.

        References
        ----------
        Laird and Ware (1982), Biometrics 38, 963-974.

        Examples
        --------
        >>> import numpy as np, pandas as pd, bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> data = pd.DataFrame({"id": np.repeat(np.arange(40), 4), "time": np.tile(range(4), 40)})
        >>> level = rng.normal(size=40)[data["id"]]
        >>> data["y"] = 1 + 0.5 * data["time"] + level + 0.3 * rng.normal(size=160)
        >>> fit = bmx.Mixture("y ~ time + (1 | id)", data, k=1).fit("em")
        >>> fit.random_effects().columns.tolist()
        ['id', 'term', 'estimate', 'sd']
        """
        return random_effects(self._fitted, newdata, by)

    def predict(
        self,
        newdata: Data | None = None,
        what: str = "mean",
        by: str = "component",
        ci: float | None = None,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Predict rows; binomial means are per trial, offsets included.

        Parameters
        ----------
        newdata : DataFrame, Arrow table, str or path, optional
        what : str
            "mean", "link" or "weight".
        by : str
            "component"; "marginal", means weighted by pi(w); or "membership", means weighted
            by the unit's own memberships, for which new data need the response; with random
            effects the means are those given the unit's responses.
        ci : float, optional
            Coverage of confidence intervals of the mean, by the delta method on the log scale
            for positive means and on the logit scale for probabilities.
        to : str or path, optional
            A Parquet file to write instead; its path is returned.

        Returns
        -------
        DataFrame, rows by components, or Series
            The latter for "marginal" and "membership".  With several responses their names
            are the first level of the columns.  With `ci` a tidy frame: row, component
            (missing where means are over the components), estimate, lower, upper, and
            response where there are several.  An iterator of these where the rows come in blocks.

        Raises
        ------
        FitError, DataError
            If an argument is unknown, or the new data lack a column or level.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> import pandas as pd
        >>> roll = pd.DataFrame({"Length": [500.0]})
        >>> fit.predict(roll).round(2).values.tolist()
        [[6.29, 13.52]]
        >>> round(float(fit.predict(roll, by="marginal").iloc[0]), 2)
        7.75
        >>> fit.predict(roll, by="marginal", ci=0.9).round(1)[["lower", "upper"]].values.tolist()
        [[6.6, 9.1]]
        """
        make = partial(predict, what=what, by=by, ci=ci)
        errors = ci is not None
        return delivered(self._fitted, newdata, make, "predictions", to, wants_errors=errors)

    def fitted(self) -> Any:
        """Means of the training rows, rows by components.

        Returns
        -------
        DataFrame, rows by components

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.fitted().shape
        (32, 2)
        """
        return self.predict()

    def residuals(self, kind: str = "response", seed: Any = None) -> pd.DataFrame | pd.Series:
        """Residuals against each component, or normal scores of the mixture as a whole.

        Parameters
        ----------
        kind : str
            "response" (response - mean), "pearson" (that over the standard deviation) or
            "deviance" (the signed root of what the density gains at a mean of y).  Of
            survival times "martingale", 1 - H(t) for an exact time and -H(t) for a
            right-censored one with H the cumulative hazard (and what lies between for
            intervals), or "cox-snell", H(t).  "quantile": the normal score of the response
            in the mixture's distribution, given the earlier rows of its group; standard
            normal under the model, for counts and censored times by a random draw within
            the jump or the bounds.
        seed : int or numpy.random.Generator, optional
            Of "quantile".

        Returns
        -------
        DataFrame, or Series
            Rows by components; NaN where a row tells nothing of a component's time, as
            where it had another event.  Of "quantile" a value for each row, or with several
            responses a column for each.

        Raises
        ------
        FitError
            If no response has residuals of that kind, or `seed` goes with another kind.

        References
        ----------
        Dunn and Smyth (1996), Journal of Computational and Graphical Statistics 5, 236-244.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.residuals("pearson").iloc[0].round(2).tolist()
        [-0.3, -2.25]
        >>> fit.residuals("quantile", seed=1).shape
        (32,)
        """
        if kind == "quantile":
            return quantile_residuals(self._fitted, generator(seed, FitError))
        if seed is not None:
            msg = f"seed= goes with kind='quantile', not with kind={kind!r}; leave it out"
            raise FitError(msg)
        return residuals(self._fitted, kind)

    def simulate(
        self, seed: Any = None, newdata: pd.DataFrame | None = None, missing: bool = False
    ) -> pd.DataFrame:
        """Random responses from the fit, with the components drawn.

        Survival times are drawn without censoring, infinite where the event never comes,
        under the name of the time in ``surv(...)`` ("time" where it has none); those of
        the training rows lie beyond their delayed entries, those of new rows begin at
        zero.  Known labels stay; competing events are drawn, as the column "component".

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
        newdata : DataFrame, optional
        missing : bool
            Whether responses are missing where those of the model are
            (``na_action="fiml"``); by default every row has all of them.

        Returns
        -------
        DataFrame
            A column for each response, and the component that was drawn.

        Raises
        ------
        FitError
            If a family cannot be simulated.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> list(fit.simulate(seed=1).columns)
        ['Faults', 'component']
        """
        return simulate(self._fitted, newdata, generator(seed, FitError), missing=missing)

    def impute(self, draws: int = 1, seed: Any = None) -> pd.DataFrame:
        """Draw the missing responses, given what was observed of their units.

        A component is drawn by the unit's membership, then the response in that component, at
        the estimates; `Posterior.impute` also has the parameters' uncertainty, as multiple
        imputation needs it.

        Parameters
        ----------
        draws : int
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        DataFrame
            Rows by response and row, a column for each draw.

        Raises
        ------
        FitError
            If no response is missing.

        Examples
        --------
        >>> import numpy as np
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault").astype(float)
        >>> data.loc[[3, 8], "Faults"] = np.nan
        >>> spec = bmx.Mixture(
        ...     "Faults ~ log(Length)", data, family="poisson", k=2, na_action="fiml"
        ... )
        >>> spec.fit("em", seed=1).impute(draws=5, seed=1).shape
        (2, 5)
        """
        fitted = self._fitted
        n = whole_number("draws", draws, "the number of draws", 1, FitError)
        theta = np.broadcast_to(fitted.theta, (n, len(fitted.theta)))
        return impute(fitted.problem, theta, generator(seed, FitError))

    def wald(
        self,
        hypothesis: str | Sequence[str],
        ci: float = 0.95,
        kind: str = "observed",
        cluster: str | Sequence[Any] | None = None,
    ) -> Wald:
        r"""Test hypotheses about coefficients.

        .. math:: W = r^\top (R V R^\top)^{-1} r

        with r what the hypothesis says to be zero, R its derivatives in the parameters and V
        their covariance; W is chi-squared with as many degrees of freedom as r has entries.

        Parameters
        ----------
        hypothesis : str or list of str
            Arithmetic on estimates as `summary` has them.  ``"x[1]"`` is the coefficient of x
            in component 1, ``"x"`` those of all components: ``"x[1] = x[2] = x[3]"``,
            ``"x = 0"``, ``"exp(x[1]) = 2"``.  Coefficients of the weights are
            ``"alpha[z][2]"``.  A list is tested jointly.
        ci : float
            Coverage of the intervals of the table.
        kind, cluster
            Which covariance, as of `covariance`.

        Returns
        -------
        Wald
            statistic, df, p_value, and a table of each thing said.

        Raises
        ------
        FitError
            If it cannot be read, or concerns what the data do not determine.

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
        return wald(self._source, hypothesis, ci, kind, cluster)

    def relate(
        self,
        formula: str,
        method: str = "ml",
        assign: str | None = None,
        data: pd.DataFrame | None = None,
    ) -> OutsideFit:
        r"""Regress the classes on covariates that were no part of the fit.

        The classes are held: covariates cannot change what a class is, as they can as
        concomitants.  With D the classification errors P(assigned s | class t) and w the
        assignments, "ml" maximises

        .. math:: \sum_u \sum_s w_{us} \log \sum_t \pi_t(z_u) D_{ts} ,

        "bch" weighs the logarithms of pi by w D^-1, and "two-step" maximises the likelihood
        of the model with concomitants over their coefficients alone.

        Parameters
        ----------
        formula : str
            Such as ``"~ age"``; the first class is the baseline.
        method : str
            "ml", "bch" or "two-step".
        assign : str, optional
            "modal" (the default) or "proportional"; "two-step" assigns none.
        data : DataFrame, optional
            The rows of the fit with the covariates; by default those that were given to the
            model.

        Returns
        -------
        OutsideFit
            Its `summary` has standard errors that carry the first step's uncertainty.

        Raises
        ------
        FitError
            If the classes are too alike, or the second step has no maximum.
        DataError, FormulaError
            If a covariate is not there, is missing for a row, or differs within a group.

        References
        ----------
        Vermunt (2010), Political Analysis 18, 450-469: ml.  Bolck, Croon and Hagenaars (2004),
        Political Analysis 12, 3-27: bch.  Bakk, Tekle and Vermunt (2013), Sociological
        Methodology 43, 272-311.  Bakk and Kuha (2018), Psychometrika 83, 871-892: two-step.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
        >>> list(fit.relate("~ RDS", method="two-step").summary().columns[:5])
        ['component', 'term', 'effect', 'estimate', 'se']
        """
        scope = Scope.capture(2)
        stage = relate(self._fitted, formula, data, scope)
        return OutsideFit(solved(stage, self._fitted, method, assign))

    def distal(
        self,
        formula: str,
        family: Any = "gaussian",
        method: str = "bch",
        assign: str | None = None,
        dispersion: str = "varying",
        data: pd.DataFrame | None = None,
    ) -> OutsideFit:
        r"""Describe an outcome that was no part of the fit by class.

        The classes are held: the outcome cannot change what a class is.  "bch" fits each
        class to all units, weighted by assignments corrected for their errors; "ml" maximises

        .. math:: \sum_u \sum_s w_{us} \log \sum_t \pi_t f_t(y_u) D_{ts}

        and leans on the outcome's family; "two-step" does so with densities in place of
        assignments.

        Parameters
        ----------
        formula : str
            Such as ``"outcome ~ 1"``, or ``"surv(time, status) ~ treatment"``; a unit has one
            outcome, the same in all rows of a group.
        family : str, Family or list of these
            Of the outcome, one or one for each class.
        method : str
            "bch", "ml" or "two-step".
        assign : str, optional
            "modal" (the default) or "proportional"; "two-step" assigns none.
        dispersion : str
            "varying" or "fixed", over the classes.  The weights of "bch" may be negative, and
            need "fixed" where a class would get a negative variance.
        data : DataFrame, optional
            The rows of the fit with the outcome; by default those that were given to the
            model.

        Returns
        -------
        OutsideFit

        Raises
        ------
        FitError
            If the classes are too alike, or the second step has no maximum.
        DataError, FormulaError, SpecError
            If the outcome cannot be read, is missing, or differs within a group.

        References
        ----------
        As of `relate`.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("patent")
        >>> fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
        >>> by_class = fit.distal("RDS ~ 1", dispersion="fixed")
        >>> by_class.wald("Intercept[1] = Intercept[2] = Intercept[3]").df
        2
        """
        scope = Scope.capture(2)
        regression = Regression(formula, family, dispersion=dispersion)
        stage = distal(self._fitted, regression, data, scope)
        return OutsideFit(solved(stage, self._fitted, method, assign))

    def bootstrap(
        self,
        n: int = 200,
        kind: str = "parametric",
        seed: Any = None,
        progress: bool | None = None,
    ) -> Bootstrap:
        """Refit to resampled data, components matched to this fit.

        Parameters
        ----------
        n : int
            Number of resamples.
        kind : str
            "parametric": responses simulated from the fit; "case": units drawn
            with replacement.  Simulated survival times are censored again: at the time
            of censoring of a row that was censored; for one with an event at a time
            drawn from the Kaplan-Meier estimate of the times of censoring, given that
            it is later.  Times known within bounds only need "case".
        seed : int or numpy.random.Generator, optional
        progress : bool, optional

        Returns
        -------
        Bootstrap
            The refits; its `summary` has standard errors, intervals and biases.

        Raises
        ------
        FitError
            If `n` or the kind is wrong, or responses cannot be simulated.

        References
        ----------
        Gruen and Leisch (2004), Compstat, 1115-1122.  Davison and Hinkley (1997),
        Bootstrap Methods and their Application, section 3.5.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> resampled = fit.bootstrap(n=20, kind="case", seed=1, progress=False)
        >>> list(resampled.summary().columns[:5])
        ['component', 'term', 'effect', 'estimate', 'se']
        """
        return Bootstrap(resample(self._fitted, n, kind, generator(seed, FitError), progress))

    def relabel(
        self,
        by: str | None = None,
        concomitant: bool = False,
        order: Sequence[Hashable] | None = None,
    ) -> Self:
        """The same fit with its components in another order.

        Parameters
        ----------
        by : str, optional
            A term, dispersion or "weight" to sort by, ascending.
        concomitant : bool
            Whether `by` names a concomitant term.
        order : sequence, optional
            The present components in their new order, such as [3, 1, 2].

        Raises
        ------
        FitError
            If components would move that the model tells apart (nested blocks,
            families, labels).

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.mixing.round(2).tolist(), fit.relabel(by="weight").mixing.round(2).tolist()
        ([0.8, 0.2], [0.2, 0.8])
        """
        return type(self)(reorder(self._fitted, by, concomitant, order), self._priors)

    def __repr__(self) -> str:
        return describe.fit_text(self._fitted)

    def _repr_html_(self) -> str:
        return describe.fit_html(self._fitted)
