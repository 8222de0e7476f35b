"""Ordinal family: ordered levels, cut from a continuum at thresholds.

P(y <= j) = F(threshold_j - eta), with F the inverse of the link.  The parameters are free: the
intercept of the location is minus the first threshold, and steps > 0 lead from each threshold to
the next.  Tables have the thresholds themselves (`Family.cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.errors import SpecError
from bayesmix.families.base import Family
from bayesmix.families.kernel import Block, Kernel
from bayesmix.families.levels import Cuts, checked_levels, of_levels, settled_levels
from bayesmix.families.links import HALF_LOG_2PI, get_link
from bayesmix.families.regression import binomial
from bayesmix.formula.response import Response

LINKS = ("logit", "probit", "cloglog")
# A probability over a step this narrow, beside how far away it is, is a series around the middle.
NARROW = 1e-4
Between = Callable[..., Any]


def _logit_between(ops: Any) -> Between:
    """Of log F and log(1 - F) at both thresholds, the upper one and the step between them.

    Gives the log probability and two derivatives in what moves both thresholds.
    """
    exp, log1mexp = ops.exp, ops.log1mexp

    def between(upper: Any, lower: Any, _above: float, step: float) -> tuple[float, float, float]:
        over, under = exp(upper[1]), exp(lower[0])
        bend = -over * (1.0 - over) - under * (1.0 - under)
        return upper[0] + lower[1] + log1mexp(step)[0], over - under, bend

    return between


def _probit_between(ops: Any) -> Between:
    """From the tail in which the interval lies; of a narrow one by a series around its middle."""
    exp, log, log1mexp, pick = ops.exp, ops.log, ops.log1mexp, ops.pick

    def between(upper: Any, lower: Any, above: float, step: float) -> tuple[float, float, float]:
        middle, square = above - 0.5 * step, step * step / 12.0
        narrow, high = step * (1.0 + abs(middle)) < NARROW, middle > 0.0
        big = pick(high, lower[1], upper[0])
        gap = pick(narrow, 1.0, big - pick(high, upper[1], lower[0]))
        wide = big + log1mexp(pick(gap > 1e-300, gap, 1e-300))[0]
        flat = -0.5 * (middle * middle * (1.0 - square) + square) - HALF_LOG_2PI + log(step)
        logf = pick(narrow, flat, wide)
        up, low = exp(upper[2] - logf), exp(lower[2] - logf)
        bend = up * upper[3] - low * lower[3] - (up - low) * (up - low)
        near = square - 1.0
        return logf, pick(narrow, middle * near, up - low), pick(narrow, near, bend)

    return between


def _cloglog_between(ops: Any) -> Between:
    """With what the cumulative hazard grows by, or its logarithm where that is tiny."""
    exp, log1mexp, pick = ops.exp, ops.log1mexp, ops.pick

    def between(_upper: Any, lower: Any, above: float, step: float) -> tuple[float, float, float]:
        log_more = above + log1mexp(step)[0]
        more = exp(pick(log_more < 6.5, log_more, 6.5))  # of more than 665 the rest is nothing
        tiny = more < 1e-12
        seen, odds = log1mexp(pick(tiny, 1.0, more))
        share = pick(tiny, 1.0, more * odds)
        bend = lower[1] + share * (1.0 - more - share)
        return lower[1] + pick(tiny, log_more, seen), lower[1] + share, bend

    return between


def _levels_term(ops: Any, tails: Any, between: Any) -> Block:
    """The probability of a level from the tails of F at both thresholds.

    ``tails(x)`` gives log F(x), log(1 - F(x)), the log density f and its slope f' / f.  Predictors
    move both thresholds, or widen the step between them: no difference of two large numbers.
    """
    exp, pick, tails, between = ops.exp, ops.pick, ops.scalar(tails), ops.scalar(between)

    def term(level: int, n: int, numbers: np.ndarray, etas: np.ndarray, out: np.ndarray) -> None:
        p = etas.shape[0]
        for i in range(n):
            y, below, step = numbers[0, i], -etas[0, i], 0.0
            out[1, i] = -1.0  # what each predictor moves both by, until its slope is there
            for j in range(1, p):
                size = exp(etas[j, i])
                out[1 + j, i] = pick(y > j, size, 0.0)
                below = below + out[1 + j, i]
                step = pick(y == j, size, step)
            lowest, end, lower = y == 0.0, (y == 0.0) | (y == p), tails(below)
            logf = pick(lowest, lower[0], lower[1])
            move = pick(lowest, 1.0, -1.0) * exp(lower[2] - logf)
            bent, widen, both, widened = move * (lower[3] - move), 0.0, 0.0, 0.0
            if level > 3 or 0.0 < y < p:  # at level 4 all rows are one
                above, upper = below + step, tails(below + step)
                value, moved, bend = between(upper, lower, above, pick(end, 1.0, step))
                logf, move = pick(end, logf, value), pick(end, move, moved)
                bent, widen = pick(end, bent, bend), step * exp(upper[2] - logf)
                both = widen * upper[3] - widen * move
                widened = widen * (1.0 - widen) + widen * upper[3] * step
            out[0, i] = logf
            for j in range(p - 1, -1, -1):
                shift, own = out[1 + j, i], pick(y == j, 1.0, 0.0)
                for k in range(j if level == 2 else 0, j + 1 if level > 1 else 0):
                    other, its = out[1 + k, i], pick(y == k, 1.0, 0.0)
                    bend = shift * other * bent + (shift * its + own * other) * both
                    bend = bend + own * its * widened + (shift * move if j == k > 0 else 0.0)
                    if level > 2:
                        out[1 + 2 * p + j * (j + 1) // 2 + k, i] = -bend
                    if j == k:
                        first = shift * move + own * widen
                        out[1 + p + j, i] = pick(bend < 0.0, -bend, first * first)
                out[1 + j, i] = shift * move + own * widen

    return term


def logit_term(ops: Any) -> Block:
    """Give the probabilities of levels of the logistic F."""
    exp, log1p, pick = ops.exp, ops.log1p, ops.pick

    def tails(x: float) -> tuple[float, float, float, float]:
        small, above = exp(-abs(x)), x > 0.0
        both, tilt = log1p(small), (1.0 - small) / (1.0 + small)
        log_f, log_rest = pick(above, 0.0, x) - both, pick(above, -x, 0.0) - both
        return log_f, log_rest, -abs(x) - 2.0 * both, pick(above, -tilt, tilt)

    return _levels_term(ops, tails, _logit_between(ops))


def probit_term(ops: Any) -> Block:
    """Give the probabilities of levels of the normal F."""
    log_ndtr = ops.log_ndtr

    def tails(x: float) -> tuple[float, float, float, float]:
        return log_ndtr(x)[0], log_ndtr(-x)[0], -0.5 * x * x - HALF_LOG_2PI, -x

    return _levels_term(ops, tails, _probit_between(ops))


def cloglog_term(ops: Any) -> Block:
    """Give the probabilities of levels of the extreme-value F."""
    exp, log1mexp, pick = ops.exp, ops.log1mexp, ops.pick

    def tails(x: float) -> tuple[float, float, float, float]:
        hazard = exp(pick(x < 700.0, x, 700.0))
        return log1mexp(hazard)[0], -hazard, x - hazard, 1.0 - hazard

    return _levels_term(ops, tails, _cloglog_between(ops))


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
    return _open(link)


@cache
def _open(link: Any) -> Family:
    """The family of levels that the response decides; one object for each link, as files need."""
    return Family(
        **_common(link),
        params={"mu": link},
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

    return Family(
        **_common(link),
        **of_levels(levels),
        kernel=_kernel(link.name, len(levels)),
        params={"mu": link, **dict.fromkeys(names, "log")},
        cuts=Cuts("threshold", names, labels),
        start=partial(start, len(levels), link),
        priors=partial(priors, len(levels), link),
        relink=partial(definite, levels),
    )


FAMILY = make()
