"""Memberships: the rootogram, and the heat map of units by components."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.errors import FitError
from bayesmix.plot.picture import picture
from bayesmix.plot.style import Axes, colour, hatch, one_axes, panels

NAMES = 8  # of units on an inch
TICK_GAP = 0.17


@picture
def rootogram(
    fit: PointFit | Posterior,
    mark: Hashable = None,
    eps: float = 1e-4,
    bins: int | Sequence[float] = 10,
    ax: Any = None,
) -> np.ndarray:
    r"""Histograms of the memberships, one panel for each component.

    If n units have a membership in a bin, its bar has the height :math:`\sqrt{n}`; the axis is
    labelled with n.  Well-separated components have bars only at 0 and 1.

    Parameters
    ----------
    fit : PointFit or Posterior
        Memberships of a posterior are means over its draws.
    mark : component, optional
        Shade, in every panel, the units whose most probable component this is.
    eps : float
        Memberships up to `eps` are excluded, since most units would crowd at 0.
    bins : int or sequence of float
        Number of bins between 0 and 1, or their edges.
    ax : array of Axes, optional
        One for each component; a single Axes where there is one component.
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    ndarray of Axes, shape (k,)

    Raises
    ------
    FitError
        If `mark` is not a component, or `ax` and `bins` do not fit.

    References
    ----------
    Leisch (2004), Journal of Statistical Software 11(8), section 5.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3,
    ...                    fixed="~ Treatment")
    >>> axes = bmx.plot.rootogram(spec.fit("em", seed=1), mark=2)
    >>> [a.get_title() for a in axes]
    ['component 1', 'component 2', 'component 3']
    """
    edges = _edges(bins)
    if mark is not None and mark not in fit.components:
        raise FitError(f"mark={mark!r} is not a component; use one of {list(fit.components)}")
    members, weight = fit.membership(), fit.numbers.spec.rows.unit_weights
    own = members.to_numpy().argmax(1)
    at = 0 if mark is None else fit.components.index(mark)
    marked = None if mark is None else own == at
    look: dict[str, Any] = {"face": colour(at), "edge": "0.25", "hatch": hatch(at) or "//"}
    axes = panels(ax, fit.k, "one for each component")
    every = [_counts(members[c].to_numpy(), weight, edges, eps) for c in fit.components]
    most = max(1.0, *(counts.max() for counts in every))
    ticks = count_ticks(most)
    for panel, component, counts in zip(axes, fit.components, every, strict=True):
        _bars(panel, edges, counts, face="0.88", edge="0.25")
        if marked is not None:
            values = members[component].to_numpy()[marked]
            inside = _counts(values, weight[marked], edges, eps)
            _bars(panel, edges, inside, **look)
        panel.set_title(f"component {component}")
        panel.set_xlabel("membership")
        panel.set_xlim(edges[0] - 0.02, edges[-1] + 0.02)
        panel.set_xticks([0, 0.5, 1], labels=["0", "0.5", "1"])
        panel.set_ylim(0, (1.08 if mark is None else 1.22) * np.sqrt(most))  # room for the legend
        panel.set_yticks(np.sqrt(ticks), labels=[f"{t:g}" for t in ticks])
    axes[0].set_ylabel(f"units with membership > {eps:g}\n(square-root scale)")
    if mark is not None:
        from matplotlib.patches import Patch

        patch = Patch(facecolor=look["face"], edgecolor=look["edge"], hatch=look["hatch"])
        patch.set_label(f"most probable: {mark}")
        axes[at].legend(handles=[patch], loc="upper center", fontsize="small", framealpha=0.9)
    return axes


def _edges(bins: int | Sequence[float]) -> np.ndarray:
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool) and bins > 0:
        return np.linspace(0, 1, int(bins) + 1)
    edges = np.asarray(bins, dtype=float)
    good = edges.ndim == 1 and edges.size > 1 and (np.diff(edges) > 0).all()
    if not good or edges[0] > 0 or edges[-1] < 1:
        raise FitError(f"bins={bins!r}: a number of bins, or rising edges from 0 to 1")
    return edges


def _counts(values: np.ndarray, weight: np.ndarray, edges: np.ndarray, eps: float) -> np.ndarray:
    """Units in every bin, (bins,), counted with their weights."""
    shown = values > eps
    return np.histogram(np.clip(values[shown], 0, 1), bins=edges, weights=weight[shown])[0]


def _bars(
    ax: Axes, edges: np.ndarray, counts: np.ndarray, *, face: str, edge: str, **more: Any
) -> None:
    ax.bar(
        edges[:-1],
        np.sqrt(counts),
        width=np.diff(edges),
        align="edge",
        facecolor=face,
        edgecolor=edge,
        linewidth=0.8,
        **more,
    )


def count_ticks(most: float) -> list[float]:
    """A few round counts from 0 to the most that stand well apart on a square-root axis."""
    powers = range(len(f"{most:.0f}"))
    ticks = [0.0]
    for count in (n * 10.0**power for power in powers for n in (1, 2, 3, 5, 7)):
        if count <= most and count**0.5 >= ticks[-1] ** 0.5 + TICK_GAP * most**0.5:
            ticks.append(count)
    return ticks


@picture
def membership(fit: PointFit | Posterior, ax: Axes | None = None) -> Axes:
    """Heat map of the memberships, units by components.

    Units are sorted by their most probable component, and within it by how probable it is.
    Black is 1, white is 0.  Lines separate the clusters.

    Parameters
    ----------
    fit : PointFit or Posterior
        Memberships of a posterior are means over its draws.
    ax : Axes, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> bmx.plot.membership(spec.fit("em", seed=1)).get_xlabel()
    'component'
    """
    ax = one_axes(ax)
    members = fit.membership()
    values = members.to_numpy()
    cluster = values.argmax(1)
    ordered = members.iloc[np.lexsort((-values.max(1), cluster))]  # falling within a cluster
    sizes = np.bincount(cluster, minlength=fit.k)
    image = ax.imshow(
        ordered.to_numpy(),
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
    )
    ax.set_xticks(range(fit.k), labels=[str(c) for c in fit.components])
    ax.set_xlabel("component")
    for s, end in enumerate(np.cumsum(sizes)[:-1]):
        if sizes[s]:
            ax.axhline(end - 0.5, color=colour(0), linewidth=1.2)
    name = ordered.index.name
    what = f"{len(ordered)} units" if name is None else str(name)
    ax.set_ylabel(f"{what}, sorted by cluster")
    if len(ordered) <= NAMES * ax.bbox.height / ax.figure.dpi:
        labels = [str(u) for u in ordered.index]
        ax.set_yticks(range(len(ordered)), labels=labels, fontsize=8)
    ax.figure.colorbar(image, ax=ax, label="membership")
    return ax
