"""Responses that are levels of a factor: which levels there are, and draws of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix._arguments import shown
from bayesmix.errors import DataError, SpecError
from bayesmix.formula.response import Response

# A response with more levels is more likely a number, or a name of each row.
MOST = 60


class Cuts(NamedTuple):
    """Thresholds between ordered levels, as tables have them.

    The first is minus the intercept of the location; each of the `steps`, parameters of the
    family, leads to the next.
    """

    variable: str
    steps: tuple[str, ...]
    labels: tuple[str, ...]


def checked_levels(levels: Sequence[Hashable], name: str) -> tuple[Hashable, ...]:
    """Levels that a user gives a family.

    Raises
    ------
    SpecError
        If they are no list of at least two different values.
    """
    plain = isinstance(levels, list | tuple | np.ndarray) or hasattr(levels, "categories")
    listed = list(getattr(levels, "categories", levels)) if plain else []
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise SpecError(
            f"levels={shown(levels)}: the {name} family takes a list of at least two different "
            "levels in their order, such as ['low', 'medium', 'high']"
        )
    return tuple(v.item() if isinstance(v, np.generic) else v for v in listed)


def settled_levels(response: Response, *, ordered: bool, name: str) -> tuple[Hashable, ...]:
    """The levels that a response has, in their order.

    Parameters
    ----------
    response : Response
        Of the kind "levels".
    ordered : bool
        Whether their order has a meaning, so that somebody must have given it.
    name : str
        Of the family.

    Raises
    ------
    DataError
        If there are too few or too many, one of them has no rows, or their order is unknown.
    """
    levels = response.levels
    if len(levels) < 2:
        only = f"only the level {levels[0]!r}" if levels else "no value"
        msg = f"{response.name!r} has {only}; the {name} family needs at least two levels"
        raise DataError(msg)
    if ordered and not response.ordered and len(levels) > 2:
        raise DataError(
            f"the levels of {response.name!r}, {shown(list(levels))}, have no order, which the "
            "ordinal family needs. Make the column an ordered Categorical, give the order by "
            "bmx.family('ordinal', levels=[...]), or use family='categorical'"
        )
    if len(levels) > MOST:
        raise DataError(
            f"{response.name!r} has {len(levels)} different values, more than the {MOST} that the "
            f"{name} family takes as levels; is it a number, for family='gaussian' or 'poisson'?"
        )
    counts = np.bincount(codes_of(response, levels, name), minlength=len(levels))
    if not counts.all():
        empty = [levels[j] for j in np.flatnonzero(counts == 0)]
        raise DataError(
            f"no row has the level{'s' if len(empty) > 1 else ''} {shown(empty)} of "
            f"{response.name!r}, so nothing can be learned about "
            f"{'them' if len(empty) > 1 else 'it'}; drop unused levels, as with "
            ".cat.remove_unused_categories()"
        )
    return levels


def codes_of(response: Response, levels: tuple[Hashable, ...], name: str) -> np.ndarray:
    """Place of each response among the levels of a family, (n,), missing ones left out.

    Raises
    ------
    DataError
        If a response has another level.
    """
    y = response.y[~np.isnan(response.y)].astype(int)
    if response.levels == levels:
        return y
    unknown = [v for j, v in enumerate(response.levels) if v not in levels and (y == j).any()]
    if unknown:
        raise DataError(
            f"{response.name!r} has the level {unknown[0]!r}, but the {name} family of this model "
            f"knows {shown(list(levels))}"
        )
    place = {v: j for j, v in enumerate(levels)}
    return np.array([place.get(v, -1) for v in response.levels], int)[y]


def as_levels(response: Response, families: Sequence[Any]) -> Response:
    """A response with the places of its values among the levels that families know.

    Raises
    ------
    DataError
        If a value is none of them, or the families know different ones.
    """
    known = {f.levels: f.name for f in families if f.levels}
    if response.kind != "levels" or not known:
        return response
    if len(known) > 1:
        msg = f"the components' families know different levels of {response.name!r}: {list(known)}"
        raise DataError(msg)
    (levels, name) = next(iter(known.items()))
    y = response.y.copy()
    y[~np.isnan(y)] = codes_of(response, levels, name)
    return replace(response, y=y, levels=levels)


def of_levels(levels: tuple[Hashable, ...]) -> dict[str, Any]:
    """What families of given levels have in common, as fields of a `Family`."""
    return {
        "levels": levels,
        "outputs": levels,
        "mean": lambda probability: probability,
        "simulate": draw_level,
        "tails": tails,
        "valid": lambda y: (y >= 0) & (y < len(levels)) & (y == np.floor(y)),
        "options": {"levels": list(levels)},
    }


def tails(y: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y) in the order of the levels: any order serves residuals."""
    reached = np.arange(probability.shape[-1]) <= np.asarray(y)[..., None]
    return np.where(reached, probability, 0.0).sum(-1), np.where(reached, 0.0, probability).sum(-1)


def draw_level(rng: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    """A random level, by its place, for each row of probabilities (..., L)."""
    total = np.cumsum(probability, axis=-1)
    u = rng.random(probability.shape[:-1])[..., None] * total[..., -1:]
    return np.minimum((u >= total).sum(-1), probability.shape[-1] - 1).astype(float)
