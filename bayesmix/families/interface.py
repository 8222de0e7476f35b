"""What the helpers of a family may ask of it, so that they need not import it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families.links import Link
from bayesmix.formula.limits import Limits
from bayesmix.formula.times import Times

Array = Any
# A `families.base.Family`: its helpers stand before it, and cannot import it.
FamilyLike = Any


class Observed(NamedTuple):
    """A response as a family sees it; the fields have shape (n,).

    Rows of one `cluster`, a number, have a density together where the family gives it so: they
    stand one after the other.  `effects` (n, q) has the columns of random effects.  `there` says
    where the response was observed, None for everywhere; in the other rows `y` is some value that
    the family allows, and says nothing.  `limits` truncate or censor the response.
    """

    y: np.ndarray
    trials: np.ndarray | None
    const: np.ndarray | float
    times: Times | None = None
    cluster: np.ndarray | None = None
    effects: np.ndarray | None = None
    there: np.ndarray | None = None
    limits: Limits | None = None

    def take(self, rows: slice | np.ndarray) -> Observed:
        """The same for some rows."""

        def some(x: Any) -> Any:
            return x.take(rows) if isinstance(x, Times | Limits) else x[rows] if np.ndim(x) else x

        there = None if self.there is None or self.there[rows].all() else self.there[rows]
        return Observed(*map(some, self))._replace(there=there)

    def apart(self, counts: np.ndarray) -> Observed:
        """Rows of several components, one after the other: their clusters are different ones."""
        if self.cluster is None:
            return self
        shift = (self.cluster.max(initial=0) + 1) * np.repeat(np.arange(len(counts)), counts)
        return self._replace(cluster=self.cluster + shift)


class Shown(NamedTuple):
    """What people read in place of some dispersions, which follow from several of them together.

    Parameters
    ----------
    names : dict of str to str
        Of each of these dispersions what is read instead.
    read : callable
        ``read(values)``: what is read, by name, from all dispersions on their natural scales.
    write : callable
        ``write(values)``: the dispersions of `names` from what is read.
    scale : str
        The scale on which intervals are symmetric.
    """

    names: Mapping[str, str]
    read: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    write: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    scale: str


class Parameter(NamedTuple):
    """A parameter of a family and the link to its linear predictor."""

    name: str
    link: Link
