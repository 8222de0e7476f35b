"""The priors of a model by their places in theta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayesmix.distributions import KINDS, Prior
from bayesmix.families.links import Link

__all__ = ["Group", "LogPrior", "Penalty", "PriorModel"]


class LogPrior(NamedTuple):
    """A log prior with its derivatives.

    `value` (R,), `score` (R, D), `curvature` (R, D, D), the negative second
    derivative, and `scoring` (R, D, D), its positive semi-definite part.
    """

    value: np.ndarray
    score: np.ndarray
    curvature: np.ndarray
    scoring: np.ndarray


class Penalty(NamedTuple):
    """Priors that are added to a log-likelihood; with `jacobian` the density is theta's own."""

    model: PriorModel
    jacobian: bool


class Group(NamedTuple):
    """Entries `at` (m,) of theta with priors of one kind, their `parameters` each (m,)."""

    kind: str
    link: Link
    at: np.ndarray
    parameters: dict[str, np.ndarray]

    @property
    def is_normal(self) -> bool:
        """Whether the entries of theta themselves are normal."""
        return (self.kind, self.link.name) in (("normal", "identity"), ("lognormal", "log"))


@dataclass(frozen=True)
class PriorModel:
    """The priors of a model by their places in theta.

    Parameters
    ----------
    single : dict of int to (Prior, Link)
        Independent priors of natural parameters, with the link to theta.
    concentration : float or None
        Of the symmetric Dirichlet prior of constant weights.
    spread : ndarray, shape (Q,), or None
        Standard deviations tau of the concomitant logits by term.
    """

    single: Mapping[int, tuple[Prior, Link]]
    concentration: float | None
    spread: np.ndarray | None

    @property
    def is_sparse(self) -> bool:
        """Whether the Dirichlet prior empties components: its density is unbounded at zero."""
        return self.concentration is not None and self.concentration < 1

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Independent priors of the same kind and link together."""
        places: dict[tuple[str, str], list[int]] = {}
        for at, (prior, link) in self.single.items():
            places.setdefault((prior.kind, link.name), []).append(at)
        out = []
        for (kind, _), entries in places.items():
            priors = [self.single[j][0] for j in entries]
            parameters = {
                name: np.array([p.parameters[name] for p in priors], dtype=float)
                for name in KINDS[kind].parameters
            }
            out.append(Group(kind, self.single[entries[0]][1], np.array(entries), parameters))
        return tuple(out)
