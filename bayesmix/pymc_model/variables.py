"""Which random variables a specification has, and where each stands in theta.

One variable holds the fixed effects of a response, one each nested block, one
the varying effects, and one each dispersion.  Parameters that are held are
constants and belong to none.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from bayesmix.families.links import Link, get_link
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout, Predictor
from bayesmix.model.params import dispersion_link, plain_components, plain_name, term_dim

__all__ = ["Variable", "variables"]

# Effects whose coefficients belong to single components, and what their variables are called.
APART = ("varying", "dispersion")
LABELS = {"dispersion": "ancillary"}


@dataclass(frozen=True)
class Variable:
    """A random variable whose elements are entries of theta on their natural scale.

    Parameters
    ----------
    name : str
    dims : tuple of str
    coords : tuple of tuple
        Labels along each of `dims`.
    at : ndarray of int
        The entry of theta of each element.
    link : Link
        From the natural scale to theta.
    """

    name: str
    dims: tuple[str, ...]
    coords: tuple[tuple[Hashable, ...], ...]
    at: np.ndarray
    link: Link

    def split(self) -> list[Variable]:
        """One variable for each label of the last dimension."""
        return [
            Variable(
                plain_name(f"{self.name}_{label}"),
                self.dims[:-1],
                self.coords[:-1],
                self.at[..., j],
                self.link,
            )
            for j, label in enumerate(self.coords[-1])
        ]


def variables(spec: MixtureSpec) -> list[Variable]:
    """The random variables of coefficients and dispersions.

    Parameters
    ----------
    spec : MixtureSpec

    Returns
    -------
    list of Variable
        Every free entry of theta but those of the weights, each once.
    """
    out: list[Variable] = []
    for block in spec.layout.blocks:
        for predictor in block.linear():
            out += _coefficients(spec, block, predictor)
        for number, predictor in block.constants():
            out += _dispersion(spec, predictor, dispersion_link(block, number))
    return out


def _coefficients(spec: MixtureSpec, block: BlockLayout, location: Predictor) -> list[Variable]:
    """Variables by effect: fixed ones, each nested block, varying ones.

    Of a survival time the parameters beside the location are "ancillary".
    """
    sets: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for at in dict.fromkeys(location.index[location.index >= 0].tolist()):
        coordinate = spec.layout.coordinates[at]
        who = () if coordinate.effect in APART else coordinate.components
        sets.setdefault((coordinate.effect, who), []).append(at)
    out = []
    for (effect, who), entries in sorted(sets.items()):
        number = 1 + sum(1 for other in sets if other[0] == effect and other[1] < who)
        label = f"nested_{number}" if effect == "nested" else LABELS.get(effect, effect)
        name = plain_name(f"{location.variable}_{label}")
        # A survival time has several parameters, each with terms of its own.
        of = name if block.survival else f"{term_dim(spec.layout, block)}_{label}"
        dim = plain_name(f"term_{of}" if block.survival else of)
        if effect in APART:
            out += _varying(spec, location, entries, name, dim)
        else:
            free = [at for at in entries if at not in spec.held]
            terms = tuple(spec.layout.coordinates[at].term for at in free)
            out += _made(name, (dim,), (terms,), np.array(free), get_link("identity"))
    return out


def _varying(
    spec: MixtureSpec, location: Predictor, entries: list[int], name: str, dim: str
) -> list[Variable]:
    """One coefficient a component and term, as a list where some are held or absent."""
    coordinates = spec.layout.coordinates
    free = [at for at in entries if at not in spec.held]
    rows = [s for s, row in enumerate(location.index) if set(row.tolist()) & set(entries)]
    columns = [p for p in range(len(location.terms)) if set(location.index[:, p]) & set(entries)]
    at = location.index[np.ix_(rows, columns)]
    if len(free) < len(entries) or sorted(at.ravel().tolist()) != sorted(entries):
        labels = tuple(
            f"{spec.components[coordinates[at].components[0]]}:{coordinates[at].term}"
            for at in free
        )
        return _made(name, (f"{name}_entry",), (labels,), np.array(free), get_link("identity"))
    names = plain_components(spec.components)
    dims = ("component" if len(rows) == spec.k else f"component_{name}", dim)
    coords = (
        tuple(names[s] for s in rows),
        tuple(location.terms[p] for p in columns),
    )
    return _made(name, dims, coords, at, get_link("identity"))


def _dispersion(spec: MixtureSpec, predictor: Predictor, link: Link) -> list[Variable]:
    """One for each component, or for each set of components that share it."""
    name = plain_name(predictor.variable)
    index = predictor.index[:, 0]
    entries = list(dict.fromkeys(index[index >= 0].tolist()))
    free = [at for at in entries if at not in spec.held]
    if len(free) == spec.k:
        names = plain_components(spec.components)
        return _made(name, ("component",), (names,), index, link)
    labels = tuple(
        ", ".join(str(spec.components[s]) for s in spec.layout.coordinates[at].components)
        for at in free
    )
    return _made(f"{name}_set", (f"{name}_set_of",), (labels,), np.array(free), link)


def _made(
    name: str,
    dims: tuple[str, ...],
    coords: tuple[tuple[Hashable, ...], ...],
    at: np.ndarray,
    link: Link,
) -> list[Variable]:
    return [Variable(name, dims, coords, at, link)] if at.size else []
