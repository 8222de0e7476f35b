"""Estimates with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.plot.interactive.canvas import GREY, LINE, Canvas, PlotCollection, apart, new_canvas
from bayesmix.plot.style import colour
from bayesmix.results.tables import ENDS

COLUMNS = 3


def draw_intervals(
    backend: str,
    tables: Mapping[str, pd.DataFrame],
    terms: Sequence[str],
    lines: Sequence[Any],
    shifts: Sequence[float],
    label: str,
) -> PlotCollection:
    """A panel for each term; the collection's data are the estimates of the first fit.

    Parameters
    ----------
    backend : str
    tables : dict of str to DataFrame
        By the name of the fit: term, effect, line, estimate, lower, upper.
    terms : sequence of str
    lines : sequence
        Down the axis: components and "all".
    shifts : sequence of float
        How far each fit stands from its line.
    label : str
        Of the horizontal axes.
    """
    import xarray as xr

    columns = min(len(terms), COLUMNS)
    rows = math.ceil(len(terms) / columns)
    first = next(iter(tables.values()))
    own = {term: first[first["term"] == term] for term in terms}
    data = xr.Dataset({t: (f"line of {t}", table["estimate"]) for t, table in own.items()})
    heights = [60 + LINE * (1 + len(tables)) * len(lines)] * rows
    canvas = new_canvas(backend, data, heights, columns)
    for place, term in enumerate(terms):
        panel = canvas.panel(term)
        for number, (name, table) in enumerate(tables.items()):
            part = table[table["term"] == term]
            places = np.array([lines.index(line) + shifts[number] for line in part["line"]])
            _draw(canvas, panel, part, places, number, name)
        ends = [t.loc[t["term"] == term, ENDS] for t in tables.values()]
        shown = np.concatenate(ends).ravel()
        if not (own[term]["effect"] == "dispersion").any():
            canvas.pen.vline(0, panel, color=GREY, width=1)
            shown = np.append(shown, 0.0)
        canvas.room(panel, shown)
        canvas.lines_down(panel, lines)
        canvas.label(panel, term, label, "" if place % columns else "component")
    return canvas.finished()


def _draw(
    canvas: Canvas, panel: Any, table: pd.DataFrame, places: np.ndarray, number: int, name: str
) -> None:
    """One term of one fit; a marker without an interval is hollow."""
    middle, low, high = table[ENDS].to_numpy(dtype=float).T
    known = np.isfinite(low) & np.isfinite(high) & (low < high)
    y, x = apart(places[known], low[known], high[known])
    canvas.line(panel, x, y, name, color=colour(number), width=2)
    numbers = zip(table["line"], middle, low, high, known, strict=True)
    says = np.array(
        [
            f"{line}: {m:.4g}" + (f" ({a:.4g} to {b:.4g})" if k else "")
            for line, m, a, b, k in numbers
        ],
        dtype=object,
    )
    for at, face in ((known, colour(number)), (~known, "white")):
        if at.any():
            look = {"facecolor": face, "edgecolor": colour(number), "width": 2}
            canvas.points(panel, middle[at], places[at], number, name, says[at], **look)
