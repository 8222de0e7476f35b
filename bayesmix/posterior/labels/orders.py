"""Orders of the components: the cheapest ones, applying them, comparing them.

An order (S,) lists old components: new component s is the old component order[s],
as in `params.permute`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesmix.model.layout import Layout
from bayesmix.model.params import permute


def groups(orders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct orders (G, S), and the number of each draw's among them (T,)."""
    k = orders.shape[1]
    if k > 15:  # too many components for one integer code
        distinct, which = np.unique(orders, axis=0, return_inverse=True)
        return distinct, which.reshape(-1)
    _, first, which = np.unique(
        orders @ (k ** np.arange(k)), return_index=True, return_inverse=True
    )
    return orders[first], which


def relabel_theta(layout: Layout, theta: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Draws (..., D) with the components of each in its own order; logits re-based.

    Parameters
    ----------
    layout : Layout
    theta : ndarray, shape (..., D)
    orders : ndarray of int, shape (T, S)
        T is the product of theta's leading axes.
    """
    flat = theta.reshape(-1, theta.shape[-1])
    new = flat.copy()
    distinct, which = groups(orders)
    for number, order in enumerate(distinct):
        if (order != np.arange(len(order))).any():
            at = which == number
            new[at] = permute(layout, flat[at], order)
    return new.reshape(theta.shape)


def agreement(orders: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Share of draws that two methods label alike, up to one global permutation.

    With orders a_t and b_t, a_t = b_t o g_t; the share is that of the most frequent
    g among the draws.

    Parameters
    ----------
    orders : mapping of str to ndarray of int, shape (T, S)

    Returns
    -------
    DataFrame
        Methods by methods, ones on the diagonal.
    """
    names = list(orders)
    table = pd.DataFrame(1.0, index=names, columns=names)
    for a, b in itertools.combinations(names, 2):
        between = np.take_along_axis(np.argsort(orders[b], axis=1), orders[a], axis=1)
        share = np.bincount(groups(between)[1]).max() / len(between)
        table.loc[a, b] = table.loc[b, a] = share
    return table
