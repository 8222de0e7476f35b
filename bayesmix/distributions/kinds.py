"""The kinds of priors: their parameters, densities, quantiles and random draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from bayesmix import arrays as xp

LOG_2PI = float(np.log(2 * np.pi))
# Parameters that are the ends of a support.
ENDS = ("lower", "upper")


def _normal(x: Any, mu: float, sigma: float) -> Any:
    return -0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma) - 0.5 * LOG_2PI


def _student_t(x: Any, nu: float, mu: float, sigma: float) -> Any:
    constant = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)
    constant -= 0.5 * np.log(nu * np.pi) + np.log(sigma)
    return constant - (nu + 1) / 2 * xp.log1p(((x - mu) / sigma) ** 2 / nu)


# Of a double exponential prior the kink is round within this share of its scale, so that modes
# have derivatives; its density differs by less than as much.
KINK = 1e-4


def _laplace(x: Any, mu: float, b: float) -> Any:
    z = (x - mu) / b
    return KINK - xp.sqrt(z * z + KINK**2) - np.log(2.0 * b)


def _lognormal(x: Any, mu: float, sigma: float) -> Any:
    log = xp.log(x)
    return -0.5 * ((log - mu) / sigma) ** 2 - log - np.log(sigma) - 0.5 * LOG_2PI


def _inverse_gamma(x: Any, alpha: float, beta: float) -> Any:
    constant = alpha * np.log(beta) - special.gammaln(alpha)
    return constant - (alpha + 1) * xp.log(x) - beta / x


def _gamma(x: Any, alpha: float, beta: float) -> Any:
    constant = alpha * np.log(beta) - special.gammaln(alpha)
    return constant + (alpha - 1) * xp.log(x) - beta * x


def _beta(x: Any, alpha: float, beta: float) -> Any:
    return (alpha - 1) * xp.log(x) + (beta - 1) * xp.log1p(-x) - special.betaln(alpha, beta)


def _half_student_t(x: Any, nu: float, sigma: float) -> Any:
    return np.log(2.0) + _student_t(x, nu, 0.0, sigma)


def _half_normal(x: Any, sigma: float) -> Any:
    return np.log(2.0) + _normal(x, 0.0, sigma)


def _half_cauchy(x: Any, beta: float) -> Any:
    return _half_student_t(x, 1.0, beta)


def _exponential(x: Any, lam: float) -> Any:
    return np.log(lam) - lam * x


def _inside(logf: Any, x: Any, lower: Any, upper: Any) -> Any:
    """A log density where x is between the ends, and minus infinity elsewhere."""
    return xp.where((x >= lower) & (x <= upper), logf, -np.inf)


def _uniform(x: Any, lower: float, upper: float) -> Any:
    return _inside(0.0 * x - np.log(upper - lower), x, lower, upper)


def _truncated(logpdf: Any, cdf: Any, quantile: Any) -> tuple[Any, Any]:
    """Log density and quantiles of a distribution cut off at `lower` and `upper`."""

    def density(x: Any, lower: float, upper: float, **parameters: float) -> Any:
        mass = cdf(upper, **parameters) - cdf(lower, **parameters)
        return _inside(logpdf(x, **parameters) - np.log(mass), x, lower, upper)

    def quantiles(q: Any, lower: float, upper: float, **parameters: float) -> Any:
        low, high = (cdf(end, **parameters) for end in (lower, upper))
        return quantile(low + q * (high - low), **parameters)

    return density, quantiles


@dataclass(frozen=True)
class _Kind:
    """A distribution: its parameters, those that are positive, and where it lives."""

    parameters: tuple[str, ...]
    positive: tuple[str, ...]
    support: str  # "real", "positive", "unit", "interval", "simplex"
    logpdf: Any = None
    quantile: Any = None


_QUANTILES: dict[str, Any] = {
    "normal": lambda q, mu, sigma: mu + sigma * special.ndtri(q),
    "student_t": lambda q, nu, mu, sigma: mu + sigma * special.stdtrit(nu, q),
    "laplace": lambda q, mu, b: mu - b * np.sign(q - 0.5) * np.log1p(-2.0 * np.abs(q - 0.5)),
    "lognormal": lambda q, mu, sigma: np.exp(mu + sigma * special.ndtri(q)),
    "inverse_gamma": lambda q, alpha, beta: beta / special.gammainccinv(alpha, q),
    "gamma": lambda q, alpha, beta: special.gammaincinv(alpha, q) / beta,
    "beta": lambda q, alpha, beta: special.betaincinv(alpha, beta, q),
    "half_normal": lambda q, sigma: sigma * special.ndtri(0.5 + 0.5 * q),
    "half_student_t": lambda q, nu, sigma: sigma * special.stdtrit(nu, 0.5 + 0.5 * q),
    "half_cauchy": lambda q, beta: beta * np.tan(0.5 * np.pi * q),
    "exponential": lambda q, lam: -np.log1p(-q) / lam,
    "uniform": lambda q, lower, upper: lower + q * (upper - lower),
}
_PARTS: dict[str, tuple[Any, ...]] = {
    "normal": (("mu", "sigma"), ("sigma",), "real", _normal),
    "student_t": (("nu", "mu", "sigma"), ("nu", "sigma"), "real", _student_t),
    "laplace": (("mu", "b"), ("b",), "real", _laplace),
    "lognormal": (("mu", "sigma"), ("sigma",), "positive", _lognormal),
    "inverse_gamma": (("alpha", "beta"), ("alpha", "beta"), "positive", _inverse_gamma),
    "gamma": (("alpha", "beta"), ("alpha", "beta"), "positive", _gamma),
    "beta": (("alpha", "beta"), ("alpha", "beta"), "unit", _beta),
    "half_normal": (("sigma",), ("sigma",), "positive", _half_normal),
    "half_student_t": (("nu", "sigma"), ("nu", "sigma"), "positive", _half_student_t),
    "half_cauchy": (("beta",), ("beta",), "positive", _half_cauchy),
    "exponential": (("lam",), ("lam",), "positive", _exponential),
    "uniform": (("lower", "upper"), (), "interval", _uniform),
    "dirichlet": (("concentration",), ("concentration",), "simplex"),
    # Of the coefficients of a spline, given a standard deviation that is a parameter.
    "smooth": ((), (), "real"),
}
KINDS = {
    name: replace(_Kind(*parts), quantile=_QUANTILES.get(name)) for name, parts in _PARTS.items()
}
for _name, _cdf in {
    "normal": lambda x, mu, sigma: special.ndtr((x - mu) / sigma),
    "student_t": lambda x, nu, mu, sigma: special.stdtr(nu, (x - mu) / sigma),
}.items():
    _whole = KINDS[_name]
    KINDS[f"truncated_{_name}"] = _Kind(
        (*_whole.parameters, "lower", "upper"),
        _whole.positive,
        "interval",
        *_truncated(_whole.logpdf, _cdf, _whole.quantile),
    )

# Where priors live.
RANGES = {"real": (-np.inf, np.inf), "positive": (0.0, np.inf), "unit": (0.0, 1.0)}
# Random draws where NumPy has them; the other kinds by quantiles.
DRAWS: dict[str, Any] = {
    "normal": lambda rng, n, mu, sigma: rng.normal(mu, sigma, n),
    "student_t": lambda rng, n, nu, mu, sigma: mu + sigma * rng.standard_t(nu, n),
    "lognormal": lambda rng, n, mu, sigma: rng.lognormal(mu, sigma, n),
    "gamma": lambda rng, n, alpha, beta: rng.gamma(alpha, 1 / beta, n),
    "inverse_gamma": lambda rng, n, alpha, beta: beta / rng.gamma(alpha, 1.0, n),
    "beta": lambda rng, n, alpha, beta: rng.beta(alpha, beta, n),
}
