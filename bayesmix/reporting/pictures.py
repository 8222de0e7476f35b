"""Pictures of a report, as PNG with descriptions."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate

import numpy as np

from bayesmix import plot
from bayesmix.comparison import Comparison
from bayesmix.comparison.scores import CRITERIA
from bayesmix.errors import DataError, FitError
from bayesmix.plot.style import in_lines
from bayesmix.reporting.blocks import Block, Picture, Words
from bayesmix.results.smooths import COEFFICIENTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
DPI = 144
LEGEND = 1.8  # inches beside axes


def _picture[**P](
    width: float = 6.6, height: float = 4.4
) -> Callable[[Callable[Concatenate[Figure, P], tuple[str, str] | Words]], Callable[P, Block]]:
    """Make a block of a function that draws on a figure and gives a caption and a description.

    The figure is one that pyplot does not know.  An error becomes a note.
    """

    def made(draw: Callable[Concatenate[Figure, P], tuple[str, str] | Words]) -> Callable[P, Block]:
        @wraps(draw)
        def block(*args: P.args, **kwargs: P.kwargs) -> Block:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(width, height), layout="constrained")
            try:
                drawn = draw(figure, *args, **kwargs)
            except (DataError, FitError) as error:
                drawn = Words(f"No picture: {error}", "note")
            if isinstance(drawn, Words):
                return drawn
            _move_legend(figure)
            file = io.BytesIO()
            figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
            return Picture(drawn[0], " ".join(drawn[1].split()), file.getvalue())

        return block

    return made


@_picture()
def coefficients_picture(figure: Figure, fits: Mapping[str, Any]) -> tuple[str, str] | Words:
    """Coefficients with their intervals, a panel for each term."""
    table = next(iter(fits.values())).summary()
    terms = list(dict.fromkeys(table[table["effect"].isin(COEFFICIENTS)]["term"]))
    if not terms:
        return Words("There are no coefficients to draw.", "note")
    axes = _grid(figure, len(terms), 0.6, share_x=False)
    if len(fits) > 1:
        plot.estimates(fits, ax=axes)
    else:
        plot.coefficients(next(iter(fits.values())), ax=axes)
    return "Coefficients with 95% intervals", (
        f"Estimates and 95% intervals by component, a panel for each of {', '.join(terms)}; "
        "the numbers are in the table above."
    )


@_picture()
def comparison_picture(figure: Figure, ranked: Comparison) -> tuple[str, str]:
    """How far every fit is behind the best by a criterion, with the errors of that."""
    figure.set_figheight(1.3 + 0.45 * len(ranked.table))
    ax = plot.compare(ranked, ax=figure.subplots())
    behind = (f"{name} {d:.1f}" for name, d in ranked.table["difference"].dropna().items())
    title = CRITERIA[ranked.by].title
    errors = ", with one and two standard errors" if "se_difference" in ranked.table else ""
    caption = f"Differences to the best by {title}{errors}"
    return caption, f"{ax.get_xlabel()}: {', '.join(behind)}."


@_picture()
def rootogram_picture(figure: Figure, name: str, fit: Any) -> tuple[str, str]:
    """Histograms of the memberships."""
    plot.rootogram(fit, ax=_grid(figure, fit.k, 0.4, share_x=True))
    counts = fit.membership().idxmax(axis=1).value_counts()
    sizes = ", ".join(f"{int(counts.get(c, 0))} in {c}" for c in fit.components)
    return f"Memberships of {name}: bars at 0 and 1 only are clear-cut", (
        "Histograms of the memberships, a panel for each component. Units by most probable "
        f"component: {sizes}."
    )


@_picture(5.6, 3.8)
def weights_picture(figure: Figure, name: str, fit: Any) -> tuple[str, str]:
    """Weights along a concomitant."""
    ax = plot.mixing(fit, ax=figure.subplots())
    alt = f"Weights of the {fit.k} components along {ax.get_xlabel()}."
    return f"Weights of the components of {name}", alt


@_picture()
def profile_picture(figure: Figure, name: str, fit: Any) -> tuple[str, str]:
    """Probabilities of levels, and means, by component."""
    blocks = fit.numbers.spec.layout.blocks
    both = len({bool(f.levels) for block in blocks for f in block.families}) > 1
    axes = plot.profile(fit, ax=figure.subplots(1, 2) if both else figure.subplots())
    first = np.atleast_1d(np.asarray(axes)).flat[0]
    labels = [label.get_text() for label in first.get_xticklabels()]
    alt = f"For each of {fit.k} components: {', '.join(labels)}, with 95% intervals."
    return f"Responses by component ({name})", alt


@_picture()
def curves_picture(figure: Figure, name: str, fit: Any, response: str) -> tuple[str, str]:
    """The data of a response and the components' means."""
    ax = plot.fitted(fit, response=response, ax=figure.subplots())
    held = ax.get_title(loc="left")
    return f"{response}: data and means of the components of {name}", (
        f"{ax.get_ylabel()} against {ax.get_xlabel()}: points by most probable component, and "
        f"the mean of each of {fit.k} components" + (f", at {held}." if held else ".")
    )


@_picture(6.6, 4.6)
def states_picture(figure: Figure, name: str, fit: Any) -> tuple[str, str]:
    """Probabilities of competing events over time, beside the Aalen-Johansen estimate."""
    ax: Any = plot.states(fit, ax=figure.subplots())
    return f"Probabilities of the events over time ({name})", (
        f"Probability of each of {', '.join(map(str, fit.components))} and of no event, along "
        f"{ax.get_xlabel()}: the model's with a 95% band, and Aalen-Johansen's as steps."
    )


@_picture(6.6, 4.6)
def survival_picture(figure: Figure, name: str, fit: Any, response: str) -> tuple[str, str]:
    """Survival curves of a mixture, beside the Kaplan-Meier estimate."""
    ax: Any = plot.survival(fit, response=response, ax=figure.subplots())
    return f"Survival curve of {response} ({name})", (
        f"Probability of no event along {ax.get_xlabel()}: the model's with a 95% band, "
        "Kaplan-Meier's as steps, and the components' own."
    )


@_picture(10.0, 5.2)
def diagnostics_picture(figure: Figure, name: str, fit: Any) -> tuple[str, str]:
    """R-hat, effective sample sizes, traces and ranks of a posterior's chains."""
    axes = plot.diagnostics(fit, worst=2, ax=figure)
    shown = ", ".join(dict.fromkeys(ax.get_title(loc="left") for ax in axes[2:]))
    return f"The chains of {name} after relabelling", (
        "R-hat and effective sample sizes of every parameter, the worst on top, and traces of "
        f"{shown}; the smallest and largest numbers are in the table above."
    )


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


def _grid(figure: Figure, n: int, words: float, *, share_x: bool) -> np.ndarray:
    """Axes in lines of three, with inches for words below them."""
    columns, lines = min(n, COLUMNS), math.ceil(n / COLUMNS)
    figure.set_size_inches(2.9 * columns + 0.6, words + 2.5 * lines)
    return in_lines(figure, n, columns, sharex=share_x, sharey=True)
