"""A specification and its priors as a PyMC model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace

from bayesmix._arguments import check_known
from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.model.data import NamedData, named_data
from bayesmix.priors import PriorModel
from bayesmix.pymc_model.likelihood import unit_log_likelihood
from bayesmix.pymc_model.parameters import add_parameters, theta_of
from bayesmix.pymc_model.predictors import Predictors, Read, add_predictors, log_weights
from bayesmix.pymc_model.random import draw

Tensor = Any

LIKELIHOODS = ("graph", "kernel")


def to_pymc(spec: MixtureSpec, priors: PriorModel | None, likelihood: str = "graph") -> pm.Model:
    """Make the PyMC model.

    Read from top to bottom: data, priors, linear predictors and means, weights, and one
    observed variable in which the components are summed out.

    Held parameters are constants.  The priors of the weights that are left are
    those given the held ones, so that the log density is that of
    `priors.log_prior` less a constant; without held weights it is the same.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel or None
        From `priors.resolve`; None stands for flat priors.
    likelihood : str
        "graph": of PyTensor's own operations, for every model and backend.  "kernel":
        an Op around the compiled kernel, for models that it knows and the data of the
        specification.

    Returns
    -------
    pymc.Model

    Raises
    ------
    SpecError
        Under flat priors, if a family's density or link cannot be written with
        PyTensor, or if the kernel does not know the model.
    """
    if priors is None:
        raise SpecError(
            "priors='flat': a PyMC model needs proper priors; leave priors= out for the "
            "defaults, or give a dict of bmx.Prior"
        )
    check_known(f"likelihood={likelihood!r}", likelihood, LIKELIHOODS, SpecError)
    named = named_data(spec)
    kernel = _kernel(spec) if likelihood == "kernel" else None
    with pm.Model(coords=named.coords) as model:
        data = _data(named, fixed=kernel is not None)
        parameters = add_parameters(spec, priors)
        read = [Read(spec, block, data) for block in spec.layout.blocks]
        predictors = [add_predictors(each, parameters) for each in read]
        inputs = Inputs(log_weights(parameters, data), predictors, data)
        if kernel is None:
            _observe(spec, named, data, inputs, _by_graph(spec, inputs))
        else:
            inputs.named["theta"] = theta_of(spec, parameters)
            _observe(spec, named, data, inputs, _by_kernel(named, inputs, *kernel))
    return model


def _data(named: NamedData, *, fixed: bool) -> dict[str, Tensor]:
    if fixed:
        return {name: pt.as_tensor(values) for name, values in named.values.items()}
    made = {}
    for name, values in named.values.items():
        # Missing responses are NaN, which PyMC takes as new values only.
        made[name] = pm.Data(name, np.nan_to_num(values), dims=named.dims[name])
        made[name].set_value(values)
    return made


class Inputs:
    """Variables under names, as the one list that a distribution of PyMC takes.

    The designs are not among them: they are in the linear predictors already.
    """

    def __init__(
        self, log_pi: Tensor, predictors: list[Predictors], data: Mapping[str, Tensor]
    ) -> None:
        self.named: dict[Any, Tensor] = {"log_pi": log_pi}
        for b, p in enumerate(predictors):
            self.named |= {("eta", b, slot): node for slot, node in p.eta.items()}
            self.named |= {("constant", b, slot): node for slot, node in p.constant.items()}
            self.named |= {} if p.mean is None else {("mean", b): p.mean}
        used = {n: v for n, v in data.items() if n[0] not in "XZ" and not n.endswith("_data")}
        self.named |= {("data", name): node for name, node in used.items()}
        self.count = len(predictors)

    def unpack(self, given: Sequence[Any]) -> tuple[Any, list[Predictors], dict[str, Any]]:
        """The weights, predictors and data from a list of variables or arrays."""
        found = dict(zip(self.named, given, strict=True))
        predictors = [
            Predictors(
                {key[2]: v for key, v in found.items() if key[:2] == ("eta", b)},
                {key[2]: v for key, v in found.items() if key[:2] == ("constant", b)},
                found.get(("mean", b)),
            )
            for b in range(self.count)
        ]
        data = {key[1]: v for key, v in found.items() if key[0] == "data"}
        return found["log_pi"], predictors, data


def _observe(
    spec: MixtureSpec,
    named: NamedData,
    data: Mapping[str, Tensor],
    inputs: Inputs,
    logp: Callable[..., Tensor],
) -> None:
    """The observed variable: its log density has one value for every unit.

    Every input has axes of its own in the signature, for all units are drawn together; the
    first ones are as long as the variable's dimensions.
    """
    values = f"{named.response}_data"
    dims = named.dims[values]
    lengths = [pt.arange(pm.modelcontext(None).dim_lengths[dim]) for dim in dims]
    given = [*lengths, *inputs.named.values()]
    axes = [
        "(" + ",".join(f"v{i}x{j}" for j in range(node.type.ndim)) + ")"
        for i, node in enumerate(given)
    ]

    def random(*given: np.ndarray, rng: np.random.Generator, **_: Any) -> np.ndarray:
        shape = tuple(len(axis) for axis in given[: len(dims)])
        return draw(spec, shape, *inputs.unpack(given[len(dims) :]), rng)

    logp(data[values], *inputs.named.values())  # what cannot be written in a graph is refused now
    pm.CustomDist(
        named.response,
        *given,
        logp=lambda value, *given: logp(value, *given[len(dims) :]),
        random=random,
        signature=",".join(axes) + "->(" + ",".join(f"v{j}x0" for j in range(len(dims))) + ")",
        class_name="Mixture",
        observed=data[values],
        dims=dims,
    )


def _by_graph(spec: MixtureSpec, inputs: Inputs) -> Callable[..., Tensor]:
    def logp(value: Tensor, *given: Tensor) -> Tensor:
        return unit_log_likelihood(spec, value, *inputs.unpack(given))

    return logp


def _kernel(spec: MixtureSpec) -> tuple[Tensor, Tensor]:
    from bayesmix.pymc_model.kernel import kernel_log_likelihood

    return kernel_log_likelihood(spec)


def _by_kernel(
    named: NamedData, inputs: Inputs, theta: Tensor, loglik: Tensor
) -> Callable[..., Tensor]:
    """The compiled pass, which has the data in it."""
    data = named.values[f"{named.response}_data"]

    def logp(value: Tensor, *given: Tensor) -> Tensor:
        same = isinstance(value, Constant) and np.array_equal(value.data, data, equal_nan=True)
        if not same:
            raise NotImplementedError(
                "likelihood='kernel' computes the density of the responses that the specification "
                "has; for others use likelihood='graph'"
            )
        return clone_replace([loglik], {theta: given[list(inputs.named).index("theta")]})[0]

    return logp
