"""Estimates of state probabilities without a model: Kaplan-Meier, Aalen-Johansen, Turnbull."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayesmix.errors import DataError
from bayesmix.formula.times import EXACT, INTERVAL, LEFT, Times

UNKNOWN = -1
BETWEEN = (LEFT, INTERVAL)
# Turnbull's estimate: its log-likelihood per row is so near the highest, or after so many steps.
NEAR, STEPS = 1e-5, 5000


@dataclass(frozen=True, eq=False)
class StateCurves:
    """Step functions of the probability of each state.  Made by `aalen_johansen`.

    Parameters
    ----------
    time : ndarray of float64, shape (m,)
        0, then every time at which somebody had an event or was censored.  The values
        hold from there until the next one.
    at_risk : ndarray, shape (m,)
        Weight of those under observation just before.
    estimate, se, lower, upper : ndarray, shape (m, 1 + S)
        Without an event yet, then having had each of S events.
    """

    time: np.ndarray
    at_risk: np.ndarray
    estimate: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """Estimates at times of shape (t,): (t, 1 + S); NaN beyond the last one observed.

        There the estimate is known only where nobody was left, and stays.
        """
        times = np.asarray(times, dtype=float)
        place = np.searchsorted(self.time, times, side="right") - 1
        values = self.estimate[np.maximum(place, 0)]
        unknown = (times > self.time[-1]) & (self.estimate[-1, 0] > 0)
        return np.where((unknown | (place < 0))[:, None], np.nan, values)

    def table(self, events: Sequence[Hashable], start: Hashable = "start") -> pd.DataFrame:
        """Tidy: time, state, estimate, se, lower, upper; the states of a time together."""
        states = [start, *events]
        columns = {n: getattr(self, n).ravel() for n in ("estimate", "se", "lower", "upper")}
        time = np.repeat(self.time, len(states))
        return pd.DataFrame({"time": time, "state": states * len(self.time), **columns})


def kaplan_meier(
    times: Times, weights: np.ndarray | None = None, level: float = 0.95
) -> StateCurves:
    """The Kaplan-Meier estimate: `aalen_johansen` with one event.

    Parameters
    ----------
    times : Times
    weights : ndarray, shape (n,), optional
    level : float

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmix.survival.nonparametric import kaplan_meier
    >>> from bayesmix.formula.times import Times
    >>> times = Times(np.array([1.0, 2.0, 3.0]), np.array([1.0, np.inf, 3.0]), np.zeros(3))
    >>> kaplan_meier(times).estimate[:, 0].round(3).tolist()
    [1.0, 0.667, 0.667, 0.0]
    """
    return aalen_johansen(times, np.zeros(len(times), dtype=int), 1, weights, level)


def turnbull(times: Times, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Turnbull's estimate of the survival of times that are known within bounds.

    With l_i < T_i <= u_i and masses p_j at times t_j it maximises

    .. math:: \sum_i w_i \log \sum_{j: l_i < t_j \le u_i} p_j

    by the EM algorithm.  The masses are known to lie within intervals without another bound
    inside (and beyond all times); they are placed at their right ends.

    Parameters
    ----------
    times : Times
        n times without late entries, observed in any way.
    weights : ndarray, shape (n,)

    Returns
    -------
    time : ndarray, shape (m,)
        0, then the right ends of the intervals, and the last time at which anybody was observed.
    survival : ndarray, shape (m,)

    Raises
    ------
    DataError
        If there are late entries.

    References
    ----------
    Turnbull (1976), Journal of the Royal Statistical Society B 38, 290-295.  The condition by
    which it stops: Gentleman and Geyer (1994), Biometrika 81, 618-623.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesmix.formula.times import Times
    >>> from bayesmix.survival.nonparametric import turnbull
    >>> times = Times(np.array([0.0, 1.0]), np.array([1.0, 3.0]), np.zeros(2))
    >>> [values.tolist() for values in turnbull(times, np.ones(2))]
    [[0.0, 1.0, 3.0], [1.0, 0.5, 0.0]]
    """
    if (times.entry > 0).any():
        raise DataError(
            f"{int((times.entry > 0).sum())} of {len(times)} times have late entries, and others "
            "are interval- or left-censored: there is no estimate without a model here. Leave the "
            "latter out"
        )
    times, weights = times.take(np.flatnonzero(weights > 0)), weights[weights > 0]
    lower = np.where(times.code == EXACT, np.nextafter(times.lower, 0.0), times.lower)
    ends = np.unique(times.upper)
    below = np.searchsorted(np.sort(lower), ends)
    ends = ends[np.diff(below, prepend=0) > 0]
    first, last = (np.searchsorted(ends, bound, side="right") for bound in (lower, times.upper))
    mass = np.full(len(ends), 1 / len(ends))
    for _ in range(STEPS):
        total = np.r_[0.0, np.cumsum(mass)]
        share = weights / (total[last] - total[first]) / weights.sum()
        come, gone = (np.bincount(at, share, len(ends) + 1) for at in (first, last))
        slope = np.cumsum(come - gone)[:-1]
        if slope.max() <= 1 + NEAR:
            break
        mass = mass * slope
    bounds = np.r_[times.lower, times.upper]
    latest, finite = bounds[np.isfinite(bounds)].max(), np.isfinite(ends)
    time, survival = np.r_[0.0, ends[finite]], np.r_[1.0, 1 - np.cumsum(mass[finite])]
    survival = np.clip(survival, 0.0, 1.0)
    if latest > time[-1]:
        time, survival = np.r_[time, latest], np.r_[survival, survival[-1]]
    return time, survival


