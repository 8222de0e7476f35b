"""From a specification to posterior draws: Laplace's approximation and NUTS."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import at_least, door, generator, one_of, written_options
from bayesmix._arguments.memory import check_memory
from bayesmix.distributions import Prior
from bayesmix.errors import SpecError, warn
from bayesmix.estimation.maximise import Options
from bayesmix.estimation.modes import modes_among, search
from bayesmix.estimation.point import FitOptions, fit_point
from bayesmix.estimation.progress import on_screen
from bayesmix.estimation.smooths import settle
from bayesmix.estimation.starts import subsample
from bayesmix.likelihood.problem import Problem, sample_of
from bayesmix.model import MixtureSpec
from bayesmix.model.fixed import hold
from bayesmix.model.params import permute
from bayesmix.posterior.diagnostics import (
    Diagnosis,
    Finding,
    diagnose,
    diagnose_laplace,
    diagnose_stacked,
    lesser_modes,
)
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.labels import METHODS, agreement, filled_counts, relabel
from bayesmix.posterior.mode import Mode
from bayesmix.priors import CONCENTRATION, Penalty, PriorModel, resolve, with_smooths
from bayesmix.results.fitted import Fitted, canonical_order, standard_problem
from bayesmix.sampling import ACCEPT, Chains, Saved, Settings, modes_apart, run_nutpie
from bayesmix.sampling.laplace import GOOD_K, laplace_draws
from bayesmix.sampling.length import run_long_enough
from bayesmix.sampling.pymc import run_pymc
from bayesmix.sampling.smooth import with_smooth_entries

SAMPLERS = ("nutpie", "pymc", "numpyro")
METHOD = "stephens"
# Starts of the search for modes: the most, the fewest, and between them starts times units.
MODE_STARTS, FEW_STARTS, MODE_UNITS = 100, 10, 20_000
# Of many units so many say which component is which in a draw.
LABELLING = 1_000
WHOLE = 0.99
# Copies of all draws at work together, and numbers of the sampler beside each.
COPIES = 6
STATISTICS = 12


@door(title="fit()", draws=at_least(10, "the number of draws"))
@dataclass(frozen=True)
class LaplaceOptions:
    """The options of every posterior; see `Mixture.fit`."""

    draws: int = 4000
    seed: Any = None
    init: Any = None
    fixed_params: Mapping[tuple[Hashable, str], float] | None = None
    progress: bool | None = None
    n_threads: int | None = None


@door(title="fit()", draws=at_least(10, "the number of draws"), sampler=one_of(*SAMPLERS))
@dataclass(frozen=True)
class NutsOptions(LaplaceOptions):
    """The options of NUTS; see `Mixture.fit`."""

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    thin: int | None = None
    sampler: str = "nutpie"
    checkpoint: str | os.PathLike[str] | None = None


def fit_posterior(
    spec: MixtureSpec,
    method: str,
    options: LaplaceOptions,
    priors: Any,
    saved: Saved | None = None,
) -> Drawn:
    """Draw from the posterior, relabelled.

    Parameters
    ----------
    spec : MixtureSpec
    method : str
        "laplace" or "nuts".
    options : LaplaceOptions
    priors : None or dict
        See `penalty.resolve`.
    saved : Saved, optional
        Where the parts of a run of NUTS are kept.

    Raises
    ------
    SpecError, FitError
        If an option is not understood, the priors are improper, or there is no mode.
    """
    _check_memory(spec, options)
    drawn, found = _fit_posterior(spec, method, options, priors, saved)
    for finding in found:
        warn(finding.kind, str(finding))
    return drawn


def _fit_posterior(
    spec: MixtureSpec, method: str, options: LaplaceOptions, priors: Any, saved: Saved | None
) -> tuple[Drawn, tuple[Finding, ...]]:
    """Relabelled draws, and what is wrong with them."""
    spec = with_smooths(spec, priors)
    if options.fixed_params:
        spec = hold(spec, options.fixed_params)
    model = _proper(spec, method, resolve(spec, priors))
    rng = generator(options.seed)
    if model.is_sparse:
        _check_sparse(method, options, model)
    begun = begin(spec, model, priors, options, rng)
    if method == "laplace":
        return _laplace(begun, options, rng), ()
    assert isinstance(options, NutsOptions)
    return _nuts(begun, options, rng, saved)


@dataclass(frozen=True)
class Begun:
    """Where draws begin.

    Parameters
    ----------
    model : PriorModel
        In the user's coordinates.
    point : Fitted
        The posterior mode on natural scales.
    modes : tuple of Mode
        All modes of theta's own density, in the standard coordinates of the problem.
    problem : Problem
    """

    model: PriorModel
    point: Fitted
    modes: tuple[Mode, ...]
    problem: Problem

    @property
    def spec(self) -> MixtureSpec:
        """The specification of draws, in which what the point fit chose is free."""
        own, given = self.point.spec, self.problem.spec
        held = {at: value for at, value in own.held.items() if at in given.held}
        return replace(own, held=held, layout=replace(own.layout, symmetric=given.layout.symmetric))

    def in_users(self, chains: Chains) -> Chains:
        """Chains in the user's coordinates instead of standard ones."""
        standard = self.problem.standard
        change = standard.constant - standard.to_user.log_volume
        return replace(
            chains,
            theta=standard.to_user(chains.theta),
            log_density=chains.log_density + change,
            stats={n: v + change if n == "logp" else v for n, v in chains.stats.items()},
        )

    def modes_in_users(self) -> tuple[Mode, ...]:
        """Modes in the user's coordinates and order of components instead of standard ones."""
        standard, spec = self.problem.standard, self.spec
        free = np.flatnonzero(spec.free)
        volume, constant = standard.to_user.log_volume, standard.constant
        out = []
        for mode in self.modes:
            theta = standard.to_user(mode.theta)
            order = canonical_order(spec, theta)
            ways = (standard.to_user.jacobian(mode.theta)[:, free] @ mode.factor).T
            out.append(
                replace(
                    mode,
                    theta=permute(spec.layout, theta, order),
                    log_density=mode.log_density + constant - volume,
                    factor=permute(spec.layout, ways, order)[:, free].T,
                    log_mass=mode.log_mass + constant,
                )
            )
        return tuple(out)

    def drawn(self, method: str, sampler: str, chains: Chains, **more: Any) -> Drawn:
        """Chains in the user's coordinates as relabelled draws; those not pooled are apart."""
        own, apart = (chains.part(s) for s in (slice(chains.pooled), slice(chains.pooled, None)))
        drawn = Drawn(
            self.spec,
            self.model,
            method,
            sampler,
            own.theta,
            own.raw,
            own.log_density,
            own.stats,
            self.modes_in_users(),
            own.mode,
            self.point,
            "none",
            apart=apart if len(apart.mode) else None,
            **more,
        )
        return relabelled(drawn, METHOD, None)


