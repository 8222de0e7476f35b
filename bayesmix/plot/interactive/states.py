"""Probabilities of competing events over time."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bayesmix.plot.bands import limits_at
from bayesmix.plot.interactive.canvas import Canvas, PlotCollection, apart, new_canvas

COLUMNS = 2
HEIGHT = 300
ALPHA = 0.22
DASHES = ("C0", "C1", "C2", "C3")


def draw_states(
    backend: str,
    groups: Sequence[tuple[str, pd.DataFrame]],
    looks: Mapping[Hashable, tuple[str, str]],
    time: str,
) -> PlotCollection:
    """A panel for each group; the collection's data are the model's probabilities.

    Parameters
    ----------
    backend : str
    groups : sequence of (str, DataFrame)
        Title, and time, state, estimate, lower, upper, source.
    looks : dict
        By the state its name and colour.
    time : str
        Of the horizontal axes.
    """
    import xarray as xr

    columns = min(len(groups), COLUMNS)
    named = [(title or "all rows", table) for title, table in groups]
    data = {
        title: (f"value of {title}", table.loc[table["source"] == "model", "estimate"])
        for title, table in named
    }
    heights = [HEIGHT] * math.ceil(len(groups) / columns)
    canvas = new_canvas(backend, xr.Dataset(data), heights, columns)
    for place, (title, table) in enumerate(named):
        panel = canvas.panel(title)
        for number, (state, (name, colour)) in enumerate(looks.items()):
            own = table[table["state"] == state]
            _draw(canvas, panel, own, number, len(looks) - 1, {"color": colour}, name)
        words = "" if place % columns else "probability (thin steps: Aalen-Johansen)"
        canvas.label(panel, groups[place][0], time, words)
        canvas.pen.ylim((0, 1), panel)
    return canvas.finished()


def _draw(
    canvas: Canvas,
    panel: Any,
    table: pd.DataFrame,
    number: int,
    events: int,
    look: dict[str, Any],
    name: str,
) -> None:
    """One state: the model's curve with its band, and the steps with some of their limits."""
    model = table[table["source"] == "model"]
    line = look | {"linestyle": DASHES[number % len(DASHES)], "width": 2}
    hover = "%{x:.4g}: %{y:.3f} by "
    canvas.line(panel, model["time"], model["estimate"], name, hover + "the model", **line)
    band = model.dropna(subset=["lower", "upper"])
    canvas.band(panel, band["time"], band["lower"], band["upper"], name, alpha=ALPHA, **look)
    steps = table[table["source"] == "nonparametric"]
    thin = look | {"width": 1}
    label = hover + "Aalen-Johansen"
    canvas.steps(panel, steps["time"], steps["estimate"], name, label, **thin)
    canvas.line(panel, *apart(*limits_at(steps, number, events)), name, **thin)
