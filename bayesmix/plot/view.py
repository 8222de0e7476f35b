"""What a picture of fitted means shows: which columns move, which are held, on what scale."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.classes import PointFit, Posterior
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError
from bayesmix.formula.calls import is_surv, time_name
from bayesmix.formula.frames import levels_of
from bayesmix.formula.response import middle
from bayesmix.formula.times import Times
from bayesmix.model.data import time_sources
from bayesmix.model.parts import LOCATED
from bayesmix.plot.bands import estimate_and_limits
from bayesmix.plot.grid import (
    Covariates,
    Held,
    along,
    covariates_of,
    hold,
    new_rows,
    one_of,
    refuse_held,
)
from bayesmix.results.at import At
from bayesmix.results.means import component_means, mean_scale, observed_response

INTEGRALS = ("spline",)  # families of times whose mean is an integral
MOST_LEVELS = 4  # of a factor with a line style for each


@dataclass(frozen=True)
class View:
    """The choices behind one picture of a response.

    Parameters
    ----------
    fit : PointFit or Posterior
    block : int
        Position of the response.
    name : str
    x : str or None
        The column along the axis; None: the rows in their order.
    levels : list or None
        Levels of `x` where it is a factor.
    by : str or None
        The factor with curves for each level.
    by_levels : list
        Its levels, the reference first.
    held : list of Held
    rate : bool
        Whether responses and means are divided by exp(offset).
    slow : bool
        Whether means are integrals, too slow for the draws of a posterior: then the curve of its
        mode, without a band.
    offsets : tuple of str
    """

    fit: PointFit | Posterior
    block: int
    name: str
    x: str | None
    levels: list[Any] | None
    by: str | None
    by_levels: list[Any]
    held: list[Held]
    rate: bool
    slow: bool
    offsets: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """Means along x, (m, k), for one level of `by`, with the places (m,) on the axis.

    `limits` are a lower and an upper array (m, k), or None.
    """

    place: np.ndarray
    means: np.ndarray
    limits: tuple[np.ndarray, np.ndarray] | None


def make_view(
    fit: PointFit | Posterior,
    x: str | None,
    by: str | None,
    response: str | None,
    at: Mapping[str, Any],
) -> View:
    """Choose what moves and what is held.

    Raises
    ------
    FitError
        If a name is not a covariate of the response.
    """
    spec = fit.numbers.spec
    prepared = spec.prepared
    names = tuple(part.response.name for part in prepared.parts)
    block = 0 if response is None else names.index(one_of(response, names, "response"))
    part = prepared.parts[block]
    by_kind = sorted(
        zip(part.designs, part.kinds, strict=True),
        key=lambda pair: (*LOCATED, pair[1]).index(pair[1]),
    )
    known = covariates_of((d for d, _ in by_kind), prepared.data)
    for name in at:
        one_of(name, known.names, "at")
    x = _choose_x(x, known, at)
    by = _choose_by(by, x, known, at, prepared.data)
    held = hold((n for n in known.names if n not in (x, by)), known, spec, at)
    offsets = tuple(o for d, _ in by_kind for o in d.formula.offsets)
    # The mean of a time is not always proportional to its location.
    timed = part.response.times is not None
    rate = bool(offsets) and not timed and _all_log(fit, block)
    levels = levels_of(prepared.data[x]) if x in known.factors else None
    by_levels = [] if by is None else levels_of(prepared.data[by])
    if offsets and not rate:
        moving = [c for d, _ in by_kind for b in d.offsets for c in b.columns]
        unnamed = [c for c in dict.fromkeys(moving) if c not in known.names]
        held += hold(unnamed, known, spec, {})
    families = fit.numbers.spec.layout.blocks[block].families
    slow = is_posterior(fit) and any(
        f.is_survival and (f.mean is None or f.name in INTEGRALS) for f in families
    )
    return View(fit, block, names[block], x, levels, by, by_levels, held, rate, slow, offsets)


def _choose_x(x: str | None, known: Covariates, at: Mapping[str, Any]) -> str | None:
    if x is None:
        return next((name for name in known.names if name not in at), None)
    refuse_held(one_of(x, known.names, "x"), "x", at)
    return x


def _choose_by(
    by: str | None, x: str | None, known: Covariates, at: Mapping[str, Any], data: pd.DataFrame
) -> str | None:
    if by is not None:
        refuse_held(one_of(by, known.factors, "by"), "by", at)
        if by == x:
            raise FitError(f"by={by!r} is the covariate along the axis; give another x= or by=")
        return by
    free = (f for f in known.factors if f != x and f not in at)
    return next((f for f in free if len(levels_of(data[f])) <= MOST_LEVELS), None)


def _all_log(fit: PointFit | Posterior, block: int) -> bool:
    """Whether every component's mean is exp(linear predictor), offset included."""
    links = [
        parameter.link.name
        for family in fit.numbers.spec.layout.blocks[block].families
        for parameter in family.parameters
        if parameter.name == family.location
    ]
    return set(links) == {"log"}


