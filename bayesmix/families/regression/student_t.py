"""Student's t family with a scale and estimated degrees of freedom."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from bayesmix.distributions import Prior
from bayesmix.families.base import Family
from bayesmix.families.kernel import Kernel, Term
from bayesmix.families.links import HALF_LOG_2PI

# Beyond these the density is its limit to the last digit.
RANGE = (1e-100, 1e100)
LARGEST = float(np.log(RANGE[1]))
SERIES_FROM = 200.0
SERIES = (3.5, -13.0, 39.5, -119.0, 363.5, -1101.0)


def kernel_term(ops: Any) -> Term:
    """Give the density of t.

    The expected information of log(nu) is an asymptotic series where its exact form cancels.

    References
    ----------
    Lange, Little and Taylor (1989), JASA 84, 881-896: the expected information.
    """
    exp, log1p, log1pmx = ops.exp, ops.log1p, ops.log1pmx
    pick, stirling = ops.pick, ops.stirling
    c0, c1, c2, c3, c4, c5 = SERIES

    def term(y: float, mu: float, log_sigma: float, log_nu: float) -> tuple[float, ...]:
        log_nu = pick(log_nu > -LARGEST, log_nu, -LARGEST)
        df = exp(pick(log_nu < LARGEST, log_nu, LARGEST))
        a = 0.5 * df
        b = a + 0.5
        below, below1, below2 = stirling(a)
        above, above1, above2 = stirling(b)
        inverse, share, u = 1.0 / df, a / b, 0.5 / a
        rest = log1pmx(u)
        tilted = a * (rest + 0.5 * u / b)
        gammas = a * rest + above - below
        gammas1 = tilted + above1 * share - below1
        gammas2 = gammas1 - a * (u * share) * (u * share) + above2 * share * share - below2
        # Expected information of log(nu): its series where the exact form cancels.
        gap = (below2 + a + 0.5) - share * share * (above2 + b + 0.5)
        exact = gap - df * (df + 5.0) / (2.0 * (df + 1.0) * (df + 3.0))
        series = c0 + inverse * (
            c1 + inverse * (c2 + inverse * (c3 + inverse * (c4 + inverse * c5)))
        )
        of_nu = pick(df < SERIES_FROM, exact, series * inverse * inverse)
        precision = exp(-log_sigma)
        z = (y - mu) * precision
        z2 = z * z
        s = z2 * inverse
        kept = 1.0 / (1.0 + s)
        taken = s * kept
        log_s = log1p(s)
        weight = (1.0 + inverse) * kept  # (nu + 1) / (nu + z^2)
        pull = weight * z * precision
        # s / (1 + s) - log(1 + s), each form where it does not cancel
        half_excess = a * pick(s < 0.3, -log1pmx(s) - s * taken, taken - log_s)
        tilt = (z2 - 1.0) * kept * kept * inverse  # d weight / d log(nu)
        shrink = 1.0 / (1.0 + 3.0 * inverse)
        return (
            gammas - log_sigma - HALF_LOG_2PI - (a + 0.5) * log_s,
            pull, weight * z2 - 1.0, gammas1 + half_excess + 0.5 * taken,
            (1.0 + inverse) * shrink * precision * precision, 2.0 * shrink, of_nu,
            weight * precision * precision * (1.0 - 2.0 * taken),
            2.0 * pull * kept, 2.0 * weight * z2 * kept,
            -tilt * z * precision, -tilt * z2,
            0.5 * taken * kept - gammas2 - half_excess - a * taken * taken,
        )  # fmt: skip

    return term


def start(y: np.ndarray) -> dict:
    """Median, and the median deviation over that of t with 5 degrees of freedom."""
    centre = float(np.median(y))
    spread = float(np.median(np.abs(y - centre))) / 0.7267 or float(np.std(y))
    return {"mu": centre, "sigma": spread if spread > 0 else 1.0, "nu": 5.0}


def mean(mu: np.ndarray, sigma: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """Mu where the mean exists, NaN elsewhere."""
    return np.where(np.asarray(nu) > 1, mu, np.nan)


def simulate(
    rng: np.random.Generator, mu: np.ndarray, sigma: np.ndarray, nu: np.ndarray
) -> np.ndarray:
    """Draw responses."""
    shape = np.broadcast_shapes(np.shape(mu), np.shape(sigma), np.shape(nu))
    # Beyond 1e15 degrees of freedom the normal limit, before chi-squares overflow.
    t = np.where(
        np.asarray(nu) < 1e15,
        rng.standard_t(np.clip(nu, 1e-300, 1e15), size=shape),
        rng.standard_normal(shape),
    )
    return mu + sigma * np.clip(t, -np.finfo(float).max, np.finfo(float).max)


def variance(mu: np.ndarray, sigma: np.ndarray, nu: np.ndarray) -> np.ndarray:
    """sigma^2 nu / (nu - 2) above two degrees of freedom, infinite below."""
    finite = nu > 2
    ratio = np.divide(nu, nu - 2, out=np.full(np.shape(nu), np.inf), where=finite)
    return np.where(finite, sigma**2 * ratio, np.inf)


def priors(y: np.ndarray) -> dict[str, Prior]:
    """Scale as for the gaussian; degrees of freedom around ten (3 to 30 and more)."""
    return {
        "sigma": Prior("lognormal", mu=float(np.log(0.5 * (np.std(y) or 1.0))), sigma=1.0),
        "nu": Prior("lognormal", mu=float(np.log(10.0)), sigma=1.0),
    }


def tails(
    y: np.ndarray, mu: np.ndarray, sigma: np.ndarray, nu: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y); normal ones for nu at infinity."""
    z = (y - mu) / sigma
    far = np.minimum(nu, 1e100)
    return special.stdtr(far, z), special.stdtr(far, -z)


FAMILY = Family(
    "student_t",
    discrete=False,
    params={"mu": "identity", "sigma": "log", "nu": "log"},
    location="mu",
    links=("identity", "log", "inverse"),
    start=start,
    mean=mean,
    variance=variance,
    tails=tails,
    simulate=simulate,
    priors=priors,
    collapse=("sigma", -1),
    units={"mu": "response", "sigma": 1, "nu": 0},
    kernel=Kernel("student_t", kernel_term, parameters=3),
    equation=(
        r"f(y) = \frac{\Gamma((\nu+1)/2)}{\Gamma(\nu/2) \sigma\sqrt{\nu\pi}} "
        r"\{1 + (y-\mu)^2 / (\nu\sigma^2)\}^{-(\nu+1)/2}"
    ),
    source="Lange, Little and Taylor (1989), JASA 84, 881-896",
    example={"mu": 0.7, "sigma": 1.3, "nu": 4.5},
)
