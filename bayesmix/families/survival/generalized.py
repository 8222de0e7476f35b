"""What the distributions share whose log time is a standard generalized F after a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays.generalized_f import log_ratio
from bayesmix.arrays.generalized_f import quantile as standard_quantile
from bayesmix.arrays.generalized_f.series import inverse_shapes
from bayesmix.families.links import Link, Linked, at_values, get_link
from bayesmix.families.survival.base import Instant, Survival, contributions
from bayesmix.families.survival.start import Guess, guess
from bayesmix.families.survival.transformed import law
from bayesmix.formula.times import Times

Array = Any
# A start is chosen by at most so many times.
_TIMES = 200
# Nearer to zero the generalized gamma distribution is a normal one for every purpose.
_SMALLEST = 1e-13
# Beyond it a shape of random numbers is taken for it.
_LARGEST = 1e100


class Standard(NamedTuple):
    """log T = mu + exp(log_sigma) w, of a standard w with the shapes Q and P = exp(p).

    `p` is None for P = 0, the generalized gamma distribution.
    """

    mu: Array
    log_sigma: Array
    Q: Array
    p: Array | None = None


def functions(
    params: Mapping[str, str],
    standard: Callable[..., Standard],
    back: Callable[..., dict[str, float]] = dict,
    tried: Sequence[Mapping[str, float]] = (),
) -> dict[str, Any]:
    """What a family of such times has in common with all others, by name.

    Parameters
    ----------
    params : mapping of str to str
        Link of each parameter, in the order of the arguments of `standard`; first the location.
    standard : callable
        ``standard(*linked)``: the place of the log time, and its shapes.
    back : callable, optional
        ``back(mu=, sigma=, **shapes)``: all parameters, of shapes on their natural scale; by
        default these are the parameters.
    tried : sequence of mapping
        Shapes of the starts of which the likeliest is taken; none for a family with its own start.
    """

    def line(at: Instant, *linked: Linked) -> tuple[tuple[Array, Array, Array | None], Array]:
        mu, log_sigma, Q, p = standard(*linked)
        return ((at.log - mu) * exponential(-log_sigma), Q, p), -log_sigma - at.log

    def natural(values: Mapping[str, Any]) -> tuple[Any, Any, Any, Any]:
        """Mu, sigma, Q and P of natural parameters."""
        with np.errstate(divide="ignore"):
            mu, log_sigma, Q, p = standard(*at_values(links, values))
        return mu, np.exp(log_sigma), Q, None if p is None else np.exp(p)

    def quantile(p: np.ndarray, **values: np.ndarray) -> np.ndarray:
        mu, sigma, Q, P = natural(values)
        return np.exp(mu + sigma * standard_quantile(p, Q, None if P is None else np.log(P)))

    def mean(**values: np.ndarray) -> np.ndarray:
        """exp(mu) E exp(sigma w); infinite where there is no mean."""
        mu, sigma, Q, P = natural(values)
        return np.exp(mu + log_moment(sigma, Q, P))

    def variance(**values: np.ndarray) -> np.ndarray:
        """mean^2 (E exp(2 sigma w) / (E exp(sigma w))^2 - 1)."""
        mu, sigma, Q, P = natural(values)
        one, two = (log_moment(k * sigma, Q, P) for k in (1, 2))
        with np.errstate(all="ignore"):
            known = np.exp(2 * (mu + one)) * np.expm1(two - 2 * one)
            return np.where(np.isfinite(two), known, np.inf)

    def simulate(rng: np.random.Generator, **values: np.ndarray) -> np.ndarray:
        """Draw times; one too small for a number becomes the smallest positive one."""
        shape = np.broadcast_shapes(*map(np.shape, values.values()))
        mu, sigma, Q, P = natural({k: np.broadcast_to(v, shape) for k, v in values.items()})
        return np.maximum(np.exp(mu + sigma * draw(rng, Q, P)), np.finfo(float).tiny)

    def start(times: Times) -> dict[str, float]:
        """The likeliest of a few shapes with the mean and spread of log time."""
        rough, found = guess(times), []
        for shapes in tried:
            _, _, Q, P = natural({**dict.fromkeys(params, 1.0), **shapes})
            mu, sigma = centred(rough, Q, P)
            found.append(back(mu=mu, sigma=sigma, **shapes))
        return likeliest(times, survival, links, found)

    links = [(name, get_link(link)) for name, link in params.items()]
    survival = law(line, "generalized F", quantile=quantile)
    return {
        "params": dict(params),
        "location": links[0][0],
        "survival": survival,
        "start": start,
        "mean": mean,
        "variance": variance,
        "simulate": simulate,
        "support": "positive times",
    }


def exponential(x: Array) -> Array:
    """exp(x) of a Linked parameter's logarithm, finite."""
    return xp.exp(xp.clip(x, -300.0, 300.0))


