"""Beta family: shares between 0 and 1, by mean and precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import HALF_LOG_2PI

# Outside these a parameter's remainder is its limit to the last digit.
RANGE = (1e-200, 1e200)
# Below it the remainder S(a) is -log(a) / 2 and a constant.
TINY = 1e-100
LOG_TINY = float(np.log(TINY))
LOG_LARGEST = float(np.log(RANGE[1]))


def kernel_term(ops: Any) -> Term:
    """Give the density at the logit of the mean; derivatives by those of S, `arrays.stirling`.

    The score of eta is mu (1 - mu) phi (logit(y) - eta) + (1 - mu) (1/2 - a S'(a)) - mu (1/2 -
    b S'(b)); that of log(phi) has phi times the divergence.  The expected information of eta is
    (mu (1 - mu) phi)^2 (psi'(a) + psi'(b)), with a^2 psi'(a) = a + 1/2 + a^2 S''(a), and that of
    log(phi) is a^2 psi'(a) + b^2 psi'(b) - phi^2 psi'(phi).
    """
    exp, log, log1p, log1pmx = ops.exp, ops.log, ops.log1p, ops.log1pmx
    pick, stirling = ops.pick, ops.stirling

    def any_remainder(a: float, log_a: float) -> tuple[float, float, float]:
        value, first, second = stirling(pick(a > TINY, a, TINY))
        return value + pick(a > TINY, 0.0, 0.5 * (LOG_TINY - log_a)), first, second

    remainder = ops.scalar(any_remainder)

    def term(y: float, eta: float, log_phi: float) -> tuple[float, ...]:
        small = exp(-abs(eta))
        log_both, one, other = log1p(small), 1.0 / (1.0 + small), small / (1.0 + small)
        mu, rest = pick(eta > 0.0, one, other), pick(eta > 0.0, other, one)
        log_mu = pick(eta > 0.0, 0.0, eta) - log_both
        log_rest = pick(eta > 0.0, -eta, 0.0) - log_both
        bounded = pick(log_phi > -LOG_LARGEST, log_phi, -LOG_LARGEST)
        bounded = pick(bounded < LOG_LARGEST, bounded, LOG_LARGEST)
        phi = exp(bounded)
        a, b = mu * phi, rest * phi
        s_a, first_a, second_a = remainder(a, log_mu + log_phi)
        s_b, first_b, second_b = remainder(b, log_rest + log_phi)
        s_phi, first_phi, second_phi = remainder(phi, log_phi)
        log_y, log_1y = log(y), log1p(-y)
        up, down = (y - mu) / mu, (mu - y) / rest
        near = (abs(up) < 0.5) & (abs(down) < 0.5)
        close = mu * log1pmx(pick(near, up, 0.0)) + rest * log1pmx(pick(near, down, 0.0))
        far = mu * (log_y - log_mu) + rest * (log_1y - log_rest)
        divergence = phi * pick(near, close, far)
        roots = 0.5 * (log_mu + log_rest + log_phi) - s_a - s_b + s_phi
        half_a, half_b = 0.5 - first_a, 0.5 - first_b
        slope = phi * mu * rest * (log_y - log_1y - eta) + rest * half_a - mu * half_b
        d_phi = divergence + first_phi + half_a + half_b - 0.5
        bend_a, bend_b = 0.5 + second_a, 0.5 + second_b
        expected = rest * rest * (a + bend_a) + mu * mu * (b + bend_b)
        return (
            divergence + roots - HALF_LOG_2PI - log_y - log_1y,
            slope, d_phi,
            expected, bend_a + bend_b - second_phi - 0.5,
            expected - (rest - mu) * slope, rest * bend_a - mu * bend_b - slope,
            first_a + second_a + first_b + second_b - first_phi - second_phi - divergence,
        )  # fmt: skip

    return term


def start(y: np.ndarray) -> dict:
    """The mean of all, and the precision that gives their variance."""
    mean, variance = float(np.mean(y)), float(np.var(y))
    phi = mean * (1 - mean) / variance - 1 if variance > 0 else 10.0
    return {"mu": mean, "phi": float(np.clip(phi, 0.1, 1e4))}


def simulate(rng: np.random.Generator, mu: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Draw responses; one too near 0 or 1 for a number becomes the nearest inside."""
    tiny, phi = np.finfo(float).tiny, np.clip(phi, 1e-290, 1e300)
    a, b = np.maximum(mu * phi, tiny), np.maximum((1 - mu) * phi, tiny)  # of means at 0 or 1 too
    return np.clip(rng.beta(a, b), tiny, 1 - np.finfo(float).epsneg)


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Twice the precision of all responses together, up to a factor of four or so."""
    return {"phi": Prior("lognormal", mu=float(np.log(2 * start(y)["phi"])), sigma=1.5)}


def tails(y: np.ndarray, mu: np.ndarray, phi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y)."""
    a, b = mu * phi, (1 - mu) * phi
    return special.betainc(a, b, y), special.betaincc(a, b, y)


FAMILY = Family(
    "beta",
    params={"mu": "logit", "phi": "log"},
    location="mu",
    links=("logit", "probit", "cloglog"),
    start=start,
    mean=lambda mu, phi: mu,
    variance=lambda mu, phi: mu * (1 - mu) / (1 + phi),
    tails=tails,
    simulate=simulate,
    valid=lambda y: (y > 0) & (y < 1),
    support="numbers above 0 and below 1",
    priors=priors,
    collapse=("phi", 1),
    kernel=Kernel("beta", kernel_term, parameters=2, link="logit"),
    equation=(
        r"f(y) = \frac{\Gamma(\phi)}{\Gamma(\mu\phi)\Gamma((1-\mu)\phi)} "
        r"y^{\mu\phi-1} (1-y)^{(1-\mu)\phi-1}"
    ),
    source="Ferrari and Cribari-Neto (2004), Journal of Applied Statistics 31, 799-815",
    example={"mu": 0.3, "phi": 6.0},
)
