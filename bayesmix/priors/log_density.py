"""The log prior density of theta with its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from bayesmix.arrays.autodiff import jets
from bayesmix.distributions import KINDS, KINK, Prior
from bayesmix.families.links import Link
from bayesmix.model import MixtureSpec
from bayesmix.model.coordinates import Map, Standard
from bayesmix.priors.ranges import REACHED, Ranged, has_range, log_opening


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


class SmoothPrior(NamedTuple):
    """Coefficients of a spline: ``turn @ theta[at]``, of which the first `rank` are N(0, tau^2).

    `at` (P,), `tau` the entry of log tau, `turn` (P, P); the other entries have priors of their
    own.
    """

    at: np.ndarray
    tau: int
    turn: np.ndarray
    rank: int

    @property
    def bent(self) -> np.ndarray:
        """The entries that have tau, (rank,)."""
        return self.at[: self.rank]

    @property
    def log_volume(self) -> float:
        """Of what the coefficients become."""
        return float(np.linalg.slogdet(self.turn)[1])


class Group(NamedTuple):
    """Entries `at` (m,) of theta with priors of one kind, their `parameters` each (m,).

    `ranged` says whether the priors are zero where theta is not at its end yet.
    """

    kind: str
    link: Link
    at: np.ndarray
    parameters: dict[str, np.ndarray]
    ranged: bool

    def where(self, chosen: np.ndarray) -> Group:
        """Those of its entries that are chosen, (D,)."""
        keep = chosen[self.at]
        if keep.all():
            return self
        parameters = {name: values[keep] for name, values in self.parameters.items()}
        return self._replace(at=self.at[keep], parameters=parameters)

    @property
    def is_normal(self) -> bool:
        """Whether the entries of theta themselves are normal."""
        return (self.kind, self.link.name) in (("normal", "identity"), ("lognormal", "log"))


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
    standard : frozenset of int
        Entries whose priors are of standard coordinates; the others' are of theta itself.
    map : Map, or None
        From theta to what the priors are of; None where they are of theta itself.
    smooths : tuple of SmoothPrior
        Priors with a standard deviation that is a parameter itself.
    lean : ndarray, shape (D,), or None
        Slopes added to the log density of natural parameters.  They move the dispersions to where
        these are likeliest with the coefficients integrated out, and are no part of the prior.
    opened : bool
        Whether the density with the Jacobian is that of coordinates without ends (`Ranged`): its
        mode is never at the end of a range.
    """

    single: Mapping[int, tuple[Prior, Link]]
    concentration: float | None
    spread: np.ndarray | None
    standard: frozenset[int] = frozenset()
    map: Map | None = None
    smooths: tuple[SmoothPrior, ...] = ()
    lean: np.ndarray | None = None
    opened: bool = False

    @property
    def without_ends(self) -> PriorModel:
        """The same whose density with the Jacobian is that of coordinates without ends."""
        return replace(self, opened=bool(self.ranges))

    @property
    def is_sparse(self) -> bool:
        """Whether the Dirichlet prior empties components: its density is unbounded at zero."""
        return self.concentration is not None and self.concentration < 1

    @property
    def is_normal(self) -> bool:
        """Whether all priors but that of the weights are independent normal ones of theta."""
        return not self.smooths and all(group.is_normal for group in self.groups)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Independent priors of the same kind and link together."""
        places: dict[tuple[str, str, bool], list[int]] = {}
        for at, (prior, link) in self.single.items():
            if prior.kind == "smooth":
                continue
            places.setdefault((prior.kind, link.name, has_range(prior, link)), []).append(at)
        out = []
        for (kind, _, ranged), entries in places.items():
            priors = [self.single[j][0] for j in entries]
            parameters = {
                name: np.array([p.parameters[name] for p in priors], dtype=float)
                for name in KINDS[kind].parameters
            }
            link = self.single[entries[0]][1]
            out.append(Group(kind, link, np.array(entries), parameters, ranged))
        return tuple(out)

    @cached_property
    def ranges(self) -> tuple[Ranged, ...]:
        """Those of priors that are zero outside a range; every M step reads them."""
        return tuple(
            Ranged.of(g.at, g.link, g.parameters["lower"], g.parameters["upper"])
            for g in self.groups
            if g.ranged
        )


def placed(model: PriorModel, standard: Standard) -> PriorModel:
    """Priors of standard coordinates as priors in the user's units.

    Those of a coordinate that differs from the user's by a unit alone become priors of the
    user's.  What is left in `standard` are mostly intercepts: their priors are of the level
    at the covariates' means.

    Parameters
    ----------
    model : PriorModel
        Its `standard` says which priors hold in standard coordinates.
    standard : Standard
    """
    back = standard.to_standard
    which = np.isin(np.arange(len(back.shift)), list(model.standard))
    factor, shift = np.diag(back.matrix), back.shift
    single = {
        at: (_moved(prior, link, factor[at], shift[at]), link) if which[at] else (prior, link)
        for at, (prior, link) in model.single.items()
    }
    spread = model.spread
    if spread is not None:
        at = np.array(sorted(set(range(len(which))) - set(single))).reshape(-1, len(spread))[0]
        spread = np.where(which[at], spread / factor[at], spread)
    apart = np.abs(back.matrix - np.diag(factor)).max(1, initial=0.0) > 0
    for bend in back.bends:
        apart |= bend.to != 0
    left = frozenset(np.flatnonzero(which & apart).tolist())
    return mapped(replace(model, single=single, spread=spread, standard=left), standard)


def mapped(model: PriorModel, standard: Standard) -> PriorModel:
    """The priors with the map from the user's theta to what they are of.

    It adds multiples of other entries to an entry, and leaves volumes as they are but for splines.
    """
    which = np.isin(np.arange(len(standard.to_user.shift)), list(model.standard))
    if not which.any() and not model.smooths:
        return model
    back, own = standard.to_standard, Map.identity(len(which))
    for smooth in model.smooths:
        own.matrix[np.ix_(smooth.at, smooth.at)] = smooth.turn
    factor = np.where(which, np.diag(back.matrix), 1.0)
    bends = tuple(b._replace(to=b.to / factor) for b in back.bends)
    level = Map(back.matrix / factor[:, None], np.zeros(len(which)), bends)
    return replace(model, map=level.rows(which, own))


def _moved(prior: Prior, link: Link, factor: float, shift: float) -> Prior:
    """The prior of x where `factor` link(x) + `shift` has this one."""
    p = prior.parameters
    if (factor, shift) == (1.0, 0.0):
        return prior
    if prior.kind == "lognormal" and link.name == "log" and factor == 1:
        return Prior("lognormal", mu=p["mu"] - shift, sigma=p["sigma"])
    assert prior.kind == "normal"
    assert link.name == "identity"
    return Prior("normal", mu=(p["mu"] - shift) / factor, sigma=p["sigma"] / factor)


def within(model: PriorModel, standard: Standard) -> PriorModel:
    """Priors of the user's theta as a function of theta in standard coordinates."""
    to_user = standard.to_user
    return replace(model, map=to_user if model.map is None else model.map.after(to_user))


