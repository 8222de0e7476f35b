"""Ordinal family: ordered levels, cut from a continuum at thresholds.

P(y <= j) = F(threshold_j - eta), with F the inverse of the link.  The parameters are free: the
intercept of the location is minus the first threshold, and steps > 0 lead from each threshold to
the next.  Tables have the thresholds themselves (`Family.cuts`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.errors import SpecError
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.levels import Cuts, checked_levels, draw_level, settled_levels
from bayesmix.families.links import Linked, get_link
from bayesmix.families.regression import binomial
from bayesmix.formula.response import Response

LINKS = ("logit", "probit", "cloglog")
# Steps below which a probability is the density at the middle times the step.
NARROW = 1e-5


def density(obs: Observed, mu: Linked, *steps: Linked) -> Array:
    """log(F(b) - F(a)), a and b the thresholds around the level less eta.

    With d = b - a the step between them: F(b) (1 - F(a)) (1 - exp(-d)) for the logistic F, and
    (1 - F(a)) (1 - exp(-(exp(b) - exp(a)))) for the extreme-value one, so that nothing cancels.
    """
    levels = len(steps) + 2
    above, step = _above(obs.y, mu, steps)
    first, last = obs.y == 0, obs.y == levels - 1
    upper = Linked(mu.link, xp.where(last, 0.0, above))
    lower = Linked(mu.link, xp.where(first, 0.0, above - step))
    inside = xp.where(first | last, 1.0, step)
    between = _BETWEEN[mu.link.name](upper, lower, inside)
    return xp.where(first, upper.log, xp.where(last, lower.log1m, between))


def _above(y: Array, mu: Linked, steps: Sequence[Linked]) -> tuple[Array, Array]:
    """The upper threshold less eta, of the last level the lower one; and the step below it."""
    above, step = -mu.eta, 0.0
    for number, each in enumerate(steps, 1):
        above = above + xp.where(y >= number, each.value, 0.0)
        step = step + xp.where(y == number, each.value, 0.0)
    return above, step


def _logit_between(upper: Linked, lower: Linked, step: Array) -> Array:
    return upper.log + lower.log1m + xp.log1mexp(-step)


def _cloglog_between(upper: Linked, lower: Linked, step: Array) -> Array:
    hazard = xp.exp(xp.clip(lower.eta, -700.0, 700.0))
    more = xp.where(step < NARROW, hazard * step, hazard * xp.expm1(xp.clip(step, upper=700.0)))
    log_more = lower.eta + xp.log(step) + xp.log_exprel(xp.clip(step, upper=700.0))
    tiny = more < 1e-12
    inside = xp.where(tiny, log_more, xp.log1mexp(-xp.where(tiny, 1.0, more)))
    return lower.log1m + inside


def _probit_between(upper: Linked, lower: Linked, step: Array) -> Array:
    right = xp.value_of(upper.eta + lower.eta) > 0
    # The tail in which the interval lies: of the larger probability and of the smaller one.
    big = xp.where(right, lower.log1m, upper.log)
    small = xp.where(right, upper.log1m, lower.log)
    narrow = xp.value_of(step) < NARROW
    middle = 0.5 * (upper.eta + lower.eta)
    flat = -0.5 * middle * middle - 0.5 * np.log(2 * np.pi) + xp.log(step)
    apart = xp.where(narrow, -1.0, small - big)
    return xp.where(narrow, flat, big + xp.log1mexp(xp.clip(apart, upper=-1e-300)))


_BETWEEN = {
    "logit": _logit_between,
    "probit": _probit_between,
    "cloglog": _cloglog_between,
}
# The slope of the log density of F.
_TILT = {
    "logit": lambda x: -np.tanh(x / 2),
    "probit": lambda x: -x,
    "cloglog": lambda x: -np.expm1(np.minimum(x, 700.0)),
}


def closed_form(obs: Observed, mu: Linked, *steps: Linked) -> Derivatives:
    """Derivatives in eta and the log steps, by the densities f(b) / P and f(a) / P."""
    y, link = obs.y, mu.link
    logf = density(obs, mu, *steps)
    above, step = _above(y, mu, steps)
    last = y == len(steps) + 1
    up, up2 = _ratio(link, np.where(last, 0.0, above), logf, ~last)
    low, low2 = _ratio(link, np.where(y == 0, 0.0, above - step), logf, y > 0)
    # What eta and each log step add to the upper and the lower threshold.
    sizes = [each.value for each in steps]
    to_upper = [-1.0, *(np.where(y >= n, s, 0.0) for n, s in enumerate(sizes, 1))]
    to_lower = [-1.0, *(np.where(y > n, s, 0.0) for n, s in enumerate(sizes, 1))]
    first = [up * a - low * b for a, b in zip(to_upper, to_lower, strict=True)]
    second = [
        [
            up2 * to_upper[i] * to_upper[j] - low2 * to_lower[i] * to_lower[j] - first[i] * first[j]
            for j in range(len(first))
        ]
        for i in range(len(first))
    ]
    for i in range(1, len(first)):
        second[i][i] = second[i][i] + first[i]
    return Derivatives(logf, tuple(first), tuple(map(tuple, second)))


def _ratio(
    link: Any, x: np.ndarray, logf: np.ndarray, there: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """f(x) / P and f'(x) / P; zero where there is no such threshold."""
    ratio = np.where(there, np.exp(link.log_slope(x) - logf), 0.0)
    return ratio, np.where(there, ratio * _TILT[link.name](x), 0.0)


