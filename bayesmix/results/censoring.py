r"""Times drawn from a model, censored as the rows were; residuals of censored times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from bayesmix.arrays.quadrature import halved
from bayesmix.errors import FitError
from bayesmix.families import Family
from bayesmix.families.survival.base import log_survival
from bayesmix.formula.times import EXACT, INTERVAL, LEFT, RIGHT, Times

Natural = Mapping[str, np.ndarray]
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")
LOG_MAX = 690.0


def draw_times(
    family: Family, natural: Natural, entry: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Times beyond the entries, shape (n,); infinite where the event never comes.

    The log survival falls from that at the entry by a standard exponential variable.

    Parameters
    ----------
    family : Family
    natural : mapping of str to ndarray, shape (n,)
    entry : ndarray, shape (n,)
    rng : numpy.random.Generator
    """
    plain = not (entry > 0).any()
    if plain and family.simulate is not None:
        return np.broadcast_to(family.simulate(rng, **natural), entry.shape)
    fall = rng.standard_exponential(len(entry))
    target = log_survival(family, entry, natural) - fall
    lower, upper = np.full(len(entry), -LOG_MAX), np.full(len(entry), LOG_MAX)
    lower = np.maximum(lower, np.log(np.maximum(entry, np.exp(-LOG_MAX))))

    def later(log_t: np.ndarray) -> np.ndarray:
        return log_survival(family, np.exp(log_t), natural) > target

    return np.where(later(upper), np.inf, np.exp(halved(later, lower, upper)))


# --- censoring -----------------------------------------------------------------------------


def refuse_background(times: Times, what: str) -> None:
    """Refuse what needs the background's survival, where only its rate at the events is known."""
    if times.background is not None:
        raise FitError(
            f"{what} needs the survival of the background, and surv(..., background=) gives its "
            "rate at the times alone; membership(), cured_fraction(), survival() and the other "
            "quantities of the model's own times do without"
        )


def seen_again(
    times: Times,
    drawn: np.ndarray,
    weight: np.ndarray,
    rng: np.random.Generator,
    apart: np.ndarray | None = None,
    followed: Times | None = None,
) -> Times:
    """Simulated times as they would have been observed: watched, or inspected now and then.

    Watched rows are known exactly up to their `limits`, inspected ones as `inspected_again` says.

    Parameters
    ----------
    times : Times
        How n times were observed.
    drawn : ndarray, shape (n,)
    weight : ndarray, shape (n,)
    rng : numpy.random.Generator
    apart : ndarray of bool, shape (n,), optional
        Rows that say nothing of the time because they had another event.
    followed : Times, optional
        The same with what is known of the other event's time in those rows.
    """
    limit = limits(times if followed is None else followed, weight, rng)
    limit = np.maximum(limit, times.entry)
    seen = censored_again(drawn, limit, times.entry)
    return inspected_again(times, drawn, limit, seen, weight, rng, apart)


