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
from bayesmix.families.kernel import Block, Kernel
from bayesmix.families.levels import Cuts, checked_levels, draw_level, settled_levels
from bayesmix.families.links import Linked, get_link
from bayesmix.families.regression import binomial
from bayesmix.formula.response import Response

LINKS = ("logit", "probit", "cloglog")
# Steps below which a probability is the density at the middle times the step.
NARROW = 1e-5
HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


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
    return ratio, np.where(there, ratio * link.tilt(x), 0.0)


def _between_term(tails: Any, between: Any, exp: Any) -> Block:
    """The probability of a level from the tails of F at both thresholds, as in `closed_form`.

    ``tails(x)`` gives log F(x), log(1 - F(x)), the log density and its slope; ``between`` of both
    and the step the log probability.
    """

    def term(level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        p = etas.shape[0]
        for i in range(n):
            y = int(numbers[0, i])
            above, step = -etas[0, i], 0.0
            for j in range(1, min(y, p - 1) + 1):
                step = exp(etas[j, i])
                above += step
            step = 0.0 if y == p else step
            upper, lower = tails(above), tails(above - step)
            logf = upper[0] if y == 0 else lower[1]
            if 0 < y < p:
                logf = between(upper, lower, above, step)
            up = 0.0 if y == p else exp(upper[2] - logf)
            low = 0.0 if y == 0 else exp(lower[2] - logf)
            out[0, i] = logf
            for j in range(p):
                size = -1.0 if j == 0 else exp(etas[j, i])
                to_upper, to_lower = (size if y >= j else 0.0), (size if y > j or j == 0 else 0.0)
                first = up * to_upper - low * to_lower
                out[1 + j, i] = first
                for k in range(j + 1 if level > 1 else 0):
                    other = -1.0 if k == 0 else exp(etas[k, i])
                    bend = up * upper[3] * to_upper * (other if y >= k else 0.0)
                    bend -= low * lower[3] * to_lower * (other if y > k or k == 0 else 0.0)
                    bend -= first * out[1 + k, i]
                    bend += first if j == k > 0 else 0.0
                    if level > 2:
                        out[1 + 2 * p + j * (j + 1) // 2 + k, i] = -bend
                    if j == k:
                        out[1 + p + j, i] = -bend if bend < 0.0 else first * first

    return term


def logit_term(ops: Any) -> Block:
    """Give the probabilities of levels of the logistic F."""
    exp, log1p, log1mexp = ops.exp, ops.log1p, ops.log1mexp

    def tails(x: float) -> tuple[float, float, float, float]:
        small = exp(-abs(x))
        both = log1p(small)
        tilt = (1.0 - small) / (1.0 + small)
        return (
            (0.0 if x > 0.0 else x) - both,
            (-x if x > 0.0 else 0.0) - both,
            -abs(x) - 2.0 * both,
            -tilt if x > 0.0 else tilt,
        )

    def between(upper: Any, lower: Any, _above: float, step: float) -> float:
        return upper[0] + lower[1] + log1mexp(step)[0]

    return _between_term(ops.scalar(tails), ops.scalar(between), exp)


def probit_term(ops: Any) -> Block:
    """Give the probabilities of levels of the normal F."""
    log, log_ndtr, log1mexp = ops.log, ops.log_ndtr, ops.log1mexp

    def tails(x: float) -> tuple[float, float, float, float]:
        return log_ndtr(x)[0], log_ndtr(-x)[0], -0.5 * x * x - HALF_LOG_2PI, -x

    def between(upper: Any, lower: Any, above: float, step: float) -> float:
        middle = above - 0.5 * step
        big, small = (lower[1], upper[1]) if middle > 0.0 else (upper[0], lower[0])
        flat = -0.5 * middle * middle - HALF_LOG_2PI + log(step)
        gap = big - small if big - small > 1e-300 else 1e-300
        return flat if step < NARROW else big + log1mexp(gap)[0]

    return _between_term(ops.scalar(tails), ops.scalar(between), ops.exp)


def cloglog_term(ops: Any) -> Block:
    """Give the probabilities of levels of the extreme-value F."""
    exp, expm1, log, log1mexp = ops.exp, ops.expm1, ops.log, ops.log1mexp

    def tails(x: float) -> tuple[float, float, float, float]:
        hazard = exp(x if x < 700.0 else 700.0)
        return log1mexp(hazard)[0], -hazard, x - hazard, 1.0 - hazard

    def between(_upper: Any, lower: Any, above: float, step: float) -> float:
        log_more = above - step + log(expm1(step if step < 700.0 else 700.0))
        more = exp(log_more if log_more < 700.0 else 700.0)
        return lower[1] + (log_more if more < 1e-12 else log1mexp(more)[0])

    return _between_term(ops.scalar(tails), ops.scalar(between), exp)


_TERMS = {"logit": logit_term, "probit": probit_term, "cloglog": cloglog_term}


def _kernel(link: str, levels: int) -> Any:
    """The kernel; of two levels, a probit or logit is one trial: F is symmetric."""
    if levels == 2 and link != "cloglog":
        return binomial.FAMILY.kernel
    name = f"ordinal_{link}"
    return Kernel(name, _TERMS[link], link=link, parameters=max(levels - 1, 1), blocks=True)


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
    eta = link.forward(mu)
    linked = [Linked.at(get_link("log"), step) for step in steps]
    made = Linked.at(link, mu, eta)
    columns = [
        density(Observed(np.full_like(eta, float(j)), None, 0.0), made, *linked)
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
        kernel=_kernel(link.name, 0),
        settle=partial(settle, link),
        relink=partial(make, None),
    )


def _common(link: Any) -> dict[str, Any]:
    if link.name not in LINKS:
        raise SpecError(f"link={link.name!r}: the ordinal family takes one of {', '.join(LINKS)}")
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
        kernel=_kernel(link.name, len(levels)),
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
