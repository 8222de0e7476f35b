"""Links other than a family's own: its own linear predictor as a function of another link's.

A term is written for one link.  With another one, the linear predictor of the own link is some
``g(eta)``, and derivatives follow by the chain rule.  Outside the link's range g is NaN.
"""

from __future__ import annotations

import math
from typing import Any

from bayesmix.kernels.compile import scalar
from bayesmix.kernels.math import exp, log, log1mexp, mills_both

# The smallest mean: at zero itself logarithms are infinite.
LEAST = 1e-300


@scalar
def _log_of(mu: float) -> tuple[float, float, float]:
    inside = mu >= 0.0
    mu = mu if mu > LEAST else LEAST
    inverse = 1.0 / mu
    return (log(mu) if inside else math.nan), inverse, -inverse * inverse


@scalar
def _log_of_inverse(eta: float) -> tuple[float, float, float]:
    inverse = 1.0 / eta
    return (-log(eta) if eta > 0.0 else math.nan), -inverse, inverse * inverse


@scalar
def _exponential(eta: float) -> tuple[float, float, float]:
    mu = exp(eta)
    return mu, mu, mu


@scalar
def _inverse(eta: float) -> tuple[float, float, float]:
    mu = 1.0 / eta
    square = mu * mu
    return (mu if eta > 0.0 else math.nan), -square, 2.0 * square * mu


@scalar
def _logit_of_probit(eta: float) -> tuple[float, float, float]:
    value, below, above = mills_both(eta)
    return value, below + above, above * (above - eta) - below * (below + eta)


@scalar
def _logit_of_cloglog(eta: float) -> tuple[float, float, float]:
    # log(1 - exp(-t)) + t with t = exp(eta); its slope is t / (1 - exp(-t)).
    small = eta < -30.0
    t = exp(eta if eta < 700.0 else 700.0)
    value, odds = log1mexp(t)
    share = 1.0 + odds
    slope = 1.0 + 0.5 * t if small else t * share
    bend = 0.5 * t if small else t * share * (1.0 - t * odds)
    return (eta + 0.5 * t if small else value + t), slope, bend


@scalar
def _logit_of_log(eta: float) -> tuple[float, float, float]:
    size = -eta if eta < -LEAST else LEAST
    value, odds = log1mexp(size)
    return (-size - value if eta <= 0.0 else math.nan), 1.0 + odds, odds * (1.0 + odds)


@scalar
def _logit_of(mu: float) -> tuple[float, float, float]:
    inside = (mu >= 0.0) & (mu <= 1.0)
    rest = 1.0 - mu
    mu = mu if mu > LEAST else LEAST
    rest = rest if rest > LEAST else LEAST
    slope, bend = 1.0 / mu + 1.0 / rest, 1.0 / (rest * rest) - 1.0 / (mu * mu)
    return (log(mu) - log(rest) if inside else math.nan), slope, bend


# By the family's own link and the link in use.
CHAINS: dict[tuple[str, str], Any] = {
    ("log", "identity"): _log_of,
    ("log", "inverse"): _log_of_inverse,
    ("identity", "log"): _exponential,
    ("identity", "inverse"): _inverse,
    ("logit", "probit"): _logit_of_probit,
    ("logit", "cloglog"): _logit_of_cloglog,
    ("logit", "log"): _logit_of_log,
    ("logit", "identity"): _logit_of,
}
