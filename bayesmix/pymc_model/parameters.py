"""The free variables of a PyMC model, and the parameters that derive from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmix.arrays.symbolic import Symbol, plain
from bayesmix.families.effects import root
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.model.params import (
    parameter_link,
    plain_name,
    shown_dispersions,
    shown_variable,
    term_dim,
)
from bayesmix.model.random import pair_names, random_names
from bayesmix.priors import PriorModel
from bayesmix.priors.variables import Spline, Variable, free_variables, logit_turn

Tensor = Any

# Kinds of priors whose name is not PyMC's in small letters.
DISTRIBUTIONS = {"smooth": "Normal", "lognormal": "LogNormal", "multivariate_normal": "MvNormal"}


def add_parameters(spec: MixtureSpec, priors: PriorModel) -> dict[str, Tensor]:
    """Register the free variables in the model whose context it is, and what derives from them.

    A variable of `fit.params` that is not free itself, because some of it is shared between
    components, absent or held, is a deterministic one.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel

    Returns
    -------
    dict of str to TensorVariable
        By name; coefficients that a component lacks are zero.
    """
    natural = _Natural(spec)
    for variable in free_variables(spec, priors):
        natural.add(variable, _free(variable, natural))
    found: dict[str, Tensor] = {}
    for block in spec.layout.blocks:
        dim = plain_name(term_dim(spec.layout, block))
        for predictor in block.linear():
            if predictor.terms:
                name = plain_name(predictor.variable)
                pm.modelcontext(None).add_coord(dim, predictor.terms)
                found[name] = natural.named(name, predictor.index, "component", dim)
        for _, predictor in block.constants():
            name = plain_name(predictor.variable)
            found[name] = natural.named(name, predictor.index[:, 0], "component")
        if block.random:
            _add_random(spec, block, found)
        if block.thresholds is not None:
            _thresholds(block, found)
        _add_shown(block, found)
    if spec.layout.concomitant_terms is None:
        found["weight"] = _weight(spec, natural)
    else:
        found["alpha"] = _alpha(spec, priors, natural)
    return found


def _add_random(spec: MixtureSpec, block: BlockLayout, found: Mapping[str, Tensor]) -> None:
    """Standard deviations and correlations of random effects, derived from the root."""
    roots = [found[plain_name(block.predictors[number].variable)] for number in block.roots]
    relative = block.random_covariance == "proportional"
    u = root(roots, len(block.random), proportional=relative)
    rows = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in u] for x in u]
    sd = [pt.sqrt(rows[i][i]) for i in range(len(u))]
    names = {n: plain_name(v) for n, v in random_names(spec.layout, block).items()}
    pairs = tuple(pair_names(block))
    model = pm.modelcontext(None)
    model.add_coord(names["random_term"], block.random)
    dims = ("component", names["random_term"])
    pm.Deterministic(names["random_sd"], pt.stack(sd, axis=1), dims=dims)
    if pairs:
        model.add_coord(names["random_pair"], pairs)
        at = zip(*np.triu_indices(len(u), 1), strict=True)
        corr = [rows[i][j] / (sd[i] * sd[j]) for i, j in at]
        dims = ("component", names["random_pair"])
        pm.Deterministic(names["random_corr"], pt.stack(corr, axis=1), dims=dims)


def _thresholds(block: BlockLayout, found: Mapping[str, Tensor]) -> None:
    """Thresholds between ordered levels, which derive from an intercept and steps."""
    cuts = block.thresholds
    assert cuts is not None
    first = -found[plain_name(block.locations[0].variable)][:, cuts.column]
    steps = [found[plain_name(block.predictors[number].variable)] for number in cuts.steps]
    values = pt.cumsum(pt.stack([first, *steps], axis=1), axis=1)
    dim = plain_name(f"{cuts.variable}_between")
    pm.modelcontext(None).add_coord(dim, cuts.labels)
    pm.Deterministic(plain_name(cuts.variable), values, dims=("component", dim))


def _add_shown(block: BlockLayout, found: Mapping[str, Tensor]) -> None:
    """What tables have in place of some dispersions, such as correlations of columns."""
    each = (shown_dispersions(block, s) for s in range(len(block.families)))
    shown, numbers = next((pair for pair in each if pair is not None), (None, {}))
    if shown is None:
        return
    variables = {name: plain_name(block.predictors[j].variable) for name, j in numbers.items()}
    values = shown.read({name: Symbol(found[variable]) for name, variable in variables.items()})
    for name, read in shown.names.items():
        variable = plain_name(shown_variable(block, numbers[name], name, shown))
        pm.Deterministic(variable, plain(values[read]), dims="component")


def _free(variable: Variable, natural: _Natural) -> Tensor:
    """A random variable; its prior has no data in it, for PyMC draws again what data reach."""
    model, coords = pm.modelcontext(None), variable.coords
    model.add_coords(dict(zip(variable.dims, coords, strict=True)))
    # Lengths of dimensions may change; JAX has to know how long a variable is.
    size: dict[str, Any] = {"dims": variable.dims, "shape": tuple(map(len, coords))}
    if variable.kind == "zero_sum_normal":
        sigma = variable.parameters["sigma"]
        return pm.ZeroSumNormal(variable.name, sigma, n_zerosum_axes=1, **size)
    if variable.kind == "truncated_student_t":
        given = dict(variable.parameters)
        ends = {name: given.pop(name) for name in ("lower", "upper")}
        whole = pm.StudentT.dist(**given)
        return pm.Truncated(variable.name, whole, **ends, **size)
    if variable.given is not None:
        mean = variable.given.centre(natural.entries, pt.exp)
        return pm.MvNormal(variable.name, mu=mean, chol=variable.given.root, **size)
    name = DISTRIBUTIONS.get(variable.kind, variable.kind.title().replace("_", ""))
    parameters = dict(variable.parameters)
    if variable.kind == "dirichlet":
        parameters["a"] = parameters.pop("concentration")
    return getattr(pm, name)(variable.name, **parameters, **size)


class _Natural:
    """Nodes of independent parameters by their entries of theta, and of whole variables."""

    def __init__(self, spec: MixtureSpec) -> None:
        self.spec = spec
        self.free: dict[str, tuple[Tensor, np.ndarray]] = {}
        self.place = np.full(spec.layout.size + 2, -1)
        self.pieces: list[Tensor] = []
        self.length = 0
        links = {
            int(at): parameter_link(block, number)
            for block in spec.layout.blocks
            for number, predictor in block.constants()
            for at in predictor.index.ravel()
            if at >= 0
        }
        self.links = links
        held = {
            at: float(links[at].inverse(np.asarray(value))) if at in links else value
            for at, value in spec.held.items()
        }
        # Two entries more, for components that lack a coefficient, and those without a dispersion.
        lacking = (spec.layout.size, spec.layout.size + 1)
        self._piece(np.array([*held, *lacking]), pt.as_tensor([*held.values(), 0.0, np.nan]))

    def _piece(self, at: np.ndarray, values: Tensor) -> None:
        self.place[at.ravel()] = self.length + np.arange(at.size)
        self.pieces.append(values.ravel())
        self.length += at.size

    def add(self, variable: Variable, node: Tensor) -> None:
        self.free[variable.name] = node, variable.at
        if variable.spline is not None:
            self._piece(variable.at, self._curve(variable.spline, node))
        elif variable.kind not in ("dirichlet", "zero_sum_normal"):
            self._piece(variable.at, node)

    def _curve(self, spline: Spline, node: Tensor) -> Tensor:
        """Coefficients of a spline (m, P) from its independent elements."""
        tau = pt.exp(pt.stack(self.entries(spline.tau)))[:, None]
        parts = [node[:, : spline.rank] * tau, node[:, spline.rank :]]
        return pt.dot(pt.concatenate(parts, axis=1), spline.back.T)

    def entries(self, at: np.ndarray) -> list[Tensor]:
        """Entries of theta whose parameters are there already."""
        whole, out = pt.concatenate(self.pieces), []
        for j in at:
            node = whole[int(self.place[j])]
            link: Any = self.links.get(int(j))
            out.append(node if link is None else plain(link.forward(Symbol(node))))
        return out

    def named(self, name: str, index: np.ndarray, *dims: str) -> Tensor:
        """The parameters at an index in which -1 stands for none.

        The free variable itself where it has them all, else one that derives from several.
        """
        node, at = self.free.get(name, (None, None))
        if at is not None and np.array_equal(at, index):
            return node
        lacking = self.spec.layout.size + (len(dims) == 1)
        places = self.place[np.where(index >= 0, index, lacking)]
        return pm.Deterministic(name, pt.concatenate(self.pieces)[places], dims=dims)


def _weight(spec: MixtureSpec, natural: _Natural) -> Tensor:
    if "weight" in natural.free:
        return natural.free["weight"][0]
    held = np.full(spec.k, np.nan) if spec.weights.held is None else spec.weights.held
    rest = 1 - np.nansum(held)
    known = pt.as_tensor(np.where(np.isnan(held), rest, held))
    if "weight_free" in natural.free:
        share = natural.free["weight_free"][0]
        known = pt.set_subtensor(known[np.flatnonzero(np.isnan(held))], share * rest)
    return pm.Deterministic("weight", known, dims="component")


def _alpha(spec: MixtureSpec, priors: PriorModel, natural: _Natural) -> Tensor:
    pm.modelcontext(None).add_coord("concomitant_term", spec.layout.concomitant_terms)
    dims = ("component", "concomitant_term")
    if "alpha_centred" in natural.free:
        centred = natural.free["alpha_centred"][0]
        turn = logit_turn(spec, priors)
        if (turn != np.eye(len(turn))).any():  # of centred and scaled covariates
            centred = pt.dot(np.linalg.inv(turn), centred)
        return pm.Deterministic("alpha", centred.T - centred.T[0], dims=dims)
    return natural.named("alpha", spec.layout.alpha, *dims)


def theta_of(spec: MixtureSpec, parameters: Mapping[str, Tensor]) -> Tensor:
    """Theta (D,) from the nodes of its parameters, for what computes with theta."""
    places: dict[int, Tensor] = {}
    for block in spec.layout.blocks:
        for number, predictor in enumerate(block.predictors):
            if not predictor.terms:
                continue
            node = parameters[plain_name(predictor.variable)]
            if predictor.constant:
                forward: Any = parameter_link(block, number).forward
                node = plain(forward(Symbol(node)))[:, None]
            places |= {int(at): node[s, p] for (s, p), at in np.ndenumerate(predictor.index)}
    if spec.layout.concomitant_terms is None:
        logs = pt.log(parameters["weight"])
        alpha = (logs - logs[0])[:, None]
    else:
        alpha = parameters["alpha"]
    places |= {int(at): alpha[s, q] for (s, q), at in np.ndenumerate(spec.layout.alpha)}
    return pt.stack([places[at] for at in range(spec.layout.size)])
