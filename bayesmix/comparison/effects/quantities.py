"""Weights and values at rows, and the split of a difference into two parts.

With total_i = sum_s pi_is mu_is, weights and means change from (pi0, mu0) to (pi1, mu1):

    total1 - total0 = sum_s (pi0 + pi1) / 2 (mu1 - mu0)  +  sum_s (mu0 + mu1) / 2 (pi1 - pi0)

The first sum is the part through the components, the second that through the weights; in a
slope the two points fall together, and the split is the product rule.  Where the total is another
function of weights and components, as a quantile or a hazard of the mixture is, the part through
the components is the change with the weights held, averaged over both ends: the same for a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmix._arguments import check_known
from bayesmix.comparison.effects.frames import counted
from bayesmix.errors import FitError
from bayesmix.model import MixtureSpec, Rows
from bayesmix.results import marginal
from bayesmix.results.at import At, responses
from bayesmix.results.event_times import EventTimes, event_times, one_response
from bayesmix.results.means import (
    Cell,
    cells_of,
    linear_cells,
    mean_cells,
    mean_scale,
    row_weights,
)

PARTS = ("total", "components", "weights")
# Quantities of times: what gives one time, and the option that says at what.
OF_TIMES = {
    "survival": "time",
    "hazard": "time",
    "restricted_mean_time": "time",
    "quantile_time": "q",
}
WHAT = ("mean", "link", "weight", *OF_TIMES)
# Those that are no mean over the components.
MIXED = ("hazard", "quantile_time")


@dataclass(frozen=True)
class Point:
    """What a quantity is made of at n rows.

    `weights` (n, S) are empty where nobody asks for them; `values` (m, n, S) are the
    components'; `times` has the distributions behind quantities of times, by response.
    """

    weights: np.ndarray
    values: np.ndarray
    times: tuple[EventTimes, ...] = ()


@dataclass(frozen=True)
class Quantity:
    """What is predicted for a row: a value by component, and whether it has a marginal.

    Parameters
    ----------
    what : str
    cells : tuple of m Cell
        The numbers of the responses; of quantities of times one for each time.
    of_block : callable, or None
        From a response at parameters to values (cells, n, S); None for the weights themselves, and
        for quantities of times.
    marginal : bool
        Whether a value of all components together has a meaning.
    scale : str
        Where intervals of predictions are symmetric.
    at : tuple of float
        Times or shares at which quantities of times are wanted.
    """

    what: str
    cells: tuple[Cell, ...]
    of_block: Callable[[At], np.ndarray] | None
    marginal: bool
    scale: str
    at: tuple[float, ...] = ()

    def values(self, spec: MixtureSpec, rows: Rows, theta: np.ndarray) -> Point:
        """Weights, and the components' values, for each response and time."""
        weighted = self.weighted
        weights = np.asarray(row_weights(spec, theta, rows)) if weighted else np.empty(0)
        if self.what == "weight":
            return Point(weights, weights[None])
        numbers = self._numbers(spec)
        if self.of_block is not None:
            every = responses(spec, rows, theta)
            return Point(weights, np.concatenate([self.of_block(every[j]) for j in numbers]))
        each = (one_response(spec, rows, at) for at in numbers)
        times = tuple(event_times(one, theta[None], own) for one, own in each)
        return Point(weights, np.concatenate([self._at(t)[..., 1:] for t in times]), times)

    def _numbers(self, spec: MixtureSpec) -> list[int]:
        """The places of the responses that the quantity is of."""
        names = {cell.response for cell in self.cells}
        return [at for at, block in enumerate(spec.layout.blocks) if block.name in names]

    def _at(self, times: EventTimes) -> np.ndarray:
        """The quantity of a mixture and of its components, (times, n, 1 + S)."""
        of_times = getattr(marginal, self.what)
        if self.what == "restricted_mean_time":
            return np.array([of_times(times, tau)[0] for tau in self.at])
        return np.moveaxis(of_times(times, np.array(self.at))[0], 1, 0)

    def total(self, weights: np.ndarray, point: Point) -> np.ndarray:
        """The value of all components together, (m, n), by weights (n, S)."""
        if self.what not in MIXED:
            return np.where(weights != 0, weights * point.values, 0.0).sum(-1)
        mixed = (replace(times, weights=weights[None]) for times in point.times)
        return np.concatenate([self._at(times)[..., 0] for times in mixed])

    def counted(self, spec: MixtureSpec, rows: Rows) -> np.ndarray:
        """How often averages count each row (m, n): a response of the unit once a unit."""
        names = [block.name for block in spec.layout.blocks]
        every = np.ones(rows.n)
        return np.array(
            [
                every if self.what == "weight" else counted(spec, rows, names.index(c.response))
                for c in self.cells
            ]
        )

    @property
    def weighted(self) -> bool:
        """Whether the components' weights are needed."""
        return self.marginal or self.what == "weight"


