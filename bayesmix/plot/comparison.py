"""Fits ranked by a criterion, with the errors of their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.comparison import Comparison
from bayesmix.comparison import compare as ranked
from bayesmix.comparison.scores import CRITERIA
from bayesmix.errors import FitError
from bayesmix.plot.picture import interactive, picture
from bayesmix.plot.style import Axes, colour, entry, lines_down, with_legend

# Kass and Raftery (1995), for twice the logarithm of a Bayes factor.
STEPS = (2, 6, 10)
STEPPED = ("bic", "bic_units")
ROW = 0.45
ERRORS = ((2, 1.2), (1, 4.0))  # standard errors, width of the line


@picture
def compare(
    fits: Mapping[str, PointFit | Posterior] | Comparison,
    by: str | None = None,
    ax: Axes | None = None,
    backend: str | None = None,
) -> Any:
    """Draw how far every fit is behind the best one by a criterion.

    The best fit is on top, at zero.  For LOO and WAIC a thick line shows one standard error of
    the difference to each side and a thin line two: if it reaches zero, the fit may be as good
    as the best.  BIC has no error; at the dotted lines at 2, 6 and 10 evidence becomes positive,
    strong and very strong.  A hollow marker is a criterion with a warning; a fit that cannot be
    ranked has a note instead of a marker.

    Parameters
    ----------
    fits : dict of str to PointFit or Posterior, or Comparison
        Two or more fits by name, or a result of `compare`.
    by : str, optional
        As for `compare`; a Comparison keeps its own.
    ax : Axes, optional
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        "plotly" and "bokeh" give an interactive picture.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    Axes, or of an interactive backend ArviZ's PlotCollection

    Raises
    ------
    SpecError, FitError
        As `compare`, or if `by` is not the criterion of the Comparison.

    References
    ----------
    Kass and Raftery (1995), Journal of the American Statistical Association 90, 773-795.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3,
    ...                    fixed="~ Treatment")
    >>> fits = {f"k = {k}": spec.with_k(k).fit("laplace", seed=1) for k in (1, 2, 3)}
    >>> ax = bmx.plot.compare(fits, by="loo")
    >>> [tick.get_text() for tick in ax.get_yticklabels()]
    ['k = 3', 'k = 2', 'k = 1']
    """
    drawable = interactive(backend, ax)
    found = _comparison(fits, by)
    table = found.table
    furthest = table["difference"].max() if found.by in STEPPED else 0
    marks = [step for step in STEPS if step <= furthest]
    if drawable:
        from bayesmix.plot.interactive import draw_comparison

        errors = [(times, width, _error_words(times)) for times, width in ERRORS]
        return draw_comparison(str(backend), table, _label(found.by), errors, marks)
    ax, legend = with_legend(ax, 1.3 + ROW * len(table))
    known = np.isfinite(table["difference"].to_numpy(dtype=float))
    for place, (name, row) in enumerate(table.iterrows()):
        if known[place]:
            _draw(ax, place, row)
        else:
            words = f"{name} cannot be ranked"
            ax.annotate(words, (0.5, place), xycoords=("axes fraction", "data"), ha="center")
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    for mark in marks:
        ax.axvline(mark, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    lines_down(ax, table.index)
    ax.set_xlabel(_label(found.by))
    handles, look = [], {"color": colour(0)}
    if "se_difference" in table:
        handles = [
            entry(_error_words(times), linestyle="-", linewidth=width, **look)
            for times, width in reversed(ERRORS)
        ]
    if (table["warning"].astype(bool) & known).any():
        words = "with a warning, see the table"
        handles.append(entry(words, marker="o", markersize=8, markerfacecolor="white", **look))
    if handles:
        legend(handles=handles)
    return ax


def _comparison(fits: Any, by: str | None) -> Comparison:
    if not isinstance(fits, Comparison):
        return ranked(fits, by)
    if by not in (None, fits.by):
        raise FitError(
            f"compare(by={by!r}): the comparison given is by {fits.by!r}; leave by= out, or give "
            "the fits"
        )
    return fits


def _draw(ax: Axes, place: int, row: pd.Series) -> None:
    difference, error = row["difference"], row.get("se_difference", 0.0)
    if error > 0:
        for times, width in ERRORS:
            ends = [difference - times * error, difference + times * error]
            ax.plot(ends, [place] * 2, color=colour(0), linewidth=width, solid_capstyle="butt")
    ax.plot(
        [difference],
        [place],
        marker="o",
        markersize=8,
        color=colour(0),
        markerfacecolor="white" if row["warning"] else colour(0),
        linestyle="none",
    )


def _label(by: str) -> str:
    criterion = CRITERIA[by]
    if criterion.pointwise:
        return f"difference in elpd ({criterion.title}) to the best; better to the right"
    return f"difference in {criterion.title} to the best; better to the left"


def _error_words(times: int) -> str:
    return f"{times} standard error{'s' if times > 1 else ''}"
