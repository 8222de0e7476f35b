"""Panels of one of ArviZ's interactive backends, and marks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from arviz_plots import PlotCollection
else:  # imported when the first interactive picture is drawn
    PlotCollection = Any

WIDTH = 900
LINE = 18  # dots for each name down an axis
GREY = "#888888"
MARGIN = 0.04
ABOVE = 30  # dots of plotly's buttons
GAP = 80  # dots between rows of panels, for the words around them
MARKERS = {
    "plotly": ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross"),
    "bokeh": ("circle", "square", "triangle", "diamond", "inverted_triangle", "plus"),
}
SIZES = {"plotly": 81, "bokeh": 9}  # of markers: an area, a diameter


@dataclass(frozen=True)
class Canvas:
    """A collection of panels, and how marks are drawn on them.

    Marks of one name share an entry of the legend, which hides and shows them.

    Parameters
    ----------
    backend : str
        "plotly" or "bokeh".
    collection : PlotCollection
    pen : module
        ArviZ's functions for this backend, such as ``line`` and ``yticks``.
    named : dict
        By the name of marks the panel whose legend has it.
    """

    backend: str
    collection: PlotCollection
    pen: Any
    named: dict[str, Any] = field(default_factory=dict)

    def panel(self, name: str, column: str | None = None) -> Any:
        """The panel of a variable."""
        found = self.collection.viz["plot"][variable(name)]
        return (found if column is None else found.sel(column=column)).item()

    def line(
        self, panel: Any, x: Any, y: Any, name: str = "", hover: str = "", **look: Any
    ) -> None:
        """A line; `hover` is what plotly shows for the point under the mouse."""
        self.pen.line(x, y, panel, **self._words(panel, name, hover), **look)

    def steps(
        self, panel: Any, x: Any, y: Any, name: str = "", hover: str = "", **look: Any
    ) -> None:
        """Steps: each value holds up to the next place."""
        words = self._words(panel, name, hover)
        self.pen.step(x, y, panel, step_mode="after", **words, **look)

    def points(
        self,
        panel: Any,
        x: Any,
        y: Any,
        number: int,
        name: str = "",
        says: Sequence[str] | np.ndarray = (),
        **look: Any,
    ) -> None:
        """Points with marker number `number`; plotly shows these words on hover."""
        known = MARKERS[self.backend]
        look = {"size": SIZES[self.backend], "marker": known[number % len(known)], **look}
        if len(says) and self.backend == "plotly":
            look |= {"text": list(says)}
        hover = "%{text}<extra></extra>" if len(says) else ""
        self.pen.scatter(x, y, panel, **self._words(panel, name, hover), **look)

    def bars(
        self, panel: Any, edges: Any, heights: Any, says: Sequence[str], name: str, **look: Any
    ) -> None:
        """Bars between edges."""
        if self.backend == "plotly":
            look |= {"text": list(says), "textposition": "none"}
        words = self._words(panel, name, "%{text}<extra></extra>")
        self.pen.hist(heights, edges[:-1], edges[1:], panel, **words, **look)

    def band(self, panel: Any, x: Any, low: Any, high: Any, name: str = "", **look: Any) -> None:
        """A band between two curves."""
        self.pen.fill_between_y(x, low, high, panel, **self._words(panel, name, ""), **look)

    def label(self, panel: Any, title: str = "", x: str = "", y: str = "") -> None:
        """Title and axis labels of a panel."""
        for write, words in ((self.pen.title, title), (self.pen.xlabel, x), (self.pen.ylabel, y)):
            if words:
                write(words, panel)

    def room(self, panel: Any, values: Any) -> None:
        """A horizontal axis on which no value touches the edge."""
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        low, high = float(known.min()), float(known.max())
        margin = MARGIN * ((high - low) or abs(high) or 1.0)
        self.pen.xlim((low - margin, high + margin), panel)

    def lines_down(self, panel: Any, names: Sequence[object]) -> None:
        """Names down the vertical axis, the first on top."""
        self.pen.yticks(list(range(len(names))), [str(name) for name in names], panel)
        self.pen.ylim((len(names) - 0.4, -0.6), panel)

    def finished(self) -> PlotCollection:
        """The collection with its legends."""
        if self.backend == "plotly":
            figure = self.collection.viz["figure"].item()
            top = 1 - ABOVE / figure.layout.height
            figure.update_layout(
                template="plotly_white",
                width=None,  # as wide as the cell of a notebook
                margin={"l": 60, "r": 20, "t": 3 * ABOVE if self.named else 2 * ABOVE, "b": 60},
                showlegend=bool(self.named),
                legend={"orientation": "h", "yref": "container", "y": top, "yanchor": "top"},
            )
        for panel in set(self.named.values()) if self.backend == "bokeh" else ():
            panel.legend.click_policy = "hide"
            panel.legend.background_fill_alpha = 0.7
            if len(self.collection.viz["plot"].data_vars) == 1:
                panel.add_layout(panel.legend[0], "right")  # off the data
        return self.collection

    def _words(self, panel: Any, name: str, hover: str) -> dict[str, Any]:
        """The options that give a mark its legend entry and its hover text."""
        first = name not in self.named
        if name:
            self.named.setdefault(name, panel)
        if self.backend == "bokeh":
            return {"legend_label": name} if name and self.named[name] is panel else {}
        words: dict[str, Any] = {"hovertemplate": hover} if hover else {"hoverinfo": "skip"}
        if name:
            words |= {"name": name, "legendgroup": name, "showlegend": first}
        return words


def apart(place: Any, low: Any, high: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lines from low to high at every place, as one line with gaps."""
    gap = np.full(len(place), np.nan)
    return np.repeat(place, 3), np.column_stack([low, high, gap]).ravel()


def variable(name: str) -> str:
    """A name as that of a variable in a DataTree, where a slash would be a path."""
    return name.replace("/", "\N{DIVISION SLASH}")


def new_canvas(
    backend: str, data: xr.Dataset, heights: Sequence[float], columns: int = 1
) -> Canvas:
    """Panels for every variable of a Dataset.

    Parameters
    ----------
    backend : str
    data : Dataset
        Its variables have a panel each; with a dimension "column" a row of them.
    heights : sequence of float
        Of the rows, in dots.
    columns : int
        In how many columns panels stand, where there is no such dimension.
    """
    from arviz_plots import PlotCollection

    data = data.rename({name: variable(str(name)) for name in data.data_vars})
    pen = import_module(f"arviz_plots.backend.{backend}")
    total = sum(heights) + GAP * (len(heights) + 1)
    figure: dict[str, Any] = {"figsize": (WIDTH, total), "figsize_units": "dots"}
    if len(heights) > 1:
        figure["height_ratios"] = list(heights)
        figure |= {"vertical_spacing": GAP / total} if backend == "plotly" else {}
    if "column" in data.dims:
        collection = PlotCollection.grid(
            data, rows=["__variable__"], cols=["column"], backend=backend, figure_kwargs=figure
        )
    else:
        collection = PlotCollection.wrap(
            data, cols=["__variable__"], col_wrap=columns, backend=backend, figure_kwargs=figure
        )
    return Canvas(backend, collection, pen)
