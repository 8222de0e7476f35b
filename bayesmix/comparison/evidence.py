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

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special

from bayesmix._arguments.printing import Described
from bayesmix.arrays.sums import log_sum_exp
from bayesmix.errors import FitError
from bayesmix.likelihood import log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.params import permute
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.mode import LEAST_SHARE

MOST_ORDERS = 5040
MOST_DRAWS = 4000
FEWEST_DRAWS = 100
LARGEST_ERROR = 0.5
WORST_R_HAT = 1.05
ITERATIONS = 1000
TOLERANCE = 1e-10
Standardised = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, repr=False)
class Evidence(Described):
    """The log evidence of a model with its Monte Carlo error.  Made by `Posterior.evidence`.

    Parameters
    ----------
    log_evidence : float
        log p(y), all constants of the likelihood and the priors included.
    error : float
        Standard error of the log evidence.
    draws : int
        Number of posterior draws used.
    orders : int
        Number of orders of the components that were considered.
    """

    log_evidence: float
    error: float
    draws: int
    orders: int

    def _title(self) -> str:
        return f"Evidence: log p(y) = {self.log_evidence:.3f}, standard error {self.error:.3f}"


@dataclass(frozen=True)
class Target:
    """A log density whose integral is sought, and the orders of components that do not change it.

    Parameters
    ----------
    log_density : callable
        Of unconstrained coordinates (T, f), (T,).
    orders : tuple of callable
        Coordinates (T, f) with the components in another order; the first changes nothing.
    """

    log_density: Callable[[np.ndarray], np.ndarray]
    orders: tuple[Callable[[np.ndarray], np.ndarray], ...]


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
    """
    spec = drawn.spec
    orders = component_orders(spec)
    _refuse(drawn)
    problem, free = drawn.standard, np.flatnonzero(spec.free)
    standard = problem.standard
    chains = standard.to_standard(drawn.theta)
    base, constant = chains[0, 0], prior_constant(drawn) + standard.constant

    def to_theta(x: np.ndarray) -> np.ndarray:
        theta = np.tile(base, (len(x), 1))
        theta[:, free] = x
        return theta

    def log_density(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return log_likelihood(problem, to_theta(x)) + constant

    def ordered(order: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: permute(spec.layout, to_theta(x), order)[:, free]

    return bridge(Target(log_density, tuple(map(ordered, orders))), chains[..., free], rng)


def bridge(target: Target, chains: np.ndarray, rng: np.random.Generator) -> Evidence:
    """The log integral of a density from relabelled draws of it.

    Parameters
    ----------
    target : Target
    chains : ndarray, shape (chain, draw, f)
        Unconstrained coordinates.
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If there are too few draws, or the estimate's own error is too large.

    References
    ----------
    Meng and Wong (1996), Statistica Sinica 6, 831-860.  Meng and Schilling (2002), Journal of
    Computational and Graphical Statistics 11, 552-586.  Fruehwirth-Schnatter (2004),
    Econometrics Journal 7, 143-167: mixtures, and the error.  Gronau and others (2017),
    Journal of Mathematical Psychology 81, 80-97.
    """
    if chains.shape[0] * chains.shape[1] < FEWEST_DRAWS:
        raise FitError(f"no evidence: it needs at least {FEWEST_DRAWS} draws")
    step = max(1, -(-chains.shape[0] * chains.shape[1] // MOST_DRAWS))
    chains = chains[:, ::step]
    half = chains.shape[1] // 2
    chains = chains[:, : 2 * half]
    # Each half of the chains fits the normal density for the bridge from the other half.
    first, second = chains[:, :half], chains[:, half:]
    parts = [_bridge(target, first, second, rng), _bridge(target, second, first, rng)]
    values, errors = np.array(parts).T
    error = float(np.sqrt(np.square(errors).sum()) / 2)
    error = max(error, float(np.abs(values[0] - values[1]) / 2))
    value = float(values.mean())
    if not np.isfinite(value) or not error < LARGEST_ERROR:
        raise FitError(
            f"no evidence: bridge sampling's standard error is {error:.2g}, above {LARGEST_ERROR}. "
            "Draw more, or from a posterior that is closer to normal: fewer components, or "
            "narrower priors"
        )
    return Evidence(value, error, int(np.prod(chains.shape[:2])), len(target.orders))


def component_orders(spec: MixtureSpec) -> np.ndarray:
    """All orders of the components within the model's symmetry, (orders, S)."""
    sets = spec.layout.symmetric
    count = math.prod(math.factorial(len(members)) for members in sets)
    if count > MOST_ORDERS:
        raise FitError(
            f"no evidence: {spec.k} exchangeable components have {count} orders, and the sum over "
            f"more than {MOST_ORDERS} of them takes too long; use fewer components, or LOO"
        )
    out = []
    for chosen in itertools.product(*(itertools.permutations(members) for members in sets)):
        order = np.arange(spec.k)
        for members, places in zip(sets, chosen, strict=True):
            order[list(members)] = places
        out.append(order)
    return np.array(out)


