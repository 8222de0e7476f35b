"""Classification EM and stochastic EM: runs with hard labels of the units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayesmix.estimation.em import Runs
from bayesmix.estimation.ends import collapse_test, name_ends
from bayesmix.estimation.maximise import Kept, Options, Progress
from bayesmix.estimation.order import unit_order
from bayesmix.estimation.starts import harden
from bayesmix.estimation.step import m_step
from bayesmix.likelihood import Problem, em_pass, log_likelihood
from bayesmix.likelihood.passes import Responsibilities


def classification(
    problem: Problem,
    theta: np.ndarray,
    options: Options,
    rng: np.random.Generator | None,
    progress: Progress | None = None,
) -> Runs:
    """Classification EM, or stochastic EM where a generator is given.

    Hard labels take the most probable component (Celeux and Govaert 1992); drawn
    ones a random component, and the best iteration is kept (Celeux and Diebolt
    1985).  The log-likelihood reported is that of the mixture.
    """
    runs = Runs.begin(theta)
    collapsed = collapse_test(problem)
    runs.loglik[:] = log_likelihood(problem, theta)
    current = theta.copy()
    quiet = np.zeros(len(theta), int)
    patience = 1 if rng is None else 50
    order = np.empty(0, int) if rng is None else unit_order(problem)
    with Kept(options) as stop:
        for _ in range(options.max_iter):
            active = runs.running()
            if not len(active):
                break
            p = em_pass(problem, current[active], responsibilities=_labels(rng, len(active), order))
            with np.errstate(all="ignore"):
                current[active] = m_step(problem, current[active], p)
                loglik = log_likelihood(problem, current[active])
            runs.iterations[active] += 1
            change = np.abs(loglik - runs.loglik[active])
            still = change <= options.tol * (np.abs(loglik) + 0.1)
            better = loglik > runs.loglik[active] if rng is not None else np.isfinite(loglik)
            runs.theta[active[better]] = current[active[better]]
            runs.loglik[active[better]] = loglik[better]
            runs.trace.append(runs.loglik.copy())
            quiet[active] = np.where(still if rng is None else ~better, quiet[active] + 1, 0)
            runs.status[active[quiet[active] >= patience]] = "converged"
            runs.status[active[collapsed(current[active]) | ~np.isfinite(loglik)]] = "degenerate"
            if progress is not None:
                progress("CEM" if rng is None else "SEM", len(active), float(runs.loglik.max()))
    runs.status[runs.running()] = "max_iter"
    name_ends(problem, runs, collapsed)
    return replace(runs, interrupted=stop.pressed)


def _labels(rng: np.random.Generator | None, n_starts: int, order: np.ndarray) -> Responsibilities:
    """Labels of the units for one step: the most probable ones, or drawn ones."""
    if rng is None:
        return lambda _, own: harden(own())
    uniform = np.empty((n_starts, 1, len(order)))
    uniform[..., order] = rng.random(uniform.shape)
    return lambda units, own: _drawn(own(), uniform[..., units])


def _drawn(resp: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """One component per unit by its responsibilities, from uniform numbers (R, 1, units)."""
    above = resp.cumsum(1) >= uniform * resp.sum(1, keepdims=True)
    return harden(above.astype(float))
