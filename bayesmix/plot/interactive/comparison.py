"""Fits ranked by a criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.plot.interactive.canvas import GREY, LINE, PlotCollection, apart, new_canvas
from bayesmix.plot.style import colour


def draw_comparison(
    backend: str,
    table: pd.DataFrame,
    label: str,
    errors: Sequence[tuple[int, float, str]],
    marks: Sequence[float],
) -> PlotCollection:
    """Differences of fits to the best; the collection's data are these.

    Parameters
    ----------
    backend : str
    table : DataFrame
        By fit: difference, se_difference where it is known, warning.
    label : str
    errors : sequence of (int, float, str)
        How many standard errors a line is long to each side, its width, and its name.
    marks : sequence of float
        Where dotted lines stand.
    """
    import xarray as xr

    fits = list(map(str, table.index))
    difference = table["difference"].to_numpy(dtype=float)
    ranked = np.isfinite(difference)
    data = xr.Dataset({label: ("fit", difference)}, coords={"fit": fits})
    canvas = new_canvas(backend, data, [60 + 2 * LINE * len(fits)])
    panel = canvas.panel(label)
    places = np.arange(len(fits))
    shown = [difference]
    if "se_difference" in table:
        error = table["se_difference"].to_numpy(dtype=float)
        for times, width, name in errors:
            at = ranked & (error > 0)
            ends = [difference[at] + sign * times * error[at] for sign in (-1, 1)]
            shown += ends
            y, x = apart(places[at], *ends)
            canvas.line(panel, x, y, name, color=colour(0), width=2 * width)
    warned = table["warning"].astype(bool).to_numpy()
    says = np.array([_words(name, row) for name, row in table.iterrows()], dtype=object)
    for doubt, face, name in ((~warned, colour(0), ""), (warned, "white", "with a warning")):
        at = doubt & ranked
        if at.any():
            look = {"facecolor": face, "edgecolor": colour(0), "width": 2}
            canvas.points(panel, difference[at], places[at], 0, name, says[at], **look)
    for mark in (0.0, *marks):
        look = {"linestyle": "C2"} if mark else {}
        canvas.pen.vline(mark, panel, color=GREY, width=1, **look)
    canvas.room(panel, np.concatenate(shown))
    names = [f if r else f"{f} (cannot be ranked)" for f, r in zip(fits, ranked, strict=True)]
    canvas.lines_down(panel, names)
    canvas.label(panel, x=label)
    return canvas.finished()


def _words(name: Any, row: pd.Series) -> str:
    words = f"{name}: {row['difference']:.2f}"
    if row.get("se_difference", 0.0) > 0:
        words += f", standard error {row['se_difference']:.2f}"
    return words + (f"<br>{row['warning']}" if row["warning"] else "")
