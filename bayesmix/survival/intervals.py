"""Estimates of quantities with their uncertainty, from point fits or from draws.

A point fit gives the estimate with an interval by the delta method (or from draws of the
estimates' normal approximation), a posterior the mean of its draws with equal-tailed limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import at_least, door, one_of, shown, unknown_option
from bayesmix._arguments.memory import check_memory
from bayesmix._arguments.printing import Printed
from bayesmix.errors import FitError, warn
from bayesmix.model import MixtureSpec, Rows
from bayesmix.results.covariance import covariance
from bayesmix.results.event_times import EventTimes, event_times
from bayesmix.results.uncertainty import Source, estimates

Values = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Band:
    """Estimates with limits, each of shape (n, ...)."""

    estimate: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@door(
    error=FitError,
    title="",
    only=("__init__",),
    interval=one_of("delta", "simulation"),
    draws=at_least(100, "the number of draws"),
)
@dataclass(frozen=True)
class Estimator:
    """How uncertainty is computed.

    Parameters
    ----------
    ci : float
        Coverage of the intervals.
    interval : str, optional
        Of a point fit: "delta", the default, or "simulation" from the normal approximation.
    draws : int, optional
        Of a simulation, 1000 by default.
    seed : int or numpy.random.Generator, optional
        Of a simulation.
    kind, cluster
        Of a point fit: which covariance, as of `results.covariance.covariance`.
    """

    ci: float = 0.95
    interval: str | None = None
    draws: int | None = None
    seed: Any = None
    kind: str = "observed"
    cluster: Any = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.draws is not None:
            check_memory(64.0 * self.draws, f"draws={self.draws}", "ask for fewer draws")
        if self.interval != "simulation" and (self.draws, self.seed) != (None, None):
            raise FitError(
                "draws= and seed= belong to interval='simulation'; give that too, or leave them out"
            )

    def over(self, sources: Sequence[Source], values_at: Values, scale: str) -> Band:
        """Estimates of a quantity of one fit, or of several independent ones, with limits.

        Parameters
        ----------
        sources : sequence of Source
            All point fits, or all posteriors, whose draws go together in order.
        values_at : callable
            From parameters (T, D), those of the fits side by side, to (T, n, ...).
        scale : str
            One of `uncertainty.SCALES`: where intervals are symmetric.
        """
        if self.interval is not None and sources[0].draws is not None:
            raise FitError(
                f"interval={self.interval!r} belongs to point fits; a posterior's limits are "
                "those of its draws, so leave it out"
            )
        found = estimates(
            sources,
            values_at,
            kind=self.kind,
            cluster=self.cluster,
            at_once=True,
            simulated=(self.draws or 1000) if self.interval == "simulation" else 0,
            seed=self.seed,
        )
        unknown = np.zeros(found.value.shape, bool) if found.unknown is None else found.unknown
        fits = [s.fitted for s in sources if s.fitted is not None]
        none = found.moves is not None and np.isnan(found.moves).all()
        without = [f.status for f in fits if none and np.isnan(covariance(f).root).any()]
        if without:
            unknown = np.ones(found.value.shape, bool)
            warn(
                "no intervals",
                f"no intervals: the fit (status {without[0]!r}) is not at a maximum, so it has no "
                "finite covariance; use fit('map') or a posterior",
            )
        elif unknown.any():
            warn(
                "no intervals",
                f"no intervals for {int(unknown.sum())} of {unknown.size} numbers: they depend on "
                "parameters at infinity or not determined by the data (see fit.reasons); use "
                "fit('map') or a posterior for these",
            )
        ends = (np.where(unknown, np.nan, end) for end in found.limits(self.ci, scale))
        return Band(found.value, *ends)


Quantity = Callable[[EventTimes], np.ndarray]
# Numbers held at once: draws x rows x times x events.
MOST = 1 << 21
# Numbers that a processor's cache holds: sums over larger blocks take two to three times as long.
CACHED = 1 << 17
# Draws that a mean over them takes.
MOST_DRAWS = 500
# Times that a population is usually asked about.
AT_ONCE = 32


def band(
    estimator: Estimator,
    source: Source,
    rows: Rows,
    quantity: Quantity,
    scale: str,
    *,
    spent: np.ndarray | None = None,
    population: np.ndarray | None = None,
) -> Band:
    """Estimates of a quantity at every row, or of the rows as a population, with limits.

    Parameters
    ----------
    estimator : Estimator
    source : Source
    rows : Rows
    quantity : callable
        From `EventTimes` of D draws and n rows to an array (D, n, ...).
    scale : str
        One of `uncertainty.SCALES`: where intervals are symmetric.
    spent : ndarray, shape (n,), optional
        Time already spent without an event: everything is given that.
    population : ndarray, shape (n,), optional
        Weights of the rows as one population, which the quantity itself averages over.
    """
    values = _values if population is None else partial(_together, weight=population)
    return estimator.over([source], lambda t: values(source.spec, t, rows, quantity, spent), scale)


def point_values(
    source: Source, rows: Rows, quantity: Quantity, spent: np.ndarray | None = None
) -> np.ndarray:
    """A quantity at every row, (n, ...): at the estimates, or the mean over the draws.

    Parameters
    ----------
    source, rows, quantity, spent
        As of `band`.
    """
    if source.draws is None:
        assert source.fitted is not None
        return _values(source.spec, source.fitted.theta[None], rows, quantity, spent)[0]
    draws = source.draws[:: max(1, len(source.draws) // MOST_DRAWS)]
    total: Any = 0.0
    for a in range(0, len(draws), AT_ONCE):
        part = draws[a : a + AT_ONCE]
        total = total + _values(source.spec, part, rows, quantity, spent).sum(0)
    return total / len(draws)


def _values(
    spec: MixtureSpec,
    theta: np.ndarray,
    rows: Rows,
    quantity: Quantity,
    spent: np.ndarray | None,
) -> np.ndarray:
    """A quantity at draws (T, D) of theta and all rows, (T, n, ...), some rows at a time."""
    parts, a = [], 0
    size = 1
    while a < rows.n:
        span = slice(a, min(a + size, rows.n))
        times = event_times(spec, theta, rows, span)
        times = times if spent is None else times.after(spent[span])
        parts.append(np.asarray(quantity(times)))
        a = span.stop
        size = max(1, MOST // max(parts[-1][:, 0].size, 1))
    return np.concatenate(parts, axis=1)


def averages(
    spec: MixtureSpec, theta: np.ndarray, rows: Rows, quantity: Quantity, weight: np.ndarray
) -> np.ndarray:
    """A quantity averaged over rows, (T, ...), some at a time; equal ones are computed once."""
    first, total = _distinct(rows, None, weight)
    out, size = 0.0, max(1, CACHED // (AT_ONCE * len(theta) * spec.k))
    for a in range(0, len(first), size):
        found = quantity(event_times(spec, theta, rows, first[a : a + size]))
        out = out + np.einsum("tn...,n->t...", found, total[a : a + size])
    return np.asarray(out) / total.sum()


def _together(
    spec: MixtureSpec,
    theta: np.ndarray,
    rows: Rows,
    quantity: Quantity,
    spent: np.ndarray | None,
    weight: np.ndarray,
) -> np.ndarray:
    """A quantity of a population of rows, (T, 1, ...), some draws at a time."""
    first, total = _distinct(rows, spent, weight)
    parts, size = [], max(1, MOST // (AT_ONCE * len(first) * spec.k))
    for a in range(0, len(theta), size):
        times = event_times(spec, theta[a : a + size], rows, first)
        times = times if spent is None else times.after(spent[first])
        parts.append(quantity(replace(times, share=total)))
    return np.concatenate(parts)


def _distinct(
    rows: Rows, spent: np.ndarray | None, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that differ in what the model reads, the first of each, and their weights."""
    data = rows.blocks[0]
    parts = [data.matrix] if rows.concomitant is None else [data.matrix, rows.concomitant]
    parts += [] if data.offset is None else [np.atleast_2d(data.offset).T]
    parts += [] if spent is None else [spent[:, None]]
    _, first, place = np.unique(np.hstack(parts), axis=0, return_index=True, return_inverse=True)
    total = np.bincount(place.ravel(), weight, len(first))
    return first[total > 0], total[total > 0]


