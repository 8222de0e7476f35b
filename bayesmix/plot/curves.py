"""Data and fitted means, component by component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.formula.times import Times
from bayesmix.plot.bands import draw_band, weights_and_limits
from bayesmix.plot.picture import picture
from bayesmix.plot.style import (
    Axes,
    colour,
    entry,
    level_ticks,
    line_style,
    marker,
    note,
    with_legend,
)
from bayesmix.plot.style import panels as new_panels
from bayesmix.plot.view import Curve, View, curves, make_view, points, times_of, y_label

JITTER = 0.16
MANY = 2000
LEGEND_BELOW = 5000
ROOM = 0.6  # of the range of the data, on each side
OTHERS = "#BBBBBB"  # rows of other components than a panel's
# Areas of points for one row and for most rows, relative to the usual point.
SMALLEST, LARGEST = 0.3, 3.0


@picture
def fitted(
    fit: PointFit | Posterior,
    x: str | None = None,
    *,
    by: str | None = None,
    at: Mapping[str, Any] | None = None,
    response: str | None = None,
    ci: float | None = 0.95,
    panels: bool = False,
    ax: Any = None,
) -> Any:
    """Draw the data and every component's mean along a covariate.

    A point has the colour and marker of its most probable component; the more probable, the
    larger and darker the point.  Equal counts at one place are one point, larger the more rows
    there are.  The curves are `PointFit.predict` on a grid over the range of the data (within a
    level of `by`: of its rows), never beyond it.  The title says at which values other
    covariates are held.

    Bands are pointwise, and for the means, not for responses: those of ``predict(ci=)``, by the
    delta method, or credible bands of a posterior.  There is none where a mean depends on a
    parameter that the data do not determine, as at a boundary.  Expected times without a closed
    form (splines, your own times without ``mean=``) are drawn for a posterior at its mode, without
    bands, and the title says so.  The axis ends near the data and the means of components
    that have rows; if that cuts off a band, or the mean of an empty component, the title says so.

    Exact survival times are points.  A tick upwards marks a time that is later, a tick downwards
    one that is earlier.  A component with an infinite expected time has no curve.

    If all links are logarithms, an offset is divided out: the picture then shows rates, and the
    axis says per what.  With other links the curves hold the offset at the median of its
    columns, and the axis says so.  Binomial responses are shown as proportions.

    Parameters
    ----------
    fit : PointFit or Posterior
        A posterior shows means over its draws.
    x : str, optional
        A covariate of the response.  By default the first numeric one (covariates with varying
        effects come first), else the first factor (with a strip of points for each level).
        Without covariates, the axis has the rows in their order.
    by : str, optional
        A factor whose levels have separate curves, distinguished by line style; by default the
        first factor with at most four levels.  Of two levels, the second has hollow points.
    at : dict of str to object, optional
        Values of other covariates; by default the median or the first level.
    response : str, optional
        Which response, if the model has several; by default the first.
    ci : float or None
        Coverage of the bands; None: no bands.
    panels : bool
        A panel for each component, with its rows and its curve, and the other rows in grey.
    ax : Axes, or array of Axes with `panels`, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes, or with `panels` ndarray of Axes, one for each component

    Raises
    ------
    FitError
        If a name is not a covariate, a value in `at` lies outside the data, or `ax` does not fit.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("NregFix")
    >>> fit = bmx.Mixture("y ~ x2 + x1", data, k=3, concomitant="~ w").fit("em", seed=1)
    >>> ax = bmx.plot.fitted(fit)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('x1', 'y')
    >>> bmx.plot.fitted(fit, at={"x2": "1"}).get_title(loc="left")
    'x2 = 1'
    """
    view = make_view(fit, x, by, response, at or {})
    members = fit.membership(rows=True).to_numpy()
    drawn = curves(view, ci)
    if not panels:
        ax, legend = with_legend(ax)
        _draw(ax, view, members, drawn, range(fit.k))
        draw_legend(legend, view)
        return ax
    axes = new_panels(ax, fit.k, "one for each component")
    for s, panel in enumerate(axes):
        _draw(panel, view, members, drawn, [s])
        panel.set_title(f"{fit.numbers.spec.kind.component} {fit.components[s]}")
        panel.label_outer()
    return axes


def _draw(
    ax: Axes, view: View, members: np.ndarray, drawn: list[Curve], shown: Sequence[int]
) -> None:
    """Draw rows and curves of some components, and the words around them."""
    binary = _draw_points(ax, view, members, shown)
    draw_curves(ax, view, drawn, shown)
    notes = ["curves at the posterior mode"] if view.slow else []
    some = [s for s in np.unique(members.argmax(1)) if s in shown]
    label(ax, view, binary, notes + cut(ax, view, drawn, some))


def draw_curves(ax: Axes, view: View, drawn: list[Curve], shown: Sequence[int]) -> None:
    """The means of some components, with their bands."""
    for number, curve in enumerate(drawn):
        for s in shown:
            _draw_curve(ax, view, curve, s, number if view.by is not None else s)


def cut(ax: Axes, view: View, drawn: list[Curve], some: Sequence[int]) -> list[str]:
    """End the axis near the data and the means of components that have some; a note if it did.

    Bands, and means of components to which no row belongs, may lie so far away that
    nothing else would be seen.
    """
    means = [curve.means[:, some].ravel() for curve in drawn]
    values = np.concatenate([points(view)[1], *means])
    known = values[np.isfinite(values)]
    room = ROOM * (known.max() - known.min())
    low, high = ax.dataLim.intervaly
    ends = max(low, known.min() - room), min(high, known.max() + room)
    if room == 0 or ends == (low, high):
        return []
    margin = 0.05 * (ends[1] - ends[0])
    ax.set_ylim(ends[0] - margin, ends[1] + margin)
    return ["what lies beyond the axis is cut off"]


def _draw_points(ax: Axes, view: View, members: np.ndarray, shown: Sequence[int]) -> bool:
    """Scatter the rows; True if responses of 0 and 1 were jittered."""
    from matplotlib.colors import to_rgba_array

    looks = [colour(s) if s in shown else OTHERS for s in range(view.fit.k)]
    rows, times = _rows(view, members), times_of(view)
    rng = np.random.default_rng(0)
    binary = bool(rows["y"].isin((0, 1)).all())
    if view.levels is not None:
        rows["place"] += rng.uniform(-JITTER, JITTER, len(rows))
    if binary:
        rows["y"] += rng.uniform(-JITTER, JITTER, len(rows)) / 4
    if times is not None:
        _draw_ticks(ax, rows, looks, times)
    elif not binary:
        rows = _together(rows)
    many = len(rows) > MANY
    if times is not None:
        rows = rows[times.lower == times.upper]
    for s in sorted(range(view.fit.k), key=lambda s: s in shown):
        for empty in (False, True):
            part = rows[(rows["own"] == s) & (rows["hollow"] == empty)]
            if part.empty:
                continue
            sure = part["sure"].to_numpy() ** 2
            shade: Any = to_rgba_array([looks[s]] * len(part), 0.15 + 0.6 * sure)
            ax.scatter(
                part["place"],
                part["y"],
                s=(10 if many else 20 if binary else 40) * sure * part["size"],
                marker=marker(s),
                facecolors="none" if empty else shade,
                edgecolors=shade if empty else "none",
                rasterized=many,
                zorder=2,
            )
    return binary


def _rows(view: View, members: np.ndarray) -> pd.DataFrame:
    """Place, response, most probable component and its probability, and the look of every row."""
    place, y = points(view)
    own, sure = members.argmax(1), members.max(1)
    rows = pd.DataFrame({"place": place, "y": y, "own": own, "sure": sure, "size": 1.0})
    rows["hollow"] = False  # filled for rows in the second of two levels
    if len(view.by_levels) == 2:
        by = view.fit.numbers.spec.prepared.data[view.by]
        rows["hollow"] = (by == view.by_levels[1]).to_numpy()
    return rows


def _together(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows at the same place as one point, with an area for their number."""
    alike = rows.groupby(["place", "y", "own", "hollow"], dropna=False)["sure"]
    found = alike.agg(sure="mean", size="size").reset_index()
    if len(found) == len(rows):
        return rows
    share = found["size"] / found["size"].max()
    return found.assign(size=SMALLEST + (LARGEST - SMALLEST) * share)


