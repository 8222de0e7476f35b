"""Many starts to one best fit, and an honest word about each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from bayesmix.estimation.contenders import contenders, distinct
from bayesmix.estimation.em import Floors, Runs, climb
from bayesmix.estimation.ends import collapse_test, has_status, mean_weights, name_ends
from bayesmix.estimation.newton import newton
from bayesmix.estimation.starts import (
    Memberships,
    classify,
    from_memberships,
    known_memberships,
    pooled,
    random_memberships,
    shuffled_memberships,
    subsample,
)
from bayesmix.likelihood import Problem, log_likelihood
from bayesmix.likelihood.blas import OneThread
from bayesmix.likelihood.problem import sample_of
from bayesmix.model import MixtureSpec, Rows
from bayesmix.priors import Penalty
from bayesmix.results.fitted import standard_problem
from bayesmix.results.spurious import (
    FEW_UNITS,
    can_collapse,
    is_bounded,
    own_parameters,
)

FIRST_TOL = 1e-5
# Known units keep the components apart: Newton may begin earlier.
EARLY_TOL = 1e-3
FIRST_STEPS = 20
# M-steps from given memberships, at most, where the response is a survival time.
TIMES_STEPS = 60
# Ends that cannot win against any other; the last one can against the first ones.
LOST = ("degenerate", "failed", "spurious")
ROUNDS = 40
MANY_UNITS = 20_000
# Few starts are chosen from four times as many, up to so many candidates.
CANDIDATES = 40
SHORT_RUN = 5
ROUGH_STEPS = 8
# Log-likelihoods that differ by less, relative to their size, are the same maximum.
AGREE = 1e-6

Progress = Callable[[str, int, float], None]
Run = Callable[[Problem, np.ndarray], Runs]
Ascent = Callable[[Problem, Runs, "Options"], None]


@dataclass(frozen=True)
class Options:
    """What governs a run.

    Parameters
    ----------
    tol : float
        Relative change of the log-likelihood at which a start has converged.
    max_iter : int
        Passes over the rows that one start may take.
    keeps : bool
        Whether Ctrl-C ends the run with what there is, rather than with an exception.
    ended : bool
        Whether the starts are ends of other runs: those of one end are run once.
    steps : int
        Newton steps in a row, after which EM shows whether a start is worth more of them.
    """

    tol: float = 1e-8
    max_iter: int = 1000
    keeps: bool = False
    ended: bool = False
    steps: int = 60


class Kept:
    """A block of work that Ctrl-C ends with what there is, where the options say so.

    `pressed` records it.
    """

    def __init__(self, options: Options) -> None:
        self.keeps, self.pressed = options.keeps, False

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        now = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.pressed |= now
        return self.keeps and now


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while starts were run on a part of the rows; `theta` (1, D) is the best so far."""

    def __init__(self, theta: np.ndarray) -> None:
        super().__init__()
        self.theta = theta


def rough(
    part: Problem, theta: np.ndarray, *, keeps: bool = False, progress: Progress | None = None
) -> Runs:
    """Run starts (R, D) on a part of the rows, from whose ends they go on."""
    return maximise(part, theta, Options(tol=1e-6, keeps=keeps, steps=ROUGH_STEPS), progress)


