"""Families with extra zeros, made of the family of the other responses.

With psi the probability of a zero of its own and f the family of the others:

* zero-inflated: P(0) = psi + (1 - psi) f(0), else (1 - psi) f(y);
* hurdle: P(0) = psi, else (1 - psi) f(y) / (1 - f(0)), where f(0) = 0 for a continuous f.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed, tail_probabilities
from bayesmix.families.limits import draw_within, log_tails
from bayesmix.families.links import Linked
from bayesmix.families.zero_kernels import (
    cut_off_term,
    inflated_term,
    positive_term,
    with_psi,
)
from bayesmix.formula.limits import Limits

SOURCES = {
    "zero_inflated": "Lambert (1992), Technometrics 34, 1-14",
    "hurdle": "Mullahy (1986), Journal of Econometrics 33, 341-365",
}


def zero_inflated(base: Family) -> Family:
    """A family of counts, and zeros beside its own.

    Parameters
    ----------
    base : Family
        Of counts.

    Returns
    -------
    Family
        With the further parameter ``psi``, the probability of a structural zero.
    """
    f: Any = base  # a shipped family has all functions that are asked for here

    def mean(psi: Array, **natural: Array) -> Array:
        """(1 - psi) times the mean of the counts."""
        return (1 - psi) * f.mean(**natural)

    def variance(psi: Array, trials: Array | None = None, **natural: Array) -> Array:
        """(1 - psi) (v + psi m^2), with the mean m and variance v of the counts or proportion."""
        v = f.variance(**natural, **({} if trials is None else {"trials": trials}))
        return (1 - psi) * (v + psi * f.mean(**natural) ** 2)

    def simulate(rng: np.random.Generator, psi: Array, **natural: Array) -> np.ndarray:
        y = f.simulate(rng, **natural)
        return np.where(rng.random(np.shape(y)) < psi, 0.0, y)

    def tails(y: np.ndarray, psi: Array, **natural: Array) -> tuple[np.ndarray, np.ndarray]:
        at, above = tail_probabilities(base, y, **natural)
        return psi * (y >= 0) + (1 - psi) * at, psi * (y < 0) + (1 - psi) * above

    def both_log_tails(obs: Observed, *linked: Linked) -> tuple[Array, Array]:
        *others, psi = linked
        at, above = log_tails(f, obs, tuple(others))
        at = xp.logaddexp(psi.log, psi.log1m + xp.clip(at, -1e300))
        return xp.where(obs.y >= 0, at, -np.inf), xp.where(obs.y >= 0, psi.log1m + above, 0.0)

    return _with_psi(
        base,
        "zero_inflated",
        tails=tails,
        log_tails=both_log_tails,
        mean=mean,
        variance=variance,
        simulate=simulate,
        kernel=with_psi(base.kernel, f"zero_inflated_{base.name}", inflated_term),
    )


def hurdle(base: Family) -> Family:
    """Zeros with a probability of their own, and a family of the other responses.

    Parameters
    ----------
    base : Family
        Of counts, which is cut off at zero, or of positive numbers.

    Returns
    -------
    Family
        With the further parameter ``psi``, the probability of zero.
    """
    f: Any = base
    counts, name = bool(f.valid(np.zeros(1))[0]), f"hurdle_{base.name}"

    def mean(psi: Array, **natural: Array) -> Array:
        """(1 - psi) m / (1 - f(0)), m the mean of the others."""
        return (1 - psi) * f.mean(**natural) / (_some(base, natural) if counts else 1.0)

    def variance(psi: Array, **natural: Array) -> Array:
        """Share (v + m^2) - (share m)^2, share = (1 - psi) / (1 - f(0))."""
        share = (1 - psi) / (_some(base, natural) if counts else 1.0)
        m = f.mean(**natural)
        return share * (f.variance(**natural) + m**2) - (share * m) ** 2

    def simulate(rng: np.random.Generator, psi: Array, **natural: Array) -> np.ndarray:
        y = f.simulate(rng, **natural)
        if counts:
            natural = {k: np.broadcast_to(v, y.shape).ravel() for k, v in natural.items()}
            above = Limits.of("truncated", np.ones(y.size), np.full(y.size, np.inf))
            y = draw_within(base, natural, y.ravel(), above, rng).reshape(y.shape)
        return np.where(rng.random(np.shape(y)) < psi, 0.0, y)

    def tails(y: np.ndarray, psi: Array, **natural: Array) -> tuple[np.ndarray, np.ndarray]:
        none, some = tail_probabilities(base, np.zeros(()), **natural) if counts else (0.0, 1.0)
        at, above = tail_probabilities(base, np.where(y > 0, y, 1.0), **natural)
        # Up to zero there is none of the others; each tail from what is accurate where it is small.
        above = np.where(y > 0, above / some, 1.0)
        within = np.where(above < 0.5, 1 - above, (at - none) / some) * (y > 0)
        inside = y >= 0
        return (psi + (1 - psi) * within) * inside, np.where(inside, (1 - psi) * above, 1.0)

    def valid(y: np.ndarray) -> np.ndarray:
        return (y == 0) | f.valid(_without(y))

    def constant(y: np.ndarray, trials: np.ndarray | None) -> Array:
        return f.constant(_without(y), trials)

    return _with_psi(
        base,
        "hurdle",
        tails=tails,
        log_tails=partial(_cut_off_tails, base) if counts else None,
        mean=mean,
        variance=variance,
        simulate=simulate,
        constant=None if base.constant is None else constant,
        kernel=with_psi(base.kernel, name, cut_off_term if counts else positive_term),
        valid=valid,
        units=None if base.units is None else {**base.units, "psi": 0},
        lump=None if counts else 0.0,
        support=base.support if counts else "numbers of zero or more",
    )


def _cut_off_tails(f: Family, obs: Observed, *linked: Linked) -> tuple[Array, Array]:
    """Log tails of a hurdle: psi up to zero, the rest shared out as the counts above zero."""
    *others, psi = linked
    zero = log_tails(f, _given(f, 0.0 * obs.y, obs.trials), tuple(others))
    at, above = log_tails(f, obs, tuple(others))
    above = psi.log1m + xp.where(obs.y > 0, above - zero[1], 0.0)
    within = at + xp.log1mexp(xp.clip(xp.where(obs.y > 0, zero[0] - at, -1.0), upper=-1e-300))
    at = xp.logaddexp(psi.log, psi.log1m + within - zero[1])
    at = xp.where(obs.y > 0, at, xp.where(obs.y < 0, -np.inf, psi.log))
    return at, xp.where(obs.y >= 0, above, 0.0)


def _without(y: np.ndarray) -> np.ndarray:
    """Responses with one in the place of each zero."""
    return np.where(y == 0, 1.0, y)


def _given(base: Family, y: np.ndarray, trials: np.ndarray | None) -> Observed:
    return Observed(y, trials, 0.0 if base.constant is None else base.constant(y, trials))


def _some(base: Family, natural: dict[str, Array]) -> Array:
    """1 - f(0)."""
    linked = (Linked.at(p.link, natural[p.name]) for p in base.parameters)
    return -xp.expm1(base.unguarded(_given(base, np.zeros(()), None), tuple(linked)))


def _with_psi(base: Family, kind: str, **functions: Any) -> Family:
    """What both kinds have in common."""
    is_hurdle = kind == "hurdle"

    def start(y: np.ndarray, *trials: np.ndarray) -> dict[str, Any]:
        # The share of zeros, away from 0 and 1.
        psi = (1.0 if is_hurdle else 0.5) * float((np.sum(y == 0) + 0.5) / (len(y) + 1))
        f: Any = base
        return {**f.start(_positive_only(y) if is_hurdle else y, *trials), "psi": psi}

    def priors(y: np.ndarray) -> dict[str, Prior]:
        given = {} if base.priors is None else dict(base.priors(_positive_only(y)))
        return {**given, "psi": Prior("beta", alpha=1.0, beta=1.0)}

    common = {
        "name": f"{kind}_{base.name}",
        "params": {**base.params, "psi": "logit"},
        "density": None,
        "closed_form": None,
        "start": start,
        "priors": priors,
        "timed": None,
        "pymc": None,
        "concave": False,
        "equation": EQUATIONS[kind] + base.equation,
        "source": SOURCES[kind],
        "example": {**base.example, "psi": 0.3},
    }
    return replace(base, **(common | functions))


def _positive_only(y: np.ndarray) -> np.ndarray:
    """Responses with each zero replaced by the mean of the others."""
    some = y[y > 0]
    return np.where(y > 0, y, some.mean() if len(some) else 1.0)


EQUATIONS = {
    "zero_inflated": (
        r"P(0) = \psi + (1-\psi) f(0),\quad P(y) = (1-\psi) f(y)\ \text{else},\quad "
    ),
    "hurdle": r"P(0) = \psi,\quad p(y) = (1-\psi) \frac{f(y)}{1-f(0)}\ \text{else},\quad ",
}
