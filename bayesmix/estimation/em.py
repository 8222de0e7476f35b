"""The one EM loop: many starts together, never downhill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.estimation.step import m_step
from bayesmix.likelihood import Pass, Problem, em_pass
from bayesmix.likelihood.engine import engine
from bayesmix.model.weights import WeightModel

if TYPE_CHECKING:
    from bayesmix.kernels import Run

HALVINGS = 12
# Log of the shape at which a coefficient of variation of 1e-6 counts as zero.
HIGHEST = 2 * np.log(1e6)
# Fisher's z of a correlation at which a column's own part is 3e-7 of it: rounding errors.
STEEPEST = float(np.arccosh(3e6))
# Statuses by the kernel's numbers.
ENDS = np.array(["running", "resting", "degenerate", "converged", "boundary"], dtype="U12")


@dataclass
class Runs:
    """The state of R starts, on their way or at their ends.

    Parameters
    ----------
    theta : ndarray, shape (R, D)
    loglik : ndarray, shape (R,)
    iterations : ndarray of int, shape (R,)
        Passes over the rows.
    status : ndarray of str, shape (R,)
        "running", or why a start stopped.
    trace : list of ndarray
        Log-likelihoods (R,) after each iteration.
    interrupted : bool
        Whether Ctrl-C ended them.
    """

    theta: np.ndarray
    loglik: np.ndarray
    iterations: np.ndarray
    status: np.ndarray
    trace: list[np.ndarray] = field(default_factory=list)
    interrupted: bool = False

    @classmethod
    def begin(cls, theta: np.ndarray, status: str = "running") -> Runs:
        """Runs before their first step."""
        n = len(theta)
        loglik, status_of_each = np.full(n, -np.inf), np.full(n, status, dtype="U12")
        return cls(theta.copy(), loglik, np.zeros(n, int), status_of_each)

    def running(self) -> np.ndarray:
        """Positions of the starts that have not stopped."""
        return (self.status == "running").nonzero()[0]

    def take(self, rows: np.ndarray) -> Runs:
        """Some of the starts."""
        trace = [values[rows] for values in self.trace]
        starts = self.theta[rows], self.loglik[rows], self.iterations[rows], self.status[rows]
        return Runs(*starts, trace, self.interrupted)

    def with_(self, other: Runs) -> Runs:
        """The starts of both; a trace that is shorter stays at its end."""
        length = max(len(self.trace), len(other.trace))
        traces = [r.trace + [r.loglik] * (length - len(r.trace)) for r in (self, other)]
        return Runs(
            np.vstack([self.theta, other.theta]),
            np.concatenate([self.loglik, other.loglik]),
            np.concatenate([self.iterations, other.iterations]),
            np.concatenate([self.status, other.status]),
            [np.concatenate(pair) for pair in zip(*traces, strict=True)],
            self.interrupted or other.interrupted,
        )


@dataclass(frozen=True)
class Floors:
    """Which theta (R, D) have a collapsed scale or a lost component.

    Parameters
    ----------
    where, low, high : ndarray, shape (m,)
        Entries of theta and the values outside which they have collapsed: a growing logarithm of
        a gamma shape is a collapse too.
    weights : WeightModel or None
        Constant weights: EM cannot bring back a component of weight zero.
    least : float
        Their smallest logarithm.
    angles : ndarray of int
        Fisher's z of partial correlations, which are one where columns depend on each other.
    """

    where: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weights: WeightModel | None
    least: float
    angles: np.ndarray

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Whether each start has left the parameter space, (R,)."""
        own = theta[:, self.where]
        out = ((own < self.low) | (own > self.high)).any(1)
        if len(self.angles):
            out |= (np.abs(theta[:, self.angles]) > STEEPEST).any(1)
        if self.weights is not None:
            out |= (self.weights.log_weights(theta, None) < self.least).any((1, 2))
        return out


def take(p: Pass, rows: np.ndarray) -> Pass:
    """The pass of some starts."""
    squares = {key: type(s)(*(x[rows] for x in s)) for key, s in p.squares.items()}
    return Pass(p.loglik[rows], p.score[rows], p.scoring[rows], p.mass[rows], squares)


def put(p: Pass, rows: np.ndarray, other: Pass) -> None:
    """Replace the pass of some starts."""
    for mine, theirs in zip(p[:-1], other[:-1], strict=True):
        mine[rows] = theirs
    for number, squares in p.squares.items():
        for mine, theirs in zip(squares, other.squares[number], strict=True):
            mine[rows] = theirs


