"""The tables of a fit: coefficients, dispersions, weights, summary, sizes, memberships."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments.printing import Printed
from bayesmix.errors import FitError
from bayesmix.likelihood import Problem, build_problem, unit_terms
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import EFFECTS, BlockLayout
from bayesmix.model.params import (
    Entry,
    coefficient_columns,
    coefficients,
    dispersions,
    table_entries,
    term_name,
)
from bayesmix.results.covariance import Covariance, covariance
from bayesmix.results.fitted import Fitted, placed
from bayesmix.results.uncertainty import SCALES


def component_index(spec: MixtureSpec) -> pd.Index:
    """The components' names as an index."""
    return pd.Index(list(spec.components), name="component")


def coefficient_table(spec: MixtureSpec, theta: np.ndarray) -> pd.DataFrame:
    """Coefficients, terms by components; NaN where a component lacks a term."""
    frames = []
    for block in spec.layout.blocks:
        for of in dict.fromkeys(p.of for p in block.locations):
            terms, values = _location(block, theta, of)
            one = next(p for p in block.locations if p.of == of)
            names = [term_name(spec.layout, block, one, term) for term in terms]
            index = pd.Index(names, name="term")
            frames.append(pd.DataFrame(values.T, index=index, columns=component_index(spec)))
    return pd.concat(frames)


def _location(block: BlockLayout, theta: np.ndarray, of: str) -> tuple[list[str], np.ndarray]:
    """Terms of a location, and its coefficients by component, whose own parameter it may be."""
    values = np.full((len(block.families), len(block.terms)), np.nan)
    for s in range(len(block.families)):
        for predictor in (block.predictors[j] for j in block.located(s)):
            if predictor.of == of:
                values[s] = coefficients(predictor, theta)[s]
    used = [
        j
        for j in coefficient_columns(block)
        if not (block.survival and np.isnan(values[:, j]).all())
    ]
    return [block.terms[j] for j in used], values[:, used]


def dispersion_table(spec: MixtureSpec, theta: np.ndarray) -> pd.DataFrame:
    """Dispersions on natural scales, components by parameters."""
    return pd.DataFrame(dispersions(spec.layout, theta), index=component_index(spec))


def concomitant_table(spec: MixtureSpec, theta: np.ndarray) -> pd.DataFrame:
    """Multinomial-logit coefficients, terms by components; the baseline's are zero."""
    terms = spec.layout.concomitant_terms
    if terms is None:
        given = "one component" if spec.k == 1 else "constant weights"
        raise FitError(f"this model has {given} and no concomitant coefficients; see fit.mixing")
    return pd.DataFrame(
        spec.weights.logits(theta).T,
        index=pd.Index(list(terms), name="term"),
        columns=component_index(spec),
    )


def smooth_table(fitted: Fitted) -> pd.DataFrame:
    """Of each smooth curve its tau, columns and effective degrees of freedom.

    Raises
    ------
    FitError
        If the model has none.
    """
    spec = fitted.spec
    if not spec.smooths:
        raise FitError(
            "this fit has no smooth curves; give a spline a smooth prior, such as "
            "priors={'bs(x, df=10)': bmx.Prior.smooth()}, and use method='map'"
        )
    assert fitted.penalty is not None
    rows = []
    for smooth, trace in zip(fitted.penalty.model.smooths, fitted.bending.trace[0], strict=True):
        c = spec.layout.coordinates[smooth.tau]
        lead = "" if c.variable == "tau" else c.variable.removeprefix("tau_") + ": "
        edf, tau = len(smooth.at) - trace, float(np.exp(fitted.theta[smooth.tau]))
        rows += [
            (spec.components[s], lead + c.term, tau, len(smooth.at), edf) for s in c.components
        ]
    return Printed(rows, columns=["component", "term", "tau", "columns", "edf"])


# Links whose coefficients become ratios when exponentiated.
RATIO_LINKS = ("log", "logit", "cloglog")


def ratios(spec: MixtureSpec) -> set[tuple[Any, str, str]]:
    """Coefficients whose exponential is a ratio, as (component, term, effect).

    Raises
    ------
    FitError
        If there is none.
    """
    layout, terms = spec.layout, spec.layout.concomitant_terms
    keys = {
        (spec.components[e.component], e.term, layout.coordinates[e.at].effect)
        for e in table_entries(layout)
        if e.is_coefficient and e.adds_on is not None and e.adds_on.name in RATIO_LINKS
    }
    for s, q in np.argwhere(layout.alpha >= 0) if terms is not None else ():
        assert terms is not None
        keys.add((spec.components[s], terms[q], "concomitant"))
    if not keys:
        raise FitError(
            "exp=True is for coefficients on the scale of a log, logit or cloglog link, and this "
            "model has none; leave it out"
        )
    return keys


