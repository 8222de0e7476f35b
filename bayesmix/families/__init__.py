"""The families: one file each, and here the only list of them."""

from __future__ import annotations

import copyreg
import difflib
import functools
import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from bayesmix._arguments import door, family_name, shown
from bayesmix.errors import SpecError
from bayesmix.families.base import Derivatives, Family, Observed, Parameter
from bayesmix.families.links import Link
from bayesmix.families.numbers import for_numbers

__all__ = [
    "FAMILIES",
    "LEVELS",
    "MULTIVARIATE",
    "REGRESSIONS",
    "TIMES",
    "Derivatives",
    "Family",
    "Observed",
    "Parameter",
    "family",
    "named",
    "remade",
    "resolve",
    "shipped",
    "with_limits",
]

REGRESSIONS: tuple[str, ...] = (
    "gaussian",
    "binomial",
    "poisson",
    "gamma",
    "negative_binomial",
    "student_t",
    "beta",
    "inverse_gaussian",
    "zero_inflated_poisson",
    "zero_inflated_negative_binomial",
    "zero_inflated_binomial",
    "hurdle_poisson",
    "hurdle_negative_binomial",
    "hurdle_gamma",
    "hurdle_lognormal",
    "zero",
    "point",
)
# Of responses that are factors.
LEVELS: tuple[str, ...] = ("categorical", "ordinal")
# For a response of several columns, ``mv(...)``.
MULTIVARIATE: tuple[str, ...] = ("mvnormal",)
# Distributions of times, for a response ``surv(...)``.  "gamma" has a second one, see `resolve`.
TIMES: tuple[str, ...] = (
    "exponential",
    "weibull",
    "weibull_ph",
    "lognormal",
    "loglogistic",
    "gompertz",
    "gengamma",
    "gengamma_orig",
    "genf",
    "genf_orig",
    "spline",
    "promotion_time",
    "cured",
)
FAMILIES: tuple[str, ...] = (*REGRESSIONS, *LEVELS, *MULTIVARIATE, *TIMES)


@door
def family(name: str | Family, link: str | Link | None = None, **options: Any) -> Family:
    """Get a family by name, with its default link or another one.

    Parameters
    ----------
    name : str or Family
        For numbers: "gaussian", "binomial", "poisson", "gamma", "negative_binomial",
        "student_t", "beta", "inverse_gaussian", "zero" and "point".  With extra zeros:
        "zero_inflated_poisson", "zero_inflated_negative_binomial", "zero_inflated_binomial",
        "hurdle_poisson", "hurdle_negative_binomial", "hurdle_gamma" and "hurdle_lognormal".
        For levels: "categorical" (the first level is the reference) and "ordinal".
        For times, and for a plain positive response: "exponential", "weibull", "weibull_ph",
        "lognormal", "loglogistic", "gompertz", "gengamma", "gengamma_orig", "genf" and
        "genf_orig".  For times alone: "gamma" by rate and shape, "spline", "promotion_time"
        (non-mixture cure) and "cured".  For several columns, ``mv(y1, y2, ...)``: "mvnormal".
        Upper and lower case do not matter, and common other names work: "normal", "bernoulli",
        "nbinom".  A `Family` is returned as it is (with the link, if one is given).
    link : str, optional
        "logit", "probit", "cloglog", "log" or "identity" for "binomial"; "logit", "probit" or
        "cloglog" for "ordinal"; "identity" for "categorical"; "identity", "log" or "inverse"
        for the others.  Families for times have only one link.
    **options
        For "point": ``at``, the value that has all the mass (default 1).  For "categorical" and
        "ordinal": ``levels``, all levels in their order.  For "spline": ``df`` (number of
        coefficients besides the intercept, default 3) or ``knots`` (ascending times, with the
        boundary knots), and ``scale``: "hazard", "odds" or "normal".  For "promotion_time":
        ``of``, the family of the time to the event from each cause (default "weibull").  For
        "mvnormal": ``covariance``, "full" (the default), "diagonal" or "spherical".

    Returns
    -------
    Family

    Raises
    ------
    SpecError
        If the name or the link is unknown, the link does not suit the family, or the family
        has no such option.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.family("gamma", link="inverse").parameters[0].link.name
    'inverse'

    A Royston-Parmar spline on the scale of the log cumulative odds:

    >>> list(bmx.family("spline", df=2, scale="odds").params)
    ['gamma0', 'gamma1', 'gamma2']
    """
    found = named(name)
    if options:
        make = None if isinstance(name, Family) else getattr(_file(name), "make", None)
        if make is None:
            msg = f"the family {found.name!r} takes no options, but was given {', '.join(options)}"
            raise SpecError(msg)
        allowed = list(inspect.signature(make).parameters)
        if unknown := [name for name in options if name not in allowed]:
            raise SpecError(
                f"the family {found.name!r} takes no options {', '.join(unknown)}; it takes "
                f"{', '.join(allowed)}"
            )
        found = make(**options)
    return found if link is None else found.with_link(link)


