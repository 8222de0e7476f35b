"""The public classes; each method is one call into the module that does the work."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmix import describe, storage
from bayesmix._arguments import generator, whole_number
from bayesmix.errors import FitError, SpecError
from bayesmix.fit import FitOptions, fit_point
from bayesmix.formula import Scope
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.params import from_dataset
from bayesmix.predict import predict, residuals, simulate
from bayesmix.resample import Resampled, resample, resampled_summary
from bayesmix.result import tables
from bayesmix.result.covariance import covariance, covariance_frame
from bayesmix.result.fitted import Fitted
from bayesmix.result.reorder import reorder
from bayesmix.selection import best_of, check_range, selection_table
from bayesmix.spec import MixtureSpec, Regression, assemble, prepare

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.api_posterior import Posterior
    from bayesmix.families import Family
    from bayesmix.penalty import PriorModel

__all__ = ["Bootstrap", "Mixture", "PointFit", "Selection", "load", "select"]


class Mixture:
    r"""A finite mixture of regressions.

    .. math::

       \log L = \sum_u w_u \log \sum_s \pi_s(w_u; \alpha)
                \prod_{i \in u} f_s(y_i \mid x_i, \theta_s)

    Units u are rows, or groups of rows that share one latent component.

    Parameters
    ----------
    formula : str or list of Regression
        Response and varying effects, ``"y ~ x"``; ``"y ~ x | g"`` also gives the
        group.  Several `Regression` share the components.
    data : DataFrame
    family : str, Family or list of these
        One for all components, or one for each.
    k : int
        Number of components.
    fixed : str, optional
        Effects with one coefficient for all components, ``"~ log(Dose)"``.
    nested : list of (str, int), optional
        Formula and number of components of consecutive blocks.
    dispersion : str or list of int
        "varying", "fixed", or the sizes of consecutive blocks that share one.
    concomitant : str, optional
        Covariates of the weights, a multinomial logit with the first component
        as the baseline.
    group : str, optional
        Column whose rows share one component.
    weights : str, optional
        Column of frequency weights; w equals w copies of the unit.
    labels : str, optional
        Column with the known component of a unit, missing where unknown.
    priors : None, "flat" or dict
        None: defaults scaled to the data.  "flat": none.  A dict maps names of
        `PointFit.params` ("coef", "coef[term]", a dispersion, "weight", "alpha",
        "alpha[term]") to a `Prior`; the others keep their defaults.  Maximum
        likelihood uses none.
    na_action : str
        "error", or "drop" rows with missing values in the columns used.

    Raises
    ------
    SpecError, FormulaError, DataError
        With what was given, what is allowed and what to do.

    References
    ----------
    McLachlan and Peel (2000), Finite Mixture Models.  Gruen and Leisch (2008),
    Journal of Statistical Software 28(4).

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> fit = spec.fit("em", seed=1)
    >>> round(fit.loglik, 4), fit.df
    (-86.3311, 4)
    """

    def __init__(
        self,
        formula: str | Sequence[Regression],
        data: pd.DataFrame,
        family: str | Family | Sequence[str | Family] = "gaussian",
        k: int = 2,
        fixed: str | None = None,
        nested: Sequence[tuple[str, int]] | None = None,
        dispersion: str | Sequence[int] = "varying",
        concomitant: str | None = None,
        group: str | None = None,
        weights: str | None = None,
        labels: str | None = None,
        priors: Any = None,
        na_action: str = "error",
    ) -> None:
        scope = Scope.capture(1)
        regressions = _regressions(formula, family, fixed, nested, dispersion)
        prepared = prepare(
            regressions,
            data,
            concomitant=concomitant,
            group=group,
            weights=weights,
            labels=labels,
            na_action=na_action,
            scope=scope,
        )
        self._spec = assemble(prepared, k)
        self._priors = dict(priors) if isinstance(priors, Mapping) else priors
        if priors is not None:
            self._resolved()

    @classmethod
    def _of(cls, spec: MixtureSpec, priors: Any = None) -> Mixture:
        new = cls.__new__(cls)
        new._spec, new._priors = spec, priors
        return new

    def _resolved(self) -> PriorModel | None:
        from bayesmix.penalty import resolve

        return resolve(self._spec, self._priors)

    @property
    def spec(self) -> MixtureSpec:
        """The frozen specification."""
        return self._spec

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self._spec.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self._spec.k

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return self._spec.df

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return self._spec.prepared.n_dropped

    def with_k(self, k: int) -> Mixture:
        """The same model with another number of components.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2)
        >>> spec.with_k(3).df
        8
        """
        return Mixture._of(self._spec.with_k(k), self._priors)

    def log_likelihood(self, params: xr.Dataset) -> float:
        """Log-likelihood at given parameters, all constants included.

        Parameters
        ----------
        params : xarray.Dataset
            Like `PointFit.params`.

        Raises
        ------
        SpecError
            If the parameters do not fit the model.
        """
        theta = from_dataset(self._spec, params)
        return float(log_likelihood(build_problem(self._spec), theta[None])[0])

    def priors(self) -> pd.DataFrame:
        """The priors: parameter, prior, and what it says in words.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> list(spec.priors()["parameter"])
        ['coef[log(Length)]', 'coef[Intercept]', 'weight']
        """
        from bayesmix.posterior.prior import prior_table

        return prior_table(self._spec, self._resolved())

    def sample_prior(self, draws: int = 500, seed: Any = None) -> Any:
        """Draws of the parameters from the priors, with a simulated data set for each.

        Parameters
        ----------
        draws : int
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        xarray.DataTree
            Groups prior and prior_predictive.

        Raises
        ------
        SpecError
            Under flat priors.
        """
        from bayesmix.posterior.prior import prior_tree

        whole_number("draws", draws, "the number of draws", 1)
        return prior_tree(self._spec, self._resolved(), draws, generator(seed))

    def to_pymc(self) -> Any:
        """The model for PyMC, to go on from there.

        Returns
        -------
        pymc.Model
            Priors are ordinary random variables with named dimensions; the
            parameters of `PointFit.params` are there by their names.  The
            observed variable has one log-likelihood for every unit, with the
            components summed out, along the dimension "unit".  The rows of a
            group, and several responses, are further dimensions of it.

        Raises
        ------
        SpecError
            Under flat priors, or if a family of your own is not written with the
            functions of `bayesmix.arrays`.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> [variable.name for variable in spec.to_pymc().free_RVs]
        ['coef_fixed', 'coef_varying', 'weight']
        """
        from bayesmix.model import to_pymc

        return to_pymc(self._spec, self._resolved())

    def fit(
        self,
        method: str = "em",
        *,
        starts: int | None = None,
        seed: Any = None,
        init: Any = None,
        fixed_params: Mapping[tuple[Hashable, str], float] | None = None,
        tol: float = 1e-8,
        max_iter: int = 1000,
        min_weight: float = 0.0,
        algorithm: str = "em",
        draws: int | None = None,
        tune: int | None = None,
        chains: int | None = None,
        sampler: str | None = None,
        progress: bool | None = None,
    ) -> Any:
        """Estimate the parameters.

        Parameters
        ----------
        method : str
            "em": maximum likelihood by expectation-maximisation, finished by
            Newton's method with the exact information.  "ml": direct quasi-Newton
            maximisation from the same starts.  "map": the mode of log-likelihood
            plus log priors on natural scales.  "laplace": draws around the
            posterior mode, Pareto-smoothed.  "nuts": draws by NUTS.
        starts : int, optional
            Number of random starts, 10 unless `init` is given.
        seed : int or numpy.random.Generator, optional
            The same seed gives the same result.
        init : PointFit, Dataset, array or labels, optional
            One start: a fit, parameters, memberships (units or rows x
            components), or known labels.
        fixed_params : dict, optional
            {(component, parameter): value} held at natural values; they are not
            counted in `df`.  The parameter is a term, a dispersion, "weight" or
            "alpha[term]".
        tol : float
            Relative change of the log-likelihood at convergence.
        max_iter : int
            Most passes over the data of a start; 0 evaluates `init`.
        min_weight : float
            Components with a smaller mean weight are removed, with a warning.
        algorithm : str
            "em", "cem" (classification) or "sem" (stochastic).
        draws : int, optional
            Draws of a posterior: 4000 for "laplace", 1000 a chain for "nuts".
        tune, chains : int, optional
            Warm-up steps (1000) and chains (4) of "nuts".
        sampler : str, optional
            Of "nuts": "nutpie" (default), "pymc" or "numpyro".
        progress : bool, optional
            Whether to show progress; by default on terminals and in notebooks.

        Returns
        -------
        PointFit, or Posterior
            The latter from "laplace" and "nuts".

        Raises
        ------
        SpecError, FitError
            If an option is wrong or does not go with the method, or no start has a
            finite log-likelihood.

        Warns
        -----
        DegenerateWarning, IdentifiabilityWarning, ConvergenceWarning
            If the fit is no plain success; `PointFit.status` and `reasons` say why.
        """
        sampling = {"draws": draws, "tune": tune, "chains": chains, "sampler": sampler}
        point = {
            "starts": starts,
            "tol": tol,
            "max_iter": max_iter,
            "min_weight": min_weight,
            "algorithm": algorithm,
        }
        if method in ("laplace", "nuts"):
            return self._posterior(method, sampling, point, seed, init, fixed_params, progress)
        _refuse_options(method, {n: v for n, v in sampling.items() if v is not None})
        options = FitOptions(
            starts, seed, init, fixed_params, tol, max_iter, min_weight, algorithm, progress
        )
        return PointFit._of(fit_point(self._spec, method, options, self._priors), self._priors)

    def _posterior(
        self,
        method: str,
        sampling: Mapping[str, Any],
        point: Mapping[str, Any],
        seed: Any,
        init: Any,
        fixed_params: Any,
        progress: bool | None,
    ) -> Posterior:
        from bayesmix.api_posterior import Posterior
        from bayesmix.sampling import SamplingOptions, fit_posterior

        _refuse_options(method, {n: v for n, v in point.items() if v != POINT_DEFAULTS[n]})
        given = {n: v for n, v in sampling.items() if v is not None}
        if method == "laplace":
            _refuse_options(method, {n: v for n, v in given.items() if n != "draws"})
        given.setdefault("draws", 4000 if method == "laplace" else 1000)
        options = SamplingOptions(
            seed=seed, init=init, fixed_params=fixed_params, progress=progress, **given
        )
        drawn = fit_posterior(self._spec, method, options, self._priors)
        return Posterior(drawn, PointFit._of(drawn.point, self._priors))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model with the columns that it uses to one NetCDF-4 file; see `load`.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced.

        Raises
        ------
        DataError
            If the folder does not exist, or a column holds what a file cannot.
        """
        storage.save(path, self._spec, self._priors)

    def __repr__(self) -> str:
        return describe.spec_text(self._spec)

    def _repr_html_(self) -> str:
        return describe.spec_html(self._spec)


