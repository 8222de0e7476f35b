"""The public class of a posterior; each method is one call into another room."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from bayesmix._arguments import door, generator
from bayesmix.api.draws import Draws
from bayesmix.api.pointfit import PointFit
from bayesmix.comparison.outside import OutsidePosterior, cut, distal, relate
from bayesmix.comparison.stacking import Stacking, groups_of_chains, stack
from bayesmix.errors import FitError
from bayesmix.formula.scope import Scope
from bayesmix.model import Regression
from bayesmix.posterior import tables, words
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.labels import draw_memberships
from bayesmix.posterior.partition import Consensus, consensus
from bayesmix.posterior.predict import predict, simulate
from bayesmix.posterior.random_effects import random_effect_draws
from bayesmix.results.imputation import impute
from bayesmix.results.simulation import columns_of, labelled_frame
from bayesmix.results.streaming import delivered
from bayesmix.sampling.posterior import relabelled

if TYPE_CHECKING:
    import xarray as xr

    from bayesmix.formula.sources import Data

PARTITION_DRAWS = 1000
STACKED_BY = ("mode", "chain")


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Posterior(Draws):
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

    _drawn: Drawn
    _point: PointFit

    @property
    def _content(self) -> tuple[Drawn, Any]:
        return self._drawn, self._point._priors

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
            Other data, with the response.  Labels are not read from them: components that are known
            in the model's own rows are inferred here.
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
            found = tables.membership(self._drawn, newdata, rows=False, uncertainty=False)
            return found.idxmax(axis=1)
        draws = draw_memberships(self._drawn.problem, self._drawn.thinned(PARTITION_DRAWS))
        return consensus(draws, loss, max_k)

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
        values = simulate(self._drawn, newdata, draws, generator(seed), missing=missing)
        spec = self._drawn.spec
        index = spec.prepared.index if newdata is None else newdata.index
        frames = {
            column.name: labelled_frame(
                spec.layout.blocks[column.block], values[:, c].T, index
            ).rename_axis(columns="draw")
            for c, column in enumerate(columns_of(spec, spec.rows))
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
        return impute(drawn.problem, drawn.flat[rng.integers(0, len(drawn.flat), draws)], rng)

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
        rng = generator(seed)
        flat = self._drawn.flat
        chosen = flat[rng.choice(len(flat), min(draws, len(flat)), replace=False)]
        return cut(stage, self._drawn.point, chosen, method, assign, rng)

    def stack(self, by: str = "mode", seed: Any = 0) -> Stacking:
        r"""Weight chains that do not mix by how well they predict.

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
            than one percent of the mass gets a weight.  "chain": every reported chain is a group.
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
            raise FitError(
                f"stack(by={by!r}) weighs the chains of a posterior by NUTS, by 'mode' or by "
                f"'chain'; these draws are by {self.method!r}"
            )
        drawn = self._drawn
        if by == "mode":
            places = () if drawn.apart is None else drawn.visits.places
            groups = groups_of_chains(self.diagnostics().modes, places)
        else:
            groups = groups_of_chains(tuple(range(len(drawn.theta))))
        return stack(drawn, groups, generator(seed), lambda made: type(self)(made, self._point))

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
        return type(self)(relabelled(self._drawn, method, by), self._point)

    def __repr__(self) -> str:
        return words.posterior_text(self._drawn)

    def _repr_html_(self) -> str:
        return words.posterior_html(self._drawn)
