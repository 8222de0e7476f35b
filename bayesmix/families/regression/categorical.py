"""Categorical family: a multinomial logit of levels without order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.errors import SpecError
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.levels import checked_levels, draw_level, settled_levels
from bayesmix.families.links import Linked
from bayesmix.families.regression import binomial
from bayesmix.formula.response import Response


def density(obs: Observed, *others: Linked) -> Array:
    """eta_y - log(1 + sum_j exp(eta_j)), eta_j of all levels but the first, whose eta is zero."""
    total = reduce(xp.logaddexp, (each.eta for each in others), 0.0 * others[0].eta)
    own = 0.0
    for j, each in enumerate(others, 1):
        own = own + xp.where(obs.y == j, each.eta, 0.0)
    return own - total


def closed_form(obs: Observed, *others: Linked) -> Derivatives:
    """Derivatives in the linear predictors: 1(y = j) - p_j, and -p_j (1(i = j) - p_i)."""
    eta: list[Any] = [0.0, *(np.asarray(each.eta, float) for each in others)]
    top: Any = reduce(np.maximum, eta)
    odds = [np.exp(each - top) for each in eta]
    scale: Any = sum(odds)
    p = [each / scale for each in odds]
    # 1 - p_j as the sum of the others, which has digits where p_j is nearly one.
    rest = [sum(p[:j] + p[j + 1 :]) for j in range(len(p))]
    own: Any = sum(np.where(obs.y == j, each, 0.0) for j, each in enumerate(eta))
    first = tuple(np.where(obs.y == j, rest[j], -p[j]) for j in range(1, len(p)))
    second = tuple(
        tuple(-p[j] * rest[j] if i == j else p[i] * p[j] for j in range(1, len(p)))
        for i in range(1, len(p))
    )
    return Derivatives(own - top - np.log(scale), first, second)


def curvature(obs: Observed, *others: Linked) -> tuple[np.ndarray, ...]:
    """p_j (1 - p_j), which is the observed information too."""
    return tuple(-row[j] for j, row in enumerate(closed_form(obs, *others).second))


def probabilities(*eta: np.ndarray) -> np.ndarray:
    """P(y = j) of every level, (n, L)."""
    every = np.stack(np.broadcast_arrays(0.0 * eta[0], *eta), axis=-1)
    odds = np.exp(every - every.max(-1, keepdims=True))
    return odds / odds.sum(-1, keepdims=True)


def settle(response: Response) -> Family:
    """The family of the levels that the response has."""
    return definite(settled_levels(response, ordered=False, name="categorical"))


def definite(levels: tuple[Hashable, ...]) -> Family:
    """The family of given levels, the first the reference.

    Raises
    ------
    SpecError
        If two look alike as text.
    """
    names = tuple(map(str, levels[1:]))
    binary = len(levels) == 2  # the parameter is then the probability of the second
    if len({str(levels[0]), *names}) < len(levels):
        msg = f"the levels {list(levels)} look alike as text, which names their coefficients"
        raise SpecError(msg)

    def start(y: np.ndarray) -> dict[str, np.ndarray]:
        """Log odds of each row's own level, moved towards equal probabilities."""
        if binary:
            return {names[0]: (y + 0.5) / 2}
        far = np.log(len(levels) + 1.0)
        return {name: far * ((y == j) * 1.0 - (y == 0)) for j, name in enumerate(names, 1)}

    def mean(**given: Array) -> Array:
        if binary:
            return np.stack([1 - given[names[0]], given[names[0]]], axis=-1)
        return probabilities(*(given[name] for name in names))

    def tails(y: np.ndarray, /, **given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y) in the order of the levels: any order serves residuals."""
        p, reached = mean(**given), np.arange(len(levels)) <= np.asarray(y)[..., None]
        return np.where(reached, p, 0.0).sum(-1), np.where(reached, 0.0, p).sum(-1)

    return Family(
        **COMMON,
        params=dict.fromkeys(names, "logit" if binary else "identity"),
        links=("logit",) if binary else ("identity",),
        kernel=BERNOULLI if binary else None,
        location=names if len(names) > 1 else names[0],
        density=density,
        closed_form=closed_form,
        curvature=curvature,
        levels=levels,
        outputs=levels,
        start=start,
        mean=mean,
        simulate=lambda rng, /, **given: draw_level(rng, mean(**given)),
        tails=tails,
        valid=lambda y: (y >= 0) & (y < len(levels)) & (y == np.floor(y)),
        concave=True,
        options={"levels": list(levels)},
    )


def make(levels: Sequence[Hashable] | None = None) -> Family:
    """The family of levels that the response decides, or of these."""
    if levels is not None:
        return definite(checked_levels(levels, "categorical"))
    return Family(
        **COMMON,
        params={"level": "identity"},
        links=("identity",),
        location="level",
        density=density,
        settle=settle,
    )


# Of two levels: one trial.
BERNOULLI = binomial.FAMILY.kernel

COMMON: dict[str, Any] = {
    "name": "categorical",
    "reads": "levels",
    "discrete": True,
    "equation": r"P(y = j) = \frac{\exp(\eta_j)}{\sum_l \exp(\eta_l)},\quad \eta_1 = 0",
    "source": "Agresti (2002), Categorical Data Analysis, section 7.1",
    "example": {"level": 0.4},
}
FAMILY = make()
