"""Negative binomial family: counts with variance mu + mu^2 / alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.regression.poisson import draw_counts, is_count

# Beyond these the density is its limit to the last digit.
RANGE = (1e-100, 1e100)
# Where (mu + y) / alpha is below this, tails are those of the Poisson distribution.
LIMIT = 1e-9
LARGEST = float(np.log(RANGE[1]))


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-y - log(y!)."""
    return -y - special.gammaln(y + 1)


def kernel_term(ops: Any) -> Term:
    """Give the probability at the logarithm of the mean.

    With n = y + alpha, log Gamma(n) is that of n moved by ten steps less the log of their product
    where n is below ten; above, by Stirling's formula and its remainder.
    """
    exp, log, log1p, log1pmx = ops.exp, ops.log, ops.log1p, ops.log1pmx
    pick, rising = ops.pick, ops.rising
    stirling, stirling_series = ops.stirling, ops.stirling_series

    def term(y: float, const: float, eta: float, rho: float) -> tuple[float, ...]:
        rho = pick(rho > -LARGEST, rho, -LARGEST)
        rho = pick(rho < LARGEST, rho, LARGEST)
        a = exp(rho)
        of_a, first_a, second_a = stirling(a)
        mu = exp(pick(eta < 700.0, eta, 700.0))
        total = mu + a
        scale = 1.0 / total
        p, q = mu * scale, a * scale
        mixed = pick(mu < a, mu * q, a * p)
        residual = y * q - mixed
        t = (y - mu) * scale
        n = y + a
        moved, product, slope, bend = rising(n)
        inverse, inverse_n = 1.0 / moved, 1.0 / n
        value, first, second = stirling_series(inverse)
        small = product != 1.0
        log_moved, log_total = log(moved), pick(eta < 700.0, log(total), eta)
        near = abs(t) < 0.5
        close = log1p(pick(near, t, 0.0))
        ratio = pick(small, log_total, pick(near, close, log_moved - log_total))
        gamma = (moved - 0.5) * log_moved - 10.0 - log(product) - n * ratio
        logf = value + 0.5 * rho - of_a + pick(small, gamma, n * ratio - 0.5 * log_moved)
        # psi(n) - log(mu + alpha) - t, or log(n / (mu + alpha)) - t, less S'(n)
        psi = log_moved - slope - 0.5 * inverse - ratio - t
        psi = pick(small, psi, pick(near, log1pmx(t), ratio - t))
        d_rho = a * (psi + first * inverse) - first_a
        d_rho = d_rho + pick(small, 0.5, 0.5 * y * inverse_n)
        # a^2 S''(n), with 1 / n + 1 / (2 n^2) subtracted from the trigamma function
        trigamma = inverse * (1.0 + 0.5 * inverse) + bend - inverse_n * (1.0 + 0.5 * inverse_n)
        curved = a * a * (second * inverse * inverse + pick(small, trigamma, 0.0))
        share = a * inverse_n
        part = 0.5 * y * inverse_n
        h_rho = part * (1.0 + share) - d_rho - residual * t * share - curved + second_a
        # No gamma function is in the probability of zero: nothing cancels where it is nearly one.
        none = y == 0.0
        log_share = pick(near, close, rho - log_total)
        d_none = a * pick(near, log1pmx(t), log_share - t)
        logf, d_rho = pick(none, a * log_share, logf), pick(none, d_none, d_rho)
        h_rho = pick(none, -d_none - residual * t, h_rho)
        slow = pick(h_rho > 0.0, h_rho, d_rho * d_rho)
        return (
            pick(eta < math.inf, logf + pick(none, 0.0, y * eta) + const, -math.inf),
            residual, d_rho,
            mixed, slow,
            q * (y * p + mixed), -residual * p, h_rho,
        )  # fmt: skip

    return term


def start(y: np.ndarray) -> dict:
    """Each response, moved towards positive values; alpha from the overdispersion of all."""
    mean, variance = float(np.mean(y)), float(np.var(y))
    alpha = mean**2 / (variance - mean) if variance > mean else 10.0
    return {"mu": y + 0.1, "alpha": float(np.clip(alpha, 0.1, 100.0))}


def simulate(rng: np.random.Generator, mu: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Draw responses: Poisson counts with gamma means; Poisson alone where alpha is infinite."""
    finite = np.where(np.isinf(alpha), 1.0, alpha)
    return draw_counts(rng, np.where(np.isinf(alpha), mu, rng.gamma(finite, mu / finite)))


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Overdispersion around five, from strong (below one) to nearly Poisson (above 50)."""
    return {"alpha": Prior("lognormal", mu=float(np.log(5.0)), sigma=1.5)}


def tails(y: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y): incomplete beta functions, or the Poisson limit of large alpha."""
    count = np.floor(y)
    none, count = count < 0, np.maximum(count, 0.0)
    a = np.clip(alpha, RANGE[0], 1 / LIMIT)
    poisson = alpha * LIMIT > mu + count
    lower = np.where(poisson, special.pdtr(count, mu), special.betainc(a, count + 1, a / (a + mu)))
    upper = np.where(
        poisson, special.pdtrc(count, mu), special.betainc(count + 1, a, mu / (a + mu))
    )
    return np.where(none, 0.0, lower), np.where(none, 1.0, upper)


FAMILY = Family(
    "negative_binomial",
    discrete=True,
    params={"mu": "log", "alpha": "log"},
    location="mu",
    links=("log", "identity", "inverse"),
    start=start,
    mean=lambda mu, alpha: mu,
    variance=lambda mu, alpha: mu + mu**2 / alpha,
    tails=tails,
    simulate=simulate,
    valid=is_count,
    support="counts 0, 1, 2, ...",
    bounds={"mu": (0.0, np.inf)},
    constant=constant,
    priors=priors,
    kernel=Kernel("negative_binomial", kernel_term, reads=("y", "const"), parameters=2, link="log"),
    equation=(
        r"f(y) = \frac{\Gamma(y+\alpha)}{\Gamma(\alpha) y!} "
        r"\frac{\alpha^\alpha \mu^y}{(\mu+\alpha)^{y+\alpha}}"
    ),
    source="Hilbe (2011), Negative Binomial Regression, chapter 8 (NB2)",
    example={"mu": 3.2, "alpha": 1.7},
)
