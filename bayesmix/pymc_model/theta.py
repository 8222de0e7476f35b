"""Theta as a PyTensor vector, put together from the random variables of its parts; data."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.links import Link
from bayesmix.model import MixtureSpec

__all__ = ["Theta", "forward", "shared"]

Tensor = Any


class Theta:
    """Entries of theta being collected, on their natural and unconstrained scales."""

    def __init__(self, spec: MixtureSpec) -> None:
        self.size = spec.layout.size
        self.at: list[int] = []
        self.natural: list[Tensor] = []
        self.unconstrained: list[Tensor] = []

    def add(self, at: np.ndarray, natural: Tensor, unconstrained: Tensor) -> None:
        """Give the entries `at` of theta their values, as vectors."""
        self.at += at.ravel().tolist()
        self.natural.append(natural)
        self.unconstrained.append(unconstrained)

    def vector(self) -> Tensor:
        """Theta, once every entry is there."""
        import pytensor.tensor as pt

        assert sorted(self.at) == list(range(self.size))
        return pt.concatenate(self.unconstrained)[np.argsort(self.at)] if self.at else pt.zeros(0)


def forward(name: str, link: Link, x: Tensor) -> Tensor:
    """The link of a PyTensor variable."""
    import pytensor.tensor as pt

    known = {
        "identity": lambda: x,
        "log": lambda: pt.log(x),
        "logit": lambda: pt.log(x) - pt.log1p(-x),
        "probit": lambda: -np.sqrt(2.0) * pt.erfcinv(2 * x),
        "cloglog": lambda: pt.log(-pt.log1p(-x)),
        "inverse": lambda: 1 / x,
    }
    if link.name not in known:
        msg = (
            f"the parameter {name!r} has the link {link.name!r}, which a PyMC model does not "
            f"know; use one of {', '.join(known)}"
        )
        raise SpecError(msg)
    return known[link.name]()


def shared(values: np.ndarray, name: str) -> Tensor:
    """Numbers that a compiled function reads, so that it serves others of the same rank.

    Parameters
    ----------
    values : ndarray
        Axes of length one stay so.
    name : str
    """
    import pytensor

    shape = tuple(1 if length == 1 else None for length in np.shape(values))
    return pytensor.shared(np.array(values), name=name, shape=shape)
