"""Many starts to one best fit, and an honest word about each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from bayesmix.estimation.contenders import contenders, distinct
from bayesmix.estimation.em import Floors, Runs, climb, squarem
from bayesmix.estimation.newton import compiled_newton, newton
from bayesmix.estimation.order import unit_order
from bayesmix.estimation.starts import (
    Memberships,
    classify,
    from_memberships,
    harden,
    known_memberships,
    pooled,
    random_memberships,
    shuffled_memberships,
    subsample,
)
from bayesmix.estimation.step import m_step
from bayesmix.likelihood import Problem, em_pass, log_likelihood
from bayesmix.likelihood.passes import Responsibilities
from bayesmix.likelihood.problem import BLOCK, Arrays, Group, sample_of
from bayesmix.results.spurious import (
    COLLAPSED_GAIN,
    FEW_UNITS,
    can_collapse,
    narrowness,
    own_parameters,
    suspects,
)

FIRST_TOL = 1e-5
# Known units keep the components apart: Newton may begin earlier.
EARLY_TOL = 1e-3
FIRST_STEPS = 20
# M-steps from given memberships, at most, where the response is a survival time.
TIMES_STEPS = 60
COLLAPSED = 1e-8
VANISHED = 1e-9
# Ends that cannot win against any other; the last one can against the first ones.
LOST = ("degenerate", "failed", "spurious")
ROUNDS = 40
# Rounds of the kernels alone, and cycles of extrapolation in each.
SOON, CYCLES = 3, 3
MANY_UNITS = 20_000
# Few starts are chosen from four times as many, up to so many candidates.
CANDIDATES = 40
SHORT_RUN = 5
# Log-likelihoods that differ by less, relative to their size, are the same maximum.
AGREE = 1e-6

Progress = Callable[[str, int, float], None]
Run = Callable[[Problem, np.ndarray], "Outcome"]


@dataclass(frozen=True)
class Options:
    """What governs a run.

    Parameters
    ----------
    tol : float
        Relative change of the log-likelihood at which a start has converged.
    max_iter : int
        Passes over the rows that one start may take.
    algorithm : str
        "em", "cem" (hard labels) or "sem" (drawn labels).
    keeps : bool
        Whether Ctrl-C ends the run with what there is, rather than with an exception.
    ended : bool
        Whether the starts are ends of other runs: those of one end are run once.
    """

    tol: float = 1e-8
    max_iter: int = 1000
    algorithm: str = "em"
    keeps: bool = False
    ended: bool = False


class _Stop:
    """Ctrl-C within its block ends the block where the options say so; `pressed` records it."""

    def __init__(self, options: Options) -> None:
        self.keeps, self.pressed = options.keeps, False

    def __enter__(self) -> _Stop:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        now = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.pressed |= now
        return self.keeps and now


def kept_so_far(options: Options) -> _Stop:
    """A block of work that Ctrl-C ends with what there is, where the options say so."""
    return _Stop(options)


@dataclass(frozen=True)
class Outcome:
    """All starts at their ends.

    `theta` (R, D), `loglik`, `iterations` and `status` (R,), and the
    log-likelihoods of every iteration, `trace` (T, R).  `interrupted`: by Ctrl-C.
    """

    theta: np.ndarray
    loglik: np.ndarray
    iterations: np.ndarray
    status: np.ndarray
    trace: np.ndarray
    interrupted: bool = False

    @classmethod
    def of(cls, runs: Runs, *, interrupted: bool) -> Outcome:
        """The ends of runs."""
        trace = np.array(runs.trace)
        return cls(runs.theta, runs.loglik, runs.iterations, runs.status, trace, interrupted)

    def take(self, rows: np.ndarray) -> Outcome:
        """Some of the starts."""
        return replace(
            self,
            theta=self.theta[rows],
            loglik=self.loglik[rows],
            iterations=self.iterations[rows],
            status=self.status[rows],
            trace=self.trace[:, rows] if len(self.trace) else self.trace,
        )

    def with_(self, other: Outcome) -> Outcome:
        """The starts of both; a trace that is shorter stays at its end."""
        length = max(len(self.trace), len(other.trace))
        traces = [
            np.pad(t, ((0, length - len(t)), (0, 0)), "edge") for t in (self.trace, other.trace)
        ]
        return Outcome(
            np.vstack([self.theta, other.theta]),
            np.concatenate([self.loglik, other.loglik]),
            np.concatenate([self.iterations, other.iterations]),
            np.concatenate([self.status, other.status]),
            np.hstack(traces),
            self.interrupted or other.interrupted,
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while starts were run on a part of the rows; `theta` (1, D) is the best so far."""

    def __init__(self, theta: np.ndarray) -> None:
        super().__init__()
        self.theta = theta


