"""Criteria along the number of components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import Selection
from bayesmix.comparison.scores import CRITERIA
from bayesmix.errors import FitError
from bayesmix.plot.picture import picture
from bayesmix.plot.style import Axes, colour, entry, line_style, marker, with_legend

KNOWN = ("bic", "icl", "aic", "bic_units")


@picture
def selection(
    selected: Selection, criteria: Sequence[str] = ("bic", "icl", "aic"), ax: Axes | None = None
) -> Axes:
    """Draw criteria along the number of components, the chosen numbers ringed.

    Smaller is better.  A hollow marker is a fit with another status than "converged".  A
    degenerate fit is never chosen, and has no marker if its criterion is not finite.

    Parameters
    ----------
    selected : Selection
        Made by `select`.
    criteria : sequence of str
        Some of "bic", "icl", "aic" and "bic_units".
    ax : Axes, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If `selected` is not a Selection, or a criterion is unknown.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=2,
    ...                    fixed="~ Treatment")
    >>> ax = bmx.plot.selection(bmx.select(spec, k=range(1, 5), seed=1))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['BIC: 3 components', 'ICL: 3 components', 'AIC: 4 components', 'chosen']
    """
    wanted = [criteria] if isinstance(criteria, str) else list(criteria)
    unknown = [c for c in wanted if c not in KNOWN]
    if unknown or not wanted:
        raise FitError(f"criteria={unknown or wanted!r}: use some of {list(KNOWN)}")
    ax, legend = with_legend(ax)
    table = selected.table
    for number, by in enumerate(wanted):
        _draw(ax, selected, table, by, number)
    ax.set_xticks(table["k0"])
    ax.set_xlabel("number of components requested")
    ax.set_ylabel("criterion (smaller is better)")
    ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": "black"}
    handles = [*ax.get_legend_handles_labels()[0], entry("chosen", marker="o", **ring)]
    if not table["converged"].all():
        look = {"marker": "o", "markerfacecolor": "white", "color": "0.2"}
        handles.append(entry("other status than converged", **look))
    legend(handles=handles, handlelength=3.2)
    return ax


def _draw(ax: Axes, selected: Any, table: pd.DataFrame, by: str, number: int) -> None:
    """A curve, its markers, and a ring around the best."""
    order = np.argsort(table["k0"].to_numpy(), kind="stable")
    k = table["k0"].to_numpy()[order]
    values = np.array([getattr(selected[n], by) for n in k], dtype=float)
    shown = np.isfinite(values)
    sound = table["converged"].to_numpy()[order]
    best = next(n for n in k if selected[n] is selected.best(by))
    look: dict[str, Any] = {"color": colour(number), "marker": marker(number)}
    words = f"{CRITERIA[by].title}: {best} component{'s' if best > 1 else ''}"
    ax.plot(k[shown], values[shown], linestyle=line_style(number), label=words, **look)
    for at in np.flatnonzero(shown & ~sound):
        ax.plot(k[at], values[at], markerfacecolor="white", linestyle="none", gid="hollow", **look)
    ring: dict[str, Any] = {"marker": "o", "markersize": 17, "markeredgecolor": "black"}
    ring |= {"markerfacecolor": "none", "linestyle": "none", "gid": "ring", "zorder": 1.9}
    ax.plot(best, values[k == best], **ring)