def confined(model: PriorModel, theta: np.ndarray) -> np.ndarray:
    """Theta (R, D) with entries outside the range of their prior moved to its nearer end."""
    if not model.ranges:
        return theta
    phi = theta if model.map is None else model.map(theta)
    new = phi.copy()
    for own in model.ranges:
        x = own.link.inverse(phi[:, own.at])
        y = np.clip(x, *own.inside)
        new[:, own.at] = np.where(x == y, phi[:, own.at], own.link.forward(y))
    return new if model.map is None else np.where(new == phi, theta, model.map.solve(new))


def range_ends(model: PriorModel, theta: np.ndarray) -> dict[int, float]:
    """Entries of the user's theta (D,) near an end of their prior's range, and theta there."""
    out: dict[int, float] = {}
    for own in model.ranges:
        x = own.link.inverse(theta[own.at])
        for end in own.inside:
            near = np.abs(x - end) <= REACHED * own.width
            at_end = own.link.forward(np.where(near, end, x))
            out |= {int(own.at[j]): float(at_end[j]) for j in np.flatnonzero(near)}
    return out


def free_ranges(model: PriorModel, free: np.ndarray) -> tuple[Ranged, ...]:
    """Those of entries that are free, (D,)."""
    return tuple(own.where(free) for own in model.ranges if free[own.at].any())


