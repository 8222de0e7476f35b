"""Normal priors of some entries of theta given others, where priors are not of single entries.

A default prior of an intercept is one of the level at the covariates' means: given the slopes,
the intercept is normal around that level less the slopes' part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.model import MixtureSpec
from bayesmix.model.coordinates import Bend
from bayesmix.priors.log_density import PriorModel


class Conditional(NamedTuple):
    """theta[at] ~ normal(mean + slopes theta[given] + bends, root root').

    By the last axis of `at` (..., P), the coefficients of one component: `mean` (..., P),
    `slopes` (..., P, g) of the entries `given` (g,), and triangular roots (..., P, P).  Of a
    `Bend`, which is rare, ``to * factor * exp(of @ theta + at)`` is added, with `to` (..., P).
    """

    mean: np.ndarray
    slopes: np.ndarray
    given: np.ndarray
    root: np.ndarray
    bends: tuple[Bend, ...]

    def centre(self, entries: Callable[[np.ndarray], Any], exp: Callable[[Any], Any]) -> Any:
        """The mean (..., P), of arrays or of PyTensor variables.

        Parameters
        ----------
        entries : callable
            Given places (g,), these entries of theta, each of which broadcasts to (..., P).
        exp : callable
        """
        mean = self.mean
        for j, value in enumerate(entries(self.given)):
            mean = mean + self.slopes[..., j] * value
        for bend in self.bends:
            used = np.flatnonzero(bend.of)
            parts = [bend.of[j] * x for j, x in zip(used, entries(used), strict=True)]
            mean = mean + bend.to * (bend.factor * exp(sum(parts) + bend.at))
        return mean

    def log_density(self, theta: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Log density of theta[at] at theta (..., D), by component."""
        lead = (1,) * at.ndim

        def entries(places: np.ndarray) -> list[np.ndarray]:
            return [theta[..., j].reshape(*theta.shape[:-1], *lead) for j in places]

        z = theta[..., at] - self.centre(entries, np.exp)
        z = np.linalg.solve(self.root, z[..., None])[..., 0]
        logs = np.log(np.diagonal(self.root, axis1=-2, axis2=-1)) + 0.5 * np.log(2 * np.pi)
        return -(0.5 * np.square(z) + logs).sum(-1)


def depends_on(model: PriorModel, at: np.ndarray) -> np.ndarray:
    """Other entries of theta that the priors of the entries `at` are of as well."""
    if model.map is None:
        return np.zeros(0, int)
    rows = model.map.matrix[at] != 0
    used = rows.any(0)
    for bend in model.map.bends:
        used |= (bend.of != 0) & (bend.to[at] != 0).any()
    for smooth in model.smooths:
        used[smooth.tau] |= np.isin(smooth.at, at).any()
    used[at] = False
    return np.flatnonzero(used)


def conditional(model: PriorModel, at: np.ndarray) -> Conditional:
    """The normal distribution of entries of theta given those that they depend on.

    Parameters
    ----------
    model : PriorModel
        Of the user's theta, with a map and normal priors at these entries.
    at : ndarray of int, shape (..., P)
        Entries that depend on one another only along the last axis.
    """
    assert model.map is not None
    flat = at.ravel()
    priors = [model.single[int(j)][0].parameters for j in flat]
    mu, sigma = (np.array([p[name] for p in priors]).reshape(at.shape) for name in ("mu", "sigma"))
    given = depends_on(model, flat)
    inverse = np.linalg.inv(model.map.matrix[at[..., :, None], at[..., None, :]])

    def solved(x: np.ndarray) -> np.ndarray:
        return (inverse @ x[..., None])[..., 0]

    # A triangular root of the covariance.
    triangle = np.linalg.qr(np.swapaxes(inverse * sigma[..., None, :], -1, -2), "r")
    root = np.swapaxes(triangle, -1, -2)
    sign = np.sign(np.diagonal(root, axis1=-2, axis2=-1))
    return Conditional(
        solved(mu - model.map.shift[at]),
        -inverse @ model.map.matrix[at[..., None], given],
        given,
        root * sign[..., None, :],
        tuple(b._replace(to=-solved(b.to[at])) for b in model.map.bends if (b.to[flat] != 0).any()),
    )


def shown(spec: MixtureSpec, model: PriorModel, at: int) -> tuple[Prior, str]:
    """The prior of an entry in the user's units, and what else it is of; "" for the entry alone.

    Parameters
    ----------
    spec : MixtureSpec
    model : PriorModel
        Of the user's theta.
    at : int
    """
    prior, _ = model.single[at]
    if model.map is None or at not in model.standard:
        return prior, ""
    row = model.map.matrix[at]
    coordinates = spec.layout.coordinates
    if coordinates[at].term == "Intercept":
        return prior, "of the level at the covariates' means"
    others = [j for j in np.flatnonzero(row) if j != at]
    parts = [f"{row[j]:+.3g} {coordinates[j].term}" for j in others[:2]]
    parts += ["..."] if len(others) > 2 else []
    return prior, " ".join([f"of {coordinates[at].term}", *parts])
