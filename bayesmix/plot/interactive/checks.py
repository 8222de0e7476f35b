"""Predictive checks: the data beside data sets drawn from a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.plot.checks import Check
from bayesmix.plot.interactive.canvas import Canvas, PlotCollection, apart, new_canvas
from bayesmix.plot.memberships import count_ticks
from bayesmix.plot.style import colour

HEIGHT = 340
FACE = "#d9d9d9"
ALPHA = 0.3


def draw_check(backend: str, check: Check) -> PlotCollection:
    """The data beside data sets drawn from a model; the collection's data are the responses."""
    import xarray as xr

    name = check.replicates.name
    canvas = new_canvas(backend, xr.Dataset({name: ("row", check.replicates.observed)}), [HEIGHT])
    panel = canvas.panel(name)
    {"rootogram": _roots, "density": _densities}.get(check.kind, _shares)(canvas, panel, check)
    if levels := check.replicates.levels:
        canvas.pen.xticks(list(range(len(levels))), [str(level) for level in levels], panel)
    canvas.label(panel, check.title, name, check.label)
    return canvas.finished()


def _roots(canvas: Canvas, panel: Any, check: Check) -> None:
    step = (check.ends[1] - check.ends[0]) / len(check.place)
    edges = np.append(check.place, check.place[-1] + step) - step / 2
    says = [f"{at:g}: {n:g} observed" for at, n in zip(check.place, check.observed, strict=True)]
    canvas.bars(panel, edges, np.sqrt(check.observed), says, check.observed_words, color=FACE)
    x, y = apart(check.place, np.sqrt(check.lower), np.sqrt(check.upper))
    canvas.line(panel, x, y, check.words, color=colour(1), width=2)
    numbers = zip(check.place, check.middle, check.lower, check.upper, strict=True)
    says = [f"{at:g}: {m:g} drawn ({low:g} to {high:g})" for at, m, low, high in numbers]
    look = {"color": colour(1)}
    canvas.points(panel, check.place, np.sqrt(check.middle), 0, check.words, says, **look)
    ticks = count_ticks(max(float(check.observed.max()), float(check.upper.max())))
    canvas.pen.yticks([tick**0.5 for tick in ticks], [f"{tick:g}" for tick in ticks], panel)


def _densities(canvas: Canvas, panel: Any, check: Check) -> None:
    corners = np.repeat(check.place, 2)[1:-1]
    low, high = np.repeat(check.lower, 2), np.repeat(check.upper, 2)
    canvas.band(panel, corners, low, high, check.words, color=colour(1), alpha=ALPHA)
    looks: tuple[dict[str, Any], ...] = (
        {"color": "black", "width": 1.5},
        {"color": colour(1), "width": 2, "linestyle": "C1"},
    )
    shown = ((check.observed, check.observed_words), (check.middle, check.words))
    for (values, name), look in zip(shown, looks, strict=True):
        ends = np.append(values, values[-1])
        canvas.steps(panel, check.place, ends, name, "from %{x:.4g}: %{y:.4g}", **look)


def _shares(canvas: Canvas, panel: Any, check: Check) -> None:
    hover = "%{x:.4g}: %{y:.3f}"
    look: dict[str, Any] = {"color": colour(1)}
    canvas.band(panel, check.place, check.lower, check.upper, check.words, alpha=ALPHA, **look)
    look |= {"linestyle": "C1", "width": 2}
    canvas.line(panel, check.place, check.middle, check.words, hover, **look)
    look = {"color": "black", "width": 1.5}
    canvas.steps(panel, check.observed_place, check.observed, check.observed_words, hover, **look)
