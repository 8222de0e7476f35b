"""Predictions, residuals and simulation from a point fit."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayesmix._arguments import fraction, shown
from bayesmix.errors import FitError, warn
from bayesmix.families import Family
from bayesmix.families.limits import draw_within
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import expected, log_survival
from bayesmix.formula.limits import Limits
from bayesmix.formula.response import (
    Response,
    binomial_arguments,
    limited_call,
    read_limits,
    read_response,
    time_name,
)
from bayesmix.formula.transforms import Scope
from bayesmix.likelihood import Problem, build_problem, unit_terms
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout
from bayesmix.model.prepare import Part
from bayesmix.model.rows import Clustered, entries
from bayesmix.results import censoring
from bayesmix.results.conditional import one_by_one, shifts
from bayesmix.results.fitted import Fitted
from bayesmix.results.tables import OwnRows, component_index
from bayesmix.results.uncertainty import Source, estimates

__all__ = [
    "Cell",
    "Column",
    "Prediction",
    "as_observed",
    "cell_columns",
    "cells_of",
    "columns_of",
    "component_means",
    "linear_cells",
    "linear_predictors",
    "mean_cells",
    "mean_scale",
    "natural",
    "observed_response",
    "outputs_of",
    "predict",
    "row_log_densities",
    "row_weights",
    "side_by_column",
    "side_by_side",
    "simulate",
]

WHAT = ("mean", "link", "weight")
BY = ("component", "marginal", "membership")


def predict(
    fitted: Fitted,
    newdata: pd.DataFrame | OwnRows | None,
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
        If what or by is unknown, or a marginal linear predictor is asked for.
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


class Cell(NamedTuple):
    """One number of a response: of the whole, or one of several, such as a level's probability."""

    response: str
    output: Hashable = ""


def side_by_side(frames: Sequence[Any], cells: Sequence[Cell]) -> pd.DataFrame:
    """Frames with the response and the output of each on top, as far as there are several."""
    several = len({cell.response for cell in cells}) > 1
    outputs = any(cell.output != "" for cell in cells)
    keys: list[Any] = [
        (*((cell.response,) if several else ()), *((cell.output,) if outputs else ()))
        for cell in cells
    ]
    names = [*(["response"] if several else []), *(["output"] if outputs else [])]
    if len(names) == 1:
        keys = [key[0] for key in keys]
    if not outputs:
        names = []
    return pd.concat(dict(zip(keys, frames, strict=True)), axis=1, names=names or None)


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
    def of(
        cls, spec: MixtureSpec, newdata: pd.DataFrame | OwnRows | None, what: str, by: str
    ) -> Prediction:
        """A prediction for new rows, or those of the model.

        Raises
        ------
        FitError
            If `what` or `by` is unknown, or they do not go together.
        """
        if what not in WHAT:
            msg = f"predict(what={what!r}) is unknown; use one of {WHAT}"
            raise FitError(msg)
        if by not in BY:
            msg = f"predict(by={by!r}) is unknown; use one of {BY}"
            raise FitError(msg)
        if by != "component" and what != "mean":
            msg = f"predict(what={what!r}, by={by!r}) has no meaning; by={by!r} goes with 'mean'"
            raise FitError(msg)
        own = by == "membership"
        weighted = what == "weight" or by != "component"
        if isinstance(newdata, OwnRows):
            rows = newdata.rows
        else:
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
        pairs = list(zip(spec.layout.blocks, rows.blocks, strict=True))
        values = np.concatenate([function(block, data, theta) for block, data in pairs])
        if self.by == "component":
            return values
        if self.problem is not None:  # what the unit's own responses say of its random effects
            owners = [pair for pair in pairs for _ in cells_of(pair[0], self.what)]
            each = zip(owners, values, strict=True)
            values = np.stack([m + shifts(block, data, theta, m) for (block, data), m in each])
        weights = (
            row_weights(spec, theta, rows)
            if self.problem is None
            else unit_terms(self.problem, theta)[1][rows.units.codes]
        )
        return np.where(weights > 0, weights * values, 0.0).sum(-1, keepdims=True)

    @property
    def scales(self) -> list[str]:
        """Where the intervals of each number are symmetric."""
        if self.what == "weight":
            return ["probability"]
        return [
            mean_scale(b) if self.what == "mean" else "identity"
            for b in self.spec.layout.blocks
            for _ in cells_of(b, self.what)
        ]


