r"""How much of its columns a smooth curve uses.

The coefficients of a component's spline, as far as they bend it, are x ~ N(0, tau^2).  With V their
covariance given the data and tau, by Laplace's approximation, the curve has

.. math:: \text{edf} = P - \operatorname{tr}(V) / \tau^2

effective degrees of freedom of P columns, and the density of tau with all coefficients integrated
out has the slope x'x / tau^2 - r + tr(V) / tau^2 in log tau, for r columns that bend.

References
----------
Wood (2017), Generalized Additive Models, 2nd edition, sections 6.1.2 and 6.2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.likelihood import em_pass
from bayesmix.likelihood.engine import information
from bayesmix.likelihood.problem import Problem

COEFFICIENTS = ("fixed", "nested", "varying")
TINY = 1e-300


class Bending(NamedTuple):
    """Of each spline: `squares` x'x / tau^2 and `trace` tr(V) / tau^2, (R, m), and `rank` r, (m,).

    `log_volume`: half the log determinant of the coefficients' covariance, (R,).
    """

    squares: np.ndarray
    trace: np.ndarray
    rank: np.ndarray
    log_volume: np.ndarray


def coefficient_entries(problem: Problem) -> np.ndarray:
    """Entries of theta that are coefficients and free: of locations, and of every smooth curve."""
    coordinates = problem.spec.layout.coordinates
    found = np.array([c.effect in COEFFICIENTS for c in coordinates])
    found[[j for smooth in problem.priors.smooths for j in smooth.at]] = True
    return np.flatnonzero(found & problem.spec.free)


def bending(problem: Problem, theta: np.ndarray) -> Bending:
    """What the curves use of their columns at modes theta (R, D) given every tau.

    Where the observed information is not positive definite, that of known memberships is taken.

    Parameters
    ----------
    problem : Problem
        With smooth priors.
    theta : ndarray, shape (R, D)
    """
    model, at = problem.priors, coefficient_entries(problem)
    matrix = information(problem, theta).matrix[:, at[:, None], at]
    values, vectors = np.linalg.eigh(matrix)
    bad = np.flatnonzero(~(values[:, 0] > 0))
    if len(bad):
        values[bad], vectors[bad] = np.linalg.eigh(
            em_pass(problem, theta[bad]).scoring[:, at[:, None], at]
        )
    values = np.maximum(values, TINY)
    root = vectors / np.sqrt(values)[:, None]
    place = model.map
    assert place is not None
    x = place(theta)
    size = np.exp(-2 * theta[:, [smooth.tau for smooth in model.smooths]])
    squares = [np.square(x[:, smooth.bent]).sum(-1) for smooth in model.smooths]
    rows = [place.matrix[np.ix_(smooth.bent, at)] for smooth in model.smooths]
    trace = [np.square(row @ root).sum((-1, -2)) for row in rows]
    rank = np.array([smooth.rank for smooth in model.smooths])
    log_volume = -0.5 * np.log(values).sum(-1)
    return Bending(size * np.transpose(squares), size * np.transpose(trace), rank, log_volume)
