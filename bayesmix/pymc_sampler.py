"""NUTS on the PyMC model, by PyMC's own sampler or NumPyro's."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.likelihood import log_likelihood
from bayesmix.model import draws_to_theta, initial_point, to_pymc
from bayesmix.modes import Mode
from bayesmix.nuts import JITTER, Chains, share_chains
from bayesmix.problem import Problem

__all__ = ["run_pymc"]


def run_pymc(
    problem: Problem,
    modes: tuple[Mode, ...],
    sampler: str,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    progress: bool,
) -> Chains:
    """Sample the PyMC model; every chain begins near a mode.

    Parameters
    ----------
    problem : Problem
        With the priors and the Jacobian as its penalty.
    modes : tuple of Mode
    sampler : str
        "pymc" or "numpyro".
    draws, tune, chains, seed, progress
        As in `nuts.run_nutpie`.

    Raises
    ------
    SpecError
        If NumPyro is asked for and not installed.
    """
    import pymc as pm

    if sampler == "numpyro" and importlib.util.find_spec("numpyro") is None:
        msg = "sampler='numpyro' needs NumPyro: pip install 'bayesmix[numpyro]'"
        raise SpecError(msg)
    assert problem.penalty is not None
    spec = problem.spec
    model = to_pymc(spec, problem.penalty.model)
    begin = [i for i, count in enumerate(share_chains(modes, chains)) for _ in range(count)]
    rng = np.random.default_rng(seed)
    initvals = [initial_point(spec, model, _jittered(problem, modes[i], rng)) for i in begin]
    tree: Any = pm.sample(
        draws=draws,
        tune=tune,
        chains=chains,
        cores=1,
        random_seed=seed,
        progressbar=progress,
        nuts_sampler=sampler,
        initvals=initvals,
        model=model,
        compute_convergence_checks=False,
        discard_tuned_samples=True,
    )
    theta = draws_to_theta(spec, tree["posterior"].to_dataset())
    for at, value in spec.held.items():
        theta[..., at] = value
    density = log_likelihood(problem, theta.reshape(-1, theta.shape[-1]))
    stats = {str(n): np.asarray(v.values) for n, v in tree["sample_stats"].data_vars.items()}
    stats = {n: v for n, v in stats.items() if v.shape == theta.shape[:2]}
    return Chains(theta, density.reshape(theta.shape[:2]), stats, np.array(begin))


def _jittered(problem: Problem, mode: Mode, rng: np.random.Generator) -> np.ndarray:
    theta = mode.theta.copy()
    free = problem.spec.free
    theta[free] += JITTER * mode.factor @ rng.standard_normal(int(free.sum()))
    return theta
