"""Distributions of times of the user's own: what was not given follows from what was.

============== ====================================================================
given          the rest
============== ====================================================================
logpdf, logsf  nothing is missing
hazard         H(t) by quadrature over (0, t); log S = -H, log f = log h - H
logsf          h(t) = -d log S / dt by differences of the eighth order in log t
logpdf         F(t) over (0, t) below the mode of log time, S(t) over (t, inf) above
============== ====================================================================

The quadratures are double-exponential (Takahasi and Mori 1974), with fixed nodes, so that
derivatives in the parameters are exact derivatives of the value.  `check_own` compares them with
the same rule of half the nodes before any fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import Jet
from bayesmix.arrays.quadrature import legendre
from bayesmix.errors import SpecError
from bayesmix.families.interface import FamilyLike, Observed
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import Instant, Survival

Array = Any

# What a quadrature of a user's function must reach, relative to the share or the hazard.
TOLERANCE = 1e-7
_STEP = 0.08
# Differences of the eighth order, and their step in log t.
_LOG_STEP = 0.005
_LOG_STEPS = _LOG_STEP * np.array([-4, -3, -2, -1, 1, 2, 3, 4])
_DIFFERENCES = (
    np.array([-1 / 280, 4 / 105, -1 / 5, 4 / 5, -4 / 5, 1 / 5, -4 / 105, 1 / 280]) / _LOG_STEP
)
_TRIED_TIMES = 100
# Times that stand for the end of time: what falls between them goes on falling.
_LARGE = (1e30, 1e60)


def _inner_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) for a function that may be singular at 0."""
    tau = np.arange(-4.6, 3.2, _STEP)
    x = 1 / (1 + np.exp(-np.pi * np.sinh(tau)))
    rest = 1 / (1 + np.exp(np.pi * np.sinh(tau)))
    return x, _STEP * np.pi * np.cosh(tau) * x * rest


def _outer_rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, inf) for a function that falls."""
    tau = np.arange(-3.8, 4.4, _STEP)
    x = np.exp(0.5 * np.pi * np.sinh(tau))
    return x, _STEP * 0.5 * np.pi * np.cosh(tau) * x


_INNER, _OUTER = _inner_rule(), _outer_rule()


@dataclass(frozen=True)
class Function:
    """A user's function of times and natural parameters, for every kind of array."""

    family: str
    argument: str
    names: tuple[str, ...]
    call: Callable[..., Array]

    def __call__(self, t: Array, *values: Array) -> Array:
        """The function at times that broadcast with the parameters.

        Raises
        ------
        SpecError
            If it was not written for PyTensor variables, and is given some.
        """
        natural = dict(zip(self.names, values, strict=True))
        if not any(isinstance(v, xp.Symbol) for v in values):
            return self.call(t, **natural)
        try:
            found = self.call(t, **natural)
        except Exception as error:
            raise SpecError(self._not_for_symbols(str(error))) from error
        if not isinstance(found, xp.Symbol):
            raise SpecError(self._not_for_symbols(f"it returned {type(found).__name__}"))
        return found

    def _not_for_symbols(self, why: str) -> str:
        return (
            f"{self.argument} of the family {self.family!r} does not work with PyTensor variables, "
            f"which PyMC models need ({why}); write it with the functions of bayesmix.arrays, "
            "such as bayesmix.arrays.log and bayesmix.arrays.where"
        )


def _along(at: Instant, linked: tuple[Linked, ...], nodes: np.ndarray) -> np.ndarray:
    """Nodes along a new first axis beside the times' and the parameters' axes."""
    values = [v.value for v in linked]
    depth = max(np.ndim(at.t), *map(np.ndim, values))
    return nodes.reshape(-1, *(1,) * depth)


def _plain(linked: tuple[Linked, ...]) -> list[Array]:
    """The parameters without derivatives, for what decides how and where to integrate."""
    return [xp.value_of(v.value) for v in linked]


def _total(weights: Array, x: Array) -> Array:
    """Weighted sum along the first axis."""
    if isinstance(x, Jet):
        x = weights * x
        return Jet(x.value.sum(axis=0), x.first.sum(axis=1), x.second.sum(axis=2))
    return (weights * x).sum(axis=0)


@dataclass(frozen=True)
class Given:
    """A given log density or log survival function."""

    function: Function

    def __call__(self, at: Instant, *linked: Linked) -> Array:
        """The function itself."""
        return self.function(at.t, *(v.value for v in linked))


@dataclass(frozen=True)
class HazardSurvival:
    """Log S(t) = -H(t) from the hazard; `every` thins the nodes."""

    function: Function
    every: int = 1

    def __call__(self, at: Instant, *linked: Linked) -> Array:
        """Minus the hazard's integral over (0, t)."""
        x, weight = (_along(at, linked, v[:: self.every]) for v in _INNER)
        hazard = self.function(at.t * x, *(v.value for v in linked))
        return -(at.t * self.every) * _total(weight, hazard)


