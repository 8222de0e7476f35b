"""The methods of estimation: from a specification to a finished fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door, generator, one_of, plain, shown, written_options
from bayesmix._arguments.memory import check_memory
from bayesmix.errors import (
    FitError,
    SpecError,
    warn,
)
from bayesmix.estimation.classification import classification
from bayesmix.estimation.em import Runs
from bayesmix.estimation.maximise import (
    AGREE,
    Interrupted,
    Kept,
    Options,
    Run,
    agreeing,
    best,
    make_starts,
    maximise,
    more_starts,
    rough,
    start_from,
)
from bayesmix.estimation.progress import Progress
from bayesmix.estimation.reduce import reduced_start
from bayesmix.estimation.smooths import first_smooths, settled
from bayesmix.formula.frames import in_order, same_names
from bayesmix.likelihood import Problem, build_problem, em_pass, log_likelihood
from bayesmix.likelihood.blas import OneThread
from bayesmix.likelihood.compress import compressed
from bayesmix.model import MixtureSpec
from bayesmix.model.fixed import hold, hold_at
from bayesmix.model.params import from_dataset, permute
from bayesmix.model.smooth import held_smooths
from bayesmix.priors import Penalty, range_ends, resolve, with_smooths
from bayesmix.results.fitted import Ends, Fitted, canonical_order, standard_problem
from bayesmix.results.status import ENOUGH, diagnose

ALGORITHMS = ("em", "cem", "sem")
STARTS = 10
# Relative gain of a step at which quasi-Newton leaves the rest to Newton's method: on its own it
# walks far along ridges, and how far depends on rounding.
SMALL_GAIN = 1e-7


@door(title="fit()", algorithm=one_of(*ALGORITHMS))
@dataclass(frozen=True)
class FitOptions:
    """The options of a point fit; see `Mixture.fit`."""

    starts: int | None = None
    seed: Any = None
    init: Any = None
    fixed_params: Mapping[tuple[Hashable, str], float] | None = None
    tol: float = 1e-8
    max_iter: int = 1000
    min_weight: float = 0.0
    algorithm: str = "em"
    progress: bool | None = None
    n_threads: int | None = None


def fit_point(
    spec: MixtureSpec,
    method: str,
    options: FitOptions,
    priors: Any = None,
    *,
    keeps: bool = False,
    begin: np.ndarray | None = None,
) -> Fitted:
    """Fit a specification by EM, direct maximum likelihood, or to the posterior mode.

    Parameters
    ----------
    spec : MixtureSpec
    method : str
        "em", "ml" or "map".
    options : FitOptions
    priors : None, "flat" or dict
        For "map"; see `penalty.resolve`.
    keeps : bool
        Whether Ctrl-C gives the best so far, with a warning, once there is any.
    begin : ndarray, shape (R, D), optional
        Starts in the user's coordinates that are ends of other runs, instead of new ones.

    Raises
    ------
    SpecError, FitError
        If an option is not understood, or no start ends with a likelihood.
    """
    _check(method, options)
    # On the way to a collapse or to infinity numbers overflow; every log-likelihood is
    # checked, so that an end without meaning is never a fit.
    with np.errstate(all="ignore"), OneThread(spec.rows.n):
        return _fit_point(spec, method, options, priors, keeps, begin)


def _fit_point(
    spec: MixtureSpec,
    method: str,
    options: FitOptions,
    priors: Any,
    keeps: bool,
    begin: np.ndarray | None,
) -> Fitted:
    k_requested = spec.k
    spec = with_smooths(spec, priors) if method == "map" else spec
    if options.fixed_params:
        spec = hold(spec, options.fixed_params)
    penalty = _penalty(spec, priors) if method == "map" else None
    spec, least = first_smooths(spec)
    problem = standard_problem(spec, penalty, options.n_threads)
    rng = generator(options.seed)
    # Sums over units are those of distinct ones; classification is about single units.
    narrow = compressed if options.algorithm == "em" else lambda problem: problem
    distinct = narrow(problem)
    settings = Options(options.tol, int(options.max_iter), keeps, ended=begin is not None)
    name = options.algorithm if method == "em" else method
    wanted = None
    with Progress(options.progress, int(options.starts or STARTS), problem) as progress:
        run = partial(rough, keeps=keeps, progress=progress.of_a_sample)
        try:
            if begin is None:
                theta = _starting(problem, distinct, options, rng, least, run)
            else:
                theta = problem.standard.to_standard(begin)
        except Interrupted as stopped:
            theta, wanted = stopped.theta, replace(settings, max_iter=1)
    if options.max_iter == 0:
        user = problem.spec.user(theta[0])
        return _evaluated(build_problem(spec, penalty=penalty), user, method, options)
    with Progress(options.progress, len(theta), problem) as progress:
        if options.min_weight > 0:
            spec, problem, theta = reduced_start(
                spec, problem, theta, options.min_weight, options.max_iter
            )
            distinct = narrow(problem)
        outcome = _run(distinct, theta, name, wanted or settings, rng, progress.update)
        with Kept(settings) as stop:
            if wanted is None and _wants_more(distinct, outcome, options):
                theta = more_starts(distinct, outcome, STARTS, rng, run)
                more = _run(distinct, theta, name, settings, rng, progress.update)
                outcome = outcome.with_(more)
        if stop.pressed or wanted is not None:
            outcome = replace(outcome, interrupted=True)
    if least and penalty is not None:
        outcome, lean = settled(distinct, outcome, settings, least)
        penalty = penalty._replace(model=replace(penalty.model, lean=lean))
        problem = standard_problem(spec, penalty, options.n_threads)
    if penalty is not None and not outcome.interrupted:
        spec, problem, outcome = _at_range_ends(spec, problem, penalty, outcome, settings)
    return _finish(spec, problem, penalty, outcome, name, options, k_requested)


def _at_range_ends(
    spec: MixtureSpec, problem: Problem, penalty: Penalty, outcome: Runs, settings: Options
) -> tuple[MixtureSpec, Problem, Runs]:
    """The best start with parameters held at the ends of their priors' ranges, where it got stuck.

    Its status is "range" then.
    """
    at = best(outcome)
    if outcome.status[at] == "converged":
        return spec, problem, outcome
    old = problem.standard
    theta = old.to_user(outcome.theta)
    theta[at] = permute(spec.layout, theta[at], canonical_order(spec, theta[at]))
    close = AGREE * (abs(outcome.loglik[at]) + 1)
    ends = _no_lower_ends(problem, penalty, theta[at], outcome.loglik[at] - close)
    if not ends:
        return spec, problem, outcome
    held = hold_at(spec, ends)
    inner = standard_problem(held, penalty, problem.n_threads)
    new = inner.standard
    theta[at, list(ends)] = list(ends.values())
    moved = new.to_standard(theta)
    ended = maximise(inner, moved[at : at + 1], settings)
    (whole,) = log_likelihood(problem, old.to_standard(new.to_user(ended.theta)))
    loglik, status = outcome.loglik.copy(), outcome.status.copy()
    if ended.status[0] != "converged" or not whole >= loglik[at] - close:
        return spec, problem, replace(outcome, interrupted=ended.interrupted)
    there = np.abs(loglik - whole) <= close
    there[at] = True
    moved[there], loglik[there], status[there] = ended.theta[0], whole, "range"
    loglik += old.constant - new.constant
    return held, inner, replace(outcome, theta=moved, loglik=loglik, status=status)


def _no_lower_ends(
    problem: Problem, penalty: Penalty, theta: np.ndarray, least: float
) -> dict[int, float]:
    """Free entries of the user's theta (D,) near an end of their range, and theta there.

    Those that are near by chance have a log density below `least` at the end.
    """
    ends = range_ends(penalty.model, theta)
    free = [j for j in ends if j not in problem.spec.held]
    if not free:
        return {}
    moved = np.tile(theta, (len(free), 1))
    moved[range(len(free)), free] = [ends[j] for j in free]
    there = log_likelihood(problem, problem.standard.to_standard(moved)) >= least
    return {j: ends[j] for j, no_lower in zip(free, there, strict=True) if no_lower}


def _penalty(spec: MixtureSpec, priors: Any) -> Penalty | None:
    model = resolve(spec, priors)
    if model is None:
        return None
    if spec.weights.held is not None:
        msg = "fixed weights (fixed_params) are not available for a posterior mode; use method='em'"
        raise SpecError(msg)
    if model.is_sparse:
        raise SpecError(
            f"the Dirichlet prior of the weights has concentration {model.concentration:g} < 1: "
            "its density is unbounded where a weight is zero, so there is no mode. Use a "
            "concentration of at least 1, or method='nuts'"
        )
    return Penalty(model, jacobian=False)


def _check(method: str, options: FitOptions) -> None:
    if method != "em" and options.algorithm != "em":
        msg = f"algorithm={options.algorithm!r} belongs to method='em', not to {method!r}"
        raise SpecError(msg)
    if method == "map" and options.min_weight > 0:
        msg = "min_weight= belongs to maximum likelihood; a prior of the weights does the same"
        raise SpecError(msg)
    if options.starts is not None:
        # Of every start its parameters, their sums, and what their last iteration had.
        check_memory(64.0 * options.starts, f"starts={options.starts}", "ask for fewer starts")
    if (
        options.max_iter == 0
        and not hasattr(options.init, "data_vars")
        and not hasattr(options.init, "params")
    ):
        msg = "max_iter=0 evaluates given parameters: give them as init=, like fit.params"
        raise SpecError(msg)
    if options.min_weight > 0 and options.fixed_params:
        raise SpecError(
            "min_weight= removes components, and fixed_params= belong to some of them; give one "
            "of the two"
        )


# --- starts --------------------------------------------------------------------------------


def _starting(
    problem: Problem,
    distinct: Problem,
    options: FitOptions,
    rng: np.random.Generator,
    least: Mapping[int, float],
    run: Run,
) -> np.ndarray:
    """Starting parameters (R, D); memberships that are given are of all units."""
    spec = problem.spec
    if options.init is None:
        return make_starts(distinct, int(options.starts or STARTS), rng, run=run)
    given = _from_init(problem, options.init, exact=options.max_iter == 0)[None]
    more = int(options.starts or 1) - 1
    theta = given if more < 1 else np.vstack([given, make_starts(distinct, more, rng, run=run)])
    for position, value in spec.held.items():
        if position not in least:  # but where a search may begin anywhere
            theta[:, position] = value
    return theta


def _from_init(problem: Problem, init: Any, *, exact: bool) -> np.ndarray:
    """Theta (D,) at which to begin; `exact`: the parameters themselves, or an error."""
    is_fit = hasattr(init, "params") and hasattr(init, "membership")
    if is_fit or hasattr(init, "data_vars"):
        try:
            theta = from_dataset(problem.spec, init.params if is_fit else init)
            return problem.standard.to_standard(theta)
        except SpecError:
            if exact or not is_fit:
                raise
            init = init.membership()  # of another model
    return start_from(problem, _membership_matrix(problem.spec, init))[0]


def _membership_matrix(spec: MixtureSpec, init: Any) -> np.ndarray:
    """A membership matrix (U, S) from a matrix or labels, by units or by rows."""
    units = spec.rows.units
    values = np.asarray(_by_names(spec, init))
    n, n_units = spec.rows.n, spec.rows.n_units
    if values.ndim not in (1, 2):
        described = shown(init) if values.ndim == 0 else f"an array of shape {values.shape}"
        raise SpecError(
            f"init is {described} and no start; give a fit, params, memberships (units or rows by "
            "components) or the label of every unit"
        )
    if len(values) == n and n != n_units:
        repeated = values[units.first][units.codes]
        if not np.array_equal(values, repeated):
            msg = "init by rows must be constant within each group: a group has one component"
            raise SpecError(msg)
        values = values[units.first]
    if len(values) != n_units:
        msg = f"init has {len(values)} entries, but the model has {n_units} units and {n} rows"
        raise SpecError(msg)
    if values.ndim == 1:
        names = list(spec.components)
        unknown = [plain(v) for v in pd.unique(values) if v not in names]
        if unknown:
            raise SpecError(f"init has the labels {unknown[:5]}; the components are {names}")
        return (values[:, None] == np.array(names, dtype=values.dtype)).astype(float)
    if values.shape[1] != spec.k:
        raise SpecError(f"init has {values.shape[1]} columns for {spec.k} components")
    matrix = values.astype(float) if values.dtype.kind in "fiub" else np.full(values.shape, np.nan)
    if not np.isfinite(matrix).all() or (matrix < 0).any() or (matrix.sum(1) <= 0).any():
        msg = "init memberships are non-negative numbers with a positive sum in every row"
        raise SpecError(msg)
    return matrix / matrix.sum(1, keepdims=True)


def _by_names(spec: MixtureSpec, init: Any) -> Any:
    """Memberships or labels of pandas in the order of the model's units, or rows, and components.

    Names that are not all the model's mean nothing: what they name stands in the model's order.
    """
    if not isinstance(init, pd.Series | pd.DataFrame):
        return init
    known = (spec.rows.units.index, spec.prepared.data.index)
    names = next((names for names in known if same_names(init.index, names)), init.index)
    init = init.iloc[in_order(init.index, names)]
    if isinstance(init, pd.Series):
        return init
    return init.iloc[:, in_order(init.columns, pd.Index(spec.components))]


def _wants_more(problem: Problem, outcome: Runs, options: FitOptions) -> bool:
    """Whether the number of starts was left open and too few of them have seen the best."""
    given = options.starts is not None or options.init is not None or options.min_weight > 0
    return (
        not given
        and problem.spec.k > 1
        and options.algorithm != "sem"
        and not outcome.interrupted
        and agreeing(outcome) < ENOUGH
    )


# --- running -------------------------------------------------------------------------------


def _run(
    problem: Problem,
    theta: np.ndarray,
    name: str,
    settings: Options,
    rng: np.random.Generator,
    progress: Callable[[str, int, float], None],
) -> Runs:
    if name == "ml":
        return maximise(problem, theta, settings, progress, quasi_newton)
    if name in ("cem", "sem"):
        drawn = rng if name == "sem" else None
        return classification(problem, theta, settings, drawn, progress)
    return maximise(problem, theta, settings, progress)


def quasi_newton(problem: Problem, runs: Runs, options: Options) -> None:
    """Ascend the log-likelihood itself by L-BFGS."""
    from scipy.optimize import minimize

    free = problem.spec.free

    def negative(x: np.ndarray, full: np.ndarray) -> tuple[float, np.ndarray]:
        full[free] = x
        p = em_pass(problem, full[None])
        if not np.isfinite(p.loglik[0]) or not np.isfinite(p.score).all():
            return 1e300, np.zeros(len(x))
        return -float(p.loglik[0]), -p.score[0, free]

    try:
        for r in range(len(runs.theta)):
            full = runs.theta[r].copy()
            done = minimize(
                negative,
                full[free],
                args=(full,),
                jac=True,
                method="L-BFGS-B",
                callback=partial(_keep, runs.theta, r, free),
                options={"maxiter": options.max_iter, "ftol": SMALL_GAIN, "gtol": 1e-6},
            )
            runs.theta[r, free] = done.x
            runs.iterations[r] = done.nfev
            over = done.nit >= options.max_iter
            runs.status[r] = "max_iter" if over else "resting"
    finally:  # after Ctrl-C too
        runs.loglik[:] = log_likelihood(problem, runs.theta)
        runs.trace.append(runs.loglik.copy())


def _keep(theta: np.ndarray, row: int, free: np.ndarray, found: np.ndarray) -> None:
    """Note where a start has come to."""
    theta[row, free] = found


def _evaluated(problem: Problem, theta: np.ndarray, method: str, options: FitOptions) -> Fitted:
    loglik = log_likelihood(replace(problem, penalty=None), theta[None])
    ends = Ends(loglik, np.zeros(1, int), np.array(["evaluated"]), 1)
    return Fitted(
        problem.spec,
        theta,
        float(loglik[0]),
        method,
        "max_iter",
        0,
        ends,
        problem.spec.k,
        penalty=problem.penalty,
        reasons=("the parameters are as given; nothing was estimated",),
        asked=written_options(options),
    )


def _finish(
    spec: MixtureSpec,
    problem: Problem,
    penalty: Penalty | None,
    outcome: Runs,
    name: str,
    options: FitOptions,
    k_requested: int,
) -> Fitted:
    """The best start in the user's coordinates, with how all of them ended."""
    at = best(outcome)
    if not np.isfinite(outcome.loglik[at]):
        raise FitError(
            f"none of the {len(outcome.loglik)} starts has a finite log-likelihood; check the "
            "response's scale against the family"
            f"{'' if penalty is None else ' and the range of the priors'}, or give init="
        )
    theta = problem.spec.user(outcome.theta[at])
    theta = permute(spec.layout, theta, canonical_order(spec, theta))
    ends = _ends(problem, outcome)
    fitted = Fitted(
        spec,
        theta,
        float(ends.loglik[at]),
        name,
        str(outcome.status[at]),
        int(outcome.iterations[at]),
        ends,
        k_requested,
        np.array([values[at] for values in outcome.trace]) + problem.standard.constant,
        penalty=penalty,
        asked=written_options(options),
    )
    if spec.smooths:
        fitted = replace(fitted, spec=held_smooths(spec, fitted.theta))
    else:
        fitted.__dict__["standard"] = problem  # arranged already; a cached property
    return _explain(fitted, outcome.interrupted)


def _ends(problem: Problem, outcome: Runs) -> Ends:
    reached, constant = agreeing(outcome), problem.standard.constant
    value = outcome.loglik + constant
    if problem.penalty is None:
        return Ends(value, outcome.iterations, outcome.status, reached)
    loglik = log_likelihood(replace(problem, penalty=None), outcome.theta) + constant
    return Ends(loglik, outcome.iterations, outcome.status, reached, value)


def _explain(fitted: Fitted, interrupted: bool) -> Fitted:
    """Turn an end that is not successful into a status, reasons and warnings."""
    status, reasons = diagnose(fitted)
    if interrupted:
        n = len(fitted.ends.loglik)
        words = f"interrupted: this is the best so far of {n} start{'s' if n > 1 else ''}"
        reasons = (*(r for r in reasons if r[0] not in ("max_iter", "starts")), ("max_iter", words))
    for kind, words in reasons:
        warn(kind, words)
    return fitted.with_status(status, tuple(words for _, words in reasons))
