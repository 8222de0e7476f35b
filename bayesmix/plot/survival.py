"""Survival curves of a mixture, beside the Kaplan-Meier estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.formula.calls import time_name
from bayesmix.plot.bands import draw_over_steps, steps_handles
from bayesmix.plot.picture import picture
from bayesmix.plot.style import colour, line_style, with_legend
from bayesmix.survival.intervals import response_place

COLUMNS = ("time", "estimate", "lower", "upper", "source")
ALL_COLOUR = "0.2"
# Observations without a Kaplan-Meier estimate; the times at which curves are drawn then.
BOUNDED, POINTS = ("left", "interval"), 101


@picture
def survival(
    fit: PointFit | Posterior,
    by: str | Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    response: str | None = None,
    components: bool | None = None,
    ci: float = 0.95,
    ax: Any = None,
) -> Any:
    """Draw the probability of being without the event over time, beside Kaplan-Meier.

    The numbers are those of `PointFit.kaplan_meier`.  Curves with bands are the model's, averaged
    over the rows.  Thin steps are the Kaplan-Meier estimate of the same rows, which assumes no
    model; bars show its limits at a few times.

    Parameters
    ----------
    fit : PointFit or Posterior
        A fit of a `Mixture` with a survival time.
    by : str or sequence of str, optional
        Columns of the data whose levels have a curve each.
    times : sequence of float, optional
        Times of the model's curves; by default 100 from zero to the last one observed.
    response : str, optional
        Which survival time, if the model has several.
    components : bool, optional
        Whether to draw the curves of the components too, averaged over all rows; by default
        if there are two or more and no `by`.
    ci : float
        Coverage of bands and bars.
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
        If the model has no survival time, or does not use a column.
    DataError
        If the data have no Kaplan-Meier estimate.  Of times known within bounds only (interval-
        or left-censored) the curves of the model are drawn alone.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.Mixture("surv(years, status) ~ sex", data, family="weibull", k=2)
    >>> fit = spec.fit("em", seed=1)
    >>> bmx.plot.survival(fit, by="sex").get_ylabel()
    'probability of no event'
    """
    response_place(fit.source.spec, response, "survival")
    table = _table(fit, by, times, response, ci)
    panel, legend = with_legend(ax)
    groups = _groups(table)
    for number, (label, part) in enumerate(groups):
        look = colour(number) if by is not None else ALL_COLOUR
        draw_over_steps(panel, part, number, len(groups), look, label=label)
    if components or (components is None and by is None and fit.k > 1):
        grid = table.loc[table["source"] == "model", "time"].unique()
        own = fit.survival(list(grid), by=True, response=response)
        for s, name in enumerate(fit.components):
            curve = own[(own["component"] == name).fillna(value=False).astype(bool)]
            panel.plot(
                curve["time"],
                curve["estimate"],
                label=f"component {name}",
                color=colour(s),
                linestyle=line_style(s + 1),
                linewidth=1.2,
            )
    sources = [response] if response is not None else list(fit.numbers.spec.prepared.times)
    panel.set(xlabel=time_name(sources), ylabel="probability of no event", ylim=(0, 1))
    panel.set_xlim(left=0)
    others = steps_handles("Kaplan-Meier", ci)[: table["source"].nunique()]
    handles = [*panel.get_legend_handles_labels()[0], *others]
    legend(handles=handles, handlelength=3.2)
    return panel


def _table(
    fit: PointFit | Posterior,
    by: str | Sequence[str] | None,
    times: Sequence[float] | None,
    response: str | None,
    ci: float,
) -> pd.DataFrame:
    """The curves of the model, and those of Kaplan and Meier where these can be."""
    known = fit.numbers.spec.prepared.times
    some = [known[response]] if response in known else list(known.values())
    if not any(kind in BOUNDED for one in some for kind, _ in one.kinds()):
        return fit.kaplan_meier(by=by, times=times, response=response, ci=ci)
    if times is None:
        ends = np.concatenate([np.concatenate([one.lower, one.upper]) for one in some])
        times = np.linspace(0.0, ends[np.isfinite(ends)].max(), POINTS).tolist()
    curves = fit.survival(times, by=True if by is None else by, response=response, ci=ci)
    whole = curves[curves["component"].isna()]
    return whole.drop(columns="component").assign(source="model")


def _groups(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Label and rows of every group, in the order of the table."""
    names = [n for n in table.columns if n not in COLUMNS]
    if not names:
        return [("all", table)]
    parts = table.groupby(names, observed=True, sort=False)
    return [
        (", ".join(f"{n} = {v}" for n, v in zip(names, key, strict=True)), part)
        for key, part in parts
    ]