@dataclass(frozen=True)
class HazardDensity:
    """Log f(t) = log h(t) + log S(t)."""

    hazard: Function
    logsf: Callable[..., Array]

    def __call__(self, at: Instant, *linked: Linked) -> Array:
        """-inf where the hazard is zero."""
        hazard = self.hazard(at.t, *(v.value for v in linked))
        return _log_positive(hazard) + self.logsf(at, *linked)


@dataclass(frozen=True)
class SurvivalDensity:
    """Log f(t) = log S(t) + log(-d log S / dt)."""

    function: Function

    def __call__(self, at: Instant, *linked: Linked) -> Array:
        """-inf where the survival function does not fall."""
        values = [v.value for v in linked]
        steps, weight = (_along(at, linked, v) for v in (_LOG_STEPS, _DIFFERENCES))
        slope = _total(weight, self.function(at.t * np.exp(steps), *values))  # -t d log S / dt
        return self.function(at.t, *values) + _log_positive(slope) - at.log


def _log_positive(x: Array) -> Array:
    """log(x); -inf where x is not above zero."""
    there = x > 0
    return xp.where(there, xp.log(xp.where(there, x, 1.0)), -np.inf)


@dataclass(frozen=True)
class DensityTail:
    """A log tail by quadrature of the density: the lower one, or the upper one."""

    function: Function
    lower: bool

    def __call__(self, at: Instant, *linked: Linked) -> Array:
        """The tail on this side of the mode of log t, or one minus the other."""
        values = _plain(linked)
        rising = self.function(at.t * 1.001, *values) + 0.001 > self.function(at.t, *values)
        small = xp.where(rising, self.below(at, *linked), self.above(at, *linked))
        # A share of one or more is rounding: the other side is then nothing.
        small = xp.where(small < -1e-15, small, -1e-15)
        direct = rising if self.lower else ~rising
        return xp.where(direct, small, xp.log1mexp(small))

    def below(self, at: Instant, *linked: Linked) -> Array:
        """Log of the density's integral over (0, t)."""
        x, weight = (_along(at, linked, v) for v in _INNER)
        return self._integral(at.t * x, at.t * weight, at, linked)

    def above(self, at: Instant, *linked: Linked) -> Array:
        """Log of the density's integral over (t, inf)."""
        x, weight = (_along(at, linked, v) for v in _OUTER)
        width = self._width(at, linked)
        return self._integral(at.t + width * x, width * weight, at, linked)

    def _integral(self, t: Array, weight: Array, at: Instant, linked: tuple[Linked, ...]) -> Array:
        # The result does not depend on the base, so that needs no derivatives.
        here = self.function(at.t, *_plain(linked))
        base = xp.where(here > -np.inf, here, 0.0)
        fall = self.function(t, *(v.value for v in linked)) - base
        part = xp.where(fall > -700.0, xp.exp(xp.clip(fall, -700.0, 700.0)), 0.0)
        total = _total(weight, part)
        return base + _log_positive(total)

    def _width(self, at: Instant, linked: tuple[Linked, ...]) -> Array:
        """About how far beyond t the density has fallen to a third."""
        powers = _along(at, linked, 10.0 ** np.arange(-9.0, 9.0))
        values = _plain(linked)
        fallen = self.function(at.t + at.t * powers, *values) < self.function(at.t, *values) - 1.0
        return at.t * np.where(fallen, powers, 1e9).min(axis=0)


def own_survival(family: FamilyLike) -> Survival:
    """The distribution of times that a user's functions describe.

    Parameters
    ----------
    family : FamilyLike
        With `logpdf`, `logsf` or `hazard`, or several.

    Returns
    -------
    Survival
    """
    names = tuple(p.name for p in family.parameters)

    def given(argument: str) -> Function:
        return Function(family.name, argument, names, getattr(family, argument))

    if family.logsf is None and family.hazard is None:
        logpdf = given("logpdf")
        below, above = (DensityTail(logpdf, lower=lower) for lower in (True, False))
        return Survival(Given(logpdf), above, None, below)
    of_hazard = family.logsf is None
    last = given("hazard" if of_hazard else "logsf")
    logsf: Callable[..., Array] = HazardSurvival(last) if of_hazard else Given(last)
    density: Callable[..., Array] = SurvivalDensity(last)
    if family.logpdf is not None:
        density = Given(given("logpdf"))
    elif family.hazard is not None:
        density = HazardDensity(given("hazard"), logsf)
    return Survival(density, logsf, never=Never(last, of_hazard=of_hazard))


