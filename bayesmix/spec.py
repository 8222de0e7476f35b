"""A mixture, frozen: parameters with their places, rows, and how both came about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import plain, whole_number
from bayesmix.concomitant import WeightModel
from bayesmix.design import Design
from bayesmix.errors import SpecError
from bayesmix.families import Family, family
from bayesmix.identifiability import check_identified, check_varies
from bayesmix.inputs import Part, Prepared, Regression, nested_pairs, prepare
from bayesmix.layout import Effect, Layout, build_layout
from bayesmix.newdata import BlockRows, Rows, apply

__all__ = ["BlockRows", "MixtureSpec", "Regression", "Rows", "assemble", "prepare"]


@dataclass(frozen=True)
class MixtureSpec:
    """A mixture, ready for any method of estimation.

    Parameters
    ----------
    layout : Layout
    rows : Rows
    weights : WeightModel
    prepared : Prepared
        What the designs came from; new data go through the same encodings.
    held : dict of int to float
        Entries of theta that are not estimated, unconstrained scale.
    """

    layout: Layout
    rows: Rows
    weights: WeightModel
    prepared: Prepared
    held: Mapping[int, float] = field(default_factory=dict)

    @property
    def components(self) -> tuple[Hashable, ...]:
        """Names of the components."""
        return self.layout.components

    @property
    def k(self) -> int:
        """Number of components."""
        return self.layout.k

    @property
    def free(self) -> np.ndarray:
        """Which entries of theta are estimated, shape (D,)."""
        mask = np.ones(self.layout.size, bool)
        mask[list(self.held)] = False
        return mask

    @property
    def df(self) -> int:
        """Number of free parameters."""
        return int(self.free.sum())

    @property
    def n_obs(self) -> float:
        """Number of rows, or the sum of their weights."""
        if self.rows.weight is None:
            return self.rows.n
        return float(self.rows.weight[self.rows.units.codes].sum())

    @property
    def n_units(self) -> float:
        """Number of units, or the sum of their weights."""
        return self.rows.n_units if self.rows.weight is None else float(self.rows.weight.sum())

    def with_k(self, k: int) -> MixtureSpec:
        """The same model with another number of components."""
        return assemble(self.prepared, k)

    def apply(self, newdata: pd.DataFrame | None, *, response: bool, weights: bool = True) -> Rows:
        """New data through the same encodings.

        Parameters
        ----------
        newdata : DataFrame, or None
            None: the training rows.
        response : bool
            Whether the response is needed too.
        weights : bool
            Whether the components' weights are needed.
        """
        if newdata is None:
            return self.rows
        return apply(self.prepared, self.layout, newdata, response=response, weights=weights)


def assemble(prepared: Prepared, k: int) -> MixtureSpec:
    """Give a prepared model its number of components.

    Raises
    ------
    SpecError
        If k is no positive integer, exceeds the number of units, or does not
        agree with the families, blocks or labels.
    """
    k = whole_number("k", k, "the number of components", 1)
    n_units = len(prepared.units.first)
    if k > n_units:
        what = "groups" if prepared.units.grouped else "rows"
        msg = f"k={k} components are more than the {n_units} {what}; use a smaller k"
        raise SpecError(msg)
    components = _names(prepared.labels, k)
    several = len(prepared.parts) > 1
    blocks, rows, partitions = [], [], []
    for part in prepared.parts:
        families = _families(part.regression.family, k)
        terms, effects, matrix, offset = _design(part, k)
        shared = _dispersion_sets(part.regression.dispersion, k, families)
        suffix = f"_{part.response.name}" if several else ""
        blocks.append((part.response.name, suffix, families, terms, effects, shared))
        distinct = {f.name: f for f in families}
        observed = {name: f.observe(part.response) for name, f in distinct.items()}
        check_varies(part.response, families, observed)
        rows.append(BlockRows(matrix, offset, part.response, observed))
        partitions.append((families, effects, shared))
    symmetric = _symmetric(k, partitions, prepared.labels)
    concomitant = None if k == 1 else prepared.concomitant
    layout = build_layout(
        components, blocks, None if concomitant is None else concomitant.terms, symmetric
    )
    check_identified(layout, [r.matrix for r in rows])
    unit_matrix = None if concomitant is None else concomitant.matrix[prepared.units.first]
    allowed = None if prepared.labels is None else _allowed(prepared.labels, k)
    data = Rows(tuple(rows), prepared.units, unit_matrix, prepared.weight, allowed)
    return MixtureSpec(layout, data, WeightModel(layout.alpha), prepared)


def _names(labels: pd.Categorical | None, k: int) -> tuple[Hashable, ...]:
    if labels is None:
        return tuple(range(1, k + 1))
    known = [plain(c) for c in labels.categories]
    if len(known) > k:
        msg = f"the labels name {len(known)} components {known}, but k={k}; use k of at least that"
        raise SpecError(msg)
    rest = [n for n in range(1, 2 * k + 1) if n not in known and n > len(known)]
    return (*known, *rest[: k - len(known)])


def _families(given: Any, k: int) -> tuple[Family, ...]:
    if isinstance(given, (list, tuple)):
        if len(given) != k:
            msg = f"family= lists {len(given)} families for k={k} components; give one or {k}"
            raise SpecError(msg)
        made: dict[Any, Family] = {}
        for g in given:
            made.setdefault(g if isinstance(g, (str, Family)) else repr(g), family(g))
        families = tuple(made[g] for g in given)
    else:
        families = (family(given),) * k
    distinct = {id(f): f for f in families}.values()
    names = [f.name for f in distinct]
    if len(set(names)) < len(names):
        msg = f"two different families are both named {names}; give each its own name"
        raise SpecError(msg)
    _check_dispersions(distinct)
    return families


def _check_dispersions(families: Iterable[Family]) -> None:
    """Dispersions of one name are one quantity, with one link."""
    links: dict[str, str] = {}
    for parameter in (p for f in families for p in f.dispersions):
        known = links.setdefault(parameter.name, parameter.link.name)
        if known != parameter.link.name:
            msg = (
                f"the dispersion {parameter.name!r} has the link {known!r} in one family and "
                f"{parameter.link.name!r} in another; give it one link or two names"
            )
            raise SpecError(msg)


def _design(
    part: Part, k: int
) -> tuple[tuple[str, ...], list[Effect], np.ndarray, np.ndarray | None]:
    """Join the designs of one response; a term that several blocks use is one column."""
    terms: list[str] = []
    columns: list[np.ndarray] = []
    effects: list[Effect] = []
    offset: np.ndarray | None = None
    used: dict[str, str] = {}
    blocks = _nested_sets(part.regression.nested, k)
    everyone = (tuple(range(k)),)
    nested = iter(blocks)
    for design, kind in zip(part.designs, part.kinds, strict=True):
        for term in design.terms:
            if term in used and not used[term] == kind == "nested":
                msg = (
                    f"the term {term!r} of {part.regression.formula!r} is both {used[term]} and "
                    f"{kind}; a term has one kind of coefficient"
                )
                raise SpecError(msg)
        where = []
        for j, term in enumerate(design.terms):
            column = design.matrix[:, j]
            if term in terms and np.array_equal(columns[terms.index(term)], column):
                where.append(terms.index(term))
                continue
            if term in terms:
                msg = f"the nested formulas code the term {term!r} differently; write it alike"
                raise SpecError(msg)
            where.append(len(terms))
            terms.append(term)
            columns.append(column)
            used[term] = kind
        shared = {"fixed": everyone, "varying": tuple((s,) for s in range(k))}
        sets = (next(nested),) if kind == "nested" else shared[kind]
        if design.terms:
            effects.append(Effect(kind, design.terms, tuple(where), sets))
        if design.offset is not None:
            offset = design.offset if offset is None else offset + design.offset
    matrix = _join(part.designs, columns, len(part.response.y))
    return tuple(terms), effects, matrix, offset


def _join(designs: tuple[Design, ...], columns: list[np.ndarray], n: int) -> np.ndarray:
    with_terms = [d for d in designs if d.terms]
    if len(with_terms) == 1:
        return with_terms[0].matrix
    return np.column_stack(columns) if columns else np.empty((n, 0))


def _nested_sets(nested: Any, k: int) -> list[tuple[int, ...]]:
    pairs = nested_pairs(nested)
    sizes = [size for _, size in pairs]
    if sizes and sum(sizes) != k:
        msg = f"the nested blocks have {sizes} components, {sum(sizes)} in all, but k={k}"
        raise SpecError(msg)
    return _consecutive(sizes)


def _consecutive(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    ends = np.cumsum(sizes, dtype=int)
    return [tuple(range(b - n, b)) for n, b in zip(sizes, ends, strict=True)]


def _dispersion_sets(
    given: Any, k: int, families: tuple[Family, ...]
) -> tuple[tuple[int, ...], ...]:
    if isinstance(given, str) and given == "varying":
        return tuple((s,) for s in range(k))
    sizes = list(given) if isinstance(given, (list, tuple)) else None
    if isinstance(given, str) and given == "fixed":
        sizes = [k]
    whole = sizes is not None and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in sizes
    )
    if not whole or sizes is None or sum(sizes) != k:
        msg = (
            f"dispersion={given!r} is not understood; use 'varying', 'fixed', or the sizes of "
            f"consecutive blocks that add up to k={k}"
        )
        raise SpecError(msg)
    if not any(f.dispersions for f in families):
        names = " and ".join(dict.fromkeys(f.name for f in families))
        msg = f"dispersion={given!r}: {names} has no dispersion to share; leave dispersion= out"
        raise SpecError(msg)
    return tuple(_consecutive(sizes))


def _symmetric(k: int, partitions: list, labels: pd.Categorical | None) -> tuple:
    """Sets of components that no block, family or label tells apart."""
    keys: list[list[Any]] = [[] for _ in range(k)]
    for families, effects, shared in partitions:
        for s in range(k):
            keys[s].append(families[s].name)
            keys[s] += [
                i
                for e in effects
                if e.kind == "nested"
                for i, members in enumerate(e.shared)
                if s in members
            ]
            nested_in = [
                j for j, e in enumerate(effects) if e.kind == "nested" and s in e.shared[0]
            ]
            keys[s].append(tuple(nested_in))
            keys[s].append(
                next((i for i, m in enumerate(shared) if s in m and 1 < len(m) < k), "own")
            )
    n_known = 0 if labels is None else len(labels.categories)
    for s in range(n_known):
        keys[s].append(("label", s))
    sets: dict[Any, list[int]] = {}
    for s in range(k):
        sets.setdefault(repr(keys[s]), []).append(s)
    return tuple(tuple(members) for members in sets.values())


def _allowed(labels: pd.Categorical, k: int) -> np.ndarray:
    codes = np.asarray(labels.codes)
    allowed = np.ones((len(codes), k), bool)
    known = codes >= 0
    allowed[known] = codes[known, None] == np.arange(k)
    return allowed
