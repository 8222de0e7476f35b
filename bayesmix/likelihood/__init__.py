"""The likelihood of a mixture, and the passes over its rows: the one place."""

from bayesmix.likelihood.densities import (
    largest_shift,
    log_densities,
)
from bayesmix.likelihood.engine import (
    Engine,
    em_pass,
    log_likelihood,
    unit_terms,
    value_and_gradient,
)
from bayesmix.likelihood.passes import (
    Pass,
    Squares,
    closed_scale,
)
from bayesmix.likelihood.problem import Problem, build_problem
