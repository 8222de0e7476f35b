"""A specification as a PyMC model, and the way between its variables and theta."""

from __future__ import annotations

from bayesmix.pymc_model.build import to_pymc
from bayesmix.pymc_model.observed import to_rows
from bayesmix.pymc_model.points import draws_to_theta, initial_point, point

__all__ = ["draws_to_theta", "initial_point", "point", "to_pymc", "to_rows"]