def rough(
    part: Problem, theta: np.ndarray, *, keeps: bool = False, progress: Progress | None = None
) -> Outcome:
    """Run starts (R, D) on a part of the rows, from whose ends they go on."""
    return maximise(part, theta, Options(tol=1e-6, keeps=keeps), progress)


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
    if problem.stream is not None:
        return _ends(sample_of(problem), lambda p: make_starts(p, n_starts, rng, run=run), run)
    if problem.spec.k == 1:
        return pooled(problem)[None]
    if problem.n_units > MANY_UNITS:
        part = subsample(problem, MANY_UNITS // 2, rng)
        return _ends(part, lambda part: make_starts(part, n_starts, rng, run=run), run)
    if problem.spec.named:
        return from_memberships(problem, known_memberships(problem, n_starts, rng), n_starts)
    n = max(n_starts, min(4 * n_starts, CANDIDATES))
    memberships, given = random_memberships(problem, n, rng, n // 3 if designed else 0)
    theta = from_memberships(problem, memberships, n)
    theta[given + 1 :: 2] = classify(problem, theta[given + 1 :: 2])
    return theta if n == n_starts else _chosen(problem, theta, n_starts)


def _ends(part: Problem, starts: Callable[[Problem], np.ndarray], run: Run) -> np.ndarray:
    """Where starts end on a part of the rows: near where they end on all."""
    outcome = run(part, starts(part))
    if outcome.interrupted:
        raise Interrupted(outcome.theta[[best(outcome)]])
    lost = has_status(outcome, *LOST)
    return outcome.theta[~lost] if not lost.all() else outcome.theta


def more_starts(
    problem: Problem,
    outcome: Outcome,
    n_starts: int,
    rng: np.random.Generator,
    run: Run = rough,
) -> np.ndarray:
    """Starting parameters (R, D) of a second round: half of them around the best end of the first.

    There two components are merged and a third one is split; the others are random.
    """
    if problem.stream is not None:
        part = sample_of(problem)
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
    value = np.nan_to_num(runs.loglik, nan=-np.inf)
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


def collapse_test(problem: Problem) -> Floors:
    """A test that says which theta (R, D) have a collapsed scale or a lost component."""
    floors: list[tuple[int, float]] = []
    ceilings: list[int] = []
    angles: list[int] = []
    for arrays in problem.blocks:
        for group in arrays.groups:
            family = group.family
            if family.normal is not None:
                floors += _column_floors(arrays, group)
                found = group.dispersions[len(family.normal.scales) :]
                angles += [int(j) for at in found for j in at]
            if family.collapse is None:
                continue
            name, sign = family.collapse
            at = group.dispersions[[p.name for p in family.dispersions].index(name)]
            if sign < 0:
                logarithmic = family.is_survival or family.location != "mu"
                low = np.log(_smallest_scale(arrays, group, logarithmic=logarithmic))
                floors += [(int(j), low) for j in at]
            else:
                ceilings += [int(j) for j in at]
    where = np.array([j for j, _ in floors], dtype=int)
    low = np.array([v for _, v in floors])
    spec = problem.spec
    constant = spec.k > 1 and spec.layout.concomitant_terms is None and spec.weights.held is None
    weights = spec.weights if constant else None
    return Floors(
        where,
        low,
        weights,
        float(np.log(VANISHED)),
        np.array(ceilings, dtype=int),
        np.array(angles, dtype=int),
    )


def _column_floors(arrays: Arrays, group: Group) -> list[tuple[int, float]]:
    """The smallest logarithms of the standard deviations of several columns."""
    structure = group.family.normal
    assert structure is not None
    obs, matrix, offset = arrays.seen(group)
    low = []
    for y in obs.y.T:
        there = ~np.isnan(y)
        shift = offset[there] if isinstance(offset, np.ndarray) else offset
        low.append(float(np.log(_residual_scale(matrix[there], y[there] - shift))))
    low = low if len(structure.scales) > 1 else [min(low)]
    pairs = zip(group.dispersions, low, strict=False)
    return [(int(j), floor) for at, floor in pairs for j in at]


def _smallest_scale(arrays: Arrays, group: Group, *, logarithmic: bool) -> float:
    """The residual scale of all data together, or that of logarithms, times `COLLAPSED`."""
    obs, matrix, offset = arrays.seen(group)
    y = obs.y
    if logarithmic:
        return COLLAPSED * max(float(np.log(y[y > 0]).std()), 1e-3)
    return _residual_scale(matrix, y - offset)


def _residual_scale(matrix: np.ndarray, y: np.ndarray) -> float:
    rows = slice(None, None, max(1, len(y) // 5000))
    x, z = matrix[rows], y[rows]
    residual = z - x @ np.linalg.lstsq(x, z)[0] if x.shape[1] else z
    return max(COLLAPSED * float(residual.std()), 1e-13 * float(np.abs(y).max()), 1e-150)


def maximise(
    problem: Problem, theta: np.ndarray, options: Options, progress: Progress | None = None
) -> Outcome:
    """Run every start to its maximum.

    EM climbs until the log-likelihood grows slowly; Newton's method with the
    exact information finishes; where it cannot, squared extrapolation of EM goes
    on and Newton tries again.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (R, D)
    options : Options
    progress : callable, optional
        Called with the stage, the number of starts at work, and the best log-likelihood.
    """
    if problem.stream is not None and len(theta) > 1:
        return _contended(problem, theta, options, progress)
    # With many units most starts were run on a sample, where several may have come to one end.
    if (problem.n_units > MANY_UNITS or options.ended) and len(theta) > 1:
        first, kind = distinct(problem, theta)
        if len(first) < len(theta):
            return maximise(problem, theta[first], options, progress).take(kind)
    runs = Runs.begin(theta)
    collapsed = collapse_test(problem)

    def report(stage: str) -> Callable[[int, float], None] | None:
        return None if progress is None else lambda n, value: progress(stage, n, value)

    with kept_so_far(options) as stop:
        climb(
            problem,
            runs,
            max_iter=min(options.max_iter, FIRST_STEPS),
            tol=max(options.tol, EARLY_TOL if problem.spec.named else FIRST_TOL),
            collapsed=collapsed,
            on_iteration=report("EM"),
        )
        if options.max_iter > FIRST_STEPS:
            runs.status[runs.running()] = "resting"
        _finish(problem, runs, options, collapsed, report("Newton"))
    if stop.pressed and not np.isfinite(runs.loglik).any():
        raise KeyboardInterrupt
    runs.status[has_status(runs, "running", "resting")] = "max_iter"
    name_ends(problem, runs, collapsed)
    return Outcome.of(runs, interrupted=stop.pressed)


def _contended(
    problem: Problem, theta: np.ndarray, options: Options, progress: Progress | None
) -> Outcome:
    """Starts that were run on a sample: those of one end are run once, those far behind never."""
    first, kind = distinct(problem, theta)
    hopeful = contenders(sample_of(problem), theta[first], problem.spec.n_units)
    made: list[Outcome] = []
    for r, may_win in zip(first, hopeful, strict=True):
        run = may_win and not any(one.interrupted for one in made)
        one = theta[r : r + 1]
        made.append(maximise(problem, one, options, progress) if run else _left(problem, one))
    return reduce(lambda one, other: one.with_(other), made).take(kind)


def _left(problem: Problem, theta: np.ndarray) -> Outcome:
    """A start that is not run."""
    status = np.array(["max_iter"], dtype="U12")
    loglik = log_likelihood(problem, theta)
    return Outcome(theta, loglik, np.zeros(1, int), status, loglik[None])


def _finish(
    problem: Problem,
    runs: Runs,
    options: Options,
    collapsed: Floors,
    report: Callable[[int, float], None] | None,
) -> None:
    """Newton's method, and squared extrapolation of EM where it cannot.

    The kernels soon bring most starts of small data to where the information is definite.
    """
    tol = FIRST_TOL
    for _ in range(SOON):
        again = np.flatnonzero(runs.status == "resting")
        if not compiled_newton(problem, runs, again, tol=options.tol):
            break
        _over_budget(runs, options.max_iter)
        runs.status[runs.status == "resting"] = "running"
        squarem(problem, runs, cycles=CYCLES, tol=tol, collapsed=collapsed)
        runs.status[runs.status == "running"] = "resting"
    for number in range(ROUNDS):
        _over_budget(runs, options.max_iter)
        newton(problem, runs, tol=options.tol, on_iteration=report)
        again = runs.status == "resting"
        if not again.any():
            break
        runs.status[again] = "running"
        tol = max(0.1 * tol, 0.01 * options.tol)
        before = runs.loglik.copy()
        squarem(problem, runs, cycles=8, tol=tol, collapsed=collapsed)
        _give_up(runs, before, rounds_left=ROUNDS - number)
        runs.status[runs.status == "running"] = "resting"


def _give_up(runs: Runs, before: np.ndarray, rounds_left: int) -> None:
    """Stop starts below the best end that would not pass it at ten times their last round's gain.

    Or not by more than tells maxima apart.
    """
    done = has_status(runs, "converged", "boundary", "singular")
    if not done.any():
        return
    top = runs.loglik[done].max()
    gap = top - runs.loglik
    with np.errstate(invalid="ignore"):
        gain = 10 * rounds_left * (runs.loglik - before)
        hopeless = (gap > 0) & (gain < np.maximum(gap, AGREE * (abs(top) + 1)))
    runs.status[hopeless & has_status(runs, "running", "resting")] = "max_iter"


def has_status(runs: Runs | Outcome, *names: str) -> np.ndarray:
    """Which starts have one of these statuses, (R,); `np.isin` would sort them first."""
    return reduce(np.logical_or, [runs.status == name for name in names])


# Mean log density of a normal density 1e12 times narrower than what it describes.
ROUNDING_GAIN = float(np.log(1e12)) - 0.5
# The same of one that a start could not get to the end of: responses on a line.
LINE_GAIN = float(np.log(1e6)) - 0.5


def _over_budget(runs: Runs, budget: int) -> None:
    over = (runs.iterations >= budget) & has_status(runs, "running", "resting")
    runs.status[over] = "max_iter"


def name_ends(problem: Problem, runs: Runs, collapsed: Floors) -> None:
    """Starts with a lost or spurious component or no likelihood are not successes."""
    runs.status[collapsed(runs.theta)] = "degenerate"
    runs.status[~np.isfinite(runs.loglik)] = "failed"
    narrow = _within_rounding(problem, runs.loglik)
    unfinished = ~has_status(runs, "converged", "boundary")
    runs.status[(narrow > ROUNDING_GAIN) | (unfinished & (narrow > LINE_GAIN))] = "degenerate"
    rows = np.flatnonzero(~has_status(runs, "degenerate", "failed"))
    bounded = not any(can_collapse(arrays, g) for arrays in problem.blocks for g in arrays.groups)
    if not len(rows) or problem.spec.k == 1 or (bounded and collapsed.weights is not None):
        return
    shares = mean_weights(problem, runs.theta[rows])
    if collapsed.weights is None:
        runs.status[rows[(shares < VANISHED).any(1)]] = "degenerate"
    for r in rows[suspects(problem, shares)]:
        gain = narrowness(problem, runs.theta[r]).max()
        if gain > 0 and runs.status[r] != "degenerate":
            runs.status[r] = "degenerate" if gain > COLLAPSED_GAIN else "spurious"


def _within_rounding(problem: Problem, loglik: np.ndarray) -> np.ndarray:
    """Log of how much narrower than the responses one component of a user's family is, (R,).

    By the mean log density, which is that of a normal density so narrow; zero for other models.
    """
    none = np.zeros(len(loglik))
    if problem.spec.k > 1 or len(problem.blocks) > 1:
        return none
    (arrays,), (group,) = problem.blocks, problem.blocks[0].groups
    y = arrays.observed[group.key].y
    if not group.family.is_own or group.family.is_survival or not (y != np.round(y)).any():
        return none
    count = len(y) if problem.weight is None else float(np.sum(problem.weight))
    return np.asarray(np.nan_to_num(loglik, nan=-np.inf) / count + np.log(np.std(y)))


def mean_weights(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Mean weights of the components over the units, (R, S)."""
    weights, z, w = problem.spec.weights, problem.concomitant, problem.weight
    if z is None:
        return np.exp(weights.log_weights(theta, None))[:, :, 0]
    size = max(1, BLOCK // (problem.spec.k * problem.n_units))  # starts at once
    parts = [theta[a : a + size] for a in range(0, len(theta), size)]
    means = [np.average(np.exp(weights.log_weights(part, z)), axis=2, weights=w) for part in parts]
    return np.concatenate(means)


def best(outcome: Outcome) -> int:
    """Position of the best start: spurious ones only beat those that collapsed or failed."""
    values = np.where(np.isnan(outcome.loglik), -np.inf, outcome.loglik)
    for worse in (LOST, LOST[:2]):
        sound = ~has_status(outcome, *worse)
        if sound.any():
            return int(np.argmax(np.where(sound, values, -np.inf)))
    return int(np.argmax(values))


def agreeing(outcome: Outcome) -> int:
    """How many starts of the best one's kind reached it."""
    top = outcome.loglik[best(outcome)]
    sound = ~has_status(outcome, *LOST)
    return int((sound & (np.abs(outcome.loglik - top) <= AGREE * (abs(top) + 1))).sum())


def classification(
    problem: Problem,
    theta: np.ndarray,
    options: Options,
    rng: np.random.Generator | None,
    progress: Progress | None = None,
) -> Outcome:
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
    with kept_so_far(options) as stop:
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
    return Outcome.of(runs, interrupted=stop.pressed)


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