def begin(
    spec: MixtureSpec,
    model: PriorModel,
    priors: Any,
    options: LaplaceOptions,
    rng: np.random.Generator,
) -> Begun:
    """The posterior mode on natural scales, and all modes of theta's own density."""
    if model.is_sparse:
        priors = {**priors, "weight": Prior("dirichlet", concentration=CONCENTRATION)}
    penalty = Penalty(model, jacobian=True)
    problem = standard_problem(spec, penalty, options.n_threads)
    starts = None if options.init is not None else _starts(spec)
    asked = FitOptions(
        starts=starts, seed=rng, init=options.init, progress=False, n_threads=options.n_threads
    )

    def point_of(ends: np.ndarray | None = None) -> Fitted:
        """The posterior mode, from the user's start, ends of other runs or random starts."""
        with warnings.catch_warnings():
            # The draws show how the chains end; the mode is only where they begin.
            warnings.simplefilter("ignore")
            return fit_point(spec, "map", asked, priors, begin=ends)

    if not spec.smooths:
        return Begun(model, *_point_and_modes(problem, point_of, options, rng), problem)
    point = point_of()
    # Each component has its own tau, so that starts with other labels would be other models.
    given = standard_problem(point.spec, penalty, options.n_threads)
    least = {at: -np.inf for at in point.spec.held if at not in spec.held}
    theta, _ = settle(given, point.standard_theta[None], Options(), least)
    modes = modes_among(given, search(given, 0, rng, theta), None)
    modes = tuple(with_smooth_entries(problem, mode) for mode in modes)
    return Begun(model, point, modes, problem)