# --- moments and random numbers ------------------------------------------------------------


def log_moment(power: np.ndarray, Q: np.ndarray, P: np.ndarray | None) -> np.ndarray:
    """Logarithm of the expectation of exp(power w); infinite where there is none."""
    if P is None:
        Q = np.where(np.abs(Q) < _SMALLEST, _SMALLEST, Q)
        return log_ratio(np.asarray(Q, dtype=float) ** -2, power / Q)
    d = np.sqrt(Q * Q + 2 * P)
    s1, s2 = two_shapes(Q, P)
    return log_ratio(s1, power / d) + log_ratio(s2, -power / d)


def two_shapes(Q: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s1 and s2 of the generalized F distribution, without cancellation."""
    lower, upper = inverse_shapes(np.asarray(Q, dtype=float), np.asarray(P, dtype=float))
    return 1 / lower, 1 / upper


def log_gamma_draw(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """Logarithm of a gamma variable over its mean; never that of zero."""
    shape = np.asarray(shape, dtype=float)
    boosted = np.log(rng.standard_gamma(shape + 1)) + np.log1p(-rng.random(shape.shape)) / shape
    return boosted - np.log(shape)


def draw(rng: np.random.Generator, Q: np.ndarray, P: np.ndarray | None) -> np.ndarray:
    """Random w of the shapes' common shape."""
    P = np.zeros(()) if P is None else np.clip(P, 1 / _LARGEST, _LARGEST)
    Q, P = np.broadcast_arrays(np.clip(Q, -_LARGEST, _LARGEST), P)
    normal = Q * Q + 2 * P < 1e-14  # where log of the gamma variable has too few digits
    safe = np.where(normal, 1.0, Q)
    if (P == 0).all():
        other = log_gamma_draw(rng, safe**-2) / safe
    else:
        s1, s2 = two_shapes(safe, P)
        other = (log_gamma_draw(rng, s1) - log_gamma_draw(rng, s2)) / np.sqrt(safe * safe + 2 * P)
    return np.where(normal, rng.standard_normal(Q.shape), other)


# --- starts --------------------------------------------------------------------------------


def centred(rough: Guess, Q: Any, P: Any = None) -> tuple[float, float]:
    """The mu and sigma with which log time has the guessed mean and standard deviation."""
    if P is None:
        q = Q**-2
        mean = (special.psi(q) - np.log(q)) / Q
        variance = special.polygamma(1, q) / Q**2
    else:
        s1, s2 = (float(s) for s in two_shapes(Q, P))
        d = np.sqrt(Q * Q + 2 * P)
        mean = (special.psi(s1) - np.log(s1) - special.psi(s2) + np.log(s2)) / d
        variance = (special.polygamma(1, s1) + special.polygamma(1, s2)) / d**2
    sigma = rough.spread / float(np.sqrt(variance))
    return rough.centre - sigma * float(mean), sigma


def likeliest(
    times: Times,
    distribution: Survival,
    links: Sequence[tuple[str, Link]],
    candidates: Sequence[Mapping[str, float]],
) -> dict[str, float]:
    """The candidate, parameters by name, under which (at most 200 of) the times are likeliest."""
    some = times.take(np.linspace(0, len(times) - 1, min(len(times), _TIMES)).astype(int))

    def value(natural: Mapping[str, float]) -> float:
        linked = at_values(links, {name: [x] for name, x in natural.items()})
        with np.errstate(all="ignore"):
            total = float(np.sum(contributions(distribution, some, linked)))
        return total if np.isfinite(total) else -np.inf

    return dict(candidates[int(np.argmax([value(each) for each in candidates]))])
