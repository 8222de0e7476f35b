"""The likelihood of a mixture, and the passes over its rows: the one place."""

from bayesmix.likelihood.densities import (
    by_unit,
    join,
    largest_shift,
    linear_predictors,
    log_densities,
    log_weights,
    offset_of,
    to_rows,
    unit_likelihood,
    weighted_sum,
)
from bayesmix.likelihood.engine import (
    Engine,
    em_pass,
    log_likelihood,
    unit_terms,
    value_and_gradient,
)
from bayesmix.likelihood.passes import (
    Evaluated,
    Pass,
    Squares,
    closed_scale,
    complete_information,
    evaluate,
    finite,
    scatter_alpha,
)
from bayesmix.likelihood.problem import Problem, build_problem

__all__ = [
    "Engine",
    "Evaluated",
    "Pass",
    "Problem",
    "Squares",
    "build_problem",
    "by_unit",
    "closed_scale",
    "complete_information",
    "em_pass",
    "evaluate",
    "finite",
    "join",
    "largest_shift",
    "linear_predictors",
    "log_densities",
    "log_likelihood",
    "log_weights",
    "offset_of",
    "scatter_alpha",
    "to_rows",
    "unit_likelihood",
    "unit_terms",
    "value_and_gradient",
    "weighted_sum",
]
