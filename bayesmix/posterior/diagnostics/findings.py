"""What is wrong with chains, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesmix.model import MixtureSpec
from bayesmix.posterior.diagnostics.causes import Chains, between
from bayesmix.posterior.mode import LEAST_SHARE, Mode

R_HAT = 1.01
ESS = 400
DIVERGENT = 0.01
# Pareto k-hat of Laplace's importance weights.
GOOD_K = 0.7


@dataclass(frozen=True)
class Finding:
    """One problem, with its remedy.

    Parameters
    ----------
    kind : str
        "stuck", "different modes", "vanished component", "twin components",
        "divergences", "modes apart", "unvisited modes" or "slow mixing"; for Laplace's draws
        "poor approximation" or "few draws".
    chains : tuple of int
        The chains concerned, numbered from 0 as in ArviZ.
    components : tuple of hashable
        The components concerned, by name.
    what : str
        What was seen.
    remedy : str
        What to do.
    """

    kind: str
    chains: tuple[int, ...]
    components: tuple[Hashable, ...]
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}. {self.remedy}"


def _list(kind: str, items: Iterable[object]) -> str:
    names = [str(x) for x in items]
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _numbers(which: np.ndarray) -> tuple[int, ...]:
    return tuple(np.flatnonzero(which).tolist())


def standing(still: np.ndarray) -> Iterator[Finding]:
    """Findings about chains (chain,) that hardly move."""
    if still.any():
        at = _numbers(still)
        remedy = (
            "Sample again with another seed= or more tune=; if a variance has collapsed there, use "
            "a tighter prior for the dispersion, or dispersion='fixed'"
        )
        yield Finding("stuck", at, (), f"{_list('chain', at)} hardly moved", remedy)


def lost_components(
    spec: MixtureSpec, lost: np.ndarray, still: np.ndarray, chains: Chains
) -> Iterator[Finding]:
    """Findings about components that are nearly empty, (chain, S)."""
    for s in np.flatnonzero(lost.any(0)):
        at, name = _numbers(lost[:, s]), spec.components[s]
        everywhere = lost[~still, s].all()
        where = "every chain" if everywhere else _list("chain", at)
        what = (
            f"component {name} holds only {chains.rows[lost[:, s], s].mean():.2g} rows in {where}, "
            "fewer than it has parameters"
        )
        first = "Use" if everywhere else "Chains found different components: use"
        remedy = (
            f"{first} a smaller k; a larger Dirichlet concentration for the weights would keep the "
            "component filled"
        )
        yield Finding("vanished component", at, (name,), what, remedy)


def in_modes(spec: MixtureSpec, mode: np.ndarray, chains: Chains) -> Iterator[Finding]:
    """Findings about chains in different modes (chain,); those at -1 do not count."""
    groups = [np.flatnonzero(mode == m) for m in range(mode.max() + 1)]
    if len(groups) < 2:
        return
    means = [chains.mean[g].mean(0) for g in groups]
    gap = max(between(spec.layout, a, b)[0] for i, a in enumerate(means) for b in means[:i])
    level = chains.log_density.mean(1)
    parts = [f"{_list('chain', g)} (mean log density {level[g].mean():.2f})" for g in groups]
    what = (
        f"{' and '.join(parts)} stay in {len(groups)} modes that differ beyond labels; between "
        f"them {100 * gap:.0f} percent of a unit's membership changes"
    )
    remedy = (
        "Do not average over these chains as they are: weight the modes (by stacking, "
        "Posterior.stack(), or by their masses), or start more chains at each of them"
    )
    yield Finding("different modes", _numbers(mode >= 0), (), what, remedy)


def twin_pairs(spec: MixtureSpec, pairs: list[tuple[int, int]]) -> Iterator[Finding]:
    """Findings about pairs of components that are alike."""
    for pair in pairs:
        names = tuple(spec.components[s] for s in pair)
        what = (
            f"{_list('component', names)} have the same parameters within their uncertainty and "
            "share their units, so their labels are not identified"
        )
        remedy = (
            "Use a smaller k, or report what does not depend on labels: marginal predictions and "
            "the consensus partition"
        )
        yield Finding("twin components", (), names, what, remedy)


def divergent(share: float) -> Iterator[Finding]:
    """Findings about divergent transitions, if there are more than a few."""
    if share > DIVERGENT:
        what = f"{100 * share:.1f} percent of the transitions diverged"
        remedy = (
            "Parts of the posterior may be missed: use tighter priors for dispersions and weights, "
            "or sample the model of to_pymc() with a higher target_accept"
        )
        yield Finding("divergences", (), (), what, remedy)


def worst(table: pd.DataFrame, r_hat_log_density: float) -> tuple[float, float]:
    """The largest R-hat, with that of the log density, and the smallest ESS, bulk or tail.

    R-hat is NaN where none is known, as for one chain.
    """
    known = [r for r in (r_hat_log_density, *table.r_hat) if not np.isnan(r)]
    return max(known, default=np.nan), _smallest_ess(table)


def _smallest_ess(table: pd.DataFrame) -> float:
    return float(np.nanmin([*table.ess_bulk, *table.ess_tail, np.inf]))


def slow(table: pd.DataFrame, r_hat_log_density: float) -> Iterator[Finding]:
    """Findings about chains that agree but have not run long enough."""
    r_hat, ess = worst(table, r_hat_log_density)
    if not r_hat > R_HAT and ess >= ESS:
        return
    what = f"{_small(ess)}; R-hat needs at least 2 chains"
    if not np.isnan(r_hat):
        what = (
            f"the largest R-hat is {r_hat:.3f} and the smallest effective sample size {ess:.0f}; "
            f"they should be at most {R_HAT} and at least {ESS}. The chains are in one mode and "
            "all of them move"
        )
    remedy = (
        "Use more draws= or a larger thin=, and more tune=; if that does not help, tighter "
        "priors or a smaller k"
    )
    yield Finding("slow mixing", (), (), what, remedy)


def few_draws(table: pd.DataFrame) -> Iterator[Finding]:
    """Findings about too few independent draws."""
    if (ess := _smallest_ess(table)) < ESS:
        yield Finding("few draws", (), (), _small(ess), "Use more draws=; they are independent")


def _small(ess: float) -> str:
    return f"the smallest effective sample size is {ess:.0f}, and should be at least {ESS}"


def poor_approximation(khat: float) -> Iterator[Finding]:
    """Findings about Laplace's approximation if its importance weights say that it is poor."""
    if khat > GOOD_K:
        what = f"Laplace's approximation is poor here: Pareto k-hat {khat:.2f} is above {GOOD_K}"
        yield Finding("poor approximation", (), (), what, "Use method='nuts'")


