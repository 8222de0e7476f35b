"""Which of many starts have to be run on all rows, after they were run on a sample of them."""

from __future__ import annotations

from functools import partial

import numpy as np

from bayesmix.likelihood import Problem, unit_terms
from bayesmix.model.params import permute
from bayesmix.results.fitted import canonical_order

# Ends on the sample that are nearer to each other than this are one.
SAME = 1e-3
# A lead of the mean log-likelihood over its standard error, on all rows, that no start makes up.
LEAD = 6.0


def distinct(problem: Problem, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The starts (R, D) that differ beyond labels.

    Returns
    -------
    first : ndarray of int, shape (m,)
        One of each kind.
    kind : ndarray of int, shape (R,)
        The kind of every start.
    """
    first: list[int] = []
    kind = np.empty(len(theta), int)
    ordered = [permute(problem.spec.layout, t, canonical_order(problem.spec, t)) for t in theta]
    for r, own in enumerate(ordered):
        near = (np.abs(own - ordered[f]) <= SAME * (1 + np.abs(own)) for f in first)
        kind[r] = next((i for i, same in enumerate(near) if same.all()), len(first))
        first += [r] if kind[r] == len(first) else []
    return np.array(first), kind


def contenders(sample: Problem, theta: np.ndarray, n_units: float) -> np.ndarray:
    """Which starts (m, D) may still be the best one on all units, by what the sample says.

    Of two starts the difference of log-likelihoods on all units has the mean n d and the standard
    deviation sqrt(n) s, with d and s those of a unit (Vuong 1989, Econometrica 57, 307-333).

    Parameters
    ----------
    sample : Problem
    theta : ndarray, shape (m, D)
    n_units : float
        How many units there are.

    Returns
    -------
    ndarray of bool, shape (m,)
    """
    if len(theta) < 2:
        return np.ones(len(theta), bool)
    values = np.array([unit_terms(sample, t)[0] for t in theta])
    values = np.nan_to_num(values, nan=-np.inf, neginf=-1e300)
    mean = partial(np.average, axis=1, weights=sample.weight)
    lead = values[mean(values).argmax()] - values
    spread = np.sqrt(mean(np.square(lead - mean(lead)[:, None])))
    return mean(lead) <= LEAD * spread * np.sqrt(1 / values.shape[1] + 1 / n_units)
