"""What parameters say of rows in each component: weights, linear predictors, means, densities."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from bayesmix._arguments import shown
from bayesmix.distributions import KINDS
from bayesmix.errors import FitError
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import expected
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout
from bayesmix.results.conditional import one_by_one


class Cell(NamedTuple):
    """One number of a response: of the whole, or one of several, such as a level's probability."""

    response: str
    output: Hashable = ""


def cells_of(block: BlockLayout, what: str) -> list[Cell]:
    """What a response has several numbers of: its family's outputs, or its locations."""
    if what == "link":
        outputs: tuple[Hashable, ...] = tuple(dict.fromkeys(p.of for p in block.locations))
    else:
        outputs = outputs_of(block) or ("",)
    return [Cell(block.name, output) for output in outputs]


def outputs_of(block: BlockLayout) -> tuple[Hashable, ...]:
    """Names of the numbers that a response's mean has; none where it is one number.

    Raises
    ------
    FitError
        If the components' families have different ones.
    """
    found = {family.outputs for family in block.families}
    if len(found) > 1:
        msg = f"the means of {block.name!r} are of different kinds in the components: {found}"
        raise FitError(msg)
    return found.pop()


def mean_scale(block: BlockLayout) -> str:
    """Where intervals of means are symmetric: on the scale of the location's range."""
    if any(f.levels for f in block.families):
        return "logit"
    links = {f.parameters[0].link for f in block.families if f.parameters}
    ranges = {(link.lower, link.upper) for link in links}
    if ranges == {(0.0, 1.0)}:
        return "logit"
    return "log" if ranges == {(0.0, np.inf)} else "identity"


def row_weights(spec: MixtureSpec, theta: np.ndarray, rows: Rows) -> np.ndarray:
    """Weights of the components for every row, (n, S)."""
    pi = np.exp(spec.weights.log_weights(theta, rows.concomitant))
    if pi.shape[1] == 1:
        return np.broadcast_to(pi[:, 0], (rows.n, spec.k))
    return pi.T[rows.units.codes]


def linear_cells(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Linear predictors of the locations, offset included, (cells, n, S).

    NaN without a location, and where covariates are missing with their response.  The first
    threshold between ordered levels is no part of them.
    """
    parts = [str(cell.output) for cell in cells_of(block, "link")]
    eta = np.full((len(parts), len(data.matrix), len(block.families)), np.nan)
    cuts = block.thresholds
    for s in range(len(block.families)):
        for number in block.located(s):
            predictor = block.predictors[number]
            first = 0.0 if cuts is None else predictor.coefficients(theta)[s, cuts.column]
            eta[parts.index(predictor.of), :, s] = _eta(block, data, theta, s, number) - first
    return eta


def linear_predictors(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Linear predictor of the first location, (n, S), as `linear_cells`."""
    return linear_cells(block, data, theta)[0]


def natural(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, s: int
) -> dict[str, np.ndarray]:
    """Natural parameters of component s, those with a design by row (n,), the others numbers."""
    out: dict[str, np.ndarray] = {}
    for parameter, slot in zip(block.families[s].parameters, block.slots[s], strict=True):
        eta = _eta(block, data, theta, s, slot)
        out[parameter.name] = np.asarray(Linked(parameter.link, eta).value)
    return out


def _eta(
    block: BlockLayout, data: BlockRows, theta: np.ndarray, s: int, slot: int
) -> np.ndarray | float:
    """A linear predictor of component s, (n,), or a number where it is constant.

    NaN where covariates are missing with their response.
    """
    predictor = block.predictors[slot]
    own = predictor.coefficients(theta)[s]
    if predictor.constant:
        return own[0]
    eta = data.matrix @ own
    if data.described is not None:
        eta = np.where(data.described, eta, np.nan)
    if data.offset is None or slot not in block.located(s):
        return eta
    return eta + (data.offset if data.offset.ndim == 1 else data.offset[s])


def row_log_densities(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Log densities of the rows' responses in every component, (n, S); zero where missing.

    With random effects, given the earlier rows of the cluster.
    """
    if block.random:
        centre, sd = one_by_one(block, data, theta, linear_predictors(block, data, theta))
        obs = next(iter(data.observed.values()))
        logf: Any = KINDS["normal"].logpdf(obs.y[:, None], mu=centre, sigma=sd)
        return logf if obs.there is None else np.where(obs.there[:, None], logf, 0.0)
    if any(family.whole is not None for family in block.families):
        raise FitError(f"the rows of {block.name!r} have a density together, and none of their own")
    n = len(data.matrix)
    out = np.empty((n, len(block.families)))
    for s, (family, slots) in enumerate(zip(block.families, block.slots, strict=True)):
        etas = tuple(
            np.broadcast_to(_eta(block, data, theta, s, slot), (n,)).copy() for slot in slots
        )
        out[:, s] = family.log_density(data.observed[block.keys[s]], etas)
    return out


def component_means(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Expected responses (n, S); per trial for the binomial.

    Raises
    ------
    FitError
        If the mean is not one number.
    """
    if outputs_of(block):
        name = block.families[0].name
        raise FitError(
            f"the mean of {block.name!r} is not a single number, but has one for each of "
            f"{shown(list(outputs_of(block)))} (family {name!r}); fit.predict() and "
            "bmx.predictions() give them all, plot.profile() draws them"
        )
    return mean_cells(block, data, theta)[0]


def mean_cells(block: BlockLayout, data: BlockRows, theta: np.ndarray) -> np.ndarray:
    """Expected responses (cells, n, S), one cell unless the family has outputs."""
    n = len(data.matrix)
    outputs = len(outputs_of(block))
    out = np.empty((outputs or 1, n, len(block.families)))
    for s, family in enumerate(block.families):
        if family.is_survival:
            out[0, :, s] = expected(family, natural(block, data, theta, s))
            continue
        if family.mean is None:
            msg = f"family {family.name!r} has no mean=; give one to predict or plot its mean"
            raise FitError(msg)
        found = family.mean(**natural(block, data, theta, s))
        out[..., s] = np.moveaxis(found, -1, 0) if outputs else found
    return out


def observed_response(data: BlockRows) -> np.ndarray:
    """The response on the scale of the mean: proportions for the binomial."""
    assert data.response is not None
    trials = data.response.trials
    return data.response.y if trials is None else data.response.y / np.maximum(trials, 1)
