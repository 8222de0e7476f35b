"""Numbers behind sliders, by which a reader chooses the values of covariates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.comparison.effects import predictions
from bayesmix.errors import BayesmixError
from bayesmix.formula.calls import time_name
from bayesmix.formula.design import Design
from bayesmix.formula.frames import levels_of
from bayesmix.model import MixtureSpec
from bayesmix.plot.grid import Covariates, covariates_of, designs_of, held_columns
from bayesmix.plot.style import colour
from bayesmix.reporting.blocks import Block, Sliders, Words
from bayesmix.reporting.chosen import combinations
from bayesmix.reporting.files import number
from bayesmix.results.tables import ENDS
from bayesmix.survival.comparison import start_state

MOST_ROWS = 120  # combinations of covariates that are computed beforehand
POINTS = (9, 5, 3, 2)  # values of a numeric covariate
TAILS = (0.05, 0.95)  # of the data, between which these lie
STEPS = 41  # times, or values of a covariate along the axis
FAR = (0.05, 0.95)  # of the limits, beyond which bands may leave the picture
SHARES = (0, 0.25, 0.5, 0.75, 1)  # ticks of probabilities


def slider_values(data: pd.DataFrame, known: Covariates) -> dict[str, list[Any]]:
    """Values of the covariates that have sliders, at most 120 combinations of them.

    Factors have all their levels, and numeric covariates as many values as there is room for, but
    two at least.  If these are too many, the last numeric covariates have no slider, then the
    last factors.
    """
    levels = {n: levels_of(data[n]) for n in known.factors}
    found: dict[str, list[Any]] = {}
    for points in POINTS:
        found = {n: _numbers(data[n], points) for n in known.numeric} | levels
        if _combined(found) <= MOST_ROWS:
            return found
    for name in (*known.numeric[::-1], *known.factors[::-1]):
        del found[name]
        if _combined(found) <= MOST_ROWS:
            break
    return found


def _combined(values: Mapping[str, Sequence[Any]]) -> int:
    return math.prod(map(len, values.values()))


def _numbers(column: pd.Series, points: int) -> list[float]:
    """Evenly spaced values of the middle of a column, to three digits of their range."""
    low, high = np.quantile(column.to_numpy(dtype=float), TAILS).tolist()
    if low == high:
        return [low]
    digits = 0 if _whole(column) else 2 - math.floor(math.log10(high - low))
    values = [round(float(v), digits) for v in np.linspace(low, high, points)]
    return list(dict.fromkeys(int(v) if _whole(column) else v for v in values))


def _whole(column: pd.Series) -> bool:
    return bool((column == column.round()).all())


def _places(column: pd.Series) -> list[float]:
    """Evenly spaced values of a column, every whole number if these are not many."""
    low, high = float(column.min()), float(column.max())
    if _whole(column) and high - low < 2 * STEPS:
        return list(range(int(low), int(high) + 1))
    return [float(v) for v in np.linspace(low, high, STEPS)]


@dataclass(frozen=True)
class Curves:
    """Curves of a fit: a caption, what gives their table, and their names and colours.

    `lines` are by the values of the table's `column`; None stands for a missing value.
    """

    caption: str
    table_of: Callable[..., pd.DataFrame]
    lines: Mapping[Any, tuple[str, str]]
    column: str = "component"

    def numbers(self, table: pd.DataFrame) -> list[np.ndarray]:
        """Estimates and limits (rows, 3) of every line."""
        given = table[self.column].astype(object)
        own = [
            table[(given.isna() if k is None else given == k).to_numpy(bool)] for k in self.lines
        ]
        return [part[ENDS].to_numpy(dtype=float) for part in own]


def event_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Probabilities of the states over time, for covariates that sliders choose."""
    lines = {c: (str(c), colour(s)) for s, c in enumerate(fit.components)}
    lines[start_state(fit.components)] = ("no event yet", "")
    caption = f"Probabilities over time for a subject of your choice ({name})"
    curves = Curves(caption, fit.state_probabilities, lines, "state")
    return _over_time(spec, curves, spec.prepared.times)


