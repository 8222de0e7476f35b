"""A specification with its data arranged for passes over rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families import Family, Observed
from bayesmix.formula.frames import first_places
from bayesmix.formula.sources import Stream
from bayesmix.likelihood.distinct import Distinct, distinct_rows
from bayesmix.model import MixtureSpec, Rows, unavailable
from bayesmix.model.coordinates import Standard
from bayesmix.model.layout import BlockLayout, Predictor
from bayesmix.priors import Penalty, PriorModel

# Elements of a work array: it should stay in the processor's cache.
BLOCK = 1 << 17
PRODUCTS = 1 << 22
DENSE = 1 << 14
# A response has few distinct rows if they are at most so many, and so many times fewer than all;
# of fewer rows than `COUNTED`, computing all takes no longer than counting.
FEW, TIMES_FEWER, COUNTED = 64, 10, 128


@dataclass(frozen=True, eq=False)
class Slot:
    """A parameter of a family in m components: where its coefficients stand in theta.

    `index` (m, P) has -1 where a component lacks a column of the design; with
    `constant` there is no design, and P is one.  `has` and `at` give for each
    component its columns and their entries of theta, `base` (m,) the entry of the
    constant or the intercept, -1 without one.  Theta has the length `size`.  The formula with
    its offset describes a `located` parameter.
    """

    index: np.ndarray
    constant: bool
    located: bool
    base: np.ndarray
    has: tuple[np.ndarray, ...]
    at: tuple[np.ndarray, ...]
    size: int

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray] | None:
        """What adds the components' parts up as matrix products, where that is small.

        For scores (m P, D) and for upper triangles (m P (P + 1) / 2, D D).
        """
        index, size = self.index, self.size
        i, j = np.triu_indices(index.shape[1])
        if len(index) * len(i) * size * size > DENSE:
            return None
        to_score = np.zeros((index.size, size))
        inside = np.flatnonzero(index.ravel() >= 0)
        to_score[inside, index.ravel()[inside]] = 1.0
        to_scoring = np.zeros((len(index) * len(i), size * size))
        a, b = index[:, i].ravel(), index[:, j].ravel()
        rows = np.flatnonzero((a >= 0) & (b >= 0))
        to_scoring[rows, a[rows] * size + b[rows]] = 1.0
        to_scoring[rows, b[rows] * size + a[rows]] = 1.0
        return to_score, to_scoring

    def coefficients(self, theta: np.ndarray) -> np.ndarray:
        """Coefficients of shape (..., m, P) from theta (..., D); zero where absent."""
        return np.where(self.index >= 0, theta[..., self.index], 0.0)


class Group(NamedTuple):
    """Components of one family that read a response in one way.

    `key` is its place among the observed responses; `slots` has the family's
    parameters, the locations first (none for a family without parameters).
    """

    family: Family
    key: str
    members: np.ndarray
    everyone: bool
    slots: tuple[Slot, ...]

    @property
    def locations(self) -> tuple[Slot, ...]:
        """The parameters that the formula describes."""
        return tuple(slot for slot in self.slots if slot.located)

    @property
    def has(self) -> tuple[np.ndarray, ...]:
        """Columns of the first location's design, for each component."""
        return self.slots[0].has if self.slots else (np.empty(0, int),) * len(self.members)

    @property
    def dispersions(self) -> tuple[np.ndarray, ...]:
        """The other parameters' constants or intercepts: entries (m,) of theta, -1 without."""
        return tuple(slot.base for slot in self.slots if not slot.located)


@dataclass(frozen=True, eq=False)
class Table:
    """Few distinct rows of a response as its family reads it, and where they are.

    Parameters
    ----------
    arrays : Arrays
        Of the m distinct rows.
    distinct : Distinct
    """

    arrays: Arrays
    distinct: Distinct

    @cached_property
    def indicator(self) -> np.ndarray:
        """One where a row (n, m) is the distinct one, else zero."""
        return (self.distinct.codes[:, None] == np.arange(len(self.distinct.first))).astype(float)

    def spread(self, values: np.ndarray, rows: slice) -> np.ndarray:
        """Values of distinct rows (..., m) or (..., 1) at some of all rows."""
        if values.shape[-1:] == (1,):
            return values
        return np.take(values, self.distinct.codes[rows], axis=-1)

    def gathered(self, values: np.ndarray, rows: slice) -> np.ndarray:
        """Sums of the values (..., n) of some rows over equal ones, (..., m)."""
        return values @ self.indicator[rows]


