"""Residuals against each component, and normal scores of the mixture as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from bayesmix._arguments import check_known
from bayesmix.arrays.sums import shares
from bayesmix.errors import FitError
from bayesmix.families import Family
from bayesmix.families.base import tail_probabilities
from bayesmix.families.limits import ends as limited_ends
from bayesmix.families.survival.base import log_survival
from bayesmix.model import BlockRows
from bayesmix.model.random import effect_roots
from bayesmix.model.rows import entries
from bayesmix.results import censoring
from bayesmix.results.at import At, responses
from bayesmix.results.columns import column_residuals, columns_in_turn
from bayesmix.results.conditional import one_by_one
from bayesmix.results.fitted import Fitted
from bayesmix.results.means import (
    component_means,
    late_survival,
    linear_predictors,
    observed_response,
    row_log_densities,
    row_weights,
)
from bayesmix.results.tables import component_index

KINDS = ("response", "pearson", "deviance")
TIME_KINDS = ("martingale", "cox-snell")
SMALLEST = np.finfo(float).tiny


def residuals(fitted: Fitted, _newdata: None = None, *, kind: str) -> pd.DataFrame:
    """Residuals against each component.

    Parameters
    ----------
    fitted : Fitted
    kind : str
        "response": y - mean; "pearson": that over the component's standard
        deviation; "deviance": the root of twice what the log density gains where the mean
        is y, with the sign of y - mean.  Of survival times: "martingale" or "cox-snell", see
        `censoring.residual`.  With several responses, those that have such residuals.

    Raises
    ------
    FitError
        If no response has residuals of that kind.
    """
    known = (*KINDS, *TIME_KINDS, "quantile")
    check_known(f"residuals(kind={kind!r})", kind, known)
    spec = fitted.spec
    frames = {
        name: pd.DataFrame(values, index=spec.prepared.index, columns=component_index(spec))
        for at in responses(spec, spec.rows, fitted.theta)
        if at.block.survival == (kind in TIME_KINDS)
        for name, values in _by_column(at, kind)
    }
    if not frames:
        right, what = (TIME_KINDS, "a survival time") if kind in KINDS else (KINDS, "no time")
        names = ", ".join(block.name for block in spec.layout.blocks)
        raise FitError(f"residuals(kind={kind!r}): {names} is {what}; use one of {right}")
    if len(frames) == len(spec.layout.blocks) == 1:
        return next(iter(frames.values()))
    return pd.concat(frames, axis=1)


def _by_column(at: At, kind: str) -> Iterator[tuple[str, np.ndarray]]:
    """Residuals (n, S) of a response, or of each of its columns, by name."""
    if at.block.families[0].columns:
        yield from column_residuals(at, kind)
    else:
        yield at.block.name, (_residuals if kind in KINDS else _of_times)(at, kind)


def _of_times(at: At, kind: str) -> np.ndarray:
    out = np.empty(at.shape)
    for s, family, key in at.components():
        times, entry = at.data.observed[key].times, entries(at.data, key)
        assert times is not None
        times = times if entry is None else replace(times, entry=entry)
        out[:, s] = censoring.residual(family, times, at.natural(s), kind)
    return out


def _residuals(at: At, kind: str) -> np.ndarray:
    if at.data.response is not None and at.data.response.limits is not None:
        raise FitError(
            f"residuals(kind={kind!r}): {at.block.name} has limits, and response minus mean "
            "is no useful residual; use kind='quantile'"
        )
    values = observed_response(at.data)[:, None] - component_means(at)
    if kind == "response":
        return values
    if kind == "deviance":
        gain = _saturated(at) - row_log_densities(at)
        return np.sign(values) * np.sqrt(2 * np.maximum(gain, 0.0))
    spread = np.sqrt(_variances(at))
    # A point mass has no spread: its Pearson residuals are missing.
    return np.divide(values, spread, out=np.full_like(values, np.nan), where=spread > 0)


def _variances(at: At) -> np.ndarray:
    """Variances of the responses, (n, S); with random effects sigma^2 + z' S z."""
    out = np.empty(at.shape)
    if at.block.random:
        z, u = at.clusters[1], effect_roots(at.block, at.theta)
        sigma = [at.natural(s)["sigma"] for s in range(len(u))]
        return np.square(z @ u).sum(-1).T + np.square(sigma)
    for s, family, key in at.components():
        if family.variance is None:
            raise FitError(f"family {family.name!r} has no variance=; Pearson residuals need it")
        trials = at.data.observed[key].trials if family.binomial else None
        own = {} if trials is None else {"trials": np.maximum(trials, 1)}
        out[:, s] = family.variance(**at.natural(s), **own)
    return out


