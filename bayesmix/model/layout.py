"""Where every parameter of a mixture stands in one vector.

The vector theta holds all parameters on their unconstrained scales: linear
coefficients, link-scale dispersions, and the logits alpha of the weights.  A
`Predictor` says which entries a component's linear predictor uses, so that
varying, nested and fixed effects are one mechanism.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families import Family
from bayesmix.families.effects import root_names

EFFECTS = ("fixed", "nested", "varying", "random", "smooth", "dispersion", "concomitant", "weight")


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
    constant : bool
        There is no design: P is one, and `fit.params` has natural values (component).
        Otherwise X is the response's design and `fit.params` has coefficients on the
        link scale (component, term).
    of : str
        Of families with several locations: which one it is.
    """

    variable: str
    terms: tuple[str, ...]
    index: np.ndarray
    constant: bool = False
    of: str = ""

    def coefficients(self, theta: np.ndarray) -> np.ndarray:
        """Coefficients of shape (..., S, P) from theta (..., D); zero where absent."""
        return np.where(self.index >= 0, theta[..., self.index], 0.0)


@dataclass(frozen=True)
class Thresholds:
    """Thresholds between ordered levels, as tables have them; the layout has other parameters.

    The first is minus the intercept of the location, and each step leads to the next.

    Parameters
    ----------
    variable : str
        In `fit.params`.
    labels : tuple of str
    column : int
        Of the intercept in the location's design.
    steps : tuple of int
        Numbers of the predictors with the log steps.
    """

    variable: str
    labels: tuple[str, ...]
    column: int
    steps: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Smooth:
    """A spline whose coefficients have a common standard deviation tau, for each component.

    Parameters
    ----------
    term : str
        As written.
    block : int
        Number of the response.
    predictor, tau : int
        Numbers of the predictors with the coefficients and with tau.
    columns : tuple of int, length P
        The spline's columns in the response's design.
    turn : ndarray, shape (P, P)
        Of coefficients b the first `rank` entries of turn @ b make the curve bend, and the others
        are straight, such as its slope; each is one for a curve of size one.
    rank : int
    """

    term: str
    block: int
    predictor: int
    tau: int
    columns: tuple[int, ...]
    turn: np.ndarray
    rank: int


@dataclass(frozen=True)
class BlockLayout:
    """The parameters of one response.

    Parameters
    ----------
    name : str
        The response as written.
    families : tuple of Family, length S
    predictors : tuple of Predictor
        The locations' first.
    slots : tuple of tuple of int, length S
        For each component the predictors of its family's parameters, in order.
    keys : tuple of str, length S
        For each component the place of its response among those observed.
    random : tuple of str
        Terms with random effects.
    random_covariance : str
        Of these: "varying", "fixed" or "proportional".
    thresholds : Thresholds, or None
        Of a response with ordered levels.
    smooths : tuple of int
        Numbers of the predictors that are standard deviations of splines' coefficients, and that
        no family has.
    """

    name: str
    families: tuple[Family, ...]
    predictors: tuple[Predictor, ...]
    slots: tuple[tuple[int, ...], ...]
    keys: tuple[str, ...]
    random: tuple[str, ...] = ()
    random_covariance: str = "varying"
    thresholds: Thresholds | None = None
    smooths: tuple[int, ...] = ()

    @property
    def roots(self) -> tuple[int, ...]:
        """Numbers of the predictors that make the root of the random effects' covariance."""
        return self.slots[0][2:] if self.random else ()

    @property
    def steps(self) -> np.ndarray:
        """Entries of theta that are logarithms of steps between thresholds, (J, S)."""
        numbers = () if self.thresholds is None else self.thresholds.steps
        found = [self.predictors[number].index[:, 0] for number in numbers]
        return np.array(found, int).reshape(-1, len(self.families))

    @property
    def survival(self) -> bool:
        """Whether the response is a survival time."""
        return any(f.is_survival for f in self.families)

    def groups(self) -> list[tuple[Family, np.ndarray]]:
        """The distinct families and responses, each with the positions of its components."""
        out: dict[tuple[int, str], tuple[Family, list[int]]] = {}
        for s, (family, key) in enumerate(zip(self.families, self.keys, strict=True)):
            out.setdefault((id(family), key), (family, []))[1].append(s)
        return [(family, np.array(members)) for family, members in out.values()]

    @property
    def terms(self) -> tuple[str, ...]:
        """Columns of the response's design."""
        return self.predictors[0].terms

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the response's columns; its own where it is one."""
        return self.families[0].columns or (self.name,)

    def located(self, s: int) -> tuple[int, ...]:
        """Numbers of the predictors of component s that the formula describes."""
        return self.slots[s][: len(self.families[s].locations)]

    @property
    def locations(self) -> list[Predictor]:
        """The predictors that the formula describes in some component; the first without any."""
        used = {j for s in range(len(self.slots)) for j in self.located(s)} or {0}
        return [self.predictors[j] for j in sorted(used)]

    def linear(self) -> list[Predictor]:
        """Predictors with a design, as `fit.params` has them by component and term."""
        return [p for p in self.predictors if not p.constant]

    def constants(self) -> list[tuple[int, Predictor]]:
        """Predictors without a design, with their numbers."""
        return [(j, p) for j, p in enumerate(self.predictors) if p.constant]


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
                keys=tuple(b.keys[s] for s in keep),
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


def _add(vector: list[Coordinate], *given: Any) -> int:
    """The number of a new coordinate."""
    vector.append(Coordinate(*given))
    return len(vector) - 1


