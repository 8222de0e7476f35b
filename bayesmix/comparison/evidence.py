r"""The evidence p(y) of a model, by warped bridge sampling that respects the labels.

The posterior of a mixture with exchangeable components has as many copies of each mode as
there are orders s of the components.  The target is folded to one of them without changing
its integral: with g a normal density fitted to relabelled draws,

    q(theta) = S! p(y, theta) g(theta) / sum_s g(s theta),

which integrates to p(y), since p(y, theta) is the same for every order.  A posterior draw in
a random order with probability proportional to g is a draw from q.  The bridge is Meng and
Wong's with the normal distribution, after warping q to be symmetric about its mean (Meng and
Schilling 2002): q(m + L x) and q(m - L x) are averaged.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special

from bayesmix.errors import FitError
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.params import permute
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.mode import LEAST_SHARE
from bayesmix.priors import Penalty

__all__ = ["Evidence", "bridge_evidence", "model_probabilities"]

MOST_ORDERS = 5040
MOST_DRAWS = 4000
FEWEST_DRAWS = 100
LARGEST_ERROR = 0.5
WORST_R_HAT = 1.05
ITERATIONS = 1000
TOLERANCE = 1e-10
# Log densities of the folded target at parameters (T, D).
LogTarget = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """The log evidence of a model with its Monte Carlo error.  Made by `Posterior.evidence`.

    Parameters
    ----------
    log_evidence : float
        log p(y), all constants of the likelihood and the priors included.
    error : float
        Standard error of the log evidence.
    draws : int
        Posterior draws that were used.
    orders : int
        Orders of the components over which the draws were folded.
    """

    log_evidence: float
    error: float
    draws: int
    orders: int

    def _repr_html_(self) -> str:
        return f"<div>{html.escape(repr(self))}</div>"

    def __repr__(self) -> str:
        return f"Evidence: log p(y) = {self.log_evidence:.3f}, standard error {self.error:.3f}"


def bridge_evidence(drawn: Drawn, rng: np.random.Generator) -> Evidence:
    """The evidence from posterior draws.

    Parameters
    ----------
    drawn : Drawn
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If the draws do not represent the posterior, there are too many orders of the
        components, or the estimate's own error is too large.

    References
    ----------
    Meng and Wong (1996), Statistica Sinica 6, 831-860.  Meng and Schilling (2002), Journal of
    Computational and Graphical Statistics 11, 552-586.  Fruehwirth-Schnatter (2004),
    Econometrics Journal 7, 143-167: mixtures, and the error.  Gronau and others (2017),
    Journal of Mathematical Psychology 81, 80-97.
    """
    spec = drawn.spec
    orders = _orders(spec)
    _refuse(drawn)
    problem = build_problem(spec, penalty=Penalty(drawn.priors, jacobian=True))
    free = np.flatnonzero(spec.free)
    chains = _thinned(drawn.theta)
    half = chains.shape[1] // 2
    constant = prior_constant(drawn)

    def log_density(theta: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            value = log_likelihood(problem, theta) + constant
        return np.where(np.isnan(value), -np.inf, value)

    # Each half of the chains fits the normal density for the bridge from the other half.
    parts = [
        _bridge(spec, free, orders, log_density, chains[:, fitted], chains[:, used], rng)
        for fitted, used in (
            (slice(half), slice(half, None)),
            (slice(half, None), slice(half)),
        )
    ]
    values, errors = np.array(parts).T
    error = float(np.sqrt(np.square(errors).sum()) / 2)
    error = max(error, float(np.abs(values[0] - values[1]) / 2))
    value = float(values.mean())
    if not np.isfinite(value) or not error < LARGEST_ERROR:
        msg = (
            f"no evidence: bridge sampling's standard error is {error:.2g}, above {LARGEST_ERROR}. "
            "Draw more, or from a posterior that is closer to normal: fewer components, or "
            "narrower priors"
        )
        raise FitError(msg)
    return Evidence(value, error, int(np.prod(chains.shape[:2])), len(orders))


def _orders(spec: MixtureSpec) -> np.ndarray:
    """All orders of the components within the model's symmetry, (orders, S)."""
    sets = spec.layout.symmetric
    count = math.prod(math.factorial(len(members)) for members in sets)
    if count > MOST_ORDERS:
        msg = (
            f"no evidence: {spec.k} exchangeable components have {count} orders, and the sum over "
            f"more than {MOST_ORDERS} of them takes too long; use fewer components, or LOO"
        )
        raise FitError(msg)
    out = []
    for chosen in itertools.product(*(itertools.permutations(members) for members in sets)):
        order = np.arange(spec.k)
        for members, places in zip(sets, chosen, strict=True):
            order[list(members)] = places
        out.append(order)
    return np.array(out)


