"""Categorical family: a multinomial logit of levels without order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.base import Family
from bayesmix.families.kernel import Block, Kernel
from bayesmix.families.levels import checked_levels, of_levels, settled_levels
from bayesmix.families.regression import binomial
from bayesmix.formula.response import Response


def kernel_term(ops: Any) -> Block:
    """Give the probabilities of levels; derivatives 1(y = j) - p_j, and -p_j (1(i = j) - p_i)."""
    log, pick, share = ops.log, ops.pick, ops.scalar(_shares(ops))

    def term(level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        p = etas.shape[0]
        for i in range(n):
            y, own, others = numbers[0, i], 0.0, 0.0
            top, total, reference = share(etas, i, out)
            for j in range(p):
                own = pick(y == j + 1, etas[j, i], own)
                # 1 - p_j as the sum of the others, which has digits where p_j is nearly one.
                rest = reference
                for k in range(p):
                    rest = rest + (out[1 + k, i] if k != j else 0.0)
                    if level > 2 and k < j:
                        place = 1 + 2 * p + j * (j + 1) // 2 + k
                        out[place, i] = -out[1 + j, i] * out[1 + k, i]
                others = pick(y == j + 1, rest, others)
                if level > 1:
                    out[1 + p + j, i] = out[1 + j, i] * rest
                if level > 2:
                    out[1 + 2 * p + j * (j + 3) // 2, i] = out[1 + j, i] * rest
            out[0, i] = own - top - log(total)
            for j in range(p):
                out[1 + j, i] = pick(y == j + 1, others, -out[1 + j, i])

    return term


def _shares(ops: Any) -> Any:
    """Fill the probabilities of a row's levels but the first.

    Gives the largest predictor, the sum of all odds to it, and the first level's probability.
    """
    exp, pick = ops.exp, ops.pick

    def share(etas: np.ndarray, i: int, out: np.ndarray) -> tuple[float, float, float]:
        p, top = etas.shape[0], 0.0
        for j in range(p):
            top = pick(etas[j, i] > top, etas[j, i], top)
        total = exp(-top)
        for j in range(p):
            out[1 + j, i] = exp(etas[j, i] - top)
            total = total + out[1 + j, i]
        for j in range(p):
            out[1 + j, i] = out[1 + j, i] / total
        return top, total, exp(-top) / total

    return share


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

    return Family(
        **COMMON,
        **of_levels(levels),
        params=dict.fromkeys(names, "logit" if binary else "identity"),
        links=("logit",) if binary else ("identity",),
        kernel=BERNOULLI if binary else replace(KERNEL, parameters=len(names)),
        location=names if len(names) > 1 else names[0],
        start=start,
        concave=True,
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
        kernel=KERNEL,
        settle=settle,
    )


# Of two levels: one trial.
BERNOULLI = binomial.FAMILY.kernel
KERNEL = Kernel("categorical", kernel_term, blocks=True)

COMMON: dict[str, Any] = {
    "name": "categorical",
    "reads": "levels",
    "discrete": True,
    "equation": r"P(y = j) = \frac{\exp(\eta_j)}{\sum_l \exp(\eta_l)},\quad \eta_1 = 0",
    "source": "Agresti (2002), Categorical Data Analysis, section 7.1",
    "example": {"level": 0.4},
}
FAMILY = make()
