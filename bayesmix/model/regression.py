"""The parameters and rows of one regression."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from bayesmix._arguments import shown
from bayesmix.errors import SpecError
from bayesmix.families import Family, resolve, with_limits
from bayesmix.families.effects import with_effects
from bayesmix.formula.design import Design
from bayesmix.formula.frames import Units
from bayesmix.formula.response import Response
from bayesmix.model.blocks import FamilyBlocks
from bayesmix.model.identifiability import check_full_rank, check_varies
from bayesmix.model.layout import Effect, PartLayout
from bayesmix.model.parts import Part, Read
from bayesmix.model.rows import BlockRows, Clustered, block_rows
from bayesmix.model.units import as_copies


def plan(
    part: Part,
    components: tuple[Hashable, ...],
    suffix: str,
    units: Units,
    weight: np.ndarray | None,
) -> tuple[PartLayout, BlockRows]:
    """The parameters and rows of one response; `weight` (n,) is of the rows."""
    k = len(components)
    survival = part.response.times is not None
    families = _families(part.regression.family, components, survival=survival)
    families = tuple(settled(families, [part.response] * k, weight))
    clustered = None
    if part.random is not None:
        families = _with_effects(families, part)
        clustered = Clustered(part.random.codes, part.random.design.matrix)
    if part.response.limits is not None:
        families = tuple(map(with_limits, families))
    terms, effects, matrix, offset = _design(part, k)
    shared = _dispersion_sets(part.regression.dispersion, k, families)
    if any(f.cuts for f in families):
        terms, effects, matrix = _with_thresholds(part, families, terms, effects, matrix, shared)
    if survival and "Intercept" not in terms:  # the parameters beside the location need one
        terms, matrix = (*terms, "Intercept"), np.column_stack([matrix, np.ones(len(matrix))])
    layout = PartLayout(
        part.response.name,
        suffix,
        families,
        _keys(families),
        terms,
        tuple(effects),
        shared,
        random=() if part.random is None else part.random.design.terms,
        random_covariance=part.regression.random_covariance,
    )
    rows = block_rows(layout, Read((part.response,)), matrix, offset, units, clustered)
    counted = slice(None) if weight is None else weight > 0
    check_varies(part.response, layout, rows.observed, counted)
    return layout, rows if part.described is None else replace(rows, described=part.described)


def _with_effects(families: Sequence[Family], part: Part) -> tuple[Family, ...]:
    """Gaussian families with the random effects of a response."""
    assert part.random is not None
    wrong = [f"the family {f.name!r}" for f in families if f.name != "gaussian"]
    links = [f.parameters[0].link.name for f in families if f.name == "gaussian"]
    wrong += [f"the link {link!r}" for link in links if link != "identity"]
    wrong += [] if part.response.limits is None else [part.response.name]
    if wrong:
        raise SpecError(
            f"random effects ({part.random.column}) need Gaussian responses without limits, with "
            f"the identity link, not {wrong[0]}; use family='gaussian', or leave them out"
        )
    proportional = part.regression.random_covariance == "proportional"
    made = with_effects(families[0], part.random.design.terms, proportional=proportional)
    return (made,) * len(families)


def _with_thresholds(
    part: Part,
    families: tuple[Family, ...],
    terms: tuple[str, ...],
    effects: list[Effect],
    matrix: np.ndarray,
    shared: tuple[tuple[int, ...], ...],
) -> tuple[tuple[str, ...], list[Effect], np.ndarray]:
    """A design whose intercept is the first threshold, whatever the formulas say of one."""
    if len({f.cuts for f in families}) > 1:
        names = " and ".join(dict.fromkeys(f.name for f in families))
        raise SpecError(
            f"the components of {part.response.name!r:.200} have the families {names}; ordered "
            "levels need one family in all components"
        )
    if "Intercept" not in terms:
        terms, matrix = (*terms, "Intercept"), np.column_stack([matrix, np.ones(len(matrix))])
        check_full_rank(matrix, terms, f"{part.regression.formula!r:.200} with its thresholds")
    column = terms.index("Intercept")
    others = []
    for effect in effects:
        kept = [j for j, at in enumerate(effect.columns) if at != column]
        if kept:
            of = tuple(effect.terms[j] for j in kept)
            others.append(replace(effect, terms=of, columns=tuple(effect.columns[j] for j in kept)))
    return terms, [*others, Effect("dispersion", ("Intercept",), (column,), shared)], matrix


def _keys(families: Sequence[Family]) -> tuple[str, ...]:
    """Names of the components' families, numbered where several have the same."""
    alike: dict[str, list[Family]] = {}
    for f in families:
        known = alike.setdefault(f.name, [])
        known += [] if f in known else [f]
    places = [alike[f.name].index(f) for f in families]
    return tuple(
        f"{f.name} {i + 1}" if i else f.name for f, i in zip(families, places, strict=True)
    )


def settled(
    families: Sequence[Family], responses: Sequence[Response], weight: np.ndarray | None
) -> list[Family]:
    """Families made final by the data, such as the knots of splines; the same stays the same.

    Times count by their rows' weights (n,); levels are those of all rows.
    """
    made: dict[tuple[int, int], Family] = {}
    for f, r in zip(families, responses, strict=True):
        if (id(f), id(r)) not in made:
            if f.settle is None:
                made[id(f), id(r)] = f
            else:
                copies = weight is not None and r.times is not None
                made[id(f), id(r)] = f.settle(r.take(as_copies(weight)) if copies else r)
    return [made[id(f), id(r)] for f, r in zip(families, responses, strict=True)]


