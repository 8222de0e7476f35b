"""Link functions: a parameter and its linear predictor, with derivatives and stable logarithms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.errors import SpecError

Array = Any


@dataclass(frozen=True, repr=False)
class Link:
    """A monotone map from a parameter mu to its linear predictor eta.

    Parameters
    ----------
    name : str
    forward : callable
        eta = g(mu), for arrays of numbers.
    inverse : callable
        mu = g^-1(eta), for any kind of array.
    log_inverse, log1m_inverse : callable
        log(mu) and log(1 - mu) as functions of eta, accurate in the tails.
    log_slope : callable
        log of the absolute derivative of mu with respect to eta, accurate in the tails.
    lower, upper : float
        The open interval of allowed mu.
    falls : bool
        Whether mu falls as eta rises.

    Examples
    --------
    >>> from bayesmix.families.links import get_link
    >>> round(float(get_link("logit").inverse(0.0)), 3)
    0.5
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[Array], Array]
    log_inverse: Callable[[Array], Array]
    log1m_inverse: Callable[[Array], Array]
    log_slope: Callable[[Array], Array]
    lower: float = -np.inf
    upper: float = np.inf
    falls: bool = False

    def slope(self, eta: Array) -> Array:
        """Derivative of mu with respect to eta."""
        return (-1.0 if self.falls else 1.0) * np.exp(self.log_slope(eta))

    def __repr__(self) -> str:
        return f"Link({self.name!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the links of this module by name: their functions have none."""
        if LINKS.get(self.name) is self:
            return get_link, (self.name,)
        return super().__reduce_ex__(protocol)


class Linked:
    """A parameter known through its linear predictor.

    `value`, `log` and `log1m` are the parameter, its logarithm and the
    logarithm of one minus it, each computed from `eta` when first asked for.
    """

    def __init__(self, link: Link, eta: Array) -> None:
        self.link, self.eta = link, eta

    @classmethod
    def at(cls, link: Link, value: Array, eta: Array | None = None) -> Linked:
        """A parameter known through its value; `eta` saves computing it from there."""
        made = cls(link, link.forward(value) if eta is None else eta)
        made.__dict__["value"] = value
        return made

    @cached_property
    def value(self) -> Array:
        """The parameter on its natural scale; it may be infinite at a boundary."""
        with np.errstate(over="ignore"):
            return self.link.inverse(self.eta)

    @cached_property
    def log(self) -> Array:
        """Its logarithm."""
        return self.link.log_inverse(self.eta)

    @cached_property
    def log1m(self) -> Array:
        """The logarithm of one minus it."""
        return self.link.log1m_inverse(self.eta)


def at_values(links: Iterable[tuple[str, Link]], values: Mapping[str, Any]) -> tuple[Linked, ...]:
    """Parameters, each a name with its link, that are known through their values by name."""
    with np.errstate(all="ignore"):
        return tuple(Linked.at(link, np.asarray(values[name], float)) for name, link in links)


HALF_LOG_2PI = 0.5 * np.log(2 * np.pi)


def _log1m_cloglog(eta: Array) -> Array:
    """-exp(eta), with finite derivatives beyond the largest number."""
    return xp.where(eta > 709.0, -np.inf, -xp.exp(xp.clip(eta, upper=709.0)))


def _log_cloglog(eta: Array) -> Array:
    """log(1 - exp(-t)) with t = exp(eta): eta - t / 2 + O(t^2) where t may underflow."""
    body = xp.clip(eta, -30.0, 50.0)
    return xp.where(eta < -30.0, eta - 0.5 * xp.exp(eta), xp.log1mexp(-xp.exp(body)))


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link(
            "identity",
            forward=lambda mu: np.multiply(1.0, mu),
            inverse=lambda eta: eta,
            log_inverse=xp.log,
            log1m_inverse=lambda eta: xp.log1p(-eta),
            log_slope=np.zeros_like,
        ),
        Link(
            "log",
            forward=np.log,
            inverse=xp.exp,
            log_inverse=lambda eta: eta,
            log1m_inverse=xp.log1mexp,
            log_slope=lambda eta: eta,
            lower=0.0,
        ),
        Link(
            "logit",
            forward=special.logit,
            inverse=xp.expit,
            log_inverse=lambda eta: -xp.softplus(-eta),
            log1m_inverse=lambda eta: -xp.softplus(eta),
            log_slope=lambda eta: -np.abs(eta) - 2 * np.log1p(np.exp(-np.abs(eta))),
            lower=0.0,
            upper=1.0,
        ),
        Link(
            "probit",
            forward=special.ndtri,
            inverse=xp.ndtr,
            log_inverse=xp.log_ndtr,
            log1m_inverse=lambda eta: xp.log_ndtr(-eta),
            log_slope=lambda eta: -0.5 * eta * eta - HALF_LOG_2PI,
            lower=0.0,
            upper=1.0,
        ),
        Link(
            "cloglog",
            forward=lambda mu: np.log(-np.log1p(np.multiply(-1.0, mu))),
            inverse=lambda eta: -xp.expm1(-xp.exp(eta)),
            log_inverse=_log_cloglog,
            log1m_inverse=_log1m_cloglog,
            log_slope=lambda eta: eta - np.exp(eta),
            lower=0.0,
            upper=1.0,
        ),
        Link(
            "inverse",
            forward=lambda mu: np.divide(1.0, mu),
            inverse=lambda eta: 1 / eta,
            log_inverse=lambda eta: -xp.log(eta),
            log1m_inverse=lambda eta: xp.log1p(-1 / eta),
            log_slope=lambda eta: -2 * np.log(np.abs(eta)),
            lower=0.0,
            falls=True,
        ),
    )
}


def get_link(name: str | Link) -> Link:
    """The link called `name`.

    Raises
    ------
    SpecError
        If there is no such link.
    """
    if isinstance(name, Link):
        return name
    if not isinstance(name, str) or name not in LINKS:
        raise SpecError(f"the link {name!r} is unknown; use one of {', '.join(sorted(LINKS))}")
    return LINKS[name]