def y_label(view: View, *, jittered: bool) -> str:
    """What the vertical axis shows, and how the offset enters."""
    if jittered:
        return f"{view.name} (points moved apart)"
    name = f"proportion, {view.name}" if view.name.startswith("p(") else view.name
    if is_surv(view.name):
        name = f"{time_name([view.name])} (tick: censored)"
    if not view.offsets:
        return name
    if view.rate:
        logs = [re.fullmatch(r"log\(\s*(\w+)\s*\)", o.strip()) for o in view.offsets]
        under = [m[1] if m else f"exp({o})" for m, o in zip(logs, view.offsets, strict=True)]
        return f"{name} / {' / '.join(under)}"
    return f"{name} (curves: offset {' + '.join(view.offsets)} held)"


def points(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Place on the x axis (n,) and response on the scale of the picture (n,) of every row."""
    spec = view.fit.numbers.spec
    rows = spec.rows.blocks[view.block]
    times = times_of(view)
    y = observed_response(rows) if times is None else middle(times)
    if view.rate and rows.offset is not None:
        y = y / np.exp(rows.offset)
    if view.x is None:
        return np.arange(1, len(y) + 1, dtype=float), y
    column = spec.prepared.data[view.x]
    if view.levels is None:
        return column.to_numpy(dtype=float), y
    place = np.array([view.levels.index(v) for v in column], dtype=float)
    return place, y


def times_of(view: View) -> Times | None:
    """What is known of the times of all rows, where the response is a time.

    Raises
    ------
    FitError
        If the events have different responses.
    """
    spec = view.fit.numbers.spec
    names = dict.fromkeys(time_sources(spec, spec.layout.blocks[view.block]))
    if len(names) > 1:
        raise FitError(
            f"fitted() draws one response, but the events have their own: {', '.join(names)}; "
            "fit.mean_time(newdata) gives the means as numbers"
        )
    return spec.prepared.times.get(next(iter(names)))


def curves(view: View, ci: float | None) -> list[Curve]:
    """Each component's mean along x with limits, for every level of `by`.

    The grid of a level spans the rows of that level only.
    """
    data = view.fit.numbers.spec.prepared.data
    if view.by is None:
        return [_level_curve(view, None, data, ci)]
    column = data[view.by]
    return [_level_curve(view, v, data[column == v], ci) for v in view.by_levels]


def _level_curve(view: View, level: Any, rows: pd.DataFrame, ci: float | None) -> Curve:
    """Means along x, from new data that vary only in x."""
    spec = view.fit.numbers.spec
    place, x = np.array([1.0, max(len(rows), 2)]), None
    if view.x is not None:
        place, x = along(rows[view.x], view.levels)
    moving = {name: v for name, v in ((view.x, x), (view.by, level)) if name is not None}
    values = {h.name: h.value for h in view.held} | moving
    newdata = new_rows(spec, len(place), values)
    block = spec.layout.blocks[view.block]
    data = spec.apply(newdata, response=False, weights=False).blocks[view.block]
    per = np.ones(1)
    if view.rate:
        designs = spec.prepared.parts[view.block].designs
        shifts = [s for d in designs if (s := d.apply(newdata)[1]) is not None]
        per = np.exp(np.sum(shifts, axis=0))[:, None]

    def means(theta: np.ndarray) -> np.ndarray:
        return component_means(At(block, data, theta)) / per

    if view.slow:
        return Curve(place, means(view.fit.point().numbers.theta), None)
    return Curve(place, *estimate_and_limits(view.fit, means, ci, mean_scale(block)))