def _draw_ticks(ax: Axes, rows: pd.DataFrame, looks: Sequence[str], times: Times) -> None:
    """Ticks on times that are censored: up where they are later, down where earlier."""
    from matplotlib.markers import TICKDOWN, TICKUP

    kinds = dict(times.kinds())
    upwards: tuple[Any, ...] = (TICKUP, "right", "interval")
    downwards: tuple[Any, ...] = (TICKDOWN, "left", "interval")
    for tick, *censored in (upwards, downwards):
        for kind in censored:
            part = rows.iloc[np.arange(len(rows))[kinds.get(kind, slice(0))]]
            look: dict[str, Any] = {"marker": tick, "c": [looks[s] for s in part["own"]]}
            ax.scatter(part["place"], part["y"], s=16, linewidths=0.6, zorder=2, **look)


def _draw_curve(ax: Axes, view: View, curve: Curve, s: int, line: int) -> None:
    """The mean of component s along x in line style `line`, with its band."""
    means = curve.means[:, s]
    if not np.isfinite(means).any():  # the expected time of those who may never have the event
        return
    look: dict[str, Any] = {"linewidth": 1.8}
    single = view.levels is not None or len(means) == 1
    if curve.limits is not None:
        lower, upper = curve.limits
        draw_band(ax, curve.place, (lower[:, s], upper[:, s]), colour(s), bars=single)
    if single:
        look |= {"marker": marker(s), "markersize": 9, "markeredgecolor": "black"}
    ax.plot(curve.place, means, color=colour(s), linestyle=line_style(line), zorder=3, **look)
    if view.by is not None:
        ax.annotate(
            str(view.fit.components[s]),
            (curve.place[-1], means[-1]),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=colour(s),
            fontsize="small",
        )


