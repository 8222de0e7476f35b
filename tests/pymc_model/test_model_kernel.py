"""The likelihood as an Op: beside the graph and the NumPy likelihood, and where it is refused."""

import cloudpickle
import numpy as np
import pandas as pd
import pytensor
import pytest
from pymc.blocking import DictToArrayBijection
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.posterior.pointwise import unit_log_likelihood
from bayesmix.pymc_model.kernel import kernel_log_likelihood

VIGNETTE = flexmix_models(bmx)
RNG = np.random.default_rng(8)
N = 300
D = pd.DataFrame(
    {
        "y": RNG.poisson(3, N),
        "x": RNG.normal(size=N),
        "w": np.where(RNG.random(N) < 0.2, 0.0, RNG.random(N) + 0.5),
        "unit": RNG.permutation(np.repeat(np.arange(N // 3), 3)),
        "known": np.where(np.arange(N) < 40, np.where(RNG.random(N) < 0.5, "a", "b"), None),
    }
)
CASES = {
    "gaussian, concomitants": lambda: VIGNETTE["nregfix_varying"],
    "gaussian, one sigma": lambda: VIGNETTE["nregfix_nested"],
    "binomial, groups": lambda: VIGNETTE["betablocker_fix_k3"],
    "groups out of order": lambda: bmx.Mixture("y ~ x | unit", D, family="poisson", k=2),
    "weights, some zero": lambda: bmx.Mixture("y ~ x", D, family="poisson", k=2, weights="w"),
    "labels": lambda: bmx.Mixture("y ~ x", D, family="poisson", k=2, labels="known"),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient_of_every_unit(name):
    spec = CASES[name]().spec
    problem, rng = build_problem(spec), np.random.default_rng(2)
    at = 0.3 * rng.normal(size=spec.layout.size)
    weights = rng.normal(size=problem.n_units)
    theta, loglik = kernel_log_likelihood(spec)
    gradient = pytensor.grad((loglik * weights).sum(), theta)
    value, slope = pytensor.function([theta], [loglik, gradient], mode="FAST_COMPILE")(at)
    assert value == pytest.approx(unit_log_likelihood(problem, at[None])[0], rel=1e-12)

    def total(x):
        return float(unit_log_likelihood(problem, x[None])[0] @ weights)

    steps = 1e-5 * np.eye(len(at))
    expected = [(total(at + s) - total(at - s)) / 2e-5 for s in steps]
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max())


def point_of(pymc_model, rng):
    point = DictToArrayBijection.map(pymc_model.initial_point())
    point.data[:] += 0.2 * rng.normal(size=point.data.shape)
    return point


def call_of(pymc_model, mode="FAST_COMPILE"):
    call = pymc_model.logp_dlogp_function(ravel_inputs=True, mode=mode)
    call.set_extra_values({})
    return call


def test_the_models_of_both_likelihoods_have_one_density():
    model = CASES["binomial, groups"]()
    graph, kernel = model.to_pymc(), model.to_pymc(likelihood="kernel")
    point = point_of(graph, np.random.default_rng(1))
    value, slope = call_of(graph)(point)
    own, own_slope = call_of(kernel)(point)
    assert own == pytest.approx(value, rel=1e-12)
    assert own_slope == pytest.approx(slope, rel=1e-8)
    (one,), (other,) = (
        m.compile_fn(m.logp(vars=m.observed_RVs, sum=False), mode="FAST_COMPILE")(m.initial_point())
        for m in (graph, kernel)
    )
    assert one.shape == other.shape == (22,)
    assert other == pytest.approx(one, rel=1e-12)


def test_priors_of_pymc_go_with_it():
    """A prior that bayesmix does not have, on a deterministic function of the parameters."""
    import pymc as pm

    model = CASES["gaussian, one sigma"]()
    with (kernel := model.to_pymc(likelihood="kernel")):
        pm.Potential("tight", -np.e * pm.math.sqr(kernel["sigma"]).sum())
    point = point_of(kernel, np.random.default_rng(1))
    value, slope = call_of(kernel)(point)
    call = call_of(kernel)
    for j in range(len(slope)):
        ends = []
        for sign in (1, -1):
            moved = point._replace(data=point.data.copy())
            moved.data[j] += sign * 1e-5
            ends.append(call(moved)[0])
        assert slope[j] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-4)
    assert np.isfinite(value)


def test_other_processes_get_the_data_anew():
    kernel = CASES["binomial, groups"]().to_pymc(likelihood="kernel")
    copied = cloudpickle.loads(cloudpickle.dumps(kernel))
    at = kernel.initial_point()
    one, two = (m.compile_logp(mode="FAST_COMPILE")(at) for m in (kernel, copied))
    assert one == two


@pytest.mark.slow
def test_numba_calls_the_kernel_itself(recwarn):
    model = CASES["binomial, groups"]()
    kernel = model.to_pymc(likelihood="kernel")
    point = point_of(kernel, np.random.default_rng(1))
    value, slope = call_of(kernel, "NUMBA")(point)
    expected, expected_slope = call_of(kernel)(point)
    assert value == pytest.approx(expected, rel=1e-12)
    assert slope == pytest.approx(expected_slope, rel=1e-10)
    assert not [w for w in recwarn if "object mode" in str(w.message)]


@pytest.mark.slow
def test_pymc_with_nutpie_draws_from_it():
    import nutpie

    model = VIGNETTE["fabricfault_fix_k2"]
    compiled = nutpie.compile_pymc_model(model.to_pymc(likelihood="kernel"))
    tree = nutpie.sample(compiled, draws=500, tune=500, chains=2, seed=1, progress_bar=False)
    slope = tree["posterior"]["coef_fixed"].values
    own = model.fit("nuts", seed=1, progress=False).summary()
    row = own[own["effect"] == "fixed"].iloc[0]
    # Its autocorrelation leaves about a tenth of the draws.
    assert slope.mean() == pytest.approx(row["mean"], abs=5 * row["sd"] / np.sqrt(100))


def test_what_the_kernel_does_not_know_is_refused():
    times = D.assign(t=D["y"] + 0.5)
    model = bmx.Mixture("surv(t) ~ x", times, family="gamma", k=2)
    with pytest.raises(bmx.SpecError, match="likelihood='graph'"):
        model.to_pymc(likelihood="kernel")
    with pytest.raises(bmx.SpecError, match=r"'fast' is unknown.*graph.*kernel"):
        model.to_pymc(likelihood="fast")


def test_the_sum_over_units_is_the_log_likelihood():
    spec = CASES["weights, some zero"]().spec
    theta, loglik = kernel_log_likelihood(spec)
    at = np.full(spec.layout.size, 0.2)
    value = pytensor.function([theta], loglik.sum(), mode="FAST_COMPILE")(at)
    assert value == pytest.approx(log_likelihood(build_problem(spec), at[None])[0], rel=1e-12)
