"""Curves of the classes over time, with the units' own lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.errors import FitError
from bayesmix.plot.curves import cut, draw_curves, draw_legend, label
from bayesmix.plot.picture import picture
from bayesmix.plot.style import Axes, colour, with_legend
from bayesmix.plot.view import View, curves, make_view, points

# How dark a unit's line is: at a membership of zero, and what a sure one adds.
FAINT, SURE = 0.05, 0.25


@picture
def trajectories(
    fit: PointFit | Posterior,
    x: str | None = None,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
    response: str | None = None,
    lines: int = 300,
    ci: float | None = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw each class's mean over a covariate, and the line of every unit's own responses.

    A unit's line has the colour of its most probable class; the more probable, the darker the
    line.  The means and their bands are those of `fitted`.

    Parameters
    ----------
    fit : PointFit or Posterior
        A fit of a model with groups: several rows for each unit.
    x : str, optional
        A covariate of the response, such as time; by default the first numeric one.
    by : str, optional
        A factor whose levels have separate curves; by default the first with at most four.
    at : dict of str to object, optional
        Values of other covariates; by default the median or the first level.
    response : str, optional
        Which response, if the model has several; by default the first.
    lines : int
        At most this number of units have lines; of more units, a random sample is drawn and the
        title says so.
    ci : float or None
        Coverage of the bands; None: no bands.
    ax : Axes, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If the model has no groups or no covariate, the response is a time, or a name is no
        covariate.

    References
    ----------
    Nagin (1999), Psychological Methods 4, 139-157.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> id, t = np.repeat(np.arange(60), 5), np.tile(np.arange(5.0), 60)
    >>> data = pd.DataFrame({"id": id, "t": t, "y": (id % 2) * t + rng.normal(size=300)})
    >>> fit = bmx.Mixture("y ~ poly(t, 2) | id", data, k=2).fit("em", seed=1)
    >>> ax = bmx.plot.trajectories(fit)
    >>> ax.get_xlabel(), len(ax.lines)
    ('t', 62)
    """
    from matplotlib.patheffects import Normal, Stroke

    if not fit.numbers.spec.prepared.units.grouped:
        raise FitError(
            "trajectories() draws units with several rows; say which rows belong together by "
            "group=, or 'y ~ time | id', or draw single rows with plot.fitted()"
        )
    view = make_view(fit, x, by, response, at or {})
    if view.x is None:
        raise FitError(
            f"trajectories() draws {view.name} over a covariate, and the model has none; write "
            "one in the formula, such as 'y ~ poly(time, 2) | id'"
        )
    if fit.numbers.spec.prepared.parts[view.block].response.times is not None:
        msg = f"trajectories() draws repeated measurements; {view.name} is a time: use fitted()"
        raise FitError(msg)
    ax, legend = with_legend(ax)
    notes = _draw_units(ax, view, lines)
    drawn = curves(view, ci)
    draw_curves(ax, view, drawn, range(fit.k))
    outline = [Stroke(linewidth=4.0, foreground="white"), Normal()]  # off lines of one colour
    for line in (line for line in ax.lines if line.get_gid() is None):
        line.set_path_effects(outline)
    notes += cut(ax, view, drawn, range(fit.k))
    label(ax, view, False, notes)
    draw_legend(legend, view)
    return ax


def _draw_units(ax: Axes, view: View, lines: int) -> list[str]:
    """The units' lines, and what the title says about those not drawn."""
    place, y = points(view)
    units = view.fit.numbers.spec.rows.units
    members = view.fit.membership().to_numpy()
    n = len(members)
    shown = np.arange(n)
    if n > lines:
        shown = np.sort(np.random.default_rng(0).choice(n, lines, replace=False))
    order = np.lexsort((place, units.codes))
    ends = np.searchsorted(units.codes[order], np.arange(n + 1))
    for unit in shown:
        rows = order[ends[unit] : ends[unit + 1]]
        s = int(members[unit].argmax())
        ax.plot(
            place[rows],
            y[rows],
            color=colour(s),
            alpha=FAINT + SURE * members[unit, s] ** 2,
            linewidth=0.7,
            marker="." if len(rows) == 1 else None,
            zorder=1,
            gid="unit",
        )
    return [f"lines of {lines} of {n} units"] if n > lines else []