@dataclass(frozen=True)
class Arrays:
    """The rows of one response, sorted by unit where units have several rows."""

    number: int
    layout: BlockLayout
    groups: tuple[Group, ...]
    matrix: np.ndarray
    offset: np.ndarray | None
    observed: dict[str, Observed]
    entry: dict[str, Observed] | None  # survivals to delayed entries, where there are any

    def seen(self, group: Group) -> tuple[Observed, np.ndarray, np.ndarray | float]:
        """What a family reads at the rows with the response: it, the design and the offset."""
        obs = self.observed[group.key]
        offset: np.ndarray | float = 0.0
        if self.offset is not None:
            offset = self.offset if self.offset.ndim == 1 else self.offset[group.members[0]]
        if obs.there is None:
            return obs, self.matrix, offset
        some = offset if isinstance(offset, float) else offset[obs.there]
        return obs.take(obs.there), self.matrix[obs.there], some

    @cached_property
    def patterns(self) -> dict[str, np.ndarray]:
        """All patterns of missing columns, by the key of their response."""
        return {key: np.unique(obs.const) for key, obs in self.observed.items()}

    def columns(self, obs: Observed) -> list[np.ndarray]:
        """All that a density of single rows reads: numbers (n,)."""
        out = [*self.matrix.T, *(() if self.offset is None else np.atleast_2d(self.offset))]
        limits = () if obs.limits is None else (obs.limits.lower, obs.limits.upper)
        fields = (x for x in (*obs, *limits) if isinstance(x, np.ndarray))
        out += [column for x in fields for column in x.reshape(len(x), -1).T]
        return [np.asarray(column, float) for column in out]

    def table(self, group: Group) -> Table | None:
        """The few distinct rows of a family's response; None where there are many."""
        return self._tables.get(group.key) if group.family.by_row else None

    @cached_property
    def _tables(self) -> dict[str, Table]:
        out: dict[str, Table] = {}
        n = len(self.matrix)
        if n < COUNTED:
            return out
        for key, obs in self.observed.items():
            if self.entry is not None or obs.times is not None or obs.cluster is not None:
                continue
            found = distinct_rows(self.columns(obs), n, min(FEW, n / TIMES_FEWER))
            if found is None:
                continue
            offset = None if self.offset is None else self.offset[..., found.first]
            few = {key: obs.take(found.first)}
            arrays = replace(self, matrix=self.matrix[found.first], offset=offset, observed=few)
            out[key] = Table(arrays, found)
        return out

    @cached_property
    def alike(self) -> bool:
        """Whether all rows of the design are the same, as of an intercept alone."""
        return bool((self.matrix == self.matrix[:1]).all())

    @cached_property
    def triangle(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of an upper triangle (P, P)."""
        return np.triu_indices(self.matrix.shape[1])

    @cached_property
    def products(self) -> np.ndarray | None:
        """Products of columns, (n, P (P + 1) / 2), where they fit."""
        i, j = self.triangle
        fits = len(self.matrix) * len(i) <= PRODUCTS
        return self.matrix[:, i] * self.matrix[:, j] if fits else None


@dataclass(frozen=True)
class Problem:
    """A specification with its data arranged for passes over rows.

    Parameters
    ----------
    spec : MixtureSpec
    blocks : tuple of Arrays
    first : ndarray, shape (U,), or None
        First sorted row of each unit; None where every row is a unit.
    order : ndarray, shape (n,), or None
        The row of the data at each sorted place.
    concomitant : ndarray, shape (U, Q), or None
    weight : ndarray, shape (U,), or None
    allowed : ndarray of bool, shape (U, S), or None
    penalty : Penalty, or None
        Priors: with them every log-likelihood, score and information of this
        problem is that of the posterior.
    """

    spec: MixtureSpec
    blocks: tuple[Arrays, ...]
    first: np.ndarray | None
    order: np.ndarray | None
    concomitant: np.ndarray | None
    weight: np.ndarray | None
    allowed: np.ndarray | None
    n_rows: int
    n_units: int
    penalty: Penalty | None = None
    n_threads: int | None = None
    stream: Stream | None = None  # all rows, where the arrays are those of a sample
    large: bool | None = None  # of a part of the rows, whether all of them are: see `is_large`
    # What is made once of the data: see `engine.engine`.
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out addresses of this process."""
        return self.__dict__ | {"kept": {}}

    @property
    def priors(self) -> PriorModel:
        """The priors, of a problem that has some."""
        assert self.penalty is not None
        return self.penalty.model

    def under(self, priors: PriorModel) -> Problem:
        """The same with other priors in the place of its own."""
        assert self.penalty is not None
        return replace(self, penalty=self.penalty._replace(model=priors))

    @property
    def standard(self) -> Standard:
        """The way to the user's coordinates, of a problem in standard ones."""
        assert self.spec.standard is not None
        return self.spec.standard

    @property
    def truncated(self) -> bool:
        """Whether units are only seen if their times exceed delayed entries."""
        return any(arrays.entry is not None for arrays in self.blocks)

    @cached_property
    def densities(self) -> int:
        """Numbers of a row from which its densities are made: one a component, or one a column."""
        normal = (g.family.normal for arrays in self.blocks for g in arrays.groups)
        return self.spec.k * max(1 if structure is None else structure.q for structure in normal)

    @cached_property
    def widest(self) -> float:
        """The largest number in all designs, one at least."""
        designs = [arrays.matrix for arrays in self.blocks]
        designs += [] if self.concomitant is None else [self.concomitant]
        return max(1.0, *(float(np.abs(x).max(initial=0.0)) for x in designs))


class Chunk(NamedTuple):
    """A range of whole units: their rows, first rows within it, and rows of each."""

    rows: slice
    units: slice
    first: np.ndarray | None
    counts: np.ndarray | None


def build_problem(
    spec: MixtureSpec,
    rows: Rows | None = None,
    penalty: Penalty | None = None,
    n_threads: int | None = None,
) -> Problem:
    """Arrange data for passes over their rows.

    Parameters
    ----------
    spec : MixtureSpec
    rows : Rows, optional
        Other data than those of the specification, with responses.
    penalty : Penalty, optional
    n_threads : int, optional
        Threads of a pass; None: all processors, one for small data.
    """
    spec = spec if rows is None else replace(spec, rows=rows)
    given = spec.rows
    rows = given.sample
    order = first = None
    if rows.units.grouped:
        within = [b.clustered.codes for b in rows.blocks if b.clustered is not None]
        order = np.lexsort((*within, rows.units.codes))
        first = first_places(rows.units.codes[order])
    blocks: list[Arrays] = []
    for layout, data in zip(spec.layout.blocks, rows.blocks, strict=True):
        matrix = data.matrix if order is None else data.matrix[order]
        offset = data.offset if order is None or data.offset is None else data.offset[..., order]
        observed = _sorted(data.observed, order)
        entry = None if data.entry is None else _sorted(data.entry, order)
        groups = tuple(_group(layout, members, spec.layout.size) for _, members in layout.groups())
        blocks.append(Arrays(len(blocks), layout, groups, matrix, offset, observed, entry))
    return Problem(
        spec,
        tuple(blocks),
        first,
        order,
        rows.concomitant,
        rows.weight,
        rows.allowed,
        given.n,
        given.n_units,
        penalty,
        n_threads,
        given.stream,
    )


def sample_of(problem: Problem) -> Problem:
    """The problem of the rows in memory: all of them, or the sample of those in blocks."""
    if problem.stream is None:
        return problem
    if "sample" not in problem.kept:
        spec = replace(problem.spec, rows=problem.spec.rows.sample)
        problem.kept["sample"] = build_problem(spec, penalty=problem.penalty)
    return problem.kept["sample"]


def _sorted(observed: Mapping[str, Observed], order: np.ndarray | None) -> dict[str, Observed]:
    return {key: obs if order is None else obs.take(order) for key, obs in observed.items()}


def _group(layout: BlockLayout, members: np.ndarray, size: int) -> Group:
    first = members[0]
    family = layout.families[first]
    slots = tuple(
        _slot(layout.predictors[j], members, size, located=family.is_located(number))
        for number, j in enumerate(layout.slots[first])
    )
    everyone = len(members) == len(layout.families)
    return Group(family, layout.keys[first], members, everyone, slots)


def _slot(predictor: Predictor, members: np.ndarray, size: int, *, located: bool) -> Slot:
    index, constant = used_columns(predictor, members, located=located)
    has = tuple((row >= 0).nonzero()[0] for row in index)
    at = tuple(row[h] for row, h in zip(index, has, strict=True))
    base = index[:, 0] if constant else _intercept(predictor, members)
    return Slot(index, constant, located, base, has, at, size)


def used_columns(
    predictor: Predictor, members: np.ndarray, *, located: bool
) -> tuple[np.ndarray, bool]:
    """Entries of theta, and whether they are a constant for each component.

    An intercept alone is one, but for a location, which may have an offset.
    """
    index = predictor.index[members]
    if predictor.constant or located:
        return index, predictor.constant
    columns = np.flatnonzero((index >= 0).any(0))
    if len(columns) == 1 and predictor.terms[columns[0]] == "Intercept":
        return index[:, columns], True
    return index, False


def _intercept(predictor: Predictor, members: np.ndarray) -> np.ndarray:
    if "Intercept" not in predictor.terms:
        return np.full(len(members), -1)
    return predictor.index[members, predictor.terms.index("Intercept")]


def chunks(problem: Problem, per_row: int) -> Iterator[Chunk]:
    """Ranges of whole units whose work arrays stay small."""
    if problem.stream is not None:
        raise unavailable(problem.n_rows)
    size = max(256, BLOCK // max(per_row, 1))
    if problem.first is None:
        for a in range(0, problem.n_rows, size):
            span = slice(a, min(a + size, problem.n_rows))
            yield Chunk(span, span, None, None)
        return
    edges = np.append(problem.first, problem.n_rows)
    a = 0
    while a < problem.n_units:
        b = int(np.searchsorted(edges, edges[a] + size, side="right")) - 1
        b = min(max(b, a + 1), problem.n_units)
        first = edges[a:b] - edges[a]
        yield Chunk(
            slice(int(edges[a]), int(edges[b])), slice(a, b), first, np.diff(edges[a : b + 1])
        )
        a = b


def products(arrays: Arrays, c: np.ndarray, rows: slice) -> np.ndarray:
    """Upper triangles of sum_i c_i x_i x_i', (..., P (P + 1) / 2), for weights c (..., n)."""
    if arrays.products is not None:
        return c @ arrays.products[rows]
    x = arrays.matrix[rows]
    i, j = arrays.triangle
    return c @ (x[:, i] * x[:, j])


def square(arrays: Arrays, flat: np.ndarray) -> np.ndarray:
    """Symmetric matrices (..., P, P) from their upper triangles."""
    i, j = arrays.triangle
    p = arrays.matrix.shape[1]
    out = np.empty((*flat.shape[:-1], p, p))
    out[..., i, j] = flat
    out[..., j, i] = flat
    return out


def add_linear(
    arrays: Arrays,
    slot: Slot,
    b: np.ndarray | None,
    flat: np.ndarray,
    score: np.ndarray,
    matrix: np.ndarray,
) -> None:
    """Add components' scores b (R, m, P) and triangles (R, m, T) to those of theta."""
    n, size = len(matrix), matrix.shape[1]
    if slot.sums is not None:
        to_score, to_scoring = slot.sums
        if b is not None:
            score += b.reshape(n, -1) @ to_score
        matrix += (flat.reshape(n, -1) @ to_scoring).reshape(n, size, size)
        return
    a = square(arrays, flat)
    for m, (has, at) in enumerate(zip(slot.has, slot.at, strict=True)):
        if b is not None:
            score[:, at] += b[:, m, has]
        matrix[:, at[:, None], at] += a[:, m, has[:, None], has]
