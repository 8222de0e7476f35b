"""Choosing the number of components."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import pandas as pd

from bayesmix._arguments import check_known, whole_number
from bayesmix._arguments.printing import Printed
from bayesmix.errors import FitError, SpecError
from bayesmix.results.fitted import Fitted
from bayesmix.results.status import seldom_reached

# Numbers of components that are looked at, of an endless list.
MOST = 1000
CRITERIA = ("bic", "bic_units", "aic", "icl", "sabic", "caic", "loglik")
# Fits that no criterion may choose.
UNSOUND = ("degenerate", "spurious")
# A mean weight below which a component is pointed out.
SMALL = 0.05


def check_range(k: Iterable[int] | int) -> list[int]:
    """The requested numbers of components, in order and once each."""
    values = list(islice(k, MOST)) if isinstance(k, Iterable) else [k]
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
            "df": f.df,
            "aic": f.aic,
            "bic": f.bic,
            "icl": f.icl,
            "sabic": f.sabic,
            "caic": f.caic,
            "entropy": f.entropy,
            "smallest": float(f.mixing.min()),
            "flags": _flags(f),
        }
        for k0, f in fits.items()
    ]
    return Printed(rows)


def _flags(f: Fitted) -> str:
    """What to look at before a fit is chosen, in a few words."""
    words = [] if f.status == "converged" else [f.status]
    if seldom_reached(f):
        words.append(f"best reached by {f.ends.agreeing} of {len(f.ends.loglik)} starts")
    if f.spec.k > 1 and f.mixing.min() < SMALL:
        words.append("small component")
    return ", ".join(words)


def best_of(fits: Mapping[int, Fitted], by: str) -> int:
    """The requested number of components whose fit is best by a criterion."""
    check_known(f"best({by!r})", by, CRITERIA)
    sign = -1.0 if by == "loglik" else 1.0
    sound = {k: f for k, f in fits.items() if f.status not in UNSOUND}
    if not sound:
        ends = ", ".join(f"k={k}: {f.status}" for k, f in fits.items())
        raise FitError(
            f"best({by!r}) has no regular fit to choose ({ends}); use smaller k, "
            "dispersion='fixed' or more starts="
        )
    return min(sound, key=lambda k: sign * getattr(sound[k], by))
