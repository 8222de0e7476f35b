"""Whether chains agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.colors import to_hex

from bayesmix.plot.interactive.canvas import GREY, LINE, Canvas, PlotCollection, new_canvas
from bayesmix.plot.ranks import RANK_BINS, rank_counts
from bayesmix.plot.style import colour
from bayesmix.posterior.diagnostics.findings import ESS, R_HAT

TABLE = "all parameters"
PANEL = 170
DASHES = ("C0", "C1", "C2", "C3")


def draw_chains(
    backend: str,
    table: pd.DataFrame,
    values: Mapping[str, np.ndarray],
    looks: Sequence[Mapping[str, Any]],
) -> PlotCollection:
    """R-hat and effective sample sizes, then a row of a trace and ranks for each of some values.

    The collection's data are the draws shown.  A single chain has no ranks.

    Parameters
    ----------
    backend : str
    table : DataFrame
        By the name of a parameter: r_hat, ess_bulk, ess_tail.
    values : dict of str to ndarray, shape (chain, draw)
    looks : sequence of dict
        "color" and "label" of every chain.
    """
    columns = ["trace", "ranks"][: len(looks)]
    shown: dict[str, Any] = {TABLE: ("parameter", table["ess_bulk"])}
    shown |= {name: (("chain", "draw"), draws) for name, draws in values.items()}
    coords = {"parameter": list(table.index), "chain": [look["label"] for look in looks]}
    data = xr.Dataset(shown, coords=coords).expand_dims(column=columns)
    canvas = new_canvas(backend, data, [60 + LINE * len(table), *[PANEL] * len(values)])
    _table(canvas, table, columns)
    for name, draws in values.items():
        _chains(canvas, [canvas.panel(name, column) for column in columns], name, draws, looks)
    return canvas.finished()


def _chains(
    canvas: Canvas,
    panels: Sequence[Any],
    name: str,
    draws: np.ndarray,
    looks: Sequence[Mapping[str, Any]],
) -> None:
    """The trace of every chain, and how many of its draws have which ranks."""
    counts, edges = rank_counts(draws)
    for look, chain, count, dash in zip(looks, draws, counts, cycle(DASHES), strict=False):
        line = {"color": to_hex(look["color"])}
        hover = "draw %{x}: %{y:.4g}"
        canvas.line(panels[0], np.arange(len(chain)), chain, look["label"], hover, width=1, **line)
        for panel in panels[1:]:
            steps, line = np.append(count, count[-1]), line | {"linestyle": dash}
            hover = "%{y} draws from rank %{x:.0f}"
            canvas.steps(panel, edges, steps, look["label"], hover, width=2, **line)
    canvas.label(panels[0], name, "draw")
    for panel in panels[1:]:
        canvas.label(panel, name, "draws by rank")
        canvas.pen.hline(draws.shape[1] / RANK_BINS, panel, color=GREY, width=1)
        canvas.pen.ylim((0, 1.05 * float(counts.max())), panel)


def _table(canvas: Canvas, table: pd.DataFrame, columns: list[str]) -> None:
    """R-hat, where there is one, and effective sample sizes."""
    places = np.arange(len(table))
    shown = [("ess_bulk", 1, "bulk", ".0f"), ("ess_tail", 2, "tails", ".0f")]
    panel = canvas.panel(TABLE, columns[-1])
    if len(columns) > 1:
        shown.append(("r_hat", 0, "", ".4f"))
    for column, number, name, digits in shown:
        at = columns[0] if column == "r_hat" else columns[-1]
        says = [f"{p}: {v:{digits}} {name}" for p, v in table[column].items()]
        look = {"color": colour(number)}
        canvas.points(canvas.panel(TABLE, at), table[column], places, number, name, says, **look)
    canvas.pen.vline(ESS, panel, color=GREY, width=1, linestyle="C2")
    canvas.room(panel, [0, ESS, *table["ess_bulk"], *table["ess_tail"]])
    canvas.label(panel, x="effective sample size")
    canvas.lines_down(panel, list(table.index) if len(columns) == 1 else [""] * len(table))
    if len(columns) > 1:
        left = canvas.panel(TABLE, columns[0])
        canvas.pen.vline(R_HAT, left, color=GREY, width=1, linestyle="C2")
        canvas.room(left, [1, R_HAT, *table["r_hat"]])
        canvas.label(left, x="R-hat")
        canvas.lines_down(left, list(table.index))
