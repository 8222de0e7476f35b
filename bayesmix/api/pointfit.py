"""The public class of a point fit; each method is one call into another room."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
import pandas as pd

from bayesmix._arguments import door, generator
from bayesmix.api.base import model_of
from bayesmix.api.estimates import Estimates
from bayesmix.comparison.outside import OutsideFit, distal, relate, solved
from bayesmix.errors import FitError
from bayesmix.estimation.bootstrap import Bootstrap, resample
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Data
from bayesmix.model import Regression
from bayesmix.results import describe, tables
from bayesmix.results.fitted import Fitted
from bayesmix.results.imputation import impute
from bayesmix.results.predict import predict
from bayesmix.results.random_effects import random_effects
from bayesmix.results.reorder import reorder
from bayesmix.results.residuals import quantile_residuals, residuals
from bayesmix.results.simulation import simulate
from bayesmix.results.streaming import Seeded, delivered


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class PointFit(Estimates):
    """A fit by maximum likelihood, or to the posterior mode.

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

    _fitted: Fitted
    _priors: Any = None

    @property
    def _content(self) -> tuple[Fitted, Any]:
        return self._fitted, self._priors

    @property
    def spec(self) -> Any:
        """The model that was fitted, such as a `Mixture`."""
        return model_of(self._fitted.spec, self._priors)

    def membership(
        self,
        newdata: Data | None = None,
        rows: bool = False,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """P(component | data) for every unit.

        Parameters
        ----------
        newdata : DataFrame, Arrow table, str or path, optional
            Other data, with the response.  Labels are not read from them: components that are known
            in the model's own rows are inferred here.
        rows : bool
            One row for each row of the data, instead of one for each unit.
        to : str or path, optional
            Write a Parquet file and return its path.

        Returns
        -------
        DataFrame
            Units by components, indexed by group or by the row's index.  If the data come in
            blocks: an iterator of frames.

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
            One row for each row of the data, instead of one for each unit.
        to : str or path, optional
            Write a Parquet file and return its path.

        Returns
        -------
        Series
            Names of components, indexed as in `membership`.

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
            prior: mean membership over the units.  units: number of units with this most
            probable component.  size: their number of rows.  post_positive: number of rows with
            a membership above 1e-4.  ratio: size / post_positive, near one if few members are
            doubtful.  With case weights, all numbers are sums of weights.

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

    @property
    def df(self) -> float:
        """Number of free parameters; of smooth curves the effective degrees of freedom."""
        return self._fitted.df

    def smooths(self) -> pd.DataFrame:
        r"""Smooth curves by component, with the degrees of freedom that they use.

        The effective degrees of freedom of P coefficients with the covariance V given tau are

        .. math:: \text{edf} = P - \operatorname{tr}(A V A') / \tau^2 ,

        where A leads to the coefficients that bend the curve: 1 for a straight line, P without a
        penalty.  They count in `df`, and so in AIC and BIC.

        Returns
        -------
        DataFrame
            component, term, tau (how far the curve typically departs from a straight line, on the
            scale of the link), columns and edf.

        Raises
        ------
        FitError
            If the model has no smooth prior, or was fitted without priors.

        References
        ----------
        Wood (2017), Generalized Additive Models, 2nd edition, section 6.1.2.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> x = np.linspace(0, 1, 200)
        >>> noise = np.random.default_rng(1).normal(0, 0.3, 200)
        >>> data = pd.DataFrame({"x": x, "y": np.sin(6 * x) + noise})
        >>> priors = {"cr(x, df=9)": bmx.Prior.smooth()}
        >>> fit = bmx.Mixture("y ~ cr(x, df=9)", data, k=1, priors=priors).fit("map", seed=1)
        >>> fit.smooths()[["columns", "edf"]].round(1).values.tolist()
        [[9.0, 6.9]]
        """
        return tables.smooth_table(self._fitted)

    def classification(self) -> pd.DataFrame:
        """How clearly the units are assigned to each component.

        Returns
        -------
        DataFrame, one row for each component
            weight: mean weight.  assigned: share of units with this most probable component.
            membership: mean membership of these units.  odds: the odds of that membership
            divided by the odds of the weight.

        References
        ----------
        Nagin (2005), Group-Based Modeling of Development, section 5.4, recommends a mean
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
        """Random effects given the responses (best linear unbiased predictions).

        In component s they are normal with mean S Z' V^-1 (y - X b): S is the covariance of the
        random effects, V that of the responses, and b the coefficients.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other units, with their responses.
        by : str
            "membership": averaged over the components, with the unit's memberships; or
            "component": for each component.

        Returns
        -------
        DataFrame
            Columns: the column of the clusters, component (only for by="component"), term,
            estimate, sd.  One row for each cluster and term.

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
        """Predict means, linear predictors or weights; binomial means are per trial.

        Offsets are included.

        Parameters
        ----------
        newdata : DataFrame, Arrow table, str or path, optional
        what : str
            "mean", "link" or "weight".
        by : str
            "component": for each component.  "marginal": averaged with the weights pi(w).
            "membership": averaged with the unit's own memberships; new data then need the
            response, and random effects are predicted from it.
        ci : float, optional
            Coverage of the confidence intervals.  They use the delta method, on the
            log scale for positive means and on the logit scale for probabilities.
        to : str or path, optional
            Write a Parquet file and return its path.

        Returns
        -------
        DataFrame, rows by components, or Series
            "marginal" and "membership" give a Series.  With several responses, their names are
            the first level of the columns.  With `ci`: a tidy frame with the columns row,
            component (missing for averages over components), estimate, lower, upper, and
            response if there are several.  If the data come in blocks: an iterator of these.

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
        """Fitted means of the training rows, rows by components.

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

    def residuals(
        self,
        kind: str = "response",
        seed: Any = None,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Residuals from each component, or quantile residuals of the whole mixture.

        Parameters
        ----------
        kind : str
            "response": response minus mean.  "pearson": divided by the standard deviation.
            "deviance": the signed root of the deviance.  For survival times with the
            cumulative hazard H: "martingale", 1 - H(t) for an exact time and -H(t) for a
            right-censored one (in between for intervals), or "cox-snell", H(t).  "quantile":
            the normal score of the response in the mixture's distribution, given the earlier
            rows of its group.  It is standard normal if the model is right; for counts and
            censored times it is drawn at random within the jump or the bounds.
        seed : int or numpy.random.Generator, optional
            For "quantile".
        to : str or path, optional
            A Parquet file for them, whose path is returned.

        Returns
        -------
        DataFrame, or Series
            Of data that come block by block, an iterator of these.
            Rows by components; NaN if a row says nothing about a component's time, for instance
            after another event.  "quantile" gives one value for each row, or with several
            responses one column for each.

        Raises
        ------
        FitError
            If no response has residuals of this kind, or `seed` is given with another kind.

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
            rng = generator(seed)
            make = Seeded.of(self._fitted, quantile_residuals, rng)
            return delivered(self._fitted, None, make, "residuals", to)
        if seed is not None:
            raise FitError(f"seed= goes with kind='quantile', not with kind={kind!r}; leave it out")
        return delivered(self._fitted, None, partial(residuals, kind=kind), "residuals", to)

    def simulate(
        self, seed: Any = None, newdata: pd.DataFrame | None = None, missing: bool = False
    ) -> Any:
        """Simulate responses from the fit, with components drawn at random.

        Survival times are not censored, and infinite if the event never comes.  Their column has
        the name of the time in ``surv(...)``, or "time".  Times of training rows lie beyond
        their delayed entries; times of new rows start at zero.  Known labels are kept.
        Competing events are drawn and named in the column "component".

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
        newdata : DataFrame, optional
        missing : bool
            Whether to leave responses missing where the model's are missing
            (``na_action="fiml"``); by default every row gets all responses.

        Returns
        -------
        DataFrame
            One column for each response, the columns that a response such as ``p(s, n)`` or
            ``log(y)`` reads where its values determine them, and the component that was drawn.
            Of data that come block by block, an iterator of these.

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
        rng = generator(seed)
        if newdata is not None:
            return simulate(self._fitted.spec, self._fitted.theta, newdata, rng, missing=missing)
        make = Seeded.of(self._fitted, partial(_simulated, missing=missing), rng)
        return delivered(self._fitted, None, make, "simulated responses", None)

    def impute(self, draws: int = 1, seed: Any = None) -> pd.DataFrame:
        """Draw the missing responses, given what was observed of their units.

        The unit's memberships decide which component is drawn; the response then comes from that
        component.  Parameters are held at their estimates: use `Posterior.impute` for
        multiple imputation, which needs their uncertainty too.

        Parameters
        ----------
        draws : int
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        DataFrame
            One row for each missing response, indexed by response and row; one column for
            each draw.

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
        theta = np.broadcast_to(fitted.theta, (int(draws), len(fitted.theta)))
        return impute(fitted.problem, theta, generator(seed))

    def relate(
        self,
        formula: str,
        method: str = "ml",
        assign: str | None = None,
        data: pd.DataFrame | None = None,
    ) -> OutsideFit:
        r"""Regress the classes on covariates that were not part of the fit.

        The classes are fixed: unlike concomitants, these covariates cannot change what a class
        is.  With the classification errors D = P(assigned s | class t) and the assignments w,
        "ml" maximises

        .. math:: \sum_u \sum_s w_{us} \log \sum_t \pi_t(z_u) D_{ts} ,

        "bch" weights log pi by w D^-1, and "two-step" maximises the likelihood of the model
        with concomitants over their coefficients only.

        Parameters
        ----------
        formula : str
            Such as ``"~ age"``; the first class is the baseline.
        method : str
            "ml", "bch" or "two-step".
        assign : str, optional
            "modal" (the default) or "proportional"; "two-step" makes no assignments.
        data : DataFrame, optional
            The rows of the fit, with the covariates, in its order or with its index; by default the
            data of the model.

        Returns
        -------
        OutsideFit
            The standard errors in its `summary` include the first step's uncertainty.

        Raises
        ------
        FitError
            If the classes overlap too much, or the second step has no maximum.
        DataError, FormulaError
            If a column does not exist, has missing values, or varies within a group.

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
        return solved(stage, self._fitted, method, assign)

    def distal(
        self,
        formula: str,
        family: Any = "gaussian",
        method: str = "bch",
        assign: str | None = None,
        dispersion: str = "varying",
        data: pd.DataFrame | None = None,
    ) -> OutsideFit:
        r"""Compare an outcome that was not part of the fit between the classes.

        The classes are fixed: the outcome cannot change what a class is.  "bch" fits each
        class to all units, weighted by assignments that are corrected for errors.  "ml"
        maximises

        .. math:: \sum_u \sum_s w_{us} \log \sum_t \pi_t f_t(y_u) D_{ts}

        and relies on the outcome's family.  "two-step" does the same with densities in place of
        assignments.

        Parameters
        ----------
        formula : str
            Such as ``"outcome ~ 1"``, or ``"surv(time, status) ~ treatment"``.  Each unit has one
            outcome: it must be the same in all rows of a group.
        family : str, Family or list of these
            Family of the outcome: one, or one for each class.
        method : str
            "bch", "ml" or "two-step".
        assign : str, optional
            "modal" (the default) or "proportional"; "two-step" makes no assignments.
        dispersion : str
            "varying" or "fixed" over the classes.  The weights of "bch" may be negative: use
            "fixed" if a class would get a negative variance.
        data : DataFrame, optional
            The rows of the fit, with the outcome, in its order or with its index; by default the
            data of the model.

        Returns
        -------
        OutsideFit

        Raises
        ------
        FitError
            If the classes overlap too much, or the second step has no maximum.
        DataError, FormulaError, SpecError
            If the outcome cannot be read, has missing values, or varies within a group.

        References
        ----------
        As for `relate`.

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
        return solved(stage, self._fitted, method, assign)

    def bootstrap(
        self,
        n: int = 200,
        kind: str = "parametric",
        seed: Any = None,
        progress: bool | None = None,
    ) -> Bootstrap:
        """Refit the model to resampled data, with components matched to this fit.

        Parameters
        ----------
        n : int
            Number of resamples.
        kind : str
            "parametric": simulate responses from the fit.  "case": draw units with
            replacement.  "parametric" observes simulated times as the rows were.  A censored row
            keeps its time of censoring; a row with an event gets a later time of censoring,
            drawn from the Kaplan-Meier estimate of these times.  Interval- and left-censored
            rows keep their bounds as times of inspection, with those of rows whose bounds touch
            theirs: the simulated time lies between the two around it.  Rows inspected often, each
            at times of its own, tell less in the resamples than in the data, so the errors are
            somewhat too large; use "case" there.  An event's time is observed as its own response
            says, by which a row with another event was followed until then; its name is known as
            often as in the data.
        seed : int or numpy.random.Generator, optional
        progress : bool, optional

        Returns
        -------
        Bootstrap
            The refits; `summary` has standard errors, intervals and biases.

        Raises
        ------
        FitError
            If `n` or `kind` is wrong, or responses cannot be simulated.

        Warns
        -----
        ConvergenceWarning
            If Ctrl-C ended it: it has the refits so far, if these are two or more.

        References
        ----------
        Gruen and Leisch (2004), Compstat, 1115-1122.  Davison and Hinkley (1997),
        Bootstrap Methods and their Application, section 3.5.  Sun (2006), The Statistical
        Analysis of Interval-censored Failure Time Data, section 1.3.

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
        return resample(self._fitted, n, kind, generator(seed), progress)

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
            A term, a dispersion or "weight" to sort by, ascending.
        concomitant : bool
            Whether `by` names a concomitant term.
        order : sequence, optional
            The current components in their new order, such as [3, 1, 2].

        Raises
        ------
        FitError
            If this would exchange components that the model distinguishes (by nested blocks,
            families or labels).

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


def _simulated(fitted: Fitted, rng: np.random.Generator, *, missing: bool) -> pd.DataFrame:
    return simulate(fitted.spec, fitted.theta, None, rng, missing=missing)
