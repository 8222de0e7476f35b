r"""Coordinates in which NUTS and Laplace's method move where splines have a standard deviation tau.

The posterior of coefficients x ~ N(0, tau^2) and tau is a funnel.  But given tau it is nearly
normal: with d the information of the data in a direction, its variance is 1 / (d + 1 / tau^2).
So a point is one of the normal approximation at the first tau, whose parts w along x are moved to

.. math:: \rho^2 \hat w + \rho (w - \hat w), \qquad
          \rho^2 = (d + 1 / \hat\tau^2) / (d + 1 / \tau^2) ,

and what goes with x is moved along.  For a normal response and K = 1 the coefficients are then
exactly normal whatever tau; the volume, the product of all rho, is part of the density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bayesmix.distributions import KINDS
from bayesmix.likelihood import log_likelihood
from bayesmix.likelihood.problem import Problem
from bayesmix.model.smooth import smooth_entries
from bayesmix.posterior.mode import Mode
from bayesmix.priors import Penalty, PriorModel
from bayesmix.sampling.density import Coordinates

# Least information of log tau: its standard deviation is two at most.
LEAST = 0.25
TINY = 1e-12
# Of the difference that is the slope of a prior of tau.
STEP = 1e-4


@dataclass(frozen=True)
class Direction:
    """Parts of one spline's coefficients at a mode, each (r,) but for the matrices.

    `rows` (r, f): how the other free parameters move w; `along` (f, r): how w moves them;
    `at` w at the mode, `information` d, and `tau` there.
    """

    rows: np.ndarray
    along: np.ndarray
    at: np.ndarray
    information: np.ndarray
    tau: float

    def ratio(self, log_tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rho (..., r) and the derivative of its logarithm in log tau (...)."""
        precision = np.exp(-2 * np.asarray(log_tau))[..., None]
        total = self.information + precision
        return np.sqrt((self.information + self.tau**-2) / total), precision / total

    @property
    def scale(self) -> float:
        """The standard deviation of log tau at the mode."""
        share = self.ratio(np.log(self.tau))[1]
        return float(1 / np.sqrt(2 * np.square(1 - share).sum() + LEAST))


def with_smooth_entries(problem: Problem, mode: Mode) -> Mode:
    """A mode given every tau as a normal approximation of these too.

    Parameters
    ----------
    problem : Problem
        In which every tau is free.
    mode : Mode
        Found with every tau held.
    """
    taus, others = _places(problem)
    parts = _directions(problem, mode.theta, mode.factor @ mode.factor.T)
    free = np.flatnonzero(problem.spec.free)
    size, split = len(others), np.searchsorted(free, others)
    factor = np.zeros((len(free), len(free)))
    factor[np.ix_(split, np.arange(size))] = mode.factor
    for j, (part, tau) in enumerate(zip(parts, taus, strict=True)):
        share = part.ratio(np.log(part.tau))[1]
        factor[split, size + j] = part.scale * (part.along @ (2 * share * part.at))
        factor[np.searchsorted(free, tau), size + j] = part.scale
    density = float(log_likelihood(problem, mode.theta[None])[0])
    return replace(mode, factor=factor, log_density=density)