def natural_values(
    spec: MixtureSpec, theta: np.ndarray, entries: Sequence[Entry] | None = None
) -> dict[tuple[Any, str, str], np.ndarray]:
    """The values (...) of every row of a summary, by (component, term, effect), at theta (..., D).

    Coefficients and logits as they are, dispersions and weights on natural scales.  `entries`
    are those of the layout, where they are at hand.
    """
    out: dict[tuple[Any, str, str], np.ndarray] = {}
    components, coordinates = spec.components, spec.layout.coordinates
    for e in table_entries(spec.layout) if entries is None else entries:
        out[components[e.component], e.term, coordinates[e.at].effect] = e.natural(theta)
    terms, index = spec.layout.concomitant_terms, spec.layout.alpha
    if terms is not None:
        for s, q in zip(*(index >= 0).nonzero(), strict=True):
            out[spec.components[s], terms[q], "concomitant"] = theta[..., index[s, q]]
    elif spec.k > 1:
        weight = np.exp(spec.weights.log_weights(theta, None))[..., 0]
        for s, component in enumerate(spec.components):
            out[component, "weight", "weight"] = weight[..., s]
    return out


def in_order(keys: Iterable[tuple[Any, str, str]]) -> list[tuple[Any, str, str]]:
    """Rows (component, term, effect) in the order of a summary: by effect."""
    return sorted(keys, key=lambda key: EFFECTS.index(key[2]))


class Line(NamedTuple):
    """A row of a summary on the scale on which its interval is symmetric.

    Parameters
    ----------
    scale : str
    center : float
        The estimate on this scale.
    slopes : dict of int to float
        Its derivatives there in entries of theta.
    inverse : callable
        From this scale to the natural one.
    gain : float
        The slope of that at the center.
    tested : bool
        Whether zero is a value to be tested.
    """

    scale: str
    center: float
    slopes: dict[int, float]
    inverse: Callable[[Any], Any] = np.asarray
    gain: float = 1.0
    tested: bool = True


def _lines(
    spec: MixtureSpec, theta: np.ndarray, entries: Sequence[Entry], values: Iterable[np.ndarray]
) -> Iterator[Line]:
    """The lines of a summary at theta (D,), in the order of its values; see `natural_values`."""
    layout = spec.layout
    for e, value in zip(entries, map(float, values), strict=False):
        slopes = e.slopes(theta)
        if e.several is not None:
            slopes = {at: slope for at, slope in slopes.items() if abs(slope) > SMALL_SLOPE}
            yield _scaled(value, slopes, e.several.scale)
        elif e.link is not None:
            own = float(theta[e.at])
            yield Line(e.link.name, own, {e.at: 1.0}, e.link.inverse, abs(slopes[e.at]), False)
        else:
            yield Line("identity", value, slopes)
    if layout.concomitant_terms is not None:
        for at in layout.alpha[layout.alpha >= 0].tolist():
            yield Line("identity", float(theta[at]), {at: 1.0})
    elif spec.k > 1:
        yield from _weight_lines(spec, theta)


def _scaled(value: float, slopes: dict[int, float], scale: str) -> Line:
    """The line of a natural value with its slopes, on one of `uncertainty.SCALES`."""
    forward, inverse, slope = SCALES[scale]
    with np.errstate(all="ignore"):
        center, steep = float(forward(np.float64(value))), float(slope(np.float64(value)))
    if not math.isfinite(steep):  # at a limit, where the error is natural and there is no interval
        return Line(scale, np.nan, slopes, inverse, 1.0, False)
    along = {at: own * steep for at, own in slopes.items()}
    return Line(scale, center, along, inverse, 1 / steep, False)


