r"""Non-mixture cure: S(t) = exp(-theta F(t)), of whom exp(-theta) never have the event.

A Poisson number of causes with mean theta act independently, and each would lead to the event
after a time of its own with the distribution function F, any other family for times.  Covariates
of theta have proportional hazards for all times.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import mirrored
from bayesmix.distributions import Prior
from bayesmix.errors import SpecError
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import (
    Instant,
    Survival,
    log1mexp_exp,
    minus_exp,
    never_happens,
)
from bayesmix.families.survival.base import quantile as quantile_of
from bayesmix.families.units import Change, change
from bayesmix.formula.times import Times

# Families whose times a cause may have: all that happen to everybody.
CAUSES = (
    "exponential",
    "weibull",
    "weibull_ph",
    "gamma",
    "lognormal",
    "loglogistic",
    "gompertz",
    "gengamma",
    "gengamma_orig",
    "genf",
    "genf_orig",
)
# The standard deviation of a prior for the level of F on its link's scale.
WIDE = 2.5


def log_cumulative(
    cause: Survival, at: Instant, theta: Linked, linked: tuple[Linked, ...]
) -> Array:
    """Log cumulative hazard, log(theta) + log F(t)."""
    return theta.log + cause.log_distribution(at, *linked)


def logpdf(cause: Survival, at: Instant, theta: Linked, *linked: Linked) -> Array:
    """log(theta) + log f(t) - theta F(t)."""
    hazard = minus_exp(log_cumulative(cause, at, theta, linked))
    there = hazard > -np.inf
    log_rate = theta.log + cause.logpdf(at, *linked)
    return xp.where(there, log_rate + xp.where(there, hazard, 0.0), -np.inf)


def logsf(cause: Survival, at: Instant, theta: Linked, *linked: Linked) -> Array:
    """-theta F(t)."""
    return minus_exp(log_cumulative(cause, at, theta, linked))


def logcdf(cause: Survival, at: Instant, theta: Linked, *linked: Linked) -> Array:
    """log(1 - exp(-theta F(t)))."""
    return log1mexp_exp(log_cumulative(cause, at, theta, linked))


def closed_form(
    cause: Survival, at: Instant, event: np.ndarray, theta: Linked, *linked: Linked
) -> Derivatives:
    """Derivatives in log(theta) and the predictors of F, from those of log f and log S."""
    assert cause.closed_form is not None
    shape = np.broadcast_shapes(np.shape(event), np.shape(at.t))
    density = cause.closed_form(at, np.ones(shape), *linked)
    tail = cause.closed_form(at, np.zeros(shape), *linked)
    share = np.exp(cause.log_distribution(at, *linked))
    hazard = theta.value * share
    left = theta.value * np.exp(tail.logf)

    def times(value: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.where(weight != 0, weight * value, 0.0)

    first = [event - hazard]
    second = [[-hazard]]
    for i, (slope, down) in enumerate(zip(density.first, tail.first, strict=True)):
        first.append(times(slope, event) + times(down, left))
        row = [times(down, left)]
        for j in range(i + 1):
            bend = tail.second[i][j] + down * tail.first[j]
            row.append(times(density.second[i][j], event) + times(bend, left))
        second.append(row)
    logf = times(theta.log + density.logf, event) - hazard
    return Derivatives(logf, tuple(first), mirrored(second))


def never(cause: Family, theta: np.ndarray, **natural: np.ndarray) -> np.ndarray:
    """exp(-theta), or where some causes never act, exp(-theta F(inf))."""
    return np.exp(-np.asarray(theta, dtype=float) * (1 - never_happens(cause, natural)))


def quantile(cause: Family, p: np.ndarray, theta: np.ndarray, **natural: Any) -> np.ndarray:
    """The time at which F is -log(1 - p) / theta."""
    with np.errstate(all="ignore"):
        share = -np.log1p(-np.asarray(p, dtype=float)) / theta
    return np.where(share < 1, quantile_of(cause, np.minimum(share, 1.0), natural), np.inf)


def start(cause: Family, times: Times) -> dict:
    """As many causes as would leave this share without the event; F of those who have it."""
    event = np.isfinite(times.upper)
    share = (event.sum() + 0.5) / (len(times) + 1.0)
    known = times.take(event) if event.any() else times
    return {"theta": float(-np.log1p(-share)), **_rough(cause, known)}


def _rough(cause: Family, times: Times) -> dict[str, float]:
    found = cause.starting(Observed(np.exp(times.log_lower), None, 0.0, times))
    return {name: float(np.median(value)) for name, value in found.items()}


def priors(cause: Family, times: Times) -> dict[str, Prior]:
    """Those of the family of F, with its level up to 2.5 on the scale of its link."""
    event = np.isfinite(times.upper)
    own = {} if cause.priors is None else dict(cause.priors(times))
    level = cause.parameters[0]
    rough = _rough(cause, times.take(event) if event.any() else times)[level.name]
    eta = float(level.link.forward(np.asarray(rough)))
    kind = "lognormal" if level.link.name == "log" else "normal"
    return {level.name: Prior(kind, mu=eta, sigma=WIDE), **own}


def in_units(cause: Family, family: Family, unit: float, obs: Observed) -> Change | None:
    """Theta has no unit; the parameters of F move as they do alone."""
    own = change(cause, unit, 0.0, obs)
    if own is None:
        return None
    m = len(own.shift) + 1
    mixing, shift = np.eye(m), np.zeros(m)
    mixing[1:, 1:], shift[1:] = own.mixing, own.shift
    bend = None if own.bend is None else (own.bend[0] + 1, own.bend[1] + 1, own.bend[2])
    return Change(family, mixing, shift, bend)


def infinite(**natural: np.ndarray) -> np.ndarray:
    """Infinite: some never have the event."""
    return np.full(np.broadcast_shapes(*(np.shape(v) for v in natural.values())), np.inf)


def simulate(cause: Family, rng: np.random.Generator, **natural: np.ndarray) -> np.ndarray:
    """Draw times; infinite where the event never happens."""
    size = np.broadcast_shapes(*(np.shape(v) for v in natural.values()))
    return np.maximum(quantile(cause, rng.uniform(size=size), **natural), np.finfo(float).tiny)


def make(of: str = "weibull") -> Family:
    """The family whose causes act after times of another family.

    Parameters
    ----------
    of : str
        The family of F.

    Raises
    ------
    SpecError
        If that is none of the families with a time for everybody.
    """
    if of not in CAUSES:
        raise SpecError(f"promotion_time: of={of!r} is unknown; use one of {', '.join(CAUSES)}")
    return _make(of)


@lru_cache
def _make(of: str) -> Family:
    cause: Family = import_module(f"bayesmix.families.survival.{of}").FAMILY
    law = cause.survival
    assert law is not None
    params: Mapping[str, Any] = {"theta": "log", **cause.params}
    return Family(
        "promotion_time",
        params=params,
        location="theta",
        survival=Survival(
            partial(logpdf, law),
            partial(logsf, law),
            partial(quantile, cause),
            partial(logcdf, law),
            never=partial(never, cause),
            closed_form=None if law.closed_form is None else partial(closed_form, law),
        ),
        start=partial(start, cause),
        mean=infinite,
        variance=infinite,
        simulate=partial(simulate, cause),
        priors=partial(priors, cause),
        in_units=partial(in_units, cause),
        collapse=cause.collapse,
        options={"of": of},
        support="positive times",
        equation=r"S(t) = \exp\{-\theta F(t)\},\ F\ \text{of the family "
        + of.replace("_", r"\_")
        + r"}",
        source="Tsodikov, Ibrahim and Yakovlev (2003), Journal of the American Statistical "
        "Association 98, 1063-1078",
        example={"theta": 1.2, **cause.example},
    )


FAMILY = make()
