"""A fit with its components in another order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from bayesmix.errors import FitError
from bayesmix.model.params import dispersions, term_name
from bayesmix.results.fitted import Fitted


def reorder(
    fitted: Fitted, by: str | None, concomitant: bool, order: Sequence[Hashable] | None
) -> Fitted:
    """Sort the components by a term, or put them in a given order.

    Raises
    ------
    FitError
        If the order is no permutation, or would mix components that the model
        tells apart.
    """
    if (by is None) == (order is None):
        given = "neither was given" if by is None else "both were given"
        raise FitError(f"relabel() takes either by= (a term) or order= (the components); {given}")
    layout = fitted.spec.layout
    if order is None:
        values = _sort_values(fitted, str(by), concomitant)
        new = np.arange(layout.k)
        for members in layout.symmetric:
            at = np.array(members)
            new[at] = at[np.argsort(values[at], kind="stable")]
        return fitted.reordered(new)
    names = list(layout.components)
    new_names = list(order)
    if len(new_names) != len(names) or any(c not in new_names for c in names):
        raise FitError(f"order={order!r} must list the components {names} once each")
    new = np.array([names.index(c) for c in new_names])
    home = {s: i for i, members in enumerate(layout.symmetric) for s in members}
    crossed = [names[s] for place, s in enumerate(new.tolist()) if home[place] != home[s]]
    if crossed and fitted.spec.kind.named:
        raise FitError(
            f"order={new_names!r}: the events name the components, in the order {names}, which "
            "nothing changes; give the event column other categories, or family= another order"
        )
    if crossed:
        raise FitError(
            f"order={new_names!r} would move the components {crossed} across nested, family, "
            "dispersion or labelled blocks; only interchangeable components can be reordered"
        )
    return fitted.reordered(new)


def _sort_values(fitted: Fitted, by: str, concomitant: bool) -> np.ndarray:
    spec, theta = fitted.spec, fitted.theta
    known: list[str] = []
    if concomitant:
        known = list(spec.layout.concomitant_terms or ())
        if by in known:
            return spec.weights.logits(theta)[:, known.index(by)]
    else:
        if by == "weight":
            return fitted.mixing
        for block in spec.layout.blocks:
            for location in (block.predictors[j] for j in block.located(0) or (0,)):
                # A term alone is one of the first location.
                names = {term_name(spec.layout, block, location, t): t for t in location.terms}
                known += names
                term = names.get(by, by)
                if term in location.terms:
                    return location.coefficients(theta)[:, location.terms.index(term)]
        natural = dispersions(spec.layout, theta)
        known += natural
        if by in natural:
            return natural[by]
        known.append("weight")
    of = "concomitant term" if concomitant else "term"
    raise FitError(f"relabel(by={by!r}) names no {of}; there are {known or 'none'}")
