"""Estimates: side by side where the fits are of one model, else fit by fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bayesmix._arguments.printing import p_value
from bayesmix.comparison import compare_estimates
from bayesmix.errors import BayesmixError, FitError, SpecError
from bayesmix.plot.coefficients import with_lines
from bayesmix.reporting.blocks import Block, Details, Table, Words
from bayesmix.reporting.files import interval, number, with_interval
from bayesmix.reporting.pictures import coefficients_picture
from bayesmix.reporting.subject import Subject
from bayesmix.results.tables import ENDS

READING = (
    "Intervals have 95%: confidence intervals of point fits, credible intervals of posteriors. "
    "Effects are on the scale of the linear predictor, dispersions and weights on their own."
)


def estimates(subject: Subject) -> Iterator[Block]:
    """The estimates of all fits, those of one model side by side, with pictures."""
    yield Words(READING)
    yield from _why_apart(subject)
    for model in subject.models:
        fits = {n: fit for n, fit in subject.fits.items() if subject.like(n) == model}
        if len(subject.models) > 1 and len(fits) > 1:
            yield Words(f"The estimates of {', '.join(fits)}", "heading")
        yield from _of_one_model(fits, "" if len(subject.models) == 1 else f"_{model}")
        yield from _sensitive(fits)


def _why_apart(subject: Subject) -> Iterator[Block]:
    """Why fits of several models have tables of their own."""
    if len(subject.models) == 1:
        return
    try:
        compare_estimates({name: subject.fits[name] for name in subject.models})
    except (SpecError, FitError) as error:
        yield Words(f"The estimates do not stand side by side: {error}.", "note")


def _of_one_model(fits: dict[str, Any], suffix: str) -> Iterator[Block]:
    """The estimates of fits of one model: side by side where there are several."""
    alone = [_alone(name, fit) for name, fit in fits.items()]
    if len(fits) > 1:
        try:
            yield _side_by_side(fits, f"estimates{suffix}")
        except (SpecError, FitError) as error:
            yield Words(f"The estimates do not stand side by side: {error}.", "note")
        else:
            yield coefficients_picture(fits)
            for table in alone:
                yield Details(f"{table.caption}, with errors and diagnostics", (table,))
            return
    for (name, fit), table in zip(fits.items(), alone, strict=True):
        yield table
        yield coefficients_picture({name: fit})


def _sensitive(fits: dict[str, Any]) -> Iterator[Block]:
    """Estimates of posteriors that ArviZ's power scaling flags."""
    for name, fit in fits.items():
        if getattr(fit, "sensitivity", None) is None or fit.method == "stacking":
            continue
        try:
            table = fit.sensitivity()
        except BayesmixError as error:
            yield Words(f"How sensitive {name} is to its priors is not known: {error}.", "note")
            continue
        flagged = table[table["diagnosis"] != "✓"].rename_axis("parameter").reset_index()
        if len(flagged):
            caption = f"Estimates that are sensitive to the prior ({name})"
            yield Table(f"sensitivity_{name}", caption, flagged)


def _side_by_side(fits: dict[str, Any], file: str) -> Table:
    table = compare_estimates(fits)
    shown, columns = _columns(table)
    for name in fits:
        columns |= with_interval(name, shown[[f"{name}_{end}" for end in ENDS]])
    return Table(file, "Estimates side by side", table, pd.DataFrame(columns))


def _columns(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows with fixed effects once, for all components, and what each row is of."""
    shown = with_lines(table)
    return shown, {"component": shown["line"], "term": shown["term"], "effect": shown["effect"]}


def _alone(name: str, fit: Any) -> Table:
    table = fit.summary()
    shown, columns = _columns(table)
    columns["estimate"] = [number(v) for v in shown["mean" if "mean" in shown else "estimate"]]
    error = "standard deviation" if "sd" in shown else "standard error"
    columns[error] = [number(v) for v in shown["sd" if "sd" in shown else "se"]]
    ends = zip(shown["lower"], shown["upper"], strict=True)
    columns["95% interval"] = [interval(*pair) for pair in ends]
    if "p_value" in shown:
        columns["p"] = [p_value(p) for p in shown["p_value"]]
        columns["interval on the scale"] = shown["scale"].replace("identity", "")
    if "r_hat" in shown:
        columns["R-hat"] = [number(v) for v in shown["r_hat"]]
        columns["effective sample size"] = [f"{v:.0f}" for v in shown["ess_bulk"]]
    frame = pd.DataFrame(columns)
    frame = frame.loc[:, (frame.astype(str) != "").any()]
    return Table(f"summary_{name}", f"Estimates of {name}", table, frame)