def survival_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Survival curves of all together and of the components, by sliders."""
    caption = f"Survival curves for a subject of your choice ({name})"
    curves = Curves(caption, partial(fit.survival, response=response), _lines(fit))
    return _over_time(spec, curves, {response: spec.prepared.times[response]})


def mean_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Means of all together and of the components along a covariate, the others by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    caption = f"Means of {response.replace('`', '')} for covariates of your choice ({name})"
    curves = Curves(caption, partial(predictions, fit, response=response), _lines(fit))
    return _along(spec, curves, part.designs, designs_of(spec))


def weight_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Weights of the components along a covariate of theirs, the others by sliders."""
    design = spec.prepared.concomitant
    if design is None or fit.k == 1:
        return []
    caption = f"Weights of the components for covariates of your choice ({name})"
    lines = {owner: line for owner, line in _lines(fit).items() if owner is not None}
    curves = Curves(caption, partial(predictions, fit, what="weight"), lines)
    return _along(spec, curves, [design], [design])


def _lines(fit: Any) -> dict[Any, tuple[str, str]]:
    """All together, and the components if there are several."""
    own = {c: (f"component {c}", colour(s)) for s, c in enumerate(fit.components)}
    return {None: ("all", ""), **(own if fit.k > 1 else {})}


def _over_time(spec: MixtureSpec, curves: Curves, times: Mapping[str, Any]) -> list[Block]:
    """Probabilities until the last time that was seen; nothing if the model has no covariates."""
    designs = designs_of(spec)
    ends = [np.concatenate([t.lower, t.upper[np.isfinite(t.upper)]]) for t in times.values()]
    grid = np.linspace(0.0, float(np.max(np.concatenate(ends))), STEPS).tolist()
    along = (time_name(list(times)), tuple(f"{t:.3g}" for t in grid))
    at_times = replace(curves, table_of=partial(curves.table_of, grid))
    known = covariates_of(designs, spec.prepared.data)
    return _sliders(spec, at_times, designs, known, along, {})


def _along(
    spec: MixtureSpec, curves: Curves, first: Sequence[Design], every: Sequence[Design]
) -> list[Block]:
    """Predictions along a covariate of the first designs, with sliders for those of all."""
    data = spec.prepared.data
    own, known = covariates_of(first, data), covariates_of(every, data)
    if not own.names:
        return []
    x = next((n for n in known.numeric if n in own.names), own.names[0])
    others = Covariates(
        *(tuple(n for n in kind if n != x) for kind in (known.numeric, known.factors))
    )
    grid = _places(data[x]) if x in known.numeric else levels_of(data[x])
    along = (x, tuple(number(v) if isinstance(v, float) else str(v) for v in grid))
    return _sliders(spec, curves, every, others, along, {x: grid})


def _ticks(values: np.ndarray) -> tuple[float, ...]:
    """Round numbers that span all estimates and most limits."""
    from matplotlib.ticker import MaxNLocator

    middle, lower, upper = (values[..., i][np.isfinite(values[..., i])] for i in range(3))
    low, high = float(middle.min()), float(middle.max())
    if len(lower) and len(upper):
        low = min(low, float(np.quantile(lower, FAR[0])))
        high = max(high, float(np.quantile(upper, FAR[1])))
    return tuple(map(float, MaxNLocator(5).tick_values(low, high)))


def _sliders(
    spec: MixtureSpec,
    curves: Curves,
    designs: Sequence[Design],
    known: Covariates,
    along: tuple[str, tuple[str, ...]],
    moving: Mapping[str, Sequence[Any]],
) -> list[Block]:
    """The sliders, or a note why there are none.

    The caption states what is unknown, and what is held at which value.
    """
    values, caption = slider_values(spec.prepared.data, known), curves.caption
    if not values and not moving:
        return []
    rows = combinations(spec, {**values, **moving})
    try:
        table = curves.table_of(rows)
    except BayesmixError as error:
        return [Words(f"{caption}: not available: {error}", "note")]
    outputs = list(table["output"].unique()) if "output" in table else [None]
    parts = [table if o is None else table[table["output"] == o] for o in outputs]
    shape = (-1, len(along[1]), 3)
    each = [np.stack([v.reshape(shape) for v in curves.numbers(p)], axis=1) for p in parts]
    found = np.stack(each, axis=1).reshape(-1, len(curves.lines), *shape[1:])
    if not np.isfinite(found[..., 0]).any():
        return [Words(f"{caption}: not available: all are infinite or unknown", "note")]
    axes = [*values.items(), *([] if outputs == [None] else [("of", outputs)])]
    caption += ", with 95% intervals" + (
        "" if np.isfinite(found).all() else " where they are known"
    )
    still = held_columns(designs, spec, {*(name for name, _ in axes), along[0]})
    caption += f". Held: {', '.join(map(str, still))}" if still else ""
    written = tuple((name, tuple(number(v) for v in given)) for name, given in axes)
    ticks = _ticks(found) if moving else SHARES
    return [Sliders(caption, written, *along, tuple(curves.lines.values()), found, ticks)]
