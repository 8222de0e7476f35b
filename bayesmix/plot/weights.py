"""Weights of the components, mean or along a concomitant covariate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.errors import FitError
from bayesmix.formula.frames import levels_of
from bayesmix.plot.bands import draw_band, estimate_and_limits, weights_and_limits
from bayesmix.plot.grid import (
    Covariates,
    along,
    covariates_of,
    hold,
    new_rows,
    one_of,
    refuse_held,
)
from bayesmix.plot.picture import picture
from bayesmix.plot.style import (
    Axes,
    colour,
    hatch,
    level_ticks,
    line_style,
    marker,
    note,
    one_axes,
    with_legend,
)
from bayesmix.results.means import row_weights


@picture
def mixing(
    fit: PointFit | Posterior,
    x: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ci: float | None = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights: bars of their means, or curves along a concomitant covariate.

    Bands, and lines on the bars, are credible intervals for a posterior.  For a point fit they
    are by the delta method; there are none for what the data do not determine, as at a boundary.

    Parameters
    ----------
    fit : PointFit or Posterior
        A posterior shows means over its draws.
    x : str, optional
        A concomitant covariate.  By default the only one; with none or several, bars are
        drawn.
    at : dict of str to object, optional
        Values of other concomitant covariates; by default the median or the first level.
    ci : float or None
        Coverage of the intervals; None draws none.
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
        If a name is not a concomitant covariate, or a value lies outside the data.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> patent = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", patent, family="poisson", k=3, concomitant="~ RDS")
    >>> bmx.plot.mixing(spec.fit("em", seed=1)).get_xlabel()
    'RDS'
    """
    prepared = fit.numbers.spec.prepared
    designs = [] if prepared.concomitant is None or fit.k == 1 else [prepared.concomitant]
    known = covariates_of(designs, prepared.data)
    at = at or {}
    for name in at:
        one_of(name, known.names, "at")
    if x is None and len(known.names) == 1:
        x = known.names[0]
    if x is None and at:
        raise FitError(f"at={dict(at)!r} needs x=, the covariate along the axis")
    if x is not None:
        refuse_held(one_of(x, known.names, "x"), "x", at)
    if x is None:
        ax = one_axes(ax)
        _bars(ax, fit, ci)
    else:
        ax, legend = with_legend(ax)
        _along(ax, fit, x, known, at, ci)
        legend(handlelength=3.2)
    ax.set_ylim(0, 1)
    return ax


def _bars(ax: Axes, fit: PointFit | Posterior, ci: float | None) -> None:
    estimates, limits = weights_and_limits(fit, ci)
    for s, value in enumerate(estimates):
        ax.bar(
            s, value, width=0.7, color=colour(s), edgecolor="white", hatch=hatch(s), linewidth=0.8
        )
        top = value
        if limits is not None and fit.k > 1:
            own = (limits[0][[s]], limits[1][[s]])
            draw_band(ax, np.array([s], dtype=float), own, "black", bars=True)
            top = max(float(own[1][0]), value)
        ax.annotate(f"{value:.3f}", (s, top), (0, 3), textcoords="offset points", ha="center")
    ax.set_xticks(range(fit.k), labels=[str(c) for c in fit.components])
    ax.set_xlabel("component")
    several = fit.numbers.spec.layout.concomitant_terms is not None
    ax.set_ylabel("mean weight over the units" if several else "weight")


def _along(
    ax: Axes,
    fit: PointFit | Posterior,
    x: str,
    known: Covariates,
    at: Mapping[str, Any],
    ci: float | None,
) -> None:
    spec = fit.numbers.spec
    column = spec.prepared.data[x]
    levels = levels_of(column) if x in known.factors else None
    held = hold((n for n in known.names if n != x), known, spec, at)
    place, values = along(column, levels)
    if levels is not None:
        level_ticks(ax, levels)
    newdata = new_rows(spec, len(place), {h.name: h.value for h in held} | {x: values})
    rows = spec.apply(newdata, response=False)
    at_theta = partial(row_weights, spec, rows=rows)
    weights, limits = estimate_and_limits(fit, at_theta, ci, "logit")
    for s, component in enumerate(fit.components):
        if limits is not None:
            draw_band(
                ax, place, (limits[0][:, s], limits[1][:, s]), colour(s), bars=levels is not None
            )
        ax.plot(
            place,
            weights[:, s],
            color=colour(s),
            linestyle=line_style(s),
            linewidth=1.8,
            marker=marker(s),
            markevery=1 if levels else (10 + 8 * s, 50),
            label=f"component {component}",
        )
    if levels is None:
        _rug(ax, column.to_numpy(dtype=float)[spec.rows.units.first])
    ax.set_xlabel(x)
    ax.set_ylabel("weight")
    note(ax, held)


def _rug(ax: Axes, values: np.ndarray) -> None:
    """Ticks where the units are."""
    ax.plot(
        values,
        np.full(len(values), 0.015),
        linestyle="none",
        marker="|",
        markersize=7,
        color="0.4",
        alpha=0.6,
        transform=ax.get_xaxis_transform(),
        gid="rug",
    )
