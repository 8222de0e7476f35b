"""The tables of a fit: coefficients, dispersions, weights, summary, sizes, memberships."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments import fraction
from bayesmix._arguments.printing import Printed
from bayesmix.errors import FitError
from bayesmix.families.links import get_link
from bayesmix.likelihood import Problem, build_problem, unit_terms
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import EFFECTS, BlockLayout
from bayesmix.model.params import (
    Entry,
    coefficient_columns,
    coefficients,
    dispersion_entries,
    dispersions,
    location_entries,
    term_name,
)
from bayesmix.model.random import random_entries
from bayesmix.results.covariance import Covariance, covariance
from bayesmix.results.fitted import Ends, Fitted
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
    entries = (*location_entries(layout), *dispersion_entries(layout))
    keys = {
        (spec.components[e.component], e.term, layout.coordinates[e.at].effect)
        for e in entries
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


def _as_ratios(rows: list[tuple], keys: set[tuple[Any, str, str]]) -> list[tuple]:
    """Rows with the exponentials of some coefficients; z and p-values stay those of zero."""
    out = []
    for row in rows:
        component, term, effect, estimate, se, z, p, low, high, _ = row
        if (component, term, effect) in keys:
            with np.errstate(over="ignore"):
                estimate, low, high = np.exp([estimate, low, high])
            se = _natural(se, estimate)
            row = (component, term, effect, estimate, se, z, p, low, high, "log")
        out.append(row)
    return out


def summary(fitted: Fitted, ci: float = 0.95, exp: bool = False) -> pd.DataFrame:
    """Estimates with standard errors and Wald intervals, a row per component and term.

    Parameters
    ----------
    fitted : Fitted
    ci : float
        Coverage of the intervals.
    exp : bool
        Exponentials of coefficients that are logarithms of ratios.
    """
    fraction("ci", ci, 0.95, error=FitError)
    cov = covariance(fitted)
    z = float(special.ndtri(0.5 + ci / 2))
    rows = _coefficient_rows(fitted, cov, z) + _dispersion_rows(fitted, cov, z)
    rows += _random_rows(fitted, cov, z)
    rows += _weight_rows(fitted, cov, z)
    rows = _as_ratios(rows, ratios(fitted.spec)) if exp else rows
    rank = {effect: i for i, effect in enumerate(EFFECTS)}
    rows.sort(key=lambda row: rank[row[2]])
    return Printed(rows, columns=COLUMNS.copy())


COLUMNS = pd.Index(
    [
        "component",
        "term",
        "effect",
        "estimate",
        "se",
        "z",
        "p_value",
        "lower",
        "upper",
        "scale",
    ]
)


def _se(cov: Covariance, at: int) -> float:
    return float(np.sqrt(cov.matrix[at, at]))


def _wald(estimate: float, se: float, z: float) -> tuple[float, float, float, float]:
    """Wald statistic, p-value, lower and upper limit."""
    if not math.isfinite(se) or se == 0:
        return np.nan, np.nan, *((-np.inf, np.inf) if math.isinf(se) else (np.nan, np.nan))
    value = estimate / se
    return value, float(2 * special.ndtr(-abs(value))), estimate - z * se, estimate + z * se


def _natural(se: float, slope: float) -> float:
    """A standard error on the natural scale, by the slope of that in the scale of the link."""
    return se if math.isinf(se) else se * slope


def _coefficient_rows(fitted: Fitted, cov: Covariance, z: float) -> list[tuple]:
    spec, theta = fitted.spec, fitted.theta
    rows = [
        _linear(spec, spec.components[e.component], e.term, e.at, theta, cov, z)
        for e in location_entries(spec.layout)
    ]
    has = np.argwhere(spec.layout.alpha >= 0)
    terms = spec.layout.concomitant_terms
    for s, q in has if terms is not None else ():
        at = int(spec.layout.alpha[s, q])
        assert terms is not None
        rows.append(_linear(spec, spec.components[s], terms[q], at, theta, cov, z))
    return rows


def _linear(
    spec: MixtureSpec,
    component: Any,
    term: str,
    at: int,
    theta: np.ndarray,
    cov: Covariance,
    z: float,
) -> tuple:
    se = _se(cov, at)
    effect = spec.layout.coordinates[at].effect
    return (component, term, effect, theta[at], se, *_wald(theta[at], se, z), "identity")


def _dispersion_rows(fitted: Fitted, cov: Covariance, z: float) -> list[tuple]:
    spec, theta = fitted.spec, fitted.theta
    rows: list[tuple] = []
    for e in dispersion_entries(spec.layout):
        component = spec.components[e.component]
        if e.steps is not None:
            rows.append(_threshold(component, e, theta, cov, z))
            continue
        if e.shown is not None:
            rows.append((component, e.term, "dispersion", *_shown_row(e, theta, cov, z)))
            continue
        if e.is_coefficient:
            rows.append(_linear(spec, component, e.term, e.at, theta, cov, z))
            continue
        assert e.link is not None
        se = _se(cov, e.at)
        _, _, low, high = _wald(theta[e.at], se, z)
        with np.errstate(over="ignore"):  # at a boundary: infinity is the estimate
            ends = np.sort(e.link.inverse(np.array([low, high])))
        slope = abs(e.slopes(theta)[e.at])
        row = (float(e.natural(theta)), _natural(se, slope), np.nan, np.nan, *ends)
        effect = spec.layout.coordinates[e.at].effect
        effect = effect if effect == "smooth" else "dispersion"
        rows.append((component, e.term, effect, *row, e.link.name))
    return rows


def _random_rows(fitted: Fitted, cov: Covariance, z: float) -> list[tuple]:
    """Standard deviations and correlations of random effects, by the delta method."""
    spec, theta = fitted.spec, fitted.theta
    entries = list(random_entries(spec.layout, theta))
    if not entries:
        return []
    # Columns of the steps: the entries of theta one by one.
    steps = STEP * np.eye(len(theta))
    moved = zip(
        random_entries(spec.layout, theta + steps),
        random_entries(spec.layout, theta - steps),
        strict=True,
    )
    rows = []
    for e, (above, below) in zip(entries, moved, strict=True):
        slope = ((above.values - below.values) / (2 * STEP))[e.at]
        known = ~cov.undetermined[e.at]
        at, along = e.at[known], slope[known]
        se = float(np.sqrt(along @ cov.matrix[np.ix_(at, at)] @ along))
        # An undetermined parameter counts where one unit of it moves the value noticeably.
        if (np.abs(slope[~known]) > max(STEP, NOTICED * se)).any():
            se = np.inf
        value = float(e.values)
        row = (value, se, np.nan, np.nan, *_scaled_ends(value, se, e.scale, z))
        rows.append((spec.components[e.component], e.term, "random", *row, e.scale))
    return rows


STEP = 1e-5
# Shares of a standard error that can be seen.
NOTICED = 1e-3


def _threshold(component: Any, e: Entry, theta: np.ndarray, cov: Covariance, z: float) -> tuple:
    """A threshold, whose standard error is that of a sum."""
    slopes = e.slopes(theta)
    at, slope = list(slopes), np.array(list(slopes.values()))
    with np.errstate(invalid="ignore"):
        se = float(np.sqrt(slope @ cov.matrix[np.ix_(at, at)] @ slope))
    if np.isinf(np.diag(cov.matrix)[at]).any():
        se = np.inf
    value = float(e.natural(theta))
    return (component, e.term, "dispersion", value, se, *_wald(value, se, z), "identity")


# Slopes below are rounding errors of differences.
SMALL_SLOPE = 1e-9


def _shown_row(e: Entry, theta: np.ndarray, cov: Covariance, z: float) -> tuple:
    """Estimate, error and interval of what follows from several dispersions."""
    assert e.shown is not None
    slopes = {at: slope for at, slope in e.slopes(theta).items() if abs(slope) > SMALL_SLOPE}
    at, slope = list(slopes), np.array(list(slopes.values()))
    unknown = bool(cov.undetermined[at].any())
    part = np.nan_to_num(cov.matrix[np.ix_(at, at)])  # none of what is held
    se = np.inf if unknown else float(np.sqrt(slope @ part @ slope)) or np.nan
    value = float(e.natural(theta))
    return (value, se, np.nan, np.nan, *_scaled_ends(value, se, e.shown.scale, z), e.shown.scale)


def _scaled_ends(value: float, se: float, scale: str, z: float) -> np.ndarray:
    """Limits of an interval that is symmetric on one of `uncertainty.SCALES`."""
    forward, inverse, slope = SCALES[scale]
    with np.errstate(all="ignore"):
        at = np.float64(value)  # at a limit its slope is infinite
        _, _, low, high = _wald(float(forward(at)), se * float(slope(at)), z)
        return inverse(np.array([low, high]))


def _weight_rows(fitted: Fitted, cov: Covariance, z: float) -> list[tuple]:
    """Weights with standard errors by the delta method, and intervals of their logits."""
    spec = fitted.spec
    if spec.layout.concomitant_terms is not None or spec.k == 1:
        return []
    weight = np.exp(spec.weights.log_weights(fitted.theta, None))[:, 0]
    index = spec.layout.alpha[:, 0]
    logit, rows = get_link("logit"), []
    held = np.full(spec.k, np.nan) if spec.weights.held is None else spec.weights.held
    some = np.maximum(weight, np.finfo(float).tiny)
    share = np.where(np.isfinite(held), 0.0, some)
    share = share / share.sum()
    for s, component in enumerate(spec.components):
        if np.isfinite(held[s]):
            se = np.nan
        else:
            free = [t for t in range(spec.k) if index[t] >= 0 and spec.free[index[t]]]
            own = np.delete(share, s).sum()  # not 1 - share[s], which may be zero
            slope = np.where(np.array(free) == s, own, -share[free]) / np.delete(some, s).sum()
            at = index[free]
            undetermined = cov.undetermined[at] & (np.abs(slope) > 1e-8)
            known = ~cov.undetermined[at]
            part = cov.matrix[at[known][:, None], at[known]]
            se = (
                np.inf if undetermined.any() else float(np.sqrt(slope[known] @ part @ slope[known]))
            )
        _, _, low, high = _wald(float(special.logit(weight[s])), se, z)
        ends = logit.inverse(np.array([low, high]))
        error = _natural(se, weight[s] * (1 - weight[s]))
        row = (weight[s], error, np.nan, np.nan, *ends)
        rows.append((component, "weight", "weight", *row, "logit"))
    return rows


def estimates(spec: MixtureSpec, theta: np.ndarray) -> dict[tuple[Any, str, str], float]:
    """Natural estimates by (component, term, effect), as the summary names them."""
    n = len(theta)
    none = np.full((n, n), np.nan)
    held = Covariance(none, np.zeros(n, bool), none, np.zeros((0, n)))
    ends = Ends(np.empty(0), np.empty(0), np.empty(0), 0)
    view = Fitted(spec, theta, np.nan, "", "", 0, ends, spec.k)
    with np.errstate(divide="ignore", invalid="ignore"):  # errors that are not used
        rows = _coefficient_rows(view, held, 1.0) + _dispersion_rows(view, held, 1.0)
        rows += _random_rows(view, held, 1.0)
        rows += _weight_rows(view, held, 1.0)
    return {(r[0], r[1], r[2]): r[3] for r in rows}


def membership(fitted: Fitted, newdata: pd.DataFrame | None, *, rows: bool) -> pd.DataFrame:
    """P(component | data), units by components, or repeated by row."""
    if newdata is None:
        resp, index, units = (
            fitted.unit_terms[1],
            fitted.spec.prepared.index,
            fitted.spec.rows.units,
        )
    else:
        data, index = fitted.spec.apply(newdata, response=True), newdata.index
        problem = build_problem(fitted.spec, data)
        resp, units = unit_terms(problem, fitted.theta)[1], data.units
    columns = component_index(fitted.spec)
    if rows:
        return pd.DataFrame(resp[units.codes], index=index, columns=columns)
    return pd.DataFrame(resp.copy(), index=units.index, columns=columns)


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
