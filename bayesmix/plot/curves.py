"""Data and fitted means, component by component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.plot.bands import draw_band, weights_and_limits
from bayesmix.plot.picture import picture
from bayesmix.plot.style import (
    WITH_LEGEND,
    beside,
    colour,
    entry,
    level_ticks,
    line_style,
    marker,
    note,
    one_axes,
)
from bayesmix.plot.style import panels as new_panels
from bayesmix.plot.view import Curve, View, curves, make_view, points, times_of, y_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayesmix._arguments.classes import PointFit, Posterior
    from bayesmix.formula.times import Times

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
    drawn = curves(fit, view, ci)
    if not panels:
        new, ax = ax is None, one_axes(ax, WITH_LEGEND)
        notes, binary = _draw(ax, fit, view, members, drawn, range(fit.k))
        label(ax, view, binary, notes)
        legend(ax, fit, view, beside(new))
        return ax
    axes = new_panels(ax, fit.k, "one for each component")
    for s, panel in enumerate(axes):
        notes, binary = _draw(panel, fit, view, members, drawn, [s])
        label(panel, view, binary, notes)
        panel.set_title(f"{fit.numbers.spec.kind.component} {fit.components[s]}")
        panel.label_outer()
    return axes


def _draw(
    ax: Axes,
    fit: PointFit | Posterior,
    view: View,
    members: np.ndarray,
    drawn: list[Curve],
    shown: Sequence[int],
) -> tuple[list[str], bool]:
    """Draw rows and curves of some components; notes about cuts, and whether y was jittered."""
    binary = _draw_points(ax, fit, view, members, shown)
    draw_curves(ax, fit, view, drawn, shown)
    notes = ["curves at the posterior mode"] if view.slow else []
    some = [s for s in np.unique(members.argmax(1)) if s in shown]
    return notes + cut(ax, fit, view, drawn, some), binary


def draw_curves(
    ax: Axes, fit: PointFit | Posterior, view: View, drawn: list[Curve], shown: Sequence[int]
) -> None:
    """The means of some components, with their bands."""
    for number, curve in enumerate(drawn):
        for s in shown:
            _draw_curve(ax, fit, view, curve, s, number if view.by is not None else s)


def cut(
    ax: Axes, fit: PointFit | Posterior, view: View, drawn: list[Curve], some: Sequence[int]
) -> list[str]:
    """End the axis near the data and the means of components that have some; a note if it did.

    Bands, and means of components to which no row belongs, may lie so far away that
    nothing else would be seen.
    """
    means = [curve.means[:, some].ravel() for curve in drawn]
    values = np.concatenate([points(fit, view)[1], *means])
    known = values[np.isfinite(values)]
    room = ROOM * (known.max() - known.min())
    low, high = ax.dataLim.intervaly
    ends = max(low, known.min() - room), min(high, known.max() + room)
    if room == 0 or ends == (low, high):
        return []
    margin = 0.05 * (ends[1] - ends[0])
    ax.set_ylim(ends[0] - margin, ends[1] + margin)
    return ["what lies beyond the axis is cut off"]


def _draw_points(
    ax: Axes, fit: PointFit | Posterior, view: View, members: np.ndarray, shown: Sequence[int]
) -> bool:
    """Scatter the rows; True if responses of 0 and 1 were jittered."""
    from matplotlib.colors import to_rgba_array

    place, y = points(fit, view)
    own, sure = members.argmax(1), members.max(1)
    times = times_of(fit, view)
    looks = [colour(s) if s in shown else OTHERS for s in range(fit.k)]
    rng = np.random.default_rng(0)
    binary = bool(np.isin(y, (0, 1)).all())
    if view.levels is not None:
        place = place + rng.uniform(-JITTER, JITTER, len(place))
    if binary:
        y = y + rng.uniform(-JITTER, JITTER, len(y)) / 4
    exact = np.ones(len(y), bool)
    if times is not None:
        exact = times.lower == times.upper
        _draw_ticks(ax, place, y, [looks[s] for s in own], times)
    hollow = _hollow(fit, view)
    size = np.ones(len(y))
    if not binary and times is None:
        place, y, own, hollow, sure, size = _together(place, y, own, hollow, sure)
        exact = np.ones(len(y), bool)
    many = len(y) > MANY
    for s in sorted(range(fit.k), key=lambda s: s in shown):
        for empty in (False, True):
            at = (own == s) & (hollow == empty) & exact
            if at.any():
                shade: Any = to_rgba_array([looks[s]] * int(at.sum()), 0.15 + 0.6 * sure[at] ** 2)
                ax.scatter(
                    place[at],
                    y[at],
                    s=(10 if many else 20 if binary else 40) * sure[at] ** 2 * size[at],
                    marker=marker(s),
                    facecolors="none" if empty else shade,
                    edgecolors=shade if empty else "none",
                    rasterized=many,
                    zorder=2,
                )
    return binary


def _together(
    place: np.ndarray, y: np.ndarray, own: np.ndarray, hollow: np.ndarray, sure: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Rows at the same place as one point, with an area for their number."""
    table = np.column_stack([place, y, own, hollow])
    found, which, count = np.unique(table, axis=0, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return place, y, own, hollow, sure, np.ones(len(y))
    mean = np.bincount(which.ravel(), weights=sure) / count
    size = SMALLEST + (LARGEST - SMALLEST) * count / count.max()
    return found[:, 0], found[:, 1], found[:, 2].astype(int), found[:, 3] > 0, mean, size


def _draw_ticks(
    ax: Axes, place: np.ndarray, y: np.ndarray, looks: Sequence[str], times: Times
) -> None:
    """Ticks on times that are censored: up where they are later, down where earlier."""
    from matplotlib.markers import TICKDOWN, TICKUP

    kinds = dict(times.kinds())
    upwards: tuple[Any, ...] = (TICKUP, "right", "interval")
    downwards: tuple[Any, ...] = (TICKDOWN, "left", "interval")
    for tick, *censored in (upwards, downwards):
        for kind in censored:
            at = np.arange(len(y))[kinds.get(kind, slice(0))]
            colours = [looks[i] for i in at]
            ax.scatter(place[at], y[at], s=16, marker=tick, c=colours, linewidths=0.6, zorder=2)


def _hollow(fit: PointFit | Posterior, view: View) -> np.ndarray:
    """Rows in the second of two levels of `by`."""
    data = fit.numbers.spec.prepared.data
    if len(view.by_levels) != 2:
        return np.zeros(len(data), bool)
    return (data[view.by] == view.by_levels[1]).to_numpy()


def _draw_curve(
    ax: Axes, fit: PointFit | Posterior, view: View, curve: Curve, s: int, line: int
) -> None:
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
            str(fit.components[s]),
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


def legend(ax: Axes, fit: PointFit | Posterior, view: View, where: Mapping[str, Any]) -> None:
    """The components with their weights, and the levels of `by`."""
    handles = component_handles(fit, lines=view.by is None)
    for number, level in enumerate(view.by_levels):
        look = {"color": "0.2", "linestyle": line_style(number)}
        if len(view.by_levels) == 2:
            look |= {"marker": "o", "markerfacecolor": ("0.2", "white")[number]}
        handles.append(entry(f"{view.by} = {level}", **look))
    where = dict(where)
    if where["loc"] == "best" and fit.numbers.spec.rows.n > LEGEND_BELOW:  # the best takes long
        where["loc"] = "upper left"
    ax.legend(handles=handles, fontsize="small", handlelength=3.2, **where)