def cells_of(block: BlockLayout, what: str) -> list[Cell]:
    """What a response has several numbers of: its family's outputs, or its locations."""
    if what == "link":
        outputs: tuple[Hashable, ...] = tuple(dict.fromkeys(p.of for p in block.locations))
    else:
        outputs = outputs_of(block) or ("",)
    return [Cell(block.name, output) for output in outputs]


def outputs_of(block: BlockLayout) -> tuple[Hashable, ...]:
    """Names of the numbers that a response's mean has; none where it is one number.

    Raises
    ------
    FitError
        If the components' families have different ones.
    """
    found = {family.outputs for family in block.families}
    if len(found) > 1:
        msg = f"the means of {block.name!r} are of different kinds in the components: {found}"
        raise FitError(msg)
    return found.pop()


def mean_scale(block: BlockLayout) -> str:
    """Where intervals of means are symmetric: on the scale of the location's range."""
    if any(f.levels for f in block.families):
        return "probability"
    links = {f.parameters[0].link for f in block.families if f.parameters}
    ranges = {(link.lower, link.upper) for link in links}
    if ranges == {(0.0, 1.0)}:
        return "probability"
    return "positive" if ranges == {(0.0, np.inf)} else "identity"


def _with_limits(fitted: Fitted, at: Prediction, index: pd.Index, ci: float) -> pd.DataFrame:
    """Rows by response, row and component: estimate, lower, upper."""
    fraction("ci", ci, 0.95, error=FitError)
    found = estimates(Source(at.spec, fitted, None), at.values)
    parts = [found.part(number).limits(ci, scale) for number, scale in enumerate(at.scales)]
    lower, upper = (np.array(ends) for ends in zip(*parts, strict=True))
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


def row_weights(spec: MixtureSpec, theta: np.ndarray, rows: Rows) -> np.ndarray:
    """Weights of the components for every row, (n, S)."""
    pi = np.exp(spec.weights.log_weights(theta, rows.concomitant))
    if pi.shape[1] == 1:
        return np.broadcast_to(pi[:, 0], (rows.n, spec.k))
    return pi.T[rows.units.codes]


