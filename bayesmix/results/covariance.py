"""Covariance of the estimates from the exact observed information."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesmix import arrays as xp
from bayesmix.errors import DataError, FitError
from bayesmix.formula.frames import Units
from bayesmix.likelihood.blocks import by_block, with_column
from bayesmix.likelihood.engine import information, threads
from bayesmix.likelihood.information import unit_scores
from bayesmix.likelihood.problem import Problem
from bayesmix.model import MixtureSpec
from bayesmix.model.params import table_terms
from bayesmix.priors.defaults import weighted_sd
from bayesmix.results.fitted import Fitted

FLAT = 1e-6
# Linear predictors of this size mean probabilities of 0 or 1, or rates of 0 or infinity; there a
# direction that involves thresholds, a curve in theta along which steps become ever shorter, is
# flat already where each unit has this information of it, or all have the other.
FAR = 8.0
BY_UNIT, BY_ALL = 1e-6, 1e-2
# Below it extra zeros have a limit, no share.
NONE_OF_THEM = 1e-6


class Covariance(NamedTuple):
    """`matrix` (D, D) on unconstrained scales, and which parameters are `undetermined` (D,).

    Held parameters have variance NaN; those at infinity, or not determined by
    the data, variance infinity.

    What depends on none of the m directions `flat` (m, D) has a variance all the same:
    `root` (D, f) is a square root of the covariance across them, whatever parameters they
    are made of (the rates of two groups may be known where those of a third, the reference,
    are at infinity).  A row of `flat` moves its linear predictors by about one.  NaN in
    `root` where the point is no maximum.
    """

    matrix: np.ndarray
    undetermined: np.ndarray
    root: np.ndarray
    flat: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> Covariance:
        """That of parameters which are all determined."""
        scale = np.sqrt(np.where(np.diag(matrix) > 0, np.diag(matrix), 1.0))
        root = scale[:, None] * _root(matrix / np.outer(scale, scale))
        return cls(matrix, np.zeros(len(matrix), bool), root, np.zeros((0, len(matrix))))


def covariance(fitted: Fitted, kind: str = "observed", cluster: Any = None) -> Covariance:
    """Covariance matrix of theta.

    Parameters
    ----------
    fitted : Fitted
    kind : str
        "observed": inverse of the exact observed information J of the
        observed-data likelihood.  "robust": J^-1 V J^-1 with V the sum over
        units of w_u^2 s_u s_u', for sampling weights and misspecification
        (White 1982).
    cluster : str, Series or array, optional
        Of "robust": a column of the data, or values by row if these are in memory.  Scores are
        summed over the units of a cluster first, and V is multiplied by G / (G - 1) for G
        clusters.

    Raises
    ------
    FitError, DataError
        If the kind is unknown, or the clusters do not go with the data.
    """
    if kind not in ("observed", "robust"):
        msg = f"covariance(kind={kind!r}) is unknown; use 'observed' or 'robust'"
        raise FitError(msg)
    if cluster is not None and kind != "robust":
        msg = f"cluster= goes with kind='robust', not with kind={kind!r}"
        raise FitError(msg)
    if cluster is not None:
        return _covariance(fitted, kind, cluster)
    if kind not in fitted.covariances:
        fitted.covariances[kind] = _covariance(fitted, kind)
    return fitted.covariances[kind]


def _labels(table: pd.DataFrame, units: Units, cluster: Any) -> np.ndarray:
    """Every unit's cluster, (U,)."""
    name = cluster if isinstance(cluster, str) else "cluster"
    if isinstance(cluster, str):
        if cluster not in table.columns:
            msg = (
                f"cluster={cluster!r} is not a column of the rows in use; give its values by row, "
                f"as in cluster=data[{cluster!r}]"
            )
            raise DataError(msg)
        cluster = table[cluster]
    if isinstance(cluster, pd.Series) and table.index.isin(cluster.index).all():
        cluster = cluster if cluster.index.equals(table.index) else cluster.reindex(table.index)
    labels = np.asarray(cluster)
    codes, _ = pd.factorize(labels)
    if len(codes) != len(table):
        msg = f"cluster= has {len(codes)} values for {len(table)} rows; give one for each row"
        raise DataError(msg)
    if (codes < 0).any():
        msg = f"cluster={name!r} is missing in {int((codes < 0).sum())} rows; fill it in"
        raise DataError(msg)
    if (codes != codes[units.first][units.codes]).any():
        msg = f"cluster={name!r} differs within a group; a group lies in one cluster"
        raise DataError(msg)
    return labels[units.first]


