"""A specification and its priors as a PyMC model."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.model.params import dispersion_link, plain_components, plain_name, term_dim
from bayesmix.priors import PriorModel
from bayesmix.pymc_model.density import unit_log_likelihood
from bayesmix.pymc_model.observed import draw, event_dims, responses, unit_labels
from bayesmix.pymc_model.theta import Theta, forward
from bayesmix.pymc_model.variables import Variable, variables
from bayesmix.pymc_model.weights import add_weights

__all__ = ["to_pymc"]

Tensor = Any
DISTRIBUTIONS = {
    "normal": "Normal",
    "student_t": "StudentT",
    "lognormal": "LogNormal",
    "inverse_gamma": "InverseGamma",
    "gamma": "Gamma",
    "beta": "Beta",
}


LIKELIHOODS = ("graph", "kernel")


def to_pymc(spec: MixtureSpec, priors: PriorModel | None, likelihood: str = "graph") -> Any:
    """Make the PyMC model.

    The random variables are `coef_fixed`, `coef_nested_1`, ..., `coef_varying`,
    the dispersions, and `weight` or, with concomitants, `alpha_centred`, which
    sums to zero over the components.  The variables of `fit.params` are there
    too, as deterministic ones where they are not random themselves.  With
    several responses the names carry the response.

    The observed variable is called as the response, or `responses`.  Its log
    density has one value for every unit.  See `observed` for its shape.  The data
    are part of its density: a density at other responses is refused.  Predictive
    draws give every unit a component, then its rows their responses.

    Held parameters are constants.  The priors of the weights that are left are
    those given the held ones, so that the log density is that of
    `penalty.log_prior` less a constant; without held weights it is the same.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel or None
        From `penalty.resolve`; None stands for flat priors.
    likelihood : str
        "graph": of PyTensor's own operations, for every model and backend.  "kernel":
        an Op around the compiled kernel, for models that it knows.

    Returns
    -------
    pymc.Model

    Raises
    ------
    SpecError
        Under flat priors, if a family's density or link cannot be written with
        PyTensor, or if the kernel does not know the model.
    """
    import pymc as pm

    if priors is None:
        msg = (
            "priors='flat': a PyMC model needs proper priors; leave priors= out for the "
            "defaults, or give a dict of bmx.Prior"
        )
        raise SpecError(msg)
    graph = _likelihood(spec, likelihood)
    theta = Theta(spec)
    coords = {"component": plain_components(spec.components), "unit": unit_labels(spec)}
    with pm.Model(coords=coords) as model:
        for whole in variables(spec):
            kinds = {priors.single[int(at)][0].kind for at in whole.at.ravel()}
            for variable in [whole] if len(kinds) == 1 else whole.split():
                _register(variable, priors, theta)
        _hold(spec, theta)
        _parameters(spec, theta)
        add_weights(spec, priors, theta)
        _observe(spec, theta.vector(), graph)
    return model


def _likelihood(spec: MixtureSpec, likelihood: str) -> tuple[Tensor, Tensor]:
    if likelihood not in LIKELIHOODS:
        msg = f"likelihood={likelihood!r} is unknown; use one of {LIKELIHOODS}"
        raise SpecError(msg)
    if likelihood == "graph":
        return unit_log_likelihood(spec)
    from bayesmix.pymc_model.kernel import kernel_log_likelihood

    return kernel_log_likelihood(spec)


def _register(variable: Variable, priors: PriorModel, theta: Theta) -> None:
    import pymc as pm

    model = pm.modelcontext(None)
    given = [priors.single[int(at)][0] for at in variable.at.ravel()]
    kinds = {prior.kind for prior in given}
    if len(kinds) > 1:
        msg = (
            f"the parameters {variable.name!r} have priors of the kinds {sorted(kinds)}; in a "
            "PyMC model the components' priors of a parameter are of one kind"
        )
        raise SpecError(msg)
    # Constants: PyMC takes a variable that depends on shared ones for one to be drawn anew.
    parameters = {
        name: np.reshape([prior.parameters[name] for prior in given], variable.at.shape)
        for name in given[0].parameters
    }
    model.add_coords(dict(zip(variable.dims, variable.coords, strict=True)))
    distribution = getattr(pm, DISTRIBUTIONS[given[0].kind])
    natural = distribution(variable.name, **parameters, dims=variable.dims).ravel()
    theta.add(variable.at, natural, forward(variable.name, variable.link, natural))


def _hold(spec: MixtureSpec, theta: Theta) -> None:
    """Constants for what is held, the weights' logits included."""
    import pytensor.tensor as pt

    links = {
        int(at): dispersion_link(block, number)
        for block in spec.layout.blocks
        for number, predictor in block.constants()
        for at in predictor.index.ravel()
        if at >= 0
    }
    for at, value in spec.held.items():
        natural = links[at].inverse(np.asarray(value)) if at in links else value
        theta.add(np.array([at]), pt.as_tensor([float(natural)]), pt.as_tensor([float(value)]))


