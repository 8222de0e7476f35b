"""Whether chains agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesmix.plot.interactive.canvas import GREY, LINE, Canvas, PlotCollection, new_canvas
from bayesmix.plot.style import colour
from bayesmix.posterior.diagnostics.findings import ESS, R_HAT

TABLE = "all parameters"
PANEL = 170
DASHES = ("C0", "C1", "C2", "C3")


def draw_chains(
    backend: str,
    table: pd.DataFrame,
    values: Mapping[str, np.ndarray],
    counts: Mapping[str, np.ndarray],
    edges: np.ndarray,
    looks: Sequence[Mapping[str, Any]],
) -> PlotCollection:
    """R-hat and effective sample sizes, then a row of a trace and ranks for each of some values.

    The collection's data are the draws shown.

    Parameters
    ----------
    backend : str
    table : DataFrame
        By the name of a parameter: r_hat, ess_bulk, ess_tail.
    values : dict of str to ndarray, shape (chain, draw)
    counts : dict of str to ndarray, shape (chain, bin)
        Draws of every chain by their rank; empty for a single chain.
    edges : ndarray, shape (bin + 1,)
    looks : sequence of dict
        "color" and "label" of every chain.
    """
    columns = ["trace", "ranks"] if counts else ["trace"]
    heights = [60 + LINE * len(table), *[PANEL] * len(values)]
    canvas = new_canvas(backend, _data(table, values, looks, columns), heights)
    _table(canvas, table, columns)
    for name, draws in values.items():
        for number, (look, chain) in enumerate(zip(looks, draws, strict=True)):
            _trace(canvas, name, chain, look)
            if counts:
                _ranks(canvas, name, counts[name][number], edges, look, number)
        canvas.label(canvas.panel(name, "trace"), name, "draw")
        if counts:
            canvas.label(canvas.panel(name, "ranks"), name, "draws by rank")
            even = draws.shape[1] / (len(edges) - 1)
            canvas.pen.hline(even, canvas.panel(name, "ranks"), color=GREY, width=1)
            canvas.pen.ylim((0, 1.05 * float(counts[name].max())), canvas.panel(name, "ranks"))
    return canvas.finished()


def _data(
    table: pd.DataFrame,
    values: Mapping[str, np.ndarray],
    looks: Sequence[Mapping[str, Any]],
    columns: list[str],
) -> xr.Dataset:
    import xarray as xr

    shown: dict[str, Any] = {TABLE: ("parameter", table["ess_bulk"])}
    shown |= {name: (("chain", "draw"), draws) for name, draws in values.items()}
    coords = {"parameter": list(table.index), "chain": [look["label"] for look in looks]}
    return xr.Dataset(shown, coords=coords).expand_dims(column=columns)


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


def _trace(canvas: Canvas, name: str, chain: np.ndarray, look: Mapping[str, Any]) -> None:
    hover = "draw %{x}: %{y:.4g}"
    line = {"color": look["color"], "width": 1}
    panel = canvas.panel(name, "trace")
    canvas.line(panel, np.arange(len(chain)), chain, look["label"], hover, **line)


def _ranks(
    canvas: Canvas,
    name: str,
    counts: np.ndarray,
    edges: np.ndarray,
    look: Mapping[str, Any],
    number: int,
) -> None:
    line = {"color": look["color"], "linestyle": DASHES[number % len(DASHES)], "width": 2}
    panel = canvas.panel(name, "ranks")
    steps = np.append(counts, counts[-1])
    canvas.steps(panel, edges, steps, look["label"], "%{y} draws from rank %{x:.0f}", **line)