def opened_volume(spec: MixtureSpec, model: PriorModel, theta: np.ndarray) -> np.ndarray:
    """Log volume (R,) of theta (R, D) by that of coordinates without ends, up to a constant."""
    volume = np.zeros(len(theta))
    if model.ranges:
        phi = theta if model.map is None else model.map(theta)
        for own in free_ranges(model, spec.free):
            volume += own.log_slope(phi[:, own.at]).sum(1)
    return volume


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
    place = model.map
    given, theta = theta, theta if place is None else place(theta)
    n, size = theta.shape
    # With the Jacobian it is the density of theta itself, whatever its coordinates.
    value = np.full(n, place.log_volume if place is not None and jacobian else 0.0)
    score = np.zeros((n, size))
    curvature = np.zeros((n, size, size))
    for part in log_prior_parts(spec, model, theta, jacobian=jacobian):
        value += part.value
        score[:, part.at] += part.score
        curvature[:, part.at[:, None], part.at] += part.curvature()
    # Only the diagonal can be negative: a prior that is not log-concave there.
    diagonal = np.maximum(np.einsum("rjj->rj", curvature), 0.0)
    for group in model.groups:
        if group.kind == "laplace":
            own = group.where(spec.free)
            diagonal[:, own.at] = _majorised(own, theta[:, own.at])
    scoring = curvature.copy()
    scoring[:, np.arange(size), np.arange(size)] = diagonal
    if place is not None:
        scoring = place.pull(given, np.zeros_like(score), scoring)[1]
        score, curvature = place.pull(given, score, curvature)
    return LogPrior(value, score, curvature, scoring)


