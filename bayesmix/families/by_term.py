"""A family's term of the kernels, of all rows: densities of any arrays, derivatives by NumPy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays import special
from bayesmix.arrays.autodiff import mirrored
from bayesmix.arrays.operators import Operators
from bayesmix.families.derivatives import Derivatives
from bayesmix.families.interface import Array, Observed
from bayesmix.families.kernel import Kernel
from bayesmix.families.links import Link, Linked, get_link

# Beyond it products would be infinite, and times zero no number.
HUGE = 1e150


class Later(Operators):
    """An array of any kind that is computed when its value is asked for.

    So a log density alone computes nothing of the derivatives that its term gives too.
    """

    def __init__(self, function: Callable[..., Array], *given: Any) -> None:
        self.function, self.given = function, given

    @functools.cached_property
    def value(self) -> Array:
        """The array."""
        return self.function(*[x.value if isinstance(x, Later) else x for x in self.given])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any) -> Later:
        """A function of this array, later too."""
        return Later(ufunc, *inputs)

    def __bool__(self) -> bool:
        """Refused: a term picks by `pick`, as it has no single row to ask about."""
        raise TypeError("a term that reads arrays has no truth value; choose by ops.pick")

    def __abs__(self) -> Later:
        """With a slope of -1 at zero, where terms take numbers for negative ones."""
        return pick_later(self > 0.0, self, -self)


def later(x: Any) -> Later:
    """An array that is known already."""
    return Later(lambda value: value, x)


def pick_later(condition: Any, one: Any, other: Any) -> Any:
    """One of two arrays, later."""
    if isinstance(condition, bool):  # of numbers that a term gives another one
        return one if condition else other
    return Later(xp.where, condition, one, other)


# What a term is made with, as `bayesmix.kernels.math` has it for numbers: here for log densities
# alone, of any arrays; zeros stand for derivatives.
LATER = SimpleNamespace(
    **{
        name: functools.partial(Later, getattr(xp, name))
        for name in ("exp", "expm1", "log", "log1p", "log1pmx")
    },
    clip=lambda x: x,
    exp_both=lambda x: (Later(xp.exp, x), Later(xp.expm1, x)),
    log_exprel=lambda u: (Later(xp.log_exprel, u), 0.0, 0.0),
    log_ndtr=lambda x: (Later(xp.log_ndtr, x),),
    log1mexp=lambda h: (Later(xp.log1mexp, -h), 0.0),
    log1pmx_near=functools.partial(Later, xp.log1pmx),
    pick=pick_later,
    rising=special.make_rising(pick_later),
    scalar=lambda function: function,
    stirling=lambda a: (Later(xp.stirling, a), 0.0, 0.0),
    stirling_series=lambda inverse: (Later(xp.stirling_inverse, inverse), 0.0, 0.0),
)
# The same with derivatives, of NumPy's arrays.
OPS = SimpleNamespace(
    clip=lambda x: np.maximum(np.minimum(x, HUGE), -HUGE),
    exp=np.exp,
    exp_both=lambda x: (np.exp(x), np.expm1(x)),
    expm1=np.expm1,
    log=np.log,
    log1p=np.log1p,
    log_exprel=special.log_exprel_parts,
    log1pmx=special.log1pmx,
    log1pmx_near=special.log1pmx,
    log_ndtr=lambda x: (xp.log_ndtr(x),),  # no term here asks for its derivative
    log1mexp=lambda h: (special.log1mexp(-h), 1 / np.expm1(h)),
    pick=np.where,
    rising=special.make_rising(np.where),
    scalar=lambda function: function,
    stirling=special.stirling,
    stirling_series=special.stirling_series,
)


def density(kernel: Kernel, obs: Observed, linked: Sequence[Linked]) -> Array:
    """The log density of n rows alone, (..., n), over `bayesmix.arrays`."""
    etas = [v.eta for v in linked] or [0.0]  # what has no parameter ignores one
    if linked and kernel.link != linked[0].link.name:
        etas[0] = _predictor(linked[0], kernel.link)
    return _outputs(kernel, obs, etas, LATER, later)[0].value


def derivatives(kernel: Kernel, obs: Observed, linked: tuple[Linked, ...]) -> Derivatives:
    """What a term gives of n rows at linear predictors that broadcast to (..., n).

    With another link than the term's for the first parameter, by the chain rule.
    """
    p, own, first = len(linked), get_link(kernel.link), linked[0]
    etas, through = [v.eta for v in linked], None
    if first.link is not own:
        etas[0], *through = _through(first, own)
    logf, *rest = _outputs(kernel, obs, etas, OPS, lambda x: x)
    slopes, curvatures = rest[:p], rest[p : 2 * p]
    lower = iter(rest[2 * p + kernel.statistic :])
    second = [[-next(lower) for _ in range(i + 1)] for i in range(p)]
    if through is not None:
        slope, bend = through
        logf = density(kernel, obs, linked)  # also where a mean is at the end of its range
        second[0][0] = second[0][0] * slope * slope + slopes[0] * bend
        for row in second[1:]:
            row[0] = row[0] * slope
        slopes[0], curvatures[0] = slopes[0] * slope, curvatures[0] * slope * slope
    return Derivatives(logf, tuple(slopes), mirrored(second), tuple(curvatures))


def _outputs(
    kernel: Kernel, obs: Observed, etas: list[Array], ops: Any, wrap: Callable[[Array], Any]
) -> Any:
    """What a term gives; one of blocks takes all rows for a single one."""
    trials = 1.0 if obs.trials is None else obs.trials
    numbers = {"y": obs.y, "trials": trials, "const": obs.const}
    given, etas = [wrap(numbers[name]) for name in kernel.reads], list(map(wrap, etas))
    if not kernel.blocks:
        return kernel.build(ops)(*given, *etas)
    p = len(etas)
    out = np.empty((1 + 2 * p + p * (p + 1) // 2, 1), dtype=object)
    kernel.build(ops)(4, 1, _column(given), _column(etas), out)
    return out[:, 0]


def _column(arrays: list[Array]) -> np.ndarray:
    out = np.empty((len(arrays), 1), dtype=object)
    for row, array in zip(out, arrays, strict=True):
        row[0] = array
    return out


def _predictor(v: Linked, own: str) -> Array:
    """The predictor of a term's own link."""
    if own == "identity":
        return v.value
    return v.log - v.log1m if own == "logit" else v.log


def _through(v: Linked, own: Link) -> tuple[Array, Array, Array]:
    """The predictor of the term's own link, with two derivatives in that of another link.

    Where a mean is at the end of its range the derivatives are those of one beside it.
    """
    ends = _BESIDE.get((own.name, v.link.name))
    (eta,) = xp.jets(v.eta if ends is None else np.clip(v.eta, *ends))
    g = _predictor(Linked(v.link, eta), own.name)
    return g.value, g.first[0], g.second[0, 0]


# Predictors of a link that reach the end of the range of the own link's means.
_BESIDE = {
    ("log", "identity"): (1e-150, np.inf),
    ("logit", "identity"): (1e-150, 1 - 1e-16),
    ("logit", "log"): (-np.inf, -1e-16),
    ("logit", "cloglog"): (-np.inf, 700.0),
}
