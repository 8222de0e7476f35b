"""Checks of what a user's family returns, with errors that say what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix.errors import DataError, SpecError
from bayesmix.families.interface import FamilyLike, Observed
from bayesmix.families.links import Link

# Natural values at which a density is tried; every link allows one of them.
_TRIED = (0.5, 1.5)


def check_density(family: FamilyLike, obs: Observed) -> None:
    """Call a family's `logpdf` with arrays and for derivatives, before any fit does.

    Parameters
    ----------
    family : Family
    obs : Observed
        The n responses.

    Raises
    ------
    SpecError
        If it returns another shape than (n,), or cannot be differentiated.
    DataError
        If it is not a number for some responses, whichever parameters are tried.
    """
    n = len(obs.y)
    undefined = np.ones(n, dtype=bool)
    for value in _TRIED:
        if any(not p.link.lower < value < p.link.upper for p in family.parameters):
            continue
        natural = {p.name: np.full(n, value) for p in family.parameters}
        etas = tuple(p.link.forward(natural[p.name]) for p in family.parameters)
        with np.errstate(all="ignore"):
            logf = _numbers(family, family.log_density(obs, etas))
        if logf.shape != (n,):
            _refuse_shape(family, logf.shape, n)
        undefined &= np.isnan(logf) | (logf == np.inf)
        _differentiate(family, obs, etas)
    if undefined.any():
        tried = " or ".join(f"{v:g}" for v in _TRIED)
        rows = ", ".join(str(i) for i in np.flatnonzero(undefined)[:5])
        raise DataError(
            f"logpdf of the family {family.name!r} gives NaN or infinity for {undefined.sum()} of "
            f"{n} responses (positions {rows}; the first is {obs.y[undefined][0]:g}) with all "
            f"parameters at {tried}; return -inf where the density is zero (numpy.where), or "
            "give valid= and support= so that such data are refused"
        )


def _numbers(family: FamilyLike, logf: Any) -> np.ndarray:
    if isinstance(logf, (np.ndarray, float, int)):
        return np.asarray(logf, dtype=float)
    raise SpecError(
        f"logpdf of the family {family.name!r} returned {type(logf).__name__}; it must return "
        "an array of numbers, the log density of each response"
    )


def _refuse_shape(family: FamilyLike, shape: tuple[int, ...], n: int) -> None:
    names = ", ".join(p.name for p in family.parameters)
    raise SpecError(
        f"logpdf of the family {family.name!r} returned shape {shape} for {n} responses; it must "
        f"return the log density of each response, shape ({n},), from y and {names}, which have "
        "that shape too: no sums over responses"
    )


def _differentiate(family: FamilyLike, obs: Observed, etas: tuple[np.ndarray, ...]) -> None:
    try:
        shape = family.automatic(obs, etas).logf.shape
    except (TypeError, ValueError, AttributeError) as error:
        raise SpecError(
            f"logpdf of the family {family.name!r} works with numbers but cannot be "
            f"differentiated: {error}"
        ) from error
    if shape != obs.y.shape:
        _refuse_shape(family, shape, len(obs.y))


def inside(link: Link, value: Any) -> bool:
    """Whether values have a finite linear predictor."""
    with np.errstate(all="ignore"):
        eta = link.forward(np.asarray(value, dtype=float))
    return bool(np.isfinite(eta).all() and (np.asarray(value) > link.lower).all())


def check_start(family: FamilyLike, given: Any, n: int) -> dict[str, Any]:
    """The values of a family's `start`, if they are what `Family` asks for.

    Parameters
    ----------
    family : Family
    given : mapping of str to float or ndarray
    n : int
        Number of responses.

    Returns
    -------
    dict of str to float or ndarray, shape (n,)

    Raises
    ------
    SpecError
        If names, shapes or values are wrong.
    """
    names = [p.name for p in family.parameters]
    if not isinstance(given, Mapping) or set(given) != set(names):
        got = list(given) if isinstance(given, Mapping) else type(given).__name__
        msg = f"start of the family {family.name!r} must return a dict of {names}, not {got}"
        raise SpecError(msg)
    values: dict[str, Any] = {}
    for j, parameter in enumerate(family.parameters):
        value = np.asarray(given[parameter.name], dtype=float)
        allowed = [(), (n,)] if family.is_located(j) else [()]
        if value.shape not in allowed:
            shapes = " or ".join("a number" if not s else f"shape {s}" for s in allowed)
            raise SpecError(
                f"start of the family {family.name!r} gives {parameter.name} of shape "
                f"{value.shape}; it must be {shapes}"
            )
        if family.is_own and not inside(parameter.link, value):
            raise SpecError(
                f"start of the family {family.name!r} gives {parameter.name} a value that its "
                f"link {parameter.link.name!r} does not allow (from {np.min(value):g} to "
                f"{np.max(value):g}); it must lie strictly between {parameter.link.lower:g} and "
                f"{parameter.link.upper:g}"
            )
        values[parameter.name] = float(value) if value.ndim == 0 else value
    return values
