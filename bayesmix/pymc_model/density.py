r"""The log-likelihood of every unit as a PyTensor graph of theta.

    l_u = w_u log sum_s m_us pi_s(w_u) prod_{i in u} f_s(y_i | x_i)

with the families' own densities.  The data are shared variables, so that a
compiled function serves other data of the same model.  Where a component's
density is zero its gradient is zero as well: PyTensor alone would multiply a
responsibility of zero by an infinite slope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families import Family, Observed
from bayesmix.likelihood.problem import used_columns
from bayesmix.model import BlockRows, MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.pymc_model.theta import shared

__all__ = ["unit_log_likelihood"]

Tensor = Any


def unit_log_likelihood(spec: MixtureSpec) -> tuple[Tensor, Tensor]:
    """The graph from theta to the log-likelihood of each unit.

    Parameters
    ----------
    spec : MixtureSpec

    Returns
    -------
    theta : TensorVariable, shape (D,)
        A placeholder.
    loglik : TensorVariable, shape (U,)

    Raises
    ------
    SpecError
        If a user's density cannot be written with PyTensor variables.
    """
    import pytensor.tensor as pt

    rows = spec.rows
    theta = pt.vector("theta", shape=(spec.layout.size,), dtype="float64")
    # One entry more, which is zero: where a component lacks a coefficient.
    padded = pt.concatenate([theta, pt.zeros(1)])
    log_pi = _log_weights(spec, padded)
    terms = log_pi + _by_unit(spec, padded, "observed")
    if rows.allowed is not None:
        terms = pt.switch(shared(rows.allowed.T, "allowed"), terms, -np.inf)
    loglik = pt.squeeze(_log_sum_exp(terms), axis=0)
    if any(data.entry is not None for data in rows.blocks):
        # A unit is only seen if its times exceed its delayed entries.
        seen = log_pi + _by_unit(spec, padded, "entry")
        loglik = loglik - pt.squeeze(_log_sum_exp(seen), axis=0)
    if rows.weight is not None:
        weight = shared(rows.weight, "unit_weight")
        loglik = weight * pt.switch(pt.gt(weight, 0), loglik, 0.0)
    return theta, loglik


def _by_unit(spec: MixtureSpec, padded: Tensor, what: str) -> Tensor:
    """Sums over responses and rows of log densities, or of log survivals to entries, (S, U)."""
    import pytensor.tensor as pt

    rows = spec.rows
    total = pt.zeros((spec.k, 1))
    for block, data in zip(spec.layout.blocks, rows.blocks, strict=True):
        observed = getattr(data, what)
        if observed is None:
            continue
        logf = _log_densities(block, data, observed, padded)
        if rows.units.grouped:
            zeros = pt.zeros((shared(np.asarray(rows.n_units), "n_units"), spec.k))
            codes = shared(rows.units.codes, "unit_of_row")
            logf = pt.inc_subtensor(zeros[codes], logf.T).T
        total = total + logf
    return total


def _entries(padded: Tensor, index: np.ndarray) -> Tensor:
    """Entries of theta at an index in which -1 stands for zero."""
    from pytensor.tensor import as_tensor

    last = padded.type.shape[0] - 1
    at = np.where(index >= 0, index, last).ravel()
    return padded[as_tensor(at)].reshape(index.shape)


def _log_sum_exp(terms: Tensor) -> Tensor:
    """Over the first axis, kept; with finite gradients where terms are -inf."""
    import pytensor.tensor as pt
    from pytensor.gradient import disconnected_grad

    top = disconnected_grad(pt.max(terms, axis=0, keepdims=True))
    top = pt.switch(pt.eq(top, -np.inf), 0.0, top)
    total = pt.exp(terms - top).sum(axis=0, keepdims=True)
    there = pt.gt(total, 0)
    return pt.switch(there, top + pt.log(pt.switch(there, total, 1.0)), -np.inf)


def _log_weights(spec: MixtureSpec, padded: Tensor) -> Tensor:
    """Log weights (S, 1) or (S, U), as `WeightModel.log_weights`."""
    import pytensor.tensor as pt

    eta = _entries(padded, spec.weights.index)
    if spec.rows.concomitant is not None:
        eta = eta @ shared(spec.rows.concomitant, "concomitant").T
    held = spec.weights.held
    if held is None:
        return eta - _log_sum_exp(eta)
    known = np.isfinite(held)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs, rest = np.log(held)[:, None], np.log1p(-np.nansum(held))
    if known.all():
        return pt.as_tensor(logs)
    free = pt.switch(known, -np.inf, eta)
    return pt.switch(known, np.where(known, logs, 0.0), eta - _log_sum_exp(free) + rest)


def _log_densities(
    block: BlockLayout, data: BlockRows, observed: Mapping[str, Observed], padded: Tensor
) -> Tensor:
    """Log densities of the rows in every component, (S, n)."""
    import pytensor.tensor as pt

    parts, order = [], []
    for family, members in block.groups():
        etas = tuple(
            _linear_predictor(block, slot, members, data, padded, first=number == 0)
            for number, slot in enumerate(block.slots[members[0]])
        )
        logf = _log_density(family, observed[block.keys[members[0]]], etas)
        parts.append(logf if etas else logf + pt.zeros((len(members), 1)))
        order += members.tolist()
    joined = parts[0] if len(parts) == 1 else pt.concatenate(parts, axis=0)
    return joined if order == sorted(order) else joined[np.argsort(order)]


def _linear_predictor(
    block: BlockLayout,
    number: int,
    members: np.ndarray,
    data: BlockRows,
    padded: Tensor,
    *,
    first: bool,
) -> Tensor:
    """Linear predictor of a parameter in m components, (m, n), or (m, 1) where constant."""
    import pytensor.tensor as pt

    index, constant = used_columns(block.predictors[number], members, first=first)
    if constant:
        eta = _entries(padded, index)
    elif index.shape[1]:
        eta = _entries(padded, index) @ shared(data.matrix, f"matrix_{block.name}").T
    else:
        eta = pt.zeros((len(members), 1))
    if not first or data.offset is None:
        return eta
    offset = data.offset if data.offset.ndim == 1 else data.offset[members]
    return eta + shared(offset, f"offset_{block.name}")


# --- a family's density --------------------------------------------------------------------


def _log_density(family: Family, obs: Observed, etas: tuple[Tensor, ...]) -> Tensor:
    """Log density (S, n) at etas (S, n) or (S, 1); its gradient is zero where it is -inf."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.compile.builders import OpFromGraph
    from pytensor.gradient import disconnected_type
    from pytensor.graph.replace import clone_replace

    if not etas:
        return shared(np.asarray(family.log_density(obs, ())), f"density_{family.name}")
    inner = [eta.type() for eta in etas]
    value = _symbolic(family, obs, inner)
    constants = list({c.signature(): c for c in _data_constants(value)}.values())
    data = [shared(c.data, f"{family.name}_data_{j}") for j, c in enumerate(constants)]
    places = [d.type() for d in data]

    def pullback(inputs: list, outputs: list, slopes: list) -> list:
        """Slopes by row, so that those of rows with density zero can be left out."""
        now, given = inputs[: len(etas)], inputs[len(etas) :]
        wide = [outputs[0].type() for _ in now]
        again = _with_data(_symbolic(family, obs, wide), constants, given)
        gradients = pytensor.grad(
            None, wide, known_grads={again: slopes[0]}, disconnected_inputs="ignore"
        )
        spread = [eta + pt.zeros_like(outputs[0]) for eta in now]
        gradients = clone_replace(gradients, dict(zip(wide, spread, strict=True)))
        dead = pt.eq(outputs[0], -np.inf)
        kept = [pt.switch(dead, 0.0, g) for g in gradients]
        narrow = [
            g.sum(axis=1, keepdims=True) if eta.type.broadcastable[1] else g
            for g, eta in zip(kept, now, strict=True)
        ]
        return [*narrow, *(disconnected_type() for _ in given)]

    body = _with_data(value, constants, places)
    density = OpFromGraph(
        [*inner, *places],
        [body],
        inline=True,
        pullback=pullback,
        connection_pattern=[[True]] * len(etas) + [[False]] * len(places),
        name=f"log_density_{family.name}",
    )
    return density(*etas, *data)


