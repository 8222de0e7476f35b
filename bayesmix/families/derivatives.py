"""A log density with its derivatives in the linear predictors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import fit
from bayesmix.families.links import Linked


class Derivatives(NamedTuple):
    """A log density with its derivatives in the p linear predictors.

    `logf` has shape (...), `first` (p, ...), `second` (p, p, ...); as tuples of
    arrays that broadcast to (...), so that nothing is copied together.  `expected` (p, ...) has
    positive curvatures for scoring steps, mostly the expected information, where they are known.
    """

    logf: np.ndarray
    first: tuple[np.ndarray, ...]
    second: tuple[tuple[np.ndarray, ...], ...]
    expected: tuple[np.ndarray, ...] | None = None

    @property
    def curvature(self) -> tuple[np.ndarray, ...]:
        """A positive weight per linear predictor for scoring steps.

        The expected information where it is known, else the observed one, else the squared score
        where that is negative.
        """
        if self.expected is not None:
            return self.expected
        own = (row[j] for j, row in enumerate(self.second))
        return tuple(positive(-bend, f) for bend, f in zip(own, self.first, strict=True))

    def map(self, function: Callable[..., np.ndarray], *others: Derivatives) -> Derivatives:
        """A function of all arrays, one by one, and of those of others beside them."""
        known = self.expected is not None and not others
        return Derivatives(
            function(self.logf, *(d.logf for d in others)),
            tuple(map(function, self.first, *(d.first for d in others))),
            tuple(
                tuple(map(function, *rows))
                for rows in zip(self.second, *(d.second for d in others), strict=True)
            ),
            tuple(map(function, self.expected or ())) if known else None,
        )


def finite(d: Derivatives) -> Derivatives:
    """Zero derivatives where the density is zero: no responsibility, no NaN."""
    impossible = d.logf == -np.inf
    if not d.first or not impossible.any():
        return d
    return d.map(lambda x: np.where(impossible, 0.0, x))._replace(logf=d.logf)


def positive(information: np.ndarray, score: np.ndarray) -> np.ndarray:
    """An observed information where it is positive, else the squared score."""
    with np.errstate(over="ignore"):
        return np.where(information > 0, information, np.square(score))


def automatic(
    term: Callable[[tuple[Linked, ...]], Any], linked: tuple[Linked, ...], n: int
) -> Derivatives:
    """Derivatives of a term of n rows by automatic differentiation."""
    if not linked:
        return Derivatives(np.asarray(term(linked)), (), ())
    shape = np.broadcast_shapes((n,), *(np.shape(v.eta) for v in linked))
    variables = xp.jets(*(v.eta for v in linked))
    jet = term(tuple(Linked(v.link, x) for v, x in zip(linked, variables, strict=True)))
    jet = fit(jet, shape, len(linked))
    return Derivatives(jet.value, tuple(jet.first), tuple(tuple(row) for row in jet.second))
