"""Distributions of PreliZ as priors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesmix.distributions.kinds import KINDS
from bayesmix.distributions.prior import Prior, cut
from bayesmix.errors import SpecError

_PRELIZ = {
    "Normal": "normal",
    "StudentT": "student_t",
    "Laplace": "laplace",
    "TruncatedNormal": "truncated_normal",
    "HalfNormal": "half_normal",
    "HalfStudentT": "half_student_t",
    "HalfCauchy": "half_cauchy",
    "Exponential": "exponential",
    "LogNormal": "lognormal",
    "Gamma": "gamma",
    "InverseGamma": "inverse_gamma",
    "Beta": "beta",
    "Uniform": "uniform",
    "Dirichlet": "dirichlet",
}


def as_prior(given: Any) -> Any:
    """A distribution of PreliZ as a `Prior`; anything else as it is.

    Parameters
    ----------
    given : object

    Raises
    ------
    SpecError
        If the distribution has no parameters yet, or is none of the kinds of `Prior`.
    """
    if not type(given).__module__.startswith("preliz"):
        return given
    name = type(given).__name__
    lower, upper = -np.inf, np.inf
    if name == "Truncated":
        lower, upper, given = float(given.lower), float(given.upper), given.dist
        name = type(given).__name__
    if name not in _PRELIZ:
        msg = f"{given!r} of PreliZ has no counterpart here; use one of {', '.join(_PRELIZ)}"
        raise SpecError(msg)
    kind = _PRELIZ[name]
    names = KINDS[kind].parameters
    values = {n: getattr(given, "alpha" if kind == "dirichlet" else n, None) for n in names}
    if any(v is None for v in values.values()):
        msg = f"the {name} distribution of PreliZ has no parameters yet; give it some, or fit it"
        raise SpecError(msg)
    numbers = {n: _one_number(name, v) for n, v in values.items()}
    if np.isinf([lower, upper]).all():
        return Prior(kind, **numbers)
    if kind not in ("normal", "student_t"):
        msg = f"a truncated {name} of PreliZ is not a prior here; only Normal and StudentT are"
        raise SpecError(msg)
    return cut(kind, {**numbers, "lower": lower, "upper": upper})


def as_priors(given: Any) -> Any:
    """The user's priors by name, distributions of PreliZ as `Prior`; anything else as it is."""
    if not isinstance(given, Mapping):
        return given
    return {name: as_prior(prior) for name, prior in given.items()}


def _one_number(name: str, value: Any) -> float:
    values = np.unique(np.asarray(value, float))
    if len(values) != 1:
        msg = f"{name} of PreliZ has the parameters {values.tolist()}; all components share one"
        raise SpecError(msg)
    return float(values[0])