def chain_diagnosis(drawn: Drawn) -> Diagnosis:
    """R-hat and ESS of every summary row, why chains disagree, and modes that they missed."""
    table = drawn.convergence.copy()
    if drawn.method == "laplace":
        return diagnose_laplace(table, drawn.log_density, drawn.khat)
    if drawn.method == "stacking":
        return diagnose_stacked(table)
    sparse = drawn.priors.is_sparse
    filled = filled_counts(drawn.problem, drawn.theta, np.random.default_rng(0)) if sparse else None
    found = diagnose(
        drawn.problem,
        drawn.theta,
        drawn.log_density,
        table=table,
        diverging=drawn.stats.get("diverging"),
        filled=filled,
    )
    if sparse:
        return found
    missed, apart = drawn.visits.unvisited, drawn.own_places
    begun = () if drawn.apart is None else drawn.apart.mode
    left = [int(m) for m in begun if m not in apart]
    words = lesser_modes(drawn.modes, apart, missed, left)
    return replace(found, findings=(*found.findings, *words), unvisited=missed, apart=apart)


def methods_agreement(drawn: Drawn) -> pd.DataFrame:
    """Share of draws that pairs of relabelling methods order alike."""
    point = drawn.point.theta
    orders = {name: relabel(drawn.problem, drawn.raw, name, mode=point).orders for name in METHODS}
    return agreement(orders)


def _check_memory(spec: MixtureSpec, options: LaplaceOptions) -> None:
    """Draws are held some times at once: as drawn, on a natural scale, relabelled, in tables."""
    made = options.draws
    if isinstance(options, NutsOptions):
        made *= (options.thin or 1) * options.chains
    held = 8 * COPIES * (spec.layout.size + STATISTICS)
    check_memory(made * held, f"draws={options.draws}", "ask for fewer draws")


def _proper(spec: MixtureSpec, method: str, model: PriorModel | None) -> PriorModel:
    """The priors, or an error where the posterior would be improper without them."""
    if model is None:
        why = "makes an improper posterior" if spec.k > 1 else "may make an improper posterior"
        msg = (
            f"priors='flat' {why}, which method={method!r} cannot draw from; leave priors= out for "
            "the weakly informative defaults, or give your own, such as "
            "Prior('normal', mu=0, sigma=100)"
        )
        raise SpecError(msg)
    if spec.weights.held is not None:
        msg = f"fixed weights (fixed_params) are not available with method={method!r}"
        raise SpecError(msg)
    if not spec.free.any():
        msg = f"fixed_params holds every parameter; method={method!r} has nothing to draw"
        raise SpecError(msg)
    return model


def _check_sparse(method: str, options: LaplaceOptions, model: PriorModel) -> None:
    """Refuse what a Dirichlet prior below one has no room for."""
    what = f"the Dirichlet prior of the weights has concentration {model.concentration:g} < 1, and"
    if method == "laplace":
        msg = (
            f"{what} its mass lies along the weights that go to zero, not around a mode, so "
            "Laplace's approximation does not apply; use method='nuts', or a concentration of at "
            "least 1"
        )
        raise SpecError(msg)
    assert isinstance(options, NutsOptions)
    if options.sampler != "nutpie":
        msg = (
            f"{what} weights become smaller than the smallest number, which the PyMC model of "
            f"sampler={options.sampler!r} cannot handle; use sampler='nutpie'"
        )
        raise SpecError(msg)