POINT_DEFAULTS: dict[str, Any] = {
    "starts": None,
    "tol": 1e-8,
    "max_iter": 1000,
    "min_weight": 0.0,
    "algorithm": "em",
}


def _refuse_options(method: str, given: Mapping[str, Any]) -> None:
    """No option is accepted and ignored."""
    if given:
        msg = (
            f"{', '.join(f'{n}=' for n in given)} does not go with method={method!r}; leave it out"
        )
        raise SpecError(msg)


def _regressions(
    formula: Any, family: Any, fixed: Any, nested: Any, dispersion: Any
) -> tuple[Regression, ...]:
    if isinstance(formula, Regression):
        formula = [formula]
    if isinstance(formula, (list, tuple)):
        if not all(isinstance(r, Regression) for r in formula):
            msg = f"a list of responses holds bmx.Regression objects; given {list(formula)!r}"
            raise SpecError(msg)
        mine = {"fixed": fixed, "nested": nested}
        given = [n for n, v in mine.items() if v is not None]
        given += ["family"] if family != "gaussian" else []
        given += ["dispersion"] if dispersion != "varying" else []
        if given:
            msg = f"with several responses, {', '.join(given)}= belongs to each bmx.Regression"
            raise SpecError(msg)
        return tuple(formula)
    return (Regression(formula, family, fixed, nested, dispersion),)


