r"""What a response with limits says about a component: the one place.

=======================  =================================================
known of the response    its term of the log-likelihood
=======================  =================================================
y, of values in [l, u]   log f(y) - log P(l <= Y <= u)
y, between two limits    log f(y)
at or below l            log P(Y <= l)
at or above u            log P(Y >= u)
=======================  =================================================

The tails are the family's own (`log_tails`); of counts, sums of their probabilities; else the
logarithms of its `tails`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from bayesmix import arrays as xp
from bayesmix.arrays.quadrature import halved
from bayesmix.arrays.symbolic import Symbol
from bayesmix.errors import SpecError
from bayesmix.families.derivatives import Derivatives, automatic
from bayesmix.families.interface import Array, FamilyLike, Observed
from bayesmix.families.links import Linked, at_values
from bayesmix.families.survival.base import join, some_rows
from bayesmix.families.survival.derivatives import join_derivatives
from bayesmix.formula.limits import CENSORED, Limits

# Counts are added up one by one: the largest limit, and the most of a tail.
MOST_COUNTS, LONGEST_TAIL = 5_000, 100_000
# Steps of linear predictors, and the smallest probability of a tail.
STEP, LEAST = 0.01, 1e-300
# Rounds in which impossible draws are made again, and how near to a limit one may be.
REDRAWN, NEAREST = 100, 1e-300
# Logarithm of a probability that is far from the smallest numbers.
LOWEST = -600.0
SURE = -1e-7  # log of a sum from which its complement is added up by itself


# --- both tails ----------------------------------------------------------------------------


def log_tails(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> tuple[Array, Array]:
    """Log P(Y <= y) and log P(Y > y), each accurate where it is small."""
    if family.log_tails is not None:
        return family.log_tails(obs, *linked)
    if family.discrete:
        return _by_sums(family, obs, linked)
    return _by_tails(family, obs, linked)


def check_tails(family: FamilyLike, name: str, most: float) -> None:
    """Refuse a family whose tails are not known.

    Raises
    ------
    SpecError
        Of point masses beside a density, and of a user's density without `tails`.
    """
    whole = family.whole is not None
    if family.atom is not None or family.lump is not None or family.binomial or whole:
        raise SpecError(
            f"{name}: the {family.name} family has no tails that limits could cut off; use a "
            "density or a family of counts"
        )
    if family.log_tails is None and not family.discrete and family.tails is None:
        raise SpecError(
            f"{name}: the {family.name} family has no tails=; give bmx.Family(..., tails=), the "
            "probabilities up to and beyond a value"
        )
    if family.log_tails is None and family.discrete and most > MOST_COUNTS:
        raise SpecError(f"{name}: a limit of counts is at most {MOST_COUNTS}, but one is {most:g}")


def _at(family: FamilyLike, obs: Observed, y: Array) -> Observed:
    """Another response of the same rows."""
    const = 0.0 if family.constant is None else family.constant(y, obs.trials)
    return Observed(y, obs.trials, const, limits=obs.limits)


def _by_sums(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> tuple[Array, Array]:
    """Tails of counts, as sums of their probabilities."""
    y = obs.y
    most = obs.limits.most if isinstance(y, Symbol) and obs.limits else np.max(y, initial=-1.0)
    lower: Array = -np.inf
    for count in range(int(most) + 1):
        term = _exact(family, _at(family, obs, 0.0 * y + count), linked)
        term = xp.where(y >= count, term, -np.inf)
        lower = term if count == 0 else _log_sum(lower, term)
    if int(most) < 0:
        lower = 0.0 * linked[0].value - np.inf
    upper = xp.log1mexp(xp.clip(lower, upper=-1e-300))
    upper = xp.where(y < 0, 0.0, upper)
    if not isinstance(y, Symbol) and most > 0:  # of one term alone nothing has cancelled
        sure = np.broadcast_to(xp.value_of(lower) > SURE, np.shape(xp.value_of(upper)))
        if sure.any():
            upper = xp.where(sure, _beyond(family, obs, linked), upper)
    return lower, upper


def _log_sum(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)), where b may be -inf, and a with it."""
    there = b > -np.inf
    both = there & (a > -np.inf)
    total = xp.logaddexp(xp.where(both, a, 0.0), xp.where(both, b, 0.0))
    return xp.where(both, total, xp.where(there, b, a))


