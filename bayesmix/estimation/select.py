"""Choosing the number of components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bayesmix._arguments import whole_number
from bayesmix.errors import FitError, SpecError
from bayesmix.results.fitted import Fitted

__all__ = ["CRITERIA", "best_of", "check_range", "selection_table"]

CRITERIA = ("bic", "bic_units", "aic", "icl", "loglik")


def check_range(k: Iterable[int] | int) -> list[int]:
    """The numbers of components asked for, in order and once each."""
    values = list(k) if isinstance(k, Iterable) else [k]
    values = [whole_number("k", n, "the number of components", 1) for n in values]
    if not values or len(set(values)) < len(values):
        msg = f"k={values!r} must list different numbers of components, such as range(1, 6)"
        raise SpecError(msg)
    return values


def selection_table(fits: Mapping[int, Fitted]) -> pd.DataFrame:
    """One row for each requested number of components."""
    rows: list[dict[str, Any]] = [
        {
            "k": f.spec.k,
            "k0": k0,
            "converged": f.status == "converged",
            "status": f.status,
            "iterations": f.iterations,
            "agreeing": f.ends.agreeing,
            "loglik": f.loglik,
            "df": f.spec.df,
            "aic": f.aic,
            "bic": f.bic,
            "icl": f.icl,
        }
        for k0, f in fits.items()
    ]
    return pd.DataFrame(rows)


def best_of(fits: Mapping[int, Fitted], by: str) -> int:
    """The requested number of components whose fit is best by a criterion."""
    if by not in CRITERIA:
        msg = f"best({by!r}) is unknown; use one of {CRITERIA}"
        raise FitError(msg)
    sign = -1.0 if by == "loglik" else 1.0
    sound = {k: f for k, f in fits.items() if f.status != "degenerate"} or dict(fits)
    return min(sound, key=lambda k: sign * getattr(sound[k], by))