def limits(times: Times, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """When each row would be censored, (n,): known of the censored, drawn for the others.

    A row with an event would have been censored later: its limit is drawn from the
    Kaplan-Meier estimate of the times of censoring, given that it is later, and is the
    longest time observed where that estimate does not come to an end.  An inspected row was
    followed at least until the inspection after its event.

    Parameters
    ----------
    times : Times
    weight : ndarray, shape (n,)
    rng : numpy.random.Generator

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.5.
    """
    refuse_background(times, "the parametric bootstrap")
    ended = np.isfinite(times.upper)
    last = np.where(ended, times.upper, times.lower)
    at = np.unique(last[~ended])
    log_left = _log_uncensored(times, last, weight, at)
    unknown = np.flatnonzero(ended)
    # An event comes before a censoring at the same time.
    begin = last[unknown]
    before = np.searchsorted(at, begin)
    known = np.concatenate([[0.0], log_left])[before]
    target = known - rng.standard_exponential(len(unknown))
    position = np.searchsorted(-log_left, -target)
    ends = np.append(at, last.max() if len(at) else np.inf)
    out = last.copy()
    out[unknown] = np.maximum(ends[np.maximum(position, before)], begin)
    return out


def _log_uncensored(
    times: Times, last: np.ndarray, weight: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Log of the estimated chance not to be censored by each of these times."""
    censored = np.isinf(times.upper)
    lost = np.bincount(np.searchsorted(at, last[censored]), weight[censored], len(at))
    # Who has an event at the same time has left before.
    leaves = np.searchsorted(at, last, side="right")
    leaves -= np.isin(last, at) & ~censored
    enters = np.where(times.entry > 0, np.searchsorted(at, times.entry, side="right"), 0)
    change = np.bincount(enters, weight, len(at) + 1) - np.bincount(leaves, weight, len(at) + 1)
    at_risk = change.cumsum()[: len(at)]
    share = np.divide(lost, at_risk, out=np.zeros(len(at)), where=lost > 0)
    with np.errstate(divide="ignore"):
        return np.log1p(-np.minimum(share, 1.0)).cumsum()


def inspected_again(
    times: Times,
    drawn: np.ndarray,
    limit: np.ndarray,
    seen: Times,
    weight: np.ndarray,
    rng: np.random.Generator,
    apart: np.ndarray | None = None,
) -> Times:
    """Simulated times, those of inspected rows between the inspections around them.

    Inspections are independent of the times, as the likelihood assumes, and stay fixed.  The
    bounds of a row are two of its inspections.  Others are pieced together from rows whose
    bounds touch: after u comes the upper bound of a row, drawn at random, whose lower bound is u,
    and before l likewise.  So a schedule that rows share is found again.  Rows with
    inspections of their own keep only theirs: the union of all would say more of a time than any
    row did, one's own say less if they were many.  A right-censored row was inspected with the
    probability with which the others were.

    Parameters
    ----------
    times, drawn, weight, rng, apart
        As of `seen_again`.
    limit : ndarray, shape (n,)
        The end of each row's observation.
    seen : Times
        The simulated times of rows that are watched.

    References
    ----------
    Sun (2006), The Statistical Analysis of Interval-censored Failure Time Data, section 1.3.
    """
    bounded = np.isin(times.code, (LEFT, INTERVAL))
    cells = np.flatnonzero(bounded)
    if not len(cells):
        return seen
    inspected = as_often(bounded, np.isfinite(times.upper), weight, rng)
    like = np.arange(len(times))
    if apart is not None:
        like[apart] = rng.choice(cells, int(apart.sum()), p=weight[cells] / weight[cells].sum())
    lower, upper = times.lower[like], times.upper[like]
    low, high = times.lower[cells], times.upper[cells]
    until, since = lower.copy(), upper.copy()
    later, sooner = inspected & (drawn > upper), inspected & (drawn <= lower)
    until[later], since[later] = _next_cell(
        upper[later], drawn[later], limit[later], (low, high, weight[cells]), rng
    )
    since[sooner], until[sooner] = _next_cell(
        -lower[sooner], -drawn[sooner], np.zeros(1), (-high, -low, weight[cells]), rng
    )
    until, since = np.where(sooner, -until, until), np.where(sooner, -since, since)
    until[sooner & np.isinf(until)] = 0.0
    return Times(
        np.where(inspected, np.maximum(until, times.entry), seen.lower),
        np.where(inspected, since, seen.upper),
        times.entry,
    )


def as_often(
    flags: np.ndarray, known: np.ndarray, weight: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Flags (n,) where they are known; elsewhere they are drawn, true as often as there."""
    total = weight[known].sum()
    share = weight[known & flags].sum() / total if total > 0 else 0.0
    return np.where(known, flags, rng.random(len(flags)) < share)


def _next_cell(
    begin: np.ndarray,
    drawn: np.ndarray,
    limit: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The bounds (m,) of the first cell that holds each time, from cells that touch.

    An upper bound is infinite where no cell goes on, or not before the limit.
    """
    low, high, weight = (values[np.argsort(cells[0], kind="stable")] for values in cells)
    total = np.append(0.0, weight.cumsum())
    limit = np.broadcast_to(limit, begin.shape)
    lower, upper = begin.copy(), np.full(len(begin), np.inf)
    going = np.arange(len(begin))
    while len(going):
        first, last = (total[np.searchsorted(low, lower[going], side)] for side in SIDES)
        going, first, last = (values[last > first] for values in (going, first, last))
        point = first + rng.random(len(going)) * (last - first)
        at = np.searchsorted(total, point, side="right") - 1
        going, to = going[high[at] <= limit[going]], high[at][high[at] <= limit[going]]
        found = drawn[going] <= to
        upper[going[found]] = to[found]
        going, to = going[~found], to[~found]
        lower[going] = to
    return lower, upper


def censored_again(drawn: np.ndarray, limit: np.ndarray, entry: np.ndarray) -> Times:
    """Simulated times as they would have been seen: exactly, or censored at the limit.

    An infinite one is censored at the last limit or time where its own is infinite.
    """
    bounds = np.concatenate([drawn, limit])
    last = bounds[np.isfinite(bounds)].max(initial=0.0)
    limit = np.where(np.isinf(drawn) & np.isinf(limit), last, limit)
    seen = drawn <= limit
    lower = np.where(seen, drawn, limit)
    return Times(lower, np.where(seen, drawn, np.inf), entry)


# --- residuals -----------------------------------------------------------------------------


def residual(family: Family, times: Times, natural: Natural, kind: str) -> np.ndarray:
    r"""Residuals (n,) of times; NaN where nothing is known.

    With the cumulative hazard :math:`H = -\log S` from the entry on,

    * "martingale": :math:`(S(l) \log S(l) - S(u) \log S(u)) / (S(l) - S(u))`, which is
      :math:`1 - H(t)` for an exact time and :math:`-H(l)` for a right-censored one;
    * "cox-snell": :math:`H(t)`, of an exact or right-censored time.

    References
    ----------
    Farrington (2000), Biometrics 56, 473-482.
    """
    refuse_background(times, f"residuals(kind={kind!r})")
    reached = log_survival(family, times.lower, natural)
    hazard = -reached
    if times.truncated:
        hazard = hazard + log_survival(family, times.entry, natural)
    known = times.known
    if kind == "cox-snell":
        within = known & ~np.isin(times.code, (EXACT, RIGHT))
        if within.any():
            raise FitError(
                f"residuals(kind='cox-snell'): {int(within.sum())} times are known within bounds "
                "only; use kind='martingale'"
            )
        return np.where(known, hazard, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        growth = reached - log_survival(family, times.upper, natural)
        inside = (growth > 0) & np.isfinite(growth)
        share = np.where(inside, growth / np.expm1(np.where(inside, growth, 1.0)), 0.0)
    share = np.where((growth == 0) | (times.code == EXACT), 1.0, share)
    # A right-censored time may be none at all: nothing of the survival is left beyond it.
    share = np.where(times.code == RIGHT, 0.0, share)
    return np.where(known, share - hazard, np.nan)
