"""Wald tests of hypotheses about coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments.printing import Described, p_value
from bayesmix.comparison.effects.table import tested
from bayesmix.errors import FitError
from bayesmix.model import MixtureSpec
from bayesmix.results.tables import natural_values
from bayesmix.results.uncertainty import Source

# Restrictions whose covariance has a smaller relative eigenvalue say the same thing twice.
SINGULAR = 1e-10


@dataclass(frozen=True, repr=False)
class Wald(Described):
    """A Wald test.  Made by `PointFit.wald`.

    Parameters
    ----------
    statistic : float
        r' (R V R')^-1 r: r is what the hypothesis sets to zero, R its derivatives.
    df : int
        Number of equations in the hypothesis.
    p_value : float
        From the chi-squared distribution.
    table : DataFrame
        Each equation by itself: hypothesis, estimate, se, lower, upper, z, p_value.
    """

    statistic: float
    df: int
    p_value: float
    table: pd.DataFrame

    def _table(self) -> pd.DataFrame:
        return self.table

    def _title(self) -> str:
        p = p_value(self.p_value)
        shown = p if p.startswith("<") else f"= {p}"
        return f"Wald test: chi-squared({self.df}) = {self.statistic:.4g}, p {shown}"


def wald(
    source: Source, hypothesis: str | Sequence[str], ci: float, kind: str, cluster: Any
) -> Wald:
    """Test hypotheses about coefficients, jointly and each by itself.

    Parameters
    ----------
    source : Source
        Of a point fit.
    hypothesis : str or sequence of str
        See `PointFit.wald`.
    ci : float
    kind, cluster
        As of `covariance`.

    Raises
    ------
    FitError
        If it cannot be read, says nothing that the estimates could contradict, or concerns
        parameters that the data do not determine.
    """
    names, values_at = _named(source.spec)
    options = {"kind": kind, "cluster": cluster}
    table, found = tested(source, values_at, names, hypothesis, ci, options)
    if not np.isfinite(found.se).all():
        raise FitError(
            f"wald({hypothesis!r}): the data do not determine these parameters, whose standard "
            "error is not finite; use fit('map') or a likelihood-ratio test"
        )
    scale = np.where(found.se > 0, found.se, 1.0)
    values, vectors = np.linalg.eigh(found.covariance / np.outer(scale, scale))
    kept = values > SINGULAR * max(values.max(), 0.0)
    if not kept.any():
        msg = f"wald({hypothesis!r}) names only parameters that are held; there is nothing to test"
        raise FitError(msg)
    score = (found.value / scale) @ vectors[:, kept]
    statistic, df = float((score**2 / values[kept]).sum()), int(kept.sum())
    return Wald(statistic, df, float(special.chdtrc(df, statistic)), table)


def _named(spec: MixtureSpec) -> tuple[dict[str, np.ndarray], Any]:
    """Places of the estimates by name, and the estimates at parameters (D,).

    A name with its component is one estimate, a term alone those of all components.
    """
    keys = list(natural_values(spec, np.zeros(spec.layout.size)))
    names: dict[str, np.ndarray] = {}
    together: dict[str, list[int]] = {}
    for place, (component, term, effect) in enumerate(keys):
        term = f"alpha[{term}]" if effect == "concomitant" else term
        names[f"{term}[{component}]"] = np.array([place])
        if effect != "fixed" or term not in together:
            together.setdefault(term, []).append(place)
    names |= {term: np.array(places) for term, places in together.items()}

    def values_at(theta: np.ndarray) -> np.ndarray:
        return np.array([float(v) for v in natural_values(spec, theta).values()])

    return names, values_at
