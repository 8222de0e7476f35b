"""Distributions and quantiles of sums of independent times."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from bayesmix.arrays.quadrature import crossing, unit_interval
from bayesmix.families.survival import base as time_of
from bayesmix.results.event_times import Component

# Nodes of the quadrature over each time but the last, by the number of times.
NODES, FEWEST = {2: 64, 3: 32}, 20


def distribution(steps: Sequence[Component], t: np.ndarray) -> np.ndarray:
    r"""Probability that the sum of independent times is at most t.

    .. math:: P(X_1 + Y \le t) = F_1(t) \int_0^1 P(Y \le t - F_1^{-1}(v F_1(t))) \, dv,

    with Y the sum of the others.  The integral is a double exponential rule (H. Takahasi
    and M. Mori 1974), whose nodes crowd at both ends: right to about 1e-8 for two times
    (1e-5 where the narrower one has no formula for its quantiles), 1e-6 for three, 1e-4 for
    more.

    Parameters
    ----------
    steps : sequence of Component
        Their parameters have the shape (D, n).
    t : ndarray, shape (D, n, ...)

    Returns
    -------
    ndarray, shape (D, n, ...)
    """

    # The last time needs no quantiles, which are slow without a formula; else it is the one
    # spread most, whose distribution function is the smoothest.
    def order(step: Component) -> tuple[bool, float]:
        family = step.family.survival
        return family is None or family.quantile is None, _spread(step)

    ordered = sorted(steps, key=order)
    return _distribution(ordered, t, *rule(NODES.get(len(steps), FEWEST)))


@cache
def rule(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the double exponential rule on (0, 1)."""
    return unit_interval(np.linspace(-2.9, 2.9, m))


def _spread(step: Component) -> float:
    """Typical distance between the quartiles; infinite where fewer have the event."""
    low, high = (time_of.quantile(step.family, q, step.natural) for q in (0.25, 0.75))
    with np.errstate(invalid="ignore"):
        return float(np.median(np.where(np.isinf(high), np.inf, high - low)))


def _distribution(
    steps: Sequence[Component], t: np.ndarray, nodes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    first, rest = steps[0], steps[1:]
    share = -np.expm1(time_of.log_survival(first.family, t, beside(first, t)))
    if not rest:
        return share
    v = share[..., None] * nodes
    x = time_of.quantile(first.family, v, beside(first, v))
    left = np.maximum(t[..., None] - x, 0.0)
    return share * (_distribution(rest, left, nodes, weights) @ weights)


def beside(step: Component, t: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters (D, n) with as many axes as t."""
    return {
        name: np.reshape(value, (*np.shape(value), *(1,) * (t.ndim - 2)))
        for name, value in step.natural.items()
    }


def mixed_quantile(
    paths: Sequence[Sequence[Component]], share: np.ndarray, q: np.ndarray
) -> np.ndarray:
    """Quantiles (D, n, Q) of a mixture of sums, with shares (D, n, paths); q of shape (..., Q)."""
    goal = np.broadcast_to(q, (*share.shape[:2], np.shape(q)[-1]))
    if len(paths) == 1 and len(paths[0]) == 1:
        return time_of.quantile(paths[0][0].family, goal, beside(paths[0][0], goal))

    def below(t: np.ndarray) -> np.ndarray:
        parts = [distribution(steps, t) for steps in paths]
        return sum(part * share[..., i, None] for i, part in enumerate(parts)) - goal

    # A sum exceeds each of its times, so its quantile does.
    least = np.min(
        [
            np.max([time_of.quantile(s.family, goal, beside(s, goal)) for s in steps], axis=0)
            for steps in paths
        ],
        axis=0,
    )
    return crossing(below, least)
