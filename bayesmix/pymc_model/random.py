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
from bayesmix.model.layout import BlockLayout
from bayesmix.model.rows import Clustered
from bayesmix.pymc_model.predictors import Predictors, Read, mean_of
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
    terms = log_pi + np.zeros((n_units, 1))
    if spec.rows.known is not None:
        known = data["known"] if "known" in data else data["allowed"]
        terms = np.where(known > 0, terms, -np.inf)
    values, reached = [], np.zeros((n_units, spec.k))
    read = [Read(spec, block, data) for block in spec.layout.blocks]
    for each, given in zip(read, predictors, strict=True):
        np.add.at(reached, unit, _reached(each, given, len(unit)))
    terms = terms + reached if any(r.entry is not None for r in spec.rows.blocks) else terms
    component = draw_from(np.exp(terms - terms.max(1, keepdims=True)), rng)[unit]
    for each, given in zip(read, predictors, strict=True):
        values += _responses(each, given, component, rng)
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


def _reached(read: Read, given: Predictors, n_rows: int) -> np.ndarray:
    """Log chance by row and component that a delayed entry is reached."""
    out = np.zeros((n_rows, read.spec.k))
    for s, family in enumerate(read.block.families):
        if (entry := read.get("entry", s)) is not None:
            out[:, s] = log_survival(family, entry, _natural(read.block, given, family, s))
    return out


def _responses(
    read: Read, given: Predictors, component: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Values (obs,) of each response as written; a time of another component is missing."""
    block = read.block
    names = list(dict.fromkeys(read.sources)) if block.survival else block.columns
    out = {name: np.full(len(component), np.nan) for name in names}
    limits, clustered = None, None
    if (cluster := read.get("cluster_of_row")) is not None:
        clustered = Clustered(cluster, read.get("effects"))
    if (call := limited_call(block.name)) is not None:
        limits = Limits.of(call.name, read.get("lower_limit"), read.get("upper_limit"))
    for s, family in enumerate(block.families):
        at = np.flatnonzero(component == s)
        if len(at):
            natural, entry = _natural(block, given, family, s), read.get("entry", s)
            trials = read.get("trials")
            drawn = draw_rows(family, natural, trials, entry, at, rng, clustered, limits)
            if family.columns:
                for name, column in zip(names, drawn.T, strict=True):
                    out[name][at] = column
            else:
                out[read.sources[s]][at] = drawn
    return list(out.values())