def _parameters(spec: MixtureSpec, theta: Theta) -> None:
    """Coefficients and dispersions as in `fit.params`, NaN where a component has none."""
    import pymc as pm
    import pytensor.tensor as pt

    model = pm.modelcontext(None)
    order = np.zeros(spec.layout.size, int)
    order[theta.at] = np.arange(len(theta.at))
    natural = pt.concatenate([*theta.natural, [np.nan]])

    def values(index: np.ndarray) -> Tensor:
        places = np.where(index >= 0, order[index], len(theta.at))
        return natural[places.ravel()].reshape(index.shape)

    for block in spec.layout.blocks:
        dim = plain_name(term_dim(spec.layout, block))
        for predictor in block.linear():
            if predictor.terms:
                model.add_coord(dim, predictor.terms)
                name = plain_name(predictor.variable)
                pm.Deterministic(name, values(predictor.index), dims=("component", dim))
        for _, predictor in block.constants():
            name = plain_name(predictor.variable)
            if name not in model.named_vars:
                pm.Deterministic(name, values(predictor.index[:, 0]), dims="component")


def _observe(spec: MixtureSpec, theta: Tensor, graph: tuple[Tensor, Tensor]) -> None:
    """The observed variable, its log density by unit."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.graph.basic import Constant
    from pytensor.graph.replace import clone_replace

    model = pm.modelcontext(None)
    placeholder, loglik = graph
    data = responses(spec)
    blocks = spec.layout.blocks

    def logp(value: Tensor, theta: Tensor, *_: Tensor) -> Tensor:
        same = isinstance(value, Constant) and np.array_equal(value.data, data, equal_nan=True)
        if not same:
            msg = (
                "the density of a bayesmix model is that of its own responses; for other data "
                "make another bmx.Mixture"
            )
            raise NotImplementedError(msg)
        # PyMC repeats the parameters for every unit, along an axis of length one.
        return clone_replace([loglik], {placeholder: theta[0]})[0]

    def random(theta: np.ndarray, *_: np.ndarray, rng: np.random.Generator, size: Any) -> Any:
        return draw(spec, theta, rng, size)

    name = plain_name(blocks[0].name) if len(blocks) == 1 else "responses"
    while name in model.named_vars or name in model.coords or name in event_dims(spec):
        name += "_"
    dims = event_dims(spec)
    model.add_coords(dims)
    axes = ",".join(f"({letter})" for letter in "mb"[: len(dims)])
    signature = "(d)" + (f",{axes}" if axes else "") + f"->({','.join('mb'[: len(dims)])})"
    pm.CustomDist(
        name,
        theta,
        *(np.arange(float(len(labels))) for labels in dims.values()),
        logp=logp,
        random=random,
        signature=signature,
        class_name="BayesMixture",
        observed=pt.as_tensor(data),
        dims=("unit", *dims),
    )