def aalen_johansen(
    times: Times,
    event_codes: np.ndarray,
    n_events: int,
    weights: np.ndarray | None = None,
    level: float = 0.95,
) -> StateCurves:
    r"""The Aalen-Johansen estimate of the probabilities of competing events.

    .. math:: \hat F_k(t) = \sum_{t_j \le t} \hat S(t_{j-1}) \frac{d_{kj}}{Y_j}, \qquad
              \hat S(t) = \prod_{t_j \le t} \Bigl(1 - \frac{d_{\cdot j}}{Y_j}\Bigr)

    with d the events at a time and Y those at risk just before: their entry is before,
    their time not.

    Parameters
    ----------
    times : Times
        n times, each exact or right-censored, with entries.  With a late entry the
        estimates are conditional on reaching the first one.
    event_codes : ndarray of int, shape (n,)
        0 to n_events - 1 for the event known; it counts where the time is exact.  -1
        where it is unknown, which only a censored row may be.
    n_events : int
    weights : ndarray, shape (n,), optional
        A weight of w counts as w rows.
    level : float
        Of the pointwise limits.

    Returns
    -------
    StateCurves
        Standard errors of Greenwood's type.  Limits by the complementary log-log
        transformation, which keeps them between 0 and 1: of log(-log S), and of the
        same with 1 - F.  Where an estimate has reached its end with nobody left at
        risk, the limit on the other side is that of the time before.

    Raises
    ------
    DataError
        For interval- or left-censored times, or an exact time of an unknown event.

    References
    ----------
    P. K. Andersen, Ø. Borgan, R. D. Gill and N. Keiding (1993), Statistical Models
    Based on Counting Processes, Springer, section 4.4: (4.4.7), (4.4.17).
    """
    check_seen(times, event_codes)
    w = np.ones(len(times)) if weights is None else weights
    grid, at_risk, deaths = counts(times, event_codes, n_events, w)
    share = np.divide(deaths, at_risk[:, None], out=np.zeros_like(deaths), where=deaths > 0)
    survival = np.cumprod(np.maximum(1.0 - share.sum(axis=1), 0.0))
    before = np.r_[1.0, survival[:-1]]
    events = np.cumsum(before[:, None] * share, axis=0)
    estimate = np.column_stack([survival, events])
    se = np.sqrt(_variances(share, at_risk, survival, before, events))
    lower, upper = _limits(estimate, se, float(ndtri(0.5 + level / 2)))
    return StateCurves(grid, at_risk, estimate, se, lower, upper)


def seen_events(by_event: Sequence[Times], allowed: np.ndarray) -> tuple[Times, np.ndarray]:
    """One time and event for each subject where every event has its own response.

    Parameters
    ----------
    by_event : sequence of Times
        Of the same n subjects.
    allowed : ndarray of bool, shape (n, S)
        The events that each may have had.

    Returns
    -------
    times : Times
        The response of the event known; where none is known, the subject is free of
        all events until the first of their lower bounds, unless all of them agree.
    codes : ndarray of int, shape (n,)
        The event known, or -1.
    """
    lower = np.array([t.lower for t in by_event])
    upper = np.array([t.upper for t in by_event])
    entry = np.array([t.entry for t in by_event])
    rows = np.arange(lower.shape[1])
    known = allowed.sum(1) == 1
    clear = known | ((lower == lower[0]).all(axis=0) & (upper == upper[0]).all(axis=0))
    chosen = np.where(known, allowed.argmax(1), 0)
    times = Times(
        np.where(clear, lower[chosen, rows], lower.min(axis=0)),
        np.where(clear, upper[chosen, rows], np.inf),
        np.where(clear, entry[chosen, rows], entry.min(axis=0)),
    )
    return times, np.where(known, chosen, UNKNOWN)


