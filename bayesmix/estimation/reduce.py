"""Removing components that have become too small, as flexmix's minprior does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.estimation.ends import mean_weights
from bayesmix.estimation.maximise import Options, maximise, start_from
from bayesmix.likelihood import Problem, unit_terms
from bayesmix.model import MixtureSpec
from bayesmix.model.weights import WeightModel
from bayesmix.results.fitted import standard_problem


def reduced_start(
    spec: MixtureSpec, problem: Problem, theta: np.ndarray, min_weight: float, max_iter: int
) -> tuple[MixtureSpec, Problem, np.ndarray]:
    """Fit by EM, where every start loses its components below `min_weight`.

    Parameters
    ----------
    spec : MixtureSpec
    problem : Problem
        The same in standard coordinates.
    theta : ndarray, shape (R, D)
    min_weight : float
    max_iter : int

    Returns
    -------
    spec : MixtureSpec
    problem : Problem
        Of the components that are left in the best start.
    theta : ndarray, shape (R, D)
        Where to go on.
    """
    if problem.spec.kind.named:
        raise SpecError(
            "min_weight= removes components, but here the events name them; leave it out, or leave "
            "an event out of the model"
        )
    return _best_reduced(spec, problem, theta, min_weight, max_iter)[:3]


def _best_reduced(
    spec: MixtureSpec, problem: Problem, theta: np.ndarray, min_weight: float, max_iter: int
) -> tuple[MixtureSpec, Problem, np.ndarray, float]:
    outcome = maximise(problem, theta, Options(1e-6, max_iter))
    small = (mean_weights(problem, outcome.theta) < min_weight).any(1)
    kept = np.where(small, -np.inf, np.nan_to_num(outcome.loglik, nan=-np.inf))
    top = int(np.argmax(kept))
    assert problem.spec.standard is not None
    loglik = float(kept[top]) + problem.spec.standard.constant
    whole = (spec, problem, outcome.theta[~small], loglik)
    if problem.spec.k == 1 or not small.any():
        return whole
    # The best start with too small a component goes on without the smallest.
    candidates = np.where(small, np.nan_to_num(outcome.loglik, nan=-np.inf), -np.inf)
    worst = int(np.argmax(candidates))
    mean = mean_weights(problem, outcome.theta[worst : worst + 1])[0]
    keep = [s for s in range(problem.spec.k) if s != int(np.argmin(mean))]
    resp = unit_terms(problem, outcome.theta[worst])[1][:, keep]
    total = resp.sum(1, keepdims=True)
    resp = np.divide(resp, total, out=np.full_like(resp, 1 / len(keep)), where=total > 0)
    left = without_components(spec, keep)
    smaller = standard_problem(left, n_threads=problem.n_threads)
    reduced = _best_reduced(left, smaller, start_from(smaller, resp), min_weight, max_iter)
    return reduced if reduced[3] > whole[3] else whole


def without_components(spec: MixtureSpec, keep: list[int]) -> MixtureSpec:
    """The specification of some of the components, by position."""
    if spec.rows.allowed is not None and not spec.rows.allowed[:, keep].any(1).all():
        raise SpecError("min_weight= would remove a component that has labelled units; lower it")
    layout = spec.layout.subset(keep)
    rows = replace(
        spec.rows,
        blocks=tuple(replace(b, allowed=_some(b.allowed, keep)) for b in spec.rows.blocks),
        allowed=_some(spec.rows.allowed, keep),
        known=_some(spec.rows.known, keep),
    )
    if layout.concomitant_terms is None:
        rows = replace(rows, concomitant=None)
    whole, weights = spec.whole or spec.components, WeightModel(layout.alpha)
    return replace(spec, layout=layout, rows=rows, weights=weights, whole=whole)


def _some(allowed: np.ndarray | None, keep: list[int]) -> np.ndarray | None:
    """Columns of some components."""
    return None if allowed is None else allowed[:, keep]
