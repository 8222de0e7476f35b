"""A specification as a PyMC model, and the way between its variables and theta."""

from __future__ import annotations

from bayesmix.model.build import to_pymc
from bayesmix.model.observed import to_rows
from bayesmix.model.points import draws_to_theta, initial_point, point

__all__ = ["draws_to_theta", "initial_point", "point", "to_pymc", "to_rows"]
