"""How uncertain a quantity of the parameters is: by the delta method, or from draws.

The delta method needs the slopes of a quantity q in the parameters.  They are central
differences along the columns of a square root L of the covariance V = L L', so that a step
is a small fraction of a standard error whatever the units of measurement:

    se(q)^2 = sum_j [ (q(theta + h L_j) - q(theta - h L_j)) / (2 h) ]^2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, special

from bayesmix._arguments import generator
from bayesmix.errors import FitError
from bayesmix.model import MixtureSpec
from bayesmix.results.covariance import covariance
from bayesmix.results.fitted import Fitted

Values = Callable[[np.ndarray], np.ndarray]
# Step of the differences, in standard errors.
STEP = 1e-3
# How far parameters go along a direction that the data do not determine, in units of their
# linear predictors, to see which values depend on it: far enough to leave a limit such as
# p = 1, wherever the fit ended.  A change below these shares of a value and of its standard error
# is none.
SHIFTS = (20.0, 100.0, 500.0)
DEPENDS, DEPENDS_SE = 1e-6, 1e-3
# How much of a step between thresholds can be taken off at most.
CLOSED = 1 - 1e-12
# What a direction that moves linear predictors by one moves a threshold that it leaves.
HARDLY = 1e-4
RANKED: Any = "inverted_cdf"
# What sums of weights may lack of one.
ROUNDED = 1e-14


def _but_for_rounding(p: np.ndarray) -> np.ndarray:
    """Probabilities, those one that are not because their terms were rounded."""
    return np.where(np.abs(1 - p) < ROUNDED, 1.0, p)


# Where intervals are symmetric: the scale, the way back, and the slope of the scale.
Scale = Callable[[Any], np.ndarray]
SCALES: dict[str, tuple[Scale, Scale, Scale]] = {
    "identity": (np.asarray, np.asarray, np.ones_like),
    "log": (np.log, np.exp, np.reciprocal),
    "logit": (
        lambda p: special.logit(_but_for_rounding(p)),
        special.expit,
        lambda p: 1 / (p * (1 - p)),
    ),
    # Of survival: a probability of 1e-50 has a short interval here, and an empty one in logits.
    "log-log": (
        lambda p: np.log(-np.log(_but_for_rounding(p))),
        lambda x: np.exp(-np.exp(x)),
        lambda p: 1 / (p * np.log(p)),
    ),
    "atanh": (np.arctanh, np.tanh, lambda r: 1 / (1 - r * r)),
}


@dataclass(frozen=True)
class Source:
    """Where the numbers come from: a point fit, or draws (T, D) of a posterior."""

    spec: MixtureSpec
    fitted: Fitted | None
    draws: np.ndarray | None


@dataclass(frozen=True)
class Estimates:
    """Quantities and how they vary.

    Parameters
    ----------
    value : ndarray, shape (...)
    moves : ndarray, shape (f, ...), or None
        Of a point fit: the change of the value by one standard deviation along each of f
        independent directions of the parameters.
    unknown : ndarray of bool, shape (...), or None
        Of a point fit: values that depend on a parameter which the data do not determine.
    draws : ndarray, shape (T, ...), or None
        Of a posterior, or simulated.
    """

    value: np.ndarray
    moves: np.ndarray | None = None
    unknown: np.ndarray | None = None
    draws: np.ndarray | None = None

    @property
    def se(self) -> np.ndarray:
        """Standard errors; of draws their standard deviations."""
        if self.draws is not None:
            return self.draws.std(0, ddof=1)
        assert self.moves is not None
        assert self.unknown is not None
        return np.where(self.unknown, np.inf, np.sqrt(np.square(self.moves).sum(0)))

    def part(self, at: Any) -> Estimates:
        """Some of the values, by an index into their shape."""
        moves = None if self.moves is None else self.moves[:, at]
        unknown = None if self.unknown is None else self.unknown[at]
        draws = None if self.draws is None else self.draws[:, at]
        return Estimates(self.value[at], moves, unknown, draws)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance matrix (m, m) of m values."""
        if self.draws is not None:
            return np.atleast_2d(np.cov(self.draws, rowvar=False))
        assert self.moves is not None
        return self.moves.T @ self.moves

    def limits(
        self, ci: float, scale: str | Sequence[str] = "identity"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Wald limits, symmetric on a scale; of draws equal-tailed ones.

        Parameters
        ----------
        ci : float
        scale : str or sequence of str
            One of `SCALES`, or one for each place of the first axis.
        """
        if not isinstance(scale, str):
            parts = [self.part(number).limits(ci, own) for number, own in enumerate(scale)]
            low, high = np.swapaxes(parts, 0, 1)
            return low, high
        if self.draws is not None:
            # Between an infinite value and a finite one there is nothing to interpolate.
            method: Any = "linear" if np.isfinite(self.draws).all() else RANKED
            tails = [0.5 - ci / 2, 0.5 + ci / 2]
            low, high = np.quantile(self.draws, tails, axis=0, method=method)
            return low, high
        forward, inverse, slope = SCALES[scale]
        with np.errstate(all="ignore"):
            center = forward(self.value)
            reach = special.ndtri(0.5 + ci / 2) * self.se * slope(self.value)
            # What cannot vary (a probability of zero, an infinite time) is its own interval.
            still = ~np.isfinite(center)
            low = np.where(still, self.value, inverse(center - reach))
            high = np.where(still, self.value, inverse(center + reach))
        return low, high


def estimates(
    source: Source | Sequence[Source],
    values_at: Values,
    *,
    kind: str = "observed",
    cluster: Any = None,
    at_once: bool = False,
    simulated: int = 0,
    seed: Any = None,
) -> Estimates:
    """Values of a function of the parameters, and how they vary.

    Parameters
    ----------
    source : Source, or sequence of these
        One fit, or several independent ones whose parameters stand side by side: all point
        fits, or all posteriors, whose draws go together in order.
    values_at : callable
        From parameters (D,) to values (...); with `at_once` from (T, D) to (T, ...).
    kind, cluster
        As of `covariance`; of point fits.
    at_once : bool
    simulated : int
        For a point fit: number of draws from the normal approximation that replace the slopes.
    seed : int or numpy.random.Generator, optional
        Of these.

    Raises
    ------
    FitError
        If `kind` or `cluster` is given for a posterior.
    """

    def many(theta: np.ndarray) -> np.ndarray:
        if at_once:
            return np.asarray(values_at(theta), dtype=float)
        return np.array([values_at(one) for one in theta], dtype=float)

    sources = [source] if isinstance(source, Source) else list(source)
    draws = [s.draws for s in sources if s.draws is not None]
    if draws:
        if kind != "observed" or cluster is not None:
            raise FitError(
                "kind= and cluster= choose the covariance of a point fit; a posterior's "
                "uncertainty is that of its draws, so leave them out"
            )
        values = many(np.hstack([d[: min(map(len, draws))] for d in draws]))
        return Estimates(values.mean(0), draws=values)
    fits = [s.fitted for s in sources if s.fitted is not None]
    theta = np.concatenate([f.theta for f in fits])
    known = [covariance(f, kind, cluster) for f in fits]
    root, flat = (linalg.block_diag(*(getattr(c, n) for c in known)) for n in ("root", "flat"))
    ends = np.cumsum([len(f.theta) for f in fits])[:-1]
    pairs = zip(fits, np.split(flat, ends, axis=1), strict=True)
    steps = np.concatenate([_steps(f, part) for f, part in pairs])
    center = many(theta[None])[0]
    unknown = np.zeros(center.shape, bool)
    if np.isnan(root).any() or not root.shape[1]:
        nothing = np.nan if np.isnan(root).any() else 0.0
        return Estimates(center, np.full((1, *center.shape), nothing), unknown)
    with np.errstate(all="ignore"):
        if simulated:
            normal = generator(seed).standard_normal((simulated, root.shape[1]))
            drawn = many(theta + normal @ root.T)
            found = Estimates(center, unknown=unknown, draws=drawn)
            se = np.abs(np.subtract(*np.quantile(drawn, [0.84, 0.16], axis=0, method=RANKED)))
        else:
            moved = many(theta + STEP * np.concatenate([root.T, -root.T]))
            found = Estimates(center, np.subtract(*np.split(moved, 2)) / (2 * STEP), unknown)
            se = found.se
        for shift in SHIFTS if len(flat) else ():
            move = shift * np.concatenate([flat, -flat])
            move *= CLOSED / (-move[:, steps]).max(1, initial=CLOSED, keepdims=True)
            move[:, steps] = np.log1p(move[:, steps])
            moved = many(theta + move)
            if shift > SHIFTS[0]:  # what overflows says nothing
                moved = np.where(np.isfinite(moved), moved, center)
            unknown |= depends(moved, center, np.where(np.isfinite(se), se, 0.0)).any(0)
    return found


def _steps(fitted: Fitted, flat: np.ndarray) -> np.ndarray:
    """Which entries of theta (D,) are logarithms of steps between thresholds, which add up.

    Flat directions (m, D) are changed in place, so that thresholds which they hardly move stay.
    """
    out = np.zeros(len(fitted.theta), bool)
    for block in fitted.spec.layout.blocks:
        if (cuts := block.thresholds) is None:
            continue
        at = block.steps
        base = block.locations[0].index[:, cuts.column]
        for s in range(at.shape[1] if len(np.unique(at)) == at.size else 0):
            size = np.exp(fitted.theta[at[:, s], None])
            first = -flat[:, base[s]]
            moves = first + np.cumsum(size * flat[:, at[:, s]].T, axis=0)
            moves[np.abs(moves) < HARDLY] = 0.0
            flat[:, at[:, s]] = (np.diff(moves, axis=0, prepend=first[None]) / size).T
        out[at] = True
    return out


def depends(moved: np.ndarray, center: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Whether finite values changed by more than nothing, measured by their size and error."""
    still = np.abs(moved - center) <= DEPENDS * np.abs(center) + DEPENDS_SE * se
    return ~still & np.isfinite(center)