def _covariance(fitted: Fitted, kind: str, cluster: Any = None) -> Covariance:
    """In standard coordinates, where units mean nothing, and from there to the user's."""
    problem, theta = fitted.standard, fitted.standard_theta
    is_free = fitted.spec.free
    free = is_free.nonzero()[0]
    at = free[:, None], free
    unit = left_units(problem)[free]
    with np.errstate(all="ignore"):  # where a scale has collapsed nothing is finite
        matrix = information(problem, theta[None]).matrix[0][at]
    bent = any(block.thresholds is not None for block in fitted.spec.layout.blocks)
    little = min(BY_UNIT * fitted.spec.n_units, BY_ALL) if bent else 0.0
    half, flat = _inverse_root(matrix * np.outer(unit, unit), theta[free] / unit, little)
    if kind == "robust":
        scores = partial(_scores, theta, free, unit)
        inverse = half @ half.T
        half = _root(inverse @ _products(fitted, scores, cluster) @ inverse)
    slope = problem.standard.to_user.jacobian(theta)[:, free] * unit
    undetermined = np.zeros(len(theta), bool)
    undetermined[free] = _reached(slope[free], flat)
    undetermined |= shared_zeros(fitted)
    root, ways = slope @ half, flat.T @ slope.T
    if fitted.status == "degenerate":
        lost = is_free & ~_regular(fitted)
        undetermined |= lost
        root[lost] = 0.0
        ways = np.concatenate([ways, np.diag(np.linalg.norm(slope, axis=1))[lost]])
    out = np.full(is_free.shape * 2, np.nan)
    out[at] = (root @ root.T)[at]
    out[undetermined], out[:, undetermined] = np.nan, np.nan
    out[undetermined, undetermined] = np.inf
    return Covariance(out, undetermined, root, ways)


def shared_zeros(fitted: Fitted) -> np.ndarray:
    """Which parameters (D,) the data cannot tell apart where every component has extra zeros.

    Of one response without groups, labels, concomitants or priors the likelihood depends only on
    all pi_s (1 - psi_s): whatever the start ended at, neither weights nor psi are determined.
    """
    spec, problem = fitted.spec, fitted.standard
    coordinates, none = spec.layout.coordinates, np.zeros(len(fitted.theta), bool)
    given = (problem.first, problem.allowed, problem.concomitant, problem.penalty, problem.stream)
    if len(problem.blocks) > 1 or spec.held or any(x is not None for x in given):
        return none
    families = problem.blocks[0].layout.families
    if not all(f.name.startswith(("zero_inflated_", "hurdle_")) for f in families):
        return none
    psi = np.array([c.effect == "dispersion" and c.variable == "psi" for c in coordinates])
    owners = [coordinates[j].components for j in np.flatnonzero(psi)]
    if spec.k < 2 or sorted(owners) != [(s,) for s in range(spec.k)]:
        return none
    shares = xp.expit(fitted.theta[psi])[np.argsort([s for (s,) in owners])]
    weight = np.array([c.effect == "weight" for c in coordinates])
    return (psi | weight) if fitted.mixing @ shares > NONE_OF_THEM else none


def _products(fitted: Fitted, scores: Callable[[Problem], np.ndarray], cluster: Any) -> np.ndarray:
    """The sum of the products of the units' scores, or of those of clusters, (f, f)."""
    problem, spec = fitted.standard, fitted.spec
    if cluster is None:
        squares = by_block(problem, partial(_squares, scores), threads(problem))
        return np.add.reduce(list(squares))
    if problem.stream is None:
        parts = [_summed(scores(problem), _labels(spec.prepared.table, spec.rows.units, cluster))]
    elif isinstance(cluster, str):
        function = partial(_block_sums, scores, cluster)
        parts = list(with_column(problem, cluster, function, threads(problem)))
    else:
        raise DataError("cluster= of data in blocks is a column; give its name")
    labels, sums = (np.concatenate(each) for each in zip(*parts, strict=True))
    _, total = _summed(sums, labels)
    if (count := len(total)) < 2:
        msg = "cluster= has one value; a clustered variance needs two clusters or more"
        raise DataError(msg)
    return total.T @ total * (count / (count - 1))


def _squares(scores: Callable[[Problem], np.ndarray], block: Problem) -> np.ndarray:
    each = scores(block)
    return each.T @ each


def _scores(theta: np.ndarray, free: np.ndarray, unit: np.ndarray, block: Problem) -> np.ndarray:
    """Weighted scores of a block's units, (U, f)."""
    scores = unit_scores(block, theta)[:, free] * unit
    return scores if block.weight is None else scores * block.weight[:, None]


