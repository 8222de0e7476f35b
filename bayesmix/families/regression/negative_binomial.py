"""Negative binomial family: counts with variance mu + mu^2 / alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from bayesmix.arrays.special import SERIES_FROM
from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.regression.gamma import draw_ratio
from bayesmix.families.regression.poisson import draw_counts, is_count

# Beyond these the density is its limit to the last digit.
RANGE = (1e-100, 1e100)
# Where (mu + y) / alpha is below this, tails are those of the Poisson distribution.
LIMIT = 1e-9
LARGEST = float(np.log(RANGE[1]))


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-y - log(y!)."""
    return -y - special.gammaln(y + 1)


def _bounded(ops: Any) -> Any:
    """The logarithm of alpha within `RANGE`."""
    pick = ops.pick

    def bounded(rho: float) -> float:
        rho = pick(rho > -LARGEST, rho, -LARGEST)
        return pick(rho < LARGEST, rho, LARGEST)

    return ops.scalar(bounded)


def kernel_table(ops: Any) -> Term:
    """Give what the probability of a count y has of n = y + alpha and alpha, for `kernel_term`.

    log Gamma(n) is that of n moved by ten steps less the log of their product where n is below ten;
    above, by Stirling's formula and its remainder.
    """
    exp, log, pick, rising, bounded = ops.exp, ops.log, ops.pick, ops.rising, _bounded(ops)
    stirling, stirling_series = ops.stirling, ops.stirling_series

    def table(y: float, rho: float) -> tuple[float, ...]:
        rho = bounded(rho)
        a = exp(rho)
        of_a, first_a, second_a = stirling(a)
        n = y + a
        moved, product, slope, bend = rising(n)
        inverse, inverse_n = 1.0 / moved, 1.0 / n
        value, first, second = stirling_series(inverse)
        # No gamma function is in the probability of zero: nothing cancels where it is nearly one.
        none, small, log_n = y == 0.0, product != 1.0, log(moved)
        whole = pick(small, (moved - 0.5) * log_n - 10.0 - log(product), -0.5 * log_n)
        share, part = a * inverse_n, 0.5 * y * inverse_n
        psi = first * inverse + pick(small, log_n - slope - 0.5 * inverse, 0.0)
        # a^2 S''(n), with 1 / n + 1 / (2 n^2) subtracted from the trigamma function
        trigamma = inverse * (1.0 + 0.5 * inverse) + bend - inverse_n * (1.0 + 0.5 * inverse_n)
        curved = a * a * (second * inverse * inverse + pick(small, trigamma, 0.0))
        return (
            pick(none, rho, pick(small, 0.0, log_n)),
            pick(none, 0.0, value + 0.5 * rho - of_a + whole),
            pick(none, 0.0, a * psi - first_a + pick(small, 0.5, part)),
            pick(none, 0.0, part * (1.0 + share) - curved + second_a),
            share,
        )

    return table


def kernel_term(ops: Any) -> Term:
    """Give the probability at the logarithm of the mean."""
    exp, log, log1pmx, pick, bounded = ops.exp, ops.log, ops.log1pmx_near, ops.pick, _bounded(ops)

    def term(
        y: float, const: float, eta: float, rho: float,
        log_n: float, gamma: float, slope: float, bend: float, share: float,
    ) -> tuple[float, ...]:  # fmt: skip
        a = exp(bounded(rho))
        mu = exp(pick(eta < 700.0, eta, 700.0))
        total = mu + a
        scale = 1.0 / total
        p, q = mu * scale, a * scale
        mixed = pick(mu < a, mu * q, a * p)
        residual = y * q - mixed
        t, n, none = (y - mu) * scale, y + a, y == 0.0
        # log(n / (mu + alpha)), and this less t; of small n the table has all but mu + alpha.
        near = abs(t) < pick(pick(none, SERIES_FROM, n) >= SERIES_FROM, 0.5, 0.0)
        t_near = pick(near, t, 0.0)
        bent, far = log1pmx(t_near), log_n - pick(eta < 700.0, log(total), eta)
        logf = n * pick(near, t_near + bent, far) + gamma
        d_rho = a * pick(near, bent, far - t) + slope
        h_rho = bend - d_rho - residual * t * share
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
    return draw_counts(rng, mu * draw_ratio(rng, mu, alpha))


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Overdispersion around five, from strong (below one) to nearly Poisson (above 50)."""
    return {"alpha": Prior("lognormal", mu=float(np.log(5.0)), sigma=1.5)}


def tails(y: np.ndarray, mu: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y): incomplete beta functions, or the Poisson limit of large alpha."""
    count = np.floor(y)
    none, count = count < 0, np.maximum(count, 0.0)
    a = np.clip(alpha, RANGE[0], 1 / LIMIT)
    poisson, few = alpha * LIMIT > mu + count, mu < a
    share = np.minimum(mu, a) / (a + mu)  # the other one may be rounded to one
    lower = np.where(
        few, special.betaincc(count + 1, a, share), special.betainc(a, count + 1, share)
    )
    upper = np.where(
        few, special.betainc(count + 1, a, share), special.betaincc(a, count + 1, share)
    )
    lower = np.where(poisson, special.pdtr(count, mu), lower)
    upper = np.where(poisson, special.pdtrc(count, mu), upper)
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
    kernel=Kernel(
        "negative_binomial",
        kernel_term,
        reads=("y", "const"),
        parameters=2,
        link="log",
        make_table=kernel_table,
        looked=(2, 3, 5),
    ),
    equation=(
        r"f(y) = \frac{\Gamma(y+\alpha)}{\Gamma(\alpha) y!} "
        r"\frac{\alpha^\alpha \mu^y}{(\mu+\alpha)^{y+\alpha}}"
    ),
    source="Hilbe (2011), Negative Binomial Regression, chapter 8 (NB2)",
    example={"mu": 3.2, "alpha": 1.7},
)
