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
from functools import partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.autodiff import by_parts
from bayesmix.arrays.quadrature import half_line, legendre, unit_interval
from bayesmix.errors import SpecError
from bayesmix.families.interface import FamilyLike, Observed
from bayesmix.families.links import Linked, at_values
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


_INNER = unit_interval(np.arange(-4.6, 3.2, _STEP))
_OUTER = half_line(np.arange(-3.8, 4.4, _STEP))


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

    def at(self, at: Instant, *linked: Linked) -> Array:
        """The function at the times themselves."""
        return self(at.t, *_values(linked))

    def _not_for_symbols(self, why: str) -> str:
        return (
            f"{self.argument} of the family {self.family!r} does not work with PyTensor variables, "
            f"which PyMC models need ({why}); write it with the functions of bayesmix.arrays, "
            "such as bayesmix.arrays.log and bayesmix.arrays.where"
        )


def _values(linked: tuple[Linked, ...]) -> list[Array]:
    return [v.value for v in linked]


def _along(at: Instant, linked: tuple[Linked, ...], nodes: np.ndarray) -> np.ndarray:
    """Nodes along a new first axis beside the times' and the parameters' axes."""
    depth = max(np.ndim(at.t), *map(np.ndim, _values(linked)))
    return nodes.reshape(-1, *(1,) * depth)


def _plain(linked: tuple[Linked, ...]) -> list[Array]:
    """The parameters without derivatives, for what decides how and where to integrate."""
    return [xp.value_of(v.value) for v in linked]


def _total(weights: Array, x: Array) -> Array:
    """Weighted sum along the first axis."""
    x = weights * x
    return by_parts(lambda part: part.sum(axis=part.ndim - x.ndim), x)


def _log_positive(x: Array) -> Array:
    """log(x); -inf where x is not above zero."""
    there = x > 0
    return xp.where(there, xp.log(xp.where(there, x, 1.0)), -np.inf)


# --- from a hazard, or a survival function -------------------------------------------------


def hazard_survival(hazard: Function, at: Instant, *linked: Linked, every: int = 1) -> Array:
    """Log S(t) = -H(t), minus the hazard's integral over (0, t); `every` thins the nodes."""
    x, weight = (_along(at, linked, v[::every]) for v in _INNER)
    return -(at.t * every) * _total(weight, hazard(at.t * x, *_values(linked)))


def hazard_density(
    hazard: Function, logsf: Callable[..., Array], at: Instant, *linked: Linked
) -> Array:
    """Log f(t) = log h(t) + log S(t); -inf where the hazard is zero."""
    return _log_positive(hazard.at(at, *linked)) + logsf(at, *linked)


def survival_density(logsf: Function, at: Instant, *linked: Linked) -> Array:
    """Log f(t) = log S(t) + log(-d log S / dt); -inf where the survival function does not fall."""
    steps, weight = (_along(at, linked, v) for v in (_LOG_STEPS, _DIFFERENCES))
    slope = _total(weight, logsf(at.t * np.exp(steps), *_values(linked)))  # -t d log S / dt
    return logsf.at(at, *linked) + _log_positive(slope) - at.log


# --- from a density ------------------------------------------------------------------------


def density_tail(logpdf: Function, lower: bool, at: Instant, *linked: Linked) -> Array:
    """A log tail, the lower or the upper one: on its side of the mode of log t by quadrature.

    On the other side, one minus the other tail.
    """
    values = _plain(linked)
    rising = logpdf(at.t * 1.001, *values) + 0.001 > logpdf(at.t, *values)
    small = xp.where(rising, _below(logpdf, at, linked), _above(logpdf, at, linked))
    # A share of one or more is rounding: the other side is then nothing.
    small = xp.where(small < -1e-15, small, -1e-15)
    return xp.where(rising if lower else ~rising, small, xp.log1mexp(small))


def _below(logpdf: Function, at: Instant, linked: tuple[Linked, ...]) -> Array:
    """Log of the density's integral over (0, t)."""
    x, weight = (_along(at, linked, v) for v in _INNER)
    return _integral(logpdf, at.t * x, at.t * weight, at, linked)


def _above(logpdf: Function, at: Instant, linked: tuple[Linked, ...]) -> Array:
    """Log of the density's integral over (t, inf)."""
    x, weight = (_along(at, linked, v) for v in _OUTER)
    width = _width(logpdf, at, linked)
    return _integral(logpdf, at.t + width * x, width * weight, at, linked)


def _integral(
    logpdf: Function, t: Array, weight: Array, at: Instant, linked: tuple[Linked, ...]
) -> Array:
    # The result does not depend on the base, so that needs no derivatives.
    here = logpdf(at.t, *_plain(linked))
    base = xp.where(here > -np.inf, here, 0.0)
    fall = logpdf(t, *_values(linked)) - base
    part = xp.where(fall > -700.0, xp.exp(xp.clip(fall, -700.0, 700.0)), 0.0)
    return base + _log_positive(_total(weight, part))


