"""The share of those who never have the event, of mixture cure models and defective families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.families.survival.base import log_survival
from bayesmix.model.layout import BlockLayout
from bayesmix.survival.intervals import (
    Estimator,
    Source,
    band,
    known_options,
    one_response,
    response_place,
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
    at = response_place(spec, response, "cured_fraction")
    _check_defective(spec.layout.blocks[at])
    given = dict(options)
    rows, covariates = rows_of(spec, newdata)
    spent = spent_by_row(given.pop("spent", None), newdata, rows.n)
    estimator = Estimator(**known_options(given))
    one, alone = one_response(spec, rows, at)
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
