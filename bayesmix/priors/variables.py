"""The free variables of a specification: their names, where they stand in theta, their priors.

One holds the varying effects of a response, one the fixed effects, one each nested block, and
one each dispersion; the weights have one of their own.  Parameters that are held belong to none.
The PyMC model makes its random variables from these, and the draws of a posterior are stored
by them, so that PyMC finds every variable of the model in them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from bayesmix.distributions import KINDS
from bayesmix.families.links import Link, get_link
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout, Predictor, Smooth
from bayesmix.model.params import parameter_link, plain_components, plain_name, term_dim
from bayesmix.model.smooth import smooth_sets
from bayesmix.priors.conditional import Conditional, conditional, depends_on
from bayesmix.priors.log_density import PriorModel

# Effects whose coefficients belong to single components, and what their variables are called.
APART = ("varying", "dispersion")
LABELS = {"dispersion": "ancillary"}
IDENTITY = get_link("identity")


@dataclass(frozen=True, eq=False)
class Spline:
    """Coefficients theta[at] = back @ x of splines, the first `rank` of x in units of each tau.

    Parameters
    ----------
    turn, back : ndarray, shape (P, P)
        To x, and from it.
    rank : int
    tau : ndarray of int, shape (m,)
        Entries of the logarithms, one for each set of coefficients.
    """

    turn: np.ndarray
    back: np.ndarray
    rank: int
    tau: np.ndarray

    def read(self, coefficients: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """The elements (..., m, P) from coefficients (..., m, P) and log tau (..., m)."""
        x = coefficients @ self.turn.T
        return np.concatenate(
            [x[..., : self.rank] * np.exp(-tau)[..., None], x[..., self.rank :]], axis=-1
        )


@dataclass(frozen=True)
class Variable:
    """A free variable: independent natural parameters, or the weights together.

    Parameters
    ----------
    name : str
    dims : tuple of str
    coords : tuple of tuple
        Labels along each of `dims`.
    at : ndarray of int
        The entry of theta of each element, where these are independent.
    link : Link
        From the natural scale to theta.
    kind : str
        Of its prior: one of `bmx.Prior`, "dirichlet", "zero_sum_normal", "multivariate_normal" or
        "conditional_normal", of coefficients whose priors are of standard coordinates.
    parameters : dict of str to ndarray
        Of its prior, in the shape of the variable where its elements are independent.
    values : callable, or None
        From theta (..., D) to values (..., *shape); None for those of the entries `at`.
    given : Conditional, or None
        Of the kind "conditional_normal": what the elements are given other entries of theta.
    spline : Spline, or None
        Of the kind "smooth": what the elements are of.
    """

    name: str
    dims: tuple[str, ...]
    coords: tuple[tuple[Hashable, ...], ...]
    at: np.ndarray
    link: Link = IDENTITY
    kind: str = ""
    parameters: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Callable[[np.ndarray], np.ndarray] | None = None
    given: Conditional | None = None
    spline: Spline | None = None

    def read(self, theta: np.ndarray) -> np.ndarray:
        """Values (..., *shape) from theta (..., D)."""
        if self.values is not None:
            return self.values(theta)
        return np.asarray(self.link.inverse(theta[..., self.at]), dtype=float)

    def log_prior(self, theta: np.ndarray) -> np.ndarray:
        """Log density of the variable itself at theta (..., D), by independent element."""
        if self.given is not None:
            return self.given.log_density(theta, self.at)
        values = self.read(theta)
        if self.kind in _LOG_PRIORS:
            return _LOG_PRIORS[self.kind](self, values)
        kind = "normal" if self.kind == "smooth" else self.kind
        return np.asarray(KINDS[kind].logpdf(values, **self.parameters))

    def parts(self) -> list[Variable]:
        """One variable for each label of the last dimension."""
        return [
            replace(
                self,
                name=plain_name(f"{self.name}_{label}"),
                dims=self.dims[:-1],
                coords=self.coords[:-1],
                at=self.at[..., j],
            )
            for j, label in enumerate(self.coords[-1])
        ]


def free_variables(spec: MixtureSpec, priors: PriorModel) -> list[Variable]:
    """Every free parameter once, in the variables of the PyMC model; each after its parents.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    """
    out: list[Variable] = []
    for block in spec.layout.blocks:
        for predictor in block.linear():
            for entries in _coefficients(spec, block, predictor):
                out += _of_one_kind(entries, priors)
        for number, predictor in block.constants():
            link = parameter_link(block, number)
            out += _of_one_kind(_dispersion(spec, predictor, link), priors)
    out += [_spline(spec, priors, smooth) for smooth in spec.smooths]
    return _in_order(out, priors) + _weights(spec, priors)


def _in_order(left: list[Variable], priors: PriorModel) -> list[Variable]:
    """Variables after those that their priors depend on."""
    out: list[Variable] = []
    while left:
        later = {int(at) for variable in left for at in variable.at.ravel()}
        ready = [v for v in left if not later & set(depends_on(priors, v.at.ravel()).tolist())]
        assert ready, "priors that depend on one another"
        out += ready
        left = [v for v in left if all(v is not one for one in ready)]
    return out


# --- coefficients and dispersions ----------------------------------------------------------


def _of_one_kind(entries: Variable, priors: PriorModel) -> list[Variable]:
    """The variable with its prior, or its parts where their priors are of several kinds."""
    at = entries.at
    if not at.size:
        return []
    given = [priors.single[int(j)][0] for j in at.ravel()]
    kinds = {prior.kind for prior in given}
    if len(kinds) > 1:
        return [v for part in entries.parts() for v in _of_one_kind(part, priors)]
    kind = kinds.pop()
    if any(int(j) in priors.standard for j in at.ravel()):
        return [replace(entries, kind="conditional_normal", given=conditional(priors, at))]
    parameters = {
        name: np.reshape([prior.parameters[name] for prior in given], at.shape)
        for name in KINDS[kind].parameters
    }
    return [replace(entries, kind=kind, parameters=parameters)]


def _spline(spec: MixtureSpec, priors: PriorModel, smooth: Smooth) -> Variable:
    """Coefficients of a spline as independent elements, of which the curve is made."""
    sets = list(smooth_sets(spec, smooth))
    at, tau = np.array([at for at, _, _ in sets]), np.array([tau for _, tau, _ in sets])
    own = Spline(smooth.turn, np.linalg.inv(smooth.turn), smooth.rank, tau)
    sigma = np.ones(at.shape)
    for j, column in np.ndindex(at.shape):
        if column >= smooth.rank:
            sigma[j, column] = priors.single[int(at[j, column])][0].parameters["sigma"]
    members = [spec.layout.coordinates[int(j)].components for j in tau]
    names = plain_components(spec.components)
    labels = tuple(", ".join(str(names[s]) for s in some) for some in members)
    name = plain_name(
        spec.layout.coordinates[int(tau[0])].variable.replace("tau", "smooth", 1)
        + f"[{smooth.term}]"
    )
    rank = smooth.rank
    parts = tuple(
        f"bent {j}" if j < rank else f"straight {j - rank}" for j in range(len(smooth.columns))
    )
    whole = len(sets) == spec.k
    return Variable(
        name,
        ("component" if whole else f"{name}_set", f"{name}_part"),
        (names if whole else labels, parts),
        at,
        kind="smooth",
        parameters={"mu": np.zeros(at.shape), "sigma": sigma},
        values=lambda theta: own.read(theta[..., at], theta[..., tau]),
        spline=own,
    )


def _coefficients(spec: MixtureSpec, block: BlockLayout, predictor: Predictor) -> list[Variable]:
    """By effect: fixed ones, each nested block, varying ones.

    Of a survival time the parameters beside the location are "ancillary".
    """
    sets: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    splines = {int(j) for s in spec.smooths for at, _, _ in smooth_sets(spec, s) for j in at}
    for at in dict.fromkeys(predictor.index[predictor.index >= 0].tolist()):
        if at in splines:
            continue
        coordinate = spec.layout.coordinates[at]
        who = () if coordinate.effect in APART else coordinate.components
        sets.setdefault((coordinate.effect, who), []).append(at)
    name, dim = predictor.variable, term_dim(spec.layout, block)
    index = predictor.index
    whole = (
        len(sets) == 1
        and not splines & set(index.ravel().tolist())
        and (index >= 0).all()
        and len(np.unique(index)) == index.size
    )
    if whole and spec.free[index].all():
        labels = (plain_components(spec.components), predictor.terms)
        return [Variable(plain_name(name), ("component", plain_name(dim)), labels, index)]
    # Of several parameters each may have terms of its own.
    dim = f"term_{name}" if block.survival or len(block.linear()) > 1 else dim
    out = []
    for (effect, who), entries in sorted(sets.items()):
        label = _label(effect, who, list(sets))
        own, of = plain_name(f"{name}_{label}"), plain_name(f"{dim}_{label}")
        if effect in APART:
            out.append(_varying(spec, predictor, entries, own, of))
        else:
            out.append(_listed(own, of, spec, entries, lambda at: spec.layout.coordinates[at].term))
    return out


def _label(effect: str, who: tuple[int, ...], sets: list[tuple[str, tuple[int, ...]]]) -> str:
    number = 1 + sum(1 for other in sets if other[0] == effect and other[1] < who)
    return f"nested_{number}" if effect == "nested" else LABELS.get(effect, effect)


def _listed(
    name: str,
    dim: str,
    spec: MixtureSpec,
    entries: list[int],
    label: Callable[[int], str],
    link: Link = IDENTITY,
) -> Variable:
    """A list of those entries that are not held."""
    free = [at for at in entries if at not in spec.held]
    return Variable(name, (dim,), (tuple(map(label, free)),), np.array(free, int), link)


def _varying(
    spec: MixtureSpec, predictor: Predictor, entries: list[int], name: str, dim: str
) -> Variable:
    """One coefficient a component and term, as a list where some are held or absent."""
    rows = [s for s, row in enumerate(predictor.index) if set(row.tolist()) & set(entries)]
    columns = [p for p in range(len(predictor.terms)) if set(predictor.index[:, p]) & set(entries)]
    at = predictor.index[np.ix_(rows, columns)]
    if spec.held.keys() & entries or sorted(at.ravel().tolist()) != sorted(entries):

        def label(at: int) -> str:
            coordinate = spec.layout.coordinates[at]
            return f"{spec.components[coordinate.components[0]]}:{coordinate.term}"

        return _listed(name, f"{name}_entry", spec, entries, label)
    names = plain_components(spec.components)
    dims = ("component" if len(rows) == spec.k else f"component_{name}", dim)
    coords = (tuple(names[s] for s in rows), tuple(predictor.terms[p] for p in columns))
    return Variable(name, dims, coords, at)


def _dispersion(spec: MixtureSpec, predictor: Predictor, link: Link) -> Variable:
    """One for each component, or for each set of components that share it."""
    name = plain_name(predictor.variable)
    index = predictor.index[:, 0]
    entries = list(dict.fromkeys(index[index >= 0].tolist()))
    if len(entries) == spec.k and not spec.held.keys() & entries:
        names = plain_components(spec.components)
        return Variable(name, ("component",), (names,), index, link)

    def label(at: int) -> str:
        return ", ".join(str(spec.components[s]) for s in spec.layout.coordinates[at].components)

    return _listed(f"{name}_set", f"{name}_set_of", spec, entries, label, link)


# --- weights -------------------------------------------------------------------------------


def _weights(spec: MixtureSpec, priors: PriorModel) -> list[Variable]:
    if spec.layout.concomitant_terms is not None:
        return _logits(spec, priors)
    held = spec.weights.held
    free = np.arange(spec.k) if held is None else np.flatnonzero(np.isnan(held))
    if len(free) < 2:
        return []
    whole = len(free) == spec.k
    labels = tuple(plain_components(spec.components)[s] for s in free)

    def read(theta: np.ndarray) -> np.ndarray:
        weight = np.exp(spec.weights.log_weights(theta, None)[..., 0])[..., free]
        return weight if whole else weight / weight.sum(-1, keepdims=True)

    assert priors.concentration is not None
    return [
        Variable(
            "weight" if whole else "weight_free",
            ("component" if whole else "component_free",),
            (labels,),
            spec.layout.alpha[free, 0],
            kind="dirichlet",
            parameters={"concentration": np.full(len(free), priors.concentration)},
            values=read,
        )
    ]


def _logits(spec: MixtureSpec, priors: PriorModel) -> list[Variable]:
    """All logits sum to zero over the components; beside held ones the others are a list."""
    terms = spec.layout.concomitant_terms or ()
    at = spec.layout.alpha[1:].T.ravel()
    free = np.array([j not in spec.held for j in at], bool)
    assert priors.spread is not None
    turn = logit_turn(spec, priors)
    if free.all():

        def read(theta: np.ndarray) -> np.ndarray:
            logits = spec.weights.logits(theta)
            return turn @ np.swapaxes(logits - logits.mean(-2, keepdims=True), -1, -2)

        return [
            Variable(
                "alpha_centred",
                ("concomitant_term", "component"),
                (terms, plain_components(spec.components)),
                spec.layout.alpha.T,
                kind="zero_sum_normal",
                parameters={"sigma": np.asarray(priors.spread, float)[:, None]},
                values=read,
            )
        ]
    if not free.any():
        return []
    names = [f"{spec.components[s]}:{term}" for term in terms for s in range(1, spec.k)]
    mean, covariance = _given_held(spec, priors.spread, turn, at, free)
    return [
        Variable(
            "alpha_free",
            ("alpha_entry",),
            (tuple(n for n, f in zip(names, free, strict=True) if f),),
            at[free],
            kind="multivariate_normal",
            parameters={"mu": mean, "cov": covariance},
        )
    ]


def logit_turn(spec: MixtureSpec, priors: PriorModel) -> np.ndarray:
    """What priors of logits are of those by concomitant term, (Q, Q).

    The default ones are of the logits of centred and scaled covariates.
    """
    at = spec.layout.alpha[-1]
    return np.eye(len(at)) if priors.map is None else priors.map.matrix[np.ix_(at, at)]


def _given_held(
    spec: MixtureSpec, spread: np.ndarray, turn: np.ndarray, at: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of free logits given the held ones.

    The contrasts of what the priors are of have the precision (I - 11'/k) / tau_q^2.
    """
    k = spec.k
    precision = np.kron((turn.T / np.square(spread)) @ turn, np.eye(k - 1) - 1 / k)
    values = np.array([spec.held[j] for j in at[~free]])
    covariance = np.linalg.inv(precision[np.ix_(free, free)])
    return -covariance @ precision[np.ix_(free, ~free)] @ values, covariance


# --- log densities -------------------------------------------------------------------------


def _dirichlet(variable: Variable, weight: np.ndarray) -> np.ndarray:
    a = variable.parameters["concentration"]
    constant = special.gammaln(a.sum()) - special.gammaln(a).sum()
    with np.errstate(divide="ignore"):
        return constant + ((a - 1) * np.log(weight)).sum(-1)


def _zero_sum_normal(variable: Variable, values: np.ndarray) -> np.ndarray:
    """Of the k - 1 directions in which a sum of zero leaves room."""
    sigma, k = variable.parameters["sigma"], values.shape[-1]
    z = values / sigma
    constant = -(k - 1) * (np.log(sigma[..., 0]) + 0.5 * np.log(2 * np.pi))
    return -0.5 * np.square(z).sum(-1) + constant


def _multivariate_normal(variable: Variable, values: np.ndarray) -> np.ndarray:
    from scipy.stats import multivariate_normal

    mean, covariance = (variable.parameters[name] for name in ("mu", "cov"))
    return np.asarray(multivariate_normal.logpdf(values, mean, covariance))


_LOG_PRIORS = {
    "dirichlet": _dirichlet,
    "zero_sum_normal": _zero_sum_normal,
    "multivariate_normal": _multivariate_normal,
}