def ascend(
    problem: Problem, theta: np.ndarray, p: Pass, proposal: np.ndarray
) -> tuple[np.ndarray, Pass, np.ndarray]:
    """Accept proposals that do not lower the log-likelihood; halve the others.

    Scoring steps point uphill, so halving finds a rise unless theta is a
    maximum within rounding.

    Returns
    -------
    theta : ndarray, shape (R, D)
    p : Pass
        At that theta.
    moved : ndarray of bool, shape (R,)
    """
    new = em_pass(problem, proposal)
    bad = ~(new.loglik >= p.loglik - _slack(p.loglik))
    for _ in range(HALVINGS):
        rows = np.flatnonzero(bad)
        if not len(rows):
            break
        proposal[rows] = 0.5 * (proposal[rows] + theta[rows])
        again = em_pass(problem, proposal[rows])
        put(new, rows, again)
        bad[rows] = ~(again.loglik >= p.loglik[rows] - _slack(p.loglik[rows]))
    rows = np.flatnonzero(bad)
    if len(rows):
        proposal[rows] = theta[rows]
        put(new, rows, take(p, rows))
    return proposal, new, ~bad


def _slack(loglik: np.ndarray) -> np.ndarray:
    return 1e-12 * (np.abs(loglik) + 1.0)


def _em_step(problem: Problem, theta: np.ndarray, p: Pass) -> tuple[np.ndarray, Pass, np.ndarray]:
    """One step of EM: see `ascend`."""
    return ascend(problem, theta, p, m_step(problem, theta, p))


def _squared_step(
    problem: Problem, theta: np.ndarray, p: Pass
) -> tuple[np.ndarray, Pass, np.ndarray]:
    """Squared extrapolation of EM (Varadhan and Roland 2008).

    Two EM steps span a direction; a longer step along it is kept only where the
    log-likelihood rises above the second step's.
    """
    one, p1, _ = _em_step(problem, theta, p)
    two, p2, _ = _em_step(problem, one, p1)
    first, bend = one - theta, (two - one) - (one - theta)
    norm = np.linalg.norm(bend, axis=1)
    length = np.where(norm > 0, np.linalg.norm(first, axis=1) / np.maximum(norm, 1e-300), 1.0)
    length = np.clip(length, 1.0, 100.0)[:, None]
    far = theta + 2 * length * first + length**2 * bend
    p3 = em_pass(problem, far)
    better = np.flatnonzero(p3.loglik >= p2.loglik)
    if len(better):
        two[better] = far[better]
        put(p2, better, take(p3, better))
    return two, p2, np.ones(len(two), bool)


def climb(
    problem: Problem,
    runs: Runs,
    *,
    max_iter: int,
    tol: float,
    collapsed: Floors,
    squared: bool = False,
    on_iteration: Callable[[int, float], None] | None = None,
) -> None:
    """EM iterations of all running starts, until the log-likelihood stands still.

    A start whose log-likelihood grows by less than `tol` times its size is left
    "resting"; one with a collapsed variance becomes "degenerate".

    Parameters
    ----------
    problem : Problem
    runs : Runs
        Changed in place.
    max_iter : int
    tol : float
    collapsed : Floors
        Given theta (R, D), which starts have left the parameter space.
    squared : bool
        Whether steps are extrapolated, where Newton has failed.
    on_iteration : callable, optional
        Called with the number of running starts and the best log-likelihood.
    """
    active = runs.running()
    if not len(active) or max_iter < 1:
        return
    passes = 3 if squared else 1
    if (runner := engine(problem).runs) is not None:
        done = runner.climb(  # every start to its end
            runs.theta[active],
            max_iter=max_iter,
            tol=tol,
            where=collapsed.where,
            low=collapsed.low,
            high=collapsed.high,
            least_log_weight=collapsed.least,
            squared=squared,
        )
        follow(runs, active, done, passes)
        if on_iteration is not None:
            on_iteration(len(runs.running()), float(np.max(runs.loglik)))
        return
    step = _squared_step if squared else _em_step
    theta = runs.theta[active]
    p = em_pass(problem, theta)
    runs.loglik[active] = p.loglik
    for _ in range(max_iter):
        before = p.loglik.copy()
        theta, p, moved = step(problem, theta, p)
        runs.theta[active], runs.loglik[active] = theta, p.loglik
        runs.iterations[active] += passes
        runs.trace.append(runs.loglik.copy())
        gone = collapsed(theta)
        still = ~moved | (p.loglik - before <= tol * (np.abs(p.loglik) + 0.1))
        runs.status[active[still]] = "resting"
        runs.status[active[gone]] = "degenerate"
        if on_iteration is not None:
            on_iteration(int((~still).sum()), float(np.max(runs.loglik)))
        keep = np.flatnonzero(~(still | gone))
        if not len(keep):
            return
        if len(keep) < len(active):
            active, theta, p = active[keep], theta[keep], take(p, keep)


def follow(runs: Runs, active: np.ndarray, done: Run, passes: int = 1) -> None:
    """Record what a kernel did for some starts; one of its iterations counts as `passes`."""
    if len(done.trace):
        logliks = np.empty((len(done.trace), len(runs.loglik)))
        logliks[:], logliks[:, active] = runs.loglik, done.trace
        runs.trace.extend(logliks)
        runs.loglik[active] = done.trace[-1]
    runs.theta[active] = done.theta
    runs.iterations[active] += passes * done.iterations
    runs.status[active] = ENDS[done.status]
