"""Predictions and slopes along one variable, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known, shown
from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.comparison import predictions, slopes
from bayesmix.errors import FitError
from bayesmix.formula.frames import is_number, levels_of
from bayesmix.plot.bands import draw_band
from bayesmix.plot.picture import picture
from bayesmix.plot.style import (
    Axes,
    colour,
    level_ticks,
    line_style,
    marker,
    with_legend,
)

SHOWN = ("predictions", "slopes")
STEPS = 60
# How far apart the components' intervals stand at a level of a factor.
APART = 0.5


@picture
def effects(
    fit: PointFit | Posterior,
    x: str,
    *,
    show: str = "predictions",
    at: Mapping[str, Any] | None = None,
    what: str = "mean",
    response: str | None = None,
    time: float | None = None,
    q: float | None = None,
    output: Any = None,
    ci: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw predictions, or their slopes, along a variable: each component and the mean over all.

    Other variables are held at their means or most frequent values, unless `at` says otherwise.
    The black line is the mean over the components, weighted by their weights.

    Parameters
    ----------
    fit : PointFit or Posterior
    x : str
        A variable of the model.  A numeric variable gives curves with bands over the range of
        the data, a factor gives points with intervals at its levels.
    show : str
        "predictions" or "slopes".
    at : dict of str to object, optional
        Values of other variables.
    what, response, time, q
        As for `bmx.predictions`; with several responses, name one.
    output : object, optional
        For a response with levels: the level whose probability is drawn, by default the last.
    ci : float
        Coverage of the confidence or credible bands.
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
        If `x` is not a variable of the model, or an argument is unknown.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    >>> ax = bmx.plot.effects(spec.fit("em", seed=1), "RDS")
    >>> ax.get_xlabel(), len(ax.lines)
    ('RDS', 4)
    """
    check_known(f"show={show!r}", show, SHOWN)
    if any(np.ndim(value) for value in (at or {}).values()):
        raise FitError(f"at={at!r} gives several values of a variable; give one of each")
    values, numeric = _values(fit, x)
    grid = {x: values, **(at or {})}
    options: dict[str, Any] = {"what": what, "response": response, "time": time, "q": q, "ci": ci}
    found = (
        predictions(fit, grid, **options)
        if show == "predictions"
        else slopes(fit, x, grid, **options)
    )
    found = found[found["part"] == "total"]
    if "response" in found:
        msg = f"name one response: response= is one of {', '.join(found['response'].unique())}"
        raise FitError(msg)
    name = response or fit.source.spec.layout.blocks[0].name
    if "output" in found:
        found, output = _of_output(found, output)
        name = f"{name} = {output}"
    elif output is not None:
        words = f"output={shown(output)}: the mean of {name!r} is one number; leave output= out"
        raise FitError(words)
    ax, legend = with_legend(ax)
    place = np.array(values) if numeric else np.arange(float(len(values)))
    for number, (owner, line) in enumerate(_lines(found)):
        _draw(ax, number, owner, place, line, levels=not numeric)
    if not numeric:
        level_ticks(ax, values)
    ax.set_xlabel(x)
    label = {"mean": f"mean of {name}", "link": f"linear predictor of {name}"}.get(what, what)
    ax.set_ylabel(label if show == "predictions" else f"slope of the {label} in {x}")
    legend(handlelength=3.2)
    return ax


def _values(fit: Any, x: str) -> tuple[list[Any], bool]:
    """Values along the axis, and whether they are numbers."""
    data = fit.source.spec.prepared.data
    if x not in data.columns:
        msg = f"{x!r} is not a variable of the model; it has {', '.join(map(repr, data.columns))}"
        raise FitError(msg)
    if is_number(data[x]):
        return np.linspace(data[x].min(), data[x].max(), STEPS).tolist(), True
    return levels_of(data[x]), False


def _lines(found: pd.DataFrame) -> list[tuple[Any, pd.DataFrame]]:
    """The components in order, then the mean over them."""
    owners = found["component"].astype(object)
    lines = [(c, found[(owners == c).to_numpy(bool)]) for c in owners.dropna().unique()]
    whole = found[owners.isna().to_numpy()]
    return [*lines, *([(None, whole)] if len(whole) else [])]


def _draw(
    ax: Axes, number: int, owner: Any, place: np.ndarray, line: pd.DataFrame, *, levels: bool
) -> None:
    """The estimates of one component, or of all together, with their limits."""
    shade = "black" if owner is None else colour(number)
    label = "all" if owner is None else f"component {owner}"
    if levels:
        place = place + APART * (number / 4 - 0.25)
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": "x" if owner is None else marker(number),
        }
    else:
        look = {"linestyle": "-" if owner is None else line_style(number)}
    ax.plot(place, line["estimate"], color=shade, label=label, **look)
    limits = line["lower"].to_numpy(), line["upper"].to_numpy()
    draw_band(ax, place, limits, shade, bars=levels)


def _of_output(found: pd.DataFrame, output: Any) -> tuple[pd.DataFrame, Any]:
    """The rows of one output of a mean, and its name."""
    known = list(dict.fromkeys(found["output"]))
    output = known[-1] if output is None else output
    if not isinstance(output, str | int | float | np.generic) or output not in known:
        raise FitError(f"output={shown(output)} is unknown; use one of {known}")
    return found[[each == output for each in found["output"]]], output