def _width(logpdf: Function, at: Instant, linked: tuple[Linked, ...]) -> Array:
    """About how far beyond t the density has fallen to a third."""
    powers, values = _along(at, linked, 10.0 ** np.arange(-9.0, 9.0)), _plain(linked)
    fallen = logpdf(at.t + at.t * powers, *values) < logpdf(at.t, *values) - 1.0
    return at.t * np.where(fallen, powers, 1e9).min(axis=0)


# --- the distribution ----------------------------------------------------------------------


def _given(family: FamilyLike, argument: str) -> Function:
    names = tuple(p.name for p in family.parameters)
    return Function(family.name, argument, names, getattr(family, argument))


def own_survival(family: FamilyLike) -> Survival:
    """The distribution of times that a user's functions describe.

    Parameters
    ----------
    family : Family
        With `logpdf`, `logsf` or `hazard`, or several.

    Returns
    -------
    Survival
    """
    if family.logsf is None and family.hazard is None:
        logpdf = _given(family, "logpdf")
        below, above = (partial(density_tail, logpdf, lower) for lower in (True, False))
        return Survival(logpdf.at, above, None, below)
    of_hazard = family.logsf is None
    last = _given(family, "hazard" if of_hazard else "logsf")
    logsf = partial(hazard_survival, last) if of_hazard else last.at
    density: Callable[..., Array] = partial(survival_density, last)
    if family.logpdf is not None:
        density = _given(family, "logpdf").at
    elif family.hazard is not None:
        density = partial(hazard_density, _given(family, "hazard"), logsf)
    ends = _last_hazard if of_hazard else _last_survival
    return Survival(density, logsf, never=partial(never, last, ends))


def never(last: Function, values_at: Callable[..., Any], **natural: np.ndarray) -> np.ndarray:
    """The share that never has the event: the survival function's level at the largest times.

    It is a share where log S no longer falls over the last thirty powers of ten, else zero.
    """
    values = [np.asarray(natural[name], dtype=float) for name in last.names]
    with np.errstate(all="ignore"):
        before, level = values_at(last, values)
        return np.where(level > (1 + 1e-9) * before - 1e-9, np.exp(level), 0.0)


def _last_survival(logsf: Function, values: list[np.ndarray]) -> list[np.ndarray]:
    """Log S at both of the largest times."""
    # A function of exp(t), say, is not a number at the very largest times.
    tried = [logsf(np.asarray(t), *values) for t in _LARGE]
    return [np.where(np.isnan(v), -np.inf, v) for v in tried]


def _last_hazard(hazard: Function, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Minus the cumulative hazard there, by Gauss-Legendre's rule over powers of e."""
    total, before = np.zeros(()), np.zeros(())
    for start in np.arange(np.log(1e-30), np.log(_LARGE[1])):
        if start > np.log(_LARGE[0]) and not before.any():
            before = -total
        for node, weight in zip(*legendre(8), strict=True):
            t = np.exp(start + node)
            rate = hazard(t, *values)
            total = total + weight * t * np.where(np.isnan(rate), np.inf, rate)
    return before, -total


# --- checks --------------------------------------------------------------------------------


def check_own(family: FamilyLike, obs: Observed, natural: dict[str, Any]) -> None:
    """Compare what follows by quadrature with a rule of half the nodes, and S' with f.

    Parameters
    ----------
    family : Family
    obs : Observed
        The times; at most 100 of them are tried.
    natural : dict of str to float
        Parameters at which to try.

    Raises
    ------
    SpecError
        If the tolerance is not reached, or the functions given contradict each other.
    """
    seen = np.sort(obs.y[obs.y > 0])  # a row that says nothing may stand at zero
    if not len(seen):
        return
    t = seen[np.linspace(0, len(seen) - 1, min(len(seen), _TRIED_TIMES)).astype(int)]
    at = Instant(t, np.log(t))
    linked = at_values(family.parameters, {name: [value] for name, value in natural.items()})
    with np.errstate(all="ignore"):
        if family.logsf is not None:
            _check_agreement(family, at, linked)
        elif family.hazard is not None:
            _check_hazard(family, at, linked)
        else:
            _check_density(family, at, linked)


def _check_hazard(family: FamilyLike, at: Instant, linked: tuple[Linked, ...]) -> None:
    hazard = _given(family, "hazard")
    fine, coarse = (hazard_survival(hazard, at, *linked, every=every) for every in (1, 2))
    # The error of the fine rule is about the square of the coarse one's.
    error = np.square(np.abs(fine - coarse) / np.maximum(np.abs(fine), 1e-300))
    _refuse(
        family, at, error, "hazard", "the integral of its hazard from 0",
        "give logsf= (minus the cumulative hazard) too",
    )  # fmt: skip


def _check_density(family: FamilyLike, at: Instant, linked: tuple[Linked, ...]) -> None:
    logpdf = _given(family, "logpdf")
    total = np.logaddexp(_below(logpdf, at, linked), _above(logpdf, at, linked))
    _refuse(
        family, at, np.abs(np.expm1(total)), "logpdf", "the integral of its density, which is one,",
        "check that it is a density of positive times, or give logsf= too",
    )  # fmt: skip


def _check_agreement(family: FamilyLike, at: Instant, linked: tuple[Linked, ...]) -> None:
    """The density is minus the slope of the survival function."""
    derived = survival_density(_given(family, "logsf"), at, *linked)
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
