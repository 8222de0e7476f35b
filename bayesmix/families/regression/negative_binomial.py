"""Negative binomial family: counts with variance mu + mu^2 / alpha."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays.special import log1pmx, stirling
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Derivatives, Family, Observed
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import Linked
from bayesmix.families.regression.poisson import draw_counts, is_count

# Beyond these the density is its limit to the last digit.
RANGE = (1e-100, 1e100)
# Where (mu + y) / alpha is below this, tails are those of the Poisson distribution.
LIMIT = 1e-9
LARGEST = float(np.log(RANGE[1]))


def constant(y: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
    """-y - log(y!)."""
    return -y - special.gammaln(y + 1)


def density(obs: Observed, mu: Linked, alpha: Linked) -> Array:
    """Log probability, with log Gamma by Stirling's formula and its remainder S.

    (y + a) log((y + a) / (mu + a)) - log(1 + y / a) / 2 + S(y + a) - S(a) + y log(mu) - y - log(y!)

    For large a = alpha nothing cancels, and the limit is the Poisson probability.
    """
    a = xp.clip(alpha.value, *RANGE)
    n = obs.y + a
    t = (obs.y - mu.value) / (mu.value + a)
    near = xp.abs(t) < 0.5
    ratio = xp.where(
        near,
        xp.log1p(xp.where(near, t, 0.0)),
        xp.log(n) - xp.logaddexp(mu.log, xp.log(a)),
    )
    gammas = xp.stirling(n) - xp.stirling(a) - 0.5 * xp.log1p(obs.y / a)
    return n * ratio + gammas + xp.times(obs.y, mu.log) + obs.const


def _gammas(y: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, ...]:
    """log(n) and log(Gamma(n) / Gamma(a)) less its leading terms, n = y + a.

    The latter is S(n) - S(a) - log(1 + y / a) / 2, and comes with its first and
    second derivative in log(a).
    """
    n = y + a
    sa, sn = stirling(a), stirling(n)
    share, part = a / n, y / n
    first = sn.scaled1 * share - sa.scaled1
    second = sn.scaled2 * share * share - sa.scaled2
    value = sn.value - sa.value - 0.5 * np.log1p(y / a)
    return np.log(n), value, first + 0.5 * part, first + second - 0.5 * part * share


def _gammas_by_count(y: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same, once for each distinct count where alpha is one number for all rows."""
    if np.shape(a)[-1:] == (1,):
        counts, place = np.unique(y, return_inverse=True)
        if 2 * len(counts) < len(y):
            return tuple(x[..., place] for x in _gammas(counts, a))
    return _gammas(y, a)


def closed_form(obs: Observed, mu: Linked, alpha: Linked) -> Derivatives | None:
    """Derivatives in (log mu, log alpha) for the log link."""
    if mu.link.name != "log":
        return None
    y, a = obs.y, np.clip(alpha.value, *RANGE)
    rho, n = np.log(a), y + a
    log_n, gammas, gammas_first, gammas_second = _gammas_by_count(y, a)
    p, q = special.expit(mu.eta - rho), special.expit(rho - mu.eta)  # mu and a over mu + a
    mixed = np.where(mu.eta < rho, mu.value * q, a * p)  # mu a / (mu + a), by what is finite
    residual = y * q - mixed
    t = residual / a  # (y - mu) / (mu + a)
    near = np.abs(t) < 0.5
    small = np.where(near, t, 0.0)
    ratio = np.where(near, np.log1p(small), log_n - np.logaddexp(mu.eta, rho))
    excess = a * np.where(near, log1pmx(small), ratio - t)
    cross = residual * p
    bend = excess + residual * t * a / n + gammas_second
    return Derivatives(
        n * ratio + gammas + y * mu.eta + obs.const,
        (residual, excess + gammas_first),
        ((-q * (y * p + mixed), cross), (cross, bend)),
    )


def curvature(obs: Observed, mu: Linked, alpha: Linked) -> tuple[np.ndarray | None, ...]:
    """Expected information in eta, slope^2 / (mu + mu^2 / alpha); in log(alpha) the observed."""
    a = np.clip(alpha.value, *RANGE)
    odds = mu.log - np.log(a)
    return np.exp(2 * mu.log_slope - mu.log - np.logaddexp(0.0, odds)), None


def kernel_term(ops: Any) -> Term:
    """Give the probability at the logarithm of the mean; derivatives as in `closed_form`.

    With n = y + alpha, log Gamma(n) is that of n moved by ten steps less the log of their product
    where n is below ten; above, as in `density`.
    """
    exp, log, log1p, log1pmx = ops.exp, ops.log, ops.log1p, ops.log1pmx
    rising, stirling, stirling_series = ops.rising, ops.stirling, ops.stirling_series

    def term(y: float, const: float, eta: float, rho: float) -> tuple[float, ...]:
        rho = rho if rho > -LARGEST else -LARGEST
        rho = rho if rho < LARGEST else LARGEST
        a = exp(rho)
        of_a, first_a, second_a = stirling(a)
        mu = exp(eta if eta < 700.0 else 700.0)
        total = mu + a
        scale = 1.0 / total
        p, q = mu * scale, a * scale
        mixed = mu * q if mu < a else a * p
        residual = y * q - mixed
        t = (y - mu) * scale
        n = y + a
        moved, product, slope, bend = rising(n)
        inverse, inverse_n = 1.0 / moved, 1.0 / n
        value, first, second = stirling_series(inverse)
        small = product != 1.0
        log_moved, log_total = log(moved), log(total)
        near = abs(t) < 0.5
        ratio = log_total if small else (log1p(t) if near else log_moved - log_total)
        gamma = (moved - 0.5) * log_moved - 10.0 - log(product) - n * ratio
        logf = value + 0.5 * rho - of_a + (gamma if small else n * ratio - 0.5 * log_moved)
        # psi(n) - log(mu + alpha) - t, or log(n / (mu + alpha)) - t, less S'(n)
        psi = log_moved - slope - 0.5 * inverse - ratio - t
        psi = psi if small else (log1pmx(t) if near else ratio - t)
        d_rho = a * (psi + first * inverse) - first_a
        d_rho += 0.5 if small else 0.5 * y * inverse_n
        # a^2 S''(n), with 1 / n + 1 / (2 n^2) subtracted from the trigamma function
        trigamma = inverse * (1.0 + 0.5 * inverse) + bend - inverse_n * (1.0 + 0.5 * inverse_n)
        curved = a * a * (second * inverse * inverse + (trigamma if small else 0.0))
        share = a * inverse_n
        part = 0.5 * y * inverse_n
        h_rho = part * (1.0 + share) - d_rho - residual * t * share - curved + second_a
        # No gamma function is in the probability of zero: nothing cancels where it is nearly one.
        none = y == 0.0
        log_share = log1p(t) if near else rho - log_total
        d_none = a * (log1pmx(t) if near else log_share - t)
        logf, d_rho = (a * log_share if none else logf), (d_none if none else d_rho)
        h_rho = -d_none - residual * t if none else h_rho
        slow = h_rho if h_rho > 0.0 else d_rho * d_rho
        return (
            (-math.inf if eta >= 700.0 else logf + y * eta + const),
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
    density=density,
    closed_form=closed_form,
    curvature=curvature,
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
