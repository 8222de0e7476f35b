"""A specification as a PyMC model, and the way between its variables and theta.

`build.to_pymc` makes the model: `model.data` names the data, `parameters` adds the free variables
and what derives from them, `predictors` the linear predictors and means, `likelihood` sums the
components out, `random` draws responses.  Importing this package does not import PyMC.
"""

from __future__ import annotations

from bayesmix.pymc_model.points import draws_to_theta, initial_point, new_data