def _starts(spec: MixtureSpec) -> int:
    """Starts of the search for modes: few with many units, where one mode has most of the mass."""
    return max(FEW_STARTS, min(MODE_STARTS, MODE_UNITS // spec.rows.n_units))


def _point_and_modes(
    problem: Problem,
    point_of: Callable[..., Fitted],
    options: LaplaceOptions,
    rng: np.random.Generator,
) -> tuple[Fitted, tuple[Mode, ...]]:
    """The posterior's modes; under a sparse prior one where the chains can begin.

    Random starts are run once, in the density that is drawn from; the mode on natural scales is
    searched from their ends.
    """
    model, starts = problem.priors, 0 if problem.spec.k == 1 else _starts(problem.spec)
    if model.is_sparse:
        milder = Penalty(replace(model, concentration=CONCENTRATION), jacobian=True)
        problem = replace(problem, penalty=milder)
    if starts and options.init is None:
        outcome = search(problem, starts, rng)
        point = point_of(problem.spec.user(outcome.theta))
    else:
        # What the point has at the end of a range is held there: its own coordinates may differ.
        point = point_of()
        first = problem.standard.to_standard(point.theta[None])
        outcome = search(problem, starts, rng, first)
    modes = modes_among(problem, outcome, rng if starts else None)
    return point, (replace(modes[0], share=1.0),) if model.is_sparse else modes


def _laplace(begun: Begun, options: LaplaceOptions, rng: np.random.Generator) -> Drawn:
    """Draws around the heaviest mode; the other modes are reported, not visited."""
    mode = begun.modes[0]
    draws = laplace_draws(begun.problem, mode, options.draws, rng)
    if draws.khat > GOOD_K:
        words = f"Pareto k-hat {draws.khat:.2f}, above {GOOD_K}"
        warn(
            "poor approximation",
            f"Laplace's approximation is poor here ({words}): use method='nuts'",
        )
    if mode.share < WHOLE:
        warn(
            "one mode",
            f"Laplace's draws are around one mode with {mode.share:.0%} of the mass; "
            "Posterior.modes lists the others. Use method='nuts'",
        )
    made = Chains(draws.theta[None], draws.log_density[None], {}, np.zeros(1, int), 1)
    more = {"khat": draws.khat, "asked": written_options(options)}
    return begun.drawn("laplace", draws.proposal, begun.in_users(made), **more)


def _nuts(
    begun: Begun, options: NutsOptions, rng: np.random.Generator, saved: Saved | None
) -> tuple[Drawn, tuple[Finding, ...]]:
    """Relabelled draws, and what is wrong with them."""
    settings = Settings(
        options.draws,
        options.tune,
        options.chains,
        int(rng.integers(1, 2**31)),
        on_screen() if options.progress is None else options.progress,
        saved=saved,
    )

    def run(thin: int, accept: float = ACCEPT, before: Drawn | None = None) -> Drawn:
        return _run(begun, options, replace(settings, thin=thin, accept=accept), before)

    try:
        if options.thin is None and options.sampler == "nutpie" and options.chains > 1:
            drawn, diagnosis = run_long_enough(run, chain_diagnosis)
            return drawn, diagnosis.findings
        drawn = run(options.thin or 1)
    except _InterruptedError as stop:
        drawn = stop.drawn
        chains, draws = drawn.theta.shape[:2]
        warn(
            "interrupted",
            f"interrupted: the posterior has the {draws} draws of each of {chains} chains so far, "
            f"of {options.draws} and {options.chains} requested"
            + ("; the same call goes on from the checkpoint" if saved is not None else ""),
        )
    return drawn, () if len(drawn.theta) == 1 else chain_diagnosis(drawn).findings


class _InterruptedError(Exception):
    """Ctrl-C ended a run that had draws."""

    def __init__(self, drawn: Drawn) -> None:
        super().__init__("interrupted")
        self.drawn = drawn


def _run(begun: Begun, options: NutsOptions, settings: Settings, before: Drawn | None) -> Drawn:
    """One run of all chains; chains apart are those of the run before."""
    problem, modes = begun.problem, begun.modes
    apart = () if before is not None else modes_apart(modes, settings.chains)
    made: Chains = (
        run_nutpie(problem, modes, settings, apart)
        if options.sampler == "nutpie"
        else run_pymc(begun.spec, begun.model, problem, modes, options.sampler, settings, apart)
    )
    more = {"thin": settings.thin, "asked": written_options(options)}
    drawn = begun.drawn("nuts", options.sampler, begun.in_users(made), **more)
    if before is not None:
        drawn = replace(drawn, apart=before.apart)
    if made.interrupted:  # a whole run is better than a part of a longer one
        raise _InterruptedError(drawn if before is None else before)
    return drawn


def relabelled(drawn: Drawn, method: str, by: str | None) -> Drawn:
    """The same draws with their components relabelled by another method.

    Parameters
    ----------
    drawn : Drawn
    method : str
        "stephens", "ecr", "pivot" or "ordering".
    by : str, optional
        What "ordering" sorts by.
    """

    def labelled(raw: np.ndarray) -> np.ndarray:
        return relabel(problem, raw, method, mode=drawn.point.theta, by=by).theta

    problem = sample_of(drawn.problem)
    if problem.n_units > 2 * LABELLING:
        problem = subsample(problem, LABELLING, np.random.default_rng(0))

    apart = drawn.apart
    if apart is not None:
        apart = replace(apart, theta=labelled(apart.raw))
    return replace(drawn, theta=labelled(drawn.raw), relabelling=method, apart=apart)
