"""Random responses: a component for every unit, then its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesmix.arrays.sums import shares
from bayesmix.errors import FitError, warn
from bayesmix.families import Family
from bayesmix.families.limits import draw_within
from bayesmix.formula.calls import limited_call, taken_apart, time_name, values_read
from bayesmix.formula.limits import Limits
from bayesmix.formula.response import Response, read_limits, read_response
from bayesmix.formula.scope import Scope
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.data import time_sources
from bayesmix.model.layout import BlockLayout
from bayesmix.model.parts import Part
from bayesmix.model.rows import Clustered, entries
from bayesmix.results import censoring
from bayesmix.results.at import At, responses
from bayesmix.results.means import late_survival, row_weights


def simulate(
    spec: MixtureSpec,
    theta: np.ndarray,
    newdata: pd.DataFrame | None,
    rng: np.random.Generator,
    *,
    missing: bool = False,
) -> pd.DataFrame:
    """Random responses: a component for every unit, then its rows.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (D,)
    newdata : DataFrame, optional
    rng : numpy.random.Generator
    missing : bool
        Whether responses are missing where those of the model are.

    Returns
    -------
    DataFrame
        A column for each response (successes for the binomial; a survival time, without
        censoring, under the name of the time; levels as a Categorical or as whole numbers), the
        columns that these determine, and "component".
    """
    rows = simulation_rows(spec, newdata, missing=missing)
    index = spec.prepared.index if newdata is None else newdata.index
    columns = columns_of(spec, rows)
    drawn, values = draw_columns(spec, theta, rows, rng)
    warn_of_impossible(values, columns)
    kept = as_observed(values, columns) if missing else values
    out: dict[str, Any] = {
        column.name: labelled(spec.layout.blocks[column.block], value)
        for column, value in zip(columns, kept, strict=True)
    }
    for column, value in zip(columns, kept, strict=True):
        for name, read in _read_by(spec, column, value).items():
            if name in spec.prepared.columns:
                out.setdefault(name, read)
    out["component"] = np.array(spec.components, dtype=object)[drawn]
    return pd.DataFrame(out, index=index).infer_objects()


def _read_by(spec: MixtureSpec, column: Column, values: np.ndarray) -> dict[str, np.ndarray]:
    """The data's columns that a response's values (n,) determine, by name."""
    block, scope = spec.layout.blocks[column.block], spec.prepared.scope
    texts = time_sources(spec, block) if block.survival else [column.name]
    if len(set(texts)) > 1:  # the times of other events are not known
        return {}
    return values_read(
        texts[0], values, lambda name: name in scope and isinstance(scope.peek(name), FunctionType)
    )


def labelled(block: BlockLayout, values: np.ndarray) -> Any:
    """Drawn responses (n,) as in the data: levels, where the family has some."""
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


def labelled_frame(block: BlockLayout, values: np.ndarray, index: pd.Index) -> pd.DataFrame:
    """Drawn responses, rows by draws (n, T), as in the data."""
    return pd.DataFrame({d: labelled(block, v) for d, v in enumerate(values.T)}, index=index)


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
        return block.name if call is None else call.arguments[0]
    return time_name(list(dict.fromkeys(time_sources(spec, block))))


def simulation_rows(
    spec: MixtureSpec, newdata: pd.DataFrame | None, *, missing: bool = False
) -> Rows:
    """Rows to simulate responses for: they need the trials, but not the successes.

    Raises
    ------
    FitError
        If new rows are to have their responses missing where those of the model are.
    """
    if missing and newdata is not None:
        raise FitError(
            "simulate(missing=True) repeats the missing responses of the model's own rows, which "
            "newdata= replaces; give one of the two"
        )
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
        limits = read_limits(taken_apart(text), newdata, scope)
        return replace(part.response, y=unknown, there=None, limits=limits)
    _, trials = taken_apart(text).arguments
    return read_response(
        replace(part.formula, response=f"p(0 * ({trials}), {trials})"), newdata, scope
    )


def draw_columns(
    spec: MixtureSpec, theta: np.ndarray, rows: Rows, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A component for every row, (n,), and all columns of the responses, (columns, n)."""
    drawn = draw_components(spec, theta, rows, rng)
    values = [draw_response(at, drawn, rng) for at in responses(spec, rows, theta)]
    # A response of the unit is the same in all its rows.
    values = [
        v[rows.units.first][rows.units.codes] if part.regression.per == "unit" else v
        for v, part in zip(values, spec.prepared.parts, strict=True)
    ]
    return drawn, side_by_column(values)


