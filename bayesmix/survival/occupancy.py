r"""Probability to be in each state of a multi-state model at times.

With the paths p that lead to a state j, and F_p the distribution of the sum of their times,

.. math::

   P(\text{in } j \text{ at } t) = \sum_p \Bigl[ P(p) F_p(t)
       - \sum_k P(p) \, \pi_k^{(j)} F_{p, k}(t) \Bigr],

who has come there less who has gone on.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.survival import base as time_of
from bayesmix.results.event_times import Component, EventTimes
from bayesmix.survival.multistate import by_step, times_of, walk
from bayesmix.survival.sums import beside, distribution, rule

NODES = 64


def reachable(
    transitions: Mapping[Hashable, Sequence[Hashable]], start: Hashable
) -> tuple[Hashable, ...]:
    """The states that a start leads to, itself first.

    Raises
    ------
    SpecError
        If the start is no state with a model.
    """
    if start not in transitions:
        raise SpecError(f"start={start!r} has no model; those that have are {list(transitions)}")
    found = [start]
    for state in found:  # it grows meanwhile
        found += [
            after for after in dict.fromkeys(transitions.get(state, ())) if after not in found
        ]
    return tuple(found)


def occupancy(
    models: Mapping[Hashable, EventTimes],
    start: Hashable,
    t: np.ndarray,
    spent: np.ndarray | None = None,
) -> np.ndarray:
    """Probability to be in each state that `start` leads to, (D, n, T, states).

    Parameters
    ----------
    models : mapping of state to `EventTimes`
        The same draws and rows in all.
    start : state
        Entered at time zero.
    t : ndarray, shape (T,)
        Times from then.
    spent : ndarray, shape (n,), optional
        Time that was spent in the start without an event: everything is given that.
    """
    transitions = {state: model.names for state, model in models.items()}
    states = reachable(transitions, start)
    lead = models[start].weights.shape[:2]
    since = np.zeros((*lead, 1)) if spent is None else np.broadcast_to(spent[:, None], (*lead, 1))
    left = np.maximum(np.broadcast_to(t, (*lead, len(t))) - since, 0.0)
    first = models[start]
    with np.errstate(divide="ignore"):
        alive = sum(
            first.weights[..., k, None] * _survived(first.components[k], since)
            for k in range(len(first.names))
        )
    out = np.zeros((*lead, len(t), len(states)))
    out[..., 0] = 1.0
    # An event without parameters has the name of what never comes.
    coming = {
        state: [b for b, step in zip(m.names, m.components, strict=True) if step.family.parameters]
        for state, m in models.items()
    }
    weights = {state: model.weights for state, model in models.items()}
    for path in walk(coming, (start,)):
        weight = np.prod(by_step(models, path, weights), axis=0)
        came = weight[..., None] / alive * _by(times_of(models, path), left, since)
        out[..., states.index(path[-1])] += came
        out[..., states.index(path[-2])] -= came
    return np.clip(out, 0.0, 1.0)


def _survived(step: Component, t: np.ndarray) -> np.ndarray:
    return np.exp(time_of.log_survival(step.family, t, beside(step, t)))


def _by(steps: list[Component], left: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Probability that the times end within `left`, the first being longer than `since`."""
    if not since.any():
        return distribution(steps, left)
    first, rest = steps[0], steps[1:]
    low = 1.0 - _survived(first, since)
    mass = _survived(first, since) - _survived(first, since + left)
    if not rest:
        return mass
    nodes, weights = rule(NODES)
    share = low[..., None] + mass[..., None] * nodes
    x = time_of.quantile(first.family, share, beside(first, share))
    after = np.maximum((since + left)[..., None] - x, 0.0)
    return mass * (distribution(rest, after) @ weights)
