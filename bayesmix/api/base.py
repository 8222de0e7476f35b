"""What a model and its results share: components, sizes, saving to a file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd

from bayesmix import storage
from bayesmix._arguments import Hinted, door
from bayesmix.errors import FitError
from bayesmix.model import MixtureSpec
from bayesmix.model.kinds import Kind
from bayesmix.model.smooth import unsmoothed
from bayesmix.results.uncertainty import Source
from bayesmix.survival.mixed import cured_fraction

if TYPE_CHECKING:
    from bayesmix.posterior.drawn import Drawn
    from bayesmix.results.fitted import Fitted

# The public model by what the components are; each class enters itself.
MODELS: dict[Kind, Any] = {}


def model_of(spec: MixtureSpec, priors: Any = None) -> Any:
    """The public model of a specification with priors that were checked before."""
    return MODELS[spec.kind]._of(unsmoothed(spec), priors)


@door(error=FitError)
class Modelled(Hinted, ABC):
    """A model, or a result of one; subclasses say which."""

    _kind: ClassVar[str] = "model"

    @property
    def _specification(self) -> MixtureSpec:
        """The model's specification."""
        value, _ = self._content
        return value if isinstance(value, MixtureSpec) else value.spec

    @property
    @abstractmethod
    def _content(self) -> tuple[MixtureSpec | Fitted | Drawn, Any]:
        """What a file keeps: the numbers with their specification, and the priors given."""

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self._specification.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self._specification.k

    @property
    def df(self) -> float:
        """Number of free parameters."""
        return self._specification.df

    @property
    def n_obs(self) -> float:
        """Number of rows with an observed response, or the sum of their weights."""
        return self._specification.n_obs

    @property
    def n_units(self) -> float:
        """Number of units with an observed response, or the sum of their weights."""
        return self._specification.n_units

    @property
    def n_dropped(self) -> int:
        """Number of rows excluded because of missing values."""
        return self._specification.prepared.n_dropped

    @property
    def n_missing(self) -> pd.Series:
        """Number of rows in which each response is missing, under ``na_action="fiml"``.

        A response that belongs to the unit is counted by unit.
        """
        return pd.Series(self._specification.prepared.n_missing, name="n_missing", dtype=int)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save to one NetCDF-4 file, with the model and the columns it uses; see `load`.

        Parameters
        ----------
        path : str or path
            An existing file is replaced.

        Raises
        ------
        DataError
            If the folder does not exist, or a column has values that a file cannot hold.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.save(Path(folder) / "fit.nc")
        ...     again = bmx.load(Path(folder) / "fit.nc")
        >>> again.loglik == fit.loglik
        True
        """
        value, priors = self._content
        storage.save(path, value, priors)


@door(error=FitError)
class Reported:
    """A fit that can be reported as a page."""

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        tables: str | os.PathLike[str] | None = None,
        code: str | None = None,
    ) -> list[Path]:
        """Write the fit as one HTML page; `bmx.report` takes several fits side by side.

        Parameters
        ----------
        path : str or path
            The HTML file; an existing file is replaced.
        title : str, optional
            The heading.
        tables : str or path, optional
            Folder for the tables as CSV and LaTeX; created if needed.
        code : str, optional
            Your code that read the data, shown above the code of the model.

        Returns
        -------
        list of Path
            The files written, the page first.

        Raises
        ------
        DataError
            If the folder of the page does not exist.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = fit.report(Path(folder) / "report.html")
        >>> [file.name for file in files]
        ['report.html']
        """
        from bayesmix.reporting import report

        return report(self, path, title=title, tables=tables, code=code)


@door(error=FitError)
class Result(Modelled, Reported):
    """A point fit or a posterior."""

    def plot(self, **options: Any) -> Any:
        """Draw the picture that suits the model.

        Competing events: their probabilities over time (`bmx.plot.states`).  A survival time:
        survival curves (`bmx.plot.survival`).  Categorical responses: the probabilities of
        their levels (`bmx.plot.profile`).  Other models with covariates: the data with the
        components' means (`bmx.plot.fitted`).  All others: how clearly the units are
        assigned (`bmx.plot.rootogram`).

        Parameters
        ----------
        **options
            Options of that picture: ``ax``, ``figsize``, ``title`` and others.

        Returns
        -------
        Axes, or array of Axes

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> fit = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2).fit(seed=1)
        >>> fit.plot(title="Faults of rolls").get_xlabel()
        'Length'
        """
        from bayesmix import plot

        prepared = self._specification.prepared
        fit: Any = self
        if self._specification.kind.named:
            return plot.states(fit, **options)
        if prepared.parts[0].response.times is not None:
            return plot.survival(fit, **options)
        if any(f.outputs for block in self._specification.layout.blocks for f in block.families):
            return plot.profile(fit, **options)
        named = any(design.formula.names for part in prepared.parts for design in part.designs)
        return plot.fitted(fit, **options) if named else plot.rootogram(fit, **options)

    @property
    @abstractmethod
    def source(self) -> Source:
        """The specification with its estimates or draws, for `bmx.slopes` and its relatives."""

    def cured_fraction(
        self,
        newdata: pd.DataFrame | None = None,
        response: str | None = None,
        by: bool | str | Sequence[str] | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        r"""Probability of never having the event, with a confidence or credible interval.

        .. math:: \sum_s \pi_s(w) \lim_{t \to \infty} S_s(t \mid x)

        The sum has two sources: the weights of components with the family "cured", and the
        probability that other families leave beyond all times (gompertz with a negative shape).

        Parameters
        ----------
        newdata : DataFrame, optional
            By default the training rows, or a single row if the model has no covariates.
        response : str, optional
            Which survival time, if the model has several.
        by : True, str or list of str, optional
            True, or columns of the data: averages over all rows or within the groups that they
            make.  "component": the share within each component.
        **options
            ``spent``: time already spent without the event (a number, or a column of the
            new data); the probability is conditional on it.  ``ci``: the coverage.  For a
            point fit also ``interval``: "delta" (on the logit scale) or "simulation", with
            ``draws`` and ``seed``.

        Returns
        -------
        DataFrame
            Columns row and covariates, or those of `by`; then estimate, lower, upper.

        Raises
        ------
        FitError
            If everybody has the event sooner or later in every component.

        Examples
        --------
        400 patients are followed for 5 years at most; 30 percent of them are cured.

        >>> import numpy as np, pandas as pd
        >>> import bayesmix as bmx
        >>> rng = np.random.default_rng(1)
        >>> time = np.where(rng.random(400) < 0.3, np.inf, rng.weibull(1.5, 400))
        >>> end = rng.uniform(1, 5, 400)
        >>> data = pd.DataFrame({"time": np.minimum(time, end), "dead": (time < end).astype(int)})
        >>> spec = bmx.Mixture("surv(time, dead) ~ 1", data, family=["weibull", "cured"], k=2)
        >>> share = spec.fit("em", seed=1).cured_fraction()
        >>> bool(share.loc[0, "lower"] < 0.3 < share.loc[0, "upper"])
        True
        """
        return cured_fraction(self.source, newdata, by, response, options)
