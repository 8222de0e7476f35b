"""Estimates: side by side where the fits are of one model, else fit by fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bayesmix.errors import FitError, SpecError
from bayesmix.ranking import compare_estimates
from bayesmix.reporting.blocks import Block, Details, Section, Table, Words
from bayesmix.reporting.numbers import interval, number, p_value
from bayesmix.reporting.pictures import coefficients_picture
from bayesmix.reporting.subject import Subject

__all__ = ["estimates"]

KEYS = ["component", "term", "effect"]
READING = (
    "Intervals have 95%: confidence intervals of point fits, credible intervals of posteriors. "
    "Effects are on the scale of the linear predictor, dispersions and weights on their own."
)


def estimates(subject: Subject) -> Section:
    """The estimates of all fits, a picture, and every fit's full table."""
    blocks: list[Block] = [Words(READING)]
    blocks += _side_by_side(subject) if len(subject.fits) > 1 else []
    alone = [_alone(name, fit) for name, fit in subject.fits.items()]
    if any(isinstance(block, Table) for block in blocks):
        blocks += [Details(f"{t.caption}, with errors and diagnostics", (t,)) for t in alone]
    else:
        for (name, fit), table in zip(subject.fits.items(), alone, strict=True):
            blocks += [table, coefficients_picture({name: fit})]
    return Section("estimates", "Estimates", tuple(blocks))


def _side_by_side(subject: Subject) -> Iterator[Block]:
    try:
        table = compare_estimates(subject.fits)
    except (SpecError, FitError) as error:
        yield Words(f"The estimates do not stand side by side: {error}.", "note")
        return
    shown = _once(table)
    columns: dict[str, Any] = {key: shown[key] for key in KEYS}
    for name in subject.fits:
        columns[name] = [number(v) for v in shown[f"{name}_estimate"]]
        ends = zip(shown[f"{name}_lower"], shown[f"{name}_upper"], strict=True)
        columns[f"{name}, 95% interval"] = [interval(*pair) for pair in ends]
    yield Table("estimates", "Estimates side by side", table, pd.DataFrame(columns))
    yield coefficients_picture(subject.fits)


def _once(table: pd.DataFrame) -> pd.DataFrame:
    """Fixed effects stand once, for all components."""
    fixed = table["effect"] == "fixed"
    table = table[~(fixed & table.duplicated(["term", "effect"]))].copy()
    table["component"] = table["component"].astype(object).mask(table["effect"] == "fixed", "all")
    return table


def _alone(name: str, fit: Any) -> Table:
    table = fit.summary()
    shown = _once(table)
    columns: dict[str, Any] = {key: shown[key] for key in KEYS}
    columns["estimate"] = [number(v) for v in shown["mean" if "mean" in shown else "estimate"]]
    error = "standard deviation" if "sd" in shown else "standard error"
    columns[error] = [number(v) for v in shown["sd" if "sd" in shown else "se"]]
    ends = zip(shown["lower"], shown["upper"], strict=True)
    columns["95% interval"] = [interval(*pair) for pair in ends]
    if "p_value" in shown:
        columns["p"] = [p_value(p) for p in shown["p_value"]]
        columns["error on the scale"] = shown["scale"].replace("identity", "")
    if "r_hat" in shown:
        columns["R-hat"] = [number(v) for v in shown["r_hat"]]
        columns["effective sample size"] = [f"{v:.0f}" for v in shown["ess_bulk"]]
    return Table(f"summary_{name}", f"Estimates of {name}", table, _without_empty(columns))


def _without_empty(columns: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    return frame.loc[:, [not (frame[name].astype(str) == "").all() for name in frame]]
