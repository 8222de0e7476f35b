"""What WAIC and LOO share: the log-likelihood of every unit at every draw."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Described, Lines
from bayesmix.arrays.sums import log_sum_exp
from bayesmix.errors import FitError


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Elements of the log-likelihood that are copied at a time: draws, whose rows stay in the cache.
BLOCK, DRAWS = 1 << 19, 512


def counted(pointwise: pd.DataFrame) -> np.ndarray:
    """Which units count: all but those of weight zero, (U,)."""
    if "weight" not in pointwise:
        return np.ones(len(pointwise), bool)
    return pointwise["weight"].to_numpy() > 0


class Predictive(Described):
    """What LOO and WAIC have in common: a sum over units, its error, and how it prints."""

    kind: ClassVar[str]
    criterion: ClassVar[str]
    pointwise: pd.DataFrame
    n_draws: int

    @property
    def by_unit(self) -> np.ndarray:
        """Expected log predictive densities of the units that count, (U,)."""
        return self.pointwise[f"elpd_{self.kind}"].to_numpy()[counted(self.pointwise)]

    @property
    def elpd(self) -> float:
        """Expected log predictive density of units that were not seen."""
        return float(self.pointwise[f"elpd_{self.kind}"].sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd` over units."""
        return standard_error(self.by_unit)

    @property
    def parameters(self) -> float:
        """Effective number of parameters."""
        return float(self.pointwise[f"p_{self.kind}"].sum())

    @property
    @abstractmethod
    def warning(self) -> str:
        """Why you should not rely on the estimate; empty if all is well."""

    def _more(self) -> Lines:
        return []

    def _lines(self) -> Lines:
        lines = [
            (f"elpd_{self.kind}", f"{self.elpd:.2f} (standard error {self.se:.2f})"),
            (f"p_{self.kind}", f"{self.parameters:.2f}"),
            (self.criterion, f"{-2 * self.elpd:.2f} (-2 elpd_{self.kind})"),
            *self._more(),
            *weight_words(self.pointwise),
        ]
        return lines + ([("warning", self.warning)] if self.warning else [])

    def _title(self) -> str:
        units = plural(len(self.pointwise), "unit")
        return f"{self.kind.upper()} of {units}, {self.n_draws} draws"


def standard_error(values: np.ndarray) -> float:
    """Standard error of a sum over U units, sqrt(U V) with V their sample variance."""
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan")
    return float(np.sqrt(len(values) * values.var(ddof=1)))


def weight_words(pointwise: pd.DataFrame) -> list[tuple[str, str]]:
    """What case weights mean here, as a line of a result."""
    if "weight" not in pointwise:
        return []
    words = (
        f"a unit counts with its whole weight (sum {pointwise['weight'].sum():g}): all of its "
        "copies are left out together, not one of them"
    )
    return [("case weights", words)]


def checked(
    log_lik: Any, unit_index: Any, weight: Any
) -> tuple[np.ndarray, pd.Index, np.ndarray | None]:
    """Values as (S, U), the units' names, and their weights."""
    values = np.asarray(log_lik, float)
    index = unit_index if isinstance(unit_index, pd.Index) else pd.Index(list(unit_index))
    if values.ndim != 3 or values.shape[2] != len(index):
        raise FitError(
            f"the log-likelihood has the shape (chains, draws, {len(index)} units); "
            f"given {values.shape}"
        )
    values = values.reshape(-1, values.shape[2])
    if len(values) < 2:
        msg = f"{plural(len(values), 'draw')} cannot show how a log-likelihood varies; use more"
        raise FitError(msg)
    w = None if weight is None else np.asarray(weight, float)
    if w is not None and w.shape != (len(index),):
        msg = f"weight= has one value for each of {len(index)} units; given the shape {w.shape}"
        raise FitError(msg)
    if w is not None:
        values = np.where(w > 0, values, 0.0)
    if not (values < np.inf).all():
        bad = index[~(values < np.inf).all(0)]
        raise FitError(
            f"the log-likelihood is NaN or inf in {plural(len(bad), 'unit')}, such as "
            f"{bad[0]!r}; it must be a number or -inf"
        )
    return values, index, w


def blocks(values: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Ranges of units and their values, (units, S), next to each other in memory."""
    size = max(1, BLOCK // len(values))
    for a in range(0, values.shape[1], size):
        at = slice(a, a + size)
        block = np.empty(values[:, at].shape[::-1])
        for s in range(0, len(values), DRAWS):
            block[:, s : s + DRAWS] = values[s : s + DRAWS, at].T
        yield at, block


def log_mean(values: np.ndarray) -> np.ndarray:
    """Logarithms (U,) of the means over draws of exp(values), (U, S)."""
    return log_sum_exp(values) - np.log(values.shape[1])


def frame(index: pd.Index, weight: np.ndarray | None, **columns: np.ndarray) -> pd.DataFrame:
    """Pointwise values by unit, with the weights if there are any."""
    if weight is not None:
        columns["weight"] = weight
    return pd.DataFrame(columns, index=index)
