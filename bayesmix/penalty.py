r"""The log prior of a whole model on its vector theta, and the default priors.

Coefficients and dispersions are independent; constant weights have a symmetric
Dirichlet prior; the logits of concomitant models are normal with sum zero over
the components, so that no component is singled out as the baseline:

    log p(alpha) = -1/2 sum_q a_q' (I + 1 1')^-1 a_q / tau_q^2

for the contrasts a_q to the first component.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from bayesmix.arrays import jets
from bayesmix.errors import SpecError
from bayesmix.layout import BlockLayout
from bayesmix.links import Link, Linked, get_link
from bayesmix.params import dispersion_link
from bayesmix.priors import KINDS, Prior
from bayesmix.spec import BlockRows, MixtureSpec

__all__ = ["LogPrior", "Penalty", "PriorModel", "gradient", "log_prior", "resolve", "sample_prior"]

WIDE = 2.5
CONCENTRATION = 2.0


class LogPrior(NamedTuple):
    """A log prior with its derivatives.

    `value` (R,), `score` (R, D), `curvature` (R, D, D), the negative second
    derivative, and `scoring` (R, D, D), its positive semi-definite part.
    """

    value: np.ndarray
    score: np.ndarray
    curvature: np.ndarray
    scoring: np.ndarray


class Penalty(NamedTuple):
    """Priors that are added to a log-likelihood; with `jacobian` the density is theta's own."""

    model: PriorModel
    jacobian: bool


class _Group(NamedTuple):
    """Entries `at` (m,) of theta with priors of one kind, their `parameters` each (m,)."""

    kind: str
    link: Link
    at: np.ndarray
    parameters: dict[str, np.ndarray]


@dataclass(frozen=True)
class PriorModel:
    """The priors of a model by their places in theta.

    Parameters
    ----------
    single : dict of int to (Prior, Link)
        Independent priors of natural parameters, with the link to theta.
    concentration : float or None
        Of the symmetric Dirichlet prior of constant weights.
    spread : ndarray, shape (Q,), or None
        Standard deviations tau of the concomitant logits by term.
    """

    single: Mapping[int, tuple[Prior, Link]]
    concentration: float | None
    spread: np.ndarray | None

    @cached_property
    def groups(self) -> tuple[_Group, ...]:
        """Independent priors of the same kind and link together."""
        places: dict[tuple[str, str], list[int]] = {}
        for at, (prior, link) in self.single.items():
            places.setdefault((prior.kind, link.name), []).append(at)
        out = []
        for (kind, _), entries in places.items():
            priors = [self.single[j][0] for j in entries]
            parameters = {
                name: np.array([p.parameters[name] for p in priors], dtype=float)
                for name in KINDS[kind].parameters
            }
            out.append(_Group(kind, self.single[entries[0]][1], np.array(entries), parameters))
        return tuple(out)


def resolve(spec: MixtureSpec, given: Any) -> PriorModel | None:
    """The priors of a model: the defaults, with the user's in their place.

    Parameters
    ----------
    spec : MixtureSpec
    given : None, "flat" or dict
        None: the defaults.  "flat": no prior, returned as None.  A dict maps names
        of `fit.params` ("coef", "coef[term]", a dispersion, "weight", "alpha",
        "alpha[term]") to a `Prior`.

    Raises
    ------
    SpecError
        If a name is unknown, or a prior does not live where its parameter does.
    """
    if isinstance(given, str) and given == "flat":
        return None
    if given is not None and not isinstance(given, Mapping):
        msg = f"priors={given!r} must be None, 'flat' or a dict of names to bmx.Prior"
        raise SpecError(msg)
    model = _defaults(spec)
    single = dict(model.single)
    concentration, spread = model.concentration, model.spread
    for name, prior in (given or {}).items():
        if not isinstance(prior, Prior):
            msg = f"priors[{name!r}] is {prior!r}; use a bmx.Prior, such as Prior('normal', ...)"
            raise SpecError(msg)
        if spec.k == 1 and name.split("[")[0] in ("weight", "alpha"):
            continue  # one component has no weights; select() goes through it too
        if name == "weight" and concentration is not None:
            concentration = _concentration(prior)
        elif spread is not None and name.split("[")[0] == "alpha":
            spread = _spread(spec, spread, name, prior)
        else:
            _replace(spec, single, name, prior)
    return PriorModel(single, concentration, spread)


