"""Where every parameter of a mixture stands in one vector.

The vector theta holds all parameters on their unconstrained scales: linear
coefficients, link-scale dispersions, and the logits alpha of the weights.  A
`Predictor` says which entries a component's linear predictor uses, so that
varying, nested and fixed effects are one mechanism.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from bayesmix.families import Family

__all__ = ["BlockLayout", "Coordinate", "Effect", "Layout", "Predictor", "build_layout"]

EFFECTS = ("fixed", "nested", "varying", "dispersion", "concomitant", "weight")


@dataclass(frozen=True)
class Coordinate:
    """One entry of theta.

    Parameters
    ----------
    effect : str
        One of `EFFECTS`.
    variable, term : str
        The variable of `fit.params` and the term in it.
    components : tuple of int
        Positions of the components that share it.
    """

    effect: str
    variable: str
    term: str
    components: tuple[int, ...]


@dataclass(frozen=True)
class Effect:
    """Columns of a design with the blocks of components that share a coefficient.

    Parameters
    ----------
    kind : str
        "fixed", "nested" or "varying".
    terms : tuple of str
    columns : tuple of int
        The terms' columns in the block's design matrix.
    shared : tuple of tuple of int
        One coefficient for each of these sets of components.
    """

    kind: str
    terms: tuple[str, ...]
    columns: tuple[int, ...]
    shared: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Predictor:
    """A linear predictor of every component: eta_s = X theta[index[s]] + offset.

    Parameters
    ----------
    variable : str
        Its name in `fit.params`: "coef", "sigma", ...
    terms : tuple of str, length P
    index : ndarray of int, shape (S, P)
        Entries of theta; -1 where a component lacks the term.
    """

    variable: str
    terms: tuple[str, ...]
    index: np.ndarray

    def coefficients(self, theta: np.ndarray) -> np.ndarray:
        """Coefficients of shape (..., S, P) from theta (..., D); zero where absent."""
        return np.where(self.index >= 0, theta[..., self.index], 0.0)


@dataclass(frozen=True)
class BlockLayout:
    """The parameters of one response.

    Parameters
    ----------
    name : str
        The response as written.
    families : tuple of Family, length S
    predictors : tuple of Predictor
        The location's first.
    slots : tuple of tuple of int, length S
        For each component the predictors of its family's parameters, in order.
    """

    name: str
    families: tuple[Family, ...]
    predictors: tuple[Predictor, ...]
    slots: tuple[tuple[int, ...], ...]

    def groups(self) -> list[tuple[Family, np.ndarray]]:
        """The distinct families, each with the positions of its components."""
        out: dict[int, tuple[Family, list[int]]] = {}
        for s, family in enumerate(self.families):
            out.setdefault(id(family), (family, []))[1].append(s)
        return [(family, np.array(members)) for family, members in out.values()]


@dataclass(frozen=True)
class Layout:
    """All parameters of a mixture of S components.

    Parameters
    ----------
    components : tuple of hashable, length S
    blocks : tuple of BlockLayout
    alpha : ndarray of int, shape (S, Q)
        Entries of theta for the weights' logits; -1 in the first component's row.
    concomitant_terms : tuple of str, or None
        None where the weights are constant.
    coordinates : tuple of Coordinate, length D
    symmetric : tuple of tuple of int
        Sets of components that the model does not tell apart.
    """

    components: tuple[Hashable, ...]
    blocks: tuple[BlockLayout, ...]
    alpha: np.ndarray
    concomitant_terms: tuple[str, ...] | None
    coordinates: tuple[Coordinate, ...]
    symmetric: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """Length of theta, D."""
        return len(self.coordinates)

    @property
    def k(self) -> int:
        """Number of components, S."""
        return len(self.components)

    def subset(self, keep: list[int]) -> Layout:
        """The layout of some of the components, the first of them the baseline."""
        place = {s: new for new, s in enumerate(keep)}
        alpha = self.alpha[keep].copy()
        alpha[0] = -1
        if len(keep) == 1:  # its weight is one, whatever the concomitants
            alpha = alpha[:, :1]
        rows = [p.index[keep] for b in self.blocks for p in b.predictors]
        used = np.unique(np.concatenate([x[x >= 0] for x in (*rows, alpha)]))
        number = np.full(self.size + 1, -1)
        number[used] = np.arange(len(used))
        blocks = tuple(
            replace(
                b,
                families=tuple(b.families[s] for s in keep),
                slots=tuple(b.slots[s] for s in keep),
                predictors=tuple(replace(p, index=number[p.index[keep]]) for p in b.predictors),
            )
            for b in self.blocks
        )
        coordinates = tuple(
            replace(c, components=tuple(place[s] for s in c.components if s in place))
            for c in (self.coordinates[j] for j in used)
        )
        symmetric = tuple(
            tuple(place[s] for s in members if s in place) for members in self.symmetric
        )
        return Layout(
            tuple(self.components[s] for s in keep),
            blocks,
            number[alpha],
            self.concomitant_terms if len(keep) > 1 else None,
            coordinates,
            tuple(m for m in symmetric if m),
        )


class _Vector:
    """Coordinates being numbered."""

    def __init__(self) -> None:
        self.coordinates: list[Coordinate] = []

    def add(self, effect: str, variable: str, term: str, components: tuple[int, ...]) -> int:
        self.coordinates.append(Coordinate(effect, variable, term, components))
        return len(self.coordinates) - 1


def _location(
    vector: _Vector,
    variable: str,
    terms: tuple[str, ...],
    effects: list[Effect],
    k: int,
    present: np.ndarray,
) -> Predictor:
    index = np.full((k, len(terms)), -1)
    for effect in effects:
        for members in effect.shared:
            having = tuple(s for s in members if present[s])
            if not having:
                continue
            for term, column in zip(effect.terms, effect.columns, strict=True):
                index[list(having), column] = vector.add(effect.kind, variable, term, having)
    return Predictor(variable, terms, index)


def _dispersion(
    vector: _Vector,
    name: str,
    variable: str,
    families: tuple[Family, ...],
    shared: tuple[tuple[int, ...], ...],
) -> Predictor:
    index = np.full((len(families), 1), -1)
    for members in shared:
        having = tuple(s for s in members if name in families[s].params)
        if having:
            index[list(having), 0] = vector.add("dispersion", variable, variable, having)
    return Predictor(variable, ("Intercept",), index)


def _block(
    vector: _Vector,
    name: str,
    suffix: str,
    families: tuple[Family, ...],
    terms: tuple[str, ...],
    effects: list[Effect],
    shared: tuple[tuple[int, ...], ...],
    reserved: tuple[str, ...],
) -> BlockLayout:
    present = np.array([f.location is not None for f in families])
    predictors = [_location(vector, "coef" + suffix, terms, effects, len(families), present)]
    names = list(dict.fromkeys(p.name for f in families for p in f.dispersions))
    for n in names:
        # A dispersion called like the weights' parameters carries the response's name.
        variable = f"{n}_{name}" if n in reserved else n + suffix
        predictors.append(_dispersion(vector, n, variable, families, shared))
    slots = tuple(
        () if f.location is None else (0, *(1 + names.index(p.name) for p in f.dispersions))
        for f in families
    )
    return BlockLayout(name, families, tuple(predictors), slots)


def _weights(vector: _Vector, k: int, terms: tuple[str, ...] | None) -> np.ndarray:
    index = np.full((k, 1 if terms is None else len(terms)), -1)
    for s in range(1, k):
        if terms is None:
            index[s, 0] = vector.add("weight", "weight", "weight", (s,))
        else:
            index[s] = [vector.add("concomitant", "alpha", term, (s,)) for term in terms]
    return index


def build_layout(
    components: tuple[Hashable, ...],
    blocks: list[
        tuple[
            str, str, tuple[Family, ...], tuple[str, ...], list[Effect], tuple[tuple[int, ...], ...]
        ]
    ],
    concomitant_terms: tuple[str, ...] | None,
    symmetric: tuple[tuple[int, ...], ...],
) -> Layout:
    """Number all parameters.

    Parameters
    ----------
    components : tuple
        Their names.
    blocks : list of tuple
        Per response: name, suffix of its variables, the components' families,
        the design's terms, its effects, and the sets that share dispersions.
    concomitant_terms : tuple of str, or None
    symmetric : tuple of tuple of int

    Returns
    -------
    Layout
    """
    vector = _Vector()
    k = len(components)
    reserved = ("coef", "weight" if concomitant_terms is None else "alpha")
    layouts = tuple(_block(vector, *block, reserved) for block in blocks)
    alpha = _weights(vector, k, concomitant_terms)
    return Layout(
        components, layouts, alpha, concomitant_terms, tuple(vector.coordinates), symmetric
    )
