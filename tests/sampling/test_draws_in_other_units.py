"""Draws do not depend on units of measurement: the same seed gives the same ones."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx

RNG = np.random.default_rng(21)
X = RNG.normal(size=80)
Z = RNG.random(80) < 0.5
ETA = np.where(Z, 1.5 + X, -1.5 - 0.5 * X)
D = pd.DataFrame(
    {"x": X, "y": ETA + 0.5 * RNG.normal(size=80), "t": np.exp(ETA) * RNG.weibull(3, 80), "s": 1}
)


def drawn(data, formula, family, method, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec = bmx.Mixture(formula, data, family=family, k=2, concomitant="~ x")
        return spec.fit(method, seed=3, **options)._drawn


@pytest.mark.parametrize(
    ("formula", "family"),
    [("y ~ x", "gaussian"), ("surv(t, s) ~ x", "weibull_ph"), ("surv(t, s) ~ x", "lognormal")],
)
def test_laplace(formula, family):
    other = D.assign(x=1e9 * (D.x + 1e5), y=1e-6 * D.y, t=1e9 * D.t)
    one, two = (drawn(d, formula, family, "laplace", draws=100) for d in (D, other))
    mean = D.x + 1e5
    for a, b in zip(_levels(one, D.x), _levels(two, 1e9 * mean), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(np.diff(one.log_density), np.diff(two.log_density), atol=1e-6)


def test_nuts():
    """The chain is short: each of its steps multiplies rounding errors, here of log(unit)."""
    other = D.assign(x=2.0**40 * D.x, y=2.0**-20 * D.y)
    options = {"draws": 20, "tune": 60, "chains": 1, "progress": False}
    one, two = (drawn(d, "y ~ x", "gaussian", "nuts", **options) for d in (D, other))
    for a, b in zip(_levels(one, D.x), _levels(two, other.x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def _levels(drawn, x):
    """Log weights and memberships by draw and unit: what has no unit."""
    from bayesmix.likelihood import unit_terms

    design = np.column_stack([np.ones(len(x)), x])
    flat = drawn.raw.reshape(-1, drawn.raw.shape[-1])
    yield drawn.spec.weights.log_weights(flat, design)
    yield np.array([unit_terms(drawn.problem, theta)[1] for theta in flat])
