"""Uncertainty of what a picture draws, and how bands and steps are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.comparison.scores import is_posterior
from bayesmix.plot.style import Axes, entry
from bayesmix.posterior.labels.draws import mean_weights
from bayesmix.results.uncertainty import estimates

ALPHA = 0.18
MOST_DRAWS = 1000
CAP = 4

Limits = tuple[np.ndarray, np.ndarray]


def estimate_and_limits(
    fit: Any,
    values_at: Callable[[np.ndarray], np.ndarray],
    ci: float | None,
    scale: str | Sequence[str],
) -> tuple[np.ndarray, Limits | None]:
    """A quantity of the parameters with pointwise limits.

    Parameters
    ----------
    fit : PointFit or Posterior
    values_at : callable
        From parameters (D,) to an array.
    ci : float, or None
        Coverage; None: no limits.
    scale : str or sequence of str
        Where the limits of a point fit are symmetric, of `uncertainty.SCALES`: one for all values,
        or one for each place of the first axis.

    Returns
    -------
    ndarray, and (lower, upper) or None
        Of a point fit the value at the estimates, of a posterior the mean of its draws.
    """
    source = fit.source
    if is_posterior(fit):
        source = replace(source, draws=fit.numbers.thinned(MOST_DRAWS))
    elif ci is None:
        return values_at(source.fitted.theta), None
    found = estimates(source, values_at)
    return found.value, None if ci is None else found.limits(ci, scale)


def weights_and_limits(fit: Any, ci: float | None) -> tuple[np.ndarray, Limits | None]:
    """Mean weights of the components over the units (S,), with limits; of all draws."""
    source = fit.source
    if is_posterior(fit):
        source = replace(source, draws=fit.numbers.flat)
    elif ci is None:
        return fit.mixing.to_numpy(), None
    found = estimates(source, lambda theta: mean_weights(source.spec, theta), at_once=True)
    return found.value, None if ci is None else found.limits(ci, "logit")


def draw_band(
    ax: Axes, place: np.ndarray, limits: Limits, colour: str, *, bars: bool = False
) -> None:
    """A band between the limits, or bars at single places; a gap where one is not finite."""
    known = np.isfinite(limits[0]) & np.isfinite(limits[1])
    if not bars:
        look: dict[str, Any] = {"color": colour, "alpha": ALPHA, "linewidth": 0, "zorder": 1.5}
        low, high = np.where(known, limits, np.nan)
        ax.fill_between(place, low, high, where=known, **look)
        return
    low, high, at = limits[0][known], limits[1][known], place[known]
    ax.vlines(at, low, high, color=colour, linewidth=1.4, zorder=2.5)
    for ends in (low, high):
        cap: dict[str, Any] = {"marker": "_", "markersize": CAP * 2, "gid": "cap"}
        ax.plot(at, ends, linestyle="none", color=colour, zorder=2.5, **cap)


def draw_over_steps(
    ax: Axes, table: pd.DataFrame, number: int, others: int, look: str, **line: Any
) -> None:
    """A curve of the model with its band, over the steps of an estimate without a model, if any.

    Parameters
    ----------
    ax : Axes
    table : DataFrame
        time, estimate, lower, upper and source, "model" or "nonparametric".
    number, others : int
        Which curve this is, and among how many: bars on the steps keep clear of each other.
    look : str
        Colour.
    **line
        Of the curve, such as ``linestyle``.
    """
    model = table[table["source"] == "model"]
    time, *limits = model[["time", "lower", "upper"]].to_numpy(dtype=float).T
    draw_band(ax, time, (limits[0], limits[1]), look)
    ax.plot(time, model["estimate"], color=look, linewidth=2, zorder=3, **line)
    steps = table[table["source"] == "nonparametric"]
    if steps.empty:
        return
    ax.step(steps["time"], steps["estimate"], where="post", color=look, linewidth=0.9, gid="steps")
    wanted, lower, upper = limits_at(steps, number, others)
    ax.vlines(wanted, lower, upper, color=look, linewidth=1.1, gid="limits")
    ax.plot(wanted, lower, "_", wanted, upper, "_", color=look, markersize=5)


def steps_handles(name: str, ci: float) -> list[Any]:
    """What a legend says about bands and steps; `name` is that of the estimate."""
    from matplotlib.patches import Patch

    band = Patch(facecolor="0.2", alpha=ALPHA, label=f"model, {100 * ci:g}% band")
    look: dict[str, Any] = {"color": "0.2", "linestyle": "-", "linewidth": 0.9}
    return [band, entry(f"{name}, {100 * ci:g}% bars", marker="|", markersize=9, **look)]


BARS = 5  # limits of the steps of one state


def limits_at(
    steps: pd.DataFrame, number: int, events: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A few times, different for each state, and the limits of the steps there."""
    last = float(steps["time"].max())
    wanted = last * (np.arange(BARS) + 0.4 + 0.6 * number / (events + 1)) / BARS
    at = np.searchsorted(steps["time"].to_numpy(), wanted, side="right") - 1
    bars = steps.iloc[at]
    return wanted, bars["lower"].to_numpy(), bars["upper"].to_numpy()
