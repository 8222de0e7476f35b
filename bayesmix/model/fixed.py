"""Parameters that are held at given values: fixed_params of a fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import neg
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.links import Link
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout, Layout, Predictor
from bayesmix.model.params import coefficient_columns, parameter_link, threshold_entries
from bayesmix.model.weights import WeightModel


def hold(spec: MixtureSpec, given: Mapping[tuple[Hashable, str], float]) -> MixtureSpec:
    """Hold parameters at given natural values.

    Parameters
    ----------
    spec : MixtureSpec
    given : mapping of (component, parameter) to float
        The parameter is a term, a dispersion, "weight", or a concomitant term
        written ``alpha[term]``.  Of a survival time it is a parameter of the family,
        natural where it has no covariates, or a coefficient written ``scale[age]``;
        a term alone is one of the location.

    Raises
    ------
    SpecError
        If there is no such parameter, or its value is outside its range.
    """
    held: dict[int, float] = {}
    weights = np.full(spec.k, np.nan)
    for key, value in given.items():
        component, name = key
        if component not in spec.components:
            raise SpecError(
                f"fixed_params has the key {key!r}; keys are (component, parameter) with a "
                f"component of {list(spec.components)}"
            )
        s = spec.components.index(component)
        if name == "weight" and spec.layout.concomitant_terms is None and spec.k > 1:
            weights[s] = value
        else:
            position, unconstrained = _position(spec.layout, s, name, float(value), key)
            if held.get(position, unconstrained) != unconstrained:
                msg = f"fixed_params hold a shared parameter at two values: {key!r} is {value!r}"
                raise SpecError(msg)
            held[position] = unconstrained
    any_weight = np.isfinite(weights).any()
    if any_weight:
        _check_weights(weights)
        index = spec.layout.alpha[:, 0]
        free = np.flatnonzero(np.isnan(weights))
        rest = set(range(spec.k)) - set(free[1:].tolist())
        held |= {int(index[s]): 0.0 for s in rest if index[s] >= 0}
    model = WeightModel(spec.layout.alpha, weights if any_weight else None)
    return replace(spec, held=held, weights=model, layout=_distinguish(spec.layout, held, weights))


def hold_at(spec: MixtureSpec, positions: Mapping[int, float]) -> MixtureSpec:
    """Hold more entries of theta at values on their link scales."""
    held = {**spec.held, **positions}
    layout = _distinguish(spec.layout, held, np.full(spec.k, np.nan))
    return replace(spec, held=held, layout=layout)


def _check_weights(weights: np.ndarray) -> None:
    known = weights[np.isfinite(weights)]
    total, full = known.sum(), len(known) == len(weights)
    if (known <= 0).any() or (known >= 1).any() or (abs(total - 1) > 1e-9 if full else total >= 1):
        raise SpecError(
            f"the fixed weights {known.tolist()} must lie between 0 and 1 and leave something "
            "for the other components (or add up to one)"
        )


def _position(layout: Layout, s: int, name: str, value: float, key: Any) -> tuple[int, float]:
    known = []
    for names, at, moved in _places(layout, s, key):
        if name in names:
            return at, moved(value)
        known.append(names[0])
    if name in [e.term for block in layout.blocks for e in threshold_entries(block)]:
        msg = f"fixed_params[{key!r}]: of the thresholds of a response only the first can be held"
        raise SpecError(msg)  # the others are sums with it
    known += ["weight"] if layout.concomitant_terms is None and layout.k > 1 else []
    raise SpecError(f"fixed_params has {key!r}, but that component's parameters are {known}")


def _places(
    layout: Layout, s: int, key: Any
) -> Iterator[tuple[list[str], int, Callable[[float], float]]]:
    """What can be held in component s: names, the entry of theta, and a value's way there."""
    for block in layout.blocks:
        cuts = [entry for entry in threshold_entries(block) if entry.component == s]
        yield from (([first.term], first.at, neg) for first in cuts[:1])
        columns = coefficient_columns(block)
        steps = () if block.thresholds is None else block.thresholds.steps
        for number in (j for j in (*block.slots[s], *block.smooths) if j not in steps):
            predictor = block.predictors[number]
            own = columns if number in block.located(s) else range(len(predictor.terms))
            for term, at in ((predictor.terms[j], int(predictor.index[s, j])) for j in own):
                if at >= 0 and not predictor.constant:
                    yield _names(block, s, predictor, term), at, float
            if (at := _natural(predictor, s)) >= 0:
                link = parameter_link(block, number, s)
                yield [predictor.variable], at, partial(_unconstrained, link, key)
    for term, at in zip(layout.concomitant_terms or (), layout.alpha[s].tolist(), strict=False):
        if at >= 0:
            yield [f"alpha[{term}]"], at, float


def _unconstrained(link: Link, key: Any, value: float) -> float:
    if not link.lower < value < link.upper:
        raise SpecError(
            f"fixed_params[{key!r}] is {value:g}; it must lie between "
            f"{link.lower:g} and {link.upper:g}"
        )
    return float(link.forward(np.asarray(value)))


def _names(block: BlockLayout, s: int, predictor: Predictor, term: str) -> list[str]:
    """What a coefficient may be called, on the scale of its link."""
    whole = f"{predictor.variable}[{term}]"
    if block.survival:
        own = predictor.variable == block.families[s].location and term != "Intercept"
        return [whole, term] if own else [whole]
    return [term + predictor.variable.removeprefix("coef"), whole]


def _natural(predictor: Predictor, s: int) -> int:
    """The entry of theta that is a whole parameter of component s; -1 where it has covariates."""
    used = np.flatnonzero(predictor.index[s] >= 0)
    if len(used) == 1 and predictor.terms[used[0]] == "Intercept":
        return int(predictor.index[s, used[0]]) if predictor.variable != "coef" else -1
    return -1


def _distinguish(layout: Layout, held: Mapping[int, float], weights: np.ndarray) -> Layout:
    """Components with held parameters of their own are no longer interchangeable."""
    own: set[int] = set(np.flatnonzero(np.isfinite(weights)).tolist())
    for position in held:
        members = layout.coordinates[position].components
        if len(members) < layout.k:
            own |= set(members)
    symmetric: list[tuple[int, ...]] = []
    for members in layout.symmetric:
        rest = tuple(s for s in members if s not in own)
        symmetric += [(s,) for s in members if s in own]
        symmetric += [rest] if rest else []
    return replace(layout, symmetric=tuple(symmetric))
