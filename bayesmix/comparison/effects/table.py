"""Averages over rows, and the tidy table of effects."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments.printing import Printed
from bayesmix.comparison.effects.hypothesis import as_texts, parse
from bayesmix.errors import DataError, FitError
from bayesmix.results.means import Cell
from bayesmix.results.predict import cell_columns
from bayesmix.results.uncertainty import Estimates, Source, estimates

BETWEEN = ("pairwise", "reference", "sequential")


@dataclass(frozen=True)
class Labels:
    """What the values (terms, numbers, ..., cells) of an effect are.

    `terms` has pairs of a term and its contrast, `numbers` those of the responses, `cells` pairs
    of a part and a component, None for the marginal; `output` is what tells numbers of one
    response apart.
    """

    terms: tuple[tuple[Any, Any], ...]
    numbers: tuple[Cell, ...]
    cells: tuple[tuple[str, Any], ...]
    output: str = "output"


@dataclass(frozen=True)
class Averages:
    """The rows, or groups of rows, that a table has.

    Parameters
    ----------
    keys : DataFrame, or None
        The values of the columns of `by`, a row for each group.
    index : Index
        Of the table's units: row labels, or numbers.
    codes : ndarray of int, shape (n,), or None
        The group of each row; None where every row stands for itself.
    weight : ndarray, shape (n,), or (m, n) by number
    """

    keys: pd.DataFrame | None
    index: pd.Index
    codes: np.ndarray | None
    weight: np.ndarray

    @classmethod
    def of(cls, data: pd.DataFrame, weight: np.ndarray, by: Any) -> Averages:
        """The groups that ``by=`` names."""
        if by is None or by is False:
            return cls(None, data.index, None, weight)
        if by is True:
            return cls(None, pd.RangeIndex(1), np.zeros(len(data), int), weight)
        names = [by] if isinstance(by, str) else list(by)
        if not names:
            msg = "by=[] names no column; leave by= out, or use by=True for the average of all rows"
            raise FitError(msg)
        missing = [n for n in names if n not in data.columns]
        if missing:
            raise DataError(
                f"by={by!r}: the data have no column {missing[0]!r}; give newdata= with it, or "
                "by=True for the average over all rows"
            )
        grouped = data.groupby(names, observed=True, dropna=False, sort=True)
        codes = grouped.ngroup().to_numpy()
        first = np.unique(codes, return_index=True)[1]
        keys = data.iloc[first][names].reset_index(drop=True)
        return cls(keys, keys.index, codes, weight)

    def of_rows(self, values: np.ndarray) -> np.ndarray:
        """Weighted means over the rows of each group: (..., m, n, cells) to groups for n."""
        if self.codes is None:
            return values
        order = np.argsort(self.codes, kind="stable")
        first = np.flatnonzero(np.diff(self.codes[order], prepend=-1))
        weight = self.weight[..., order, None]
        weighted = np.where(weight > 0, weight * values[..., order, :], 0.0)
        total, size = (np.add.reduceat(v, first, axis=-2) for v in (weighted, weight))
        with np.errstate(invalid="ignore"):
            return total / size


def table(
    source: Source,
    values_at: Callable[[np.ndarray], np.ndarray],
    labels: Labels,
    averages: Averages,
    *,
    scale: str,
    ci: float,
    hypothesis: Any,
    **options: Any,
) -> pd.DataFrame:
    """The tidy table of values (terms, numbers, rows, cells), or the tests of hypotheses."""
    between = isinstance(hypothesis, str) and hypothesis in BETWEEN
    if between:
        places, labels = _between(labels, hypothesis)
        scale = "identity"

    def averaged(theta: np.ndarray) -> np.ndarray:
        values = averages.of_rows(values_at(theta))
        return (
            values[..., places[:, 1]] - values[..., places[:, 0]] if between else values
        ).ravel()

    frame = _frame(labels, averages)
    if hypothesis is not None and not between:
        names = {f"b{i + 1}": np.array([i]) for i in range(len(frame))}
        return tested(source, averaged, names, hypothesis, ci, options)[0]
    found = estimates(source, averaged, **options)
    lower, upper = found.limits(ci, scale)
    frame["estimate"], frame["se"] = found.value, found.se
    frame["lower"], frame["upper"] = lower, upper
    return frame


def _frame(labels: Labels, averages: Averages) -> pd.DataFrame:
    """The labels of the values, in their order."""
    shape = (len(labels.terms), len(labels.numbers), len(averages.index), len(labels.cells))
    at = np.indices(shape).reshape(4, -1)
    columns: dict[str, Any] = {}
    if averages.keys is not None:
        for name in averages.keys.columns:
            columns[name] = averages.keys[name].array.take(at[2])
    for name, values in cell_columns(labels.numbers).items():
        given = pd.Series(values).infer_objects().array
        columns[labels.output if name == "output" else name] = given.take(at[1])
    for name, place in (("term", 0), ("contrast", 1)):
        columns[name] = pd.array([pair[place] for pair in labels.terms], dtype=object).take(at[0])
    columns["part"] = np.array([part for part, _ in labels.cells], dtype=object)[at[3]]
    owners = pd.Series([component for _, component in labels.cells], dtype=object)
    numbers = owners.dropna().map(lambda c: isinstance(c, int)).all()
    columns["component"] = owners.astype("Int64" if numbers else object).array.take(at[3])
    index = None
    if averages.codes is None:
        index = averages.index.take(at[2]).rename(averages.index.name or "row")
    return Printed(columns, index=index)


def tested(
    source: Source,
    values_at: Callable[[np.ndarray], np.ndarray],
    names: Mapping[str, np.ndarray],
    hypothesis: str | Sequence[str],
    ci: float,
    options: Mapping[str, Any],
) -> tuple[pd.DataFrame, Estimates]:
    """Tests of hypotheses about named values: a row for each, and all of them."""
    texts = as_texts(hypothesis)
    rules = [parse(text, names) for text in texts]

    def restrictions(theta: np.ndarray) -> np.ndarray:
        values = values_at(theta)
        return np.concatenate([rule(values) for rule in rules])

    found = estimates(source, restrictions, **options)
    size = 1 + max(int(at.max()) for at in names.values())
    counts = [len(rule(np.ones(size))) for rule in rules]
    return _test_table(found, np.repeat(np.array(texts, dtype=object), counts), ci), found


def _test_table(found: Estimates, names: np.ndarray, ci: float) -> pd.DataFrame:
    """Estimates against zero: z and p-value, or of draws the probability to be above zero."""
    lower, upper = found.limits(ci)
    out = Printed({"hypothesis": names, "estimate": found.value, "se": found.se})
    out["lower"], out["upper"] = lower, upper
    if found.draws is not None:
        out["probability"] = (found.draws > 0).mean(0)
        return out
    with np.errstate(all="ignore"):
        out["z"] = np.where(found.se > 0, found.value / found.se, np.nan)
    out["p_value"] = 2 * special.ndtr(-np.abs(out["z"]))
    return out


def _between(labels: Labels, how: str) -> tuple[np.ndarray, Labels]:
    """Pairs of cells (pairs, 2) of two components, and the labels of their differences."""
    owned = [i for i, (_, component) in enumerate(labels.cells) if component is not None]
    if len(owned) < 2:
        raise FitError(f"hypothesis={how!r} compares components; this result has fewer than two")
    pairs = list(itertools.combinations(owned, 2))
    if how == "reference":
        pairs = [(owned[0], i) for i in owned[1:]]
    elif how == "sequential":
        pairs = list(itertools.pairwise(owned))
    names = [f"{labels.cells[j][1]} - {labels.cells[i][1]}" for i, j in pairs]
    cells = tuple(("total", name) for name in names)
    return np.array(pairs), replace(labels, cells=cells)