def _replace(
    spec: MixtureSpec, single: dict[int, tuple[Prior, Link]], name: str, prior: Prior
) -> None:
    """Put the user's prior in the places that a name stands for."""
    variable, bracket, term = name.partition("[")
    term = term.removesuffix("]")
    at = [
        j
        for j, c in enumerate(spec.layout.coordinates)
        if j in single and c.variable == variable and (not bracket or c.term == term)
    ]
    if not at:
        known = {c.variable for j, c in enumerate(spec.layout.coordinates) if j in single}
        known |= {
            f"{c.variable}[{c.term}]"
            for j, c in enumerate(spec.layout.coordinates)
            if j in single and c.effect != "dispersion"
        }
        known |= {"weight"} if spec.layout.concomitant_terms is None else {"alpha"}
        msg = f"priors has {name!r}, but this model's parameters are {sorted(known)}"
        raise SpecError(msg)
    for j in at:
        link = single[j][1]
        wanted = (
            "real"
            if not np.isfinite(link.lower)
            else ("unit" if np.isfinite(link.upper) else "positive")
        )
        if prior.support != wanted:
            msg = f"priors[{name!r}] is {prior!r}, but the parameter is {wanted}"
            raise SpecError(msg)
        single[j] = (prior, link)


def _concentration(prior: Prior) -> float:
    if prior.kind != "dirichlet":
        msg = f"priors['weight'] is {prior!r}; weights have a Prior('dirichlet', concentration=)"
        raise SpecError(msg)
    return float(prior.parameters["concentration"])


def _spread(spec: MixtureSpec, spread: np.ndarray, name: str, prior: Prior) -> np.ndarray:
    terms = list(spec.layout.concomitant_terms or ())
    term = name.removeprefix("alpha[").removesuffix("]") if name != "alpha" else ""
    if term and term not in terms:
        msg = f"priors has {name!r}, but the concomitant terms are {terms}"
        raise SpecError(msg)
    if prior.kind != "normal" or prior.parameters["mu"] != 0:
        msg = (
            f"priors[{name!r}] is {prior!r}; concomitant logits have a Prior('normal', mu=0, "
            "sigma=), the same for every component"
        )
        raise SpecError(msg)
    chosen = [t == term or not term for t in terms]
    return np.where(chosen, prior.parameters["sigma"], spread)


# --- defaults ------------------------------------------------------------------------------


def _defaults(spec: MixtureSpec) -> PriorModel:
    single: dict[int, tuple[Prior, Link]] = {}
    for block, rows in zip(spec.layout.blocks, spec.rows.blocks, strict=True):
        _default_coefficients(block, rows, single)
        _default_dispersions(block, rows, single)
    if spec.k == 1:
        return PriorModel(single, None, None)
    if spec.layout.concomitant_terms is None:
        return PriorModel(single, CONCENTRATION, None)
    assert spec.rows.concomitant is not None
    widths = _widths(spec.rows.concomitant, spec.layout.concomitant_terms)
    return PriorModel(single, None, WIDE * widths)


def _widths(matrix: np.ndarray, terms: tuple[str, ...]) -> np.ndarray:
    """One over each column's standard deviation; the intercept's as at the columns' means."""
    mean, sd = matrix.mean(0), matrix.std(0)
    widths = 1 / np.where(sd > 0, sd, np.maximum(np.abs(mean), 1e-300))
    if "Intercept" in terms:
        at = terms.index("Intercept")
        others = np.arange(len(terms)) != at
        widths[at] = np.sqrt(1 + np.sum(np.square(mean * widths)[others]))
    return widths


def _default_coefficients(
    block: BlockLayout, rows: BlockRows, single: dict[int, tuple[Prior, Link]]
) -> None:
    location = block.predictors[0]
    widths = _widths(rows.matrix, location.terms) if location.terms else np.empty(0)
    for s, family in enumerate(block.families):
        if family.location is None:
            continue
        link = family.parameters[0].link
        centre, unit = _response_scale(block, rows, s, link)
        for term, width, at in zip(location.terms, widths, location.index[s], strict=True):
            if at >= 0:
                mu = centre if term == "Intercept" else 0.0
                single[int(at)] = (
                    Prior("normal", mu=mu, sigma=float(WIDE * unit * width)),
                    get_link("identity"),
                )


def _response_scale(block: BlockLayout, rows: BlockRows, s: int, link: Link) -> tuple[float, float]:
    """Where linear predictors are: the link of the mean response, and their unit."""
    assert rows.response is not None
    y, trials = rows.response.y, rows.observed[block.families[s].name].trials
    mean = float(y.mean()) if trials is None else float((y.sum() + 0.5) / (trials.sum() + 1))
    if link.name == "identity":
        return mean, float(y.std()) or 1.0
    if block.families[s].mean is None:
        return 0.0, 1.0
    inside = min(max(mean, link.lower + 1e-6), link.upper - 1e-6)
    centre = float(link.forward(np.asarray(inside)))
    if rows.offset is not None:
        centre -= float(rows.offset.mean())
    # The inverse link's unit is that of one over the response.
    return centre, abs(centre) if link.name == "inverse" else 1.0


