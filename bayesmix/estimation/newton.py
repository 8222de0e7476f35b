"""Newton's method with the exact observed information, for many starts together.

Where there are kernels they go first, see `kernels.runs`; what they leave needs a closer look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayesmix.estimation.em import Runs, follow
from bayesmix.likelihood import Problem, em_pass, largest_shift, log_likelihood
from bayesmix.likelihood.engine import engine, information
from bayesmix.likelihood.information import Information

# A step that is this large relative to 1 + |theta| when the log-likelihood no
# longer grows belongs to a parameter on its way to infinity.
LARGE_STEP = 1e-3
SMALLEST_EIGENVALUE, SURE = 1e-13, 1e-10
# Largest change of a linear predictor in one step, on logit and log scales.
LONGEST = 8.0
# How often a step may be made three times as long.
LENGTHS = 8
# As in `kernels.runs`: the complete-data information, in standard coordinates, of a parameter that
# no unit informs, and the shares of it that make the observed information definite.
UNINFORMED = 1e-12
SHARES = 1e-3 * 4.0 ** np.arange(10)


class _Step(NamedTuple):
    step: np.ndarray
    decrement: np.ndarray
    definite: np.ndarray
    flat: np.ndarray


def _steps(matrix: np.ndarray, score: np.ndarray) -> _Step:
    """Newton steps from information (R, f, f) and score (R, f), diagonal scaled to one.

    `flat` says that the score vanishes although the information is singular.
    """
    finite = np.isfinite(matrix).all((1, 2)) & np.isfinite(score).all(1)
    matrix = np.where(finite[:, None, None], matrix, -np.eye(matrix.shape[1]))
    diagonal = np.einsum("rjj->rj", matrix)
    scale = np.sqrt(np.where(np.abs(diagonal) > 1e-300, np.abs(diagonal), 1.0))
    scaled = matrix / (scale[:, :, None] * scale[:, None])
    values, vectors = np.linalg.eigh(scaled)
    definite = finite & (values[:, 0] > SMALLEST_EIGENVALUE) & (diagonal > 0).all(1)
    right = np.where(finite[:, None], score / scale, 0.0)
    along = np.einsum("rji,rj->ri", vectors, right)
    safe = np.where(definite[:, None], values, 1.0)
    step = np.einsum("rij,rj->ri", vectors, along / safe) / scale
    decrement = (along**2 / safe).sum(1)
    flat = finite & (np.abs(right).max(1) < 1e-7) & (values[:, 0] > -1e-6)
    return _Step(step, decrement, definite, flat)


def _guarded(
    matrix: np.ndarray, complete: np.ndarray, score: np.ndarray
) -> tuple[_Step, np.ndarray, np.ndarray]:
    """Ascent steps where the observed information is indefinite, or lacks parameters.

    In the metric of the complete-data information its eigenvalues mu are at most
    one; EM would divide the score by one in every direction, Newton by mu.  Here
    it is mu + c, with the least of some shares c that makes all of them positive.

    Parameters of which the complete data say nothing are at infinity, and stay where they are:
    of the others the step is Newton's where it can be.

    Returns
    -------
    step : _Step
        `definite` where some parameters are at infinity and the others have a maximum nearby.
    usable : ndarray of bool, shape (R,)
        Where the complete-data information of the others is positive definite.
    lost : ndarray of bool, shape (R,)
        Whether some parameters are at infinity.
    """
    usable = np.isfinite(complete).all((1, 2)) & np.isfinite(matrix).all((1, 2))
    usable &= np.isfinite(score).all(1)
    complete, matrix = (np.where(usable[:, None, None], m, 0.0) for m in (complete, matrix))
    diagonal = np.einsum("rjj->rj", complete)
    at_limit = diagonal <= UNINFORMED
    lost = at_limit.any(1)
    held = at_limit[:, :, None] | at_limit[:, None]
    unit = np.eye(matrix.shape[1])
    complete, matrix = (np.where(held, unit, m) for m in (complete, matrix))
    scale = 1 / np.sqrt(np.einsum("rjj->rj", complete))
    outer = scale[:, :, None] * scale[:, None]
    values, vectors = np.linalg.eigh(complete * outer)
    usable &= (values[:, 0] > 1e-10) & ~at_limit.all(1)
    white = vectors * scale[:, :, None] / np.sqrt(np.maximum(values, 1e-10))[:, None]
    mu, turn = np.linalg.eigh(np.swapaxes(white, 1, 2) @ matrix @ white)
    basis = white @ turn
    along = np.einsum("rij,ri->rj", basis, np.where(at_limit | ~np.isfinite(score), 0.0, score))
    definite = usable & lost & (mu[:, 0] > SMALLEST_EIGENVALUE)
    enough = mu[:, :1] + SHARES > SURE
    usable &= definite | enough.any(1)
    share = np.where(definite, 0.0, SHARES[enough.argmax(1)])
    size = np.where(usable[:, None], mu + share[:, None], 1.0)
    step = np.einsum("rij,rj->ri", basis, along / size)
    flat = np.zeros(len(mu), bool)
    step = np.where(usable[:, None], step, 0.0)
    return _Step(step, (along**2 / size).sum(1), definite, flat), usable, lost


def _ascent(
    problem: Problem, theta: np.ndarray, info: Information, free: np.ndarray
) -> tuple[_Step, np.ndarray, np.ndarray]:
    """Newton steps, guarded where need be; which are `usable`, and `lost`: see `_guarded`."""
    n = _steps(info.matrix[:, free[:, None], free], info.score[:, free])
    usable, lost = n.definite.copy(), np.zeros(len(theta), bool)
    other = (~(n.definite | n.flat)).nonzero()[0]
    if len(other):
        guarded, usable[other], lost[other] = _guarded(
            info.matrix[other[:, None, None], free[:, None], free],
            em_pass(problem, theta[other]).scoring[:, free[:, None], free],
            info.score[other][:, free],
        )
        for mine, theirs in zip(n, guarded, strict=True):
            mine[other] = theirs
    return n, usable, lost


@np.errstate(all="ignore")  # a start may be on its way to a collapse
def newton(
    problem: Problem,
    runs: Runs,
    *,
    tol: float,
    closely: bool = True,
    max_iter: int = 60,
    on_iteration: Callable[[int, float], None] | None = None,
) -> None:
    """Polish resting starts to a zero gradient.

    A Newton step is taken only if the information is positive definite, and kept
    only if the log-likelihood rises; where the information is indefinite a
    guarded step is tried.  Afterwards a start is "converged"; "boundary", where
    parameters still move while the log-likelihood stands still; "singular",
    where the gradient is zero and the information singular; or "resting", where
    EM has to go on.

    Parameters
    ----------
    problem : Problem
    runs : Runs
        Changed in place.
    tol : float
        Relative size of the log-likelihood still to be gained.
    closely : bool
        Whether starts that kernels have left are looked at.
    max_iter : int
    on_iteration : callable, optional
        Called with the number of resting starts and the best log-likelihood.
    """
    free = problem.spec.free.nonzero()[0]
    active = (runs.status == "resting").nonzero()[0]
    if not len(free):
        runs.status[active] = "converged"
        return
    if _compiled(problem, runs, tol=tol, max_iter=max_iter):
        active = active[runs.status[active] == "resting"]
        if on_iteration is not None:
            on_iteration(len(active), float(np.max(runs.loglik)))
        if not closely:
            return
    widens = _threshold_steps(problem)[free]
    large = np.zeros(len(runs.theta), int)
    for _ in range(max_iter):
        if not len(active):
            return
        theta = runs.theta[active]
        info = information(problem, theta)
        runs.iterations[active] += 1
        n, usable, lost = _ascent(problem, theta, info, free)
        step = n.step
        size = (np.abs(step) / (1 + np.abs(theta[:, free]))).max(1)
        near = n.definite & (n.decrement <= 1e-2 * tol * (np.abs(info.loglik) + 0.1))
        often = large[active] = np.where(usable & (size > 0.01), large[active] + 1, 0)
        proposal = theta.copy()
        step = np.where(widens & (step > 0), np.log1p(np.maximum(step, 0.0)), step)
        proposal[:, free] += np.where(usable[:, None], step, 0.0)
        _shorten(problem, theta, proposal, size)
        loglik, rose = _search(problem, theta, proposal, info.loglik, usable)
        _stretch(problem, theta, proposal, loglik, rose & (often >= 4))
        runs.theta[active], runs.loglik[active] = proposal, np.where(rose, loglik, info.loglik)
        runs.trace.append(runs.loglik.copy())
        small = size <= LARGE_STEP
        singular = ~n.definite & n.flat
        ended = singular | ~rose | (near & (small | (often >= 4)))
        if ended.any():
            end = np.where(small & ~lost, "converged", "boundary")
            end = np.where(near, end, np.where(singular, "singular", "resting"))
            runs.status[active[ended]] = end[ended]
            active = active[~ended]
        if on_iteration is not None:
            on_iteration(len(active), float(np.max(runs.loglik)))


def _threshold_steps(problem: Problem) -> np.ndarray:
    """Which entries of theta (D,) are logarithms of steps between thresholds.

    When a threshold goes to infinity the next one stays if the step itself, not its logarithm,
    grows by as much.  The compiled method does not know that.
    """
    out = np.zeros(problem.spec.layout.size, bool)
    for block in problem.spec.layout.blocks:
        out[block.steps] = True
    return out


def _compiled(problem: Problem, runs: Runs, *, tol: float, max_iter: int) -> bool:
    """The same of resting starts by kernels; whether there are any for this model.

    Starts at which the likelihood is nearly flat in some direction are left "resting".
    """
    runner = engine(problem).runs
    if runner is None or _threshold_steps(problem).any():
        return False
    (resting,) = (runs.status == "resting").nonzero()
    if len(resting):
        theta = runs.theta[resting]
        done = runner.newton(theta, max_iter=max_iter, tol=tol, widest=problem.widest)
        follow(runs, resting, done)
    return True


def _shorten(problem: Problem, theta: np.ndarray, proposal: np.ndarray, size: np.ndarray) -> None:
    """Bound the change of the linear predictors that one step may make."""
    rows = (size > 0.1).nonzero()[0]
    if len(rows):
        step = proposal[rows] - theta[rows]
        shift = largest_shift(problem, step)
        proposal[rows] = (
            theta[rows] + step * np.minimum(1, LONGEST / np.maximum(shift, 1e-9))[:, None]
        )


def _stretch(
    problem: Problem,
    theta: np.ndarray,
    proposal: np.ndarray,
    loglik: np.ndarray,
    which: np.ndarray,
) -> None:
    """Go three times as far, and again, where steps stay large: parameters run to infinity.

    Constant weights do not: their logits only say which component is lost.
    """
    rows = which.nonzero()[0]
    places = problem.spec.weights.places[1]
    weights = places if problem.concomitant is None else places[:0]
    for _ in range(LENGTHS):
        if not len(rows):
            return
        far = theta[rows] + 3 * (proposal[rows] - theta[rows])
        far[:, weights] = proposal[rows][:, weights]
        value = log_likelihood(problem, far)
        better = value > loglik[rows]
        rows, far, value = rows[better], far[better], value[better]
        proposal[rows], loglik[rows] = far, value


def _search(
    problem: Problem,
    theta: np.ndarray,
    proposal: np.ndarray,
    before: np.ndarray,
    usable: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Halve steps until the log-likelihood does not fall; `proposal` is changed in place."""
    loglik, rose = before.copy(), usable.copy()
    slack = 1e-13 * (np.abs(before) + 1.0)
    rows = usable.nonzero()[0]
    for _ in range(8):
        if not len(rows):
            return loglik, rose
        value = loglik[rows] = log_likelihood(problem, proposal[rows])
        rows = rows[~(value >= before[rows] - slack[rows])]
        proposal[rows] = 0.5 * (proposal[rows] + theta[rows])
    proposal[rows], rose[rows] = theta[rows], False
    return loglik, rose
