"""Numbers behind sliders, by which a reader chooses the values of covariates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from bayesmix.reporting.chosen import ENDS, combinations
from bayesmix.reporting.files import number
from bayesmix.survival.comparison import start_state

MOST_ROWS = 120  # combinations of covariates that are computed beforehand
POINTS = (9, 5, 3, 2)  # values of a numeric covariate
TAILS = (0.05, 0.95)  # of the data, between which these lie
STEPS = 41  # times, or values of a covariate along the axis
FAR = (0.05, 0.95)  # of the limits, beyond which bands may leave the picture
START = ("no event yet", "")
SHARES = (0, 0.25, 0.5, 0.75, 1)  # ticks of probabilities

Lines = Sequence[tuple[str, str]]  # names and colours
Key = tuple[str, Sequence[Any]]  # the column of a table that tells lines apart, and its values


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
    states = ("state", [*fit.components, start_state(fit.components)])
    caption = f"Probabilities over time for a subject of your choice ({name})"
    return _over_time(spec, caption, times, lines, fit.state_probabilities, states)


def survival_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Survival curves of all together and of the components, by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    table_of = partial(fit.survival, response=response)
    times = {response: part.response.times}
    caption = f"Survival curves for a subject of your choice ({name})"
    return _over_time(spec, caption, times, _lines(fit), table_of, _owners(fit))


def mean_sliders(name: str, fit: Any, spec: MixtureSpec, response: str) -> list[Block]:
    """Means of all together and of the components along a covariate, the others by sliders."""
    part = next(part for part in spec.prepared.parts if part.response.name == response)
    caption = f"Means of {response.replace('`', '')} for covariates of your choice ({name})"
    table_of = partial(predictions, fit, response=response)
    designs = (part.designs, designs_of(spec))
    return _along(spec, designs, caption, _lines(fit), table_of, _owners(fit))


def weight_sliders(name: str, fit: Any, spec: MixtureSpec) -> list[Block]:
    """Weights of the components along a covariate of theirs, the others by sliders."""
    own = [d for d in (spec.prepared.concomitant,) if d is not None]
    caption = f"Weights of the components for covariates of your choice ({name})"
    table_of = partial(predictions, fit, what="weight")
    components = ("component", list(fit.components))
    return _along(spec, (own, own), caption, _lines(fit)[1:], table_of, components)


def _lines(fit: Any) -> list[tuple[str, str]]:
    """All together, and the components if there are several."""
    own = [(f"component {c}", colour(s)) for s, c in enumerate(fit.components)]
    return [("all", ""), *(own if fit.k > 1 else [])]


def _owners(fit: Any) -> Key:
    """Whose these lines are, in the tables."""
    return "component", [None, *fit.components][: len(_lines(fit))]


def _over_time(
    spec: MixtureSpec,
    caption: str,
    times: Mapping[str, Any],
    lines: Lines,
    table_of: Callable[[list[float], pd.DataFrame], pd.DataFrame],
    key: Key,
) -> list[Block]:
    """Probabilities until the last time that was seen; nothing if the model has no covariates."""
    designs = designs_of(spec)
    values = slider_values(spec.prepared.data, covariates_of(designs, spec.prepared.data))
    if not values:
        return []
    ends = [np.concatenate([t.lower, t.upper[np.isfinite(t.upper)]]) for t in times.values()]
    grid = np.linspace(0.0, float(np.max(np.concatenate(ends))), STEPS)
    along = (time_name(list(times)), tuple(f"{t:.3g}" for t in grid))
    rows = combinations(spec, values)
    return _block(
        spec, designs, caption, values, along, lines, lambda: table_of(list(grid), rows), key
    )


def _along(
    spec: MixtureSpec,
    designs: tuple[Sequence[Design], Sequence[Design]],
    caption: str,
    lines: Lines,
    table_of: Callable[[pd.DataFrame], pd.DataFrame],
    key: Key,
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
    grid = _places(data[x]) if x in known.numeric else levels_of(data[x])
    along = (x, tuple(number(v) if isinstance(v, float) else str(v) for v in grid))
    rows = combinations(spec, {**values, x: grid})
    return _block(
        spec, every, caption, values, along, lines, lambda: table_of(rows), key, ticks_of=_ticks
    )


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
    values: Mapping[str, Sequence[Any]],
    along: tuple[str, tuple[str, ...]],
    lines: Lines,
    table_of: Callable[[], pd.DataFrame],
    key: Key,
    ticks_of: Callable[[np.ndarray], tuple[float, ...]] = lambda _: SHARES,
) -> list[Block]:
    """The sliders, or a note why there are none.

    The caption states what is unknown, and what is held at which value.
    """
    try:
        table = table_of()
    except BayesmixError as error:
        return [Words(f"{caption}: not available: {error}", "note")]
    outputs = list(table["output"].unique()) if "output" in table else [None]
    parts = [table if o is None else table[table["output"] == o] for o in outputs]
    shape = (-1, len(along[1]), 3)
    each = [np.stack([v.reshape(shape) for v in _by_line(p, *key)], axis=1) for p in parts]
    found = np.stack(each, axis=1).reshape(-1, len(lines), *shape[1:])
    if not np.isfinite(found[..., 0]).any():
        return [Words(f"{caption}: not available: all are infinite or unknown", "note")]
    axes = [*values.items(), *([] if outputs == [None] else [("of", outputs)])]
    caption += ", with 95% intervals" + (
        "" if np.isfinite(found).all() else " where they are known"
    )
    still = held_columns(designs, spec, {*(name for name, _ in axes), along[0]})
    caption += f". Held: {', '.join(map(str, still))}" if still else ""
    written = tuple((name, tuple(number(v) for v in given)) for name, given in axes)
    return [Sliders(caption, written, *along, tuple(lines), found, ticks_of(found))]