def draw_data_sets(
    spec: MixtureSpec, theta: np.ndarray, rows: Rows, rng: np.random.Generator
) -> np.ndarray:
    """All columns of the responses for every one of the parameters (T, D), (T, columns, n)."""
    out = np.array([draw_columns(spec, at, rows, rng)[1] for at in theta])
    warn_of_impossible(out, columns_of(spec, rows))
    return out


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
            pi = shares(np.log(pi) + reached)
    return draw_from(pi, rng)[rows.units.codes]


def draw_from(pi: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A component (position) for every unit, by weights (U, S) that need not add up to one."""
    cumulative = pi.cumsum(1)
    uniform = rng.random((len(pi), 1)) * cumulative[:, -1:]
    return np.minimum((cumulative < uniform).sum(1), pi.shape[1] - 1)


def _log_reached(spec: MixtureSpec, theta: np.ndarray, rows: Rows) -> np.ndarray | None:
    """Log chance of each component that a unit's delayed entries are reached, (U, S)."""
    late = [at for at in responses(spec, rows, theta) if at.data.entry is not None]
    if not late:
        return None
    return rows.units.sums(np.sum([late_survival(at) for at in late], axis=0))


def draw_response(at: At, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Responses (n,) of rows with known components, NaN where the component has none.

    Those of several columns are (n, q).

    Responses are also NaN where the mean is outside its range, for instance below zero for a
    Poisson response with the identity link.
    """
    data, several = at.data, at.block.families[0].columns
    trials = None if data.response is None else data.response.trials
    limits = None if data.response is None else data.response.limits
    out = np.full((len(drawn), len(several)) if several else len(drawn), np.nan)
    for s, family, key in at.components():
        which = np.flatnonzero(drawn == s)
        if len(which):
            late = entries(data, key)
            given = (trials, late, which, rng, data.clustered, limits)
            out[which] = draw_rows(family, at.natural(s), *given)
    return out


def draw_missing(at: At, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As `draw_response`; of several columns those that are missing, given the others."""
    if at.data.response is None or at.y.ndim == 1:
        return draw_response(at, drawn, rng)
    out = at.y.copy()
    for s, family, _ in at.components():
        assert family.fill is not None
        which = np.flatnonzero((drawn == s) & np.isnan(at.y).any(1))
        some = {n: v[which] if np.ndim(v) else v for n, v in at.natural(s).items()}
        out[which] = family.fill(rng, at.y[which], **some)
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
        Natural parameters of all rows (n,), or numbers, as `Family.natural` gives them.
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
        if family.whole.simulate is None or clustered is None:
            lacks = "needs its clusters and random effects' columns"
            lacks = "has no simulate=" if clustered else lacks
            raise FitError(f"family {family.name!r} {lacks}; give these to draw responses")
        given = clustered.take(at)
        return family.whole.simulate(rng, given.codes, given.effects, **values)
    if inside.any():
        at, values = at[inside], {n: v[inside] for n, v in values.items()}
        if family.is_survival:
            late = np.zeros(len(at)) if entry is None else entry[at]
            drawn = censoring.draw_times(family, values, late, rng)
        elif family.simulate is None:
            raise FitError(f"family {family.name!r} has no simulate=; give one to draw responses")
        else:
            if family.binomial:
                values["trials"] = np.ones(len(at)) if trials is None else trials[at]
            drawn = family.simulate(rng, **values)
        if limits is not None:
            drawn = draw_within(family, values, drawn, limits.take(at), rng)
        out[inside] = drawn
    return out


def _possible(family: Family, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows whose parameters are within their ranges, (n,)."""
    if family.levels:
        return np.isfinite(values["probability"]).all(-1)
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
    """Warn if columns (..., columns, n) could not be drawn; missing covariates are no reason."""
    wrong = np.isnan(drawn)
    for c, column in enumerate(columns):
        if column.data.described is not None:
            wrong[..., c, :] &= column.data.described
    missing = int(wrong.sum())
    if missing:
        msg = (
            f"{missing} of {drawn.size} simulated responses are missing: their mean is outside its "
            "range, for instance below zero with the identity link. Use a log or logit link, or "
            "narrower priors"
        )
        warn("impossible responses", msg)
