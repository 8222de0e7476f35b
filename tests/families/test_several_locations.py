"""A family with several predictors: a multinomial logit, against statsmodels and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.errors import SpecError
from bayesmix.likelihood import build_problem
from bayesmix.likelihood.engine import information, value_and_gradient


def log_probability(y, b, c):
    """Three choices 0, 1 and 2 with linear predictors 0, b and c."""
    chosen = xp.where(y == 1, b, 0.0) + xp.where(y == 2, c, 0.0)
    return chosen - xp.log(1.0 + xp.exp(b) + xp.exp(c))


CHOICE = bmx.Family(
    "choice",
    params={"b": "identity", "c": "identity"},
    location=("b", "c"),
    logpdf=log_probability,
    discrete=True,
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    n = 600
    x, who = rng.normal(size=n), rng.integers(0, 2, n)
    b = np.where(who == 0, 1.5 + x, -1.5 - x)
    c = np.where(who == 0, -1.0 - x, 1.0 + 0.5 * x)
    p = np.exp(np.column_stack([np.zeros(n), b, c]))
    p /= p.sum(1, keepdims=True)
    y = (p.cumsum(1) < rng.random((n, 1))).sum(1)
    return pd.DataFrame({"y": y, "x": x, "shift": rng.normal(size=n), "who": who})


def test_one_component_is_a_multinomial_logit(data):
    fit = bmx.Mixture("y ~ x", data, family=CHOICE, k=1).fit("em")
    other = sm.MNLogit(data["y"], sm.add_constant(data["x"])).fit(disp=0)
    assert fit.loglik == pytest.approx(other.llf, abs=1e-7)
    estimates = fit.coefficients()[1].to_numpy().reshape(2, 2).T
    np.testing.assert_allclose(estimates, other.params, atol=1e-5)
    errors = fit.summary()["se"].to_numpy()[:4].reshape(2, 2).T
    np.testing.assert_allclose(errors, other.bse, rtol=1e-4)
    assert list(fit.params.data_vars) == ["coef_b", "coef_c", "weight"]
    assert fit.coefficients().index.tolist() == ["b: Intercept", "b: x", "c: Intercept", "c: x"]


def by_hand(data, params, offset):
    total = 0.0
    for s, weight in enumerate(params["weight"].values):
        eta = [
            params[name].values[s, 0] + params[name].values[s, 1] * data["x"] + offset
            for name in ("coef_b", "coef_c")
        ]
        total = total + weight * np.exp(log_probability(data["y"], *eta))
    return float(np.log(total).sum())


def test_two_components_with_an_offset_that_all_predictors_read(data):
    spec = bmx.Mixture("y ~ x + offset(shift)", data, family=CHOICE, k=2)
    fit = spec.fit("map", seed=1, starts=3)
    assert fit.loglik == pytest.approx(by_hand(data, fit.params, data["shift"]), abs=1e-8)
    assert spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, abs=1e-8)


def test_derivatives_are_those_by_finite_differences(data):
    spec = bmx.Mixture("y ~ x", data, family=CHOICE, k=2, fixed="~ shift").spec
    problem = build_problem(spec)
    theta = np.random.default_rng(0).normal(size=spec.layout.size)
    value, slope = value_and_gradient(problem)(theta)
    info = information(problem, theta[None])
    assert value == pytest.approx(info.loglik[0])
    np.testing.assert_allclose(slope, info.score[0], atol=1e-8)
    for j, along in enumerate(1e-5 * np.eye(len(theta))):
        up, down = (information(problem, (theta + sign * along)[None]) for sign in (1, -1))
        assert (up.loglik - down.loglik)[0] / 2e-5 == pytest.approx(slope[j], abs=1e-4)
        np.testing.assert_allclose(-(up.score - down.score)[0] / 2e-5, info.matrix[0][j], atol=1e-3)


def test_priors_draws_and_the_pymc_model(data):
    spec = bmx.Mixture("y ~ x", data, family=CHOICE, k=2)
    model = spec.to_pymc()
    assert {"coef_b", "coef_c", "weight"} <= {v.name for v in model.free_RVs}
    at_zero = model.compile_logp(vars=model.observed_RVs)(model.initial_point())
    assert at_zero == pytest.approx(-len(data) * np.log(3))
    post = spec.fit("laplace", draws=50, seed=1)
    assert {"coef_b", "coef_c"} <= set(post.data["posterior"].data_vars)


def test_fixed_effects_labels_and_held_coefficients(data):
    spec = bmx.Mixture("y ~ x", data, family=CHOICE, k=2, labels="who")
    fit = spec.fit("em", fixed_params={(0, "coef_b[x]"): 1.0})
    assert fit.params["coef_b"].sel(component=0, term="x") == 1.0
    separate = [
        bmx.Mixture("y ~ x", part, family=CHOICE, k=1).fit("em").coefficients()[1]
        for _, part in data.groupby("who")
    ]
    free = spec.fit("em")
    for name, own in zip((0, 1), separate, strict=True):
        np.testing.assert_allclose(free.coefficients()[name], own, atol=1e-4)


def test_saved_and_loaded(data, tmp_path):
    fit = bmx.Mixture("y ~ x", data, family=CHOICE, k=2, labels="who").fit("em")
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc", families={"choice": CHOICE})
    assert again.loglik == fit.loglik
    pd.testing.assert_frame_equal(again.summary(), fit.summary())


def test_an_unknown_location():
    with pytest.raises(SpecError, match="location='d' is not a parameter"):
        bmx.Family("choice", {"b": "identity"}, ("b", "d"), logpdf=log_probability)
