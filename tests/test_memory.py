"""Memory is asked for before it is taken, and the way out is named."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix._arguments.memory import available_bytes, check_memory

HUGE = 10**13


@pytest.fixture(scope="module")
def spec():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60)})
    return bmx.Mixture("y ~ x", data, k=1)


def test_what_is_free():
    assert 0 < available_bytes() < 2**60
    check_memory(available_bytes() / 2, "half", "nothing")
    with pytest.raises(MemoryError, match=r"twice would take about .* GiB .* are free; do less"):
        check_memory(available_bytes() * 2, "twice", "do less")


def test_large_numbers_are_refused(spec):
    fit = spec.fit("em", starts=1)
    posterior = spec.fit("laplace", draws=20, seed=1)
    for call in (
        lambda: spec.fit("nuts", draws=HUGE),
        lambda: spec.fit("nuts", draws=100, chains=HUGE),
        lambda: spec.fit("nuts", draws=100, thin=HUGE),
        lambda: spec.fit("laplace", draws=HUGE),
        lambda: spec.fit("em", starts=HUGE),
        lambda: fit.bootstrap(n=HUGE),
        lambda: posterior.simulate(draws=HUGE),
        lambda: posterior.to_datatree(predictive=HUGE),
        lambda: spec.sample_prior(draws=HUGE),
    ):
        with pytest.raises(bmx.BayesmixError, match=r"are free; ask for fewer|at most .*use fewer"):
            call()


def test_draws_that_no_machine_holds(spec):
    with pytest.raises(MemoryError, match=r"draws=100000000 would take .* GiB .*ask for fewer"):
        spec.fit("nuts", draws=10**8, chains=1000)


def test_wide_designs_are_refused():
    n = 20_000
    data = pd.DataFrame({"y": np.zeros(n), "a": np.arange(n).astype(str)})
    data["b"] = data["a"].to_numpy()[::-1]
    with pytest.raises(bmx.BayesmixError, match="name fewer products of factors"):
        bmx.Mixture("y ~ C(a):C(b)", data, k=1)
