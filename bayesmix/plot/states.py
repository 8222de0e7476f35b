"""Probabilities of competing events over time, beside an estimate without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import CompetingRisksFit, CompetingRisksPosterior
from bayesmix.formula.calls import time_name
from bayesmix.formula.frames import levels_of
from bayesmix.plot.bands import draw_over_steps, steps_handles
from bayesmix.plot.picture import interactive, picture
from bayesmix.plot.style import HEIGHT, WIDTH, beside, colour, entry, line_style, one_axes, panels
from bayesmix.survival.comparison import COLUMNS, start_state
from bayesmix.survival.intervals import covariate_names

START = ("no event yet", "#595959")  # its name and colour


@picture
def states(
    fit: CompetingRisksFit | CompetingRisksPosterior,
    by: str | Sequence[str] | None = None,
    times: Sequence[float] | None = None,
    ci: float = 0.95,
    ax: Any = None,
    backend: str | None = None,
) -> Any:
    """Draw the probability of each competing event over time, beside Aalen-Johansen.

    The numbers are those of `CompetingRisksFit.aalen_johansen`.  Curves with bands are the
    model's probabilities, averaged over the rows.  Thin steps are the Aalen-Johansen estimate of
    the same rows, which assumes no model; bars show its limits at a few times.

    Parameters
    ----------
    fit : CompetingRisksFit or CompetingRisksPosterior
        Point fits have bands from the delta method, posteriors have credible bands.
    by : str or sequence of str, optional
        Columns of the data whose levels have a panel each.
    times : sequence of float, optional
        Times of the model's curves; by default 100 from zero to the last one observed.
    ci : float
        Coverage of bands and bars.
    ax : Axes, or array of Axes with `by`, optional
        One for each group.  The legend stands inside single axes, and right of the last of several.
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        "plotly" and "bokeh" give an interactive picture.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    Axes, or with `by` ndarray of Axes, one for each group; of an interactive backend ArviZ's
    PlotCollection

    Raises
    ------
    FitError
        If the fit has no competing events, the model does not use a column, or `ax` does not
        fit.
    DataError
        If the data have no Aalen-Johansen estimate, as with interval-censored times.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, event="event",
    ...                           family={"pcm": "weibull", "death": "gompertz"},
    ...                           concomitant="~ sex")
    >>> fit = spec.fit("em", seed=1)
    >>> bmx.plot.states(fit).get_xlabel()
    'years'
    >>> [ax.get_title() for ax in bmx.plot.states(fit, by="sex")]
    ['sex = F, n = 631', 'sex = M, n = 753']
    """
    drawable = interactive(backend, ax)
    table = fit.aalen_johansen(by=by, times=times, ci=ci)
    times_read = time_name(list(fit.numbers.spec.prepared.times))
    names = [] if by is None else [by] if isinstance(by, str) else list(by)
    groups = _groups(fit, table, names)
    looks = {state: (str(state), colour(s)) for s, state in enumerate(fit.components)}
    looks |= {start_state(fit.components): START}
    if drawable:
        from bayesmix.plot.interactive import draw_states

        return draw_states(str(backend), groups, looks, times_read)
    if by is None:
        axes = np.array([one_axes(ax, (WIDTH, HEIGHT))])
    else:
        axes = panels(ax, len(groups), "one for each group")
    for panel, (title, part) in zip(axes, groups, strict=True):
        for number, (state, (_, shade)) in enumerate(looks.items()):
            own = part[part["state"] == state]
            draw_over_steps(panel, own, number, fit.k, shade, linestyle=line_style(number))
        panel.set_title(title)
        panel.set_xlabel(times_read)
        panel.set_ylim(0, 1)
        panel.set_xlim(left=0)
    axes[0].set_ylabel("probability")
    handles = [
        entry(name, color=shade, linestyle=line_style(number), linewidth=2)
        for number, (name, shade) in enumerate(looks.values())
    ]
    handles += steps_handles("Aalen-Johansen", ci)
    small: dict[str, Any] = {"fontsize": "small", "handlelength": 3.2}
    if by is not None and ax is None:
        axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=2, **small)
    else:
        axes[-1].legend(handles=handles, **beside(by is not None or ax is None), **small)
    return axes[0] if by is None else axes


def _groups(fit: Any, table: pd.DataFrame, names: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Title and rows of the table of every group, in the order of the levels."""
    if not names:
        return [("", table)]
    data = fit.numbers.spec.prepared.table
    order = {n: {v: i for i, v in enumerate(levels_of(data[n]))} for n in names}
    columns = list(covariate_names(names, COLUMNS).values())
    found: dict[Any, pd.DataFrame] = dict(list(table.groupby(columns, observed=True, sort=False)))
    out = []
    for key in sorted(found, key=lambda k: [order[n][v] for n, v in zip(names, k, strict=True)]):
        pairs = list(zip(names, key, strict=True))
        own = np.all([data[n] == v for n, v in pairs], axis=0)
        words = ", ".join(f"{n} = {v}" for n, v in pairs)
        out.append((f"{words}, n = {int(own.sum())}", found[key]))
    return out