def _weight_lines(spec: MixtureSpec, theta: np.ndarray) -> Iterator[Line]:
    """Weights, whose logits have the slopes (1(t = s) - share_t) / (1 - weight_s)."""
    weight = np.exp(spec.weights.log_weights(theta, None))[:, 0]
    index = spec.layout.alpha[:, 0]
    held = np.full(spec.k, np.nan) if spec.weights.held is None else spec.weights.held
    free = np.array([t for t in range(spec.k) if index[t] >= 0 and spec.free[index[t]]], dtype=int)
    some = np.maximum(weight, np.finfo(float).tiny)
    share = np.where(np.isfinite(held), 0.0, some)
    share = share / share.sum()
    others = ~np.eye(spec.k, dtype=bool)
    own = np.where(others, share, 0.0).sum(1)  # not 1 - share, which may be zero
    rest = np.where(others, some, 0.0).sum(1)
    slope = np.where(others, -share, own[:, None])[:, free] / rest[:, None]
    logit, gain = special.logit(weight).tolist(), (weight * (1 - weight)).tolist()
    for s, line in enumerate(slope.tolist()):
        slopes = {} if np.isfinite(held[s]) else dict(zip(index[free].tolist(), line, strict=True))
        yield Line("logit", logit[s], slopes, special.expit, gain[s], False)


def summary(
    fitted: Fitted, ci: float = 0.95, exp: bool = False, kind: str = "observed", cluster: Any = None
) -> pd.DataFrame:
    """Estimates with standard errors and Wald intervals, a row per component and term.

    Parameters
    ----------
    fitted : Fitted
    ci : float
        Coverage of the intervals.
    exp : bool
        Exponentials of coefficients that are logarithms of ratios.
    kind, cluster
        As of `covariance`.
    """
    spec, theta = fitted.spec, fitted.theta
    cov = covariance(fitted, kind, cluster)
    z = float(special.ndtri(0.5 + ci / 2))
    entries = table_entries(spec.layout)
    values = natural_values(spec, theta, entries)
    lines = dict(zip(values, _lines(spec, theta, entries, values.values()), strict=True))
    for key in ratios(spec) if exp else ():
        with np.errstate(over="ignore"):
            values[key] = np.exp(values[key])
        lines[key] = lines[key]._replace(scale="log", inverse=np.exp, gain=float(values[key]))
    keys = in_order(values)
    found = _errors([lines[key] for key in keys], cov, z).tolist()
    rows = [(*k, float(values[k]), *e, lines[k].scale) for k, e in zip(keys, found, strict=True)]
    return Printed(rows, columns=COLUMNS.copy())


# What a row of a summary is of, and its number with an interval.
KEYS, ENDS = ["component", "term", "effect"], ["estimate", "lower", "upper"]
COLUMNS = pd.Index([*KEYS, "estimate", "se", "z", "p_value", "lower", "upper", "scale"])


# Shares of a standard error that can be seen, and slopes that are rounding errors of differences.
STEP, NOTICED, SMALL_SLOPE = 1e-5, 1e-3, 1e-9


@np.errstate(all="ignore")  # at a boundary: infinity is the estimate
def _errors(lines: list[Line], cov: Covariance, z: float) -> np.ndarray:
    """Natural standard error, Wald statistic, p-value and limits of each line, (lines, 5).

    An error is NaN if all entries of theta are held, and infinite if one unit of an undetermined
    entry moves the value noticeably, unless several such entries leave it where it is along all
    flat directions (a threshold between levels, where a step below it is infinite).
    """
    slopes = np.zeros((len(lines), len(cov.matrix)))
    for i, line in enumerate(lines):
        for at, slope in line.slopes.items():
            slopes[i, at] = slope
    known, unknown = np.where(cov.undetermined, 0.0, slopes), slopes[:, cov.undetermined]
    spread = np.where(cov.undetermined | np.isnan(cov.matrix), 0.0, cov.matrix)  # none if held
    se = np.sqrt(((known @ spread) * known).sum(1))
    across = np.sqrt(((slopes @ cov.root) ** 2).sum(1))
    open_ended = (np.abs(cov.flat) > NOTICED).any(0)
    still = np.abs(slopes @ cov.flat.T) <= np.fmax(STEP, NOTICED * across)[:, None]
    still = still.all(1) & ((unknown != 0).sum(1) > 1)
    still &= (unknown[:, ~open_ended[cov.undetermined]] == 0).all(1)
    se = np.where(still, across, se)
    se[se == 0] = np.nan
    noticed = (np.abs(unknown) > np.fmax(STEP, NOTICED * se)[:, None]).any(1) & ~still
    se[noticed] = np.inf
    center, gain, tested = np.array([(e.center, e.gain, e.tested) for e in lines]).reshape(-1, 3).T
    ends = np.where(np.isinf(se), 0.0, center)[:, None] + se[:, None] * [-z, z]
    for inverse in {line.inverse for line in lines}:
        rows = [line.inverse is inverse for line in lines]
        ends[rows] = inverse(ends[rows])
    ends.sort(axis=1)
    statistic = np.where((tested > 0) & np.isfinite(se), center / se, np.nan)
    p_value = 2 * special.ndtr(-np.abs(statistic))
    natural = np.where(np.isinf(se), se, se * gain)
    return np.array([natural, statistic, p_value, *ends.T]).T


