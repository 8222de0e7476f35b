"""Data sets simulated from a model, and counts in them and in the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError
from bayesmix.formula.calls import time_name
from bayesmix.formula.times import Times
from bayesmix.model import MixtureSpec
from bayesmix.plot.grid import one_of
from bayesmix.posterior.predict import simulate
from bayesmix.results.censoring import refuse_background
from bayesmix.results.simulation import columns_of, draw_columns
from bayesmix.survival.nonparametric import kaplan_meier

KINDS = ("rootogram", "density", "ecdf", "survival")
MOST_BINS = 40
FEWEST_BINS = 8
POINTS = 201
BEYOND = 1.0  # how far beyond the data an axis goes, in their range
MIDDLE = (0.01, 0.99)  # of the simulated values, shown where it is near enough


@dataclass(frozen=True)
class Replicates:
    """A response, as observed and as drawn T times from a model.

    Parameters
    ----------
    name : str
    observed : ndarray, shape (n,)
        Proportions of a binomial response whose trials differ.
    drawn : ndarray, shape (T, n)
    weight : ndarray, shape (n,)
        How many rows each stands for.
    times : Times, or None
        How survival times were observed.
    source : str
        Where the data sets come from, in words.
    levels : tuple
        Of a response with levels, whose values are their places; else empty.
    """

    name: str
    observed: np.ndarray
    drawn: np.ndarray
    weight: np.ndarray
    times: Times | None
    source: str
    levels: tuple[Any, ...] = ()

    def limits(self) -> tuple[float, float]:
        """Ends of the axis: the data, and the middle of what is drawn where it is near."""
        low, high = float(self.observed.min()), float(self.observed.max())
        room = BEYOND * max(high - low, abs(high), 1e-12)
        known = self.drawn[np.isfinite(self.drawn)]
        if len(known):
            ends = np.quantile(known, MIDDLE)
            low = max(min(low, float(ends[0])), low - room)
            high = min(max(high, float(ends[1])), high + room)
        return low, high

    def outside(self, low: float, high: float) -> float:
        """Share of the drawn values that lie beyond these ends, or are not finite."""
        with np.errstate(invalid="ignore"):
            return float(1 - ((self.drawn >= low) & (self.drawn <= high)).mean())

    def edges(self, low: float, high: float, *, whole: bool) -> np.ndarray:
        """Edges of bins; of whole numbers each has the same number of them."""
        if whole:
            width = int(np.ceil((high - low + 1) / MOST_BINS))
            bins = int(np.ceil((high - low + 1) / width))
            return np.floor(low) - 0.5 + width * np.arange(bins + 1)
        step = np.diff(np.histogram_bin_edges(self.observed, "fd"))[0]
        bins = int(np.clip(np.ceil((high - low) / max(step, 1e-300)), FEWEST_BINS, MOST_BINS))
        return np.linspace(low, high if high > low else low + 1, bins + 1)

    def counts(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows in every bin: observed (bins,), drawn (T, bins)."""
        found = [np.histogram(y, edges, weights=self.weight)[0] for y in self.drawn]
        return np.histogram(self.observed, edges, weights=self.weight)[0], np.array(found)

    def shares_up_to(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the rows at or below every value: observed (m,), drawn (T, m)."""
        return self._share(self.observed, grid), np.array(
            [self._share(y, grid) for y in self.drawn]
        )

    def _share(self, y: np.ndarray, grid: np.ndarray) -> np.ndarray:
        order = np.argsort(y)
        total = np.concatenate([[0.0], np.cumsum(self.weight[order])])
        return np.asarray(total[np.searchsorted(y[order], grid, side="right")] / total[-1])

    def survival(self, grid: np.ndarray) -> np.ndarray:
        """Kaplan-Meier estimates (T, m) of the drawn times, followed up to the last of grid."""
        assert self.times is not None
        last = float(grid[-1])
        out = np.empty((len(self.drawn), len(grid)))
        for t, drawn in enumerate(self.drawn):
            seen = drawn <= last
            lower = np.maximum(np.where(seen, drawn, last), np.finfo(float).tiny)
            known = Times(lower, np.where(seen, lower, np.inf), self.times.entry)
            with np.errstate(over="ignore"):  # in the limits, which are not used
                out[t] = kaplan_meier(known, self.weight).at(grid)[:, 0]
        return out


def kind_of(replicates: Replicates, kind: str | None) -> str:
    """The kind of picture requested, or the one that suits the response.

    Raises
    ------
    FitError
        If it is unknown, or does not go with the response.
    """
    timed = replicates.times is not None
    if kind is None:
        whole = _whole(replicates.observed) and _whole(replicates.drawn)
        return "survival" if timed else "rootogram" if whole else "density"
    allowed = ("survival",) if timed else KINDS[:3]
    if kind not in allowed:
        msg = f"kind={kind!r} does not go with {replicates.name}; use one of {list(allowed)}"
        raise FitError(msg)
    if kind == "rootogram" and not _whole(replicates.observed):
        msg = f"kind='rootogram' is for counts, and {replicates.name} is none; use 'density'"
        raise FitError(msg)
    return kind


def _whole(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.rint(known)).all())


def of_model(fit: Any, response: str | None, draws: int, rng: np.random.Generator) -> Replicates:
    """Data sets drawn from a posterior, or at the estimates of a point fit."""
    spec = fit.numbers.spec
    block = _block(spec, response)
    if is_posterior(fit):
        drawn = simulate(fit.numbers, None, draws, rng)[:, block]
        return _made(spec, block, drawn, "drawn from the posterior")
    theta = fit.numbers.theta
    found = [draw_columns(spec, theta, spec.rows, rng)[1][block] for _ in range(draws)]
    return _made(spec, block, np.array(found), "drawn at the estimates")


def of_priors(model: Any, response: str | None, draws: int, rng: np.random.Generator) -> Replicates:
    """Data sets drawn from the priors of a model."""
    spec = model.spec
    block = _block(spec, response)
    tree = model.sample_prior(draws, rng)["prior_predictive"]
    values = tree[list(tree.data_vars)[block]].to_numpy()
    return _made(spec, block, values.reshape(-1, spec.rows.n), "drawn from the priors")


def _block(spec: MixtureSpec, response: str | None) -> int:
    if spec.kind.named:
        raise FitError(
            "competing events have times and states in place of one response; see states() for a "
            "fit of them"
        )
    names = tuple(column.name for column in columns_of(spec, spec.rows))
    return 0 if response is None else names.index(one_of(response, names, "response"))


def _made(spec: MixtureSpec, block: int, drawn: np.ndarray, source: str) -> Replicates:
    column = columns_of(spec, spec.rows)[block]
    response = spec.prepared.parts[column.block].response
    if response.y.ndim > 1:
        own = response.y[:, column.number]
        response = replace(response, name=column.name, y=own, there=column.there)
    by_row = spec.rows.row_weights
    words = f"{len(drawn)} data sets {source}"
    if response.there is not None:
        rows = np.flatnonzero(response.there)
        response, drawn, by_row = response.take(rows), drawn[:, rows], by_row[rows]
    if response.times is not None:
        name = time_name([response.name])
        refuse_background(response.times, "a picture of replicated data")
        return Replicates(name, response.y, drawn, by_row, response.times, words)
    trials, observed, name = response.trials, response.y, response.name
    if trials is not None and len(np.unique(trials)) > 1:
        name = f"proportion, {name}"
        observed = response.y / np.maximum(trials, 1)
        drawn = drawn / np.maximum(trials, 1)
    levels = spec.layout.blocks[column.block].families[0].levels
    return Replicates(name, observed, drawn, by_row, None, words, levels)
