"""Starting values for a family that brings none: a rough fit without covariates."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from bayesmix.errors import DataError
from bayesmix.families.interface import FamilyLike, Observed
from bayesmix.families.links import Link

# A rough value needs few responses and few evaluations.
_RESPONSES = 200
_CANDIDATES = 600
_IMPOSSIBLE = 1e300


def search_start(family: FamilyLike, obs: Observed) -> dict[str, float]:
    """Rough maximum-likelihood values of the intercept-only model.

    A grid over the parameters' linear predictors, on the scale of the data,
    then Nelder-Mead from its best point.  At most 200 responses enter, evenly
    spaced in their order.

    Parameters
    ----------
    family : Family
    obs : Observed
        The n responses.

    Returns
    -------
    dict of str to float
        Parameters on their natural scale.

    Raises
    ------
    DataError
        If some response is impossible at every point of the grid.
    """
    from scipy.optimize import minimize

    cost = _cost(family, obs)
    grids = [_candidates(p.link, obs.y) for p in family.parameters]
    points = _points(grids)
    costs = [cost(point) for point in points]
    best = points[int(np.argmin(costs))]
    if min(costs) >= _IMPOSSIBLE:
        raise DataError(
            f"the density of the family {family.name!r} is zero or not a number for some responses "
            "at all parameter values tried; give the family start=, or valid= and support= that "
            "say which responses it allows"
        )
    found = minimize(
        cost,
        best,
        method="Nelder-Mead",
        options={"maxfev": 150 * len(best), "xatol": 1e-3, "fatol": 1e-5},
    ).x
    # Towards a boundary the likelihood may rise for ever: a start stays near the grid.
    near = [np.clip(x, g.min() - 3, g.max() + 3) for x, g in zip(found, grids, strict=True)]
    eta = near if cost(np.array(near)) < _IMPOSSIBLE else best
    return {
        p.name: float(p.link.inverse(np.float64(e)))
        for p, e in zip(family.parameters, eta, strict=True)
    }


def _cost(family: FamilyLike, obs: Observed) -> Callable[[np.ndarray], float]:
    """Minus the mean log density, as a function of the linear predictors."""
    n = len(obs.y)
    if n > _RESPONSES:
        order = np.argsort(obs.y, kind="stable")
        obs = obs.take(order[np.linspace(0, n - 1, _RESPONSES).astype(int)])
    shape = obs.y.shape

    def cost(eta: np.ndarray) -> float:
        logf = family.log_density(obs, tuple(np.full(shape, e) for e in eta))
        value = -float(np.mean(logf))
        return value if np.isfinite(value) else _IMPOSSIBLE

    return cost


def _candidates(link: Link, y: np.ndarray) -> np.ndarray:
    """Linear predictors to try, at the scale of the data."""
    scale = max(float(np.median(np.abs(y))), float(np.std(y))) or 1.0
    if link.upper == 1.0:
        return link.forward(np.array([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98]))
    if link.lower == 0.0:
        # A scale, a rate (its inverse) or a number without a unit.
        size = np.array([0.1, 0.5, 1.0, 2.0, 10.0])
        values = np.unique(np.concatenate([size, scale * size, size / scale]))
        return link.forward(values)
    return np.unique(np.concatenate([np.quantile(y, [0, 0.1, 0.5, 0.9, 1]), [0.0, 1.0, -1.0]]))


def _points(grids: list[np.ndarray]) -> list[np.ndarray]:
    """All combinations, or as many of them at random."""
    total = int(np.prod([len(g) for g in grids]))
    if total <= _CANDIDATES:
        return [np.array(point) for point in product(*grids)]
    rng = np.random.default_rng(0)
    return [np.array([rng.choice(g) for g in grids]) for _ in range(_CANDIDATES)]
