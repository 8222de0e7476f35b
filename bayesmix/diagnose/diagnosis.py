"""Diagnostics of relabelled chains, all together."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bayesmix.diagnose import causes, findings
from bayesmix.diagnose.chains import Chains, chain_memberships, unit_weight
from bayesmix.diagnose.convergence import convergence, convergence_table
from bayesmix.diagnose.findings import Finding
from bayesmix.problem import Problem
from bayesmix.spec import MixtureSpec

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True)
class Diagnosis:
    """Whether chains agree, and if not, why.

    Parameters
    ----------
    table : DataFrame
        component, term, effect, r_hat, ess_bulk and ess_tail of every parameter.
    r_hat_log_density, ess_log_density : float
        Of the log density, which does not depend on labels (the bulk ESS).
    divergences : float
        Share of divergent transitions; NaN where unknown.
    modes : tuple of int
        The mode that each chain is in, numbered from 0; -1 for a chain that is stuck or
        has lost a component.
    findings : tuple of Finding
    """

    table: pd.DataFrame = field(repr=False)
    r_hat_log_density: float
    ess_log_density: float
    divergences: float
    modes: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def r_hat(self) -> float:
        """The largest R-hat of the parameters and the log density."""
        return findings.worst(self.table, self.r_hat_log_density)[0]

    @property
    def ess(self) -> float:
        """The smallest effective sample size of the parameters, in the bulk or the tails."""
        return findings.worst(self.table, self.r_hat_log_density)[1]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of what is wrong."""
        return tuple(dict.fromkeys(f.kind for f in self.findings))


def diagnose(
    problem: Problem,
    theta: np.ndarray,
    log_density: np.ndarray,
    *,
    draws: Mapping[tuple[Hashable, str, str], np.ndarray] | None = None,
    diverging: np.ndarray | None = None,
) -> Diagnosis:
    """Diagnose relabelled chains.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (chain, draw, D)
        Relabelled.
    log_density : ndarray, shape (chain, draw)
    draws : mapping of (component, term, effect) to ndarray, optional
        Draws (chain, draw) of the quantities for the table; theta's own entries unless
        given.
    diverging : ndarray of bool, shape (chain, draw), optional
    """
    spec = problem.spec
    table = convergence_table(_own_draws(spec, theta) if draws is None else draws)
    level = convergence(log_density[..., None])
    chains, weight = chain_memberships(problem, theta), unit_weight(problem)
    still = causes.stuck(theta[..., spec.free])
    moving = ~still
    lost = causes.vanished(spec.layout, chains) & moving[:, None]
    # A component that is lost everywhere does not tell chains apart.
    own_cause = still | (lost & ~lost[moving].all(0)).any(1)
    mode = np.full(len(theta), -1)
    rest = np.flatnonzero(~own_cause)
    if len(rest):
        some = Chains(*(part[rest] for part in chains))
        mode[rest] = causes.modes(spec.layout, theta[rest], log_density[rest], some, weight)
    moved = Chains(*(part[moving] for part in chains))
    pairs = [
        pair
        for pair in (causes.twins(spec.layout, theta[moving], moved) if moving.any() else [])
        if not lost[:, pair].any()
    ]
    share = np.nan if diverging is None else float(np.mean(diverging))
    found = findings.standing(still)
    found += findings.lost_components(spec, lost, still, chains)
    found += findings.in_modes(spec, mode, log_density, chains, weight)
    found += findings.twin_pairs(spec, pairs)
    found += findings.divergent(share)
    r_hat = float(level.r_hat[0])
    found = found or findings.slow(table, r_hat)
    return Diagnosis(
        table, r_hat, float(level.ess_bulk[0]), share, tuple(mode.tolist()), tuple(found)
    )


def _own_draws(spec: MixtureSpec, theta: np.ndarray) -> dict[tuple[Hashable, str, str], np.ndarray]:
    """Entries of theta by the names of their components, their term and effect."""
    out = {}
    for at, c in enumerate(spec.layout.coordinates):
        names = tuple(spec.components[s] for s in c.components)
        term = c.term if len(spec.layout.blocks) == 1 else f"{c.variable}: {c.term}"
        out[names[0] if len(names) == 1 else names, term, c.effect] = theta[..., at]
    return out