def _default_dispersions(
    block: BlockLayout, rows: BlockRows, single: dict[int, tuple[Prior, Link]]
) -> None:
    assert rows.response is not None
    for s, family in enumerate(block.families):
        known = {} if family.priors is None else family.priors(rows.response.y)
        for parameter, slot in zip(family.dispersions, block.slots[s][1:], strict=True):
            at = int(block.predictors[slot].index[s, 0])
            link = dispersion_link(block, slot)
            single[at] = (known.get(parameter.name, _general(link)), link)


def _general(link: Link) -> Prior:
    """For a user's family: wide on the scale of the parameter's link."""
    if np.isfinite(link.lower) and np.isfinite(link.upper):
        return Prior("beta", alpha=2.0, beta=2.0)
    if np.isfinite(link.lower):
        return Prior("lognormal", mu=0.0, sigma=2.0)
    return Prior("normal", mu=0.0, sigma=10.0)


# --- density -------------------------------------------------------------------------------


def log_prior(
    spec: MixtureSpec, model: PriorModel, theta: np.ndarray, *, jacobian: bool = False
) -> LogPrior:
    """Log prior density at theta (R, D), with its derivatives in theta.

    Parameters
    ----------
    spec : MixtureSpec
    model : PriorModel
    theta : ndarray, shape (R, D)
    jacobian : bool
        False: the density of the natural parameters, for modes.  True: that of
        theta itself, for sampling.  (The logits of concomitant models are linear in
        their sum-zero form, and are the same in both.)
    """
    n, size = theta.shape
    value = np.zeros(n)
    score = np.zeros((n, size))
    curvature = np.zeros((n, size, size))
    free = spec.free
    for group in model.groups:
        keep = free[group.at]
        at = group.at[keep]
        if not len(at):
            continue
        density, first, second = _group_density(group, keep, theta[:, at], jacobian)
        value += density.sum(-1)
        score[:, at] += first
        curvature[:, at, at] -= second
    if model.concentration is not None:
        extra = 0.0 if jacobian else 1.0
        _dirichlet(spec, model.concentration, extra, theta, value, score, curvature)
    if model.spread is not None:
        _zero_sum(spec, model.spread, theta, value, score, curvature)
    diagonal = np.einsum("rjj->rj", curvature)
    # Only the diagonal can be negative: a prior that is not log-concave there.
    scoring = curvature.copy()
    scoring[:, np.arange(size), np.arange(size)] = np.maximum(diagonal, 0.0)
    return LogPrior(value, score, curvature, scoring)


