"""A point mass: one value has a probability of its own."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term


def constant(at: float, y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """The log probability itself, which has no parameter."""
    return np.where(y == at, 0.0, -np.inf)


def kernel_term(ops: Any) -> Term:
    """Give the constant; the predictor is ignored."""

    def term(const: float, _eta: float) -> tuple[float, ...]:
        return const, 0.0, 0.0, 0.0

    return term


def simulate(at: float, rng: np.random.Generator) -> np.ndarray:
    """The atom itself."""
    return np.full((), at)


def mass(name: str, at: float, equation: str, source: str, **more: Any) -> Family:
    """A family without parameters, all of whose mass is at one value."""
    return Family(
        name,
        params={},
        location=None,
        constant=partial(constant, at),
        kernel=Kernel("point", kernel_term, reads=("const",)),
        mean=lambda: at,
        variance=lambda: 0.0,
        tails=lambda y: (np.where(y >= at, 1.0, 0.0), np.where(y >= at, 0.0, 1.0)),
        simulate=partial(simulate, at),
        atom=at,
        discrete=True,
        equation=equation,
        source=source,
        **more,
    )


@lru_cache(maxsize=256)
def _made(at: float) -> Family:
    return mass(
        "point",
        at,
        r"f(a) = 1",
        "Aitchison (1955), Journal of the American Statistical Association 50, 901-908",
        options={"at": at},
    )


def make(at: float = 1.0) -> Family:
    """A point mass at a value.

    Parameters
    ----------
    at : float
        The atom, in the units of the response.

    Raises
    ------
    SpecError
        If it is no finite number.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.family("point", at=100).atom
    100.0
    """
    if isinstance(at, bool | str) or not np.isscalar(at) or not np.isfinite(at):
        raise SpecError(f"point: at={at!r}; the value of a point mass must be one finite number")
    return _made(float(at))


FAMILY = make()
