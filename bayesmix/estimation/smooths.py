r"""How smooth curves are: standard deviations tau of splines' coefficients, for posterior modes.

The joint density of coefficients and tau has no maximum.  So every tau maximises its own density
with the coefficients integrated out, by steps of Wood and Fasiolo (2017),

.. math:: \tau^2 \leftarrow \tau^2 \, \frac{x'x / \tau^2}{r - \operatorname{tr}(V) / \tau^2} ,

where x are the coefficients as far as they bend the curve, at the mode given tau, and V is their
covariance there.  A prior of tau adds its slope in log tau above or below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bayesmix.arrays.autodiff import jets
from bayesmix.distributions import KINDS
from bayesmix.estimation.contenders import distinct
from bayesmix.estimation.em import Runs
from bayesmix.estimation.ends import has_status
from bayesmix.estimation.maximise import LOST, Options, maximise
from bayesmix.estimation.newton import newton
from bayesmix.likelihood import Problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.smooth import smooth_sets
from bayesmix.priors.defaults import predictor_unit
from bayesmix.results.smooths import bending, coefficient_entries

# Where tau begins, and the least of it, in units of the linear predictor: a straight line.
FIRST, LEAST = 0.5, 1e-4
# Steps of all starts, and of those that differ then; the change of log tau at an end.
FEW, STEPS, STILL = 10, 200, 1e-7
MOST_SHARE = 0.9
# Of differences in dispersions, and the change of slopes at an end.
SMALL, CALM = 1e-4, 1e-4


def first_smooths(spec: MixtureSpec) -> tuple[MixtureSpec, dict[int, float]]:
    """The specification with every free tau held where its search begins, and its least values.

    Returns
    -------
    spec : MixtureSpec
    least : dict of int to float
        Entries of theta that are such a log tau, with their least values.
    """
    if not spec.smooths:
        return spec, {}
    unit = {
        tau: predictor_unit(spec, smooth.block, s, smooth.predictor)
        for smooth in spec.smooths
        for _, tau, s in smooth_sets(spec, smooth)
        if tau not in spec.held
    }
    first = {at: float(np.log(FIRST * u)) for at, u in unit.items()}
    least = {at: float(np.log(LEAST * u)) for at, u in unit.items()}
    return replace(spec, held={**spec.held, **first}), least


def settled(
    problem: Problem, outcome: Runs, options: Options, least: Mapping[int, float]
) -> tuple[Runs, np.ndarray | None]:
    """The ends of starts, each with its own tau; their values are those to be compared.

    The value of an end is its log density with the coefficients integrated out.  At the best one
    the dispersions too are where that is highest; what this adds to the prior comes second.

    Parameters
    ----------
    problem : Problem
        With smooth priors.
    outcome : Runs
        At the first tau.
    options : Options
    least : dict of int to float
        Entries of theta that are log tau and not held by the user, with their least values.
    """
    sound = np.flatnonzero(~has_status(outcome, *LOST) & np.isfinite(outcome.loglik))
    if not len(sound):
        return outcome, None
    theta, value, status = outcome.theta.copy(), outcome.loglik.copy(), outcome.status.copy()
    # Ends that differ while the curves are rough may be one when these are smoother.
    for steps in (FEW, STEPS):
        first, kind = distinct(problem, theta[sound])
        ends, how = settle(problem, theta[sound[first]], options, least, steps)
        theta[sound], status[sound] = ends[kind], how[kind]
    value[sound] = _marginal(problem, ends)[kind]
    top = int(np.argmax(value[sound]))
    best, lean = _with_dispersions(problem, theta[sound[[top]]], options, least)
    alike = sound[kind == kind[top]]
    theta[alike], value[alike] = best, _marginal(problem, best)
    return replace(outcome, theta=theta, loglik=value, status=status), lean


def _with_dispersions(
    problem: Problem, theta: np.ndarray, options: Options, least: Mapping[int, float]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The mode (1, D) with dispersions that count the coefficients, as sigma of REML does.

    Half the log determinant of the coefficients' covariance has slopes in the dispersions; they
    are added to the prior until they stay.
    """
    place = problem.priors.map
    assert place is not None
    coordinates = problem.spec.layout.coordinates
    found = np.array([c.effect == "dispersion" for c in coordinates]) & problem.spec.free
    found[coefficient_entries(problem)] = False
    own = np.eye(len(found))[:, found]
    if not found.any() or not np.array_equal(place.matrix[:, found], own):
        return theta, None
    lean = np.zeros(len(found))
    for _ in range(STEPS):
        moved = bending(problem, np.vstack([theta + SMALL * own.T, theta - SMALL * own.T]))
        above, below = np.split(moved.log_volume, 2)
        before, lean = lean, own @ ((above - below) / (2 * SMALL))
        leaning = problem.under(replace(problem.priors, lean=lean))
        theta, _ = settle(leaning, _modes(leaning, theta, options)[0], options, least)
        if np.abs(lean - before).max() < CALM:
            break
    return theta, lean


