"""The log density in the coordinates z of a mode: theta = mode + L z, L L' the inverse curvature.

The posterior is then close to standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bayesmix import priors
from bayesmix.likelihood import value_and_gradient
from bayesmix.likelihood.engine import compiled_data, may_compile
from bayesmix.likelihood.problem import Problem
from bayesmix.posterior.mode import Mode
from bayesmix.priors import PriorModel
from bayesmix.sampling.ranges import Opened

if TYPE_CHECKING:
    from bayesmix.kernels import Density, GaussianPrior

# Rough seconds of a gradient, at all and for each row and component, measured on one machine:
# compiled, and through Python.
COMPILED, PYTHON = (1e-6, 1e-8), (1.5e-4, 1e-7)


def compiled_density(problem: Problem, mode: Mode) -> Density | None:
    """The density as compiled code; None where the likelihood or a prior has no kernel.

    The kernel knows priors that are normal in theta and the Dirichlet prior of
    constant weights: all the defaults of the families that it knows.
    """
    model, data = problem.priors, compiled_data(problem)
    if data is None or not _is_native(model):
        return None
    from bayesmix.kernels import Density

    free = np.flatnonzero(problem.spec.free)
    return Density(data, mode.theta, mode.factor, free, _prior(problem, model, mode))


def _is_native(model: PriorModel) -> bool:
    """Whether the kernels know all priors."""
    return model.is_normal and (model.map is None or not model.map.bends)


def gradient_seconds(problem: Problem, model: PriorModel) -> float:
    """What a gradient of the density costs, roughly, on a machine of 2026."""
    native = may_compile(problem) and _is_native(model) and not model.is_sparse
    fixed, each = COMPILED if native else PYTHON
    return fixed + each * problem.n_rows * problem.spec.k


def _prior(problem: Problem, model: PriorModel, mode: Mode) -> GaussianPrior:
    """The priors as a function of z: a quadratic one, and the Dirichlet of the weights."""
    from bayesmix.kernels import GaussianPrior

    spec, theta = problem.spec, mode.theta[None]
    free = np.flatnonzero(spec.free)
    whole = priors.log_prior(spec, model, theta, jacobian=True)
    normal = priors.log_prior(spec, replace(model, concentration=None), theta, jacobian=True)
    value, concentration = float(whole.value[0]), model.concentration or 0.0
    if concentration:
        value -= concentration * float(spec.weights.log_weights(theta, None).sum())
    curvature = normal.curvature[0][np.ix_(free, free)]
    slope = normal.score[0][free] @ mode.factor
    return GaussianPrior(value, slope, mode.factor.T @ curvature @ mode.factor, concentration)


def python_density(
    problem: Problem, mode: Mode
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The density of any model and any prior, as a Python function of z (f,).

    Where priors have ranges, it is the density in coordinates without ends, and so is the mode.
    """
    free, ends = np.flatnonzero(problem.spec.free), Opened.of(problem)
    likelihood = replace(problem, penalty=None)
    of_data = value_and_gradient(likelihood, insist=True)
    of_prior = priors.gradient(problem.spec, ends.model.without_ends)

    def density(z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        opened = mode.theta.copy()
        opened[free] += mode.factor @ z
        theta = ends.theta(opened)
        value, slope = of_data(theta)
        prior, prior_slope = of_prior(theta)
        return value + prior, ends.score(opened, theta, slope + prior_slope) @ mode.factor

    return density


@dataclass(frozen=True)
class Coordinates:
    """Points z (f,) around a mode, theta = mode + L z; without ends, where priors have ranges.

    Those that are `bent` have their own theta and density.
    """

    bent: ClassVar[bool] = False
    problem: Problem
    mode: Mode

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.mode.factor)

    @property
    def centre(self) -> np.ndarray:
        """The mode's coordinates."""
        return np.zeros(self.size)

    def theta(self, z: np.ndarray) -> np.ndarray:
        """Theta (..., D) at points z (..., f)."""
        theta = np.tile(self.mode.theta, (*z.shape[:-1], 1))
        theta[..., self.problem.spec.free] += z @ self.mode.factor.T
        return theta

    @cached_property
    def compiled(self) -> Density | None:
        """The density as compiled code, if there is some."""
        return compiled_density(self.problem, self.mode)

    @cached_property
    def _of_z(self) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        return self.compiled or python_density(self.problem, self.mode)

    def density(self, z: np.ndarray, **_: Any) -> tuple[float, np.ndarray]:
        """Log density of z (f,) and its gradient."""
        return self._of_z(z)