def membership(fitted: Fitted, newdata: pd.DataFrame | None, *, rows: bool) -> pd.DataFrame:
    """P(component | data), units by components, or repeated by row."""

    def values(problem: Problem | None) -> np.ndarray:
        if problem is None:
            return fitted.unit_terms[1]
        return placed(problem.spec.rows.units, unit_terms(problem, fitted.theta)[1])

    return units_table(fitted.spec, newdata, values, component_index(fitted.spec), rows=rows)


def units_table(
    spec: MixtureSpec,
    newdata: pd.DataFrame | None,
    values_of: Callable[[Problem | None], np.ndarray],
    columns: pd.Index,
    *,
    rows: bool,
) -> pd.DataFrame:
    """Numbers of units, (U, columns), as a table; with `rows` repeated for each row.

    Parameters
    ----------
    spec : MixtureSpec
    newdata : DataFrame, optional
        Other units, with their responses.
    values_of : callable
        From the new units' problem, or None for the model's own.
    columns : Index
    rows : bool
    """
    if newdata is None:
        problem, units, index = None, spec.rows.units, spec.prepared.index
    else:
        data, index = spec.apply(newdata, response=True), newdata.index
        problem, units = build_problem(spec, data), data.units
    values = values_of(problem)
    if rows:
        return pd.DataFrame(values[units.codes], index=index, columns=columns)
    return pd.DataFrame(values.copy(), index=units.index, columns=columns)


def clusters(fitted: Fitted, newdata: pd.DataFrame | None, *, rows: bool) -> pd.Series:
    """The most probable component of each unit, or of each row."""
    return membership(fitted, newdata, rows=rows).idxmax(axis=1).rename("component")


def sizes(fitted: Fitted) -> pd.DataFrame:
    """Mean memberships, and how many units and rows belong to each component."""
    total, units, size, post, count = fitted.unit_sums(_size_sums)
    k = fitted.spec.k
    if fitted.spec.prepared.weights_column is None:
        units, size, post = units.astype(int), size.astype(int), post.astype(int)
    ratio = np.divide(size, post, out=np.full(k, np.nan), where=post > 0)
    return pd.DataFrame(
        {
            "prior": total / count,
            "units": units,
            "size": size,
            "post_positive": post,
            "ratio": ratio,
        },
        index=component_index(fitted.spec),
    )


def _size_sums(block: Problem, _: np.ndarray, resp: np.ndarray) -> tuple[Any, ...]:
    """Memberships, units and rows by their most probable component, rows that may be of each."""
    w = np.ones(len(resp)) if block.weight is None else block.weight
    rows = w
    if block.first is not None:
        rows = w * np.diff(np.append(block.first, block.n_rows))
    own, k = resp.argmax(1), resp.shape[1]
    units, size = (np.bincount(own, weights=each, minlength=k) for each in (w, rows))
    return w @ resp, units, size, rows @ (resp > 1e-4), w.sum()


def _assigned(block: Problem, _: np.ndarray, resp: np.ndarray) -> tuple[Any, ...]:
    """Units by their most probable component, and their memberships there."""
    w = np.ones(len(resp)) if block.weight is None else block.weight
    mine = w[:, None] * (resp.argmax(1)[:, None] == np.arange(resp.shape[1]))
    return mine.sum(0), (mine * resp).sum(0), w.sum()


def classification(fitted: Fitted) -> pd.DataFrame:
    """How well units can be assigned to each component, by its most probable members."""
    assigned, sums, count = fitted.unit_sums(_assigned)
    with np.errstate(divide="ignore", invalid="ignore"):
        average = sums / assigned
        odds = average / (1 - average) * (1 - fitted.mixing) / fitted.mixing
    columns = {
        "weight": fitted.mixing,
        "assigned": assigned / count,
        "membership": average,
        "odds": odds,
    }
    return pd.DataFrame(columns, index=component_index(fitted.spec))
