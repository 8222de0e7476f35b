"""The numbers of a predictive check: the data, with limits over simulated data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmix.plot.replicates import POINTS, Replicates
from bayesmix.survival.nonparametric import BETWEEN, kaplan_meier, turnbull


@dataclass(frozen=True)
class Check:
    """What a predictive check shows.

    Parameters
    ----------
    kind : str
        "rootogram", "density", "ecdf" or "survival".
    replicates : Replicates
    place : ndarray, shape (m,), or (m + 1,) of a density
        Where the drawn values stand: middles of bins, edges of bins, or a grid.
    observed_place, observed : ndarray
        The data: bars of a rootogram at `place`, densities between the edges, or steps.
    middle, lower, upper : ndarray, shape (m,)
        Median and limits over the data sets; of a rootogram counts, not their roots.
    ends : tuple of float
        Of the horizontal axis.
    label : str
        Of the vertical axis.
    words : str
        What the median and the limits are.
    """

    kind: str
    replicates: Replicates
    place: np.ndarray
    observed_place: np.ndarray
    observed: np.ndarray
    middle: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    ends: tuple[float, float]
    label: str
    words: str

    @property
    def title(self) -> str:
        """Where the data sets come from, and what the axis excludes."""
        title = self.replicates.source
        outside = self.replicates.outside(*self.ends)
        if outside > 0 and self.kind != "survival":
            share = f"{outside:.1%}" if outside >= 0.001 else "less than 0.1%"
            title += f"; {share} of the values lie beyond the axis"
        return title

    @property
    def observed_words(self) -> str:
        """The name of the data in a legend."""
        if self.kind != "survival":
            return "observed"
        return f"observed, {'Turnbull' if _bounded(self.replicates) else 'Kaplan-Meier'}"


def make_check(replicates: Replicates, kind: str, ci: float) -> Check:
    """The numbers of a kind of picture.

    Parameters
    ----------
    replicates : Replicates
    kind : str
    ci : float
        Coverage of the limits.
    """
    numbers = {"rootogram": _rootogram, "density": _density, "ecdf": _ecdf, "survival": _survival}
    place, observed_place, observed, drawn, ends, label = numbers[kind](replicates)
    middle, lower, upper = np.quantile(drawn, [0.5, 0.5 - ci / 2, 0.5 + ci / 2], axis=0)
    words = f"drawn: median, {100 * ci:g}%"
    known = (place, observed_place, observed, middle, lower, upper)
    return Check(kind, replicates, *known, ends, label, words)


Numbers = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[float, float], str]


def _rootogram(replicates: Replicates) -> Numbers:
    edges = replicates.edges(*replicates.limits(), whole=True)
    observed, drawn = replicates.counts(edges)
    place = (edges[:-1] + edges[1:]) / 2
    width = edges[1] - edges[0]
    per = "" if width == 1 else f" in {width:g} counts each"
    ends = (float(edges[0]), float(edges[-1]))
    return place, place, observed, drawn, ends, f"rows{per} (square-root scale)"


def _density(replicates: Replicates) -> Numbers:
    edges = replicates.edges(*replicates.limits(), whole=False)
    per = replicates.weight.sum() * np.diff(edges)
    observed, drawn = (counts / per for counts in replicates.counts(edges))
    return edges, edges, observed, drawn, (float(edges[0]), float(edges[-1])), "density"


def _ecdf(replicates: Replicates) -> Numbers:
    low, high = replicates.limits()
    grid = np.linspace(low, high, POINTS)
    _, drawn = replicates.shares_up_to(grid)
    steps = np.unique(replicates.observed)
    observed, _ = replicates.shares_up_to(steps)
    place = np.concatenate([[low], steps, [high]])
    values = np.concatenate([[0.0], observed, [1.0]])
    return grid, place, values, drawn, (low, high), "share of rows up to the value"


def _survival(replicates: Replicates) -> Numbers:
    times = replicates.times
    assert times is not None
    bounded = _bounded(replicates)
    if bounded:
        time, values = turnbull(times, replicates.weight)
    else:
        observed = kaplan_meier(times, replicates.weight)
        time, values = observed.time, observed.estimate[:, 0]
    last = float(time[-1])
    grid = np.linspace(0, last, POINTS)
    # Within an interval the data do not say where the share falls: both fall at its end.
    read = time[np.searchsorted(time, grid, side="right") - 1] if bounded else grid
    drawn = replicates.survival(read)
    return grid, time, values, drawn, (0.0, last), "share without the event"


def _bounded(replicates: Replicates) -> bool:
    """Whether some times are known within bounds only."""
    times = replicates.times
    return times is not None and bool(np.isin(times.code, BETWEEN).any())