def _refuse(drawn: Drawn) -> None:
    """Refuse draws that are not from the whole posterior."""
    if drawn.beside:
        raise FitError(
            f"no evidence: these draws came with {list(drawn.beside)}, which the specification's "
            "model lacks; give the PyMC model and its draws: evidence(model=model, idata=idata)"
        )
    if drawn.method == "stacking":
        msg = "no evidence: stacked draws are weighted by prediction, not by posterior mass"
        raise FitError(msg)
    if drawn.method == "laplace" and not drawn.khat < 0.7:
        raise FitError(
            f"no evidence: these draws by Laplace's method have Pareto k-hat {drawn.khat:.2f}, "
            "above 0.7; use method='nuts'"
        )
    missed = _missed(drawn)
    if missed > LEAST_SHARE:
        raise FitError(
            f"no evidence: these draws leave out modes with about {missed:.0%} of the posterior's "
            "mass; see Posterior.modes, and use method='nuts' with more chains"
        )
    refuse_disagreement(drawn.log_density)


def refuse_disagreement(log_density: np.ndarray) -> None:
    """Refuse chains that disagree about the log density (chain, draw)."""
    import arviz_stats

    r_hat = float(arviz_stats.rhat(log_density)) if len(log_density) > 1 else 1.0
    if r_hat > WORST_R_HAT:
        raise FitError(
            f"no evidence: the chains disagree (R-hat of the log density {r_hat:.2f}, above "
            f"{WORST_R_HAT}); see Posterior.diagnostics"
        )


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


def _bridge(
    target: Target, fitted: np.ndarray, used: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Log evidence and its error, from the draws `used` and the normal of those `fitted`."""
    mean, root = _normal(fitted.reshape(-1, fitted.shape[-1]))
    log_volume = float(np.log(np.diag(root)).sum())

    def standardised(x: np.ndarray) -> np.ndarray:
        return linalg.solve_triangular(root, (x - mean).T, lower=True).T

    def warped(z: np.ndarray) -> np.ndarray:
        both = [_folded(target, mean + sign * z @ root.T, standardised) for sign in (1.0, -1.0)]
        return log_sum_exp(np.array(both), 0) - math.log(2) + log_volume

    z = _folded_draws(target, used.reshape(-1, used.shape[-1]), standardised, rng)
    z *= rng.choice((-1.0, 1.0), (len(z), 1))
    y = rng.standard_normal(z.shape)
    of_draws, of_normal = warped(z) - _log_normal(z), warped(y) - _log_normal(y)
    return _meng_wong(of_draws.reshape(used.shape[:2]), of_normal)


def _folded(target: Target, x: np.ndarray, standardised: Standardised) -> np.ndarray:
    """Log q at (T, f): the density times the share of its own order among all."""
    own, *others = target.orders  # one at a time: there may be thousands
    share = total = _log_normal(standardised(own(x)))
    for order in others:
        total = np.logaddexp(total, _log_normal(standardised(order(x))))
    density = target.log_density(x)
    density = np.where(np.isnan(density), -np.inf, density)
    return density + math.log(len(target.orders)) + share - total


def _folded_draws(
    target: Target, x: np.ndarray, standardised: Standardised, rng: np.random.Generator
) -> np.ndarray:
    """Draws in random orders with probability proportional to g, standardised."""
    best, out = np.full(len(x), -np.inf), np.empty_like(x)
    for order in target.orders:
        z = standardised(order(x))
        score = _log_normal(z) + rng.gumbel(size=len(x))
        better = score > best
        best[better], out[better] = score[better], z[better]
    return out


def _normal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and lower Cholesky root of the covariance of draws (T, f)."""
    scale = values.std(0)
    if not (scale > 0).all():
        raise FitError("no evidence: a parameter is the same in all draws")
    correlation = np.atleast_2d(np.corrcoef(values, rowvar=False))
    correlation += 1e-10 * np.eye(len(scale))
    return values.mean(0), scale[:, None] * np.linalg.cholesky(correlation)


def _log_normal(x: np.ndarray) -> np.ndarray:
    return -0.5 * np.square(x).sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)


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
            top = log_sum_exp(of_normal - np.logaddexp(math.log(s1) + of_normal, math.log(s2) + r))
            bottom = log_sum_exp(-np.logaddexp(math.log(s1) + flat, math.log(s2) + r))
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
    return np.exp(terms - log_sum_exp(terms))