def label(ax: Axes, view: View, binary: bool, more: list[str]) -> None:
    """Names of the axes, and in the title what is held and `more`."""
    ax.set_ylabel(y_label(view, jittered=binary))
    ax.set_xlabel("row, in the order of the data" if view.x is None else view.x)
    if view.levels is not None:
        level_ticks(ax, view.levels)
    note(ax, [*view.held, *more])


def component_handles(fit: PointFit | Posterior, *, lines: bool) -> list[Any]:
    """Components with their weights, for a legend."""
    weight, _ = weights_and_limits(fit, None)
    word, out = fit.numbers.spec.kind.component, []
    for s, c in enumerate(fit.components):
        look = {"color": colour(s), "marker": marker(s)}
        look |= {"linestyle": line_style(s)} if lines else {}
        out.append(entry(f"{word} {c}, weight {weight[s]:.2f}", **look))
    return out


def draw_legend(legend: Any, view: View) -> None:
    """The components with their weights, and the levels of `by`."""
    handles = component_handles(view.fit, lines=view.by is None)
    for number, level in enumerate(view.by_levels):
        look = {"color": "0.2", "linestyle": line_style(number)}
        if len(view.by_levels) == 2:
            look |= {"marker": "o", "markerfacecolor": ("0.2", "white")[number]}
        handles.append(entry(f"{view.by} = {level}", **look))
    slow = legend.keywords["loc"] == "best" and view.fit.numbers.spec.rows.n > LEGEND_BELOW
    legend(handles=handles, handlelength=3.2, **({"loc": "upper left"} if slow else {}))
