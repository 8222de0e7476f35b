r"""Four rules that give every draw an order of its components.

Three of them say what it costs to put old component s at place j, a sum over units
of memberships p times a reference c,

    cost[t, j, s] = sum_u w_u p_tus c_uj,

and give every draw the order of least total cost:

* pivot: c = -m, the memberships m of a fit: the largest overlap with it.
* ECR: p are allocations (zeros and ones) and c = -1{z*_u = j}, a pivot allocation:
  the most units allocated as in the pivot.
* Stephens: c = -log q, where q is the mean of p over the reordered draws: the
  smallest Kullback-Leibler divergence sum_t sum_u w_u sum_j p_tuj log(p_tuj / q_uj).

The pivot of ECR and the q of Stephens come from the draws themselves and take turns
with the orders until nothing changes.  Either way a concave function of the mean
memberships falls at every turn.

References
----------
Marin, Mengersen and Robert (2005), Handbook of Statistics 25, 459-507 (the pivot).
Papastamoulis and Iliopoulos (2010), J. Comput. Graph. Statist. 19, 313-331; and
Papastamoulis (2016), J. Statist. Software 69(1) (ECR and its iterative version 1).
Stephens (2000), J. R. Statist. Soc. B 62, 795-809.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayesmix.results.matching import Symmetric, assign, identity

METHODS = ("pivot", "ecr", "stephens", "ordering")
MAX_ITERATIONS = 200
# log q of a membership that no draw has: any other order is better.
SMALLEST = 1e-300
# Draws gathered at a time, so that they stay in the processor's cache.
GATHERED = 256


class Relabelled(NamedTuple):
    """What an iterative method found.

    `orders` (T, S): new component s of draw t is its old component orders[t, s].
    `reference` (U, S): the c of the module's equation.
    `trace`: the objective after every turn: the Kullback-Leibler divergence, or the number of
    allocations that differ from the pivot.
    """

    orders: np.ndarray
    reference: np.ndarray
    trace: tuple[float, ...]


def one_hot(allocations: np.ndarray, k: int) -> np.ndarray:
    """Allocations (T, U) as memberships (T, S, U) of zeros and ones."""
    return (allocations[:, None] == np.arange(k)[:, None]).astype(float)


def costs(memberships: np.ndarray, reference: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """sum_u w_u p_tsu c_uj at [t, j, s], from memberships (T, S, U) and c (U, S)."""
    n_draws, k, n_units = memberships.shape
    weighted = reference if weight is None else reference * weight[:, None]
    flat = memberships.reshape(-1, n_units) @ weighted
    return flat.reshape(n_draws, k, k).swapaxes(1, 2)


def mean_memberships(memberships: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Mean over draws of the reordered memberships (T, S, U), as (U, S)."""
    n_draws, k, n_units = memberships.shape
    flat = memberships.reshape(-1, n_units)
    at = orders + k * np.arange(n_draws)[:, None]
    total = np.zeros((n_units, k))
    for some in np.array_split(at, -(-n_draws // GATHERED)):
        for j in range(k):
            total[:, j] += flat[some[:, j]].sum(0)
    return total / n_draws


def ecr(
    hard: np.ndarray,
    symmetric: Symmetric,
    start: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Relabelled:
    """Iterative version 1 of ECR: the pivot has each unit's most frequent allocation.

    Parameters
    ----------
    hard : ndarray, shape (T, S, U)
        Allocations as zeros and ones.
    symmetric : tuple of tuple of int
    start : ndarray, shape (U, S), optional
        Memberships from which the turns start too, beside the draws as they are.
    weight : ndarray, shape (U,), optional
        Case weights of the units.
    """

    def disagreeing(mean: np.ndarray) -> float:
        return len(hard) * _total(1 - mean.max(1), weight)

    return _take_turns(hard, symmetric, most_frequent, disagreeing, start, weight)


def stephens(
    p: np.ndarray,
    symmetric: Symmetric,
    start: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Relabelled:
    """Least Kullback-Leibler divergence from the draws' memberships (T, S, U) to their mean.

    Parameters as of `ecr`.
    """
    parts = np.array_split(p, -(-len(p) // GATHERED))
    negative_entropy = sum(_total(_times_log(part).sum((0, 1)), weight) for part in parts)

    def divergence(mean: np.ndarray) -> float:
        return negative_entropy - len(p) * _total(_times_log(mean).sum(1), weight)

    return _take_turns(p, symmetric, minus_log, divergence, start, weight)


def most_frequent(mean: np.ndarray) -> np.ndarray:
    """ECR's reference (U, S): minus the pivot that the mean allocations have."""
    return -one_hot(mean.argmax(1)[None], mean.shape[1])[0].T


def minus_log(mean: np.ndarray) -> np.ndarray:
    """Stephens' reference (U, S)."""
    return -np.log(np.maximum(mean, SMALLEST))


def ordering(values: np.ndarray, symmetric: Symmetric) -> np.ndarray:
    """Orders (T, S) in which values (T, S) ascend within each symmetric set."""
    orders = identity(*values.shape)
    for members in symmetric:
        at = np.array(members)
        orders[:, at] = at[np.argsort(values[:, at], axis=1, kind="stable")]
    return orders


def _times_log(p: np.ndarray) -> np.ndarray:
    """Terms p log p, zero at zero; NumPy's logarithm takes a tenth of the time of `xlogy`."""
    return p * np.log(np.maximum(p, SMALLEST))


def _total(values: np.ndarray, weight: np.ndarray | None) -> float:
    return float(values.sum() if weight is None else values @ weight)


def _take_turns(
    p: np.ndarray,
    symmetric: Symmetric,
    to_reference: Callable[[np.ndarray], np.ndarray],
    loss: Callable[[np.ndarray], float],
    start: np.ndarray | None,
    weight: np.ndarray | None,
) -> Relabelled:
    """Mean memberships and orders in turns, from several starts; the best end.

    The turns find a local minimum.  They start from the draws as they are, from those
    reordered to overlap most with the first draw, and with `start`.
    """
    nears = [p[0].T] if start is None else [p[0].T, start]
    starts = [assign(costs(p, -near, weight), symmetric) for near in nears]
    starts.append(identity(*p.shape[:2]))

    def descend(orders: np.ndarray) -> Relabelled:
        mean = mean_memberships(p, orders)
        reference, trace = to_reference(mean), [loss(mean)]
        for _ in range(MAX_ITERATIONS):
            new = assign(costs(p, reference, weight), symmetric)
            mean = mean_memberships(p, new)
            value = loss(mean)
            if value >= trace[-1] - 1e-12 * abs(trace[-1]):
                break
            orders, reference = new, to_reference(mean)
            trace.append(value)
        return Relabelled(orders, reference, tuple(trace))

    # One of them, where components are well separated.
    distinct = {orders.tobytes(): orders for orders in starts}.values()
    return min(map(descend, distinct), key=lambda end: end.trace[-1])