def start(levels: int, link: Any, y: np.ndarray) -> dict[str, Any]:
    """Steps between thresholds at the shares of all responses; each row's own side of the first.

    The shares are moved away from 0 and 1.
    """
    counts = np.bincount(np.asarray(y, int), minlength=levels) + 0.5
    cuts = link.forward(np.cumsum(counts)[:-1] / counts.sum())
    steps = {f"step_{j + 2}": float(d) for j, d in enumerate(np.diff(cuts))}
    return {"mu": ((y > 0) + 0.5) / 2, **steps}


def probabilities(link: Any, mu: np.ndarray, steps: Sequence[np.ndarray]) -> np.ndarray:
    """P(y = j) of every level, (n, L)."""
    eta = np.asarray(link.forward(mu))
    linked = [Linked.at(get_link("log"), np.asarray(step, float)) for step in steps]
    made = Linked.at(link, mu, eta)
    columns = [
        density(Observed(np.full(eta.shape, float(j)), None, 0.0), made, *linked)
        for j in range(len(steps) + 2)
    ]
    return np.exp(np.stack(columns, axis=-1))


def priors(levels: int, link: Any, y: np.ndarray) -> dict[str, Prior]:
    """Each step between the thresholds of all responses, up to a factor of three or so."""
    begin = start(levels, link, y)
    return {
        name: Prior("lognormal", mu=float(np.log(step)), sigma=1.0)
        for name, step in begin.items()
        if name != "mu"
    }


def settle(link: Any, response: Response) -> Family:
    """The family of the levels that the response has."""
    return definite(settled_levels(response, ordered=True, name="ordinal"), link)


def make(levels: Sequence[Hashable] | None = None, link: Any = None) -> Family:
    """The family of levels that the response decides, or of these."""
    link = get_link("logit" if link is None else link)
    if levels is not None:
        return definite(checked_levels(levels, "ordinal"), link)
    return Family(
        **_common(link),
        params={"mu": link},
        density=density,
        settle=partial(settle, link),
        relink=partial(make, None),
    )


def _common(link: Any) -> dict[str, Any]:
    if link.name not in LINKS:
        msg = f"link={link.name!r}: the ordinal family takes one of {', '.join(LINKS)}"
        raise SpecError(msg)
    return {
        "name": "ordinal",
        "location": "mu",
        "links": LINKS,
        "reads": "levels",
        "discrete": True,
        "equation": r"P(y \leq j) = F(\mathrm{threshold}_j - \eta)",
        "source": "McCullagh (1980), Journal of the Royal Statistical Society B 42, 109-142",
        "example": {"mu": 0.6},
    }


def definite(levels: tuple[Hashable, ...], link: Any) -> Family:
    """The family of given levels."""
    names = tuple(f"step_{j}" for j in range(2, len(levels)))
    labels = tuple(f"{a}|{b}" for a, b in pairwise(levels))

    def mean(mu: Array, **steps: Array) -> Array:
        return probabilities(link, mu, [steps[name] for name in names])

    def tails(y: np.ndarray, mu: np.ndarray, **steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(Y <= y) and P(Y > y), at the threshold above y."""
        above = -np.asarray(link.forward(mu))
        for number, name in enumerate(names, 1):
            above = above + np.where(y >= number, steps[name], 0.0)
        above = np.where(y < 0, -np.inf, np.where(y >= len(levels) - 1, np.inf, above))
        return np.exp(link.log_inverse(above)), np.exp(link.log1m_inverse(above))

    return Family(
        **_common(link),
        density=density,
        closed_form=closed_form,
        # Of two levels, a probit or logit is that of one trial: F is symmetric.
        kernel=binomial.FAMILY.kernel if not names and link.name != "cloglog" else None,
        params={"mu": link, **dict.fromkeys(names, "log")},
        levels=levels,
        outputs=levels,
        cuts=Cuts("threshold", names, labels),
        start=partial(start, len(levels), link),
        priors=partial(priors, len(levels), link),
        mean=mean,
        simulate=lambda rng, **given: draw_level(rng, mean(**given)),
        tails=tails,
        valid=lambda y: (y >= 0) & (y < len(levels)) & (y == np.floor(y)),
        relink=partial(definite, levels),
        options={"levels": list(levels)},
    )


FAMILY = make()