def make_starts(
    problem: Problem,
    n_starts: int,
    rng: np.random.Generator,
    *,
    designed: bool = True,
    run: Run = rough,
) -> np.ndarray:
    """Starting parameters (R, D), few ones chosen after short runs from more candidates.

    A third of the candidates are `designed`, as far as there are designs; the others have
    random memberships, and every second of them goes through a short classification run.
    Where known units name every component, those of the others are equal in the first
    start, and random in the rest.

    With many units the starts are first run on a random part of them, so that the
    passes over all rows begin near a maximum; `run` does so.

    Raises
    ------
    Interrupted
        At Ctrl-C, if `run` keeps what there is.
    """
    if problem.stream is None and problem.spec.k == 1:
        return pooled(problem)[None]
    if (part := _part(problem, rng)) is not problem:
        return _ends(part, lambda part: make_starts(part, n_starts, rng, run=run), run)
    if problem.spec.named:
        return from_memberships(problem, known_memberships(problem, n_starts, rng), n_starts)
    n = max(n_starts, min(4 * n_starts, CANDIDATES))
    memberships, given = random_memberships(problem, n, rng, n // 3 if designed else 0)
    theta = from_memberships(problem, memberships, n)
    theta[given + 1 :: 2] = classify(problem, theta[given + 1 :: 2])
    return theta if n == n_starts else _chosen(problem, theta, n_starts)


def _part(problem: Problem, rng: np.random.Generator) -> Problem:
    """The rows on which starts are run first: a sample of them, where there are many."""
    if problem.stream is not None or problem.n_units <= MANY_UNITS:
        return sample_of(problem)
    return subsample(problem, MANY_UNITS // 2, rng)


def _ends(part: Problem, starts: Callable[[Problem], np.ndarray], run: Run) -> np.ndarray:
    """Where starts end on a part of the rows: near where they end on all."""
    outcome = run(part, starts(part))
    if outcome.interrupted:
        raise Interrupted(outcome.theta[[best(outcome)]])
    lost = has_status(outcome, *LOST)
    return outcome.theta[~lost] if not lost.all() else outcome.theta


def more_starts(
    problem: Problem,
    outcome: Runs,
    n_starts: int,
    rng: np.random.Generator,
    run: Run = rough,
) -> np.ndarray:
    """Starting parameters (R, D) of a second round: half of them around the best end of the first.

    There two components are merged and a third one is split; the others are random.
    """
    if (part := _part(problem, rng)) is not problem:
        return _ends(part, lambda part: more_starts(part, outcome, n_starts, rng, run), run)
    near = n_starts // 2 if problem.spec.k > 2 and not problem.spec.named else 0
    theta = make_starts(problem, n_starts - near, rng, designed=False, run=run)
    if not near:
        return theta
    moved = shuffled_memberships(problem, outcome.theta[best(outcome)], near, rng)
    return np.vstack([from_memberships(problem, moved, near), theta])


def _chosen(problem: Problem, theta: np.ndarray, n_starts: int) -> np.ndarray:
    """Starts after a short run of EM: half of them the best, the others as they came.

    Of 20 seeds with 10 starts, this finds the best maximum of the flexmix vignette's
    hardest models in 15 to 20, where single starts find it in 7 to 13.
    """
    runs = Runs.begin(theta)
    climb(problem, runs, max_iter=SHORT_RUN, tol=1e-12, collapsed=collapse_test(problem))
    value = np.where(np.isnan(runs.loglik), -np.inf, runs.loglik)
    last = has_status(runs, "degenerate") | (value == -np.inf) | _nearly_collapsed(problem, runs)
    order = np.lexsort((-value, last))
    half = -(-n_starts // 2)
    rest = np.sort(order[half:])
    rest = rest[np.argsort(last[rest], kind="stable")]
    return runs.theta[np.concatenate([order[:half], rest[: n_starts - half]])]


def _nearly_collapsed(problem: Problem, runs: Runs) -> np.ndarray:
    """Starts with a component of few units where a scale can collapse on them, (R,).

    They lead to spurious maxima: a variance near zero on a handful of units.
    """
    groups = [g for arrays in problem.blocks for g in arrays.groups if can_collapse(arrays, g)]
    if not groups:
        return np.zeros(len(runs.theta), bool)
    most = FEW_UNITS * max(own_parameters(problem, group).max() for group in groups)
    units = problem.spec.n_units * mean_weights(problem, np.nan_to_num(runs.theta))
    return (units < most).any(1)


def start_from(problem: Problem, matrix: np.ndarray) -> np.ndarray:
    """Starting parameters (1, D) from one membership matrix (U, S)."""
    given = Memberships(None, matrix.T[None], problem.spec.k, problem.spec.rows.allowed)
    # A working response says little of censored times: the first step may go far off.
    times = any(block.survival for block in problem.spec.layout.blocks)
    return from_memberships(problem, given, 1, steps=TIMES_STEPS if times else 2)


def maximise(
    problem: Problem,
    theta: np.ndarray,
    options: Options,
    progress: Progress | None = None,
    ascend: Ascent | None = None,
) -> Runs:
    """Run every start to its maximum.

    EM, or another ascent, climbs until the log-likelihood grows slowly; Newton's method with
    the exact information finishes; where it cannot, squared extrapolation of EM goes
    on and Newton tries again.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    options : Options
    progress : callable, optional
        Called with the stage, the number of starts at work, and the best log-likelihood.
    ascend : callable, optional
        Moves runs in place of EM, and leaves those that go on "resting".
    """
    if problem.stream is not None and len(theta) > 1:
        return _contended(problem, theta, options, progress, ascend)
    # With many units most starts were run on a sample, where several may have come to one end.
    if (problem.n_units > MANY_UNITS or options.ended) and len(theta) > 1:
        first, kind = distinct(problem, theta)
        if len(first) < len(theta):
            return maximise(problem, theta[first], options, progress, ascend).take(kind)
    runs, stopped = Runs.begin(theta), np.zeros(len(theta), bool)
    collapsed = collapse_test(problem)

    def report(stage: str) -> Callable[[int, float], None] | None:
        return None if progress is None else lambda n, value: progress(stage, n, value)

    with OneThread(problem.n_rows), Kept(options) as stop:
        if ascend is not None:
            ascend(problem, runs, options)
        else:
            climb(
                problem,
                runs,
                max_iter=min(options.max_iter, FIRST_STEPS),
                tol=max(options.tol, EARLY_TOL if problem.spec.named else FIRST_TOL),
                collapsed=collapsed,
                on_iteration=report("EM"),
            )
            if problem.n_units > MANY_UNITS:
                stopped = _pass_over(problem, runs)
            if options.max_iter > FIRST_STEPS:
                runs.status[runs.running()] = "resting"
        _finish(problem, runs, options, collapsed, stopped, report("Newton"))
    if stop.pressed and not np.isfinite(runs.loglik).any():
        raise KeyboardInterrupt
    runs.status[has_status(runs, "running", "resting")] = "max_iter"
    name_ends(problem, runs, collapsed)
    return replace(runs, interrupted=stop.pressed)


def refitted(
    spec: MixtureSpec,
    rows: Rows,
    theta: np.ndarray,
    penalty: Penalty | None = None,
    options: Options = Options(),
    more: Callable[[Problem], np.ndarray] | None = None,
) -> tuple[np.ndarray, float, str]:
    """The best end on other rows from theta (D,), and from more starts where some are given.

    Returns
    -------
    theta : ndarray, shape (D,)
        In the user's coordinates, as it was given.
    loglik : float
    status : str
    """
    problem = standard_problem(replace(spec, rows=rows), penalty)
    standard = problem.standard
    first = standard.to_standard(theta)[None]
    starts = first if more is None else np.vstack([first, more(problem)])
    runs = maximise(problem, starts, options)
    at = best(runs)
    user = standard.to_user(runs.theta[at])
    return user, float(runs.loglik[at]) + standard.constant, str(runs.status[at])


def _contended(
    problem: Problem,
    theta: np.ndarray,
    options: Options,
    progress: Progress | None,
    ascend: Ascent | None,
) -> Runs:
    """Starts that were run on a sample: those of one end are run once, those far behind never."""
    first, kind = distinct(problem, theta)
    hopeful = contenders(sample_of(problem), theta[first], problem.spec.n_units)
    made: list[Runs] = []
    for r, may_win in zip(first, hopeful, strict=True):
        run = may_win and not any(one.interrupted for one in made)
        one = theta[r : r + 1]
        done = maximise(problem, one, options, progress, ascend) if run else _left(problem, one)
        made.append(done)
    return reduce(lambda one, other: one.with_(other), made).take(kind)


def _pass_over(problem: Problem, runs: Runs) -> np.ndarray:
    """Stop starts at which EM stands still, far behind the best one; gives which, (R,)."""
    stopped = runs.status == "resting"
    stopped[stopped] = ~contenders(problem, runs.theta[stopped], problem.n_units)
    runs.status[stopped] = "max_iter"
    return stopped


def _left(problem: Problem, theta: np.ndarray) -> Runs:
    """A start that is not run."""
    loglik = log_likelihood(problem, theta)
    return replace(Runs.begin(theta, "max_iter"), loglik=loglik, trace=[loglik])


def _finish(
    problem: Problem,
    runs: Runs,
    options: Options,
    collapsed: Floors,
    stopped: np.ndarray,
    report: Callable[[int, float], None] | None,
) -> None:
    """Newton's method, and squared extrapolation of EM where it cannot.

    Where no start can be on its way to a collapse, those that the kernels leave are only looked at
    closely once it is known which may win.  Of starts that were `stopped` (R,), behind others, one
    goes on where those are lost.
    """
    tol, bounded = FIRST_TOL, collapsed.weights is not None and is_bounded(problem)
    for number in range(ROUNDS):
        _over_budget(runs, options.max_iter)
        newton(
            problem,
            runs,
            tol=options.tol,
            closely=number > 0 or not bounded,
            max_iter=options.steps,
            on_iteration=report,
        )
        again = runs.status == "resting"
        if not again.any():
            at = best(runs)
            if not stopped[at]:
                break
            again[at], stopped[at] = True, False
        runs.status[again] = "running"
        tol = max(0.1 * tol, 0.01 * options.tol)
        before = runs.loglik.copy()
        climb(problem, runs, max_iter=8, tol=tol, collapsed=collapsed, squared=True)
        stopped |= _give_up(runs, before, rounds_left=ROUNDS - number, bounded=bounded)
        runs.status[runs.status == "running"] = "resting"


def _give_up(runs: Runs, before: np.ndarray, rounds_left: int, *, bounded: bool) -> np.ndarray:
    """Stop starts below the best that would not pass it at ten times their last round's gain.

    Or not by more than tells maxima apart; gives which.  The best is an end, unless the likelihood
    is bounded: else a start that has not ended may be on its way to a collapse.
    """
    going = has_status(runs, "running", "resting")
    ahead = has_status(runs, "converged", "boundary", "singular") | (going & bounded)
    top = runs.loglik[ahead].max(initial=-np.inf)
    gap = top - runs.loglik
    with np.errstate(invalid="ignore"):
        gain = 10 * rounds_left * (runs.loglik - before)
        hopeless = (gap > 0) & (gain < np.maximum(gap, AGREE * (abs(top) + 1)))
    runs.status[hopeless & going] = "max_iter"
    return hopeless & going


def _over_budget(runs: Runs, budget: int) -> None:
    over = runs.iterations >= budget
    if over.any():
        runs.status[over & has_status(runs, "running", "resting")] = "max_iter"


def best(outcome: Runs) -> int:
    """Position of the best start: spurious ones only beat those that collapsed or failed."""
    values = np.where(np.isnan(outcome.loglik), -np.inf, outcome.loglik)
    for worse in (LOST, LOST[:2]):
        sound = ~has_status(outcome, *worse)
        if sound.any():
            return int(np.argmax(np.where(sound, values, -np.inf)))
    return int(np.argmax(values))


def agreeing(outcome: Runs) -> int:
    """How many starts of the best one's kind reached it."""
    top = outcome.loglik[best(outcome)]
    sound = ~has_status(outcome, *LOST)
    return int((sound & (np.abs(outcome.loglik - top) <= AGREE * (abs(top) + 1))).sum())
