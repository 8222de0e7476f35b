"""The public class of a posterior; each method is one call into another room."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from bayesmix._arguments import door, generator, one_of, whole_number
from bayesmix.api.outside import OutsidePosterior
from bayesmix.api.pointfit import PointFit
from bayesmix.api.stacking import Stacking
from bayesmix.api.times import TimeQuantities
from bayesmix.comparison.checks import predictive_check
from bayesmix.comparison.evidence import Evidence, bridge_evidence
from bayesmix.comparison.outside import cut, distal, relate
from bayesmix.comparison.stacking import groups_of_chains, stack
from bayesmix.errors import FitError
from bayesmix.formula.transforms import Scope
from bayesmix.model import MixtureSpec, Regression
from bayesmix.posterior import tables, words
from bayesmix.posterior.diagnostics import Diagnosis
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.filled import filled_table
from bayesmix.posterior.labels import METHODS, draw_memberships
from bayesmix.posterior.partition import Consensus, consensus
from bayesmix.posterior.predict import predict, simulate
from bayesmix.posterior.random_effects import random_effect_draws
from bayesmix.posterior.sensitivity import prior_sensitivity
from bayesmix.posterior.tree import to_tree
from bayesmix.results.imputation import impute
from bayesmix.results.streaming import delivered
from bayesmix.sampling.posterior import chain_diagnosis, methods_agreement, relabelled
from bayesmix.sampling.refits import posterior_loo, posterior_waic
from bayesmix.survival.intervals import Source

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.comparison.loo import Loo
    from bayesmix.comparison.waic import Waic
    from bayesmix.formula.sources import Data

__all__ = ["Posterior"]

PARTITION_DRAWS = 1000
# Draws that quantities of new rows are computed from.
MOST_DRAWS = 1000
STACKED_BY = ("mode", "chain")


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Posterior(TimeQuantities):
    """Draws from the posterior of a mixture, with the components relabelled.

    Made by ``Mixture.fit("nuts")`` or ``Mixture.fit("laplace")``.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3,
    ...                    fixed="~ Treatment")
    >>> posterior = spec.fit("laplace", seed=1)
    >>> posterior.khat < 0.7
    True
    >>> posterior.summary()["mean"].round(1).to_list()
    [-0.3, -0.3, -0.3, -2.8, -2.3, -1.6, 0.3, 0.5, 0.3]
    >>> posterior.loo().n_bad, posterior.clusters().k
    (0, 3)
    """

    _kind: ClassVar[str] = "posterior"

    _drawn: Drawn
    _point: PointFit

    @property
    def _specification(self) -> MixtureSpec:
        return self._drawn.spec

    @property
    def _source(self) -> Source:
        return Source(self._drawn.spec, None, self._drawn.thinned(MOST_DRAWS))

    @property
    def numbers(self) -> Drawn:
        """The arrays behind the tables, with the specification, for your own code."""
        return self._drawn

    @property
    def _content(self) -> tuple[Drawn, Any]:
        return self._drawn, self._point._priors

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
            count several times.

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
        whole_number("predictive", predictive, "the number of predictive data sets", 0, FitError)
        whole_number("seed", seed, "the seed of the predictive data sets", 0, FitError)
        one_of("unit", "row")("by", by, FitError)
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
        mode, so the draws miss that mode and `stack` can weigh it; "connected" means that
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

    def membership(
        self,
        newdata: Data | None = None,
        rows: bool = False,
        uncertainty: bool = False,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Posterior mean of P(component | data, parameters) for every unit.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other data, with the response.
        rows : bool
            One row for each row of the data, instead of one for each unit.
        uncertainty : bool
            Add the standard deviations over the draws.
        to : str or path, optional
            Write a Parquet file and return its path.

        Returns
        -------
        DataFrame
            Units by components; with `uncertainty` the columns are (component, "mean") and
            (component, "sd").  If the data come in blocks: an iterator of frames.

        Raises
        ------
        DataError
            If the new data lack a column or level, or a response is outside the support.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.membership().shape
        (32, 2)
        """
        make = partial(tables.membership, rows=rows, uncertainty=uncertainty)
        return delivered(self._drawn, newdata, make, "memberships", to)

    def clusters(
        self,
        newdata: pd.DataFrame | None = None,
        loss: str = "vi",
        max_k: int | None = None,
    ) -> Consensus | pd.Series:
        """The partition of the units with the smallest expected loss; labels do not matter.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other units, with their responses; each is assigned to its most probable component.
        loss : str
            "vi" (variation of information) or "binder".
        max_k : int, optional
            Largest number of clusters.

        Returns
        -------
        Consensus, or Series
            A Consensus has `labels`, `k`, the expected loss, and the uncertainty of every unit.
            For new units: a Series with the names of their components.

        Raises
        ------
        FitError
            If the loss is unknown, `max_k` is not a positive integer, or either is given with
            new data.

        References
        ----------
        Wade and Ghahramani (2018), Bayesian Analysis 13, 559-626.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> len(posterior.clusters().labels)
        32
        """
        if newdata is not None:
            if loss != "vi" or max_k is not None:
                msg = "clusters(newdata=) takes no loss= or max_k=: the components stand already"
                raise FitError(msg)
            return tables.most_probable(self._drawn, newdata)
        draws = draw_memberships(self._drawn.problem, self._drawn.thinned(PARTITION_DRAWS))
        return consensus(memberships=draws, loss=loss, max_k=max_k)

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

    def random_effects(self, newdata: pd.DataFrame | None = None, seed: Any = None) -> xr.DataArray:
        """Posterior draws of the random effects, which the sampler integrates out.

        For each draw of the parameters, the component of every unit is drawn given its responses,
        then its random effects.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other units, with their responses.
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        xarray.DataArray
            Dimensions chain, draw, the column of the clusters, random_term.

        Raises
        ------
        FitError
            If the model has no random effects.

        Examples
        --------
        >>> import numpy as np, pandas as pd, bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> data = pd.DataFrame({"id": np.repeat(np.arange(40), 4), "time": np.tile(range(4), 40)})
        >>> level = rng.normal(size=40)[data["id"]]
        >>> data["y"] = 1 + 0.5 * data["time"] + level + 0.3 * rng.normal(size=160)
        >>> posterior = bmx.Mixture("y ~ time + (1 | id)", data, k=1).fit("laplace", draws=50)
        >>> posterior.random_effects(seed=1).shape
        (1, 50, 40, 1)
        """
        return random_effect_draws(self._drawn, newdata, generator(seed))

    def predict(
        self,
        newdata: Data | None = None,
        what: str = "mean",
        by: str = "component",
        ci: float = 0.95,
        to: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Predictions with credible intervals: estimate, lower, upper.

        Parameters
        ----------
        newdata : DataFrame, optional
        what : str
            "mean", "link" or "weight".
        by : str
            "component": for each component.  "marginal": averaged with the weights pi(w).
            "membership": averaged with the unit's own memberships; new data then need the
            response.
        ci : float
            Probability of the intervals, which are for the mean, not for a new response.
        to : str or path, optional
            Write a Parquet file and return its path.

        Returns
        -------
        DataFrame
            Columns estimate (the mean over the draws), lower and upper; for by="component" they
            stand below each component.  If the data come in blocks: an iterator of frames.

        Raises
        ------
        FitError, DataError
            If an argument is unknown, or the new data lack a column or level.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> import pandas as pd
        >>> roll = pd.DataFrame({"Length": [500.0]})
        >>> list(posterior.predict(roll, by="marginal").columns)
        ['estimate', 'lower', 'upper']
        """
        make = partial(predict, what=what, by=by, ci=ci)
        return delivered(self._drawn, newdata, make, "predictions", to)

    def simulate(
        self,
        draws: int = 100,
        seed: Any = None,
        newdata: pd.DataFrame | None = None,
        missing: bool = False,
    ) -> pd.DataFrame:
        """Simulate posterior predictive responses; survival times as in `PointFit.simulate`.

        Parameters
        ----------
        draws : int
            Number of data sets, each from parameters drawn from the posterior.
        seed : int or numpy.random.Generator, optional
        newdata : DataFrame, optional
        missing : bool
            Whether to leave responses missing where the model's are missing
            (``na_action="fiml"``); by default every row gets all responses.

        Returns
        -------
        DataFrame
            Rows by draws; with several responses the columns are (response, draw).

        Raises
        ------
        FitError
            If a family cannot be simulated.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.simulate(draws=5, seed=1).shape
        (32, 5)
        """
        whole_number("draws", draws, "the number of draws", 1)
        values = simulate(self._drawn, newdata, draws, generator(seed), missing=missing)
        spec = self._drawn.spec
        index = spec.prepared.index if newdata is None else newdata.index
        names = [name for block in spec.layout.blocks for name in block.columns]
        frames = {
            name: pd.DataFrame(values[:, c].T, index=index).rename_axis(columns="draw")
            for c, name in enumerate(names)
        }
        return next(iter(frames.values())) if len(frames) == 1 else pd.concat(frames, axis=1)

    def impute(self, draws: int = 100, seed: Any = None) -> pd.DataFrame:
        """Draw the missing responses from their posterior, given all that was observed.

        Parameters are drawn from the posterior, then a component by the unit's memberships, then
        the response in that component.

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
        ...     "Faults ~ 1", data, "poisson", 2, fixed="~ log(Length)", na_action="fiml"
        ... )
        >>> posterior = spec.fit("laplace", draws=200, seed=1)
        >>> list(posterior.impute(draws=3, seed=1).index)
        [('Faults', 3), ('Faults', 8)]
        """
        drawn, rng = self._drawn, generator(seed)
        whole_number("draws", draws, "the number of draws", 1)
        return impute(drawn.problem, drawn.flat[rng.integers(0, len(drawn.flat), draws)], rng)

    def loo(self, repair: bool = True, seed: int = 0) -> Loo:
        """Leave-one-unit-out predictive density, by Pareto-smoothed importance sampling.

        Parameters
        ----------
        repair : bool
            Repair units with a high Pareto k, by moment matching, or else by exact refits.
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
        whole_number("seed", seed, "the seed of the refits", 0, FitError)
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

    def evidence(self, seed: Any = 0) -> Evidence:
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

        Returns
        -------
        Evidence
            `log_evidence`, and `error`, its Monte Carlo standard error.

        Raises
        ------
        FitError
            If chains disagree or miss modes with more than one percent of the mass, if the
            components have more than 5040 orders, or if the error is above 0.5.

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
        return bridge_evidence(self._drawn, generator(seed, FitError))

    def relate(
        self,
        formula: str,
        method: str = "two-step",
        assign: str | None = None,
        draws: int = 200,
        seed: Any = None,
        data: pd.DataFrame | None = None,
    ) -> OutsidePosterior:
        """Regress the classes on covariates for every draw (a cut posterior).

        Parameters
        ----------
        formula, method, assign
            As for `PointFit.relate`.
        draws : int
            Number of posterior draws to use.
        seed : int or numpy.random.Generator, optional
        data : DataFrame, optional
            As for `PointFit.relate`.

        Returns
        -------
        OutsidePosterior

        Raises
        ------
        FitError, DataError, FormulaError
            As for `PointFit.relate`.

        References
        ----------
        Plummer (2015), Statistics and Computing 25, 37-43.  Bakk and Kuha (2018),
        Psychometrika 83, 871-892.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> second = rng.random(200) < 0.4
        >>> data = pd.DataFrame({"y": 4.0 * second, "x": 1.0 * second}) + rng.normal(size=(200, 2))
        >>> posterior = bmx.Mixture("y ~ 1", data, k=2).fit("laplace", draws=500, seed=1)
        >>> posterior.relate("~ x", draws=20, seed=1).summary()["term"].tolist()
        ['Intercept', 'x']
        """
        stage = relate(self._drawn.point, formula, data, Scope.capture(2))
        return self._cut(stage, method, assign, draws, seed)

    def distal(
        self,
        formula: str,
        family: Any = "gaussian",
        method: str = "two-step",
        assign: str | None = None,
        dispersion: str = "varying",
        draws: int = 200,
        seed: Any = None,
        data: pd.DataFrame | None = None,
    ) -> OutsidePosterior:
        """Compare an outcome between the classes for every draw (a cut posterior).

        Parameters
        ----------
        formula, family, method, assign, dispersion
            As for `PointFit.distal`.
        draws : int
            Number of posterior draws to use.
        seed : int or numpy.random.Generator, optional
        data : DataFrame, optional
            As for `PointFit.distal`.

        Returns
        -------
        OutsidePosterior

        Raises
        ------
        FitError, DataError, FormulaError, SpecError
            As for `PointFit.distal`.

        Examples
        --------
        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> second = rng.random(200) < 0.4
        >>> data = pd.DataFrame({"y": 4.0 * second, "x": 1.0 * second}) + rng.normal(size=(200, 2))
        >>> posterior = bmx.Mixture("y ~ 1", data, k=2).fit("laplace", draws=500, seed=1)
        >>> by_class = posterior.distal("x ~ 1", dispersion="fixed", draws=20, seed=1)
        >>> by_class.summary()["effect"].tolist()
        ['varying', 'varying', 'dispersion', 'dispersion', 'weight', 'weight']
        """
        regression = Regression(formula, family, dispersion=dispersion)
        stage = distal(self._drawn.point, regression, data, Scope.capture(2))
        return self._cut(stage, method, assign, draws, seed)

    def _cut(
        self, stage: Any, method: str, assign: str | None, draws: int, seed: Any
    ) -> OutsidePosterior:
        rng = generator(seed, FitError)
        flat = self._drawn.flat
        chosen = flat[rng.choice(len(flat), min(draws, len(flat)), replace=False)]
        return OutsidePosterior(cut(stage, self._drawn.point, chosen, method, assign, rng))

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
        rng = generator(seed, FitError)
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

    def stack(self, by: str = "mode", seed: Any = 0) -> Stacking:
        r"""Weigh chains that do not mix by how well they predict.

        If chains stay in modes that differ beyond labels, the number of draws in a mode says
        where chains started, not how much of the mass is there.  Stacking gives the groups of
        chains m the weights

        .. math::

           \max_w \sum_u \log \sum_m w_m \, p_m(y_u \mid y_{-u}),

        with the leave-one-unit-out predictive densities of each group.  These are the weights of
        the mixture that predicts best, not the masses of the modes: a mode that predicts every
        unit a little worse gets no weight.

        Parameters
        ----------
        by : str
            "mode": one group for each mode, as `diagnostics` finds them, with the separate
            chains that stayed in modes of their own (see `modes`); so every mode with more
            than one percent of the mass is weighed.  "chain": every reported chain is a group.
        seed : int or numpy.random.Generator, optional
            Seed of the resampling.

        Returns
        -------
        Stacking
            `table`, the groups with their weights; `elpd_loo`; and `posterior`, the draws
            resampled with these weights.

        Raises
        ------
        FitError
            If the draws do not come from chains.

        References
        ----------
        Yao, Vehtari and Gelman (2022), Journal of Machine Learning Research 23(79).

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("nuts", draws=500, seed=1, progress=False)
        >>> stacked = posterior.stack(by="chain")
        >>> round(float(stacked.table["weight"].sum()), 6)
        1.0
        >>> len(stacked.posterior.summary())  # three terms of two components
        6
        """
        if self.method != "nuts" or by not in STACKED_BY:
            msg = (
                f"stack(by={by!r}) weighs the chains of a posterior by NUTS, by 'mode' or by "
                f"'chain'; these draws are by {self.method!r}"
            )
            raise FitError(msg)
        drawn = self._drawn
        if by == "mode":
            places = () if drawn.apart is None else drawn.visits.places
            groups = groups_of_chains(self.diagnostics().modes, places)
        else:
            groups = groups_of_chains(tuple(range(len(drawn.theta))))
        found = stack(drawn, groups, generator(seed))
        posterior = type(self)(found.drawn, self._point)
        return Stacking(found.table, found.elpd_loo, found.se, posterior)

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

    @property
    def spec(self) -> Any:
        """The model, such as a `Mixture`."""
        return self._point.spec

    def point(self) -> PointFit:
        """The posterior mode as a `PointFit` (natural scale, no Jacobian).

        A sparse Dirichlet prior has no mode: the default Dirichlet prior then takes its place.

        Returns
        -------
        PointFit

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.point().method
        'map'
        """
        return self._point

    def relabel(self, method: str = "stephens", by: str | None = None) -> Self:
        """The same draws relabelled by another method.

        If events or labels name all components, the draws stay as they are.

        Parameters
        ----------
        method : str
            "stephens", "ecr", "pivot" (to the posterior mode) or "ordering".
        by : str, optional
            The term, the dispersion or "weight" that "ordering" sorts by.

        Returns
        -------
        Posterior

        Raises
        ------
        FitError
            If the method is unknown, `by` names nothing to sort by, or `by` is given with a
            method other than "ordering".

        References
        ----------
        Stephens (2000), Journal of the Royal Statistical Society B 62, 795-809.
        Papastamoulis and Iliopoulos (2010), Journal of Computational and Graphical
        Statistics 19, 313-331.  Marin, Mengersen and Robert (2005), Handbook of
        Statistics 25, 459-507 (the pivot).

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> posterior = spec.fit("laplace", draws=500, seed=1)
        >>> posterior.relabel("ordering", by="Intercept").summary().shape[0]
        6
        """
        if method not in METHODS:
            msg = f"relabel(method={method!r}) is unknown; use one of {METHODS}"
            raise FitError(msg)
        return type(self)(relabelled(self._drawn, method, by), self._point)

    def __repr__(self) -> str:
        return words.posterior_text(self._drawn)

    def _repr_html_(self) -> str:
        return words.posterior_html(self._drawn)
