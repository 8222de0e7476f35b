"""Fits with several numbers of components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesmix._arguments import anything, door
from bayesmix.api.competing import CompetingRisks
from bayesmix.api.mixture import Mixture
from bayesmix.api.pointfit import PointFit
from bayesmix.errors import FitError, SpecError
from bayesmix.estimation.select import best_of, check_range, selection_table
from bayesmix.results import describe

__all__ = ["Selection", "select"]


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Fits with several numbers of components.  Made by `select`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
    >>> selection = bmx.select(spec, k=[1, 2, 3], seed=1)
    >>> selection.best("bic").k, selection[3].status
    (2, 'converged')
    """

    _fits: dict[int, PointFit]

    @property
    def table(self) -> pd.DataFrame:
        """One row for each requested number of components.

        k, k0 (requested), converged, status, iterations, agreeing (starts at the best),
        loglik, df, aic, bic, icl, sabic, caic, entropy (relative, 1 = clear-cut), smallest
        (mean weight), and flags: what to look at before the fit is chosen.
        """
        return selection_table({k: f._fitted for k, f in self._fits.items()})

    def __getitem__(self, k: int) -> PointFit:
        if k not in self._fits:
            msg = f"k={k!r} was not fitted; there are {list(self._fits)}"
            raise KeyError(msg)
        return self._fits[k]

    def best(self, by: str = "bic") -> PointFit:
        """The fit with the best value of a criterion.

        Parameters
        ----------
        by : str
            "bic", "bic_units", "aic", "icl", "sabic", "caic" or "loglik".

        Returns
        -------
        PointFit
            Never a degenerate or spurious one.

        Raises
        ------
        FitError
            If the criterion is unknown, or every fit is degenerate or spurious.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson")
        >>> selection = bmx.select(spec, k=[1, 2, 3], seed=1)
        >>> [selection.best(by).k for by in ("bic", "icl")]
        [2, 2]
        """
        return self._fits[best_of({k: f._fitted for k, f in self._fits.items()}, by)]

    def __repr__(self) -> str:
        return f"Selection of the number of components\n{describe.selection_text(self.table)}"

    def _repr_html_(self) -> str:
        return describe.selection_html(self.table)


@door(k=anything)
def select(
    spec: Mixture | CompetingRisks,
    k: Iterable[int] | int = range(1, 6),
    method: str = "em",
    **options: Any,
) -> Selection:
    """Fit a model with several numbers of components.

    Parameters
    ----------
    spec : Mixture
    k : iterable of int, or int
        The numbers of components, or one.
    method : str
        "em", "ml" or "map".
    **options
        As in `Mixture.fit`, but ``init``: every k makes its own starts.

    Returns
    -------
    Selection
        The fits by ``[k]``, their criteria as ``table``, and ``best("bic")``.

    Raises
    ------
    SpecError
        If the model is no `Mixture` (competing events have as many components as
        events), a k is no positive whole number, or an option does not apply.

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
        named = isinstance(spec, CompetingRisks)
        hint = (
            "; the events are its components, and bmx.compare() chooses families" if named else ""
        )
        msg = f"select() takes a Mixture, not {type(spec).__name__}{hint}"
        raise SpecError(msg)
    if "init" in options:
        msg = "select() makes its own starts for every k; leave init= out"
        raise SpecError(msg)
    if method in ("laplace", "nuts"):
        msg = f"select() compares point fits, not method={method!r}; see bmx.compare"
        raise SpecError(msg)
    return Selection({n: spec.with_k(n).fit(method, **options) for n in check_range(k)})
