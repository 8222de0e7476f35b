"""Memberships of three components in a triangle."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.errors import FitError
from bayesmix.plot.picture import picture
from bayesmix.plot.style import Axes, colour, entry, marker, one_axes

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
MESH = 40  # units within 1 / MESH of each other are one marker
SMALLEST, LARGEST = 14.0, 500.0  # areas of markers
SHOWN = tuple(n * 10**power for power in range(7) for n in (1, 2, 5))


@picture
def ternary(fit: PointFit | Posterior, ax: Axes | None = None) -> Axes:
    """Draw the memberships of three components in a triangle.

    A corner means a membership of 1 in its component, the middle of a side a membership of 1/2
    in two components.  Units with nearly the same memberships (to 1/40) are one marker; its area
    grows with their number.  It has the colour and shape of the most probable component, which
    changes at the dotted lines.

    Parameters
    ----------
    fit : PointFit or Posterior
        With three components.  Memberships of a posterior are their means over the draws.
    ax : Axes, optional
    figsize : (float, float), optional
        Width and height of a new picture in inches.
    title : str, optional
    backend : str, optional
        Only "matplotlib": there is no interactive form.

    Returns
    -------
    Axes

    Raises
    ------
    FitError
        If there are not three components.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("betablocker")
    >>> spec = bmx.Mixture("p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3,
    ...                    fixed="~ Treatment")
    >>> ax = bmx.plot.ternary(spec.fit("em", seed=1))
    >>> [text.get_text() for text in ax.texts]
    ['component 1', 'component 2', 'component 3']
    """
    if fit.k != 3:
        msg = f"ternary() draws three components, and this fit has {fit.k}; use membership()"
        raise FitError(msg)
    ax = one_axes(ax)
    _triangle(ax, fit)
    members = fit.membership().to_numpy(dtype=float)
    place, count, own = grouped(members, fit.numbers.spec.rows.unit_weights)
    for s in range(3):
        at = own == s
        areas = _areas(count[at], float(count.max()))
        x, y = place[at].T
        ax.scatter(x, y, areas, colour(s), marker=marker(s), alpha=0.75, zorder=3)
    _legend(ax, float(count.max()))
    return ax


def grouped(members: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units with nearly the same memberships together.

    Parameters
    ----------
    members : ndarray, shape (U, 3)
    weight : ndarray, shape (U,)

    Returns
    -------
    place (m, 2), count (m,), component (m,)
        Their mean place in the triangle, how many they are, and the position of the
        most probable component.
    """
    own = members.argmax(1)
    cell = np.column_stack([np.rint(members * MESH).astype(int), own])
    _, group = np.unique(cell, axis=0, return_inverse=True)
    count = np.bincount(group, weight)
    xy = members @ CORNERS
    place = np.column_stack([np.bincount(group, weight * xy[:, d]) for d in (0, 1)])
    known = count > 0
    component = np.zeros(len(count), dtype=int)
    component[group] = own
    return place[known] / count[known, None], count[known], component[known]


def _areas(count: np.ndarray, most: float) -> np.ndarray:
    """Areas of markers; a marker of one unit is still seen."""
    return np.asarray(SMALLEST + (LARGEST - SMALLEST) * (count - 1) / max(most - 1, 10.0))


def _triangle(ax: Axes, fit: Any) -> None:
    """Sides, lines where the most probable component changes, and names at the corners."""
    around = np.vstack([CORNERS, CORNERS[:1]])
    ax.plot(*around.T, color="0.3", linewidth=1, gid="side")
    middle = CORNERS.mean(0)
    for s in range(3):
        side = (CORNERS[s] + CORNERS[(s + 1) % 3]) / 2
        line = np.vstack([middle, side])
        ax.plot(*line.T, color="0.5", linewidth=0.9, linestyle=":", gid="change")
    shifts = ((0, -16), (0, -16), (0, 14))
    for corner, name, shift in zip(CORNERS, fit.components, shifts, strict=True):
        words = str(name) if fit.numbers.spec.kind.named else f"component {name}"
        ax.annotate(words, corner, shift, textcoords="offset points", ha="center", va="center")
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-0.12, 1.12)
    ax.set_ylim(-0.12, 1.0)


def _legend(ax: Axes, most: float) -> None:
    handles = []
    for number in [n for n in SHOWN if n <= most][-3:]:
        size = float(_areas(np.array([number]), most)[0]) ** 0.5
        words = f"{number:,} unit{'s' if number > 1 else ''}"
        handles.append(entry(words, marker="o", markersize=size, color="0.5"))
    ax.legend(handles=handles, fontsize="small", loc="upper left", labelspacing=1.2)