def _beyond(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    """Log P(Y > y) of counts, added up from the next one on until nothing is left."""
    first = np.floor(obs.y) + 1
    total = _exact(family, _at(family, obs, first), linked)
    for step in range(1, LONGEST_TAIL):
        term = _exact(family, _at(family, obs, first + step), linked)
        small = xp.value_of(term) < xp.value_of(total) - 37.0
        falling = xp.value_of(term) > -np.inf
        total = _log_sum(total, term)
        if (small | ~falling).all():
            break
    return total


def _by_tails(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> tuple[Array, Array]:
    """Logarithms of a family's `tails`; their derivatives by differences of fourth order.

    The tails are those of SciPy, of which few have derivatives in closed form.  Steps are small
    beside the distance over which a tail changes, so that six digits of second derivatives and
    more of first ones are right.
    """
    names = [p.name for p in family.parameters]
    if isinstance(obs.y, Symbol):  # graphs know the derivatives of these tails
        both = family.tails(obs.y, **{n: v.value for n, v in zip(names, linked, strict=True)})
        below, above = (xp.log(xp.clip(x, LEAST)) for x in both)
        return below, above
    shape = np.broadcast_shapes(obs.y.shape, *(np.shape(xp.value_of(v.eta)) for v in linked))
    etas = [np.broadcast_to(xp.value_of(v.eta), shape) for v in linked]

    def logs(*moves: tuple[int, np.ndarray]) -> np.ndarray:
        moved = list(etas)
        for j, step in moves:
            moved[j] = moved[j] + step
        natural = {n: v.link.inverse(e) for n, v, e in zip(names, linked, moved, strict=True)}
        return np.log(np.clip(family.tails(obs.y, **natural), LEAST, None))

    value = logs()
    if not any(isinstance(v.eta, xp.Jet) for v in linked):
        return value[0], value[1]
    steps = _steps(
        family, obs, [Linked(v.link, e) for v, e in zip(linked, etas, strict=True)], value
    )
    first, second = _differences(logs, value, steps)
    below, above = (xp.Jet(value[i], first[:, i], second[:, :, i]) for i in range(2))
    return below, above


def _steps(
    family: FamilyLike, obs: Observed, linked: list[Linked], value: np.ndarray
) -> list[np.ndarray]:
    """Steps of the linear predictors: of the location a share of the tail's width."""
    plain = _exact(family, _at(family, obs, obs.y), tuple(linked))
    with np.errstate(all="ignore"):
        width = np.exp(np.clip(value.min(0) - plain, -300.0, 300.0))
        own = 2 * STEP * width / np.exp(linked[0].link.log_slope(linked[0].eta))
    if linked[0].link.name != "identity":
        own = np.minimum(own, STEP)
    own = np.where(np.isfinite(own) & (own > 0), own, STEP)
    return [own, *(np.full(own.shape, STEP) for _ in linked[1:])]


def _differences(
    function: Callable[..., np.ndarray], value: np.ndarray, steps: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """First (p, 2, ...) and second (p, p, 2, ...) derivatives of both tails (2, ...)."""
    p = len(steps)
    first, second = np.empty((p, *value.shape)), np.empty((p, p, *value.shape))
    for j, h in enumerate(steps):
        low2, low, high, high2 = (function((j, m * h)) for m in (-2, -1, 1, 2))
        first[j] = (8 * (high - low) - (high2 - low2)) / (12 * h)
        second[j, j] = (16 * (high + low) - (high2 + low2) - 30 * value) / (12 * h * h)
        for i, g in enumerate(steps[:j]):
            near, far = (
                sum(
                    a * b * function((j, m * a * h), (i, m * b * g))
                    for a in (1, -1)
                    for b in (1, -1)
                )
                / (4 * m * m * h * g)
                for m in (1, 2)
            )
            second[i, j] = second[j, i] = (4 * near - far) / 3
    return first, second


# --- terms ---------------------------------------------------------------------------------


def _before(family: FamilyLike, y: Array) -> Array:
    """The largest value below a limit: of a count the one before, of a density itself."""
    return -np.floor(-y) - 1.0 if family.discrete else y


def _below(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    """Log P(Y <= l)."""
    assert obs.limits is not None
    return log_tails(family, _at(family, obs, _moved(family, obs, obs.limits.lower)), linked)[0]


def _above(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    """Log P(Y >= u)."""
    assert obs.limits is not None
    at = _before(family, _moved(family, obs, obs.limits.upper))
    return log_tails(family, _at(family, obs, at), linked)[1]


def _cuts(family: FamilyLike, limit: Array) -> Array:
    """Whether a limit is there, and of a density where it has some on both sides."""
    there = np.abs(limit) < np.inf
    return there if family.discrete or family.valid is None else there & family.valid(limit)


def _moved(family: FamilyLike, obs: Observed, limit: Array) -> Array:
    """A limit where it cuts something off, else the response: a value that the family allows."""
    return xp.where(_cuts(family, limit), limit, obs.y)


def _outside(
    family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Log P(Y < l) and log P(Y >= l), and log P(Y <= u) and log P(Y > u)."""
    limits = obs.limits
    assert limits is not None

    def tails(limit: Array, y: Array, nothing: tuple[float, float]) -> tuple[Array, ...]:
        """Of what a limit cuts off and of the rest."""
        there = _cuts(family, limit)
        if not (isinstance(limit, Symbol) or there.any()):
            return nothing
        both = log_tails(family, _at(family, obs, y), linked)
        return tuple(xp.where(there, x, other) for x, other in zip(both, nothing, strict=True))

    first = _before(family, _moved(family, obs, limits.lower))
    low = tails(limits.lower, first, (-np.inf, 0.0))
    return low, tails(limits.upper, _moved(family, obs, limits.upper), (0.0, -np.inf))


def log_seen(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    """Log P(l <= Y <= u)."""
    low, high = _outside(family, obs, linked)
    early = xp.value_of(high[0]) < np.log(0.5)
    return xp.where(early, _less(high[0], low[0]), _less(low[1], high[1]))


def _less(a: Array, b: Array) -> Array:
    """log(exp(a) - exp(b)) for b < a; b may be -inf."""
    there = b > -np.inf
    gap = xp.clip(xp.where(there, b - a, -1.0), upper=-1e-300)
    return a + xp.where(there, xp.log1mexp(gap), 0.0)


def _exact(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    return family.unguarded(obs._replace(limits=None), linked)


TERMS: dict[str, Callable[..., Array]] = {"exact": _exact, "below": _below, "above": _above}


def _pieces(obs: Observed) -> list[tuple[str, slice | np.ndarray]]:
    """The terms that occur, each with its rows."""
    limits = obs.limits
    assert limits is not None
    if limits.kind != CENSORED:
        return [("exact", slice(None))]
    below, above = obs.y <= limits.lower, obs.y >= limits.upper
    masks = {"exact": ~(below | above), "below": below, "above": above & ~below}
    if masks["exact"].all():
        return [("exact", slice(None))]
    return [(term, np.flatnonzero(mask)) for term, mask in masks.items() if mask.any()]


def contributions(family: FamilyLike, obs: Observed, linked: tuple[Linked, ...]) -> Array:
    """Term of the log-likelihood of each of n responses, (..., n).

    Parameters
    ----------
    family : Family
    obs : Observed
        With limits.
    linked : tuple of Linked
        Arrays of numbers, or variables of a graph.
    """
    limits = obs.limits
    assert limits is not None
    if isinstance(limits.lower, Symbol):
        value = _exact(family, obs, linked)
        if limits.kind != CENSORED:
            return value - log_seen(family, obs, linked)
        value = xp.where(obs.y >= limits.upper, _above(family, obs, linked), value)
        return xp.where(obs.y <= limits.lower, _below(family, obs, linked), value)
    parts = [
        (rows, TERMS[term](family, obs.take(rows), some_rows(linked, rows)))
        for term, rows in _pieces(obs)
    ]
    value = join(parts, linked, len(obs.y))
    return value - log_seen(family, obs, linked) if limits.kind != CENSORED else value


# --- derivatives ---------------------------------------------------------------------------


def derivatives(
    family: FamilyLike, obs: Observed, linked: tuple[Linked, ...], *, closed: bool = True
) -> Derivatives:
    """The same with first and second derivatives in the linear predictors."""
    limits, parts = obs.limits, []
    assert limits is not None
    for term, rows in _pieces(obs):
        some, its = obs.take(rows), some_rows(linked, rows)
        if term == "exact" and closed:
            plain = family.derivatives(some._replace(limits=None), tuple(v.eta for v in its))
            parts.append((rows, plain))
        else:
            parts.append((rows, automatic(partial(TERMS[term], family, some), its, len(some.y))))
    d = join_derivatives(parts, linked, len(obs.y))
    if limits.kind == CENSORED:
        return d
    seen = automatic(partial(log_seen, family, obs), linked, len(obs.y))
    return d.map(np.subtract, seen)


# --- random numbers ------------------------------------------------------------------------


def draw_within(
    family: FamilyLike,
    natural: Mapping[str, np.ndarray],
    y: np.ndarray,
    limits: Limits,
    rng: np.random.Generator,
) -> np.ndarray:
    """Drawn responses (m,) as they would be seen; what cannot occur is drawn again.

    Where nearly all of a distribution lies outside, by bisection of its distribution function.

    Parameters
    ----------
    family : Family
    natural : mapping of str to ndarray, shape (m,)
    y : ndarray, shape (m,)
        Of the whole distribution.
    limits : Limits
    rng : numpy.random.Generator
    """
    y = np.array(limits.applied(y))
    if limits.kind == CENSORED:
        return y
    for _ in range(REDRAWN):
        again = np.flatnonzero((y < limits.lower) | (y > limits.upper))
        if not len(again):
            return y
        y[again] = family.simulate(rng, **{n: v[again] for n, v in natural.items()})
    left = np.flatnonzero((y < limits.lower) | (y > limits.upper))
    some = {n: v[left] for n, v in natural.items()}
    y[left] = _inverted(family, some, limits.take(left), rng)
    return y


def _inverted(
    family: FamilyLike, natural: dict[str, np.ndarray], limits: Limits, rng: np.random.Generator
) -> np.ndarray:
    """Responses between limits in a tail, by bisection of log tail probabilities."""
    linked = at_values(family.parameters, natural)
    some = np.where(np.isfinite(limits.upper), limits.upper, limits.lower)
    obs = Observed(some, None, 0.0)._replace(limits=limits)
    low, high = _outside(family, obs, linked)
    # From the limit that cuts off more, the tail falls by a share 1 - u of what is between both.
    up = np.isfinite(limits.lower) & (low[1] <= high[0])
    finite, far = np.where(up, [limits.lower, limits.upper], [limits.upper, limits.lower])
    tail, rest = np.where(up, low[1], high[0]), np.where(up, high[1], low[0])
    u = rng.random(len(up))
    with np.errstate(invalid="ignore"):  # of limits with nothing between them
        target = tail + np.log(u + (1 - u) * np.exp(rest - tail))
    # Sums over all counts take long; tails as numbers will do where none is too small for one.
    numbers = family.log_tails is None and family.tails is not None and target.min() > LOWEST

    def beyond(distance: np.ndarray) -> np.ndarray:
        at = np.where(up, finite + distance, finite - distance)
        at = np.floor(at) if family.discrete else at
        if numbers:
            return np.where(up, *family.tails(at, **natural)[::-1]) > np.exp(target)
        both = log_tails(family, _at(family, obs, at), linked)
        return np.where(up, both[1], both[0]) > target

    reach = np.where(np.isfinite(far), np.abs(far - finite), 1.0 + np.abs(finite))
    # Tails below the smallest numbers are those of no finite distance.
    while (short := beyond(reach) & ~np.isfinite(far) & (reach < np.inf)).any():
        with np.errstate(over="ignore"):
            reach = np.where(short, 2 * reach, reach)
    ends = np.full(reach.shape, np.log(NEAREST)), np.log(np.maximum(reach, NEAREST))
    distance = np.exp(halved(lambda x: beyond(np.exp(x)), *ends))
    y = np.where(up, finite + distance, finite - distance)
    return np.clip(np.round(y) if family.discrete else y, limits.lower, limits.upper)


# --- probabilities for residuals -------------------------------------------------------------


def ends(family: FamilyLike, obs: Observed, natural: dict[str, np.ndarray]) -> np.ndarray:
    """P(Y < y), P(Y <= y), P(Y > y) and P(Y >= y) of what could be seen, (4, n).

    Of a censored response: between which probabilities it lies.
    """
    every = {name: np.broadcast_to(value, obs.y.shape) for name, value in natural.items()}
    linked = at_values(family.parameters, every)
    limits = obs.limits
    assert limits is not None
    before = _before(family, obs.y)
    at = np.exp(log_tails(family, _at(family, obs, obs.y), linked))
    under = np.exp(log_tails(family, _at(family, obs, before), linked))
    below, upto, above, beyond = under[0], at[0], at[1], under[1]
    if limits.kind == CENSORED:
        low, high = obs.y <= limits.lower, obs.y >= limits.upper
        below, beyond = np.where(low, 0.0, below), np.where(low, 1.0, beyond)
        upto, above = np.where(high, 1.0, upto), np.where(high, 0.0, above)
        return np.array([below, upto, above, beyond])
    low, high = _outside(family, obs, linked)
    early, late, seen = np.exp(low[0]), np.exp(high[1]), np.exp(log_seen(family, obs, linked))
    shares = [(below - early), (upto - early), (above - late), (beyond - late)]
    return np.clip(np.array(shares) / seen, 0.0, 1.0)