def linear_cells(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Linear predictors of the locations, offset included, (cells, n, S).

    NaN without a location, and where covariates are missing with their response.  The first
    threshold between ordered levels is no part of them.
    """
    parts = [str(cell.output) for cell in cells_of(block, "link")]
    eta = np.full((len(parts), len(data.matrix), len(block.families)), np.nan)
    cuts = block.thresholds
    for s in range(len(block.families)):
        for number in block.located(s):
            predictor = block.predictors[number]
            first = 0.0 if cuts is None else predictor.coefficients(theta)[s, cuts.column]
            eta[parts.index(predictor.of), :, s] = _eta(block, data, theta, s, number) - first
    return eta


def linear_predictors(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Linear predictor of the first location, (n, S), as `linear_cells`."""
    return linear_cells(block, data, theta)[0]


def natural(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, s: int
) -> dict[str, np.ndarray]:
    """Natural parameters of component s, those with a design by row (n,), the others numbers."""
    out: dict[str, np.ndarray] = {}
    for parameter, slot in zip(block.families[s].parameters, block.slots[s], strict=True):
        eta = _eta(block, data, theta, s, slot)
        out[parameter.name] = np.asarray(Linked(parameter.link, eta).value)
    return out


def _eta(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, s: int, slot: int
) -> np.ndarray | float:
    """A linear predictor of component s, (n,), or a number where it is constant.

    NaN where covariates are missing with their response.
    """
    predictor = block.predictors[slot]
    own = predictor.coefficients(theta)[s]
    if predictor.constant:
        return own[0]
    eta = data.matrix @ own
    if data.described is not None:
        eta = np.where(data.described, eta, np.nan)
    if data.offset is None or slot not in block.located(s):
        return eta
    return eta + (data.offset if data.offset.ndim == 1 else data.offset[s])


def row_log_densities(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Log densities of the rows' responses in every component, (n, S); zero where missing.

    With random effects, given the earlier rows of the cluster.
    """
    if block.random:
        centre, sd = one_by_one(block, data, theta, linear_predictors(block, data, theta))
        obs = next(iter(data.observed.values()))
        logf: Any = norm.logpdf(obs.y[:, None], centre, sd)
        return logf if obs.there is None else np.where(obs.there[:, None], logf, 0.0)
    if any(family.whole is not None for family in block.families):
        msg = f"the rows of {block.name!r} have a density together, and none of their own"
        raise FitError(msg)
    n = len(data.matrix)
    out = np.empty((n, len(block.families)))
    for s, (family, slots) in enumerate(zip(block.families, block.slots, strict=True)):
        etas = tuple(
            np.broadcast_to(_eta(block, data, theta, s, slot), (n,)).copy() for slot in slots
        )
        out[:, s] = family.log_density(data.observed[block.keys[s]], etas)
    return out


def component_means(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Expected responses (n, S); per trial for the binomial.

    Raises
    ------
    FitError
        If the mean is not one number.
    """
    if outputs_of(block):
        name = block.families[0].name
        msg = (
            f"the mean of {block.name!r} is not a single number, but has one for each of "
            f"{shown(list(outputs_of(block)))} (family {name!r}); fit.predict() and "
            "bmx.predictions() give them all, plot.profile() draws them"
        )
        raise FitError(msg)
    return mean_cells(block, data, theta)[0]


def mean_cells(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Expected responses (cells, n, S), one cell unless the family has outputs."""
    n = len(data.matrix)
    outputs = len(outputs_of(block))
    out = np.empty((outputs or 1, n, len(block.families)))
    for s, family in enumerate(block.families):
        if family.is_survival:
            out[0, :, s] = expected(family, natural(block, data, theta, s))
            continue
        if family.mean is None:
            msg = f"family {family.name!r} has no mean=; give one to predict or plot its mean"
            raise FitError(msg)
        found = family.mean(**natural(block, data, theta, s))
        out[..., s] = np.moveaxis(found, -1, 0) if outputs else found
    return out


def observed_response(data: BlockRows) -> np.ndarray:
    """The response on the scale of the mean: proportions for the binomial."""
    assert data.response is not None
    trials = data.response.trials
    return data.response.y if trials is None else data.response.y / np.maximum(trials, 1)


def simulate(
    fitted: Fitted,
    newdata: pd.DataFrame | None,
    rng: np.random.Generator,
    *,
    missing: bool = False,
) -> pd.DataFrame:
    """Random responses: a component for every unit, then its rows.

    Parameters
    ----------
    fitted : Fitted
    newdata : DataFrame, optional
    rng : numpy.random.Generator
    missing : bool
        Whether responses are missing where those of the model are.

    Returns
    -------
    DataFrame
        A column for each response (successes for the binomial; a survival time, without
        censoring, under the name of the time; levels as a Categorical or as whole numbers) and
        "component".
    """
    return simulate_at(fitted.spec, fitted.theta, newdata, rng, missing=missing)


def simulate_at(
    spec: MixtureSpec,
    theta: np.ndarray,
    newdata: pd.DataFrame | None,
    rng: np.random.Generator,
    *,
    missing: bool = False,
) -> pd.DataFrame:
    """The same at any parameters theta (D,)."""
    if missing and newdata is not None:
        msg = "simulate(missing=True) leaves out what is missing in the model's own rows, not in "
        raise FitError(msg + "newdata=; give one of the two")
    rows = simulation_rows(spec, newdata)
    index = spec.prepared.index if newdata is None else newdata.index
    drawn = draw_components(spec, theta, rows, rng)
    values = [
        draw_response(block, data, theta, drawn, rng)
        for block, data in zip(spec.layout.blocks, rows.blocks, strict=True)
    ]
    values = [
        v[rows.units.first][rows.units.codes] if part.regression.per == "unit" else v
        for v, part in zip(values, spec.prepared.parts, strict=True)
    ]
    columns = columns_of(spec, rows)
    values = list(side_by_column(values))
    warn_of_impossible(np.array(values), columns)
    if missing:
        values = as_observed(np.array(values), columns)
    out: dict[str, Any] = {
        column.name: _labelled(spec.layout.blocks[column.block], value)
        for column, value in zip(columns, values, strict=True)
    }
    out["component"] = np.array(spec.components, dtype=object)[drawn]
    return pd.DataFrame(out, index=index).infer_objects()


def _labelled(block: BlockLayout, values: np.ndarray) -> Any:
    """Drawn responses as in the data: levels, where the family has some."""
    levels = next((f.levels for f in block.families if f.levels), ())
    if not levels:
        return values
    missing = np.isnan(values)
    codes = np.where(missing, -1, values).astype(int)
    if all(isinstance(level, int) for level in levels):
        drawn = np.array(levels)[codes]
        return np.where(missing, np.nan, drawn) if missing.any() else drawn
    ordered = block.thresholds is not None
    known: Any = list(levels)
    return pd.Categorical.from_codes(codes.tolist(), known, ordered=ordered)


class Column(NamedTuple):
    """A column of a response: its place among the responses and there, its name and its rows."""

    block: int
    number: int
    name: str
    data: BlockRows

    @property
    def there(self) -> np.ndarray | None:
        """Where it was observed, (n,); None for everywhere."""
        response = self.data.response
        if response is None or response.y.ndim == 1:
            return self.data.there
        seen = ~np.isnan(response.y[:, self.number])
        return None if seen.all() else seen


def columns_of(spec: MixtureSpec, rows: Rows) -> list[Column]:
    """All columns of all responses: most have one."""
    return [
        Column(b, number, name, data)
        for b, (block, data) in enumerate(zip(spec.layout.blocks, rows.blocks, strict=True))
        for number, name in enumerate(
            block.columns if block.families[0].columns else (response_name(spec, block),)
        )
    ]


def side_by_column(values: Sequence[np.ndarray]) -> np.ndarray:
    """Responses (n,), or (n, q) of several columns, as all their columns, (columns, n)."""
    return np.concatenate([v[None] if v.ndim == 1 else v.T for v in values])


def response_name(spec: MixtureSpec, block: BlockLayout) -> str:
    """What simulated responses are called: a time as within ``surv(...)``, else as written."""
    if not block.survival:
        call = limited_call(block.name)
        return block.name if call is None else call.inner
    events = spec.prepared.events
    written = [block.name] if events is None else list(events.times)
    return time_name(written)


def simulation_rows(spec: MixtureSpec, newdata: pd.DataFrame | None) -> Rows:
    """Rows to simulate responses for: they need the trials, but not the successes."""
    rows = spec.apply(newdata, response=False)
    if newdata is None:
        return rows
    blocks = [
        replace(data, response=_without_values(part, newdata, spec.prepared.scope))
        if part.response.trials is not None or part.response.limits is not None
        else data
        for part, data in zip(spec.prepared.parts, rows.blocks, strict=True)
    ]
    return replace(rows, blocks=tuple(blocks))


def _without_values(part: Part, newdata: pd.DataFrame, scope: Scope) -> Response:
    """What is known of new responses before they are there: their trials, or limits."""
    text = part.formula.response
    assert text is not None
    if part.response.limits is not None:
        unknown = np.full(len(newdata), np.nan)
        limits = read_limits(text, newdata, scope)
        return replace(part.response, y=unknown, there=None, limits=limits)
    _, trials = binomial_arguments(text)
    return read_response(
        replace(part.formula, response=f"p(0 * ({trials}), {trials})"), newdata, scope
    )


def draw_components(
    spec: MixtureSpec, theta: np.ndarray, rows: Rows, rng: np.random.Generator
) -> np.ndarray:
    """A component (position) for every row, the same within a unit.

    Known labels stay, but competing events are drawn.  Of units with delayed entries those
    components are more probable in which these are reached.
    """
    pi = row_weights(spec, theta, rows)[rows.units.first]
    if rows.known is not None:
        pi = np.where(rows.known, pi, 0.0)
    reached = _log_reached(spec, theta, rows)
    if reached is not None:
        with np.errstate(divide="ignore"):
            terms = np.log(pi) + reached
        pi = np.exp(terms - terms.max(1, keepdims=True))
    return draw_from(pi, rng)[rows.units.codes]


def draw_from(pi: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A component (position) for every unit, by weights (U, S) that need not add up to one."""
    cumulative = pi.cumsum(1)
    uniform = rng.random((len(pi), 1)) * cumulative[:, -1:]
    return np.minimum((cumulative < uniform).sum(1), pi.shape[1] - 1)


def _log_reached(spec: MixtureSpec, theta: np.ndarray, rows: Rows) -> np.ndarray | None:
    """Log chance of each component that a unit's delayed entries are reached, (U, S)."""
    total = np.zeros((rows.n_units, spec.k))
    late = False
    for block, data in zip(spec.layout.blocks, rows.blocks, strict=True):
        for s, (family, key) in enumerate(zip(block.families, block.keys, strict=True)):
            entered = None if data.entry is None else data.entry[key].times
            if entered is not None:
                late = True
                log = log_survival(family, entered.lower, natural(block, data, theta, s))
                total[:, s] += np.bincount(rows.units.codes, log, rows.n_units)
    return total if late else None


def draw_response(
    block: BlockLayout,
    data: BlockRows,
    theta: np.ndarray,
    drawn: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Responses (n,) of rows with known components, NaN where the component has none.

    Those of several columns are (n, q).

    A mean outside its range, as of a Poisson response with the identity link, is of no
    distribution; its density is zero.
    """
    trials = None if data.response is None else data.response.trials
    several = block.families[0].columns
    out = np.full((len(drawn), len(several)) if several else len(drawn), np.nan)
    for s, (family, key) in enumerate(zip(block.families, block.keys, strict=True)):
        at = np.flatnonzero(drawn == s)
        if len(at):
            values = natural(block, data, theta, s)
            late = entries(data, key)
            limits = None if data.response is None else data.response.limits
            out[at] = draw_rows(family, values, trials, late, at, rng, data.clustered, limits)
    return out


def draw_missing(
    block: BlockLayout,
    data: BlockRows,
    theta: np.ndarray,
    drawn: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """As `draw_response`; of several columns those that are missing, given the others."""
    if data.response is None or data.response.y.ndim == 1:
        return draw_response(block, data, theta, drawn, rng)
    y = data.response.y
    out = y.copy()
    for s, family in enumerate(block.families):
        assert family.fill is not None
        at = np.flatnonzero((drawn == s) & np.isnan(y).any(1))
        values = natural(block, data, theta, s)
        some = {n: v[at] if np.ndim(v) else v for n, v in values.items()}
        out[at] = family.fill(rng, y[at], **some)
    return out


def draw_rows(
    family: Family,
    natural: Mapping[str, np.ndarray],
    trials: np.ndarray | None,
    entry: np.ndarray | None,
    at: np.ndarray,
    rng: np.random.Generator,
    clustered: Clustered | None = None,
    limits: Limits | None = None,
) -> np.ndarray:
    """Responses of the rows at some positions, (m,) or (m, q) of several columns.

    They are NaN where the parameters are impossible.

    Parameters
    ----------
    family : Family
    natural : mapping of str to ndarray
        Natural parameters of all rows (n,), or numbers.
    trials, entry : ndarray, shape (n,), or None
    at : ndarray of int, shape (m,)
    rng : numpy.random.Generator
    clustered : Clustered, optional
        For families that give the density of rows together.
    limits : Limits, optional
        Of all rows: what cannot occur is drawn again, what is censored stands at the limit.
    """
    values = {n: v[at] if np.ndim(v) else np.full(len(at), v) for n, v in natural.items()}
    out = np.full((len(at), len(family.columns)) if family.columns else len(at), np.nan)
    inside = np.broadcast_to(_possible(family, values), len(at))
    if family.whole is not None:
        return _draw_together(family, values, clustered, at, rng)
    if inside.any():
        at, values = at[inside], {n: v[inside] for n, v in values.items()}
        late = np.zeros(len(at)) if entry is None else entry[at]
        some = None if trials is None else trials[at]
        if limits is None:
            out[inside] = _draw(family, values, some, late, rng)
        else:
            drawn = _draw(family, values, some, late, rng)
            out[inside] = draw_within(family, values, drawn, limits.take(at), rng)
    return out


def _draw_together(
    family: Family,
    values: dict[str, np.ndarray],
    clustered: Clustered | None,
    at: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    assert family.whole is not None
    if family.whole.simulate is None or clustered is None:
        what = "has no simulate=" if clustered else "needs its clusters and random effects' columns"
        msg = f"family {family.name!r} {what}; give these to draw responses"
        raise FitError(msg)
    given = clustered.take(at)
    return family.whole.simulate(rng, given.codes, given.effects, **values)


def _possible(family: Family, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows whose parameters are within their ranges, (n,)."""
    inside: np.ndarray | bool = True
    for parameter in family.parameters:
        lower, upper = family.bounds.get(parameter.name, (-np.inf, np.inf))
        lower = max(lower, parameter.link.lower)
        upper = min(upper, parameter.link.upper)
        value = values[parameter.name]
        inside = inside & (value >= lower) & (value <= upper)
    return np.asarray(inside)


def as_observed(drawn: np.ndarray, columns: Sequence[Column]) -> list[np.ndarray]:
    """Drawn columns (columns, ..., n), missing where those of the rows are."""
    return [
        y if column.there is None else np.where(column.there, y, np.nan)
        for y, column in zip(drawn, columns, strict=True)
    ]


def warn_of_impossible(drawn: np.ndarray, columns: Sequence[Column]) -> None:
    """Say that some columns (..., columns, n) could not be drawn; covariates may be missing."""
    wrong = np.isnan(drawn)
    for c, column in enumerate(columns):
        if column.data.described is not None:
            wrong[..., c, :] &= column.data.described
    missing = int(wrong.sum())
    if missing:
        msg = (
            f"{missing} of {drawn.size} simulated responses are missing: their mean is outside its "
            "range there, as below zero by the identity link. A log or logit link cannot leave it; "
            "or give narrower priors"
        )
        warn("impossible responses", msg)


def _draw(
    family: Family,
    values: dict[str, np.ndarray],
    trials: np.ndarray | None,
    entry: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    if family.is_survival:
        return censoring.draw_times(family, values, entry, rng)
    if family.simulate is None:
        msg = f"family {family.name!r} has no simulate=; give one to draw responses"
        raise FitError(msg)
    if family.binomial:
        values["trials"] = np.ones(len(entry)) if trials is None else trials
    return family.simulate(rng, **values)