def _refuse(drawn: Drawn) -> None:
    """Refuse draws that are not from the whole posterior."""
    if drawn.method == "stacking":
        msg = "no evidence: stacked draws are weighted by prediction, not by posterior mass"
        raise FitError(msg)
    if drawn.method == "laplace" and not drawn.khat < 0.7:
        msg = (
            f"no evidence: these draws by Laplace's method have Pareto k-hat {drawn.khat:.2f}, "
            "above 0.7; use method='nuts'"
        )
        raise FitError(msg)
    if drawn.theta.shape[0] * drawn.theta.shape[1] < FEWEST_DRAWS:
        msg = f"no evidence: it needs at least {FEWEST_DRAWS} draws"
        raise FitError(msg)
    missed = _missed(drawn)
    if missed > LEAST_SHARE:
        msg = (
            f"no evidence: these draws leave out modes with about {missed:.0%} of the posterior's "
            "mass; see Posterior.modes, and use method='nuts' with more chains"
        )
        raise FitError(msg)
    if len(drawn.theta) > 1:
        import arviz_stats

        r_hat = float(arviz_stats.rhat(drawn.log_density))
        if r_hat > WORST_R_HAT:
            msg = (
                f"no evidence: the chains disagree (R-hat of the log density {r_hat:.2f}, above "
                f"{WORST_R_HAT}); see Posterior.diagnostics"
            )
            raise FitError(msg)


def _missed(drawn: Drawn) -> float:
    """The share of the mass at modes that the draws leave out, by Laplace's estimate."""
    if drawn.priors.is_sparse:
        return 0.0
    if drawn.method == "laplace":
        return 1 - drawn.modes[0].share
    left = {*drawn.own_places, *drawn.visits.unvisited}
    return float(sum(drawn.modes[m].share for m in left))


def prior_constant(drawn: Drawn) -> float:
    """What the log prior density leaves out: of logits with concomitants, -log(S) / 2 a term.

    Their sum-zero normal prior is a density in S - 1 orthonormal coordinates; the contrasts
    with the first component are sqrt(S) times as large a volume.
    """
    spread = drawn.priors.spread
    return 0.0 if spread is None else -0.5 * len(spread) * math.log(drawn.spec.k)


