"""How a family's linear predictors follow from those for responses in another unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families.links import Link

__all__ = ["Change", "change"]


class Change(NamedTuple):
    """What becomes of m linear predictors if responses y are measured as (y - c) / u.

    eta = mixing @ eta' + shift, less exp(eta[b]) log u in eta[a] for `bend` = (a, b).

    Parameters
    ----------
    family : Family
        The family of the new responses: the same, but for knots and the like.
    mixing : ndarray, shape (m, m)
    shift : ndarray, shape (m,)
    bend : tuple of (int, int, float), or None
        a, b and log u.
    """

    family: Any
    mixing: np.ndarray
    shift: np.ndarray
    bend: tuple[int, int, float] | None = None


def change(family: Any, unit: float, centre: float, obs: Any) -> Change | None:
    """The change of a family's linear predictors; None where its responses have no unit.

    Parameters
    ----------
    family : Family
    unit, centre : float
        u and c.  Only locations of responses that may be negative move with a centre.
    obs : Observed
        The responses as they are, for families that depend on them.
    """
    if family.in_units is not None:
        return family.in_units(family, unit, obs)
    if family.units is None:
        return None
    return by_rules(family, unit, centre)


def by_rules(family: Any, unit: float, centre: float) -> Change | None:
    """The change that the family's `units` describe."""
    m = len(family.parameters)
    mixing, shift = np.eye(m), np.zeros(m)
    for i, parameter in enumerate(family.parameters):
        rule = family.units[parameter.name]
        if rule == "log":  # the logarithm of the response's unit is added
            shift[i] = np.log(unit)
            continue
        moved = _MOVES.get(parameter.link.name)
        power = 1 if rule == "response" else rule
        if moved is None and power:
            return None
        if moved is not None:
            mixing[i, i], shift[i] = moved(unit**power, np.log(unit) * power)
        if centre and rule == "response":
            if parameter.link.name != "identity":
                return None
            shift[i] += centre
    return Change(family, mixing, shift)


# By link: what multiplies a linear predictor and what is added where its parameter is multiplied.
_MOVES: Mapping[str, Callable[[float, float], tuple[float, float]]] = {
    "identity": lambda factor, _: (factor, 0.0),
    "inverse": lambda factor, _: (1 / factor, 0.0),
    "log": lambda _, log: (1.0, log),
}


def is_centred(family: Any) -> bool:
    """Whether a constant can be taken off the responses: its location moves with them."""
    if not family.units or family.location is None:
        return False
    link: Link = family.params[family.location]
    return family.units[family.location] == "response" and link.name == "identity"