def _saturated(at: At) -> np.ndarray:
    """Log densities (n, S) where the mean is the response itself."""
    y, out = observed_response(at.data), np.empty(at.shape)
    if any(family.whole is not None for family in at.block.families):
        raise FitError(
            f"residuals(kind='deviance'): the rows of {at.block.name!r} have a density together; "
            "use 'pearson' or 'quantile'"
        )
    for s, family, key in at.components():
        values = at.natural(s)
        if family.locations:
            values[family.locations[0]] = y
            same = family.mean and np.allclose(family.mean(**values), y, atol=0, equal_nan=True)
            if not same:
                raise FitError(
                    f"residuals(kind='deviance'): the location of the {family.name} family is not "
                    "its mean; use 'pearson' or 'quantile'"
                )
        # Under its first link a mean is whatever a response may be, also below zero.
        free = family.with_link(family.links[0]) if family.links else family
        with np.errstate(divide="ignore"):
            etas = tuple(
                np.broadcast_to(p.link.forward(np.asarray(values[p.name], float)), y.shape)
                for p in free.parameters
            )
        out[:, s] = free.log_density(at.data.observed[key], etas)
    return out


def quantile_residuals(fitted: Fitted, rng: np.random.Generator) -> pd.Series | pd.DataFrame:
    r"""Normal scores of the responses, given the earlier ones of their unit.

    .. math:: r_i = \Phi^{-1}(u_i), \qquad u_i = F(y_i-) + v_i \, P(y_i), \quad v_i \sim U(0, 1)

    with F the distribution of the mixture: the components' distributions by their weights,
    and by the densities of the unit's rows and responses before this one.  Under the model
    they are independent standard normal.  Where a time is known within bounds only, u is
    drawn between these.

    Parameters
    ----------
    fitted : Fitted
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If a family has no distribution function, or the model is of competing events.

    References
    ----------
    Dunn and Smyth (1996), Journal of Computational and Graphical Statistics 5, 236-244.
    Rosenblatt (1952), Annals of Mathematical Statistics 23, 470-472: rows of one unit.
    """
    spec, theta, units = fitted.spec, fitted.theta, fitted.spec.rows.units
    if spec.kind.named:
        msg = "residuals(kind='quantile') is not available for competing events; use 'cox-snell'"
        raise FitError(msg)
    every = responses(spec, spec.rows, theta)
    with np.errstate(divide="ignore"):
        log_share = np.log(row_weights(spec, theta, spec.rows))
    if spec.rows.allowed is not None:
        log_share = np.where(spec.rows.allowed[units.codes], log_share, -np.inf)
    entered = [late_survival(at) for at in every]
    log_share = log_share + units.sums(np.sum(entered, axis=0))[units.codes]
    # Of a time its density given that the delayed entry is reached.
    densities = [row_log_densities(at) - late for at, late in zip(every, entered, strict=True)]
    earlier = _earlier(np.sum(densities, axis=0), every, units.codes)
    out = {}
    pairs = zip(every, densities, strict=True)
    for name, density, cells, there in (step for at, own in pairs for step in _in_turn(at, own)):
        share = shares(log_share + earlier)
        below, at, above, beyond = np.einsum("ns,san->an", share, cells)
        v = rng.random(len(below))
        lower, upper = below + v * (at - below), above + (1 - v) * (beyond - above)
        near = lower < upper
        tail = ndtri(np.maximum(np.where(near, lower, upper), SMALLEST))
        score = np.where(near, tail, -tail)
        score = score if there is None else np.where(there, score, np.nan)
        out[name] = pd.Series(score, index=spec.prepared.index)
        log_share = log_share + density  # the next response of a row is given this one
    if len(out) > 1:
        return pd.DataFrame(out)
    return next(iter(out.values())).rename(every[0].block.name)


