"""From formulas and data to a frozen specification of a mixture."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.concomitant import WeightModel
from bayesmix.design import (
    Design,
    Units,
    build_design,
    build_units,
    check_columns,
    rank_deficiency,
    select_rows,
)
from bayesmix.errors import DataError, FormulaError, SpecError
from bayesmix.families import Family, Observed, family
from bayesmix.formula import ParsedFormula, Scope, parse_formula
from bayesmix.layout import Effect, Layout, build_layout
from bayesmix.response import Response, read_response

__all__ = ["BlockRows", "MixtureSpec", "Regression", "Rows", "prepare"]


@dataclass(frozen=True)
class Regression:
    """The regression of one response; several share the components of a `Mixture`.

    Parameters
    ----------
    formula : str
        Response and varying effects.
    family : str, Family or list of these
        One for all components, or one for each.
    fixed : str, optional
        Effects with one coefficient for all components.
    nested : list of (str, int), optional
        Formula and number of components of each block.
    dispersion : str or list of int
        "varying", "fixed", or the sizes of the blocks that share one.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.Regression("y ~ x", family="poisson").family
    'poisson'
    """

    formula: str
    family: Any = "gaussian"
    fixed: str | None = None
    nested: Sequence[tuple[str, int]] | None = None
    dispersion: Any = "varying"


@dataclass(frozen=True)
class BlockRows:
    """The rows of one response: what changes with the data, not with the model.

    Parameters
    ----------
    matrix : ndarray, shape (n, P)
    offset : ndarray, shape (n,), or None
    response : Response, or None
        None where only predictions are asked for.
    observed : dict of str to Observed
        The response as each family reads it, by the family's name.
    """

    matrix: np.ndarray
    offset: np.ndarray | None
    response: Response | None
    observed: Mapping[str, Observed]


@dataclass(frozen=True)
class Rows:
    """Data as the likelihood reads them.

    Parameters
    ----------
    blocks : tuple of BlockRows
    units : Units
    concomitant : ndarray, shape (U, Q), or None
    weight : ndarray, shape (U,), or None
        Case weights of the units.
    allowed : ndarray of bool, shape (U, S), or None
        The components a unit may belong to.
    """

    blocks: tuple[BlockRows, ...]
    units: Units
    concomitant: np.ndarray | None
    weight: np.ndarray | None = None
    allowed: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.units.codes)

    @property
    def n_units(self) -> int:
        """Number of units, U."""
        return len(self.units.first)


@dataclass(frozen=True)
class _Part:
    """One response with its evaluated designs, before the number of components is known."""

    regression: Regression
    formula: ParsedFormula
    response: Response
    designs: tuple[Design, ...]
    kinds: tuple[str, ...]  # "fixed", "nested", "varying", beside `designs`


@dataclass(frozen=True)
class Prepared:
    """Everything that does not depend on the number of components."""

    parts: tuple[_Part, ...]
    units: Units
    concomitant: Design | None
    weight: np.ndarray | None
    labels: pd.Categorical | None
    scope: Scope
    group: str | None
    weights_column: str | None
    labels_column: str | None
    columns: tuple[str, ...]
    n_dropped: int
    index: pd.Index


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

    def apply(self, newdata: pd.DataFrame | None, *, response: bool) -> Rows:
        """New data through the same encodings.

        Parameters
        ----------
        newdata : DataFrame, or None
            None: the training rows.
        response : bool
            Whether the response is needed too.
        """
        return self.rows if newdata is None else _apply(self, newdata, response=response)


# --- reading -------------------------------------------------------------------------------


def prepare(
    regressions: Sequence[Regression],
    data: pd.DataFrame,
    *,
    concomitant: str | None,
    group: str | None,
    weights: str | None,
    labels: str | None,
    na_action: str,
    scope: Scope,
) -> Prepared:
    """Read the formulas and evaluate them on the data.

    Raises
    ------
    FormulaError, DataError, SpecError
        With what was given, what is allowed and what to do.
    """
    if na_action not in ("error", "drop"):
        msg = f"na_action={na_action!r} is unknown; use 'error' or 'drop'"
        raise SpecError(msg)
    if not regressions:
        msg = "a mixture needs at least one Regression; the list given is empty"
        raise SpecError(msg)
    parsed = [_parse(r) for r in regressions]
    group = _one_group(group, [p[0] for p in parsed])
    weight_design = None if concomitant is None else parse_formula(concomitant, "concomitant")
    columns = _columns(parsed, weight_design, group, weights)
    extra = tuple(c for c in (labels, *(x for x in (group, weights) if x)) if c)
    _check_frame(data)
    columns = tuple(c for c in columns if c in data.columns or c in extra)
    check_columns(data, tuple(dict.fromkeys((*columns, *extra))))
    kept, dropped = select_rows(data, columns, na_action)
    units = build_units(kept, group)
    parts = tuple(
        _part(r, p, kept, scope) for r, p in zip(regressions, parsed, strict=True)
    )
    names = [p.response.name for p in parts]
    if len(set(names)) < len(names):
        msg = f"two regressions have the same response {names}; each needs its own"
        raise SpecError(msg)
    return Prepared(
        parts,
        units,
        None if weight_design is None else _concomitant(weight_design, kept, units, scope),
        None if weights is None else _case_weights(kept, weights, units),
        None if labels is None else _labels(kept, labels, units),
        scope,
        group,
        weights,
        labels,
        columns,
        dropped,
        kept.index,
    )


Parsed = tuple[ParsedFormula, ParsedFormula | None, tuple[ParsedFormula, ...]]


def _parse(regression: Regression) -> Parsed:
    formula = parse_formula(regression.formula, "formula")
    if formula.response is None:
        msg = (
            f"the formula {regression.formula!r} has no response; write it on the left, "
            "as in 'y ~ x' (only fixed, nested and concomitant formulas have none)"
        )
        raise FormulaError(msg)
    fixed = None if regression.fixed is None else parse_formula(regression.fixed, "fixed")
    nested = tuple(parse_formula(f, "nested") for f, _ in _nested_pairs(regression.nested))
    if any(f.offsets for f in nested):
        msg = "an offset stands in the main or the fixed formula, not in a nested one"
        raise FormulaError(msg)
    return formula, fixed, nested


def _nested_pairs(nested: Any) -> list[tuple[str, int]]:
    if nested is None:
        return []
    wrong = isinstance(nested, str) or any(
        not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in nested
    )
    if wrong:
        msg = f"nested={nested!r} must be a list of (formula, number of components) pairs"
        raise SpecError(msg)
    for text, size in nested:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            msg = f"the nested block {text!r} has size {size!r}; a size is an integer of at least 1"
            raise SpecError(msg)
    return [(text, int(size)) for text, size in nested]


def _one_group(group: str | None, formulas: list[ParsedFormula]) -> str | None:
    given = {g for g in (group, *(f.group for f in formulas)) if g is not None}
    if len(given) > 1:
        msg = f"the groups {sorted(given)} disagree; rows share a component by one column only"
        raise SpecError(msg)
    return next(iter(given), None)


def _columns(
    parsed: list[Parsed], concomitant: ParsedFormula | None, group: str | None, weights: str | None
) -> tuple[str, ...]:
    names: list[str] = []
    for formula, fixed, nested in parsed:
        names += formula.response_names
        for part in (formula, fixed, *nested):
            names += part.names if part is not None else ()
    names += concomitant.names if concomitant is not None else ()
    names += [c for c in (group, weights) if c]
    return tuple(dict.fromkeys(names))


def _check_frame(data: Any) -> None:
    if not isinstance(data, pd.DataFrame):
        msg = f"data must be a pandas DataFrame, not {type(data).__name__}"
        raise DataError(msg)
    if len(data) == 0:
        msg = "data has no rows; a model needs at least one"
        raise DataError(msg)


def _part(regression: Regression, parsed: Parsed, data: pd.DataFrame, scope: Scope) -> _Part:
    formula, fixed, nested = parsed
    assert formula.response is not None
    response = read_response(formula, data, scope)
    varying = build_design(formula, data, scope, implicit_intercept=True, reference_coding=False)
    designs: list[Design] = []
    kinds: list[str] = []
    reference = varying.has_intercept
    if fixed is not None:
        design = build_design(
            fixed, data, scope, implicit_intercept=False, reference_coding=reference
        )
        reference = reference or design.has_intercept
        designs.append(design)
        kinds.append("fixed")
    for part in nested:
        designs.append(
            build_design(part, data, scope, implicit_intercept=False, reference_coding=reference)
        )
        kinds.append("nested")
    return _Part(
        regression, formula, response, (*designs, varying), (*kinds, "varying")
    )


def _concomitant(parsed: ParsedFormula, data: pd.DataFrame, units: Units, scope: Scope) -> Design:
    if parsed.offsets:
        msg = f"offset(...) has no meaning in the concomitant formula {parsed.text!r}; remove it"
        raise FormulaError(msg)
    design = build_design(parsed, data, scope, implicit_intercept=True, reference_coding=False)
    if not design.terms:
        msg = f"the concomitant formula {parsed.text!r} has no term; leave it out, or write '~ 1'"
        raise FormulaError(msg)
    if units.grouped:
        _constant_in_units(design.matrix, units, "the concomitant variables", parsed.text)
    unit_matrix = design.matrix[units.first] if units.grouped else design.matrix
    _full_rank(unit_matrix, design.terms, f"the concomitant formula {parsed.text!r}")
    return design


def _constant_in_units(values: np.ndarray, units: Units, what: str, name: str) -> None:
    differs = values != values[units.first][units.codes]
    rows = differs if values.ndim == 1 else differs.any(1)
    if rows.any():
        bad = units.index[np.unique(units.codes[rows])]
        msg = (
            f"{what} ({name}) must be the same in all rows of a group, but differ in "
            f"{len(bad)} of them, such as {units.name} = {bad[0]!r}; a group has one component"
        )
        raise DataError(msg)


def _case_weights(data: pd.DataFrame, column: str, units: Units) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(data[column]):
        msg = f"the weights column {column!r} holds {data[column].dtype}; weights are numbers"
        raise DataError(msg)
    w = data[column].to_numpy(dtype=float)
    if not np.isfinite(w).all() or (w < 0).any():
        bad = int((~np.isfinite(w) | (w < 0)).sum())
        msg = f"the weights column {column!r} has {bad} negative or infinite values; use w >= 0"
        raise DataError(msg)
    if not w.any():
        msg = f"all weights in {column!r} are zero; at least one row must count"
        raise DataError(msg)
    if units.grouped:
        _constant_in_units(w, units, "the weights", column)
    return w[units.first]


def _labels(data: pd.DataFrame, column: str, units: Units) -> pd.Categorical:
    values = data[column]
    categories = (
        values.cat.categories
        if isinstance(values.dtype, pd.CategoricalDtype)
        else sorted(values.dropna().unique())
    )
    labels = pd.Categorical(values, categories=categories)
    if (labels.codes >= 0).sum() == 0:
        msg = f"the labels column {column!r} has no known label; leave labels= out"
        raise DataError(msg)
    if not units.grouped:
        return labels
    # A label known in one row of a group holds for the group; two different ones conflict.
    known = labels.codes >= 0
    low = np.full(len(units.first), len(categories))
    high = np.full(len(units.first), -1)
    np.minimum.at(low, units.codes[known], labels.codes[known])
    np.maximum.at(high, units.codes[known], labels.codes[known])
    clash = (high >= 0) & (low != high)
    if clash.any():
        bad = units.index[clash]
        msg = (
            f"{int(clash.sum())} groups have rows with different labels in {column!r}, such as "
            f"{units.name} = {bad[0]!r}; the rows of a group share one component"
        )
        raise DataError(msg)
    return pd.Categorical.from_codes(high, categories=labels.categories)


def _full_rank(matrix: np.ndarray, terms: tuple[str, ...], where: str) -> None:
    sets = rank_deficiency(matrix, terms)
    if sets:
        named = "; ".join(", ".join(s) for s in sets)
        msg = f"{where} has linearly dependent columns: {named}. Remove one of each set"
        raise SpecError(msg)


# --- assembling ----------------------------------------------------------------------------


def assemble(prepared: Prepared, k: int) -> MixtureSpec:
    """Give a prepared model its number of components.

    Raises
    ------
    SpecError
        If k is no positive integer, exceeds the number of units, or does not
        agree with the families, blocks or labels.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        msg = f"k={k!r}: the number of components is an integer of at least 1"
        raise SpecError(msg)
    k = int(k)
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
        observed = {f.name: f.observe(part.response) for f in families}
        _check_constant(part.response, families, observed)
        rows.append(BlockRows(matrix, offset, part.response, observed))
        partitions.append((families, effects, shared))
    symmetric = _symmetric(k, partitions, prepared.labels)
    concomitant = None if k == 1 else prepared.concomitant
    layout = build_layout(
        components, blocks, None if concomitant is None else concomitant.terms, symmetric
    )
    _check_identified(layout, rows)
    unit_matrix = None if concomitant is None else concomitant.matrix[prepared.units.first]
    allowed = None if prepared.labels is None else _allowed(prepared.labels, k)
    data = Rows(tuple(rows), prepared.units, unit_matrix, prepared.weight, allowed)
    return MixtureSpec(layout, data, WeightModel(layout.alpha), prepared)


