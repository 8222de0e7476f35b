"""Covariance of the estimates from the exact observed information."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesmix.errors import DataError, FitError
from bayesmix.likelihood.information import information, unit_scores
from bayesmix.likelihood.problem import Group, Problem
from bayesmix.model import MixtureSpec
from bayesmix.model.params import table_terms
from bayesmix.results.fitted import Fitted

__all__ = ["Covariance", "covariance", "covariance_frame", "predictor_scales"]

FLAT = 1e-6


class Covariance(NamedTuple):
    """`matrix` (D, D) on unconstrained scales and `undetermined` (D,).

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
        Of "robust": a column of the data, or values by row.  Scores are summed over the
        units of a cluster first, and V is multiplied by G / (G - 1) for G clusters.

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
        return _covariance(fitted, kind, _cluster_codes(fitted.spec, cluster))
    if kind not in fitted.covariances:
        fitted.covariances[kind] = _covariance(fitted, kind)
    return fitted.covariances[kind]


def _cluster_codes(spec: MixtureSpec, cluster: Any) -> np.ndarray:
    """The number of every unit's cluster, (U,)."""
    table, units = spec.prepared.table, spec.rows.units
    name = cluster if isinstance(cluster, str) else "cluster"
    if isinstance(cluster, str):
        if cluster not in table.columns:
            msg = (
                f"cluster={cluster!r} is no column of the rows in use; give its values by row, as "
                f"in cluster=data[{cluster!r}]"
            )
            raise DataError(msg)
        cluster = table[cluster]
    if isinstance(cluster, pd.Series) and table.index.isin(cluster.index).all():
        cluster = cluster if cluster.index.equals(table.index) else cluster.reindex(table.index)
    codes, levels = pd.factorize(np.asarray(cluster))
    if len(codes) != len(table):
        msg = f"cluster= has {len(codes)} values for {len(table)} rows; give one for each row"
        raise DataError(msg)
    if (codes < 0).any():
        msg = f"cluster={name!r} is missing in {int((codes < 0).sum())} rows; fill it in"
        raise DataError(msg)
    if (codes != codes[units.first][units.codes]).any():
        msg = f"cluster={name!r} differs within a group; a group lies in one cluster"
        raise DataError(msg)
    if len(levels) < 2:
        msg = f"cluster={name!r} has one value; a clustered variance needs two clusters or more"
        raise DataError(msg)
    return codes[units.first]


def _covariance(fitted: Fitted, kind: str, clusters: np.ndarray | None = None) -> Covariance:
    is_free = fitted.spec.free
    free = np.flatnonzero(is_free)
    at = np.ix_(free, free)
    matrix = information(fitted.problem, fitted.theta[None]).matrix[0][at]
    scale = predictor_scales(fitted.problem)[free]
    scales = np.outer(scale, scale)
    inverse, along = _inverse(matrix * scales)
    inverse *= scales
    if kind == "robust":
        scores = unit_scores(fitted.problem, fitted.theta)[:, free]
        weight = fitted.problem.weight
        scores = scores if weight is None else scores * weight[:, None]
        if clusters is not None:
            count = int(clusters.max()) + 1
            summed = np.zeros((count, scores.shape[1]))
            np.add.at(summed, clusters, scores)
            scores = summed * np.sqrt(count / (count - 1))
        inverse = inverse @ (scores.T @ scores) @ inverse
    out = np.full(is_free.shape * 2, np.nan)
    undetermined = np.zeros(len(out), bool)
    undetermined[free] = (np.abs(along) > 1e-3).any(1)
    root, flat = np.zeros((len(out), len(free))), np.zeros((len(out), along.shape[1]))
    root[free], flat[free] = _square_root(inverse), scale[:, None] * along
    if fitted.status == "degenerate":
        lost = is_free & ~_regular(fitted)
        undetermined |= lost
        root[lost] = 0.0
        flat = np.column_stack([flat, np.diag(predictor_scales(fitted.problem))[:, lost]])
    out[at] = inverse
    out[undetermined], out[:, undetermined] = np.nan, np.nan
    out[undetermined, undetermined] = np.inf
    return Covariance(out, undetermined, root, flat.T)


def predictor_scales(problem: Problem) -> np.ndarray:
    """The change of every parameter that moves its linear predictor by about one, (D,).

    One over a column's root mean square; where the link is the identity, times
    the response's standard deviation.
    """
    out = np.ones(problem.spec.layout.size)
    counted = _counted_rows(problem)
    for arrays in problem.blocks:
        rms = np.sqrt(np.mean(np.square(arrays.matrix[counted]), axis=0))
        for group in arrays.groups:
            spread = _spread(group, arrays.observed[group.key].y[counted])
            for slot in group.slots:
                unit = spread if slot is group.slots[0] else 1.0
                if not slot.constant:
                    for has, at in zip(slot.has, slot.at, strict=True):
                        out[at] = unit / np.maximum(rms[has], 1e-300)
    if problem.concomitant is not None:
        rms = np.sqrt(np.mean(np.square(problem.concomitant), axis=0))
        has = problem.spec.layout.alpha >= 0
        scale = np.broadcast_to(1 / np.maximum(rms, 1e-300), has.shape)
        out[problem.spec.layout.alpha[has]] = scale[has]
    return out


def _spread(group: Group, y: np.ndarray) -> float:
    """The unit of the location's linear predictor; locations of times are on log scales."""
    identity = group.slots and group.family.parameters[0].link.name == "identity"
    return float(np.std(y)) or 1.0 if identity and not group.family.is_survival else 1.0


def _counted_rows(problem: Problem) -> slice | np.ndarray:
    """Rows whose unit has a positive case weight."""
    if problem.weight is None:
        return slice(None)
    sizes = 1 if problem.first is None else np.diff(np.append(problem.first, problem.n_rows))
    return np.repeat(problem.weight > 0, sizes)


def _inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse on the directions that the data determine, and the others as columns.

    A direction is flat where its standard error exceeds a thousand units of the
    linear predictor: the parameters there are at infinity, or not identified.
    """
    if not len(matrix) or not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan), np.zeros((len(matrix), 0))
    values, vectors = np.linalg.eigh(matrix)
    flat = np.abs(values) < FLAT
    known, along = values[~flat], vectors[:, ~flat]
    if (known < 0).any():
        return np.full(matrix.shape, np.nan), vectors[:, flat]
    return (along / known) @ along.T, vectors[:, flat]


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """L with L L' = matrix, from the correlations: units of measurement lose no digits."""
    if not np.isfinite(matrix).all():
        return np.full(matrix.shape, np.nan)
    scale = np.sqrt(np.diag(matrix))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(safe, safe))
    return scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0))


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
