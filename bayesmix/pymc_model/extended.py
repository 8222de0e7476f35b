"""The evidence of a PyMC model that extends the one of a specification."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.type import discrete_dtypes

from bayesmix.comparison.evidence import (
    Evidence,
    Target,
    bridge,
    component_orders,
    refuse_disagreement,
)
from bayesmix.errors import FitError
from bayesmix.model.params import permute, plain_components
from bayesmix.posterior.drawn import Drawn
from bayesmix.pymc_model.points import draws_to_theta

# Points that show whether an order of the components changes the density of the model.
COMPARED = 20
SAME = 1e-6


def extended_evidence(
    drawn: Drawn, model: pm.Model, idata: Any, rng: np.random.Generator
) -> Evidence:
    """The evidence of a model that gave the draws in `drawn`.

    Parameters
    ----------
    drawn : Drawn
        Its relabelled draws show which order of the components is nearest to them.
    model : pymc.Model
        With the variables of the specification, and others.
    idata : DataTree
        With the group posterior: draws of the model, chain by draw, as they were drawn.
    rng : numpy.random.Generator

    Raises
    ------
    FitError
        If the draws lack a free variable or are not those of `drawn`, if a free variable is
        discrete, and where `bridge` does.
    """
    spec = drawn.spec
    found = getattr(idata, "children", {}).get("posterior")
    if found is None or not isinstance(model, pm.Model):
        raise FitError(
            "evidence(model=, idata=) takes a pymc.Model and what pm.sample returned for it, with "
            f"a group posterior; given {type(model).__name__} and {type(idata).__name__}"
        )
    draws = found.to_dataset()
    theta = draws_to_theta(spec, drawn.priors, draws)
    if theta.shape != drawn.raw.shape or not np.allclose(theta, drawn.raw):
        msg = "evidence(idata=...): these are not the draws that from_pymc made this posterior from"
        raise FitError(msg)
    free = Free(model, plain_components(spec.components))
    x = free.unconstrained(free.values(draws))
    orders = [o for o in component_orders(spec) if free.unchanged(x, o, rng)]
    raw, middle = theta.reshape(-1, theta.shape[-1]), drawn.flat.mean(0)
    scale = np.where(spec.free, drawn.flat.std(0), np.inf)
    gaps = [np.square((permute(spec.layout, raw, o) - middle) / scale).sum(-1) for o in orders]
    nearest = np.argmin(gaps, 0)
    for number, order in enumerate(orders):
        x[nearest == number] = free.ordered(x[nearest == number], order)
    target = Target(free.log_density, tuple(partial(free.ordered, order=o) for o in orders))
    chains = x.reshape(*theta.shape[:2], -1)
    refuse_disagreement(free.log_density(x).reshape(theta.shape[:2]))
    return bridge(target, chains, rng)


class Free:
    """The free variables of a model between their own scales and unconstrained coordinates.

    Parameters
    ----------
    model : pymc.Model
    components : tuple
        Labels of the components along dimensions of variables.
    """

    def __init__(self, model: pm.Model, components: tuple[Any, ...]) -> None:
        discrete = [v.name for v in model.free_RVs if v.dtype in discrete_dtypes]
        if discrete:
            msg = f"evidence(model=...): the free variables {discrete} are discrete; sum them out"
            raise FitError(msg)
        self.variables = model.free_RVs
        self.model, self.components = model, components
        values = [model.rvs_to_values[v] for v in self.variables]
        start = model.initial_point()
        self.shapes = [np.shape(start[v.name]) for v in values]
        self.log_p = _vectorised(values, [model.logp()])
        self.back = _vectorised(values, model.replace_rvs_by_values(self.variables))
        own = [v.type(name=v.name) for v in self.variables]
        turned = graph_replace(
            [_forward(model, v, to) for v, to in zip(self.variables, own, strict=True)],
            dict(zip(self.variables, own, strict=True)),
            strict=False,
        )
        self.forth = _vectorised(own, turned)

    def values(self, draws: Any) -> list[np.ndarray]:
        """Of each variable on its own scale, (T, *shape)."""
        missing = [v.name for v in self.variables if v.name not in draws]
        if missing:
            msg = f"evidence(model=...): the draws lack the model's free variables {missing}"
            raise FitError(msg)
        out = []
        for variable in self.variables:
            dims = self.model.named_vars_to_dims.get(variable.name)
            found = draws[variable.name]
            own = [d for d in found.dims if d not in ("chain", "draw")] if dims is None else dims
            found = found.transpose("chain", "draw", *own).to_numpy()
            out.append(found.reshape(-1, *found.shape[2:]).astype(float))
        return out

    def unconstrained(self, values: list[np.ndarray]) -> np.ndarray:
        """Coordinates (T, f) of values (T, *shape)."""
        return np.concatenate([v.reshape(len(v), -1) for v in self.forth(*values)], axis=1)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log joint density with the Jacobian, (T,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.log_p(*self._parts(x))[0])

    def ordered(self, x: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Coordinates (T, f) with new component s the old one order[s]."""
        if not len(x) or (order == np.arange(len(order))).all():
            return x
        values = self.back(*self._parts(x))
        pairs = zip(self.variables, values, strict=True)
        return self.unconstrained([self._reordered(v.name, value, order) for v, value in pairs])

    def unchanged(self, x: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> bool:
        """Whether the density is the same in another order of the components."""
        some = x[rng.integers(len(x), size=COMPARED)]
        before, after = self.log_density(some), self.log_density(self.ordered(some, order))
        if not np.isfinite(before).all():
            msg = "evidence(model=...): the model's log density is not finite at some of its draws"
            raise FitError(msg)
        return bool(np.allclose(before, after, rtol=SAME, atol=SAME))

    def _parts(self, x: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        parts = np.split(x, ends, axis=1)
        return [p.reshape(len(x), *shape) for p, shape in zip(parts, self.shapes, strict=True)]

    def _reordered(self, name: str, value: np.ndarray, order: np.ndarray) -> np.ndarray:
        """The variable with the labels of components along its dimensions in another order."""
        to = {self.components[s]: self.components[old] for s, old in enumerate(order)}
        for axis, dim in enumerate(self.model.named_vars_to_dims.get(name, ()), 1):
            labels = list(self.model.coords.get(dim) or ())
            if labels and dim.startswith("component") and set(labels) <= set(to):
                old = [labels.index(to[label]) for label in labels if to[label] in labels]
                value = np.take(value, old, axis) if len(old) == len(labels) else value
        return value


def _forward(model: pm.Model, variable: Any, value: Any) -> Any:
    transform = model.rvs_to_transforms[variable]
    return value if transform is None else transform.forward(value, *variable.owner.inputs)


def _vectorised(inputs: list[Any], outputs: list[Any]) -> Callable[..., list[np.ndarray]]:
    """Outputs for many points at once, in the order given; compiled without a wait."""
    many = [pytensor.tensor.tensor(dtype=v.dtype, shape=(None, *v.type.shape)) for v in inputs]
    graphs = vectorize_graph(outputs, dict(zip(inputs, many, strict=True)))
    made: Callable[..., list[np.ndarray]] = pytensor.function(
        many, graphs, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    return made