def settle(
    problem: Problem,
    theta: np.ndarray,
    options: Options,
    least: Mapping[int, float],
    steps: int = STEPS,
) -> tuple[np.ndarray, np.ndarray]:
    """The modes (R, D) with every tau where its own density is highest, and how they ended, (R,).

    With the Jacobian that is the density of log tau.

    Parameters
    ----------
    problem : Problem
        With smooth priors, and every tau held.
    theta : ndarray, shape (R, D)
        Modes given their tau.
    options : Options
    least : dict of int to float
        Entries of theta that are log tau and may move, with their least values.
    steps : int
        The largest number of steps.
    """
    assert problem.penalty is not None
    theta, status = theta.copy(), np.full(len(theta), "max_iter", dtype="U12")
    at = np.array([s.tau for s in problem.priors.smooths if s.tau in least], int)
    floor = np.array([least[int(j)] for j in at])
    which = np.isin([s.tau for s in problem.priors.smooths], at)
    active, before = np.arange(len(theta)), np.full((len(theta), len(at)), np.inf)
    for number in range(steps):
        own = theta[active]
        b = bending(problem, own)
        slope = _hyper(problem, own)[1] + problem.penalty.jacobian
        ratio = (b.squares + np.maximum(slope, 0)) / (b.rank - b.trace + np.maximum(-slope, 0))
        step = 0.5 * np.log(ratio[:, which])
        share = np.clip(step / before[active], 0.0, MOST_SHARE)
        before[active] = step
        # Steps shrink by a constant share: every third goes as far as all that follow (Aitken).
        new = np.maximum(own[:, at] + step / (1 - share if number % 3 == 2 else 1.0), floor)
        moving = np.abs(new - own[:, at]).max(1, initial=0.0) > STILL
        status[active[~moving]] = "converged"
        active, own, new = active[moving], own[moving], new[moving]
        if not len(active):
            break
        own[:, at] = new
        theta[active], ends = _modes(problem, own, options)
        lost = np.isin(ends, LOST)
        status[active[lost]] = ends[lost]
        active = active[~lost]
    return theta, status


def _modes(problem: Problem, theta: np.ndarray, options: Options) -> tuple[np.ndarray, np.ndarray]:
    """The modes given every tau, near theta (R, D), and how the search for them ended."""
    runs = Runs.begin(theta, "resting")
    runs.loglik[:] = log_likelihood(problem, runs.theta)
    newton(problem, runs, tol=options.tol)
    left = np.flatnonzero(runs.status != "converged")
    if len(left):
        outcome = maximise(problem, theta[left], options)
        runs.theta[left], runs.status[left] = outcome.theta, outcome.status
    return runs.theta, runs.status


def _hyper(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log prior densities of every tau, and their slopes in log tau, each (R, m)."""
    model, found = problem.priors, []
    for smooth in model.smooths:
        prior, link = model.single[smooth.tau]
        (u,) = jets(theta[:, [smooth.tau]])
        density = KINDS[prior.kind].logpdf(link.inverse(u), **prior.parameters)
        found.append((density.value[:, 0], density.first[0][:, 0]))
    value, slope = np.moveaxis(np.array(found), 0, -1)
    return value, slope


def _marginal(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """The log densities (R,) with the coefficients integrated out, by Laplace's approximation."""
    value = log_likelihood(problem, theta) + _hyper(problem, theta)[0].sum(-1)
    size = len(coefficient_entries(problem))
    return value + bending(problem, theta).log_volume + 0.5 * size * float(np.log(2 * np.pi))