def _in_turn(
    at: At, density: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]]:
    """A response, or its columns one by one: name, log densities (n, S), ends (S, 4, n), where."""
    if at.block.families[0].columns:
        yield from columns_in_turn(at)
        return
    ends = np.array([_ends(at, s) for s in range(len(at.block.families))])
    times = at.data.observed[at.block.keys[0]].times
    yield at.block.name, density, ends, at.data.there if times is None else times.known


def _earlier(density: np.ndarray, every: list[At], codes: np.ndarray) -> np.ndarray:
    """Sums (n, S) of the log densities of the earlier rows of each row's unit.

    The rows of a history are in the order of their entries, wherever they stand.
    """
    out = np.zeros_like(density)
    begins = [entries(at.data, key) for at in every for key in at.block.keys[:1]]
    order = np.lexsort((*(begin for begin in begins if begin is not None), codes))
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    counts = np.diff(np.append(first, len(codes)))
    for step in range(1, int(counts.max())):
        rows = order[first[counts > step] + step]
        before = order[first[counts > step] + step - 1]
        out[rows] = out[before] + density[before]
    return out


def _ends(at: At, s: int) -> np.ndarray:
    """P(Y < y), P(Y <= y), P(Y > y) and P(Y >= y) in component s, (4, n).

    Of a time known within bounds: beyond which it lies, and up to which.
    """
    family, observed = at.block.families[s], at.data.observed[at.block.keys[s]]
    if at.block.random:
        centre, sd = one_by_one(at, linear_predictors(at))
        z = (observed.y - centre[:, s]) / sd[:, s]
        return np.array([ndtr(z), ndtr(z), ndtr(-z), ndtr(-z)])
    values = at.natural(s)
    if observed.times is not None:
        return _ends_of_times(family, at.data, at.block.keys[s], values)
    if observed.limits is not None:
        return limited_ends(family, observed, values)
    if family.tails is None and family.log_tails is None:
        raise FitError(
            f"residuals(kind='quantile') needs the distribution function of the {family.name} "
            "family; give it as tails=, or use kind='pearson'"
        )
    if observed.trials is not None:
        values["trials"] = observed.trials
    upto, above = tail_probabilities(family, observed.y, **values)
    below, beyond = tail_probabilities(family, np.nextafter(observed.y, -np.inf), **values)
    return np.array([np.broadcast_to(x, observed.y.shape) for x in (below, upto, above, beyond)])


def _ends_of_times(
    family: Family, data: BlockRows, key: str, values: dict[str, np.ndarray]
) -> np.ndarray:
    times = data.observed[key].times
    assert times is not None
    censoring.refuse_background(times, "residuals(kind='quantile')")
    entry = entries(data, key)
    late = times.entry if entry is None else entry
    reached = log_survival(family, late, values)
    log_first = log_survival(family, times.lower, values) - reached
    log_last = log_survival(family, times.upper, values) - reached
    # Beyond a right-censored time lies everything, the mass that never has the event too.
    log_last = np.where(np.isinf(times.upper), -np.inf, log_last)
    first, last = np.exp(log_first), np.exp(log_last)
    return np.array([-np.expm1(log_first), -np.expm1(log_last), last, first])
