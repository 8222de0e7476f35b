"""Rough values for times, however they were observed: a straight line through log H by log t."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.formula.times import Times

# A Weibull shape outside these is not believed before a likelihood says so.
SHAPES = (0.2, 10.0)


class Guess(NamedTuple):
    """A rough Weibull distribution of the times.

    `rate` is the number of events by time at risk; `centre` and `spread` are
    the mean and standard deviation of log T.
    """

    rate: float
    shape: float
    scale: float
    centre: float
    spread: float


def guess(times: Times) -> Guess:
    """Rough parameter values, whose times scale as the data do.

    Every time is taken at a working value (the upper bound's half, the bounds'
    geometric mean), and log H of Nelson and Aalen is regressed on log t.

    Parameters
    ----------
    times : Times

    Returns
    -------
    Guess
    """
    known = np.isfinite(times.upper) | (times.lower > 0)
    if not known.any():
        return _weibull(1.0, 1.0, 1.0)
    times = times.take(known)
    event = np.isfinite(times.upper)
    log_t = working(times)
    # Times by their largest, so that no sum overflows.
    unit = float(log_t.max())
    exposure = np.exp(log_t - unit) - np.exp(np.minimum(times.log_entry, log_t) - unit)
    rate = max(float(event.sum()), 0.5) / max(float(exposure.sum()), 1e-12) * np.exp(-unit)
    log_h, at = _nelson_aalen(log_t, times.log_entry, event)
    if len(at) < 3 or np.ptp(at) < 1e-6:
        return _weibull(1.0, 1 / rate, rate)
    shape = float(np.clip(np.polyfit(at - at.mean(), log_h, 1)[0], *SHAPES))
    scale = np.exp(at.mean() - log_h.mean() / shape)
    return _weibull(shape, float(scale), float(rate))


def _weibull(shape: float, scale: float, rate: float) -> Guess:
    """With Euler's constant and the standard deviation of the log of an exponential time."""
    centre, spread = np.log(scale) - np.euler_gamma / shape, np.pi / np.sqrt(6) / shape
    return Guess(rate, shape, scale, float(centre), float(spread))


def working(times: Times) -> np.ndarray:
    """Logarithm of one time for each row, (n,): within its bounds."""
    bounded = np.isfinite(times.upper)
    left = bounded & (times.lower == 0)
    between = bounded & ~left
    log_t = np.where(np.isfinite(times.log_lower), times.log_lower, 0.0)
    log_t[between] = 0.5 * (times.log_lower[between] + times.log_upper[between])
    log_t[left] = times.log_upper[left] - np.log(2.0)
    return log_t


def _nelson_aalen(
    log_t: np.ndarray, log_entry: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log cumulative hazard, half of each step taken, at the distinct event times."""
    at, deaths = np.unique(log_t[event], return_counts=True)
    gone = np.searchsorted(np.sort(log_t), at, side="left")
    entered = np.searchsorted(np.sort(log_entry), at, side="left")
    steps = deaths / np.maximum(entered - gone, deaths)
    hazard = np.cumsum(steps) - 0.5 * steps
    return np.log(hazard), at


def shape_prior(times: Times) -> Prior:
    """The shape of a Weibull distribution of all times, up to a factor of three or so."""
    return Prior("lognormal", mu=float(np.log(guess(times).shape)), sigma=1.0)
