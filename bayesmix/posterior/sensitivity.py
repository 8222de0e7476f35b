"""How a posterior depends on its priors, by power-scaling them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from bayesmix.errors import FitError
from bayesmix.model.data import named_data
from bayesmix.posterior.drawn import Drawn, draws_dataset, log_prior_dataset
from bayesmix.priors.variables import free_variables


def prior_sensitivity(drawn: Drawn, alpha: float) -> pd.DataFrame:
    """ArviZ's power-scaling diagnostics of every parameter that is drawn.

    Parameters
    ----------
    drawn : Drawn
    alpha : float

    Raises
    ------
    FitError
        If alpha is not between 0 and 1, or the draws are stacked or too few.
    """
    import arviz_stats
    from xarray import Dataset, DataTree

    if not isinstance(alpha, int | float | np.number) or not 0 < alpha < 1:
        raise FitError(f"sensitivity(alpha={alpha!r}) must be between 0 and 1, such as 0.01")
    if drawn.method == "stacking":
        raise FitError("stacked draws are weighted already; ask the posterior before stacking")
    # What splines have given tau is part of the model, as random effects are; tau has a prior.
    free = free_variables(drawn.spec, drawn.priors)
    splines = [v.name for v in free if v.spline is not None]
    posterior = draws_dataset(drawn.spec, drawn.priors, drawn.theta).drop_vars(splines)
    log_priors = log_prior_dataset(drawn.spec, drawn.priors, drawn.theta).drop_vars(splines)
    loglik = (("chain", "draw", "unit"), drawn.log_likelihood)
    own = {"component": LABEL} if "component" in log_priors.dims else {}
    # ArviZ stacks results along a dimension of its own called component.
    tree = DataTree.from_dict(
        {
            "posterior": posterior.rename(component=LABEL),
            "log_likelihood": Dataset({named_data(drawn.spec).response: loglik}),
            "log_prior": log_priors.rename(own),
        }
    )
    names = [str(n) for n, v in posterior.data_vars.items() if float(v.std(LEAD).max()) > 0]
    powers = (1 / (1 + alpha), 1 + alpha)
    try:
        with _quiet():
            table = arviz_stats.psense_summary(tree, var_names=names, alphas=powers)
    except ValueError as error:  # a tail that has one value
        msg = f"{posterior.sizes['draw']} draws are too few to scale the priors; take more"
        raise FitError(msg) from error
    return table.dropna(subset=["prior", "likelihood"])  # constants: what a component lacks


LABEL = "mixture_component"
LEAD = ("chain", "draw")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without ArviZ's log line, for the table has the diagnoses."""
    logger = logging.getLogger("arviz_stats")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
