"""What a family gives the kernels: one scalar function of a row.

This module does not import numba; a family file can do as the three here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Places of a term's outputs in the block that a family's callback fills.
LOGF, D1, W, STATISTIC, D_DISP, H_DISP, H_CROSS, N_TERMS = range(8)

# Parts of a component's score: multipliers of x, of 1 (log dispersion), of z; see `_information`.
COEF, DISPERSION, ALPHA, N_CHANNELS = range(4)

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)

Term = Callable[..., tuple[float, ...]]


@dataclass(frozen=True)
class KernelFamily:
    """A family as the kernels see it.

    Parameters
    ----------
    name : str
        Part of the cache's file name.
    make_term : callable
        ``make_term(ops)`` returns ``term(y, aux, const, eta, dispersion)``, scalars in, and out:
        ``logf, d1, w`` (log density, d logf / d eta, -d2 logf / d eta2); with a dispersion also
        ``statistic, d_disp, h_disp, h_cross``: what the M step sums, then with
        t = log(dispersion): d logf / dt, -d2 logf / dt2 and -d2 logf / (d eta dt).
    dispersion : bool
        Whether there is a dispersion parameter (positive).
    aux : bool
        Whether a second number per row (the trials) is needed.

    Notes
    -----
    `ops` has ``exp, log, log1p`` (the last for arguments >= 0) that vectorise; a term may use
    these, arithmetic and conditional expressions.  Its derivatives may only be infinite or NaN
    where logf is -inf.  Its compiled form is kept on disk if `make_term` is a module's function
    without defaults or a closure.
    """

    name: str
    make_term: Callable[[Any], Term]
    dispersion: bool = False
    aux: bool = False


def gaussian_term(ops: Any) -> Term:
    """Give the normal density, identity link; dispersion sigma, statistic the squared residual."""
    log = ops.log

    def term(
        y: float, _aux: float, const: float, eta: float, sigma: float
    ) -> tuple[float, float, float, float, float, float, float]:
        residual = y - eta
        z = residual / sigma
        square = z * z
        logf = const - HALF_LOG_2PI - log(sigma) - 0.5 * square
        d1 = z / sigma
        w = 1.0 / (sigma * sigma)
        return logf, d1, w, residual * residual, square - 1.0, 2.0 * square, 2.0 * d1

    return term


def poisson_term(ops: Any) -> Term:
    """Give the Poisson probability, log link; const = -lgamma(y + 1)."""
    exp = ops.exp

    def term(
        y: float, _aux: float, const: float, eta: float, _dispersion: float
    ) -> tuple[float, float, float]:
        # Beyond 700 the mean is a number without meaning but finite, and the probability is 0.
        mean = exp(eta if eta < 700.0 else 700.0)
        # -inf * 0 would be NaN: a count of zero has log probability -mean whatever eta is.
        count_part = 0.0 if y == 0.0 else y * eta
        logf = -math.inf if eta >= 700.0 else count_part - mean + const
        return logf, y - mean, mean

    return term


def binomial_term(ops: Any) -> Term:
    """Give the binomial probability, logit link; aux = trials.

    const = the log of the binomial coefficient.  Both log probabilities come from
    log1p(exp(-|eta|)), so neither tail cancels.
    """
    exp, log1p = ops.exp, ops.log1p

    def term(
        y: float, trials: float, const: float, eta: float, _dispersion: float
    ) -> tuple[float, float, float]:
        below = eta < 0.0
        size = -eta if below else eta
        odds = exp(-size)  # of the less likely outcome, <= 1
        likely = 1.0 / (1.0 + odds)
        unlikely = odds * likely
        failures = trials - y
        against = y if below else failures  # outcomes of the less likely kind
        logf = const - against * size - trials * log1p(odds)
        probability = unlikely if below else likely
        complement = likely if below else unlikely
        d1 = y * complement - failures * probability
        return logf, d1, trials * likely * unlikely

    return term


FAMILIES = {
    family.name: family
    for family in (
        KernelFamily("gaussian", gaussian_term, dispersion=True),
        KernelFamily("poisson", poisson_term),
        KernelFamily("binomial", binomial_term, aux=True),
    )
}