def quantity(
    spec: MixtureSpec,
    what: str,
    response: str | None,
    time: float | Sequence[float] | None,
    q: float | Sequence[float] | None = None,
) -> Quantity:
    """The quantity with this name.

    Raises
    ------
    FitError
        If it is unknown, or does not go with the response or the options.
    """
    check_known(f"what={what!r}", what, WHAT)
    timed = what in OF_TIMES
    blocks = [b for b in spec.layout.blocks if b.survival or not timed]
    names = tuple(b.name for b in blocks if response in (None, b.name))
    if not names:
        every = ", ".join(repr(b.name) for b in spec.layout.blocks)
        given = f"response={response!r}" if response is not None else f"what={what!r}"
        raise FitError(
            f"{given}: the responses are {every}"
            + (f"; {what} is of surv(...) responses" if timed else "")
        )
    at = _read_at(what, {"time": time, "q": q})
    if what == "weight":
        return Quantity(what, (Cell("weight"),), None, marginal=False, scale="logit")
    if timed:
        outputs: tuple[float | str, ...] = at if len(at) > 1 else ("",)
        cells = tuple(Cell(name, output) for name in names for output in outputs)
        scale = "log-log" if what == "survival" else "log"
        return Quantity(what, cells, None, marginal=True, scale=scale, at=at)
    cells = tuple(c for b in blocks if b.name in names for c in cells_of(b, what))
    if what == "link":
        return Quantity(what, cells, linear_cells, marginal=False, scale="identity")
    scales = {mean_scale(b) for b in blocks if b.name in names}
    scale = scales.pop() if len(scales) == 1 else "identity"
    return Quantity(what, cells, mean_cells, marginal=True, scale=scale)


def _read_at(what: str, given: dict[str, Any]) -> tuple[float, ...]:
    """The times or shares that a quantity needs; those that it does not are refused."""
    needs = OF_TIMES.get(what)
    for name, value in given.items():
        if (value is not None) != (name == needs):
            users = [w for w, option in OF_TIMES.items() if option == name]
            raise FitError(
                f"{name}= goes with what= one of {users}, which need it; give both or neither "
                f"(what={what!r})"
            )
    if needs is None:
        return ()
    values = np.atleast_1d(np.asarray(given[needs], dtype=float))
    good = (values > 0) & (values < 1) if needs == "q" else (values >= 0) & np.isfinite(values)
    if values.ndim != 1 or not len(values) or not good.all():
        words = "between 0 and 1" if needs == "q" else "a time of zero or more"
        raise FitError(f"{needs}={given[needs]!r} must be {words}, or a list of such numbers")
    return tuple(values.tolist())


# --- differences -----------------------------------------------------------------------------


def split(q: Quantity, high: Point, low: Point) -> np.ndarray:
    """Differences (m, n, parts): total, components and weights, then by component.

    Parameters
    ----------
    q : Quantity
        Without a marginal there are no total and its parts.
    high, low : Point
    """
    with np.errstate(invalid="ignore"):
        change = high.values - low.values
        if not q.marginal:
            return change
        ends = [[q.total(w.weights, point) for point in (high, low)] for w in (high, low)]
        through = (ends[0][0] - ends[0][1] + ends[1][0] - ends[1][1]) / 2
        shifted = (ends[0][0] - ends[1][0] + ends[0][1] - ends[1][1]) / 2
        parts = np.stack([through + shifted, through, shifted], -1)
    return np.concatenate([parts, change], -1)
