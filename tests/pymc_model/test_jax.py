"""The graph under JAX, as numpyro and blackjax take it, against NumPy's density."""

import numpy as np
import pytensor
import pytest
from pytensor.graph.replace import clone_replace
from test_model import CASES, MODE, at, some_theta, target
from test_tools import MODELS

from bayesmix.priors import resolve

jax = pytest.importorskip("jax")

KINDS = CASES | {n: MODELS[n] for n in ("competing events", "intervals", "delayed entry")}
FAST = ("nested",)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in KINDS]
)
def test_values_and_gradients(name):
    from pymc.sampling.jax import get_jaxified_graph

    model = KINDS[name]()
    spec, pymc_model = model.spec, model.to_pymc()
    inputs = [rv.type() for rv in pymc_model.free_RVs]
    turned = [
        x
        if (turn := pymc_model.rvs_to_transforms[rv]) is None
        else turn.forward(x, *rv.owner.inputs)
        for rv, x in zip(pymc_model.free_RVs, inputs, strict=True)
    ]
    replace = dict(zip(pymc_model.value_vars, turned, strict=True))
    density = clone_replace(pymc_model.logp(jacobian=False), replace, rebuild_strict=False)
    function = get_jaxified_graph(inputs, [density])
    theta = some_theta(spec, np.random.default_rng(1), name)
    point = [np.asarray(at(model, theta)[rv.name], float) for rv in pymc_model.free_RVs]
    value, slopes = jax.value_and_grad(lambda given: function(*given)[0])(point)
    wanted = target(spec, resolve(spec, model._priors), theta)
    assert float(value) == pytest.approx(wanted, abs=1e-9 * max(1.0, abs(wanted)))
    own = pytensor.function(inputs, pytensor.grad(density, inputs), **MODE)(*point)
    for mine, theirs in zip(own, slopes, strict=True):
        np.testing.assert_allclose(theirs, mine, rtol=1e-7, atol=1e-8)
    start = pymc_model.initial_point()
    theirs = pymc_model.compile_dlogp(mode="JAX")(start)
    np.testing.assert_allclose(
        theirs, pymc_model.compile_dlogp(**MODE)(start), rtol=1e-7, atol=1e-8
    )
