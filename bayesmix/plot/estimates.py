"""Estimates of several fits side by side, their components matched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesmix.comparison import compare_estimates
from bayesmix.errors import FitError
from bayesmix.plot.coefficients import EFFECTS, draw_panels, with_lines

if TYPE_CHECKING:
    from bayesmix.api import PointFit, Posterior

__all__ = ["estimates"]

COLUMNS = ["component", "term", "effect"]
ENDS = ["estimate", "lower", "upper"]


def estimates(
    fits: Mapping[str, PointFit | Posterior],
    terms: Sequence[str] | None = None,
    dispersions: bool = False,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """Draw the estimates of several fits of one model, a panel for each term.

    The numbers are those of `compare_estimates`, which matches the components of the
    later fits to those of the first.  Point fits have 95% confidence intervals,
    posteriors means and 95% credible intervals.  A fixed effect stands once, in the
    line "all".  An estimate without an interval is a hollow marker.

    Parameters
    ----------
    fits : dict of str to PointFit or Posterior
        Two or more by name, such as ``{"ML": ml, "Bayes": posterior}``.
    terms : sequence of str, optional
        Some of the terms; by default all that are drawn.
    dispersions : bool
        Draw dispersions too, on their natural scale.
    ax : array of Axes, optional
        One for each term.
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        The interactive ones are ArviZ's.

    Returns
    -------
    ndarray of Axes, one for each term; of an interactive backend ArviZ's PlotCollection

    Raises
    ------
    SpecError
        If the fits are not of one model and the same data.
    FitError
        If `fits` is no dict of two or more, a term is unknown, or `ax` does not fit.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> both = {"EM": spec.fit("em", seed=1), "MAP": spec.fit("map", seed=1)}
    >>> [a.get_title() for a in bmx.plot.estimates(both)]
    ['log(Length)', 'Intercept']
    """
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise FitError(
            'estimates() needs a dict of two or more fits by name, such as {"ML": ml, "Bayes": '
            "post}; coefficients() draws one"
        )
    tables = estimate_rows(fits, dispersions)
    return draw_panels(tables, terms, ax, "estimate, 95% interval", backend)


def estimate_rows(fits: Mapping[str, Any], dispersions: bool) -> dict[str, pd.DataFrame]:
    """What is drawn of each fit: component, term, effect, line, estimate, lower, upper."""
    table = compare_estimates(fits)
    kinds = (*EFFECTS, "dispersion") if dispersions else EFFECTS
    table = table[table["effect"].isin(kinds)]
    tables = {}
    for name in fits:
        own = table[[*COLUMNS, *(f"{name}_{end}" for end in ENDS)]]
        tables[name] = with_lines(own.set_axis([*COLUMNS, *ENDS], axis=1))
    return tables
