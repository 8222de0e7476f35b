"""A family's scalar term of the kernels by NumPy: densities of all rows, with their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayesmix.arrays import special
from bayesmix.families.derivatives import Derivatives, mirrored
from bayesmix.families.interface import Array, Observed
from bayesmix.families.kernel import Kernel
from bayesmix.families.links import Link, Linked, get_link

# What a term is made with, as `bayesmix.kernels.math` has it for numbers.
OPS = SimpleNamespace(
    exp=np.exp,
    exp_both=lambda x: (np.exp(x), np.expm1(x)),
    expm1=np.expm1,
    log=np.log,
    log1p=np.log1p,
    log1pmx=special.log1pmx,
    log1mexp=lambda h: (special.log1mexp(-h), 1 / np.expm1(h)),
    pick=np.where,
    rising=special.make_rising(np.where),
    scalar=lambda function: function,
    stirling=special.stirling,
    stirling_series=special.stirling_series,
)


@functools.cache
def _term(kernel: Kernel) -> Callable[..., Any]:
    return kernel.build(OPS)


def by_term(kernel: Kernel, obs: Observed, linked: tuple[Linked, ...]) -> Derivatives:
    """What a term gives of n rows at linear predictors that broadcast to (..., n).

    With another link than the term's for the first parameter, by the chain rule.
    """
    p, own, first = len(linked), get_link(kernel.link), linked[0]
    etas, through = [v.eta for v in linked], None
    if first.link is not own:
        etas[0], *through = _through(first, own)
    logf, *rest = _term(kernel)(*(getattr(obs, name) for name in kernel.reads), *etas)
    slopes, curvatures = rest[:p], rest[p : 2 * p]
    lower = iter(rest[2 * p + kernel.statistic :])
    second = [[-next(lower) for _ in range(i + 1)] for i in range(p)]
    if through is not None:
        slope, bend = through
        second[0][0] = second[0][0] * slope * slope + slopes[0] * bend
        for row in second[1:]:
            row[0] = row[0] * slope
        slopes[0], curvatures[0] = slopes[0] * slope, curvatures[0] * slope * slope
    return Derivatives(logf, tuple(slopes), mirrored(second), tuple(curvatures))


def _through(v: Linked, own: Link) -> tuple[Array, Array, Array]:
    """The predictor of the term's own link, with two derivatives in that of another link.

    With log-slopes of both links: g' is the ratio of the slopes, and g'' = g' (tilt - own tilt g').
    """
    given: dict[str, Any] = {"identity": "value", "log": "log", "logit": "log"}
    g = getattr(v, given[own.name]) - (v.log1m if own.name == "logit" else 0.0)
    if own.name != "identity":  # a mean of zero itself
        g = np.nan_to_num(g, nan=np.nan, posinf=690.0, neginf=-690.0)
    slope = np.copysign(np.exp(v.log_slope - own.log_slope(g)), v.slope)
    return g, slope, slope * (v.link.tilt(v.eta) - own.tilt(g) * slope)
