"""Random responses of all units: a component for each, then its rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayesmix.families import Family
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import log_survival
from bayesmix.formula.calls import limited_call
from bayesmix.formula.limits import Limits
from bayesmix.model import MixtureSpec
from bayesmix.model.data import names_of, time_data, time_sources
from bayesmix.model.layout import BlockLayout
from bayesmix.model.rows import Clustered
from bayesmix.pymc_model.predictors import Predictors, mean_of
from bayesmix.results.simulation import draw_from, draw_rows


def draw(
    spec: MixtureSpec,
    shape: tuple[int, ...],
    log_pi: np.ndarray,
    predictors: list[Predictors],
    data: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """One data set, arranged by unit as the observed variable is.

    Case weights do not matter: a unit is drawn once.  Known labels stay, but competing events
    are drawn; a time without censoring.  Of units with delayed entries those components are
    more probable in which these are reached.

    Parameters
    ----------
    spec : MixtureSpec
    shape : tuple of int
        Of the observed variable.
    log_pi : ndarray, shape (unit or 1, component)
    predictors : list of Predictors
        One for each response.
    data : mapping of str to ndarray
    rng : numpy.random.Generator
    """
    grouped, n_units = "unit_of_row" in data, shape[0]
    unit = data["unit_of_row"].astype(int) if grouped else np.arange(n_units)
    n_rows = len(unit)
    terms = log_pi + np.zeros((n_units, 1))
    if spec.rows.known is not None:
        known = data["known"] if "known" in data else data["allowed"]
        terms = np.where(known > 0, terms, -np.inf)
    values, reached = [], np.zeros((n_units, spec.k))
    for block, given in zip(spec.layout.blocks, predictors, strict=True):
        np.add.at(reached, unit, _reached(spec, block, given, data, n_rows))
    terms = terms + reached if any(r.entry is not None for r in spec.rows.blocks) else terms
    component = draw_from(np.exp(terms - terms.max(1, keepdims=True)), rng)[unit]
    for block, given in zip(spec.layout.blocks, predictors, strict=True):
        values += _responses(spec, block, given, data, component, rng)
    together = np.stack(values, axis=-1) if len(values) > 1 else values[0]
    if not grouped:
        return together
    out = np.full(shape, np.nan)
    out[unit, data["row_number"].astype(int)] = together
    return out


def _natural(
    block: BlockLayout, given: Predictors, family: Family, s: int
) -> dict[str, np.ndarray]:
    """Natural parameters of component s by row, or numbers."""
    out = []
    for number, (parameter, slot) in enumerate(zip(family.parameters, block.slots[s], strict=True)):
        value = given.constant[slot][s] if slot in given.constant else None
        if value is None and (mean := mean_of(given, family, number)) is not None:
            value = mean[:, s]
        if value is not None:
            with np.errstate(all="ignore"):
                out.append(Linked.at(parameter.link, value))
            continue
        eta = given.eta[slot][:, s]
        by_row = len(eta) > 1 or family.is_located(number)
        out.append(Linked(parameter.link, eta if by_row else eta[0]))
    return {name: np.asarray(value) for name, value in family.natural(out).items()}


def _entry(
    spec: MixtureSpec, block: BlockLayout, s: int, data: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    if not block.survival:
        return None
    return data.get(time_data(spec, block)[time_sources(spec, block)[s]]["entry"])


def _reached(
    spec: MixtureSpec,
    block: BlockLayout,
    given: Predictors,
    data: Mapping[str, np.ndarray],
    n_rows: int,
) -> np.ndarray:
    """Log chance by row and component that a delayed entry is reached."""
    out = np.zeros((n_rows, spec.k))
    for s, family in enumerate(block.families):
        entry = _entry(spec, block, s, data)
        if entry is not None:
            out[:, s] = log_survival(family, entry, _natural(block, given, family, s))
    return out


def _responses(
    spec: MixtureSpec,
    block: BlockLayout,
    given: Predictors,
    data: Mapping[str, np.ndarray],
    component: np.ndarray,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Values (obs,) of each response as written; a time of another component is missing."""
    names = list(dict.fromkeys(time_sources(spec, block))) if block.survival else block.columns
    sources = time_sources(spec, block) if block.survival else [block.name] * spec.k
    out = {name: np.full(len(component), np.nan) for name in names}
    known = names_of(spec, block)
    trials, limits, clustered = data.get(known["trials"]), None, None
    if known["cluster_of_row"] in data:
        clustered = Clustered(data[known["cluster_of_row"]], data.get(known["effects"]))
    call = limited_call(block.name)
    if call is not None:
        limits = Limits.of(call.name, data[known["lower_limit"]], data[known["upper_limit"]])
    for s, family in enumerate(block.families):
        at = np.flatnonzero(component == s)
        if len(at):
            natural = _natural(block, given, family, s)
            entry = _entry(spec, block, s, data)
            drawn = draw_rows(family, natural, trials, entry, at, rng, clustered, limits)
            if family.columns:
                for name, column in zip(names, drawn.T, strict=True):
                    out[name][at] = column
            else:
                out[sources[s]][at] = drawn
    return list(out.values())
