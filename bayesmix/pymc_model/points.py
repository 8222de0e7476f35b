"""Between theta and the random variables of the PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.model.params import dispersion_link, plain_name, term_dim
from bayesmix.pymc_model.variables import variables
from bayesmix.pymc_model.weights import weight_values

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["draws_to_theta", "initial_point", "point"]


def point(spec: MixtureSpec, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Natural values of the random variables, under every name they may have.

    A variable whose terms have priors of different kinds is split by term; both
    the whole and its parts are given.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (D,)

    Returns
    -------
    dict of str to ndarray
    """
    out: dict[str, np.ndarray] = {}
    for whole in variables(spec):
        for one in (whole, *whole.split()):
            out[one.name] = np.asarray(one.link.inverse(theta[one.at]), dtype=float)
    return out | weight_values(spec, theta)


def initial_point(spec: MixtureSpec, model: Any, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Where a sampler of the PyMC model begins: `initvals` of `pymc.sample`.

    Parameters
    ----------
    spec : MixtureSpec
    model : pymc.Model
        What `to_pymc` made of the specification.
    theta : ndarray, shape (D,)
        For instance the mode.

    Returns
    -------
    dict of str to ndarray
        Natural values of the model's free random variables.

    Raises
    ------
    SpecError
        If the model has a random variable that is not of the specification.
    """
    known = point(spec, theta)
    names = [variable.name for variable in model.free_RVs]
    missing = [name for name in names if name not in known]
    if missing:
        msg = (
            f"the PyMC model has the random variables {missing}, which this specification does "
            "not; give initial values of your own variables yourself"
        )
        raise SpecError(msg)
    return {name: known[name] for name in names}


def draws_to_theta(spec: MixtureSpec, posterior: xr.Dataset) -> np.ndarray:
    """Draws of theta from draws of the PyMC model.

    Parameters
    ----------
    spec : MixtureSpec
    posterior : xarray.Dataset
        With the variables of `fit.params` and the dimensions chain and draw.

    Returns
    -------
    ndarray, shape (chain, draw, D)

    Raises
    ------
    SpecError
        If a variable is missing.
    """
    layout = spec.layout
    theta = np.empty((posterior.sizes["chain"], posterior.sizes["draw"], layout.size))
    for block in layout.blocks:
        dim = plain_name(term_dim(layout, block))
        for predictor in block.linear():
            if predictor.terms:
                values = _read(posterior, plain_name(predictor.variable), "component", dim)
                has = predictor.index >= 0
                theta[..., predictor.index[has]] = values[..., has]
        for number, predictor in block.constants():
            has = predictor.index[:, 0] >= 0
            natural = _read(posterior, plain_name(predictor.variable), "component")[..., has]
            link = dispersion_link(block, number)
            theta[..., predictor.index[has, 0]] = link.forward(natural)
    _read_logits(spec, posterior, theta)
    held = list(spec.held)
    theta[..., held] = [spec.held[j] for j in held]
    return theta


def _read_logits(spec: MixtureSpec, posterior: xr.Dataset, theta: np.ndarray) -> None:
    layout = spec.layout
    has = layout.alpha >= 0
    if layout.concomitant_terms is not None:
        alpha = _read(posterior, "alpha", "component", "concomitant_term")
    else:
        weight = _read(posterior, "weight", "component")
        held = spec.weights.held
        # The baseline is the first component whose weight is not held.
        free = np.ones(spec.k, bool) if held is None else np.isnan(held)
        base = int(np.argmax(free))
        with np.errstate(divide="ignore"):
            alpha = (np.log(weight) - np.log(weight[..., base : base + 1]))[..., None]
    theta[..., layout.alpha[has]] = alpha[..., has]


def _read(posterior: xr.Dataset, name: str, *dims: str) -> np.ndarray:
    if name not in posterior:
        msg = f"the draws lack the variable {name!r}; they have {list(posterior.data_vars)}"
        raise SpecError(msg)
    return np.asarray(posterior[name].transpose("chain", "draw", *dims).values, dtype=float)
