"""An order of the units that their data decide, whatever the order of the rows."""

from __future__ import annotations

import numpy as np
from pandas.util import hash_array

from bayesmix.likelihood import Problem


def unit_order(problem: Problem) -> np.ndarray:
    """The units in an order that does not change when the rows of the data are permuted.

    Rows are ranked by their responses, then by their designs, weights and what is known of
    them.  Only ranks count, so that units of measurement do not.  Units of several rows are
    sorted by a hash of their rows' ranks.  Units that nothing tells apart may change places.

    Returns
    -------
    ndarray of int, shape (U,)
        The unit at each place.
    """
    order, rank = _ranked(_keys(problem))
    if problem.first is None:
        return order
    return np.add.reduceat(hash_array(rank), problem.first).argsort(kind="stable")


def _ranked(keys: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows in ascending order of the keys (n,), and the rank of each row, equal for equal ones."""
    order = keys[0].argsort()
    first, new = keys[0][order], np.ones(len(order), bool)
    new[1:] = first[1:] != first[:-1]
    if not new.all():
        order = np.lexsort(keys[::-1])
        ordered = [key[order] for key in keys]
        new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in ordered])
    rank = np.empty(len(order), np.int64)
    rank[order] = new.cumsum()
    return order, rank


def _keys(problem: Problem) -> list[np.ndarray]:
    """All that is known of the rows, the responses first: arrays (n,)."""
    keys = []
    for arrays in problem.blocks:
        for obs in arrays.observed.values():
            times = obs.times
            known = (
                (obs.y, obs.trials) if times is None else (times.lower, times.upper, times.entry)
            )
            for values in (*known, obs.there):
                if values is not None:  # of several columns each
                    keys += list(np.atleast_2d(np.where(np.isnan(values), np.inf, values).T))
    units: list[np.ndarray] = []
    for matrix in (problem.concomitant, problem.weight, problem.allowed):
        units += [] if matrix is None else list(np.atleast_2d(matrix.T))
    if problem.first is not None and units:
        sizes = np.diff(problem.first, append=problem.n_rows)
        units = [np.repeat(values, sizes) for values in units]
    for arrays in problem.blocks:
        keys += list(arrays.matrix.T)
        keys += [] if arrays.offset is None else list(np.atleast_2d(arrays.offset))
    return keys + units
