"""Diagnostics of relabelled chains, all together."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Described
from bayesmix.likelihood.problem import Problem
from bayesmix.model import MixtureSpec
from bayesmix.posterior.diagnostics import causes, findings
from bayesmix.posterior.diagnostics.causes import Chains, chain_memberships
from bayesmix.posterior.diagnostics.convergence import convergence, convergence_table
from bayesmix.posterior.diagnostics.findings import Finding


@dataclass(frozen=True, repr=False)
class Diagnosis(Described):
    """Whether chains agree, and the reasons if they do not.

    Parameters
    ----------
    table : DataFrame
        component, term, effect, r_hat, ess_bulk and ess_tail of every parameter.  With a
        sparse prior also those of the number of filled components; components beyond the most
        frequent number are mostly empty and have NaN.
    r_hat_log_density, ess_log_density : float
        R-hat and bulk ESS of the log density, which does not depend on labels.
    divergences : float
        Share of divergent transitions; NaN if unknown.
    modes : tuple of int
        The mode that each chain is in, numbered from 0; -1 for a chain that is stuck or
        has lost a component.
    findings : tuple of Finding
    unvisited : tuple of int
        Modes of the posterior, numbered as in `Posterior.modes`, that no chain visited.
    apart : tuple of int
        Modes, numbered in the same way, that are isolated from these chains: a separate chain
        that started there did not reach the others.
    """

    table: pd.DataFrame
    r_hat_log_density: float
    ess_log_density: float
    divergences: float
    modes: tuple[int, ...]
    findings: tuple[Finding, ...]
    unvisited: tuple[int, ...] = ()
    apart: tuple[int, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no problem was found."""
        return not self.findings

    @property
    def r_hat(self) -> float:
        """The largest R-hat of the parameters and the log density; NaN for one chain."""
        return findings.worst(self.table, self.r_hat_log_density)[0]

    @property
    def ess(self) -> float:
        """The smallest effective sample size of the parameters, in the bulk or the tails."""
        return findings.worst(self.table, self.r_hat_log_density)[1]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of problems found."""
        return tuple(dict.fromkeys(f.kind for f in self.findings))

    def _title(self) -> str:
        return "Diagnosis of the draws"

    def _items(self) -> list[str]:
        known = (
            (self.r_hat, f"largest R-hat {self.r_hat:.3f}"),
            (self.ess, f"smallest ESS {self.ess:.0f}"),
            (self.divergences, f"{self.divergences:.1%} of the transitions divergent"),
        )
        numbers = ", ".join(words for value, words in known if np.isfinite(value))
        found = [str(each) for each in self.findings] or ["nothing is wrong"]
        return [*([numbers] if numbers else []), *found]


def diagnose(
    problem: Problem,
    theta: np.ndarray,
    log_density: np.ndarray,
    *,
    table: pd.DataFrame | None = None,
    diverging: np.ndarray | None = None,
    filled: np.ndarray | None = None,
) -> Diagnosis:
    """Diagnose relabelled chains.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (chain, draw, D)
        Relabelled.
    log_density : ndarray, shape (chain, draw)
    table : DataFrame, optional
        R-hat and ESS of the quantities to report; of theta's own entries unless given.
    diverging : ndarray of bool, shape (chain, draw), optional
    filled : ndarray of int, shape (chain, draw), optional
        Numbers of filled components; given under a sparse prior, which may leave
        components empty.
    """
    spec = problem.spec
    chains = chain_memberships(problem, theta, log_density)
    still = causes.stuck(theta[..., spec.free])
    moving = ~still
    empty = causes.vanished(spec.layout, chains) & moving[:, None]
    # A sparse prior is there to empty components.
    lost = empty if filled is None else np.zeros_like(empty)
    if table is None:
        table = convergence_table(_own_draws(spec, theta))
    if filled is not None:
        table = _with_filled(spec, table, _surplus(chains, filled), filled)
    level = convergence(log_density[..., None])
    mode = _modes(spec, chains, still, lost)
    pairs: list[tuple[int, int]] = []
    if filled is None and moving.any():  # empty components do not count
        alike = causes.twins(spec.layout, chains.part(moving))
        pairs = [pair for pair in alike if not empty[:, pair].any()]
    share = np.nan if diverging is None else float(np.mean(diverging))
    r_hat = float(level.r_hat[0])
    found = (
        *findings.standing(still),
        *findings.lost_components(spec, lost, still, chains),
        *findings.in_modes(spec, mode, chains),
        *findings.twin_pairs(spec, pairs),
        *findings.divergent(share),
    ) or tuple(findings.slow(table, r_hat))
    return Diagnosis(table, r_hat, float(level.ess_bulk[0]), share, tuple(mode.tolist()), found)


def diagnose_laplace(table: pd.DataFrame, log_density: np.ndarray, khat: float) -> Diagnosis:
    """Diagnose Laplace's draws, which are independent of each other.

    Parameters
    ----------
    table : DataFrame
        R-hat and ESS of the quantities to report.
    log_density : ndarray, shape (1, draw)
    khat : float
        Pareto shape of the importance weights.
    """
    level = convergence(log_density[..., None])
    found = (*findings.poor_approximation(khat), *findings.few_draws(table))
    return Diagnosis(table, np.nan, float(level.ess_bulk[0]), np.nan, (0,), found)


def diagnose_stacked(table: pd.DataFrame) -> Diagnosis:
    """What can be said of draws that are not chains: nothing; their chains were diagnosed.

    Parameters
    ----------
    table : DataFrame
        Whose rows the diagnosis has.
    """
    table = table.assign(r_hat=np.nan, ess_bulk=np.nan, ess_tail=np.nan)
    return Diagnosis(table, np.nan, np.nan, np.nan, (), ())


def _surplus(chains: Chains, filled: np.ndarray) -> np.ndarray:
    """Components beyond the most frequent number, those with the fewest rows, (S,)."""
    rows = chains.rows.mean(0)
    out = np.ones(len(rows), bool)
    out[np.argsort(-rows, kind="stable")[: np.bincount(filled.ravel()).argmax()]] = False
    return out


def _with_filled(
    spec: MixtureSpec, table: pd.DataFrame, surplus: np.ndarray, filled: np.ndarray
) -> pd.DataFrame:
    """The table with a row for the number of filled components, and NaN for surplus ones (S,)."""
    names = [c for c, e in zip(spec.components, surplus, strict=True) if e]
    table = table.copy()
    table.loc[table["component"].isin(names), ["r_hat", "ess_bulk", "ess_tail"]] = np.nan
    own = convergence_table({("all", "filled components", "weight"): filled.astype(float)})
    # Most draws have one number: quantiles of it say nothing.
    return pd.concat([table, own.assign(ess_tail=np.nan)], ignore_index=True)


def _modes(spec: MixtureSpec, chains: Chains, still: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """The mode that each chain is in, (chain,); -1 for what has a cause of its own."""
    # A component that is lost everywhere does not tell chains apart.
    own_cause = still | (lost & ~lost[~still].all(0)).any(1)
    mode = np.full(len(still), -1)
    rest = np.flatnonzero(~own_cause)
    if len(rest):
        mode[rest] = causes.modes(spec.layout, chains.part(rest))
    return mode


def _own_draws(spec: MixtureSpec, theta: np.ndarray) -> dict[tuple[Hashable, str, str], np.ndarray]:
    """Entries of theta by the names of their components, their term and effect."""
    out = {}
    for at, c in enumerate(spec.layout.coordinates):
        names = tuple(spec.components[s] for s in c.components)
        term = c.term if len(spec.layout.blocks) == 1 else f"{c.variable}: {c.term}"
        out[names[0] if len(names) == 1 else names, term, c.effect] = theta[..., at]
    return out
