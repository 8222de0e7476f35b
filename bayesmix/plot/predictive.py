"""Data drawn from a model beside the data: prior and posterior predictive checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix._arguments import fraction, generator, whole_number
from bayesmix.errors import FitError
from bayesmix.plot.memberships import count_ticks
from bayesmix.plot.replicates import POINTS, Replicates, kind_of, of_model, of_priors
from bayesmix.plot.style import colour, marker, one_axes
from bayesmix.survival.nonparametric import kaplan_meier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayesmix.api import CompetingRisks, Mixture, PointFit, Posterior

__all__ = ["posterior_predictive", "prior_predictive"]

ALPHA = 0.3
FACE, EDGE = "0.85", "0.25"


def posterior_predictive(
    fit: Posterior | PointFit,
    response: str | None = None,
    kind: str | None = None,
    draws: int = 200,
    ci: float = 0.95,
    seed: Any = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the data beside data sets that the fitted model would give.

    Bars or a black line are the data, the coloured middle and its band the median and the
    pointwise limits over the data sets, which have the rows of the data with their covariates,
    trials and entries.  Counts have a rootogram: the bar over a count, or over a few counts in
    a row, has the height of the square root of how many rows have them.  Other numbers have
    a histogram ("density"), or the share of rows up to each value ("ecdf").  Survival times
    have the Kaplan-Meier estimate of the data, and that of the times drawn without
    censoring.  Where trials differ, binomial responses are shown as proportions.

    Data outside the band are something that the model does not know.  The band is that of the
    whole response: where a covariate explains much, `fitted` shows more.

    Parameters
    ----------
    fit : Posterior or PointFit
        Data sets of a posterior have parameters of different draws, those of a point fit
        all the estimates.
    response : str, optional
        Which one, where the model has several; by default the first.
    kind : str, optional
        "rootogram", "density", "ecdf" or "survival"; by default the one for the response.
    draws : int
        Number of data sets.
    ci : float
        Coverage of the band.
    seed : int or numpy.random.Generator, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If a name is unknown, the kind does not go with the response, or the fit is one
        of competing events, which `states` draws.
    DataError
        If survival times are interval- or left-censored: they have no Kaplan-Meier estimate.

    Notes
    -----
    A row with a case weight counts that often, and is drawn once: the band is then wider
    than that of as many rows.

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
    rng = _checked(draws, ci, seed)
    return _picture(of_model(fit, response, draws, rng), kind, ci, ax)


def prior_predictive(
    spec: Mixture | CompetingRisks,
    response: str | None = None,
    kind: str | None = None,
    draws: int = 200,
    ci: float = 0.95,
    seed: Any = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the data beside data sets that the priors would give.

    As `posterior_predictive`, with parameters drawn from the priors.  Priors that
    know little allow data far from those there are; the axis ends before that, and says
    what share lies beyond.  Data outside the band would be against the priors.

    Parameters
    ----------
    spec : Mixture
    response : str, optional
        Which one, where the model has several; by default the first.
    kind : str, optional
        "rootogram", "density", "ecdf" or "survival"; by default the one for the response.
    draws : int
        Number of data sets.
    ci : float
        Coverage of the band.
    seed : int or numpy.random.Generator, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    SpecError
        Under flat priors, which cannot be drawn from.
    FitError
        As `posterior_predictive`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3)
    >>> ax = bmx.plot.prior_predictive(spec)
    >>> ax.get_title(loc="left").split(";")[0]
    '200 data sets drawn from the priors'
    """
    rng = _checked(draws, ci, seed)
    return _picture(of_priors(spec, response, draws, rng), kind, ci, ax)


def _checked(draws: int, ci: float, seed: Any) -> np.random.Generator:
    whole_number("draws", draws, "the number of data sets", 1, FitError)
    fraction("ci", ci, 0.95, error=FitError)
    return generator(seed, FitError)


def _picture(replicates: Replicates, kind: str | None, ci: float, ax: Axes | None) -> Axes:
    kind = kind_of(replicates, kind)
    ax = one_axes(ax)
    draw = {"rootogram": _rootogram, "density": _density, "ecdf": _ecdf, "survival": _survival}
    ends = draw[kind](ax, replicates, ci)
    ax.set_xlabel(replicates.name)
    title = replicates.source
    outside = replicates.outside(*ends)
    if outside > 0 and kind != "survival":
        share = f"{outside:.1%}" if outside >= 0.001 else "less than 0.1%"
        title += f"; {share} of the values lie beyond the axis"
    ax.set_title(title, loc="left", fontsize="small")
    ax.legend(fontsize="small")
    return ax


