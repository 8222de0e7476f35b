"""The model in words, in LaTeX and by its priors; the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from bayesmix.formula.frames import is_number
from bayesmix.model import MixtureSpec
from bayesmix.model.parts import Prepared
from bayesmix.reporting.blocks import Block, Details, Pairs, Table, Words
from bayesmix.reporting.equations import model_equations
from bayesmix.reporting.files import number, plural
from bayesmix.reporting.subject import Subject
from bayesmix.results.describe import missing_words, model_sentences, spec_lines

MOST_LEVELS = 6
PRIOR = r"^Prior\('(\w+)', (.*)\)$"  # as Python writes it


def model(subject: Subject) -> Iterator[Block]:
    """What was fitted: in sentences, in equations, and as in the call."""
    for name in subject.models:
        spec = subject.specs[name]
        alike = [n for n in subject.fits if subject.like(n) == name]
        if len(subject.models) > 1:
            yield Words(f"The model of {', '.join(alike)}", "heading")
        yield Words(" ".join(model_sentences(spec)))
        yield from model_equations(spec)
        yield Details("The same in formulas", (Pairs(tuple(spec_lines(spec))),))
        yield from _priors(subject, alike)


def _priors(subject: Subject, names: Iterable[str]) -> Iterator[Block]:
    """The priors of the fits that use them, once for each choice."""
    tables_shown: list[pd.DataFrame] = []
    for name in names:
        fit = subject.fits[name]
        if name not in subject.posteriors and fit.method != "map":
            continue
        table = fit.spec.priors().rename(columns={"words": "what it says"})
        table["prior"] = table["prior"].str.replace(PRIOR, r"\1(\2)", regex=True)
        if not any(table.equals(other) for other in tables_shown):
            tables_shown.append(table)
            yield Table(f"priors_{name}", f"Priors ({name})", table)


def data(subject: Subject) -> Iterator[Block]:
    """Rows, columns and units of the data, and what was excluded."""
    seen: list[pd.DataFrame] = []
    for name in subject.models:
        spec = subject.specs[name]
        table = _columns(spec.prepared)
        if any(table.equals(other) for other in seen):
            continue
        seen.append(table)
        suffix = "" if len(seen) == 1 else f" ({name})"
        yield Pairs(tuple(_counts(spec)))
        yield from (Words(note, "note") for note in _notes(spec.prepared))
        file = "columns" if len(seen) == 1 else f"columns_{name}"
        yield Table(file, f"The columns in use{suffix}", table)


def _counts(spec: MixtureSpec) -> Iterator[tuple[str, str]]:
    prepared = spec.prepared
    yield "Rows", f"{spec.rows.n:,}"
    n = prepared.n_dropped
    yield "Left out", f"{plural(n, 'row')} with missing values" if n else "no rows"
    for words in missing_words(spec):
        yield "Missing responses", words
    if prepared.group is not None:
        yield "Units", f"{spec.rows.n_units:,} groups, by {prepared.group}"
    else:
        yield "Units", f"{spec.rows.n_units:,}: each row is a unit"
    if prepared.weights_column is not None:
        yield "Sum of case weights", f"{spec.n_obs:g} over rows, {spec.n_units:g} over units"
    if prepared.labels is not None:
        known = int((prepared.labels.codes >= 0).sum())
        yield "Known components", f"{known} units, by {prepared.labels_column}"
    if prepared.events_column is not None:
        yield "Known events", f"{prepared.n_known} subjects, by {prepared.events_column}"


def _notes(prepared: Prepared) -> list[str]:
    designs = [d for part in prepared.parts for d in part.designs]
    return list(dict.fromkeys(note for design in designs for note in design.notes))


def _columns(prepared: Prepared) -> pd.DataFrame:
    rows = []
    for name in prepared.columns:
        kind, values = described(prepared.data[name])
        rows.append((name, ", ".join(_roles(prepared, name)), kind, values))
    return pd.DataFrame(rows, columns=["column", "used as", "kind", "values"])


def _roles(prepared: Prepared, name: str) -> Iterator[str]:
    if any(name in reading.response.columns for reading in prepared.readings):
        yield "response"
    if name == prepared.events_column:
        yield "event"
    if any(name in design.columns for part in prepared.parts for design in part.designs):
        yield "covariate"
    if prepared.concomitant is not None and name in prepared.concomitant.columns:
        yield "concomitant"
    if name == prepared.group:
        yield "group"
    if name == prepared.weights_column:
        yield "case weight"


def described(column: pd.Series) -> tuple[str, str]:
    """The kind of a column, and its range or its levels with their counts."""
    if is_number(column):
        values = column.to_numpy(dtype=float)
        values = values[~np.isnan(values)]
        if not len(values):
            return "number", "none"
        low, middle, high = (number(float(v)) for v in np.quantile(values, [0, 0.5, 1]))
        return "number", f"{low} to {high}, median {middle}"
    counts = column.value_counts(sort=False)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        counts = counts.sort_index()
    shown = [f"{level} ({count})" for level, count in counts.head(MOST_LEVELS).items()]
    more = len(counts) - len(shown)
    return "levels", ", ".join(shown) + (f" and {more} more" if more > 0 else "")
