"""What a model and its results have in common: the components, sizes, and a file."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from bayesmix import storage

if TYPE_CHECKING:
    from bayesmix.model import MixtureSpec
    from bayesmix.posterior.drawn import Drawn
    from bayesmix.results.fitted import Fitted

__all__ = ["Modelled"]


class Modelled(ABC):
    """A model, or a result of one: its subclasses say what they hold."""

    @property
    @abstractmethod
    def _specification(self) -> MixtureSpec:
        """The model's specification."""

    @property
    @abstractmethod
    def _content(self) -> tuple[MixtureSpec | Fitted | Drawn, Any]:
        """What a file keeps of it: numbers with their specification, and the priors given."""

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self._specification.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self._specification.k

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return self._specification.df

    @property
    def n_obs(self) -> float:
        """Number of rows, or the sum of their weights."""
        return self._specification.n_obs

    @property
    def n_units(self) -> float:
        """Number of units, or the sum of their weights."""
        return self._specification.n_units

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return self._specification.prepared.n_dropped

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it, with its model and the columns in use, to one NetCDF-4 file; see `load`.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced.

        Raises
        ------
        DataError
            If the folder does not exist, or a column holds what a file cannot.

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
