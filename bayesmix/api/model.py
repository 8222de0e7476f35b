"""What every model can do; each method is one call into the module that does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from bayesmix import methods
from bayesmix._arguments import door, generator
from bayesmix._arguments.memory import check_memory
from bayesmix._arguments.printing import Described, Lines
from bayesmix.api.base import Modelled
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.distributions import as_priors
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.params import from_dataset
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.prior_predictive import prior_table, prior_tree, with_predictive_ranges
from bayesmix.priors import resolve, with_smooths
from bayesmix.pymc_model import new_data
from bayesmix.results import describe
from bayesmix.results.fitted import Fitted
from bayesmix.results.simulation import simulate
from bayesmix.sampling.external import draws_from_pymc, starting_values

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.priors import PriorModel


@door
class Model(Modelled, Described):
    """What `Mixture` and `CompetingRisks` share: priors, PyMC, estimation, files.

    A subclass turns what the user writes into a `MixtureSpec`, and may have its own classes
    of results.
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
        """A model of this class with priors that were checked before."""
        new = cls.__new__(cls)
        new._spec, new._priors = spec, priors
        return new

    @property
    def _content(self) -> tuple[MixtureSpec, Any]:
        return self._spec, self._priors

    def _resolved(self) -> PriorModel | None:
        return resolve(self._with_priors, self._priors)

    @property
    def _with_priors(self) -> MixtureSpec:
        """The specification with the parameters that only priors have."""
        return with_smooths(self._spec, self._priors)

    @property
    def spec(self) -> MixtureSpec:
        """The frozen specification."""
        return self._spec

    def log_likelihood(self, params: xr.Dataset) -> float:
        """Log-likelihood at given parameters, all constants included.

        Parameters
        ----------
        params : xarray.Dataset
            In the form of `PointFit.params`.

        Raises
        ------
        SpecError
            If the parameters do not match the model.

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
        """The prior of each parameter, with its meaning in words.

        Returns
        -------
        DataFrame
            For positive parameters and for coefficients on a link scale, the words give the
            middle 95 percent.  The last rows give the middle 95 percent of each response under
            the priors, beside the data, and flag priors that are far wider than the data.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> list(spec.priors()["parameter"])
        ['coef[log(Length)]', 'coef[Intercept]', 'weight', 'Faults']
        """
        model = self._resolved()
        table = prior_table(self._with_priors, model)
        return table if model is None else with_predictive_ranges(table, self._with_priors, model)

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
            If some draws give impossible means, such as negative ones with an identity link.
            The responses of these draws are missing.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> tree = spec.sample_prior(draws=50, seed=1)
        >>> dict(tree["prior_predictive"].dataset.sizes)
        {'chain': 1, 'draw': 50, 'unit': 32}
        """
        held = 16.0 * draws * (self._spec.layout.size + self._spec.rows.n)
        check_memory(held, f"draws={draws}", "ask for fewer draws")
        return prior_tree(self._with_priors, self._resolved(), draws, generator(seed))

    def simulate(
        self,
        params: xr.Dataset,
        newdata: pd.DataFrame | None = None,
        seed: Any = None,
        missing: bool = False,
    ) -> pd.DataFrame:
        """Simulate responses at given parameters.

        Parameters
        ----------
        params : xarray.Dataset
            In the form of `PointFit.params`.
        newdata : DataFrame, optional
            Rows to simulate, by default those of the model.  No response is needed.
        seed : int or numpy.random.Generator, optional
        missing : bool
            Whether to leave responses missing where the model's are missing
            (``na_action="fiml"``); by default every row gets all responses.

        Returns
        -------
        DataFrame
            One column for each response, and "component".  A binomial response is the number
            of successes; a survival time is not censored and has the name of its time column.
            Of a response that is a call, the columns that it reads follow where its values
            determine them: `s` of ``p(s, n)``, `y` of ``log(y)``, and both bounds of a time
            in an interval, which are equal.  A status is not among them: to fit simulated
            times, write 1 there.

        Raises
        ------
        SpecError, DataError, FitError
            If the parameters do not match the model, the new data lack a column, or a family
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
        return simulate(self._spec, theta, newdata, generator(seed), missing=missing)

    def to_pymc(self, likelihood: str = "graph") -> Any:
        """The PyMC model, as a PyMC user would write it.

        Parameters
        ----------
        likelihood : str
            "graph": PyTensor operations, for every model and backend.  "kernel": one compiled
            operation, many times faster for many rows.  The kernel needs one response of a
            family that has a kernel, and a sampler that does not use JAX.  It contains the
            data: `pm.set_data` cannot change them, and there is no `mu`.

        Returns
        -------
        pymc.Model
            `pm.Data` holds the designs (`X`, `Z`), offsets, trials, groups and responses; see
            `pymc_data`.  Free variables have the names of `PointFit.params`: `coef`, the
            dispersions, `weight`.  With concomitants there is `alpha_centred` instead of
            `weight`: the logits for centred and scaled concomitants, which sum to zero over the
            components.  If coefficients are of several kinds, the free variables are
            `coef_varying`, `coef_fixed`, ..., and `coef` is computed from them.  The likelihood
            reads `coef` and the means `mu` (obs, component).  The observed variable has one
            log-likelihood for each unit, with the components summed out.  Its values are
            arranged by unit; rows of a group and several responses are further dimensions.

        Raises
        ------
        SpecError
            If the priors are flat, if your own family is not written with the functions of
            `bayesmix.arrays`, or if no kernel exists for the model.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> [variable.name for variable in spec.to_pymc().free_RVs]
        ['coef_fixed', 'coef_varying', 'weight']
        """
        from bayesmix.pymc_model.build import to_pymc

        return to_pymc(self._with_priors, self._resolved(), likelihood)

    def pymc_data(self, newdata: pd.DataFrame | None = None) -> tuple[dict, dict]:
        """New data for the PyMC model, for ``pm.set_data(data, model=model, coords=coords)``.

        Parameters
        ----------
        newdata : DataFrame, optional
            By default the data of the model.  Without the columns of the response, the
            responses are missing (NaN), which is enough for predictions.  New rows have no
            case weights or known labels: every weight is one, every component is possible.

        Returns
        -------
        data : dict of str to ndarray
            `X` (obs, term), or one ``X_<response>`` for each of several responses; `Z` (unit,
            concomitant_term); `offset` and `trials` (obs); `unit_of_row` and `row_number`
            (obs), the unit of each row and its position in the unit; `case_weight` (unit);
            `allowed` (unit, component); the responses by unit.  Survival times also have
            `observed_as` (0 exact, 1 right-censored, 2 left-censored, 3 in an interval, 4
            unknown), `upper` (the end of an interval) and `entry`.
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
        """Starting values for PyMC at which the components differ.

        Give them to ``pm.find_MAP(start=)`` and ``pm.sample(initvals=)``.  PyMC's own initial
        point has equal components: a saddle that optimisers do not leave.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
            Seed of the random starts of the search for the posterior mode.

        Returns
        -------
        dict of str to ndarray
            The posterior mode, on natural scales.

        Raises
        ------
        SpecError
            If the priors are flat: PyMC needs proper ones.

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
        """Make a `Posterior` from draws of the PyMC model, made by any sampler.

        Parameters
        ----------
        idata : xarray.DataTree
            What `pm.sample`, nutpie or another sampler returned for ``spec.to_pymc()``.  The
            group posterior is needed; sample_stats is kept if present.
        seed : int or numpy.random.Generator, optional
            Seed of the search for the posterior's modes.

        Returns
        -------
        Posterior
            The draws relabelled and diagnosed, with all methods of a posterior.

        Raises
        ------
        SpecError
            If `idata` has no posterior, a variable is missing or has another shape, or the
            priors are flat.

        Warns
        -----
        ConvergenceWarning
            If the chains disagree or miss a mode.

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

        An option that is None has its default.

        Parameters
        ----------
        method : str
            "em": maximum likelihood by expectation-maximisation, finished by
            Newton's method with the exact information.  "ml": direct quasi-Newton
            maximisation from the same starts.  "map": the mode of log-likelihood
            plus log priors on natural scales.  "laplace": draws around the
            posterior mode, Pareto-smoothed.  "nuts": draws by NUTS.
        starts : int, optional
            Number of starts.  Some split the units by design, the others at random.  The default
            is 10, and 10 more if fewer than three of them reach the best; with `init` it is 1.
        seed : int or numpy.random.Generator, optional
            The same seed gives the same result.
        init : PointFit, Dataset, array or labels, optional
            Where to start: a fit, parameters, memberships (units or rows x components), or
            labels.  Those of pandas are matched by index and columns where these have all names.
        fixed_params : dict, optional
            ``{(component, parameter): value}``: parameters held at these natural values.  `df`
            does not count them.  A parameter is a term, a dispersion, "weight" or
            "alpha[term]".
        tol : float
            Relative change of the log-likelihood at convergence.
        max_iter : int
            Largest number of passes over the data for each start; 0 evaluates `init`.
        min_weight : float
            Components with a smaller mean weight are removed, with a warning.
        algorithm : str
            "em", "cem" (classification) or "sem" (stochastic).
        progress : bool, optional
            Whether to show progress; by default on terminals and in notebooks.
        n_threads : int, optional
            Number of threads.  They share the passes over the rows, and run the chains of
            "nuts" side by side.  By default all processors, or one for small data.  The number
            of threads does not change any digit of the result.
        draws : int, optional
            Number of posterior draws: by default 4000 for "laplace", 1000 per chain for "nuts".
        tune, chains : int, optional
            For "nuts": warm-up steps (1000) and number of chains (4).  `Posterior.modes` also
            lists separate chains, which are not counted here.
        thin : int, optional
            For "nuts": keep one draw in this many.  The chains get longer, so that `draws` are
            kept.  The default is 1, or 16 or 64 if the chains would not agree otherwise and
            the longer run takes only seconds.
        sampler : str, optional
            For "nuts": "nutpie" (default), "pymc" or "numpyro".
        checkpoint : str or path, optional
            For "nuts": a file, such as "run.nc", that keeps the draws made so far.  If the run
            is interrupted, the same call continues from the file and gives the same draws as
            an uninterrupted run.  Chains are then drawn in up to five rounds, each with a
            short warm-up.

        Returns
        -------
        PointFit, or Posterior
            "laplace" and "nuts" give a Posterior.

        Raises
        ------
        SpecError, FitError
            If an option is wrong or belongs to another method, or no start has a finite
            log-likelihood.

        Warns
        -----
        DegenerateWarning, IdentifiabilityWarning, ConvergenceWarning
            If the fit is not successful in every respect; `PointFit.status` and `reasons` say
            why.  Ctrl-C stops a fit: you get the best result so far, with a warning.

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
        """The public result with these numbers, in the class for this kind of model."""
        if isinstance(value, Fitted):
            return self._point_class(value, self._priors)
        return self._posterior_class(value, self._point_class(value.point, self._priors))

    def _title(self) -> str:
        return describe.model_title(self._spec)

    def _lines(self) -> Lines:
        return describe.spec_lines(self._spec)


# Help and completion show the options of all methods.
Model.fit.__signature__ = methods.signature(Model.fit)  # type: ignore[attr-defined]