def _group_density(
    group: _Group, keep: np.ndarray, u: np.ndarray, jacobian: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log densities (R, m) with first and second derivatives in theta."""
    parameters = {name: values[keep] for name, values in group.parameters.items()}
    if (group.kind, group.link.name) in (("normal", "identity"), ("lognormal", "log")):
        # A lognormal parameter has a normal logarithm; its own density is less by that.
        less = float(group.link.name == "log" and not jacobian)
        mu, sigma = parameters["mu"], parameters["sigma"]
        z = (u - mu) / sigma
        constant = -np.log(sigma) - 0.5 * np.log(2 * np.pi)
        second = np.broadcast_to(-1 / sigma**2, u.shape)
        return constant - 0.5 * z * z - less * u, -z / sigma - less, second
    (x,) = jets(u)
    density = KINDS[group.kind].logpdf(group.link.inverse(x), **parameters)
    if jacobian and group.link.name != "identity":
        density = density + Linked(group.link, x).log_slope
    return density.value, density.first[0], density.second[0, 0]


def _dirichlet(
    spec: MixtureSpec,
    concentration: float,
    less: float,
    theta: np.ndarray,
    value: np.ndarray,
    score: np.ndarray,
    curvature: np.ndarray,
) -> None:
    """(a - less) sum_s log pi_s with its normalising constant.

    `less` is one for the density of the weights, zero for that of their logits,
    whose Jacobian is the product of the weights.
    """
    log_pi = spec.weights.log_weights(theta, None)[..., 0]
    k, extra = spec.k, concentration - less
    constant = special.gammaln(k * concentration) - k * special.gammaln(concentration)
    value += extra * log_pi.sum(-1) + constant
    # Held weights are constants: the others share what is left of the probability.
    held = spec.weights.held
    shared = np.ones(k, bool) if held is None else np.isnan(held)
    share = np.exp(log_pi) * shared
    share = share / np.maximum(share.sum(-1, keepdims=True), 1e-300)
    moves = np.flatnonzero(shared[1:]) + 1
    at, share, n = spec.layout.alpha[moves, 0], share[:, moves], int(shared.sum())
    score[:, at] += extra * (1 - n * share)
    outer = share[:, :, None] * share[:, None]
    curvature[:, at[:, None], at] += extra * n * (share[:, :, None] * np.eye(len(at)) - outer)


def _zero_sum(
    spec: MixtureSpec,
    spread: np.ndarray,
    theta: np.ndarray,
    value: np.ndarray,
    score: np.ndarray,
    curvature: np.ndarray,
) -> None:
    k = spec.k
    precision = np.eye(k - 1) - np.full((k - 1, k - 1), 1 / k)
    for q, tau in enumerate(spread):
        at = spec.layout.alpha[1:, q]
        contrasts = theta[:, at]
        pull = contrasts @ precision / tau**2
        value += -0.5 * (pull * contrasts).sum(-1) - (k - 1) * (
            np.log(tau) + 0.5 * np.log(2 * np.pi)
        )
        score[:, at] -= pull
        curvature[:, at[:, None], at] += precision / tau**2


def gradient(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """A quick function of one theta (D,): log density of theta itself, and its gradient.

    What `log_prior` gives with the Jacobian, for samplers that call it very often.
    """
    normal = [
        g
        for g in model.groups
        if (g.kind, g.link.name) in (("normal", "identity"), ("lognormal", "log"))
    ]
    if len(normal) < len(model.groups) or spec.weights.held is not None:
        return lambda theta: _general_gradient(spec, model, theta)
    at = np.concatenate([g.at for g in normal] or [np.empty(0, int)])
    order = np.argsort(at)
    mu, sigma = (
        np.concatenate([g.parameters[name] for g in normal] or [np.empty(0)])[order]
        for name in ("mu", "sigma")
    )
    keep = spec.free[at[order]]
    at, mu, precision = at[order][keep], mu[keep], 1 / sigma[keep]
    constant = float(np.log(precision).sum() - 0.5 * len(at) * np.log(2 * np.pi))
    weights = _weights_gradient(spec, model)

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        score = np.zeros(len(theta))
        z = (theta[at] - mu) * precision
        score[at] = -z * precision
        return constant - 0.5 * float(z @ z) + weights(theta, score), score

    return value_and_gradient


def _general_gradient(
    spec: MixtureSpec, model: PriorModel, theta: np.ndarray
) -> tuple[float, np.ndarray]:
    prior = log_prior(spec, model, theta[None], jacobian=True)
    return float(prior.value[0]), prior.score[0]


def _weights_gradient(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The weights' part: adds to a score (D,), returns the value."""
    k, index = spec.k, spec.layout.alpha[1:]
    if model.concentration is not None:
        a, at = model.concentration, index[:, 0]
        constant = float(special.gammaln(k * a) - k * special.gammaln(a))

        def dirichlet(theta: np.ndarray, score: np.ndarray) -> float:
            logits = np.append(0.0, theta[at])
            top = logits.max()
            total = top + np.log(np.exp(logits - top).sum())
            score[at] += a * (1 - k * np.exp(logits[1:] - total))
            return constant + a * float(logits.sum() - k * total)

        return dirichlet
    if model.spread is not None:
        inverse = 1 / model.spread
        start = -(k - 1) * float(
            np.log(model.spread).sum() + 0.5 * len(inverse) * np.log(2 * np.pi)
        )

        def zero_sum(theta: np.ndarray, score: np.ndarray) -> float:
            a = theta[index] * inverse  # (S - 1, Q)
            pull = a - a.sum(0) / k
            score[index] -= pull * inverse
            return start - 0.5 * float((a * pull).sum())

        return zero_sum
    return lambda _theta, _score: 0.0


def sample_prior(
    spec: MixtureSpec, model: PriorModel, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws of theta (draws, D) from the priors; held parameters at their values.

    Parameters
    ----------
    spec : MixtureSpec
    model : PriorModel
    draws : int
    rng : numpy.random.Generator
    """
    theta = np.zeros((draws, spec.layout.size))
    for at, (prior, link) in model.single.items():
        theta[:, at] = link.forward(prior.sample(draws, rng))
    index = spec.layout.alpha[1:]
    if model.concentration is not None:
        weight = rng.dirichlet(np.full(spec.k, model.concentration), draws)
        logs = np.log(np.maximum(weight, 1e-300))
        theta[:, index[:, 0]] = logs[:, 1:] - logs[:, :1]
    if model.spread is not None:
        z = rng.standard_normal((draws, spec.k, len(model.spread))) * model.spread
        theta[:, index] = z[:, 1:] - z[:, :1]
    for at, value in spec.held.items():
        theta[:, at] = value
    return theta
