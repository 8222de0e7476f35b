"""NUTS in the coordinates of the mode: z with theta = mode + L z, L L' the inverse curvature.

The posterior is then close to standard normal, and every chain begins near a mode
with a little jitter.  Chains are shared out between the modes by their mass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayesmix import compiled, penalty
from bayesmix.likelihood import em_pass
from bayesmix.modes import Mode
from bayesmix.problem import Problem

__all__ = ["Chains", "run_nutpie", "share_chains"]

LEAST_SHARE = 0.01
JITTER = 0.3


@dataclass(frozen=True)
class Chains:
    """Draws of theta (chain, draw, D) with the sampler's statistics.

    `log_density` (chain, draw); `stats` by name, each (chain, draw); `mode` (chain,), the
    mode at which a chain began.
    """

    theta: np.ndarray
    log_density: np.ndarray
    stats: dict[str, np.ndarray]
    mode: np.ndarray


def share_chains(modes: tuple[Mode, ...], chains: int) -> list[int]:
    """Chains that begin at every mode, in proportion to its share of the mass.

    A mode of a few percent gets no chain of its own: pooled with the others it
    would count for much more than its mass.  `Posterior.modes` lists it.
    """
    wanted = np.array([m.share if m.share > LEAST_SHARE else 0.0 for m in modes])
    wanted = wanted / wanted.sum() * chains
    counts = np.floor(wanted).astype(int)
    rest = np.argsort(-(wanted - counts), kind="stable")
    counts[rest[: chains - counts.sum()]] += 1
    return counts.tolist()


def target(problem: Problem, mode: Mode) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Log density and gradient in the coordinates z of a mode."""
    assert problem.penalty is not None
    free = np.flatnonzero(problem.spec.free)
    likelihood = replace(problem, penalty=None)
    compiled.insist(likelihood)
    prior = penalty.gradient(problem.spec, problem.penalty.model)

    def value_and_gradient(z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        theta = mode.theta.copy()
        theta[free] += mode.factor @ z
        p = em_pass(likelihood, theta[None])
        value, slope = prior(theta)
        gradient = (p.score[0] + slope)[free] @ mode.factor
        value += float(p.loglik[0])
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            # nutpie counts this as a divergence; it needs an error, not a number.
            msg = "the log density is not finite here"
            raise ValueError(msg)
        return value, gradient

    return value_and_gradient


def run_nutpie(
    problem: Problem,
    modes: tuple[Mode, ...],
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    progress: bool,
) -> Chains:
    """Sample with nutpie from every mode that holds some of the mass.

    Parameters
    ----------
    problem : Problem
        With the priors and the Jacobian as its penalty.
    modes : tuple of Mode
    draws, tune, chains : int
    seed : int
    progress : bool
    """
    parts = []
    for number, count in enumerate(share_chains(modes, chains)):
        if count:
            part_seed = seed + 7919 * number
            parts.append(
                _run_mode(problem, modes[number], number, draws, tune, count, part_seed, progress)
            )
    return Chains(
        np.concatenate([p.theta for p in parts]),
        np.concatenate([p.log_density for p in parts]),
        {name: np.concatenate([p.stats[name] for p in parts]) for name in parts[0].stats},
        np.concatenate([p.mode for p in parts]),
    )


def _run_mode(
    problem: Problem,
    mode: Mode,
    number: int,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    progress: bool,
) -> Chains:
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    size = len(mode.factor)

    def initial(chain_seed: int) -> np.ndarray:
        rng = np.random.default_rng(abs(int(chain_seed)))
        return JITTER * rng.standard_normal(size)

    model = from_pyfunc(
        size,
        lambda: target(problem, mode),
        lambda *_: lambda z, **__: {"z": z},
        [np.dtype("float64")],
        [(size,)],
        ["z"],
        dims={"z": ("free",)},
        coords={"free": np.arange(size)},
        make_initial_point_fn=initial,
    )
    tree = nutpie.sample(
        model,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=1,
        seed=seed,
        save_warmup=False,
        progress_bar=progress,
    )
    z = np.asarray(tree["posterior"]["z"].values)
    theta = np.tile(mode.theta, (*z.shape[:2], 1))
    theta[..., np.flatnonzero(problem.spec.free)] += z @ mode.factor.T
    stats = {str(n): np.asarray(v.values) for n, v in tree["sample_stats"].data_vars.items()}
    stats = {n: v for n, v in stats.items() if v.shape == z.shape[:2]}
    return Chains(theta, stats["logp"], stats, np.full(chains, number))
