r"""A log density of the rows of a cluster at once, for responses that are not independent.

    log f(y_c | mu_c, phi) = F(sum_{i in c} t(y_i, mu_i), phi)

A family says what its rows add up, t, and the function F of the sums.  Linear predictors of rows
and log densities of rows stay what the passes know: a cluster's log density and its slopes in
the dispersions stand at the first of its rows, and the other rows have zero.  Only what two rows of
a cluster have together, second derivatives, is computed here by cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.interface import Array, Observed
from bayesmix.families.links import Linked


class Parts(NamedTuple):
    """Log densities (..., C) of C clusters with their derivatives.

    `sums` has the slopes in the m sums, `phi` those in the p linear predictors of the dispersions.
    `bends` has second derivatives by pairs of positions i >= j, sums first, then dispersions; pairs
    that are not there are zero.  `expected` has the dispersions' expected information by pairs of
    them, where a family gives it.
    """

    logf: np.ndarray
    sums: tuple[np.ndarray, ...]
    phi: tuple[np.ndarray, ...]
    bends: Mapping[tuple[int, int], np.ndarray]
    expected: Mapping[tuple[int, int], np.ndarray] | None = None


@dataclass(frozen=True)
class Whole:
    """How a family gives the log density of a cluster's rows together.

    Parameters
    ----------
    counts : callable
        ``counts(obs)``: what rows add up whatever the parameters are, arrays (n,).
    terms : callable
        ``terms(obs, mu)``: the same of what depends on the location, a `Linked`; (..., n).
    density : callable
        ``density(counts, terms, *phi)``: F of the sums and of the dispersions, each a `Linked`.
    closed : callable, optional
        ``closed(counts, terms, *phi, order=)``: the same as `Parts`.  Of order 1 with first
        derivatives, 2 with what an ascent step needs too (second ones between the sums, the
        expected information), 3 with all second ones in their place.
    slopes : callable, optional
        ``slopes(obs, mu)``: first and second derivatives of the terms in the location's linear
        predictor.
    simulate : callable, optional
        ``simulate(rng, cluster, effects, **natural)``: responses (n,) of rows.
    made : tuple
        A function and its arguments, which make the family again when it is unpickled.
    """

    counts: Callable[[Observed], tuple[Array, ...]]
    terms: Callable[..., tuple[Array, ...]]
    density: Callable[..., Array]
    closed: Callable[..., Parts] | None = None
    slopes: Callable[..., tuple[list[np.ndarray], list[np.ndarray]]] | None = None
    simulate: Callable[..., np.ndarray] | None = None
    made: tuple[Any, ...] = ()

    def log_density(self, obs: Observed, linked: tuple[Linked, ...]) -> np.ndarray:
        """A cluster's log density at the first of its rows, (..., n)."""
        at = clusters_of(obs)
        counts, terms, phi = self._summed(obs, linked, at)
        return at.at_first(self.density(counts, terms, *phi))

    def derivatives(
        self, obs: Observed, linked: tuple[Linked, ...], parts: Parts | None = None
    ) -> Derivatives:
        """Log density and slopes in the linear predictors by row; no second derivatives."""
        at = clusters_of(obs)
        parts = self.parts(obs, linked) if parts is None else parts
        slopes, _ = self.row_slopes(obs, linked[0])
        location = sum(at.to_rows(f) * t for f, t in zip(parts.sums, slopes, strict=True))
        shape = np.broadcast_shapes(parts.logf.shape, *(f.shape for f in parts.phi))
        phi = (at.at_first(np.broadcast_to(f, shape)) for f in parts.phi)
        return Derivatives(at.at_first(parts.logf), (location, *phi), ())

    def parts(
        self,
        obs: Observed,
        linked: tuple[Linked, ...],
        *,
        closed: bool = True,
        order: int = 1,
    ) -> Parts:
        """Log densities of the clusters and their derivatives in the sums and dispersions.

        As far as `order` says, see `Whole.closed`; automatic ones are all there.
        """
        counts, terms, phi = self._summed(obs, linked, clusters_of(obs))
        if closed and self.closed is not None:
            return self.closed(counts, terms, *phi, order=order)
        given = (*terms, *(p.eta for p in phi))
        shape = np.broadcast_shapes(*(np.shape(x) for x in given))
        variables = xp.jets(*(np.broadcast_to(x, shape) for x in given))
        links = [p.link for p in phi]
        moved = [Linked(k, v) for k, v in zip(links, variables[len(terms) :], strict=True)]
        jet = self.density(counts, variables[: len(terms)], *moved)
        first, m = tuple(jet.first), len(terms)
        pairs = [(i, j) for i in range(len(given)) for j in range(i + 1)]
        return Parts(jet.value, first[:m], first[m:], {p: jet.second[p] for p in pairs})

    def row_slopes(self, obs: Observed, mu: Linked) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """First and second derivatives of the terms in the location's linear predictor."""
        if self.slopes is not None:
            first, second = self.slopes(obs, mu)
            return [_observed(obs, a) for a in first], [_observed(obs, b) for b in second]
        (variable,) = xp.jets(np.asarray(mu.eta, dtype=float))
        terms = self.terms(obs, Linked(mu.link, variable))
        first = [_observed(obs, t.first[0]) for t in terms]
        return first, [_observed(obs, t.second[0, 0]) for t in terms]

    def _summed(
        self, obs: Observed, linked: tuple[Linked, ...], at: Clusters
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[Linked, ...]]:
        counts = tuple(at.sums(_observed(obs, x)) for x in self.counts(obs))
        terms = tuple(at.sums(_observed(obs, x)) for x in self.terms(obs, linked[0]))
        phi = tuple(Linked(p.link, at.first_of(np.asarray(p.eta))) for p in linked[1:])
        return counts, terms, phi


def _observed(obs: Observed, rows: np.ndarray) -> np.ndarray:
    """What rows (..., n) add up: nothing where the response is missing."""
    values = np.asarray(rows, dtype=float)
    return values if obs.there is None else np.where(obs.there, values, 0.0)


class Clusters(NamedTuple):
    """Consecutive rows that belong together: `first` (C,) and how many rows there are."""

    first: np.ndarray
    n: int

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Sums (..., C) of rows (..., n)."""
        return np.add.reduceat(rows, self.first, axis=-1)

    def to_rows(self, values: np.ndarray) -> np.ndarray:
        """Values of clusters (..., C) at each of their rows, (..., n); one for all stays."""
        if values.shape[-1] != len(self.first):
            return values
        return np.repeat(values, np.diff(np.append(self.first, self.n)), axis=-1)

    def first_of(self, rows: np.ndarray) -> np.ndarray:
        """Rows (..., n) that are alike in a cluster, once, (..., C); a constant (..., 1) stays."""
        return rows if rows.shape[-1:] != (self.n,) else rows[..., self.first]

    def at_first(self, values: np.ndarray) -> np.ndarray:
        """Values of clusters (..., C) at their first rows, zero at the others, (..., n)."""
        out = np.zeros((*values.shape[:-1], self.n))
        out[..., self.first] = values
        return out


def clusters_of(obs: Observed) -> Clusters:
    """The clusters of observed rows; without any each row is one."""
    n = len(obs.y)
    if obs.cluster is None:
        return Clusters(np.arange(n), n)
    return Clusters(np.flatnonzero(np.diff(obs.cluster, prepend=-1)), n)