def _band(values: np.ndarray, ci: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median and limits over the data sets."""
    middle, lower, upper = np.quantile(values, [0.5, 0.5 - ci / 2, 0.5 + ci / 2], axis=0)
    return middle, lower, upper


def _words(ci: float) -> str:
    return f"drawn: median, {100 * ci:g}%"


def _rootogram(ax: Axes, replicates: Replicates, ci: float) -> tuple[float, float]:
    edges = replicates.edges(*replicates.limits(), whole=True)
    observed, drawn = replicates.counts(edges)
    width = edges[1] - edges[0]
    place = (edges[:-1] + edges[1:]) / 2
    look: dict[str, Any] = {"facecolor": FACE, "edgecolor": EDGE, "linewidth": 0.8}
    ax.bar(place, np.sqrt(observed), width=0.9 * width, label="observed", **look)
    middle, lower, upper = np.sqrt(_band(drawn, ci))
    ax.vlines(place, lower, upper, color=colour(1), linewidth=1.6)
    points: dict[str, Any] = {"linestyle": "none", "marker": marker(0), "markersize": 4.5}
    ax.plot(place, middle, color=colour(1), label=_words(ci), **points)
    ticks = count_ticks(max(float(observed.max()), float(upper.max()) ** 2))
    ax.set_yticks(np.sqrt(ticks), labels=[f"{t:g}" for t in ticks])
    ax.set_ylim(bottom=0)
    per = "" if width == 1 else f" in {width:g} counts each"
    ax.set_ylabel(f"rows{per} (square-root scale)")
    return float(edges[0]), float(edges[-1])


def _density(ax: Axes, replicates: Replicates, ci: float) -> tuple[float, float]:
    edges = replicates.edges(*replicates.limits(), whole=False)
    per = replicates.weight.sum() * np.diff(edges)
    observed, drawn = (counts / per for counts in replicates.counts(edges))
    ax.stairs(observed, edges, fill=True, color=FACE, label="observed")
    ax.stairs(observed, edges, color="black", linewidth=0.9, zorder=3)
    middle, lower, upper = _band(drawn, ci)
    look: dict[str, Any] = {"facecolor": colour(1), "alpha": ALPHA, "linewidth": 0}
    ax.stairs(upper, edges, baseline=lower, fill=True, **look)
    line: dict[str, Any] = {"color": colour(1), "linestyle": "--", "linewidth": 1.8}
    ax.stairs(middle, edges, baseline=None, zorder=3.1, label=_words(ci), **line)
    ax.set_ylabel("density")
    return float(edges[0]), float(edges[-1])


def _ecdf(ax: Axes, replicates: Replicates, ci: float) -> tuple[float, float]:
    low, high = replicates.limits()
    grid = np.linspace(low, high, POINTS)
    _, drawn = replicates.shares_up_to(grid)
    steps = np.unique(replicates.observed)
    observed, _ = replicates.shares_up_to(steps)
    _curves(ax, grid, drawn, ci)
    place = np.concatenate([[low], steps, [high]])
    values = np.concatenate([[0.0], observed, [1.0]])
    ax.step(place, values, where="post", color="black", linewidth=1.2, label="observed")
    ax.set_ylabel("share of rows up to the value")
    return low, high


def _survival(ax: Axes, replicates: Replicates, ci: float) -> tuple[float, float]:
    times = replicates.times
    assert times is not None
    observed = kaplan_meier(times, replicates.weight)
    last = float(observed.time[-1])
    grid = np.linspace(0, last, POINTS)
    _curves(ax, grid, replicates.survival(grid), ci)
    look: dict[str, Any] = {"color": "black", "linewidth": 1.2, "label": "observed, Kaplan-Meier"}
    ax.step(observed.time, observed.estimate[:, 0], where="post", **look)
    ax.set_ylim(0, 1)
    ax.set_xlim(0, last)
    ax.set_ylabel("share without the event")
    return 0.0, last


def _curves(ax: Axes, grid: np.ndarray, drawn: np.ndarray, ci: float) -> None:
    middle, lower, upper = _band(drawn, ci)
    ax.fill_between(grid, lower, upper, color=colour(1), alpha=ALPHA, linewidth=0)
    ax.plot(grid, middle, color=colour(1), linestyle="--", linewidth=1.8, label=_words(ci))
