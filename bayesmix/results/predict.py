"""Predictions from a point fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known
from bayesmix.errors import FitError
from bayesmix.likelihood import Problem, build_problem, unit_terms
from bayesmix.model import MixtureSpec, Rows
from bayesmix.results.at import responses
from bayesmix.results.conditional import shifts
from bayesmix.results.fitted import Fitted, placed
from bayesmix.results.means import Cell, cells_of, linear_cells, mean_cells, mean_scale, row_weights
from bayesmix.results.tables import component_index
from bayesmix.results.uncertainty import Source, estimates

WHAT = ("mean", "link", "weight")
BY = ("component", "marginal", "membership")


def predict(
    fitted: Fitted,
    newdata: pd.DataFrame | None,
    what: str,
    by: str,
    ci: float | None = None,
) -> pd.DataFrame | pd.Series:
    """Means, linear predictors or weights of new rows.

    Parameters
    ----------
    fitted : Fitted
    newdata : DataFrame, optional
    what, by : str
        See `checked`.
    ci : float, optional
        Coverage of intervals by the delta method; with it the result is a tidy frame.

    Raises
    ------
    FitError
        If `what` or `by` is unknown, or a marginal linear predictor is requested.
    """
    spec = fitted.spec
    at = Prediction.of(spec, newdata, what, by)
    index = spec.prepared.index if newdata is None else newdata.index
    if ci is not None:
        return _with_limits(fitted, at, index, ci)
    frames = [
        pd.Series(value[:, 0], index=index)
        if at.by != "component"
        else pd.DataFrame(value, index=index, columns=component_index(spec))
        for value in at.values(fitted.theta)
    ]
    if len(frames) == 1:
        return frames[0] if at.by == "component" else frames[0].rename(at.cells[0].response)  # type: ignore[call-overload]
    return side_by_side(frames, at.cells)


def side_by_side(frames: Sequence[Any], cells: Sequence[Cell]) -> pd.DataFrame:
    """Frames with the response and the output of each on top, as far as there are several."""
    columns = cell_columns(cells)
    keys: Any = zip(*columns.values(), strict=True)
    if len(columns) == 1:
        (keys,) = columns.values()
    names = list(columns) if "output" in columns else None
    return pd.concat(dict(zip(keys, frames, strict=True)), axis=1, names=names)


@dataclass(frozen=True)
class Prediction:
    """What is predicted, and for which rows.

    Parameters
    ----------
    spec : MixtureSpec
    rows : Rows
    what, by : str
    problem : Problem, or None
        The rows with their responses, where means are weighted by memberships.
    """

    spec: MixtureSpec
    rows: Rows
    what: str
    by: str
    problem: Problem | None = None

    @classmethod
    def of(cls, spec: MixtureSpec, newdata: pd.DataFrame | None, what: str, by: str) -> Prediction:
        """A prediction for new rows, or those of the model.

        Raises
        ------
        FitError
            If `what` or `by` is unknown, or they do not go together.
        """
        check_known(f"predict(what={what!r})", what, WHAT)
        check_known(f"predict(by={by!r})", by, BY)
        if by != "component" and what != "mean":
            msg = f"predict(what={what!r}, by={by!r}) is not possible; by={by!r} goes with 'mean'"
            raise FitError(msg)
        own = by == "membership"
        weighted = what == "weight" or by != "component"
        rows = spec.apply(newdata, response=own, weights=weighted)
        return cls(spec, rows, what, by, build_problem(spec, rows) if own else None)

    @property
    def cells(self) -> list[Cell]:
        """The numbers of the responses, or "weight"."""
        if self.what == "weight":
            return [Cell("weight")]
        return [cell for block in self.spec.layout.blocks for cell in cells_of(block, self.what)]

    def values(self, theta: np.ndarray) -> np.ndarray:
        """Predictions (cells, n, S), or (cells, n, 1) over the components."""
        spec, rows = self.spec, self.rows
        if self.what == "weight":
            return np.array(row_weights(spec, theta, rows))[None]
        function = linear_cells if self.what == "link" else mean_cells
        every = responses(spec, rows, theta)
        values = np.concatenate([function(at) for at in every])
        if self.by == "component":
            return values
        if self.problem is not None:  # what the unit's own responses say of its random effects
            owners = [at for at in every for _ in cells_of(at.block, self.what)]
            pairs = zip(owners, values, strict=True)
            values = np.stack([mean + shifts(at, mean) for at, mean in pairs])
        weights = (
            row_weights(spec, theta, rows)
            if self.problem is None
            else placed(rows.units, unit_terms(self.problem, theta)[1])[rows.units.codes]
        )
        return np.where(weights > 0, weights * values, 0.0).sum(-1, keepdims=True)

    @property
    def scales(self) -> list[str]:
        """Where the intervals of each number are symmetric."""
        if self.what == "weight":
            return ["logit"]
        return [
            mean_scale(b) if self.what == "mean" else "identity"
            for b in self.spec.layout.blocks
            for _ in cells_of(b, self.what)
        ]


def _with_limits(fitted: Fitted, at: Prediction, index: pd.Index, ci: float) -> pd.DataFrame:
    """Rows by response, row and component: estimate, lower, upper."""
    found = estimates(Source(at.spec, fitted, None), at.values)
    lower, upper = found.limits(ci, at.scales)
    n_names, n_rows, n_owners = found.value.shape
    owners = component_index(at.spec) if at.by == "component" else pd.Index([pd.NA])
    columns: dict[str, Any] = {
        name: values.repeat(n_rows * n_owners) for name, values in cell_columns(at.cells).items()
    }
    columns["row"] = np.tile(index.repeat(n_owners), n_names)
    columns["component"] = np.tile(owners, n_names * n_rows)
    numbers = {"estimate": found.value, "lower": lower, "upper": upper}
    return pd.DataFrame(columns | {n: v.ravel() for n, v in numbers.items()})


def cell_columns(cells: Sequence[Cell]) -> dict[str, np.ndarray]:
    """Columns of tidy frames that tell numbers apart: response and output, where needed."""
    found = {}
    for name, values in zip(Cell._fields, zip(*cells, strict=True), strict=True):
        if len(set(values)) > 1:
            found[name] = np.empty(len(values), dtype=object)
            found[name][:] = values
    return found
