"""Whether the chains of a posterior agree: R-hat, effective sample sizes, traces, ranks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import Posterior
from bayesmix.errors import FitError
from bayesmix.plot.picture import interactive, picture
from bayesmix.plot.ranks import RANK_BINS, rank_counts
from bayesmix.plot.style import Axes, colour, line_style, lines_down, marker, panels
from bayesmix.posterior.diagnostics import Diagnosis
from bayesmix.posterior.diagnostics.findings import ESS, R_HAT
from bayesmix.results.tables import KEYS, natural_values

MOST_ROWS = 30
MOST_POINTS = 1000
LOST_COLOUR = "0.45"
LEGEND_COLUMNS = 4
LINE = 0.16  # inches for each row of the tables


@picture
def diagnostics(
    posterior: Posterior, worst: int = 3, ax: Any = None, backend: str | None = None
) -> Any:
    """Draw whether the chains agree, after relabelling.

    First come R-hat and the effective sample sizes of every parameter, the worst on top; dotted
    lines mark the targets (at most 1.01, at least 400).  Then come traces of the log density,
    which does not depend on labels, and of the worst parameters.  Beside each trace are the ranks
    of the draws among those of all chains: chains that agree have about the same number in every
    bin, the grey line.  The colour of a chain is that of its mode, as `Posterior.diagnostics`
    finds it; shade and line style distinguish chains.  Grey chains are stuck or have lost a
    component.  A single chain has no R-hat and no ranks.

    Parameters
    ----------
    posterior : Posterior
    worst : int
        Number of parameters whose draws are shown.
    ax : array of Axes, or Figure, optional
        Two axes for the tables, and two (with one chain: one) for the log density and for each
        parameter shown; or an empty figure with a constrained layout.
    backend : {"matplotlib", "plotly", "bokeh"}, optional
        "plotly" and "bokeh" give an interactive picture with every draw.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional

    Returns
    -------
    ndarray of Axes, or of an interactive backend ArviZ's PlotCollection
        R-hat, effective sample sizes, then traces and ranks in turn.

    Raises
    ------
    FitError
        If there are no draws, if they are stacked and so are not chains, or if `ax` or `worst`
        does not fit.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3,
    ...                    fixed="~ Treatment")
    >>> posterior = spec.fit("nuts", draws=400, tune=400, seed=1, progress=False)
    >>> axes = bmx.plot.diagnostics(posterior, worst=1)
    >>> [ax.get_xlabel() for ax in axes]
    ['R-hat', 'effective sample size', 'draw', 'rank', 'draw', 'rank']
    """
    if posterior.method == "stacking":
        raise FitError(
            "stacked draws are not chains; draw diagnostics() of the posterior that was stacked, "
            "and estimates() of this one"
        )
    drawable = interactive(backend, ax)
    found = posterior.diagnostics()
    table = worst_first(found.table)
    draws = natural_values(posterior.numbers.spec, posterior.numbers.theta)
    keys = list(table[KEYS].itertuples(index=False, name=None))
    table = table.set_axis(labels(keys))
    there = [
        (name, draws[key]) for name, key in zip(table.index, keys, strict=True) if key in draws
    ]
    chains = len(posterior.numbers.theta)
    looks = chain_looks(found, chains)
    values = {"log density": posterior.numbers.log_density, **dict(there[:worst])}
    if drawable:
        from bayesmix.plot.interactive import draw_chains

        return draw_chains(str(backend), table.head(MOST_ROWS), values, looks)
    axes = _axes(ax, min(len(table), MOST_ROWS), len(values), ranks=chains > 1)
    _draw_table(axes[0], axes[1], table, posterior.khat, chains)
    each = axes[2:].reshape(len(values), -1)
    for line, (name, shown) in zip(each, values.items(), strict=True):
        _trace(line[0], name, shown, looks)
        if chains > 1:
            _ranks(line[1], name, shown, looks)
    if chains > 1:
        _legend(each[0, 1])
    return axes


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """Parameters sorted by how far they miss the targets; a fixed effect once."""
    table = table[~((table["effect"] == "fixed") & table.duplicated(["term", "effect"]))]
    least = table[["ess_bulk", "ess_tail"]].min(axis=1)
    far = np.fmax((table["r_hat"].to_numpy() - 1) / (R_HAT - 1), ESS / least.to_numpy())
    return table.iloc[np.argsort(-np.nan_to_num(far, nan=-1.0), kind="stable")]


def labels(keys: Iterable[tuple[Hashable, str, str]]) -> list[str]:
    """Parameters in words, such as "x, 2"; with their effect where two would be called alike."""
    keys = list(keys)
    short = [t if e == "fixed" or c == "all" else f"{t}, {c}" for c, t, e in keys]
    return [
        name if short.count(name) == 1 else f"{name} ({effect})"
        for name, (*_, effect) in zip(short, keys, strict=True)
    ]


def chain_looks(found: Diagnosis, chains: int) -> list[dict[str, Any]]:
    """Colour by mode, shade and line style within it, and label, of every chain."""
    from matplotlib.colors import to_rgb

    modes = found.modes or (0,) * chains
    out: list[dict[str, Any]] = []
    for chain, mode in enumerate(modes):
        number = modes[:chain].count(mode)
        base = np.array(to_rgb(LOST_COLOUR if mode < 0 else colour(mode)))
        light = 0.6 * number / max(modes.count(mode) - 1, 1)
        words = "no mode" if mode < 0 else f"mode {mode}"
        out.append(
            {
                "color": tuple(base + light * (1 - base)),
                "linestyle": line_style(number),
                "label": f"chain {chain}, {words}" if len(set(modes)) > 1 else f"chain {chain}",
            }
        )
    return out


def _draw_table(left: Axes, right: Axes, table: pd.DataFrame, khat: float, chains: int) -> None:
    """R-hat and effective sample sizes by parameter."""
    shown = table.head(MOST_ROWS)
    places = np.arange(len(shown))
    look: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    if shown["r_hat"].notna().any():
        left.plot(shown["r_hat"], places, marker=marker(0), color=colour(0), **look)
        left.axvline(R_HAT, color="0.4", linestyle=":", linewidth=1)
        left.set_xlim(left=min(0.999, left.get_xlim()[0]))
    else:
        words = "one chain: no R-hat" if chains == 1 else "no R-hat"
        words += f"\nPareto k-hat {khat:.2f}" if np.isfinite(khat) else ""
        left.text(0.5, 0.5, words, transform=left.transAxes, ha="center", va="center")
        left.set_xticks([])
    for number, (name, words) in enumerate((("ess_bulk", "bulk"), ("ess_tail", "tails"))):
        face = (colour(1), "white")[number]
        right.plot(
            shown[name],
            places,
            marker=marker(number + 1),
            color=colour(number + 1),
            markerfacecolor=face,
            label=words,
            **look,
        )
    right.axvline(ESS, color="0.4", linestyle=":", linewidth=1)
    right.set_xlim(left=0)
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0)}
    right.legend(fontsize=8, ncols=2, frameon=False, **above)
    for ax, words in ((left, "R-hat"), (right, "effective sample size")):
        ax.set_xlabel(words)
        lines_down(ax, shown.index, fontsize=8)
    right.tick_params(labelleft=False)
    if len(table) > len(shown):
        left.set_title(f"the worst {len(shown)} of {len(table)}", loc="left", fontsize="small")


def _trace(ax: Axes, name: str, values: np.ndarray, looks: Sequence[dict[str, Any]]) -> None:
    """Values (chain, draw) in their order, of long chains evenly spaced ones."""
    step = -(-values.shape[1] // MOST_POINTS)
    place = np.arange(0, values.shape[1], step)
    for chain, look in zip(values, looks, strict=True):
        plain = {key: value for key, value in look.items() if key != "linestyle"}
        ax.plot(place, chain[::step], linewidth=0.6, rasterized=len(place) > 500, **plain)
    ax.set_title(name, loc="left", fontsize="small")
    ax.set_xlabel("draw")
    ax.margins(x=0)


def _ranks(ax: Axes, name: str, values: np.ndarray, looks: Sequence[dict[str, Any]]) -> None:
    """How many draws of every chain have ranks within each of the bins."""
    counts, edges = rank_counts(values)
    for chain, look in zip(counts, looks, strict=True):
        ax.stairs(chain, edges, linewidth=1.3, baseline=None, **look)
    ax.axhline(values.shape[1] / RANK_BINS, color="0.6", linewidth=0.8, zorder=0)
    ax.set_ylim(bottom=0)
    ax.set_title(name, loc="left", fontsize="small")
    ax.set_xlabel("rank")
    ax.set_ylabel("draws", fontsize="small")
    ax.margins(x=0)


def _legend(ax: Axes) -> None:
    """Chains and their modes: above traces and ranks, or within the ranks given."""
    from matplotlib.figure import SubFigure

    look: dict[str, Any] = {"fontsize": 8, "handlelength": 2.6}
    if not isinstance(ax.figure, SubFigure):
        ax.legend(loc="lower left", ncols=2, **look)
        return
    handles, words = ax.get_legend_handles_labels()
    ax.figure.legend(handles, words, loc="outside upper center", ncols=LEGEND_COLUMNS, **look)


def _axes(ax: Any, rows: int, shown: int, *, ranks: bool) -> np.ndarray:
    """The axes given, or those of a figure: tables in a column, traces and ranks beside them."""
    from matplotlib.figure import FigureBase

    wide = 2 if ranks else 1
    if ax is not None and not isinstance(ax, FigureBase):
        return panels(ax, 2 + wide * shown, "two, then those of each parameter shown")
    if ax is None:
        import matplotlib.pyplot as plt

        height = max(1.0 + LINE * rows, 1.6 * shown + 0.6, 3.2)
        ax = plt.figure(figsize=(11.0, height), layout="constrained")
    tables, draws = ax.subfigures(1, 2, width_ratios=(5, 3 * wide))
    left = tables.subplots(1, 2)
    return np.concatenate([left, draws.subplots(shown, wide, squeeze=False).ravel()])