def _families(
    given: Any, components: tuple[Hashable, ...], *, survival: bool = False
) -> tuple[Family, ...]:
    k = len(components)
    given = given.listed(k) if isinstance(given, FamilyBlocks) else given
    if isinstance(given, Mapping):
        if lacking := [name for name in components if name not in given]:
            raise SpecError(f"family={shown(given)} has no family for the components {lacking}")
        given = [given[name] for name in components]
    listed = given if isinstance(given, (list, tuple)) else [given] * k
    if len(listed) != k:
        msg = f"family= lists {len(listed)} families for k={k} components; give one or {k}"
        raise SpecError(msg)
    keys = [g if isinstance(g, (str, Family)) else repr(g) for g in listed]
    alike = dict(zip(keys, listed, strict=True))
    made = {key: resolve(g, survival=survival) for key, g in alike.items()}
    families = tuple(made[key] for key in keys)
    distinct = {id(f): f for f in families}.values()
    names = [(f.name, str(f.options)) for f in distinct]
    if len(set(names)) < len(names):
        twice = [name for i, (name, _) in enumerate(names) if names[i] in names[:i]]
        raise SpecError(f"two different families are both named {twice}; give each its own name")
    if not survival:
        _check_links(distinct)
    return families


def _check_links(families: Iterable[Family]) -> None:
    """Dispersions of one name are one quantity, with one link."""
    links: dict[str, str] = {}
    for parameter in (p for f in families for p in f.dispersions):
        known = links.setdefault(parameter.name, parameter.link.name)
        if known != parameter.link.name:
            raise SpecError(
                f"the dispersion {parameter.name!r} has the link {known!r} in one family and "
                f"{parameter.link.name!r} in another; give it one link or two names"
            )


def _design(
    part: Part, k: int
) -> tuple[tuple[str, ...], list[Effect], np.ndarray, np.ndarray | None]:
    """Join the designs of one response; a term that several blocks use is one column."""
    columns: dict[str, np.ndarray] = {}
    effects: list[Effect] = []
    used: dict[str, str] = {}
    shared = {"fixed": (tuple(range(k)),), "varying": tuple((s,) for s in range(k))}
    nested = iter(_nested_sets(part.regression.nested, k))
    for design, kind in zip(part.designs, part.kinds, strict=True):
        for term in design.terms:
            if used.setdefault(term, kind) != kind or (kind != "nested" and term in columns):
                raise SpecError(
                    f"the term {term!r} of {part.regression.formula!r:.200} is both {used[term]} "
                    f"and {kind}; a term has one kind of coefficient"
                )
        where = placed(columns, design, "the nested formulas")
        sets = (next(nested),) if kind == "nested" else shared[kind]
        if design.terms:
            effects.append(Effect(kind, design.terms, where, sets))
    offset = part.offset([design.offset for design in part.designs])
    matrix = _join(part.designs, list(columns.values()), len(part.response.y))
    return tuple(columns), effects, matrix, offset


def placed(columns: dict[str, np.ndarray], design: Design, what: str) -> tuple[int, ...]:
    """Where a design's terms stand among all columns, to which new ones are added.

    Raises
    ------
    SpecError
        If `what`, for messages, codes a term in two ways.
    """
    for term, column in zip(design.terms, design.matrix.T, strict=True):
        known = columns.setdefault(term, column)
        if known is not column and not np.array_equal(known, column):
            raise SpecError(f"{what} code the term {term!r} differently; write it alike")
    names = list(columns)
    return tuple(names.index(term) for term in design.terms)


def _join(designs: tuple[Design, ...], columns: list[np.ndarray], n: int) -> np.ndarray:
    with_terms = [d for d in designs if d.terms]
    if len(with_terms) == 1:
        return with_terms[0].matrix
    return np.column_stack(columns) if columns else np.empty((n, 0))


def _nested_sets(nested: Any, k: int) -> list[tuple[int, ...]]:
    sizes = [size for _, size in nested or ()]
    if sizes and sum(sizes) != k:
        msg = f"the nested blocks have {sizes} components, {sum(sizes)} in all, but k={k}"
        raise SpecError(msg)
    return _consecutive(sizes)


def _consecutive(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    ends = accumulate(sizes)
    return [tuple(range(b - n, b)) for n, b in zip(sizes, ends, strict=True)]


def _dispersion_sets(
    given: Any, k: int, families: tuple[Family, ...]
) -> tuple[tuple[int, ...], ...]:
    word = given if isinstance(given, str) else ""
    sizes = list(map(int, {"varying": [1] * k, "fixed": [k], "": given}.get(word, ())))
    if sum(sizes) != k or min(sizes) < 1:
        raise SpecError(
            f"dispersion={given!r} is not understood; use 'varying', 'fixed', or the sizes of "
            f"consecutive blocks that add up to k={k}"
        )
    if word != "varying" and not any(f.dispersions or f.cuts for f in families):
        names = " and ".join(dict.fromkeys(f.name for f in families))
        msg = f"dispersion={given!r}: {names} has no dispersion to share; leave dispersion= out"
        raise SpecError(msg)
    return tuple(_consecutive(sizes))
