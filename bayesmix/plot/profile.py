"""Item probabilities or means by class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.plot.bands import draw_band, estimate_and_limits
from bayesmix.plot.curves import component_handles
from bayesmix.plot.grid import covariates_of, hold, new_rows, one_of
from bayesmix.plot.picture import picture
from bayesmix.plot.style import (
    Axes,
    colour,
    level_ticks,
    line_style,
    marker,
    note,
    one_axes,
    panels,
)
from bayesmix.results.at import At
from bayesmix.results.means import Cell, cells_of, mean_cells, mean_scale, observed_response

WHAT = "one for the probabilities and one for the means"
# How far apart the classes' intervals stand at an item.
APART = 0.3
ENTRY = 2.3  # inches of an entry of the legend


@picture
def profile(
    fit: PointFit | Posterior,
    *,
    at: Mapping[str, Any] | None = None,
    standardise: bool = False,
    ci: float | None = 0.95,
    ax: Any = None,
) -> Axes | np.ndarray:
    """Draw the items' probabilities or means, a line for each class.

    If a model has both probabilities and means, each kind has a panel.  An item with two levels
    shows the probability of the second; an item with more levels shows that of each.

    Parameters
    ----------
    fit : PointFit or Posterior
        A fit with one or several responses, such as those of `bmx.items`.
    at : dict of str to object, optional
        Values at which the items' covariates are held, in place of the median or the first level.
    standardise : bool
        Whether to subtract the mean of each item's responses from its means and divide by their
        standard deviation, so that items in different units share an axis.
    ci : float or None
        Coverage of the confidence or credible intervals; None draws none.
    ax : Axes, optional
        An array of two if there are both probabilities and means.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes
        Or an array of two, the probabilities first.

    Raises
    ------
    FitError
        If a name in `at` is not a covariate of the items, or a family has no mean.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayesmix as bmx
    >>> rng = np.random.default_rng(1)
    >>> able = rng.random(200) < 0.4
    >>> right = rng.random((200, 4)) < np.where(able, 0.9, 0.3)[:, None]
    >>> data = pd.DataFrame(right.astype(int), columns=["A", "B", "C", "D"])
    >>> fit = bmx.Mixture(bmx.items(list("ABCD"), family="binomial"), data, k=2).fit("em", seed=1)
    >>> ax = bmx.plot.profile(fit)
    >>> ax.get_ylabel(), [label.get_text() for label in ax.get_xticklabels()]
    ('probability', ['A', 'B', 'C', 'D'])
    """
    spec = fit.numbers.spec
    row, held = _row(spec, at or {})
    rows = spec.apply(row, response=False, weights=False).blocks
    cells = [(b, cell) for b in spec.layout.blocks for cell in cells_of(b, "mean")]
    shown = np.array([_is_shown(b, cell) for b, cell in cells])
    cells = [cell for cell, here in zip(cells, shown, strict=True) if here]
    shift, scale = _units(spec, cells) if standardise else (0.0, 1.0)

    def means(theta: np.ndarray) -> np.ndarray:
        pairs = zip(spec.layout.blocks, rows, strict=True)
        found = np.concatenate([mean_cells(At(b, data, theta)) for b, data in pairs])[:, 0]
        return found[shown]

    scales = [mean_scale(block) for block, _ in cells]
    center, limits = estimate_and_limits(fit, means, ci, scales)
    center = (center - shift) / scale
    kinds = np.array([_label(block, standardise) for block, _ in cells])
    wanted = sorted(set(kinds), key=lambda kind: kind != PROBABILITY)
    axes = [one_axes(ax)] if len(wanted) == 1 else panels(ax, 2, WHAT, share_x=False, share_y=False)
    for one, kind in zip(axes, wanted, strict=True):
        at_kind = kinds == kind
        ends = None if limits is None else [((end - shift) / scale)[at_kind] for end in limits]
        here = [cell for (_, cell), kept in zip(cells, at_kind, strict=True) if kept]
        _draw(one, fit, here, center[at_kind], ends)
        one.set_ylabel(kind)
        if kind == PROBABILITY:
            one.set_ylim(-0.03, 1.03)
    _finish(axes[0], fit, held)
    return axes[0] if len(wanted) == 1 else np.asarray(axes)


PROBABILITY = "probability"


def _label(block: Any, standardise: bool) -> str:
    if mean_scale(block) == "logit":
        return PROBABILITY
    return "standardised mean" if standardise else "mean"


def _is_shown(block: Any, cell: Cell) -> bool:
    """Whether a number is shown: the first of two probabilities is not."""
    family = block.families[0]
    outputs = family.outputs
    return bool(family.columns) or len(outputs) != 2 or cell.output == outputs[1]


def _row(spec: Any, at: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """One row of new data, and what its covariates are held at."""
    data = spec.prepared.data
    known = covariates_of((d for part in spec.prepared.parts for d in part.designs), data)
    for name in at:
        one_of(name, known.names, "at")
    held = hold(known.names, known, spec, at)
    return new_rows(spec, 1, {h.name: h.value for h in held}), [str(h) for h in held]


def _units(spec: Any, cells: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each item (cells, 1), weighted by the case weights."""
    found = []
    rows = dict(zip((b.name for b in spec.layout.blocks), spec.rows.blocks, strict=True))
    for layout, cell in cells:
        block = rows[cell.response]
        if mean_scale(layout) == "logit":
            found.append((0.0, 1.0))
            continue
        y = observed_response(block)
        weight = spec.rows.row_weights
        if y.ndim > 1:
            y = y[:, layout.columns.index(cell.output)]
        y, weight = y[~np.isnan(y)], weight[~np.isnan(y)]
        middle = np.average(y, weights=weight)
        spread = np.sqrt(np.average((y - middle) ** 2, weights=weight))
        found.append((middle, spread or 1.0))
    mean, deviation = np.array(found).T[..., None]
    return mean, deviation