def lesser_modes(
    modes: Sequence[Mode], apart: Sequence[int], unvisited: Sequence[int], left: Sequence[int]
) -> Iterator[Finding]:
    """Findings about modes with some of the mass that the draws miss.

    Parameters
    ----------
    modes : sequence of Mode
    apart, unvisited : sequence of int
        Modes where a separate chain stayed, and modes that no chain or hardly any visited.
    left : sequence of int
        Modes where a separate chain started and did not stay.
    """
    estimate = "(Laplace's estimate; see Posterior.modes)"
    if apart:
        what = (
            f"a separate chain that started at {_with_shares(modes, apart)} {estimate} stayed "
            "there, and is not among the draws"
        )
        remedy = "The draws miss this mode; Posterior.stack() weights it with the others"
        yield Finding("modes apart", (), (), what, remedy)
    missed = [m for m in unvisited if modes[m].share > LEAST_SHARE]
    if missed:
        what = f"no chain visited {_with_shares(modes, missed)} {estimate}"
        if late := [m for m in missed if m in left]:
            what += (
                f"; a separate chain that started at {_list('mode', late)}, and is not among the "
                "draws, stayed there for long before it reached the others"
            )
        remedy = (
            "Use more draws= or a larger thin= so that chains move between modes, or more chains="
        )
        yield Finding("unvisited modes", (), (), what, remedy)


def _with_shares(modes: Sequence[Mode], at: Sequence[int]) -> str:
    return ", ".join(f"mode {m} with {modes[m].share:.0%} of the mass" for m in at)
