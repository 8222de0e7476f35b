"""The ranks as pictures: a panel for each kind of model, a line for each quantity."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.trust.ranks import band, p_value

__all__ = ["ranks_picture"]

COLUMNS = 3


def ranks_picture(results: list[dict[str, Any]], level: float = 0.95) -> Figure:
    """The empirical distributions of ranks less the uniform one, with simultaneous bands.

    A quantity whose line leaves the band is red and named.

    Parameters
    ----------
    results : list of dict
        From `sbc.run`.
    level : float
        With which a quantity's whole line stays in its band where ranks are uniform.
    """
    rows = -(-len(results) // COLUMNS)
    figure, panels = plt.subplots(
        rows, COLUMNS, figsize=(9, 2.4 * rows), sharex=True, sharey=True, squeeze=False
    )
    for panel, found in zip(panels.ravel(), results, strict=False):
        _panel(panel, found, level)
    for panel in panels.ravel()[len(results) :]:
        panel.set_axis_off()
    figure.supxlabel("rank among the draws, as a share")
    figure.supylabel("share of data sets, less the uniform one")
    figure.tight_layout()
    return figure


def _panel(panel: Axes, found: dict[str, Any], level: float) -> None:
    draws, limits = found["draws"], band(found["sets"], found["draws"], level)
    points = limits.points
    panel.fill_between(
        points, limits.lower - points, limits.upper - points, color="0.85", step="mid", lw=0
    )
    outside = []
    for name, ranks in found["ranks"].items():
        counts = np.bincount(ranks, minlength=draws + 1)
        line = np.cumsum(counts)[:-1] / len(ranks) - points
        out = p_value(np.array(ranks), draws) < 1 - level
        outside += [name] if out else []
        panel.plot(points, line, color="C3" if out else "C0", lw=1.2 if out else 0.6)
    panel.set_title(f"{found['case']} ({found['sets']})", fontsize=8)
    panel.tick_params(labelsize=7)
    if outside:
        words = ", ".join(outside[:2]) + (" ..." if len(outside) > 2 else "")
        panel.text(0.02, 0.03, words, transform=panel.transAxes, fontsize=6, color="C3")