def rows_of(spec: MixtureSpec, newdata: pd.DataFrame | None) -> tuple[Rows, pd.DataFrame]:
    """Rows to estimate at, and their covariates with an index that tells them apart.

    Without new data: the training rows, or a single row where the model has no covariates.
    """
    designs = [d for part in spec.prepared.parts for d in part.designs]
    designs += [] if spec.prepared.concomitant is None else [spec.prepared.concomitant]
    names = list(dict.fromkeys(n for d in designs for n in d.formula.names))
    if newdata is None and not names:
        first = spec.prepared.table.iloc[:1]
        return spec.apply(first, response=False), first[[]].reset_index(drop=True)
    rows = spec.apply(newdata, response=False)
    table = spec.prepared.data if newdata is None else newdata
    return rows, table[[n for n in names if n in table.columns]]


def response_place(spec: MixtureSpec, response: str | None, what: str) -> int:
    """The number of the survival time that is meant; `what` is asked about it."""
    names = [block.name for block in spec.layout.blocks]
    times = [block.name for block in spec.layout.blocks if block.survival]
    if not times:
        raise FitError(f"{what}() is about survival times, and {', '.join(names)} is none")
    if response is None and len(times) == 1:
        return names.index(times[0])
    if response not in times:
        msg = f"response={response!r}: the model has several survival times; use one of {times}"
        raise FitError(msg)
    return names.index(response)


