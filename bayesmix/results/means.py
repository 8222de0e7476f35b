"""What parameters say of rows in each component: weights, linear predictors, means, densities."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np

from bayesmix._arguments import shown
from bayesmix.distributions import KINDS
from bayesmix.errors import FitError
from bayesmix.families.survival.base import expected, log_survival
from bayesmix.model import BlockRows, MixtureSpec, Rows
from bayesmix.model.layout import BlockLayout
from bayesmix.results.at import At
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


def linear_cells(at: At) -> np.ndarray:
    """Linear predictors of the locations, offset included, (cells, n, S).

    NaN without a location, and where covariates are missing with their response.  The first
    threshold between ordered levels is no part of them.
    """
    block, cuts = at.block, at.block.thresholds
    parts = [str(cell.output) for cell in cells_of(block, "link")]
    eta = np.full((len(parts), *at.shape), np.nan)
    for s in range(len(block.families)):
        for number in block.located(s):
            predictor = block.predictors[number]
            first = 0.0 if cuts is None else predictor.coefficients(at.theta)[s, cuts.column]
            eta[parts.index(predictor.of), :, s] = at.eta(s, number) - first
    return eta


def linear_predictors(at: At) -> np.ndarray:
    """Linear predictor of the first location, (n, S), as `linear_cells`."""
    return linear_cells(at)[0]


def row_log_densities(at: At) -> np.ndarray:
    """Log densities of the rows' responses in every component, (n, S); zero where missing.

    With random effects, given the earlier rows of the cluster.
    """
    block, data = at.block, at.data
    if block.random:
        centre, sd = one_by_one(at, linear_predictors(at))
        obs = next(iter(data.observed.values()))
        logf: Any = KINDS["normal"].logpdf(obs.y[:, None], mu=centre, sigma=sd)
        return logf if obs.there is None else np.where(obs.there[:, None], logf, 0.0)
    if any(family.whole is not None for family in block.families):
        raise FitError(f"the rows of {block.name!r} have a density together, and none of their own")
    out = np.empty(at.shape)
    for s, family, key in at.components():
        etas = (np.broadcast_to(at.eta(s, slot), len(out)).copy() for slot in block.slots[s])
        out[:, s] = family.log_density(data.observed[key], tuple(etas))
    return out


def late_survival(at: At) -> np.ndarray:
    """Log chances (n, S) that delayed entries are reached, where the mixture is truncated.

    A row that continues its unit's history has no late entry of its own.
    """
    out = np.zeros(at.shape)
    for s, family, key in at.components():
        late = None if at.data.entry is None else at.data.entry[key].times
        if late is not None:
            out[:, s] = log_survival(family, late.lower, at.natural(s))
    return out


def component_means(at: At) -> np.ndarray:
    """Expected responses (n, S); per trial for the binomial.

    Raises
    ------
    FitError
        If the mean is not one number.
    """
    if outputs_of(at.block):
        name = at.block.families[0].name
        raise FitError(
            f"the mean of {at.block.name!r} is not a single number, but has one for each of "
            f"{shown(list(outputs_of(at.block)))} (family {name!r}); fit.predict() and "
            "bmx.predictions() give them all, plot.profile() draws them"
        )
    return mean_cells(at)[0]


def mean_cells(at: At) -> np.ndarray:
    """Expected responses (cells, n, S), one cell unless the family has outputs."""
    outputs = len(outputs_of(at.block))
    out = np.empty((outputs or 1, *at.shape))
    for s, family, _ in at.components():
        if family.is_survival:
            out[0, :, s] = expected(family, at.natural(s))
            continue
        if family.mean is None:
            msg = f"family {family.name!r} has no mean=; give one to predict or plot its mean"
            raise FitError(msg)
        found = family.mean(**at.natural(s))
        out[..., s] = np.moveaxis(found, -1, 0) if outputs else found
    return out


def observed_response(data: BlockRows) -> np.ndarray:
    """The response on the scale of the mean: proportions for the binomial."""
    assert data.response is not None
    trials = data.response.trials
    return data.response.y if trials is None else data.response.y / np.maximum(trials, 1)