def _thinned(theta: np.ndarray) -> np.ndarray:
    """At most so many draws in all, an even number of each chain."""
    step = max(1, -(-theta.shape[0] * theta.shape[1] // MOST_DRAWS))
    out = theta[:, ::step]
    return out[:, : out.shape[1] // 2 * 2]


def _bridge(
    spec: MixtureSpec,
    free: np.ndarray,
    orders: np.ndarray,
    log_density: LogTarget,
    fitted: np.ndarray,
    used: np.ndarray,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Log evidence and its error, from the draws `used` and the normal of those `fitted`."""
    flat = fitted.reshape(-1, fitted.shape[-1])
    base = flat[0]
    mean, root = _normal(flat[:, free])
    log_volume = float(np.log(np.diag(root)).sum())

    def to_theta(x: np.ndarray) -> np.ndarray:
        theta = np.tile(base, (len(x), 1))
        theta[:, free] = mean + x @ root.T
        return theta

    def log_shares(theta: np.ndarray) -> np.ndarray:
        """Log g of every order, (orders, T)."""
        out = np.empty((len(orders), len(theta)))
        for number, order in enumerate(orders):
            out[number] = _log_normal(
                linalg.solve_triangular(
                    root, (permute(spec.layout, theta, order)[:, free] - mean).T, lower=True
                ).T
            )
        return out

    def folded(theta: np.ndarray, density: np.ndarray) -> np.ndarray:
        shares = log_shares(theta)
        return density + math.log(len(orders)) + shares[0] - special.logsumexp(shares, axis=0)

    def warped(x: np.ndarray) -> np.ndarray:
        both = [folded(t := to_theta(sign * x), log_density(t)) for sign in (1.0, -1.0)]
        return special.logsumexp(both, axis=0) - math.log(2) + log_volume

    draws = used.reshape(-1, used.shape[-1])
    x = _folded_draws(spec, free, orders, log_shares, draws, mean, root, rng)
    x *= rng.choice((-1.0, 1.0), (len(x), 1))
    y = rng.standard_normal(x.shape)
    of_draws, of_normal = warped(x) - _log_normal(x), warped(y) - _log_normal(y)
    return _meng_wong(of_draws.reshape(used.shape[:2]), of_normal)


def _normal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and lower Cholesky root of the covariance of draws (T, f)."""
    scale = values.std(0)
    if not (scale > 0).all():
        msg = "no evidence: a parameter is the same in all draws"
        raise FitError(msg)
    correlation = np.atleast_2d(np.corrcoef(values, rowvar=False))
    correlation += 1e-10 * np.eye(len(scale))
    return values.mean(0), scale[:, None] * np.linalg.cholesky(correlation)


def _log_normal(x: np.ndarray) -> np.ndarray:
    return -0.5 * np.square(x).sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)


def _folded_draws(
    spec: MixtureSpec,
    free: np.ndarray,
    orders: np.ndarray,
    log_shares: Callable[[np.ndarray], np.ndarray],
    draws: np.ndarray,
    mean: np.ndarray,
    root: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Posterior draws in random orders with probability proportional to g, standardised."""
    shares = log_shares(draws)
    gumbel = rng.gumbel(size=shares.shape)
    chosen = orders[(shares + gumbel).argmax(0)]
    out = np.empty((len(draws), len(free)))
    for order in np.unique(chosen, axis=0):
        at = (chosen == order).all(1)
        out[at] = permute(spec.layout, draws[at], order)[:, free]
    return linalg.solve_triangular(root, (out - mean).T, lower=True).T


def _meng_wong(of_draws: np.ndarray, of_normal: np.ndarray) -> tuple[float, float]:
    """Log of the ratio of integrals, and its standard error.

    Parameters
    ----------
    of_draws : ndarray, shape (chain, draw)
        log(target / normal) at the draws.
    of_normal : ndarray, shape (T,)
        The same at draws from the normal distribution.
    """
    import arviz_stats

    n_draws, n_normal = of_draws.size, of_normal.size
    ess = float(arviz_stats.ess(of_draws, method="mean")) if of_draws.size > 3 else 1.0
    ess = min(max(ess, 1.0), n_draws)
    s1, s2 = ess / (ess + n_normal), n_normal / (ess + n_normal)
    flat = of_draws.ravel()
    r = float(np.median(flat))
    for _ in range(ITERATIONS):
        with np.errstate(over="ignore"):
            top = special.logsumexp(
                of_normal - np.logaddexp(math.log(s1) + of_normal, math.log(s2) + r)
            )
            bottom = special.logsumexp(-np.logaddexp(math.log(s1) + flat, math.log(s2) + r))
        new = float(top - math.log(n_normal) - bottom + math.log(n_draws))
        if not np.isfinite(new):
            return np.nan, np.nan
        if abs(new - r) < TOLERANCE * max(1.0, abs(r)):
            r = new
            break
        r = new
    else:
        return np.nan, np.nan
    # Fruehwirth-Schnatter (2004): relative errors of numerator and denominator.
    f1 = special.expit(of_normal - r + math.log(s1) - math.log(s2)) / s1
    f2 = special.expit(r - of_draws + math.log(s2) - math.log(s1)) / s2
    ess2 = min(max(float(arviz_stats.ess(f2, method="mean")), 1.0), n_draws)
    squared = f1.var() / f1.mean() ** 2 / n_normal + f2.var() / f2.mean() ** 2 / ess2
    return r, float(np.sqrt(squared))


def model_probabilities(log_evidence: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Posterior probabilities of models from their log evidences (m,) and prior ones (m,)."""
    with np.errstate(divide="ignore"):
        terms = log_evidence + np.log(prior)
    return np.exp(terms - special.logsumexp(terms))
