"""A finished point fit: parameters, log-likelihood and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments import plain
from bayesmix.errors import DataError
from bayesmix.likelihood import Problem, build_problem, unit_terms
from bayesmix.likelihood.blocks import by_block
from bayesmix.likelihood.engine import threads, unit_sums
from bayesmix.model import MixtureSpec
from bayesmix.model.params import permute, to_dataset
from bayesmix.model.standard import standardise
from bayesmix.model.units import Units
from bayesmix.priors import Penalty, log_prior, within
from bayesmix.results.smooths import Bending, bending

if TYPE_CHECKING:
    import xarray as xr


class Ends(NamedTuple):
    """How the starts ended.

    `loglik`, `iterations` and `status`, each (R,), how many agree with the best, and
    with priors the log posterior densities (R,) that were maximised.
    """

    loglik: np.ndarray
    iterations: np.ndarray
    status: np.ndarray
    agreeing: int
    log_posterior: np.ndarray | None = None

    def frame(self) -> pd.DataFrame:
        """The starts as a table; ``attrs["agreeing"]`` counts those at the best."""
        frame = pd.DataFrame(
            {"loglik": self.loglik, "iterations": self.iterations, "status": self.status}
        ).rename_axis("start")
        if self.log_posterior is not None:
            frame.insert(1, "log_posterior", self.log_posterior)
        frame.attrs["agreeing"] = self.agreeing
        return frame


@dataclass(frozen=True)
class Fitted:
    """The numbers of a point fit.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (D,)
        Parameters on their unconstrained scales.
    loglik : float
    method : str
        "em", "cem", "sem", "ml" ...
    status : str
        "converged", "boundary", "degenerate", "spurious", "max_iter" or "reduced".
    iterations : int
        Passes over the rows of the best start.
    ends : Ends
        How every start ended.
    k_requested : int
    trace : ndarray
        Log-likelihoods of the best start after each iteration.
    reasons : tuple of str
        What is wrong, in words; empty for a converged fit.
    penalty : Penalty, or None
        The priors of a posterior mode.
    asked : dict of str to str
        The options that were given to the fit, as Python texts by name.
    """

    spec: MixtureSpec
    theta: np.ndarray
    loglik: float
    method: str
    status: str
    iterations: int
    ends: Ends
    k_requested: int
    trace: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False)
    reasons: tuple[str, ...] = ()
    penalty: Penalty | None = None
    asked: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def problem(self) -> Problem:
        """The training data arranged for passes, with the priors if there are any."""
        return build_problem(self.spec, penalty=self.penalty)

    @cached_property
    def standard(self) -> Problem:
        """The same in standard coordinates."""
        return standard_problem(self.spec, self.penalty)

    @cached_property
    def bending(self) -> Bending:
        """What smooth curves use of their columns."""
        return bending(self.standard, self.standard_theta[None])

    @cached_property
    def df(self) -> float:
        """Free parameters, of smooth curves the effective degrees of freedom."""
        return self.spec.df - float(self.bending.trace.sum()) if self.spec.smooths else self.spec.df

    @property
    def standard_theta(self) -> np.ndarray:
        """Theta in standard coordinates."""
        return self.standard.standard.to_standard(self.theta)

    @cached_property
    def covariances(self) -> dict[str, Any]:
        """Covariances that have been computed, by kind."""
        return {}

    def with_status(self, status: str, reasons: tuple[str, ...]) -> Fitted:
        """The same fit with its status and reasons; what was computed stays."""
        new = replace(self, status=status, reasons=reasons)
        for name in ("problem", "standard", "covariances"):
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name]
        return new

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the fit."""
        return any(reason.startswith("interrupted") for reason in self.reasons)

    @property
    def bare(self) -> Fitted:
        """The same fit without what has been computed, to be sent to another process."""
        return replace(self)

    @property
    def log_prior(self) -> float:
        """Log prior density of the natural parameters; zero without priors."""
        if self.penalty is None:
            return 0.0
        model = replace(self.penalty.model, lean=None)
        return float(log_prior(self.spec, model, self.theta[None]).value[0])

    @cached_property
    def unit_terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Log-likelihood by unit (U,) and memberships (U, S)."""
        return unit_terms(self.problem, self.theta)

    def unit_sums(self, function: Callable[..., Any]) -> tuple[np.ndarray, ...]:
        """Sums over the units: see `likelihood.engine.unit_sums`."""
        if self.spec.rows.stream is None:
            return tuple(map(np.asarray, function(self.problem, *self.unit_terms)))
        return unit_sums(self.problem, self.theta, function)

    @property
    def params(self) -> xr.Dataset:
        """The parameters on natural scales; a new Dataset each time."""
        return to_dataset(self.spec, self.theta)

    @property
    def mixing(self) -> np.ndarray:
        """Mean weights of the components over the units, (S,)."""
        if self.spec.layout.concomitant_terms is None:
            return np.exp(self.spec.weights.log_weights(self.theta, None))[:, 0]
        parts = by_block(self.problem, partial(weight_sums, self.theta), threads(self.problem))
        *sums, total = np.sum(list(parts), axis=0)
        return np.array(sums) / total

    @property
    def aic(self) -> float:
        """-2 log L + 2 df."""
        return -2 * self.loglik + 2 * self.df

    @property
    def bic(self) -> float:
        """-2 log L + df log(rows)."""
        return -2 * self.loglik + self.df * float(np.log(self.spec.n_obs))

    @property
    def bic_units(self) -> float:
        """-2 log L + df log(units)."""
        return -2 * self.loglik + self.df * float(np.log(self.spec.n_units))

    @property
    def icl(self) -> float:
        """BIC - 2 sum over units of log(max membership)."""
        return self.bic - 2 * float(self.unit_sums(_log_top)[0])

    @property
    def sabic(self) -> float:
        """-2 log L + df log((rows + 2) / 24)."""
        return -2 * self.loglik + self.df * float(np.log((self.spec.n_obs + 2) / 24))

    @property
    def caic(self) -> float:
        """-2 log L + df (log(rows) + 1)."""
        return self.bic + self.df

    @property
    def entropy(self) -> float:
        """One less the entropy of the memberships over its largest value; 1 is clear-cut."""
        if self.spec.k == 1:
            return 1.0
        total = float(self.unit_sums(_entropy)[0])
        return 1.0 - total / self.spec.n_units / float(np.log(self.spec.k))

    def reordered(self, order: np.ndarray) -> Fitted:
        """The same fit with its components in another order."""
        return replace(self, theta=permute(self.spec.layout, self.theta, order))


def placed(units: Units, shares: np.ndarray) -> np.ndarray:
    """Memberships (U, S) of new units, each of which some component has to give.

    Raises
    ------
    DataError
        If every component's density of a unit is zero to rounding.
    """
    lost = np.flatnonzero(~(shares.sum(-1) >= 1 - 1e-6))  # NaN too
    if len(lost):
        what = units.name if units.grouped else "row"
        raise DataError(
            f"every component's density is zero to rounding at {len(lost)} of {len(shares)} units, "
            f"such as {what} = {plain(units.index[lost[0]])!r}, so they have no membership; are "
            "their responses in the unit of the model's data? Correct them or leave them out"
        )
    return shares


def _log_top(block: Problem, _: np.ndarray, resp: np.ndarray) -> tuple[float]:
    """The sum over units of log(max membership)."""
    top, w = np.log(resp.max(1)), block.spec.rows.counted
    return (float(top.sum() if w is None else np.where(w > 0, w * top, 0.0).sum()),)


def _entropy(block: Problem, _: np.ndarray, resp: np.ndarray) -> tuple[float]:
    """The sum over units of the entropy of their memberships."""
    each, w = special.entr(resp).sum(1), block.spec.rows.counted
    return (float(each.sum() if w is None else w @ each),)


def weight_sums(theta: np.ndarray, block: Problem) -> np.ndarray:
    """Sums over the units of weights that have covariates, and their number, (S + 1,)."""
    pi = np.exp(block.spec.weights.log_weights(theta, block.concomitant))
    w = np.ones(pi.shape[1]) if block.weight is None else block.weight
    return np.append(pi @ w, w.sum())


def standard_problem(
    spec: MixtureSpec, penalty: Penalty | None = None, n_threads: int | None = None
) -> Problem:
    """The problem of a specification in standard coordinates.

    Parameters
    ----------
    spec : MixtureSpec
        In the user's coordinates.
    penalty : Penalty, optional
        Of the user's theta.
    n_threads : int, optional
        Threads of a pass; None: all processors, one for small data.
    """
    made = standardise(spec)
    assert made.standard is not None
    if penalty is not None:
        penalty = penalty._replace(model=within(penalty.model, made.standard))
    return build_problem(made, penalty=penalty, n_threads=n_threads)


def canonical_order(spec: MixtureSpec, theta: np.ndarray) -> np.ndarray:
    """Interchangeable components by ascending first varying coefficient, then dispersion.

    Returns
    -------
    ndarray of int, shape (S,)
        For each place the component that belongs there.
    """
    layout, values = spec.layout, theta.tolist()
    by_effect: dict[str, list[list[float]]] = {}
    for at in (at for b in layout.blocks for p in b.predictors for at in p.index.T.tolist()):
        effects = {layout.coordinates[j].effect for j in at if j >= 0}
        if len(effects) == 1:
            key = [values[j] if j >= 0 else np.inf for j in at]
            by_effect.setdefault(effects.pop(), []).append(key)
    sorts = [by_effect.get(kind, []) for kind in ("varying", "nested", "dispersion")]
    keys = np.array([*chain(*sorts), -spec.weights.logits(theta)[:, 0]])[::-1]
    order = np.arange(spec.k)
    for members in layout.symmetric:
        at = np.array(members)
        order[at] = at[np.lexsort(keys[:, at])]
    return order
