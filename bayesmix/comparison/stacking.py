"""Weights of predictive distributions whose mixture predicts best."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import optimize

from bayesmix.errors import FitError

__all__ = ["stacking_weights"]

NOTHING = 1e-9


def stacking_weights(log_density: Any) -> np.ndarray:
    r"""Weights by stacking of predictive distributions.

    .. math::

       \max_w \sum_u \log \sum_m w_m \exp(l_{um}), \qquad w_m \ge 0, \; \sum_m w_m = 1

    The problem is concave; where several weights are best, those that are found from
    equal ones.

    Parameters
    ----------
    log_density : array_like, shape (U, M)
        Log predictive density of every unit, left out, by every distribution.  Units
        that none of them allows say nothing of the weights.

    Returns
    -------
    ndarray, shape (M,)

    Raises
    ------
    FitError
        If there is no number to go by.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018), Bayesian Analysis 13, 917-1007.

    Examples
    --------
    Each predicts one of two units well: both are needed.

    >>> stacking_weights([[0.0, -9.0], [-9.0, 0.0]]).round(3).tolist()
    [0.5, 0.5]
    """
    values = np.asarray(log_density, float)
    if values.ndim != 2 or not (values < np.inf).all():
        msg = f"log densities are units by distributions without NaN or inf; given {values.shape}"
        raise FitError(msg)
    top = values.max(1, keepdims=True, initial=-np.inf)
    allowed = np.isfinite(top[:, 0])
    if not allowed.any():
        msg = "no unit has a finite log predictive density; there is nothing to weigh by"
        raise FitError(msg)
    return _maximise(np.exp(values[allowed] - top[allowed]))


def _maximise(density: np.ndarray) -> np.ndarray:
    m = density.shape[1]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(density @ w, np.finfo(float).tiny)
        return -float(np.log(mixed).mean()), -(density / mixed[:, None]).mean(0)

    found = optimize.minimize(
        loss,
        np.full(m, 1 / m),
        (),
        "SLSQP",
        True,
        bounds=optimize.Bounds(np.zeros(m), np.ones(m)),
        constraints=optimize.LinearConstraint(np.ones((1, m)), 1.0, 1.0),
        options={"ftol": 1e-12, "maxiter": 500},
    )
    out = np.where(found.x > NOTHING, found.x, 0.0)
    return out / out.sum()