def _draw(ax: Axes, fit: Any, cells: list[Cell], center: np.ndarray, limits: Any) -> None:
    """A line of every class over the items, with gaps around those of several levels."""
    columns = {c for block in fit.numbers.spec.layout.blocks for c in block.families[0].columns}
    cells = [Cell(str(cell.output)) if cell.output in columns else cell for cell in cells]
    names = [cell.response.strip("`") for cell in cells]
    levels = [
        f"{name}: {cell.output}" if cell.output != "" else name
        for name, cell in zip(names, cells, strict=True)
    ]
    several = [names.count(name) > 1 for name in names]
    breaks = [
        j
        for j in range(1, len(names))
        if names[j] != names[j - 1] and (several[j] or several[j - 1])
    ]
    place = np.arange(float(len(names)))
    for s in range(fit.k):
        moved = place + APART * ((s + 0.5) / fit.k - 0.5)
        look: dict[str, Any] = {"marker": marker(s), "linestyle": line_style(s), "zorder": 3}
        line = np.insert(moved, breaks, np.nan), np.insert(center[:, s], breaks, np.nan)
        ax.plot(*line, color=colour(s), **look)
        if limits is not None:
            draw_band(ax, moved, (limits[0][:, s], limits[1][:, s]), colour(s), bars=True)
    level_ticks(ax, levels)
    ax.grid(axis="x", alpha=0.3)


def _finish(ax: Axes, fit: Any, held: list[str]) -> None:
    """A legend above the axes, where it covers no interval, and what is held."""
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False}
    wide = max(1, int(ax.bbox.width / ax.figure.dpi / ENTRY))
    handles = component_handles(fit, lines=True)
    ax.legend(handles=handles, ncols=wide, fontsize="small", handlelength=3.2, **above)
    note(ax, held, math.ceil(fit.k / wide))