def check_seen(times: Times, codes: np.ndarray) -> None:
    """Refuse times that `aalen_johansen` cannot use, and exact ones of an unknown event."""
    n = len(times)
    between = np.isin(times.code, BETWEEN)
    if between.any():
        raise DataError(
            f"{int(between.sum())} of {n} times are interval- or left-censored, which Kaplan-Meier "
            "and Aalen-Johansen cannot use. Leave these rows out of the comparison, or compare the "
            "fits of several families by their log-likelihoods; for a Mixture "
            "bmx.plot.posterior_predictive draws Turnbull's estimate beside the model"
        )
    unknown = (times.code == EXACT) & (codes == UNKNOWN)
    if unknown.any():
        raise DataError(
            f"{int(unknown.sum())} of {n} rows have an exact time but an unknown event, which "
            "Aalen-Johansen cannot use (the mixture model does). Leave them out of the comparison, "
            "or estimate the survival of all events together with kaplan_meier"
        )


def counts(
    times: Times, codes: np.ndarray, n_events: int, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times (m,), weight at risk before each (m,), and weight of events at each (m, S).

    Parameters
    ----------
    times, codes, n_events, weights
        As of `aalen_johansen`.
    """
    used = weights > 0
    end, entry, w, codes = times.lower[used], times.entry[used], weights[used], codes[used]
    grid, place = np.unique(np.r_[0.0, end], return_inverse=True)
    place = place[1:]
    happened = times.code[used] == EXACT
    deaths = np.zeros((len(grid), n_events))
    np.add.at(deaths, (place[happened], codes[happened]), w[happened])
    leaving = np.bincount(place, w, len(grid))
    # Entered strictly before a time: those from the next place on.
    entering = np.bincount(np.searchsorted(grid, entry, side="right"), w, len(grid) + 1)[:-1]
    under = np.cumsum(entering) - np.r_[0.0, np.cumsum(leaving)[:-1]]
    # Sums of weights, free of the rounding that would leave fewer at risk than die.
    died = deaths.sum(axis=1)
    near = np.abs(under - died) <= 1e-9 * np.maximum(under, died)
    return grid, np.where(near, died, np.maximum(under, 0.0)), deaths


def _variances(
    share: np.ndarray,
    at_risk: np.ndarray,
    survival: np.ndarray,
    before: np.ndarray,
    events: np.ndarray,
) -> np.ndarray:
    """Variances (m, 1 + S) of Greenwood's type.

    An increment at time j with shares a_l = d_l / Y has the covariance of a multinomial,
    (diag(a) - a a') / Y.  It enters F_k(t) with the slope
    S(j-) [1(l = k) - (F_k(t) - F_k(j)) / S(j)]; collected by powers of F_k(t), the sum
    over j up to t is three cumulative sums.
    """
    total = share.sum(axis=1)
    scale = np.divide(before**2, at_risk, out=np.zeros_like(before), where=total > 0)
    inverse = np.divide(1.0, survival, out=np.zeros_like(survival), where=survival > 0)
    square = scale * inverse**2 * total * (1.0 - total)
    out = [survival**2 * np.cumsum(square)]
    for a, f in zip(share.T, events.T, strict=True):
        cross = -2.0 * scale * inverse * a * (1.0 - total)
        alone = scale * a * (1.0 - a)
        s2 = np.cumsum(square)
        s1 = np.cumsum(cross - 2.0 * f * square)
        s0 = np.cumsum(alone - f * cross + f**2 * square)
        out.append(s2 * f**2 + s1 * f + s0)
    return np.maximum(np.column_stack(out), 0.0)


def _limits(estimate: np.ndarray, se: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits (m, 1 + S) of log(-log q), q the share without the event."""
    q = np.column_stack([estimate[:, 0], 1.0 - estimate[:, 1:]])
    low, high = q.copy(), q.copy()
    inside = (q > 0) & (q < 1) & (se > 0)
    log = np.log(q[inside])
    half = np.exp(z * se[inside] / (q[inside] * -log))
    low[inside], high[inside] = np.exp(log * half), np.exp(log / half)
    for k in range(q.shape[1]):  # nobody is left: the limit of the time before
        gone = np.flatnonzero(q[:, k] <= 0)
        if len(gone):
            low[gone, k] = 0.0
            high[gone, k] = high[gone[0] - 1, k]
    swap = np.arange(q.shape[1]) > 0
    return np.where(swap, 1.0 - high, low), np.where(swap, 1.0 - low, high)