def _places(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Entries of theta: every free log tau in the order of their priors, and the others."""
    free = np.flatnonzero(problem.spec.free)
    entries = smooth_entries(problem.spec)
    return entries[np.isin(entries, free)], np.setdiff1d(free, entries)


def _directions(problem: Problem, theta: np.ndarray, covariance: np.ndarray) -> list[Direction]:
    """Of each free tau the directions of its coefficients; `covariance` (f, f) given every tau."""
    model = problem.priors
    place = model.map
    assert place is not None
    taus, others = _places(problem)
    smooths = [s for s in model.smooths if s.tau in taus]
    if not smooths:
        return []
    rows = [place.matrix[np.ix_(s.bent, others)] for s in smooths]
    together = np.vstack(rows)
    spread = together @ covariance @ together.T
    along = np.linalg.solve(spread, together @ covariance).T  # (f, all r)
    x, out, start = place(theta), [], 0
    for s, own in zip(smooths, rows, strict=True):
        part = slice(start, start := start + s.rank)
        tau = float(np.exp(theta[s.tau]))
        variance, turn = np.linalg.eigh(spread[part, part])
        information = np.maximum(1 / np.maximum(variance, TINY * tau**2) - tau**-2, TINY / tau**2)
        out.append(
            Direction(turn.T @ own, along[:, part] @ turn, turn.T @ x[s.bent], information, tau)
        )
    return out


@dataclass(frozen=True)
class SmoothCoordinates(Coordinates):
    """Points z (f + m,) around a mode: the other free parameters, then every free log tau.

    Parameters
    ----------
    problem : Problem
        With the priors and the Jacobian as its penalty.
    mode : Mode
        From `with_smooth_entries`.
    """

    bent = True

    @cached_property
    def _others(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Entries of tau and of the others, and a root (f, f) of the covariance given tau."""
        taus, others = _places(self.problem)
        free = np.flatnonzero(self.problem.spec.free)
        whole = np.linalg.inv(self.mode.factor)
        precision = (whole.T @ whole)[np.ix_(*[np.searchsorted(free, others)] * 2)]
        values, vectors = np.linalg.eigh(precision)
        return taus, others, vectors / np.sqrt(values)

    @cached_property
    def parts(self) -> list[Direction]:
        """The directions of each spline."""
        root = self._others[2]
        return _directions(self.problem, self.mode.theta, root @ root.T)

    @cached_property
    def scale(self) -> np.ndarray:
        """Standard deviations of every log tau, (m,)."""
        return np.array([part.scale for part in self.parts])

    def _log_tau(self, z: np.ndarray) -> np.ndarray:
        """Every log tau (..., m)."""
        first = np.log([part.tau for part in self.parts])
        return np.asarray(first + self.scale * z[..., self.size - len(self.parts) :])

    def theta(self, z: np.ndarray) -> np.ndarray:
        """Theta (..., D) at points z (..., f + m)."""
        taus, others, root = self._others
        step = z[..., : len(others)] @ root.T
        log_tau = self._log_tau(z)
        moved = step.copy()
        for j, part in enumerate(self.parts):
            rho = part.ratio(log_tau[..., j])[0]
            moved += (part.at * (rho**2 - 1) + (rho - 1) * (step @ part.rows.T)) @ part.along.T
        theta = np.tile(self.mode.theta, (*z.shape[:-1], 1))
        theta[..., others] += moved
        theta[..., taus] = log_tau
        return theta

    def log_volume(self, z: np.ndarray) -> np.ndarray:
        """Log volume of theta by that of z, up to a constant, at points (..., f + m)."""
        log_tau = self._log_tau(z)
        logs = [np.log(p.ratio(log_tau[..., j])[0]).sum(-1) for j, p in enumerate(self.parts)]
        return np.asarray(np.sum(logs, axis=0))

    @cached_property
    def _rest(self) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """The density of the other free parameters without the splines' priors, from the mode."""
        taus, others, _ = self._others
        spec = self.problem.spec
        held = {**spec.held, **{int(at): float(self.mode.theta[at]) for at in taus}}
        without = Penalty(_without(self.problem.priors, taus), jacobian=True)
        problem = replace(self.problem, spec=replace(spec, held=held), penalty=without)
        plain = replace(self.mode, factor=np.eye(len(others)))
        return Coordinates(problem, plain).density

    @cached_property
    def _smooths(self) -> list[tuple[np.ndarray, np.ndarray, Any]]:
        """Of each spline x at the mode, its rows in the others, and the prior of tau."""
        model, others = self.problem.priors, self._others[1]
        assert model.map is not None
        x = model.map(self.mode.theta)
        return [
            (x[s.bent], model.map.matrix[np.ix_(s.bent, others)], model.single[s.tau])
            for s in model.smooths
            if s.tau in self._others[0]
        ]

    def density(self, z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        """Log density of z (f + m,) and its gradient.

        Raises
        ------
        NotFiniteError
            Where they are not finite; the sampler counts it as a divergence.
        """
        root = self._others[2]
        f = len(root)
        step, log_tau = root @ z[:f], self._log_tau(z)
        moved, moves = step.copy(), []
        for part, v in zip(self.parts, log_tau, strict=True):
            rho, slope = part.ratio(v)
            w = part.rows @ step
            moved += part.along @ (part.at * (rho**2 - 1) + (rho - 1) * w)
            moves.append((rho, slope, w))
        value, score = self._rest(moved)
        by_tau = np.empty(len(log_tau))
        for j, (at, rows, (prior, link)) in enumerate(self._smooths):
            x, precision = at + rows @ moved, np.exp(-2 * log_tau[j])
            squares = float(x @ x) * precision
            hyper, hyper_slope = _log_hyper(prior, link, log_tau[j])
            value += hyper - len(x) * log_tau[j] - 0.5 * squares
            by_tau[j] = hyper_slope - len(x) + squares
            score = score - rows.T @ (x * precision)
        back = score.copy()
        for j, (part, (rho, slope, w)) in enumerate(zip(self.parts, moves, strict=True)):
            pull = part.along.T @ score
            back += part.rows.T @ ((rho - 1) * pull)
            by_tau[j] += pull @ (slope * (2 * part.at * rho**2 + rho * w)) + slope.sum()
            value += float(np.log(rho).sum())
        return value, np.append(root.T @ back, self.scale * by_tau)


def _log_hyper(prior: Any, link: Any, log_tau: float) -> tuple[float, float]:
    """Log density of log tau and its slope."""
    density = KINDS[prior.kind].logpdf

    def value(at: float) -> float:
        return float(density(link.inverse(np.float64(at)), **prior.parameters)) + at

    return value(log_tau), (value(log_tau + STEP) - value(log_tau - STEP)) / (2 * STEP)


def _without(model: PriorModel, taus: np.ndarray) -> PriorModel:
    """The priors but for those of splines whose tau is free."""
    gone = {int(at) for at in taus} | {
        int(j) for smooth in model.smooths if smooth.tau in taus for j in smooth.bent
    }
    single = {at: given for at, given in model.single.items() if at not in gone}
    kept = tuple(smooth for smooth in model.smooths if smooth.tau not in taus)
    return replace(model, single=single, smooths=kept)
