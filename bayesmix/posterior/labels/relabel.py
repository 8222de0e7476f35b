"""Draws of a model relabelled by any of the methods, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bayesmix._arguments import check_known
from bayesmix.errors import FitError
from bayesmix.likelihood import unit_terms
from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.labels.draws import component_values, membership_batches
from bayesmix.posterior.labels.methods import (
    METHODS,
    Relabelled,
    costs,
    ecr,
    one_hot,
    ordering,
    stephens,
)
from bayesmix.posterior.labels.orders import relabel_theta
from bayesmix.results.matching import assign, identity

# Bytes of memberships that may be in memory at once.
LIMIT = 200_000_000
# An iterative method learns from at least so many draws.
FEWEST = 10


class Relabelling(NamedTuple):
    """Relabelled draws.

    `orders` (T, S): new component s of draw t is its old component orders[t, s]; chains one after
    another.
    `theta` (..., D): the draws with their components in these orders, shaped as they were given.
    `used`: number of draws from which an iterative method learned its reference.
    """

    orders: np.ndarray
    theta: np.ndarray
    used: int = 0


def relabel(
    problem: Problem,
    theta: np.ndarray,
    method: str = "pivot",
    *,
    mode: np.ndarray | None = None,
    by: str | None = None,
    limit: float = LIMIT,
) -> Relabelling:
    """Give the components of all draws the same labels, within the model's symmetry.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (chain, draw, D) or (T, D)
    method : str
        "pivot" (overlap with the memberships at `mode`), "ecr", "stephens" or
        "ordering".
    mode : ndarray, shape (D,), optional
        A point fit.  The iterative methods start from it too, and their labels are
        finally matched with its.
    by : str, optional
        What "ordering" sorts by, see `component_values`.
    limit : float
        Bytes of memberships in memory at once.  When there are more, the iterative
        methods learn their reference from evenly spaced draws and then apply it to all.

    Raises
    ------
    FitError
        If the method is unknown, lacks what it needs, or has no use for `by`.
    """
    flat = theta.reshape(-1, theta.shape[-1])
    layout = problem.spec.layout
    check_known(f"relabel(method={method!r})", method, METHODS)
    if by is not None and method != "ordering":
        msg = f"relabel(method={method!r}, by={by!r}): only 'ordering' sorts; leave by= out"
        raise FitError(msg)
    if method == "pivot" and mode is None:
        raise FitError("relabel(method='pivot') compares the draws with a point fit; give mode=")
    if all(len(members) == 1 for members in layout.symmetric):
        return Relabelling(identity(len(flat), layout.k), theta.copy())
    if method == "ordering":
        orders, used = ordering(component_values(problem.spec, flat, by), layout.symmetric), 0
    else:
        orders, used = _by_memberships(problem, flat, method, mode, limit)
    return Relabelling(orders, relabel_theta(layout, theta, orders), used)


def _memberships(
    problem: Problem, theta: np.ndarray, method: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Memberships (R, S, U), some draws at a time; of ECR the most probable as zeros and ones."""
    for draws, _, p in membership_batches(problem, theta):
        yield draws, one_hot(p.argmax(1), p.shape[1]) if method == "ecr" else p


def _by_memberships(
    problem: Problem, theta: np.ndarray, method: str, mode: np.ndarray | None, limit: float
) -> tuple[np.ndarray, int]:
    """The orders that a method of costs finds, and from how many draws it learned."""
    symmetric, weight, used = problem.spec.layout.symmetric, problem.weight, 0
    near = None if mode is None else unit_terms(problem, mode)[1]
    if method == "pivot" and near is not None:
        reference = -near
    else:
        (orders, reference, _), used = _learn(problem, theta, method, near, limit)
        if near is not None:  # the same labels, numbered as the components of a fit are
            cost = costs(near.T[None], reference, weight).swapaxes(1, 2)
            match = assign(cost, symmetric)[0]
            orders, reference = orders[:, match], reference[:, match]
        if used == len(theta):
            return orders, used
    batches = _memberships(problem, theta, method)
    found = [assign(costs(p, reference, weight), symmetric) for _, p in batches]
    return np.concatenate(found), used


def _learn(
    problem: Problem, theta: np.ndarray, method: str, near: np.ndarray | None, limit: float
) -> tuple[Relabelled, int]:
    """Run an iterative method on as many draws as memory allows."""
    shape = problem.spec.k, problem.n_units
    fitting = max(FEWEST, int(limit // (8 * np.prod(shape))))
    sample = theta[:: max(1, -(-len(theta) // fitting))]
    p = np.empty((len(sample), *shape))
    for draws, batch in _memberships(problem, sample, method):
        p[draws] = batch
    run = ecr if method == "ecr" else stephens
    return run(p, problem.spec.layout.symmetric, near, problem.weight), len(p)


def filled_counts(problem: Problem, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Number of components to which at least one unit is allocated, at every draw.

    Every unit is allocated once by its memberships p_us; a unit of case weight w as
    often as w copies of it, w rounded to a whole number and one at least.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (..., D)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (...)
    """
    flat = theta.reshape(-1, theta.shape[-1])
    out = np.empty(len(flat), int)
    for draws, _, p in membership_batches(problem, flat):
        out[draws] = _has_units(problem, p, rng).sum(1)
    return out.reshape(theta.shape[:-1])


def _has_units(problem: Problem, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which components have units, (R, S), by memberships p (R, S, U)."""
    has = np.zeros(p.shape[:2], bool)
    if problem.weight is None:
        top = np.cumsum(p, axis=1)
        component = (top < rng.random(top[:, -1:].shape) * top[:, -1:]).sum(1)
        has[np.arange(len(p))[:, None], component] = True
        return has
    counted = problem.weight > 0
    copies = np.maximum(1, np.rint(problem.weight[counted])).astype(int)
    share = p[:, :, counted].swapaxes(1, 2)
    share = share / share.sum(2, keepdims=True)
    return rng.multinomial(copies, share).any(1)
