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
    ends: list[tuple[float, MixtureSpec, Problem, np.ndarray]] = []
    while True:
        outcome = maximise(problem, theta, Options(1e-6, max_iter))
        small = (mean_weights(problem, outcome.theta) < min_weight).any(1)
        value = np.nan_to_num(outcome.loglik, nan=-np.inf)
        loglik = float(np.where(small, -np.inf, value).max()) + problem.standard.constant
        ends.append((loglik, spec, problem, outcome.theta[~small]))
        if problem.spec.k == 1 or not small.any():
            break
        # The best start with too small a component goes on without the smallest.
        worst = int(np.argmax(np.where(small, value, -np.inf)))
        spec, problem, theta = _without_smallest(spec, problem, outcome.theta[worst])
    return max(ends, key=lambda end: end[0])[1:]


def _without_smallest(
    spec: MixtureSpec, problem: Problem, theta: np.ndarray
) -> tuple[MixtureSpec, Problem, np.ndarray]:
    """A model without the smallest component at theta (D,), and where to go on, (1, D)."""
    smallest = int(np.argmin(mean_weights(problem, theta[None])[0]))
    keep = [s for s in range(spec.k) if s != smallest]
    resp = unit_terms(problem, theta)[1][:, keep]
    total = resp.sum(1, keepdims=True)
    resp = np.divide(resp, total, out=np.full_like(resp, 1 / len(keep)), where=total > 0)
    left = without_components(spec, keep)
    smaller = standard_problem(left, n_threads=problem.n_threads)
    return left, smaller, start_from(smaller, resp)


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
