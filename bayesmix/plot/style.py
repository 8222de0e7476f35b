"""How components look, and the axes they are drawn on."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.errors import FitError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
else:  # matplotlib is imported when the first picture is drawn
    Axes = Line2D = Any

# Okabe and Ito (2008), without the yellow that is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (8, 3)))
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++")
COLUMNS = 4
WIDTH, HEIGHT = 8.2, 4.8  # of new axes with a legend beside them, in inches
LETTERS = 11  # of a tick label on an inch
SLANTED = 5  # slanted labels on an inch
LEGEND_LINE = 15  # points


def colour(s: int) -> str:
    """Colour of the component at position s."""
    return COLOURS[s % len(COLOURS)]


def marker(s: int) -> str:
    """Marker of the component at position s."""
    return MARKERS[s % len(MARKERS)]


def line_style(s: int) -> Any:
    """Line style number s."""
    return LINES[s % len(LINES)]


def hatch(s: int) -> str:
    """Hatch of the component at position s."""
    return HATCHES[s % len(HATCHES)]


def entry(label: str, **look: Any) -> Line2D:
    """An entry of a legend; a marker without a line unless `look` has a line style."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"linestyle": "none", **look})


def lines_down(ax: Axes, names: Iterable[object], **look: Any) -> None:
    """Names down the vertical axis, the first on top."""
    labels = [str(name) for name in names]
    ax.set_yticks(range(len(labels)), labels=labels, **look)
    ax.set_ylim(len(labels) - 0.4, -0.6)


def level_ticks(ax: Axes, levels: Sequence[object]) -> None:
    """Levels of a factor along the axis; slanted or upright where they would overlap."""
    labels = [str(level) for level in levels]
    inches = ax.bbox.width / ax.figure.dpi
    look: dict[str, Any] = {}
    if len(labels) * (max(map(len, labels)) + 2) > LETTERS * inches:
        look = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    if len(labels) > SLANTED * inches:
        look = {"rotation": 90, "fontsize": 8}
    ax.set_xticks(range(len(labels)), labels=labels, **look)
    ax.set_xlim(-0.5, len(labels) - 0.5)


def beside(new: bool) -> dict[str, Any]:
    """Where a legend stands: right of new axes, off the points; inside those of others."""
    outside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
    return outside if new else {"loc": "best"}


def note(ax: Axes, words: Sequence[object], above: int = 0) -> None:
    """A small note above the axes, such as what is held; `above` is the legend's lines there."""
    if words:
        text = textwrap.fill(", ".join(map(str, words)), 70)
        pad: dict[str, Any] = {"pad": 6 + LEGEND_LINE * above} if above else {}
        ax.set_title(text, loc="left", fontsize="small", **pad)


def with_legend(ax: Any, height: float = HEIGHT) -> tuple[Axes, Callable[..., Any]]:
    """The axes given, or new ones with room for a legend, and the function that draws it."""
    shown = one_axes(ax, (WIDTH, height))
    return shown, partial(shown.legend, fontsize="small", **beside(ax is None))


def one_axes(ax: Any, size: tuple[float, float] | None = None) -> Axes:
    """The axes given, or new ones, of a size (width, height) in inches.

    Raises
    ------
    FitError
        If `ax` is not a single matplotlib Axes.
    """
    from matplotlib.axes import Axes

    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(layout="constrained", figsize=size)[1]
    if not isinstance(ax, Axes):
        raise FitError(f"ax= takes one matplotlib Axes here, not {_kind(ax)}")
    return ax


def panels(ax: Any, n: int, what: str, *, share_x: bool = True, share_y: bool = True) -> np.ndarray:
    """The n axes given, or new ones side by side that share their scales.

    Parameters
    ----------
    ax : Axes, array of Axes, or None
    n : int
    what : str
        What there is one panel for.
    share_x, share_y : bool
        Whether new ones share these scales.

    Returns
    -------
    ndarray of Axes, shape (n,)

    Raises
    ------
    FitError
        If `ax` does not hold n axes.
    """
    from matplotlib.axes import Axes

    if ax is None:
        return _new_panels(n, share_x, share_y)
    given = np.ravel(np.asarray(ax, dtype=object))
    if given.size != n or not all(isinstance(a, Axes) for a in given):
        need = "one matplotlib Axes" if n == 1 else f"an array of {n} matplotlib Axes"
        raise FitError(
            f"ax= needs {need}, {what}; given {_kind(ax)}. "
            f"Make them with plt.subplots(1, {n}), or leave ax= out."
        )
    return given


def _new_panels(n: int, share_x: bool, share_y: bool) -> np.ndarray:
    import matplotlib.pyplot as plt

    columns = min(n, COLUMNS)
    size = max(4.0, 2.6 * columns), 0.6 + 2.6 * math.ceil(n / columns)
    figure = plt.figure(figsize=size, layout="constrained")
    axes = in_lines(figure, n, columns, sharex=share_x, sharey=share_y)
    for above in axes[-columns:]:
        above.xaxis.set_tick_params(labelbottom=True)
    return axes


def in_lines(figure: Any, n: int, columns: int, **share: bool) -> np.ndarray:
    """New axes on a figure, in lines of so many."""
    grid = figure.subplots(math.ceil(n / columns), columns, squeeze=False, **share)
    for spare in grid.flat[n:]:
        spare.remove()
    return np.asarray(grid.ravel()[:n])


def _kind(ax: Any) -> str:
    if isinstance(ax, (np.ndarray, list, tuple)):
        return f"{type(ax).__name__} of {np.size(np.asarray(ax, dtype=object))}"
    return type(ax).__name__