@dataclass(frozen=True, eq=False, repr=False)
class PointFit:
    """A fit by maximum likelihood: estimates, and how they were reached.

    Made by `Mixture.fit`.
    """

    _fitted: Fitted
    _priors: Any = None

    @classmethod
    def _of(cls, fitted: Fitted, priors: Any = None) -> PointFit:
        return cls(fitted, priors)

    @property
    def spec(self) -> Mixture:
        """The model that was fitted."""
        return Mixture._of(self._fitted.spec, self._priors)

    @property
    def method(self) -> str:
        """How it was fitted: "em", "cem", "sem", "ml" or "map"."""
        return self._fitted.method

    @property
    def status(self) -> str:
        """How it ended: "converged", "boundary", "degenerate", "max_iter" or "reduced"."""
        return self._fitted.status

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no plain success, in words; empty if it is."""
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
        return self._fitted.trace

    @property
    def loglik(self) -> float:
        """Log-likelihood, all constants included."""
        return self._fitted.loglik

    @property
    def log_prior(self) -> float:
        """Log prior density of the natural parameters; zero for maximum likelihood."""
        return self._fitted.log_prior

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return self._fitted.spec.df

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
    def n_obs(self) -> float:
        """Number of rows, or the sum of their weights."""
        return self._fitted.spec.n_obs

    @property
    def n_units(self) -> float:
        """Number of units, or the sum of their weights."""
        return self._fitted.spec.n_units

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return self._fitted.spec.prepared.n_dropped

    @property
    def k(self) -> int:
        """Number of components in the fit."""
        return self._fitted.spec.k

    @property
    def k_requested(self) -> int:
        """Number of components that were asked for."""
        return self._fitted.k_requested

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self._fitted.spec.components

    @property
    def mixing(self) -> pd.Series:
        """Mean weights over the units, by component."""
        index = tables.component_index(self._fitted.spec)
        return pd.Series(self._fitted.mixing, index=index, name="weight")

    @property
    def params(self) -> xr.Dataset:
        """Estimates on natural scales; a Dataset with named dimensions."""
        return self._fitted.params

    @property
    def starts(self) -> pd.DataFrame:
        """Log-likelihood, iterations and status of every start.

        ``starts.attrs["agreeing"]`` counts the starts that reached the best.
        """
        return self._fitted.ends.frame()

    def coefficients(self) -> pd.DataFrame:
        """Coefficients, terms by components; NaN where a component lacks a term."""
        return tables.coefficient_table(self._fitted.spec, self._fitted.theta)

    def dispersion(self) -> pd.DataFrame:
        """Dispersions on natural scales, components by parameters."""
        return tables.dispersion_table(self._fitted.spec, self._fitted.theta)

    def concomitant(self) -> pd.DataFrame:
        """Multinomial-logit coefficients, terms by components; the baseline's are zero.

        Raises
        ------
        FitError
            If the weights are constant.
        """
        return tables.concomitant_table(self._fitted.spec, self._fitted.theta)

    def covariance(self, kind: str = "observed") -> pd.DataFrame:
        """Covariance of the free parameters on their unconstrained scales.

        Dispersions are there as logarithms (their link), constant weights as
        log(pi_k / pi_1).

        Parameters
        ----------
        kind : str
            "observed": inverse of the exact observed information.  "robust":
            sandwich, for sampling weights.

        Raises
        ------
        FitError
            If the kind is unknown.
        """
        return covariance_frame(self._fitted.spec, covariance(self._fitted, kind))

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimates, standard errors, z, p-values and Wald intervals.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            Rows by effect (fixed, nested, varying, dispersion, concomitant,
            weight), component and term.  `scale` says on which scale `se` and
            the interval were computed.
        """
        return tables.summary(self._fitted, ci)

    def membership(self, newdata: pd.DataFrame | None = None, rows: bool = False) -> pd.DataFrame:
        """P(component | data) of every unit.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other data, with the response.
        rows : bool
            Repeat by row.

        Returns
        -------
        DataFrame
            Units by components; the index is the group's value or the row's index.
        """
        return tables.membership(self._fitted, newdata, rows=rows)

    def clusters(self, newdata: pd.DataFrame | None = None, rows: bool = False) -> pd.Series:
        """The most probable component of every unit; arguments as in `membership`."""
        return tables.clusters(self._fitted, newdata, rows=rows)

    def sizes(self) -> pd.DataFrame:
        """Mean memberships and numbers of rows by component.

        Returns
        -------
        DataFrame
            prior: mean membership over units; size: rows by most probable
            component; post_positive: rows with membership above 1e-4; ratio.
        """
        return tables.sizes(self._fitted)

    def predict(
        self, newdata: pd.DataFrame | None = None, what: str = "mean", by: str = "component"
    ) -> pd.DataFrame | pd.Series:
        """Predictions for rows; binomial means are per trial, offsets included.

        Parameters
        ----------
        newdata : DataFrame, optional
        what : str
            "mean", "link" or "weight".
        by : str
            "component", or "marginal": means weighted by pi(w).

        Raises
        ------
        FitError, DataError
            If an argument is unknown, or the new data lack a column or level.
        """
        return predict(self._fitted, newdata, what, by)

    def fitted(self) -> pd.DataFrame:
        """Means of the training rows, rows by components."""
        out = predict(self._fitted, None, "mean", "component")
        assert isinstance(out, pd.DataFrame)
        return out

    def residuals(self, kind: str = "response") -> pd.DataFrame:
        """Residuals against each component's mean.

        Parameters
        ----------
        kind : str
            "response" or "pearson".
        """
        return residuals(self._fitted, kind)

    def simulate(self, seed: Any = None, newdata: pd.DataFrame | None = None) -> pd.DataFrame:
        """Random responses from the fit, with the components drawn.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
        newdata : DataFrame, optional
        """
        return simulate(self._fitted, newdata, generator(seed, FitError))

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
            with replacement.
        seed : int or numpy.random.Generator, optional
        progress : bool, optional

        References
        ----------
        Gruen and Leisch (2004), Compstat, 1115-1122.
        """
        return Bootstrap(resample(self._fitted, n, kind, generator(seed, FitError), progress))

    def relabel(
        self,
        by: str | None = None,
        concomitant: bool = False,
        order: Sequence[Hashable] | None = None,
    ) -> PointFit:
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
        """
        return PointFit(reorder(self._fitted, by, concomitant, order), self._priors)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit with its model and data to one NetCDF-4 file; see `load`.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced.

        Raises
        ------
        DataError
            If the folder does not exist, or a column holds what a file cannot.
        """
        storage.save(path, self._fitted, self._priors)

    def __repr__(self) -> str:
        return describe.fit_text(self._fitted)

    def _repr_html_(self) -> str:
        return describe.fit_html(self._fitted)


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Refits to resampled data.  Made by `PointFit.bootstrap`."""

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
        return self._resampled.theta

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimates with bootstrap standard errors, percentile intervals and bias.

        Refits that did not end at a maximum are left out; `refits` shows them.
        """
        return resampled_summary(self._resampled, ci)

    def __repr__(self) -> str:
        used = int(self._resampled.usable.sum())
        return f"Bootstrap ({self._resampled.kind}): {self.n} resamples, {used} usable refits"


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Fits with several numbers of components.  Made by `select`."""

    _fits: dict[int, PointFit]

    @property
    def table(self) -> pd.DataFrame:
        """k, k0 (requested), converged, status, iterations, loglik, df, aic, bic, icl."""
        return selection_table({k: f._fitted for k, f in self._fits.items()})

    def __getitem__(self, k: int) -> PointFit:
        if k not in self._fits:
            msg = f"k={k!r} was not fitted; there are {list(self._fits)}"
            raise KeyError(msg)
        return self._fits[k]

    def best(self, by: str = "bic") -> PointFit:
        """The fit with the best criterion: "bic", "bic_units", "aic", "icl" or "loglik"."""
        return self._fits[best_of({k: f._fitted for k, f in self._fits.items()}, by)]

    def __repr__(self) -> str:
        return f"Selection of the number of components\n{self.table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        return describe.selection_html(self.table)


