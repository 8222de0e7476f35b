"""Draws from the posterior of a mixture, relabelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesmix._arguments.memory import check_memory
from bayesmix.likelihood import build_problem
from bayesmix.likelihood.problem import Problem
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import Layout
from bayesmix.model.params import (
    component_labels,
    derived_variables,
    dispersion_entries,
    parameter_link,
    plain_components,
    plain_name,
    term_dim,
)
from bayesmix.posterior.dataset import dataset
from bayesmix.posterior.diagnostics import Visits, convergence_table, visits
from bayesmix.posterior.mode import Mode
from bayesmix.posterior.pointwise import unit_log_likelihood
from bayesmix.priors import Penalty, PriorModel
from bayesmix.priors.variables import free_variables
from bayesmix.results.fitted import Fitted, standard_problem
from bayesmix.results.tables import natural_values

if TYPE_CHECKING:
    import xarray as xr


BY_DRAW = ("theta", "raw", "log_density")
# What is kept of a sampler's statistics.
STATS = ("diverging", "depth", "n_steps", "energy", "tree_depth", "step_size")


@dataclass(frozen=True)
class Apart:
    """Chains that began at modes for which sharing by mass had no chain.

    They tell whether such a mode is a place of its own and are weighed by stacking, but
    are in no summary: one chain of five would count for 20 percent, whatever its mode's mass.

    Parameters
    ----------
    theta, raw : ndarray, shape (chain, draw, D)
        Relabelled, and as they were drawn.
    log_density : ndarray, shape (chain, draw)
    stats : dict of str to ndarray, each (chain, draw)
    mode : ndarray of int, shape (chain,)
        The mode at which each began.
    """

    theta: np.ndarray
    raw: np.ndarray
    log_density: np.ndarray
    stats: dict[str, np.ndarray]
    mode: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """Posterior draws and how they came about.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    method : str
        "nuts", "laplace", or "stacking" for draws of NUTS weighted by stacking.
    sampler : str
        "nutpie", "pymc", "numpyro", or the proposal of Laplace's method.
    theta : ndarray, shape (chain, draw, D)
        Relabelled.
    raw : ndarray, shape (chain, draw, D)
        As they were drawn.
    log_density : ndarray, shape (chain, draw)
        Of theta, with the Jacobian; constant under relabelling.
    stats : dict of str to ndarray, each (chain, draw)
    modes : tuple of Mode
    chain_mode : ndarray of int, shape (chain,)
        The mode at which a chain began.
    point : Fitted
        The posterior mode as a point fit (natural scale, no Jacobian).
    relabelling : str
        The method that relabelled them.
    khat : float
        Pareto shape of Laplace's importance weights; NaN for NUTS.
    thin : int
        A chain made so many draws for each that is kept.
    asked : dict of str to str
        The options that were given, as Python texts by name.
    apart : Apart, optional
        Chains that are not among these draws.
    beside : tuple of str
        Variables that came with the draws of a PyMC model and the specification's lacks.
    """

    spec: MixtureSpec
    priors: PriorModel
    method: str
    sampler: str
    theta: np.ndarray
    raw: np.ndarray
    log_density: np.ndarray
    stats: dict[str, np.ndarray]
    modes: tuple[Mode, ...]
    chain_mode: np.ndarray
    point: Fitted
    relabelling: str
    khat: float = np.nan
    thin: int = 1
    asked: Mapping[str, str] = field(default_factory=dict)
    apart: Apart | None = None
    beside: tuple[str, ...] = ()

    @cached_property
    def problem(self) -> Problem:
        """The training data arranged for passes, without priors."""
        return build_problem(self.spec)

    @cached_property
    def standard(self) -> Problem:
        """The density that was drawn from, in standard coordinates."""
        return standard_problem(self.spec, Penalty(self.priors, jacobian=True))

    @property
    def flat(self) -> np.ndarray:
        """All draws, (T, D)."""
        return self.theta.reshape(-1, self.theta.shape[-1])

    @cached_property
    def log_likelihood(self) -> np.ndarray:
        """Log-likelihood by unit, (chain, draw, U)."""
        held = 16.0 * len(self.flat) * self.spec.rows.n_units
        what = f"the log-likelihood of {self.spec.rows.n_units} units in {len(self.flat)} draws"
        check_memory(held, what, "ask for fewer draws")
        out = unit_log_likelihood(self.problem, self.flat)
        return out.reshape(*self.theta.shape[:2], -1)

    @cached_property
    def convergence(self) -> pd.DataFrame:
        """R-hat and ESS of every summary row, in the order of theta."""
        return convergence_table(natural_values(self.spec, self.theta))

    @cached_property
    def visits(self) -> Visits:
        """The modes to which chains came."""
        chains = (self.chain_mode, self.theta)
        more = () if self.apart is None else (self.apart.mode, self.apart.theta)
        return visits(self.problem, self.modes, *chains, *more)

    @property
    def own_places(self) -> tuple[int, ...]:
        """Modes that are places of their own: a chain apart began there and stayed."""
        if self.apart is None:
            return ()
        begun = zip(self.apart.mode.tolist(), self.visits.places, strict=True)
        return tuple(mode for mode, place in begun if place >= 0)

    def every(self, most: int) -> Drawn:
        """At most so many draws, or one of each chain, evenly spaced within the chains."""
        step = -(-self.theta.shape[1] // max(1, most // len(self.theta)))
        return self.of_each(lambda values: values[:, ::step])

    def of_each(self, change: Callable[[np.ndarray], np.ndarray], **more: Any) -> Drawn:
        """Draws whose arrays (chain, draw, ...) are all changed in one way."""
        own: dict[str, Any] = {n: change(getattr(self, n)) for n in BY_DRAW}
        return replace(self, stats={n: change(v) for n, v in self.stats.items()}, **own, **more)

    @property
    def whole(self) -> Drawn:
        """All draws, with the chains apart after the others."""
        more = self.apart
        if more is None:
            return self
        own: dict[str, Any] = {
            n: np.concatenate([getattr(self, n), getattr(more, n)]) for n in BY_DRAW
        }
        stats = {n: np.concatenate([v, more.stats[n]]) for n, v in self.stats.items()}
        mode = np.concatenate([self.chain_mode, more.mode])
        return replace(self, stats=stats, chain_mode=mode, apart=None, **own)

    def thinned(self, most: int) -> np.ndarray:
        """At most so many draws, evenly spaced, (T, D)."""
        flat = self.flat
        return flat[:: max(1, -(-len(flat) // most))]


def draws_dataset(spec: MixtureSpec, priors: PriorModel, theta: np.ndarray) -> xr.Dataset:
    """Draws on natural scales, by chain and draw: what the PyMC model has.

    The free variables of that model, and the variables of `fit.params` that derive from them.
    A coefficient that a component lacks is zero, as in the likelihood.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    theta : ndarray, shape (chain, draw, D)
    """
    layout = spec.layout
    lead = ("chain", "draw")
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for block in layout.blocks:
        dim = term_dim(layout, block)
        for predictor in block.linear():
            coords[dim] = list(predictor.terms)
            values = predictor.coefficients(theta)
            variables[predictor.variable] = ((*lead, "component", dim), values)
        for number, predictor in block.constants():
            index = predictor.index[:, 0]
            natural = parameter_link(block, number).inverse(theta[..., np.maximum(index, 0)])
            values = np.where(index >= 0, natural, np.nan)
            variables[predictor.variable] = ((*lead, "component"), values)
    variables |= {n: ((*lead, "component"), x) for n, x in _shown(layout, theta).items()}
    more, labels = derived_variables(spec, theta, *lead)
    variables, coords = variables | more, coords | labels
    known = {plain_name(name) for name in variables}
    for free in free_variables(spec, priors):
        if free.name not in known:
            coords |= dict(zip(free.dims, map(list, free.coords), strict=True))
            variables[free.name] = ((*lead, *free.dims), free.read(theta))
    coords["component"] = component_labels(plain_components(layout.components))
    return dataset(variables, coords)


def _shown(layout: Layout, theta: np.ndarray) -> dict[str, np.ndarray]:
    """What follows from several dispersions together, such as correlations, (..., component)."""
    out: dict[str, np.ndarray] = {}
    for entry in dispersion_entries(layout):
        if entry.several is not None:
            blank = np.full((*theta.shape[:-1], layout.k), np.nan)
            out.setdefault(entry.term, blank)[..., entry.component] = entry.natural(theta)
    return out


def log_prior_dataset(spec: MixtureSpec, priors: PriorModel, theta: np.ndarray) -> xr.Dataset:
    """Log prior density of each free variable, by independent element.

    Parameters
    ----------
    spec : MixtureSpec
    priors : PriorModel
    theta : ndarray, shape (chain, draw, D)
    """
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for free in free_variables(spec, priors):
        density = free.log_prior(theta)
        dims = free.dims[: density.ndim - 2]
        coords |= {d: list(c) for d, c in zip(dims, free.coords, strict=False)}
        variables[free.name] = (("chain", "draw", *dims), density)
    return dataset(variables, coords)
