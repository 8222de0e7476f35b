"""Binomial family: successes out of trials, or a 0/1 response."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """Logarithm of the binomial coefficient, by Stirling's formula and its remainder."""
    assert trials is not None
    fewer, more = np.minimum(y, trials - y), np.maximum(y, trials - y)
    with np.errstate(all="ignore"):
        # One by one: of PyTensor variables no array can be made.
        whole, low, high = (xp.stirling(counts) for counts in (trials, fewer, more))
        value = (
            fewer * np.log(trials / fewer)
            - more * np.log1p(-fewer / trials)
            + 0.5 * np.log(trials / (2 * np.pi * fewer * more))
            + (whole - low - high)
        )
    return np.where(fewer == 0, 0.0, value)


def start(y: np.ndarray, trials: np.ndarray) -> dict:
    """Each proportion, moved towards one half."""
    return {"mu": (y + 0.5) / (trials + 1)}


def kernel_term(ops: Any) -> Term:
    """Give the binomial probability at the log odds.

    Both log probabilities come from log1p(exp(-|eta|)), so neither tail cancels.
    """
    exp, log1p, pick = ops.exp, ops.log1p, ops.pick

    def term(y: float, trials: float, const: float, eta: float) -> tuple[float, ...]:
        below = eta < 0.0
        size = pick(below, -eta, eta)
        odds = exp(-size)  # of the less likely outcome, <= 1
        likely = 1.0 / (1.0 + odds)
        unlikely = odds * likely
        failures = trials - y
        against = pick(below, y, failures)  # outcomes of the less likely kind
        # 0 * inf would be NaN: what never happened says nothing.
        surprise = pick(against == 0.0, 0.0, against * size)
        logf = const - surprise - trials * log1p(odds)
        probability = pick(below, unlikely, likely)
        complement = pick(below, likely, unlikely)
        slope = y * complement - failures * probability
        information = trials * likely * unlikely
        return logf, slope, information, information

    return term


def tails(y: np.ndarray, trials: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y) for y successes in these trials."""
    count = np.floor(y)
    none, all_of_them = count < 0, count >= trials
    inside = np.clip(count, 0.0, np.maximum(trials - 1, 0.0))
    above = np.maximum(trials - inside, 1.0)
    lower, upper = special.betaincc(inside + 1, above, mu), special.betainc(inside + 1, above, mu)
    lower = np.where(none, 0.0, np.where(all_of_them, 1.0, lower))
    return lower, np.where(none, 1.0, np.where(all_of_them, 0.0, upper))


FAMILY = Family(
    "binomial",
    discrete=True,
    params={"mu": "logit"},
    location="mu",
    links=("logit", "probit", "cloglog", "log", "identity"),
    start=start,
    mean=lambda mu: mu,
    variance=lambda mu, trials=1.0: mu * (1 - mu) / trials,  # of the proportion
    tails=tails,
    simulate=lambda rng, mu, trials: rng.binomial(trials.astype(np.int64), mu).astype(float),
    constant=constant,
    binomial=True,
    bounds={"mu": (0.0, 1.0)},
    kernel=Kernel("binomial", kernel_term, reads=("y", "trials", "const"), link="logit"),
    equation=r"f(y) = \binom{n}{y} \mu^y (1-\mu)^{n-y}",
    source="McCullagh and Nelder (1989), chapter 4",
    example={"mu": 0.3},
)
