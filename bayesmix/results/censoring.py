r"""Times drawn from a model, censored as the rows were; residuals of censored times."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayesmix.arrays.quadrature import halved
from bayesmix.errors import FitError
from bayesmix.families import Family
from bayesmix.families.survival.base import log_survival
from bayesmix.formula.times import KINDS, Times

Natural = Mapping[str, np.ndarray]
EXACT, RIGHT = KINDS.index("exact"), KINDS.index("right")
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


def limits(times: Times, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """When each row would be censored, (n,): known of the censored, drawn for the others.

    A row with an event would have been censored later: its limit is drawn from the
    Kaplan-Meier estimate of the times of censoring, given that it is later, and is the
    longest time observed where that estimate does not come to an end.

    Parameters
    ----------
    times : Times
        Exact or right-censored.
    weight : ndarray, shape (n,)
    rng : numpy.random.Generator

    References
    ----------
    Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.5.
    """
    refuse_background(times, "the parametric bootstrap")
    if not np.isin(times.code, (EXACT, RIGHT)).all():
        raise FitError(
            "the parametric bootstrap censors simulated times as the data were, which takes times "
            "that are exact or right-censored, and here some are known within bounds only; use "
            "bootstrap(kind='case')"
        )
    censored = times.code == RIGHT
    at = np.unique(times.lower[censored])
    log_left = _log_uncensored(times, weight, censored, at)
    exact = np.flatnonzero(~censored)
    before = np.searchsorted(at, times.lower[exact])  # an event comes before a censoring then
    known = np.concatenate([[0.0], log_left])[before]
    target = known - rng.standard_exponential(len(exact))
    place = np.searchsorted(-log_left, -target)
    ends = np.append(at, times.lower.max() if len(at) else np.inf)
    out = times.lower.copy()
    out[exact] = np.maximum(ends[np.maximum(place, before)], times.lower[exact])
    return out


def _log_uncensored(
    times: Times, weight: np.ndarray, censored: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Log of the estimated chance not to be censored by each of these times."""
    lost = np.bincount(np.searchsorted(at, times.lower[censored]), weight[censored], len(at))
    # Who has an event at the same time has left before.
    leaves = np.searchsorted(at, times.lower, side="right")
    leaves -= np.isin(times.lower, at) & ~censored
    enters = np.searchsorted(at, times.entry, side="right")
    change = np.bincount(enters, weight, len(at) + 1) - np.bincount(leaves, weight, len(at) + 1)
    at_risk = change.cumsum()[: len(at)]
    share = np.divide(lost, at_risk, out=np.zeros(len(at)), where=lost > 0)
    with np.errstate(divide="ignore"):
        return np.log1p(-np.minimum(share, 1.0)).cumsum()


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