class _Key(NamedTuple):
    """A parameter among those of a response: a location that tables call "coef", or by its name."""

    is_coef: bool
    name: str

    @classmethod
    def of(cls, family: Family, name: str) -> _Key:
        """Locations of regressions are alike whatever a family calls them, but for several."""
        if family.is_survival or name not in family.locations:
            return cls(False, name)
        return cls(True, name if len(family.locations) > 1 else "")


def _block(vector: list[Coordinate], part: PartLayout, reserved: tuple[str, ...]) -> BlockLayout:
    """One response: a predictor for each parameter that its families have, "coef" first."""
    families = part.families
    own_keys = {f: [_Key.of(f, p.name) for p in f.parameters] for f in dict.fromkeys(families)}
    keys = [own_keys[f] for f in families]
    names = list(dict.fromkeys(key for own in keys for key in own))
    if not any(f.is_survival for f in families):
        names = sorted(names, key=lambda key: not key.is_coef)
        names = names if names and names[0].is_coef else [_Key(True, ""), *names]
    predictors = tuple(_predictor(vector, part, key, keys, reserved) for key in names)
    slots = tuple(tuple(names.index(key) for key in own) for own in keys)
    cuts, thresholds = families[0].cuts, None
    if cuts is not None:
        steps = tuple(names.index(_Key(False, step)) for step in cuts.steps)
        column = part.terms.index("Intercept")
        thresholds = Thresholds(cuts.variable + part.suffix, cuts.labels, column, steps)
    given = (part.name, families, predictors, slots, part.keys)
    return BlockLayout(*given, part.random, part.random_covariance, thresholds)


def _predictor(
    vector: list[Coordinate],
    part: PartLayout,
    key: _Key,
    keys: list[list[_Key]],
    reserved: tuple[str, ...],
) -> Predictor:
    """Number the entries of one parameter: effects of a location, columns or a constant of others.

    Every parameter of a time may have columns.
    """
    families, name = part.families, key.name
    constant = not (key.is_coef or any(f.is_survival for f in families))
    if key.is_coef:
        variable = "coef" + (f"_{name}" if name else "") + part.suffix
    else:  # one called like the weights' parameters carries the response's name
        variable = f"{name}_{part.name}" if name in reserved else name + part.suffix
    located = [key in own[: len(f.locations)] for f, own in zip(families, keys, strict=True)]
    terms = ("Intercept",) if constant else part.terms
    index = np.full((len(families), len(terms)), -1)

    def number(kind: str, term: str, column: int, having: list[int]) -> None:
        index[having, column] = _add(vector, kind, variable, term, tuple(having))

    for effect in part.effects:
        for having in ([s for s in members if located[s]] for members in effect.shared):
            for term, column in zip(effect.terms, effect.columns, strict=True) if having else ():
                number(effect.kind, term, column, having)
    kind, sets, roots = "dispersion", part.shared, root_names(part.random)
    if name in roots:
        first = part.random_covariance == "proportional" and name == roots[0]
        varies, everyone = part.random_covariance == "varying" or first, range(len(families))
        kind, sets = "random", tuple((s,) for s in everyone) if varies else (tuple(everyone),)
    for members in sets:
        if having := [s for s in members if key in keys[s] and not located[s]]:
            own = part.ancillary.get((having[0], name))
            for column in (terms.index("Intercept"),) if own is None else own:
                number(kind, variable if constant else terms[column], column, having)
    return Predictor(variable, terms, index, constant, name if key.is_coef else "")


def _weights(vector: list[Coordinate], k: int, terms: tuple[str, ...] | None) -> np.ndarray:
    index = np.full((k, 1 if terms is None else len(terms)), -1)
    for s in range(1, k):
        if terms is None:
            index[s, 0] = _add(vector, "weight", "weight", "weight", (s,))
        else:
            index[s] = [_add(vector, "concomitant", "alpha", term, (s,)) for term in terms]
    return index


@dataclass(frozen=True)
class PartLayout:
    """What the layout of one response is made from.

    Parameters
    ----------
    name : str
        The response as written.
    suffix : str
        Of its variables in `fit.params`.
    families : tuple of Family, length S
    keys : tuple of str, length S
        See `BlockLayout`.
    terms : tuple of str
        Columns of its design.
    effects : tuple of Effect
        Of the locations.
    shared : tuple of tuple of int
        Components that share dispersions.
    ancillary : dict of (int, str) to tuple of int
        Of a survival time: columns that describe a parameter of a component other
        than its location; by default an intercept alone.
    random : tuple of str
        Terms with random effects.
    random_covariance : str
        Of these: "varying", "fixed" or "proportional".
    """

    name: str
    suffix: str
    families: tuple[Family, ...]
    keys: tuple[str, ...]
    terms: tuple[str, ...]
    effects: tuple[Effect, ...]
    shared: tuple[tuple[int, ...], ...]
    ancillary: Mapping[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    random_covariance: str = "varying"


def build_layout(
    components: tuple[Hashable, ...],
    parts: Sequence[PartLayout],
    concomitant_terms: tuple[str, ...] | None,
    symmetric: tuple[tuple[int, ...], ...],
) -> Layout:
    """Number all parameters.

    Parameters
    ----------
    components : tuple
        Their names.
    parts : sequence of PartLayout
        One for each response.
    concomitant_terms : tuple of str, or None
    symmetric : tuple of tuple of int

    Returns
    -------
    Layout
    """
    vector: list[Coordinate] = []
    reserved = ("coef", "weight" if concomitant_terms is None else "alpha")
    blocks = tuple(_block(vector, part, reserved) for part in parts)
    alpha = _weights(vector, len(components), concomitant_terms)
    return Layout(components, blocks, alpha, concomitant_terms, tuple(vector), symmetric)