def known_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an `Estimator`; others are refused by name."""
    known = [f.name for f in fields(Estimator)]
    for name in given:
        if name not in known:
            raise unknown_option("", name, ["spent", *known])
    return dict(given)


def numbers(
    name: str, given: Any, *, low: float, high: float = np.inf, end: bool = False
) -> np.ndarray:
    """Numbers as an array (m,), each between low (itself too, with `end`) and high."""
    try:
        values = np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError):
        values = np.array([np.nan])
    inside = np.isfinite(values) & (values < high) & ((values >= low) if end else (values > low))
    if values.ndim != 1 or not len(values) or not inside.all():
        top = "" if high == np.inf else f" and below {high:g}"
        least = "of at least" if end else "above"
        raise FitError(f"{name}={shown(given)} must be finite numbers {least} {low:g}{top}")
    return values


@door(error=FitError, title="")
def spent_by_row(
    spent: float | str | None, newdata: pd.DataFrame | None, n: int
) -> np.ndarray | None:
    """Times already spent, (n,): a number, or a column of the new data."""
    if spent is None:
        return None
    if isinstance(spent, str):
        if newdata is None or spent not in newdata.columns:
            raise FitError(f"spent={spent!r} is not a column of newdata; give one, or a number")
        return numbers("spent", newdata[spent], low=0.0, end=True)
    return np.full(n, float(numbers("spent", spent, low=0.0, end=True)[0]))


def tidy(
    band: Band, covariates: pd.DataFrame, axes: Sequence[tuple[str, Sequence[Any]]]
) -> pd.DataFrame:
    """A band (n, ...) as a table with one row for each number.

    Parameters
    ----------
    band : Band
    covariates : DataFrame of n rows
    axes : sequence of (str, sequence)
        Name and labels of every axis after the first.

    Returns
    -------
    DataFrame
        Columns row, the covariates, one for each axis, estimate, lower, upper.  A covariate
        that is called like one of these is called "time (covariate)", say.
    """
    shape = band.estimate.shape
    places = np.indices(shape).reshape(len(shape), -1)
    columns: dict[str, Any] = {"row": covariates.index.to_numpy()[places[0]]}
    taken = ("row", "estimate", "lower", "upper", *(name for name, _ in axes))
    names = covariate_names(covariates.columns, taken)
    columns |= {new: covariates[n].array.take(places[0]) for n, new in names.items()}
    for (name, labels), place in zip(axes, places[1:], strict=True):
        values = np.empty(len(labels), dtype=object)
        values[:] = list(labels)
        columns[name] = pd.Series(values[place]).infer_objects().array
    for name in ("estimate", "lower", "upper"):
        columns[name] = getattr(band, name).ravel()
    return Printed(columns)


def covariate_names(names: Iterable[Any], taken: Sequence[str]) -> dict[Any, str]:
    """What columns of covariates are called in a table with other columns of its own."""
    return {n: f"{n} (covariate)" if str(n) in taken else str(n) for n in names}
