"""How a family's linear predictors follow from those for responses in another unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families.interface import FamilyLike
from bayesmix.families.links import Link


class OfColumn(NamedTuple):
    """How a parameter moves with the unit of one column of a response, or of all alike (None)."""

    rule: Any
    column: int | None

    def of(self, values: Any) -> float | None:
        """The column's unit or centre; None where columns that move alike have different ones."""
        each = np.atleast_1d(np.asarray(values, dtype=float))
        if self.column is not None and len(each) > 1:
            return float(each[self.column])
        return float(each[0]) if (each == each[0]).all() else None


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

    family: FamilyLike
    mixing: np.ndarray
    shift: np.ndarray
    bend: tuple[int, int, float] | None = None


def change(family: FamilyLike, unit: Any, centre: Any, obs: Any) -> Change | None:
    """The change of a family's linear predictors; None where its responses have no unit.

    Parameters
    ----------
    family : Family
    unit, centre : float, or ndarray of shape (q,)
        u and c, of a response of several columns those of each.  Only locations of responses that
        may be negative move with a centre.
    obs : Observed
        The responses as they are, for families that depend on them.
    """
    if family.in_units is not None:
        return family.in_units(family, unit, obs)
    if family.units is None:
        return None
    return by_rules(family, unit, centre)


def by_rules(family: FamilyLike, units: Any, centres: Any) -> Change | None:
    """The change that the family's `units` describe."""
    m = len(family.parameters)
    mixing, shift = np.eye(m), np.zeros(m)
    for i, parameter in enumerate(family.parameters):
        own = _rule(family, parameter.name)
        rule, centre = own.rule, own.of(centres) if own.rule == "response" else 0.0
        unit = own.of(units) if rule else 1.0
        if unit is None or centre is None:
            return None
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


def is_centred(family: FamilyLike) -> bool:
    """Whether a constant can be taken off the responses: its location moves with them."""
    if not family.units or family.location is None:
        return False
    link: Link = family.params[family.location]
    return _rule(family, family.location).rule == "response" and link.name == "identity"


def _rule(family: FamilyLike, name: str) -> OfColumn:
    """How a parameter moves; of a response of one column by its unit."""
    given = family.units[name]
    return given if isinstance(given, OfColumn) else OfColumn(given, None)
