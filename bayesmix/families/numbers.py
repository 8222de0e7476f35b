"""Families of times for a plain positive response: every value is known exactly."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import Instant
from bayesmix.formula.times import Times


@functools.cache
def for_numbers(times: Family) -> Family:
    """The same distribution for a plain column of positive numbers.

    The density and its derivatives are those of an event at y; the parameters beside the
    location are dispersions, on their natural scale.

    Parameters
    ----------
    times : Family
        A distribution of times with a location.

    Returns
    -------
    Family
        The same object for the same distribution.
    """
    survival, priors, start = times.survival, times.priors, times.start
    assert survival is not None
    assert start is not None

    def density(obs: Observed, *linked: Linked) -> Array:
        return survival.logpdf(_instant(obs), *linked)

    form = survival.closed_form

    def closed_form(obs: Observed, *linked: Linked) -> Derivatives:
        assert form is not None
        return form(_instant(obs), np.ones(()), *linked)

    def log_tails(obs: Observed, *linked: Linked) -> tuple[Array, Array]:
        at = _instant(obs)
        return survival.log_distribution(at, *linked), survival.logsf(at, *linked)

    return replace(
        times,
        survival=None,
        kernel=survival.kernel,
        density=density,
        closed_form=None if form is None else closed_form,
        log_tails=log_tails,
        constant=lambda y, trials: -np.log(y),
        start=lambda y: start(_exact(y)),
        priors=None if priors is None else lambda y: priors(_exact(y)),
        valid=lambda y: y > 0,
        support="positive numbers",
    )


def _instant(obs: Observed) -> Instant:
    """The responses and their logarithms, which are the constants that `observe` keeps."""
    logs: Any = obs.const
    return Instant(obs.y, -logs)


def _exact(y: Any) -> Times:
    y = np.asarray(y, dtype=float)
    return Times(y, y, np.zeros_like(y))
