"""Numbers behind sliders, by which a reader chooses the values of covariates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from bayesmix.reporting.chosen import ENDS, combinations
from bayesmix.reporting.files import number
from bayesmix.survival.comparison import start_state

MOST_ROWS = 120  # combinations of covariates that are computed beforehand
POINTS = (9, 5, 3, 2)  # values of a numeric covariate
TAILS = (0.05, 0.95)  # of the data, between which these lie
STEPS = 41  # times, or values of a covariate along the axis
FAR = (0.05, 0.95)  # of the limits, beyond which bands may leave the picture
START = ("no event yet", "")


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


def event_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Probabilities of the states over time, for covariates that sliders choose."""
    times = spec.prepared.times
    lines = [(str(c), colour(s)) for s, c in enumerate(fit.components)] + [START]
    caption = f"Probabilities over time for a subject of your choice ({name})"
    return _over_time(
        spec,
        caption,
        (time_name(list(times)), _last(times.values())),
        lines,
        lambda times, rows: fit.state_probabilities(times, rows),
        ("state", [*fit.components, start_state(fit.components)]),
    )


def survival_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Survival curves of all together and of the components, by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    lines = _lines(fit)
    caption = f"Survival curves for a subject of your choice ({name})"
    return _over_time(
        spec,
        caption,
        (time_name([response]), _last([part.response.times])),
        lines,
        lambda times, rows: fit.survival(times, rows, response=response),
        ("component", [None, *fit.components][: len(lines)]),
    )


def mean_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Means of all together and of the components along a covariate, the others by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    caption = f"Means of {response.replace('`', '')} for covariates of your choice ({name})"
    return _along(
        spec, (part.designs, designs_of(spec)), caption, _lines(fit),
        lambda rows: predictions(fit, rows, response=response),
        [None, *fit.components],
    )  # fmt: skip


def weight_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Weights of the components along a covariate of theirs, the others by sliders."""
    own = [d for d in (spec.prepared.concomitant,) if d is not None]
    caption = f"Weights of the components for covariates of your choice ({name})"
    return _along(
        spec, (own, own), caption, _lines(fit)[1:],
        lambda rows: predictions(fit, rows, what="weight"),
        list(fit.components),
    )  # fmt: skip


def _lines(fit: Any) -> list[tuple[str, str]]:
    """All together, and the components if there are several."""
    own = [(f"component {c}", colour(s)) for s, c in enumerate(fit.components)]
    return [("all", ""), *(own if fit.k > 1 else [])]


def _last(times: Any) -> float:
    """The last time that was seen."""
    ends = [np.concatenate([t.lower, t.upper[np.isfinite(t.upper)]]) for t in times]
    return float(np.max(np.concatenate(ends)))


def _over_time(
    spec: MixtureSpec,
    caption: str,
    time: tuple[str, float],
    lines: Sequence[tuple[str, str]],
    table_of: Callable[[list[float], pd.DataFrame], pd.DataFrame],
    key: tuple[str, Sequence[Any]],
) -> list[Block]:
    """Probabilities over time, or a note why not; nothing if the model has no covariates."""
    designs = designs_of(spec)
    values = slider_values(spec.prepared.data, covariates_of(designs, spec.prepared.data))
    if not values:
        return []
    rows = combinations(spec, values)
    times = np.linspace(0.0, time[1], STEPS)
    try:
        table = table_of(list(times), rows)
    except BayesmixError as error:
        return [Words(f"{caption}: not available: {error}", "note")]
    found = [part.reshape(len(rows), STEPS, 3) for part in _by_line(table, *key)]
    along = (time[0], tuple(f"{t:.3g}" for t in times))
    axes = list(values.items())
    return [_block(spec, designs, caption, axes, along, lines, np.stack(found, axis=1))]


def _along(
    spec: MixtureSpec,
    designs: tuple[Sequence[Design], Sequence[Design]],
    caption: str,
    lines: Sequence[tuple[str, str]],
    table_of: Callable[[pd.DataFrame], pd.DataFrame],
    components: Sequence[Any],
) -> list[Block]:
    """Predictions along a covariate of the first designs, with sliders for those of the second."""
    data, (first, every) = spec.prepared.data, designs
    own, known = covariates_of(first, data), covariates_of(every, data)
    if not own.names:
        return []
    x = next((n for n in known.numeric if n in own.names), own.names[0])
    others = Covariates(
        *(tuple(n for n in kind if n != x) for kind in (known.numeric, known.factors))
    )
    values = slider_values(data, others)
    along = _places(data[x]) if x in known.numeric else levels_of(data[x])
    try:
        table = table_of(combinations(spec, {**values, x: along}))
    except BayesmixError as error:
        return [Words(f"{caption}: not available: {error}", "note")]
    outputs = list(table["output"].unique()) if "output" in table else [None]
    parts = [table if o is None else table[table["output"] == o] for o in outputs]
    shape = (-1, len(along), 3)
    found = [
        np.stack([v.reshape(shape) for v in _by_line(p, "component", components[: len(lines)])], 1)
        for p in parts
    ]
    stacked = np.stack(found, axis=1).reshape(-1, len(lines), len(along), 3)
    if not np.isfinite(stacked[..., 0]).any():
        return [Words(f"{caption}: not available: all are infinite or unknown", "note")]
    axes = [*values.items(), *([] if outputs == [None] else [("of", outputs)])]
    where = (x, tuple(number(v) if isinstance(v, float) else str(v) for v in along))
    return [_block(spec, every, caption, axes, where, lines, stacked, ticks=_ticks(stacked))]


def _ticks(values: np.ndarray) -> tuple[float, ...]:
    """Round numbers that span all estimates and most limits."""
    from matplotlib.ticker import MaxNLocator

    middle, lower, upper = (values[..., i][np.isfinite(values[..., i])] for i in range(3))
    low, high = float(middle.min()), float(middle.max())
    if len(lower) and len(upper):
        low = min(low, float(np.quantile(lower, FAR[0])))
        high = max(high, float(np.quantile(upper, FAR[1])))
    return tuple(map(float, MaxNLocator(5).tick_values(low, high)))


def _by_line(table: pd.DataFrame, column: str, names: Sequence[Any]) -> list[np.ndarray]:
    """Estimates and limits (rows, 3) of every line; None stands for a missing name."""
    given = table[column].astype(object)
    own = [table[(given.isna() if k is None else given == k).to_numpy(bool)] for k in names]
    return [part[ENDS].to_numpy(dtype=float) for part in own]


def _block(
    spec: MixtureSpec,
    designs: Sequence[Design],
    caption: str,
    axes: Sequence[tuple[str, Sequence[Any]]],
    along: tuple[str, tuple[str, ...]],
    lines: Sequence[tuple[str, str]],
    found: np.ndarray,
    **look: Any,
) -> Sliders:
    """The block with a caption that states what is unknown and what is held at which value."""
    caption += ", with 95% intervals" + (
        "" if np.isfinite(found).all() else " where they are known"
    )
    still = held_columns(designs, spec, {*(name for name, _ in axes), along[0]})
    caption += f". Held: {', '.join(map(str, still))}" if still else ""
    written = tuple((name, tuple(number(v) for v in given)) for name, given in axes)
    return Sliders(caption, written, *along, tuple(lines), found, **look)
