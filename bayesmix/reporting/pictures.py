"""Pictures of a report, as PNG with descriptions."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix import plot
from bayesmix.comparison import Comparison
from bayesmix.comparison.scores import CRITERIA
from bayesmix.errors import DataError, FitError
from bayesmix.reporting.blocks import Block, Picture, Words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
EFFECTS = ("fixed", "nested", "varying")
DPI = 144
LEGEND = 1.8  # inches beside axes


def coefficients_picture(fits: Mapping[str, Any]) -> Block:
    """Coefficients with their intervals, a panel for each term."""
    table = next(iter(fits.values())).summary()
    terms = list(dict.fromkeys(table[table["effect"].isin(EFFECTS)]["term"]))
    if not terms:
        return Words("There are no coefficients to draw.", "note")

    def draw(figure: Figure) -> str:
        axes = _grid(figure, len(terms), share_x=False)
        if len(fits) > 1:
            plot.estimates(fits, ax=axes)
        else:
            plot.coefficients(next(iter(fits.values())), ax=axes)
        return (
            f"Estimates and 95% intervals by component, a panel for each of {', '.join(terms)}; "
            "the numbers are in the table above."
        )

    return _picture("Coefficients with 95% intervals", draw, _size(len(terms), 0.6))


def comparison_picture(ranked: Comparison) -> Block:
    """How far every fit is behind the best by a criterion, with the errors of that."""

    def draw(figure: Figure) -> str:
        ax = plot.compare(ranked, ax=figure.subplots())
        behind = (f"{name} {d:.1f}" for name, d in ranked.table["difference"].dropna().items())
        return f"{ax.get_xlabel()}: {', '.join(behind)}."

    size = (6.6, 1.3 + 0.45 * len(ranked.table))
    title = CRITERIA[ranked.by].title
    errors = ", with one and two standard errors" if "se_difference" in ranked.table else ""
    return _picture(f"Differences to the best by {title}{errors}", draw, size)


def rootogram_picture(name: str, fit: Any) -> Block:
    """Histograms of the memberships."""

    def draw(figure: Figure) -> str:
        plot.rootogram(fit, ax=_grid(figure, fit.k, share_x=True))
        counts = fit.membership().idxmax(axis=1).value_counts()
        sizes = ", ".join(f"{int(counts.get(c, 0))} in {c}" for c in fit.components)
        return (
            "Histograms of the memberships, a panel for each component. Units by most probable "
            f"component: {sizes}."
        )

    caption = f"Memberships of {name}: bars at 0 and 1 only are clear-cut"
    return _picture(caption, draw, _size(fit.k, 0.4))


def weights_picture(name: str, fit: Any) -> Block:
    """Weights along a concomitant."""

    def draw(figure: Figure) -> str:
        ax = plot.mixing(fit, ax=figure.subplots())
        return f"Weights of the {fit.k} components along {ax.get_xlabel()}."

    return _picture(f"Weights of the components of {name}", draw, (5.6, 3.8))


def profile_picture(name: str, fit: Any) -> Block:
    """Probabilities of levels, and means, by component."""

    def draw(figure: Figure) -> str:
        blocks = fit.numbers.spec.layout.blocks
        both = len({bool(f.levels) for block in blocks for f in block.families}) > 1
        axes = plot.profile(fit, ax=figure.subplots(1, 2) if both else figure.subplots())
        first = np.atleast_1d(np.asarray(axes)).flat[0]
        labels = [label.get_text() for label in first.get_xticklabels()]
        return f"For each of {fit.k} components: {', '.join(labels)}, with 95% intervals."

    return _picture(f"Responses by component ({name})", draw, (6.6, 4.4))


def curves_picture(name: str, fit: Any, response: str) -> Block:
    """The data of a response and the components' means."""

    def draw(figure: Figure) -> str:
        ax = plot.fitted(fit, response=response, ax=figure.subplots())
        held = ax.get_title(loc="left")
        return (
            f"{ax.get_ylabel()} against {ax.get_xlabel()}: points by most probable component, and "
            f"the mean of each of {fit.k} components" + (f", at {held}." if held else ".")
        )

    caption = f"{response}: data and means of the components of {name}"
    return _picture(caption, draw, (6.6, 4.4))


def states_picture(name: str, fit: Any) -> Block:
    """Probabilities of competing events over time, beside the Aalen-Johansen estimate."""

    def draw(figure: Figure) -> str:
        ax: Any = plot.states(fit, ax=figure.subplots())
        return (
            f"Probability of each of {', '.join(map(str, fit.components))} and of no event, along "
            f"{ax.get_xlabel()}: the model's with a 95% band, and Aalen-Johansen's as steps."
        )

    return _picture(f"Probabilities of the events over time ({name})", draw, (6.6, 4.6))


def survival_picture(name: str, fit: Any, response: str) -> Block:
    """Survival curves of a mixture, beside the Kaplan-Meier estimate."""

    def draw(figure: Figure) -> str:
        ax: Any = plot.survival(fit, response=response, ax=figure.subplots())
        return (
            f"Probability of no event along {ax.get_xlabel()}: the model's with a 95% band, "
            "Kaplan-Meier's as steps, and the components' own."
        )

    return _picture(f"Survival curve of {response} ({name})", draw, (6.6, 4.6))


def diagnostics_picture(name: str, fit: Any) -> Block:
    """R-hat, effective sample sizes, traces and ranks of a posterior's chains."""

    def draw(figure: Figure) -> str:
        axes = plot.diagnostics(fit, worst=2, ax=figure)
        shown = ", ".join(dict.fromkeys(ax.get_title(loc="left") for ax in axes[2:]))
        return (
            "R-hat and effective sample sizes of every parameter, the worst on top, and traces of "
            f"{shown}; the smallest and largest numbers are in the table above."
        )

    return _picture(f"The chains of {name} after relabelling", draw, (10.0, 5.2))


def _picture(
    caption: str, draw: Callable[[Figure], str], size: tuple[float, float]
) -> Picture | Words:
    """Draw on a figure that pyplot does not know; an error becomes a note."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    try:
        alt = draw(figure)
    except (DataError, FitError) as error:
        return Words(f"No picture: {error}", "note")
    _move_legend(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return Picture(caption, " ".join(alt.split()), file.getvalue())


def _move_legend(figure: Figure) -> None:
    """Put a legend within single axes beside them, off what is drawn, in a wider figure."""
    axes = figure.axes[0]
    legend = axes.get_legend()
    if len(figure.axes) > 1 or legend is None or legend.get_bbox_to_anchor() is not axes.bbox:
        return
    legend.set_loc("upper left")
    legend.set_bbox_to_anchor((1.0, 1.0), transform=axes.transAxes)
    legend.set_frame_on(False)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + LEGEND, height)


def _size(n: int, words: float) -> tuple[float, float]:
    """Of n panels in lines of three, with inches for words below them."""
    return 2.9 * min(n, COLUMNS) + 0.6, words + 2.5 * math.ceil(n / COLUMNS)


def _grid(figure: Figure, n: int, *, share_x: bool) -> np.ndarray:
    """Axes in lines of three."""
    columns = min(n, COLUMNS)
    grid = figure.subplots(
        math.ceil(n / columns), columns, sharex=share_x, sharey=True, squeeze=False
    )
    for spare in grid.flat[n:]:
        spare.remove()
    return grid.ravel()[:n]