def _symbolic(family: Family, obs: Observed, etas: list) -> Tensor:
    from pytensor.graph.basic import Variable

    reason = "it does not return a PyTensor variable of the responses' shape"
    try:
        value = family.log_density(obs, tuple(etas))
        if isinstance(value, Variable) and value.type.ndim == 2:
            return value
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0]
    msg = (
        f"the density of the family {family.name!r} cannot be part of a PyMC model: {reason}; "
        "write it with the functions of bayesmix.arrays (log, exp, gammaln, where, ...)"
    )
    raise SpecError(msg)


def _data_constants(value: Tensor) -> list:
    """The arrays in a graph: responses, and what was computed from them."""
    from pytensor.graph.basic import Constant
    from pytensor.graph.traversal import graph_inputs

    found = (v for v in graph_inputs([value]) if isinstance(v, Constant))
    return [c for c in found if np.size(c.data) > 1]


def _with_data(value: Tensor, constants: list, data: list) -> Tensor:
    """The graph with variables in the place of its data."""
    from pytensor.graph.replace import clone_replace

    by_value = {c.signature(): d for c, d in zip(constants, data, strict=True)}
    replace = {c: by_value[c.signature()] for c in _data_constants(value)}
    # Their lengths are not part of the graph, as those of the constants are.
    return clone_replace([value], replace, rebuild_strict=False)[0]
