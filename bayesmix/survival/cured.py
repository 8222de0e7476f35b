"""The share of those who never have the event, of mixture cure models and defective families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.families.survival.base import log_survival
from bayesmix.model import MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout
from bayesmix.survival.intervals import (
    Estimator,
    Source,
    band,
    known_options,
    rows_of,
    spent_by_row,
    tidy,
)
from bayesmix.survival.quantities import EventTimes

__all__ = ["cured_fraction", "never"]


def cured_fraction(
    source: Source,
    newdata: pd.DataFrame | None,
    response: str | None,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    """Who never has the event: columns row, covariates, estimate, lower, upper.

    Parameters
    ----------
    source : Source
    newdata : DataFrame, optional
    response : str, optional
        Which survival time, where the model has several.
    options : mapping
        ``spent`` and those of an `Estimator`.

    Raises
    ------
    FitError
        If the model has no such component, or no survival time.
    """
    spec = source.spec
    at = _place(spec, response)
    _check_defective(spec.layout.blocks[at])
    given = dict(options)
    rows, covariates = rows_of(spec, newdata)
    spent = spent_by_row(given.pop("spent", None), newdata, rows.n)
    estimator = Estimator(**known_options(given))
    one, alone = _one_response(spec, rows, at)
    found = band(estimator, replace(source, spec=one), alone, never, "probability", spent=spent)
    return tidy(found, covariates, ())


def never(times: EventTimes) -> np.ndarray:
    """Probability that no event ever comes: sum over components of pi_s S_s(inf), (D, n)."""
    shape = times.weights.shape[:2]
    total = np.zeros(shape)
    for s, (family, natural) in enumerate(times.components):
        beside = {name: np.asarray(value)[..., None] for name, value in natural.items()}
        survived = np.exp(log_survival(family, np.array([np.inf]), beside))
        total += times.weights[..., s] * np.broadcast_to(survived, (*shape, 1))[..., 0]
    return np.minimum(total, 1.0)


def _place(spec: MixtureSpec, response: str | None) -> int:
    """The number of the survival time that is meant."""
    names = [block.name for block in spec.layout.blocks]
    times = [block.name for block in spec.layout.blocks if block.survival]
    if not times:
        msg = f"cured_fraction() is about survival times, and {', '.join(names)} is none"
        raise FitError(msg)
    if response is None and len(times) == 1:
        return names.index(times[0])
    if response not in times:
        msg = f"response={response!r}: the model has several survival times; use one of {times}"
        raise FitError(msg)
    return names.index(response)


def _check_defective(block: BlockLayout) -> None:
    families = [f for f in block.families if f.survival is not None]
    if all(f.survival is None or f.survival.never is None for f in families):
        names = ", ".join(dict.fromkeys(f.name for f in families))
        msg = (
            f"every component of {block.name!r} has the event sooner or later ({names}), so there "
            "is no cured fraction; add a component with the family 'cured', or use 'gompertz', "
            "whose shape may be negative"
        )
        raise FitError(msg)


def _one_response(spec: MixtureSpec, rows: Rows, at: int) -> tuple[MixtureSpec, Rows]:
    """The model and rows of one response, every row a unit of its own."""
    layout = replace(spec.layout, blocks=(spec.layout.blocks[at],))
    z = rows.concomitant
    by_row = None if z is None else z[rows.units.codes]
    return replace(spec, layout=layout), replace(
        rows, blocks=(rows.blocks[at],), concomitant=by_row
    )
