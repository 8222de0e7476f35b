"""From parameters and designs to the linear predictors, means and weights of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesmix.arrays.symbolic import NotSymbolicError, Symbol, plain
from bayesmix.families import Family
from bayesmix.families.links import Link, Linked
from bayesmix.model import MixtureSpec
from bayesmix.model.data import names_of, time_data, time_sources
from bayesmix.model.layout import BlockLayout
from bayesmix.model.params import plain_components, plain_name
from bayesmix.model.rows import BlockRows

Tensor = Any

# Beyond e^700 a number is infinite, and so are its derivatives.
LARGEST = 700.0


@dataclass(frozen=True)
class Read:
    """One response of a model, with the data of all by name: variables of a graph, or arrays."""

    spec: MixtureSpec
    block: BlockLayout
    data: Mapping[str, Any]

    @cached_property
    def names(self) -> dict[str, str]:
        """What the data of this response are called, see `model.data.names_of`."""
        return names_of(self.spec, self.block)

    @property
    def rows(self) -> BlockRows:
        """The rows of the specification."""
        return self.spec.rows.blocks[self.spec.layout.blocks.index(self.block)]

    @cached_property
    def sources(self) -> list[str]:
        """Names of what each component's response is read from."""
        survival = self.block.survival
        return time_sources(self.spec, self.block) if survival else [self.block.name] * self.spec.k

    def get(self, name: str, s: int | None = None) -> Any:
        """Some data of the response, or of the time of component s; None where there are none."""
        names = self.names
        if s is not None and self.block.survival:
            names = time_data(self.spec, self.block)[self.sources[s]]
        return self.data.get(names.get(name, ""))


class Predictors(NamedTuple):
    """Of one response: `eta` (obs or 1, component) by slot, natural constants (component) by slot.

    `mean` (obs, component) is what the model calls `mu`, with a last axis where a response has
    several columns or levels; None where no formula for it can be in a graph.  The locations'
    `eta` are there only where the mean does not say as much.
    """

    eta: Mapping[int, Tensor]
    constant: Mapping[int, Tensor]
    mean: Tensor = None


def add_predictors(read: Read, parameters: Mapping[str, Tensor]) -> Predictors:
    """Linear predictors of every parameter of a response, and the named node `mu`.

    Parameters
    ----------
    read : Read
    parameters : mapping of str to TensorVariable
    """
    block, names, k = read.block, read.names, read.spec.k
    x, offset = read.get("X"), read.get("offset")
    eta, constant = {}, {}
    for number, predictor in enumerate(block.predictors):
        node: Tensor = parameters.get(plain_name(predictor.variable))
        if predictor.constant:
            constant[number] = node
            continue
        used = np.flatnonzero((predictor.index >= 0).any(0))
        located = any(number in block.located(s) for s in range(k))
        if not located and [predictor.terms[p] for p in used] == ["Intercept"]:
            eta[number] = node[:, used[0]][None]
        elif node is None:
            eta[number] = pt.zeros((x.shape[0], k))
        else:
            eta[number] = x @ node.T
        if located and offset is not None:
            eta[number] = eta[number] + (offset[:, None] if offset.ndim == 1 else offset)
    whole = Predictors(eta, constant, None)
    means = [_mean(whole, block, family, members) for family, members in block.groups()]
    if any(mean is None for mean in means):
        return whole
    order = np.argsort(np.concatenate([members for _, members in block.groups()]))
    outputs = block.families[0].outputs
    last = (len(outputs),) * bool(outputs)
    wide = [
        pt.broadcast_to(m, (x.shape[0], len(g), *last))
        for m, (_, g) in zip(means, block.groups(), strict=True)
    ]
    joined = wide[0] if len(wide) == 1 else pt.concatenate(wide, axis=1)[:, order]
    name = names["mu"]
    while name in pm.modelcontext(None).named_vars:  # some families of times have a parameter mu
        name = f"mean_{name}"
    dims = ("obs", "component", *[names["output"]] * bool(outputs))
    if outputs:
        pm.modelcontext(None).add_coord(names["output"], plain_components(outputs))
    mean = pm.Deterministic(name, joined, dims=dims)
    families = [family for family, _ in block.groups() if family.params]
    said = all(has_mean_as_location(f) and _exact(f.parameters[0].link) for f in families)
    described = {number for s in range(k) for number in block.located(s)}
    left = {slot: node for slot, node in eta.items() if not (said and slot in described)}
    return Predictors(left, constant, mean)