def _block_sums(
    scores: Callable[[Problem], np.ndarray], cluster: str, block: Problem, frame: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    return _summed(scores(block), _labels(frame, block.spec.rows.units, cluster))


def _summed(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different labels (g,), and sums of the values (n, f) over each, (g, f)."""
    codes, levels = pd.factorize(labels)
    total = np.zeros((len(levels), values.shape[1]))
    np.add.at(total, codes, values)
    return np.asarray(levels), total


def left_units(problem: Problem) -> np.ndarray:
    """The units that standard coordinates still have, (D,); one for nearly all.

    Where a family's unit is unknown, or families disagree about it, responses stay as they are:
    a location with the identity link has their standard deviation for its unit.
    """
    spec = problem.spec
    out = np.ones(spec.layout.size)
    for arrays, units in zip(problem.blocks, problem.standard.units, strict=True):
        if not units.are_own or arrays.layout.survival:
            continue
        for group in arrays.groups:
            if not group.slots or group.family.parameters[0].link.name != "identity":
                continue
            y, weight = arrays.observed[group.key].y, spec.rows.sample.weight
            weight = None if weight is None else weight[spec.rows.sample.units.codes]
            if weight is not None and problem.order is not None:
                weight = weight[problem.order]
            if (there := arrays.observed[group.key].there) is not None:
                y, weight = y[there], None if weight is None else weight[there]
            columns = y.T if y.ndim > 1 else [y] * len(group.locations)
            for slot, column in zip(group.locations, columns, strict=True):
                out[slot.index[slot.index >= 0]] = _spread(column, weight) or 1.0
    return out


def _spread(y: np.ndarray, weight: np.ndarray | None) -> float:
    """The standard deviation of what is there of a column."""
    there = ~np.isnan(y)
    return float(weighted_sd(y[there], None if weight is None else weight[there]))


def _root(matrix: np.ndarray) -> np.ndarray:
    """A square root (f, f) of a covariance; NaN where there is none."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _reached(slope: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Which of the user's parameters (f,) move along directions (f, m) of standard ones."""
    if not flat.shape[1]:
        return np.zeros(len(slope), bool)
    size = np.linalg.norm(slope, axis=1, keepdims=True)
    return (np.abs(slope @ flat) > 1e-3 * np.where(size > 0, size, 1.0)).any(1)


def _inverse_root(
    matrix: np.ndarray, theta: np.ndarray, little: float
) -> tuple[np.ndarray, np.ndarray]:
    """A square root of the inverse where the data determine it, and the other directions (f, m).

    A direction is flat where its standard error exceeds a thousand units of the
    linear predictor, or, where theta has gone far along it, where the information is `little`:
    the parameters there are at infinity, or not identified.
    """
    none = np.zeros((len(matrix), 0))
    if not len(matrix) or not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan), none
    values, vectors = np.linalg.eigh(matrix)
    far = np.abs(theta @ vectors) > FAR
    flat = np.abs(values) < np.where(far, max(FLAT, little), FLAT)
    known, along = values[~flat], vectors[:, ~flat]
    if (known < 0).any():
        return np.full(matrix.shape, np.nan), vectors[:, flat]
    return along / np.sqrt(known), vectors[:, flat]


def _regular(fitted: Fitted) -> np.ndarray:
    """Entries of theta that no vanished or collapsed component uses."""
    layout = fitted.spec.layout
    bad = set(np.flatnonzero(fitted.mixing < 1e-9).tolist())
    for position, c in enumerate(layout.coordinates):
        if c.effect == "dispersion" and fitted.theta[position] < -15:
            bad |= set(c.components)
    return np.array([not (set(c.components) & bad) for c in layout.coordinates])


def covariance_frame(spec: MixtureSpec, cov: Covariance) -> pd.DataFrame:
    """The covariance of the free parameters with their names on both sides."""
    names = []
    terms = table_terms(spec.layout)
    for at, c in enumerate(spec.layout.coordinates):
        everyone = len(c.components) == spec.k > 1
        owners = [spec.components[s] for s in c.components]
        owner = "all" if everyone else owners[0] if len(owners) == 1 else tuple(owners)
        names.append((owner, terms.get(at, c.term), c.effect))
    index = pd.MultiIndex.from_tuples(names, names=["component", "term", "effect"])
    frame = pd.DataFrame(cov.matrix, index=index, columns=index)
    free = spec.free
    return frame.loc[free, free]
