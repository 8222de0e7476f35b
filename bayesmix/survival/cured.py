"""The share of those who never have the event, of mixture cure models and defective families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayesmix.errors import FitError
from bayesmix.model.layout import BlockLayout
from bayesmix.results.uncertainty import Source
from bayesmix.survival.intervals import response_place
from bayesmix.survival.mixed import times_table


def cured_fraction(
    source: Source,
    newdata: pd.DataFrame | None,
    by: bool | str | Sequence[str] | None,
    response: str | None,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """Who never has the event: columns row, covariates, estimate, lower, upper.

    Parameters
    ----------
    source, newdata, by, response, options
        As of `times_table`; by component only where `by` says so.

    Raises
    ------
    FitError
        If the model has no such component, or no survival time.
    """
    at = response_place(source.spec, response, "cured_fraction")
    _check_defective(source.spec.layout.blocks[at])
    usual = ("marginal",)
    table = times_table(source, "cured_fraction", newdata, by, response, options, usual=usual)
    name = "component" if "component" in table else "event"
    return table if table[name].notna().any() else table.drop(columns=name)


def _check_defective(block: BlockLayout) -> None:
    families = [f for f in block.families if f.survival is not None]
    if all(f.survival is None or f.survival.never is None for f in families):
        names = ", ".join(dict.fromkeys(f.name for f in families))
        raise FitError(
            f"every component of {block.name!r} has the event sooner or later ({names}), so there "
            "is no cured fraction; add a component with the family 'cured', or use 'gompertz', "
            "whose shape may be negative"
        )