def gradient(
    spec: MixtureSpec, model: PriorModel
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """A quick function of one theta (D,): log density of theta itself, and its gradient.

    What `log_prior` gives with the Jacobian, for samplers that call it very often.
    """
    place = model.map

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        phi = theta if place is None else place(theta)
        value, score = 0.0 if place is None else place.log_volume, np.zeros(len(theta))
        for part in log_prior_parts(spec, model, phi[None], jacobian=True):
            value += float(part.value[0])
            score[part.at] += part.score[0]
        return value, score if place is None else place.back(theta, score)

    return value_and_gradient


class Part(NamedTuple):
    """A term of a log prior, of the entries `at` (m,) of what the priors are of.

    `value` (R,), `score` (R, m), and what gives the curvature (R, m, m), the negative second
    derivative, which a gradient does not need.
    """

    at: np.ndarray
    value: np.ndarray
    score: np.ndarray
    curvature: Callable[[], np.ndarray]


def log_prior_parts(
    spec: MixtureSpec, model: PriorModel, phi: np.ndarray, *, jacobian: bool
) -> Iterator[Part]:
    """The terms of a log prior at what the priors are of, phi (R, D)."""
    for group in model.groups:
        own = group.where(spec.free)
        yield _independent(own, phi[:, own.at], jacobian, model.opened)
    for smooth in model.smooths:
        yield _smooth(smooth, phi, 0.0 if jacobian else smooth.log_volume)
    if model.lean is not None and not jacobian:
        every = np.arange(len(model.lean))
        yield Part(every, phi @ model.lean, model.lean, lambda: np.zeros((1, 1)))
    if model.concentration is not None:
        yield _dirichlet(spec, model.concentration, 0.0 if jacobian else 1.0, phi)
    if model.spread is not None:
        yield _zero_sum(spec.layout.alpha[1:], model.spread, phi)


def _independent(group: Group, u: np.ndarray, jacobian: bool, opened: bool) -> Part:
    """Independent priors at entries u (R, m) of theta."""
    parameters, at = group.parameters, group.at
    if group.is_normal:
        # A lognormal parameter has a normal logarithm; its own density is less by that.
        less = float(group.link.name == "log" and not jacobian)
        mu, sigma = parameters["mu"], parameters["sigma"]
        z = (u - mu) / sigma
        value = -np.log(sigma) - 0.5 * np.log(2 * np.pi) - 0.5 * z * z - less * u
        return Part(at, value.sum(-1), -z / sigma - less, lambda: np.diag(1 / sigma**2))
    (x,) = jets(u)
    natural = group.link.inverse(x)
    density = KINDS[group.kind].logpdf(natural, **parameters)
    if jacobian and opened and group.ranged:
        density = density + log_opening(natural, parameters["lower"], parameters["upper"])
    elif jacobian and group.link.name != "identity":
        density = density + group.link.log_slope(x)
    value, second = density.value.sum(-1), density.second[0, 0][..., None]
    return Part(at, value, density.first[0], lambda: -second * np.eye(len(at)))


def _smooth(smooth: SmoothPrior, phi: np.ndarray, volume: float) -> Part:
    """-r log tau - x'x / (2 tau^2) with its normalising constant."""
    at, r = np.append(smooth.bent, smooth.tau), smooth.rank
    x, tau = phi[:, smooth.bent], phi[:, smooth.tau]
    precision = np.exp(-2 * tau)[:, None]
    squares = np.square(x).sum(-1) * precision[:, 0]
    value = volume - r * (tau + 0.5 * np.log(2 * np.pi)) - 0.5 * squares

    def curvature() -> np.ndarray:
        out = np.zeros((len(phi), r + 1, r + 1))
        out[:, range(r), range(r)] = precision
        out[:, :r, r] = out[:, r, :r] = -2 * x * precision
        out[:, r, r] = 2 * squares
        return out

    return Part(at, value, np.column_stack([-x * precision, squares - r]), curvature)


def _majorised(group: Group, u: np.ndarray) -> np.ndarray:
    """Curvature of the parabola below a double exponential log density that touches it, (R, m).

    Steps by it never lower the density (Hunter and Li 2005, Annals of Statistics 33, 1617-1642).
    """
    mu, b = group.parameters["mu"], group.parameters["b"]
    z = (u - mu) / b
    return 1 / (b * b * np.sqrt(z * z + KINK**2))


def _dirichlet(spec: MixtureSpec, concentration: float, less: float, phi: np.ndarray) -> Part:
    """(a - less) sum_s log pi_s with its normalising constant.

    `less` is one for the density of the weights, zero for that of their logits,
    whose Jacobian is the product of the weights.
    """
    log_pi = spec.weights.log_weights(phi, None)[..., 0]
    k, extra = spec.k, concentration - less
    constant = special.gammaln(k * concentration) - k * special.gammaln(concentration)
    # Held weights are constants: the others share what is left of the probability.
    held = spec.weights.held
    shared = np.ones(k, bool) if held is None else np.isnan(held)
    share = np.exp(log_pi) * shared
    share = share / np.maximum(share.sum(-1, keepdims=True), 1e-300)
    moves = np.flatnonzero(shared[1:]) + 1
    at, share, n = spec.layout.alpha[moves, 0], share[:, moves], int(shared.sum())

    def curvature() -> np.ndarray:
        outer = share[:, :, None] * share[:, None]
        return extra * n * (share[:, :, None] * np.eye(len(at)) - outer)

    return Part(at, extra * log_pi.sum(-1) + constant, extra * (1 - n * share), curvature)


def _zero_sum(index: np.ndarray, spread: np.ndarray, phi: np.ndarray) -> Part:
    """Contrasts a (S - 1, Q) to the first component, `index` being their entries."""
    k = len(index) + 1
    a = phi[:, index] / spread
    pull = a - a.sum(1, keepdims=True) / k
    constant = (k - 1) * (np.log(spread) + 0.5 * np.log(2 * np.pi)).sum()
    value = -0.5 * (a * pull).sum((1, 2)) - constant
    score = -(pull / spread).reshape(len(phi), index.size)

    def precision() -> np.ndarray:
        return np.kron(np.eye(k - 1) - 1 / k, np.diag(1 / np.square(spread)))

    return Part(index.ravel(), value, score, precision)