def named(given: str | Family) -> Family:
    """The family with this name, in any spelling and with default options, or the given one."""
    return given if isinstance(given, Family) else _file(given).FAMILY


def _file(name: str) -> Any:
    """The module of a family."""
    known = family_name(name) if isinstance(name, str) else ""  # not an array of names
    if known in FAMILIES:
        folders = {"multivariate": MULTIVARIATE, "survival": TIMES}
        folder = next((f for f, names in folders.items() if known in names), "regression")
        return import_module(f"bayesmix.families.{folder}.{known}")
    near = difflib.get_close_matches(known, FAMILIES, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    msg = f"family {shown(name)} is unknown{hint}; use one of {', '.join(FAMILIES)}, or a Family"
    raise SpecError(msg)


def resolve(given: str | Family, *, survival: bool) -> Family:
    """The family for a response: a plain one is a time that is known exactly.

    "gamma" is by mean and shape for a plain response, by rate and shape for times.

    Parameters
    ----------
    given : str or Family
    survival : bool
        Whether the response is ``surv(...)``.

    Raises
    ------
    SpecError
        If the name is unknown, or the family does not suit such a response.
    """
    found = named(given)
    if found.is_survival == survival:
        return found
    if found.is_survival:
        # A spline, whose options are knots in units of time, stays one of times.
        plain = found.survival is not None and found.location is not None and not found.options
        if plain and not found.is_own:
            return for_numbers(found)
        raise SpecError(
            f"the family {found.name!r} is for times: write the response as surv(time, status), "
            f"or use one of {', '.join(REGRESSIONS)}"
        )
    if found.is_own:
        return found.for_times()
    if found.timed is None:
        raise SpecError(
            f"the family {found.name!r} is not a distribution of times, which surv(...) gives; use "
            f"one of {', '.join(TIMES)}, gamma, or a Family with logsf= or hazard="
        )
    if found is not named(found.name):
        raise SpecError(
            f"as a distribution of times, {found.name!r} has one link only; write "
            f"family={found.name!r}"
        )
    return import_module(f"bayesmix.families.survival.{found.timed}").FAMILY


def shipped(f: Family) -> dict[str, Any] | None:
    """What makes a shipped family again, in plain values; None for a user's own."""
    if f.name not in FAMILIES:
        return None
    made: dict[str, Any] = {"name": f.name}
    made["link"] = None if f.location is None else f.parameters[0].link.name
    made["survival"] = f.is_survival
    if f.options:
        made["options"] = dict(f.options)
    try:
        same = remade(made)
    except SpecError:
        return None
    if f.limited:
        made["limited"] = True
        same = with_limits(same)
    functions = ("density", "kernel", "survival", "settle", "logpdf")
    there = all(getattr(f, name) == getattr(same, name) for name in functions)
    return made if there and f.params == same.params else None


def remade(description: Mapping[str, Any]) -> Family:
    """The family that `shipped` described."""
    found = family(description["name"], **description.get("options", {}))
    if description.get("limited"):
        return with_limits(remade({**description, "limited": False}))
    survival = description.get("survival", found.is_survival)
    if survival != found.is_survival:
        return resolve(found, survival=survival)
    return found if description["link"] is None else found.with_link(description["link"])


@functools.cache
def with_limits(f: Family) -> Family:
    """The same family for responses that are truncated or censored; one object for each."""
    return replace(f, limited=True, concave=False)


def _reduced(f: Family) -> Any:
    """A shipped family is pickled by what makes it, for its functions may have no names."""
    if f.whole is not None and f.whole.made:
        return f.whole.made[0], f.whole.made[1:]
    description = shipped(f)
    return object.__reduce_ex__(f, 2) if description is None else (remade, (description,))


copyreg.pickle(Family, _reduced)
