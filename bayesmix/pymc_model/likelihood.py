r"""The log-likelihood of every unit as a graph.

    l_u = w_u log sum_s m_us pi_s(z_u) prod_{i in u} f_s(y_i | x_i)

with the families' own densities, less that of being seen at all where entries are delayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from bayesmix.arrays.symbolic import Symbol, plain
from bayesmix.errors import SpecError
from bayesmix.families import Family, Observed
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import Seen
from bayesmix.formula.calls import taken_apart
from bayesmix.formula.limits import Limits
from bayesmix.formula.times import KINDS, LEFT, NOTHING, RIGHT
from bayesmix.model import MixtureSpec
from bayesmix.model.data import response_names
from bayesmix.pymc_model.predictors import Predictors, Read, linked, no_graph

Tensor = Any

# What may be known of a time, by the form in which the response is written.
MAY_BE = {"right": ("exact", "right"), "counting": ("exact", "right"), "interval": KINDS}


def unit_log_likelihood(
    spec: MixtureSpec,
    value: Tensor,
    log_pi: Tensor,
    predictors: list[Predictors],
    data: Mapping[str, Tensor],
) -> Tensor:
    """The log-likelihood of each unit, (unit,).

    Parameters
    ----------
    spec : MixtureSpec
    value : TensorVariable
        The responses by unit, see `model.data.by_unit`.
    log_pi : TensorVariable, shape (unit or 1, component)
    predictors : list of Predictors
        One for each response.
    data : mapping of str to TensorVariable

    Raises
    ------
    SpecError
        If a user's density cannot be written with PyTensor variables.
    """
    columns = _by_row(spec, value, data)
    terms, seen = log_pi, log_pi
    truncated = any(rows.entry is not None for rows in spec.rows.blocks)
    unit = data.get("unit_of_row")
    for block, predictor in zip(spec.layout.blocks, predictors, strict=True):
        read = Read(spec, block, data)
        for family, members in block.groups():
            parameters = linked(predictor, block, family, members)
            observed = _observed(read, members[0], columns, entry=not truncated)
            if family.whole is not None:
                logf, units = _together(read, family, observed, parameters)
                terms = _add(spec, terms, members, logf, units, value.shape[0])
                continue
            logf = _log_density(family, observed, parameters)
            terms = _add(spec, terms, members, logf, unit, value.shape[0])
            if truncated:
                reached = _log_density(family, _entry(read, members[0], observed), parameters)
                seen = _add(spec, seen, members, reached, unit, value.shape[0])
    if "allowed" in data:
        terms = pt.switch(pt.gt(data["allowed"], 0), terms, -np.inf)
    total = _log_sum_exp(terms)
    if truncated:  # a unit is only seen if its times exceed its delayed entries
        total = total - _log_sum_exp(seen)
    if "case_weight" in data:
        weight = data["case_weight"]
        total = weight * pt.switch(pt.gt(weight, 0), total, 0.0)
    return total


def _column(values: Tensor) -> Any:
    """Values of the rows, if any, as a column (obs, 1), which broadcasts with (obs, component)."""
    return None if values is None else Symbol(values[:, None])


def _by_row(spec: MixtureSpec, value: Tensor, data: Mapping[str, Tensor]) -> dict[str, Any]:
    """Each response as a column."""
    names = response_names(spec)
    if "unit_of_row" in data:
        value = value[data["unit_of_row"], data["row_number"]]
    together = value[:, None] if len(names) == 1 else value
    return {name: _column(together[:, b]) for b, name in enumerate(names)}


def _observed(read: Read, s: int, columns: Mapping[str, Any], *, entry: bool) -> Observed:
    """What a component reads: the response, its trials, and how times were observed."""
    block, gaps = read.block, read.spec.prepared.gaps
    if block.families[s].columns:
        several: Any = tuple(columns[name] for name in block.columns)
        masks: Any = tuple(Symbol(pt.invert(pt.isnan(y.variable))) for y in several)
        return Observed(several, None, 0.0, there=masks if gaps else None)
    source = read.sources[s]
    y = columns[source]
    if not block.survival:
        trials = _column(read.get("trials"))
        there: Any = None
        if gaps:  # a missing response, NaN, says nothing
            there = Symbol(pt.invert(pt.isnan(y.variable)))
            y = np.where(there, y, _middle(read, s))
        one: Any = Symbol(pt.ones_like(y.variable))
        y = _beside_atoms(read, s, y)
        obs = Observed(y, one if trials is None else trials, 0.0)
        return obs._replace(there=there, limits=_limits(read))
    names = ("observed_as", "upper", "entry" if entry else "since", "background")
    code, upper, late, rate = (_column(read.get(name, s)) for name in names)
    upper = np.where(code == LEFT, y, y if upper is None else upper)
    seen: Any = Seen(code, y, upper, late, MAY_BE[taken_apart(source).kind], rate)
    return Observed(y, None, 0.0, seen)


def _limits(read: Read) -> Any:
    """The limits of a response, as columns."""
    response = read.rows.response
    if response is None or response.limits is None:
        return None
    lower, upper = (_column(read.get(end)) for end in ("lower_limit", "upper_limit"))
    return Limits(response.limits.kind, lower, upper, response.limits.most)


def _beside_atoms(read: Read, s: int, y: Any) -> Any:
    """What a density reads at rows that belong to an atom: a value that has one."""
    families = read.block.families
    if read.rows.allowed is None or families[s].atom is not None:
        return y
    for at in {f.atom for f in families if f.atom is not None}:
        y = np.where(y == at, _middle(read, s), y)
    return y


def _middle(read: Read, s: int) -> float:
    """A response that a component's family allows."""
    values = np.sort(read.rows.observed[read.block.keys[s]].y)
    return float(values[len(values) // 2])


def _entry(read: Read, s: int, observed: Observed) -> Observed:
    """The survival to a delayed entry, as if censored there; one at zero says nothing."""
    entry = _column(read.get("entry", s))
    code = np.where(entry > 0, RIGHT, NOTHING)
    seen: Any = Seen(code, entry, entry, None, ("right",))
    return observed._replace(times=seen)


def _log_density(family: Family, observed: Observed, parameters: tuple[Linked, ...]) -> Tensor:
    """Log density of the rows, (obs, members): PyMC's own where it has one as accurate."""
    try:
        if family.columns:
            value = plain(family.log_density_of(observed, parameters))
            observed = observed._replace(there=None)
        elif observed.times is None and observed.limits is None and family.pymc is not None:
            names = (p.name for p in family.parameters)
            natural = {n: plain(v.value) for n, v in zip(names, parameters, strict=True)}
            value = pm.logp(family.pymc(pm, **natural), plain(observed.y))
        else:
            if observed.times is None and family.constant is not None:
                const = family.constant(observed.y, observed.trials)
                observed = observed._replace(const=const)
            value = plain(family.log_density_of(observed._replace(there=None), parameters))
        if observed.there is not None:
            value = pt.switch(plain(observed.there), value, 0.0)
        if isinstance(value, pt.TensorVariable) and value.type.ndim == 2:
            return value
        reason = "it does not return a PyTensor variable of the responses' shape"
    except no_graph(family) as error:
        reason = str(error).strip().split("\n")[0]
    raise SpecError(
        f"the density of the family {family.name!r} cannot be part of a PyMC model: {reason}; "
        "write it with the functions of bayesmix.arrays (log, exp, gammaln, where, ...)"
    )


def _together(
    read: Read, family: Family, observed: Observed, parameters: tuple[Linked, ...]
) -> tuple[Tensor, Tensor]:
    """Log densities (cluster, members) of rows together, and the unit of each cluster."""
    cluster, unit = read.get("cluster_of_row"), read.get("unit_of_cluster")
    if (matrix := read.get("effects")) is not None:
        columns: Any = [_column(matrix[:, j]) for j in range(len(read.block.random))]
        observed = observed._replace(effects=columns)

    def summed(rows: Any) -> Any:
        values = plain(rows)
        if observed.there is not None:
            values = pt.switch(plain(observed.there), values, 0.0)
        wide = pt.zeros((unit.shape[0], values.shape[1]))
        return Symbol(pt.inc_subtensor(wide[cluster], values))

    whole = family.whole
    assert whole is not None
    counts = tuple(map(summed, whole.counts(observed)))
    terms = tuple(map(summed, whole.terms(observed, parameters[0])))
    return plain(whole.density(counts, terms, *parameters[1:])), unit


def _add(
    spec: MixtureSpec,
    total: Tensor,
    members: np.ndarray,
    logf: Tensor,
    unit: Tensor | None,
    n_units: Tensor,
) -> Tensor:
    """Add log densities (obs, members) of rows, or of clusters of them, to their units' terms."""
    if unit is not None:
        logf = pt.inc_subtensor(pt.zeros((n_units, len(members)))[unit], logf)
    if len(members) == spec.k:
        return total + logf
    return total + pt.set_subtensor(pt.zeros((n_units, spec.k))[:, members], logf)


def _log_sum_exp(terms: Tensor) -> Tensor:
    """Over the components; with finite gradients where terms are -inf."""
    top = disconnected_grad(pt.max(terms, axis=1, keepdims=True))
    top = pt.switch(pt.eq(top, -np.inf), 0.0, top)
    total = pt.exp(terms - top).sum(axis=1)
    there = pt.gt(total, 0)
    return pt.switch(there, top[:, 0] + pt.log(pt.switch(there, total, 1.0)), -np.inf)
