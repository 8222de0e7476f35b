"""Criteria of the fits, and comparisons where they are possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bayesmix.comparison import compare
from bayesmix.comparison.scores import CRITERIA
from bayesmix.errors import FitError, SpecError
from bayesmix.reporting.blocks import Block, Table, Words
from bayesmix.reporting.files import fixed, number, rounded
from bayesmix.reporting.pictures import comparison_picture
from bayesmix.reporting.subject import Subject

POINT = {
    "loglik": "log-likelihood",
    "df": "df",
    "aic": "AIC",
    "bic": "BIC",
    "bic_units": "BIC by units",
    "icl": "ICL",
}
RANKING = {
    "difference": "difference to the best",
    "se": "standard error",
    "se_difference": "standard error of the difference",
    "p": "effective parameters",
}


def criteria(subject: Subject) -> Iterator[Block]:
    """Criteria of point fits and of posteriors, and their ranking."""
    if subject.points:
        yield _point_table(subject.points)
        yield from _ranking(subject.points, "bic")
    if subject.posteriors:
        yield _posterior_table(subject)
        yield from (Words(words, "warning") for words in criteria_doubts(subject))
        for name, (loo, waic) in subject.predictive.items():
            if waic.warning and not loo.warning:
                words = f"{name}: read LOO, which can be relied on here; {waic.warning}."
                yield Words(words, "note")
        yield from _ranking(subject.posteriors, "loo")
    if len(subject.points) == len(subject.posteriors) == 1 and len(subject.models) == 2:
        yield from _ranking(subject.fits, "bic")  # of a posterior at its mode


def _point_table(fits: Mapping[str, Any]) -> Table:
    columns = {title: [getattr(f, name) for f in fits.values()] for name, title in POINT.items()}
    table = pd.DataFrame({"fit": list(fits), "components": [f.k for f in fits.values()], **columns})
    shown = rounded(table, columns.keys() - {"df"})
    caption = "Criteria of point fits: AIC, BIC and ICL are better the smaller they are"
    return Table("criteria", caption, table, shown)


def criteria_doubts(subject: Subject) -> list[str]:
    """Where no criterion of a posterior can be relied on: WAIC is replaced by LOO, if that can."""
    found = {
        f"{name}: {each.warning}.": None
        for name, both in subject.predictive.items()
        for each in both
        if each.warning and both[0].warning
    }
    return list(found)


def _posterior_table(subject: Subject) -> Table:
    rows = []
    for name, (loo, waic) in subject.predictive.items():
        k = subject.posteriors[name].k
        rows.append((name, k, "LOO", loo.elpd, loo.se, loo.p_loo))
        rows.append((name, k, "WAIC", waic.elpd, waic.se, waic.p_waic))
    names = ["fit", "components", "criterion", "elpd", "standard error", "effective parameters"]
    table = pd.DataFrame(rows, columns=names)
    shown = rounded(table, names[3:])
    caption = "Expected log predictive density (elpd) of units left out: larger is better"
    return Table("criteria_posteriors", caption, table, shown)


def _ranking(fits: Mapping[str, Any], by: str) -> Iterator[Block]:
    """The fits ranked, or why they cannot be."""
    if len(fits) < 2:
        return
    try:
        ranked = compare(fits, by)
    except (SpecError, FitError) as error:
        yield Words(f"These fits cannot be ranked: {error}.", "note")
        return
    table = ranked.table.reset_index()
    shown = table.drop(columns="warning").rename(columns=RANKING)
    shown = shown.rename(columns={"value": "elpd" if CRITERIA[by].pointwise else by.upper()})
    shown = shown.map(lambda v: fixed(v) if isinstance(v, float) else number(v))
    yield Table(f"ranking_{by}", f"Ranking by {by.upper()}", table, shown)
    yield comparison_picture(ranked)
    yield Words(ranked.verdict)
