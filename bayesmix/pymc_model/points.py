"""Between theta and the variables of the PyMC model."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.links import Link
from bayesmix.model import MixtureSpec
from bayesmix.model.data import named_data, names_of
from bayesmix.model.params import parameter_link, plain_name, term_dim
from bayesmix.priors import PriorModel
from bayesmix.priors.variables import free_variables, logit_turn
from bayesmix.results.simulation import simulation_rows

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def initial_point(
    spec: MixtureSpec, priors: PriorModel, theta: np.ndarray
) -> dict[str, np.ndarray]:
    """Natural values of the free variables: `initvals` of `pymc.sample`.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    theta : ndarray, shape (D,)
        For instance the mode.
    """
    return {v.name: np.asarray(v.read(theta), float) for v in free_variables(spec, priors)}


def draws_to_theta(
    spec: MixtureSpec, priors: PriorModel | None, posterior: xr.Dataset
) -> np.ndarray:
    """Draws of theta from draws of the PyMC model.

    The variables of `fit.params` are read where they are there, else the free ones that
    they derive from.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel or None
        They decide which free variables there are.
    posterior : xarray.Dataset
        With the dimensions chain and draw.

    Returns
    -------
    ndarray, shape (chain, draw, D)

    Raises
    ------
    SpecError
        If a variable or dimension is missing, or has another length than the model's.
    """
    missing = [dim for dim in ("chain", "draw") if dim not in posterior.sizes]
    if missing:
        raise SpecError(f"the draws lack the dimensions {missing}; give what pm.sample returns")
    layout = spec.layout
    theta = np.full((posterior.sizes["chain"], posterior.sizes["draw"], layout.size), np.nan)
    for variable in free_variables(spec, priors) if priors is not None else ():
        if variable.name in posterior and variable.kind not in JOINT:
            values = _values(posterior, variable.name, *variable.dims, shape=variable.at.shape)
            theta[..., variable.at] = variable.link.forward(values)
    for block in layout.blocks:
        dim = plain_name(term_dim(layout, block))
        for predictor in block.linear():
            _fill(theta, posterior, predictor.variable, predictor.index, "component", dim)
        for number, predictor in block.constants():
            link = parameter_link(block, number)
            _fill(
                theta, posterior, predictor.variable, predictor.index[:, 0], "component", link=link
            )
    _read_logits(spec, priors, posterior, theta)
    held = list(spec.held)
    theta[..., held] = [spec.held[j] for j in held]
    _complete(spec, theta, posterior)
    return theta


# Variables of several parameters together, which `weight`, `alpha` and `coef` have.
JOINT = ("dirichlet", "zero_sum_normal", "smooth")


def _fill(
    theta: np.ndarray,
    posterior: xr.Dataset,
    variable: str,
    index: np.ndarray,
    *dims: str,
    link: Link | None = None,
) -> None:
    """Put a variable of `fit.params` into theta, where it is there."""
    name, has = plain_name(variable), index >= 0
    if name in posterior and has.any():
        values = _values(posterior, name, *dims, shape=index.shape)[..., has]
        theta[..., index[has]] = values if link is None else link.forward(values)


def _read_logits(
    spec: MixtureSpec, priors: PriorModel | None, posterior: xr.Dataset, theta: np.ndarray
) -> None:
    layout, k = spec.layout, spec.k
    has, terms = layout.alpha >= 0, layout.concomitant_terms
    if terms is not None:
        for name, dims in (
            ("alpha_centred", ("concomitant_term", "component")),
            ("alpha", ("component", "concomitant_term")),
        ):
            if name in posterior:
                shape = (len(terms), k) if name == "alpha_centred" else (k, len(terms))
                alpha = _values(posterior, name, *dims, shape=shape)
                if name == "alpha_centred":
                    turn = np.eye(len(terms)) if priors is None else logit_turn(spec, priors)
                    alpha = np.swapaxes(np.linalg.solve(turn, alpha), -1, -2)
                theta[..., layout.alpha[has]] = (alpha - alpha[..., :1, :])[..., has]
    elif "weight" in posterior and k > 1:
        weight = _values(posterior, "weight", "component", shape=(k,))
        held = spec.weights.held
        # The baseline is the first component whose weight is not held.
        free = np.ones(k, bool) if held is None else np.isnan(held)
        base = int(np.argmax(free))
        with np.errstate(divide="ignore"):
            alpha = (np.log(weight) - np.log(weight[..., base : base + 1]))[..., None]
        theta[..., layout.alpha[has]] = alpha[..., has]


def _values(posterior: xr.Dataset, name: str, *dims: str, shape: tuple[int, ...]) -> np.ndarray:
    found = posterior[name]
    lead = ("chain", "draw")
    if set(found.dims) != {*lead, *dims}:
        msg = f"the draws of {name!r} have the dimensions {found.dims}; wanted are {(*lead, *dims)}"
        raise SpecError(msg)
    values = np.asarray(found.transpose(*lead, *dims).values, dtype=float)
    if values.shape[2:] != shape:
        raise SpecError(
            f"the draws of {name!r} have the shape {values.shape[2:]} by {dims}, but the model has "
            f"{shape}; they are of another specification"
        )
    return values


def _complete(spec: MixtureSpec, theta: np.ndarray, posterior: xr.Dataset) -> None:
    absent = np.isnan(theta).all((0, 1))
    if absent.any():
        names = dict.fromkeys(spec.layout.coordinates[j].variable for j in np.flatnonzero(absent))
        raise SpecError(
            f"the draws lack the variables {list(names)}; they have {list(posterior.data_vars)}. "
            "Draws of a model that spec.to_pymc() made have them all"
        )
    if np.isnan(theta).any():
        raise SpecError("some draws are missing (NaN); leave them out")


def new_data(
    spec: MixtureSpec, newdata: pd.DataFrame | None
) -> tuple[dict[str, np.ndarray], dict[str, tuple[Hashable, ...]]]:
    """What `pymc.set_data` needs to move a model to new rows: values by name, and coords.

    Parameters
    ----------
    spec : MixtureSpec
    newdata : DataFrame, or None for the training data
        Without the response's columns the responses are missing, and their density with them.
    """
    named = named_data(spec)
    if newdata is not None:
        observed = all(column in newdata for column in _response_columns(spec))
        rows = spec.apply(newdata, response=True) if observed else simulation_rows(spec, newdata)
        named = named_data(spec, rows, newdata.index, observed=observed)
    moving = (*MOVING, *(names_of(spec, block)["cluster"] for block in spec.layout.blocks))
    changing = {dim: named.coords[dim] for dim in moving if dim in named.coords}
    return named.values, changing


MOVING = ("obs", "unit", "row_in_unit")


def _response_columns(spec: MixtureSpec) -> list[str]:
    """Columns of the training data that the responses are made of."""
    prepared = spec.prepared
    names = [name for reading in prepared.readings for name in reading.formula.response_names]
    return [name for name in (*names, prepared.events_column) if name in prepared.columns]