def load(
    path: str | os.PathLike[str],
    *,
    scope: Mapping[str, Any] | None = None,
    families: Mapping[str, Family] | None = None,
) -> Mixture | PointFit | Posterior:
    """Read a model, fit or posterior that its method `save` wrote.

    The design is made again of the formulas and the stored columns, and compared with
    the one that was fitted.  A file holds no code.

    Parameters
    ----------
    path : str or path
    scope : mapping of str to object, optional
        Functions of your own that the formulas use, by name, such as
        ``{"half": half}``.  Numbers, texts and small arrays of yours are in the file.
    families : mapping of str to Family, optional
        Families of your own by their names.

    Returns
    -------
    Mixture, PointFit or Posterior
        What was saved, with equal results.

    Raises
    ------
    DataError
        If the file is missing, damaged or of another format, if it needs an object of
        yours, or if the model is no longer the same.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> fit = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2).fit(seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(Path(folder) / "faults.nc")
    ...     again = bmx.load(Path(folder) / "faults.nc")
    >>> again.loglik == fit.loglik
    True
    """
    from bayesmix.api_posterior import Posterior

    stored = storage.load(path, scope, families)
    if isinstance(stored.value, MixtureSpec):
        return Mixture._of(stored.value, stored.priors)
    if isinstance(stored.value, Fitted):
        return PointFit._of(stored.value, stored.priors)
    return Posterior(stored.value, PointFit._of(stored.value.point, stored.priors))


def select(
    spec: Mixture, k: Iterable[int] | int = range(1, 6), method: str = "em", **options: Any
) -> Selection:
    """Fit a model with several numbers of components.

    Parameters
    ----------
    spec : Mixture
    k : iterable of int
        The numbers of components.
    method : str
    **options
        As in `Mixture.fit`.

    Returns
    -------
    Selection

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=2,
    ...                    fixed="~ Treatment")
    >>> bmx.select(spec, k=[1, 2, 3], seed=1).best("bic").k
    3
    """
    if not isinstance(spec, Mixture):
        msg = f"select() takes a Mixture, not {type(spec).__name__}"
        raise SpecError(msg)
    if "init" in options:
        msg = "select() makes its own starts for every k; leave init= out"
        raise SpecError(msg)
    if method in ("laplace", "nuts"):
        msg = f"select() compares point fits, not method={method!r}; see bmx.compare"
        raise SpecError(msg)
    return Selection({n: spec.with_k(n).fit(method, **options) for n in check_range(k)})
