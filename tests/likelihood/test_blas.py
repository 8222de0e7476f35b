"""Passes by NumPy hold BLAS to one thread, and give back what they found."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import bayesmix as bmx
from bayesmix.likelihood import build_problem, densities
from bayesmix.likelihood.blas import FEW_ROWS, OneThread
from bayesmix.likelihood.engine import engine


def threads():
    """The number of threads of every BLAS in this process."""
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two():
    if not threads():
        pytest.skip("no BLAS whose threads can be counted")
    with threadpool_limits(2, user_api="blas"):
        yield


def test_a_pass_over_many_rows_has_one_thread(monkeypatch):
    y = np.random.default_rng(1).normal(size=(FEW_ROWS, 2))
    spec = bmx.Mixture("mv(a, b) ~ 1", pd.DataFrame(y, columns=["a", "b"]), family="mvnormal").spec
    problem, seen = build_problem(spec), []
    usual = densities.log_likelihood
    monkeypatch.setattr(
        densities, "log_likelihood", lambda *given: (seen.append(threads()), usual(*given))[1]
    )
    engine(problem).log_likelihood(np.zeros((1, spec.layout.size)))
    assert seen == [{1}]
    assert threads() == {2}


def test_blocks_of_work_may_overlap():
    one, other = OneThread(FEW_ROWS), OneThread(FEW_ROWS)
    one.__enter__()
    other.__enter__()
    one.__exit__()
    assert threads() == {1}
    other.__exit__()
    assert threads() == {2}


def test_few_rows_and_errors_leave_the_number_as_it_is():
    with OneThread(FEW_ROWS - 1):
        assert threads() == {2}
    with pytest.raises(ZeroDivisionError), OneThread(FEW_ROWS):
        raise ZeroDivisionError
    assert threads() == {2}
