"""What draws are: tables, an ArviZ tree, labels, diagnostics and criteria."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from bayesmix._arguments import door, generator, one_of
from bayesmix.api.times import TimeQuantities
from bayesmix.comparison.checks import predictive_check
from bayesmix.comparison.evidence import Evidence, bridge_evidence
from bayesmix.errors import FitError
from bayesmix.posterior import tables
from bayesmix.posterior.diagnostics import Diagnosis
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.filled import filled_table
from bayesmix.posterior.sensitivity import prior_sensitivity
from bayesmix.posterior.tree import to_tree
from bayesmix.results.uncertainty import Source
from bayesmix.sampling.posterior import chain_diagnosis, methods_agreement
from bayesmix.sampling.refits import posterior_loo, posterior_waic

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.comparison.loo import Loo
    from bayesmix.comparison.waic import Waic

# Draws that quantities of new rows are computed from.
MOST_DRAWS = 1000


@door(error=FitError, by=one_of("unit", "row"))
class Draws(TimeQuantities):
    """Summaries of draws, their labels, how they were made and how well they predict."""

    _kind: ClassVar[str] = "posterior"
    _drawn: Drawn

    @property
    def source(self) -> Source:
        """The specification with its draws, for `bmx.slopes` and its relatives."""
        return Source(self._drawn.spec, None, self._drawn.thinned(MOST_DRAWS))

    @property
    def numbers(self) -> Drawn:
        """The arrays behind the tables, with the specification, for your own code."""
        return self._drawn

    @property
    def method(self) -> str:
        """How the draws were made: "nuts", "laplace" or "stacking"."""
        return self._drawn.method

    @property
    def khat(self) -> float:
        """Pareto k-hat of Laplace's importance weights; NaN for NUTS."""
        return self._drawn.khat

    @property
    def data(self) -> xr.DataTree:
        """The ArviZ DataTree.

        It has the groups posterior, sample_stats, log_likelihood (by unit), log_prior (by
        variable), prior, observed_data and constant_data; `to_datatree` adds posterior
        predictive draws.  The posterior has the free variables of ``spec.to_pymc()`` and those
        of `PointFit.params`, relabelled together, so PyMC's functions accept it as it is.
        """
        return to_tree(self._drawn, predictive=0, seed=0)

    def to_datatree(self, predictive: int = 0, seed: int = 0, by: str = "unit") -> xr.DataTree:
        """The ArviZ DataTree, with posterior predictive draws on request.

        Parameters
        ----------
        predictive : int
            Number of posterior predictive data sets.
        seed : int
            Seed of these data sets.
        by : str
            Shape of the group log_likelihood.  "unit": one value for each unit, for
            `arviz.loo`, which then leaves out units.  "row": the unit's value repeated at each
            of its responses, for `arviz_stats.loo_pit`; do not sum these, since a unit would
            count several times.  That function weighs predictive draws one by one, so all groups
            then have the same draws, `predictive` at most, evenly spaced.

        Returns
        -------
        xarray.DataTree
            Like `data`, with the group posterior_predictive if requested.

        Raises
        ------
        FitError
            If `predictive` or `seed` is not a whole number of at least 0, or `by` is unknown.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> tree = posterior.to_datatree(predictive=50)
        >>> "posterior_predictive" in tree.children
        True
        """
        return to_tree(self._drawn, predictive=predictive, seed=seed, by=by)

    def sensitivity(self, alpha: float = 0.01) -> pd.DataFrame:
        """How much the posterior depends on the priors, and how much on the data.

        The table is `arviz_stats.psense_summary`.  Draws are reweighted as if the prior, or the
        likelihood, were raised to the powers ``1 / (1 + alpha)`` and ``1 + alpha``.  The
        cumulative Jensen-Shannon distance measures how far that moves each parameter.

        Parameters
        ----------
        alpha : float
            How far the powers are from one; positive.

        Returns
        -------
        DataFrame
            By parameter: prior, likelihood, and diagnosis ("✓" where nothing is flagged).

        Raises
        ------
        FitError
            If `alpha` is not positive, or the draws are stacked.

        References
        ----------
        Kallioinen, Paananen, Buerkner and Vehtari (2024), Statistics and Computing 34, 57.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> list(posterior.sensitivity().columns)
        ['prior', 'likelihood', 'diagnosis']
        """
        return prior_sensitivity(self._drawn, alpha)

    @property
    def modes(self) -> pd.DataFrame:
        """Modes that differ beyond labels: log density, share of the mass, chains started there.

        The share is Laplace's estimate, and chains are distributed by it.  Every mode with more
        than one percent of the mass but no chain gets an additional, separate chain (the
        heaviest modes first, at most as many as there are chains).  No summary uses separate
        chains.  `apart` says what happened to each: "stayed" means that it did not leave its
        mode, so the draws miss that mode and `stack` can weight it; "connected" means that
        chains move between that mode and the others.  It is empty for modes without one.

        A sparse Dirichlet prior has no mode: the one listed is where the chains started, found
        under the default Dirichlet prior.
        """
        return tables.modes_table(self._drawn)

    def summary(self, ci: float = 0.95, exp: bool = False) -> pd.DataFrame:
        """Means, standard deviations, equal-tailed intervals, ESS and R-hat.

        Parameters
        ----------
        ci : float
            Probability of the intervals.
        exp : bool
            Show ratios, as `PointFit.summary` does; draws are exponentiated first.

        Returns
        -------
        DataFrame
            The rows of `PointFit.summary`: component, term, effect; then mean, sd, lower, upper
            (on natural scales), ess_bulk, ess_tail, r_hat.  Draws that do not come from chains,
            such as those of "laplace", have no r_hat.

        Raises
        ------
        FitError
            If `ci` is not between 0 and 1.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> list(posterior.summary(ci=0.9).columns[3:7])
        ['mean', 'sd', 'lower', 'upper']
        """
        return tables.posterior_summary(self._drawn, ci, exp)

    def filled_components(self, seed: Any = 0) -> pd.DataFrame:
        """The posterior of the number of components that contain units.

        At every draw, each unit is allocated to a component at random by its memberships, and
        the components with at least one unit are counted.  Use it for a model with more
        components than needed and the prior `Prior.sparse`, which leaves the surplus empty.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
            Seed of the allocations.

        Returns
        -------
        DataFrame
            Indexed by the number of components, 1 to k: probability, and mcse, its Monte Carlo
            standard error (if all draws agree: one over the number of draws).

        References
        ----------
        Malsiner-Walli, Fruehwirth-Schnatter and Gruen (2016), Statistics and Computing
        26, 303-324.

        Examples
        --------
        Counts around 2 and 20, in a model with room for two more components.

        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> data = pd.DataFrame({"y": rng.poisson(np.repeat([2, 20], 20))})
        >>> spec = bmx.Mixture("y ~ 1", data, family="poisson", k=4,
        ...                    priors={"weight": bmx.Prior.sparse()})
        >>> posterior = spec.fit("nuts", draws=400, tune=400, thin=1, seed=1, progress=False)
        >>> int(posterior.filled_components()["probability"].idxmax())
        2
        """
        return filled_table(self._drawn, generator(seed))

    def loo(self, repair: bool = True, seed: int = 0) -> Loo:
        """Leave-one-unit-out predictive density, by Pareto-smoothed importance sampling.

        Parameters
        ----------
        repair : bool
            Repair units with a high Pareto k, by moment matching, or else by exact refits; not
            those of data in blocks, which every repair would have to read again.
        seed : int
            Seed of the refits.

        Returns
        -------
        Loo
            `elpd_loo`, its standard error, and the Pareto k of every unit.  `elpd_loo` sums, over
            the units, the log density of a unit given all others.

        Raises
        ------
        FitError
            If `seed` is not a whole number of at least 0, or the draws are stacked.

        References
        ----------
        Vehtari, Gelman and Gabry (2017), Statistics and Computing 27, 1413-1432.
        Paananen, Piironen, Buerkner and Vehtari (2021), Statistics and Computing 31, 16.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> len(posterior.loo().pareto_k)
        32
        """
        return posterior_loo(self._drawn, repaired=repair, seed=seed)

    def waic(self) -> Waic:
        """The widely applicable information criterion, by unit.

        elpd_waic sums over the units: the log of the mean density over the draws, minus the
        variance of the log density.  A variance above 0.4 gives a warning.

        Returns
        -------
        Waic

        References
        ----------
        Watanabe (2010), Journal of Machine Learning Research 11, 3571-3594.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> waic = posterior.waic()
        >>> waic.elpd_waic < 0 < waic.p_waic
        True
        """
        return posterior_waic(self._drawn)

    def evidence(self, seed: Any = 0, model: Any = None, idata: Any = None) -> Evidence:
        r"""The evidence p(y), by bridge sampling that handles label switching.

        .. math:: p(y) = \int p(y \mid \theta) \, p(\theta) \, d\theta

        A normal density is fitted to the relabelled draws.  Each draw is given an order of the
        components, with probability proportional to that density; the target is warped to be
        symmetric about its mean, and bridged with the density.  All constants of the likelihood
        and the priors are included.  The evidence depends on the priors, and the defaults are
        vague.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
            Seed of the draws from the normal density.
        model : pymc.Model, optional
            A model that extends ``spec.to_pymc()``, by a hierarchical prior for instance.  A
            variable with values for each component has the dimension component.
        idata : DataTree, optional
            The draws of that model from which ``spec.from_pymc`` made this posterior.  Modes of
            such a model that no chain came to are not looked for.

        Returns
        -------
        Evidence
            `log_evidence`, and `error`, its Monte Carlo standard error.

        Raises
        ------
        FitError
            If chains disagree or miss modes with more than one percent of the mass, if the
            components have more than 5040 orders, or if the error is above 0.5.  If the
            draws come from another model and `model` is missing, or if `idata` holds other
            draws or lacks a free variable.

        References
        ----------
        Meng and Wong (1996), Statistica Sinica 6, 831-860.  Meng and Schilling (2002), Journal
        of Computational and Graphical Statistics 11, 552-586.  Fruehwirth-Schnatter (2004),
        Econometrics Journal 7, 143-167.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=1000, seed=1)
        >>> posterior.evidence().error < 0.1
        True
        """
        rng = generator(seed)
        if model is None and idata is None:
            return bridge_evidence(self._drawn, rng)
        if model is None or idata is None:
            msg = "evidence(model=, idata=) go together: a PyMC model and what pm.sample returned"
            raise FitError(msg)
        from bayesmix.pymc_model.extended import extended_evidence

        return extended_evidence(self._drawn, model, idata, rng)

    def predictive_check(
        self,
        statistics: Mapping[str, Callable[..., float]],
        draws: int = 500,
        ci: float = 0.95,
        seed: Any = None,
    ) -> pd.DataFrame:
        """Compare statistics of the data with those of simulated data.

        Parameters
        ----------
        statistics : dict of str to callable
            Functions that take the response (a Series, or a DataFrame of several responses) and
            return one number: ``{"zeros": lambda y: (y == 0).mean()}``.
        draws : int
            Number of simulated data sets.
        ci : float
            Probability of the intervals.
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        DataFrame
            statistic; observed; mean, lower and upper over the simulated data; and p_value, the
            share of simulated data with at least the observed value.  A p-value near 0 or 1
            means that the model rarely produces such data.

        Raises
        ------
        FitError
            If a statistic returns several numbers, or a response is a survival time.

        References
        ----------
        Gelman, Meng and Stern (1996), Statistica Sinica 6, 733-807.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> found = posterior.predictive_check({"largest": max}, draws=100, seed=1)
        >>> float(found["observed"].iloc[0])
        28.0
        """
        rng = generator(seed)
        return predictive_check(self._drawn, statistics, draws, ci, rng)

    def diagnostics(self) -> Diagnosis:
        """R-hat and ESS after relabelling, and the reasons if chains disagree.

        `unvisited` names the modes that no chain visited, as `modes` lists them.  `apart` names
        those where a separate chain, which is not among the draws, stayed.

        Returns
        -------
        Diagnosis

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=2000, seed=1)
        >>> posterior.diagnostics().healthy
        True
        """
        return chain_diagnosis(self._drawn)

    def relabel_agreement(self) -> pd.DataFrame:
        """Share of draws to which two methods of relabelling give the same labels.

        Returns
        -------
        DataFrame
            Stephens, ECR, pivot and ordering against each other; 1 means that two methods agree
            on all draws, up to a renaming of the components.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.relabel_agreement().shape
        (4, 4)
        """
        return methods_agreement(self._drawn)
