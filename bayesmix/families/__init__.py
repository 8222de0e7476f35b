"""The families: one file each, and here the only list of them."""

from __future__ import annotations

import difflib
from importlib import import_module

from bayesmix.errors import SpecError
from bayesmix.families.base import Derivatives, Family, Observed, Parameter
from bayesmix.links import Link

__all__ = ["FAMILIES", "Derivatives", "Family", "Observed", "Parameter", "family"]

FAMILIES: tuple[str, ...] = (
    "gaussian",
    "binomial",
    "poisson",
    "gamma",
    "negative_binomial",
    "student_t",
    "zero",
)


def family(name: str | Family, link: str | Link | None = None) -> Family:
    """A family by name, with its default or another link.

    Parameters
    ----------
    name : str or Family
        One of "gaussian", "binomial", "poisson", "gamma",
        "negative_binomial", "student_t" and "zero"; a `Family` is returned as
        it is (with the link, if one is given).
    link : str, optional
        "logit", "probit", "cloglog", "log" or "identity" for "binomial";
        "identity", "log" or "inverse" for the others.

    Returns
    -------
    Family

    Raises
    ------
    SpecError
        If the name or the link is unknown, or the link's means do not suit the family.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.family("gamma", link="inverse").parameters[0].link.name
    'inverse'
    """
    if isinstance(name, Family):
        found = name
    elif not isinstance(name, str) or name not in FAMILIES:
        near = difflib.get_close_matches(str(name), FAMILIES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        msg = f"family {name!r} is unknown{hint}; use one of {', '.join(FAMILIES)}, or a Family"
        raise SpecError(msg)
    else:
        found = import_module(f"bayesmix.families.{name}").FAMILY
    return found if link is None else found.with_link(link)