def _names(labels: pd.Categorical | None, k: int) -> tuple[Hashable, ...]:
    if labels is None:
        return tuple(range(1, k + 1))
    known = [c.item() if isinstance(c, np.generic) else c for c in labels.categories]
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
    return families


def _design(
    part: _Part, k: int
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
    pairs = _nested_pairs(nested)
    sizes = [size for _, size in pairs]
    if sizes and sum(sizes) != k:
        msg = f"the nested blocks have {sizes} components, {sum(sizes)} in all, but k={k}"
        raise SpecError(msg)
    return _consecutive(sizes)


def _consecutive(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    ends = np.cumsum([0, *sizes])
    return [tuple(range(a, b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _dispersion_sets(
    given: Any, k: int, families: tuple[Family, ...]
) -> tuple[tuple[int, ...], ...]:
    if isinstance(given, str) and given in ("varying", "fixed"):
        return tuple((s,) for s in range(k)) if given == "varying" else (tuple(range(k)),)
    sizes = list(given) if isinstance(given, (list, tuple)) else None
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
        msg = f"dispersion={given!r}: the {families[0].name} family has no dispersion to share"
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


def _check_constant(
    response: Response, families: tuple[Family, ...], observed: Mapping[str, Observed]
) -> None:
    """A response without variation leaves nothing to estimate from."""
    y = response.y
    first = next((f for f in families if f.location is not None), None)
    if first is None:
        return
    spread = bool(first.dispersions) and len(y) > 1 and np.ptp(y) == 0
    trials = observed[first.name].trials
    empty = bool((y == 0).all()) or (trials is not None and bool((y == trials).all()))
    if spread or empty:
        msg = (
            f"the response {response.name!r} has the same value in all {len(y)} rows"
            f" ({y[0]:g}), so the {first.name} family has nothing to estimate; check the column"
        )
        raise DataError(msg)


def _check_identified(layout: Layout, rows: list[BlockRows]) -> None:
    """Each linear predictor's stacked design has full column rank."""
    for block, data in zip(layout.blocks, rows, strict=True):
        location = block.predictors[0]
        terms = location.terms
        per_component = [tuple(np.flatnonzero(row >= 0)) for row in location.index]
        if len(set(per_component)) == 1 and per_component[0]:
            _full_rank(
                data.matrix[:, per_component[0]] if len(per_component[0]) < len(terms)
                else data.matrix,
                tuple(terms[j] for j in per_component[0]), f"the design of {block.name!r}",
            )
            continue
        _stacked_rank(block.name, location.index, terms, data.matrix, layout)


def _stacked_rank(
    name: str, index: np.ndarray, terms: tuple[str, ...], matrix: np.ndarray, layout: Layout
) -> None:
    used = np.unique(index[index >= 0])
    if not len(used):
        return
    # Rows of the triangular factor stand for the rows of the data.
    factor = np.linalg.qr(matrix, mode="r") if len(matrix) > matrix.shape[1] else matrix
    stacked = np.zeros((len(index) * len(factor), len(used)))
    for s, row in enumerate(index):
        has = row >= 0
        at = np.searchsorted(used, row[has])
        stacked[s * len(factor) : (s + 1) * len(factor), at] = factor[:, has]
    names = []
    for position in used:
        c = layout.coordinates[position]
        names.append(f"{c.term} ({c.effect}, component {c.components[0] + 1})")
    _full_rank(stacked, tuple(names), f"the design of {name!r} with its fixed and nested effects")


# --- new data ------------------------------------------------------------------------------


def _apply(spec: MixtureSpec, newdata: pd.DataFrame, *, response: bool) -> Rows:
    _check_frame(newdata)
    prepared = spec.prepared
    needed: list[str] = []
    for part in prepared.parts:
        needed += [n for d in part.designs for n in d.formula.names]
        needed += part.formula.response_names if response else ()
    if prepared.concomitant is not None and spec.k > 1:
        needed += prepared.concomitant.formula.names
    needed = [c for c in dict.fromkeys(needed) if c != prepared.group and c in _known(spec)]
    grouped = prepared.group is not None and (response or prepared.group in newdata.columns)
    if grouped:
        needed.append(str(prepared.group))
    check_columns(newdata, tuple(needed))
    select_rows(newdata, tuple(needed), "error")
    units = build_units(newdata, prepared.group if grouped else None)
    blocks = []
    for part, block in zip(prepared.parts, spec.layout.blocks, strict=True):
        matrix, offset = _apply_designs(part, block.predictors[0].terms, newdata)
        read = read_response(part.formula, newdata, prepared.scope) if response else None
        observed = {} if read is None else {f.name: f.observe(read) for f in block.families}
        blocks.append(BlockRows(matrix, offset, read, observed))
    concomitant = None
    if prepared.concomitant is not None and spec.k > 1:
        design, _ = prepared.concomitant.apply(newdata)
        if units.grouped:
            _constant_in_units(design, units, "the concomitant variables", "in the new data")
        concomitant = design[units.first]
    return Rows(tuple(blocks), units, concomitant)


def _known(spec: MixtureSpec) -> set[str]:
    """Columns the training data had: other names in formulas are the user's own."""
    return set(spec.prepared.columns)


def _apply_designs(
    part: _Part, terms: tuple[str, ...], newdata: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray | None]:
    matrix = np.empty((len(newdata), len(terms)))
    offset: np.ndarray | None = None
    for design in part.designs:
        values, shift = design.apply(newdata)
        for j, term in enumerate(design.terms):
            matrix[:, terms.index(term)] = values[:, j]
        if shift is not None:
            offset = shift if offset is None else offset + shift
    return matrix, offset

