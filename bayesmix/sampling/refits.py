"""Leave one unit out: importance sampling, moment matching, exact refits."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from bayesmix.comparison.loo import Loo, loo
from bayesmix.comparison.pointwise import log_mean
from bayesmix.comparison.psis import good_k
from bayesmix.comparison.repair import Matching, repair
from bayesmix.comparison.waic import Waic, waic
from bayesmix.errors import FitError
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.likelihood.compress import units_of
from bayesmix.likelihood.problem import Problem
from bayesmix.model import MixtureSpec
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.mode import Mode
from bayesmix.posterior.pointwise import by_units, unit_log_likelihood
from bayesmix.sampling import Settings, run_nutpie

REFIT_DRAWS = 500
REFIT_CHAINS = 4


def posterior_waic(drawn: Drawn) -> Waic:
    """WAIC by unit, the unit's component integrated out."""
    _refuse_stacked(drawn, "waic")
    table = by_units(drawn.problem, drawn.flat, lambda *values: waic(*values).pointwise)
    return Waic(table, len(drawn.flat))


def posterior_loo(drawn: Drawn, *, repaired: bool, seed: int) -> Loo:
    """PSIS-LOO by unit; `repaired` mends a high Pareto k where the rows are in memory.

    Parameters
    ----------
    drawn : Drawn
    repaired : bool
    seed : int
        Of the refits.
    """
    _refuse_stacked(drawn, "loo")
    table = by_units(drawn.problem, drawn.flat, lambda *values: loo(*values).pointwise)
    first = Loo(table, good_k(len(drawn.flat)), len(drawn.flat))
    # A repair goes through all rows some hundred times for each unit.
    if not repaired or first.n_bad == 0 or drawn.spec.rows.stream is not None:
        return first
    return repair(
        first,
        refit=lambda units: np.array([_without(drawn, int(u), seed) for u in units]),
        matching=_matching(drawn),
    )


def _refuse_stacked(drawn: Drawn, what: str) -> None:
    if drawn.method == "stacking":
        msg = (
            f"{what}() is of draws from a posterior, and stacked draws weigh its modes otherwise; "
            "`Stacking.elpd_loo` is what leaving units out gives them"
        )
        raise FitError(msg)


def _matching(drawn: Drawn) -> Matching:
    """Moment matching on the free standard coordinates of the draws as they were sampled."""
    free, standard = np.flatnonzero(drawn.spec.free), drawn.standard.standard
    raw = standard.to_standard(drawn.raw.reshape(-1, drawn.raw.shape[-1]))
    template = raw[0]

    def full(draws: np.ndarray) -> np.ndarray:
        theta = np.tile(template, (len(draws), 1))
        theta[:, free] = draws
        return theta

    @lru_cache(maxsize=1)
    def problem(u: int) -> Problem:
        return build_problem(_only(drawn.spec, u))

    def unit(draws: np.ndarray, u: int) -> np.ndarray:
        return log_likelihood(problem(u), standard.to_user(full(draws)))

    return Matching(raw[:, free], lambda d: log_likelihood(drawn.standard, full(d)), unit)


def _only(spec: MixtureSpec, unit: int) -> MixtureSpec:
    """The specification whose data are one unit alone."""
    return replace(spec, rows=units_of(spec.rows, np.array([unit])))


def _without(drawn: Drawn, unit: int, seed: int) -> float:
    """Log predictive density of a unit from a posterior that has not seen it."""
    made, spec = drawn.standard, drawn.spec
    weight = spec.rows.unit_weights.copy()
    weight[unit] = 0.0
    left = replace(made.spec, rows=replace(made.spec.rows, weight=weight))
    problem = build_problem(left, penalty=made.penalty)
    settings = Settings(REFIT_DRAWS, REFIT_DRAWS, REFIT_CHAINS, seed + unit, progress=False)
    chains = run_nutpie(problem, _standard_modes(drawn), settings)
    theta = made.standard.to_user(chains.theta.reshape(-1, chains.theta.shape[-1]))
    values = unit_log_likelihood(build_problem(_only(spec, unit)), theta)[:, 0]
    return float(log_mean(values[None])[0])


def _standard_modes(drawn: Drawn) -> tuple[Mode, ...]:
    """The modes in the coordinates of `drawn.standard`."""
    standard, free = drawn.standard.standard, np.flatnonzero(drawn.spec.free)
    out = []
    for mode in drawn.modes:
        theta = standard.to_standard(mode.theta)
        slope = standard.to_user.jacobian(theta)[free[:, None], free]
        out.append(replace(mode, theta=theta, factor=np.linalg.solve(slope, mode.factor)))
    return tuple(out)
