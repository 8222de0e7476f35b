"""Data drawn from a model beside the data: prior and posterior predictive checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix._arguments import generator
from bayesmix._arguments.classes import CompetingRisks, Mixture, PointFit, Posterior
from bayesmix.plot.checks import Check, make_check
from bayesmix.plot.memberships import count_ticks
from bayesmix.plot.picture import interactive, picture
from bayesmix.plot.replicates import Replicates, kind_of, of_model, of_priors
from bayesmix.plot.style import Axes, colour, level_ticks, marker, note, with_legend

ALPHA = 0.3
FACE, EDGE = "0.85", "0.25"


@picture
def posterior_predictive(
    fit: Posterior | PointFit,
    response: str | None = None,
    kind: str | None = None,
    draws: int = 200,
    ci: float = 0.95,
    seed: Any = 0,
    ax: Axes | None = None,
    backend: str | None = None,
) -> Any:
    """Draw the data beside data sets simulated from the fitted model.

    Bars or a black line show the data.  The coloured line and its band show the median and the
    pointwise limits over the simulated data sets, which keep the covariates, trials and entries
    of the rows.  Counts have a rootogram: a bar's height is the square root of the number of rows
    with that count, or with a few adjacent counts.  Other numbers have a histogram ("density"), or
    the share of rows up to each value ("ecdf").  Survival times have the Kaplan-Meier estimate of
    the data beside those of simulated times without censoring; if some are interval- or
    left-censored, Turnbull's, and both fall at the ends of intervals.  Binomial responses with
    different trials are shown as proportions.

    The model does not explain data outside the band.  The picture is of the whole response: if a
    covariate explains much, `fitted` shows more.

    Parameters
    ----------
    fit : Posterior or PointFit
        A posterior simulates each data set from another draw, a point fit from its estimates.
    response : str, optional
        Which response, if the model has several; by default the first.
    kind : str, optional
        "rootogram", "density", "ecdf" or "survival"; by default the one that suits the response.
    draws : int
        Number of data sets.
    ci : float
        Coverage of the band.
    seed : int or numpy.random.Generator, optional
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
    FitError
        If a name is unknown, the kind does not suit the response, or the fit has competing
        events, which `states` draws.
    DataError
        If some survival times are interval- or left-censored, and some have late entries.

    Notes
    -----
    A row with a case weight counts with its weight but is simulated once, so the band is wider
    than for that number of separate rows.

    References
    ----------
    Gelman, Meng and Stern (1996), Statistica Sinica 6, 733-807.  Kleiber and Zeileis (2016),
    The American Statistician 70, 296-303, for rootograms.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3)
    >>> ax = bmx.plot.posterior_predictive(spec.fit("em", seed=1))
    >>> ax.get_xlabel()
    'Patents'
    """
    interactive(backend, ax)  # refused before data sets are drawn
    return _picture(of_model(fit, response, draws, generator(seed)), kind, ci, ax, backend)


@picture
def prior_predictive(
    spec: Mixture | CompetingRisks,
    response: str | None = None,
    kind: str | None = None,
    draws: int = 200,
    ci: float = 0.95,
    seed: Any = 0,
    ax: Axes | None = None,
    backend: str | None = None,
) -> Any:
    """Draw the data beside data sets simulated from the priors.

    Like `posterior_predictive`, with parameters drawn from the priors.  Vague priors allow
    values far from the data: the axis ends earlier, and the title says what share lies beyond.
    Data outside the band contradict the priors.

    Parameters
    ----------
    spec : Mixture
    response : str, optional
        Which response, if the model has several; by default the first.
    kind : str, optional
        "rootogram", "density", "ecdf" or "survival"; by default the one that suits the response.
    draws : int
        Number of data sets.
    ci : float
        Coverage of the band.
    seed : int or numpy.random.Generator, optional
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
    SpecError
        If the priors are flat, so that nothing can be drawn from them.
    FitError
        As for `posterior_predictive`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3)
    >>> ax = bmx.plot.prior_predictive(spec)
    >>> ax.get_title(loc="left").split(";")[0]
    '200 data sets drawn from the priors'
    """
    interactive(backend, ax)  # refused before data sets are drawn
    return _picture(of_priors(spec, response, draws, generator(seed)), kind, ci, ax, backend)


def _picture(
    replicates: Replicates, kind: str | None, ci: float, ax: Axes | None, backend: str | None
) -> Any:
    check = make_check(replicates, kind_of(replicates, kind), ci)
    if interactive(backend, ax):
        from bayesmix.plot.interactive import draw_check

        return draw_check(str(backend), check)
    ax, legend = with_legend(ax)
    draw = {"rootogram": _rootogram, "density": _density}.get(check.kind, _curves)
    draw(ax, check)
    if replicates.levels:
        level_ticks(ax, replicates.levels)
    ax.set_xlabel(replicates.name)
    ax.set_ylabel(check.label)
    note(ax, [check.title])
    legend()
    return ax


def _rootogram(ax: Axes, check: Check) -> None:
    look: dict[str, Any] = {"facecolor": FACE, "edgecolor": EDGE, "linewidth": 0.8}
    width = 0.9 * (check.ends[1] - check.ends[0]) / len(check.place)
    ax.bar(check.place, np.sqrt(check.observed), width=width, label=check.observed_words, **look)
    ax.vlines(
        check.place, np.sqrt(check.lower), np.sqrt(check.upper), color=colour(1), linewidth=1.6
    )
    points: dict[str, Any] = {"linestyle": "none", "marker": marker(0), "markersize": 4.5}
    ax.plot(check.place, np.sqrt(check.middle), color=colour(1), label=check.words, **points)
    ticks = count_ticks(max(float(check.observed.max()), float(check.upper.max())))
    ax.set_yticks(np.sqrt(ticks), labels=[f"{t:g}" for t in ticks])
    ax.set_ylim(bottom=0)


def _density(ax: Axes, check: Check) -> None:
    edges = check.place
    seen: dict[str, Any] = {"color": "black", "linewidth": 1.2, "label": check.observed_words}
    ax.stairs(check.observed, edges, baseline=None, zorder=3, **seen)
    look: dict[str, Any] = {"facecolor": colour(1), "alpha": ALPHA, "linewidth": 0}
    ax.stairs(check.upper, edges, baseline=check.lower, fill=True, **look)
    line: dict[str, Any] = {"color": colour(1), "linestyle": "--", "linewidth": 1.8}
    ax.stairs(check.middle, edges, baseline=None, zorder=3.1, label=check.words, **line)


def _curves(ax: Axes, check: Check) -> None:
    """Shares along the values, of the data as steps."""
    look: dict[str, Any] = {"color": colour(1), "alpha": ALPHA, "linewidth": 0}
    ax.fill_between(check.place, check.lower, check.upper, **look)
    line: dict[str, Any] = {"color": colour(1), "linestyle": "--", "linewidth": 1.8}
    ax.plot(check.place, check.middle, label=check.words, **line)
    steps: dict[str, Any] = {"color": "black", "linewidth": 1.2, "label": check.observed_words}
    ax.step(check.observed_place, check.observed, where="post", **steps)
    if check.kind == "survival":
        ax.set_ylim(0, 1)
        ax.set_xlim(*check.ends)
