"""Which library draws a picture: matplotlib, or one of ArviZ's interactive backends."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import numpy as np

from bayesmix._arguments import door
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError
from bayesmix.results.streaming import on_sample

KEYWORD = inspect.Parameter.KEYWORD_ONLY
# What every picture takes.
EXTRA = {
    "figsize": "tuple[float, float] | None",
    "title": "str | None",
    "backend": "str | None",
}
DOTS = 100  # of an inch on a screen
# Pictures of the estimates of one fit; others of data in blocks show a sample.
WITHOUT_ROWS = ("coefficients", "diagnostics")

# Backends of ArviZ, and the packages that each needs.
INTERACTIVE = {"plotly": ("plotly", "webcolors"), "bokeh": ("bokeh",)}
PICTURES = (
    "coefficients",
    "compare",
    "diagnostics",
    "estimates",
    "posterior_predictive",
    "prior_predictive",
    "states",
)


def interactive(backend: str | None, ax: Any) -> bool:
    """Whether an interactive picture is requested, and can be drawn.

    Raises
    ------
    FitError
        If the backend is unknown, not installed, or given together with `ax`.
    """
    if backend is None or _is_matplotlib(backend):
        return False
    if ax is not None:
        msg = f"ax= takes matplotlib's axes, which {backend} cannot draw on; leave out one of them"
        raise FitError(msg)
    missing = [name for name in INTERACTIVE[backend] if importlib.util.find_spec(name) is None]
    if missing:
        needs = " and ".join(missing)
        raise FitError(f"backend={backend!r} needs {needs}: pip install 'bayesmix[interactive]'")
    return True


def _is_matplotlib(backend: str | None) -> bool:
    if backend not in (None, "matplotlib", *INTERACTIVE):
        known = ", ".join(map(repr, ("matplotlib", *INTERACTIVE)))
        raise FitError(f"backend={backend!r} is unknown; use one of {known}")
    return backend not in INTERACTIVE


def picture[**P, R](draw: Callable[P, R]) -> Callable[P, R]:
    """The public side of a picture: its arguments are checked, and it takes a size and a title.

    Parameters
    ----------
    draw : callable
        One without ``backend=`` has no interactive form, and gets one that says so.
    """
    own = inspect.signature(draw)
    extra = [name for name in EXTRA if name not in own.parameters]

    @wraps(draw)
    def drawn(*args: Any, **given: Any) -> R:
        look = {name: given.pop(name, None) for name in ("figsize", "title")}
        if "backend" in extra and not _is_matplotlib(given.pop("backend", None)):
            raise FitError(
                f"{draw.__name__}() is drawn by matplotlib only; those with an interactive form "
                f"are {', '.join(PICTURES)}"
            )
        shown = own.bind(*args, **given)
        words = ""
        if draw.__name__ not in WITHOUT_ROWS:
            first = next(iter(shown.arguments))
            words = sample_words(shown.arguments[first])
            shown.arguments[first] = sampled(shown.arguments[first])
        found = draw(*shown.args, **shown.kwargs)
        _without_backquotes(found)
        _look(found, **look, new=shown.arguments.get("ax") is None)
        if words:
            _note(found, f"drawn from {words}")
        return found

    new = [inspect.Parameter(n, KEYWORD, default=None, annotation=EXTRA[n]) for n in extra]
    drawn.__signature__ = own.replace(parameters=[*own.parameters.values(), *new])  # type: ignore[attr-defined]
    return cast("Callable[P, R]", door(drawn, error=FitError))


def sampled(fit: Any) -> Any:
    """The fit, with a sample in place of rows that come in blocks."""
    if getattr(_rows(fit), "stream", None) is None:
        return fit
    made = on_sample(fit.numbers)
    return type(fit)(made, type(fit.point())(made.point)) if is_posterior(fit) else type(fit)(made)


def sample_words(fit: Any) -> str:
    """Which sample stands for rows in blocks; empty where all rows are there."""
    rows = _rows(fit)
    if getattr(rows, "stream", None) is None or rows.sample.n == rows.n:
        return ""
    return f"a sample of {rows.sample.n:,} of {rows.n:,} rows"


def _rows(fit: Any) -> Any:
    """The rows of a fit; None of other things."""
    return getattr(getattr(getattr(fit, "numbers", None), "spec", None), "rows", None)


def _note(found: Any, words: str) -> None:
    """Write below a picture which rows it shows; in the title of an interactive one."""
    if hasattr(found, "viz"):
        head = _head(found)
        head.text = f"{head.text} ({words})" if head.text else words
        return
    figure = np.ravel(np.asarray(found, dtype=object))[0].figure
    figure.text(0.99, 0.005, words, ha="right", va="bottom", fontsize="x-small")


def _look(found: Any, figsize: tuple[float, float] | None, title: str | None, *, new: bool) -> None:
    """Give a picture its size in inches and its title."""
    if figsize is None and title is None:
        return
    if hasattr(found, "viz"):  # one of ArviZ's collections
        _interactive_look(found, figsize, title)
        return
    axes = np.ravel(np.asarray(found, dtype=object))
    if figsize is not None and not new:
        raise FitError("figsize= is the size of a new picture; one drawn on ax= has its own")
    if figsize is not None:
        axes[0].figure.figure.set_size_inches(figsize)  # of a part of a figure, the whole
    if title is not None and (len(axes) == 1 or not new):
        axes[0].set_title(title)
    elif title is not None:
        axes[0].figure.figure.suptitle(title)


def _without_backquotes(found: Any) -> None:
    """Remove the backquotes that formulas need around names of columns."""
    axes = [ax for ax in np.ravel(np.asarray(found, dtype=object)) if hasattr(ax, "get_xlabel")]
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            names = getattr(axis.get_major_formatter(), "seq", None)
            if names is not None and any("`" in str(name) for name in names):
                axis.get_major_formatter().seq = [str(name).replace("`", "") for name in names]
        for text in ax.findobj(lambda artist: "`" in getattr(artist, "get_text", str)()):
            text.set_text(text.get_text().replace("`", ""))


def _interactive_look(found: Any, figsize: tuple[float, float] | None, title: str | None) -> None:
    if title is not None:
        _head(found).text = title
    if figsize is not None:
        figure = found.viz["figure"].item()
        whole = figure.layout if _is_plotly(figure) else figure
        whole.width, whole.height = (int(DOTS * side) for side in figsize)


def _is_plotly(figure: Any) -> bool:
    return hasattr(figure, "update_layout")


def _head(found: Any) -> Any:
    """What holds the title: plotly's figure, or the first of bokeh's panels."""
    figure = found.viz["figure"].item()
    if _is_plotly(figure):
        return figure.layout.title
    return next(iter(found.viz["plot"].data_vars.values())).values.flat[0].title
