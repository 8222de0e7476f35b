"""Covariance of the estimates from the exact observed information."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesmix.em.newton import LARGE_STEP
from bayesmix.errors import FitError
from bayesmix.likelihood import information, unit_scores
from bayesmix.result.fitted import Fitted
from bayesmix.spec import MixtureSpec

__all__ = ["Covariance", "covariance", "covariance_frame"]

FLAT = 1e-9


class Covariance(NamedTuple):
    """`matrix` (D, D) on unconstrained scales and `undetermined` (D,).

    Held parameters have variance NaN; those at infinity, or not determined by
    the data, variance infinity.
    """

    matrix: np.ndarray
    undetermined: np.ndarray


def covariance(fitted: Fitted, kind: str = "observed") -> Covariance:
    """Covariance matrix of theta.

    Parameters
    ----------
    fitted : Fitted
    kind : str
        "observed": inverse of the exact observed information J of the
        observed-data likelihood.  "robust": J^-1 V J^-1 with V the sum over
        units of w_u^2 s_u s_u', for sampling weights and misspecification
        (White 1982).

    Raises
    ------
    FitError
        If the kind is unknown.
    """
    if kind not in ("observed", "robust"):
        msg = f"covariance(kind={kind!r}) is unknown; use 'observed' or 'robust'"
        raise FitError(msg)
    info = information(fitted.problem, fitted.theta[None])
    free = fitted.spec.free
    matrix, score = info.matrix[0], info.score[0]
    undetermined = _undetermined(matrix, score, fitted.theta, free)
    if fitted.status == "degenerate":
        undetermined |= ~_regular(fitted)
    use = np.flatnonzero(free & ~undetermined)
    out = np.full(matrix.shape, np.nan)
    at = np.ix_(use, use)
    inverse = _inverse(matrix[at])
    if kind == "robust":
        scores = unit_scores(fitted.problem, fitted.theta)[:, use]
        weight = fitted.problem.weight
        scores = scores if weight is None else scores * weight[:, None]
        inverse = inverse @ (scores.T @ scores) @ inverse
    out[at] = inverse
    out[undetermined, undetermined] = np.inf
    return Covariance(out, undetermined)


def _undetermined(
    matrix: np.ndarray, score: np.ndarray, theta: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Entries that still move at the end, or along which the likelihood is flat."""
    out = np.zeros(len(theta), bool)
    use = np.flatnonzero(free)
    while len(use):
        part = matrix[np.ix_(use, use)]
        diagonal = np.diag(part)
        scale = np.sqrt(np.where(diagonal > 1e-12, diagonal, 1.0))
        values, vectors = np.linalg.eigh(part / np.outer(scale, scale))
        bad = diagonal <= 1e-12
        flat = values < FLAT
        bad |= (np.abs(vectors[:, flat]) > 0.1).any(1)
        if not flat.any():
            step = np.linalg.solve(part, score[use])
            gain = float(step @ score[use])
            moving = np.abs(step) / (1 + np.abs(theta[use])) > LARGE_STEP
            bad |= moving & (gain < 1e-4)
        if not bad.any():
            return out
        out[use[bad]] = True
        use = use[~bad]
    return out


def _regular(fitted: Fitted) -> np.ndarray:
    """Entries of theta that no vanished or collapsed component uses."""
    layout = fitted.spec.layout
    bad = set(np.flatnonzero(fitted.mixing < 1e-9).tolist())
    for position, c in enumerate(layout.coordinates):
        if c.effect == "dispersion" and fitted.theta[position] < -15:
            bad |= set(c.components)
    return np.array([not (set(c.components) & bad) for c in layout.coordinates])


def _inverse(matrix: np.ndarray) -> np.ndarray:
    if not len(matrix):
        return matrix
    scale = np.sqrt(np.abs(np.diag(matrix)))
    values, vectors = np.linalg.eigh(matrix / np.outer(scale, scale))
    if values[0] <= 0:
        return np.full(matrix.shape, np.nan)
    return (vectors / values) @ vectors.T / np.outer(scale, scale)


def covariance_frame(spec: MixtureSpec, cov: Covariance) -> pd.DataFrame:
    """The covariance of the free parameters with their names on both sides."""
    names = []
    for c in spec.layout.coordinates:
        everyone = len(c.components) == spec.k > 1
        owners = [spec.components[s] for s in c.components]
        owner = "all" if everyone else owners[0] if len(owners) == 1 else tuple(owners)
        names.append((owner, c.term, c.effect))
    index = pd.MultiIndex.from_tuples(names, names=["component", "term", "effect"])
    frame = pd.DataFrame(cov.matrix, index=index, columns=index)
    free = spec.free
    return frame.loc[free, free]
