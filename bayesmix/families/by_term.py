"""A family's term of the kernels by NumPy: densities of all rows, with their derivatives."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayesmix import arrays as xp
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
    log_ndtr=lambda x: (xp.log_ndtr(x),),  # no term here asks for its derivative
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
    trials = 1.0 if obs.trials is None else obs.trials
    given = {"y": obs.y, "trials": trials, "const": obs.const}
    logf, *rest = _outputs(kernel, [given[name] for name in kernel.reads], etas)
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


def _outputs(kernel: Kernel, given: list[Array], etas: list[Array]) -> Any:
    """What a term gives; one of blocks takes all rows for a single one."""
    if not kernel.blocks:
        return _term(kernel)(*given, *etas)
    p = len(etas)
    out = np.empty((1 + 2 * p + p * (p + 1) // 2, 1), dtype=object)
    _term(kernel)(4, 1, _column(given), _column(etas), out)
    return out[:, 0]


def _column(arrays: list[Array]) -> np.ndarray:
    out = np.empty((len(arrays), 1), dtype=object)
    for row, array in zip(out, arrays, strict=True):
        row[0] = array
    return out


def _through(v: Linked, own: Link) -> tuple[Array, Array, Array]:
    """The predictor of the term's own link, with two derivatives in that of another link.

    Where a mean is at the end of its range the derivatives are those of one beside it.
    """
    ends = _BESIDE.get((own.name, v.link.name))
    (eta,) = xp.jets(v.eta if ends is None else np.clip(v.eta, *ends))
    if own.name == "identity":
        g = v.link.inverse(eta)
    else:
        g = v.link.log_inverse(eta)
        g = g - v.link.log1m_inverse(eta) if own.name == "logit" else g
    return g.value, g.first[0], g.second[0, 0]


# Predictors of a link that reach the end of the range of the own link's means.
_BESIDE = {
    ("log", "identity"): (1e-150, np.inf),
    ("logit", "identity"): (1e-150, 1 - 1e-16),
    ("logit", "log"): (-np.inf, -1e-16),
    ("logit", "cloglog"): (-np.inf, 700.0),
}
