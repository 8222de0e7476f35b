"""What every kind of model can do; each method is one call into the module that does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from bayesmix import methods
from bayesmix._arguments import door, generator, whole_number
from bayesmix._arguments.memory import check_memory
from bayesmix.api.base import Modelled
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.distributions import as_priors
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.params import from_dataset
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.prior_predictive import prior_table, prior_tree, with_predictive_ranges
from bayesmix.priors import resolve
from bayesmix.pymc_model import new_data
from bayesmix.results import describe
from bayesmix.results.fitted import Fitted
from bayesmix.results.predict import simulate_at
from bayesmix.sampling.external import draws_from_pymc, starting_values

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.priors import PriorModel

__all__ = ["Model"]


@door
class Model(Modelled):
    """What `Mixture` and other kinds of models share: priors, PyMC, estimation, files.

    A kind of model makes its `MixtureSpec` from what a user writes, and may name result
    classes of its own.
    """

    _point_class: ClassVar[type[PointFit]] = PointFit
    _posterior_class: ClassVar[type[Posterior]] = Posterior

    def __init__(self, spec: MixtureSpec, priors: Any = None) -> None:
        self._spec = spec
        self._priors = as_priors(priors)
        if priors is not None:
            self._resolved()

    @classmethod
    def _of(cls, spec: MixtureSpec, priors: Any = None) -> Self:
        """A model of this kind whose priors were checked before."""
        new = cls.__new__(cls)
        new._spec, new._priors = spec, priors
        return new

    @property
    def _specification(self) -> MixtureSpec:
        return self._spec

    @property
    def _content(self) -> tuple[MixtureSpec, Any]:
        return self._spec, self._priors

    def _resolved(self) -> PriorModel | None:
        return resolve(self._spec, self._priors)

    @property
    def spec(self) -> MixtureSpec:
        """The frozen specification."""
        return self._spec

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

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> round(spec.log_likelihood(fit.params), 4), round(fit.loglik, 4)
        (-86.3311, -86.3311)
        """
        theta = from_dataset(self._spec, params)
        return float(log_likelihood(build_problem(self._spec), theta[None])[0])

    def priors(self) -> pd.DataFrame:
        """The priors: parameter, prior, and what it says in words.

        Returns
        -------
        DataFrame
            Of positive parameters, and of coefficients on the scale of the link, the
            words have the middle 95 percent.  The last rows have that of each response under
            the priors, beside the data, and flag one that is far wider.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> list(spec.priors()["parameter"])
        ['coef[log(Length)]', 'coef[Intercept]', 'weight', 'Faults']
        """
        model = self._resolved()
        table = prior_table(self._spec, model)
        return table if model is None else with_predictive_ranges(table, self._spec, model)

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

        Warns
        -----
        UserWarning
            If means are outside their range under the priors, as below zero by an identity
            link: the responses are then missing.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> tree = spec.sample_prior(draws=50, seed=1)
        >>> dict(tree["prior_predictive"].dataset.sizes)
        {'chain': 1, 'draw': 50, 'unit': 32}
        """
        whole_number("draws", draws, "the number of draws", 1)
        held = 16.0 * draws * (self._spec.layout.size + self._spec.rows.n)
        check_memory(held, f"draws={draws}", "ask for fewer draws")
        return prior_tree(self._spec, self._resolved(), draws, generator(seed))

    def simulate(
        self,
        params: xr.Dataset,
        newdata: pd.DataFrame | None = None,
        seed: Any = None,
        missing: bool = False,
    ) -> pd.DataFrame:
        """Random responses at given parameters.

        Parameters
        ----------
        params : xarray.Dataset
            Like `PointFit.params`.
        newdata : DataFrame, optional
            Rows to draw for, by default those of the model; it needs no response.
        seed : int or numpy.random.Generator, optional
        missing : bool
            Whether responses are missing where those of the model are
            (``na_action="fiml"``); by default every row has all of them.

        Returns
        -------
        DataFrame
            A column for each response (successes for the binomial; a survival time without
            censoring under the name of the time) and "component".

        Raises
        ------
        SpecError, DataError, FitError
            If the parameters do not fit the model, the new data lack a column, or a family
            cannot be simulated.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> list(spec.simulate(fit.params, data.head(3), seed=1).columns)
        ['Faults', 'component']
        """
        theta = from_dataset(self._spec, params)
        return simulate_at(self._spec, theta, newdata, generator(seed), missing=missing)

    def to_pymc(self, likelihood: str = "graph") -> Any:
        """The model for PyMC, as a PyMC user would write it.

        Parameters
        ----------
        likelihood : str
            "graph": written in PyTensor's own operations, for every model and
            backend.  "kernel": the compiled kernel as one operation, which is many
            times faster for many rows; for one response of a family that has a
            kernel, and for samplers that do not need JAX.  It has the data in it: nothing
            can be set, and there is no `mu`.

        Returns
        -------
        pymc.Model
            `pm.Data` holds the designs (`X`, `Z`), offsets, trials, groups and responses, see
            `pymc_data`.  Free variables are called as in `PointFit.params` (`coef`, the
            dispersions, `weight`; `alpha_centred`, which sums to zero over the components: the
            logits of centred and scaled concomitants);
            where coefficients are of several kinds the free ones are `coef_varying`,
            `coef_fixed`, ..., and `coef` derives from them.  The likelihood reads `coef` and
            the means `mu` (obs, component).  The observed variable has one log-likelihood for
            every unit, with the components summed out.  Its values are arranged by unit: the
            rows of a group, and several responses, are further dimensions.

        Raises
        ------
        SpecError
            Under flat priors, if a family of your own is not written with the
            functions of `bayesmix.arrays`, or if the kernel does not know the model.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> [variable.name for variable in spec.to_pymc().free_RVs]
        ['coef_fixed', 'coef_varying', 'weight']
        """
        from bayesmix.pymc_model.build import to_pymc

        return to_pymc(self._spec, self._resolved(), likelihood)

    def pymc_data(self, newdata: pd.DataFrame | None = None) -> tuple[dict, dict]:
        """What moves the PyMC model to new rows: ``pm.set_data(data, model=, coords=coords)``.

        Parameters
        ----------
        newdata : DataFrame, optional
            By default the data of the model.  Without the response's columns the responses
            are missing (NaN): predictions need none.  Case weights and known labels do not
            carry over to new rows: every weight is one, every component is possible.

        Returns
        -------
        data : dict of str to ndarray
            `X` (obs, term), or one ``X_<response>`` for each of several; `Z` (unit,
            concomitant_term); `offset` and `trials` (obs); `unit_of_row` and `row_number`
            (obs), the unit of each row and its place in it; `case_weight` (unit); `allowed`
            (unit, component); the responses by unit.  Of times also `observed_as` (0 exactly,
            1 at least, 2 at most, 3 in an interval, 4 nothing known), `upper` (where an
            interval ends) and `entry`.
        coords : dict of str to tuple
            Labels of `obs`, `unit` and, in groups, `row_in_unit`.

        Raises
        ------
        DataError
            If a column or group is missing, a level is new, or a value cannot be used.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> values, coords = spec.pymc_data(data[["Length"]].head(3))
        >>> values["X"].shape, coords["obs"]
        ((3, 2), (0, 1, 2))
        """
        return new_data(self._spec, newdata)

    def initial_point(self, seed: Any = None) -> dict[str, Any]:
        """Values of the PyMC model's free variables at which the components differ.

        PyMC's own initial point has equal components, a saddle from which optimisers do not
        move.  For ``pm.find_MAP(start=)`` and ``pm.sample(initvals=)``.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
            Of the random starts from which the posterior mode is sought.

        Returns
        -------
        dict of str to ndarray
            The mode found, on natural scales.

        Raises
        ------
        SpecError
            Under flat priors, which have no PyMC model.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> spec.initial_point(seed=1)["coef_varying"].shape
        (2, 1)
        """
        return starting_values(self._spec, self._priors, seed)

    def from_pymc(self, idata: Any, seed: Any = 0) -> Posterior:
        """A posterior from draws of the PyMC model, made by any sampler.

        Parameters
        ----------
        idata : xarray.DataTree
            What `pm.sample` (or nutpie, blackjax, ...) returned for ``spec.to_pymc()``, with the
            group posterior; sample_stats are kept where they are there.
        seed : int or numpy.random.Generator, optional
            Of the search for the posterior's modes.

        Returns
        -------
        Posterior
            Relabelled and diagnosed, with every method.

        Raises
        ------
        SpecError
            If there is no posterior, a variable is missing or of another shape, or the priors
            are flat.

        Warns
        -----
        ConvergenceWarning
            If the chains disagree, or missed a mode.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> draws = spec.fit("laplace", draws=500, seed=1).data
        >>> spec.from_pymc(draws).summary().shape
        (6, 10)
        """
        return self._result(draws_from_pymc(self._spec, self._priors, idata, seed))  # type: ignore[return-value]

    def fit(
        self,
        method: str = "em",
        **options: Any,
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
            Number of starts, divided by design or drawn at random.  By default one with
            `init`; else 10, and 10 more where fewer than three of them reached the best.
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
        progress : bool, optional
            Whether to show progress; by default on terminals and in notebooks.
        n_threads : int, optional
            Threads that share the passes over the rows, and on which the chains of "nuts" run
            side by side.  By default all processors, or one for small data.  The result is the
            same for any number, to the last bit.
        draws : int, optional
            Draws of a posterior: 4000 for "laplace", 1000 a chain for "nuts".
        tune, chains : int, optional
            Warm-up steps (1000) and chains (4) of "nuts".  `Posterior.modes` lists chains
            apart, which are not among them.
        thin : int, optional
            One draw of "nuts" is kept of so many.  By default all are, or, where the
            chains would not agree otherwise and it takes seconds, one of 16 or 64:
            `draws` are kept, and the chains are longer.
        sampler : str, optional
            Of "nuts": "nutpie" (default), "pymc" or "numpyro".
        checkpoint : str or path, optional
            A file that keeps what a run of "nuts" has drawn so far, such as "run.nc".  The
            same call after the run was ended goes on from there, to the same draws.
            Chains are then drawn in up to five rounds, each with a short warm-up.

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
            If the fit is no plain success; `PointFit.status` and `reasons` say why.  Ctrl-C
            ends a fit with the best so far, and a warning.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> fit.status, round(fit.loglik, 4)
        ('converged', -86.3311)
        >>> held = spec.fit("em", seed=1, fixed_params={(1, "Intercept"): -3.0})
        >>> held.df, fit.df
        (3, 4)
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.data["posterior"]["coef"].sizes["draw"]
        500
        """
        return self._result(methods.estimate(self._spec, method, options, self._priors))

    def _result(self, value: Fitted | Drawn) -> PointFit | Posterior:
        """The public result with these numbers, of the class that belongs to this kind of model."""
        if isinstance(value, Fitted):
            return self._point_class(value, self._priors)
        return self._posterior_class(value, self._point_class(value.point, self._priors))

    def __repr__(self) -> str:
        return describe.spec_text(self._spec)

    def _repr_html_(self) -> str:
        return describe.spec_html(self._spec)


# Help and completion show the options of all methods.
Model.fit.__signature__ = methods.signature(Model.fit)  # type: ignore[attr-defined]