def linked(
    predictors: Predictors, block: BlockLayout, family: Family, members: np.ndarray
) -> tuple[Linked, ...]:
    """The parameters of a family in some of the components, (obs or 1, members).

    The location is read from `mu` where that is the mean, so that what is done to `mu` matters.
    """
    out = []
    for parameter, slot in zip(family.parameters, block.slots[members[0]], strict=True):
        if slot in predictors.constant:
            natural = predictors.constant[slot][members][None]
            out.append(Linked.at(parameter.link, Symbol(natural)))
            continue
        mean = mean_of(predictors, family, len(out))
        if mean is not None and _exact(parameter.link):
            out.append(Linked.at(parameter.link, Symbol(mean[:, members])))
            continue
        eta = _within(parameter.link, predictors.eta[slot][:, members])
        if mean is not None:
            out.append(_mean_linked(parameter.link, mean[:, members], eta))
        else:
            out.append(Linked(parameter.link, Symbol(eta)))
    return tuple(out)


def _exact(link: Link) -> bool:
    """Whether a mean has as many digits as its linear predictor, near its limits too."""
    return link.name in ("identity", "log", "inverse")


def _within(link: Link, eta: Tensor) -> Tensor:
    return pt.clip(eta, -LARGEST, LARGEST) if link.name == "log" else eta


def _mean_linked(link: Link, mu: Tensor, eta: Tensor) -> Linked:
    """A mean with its linear predictor, which stays as it was made unless `mu` was replaced.

    Tails are exact in eta only.  The comparison of mu with itself is rewritten away, unless
    `pymc.do` has put something else there.
    """
    made = plain(link.inverse(Symbol(eta)))
    held: Any = Symbol(mu).held()
    again = plain(link.forward(held))
    return Linked.at(link, Symbol(mu), Symbol(pt.switch(pt.eq(mu, made), eta, again)))


def mean_of(predictors: Predictors, family: Family, number: int) -> Any:
    """The part of `mu` that is a parameter of the family, (obs, component); None if it is none."""
    located = number < len(family.locations)
    if not located or predictors.mean is None or not has_mean_as_location(family):
        return None
    return predictors.mean[:, :, number] if family.outputs else predictors.mean


def has_mean_as_location(family: Family) -> bool:
    """Whether the family's mean is its location, or its means are, where there is a mean."""
    if family.mean is None or family.is_survival or family.levels:
        return False
    values = {p.name: p.link.inverse(0.3 + 0.2 * j) for j, p in enumerate(family.parameters)}
    locations = [values[name] for name in family.locations]
    return np.array_equal(np.ravel(family.mean(**values)), locations)


def no_graph(family: Family) -> tuple[type[Exception], ...]:
    """Errors by which a function of the family says that variables cannot go through.

    A user's function may stumble in many ways; any other error in ours is a mistake of ours.
    """
    if family.is_own:
        return TypeError, ValueError, AttributeError, NotImplementedError
    return (NotSymbolicError,)


def _mean(
    predictors: Predictors, block: BlockLayout, family: Family, members: np.ndarray
) -> Tensor:
    """Expected responses (obs or 1, members) or (..., outputs); None if no graph can have them."""
    if family.mean is None:
        return None
    natural = family.natural(linked(predictors, block, family, members))
    if has_mean_as_location(family) and not family.outputs:
        return plain(natural[str(family.location)])
    try:
        mean = family.mean(**natural)
    except no_graph(family):
        return None  # documented: no function of PyTensor has it
    return pt.atleast_2d(pt.as_tensor(plain(mean), dtype="float64"))


def log_weights(parameters: Mapping[str, Tensor], data: Mapping[str, Tensor]) -> Tensor:
    """Log weights of the components, (unit, component), or (1, component) where constant."""
    if "weight" in parameters:
        return pt.log(parameters["weight"])[None]
    logits = data["Z"] @ parameters["alpha"].T
    return pm.math.log_softmax(logits, axis=1)
