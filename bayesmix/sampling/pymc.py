"""NUTS on the PyMC model, by PyMC's own sampler or NumPyro's."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.problem import Problem
from bayesmix.model import MixtureSpec
from bayesmix.posterior.mode import Mode
from bayesmix.priors import PriorModel
from bayesmix.pymc_model import draws_to_theta, initial_point
from bayesmix.sampling import Chains, Settings, beginnings, first_draw


def run_pymc(
    spec: MixtureSpec,
    priors: PriorModel,
    problem: Problem,
    modes: tuple[Mode, ...],
    sampler: str,
    settings: Settings,
    apart: Sequence[int] = (),
) -> Chains:
    """Sample the PyMC model; every chain begins near a mode.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    problem : Problem
        The same in standard coordinates, with the priors and the Jacobian as its penalty.
    modes : tuple of Mode
    sampler : str
        "pymc" or "numpyro".
    settings : Settings
    apart : sequence of int
        Modes at which one chain more begins; these chains come last.

    Raises
    ------
    SpecError
        If NumPyro is asked for and not installed.
    """
    import pymc as pm

    from bayesmix.pymc_model.build import to_pymc

    if sampler == "numpyro" and importlib.util.find_spec("numpyro") is None:
        raise SpecError("sampler='numpyro' needs NumPyro: pip install 'bayesmix[numpyro]'")
    model = to_pymc(spec, priors)
    where = np.repeat(*np.array(beginnings(modes, settings.chains, apart)).T)
    rng = np.random.default_rng(settings.seed)
    first = [
        initial_point(spec, priors, problem.standard.to_user(first_draw(problem, modes[i], rng)))
        for i in where
    ]
    # A step into a region where the density overflows is rejected, or counted as a divergence,
    # which `diagnose` reports.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        tree: Any = pm.sample(
            draws=settings.draws * settings.thin,
            tune=settings.tune,
            chains=len(where),
            cores=1,
            random_seed=settings.seed,
            progressbar=settings.progress,
            quiet=not settings.progress,
            nuts_sampler=sampler,
            initvals=first,
            model=model,
            compute_convergence_checks=False,
            discard_tuned_samples=True,
        )
    sizes = tree["posterior"].sizes
    if (sizes["chain"], sizes["draw"]) != (len(where), settings.draws * settings.thin):
        raise KeyboardInterrupt  # PyMC takes it for the end of a chain
    tree = tree.isel(draw=slice(settings.thin - 1, None, settings.thin))
    theta = problem.standard.to_standard(
        draws_to_theta(spec, priors, tree["posterior"].to_dataset())
    )
    density = log_likelihood(problem, theta.reshape(-1, theta.shape[-1]))
    stats = {str(n): np.asarray(v.values) for n, v in tree["sample_stats"].data_vars.items()}
    stats = {n: v for n, v in stats.items() if v.shape == theta.shape[:2]}
    return Chains(theta, density.reshape(theta.shape[:2]), stats, where, settings.chains)