@dataclass(frozen=True)
class Never:
    """The share that never has the event: the survival function's level at the largest times.

    It is a share where log S no longer falls over the last thirty powers of ten, else zero.
    """

    function: Function
    of_hazard: bool

    def __call__(self, **natural: np.ndarray) -> np.ndarray:
        """From natural parameters that broadcast."""
        values = [np.asarray(natural[name], dtype=float) for name in self.function.names]
        with np.errstate(all="ignore"):
            before, last = self._hazard(values) if self.of_hazard else self._survival(values)
            return np.where(last > (1 + 1e-9) * before - 1e-9, np.exp(last), 0.0)

    def _survival(self, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        # A function of exp(t), say, is not a number at the very largest times.
        tried = [self.function(np.asarray(t), *values) for t in _LARGE]
        tried = [np.where(np.isnan(v), -np.inf, v) for v in tried]
        return tried[0], tried[1]

    def _hazard(self, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Minus the cumulative hazard, by Gauss-Legendre's rule over powers of e."""
        total, before = np.zeros(()), np.zeros(())
        for start in np.arange(np.log(1e-30), np.log(_LARGE[1])):
            if start > np.log(_LARGE[0]) and not before.any():
                before = -total
            for node, weight in zip(*legendre(8), strict=True):
                t = np.exp(start + node)
                hazard = self.function(t, *values)
                total = total + weight * t * np.where(np.isnan(hazard), np.inf, hazard)
        return before, -total


# --- checks --------------------------------------------------------------------------------


def check_own(family: FamilyLike, obs: Observed, natural: dict[str, Any]) -> None:
    """Compare what follows by quadrature with a rule of half the nodes, and S' with f.

    Parameters
    ----------
    family : FamilyLike
    obs : Observed
        The times; at most 100 of them are tried.
    natural : dict of str to float
        Parameters at which to try.

    Raises
    ------
    SpecError
        If the tolerance is not reached, or the functions given contradict each other.
    """
    assert family.survival is not None
    seen = np.sort(obs.y[obs.y > 0])  # a row that says nothing may stand at zero
    if not len(seen):
        return
    t = seen[np.linspace(0, len(seen) - 1, min(len(seen), _TRIED_TIMES)).astype(int)]
    at = Instant(t, np.log(t))
    linked = tuple(
        Linked(p.link, p.link.forward(np.asarray([natural[p.name]], dtype=float)))
        for p in family.parameters
    )
    with np.errstate(all="ignore"):
        logsf = family.survival.logsf
        if isinstance(logsf, HazardSurvival):
            _check_hazard(family, logsf, at, linked)
        elif isinstance(logsf, DensityTail):
            _check_density(family, logsf, at, linked)
        else:
            _check_agreement(family, at, linked)


def _check_hazard(
    family: FamilyLike, logsf: HazardSurvival, at: Instant, linked: tuple[Linked, ...]
) -> None:
    fine, coarse = logsf(at, *linked), HazardSurvival(logsf.function, 2)(at, *linked)
    # The error of the fine rule is about the square of the coarse one's.
    error = np.square(np.abs(fine - coarse) / np.maximum(np.abs(fine), 1e-300))
    _refuse(
        family, at, error, "hazard", "the integral of its hazard from 0",
        "give logsf= (minus the cumulative hazard) too",
    )  # fmt: skip


def _check_density(
    family: FamilyLike, logsf: DensityTail, at: Instant, linked: tuple[Linked, ...]
) -> None:
    total = np.logaddexp(logsf.below(at, *linked), logsf.above(at, *linked))
    _refuse(
        family, at, np.abs(np.expm1(total)), "logpdf", "the integral of its density, which is one,",
        "check that it is a density of positive times, or give logsf= too",
    )  # fmt: skip


def _check_agreement(family: FamilyLike, at: Instant, linked: tuple[Linked, ...]) -> None:
    """The density is minus the slope of the survival function."""
    assert family.survival is not None
    assert isinstance(family.survival.logsf, Given)
    derived = SurvivalDensity(family.survival.logsf.function)(at, *linked)
    given = family.survival.logpdf(at, *linked)
    seen = np.isfinite(derived) & np.isfinite(given) & (np.abs(given) < 500)
    error = np.where(seen, np.abs(np.expm1(derived - given)), 0.0)
    _refuse(
        family, at, 0.1 * TOLERANCE / 1e-4 * error, "logsf", "the slope of its survival function",
        "check that logpdf= (or hazard=) and logsf= belong together",
    )  # fmt: skip


def _refuse(
    family: FamilyLike, at: Instant, error: np.ndarray, argument: str, what: str, remedy: str
) -> None:
    bad = ~(error <= TOLERANCE)
    if not bad.any():
        return
    i = int(np.flatnonzero(bad)[0])
    raise SpecError(
        f"{argument} of the family {family.name!r}: {what} is not reached to {TOLERANCE:g} at "
        f"{int(bad.sum())} of {len(bad)} times (the first is t = {at.t[i]:g}, with an error of "
        f"about {error[i]:.2g}); {remedy}"
    )
