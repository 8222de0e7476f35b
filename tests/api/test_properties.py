"""What is true of every model: properties of the likelihood at given parameters."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesmix as bmx

RESPONSES = {
    "gaussian": lambda rng, mean: rng.normal(mean, 1.0),
    "poisson": lambda rng, mean: rng.poisson(np.exp(0.5 * mean)),
    "gamma": lambda rng, mean: rng.gamma(3.0, np.exp(0.5 * mean) / 3),
    "negative_binomial": lambda rng, mean: rng.negative_binomial(2, 2 / (2 + np.exp(0.5 * mean))),
}
MODELS = st.tuples(st.sampled_from(sorted(RESPONSES)), st.integers(0, 50))
EXAMPLES = settings(max_examples=12, deadline=None, derandomize=True)


def made(family, seed):
    """Data with a weight for each row, a model without them, and parameters."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(12, 30))
    x = rng.normal(size=n)
    mean = np.where(rng.random(n) < 0.5, 1 + x, 2 - x)
    data = pd.DataFrame({"x": x, "y": RESPONSES[family](rng, mean), "w": rng.integers(1, 4, n)})
    data["id"] = rng.permutation(n)
    spec = bmx.Mixture("y ~ x", data, family=family, k=2, concomitant="~ x")
    prior = spec.sample_prior(draws=1, seed=int(rng.integers(100)))["prior"].to_dataset()
    params = prior.isel(chain=0, draw=0, drop=True)
    params["alpha"] = 0.3 * params["alpha"] / (1 + abs(params["alpha"]))  # no weight near zero
    params["coef"] = params["coef"] * 0 + rng.normal(0, 0.5, params["coef"].shape)
    return data, spec, params


def same(one, two):
    assert one == pytest.approx(two, rel=1e-9, abs=1e-9)


@EXAMPLES
@given(MODELS)
def test_the_order_of_rows_does_not_matter(drawn):
    data, spec, params = made(*drawn)
    moved = data.sample(frac=1, random_state=1)
    other = bmx.Mixture("y ~ x", moved, family=drawn[0], k=2, concomitant="~ x")
    same(other.log_likelihood(params), spec.log_likelihood(params))


@EXAMPLES
@given(MODELS)
def test_weights_are_copies(drawn):
    data, _, params = made(*drawn)
    options = {"family": drawn[0], "k": 2, "concomitant": "~ x"}
    weighted = bmx.Mixture("y ~ x", data, weights="w", **options)
    copied = bmx.Mixture("y ~ x", data.loc[data.index.repeat(data["w"])].reset_index(), **options)
    same(weighted.log_likelihood(params), copied.log_likelihood(params))
    assert weighted.n_obs == copied.n_obs


@EXAMPLES
@given(MODELS)
def test_the_order_of_components_does_not_matter(drawn):
    _, spec, params = made(*drawn)
    turned = params.isel(component=[1, 0]).assign_coords(component=params["component"])
    turned["alpha"] = turned["alpha"] - turned["alpha"].isel(component=0, drop=True)
    same(spec.log_likelihood(turned), spec.log_likelihood(params))


@EXAMPLES
@given(MODELS)
def test_groups_of_one_row_are_no_groups(drawn):
    data, spec, params = made(*drawn)
    grouped = bmx.Mixture("y ~ x | id", data, family=drawn[0], k=2, concomitant="~ x")
    same(grouped.log_likelihood(params), spec.log_likelihood(params))


@EXAMPLES
@given(MODELS, st.sampled_from([1e-9, 0.3, 1e6]), st.sampled_from([0.0, -7.0, 1e3]))
def test_units_of_a_covariate_do_not_matter(drawn, unit, origin):
    """The same likelihood where slopes and intercepts are turned as the covariate is."""
    data, spec, params = made(*drawn)
    x = (data["x"] - origin) * unit
    other = bmx.Mixture("y ~ x", data.assign(x=x), family=drawn[0], k=2, concomitant="~ x")
    moved = params.copy(deep=True)
    for name, dim in (("coef", "term"), ("alpha", "concomitant_term")):
        slope = params[name].sel({dim: "x"})
        moved[name].loc[{dim: "x"}] = slope / unit
        moved[name].loc[{dim: "Intercept"}] = params[name].sel({dim: "Intercept"}) + origin * slope
    same(other.log_likelihood(moved), spec.log_likelihood(params))


@EXAMPLES
@given(MODELS)
def test_the_reference_level_does_not_matter(drawn):
    data, _, params = made(*drawn)
    level = np.array(["a", "b", "c"])[data["id"] % 3]
    effect = {"a": 0.0, "b": 0.4, "c": -0.3}
    values = []
    for order in ("abc", "bca"):
        frame = data.assign(f=pd.Categorical(level, list(order)))
        spec = bmx.Mixture("y ~ x + f", frame, family=drawn[0], k=2, concomitant="~ x")
        given = spec.sample_prior(draws=1, seed=1)["prior"].to_dataset().isel(chain=0, draw=0)
        given = given.drop_vars([v for v in given if v not in params]).copy(deep=True)
        for name in params:
            if "term" not in params[name].dims:
                given[name].values[:] = params[name]
        given["coef"].loc[{"term": "x"}] = params["coef"].sel(term="x")
        start = params["coef"].sel(term="Intercept") + effect[order[0]]
        given["coef"].loc[{"term": "Intercept"}] = start
        for other in order[1:]:
            given["coef"].loc[{"term": f"f[{other}]"}] = effect[other] - effect[order[0]]
        values.append(spec.log_likelihood(given))
    same(*values)


@EXAMPLES
@given(MODELS)
def test_what_is_saved_is_what_is_loaded(drawn):
    _, spec, params = made(*drawn)
    with tempfile.TemporaryDirectory() as folder:
        spec.save(Path(folder) / "spec.nc")
        again = bmx.load(Path(folder) / "spec.nc")
    assert again.log_likelihood(params) == spec.log_likelihood(params)
    assert repr(again) == repr(spec)
