"""The compiled engine of small data against the NumPy engine, and when it is used."""

import gc
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix import kernels
from bayesmix.estimation import maximise as run
from bayesmix.estimation import starts
from bayesmix.estimation.em import Runs, climb, squarem
from bayesmix.likelihood import build_problem, em_pass, fused, log_likelihood
from bayesmix.likelihood import engine as compiled
from bayesmix.likelihood.information import information
from bayesmix.model.fixed import hold
from bayesmix.priors import Penalty, resolve

FAMILIES = ("gaussian", "poisson", "binomial")
# Formula, options; more than a block of rows, so that there are several chunks.
MODELS = {
    "varying": ("~ x1 + x2", {}),
    "one component": ("~ x1", {"k": 1}),
    "fixed": ("~ 1", {"fixed": "~ x1", "k": 2}),
    "nested": ("~ x1", {"nested": [("~ 0", 1), ("~ x2", 2)], "shared": [1, 2]}),
    "concomitant": ("~ x1", {"concomitant": "~ x2 + x3", "shared": "fixed"}),
    "offset and weights": ("~ x1 + offset(x3 / 4)", {"weights": "w"}),
    "labels": ("~ x1", {"labels": "known", "concomitant": "~ x2"}),
    "groups": ("~ x1", {"group": "unit"}),
    "grouped everything": (
        "~ x1 + offset(x3 / 4)",
        {"group": "unit", "weights": "unit_w", "concomitant": "~ unit_z", "fixed": "~ x2"},
    ),
    "long groups": ("~ x1", {"group": "long", "k": 2}),
}


def spec_of(family, name, n=700):
    rng = np.random.default_rng(3)
    data = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    data["w"] = rng.uniform(0.0, 2.0, n).round(1)
    data["trials"] = rng.integers(1, 9, n)
    data["unit"] = rng.integers(0, 90, n)
    data["unit_w"], data["unit_z"] = 0.5 + data.unit % 3, np.sin(data.unit)
    data["long"] = np.where(np.arange(n) < 400, 0, data.unit)
    drawn = pd.Series(["a", "b"]).take(rng.integers(0, 2, n))
    data["known"] = drawn.where(rng.random(n) < 0.2).to_numpy()
    eta = 0.3 + 0.2 * data.x1 + np.where(data.unit % 2, 0.8, -0.8) * data.x2
    data["gaussian"] = eta + 0.7 * rng.normal(size=n)
    data["poisson"] = rng.poisson(np.exp(eta))
    data["binomial"] = rng.binomial(data.trials, 1 / (1 + np.exp(-eta)))
    formula, options = MODELS[name]
    options = {"k": 3, **options}
    shared = options.pop("shared", "varying")
    if family == "gaussian":
        options["dispersion"] = shared
    response = "p(binomial, trials)" if family == "binomial" else family
    return bmx.Mixture(f"{response} {formula}", data, family=family, **options).spec


@pytest.fixture
def both(monkeypatch):
    """Do something with a specification by NumPy, then by the compiled engine."""

    def compare(spec, action, penalty=None):
        results = []
        for setting in ("0", "1"):
            monkeypatch.setenv("BAYESMIX_COMPILE", setting)
            problem = build_problem(spec, penalty=penalty)
            assert compiled.is_usable(problem) == (setting == "1")
            results.append(action(problem))
        return results

    return compare


def some_theta(spec, n=3):
    theta = 0.4 * np.random.default_rng(1).normal(size=(n, spec.layout.size))
    theta[:, list(spec.held)] = list(spec.held.values())
    return theta


def assert_same(ours, theirs, rtol=1e-9):
    for a, b in zip(ours, theirs, strict=True):
        assert_allclose(a, b, rtol=rtol, atol=rtol * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", MODELS)
def test_passes_agree(both, family, name):
    spec = spec_of(family, name)
    theta = some_theta(spec)
    slow, fast = both(spec, lambda problem: em_pass(problem, theta))
    assert_same(fast[:-1], slow[:-1])
    assert fast.squares.keys() == slow.squares.keys()
    for number, squares in slow.squares.items():
        assert_same(fast.squares[number], squares)
    slow, fast = both(spec, lambda problem: information(problem, theta))
    assert_same(fast, slow)
    slow, fast = both(spec, lambda problem: log_likelihood(problem, theta))
    assert_allclose(fast, slow, rtol=1e-12)


def runs_from_memberships(problem):
    drawn = starts.random_memberships(problem, 4, np.random.default_rng(2))
    theta = starts.from_memberships(problem, drawn, 4)
    hard = starts.classify(problem, theta.copy())
    runs = Runs.begin(theta)
    floors = run.collapse_test(problem)
    climb(problem, runs, max_iter=15, tol=1e-4, collapsed=floors)
    status, count, trace = runs.status.copy(), runs.iterations.copy(), np.array(runs.trace)
    first = runs.theta.copy(), runs.loglik.copy(), count, trace
    runs.status[:2] = "running"
    squarem(problem, runs, cycles=3, tol=1e-6, collapsed=floors)
    second = runs.theta, runs.loglik, runs.iterations, np.array(runs.trace)
    return (theta, hard, starts.pooled(problem), *first, *second), (*status, *runs.status)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", MODELS)
def test_runs_agree(both, family, name):
    (slow, before), (fast, after) = both(spec_of(family, name), runs_from_memberships)
    assert_same(fast, slow, rtol=1e-6)
    assert before == after


@pytest.mark.parametrize(
    "fixed", [{(1, "x1"): 0.3}, {(2, "sigma"): 0.5, (1, "Intercept"): 0.0}], ids=["x1", "sigma"]
)
def test_held_parameters_stay(both, fixed):
    spec = hold(spec_of("gaussian", "varying"), fixed)
    (slow, _), (fast, _) = both(spec, runs_from_memberships)
    # The logit of a component that has vanished is rounding; below -30 it is gone in both.
    size = spec.layout.size

    def clipped(run):
        return [np.maximum(x, -30) if np.shape(x)[1:] == (size,) else x for x in run]

    assert_same(clipped(fast), clipped(slow), rtol=1e-6)


def test_held_weights_go_through_numpy(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    spec = hold(spec_of("poisson", "varying"), {(1, "weight"): 0.3})
    assert not compiled.is_usable(build_problem(spec))


def test_given_memberships(both):
    spec = spec_of("binomial", "grouped everything")
    matrix = np.random.default_rng(0).dirichlet([1, 1, 1], spec.rows.n_units)
    slow, fast = both(spec, lambda problem: run.start_from(problem, matrix))
    assert_allclose(fast, slow, rtol=1e-8, atol=1e-8)


def test_starts_in_several_parts(both, monkeypatch):
    monkeypatch.setattr(starts, "MOST", 1)
    (slow, _), (fast, _) = both(spec_of("poisson", "concomitant"), runs_from_memberships)
    assert_same(fast, slow, rtol=1e-6)


def test_priors_are_added_to_compiled_passes(both):
    spec = spec_of("gaussian", "concomitant")
    penalty = Penalty(resolve(spec, None), jacobian=False)
    theta = some_theta(spec)
    slow, fast = both(spec, lambda problem: information(problem, theta), penalty)
    assert_same(fast, slow)
    slow, fast = both(spec, lambda problem: run.maximise(problem, theta, run.Options()), penalty)
    assert fast.loglik.max() == pytest.approx(slow.loglik.max(), abs=1e-6)


def test_a_collapse_is_seen(both):
    data = pd.DataFrame({"y": np.repeat([0.0, 1.0, 5.0], 10)})
    spec = bmx.Mixture("y ~ 1", data, k=3).spec

    def ends(problem):
        theta = run.make_starts(problem, 6, np.random.default_rng(1))
        return run.maximise(problem, theta, run.Options())

    slow, fast = both(spec, ends)
    assert set(fast.status) == set(slow.status) == {"degenerate"}


def test_a_lost_component_is_seen(both):
    spec = spec_of("poisson", "varying")
    theta = some_theta(spec)
    theta[0, spec.layout.alpha[2, 0]] = -60.0

    def ends(problem):
        runs = Runs.begin(theta)
        climb(problem, runs, max_iter=5, tol=1e-9, collapsed=run.collapse_test(problem))
        return tuple(runs.status), runs.iterations

    (slow, count), (fast, other) = both(spec, ends)
    assert fast == slow
    assert fast[0] == "degenerate"
    assert_allclose(other, count)


def test_impossible_units(both):
    data = pd.DataFrame({"y": [0.0, 3.0, 1.0, 2.0], "x": [0.0, 1e3, 1.0, 2.0]})
    spec = bmx.Mixture("y ~ x", data, family="poisson", k=2).spec
    theta = np.array([[0.0, 1.0, 0.0, 0.9, 0.0]])
    slow, fast = both(spec, lambda problem: log_likelihood(problem, theta))
    assert slow[0] == fast[0] == -np.inf


@pytest.mark.parametrize(
    "name",
    ["nregfix_nested", "betablocker_fix_k3", "patent_varying_k3", "tribolium_k2", "salmonella_k2"],
)
def test_fits_do_not_depend_on_the_engine(monkeypatch, name):
    model = flexmix_models(bmx)[name]
    fits = []
    for setting in ("0", "1"):
        monkeypatch.setenv("BAYESMIX_COMPILE", setting)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits.append(model.fit("em", starts=8, seed=1))
    slow, fast = fits
    assert fast.loglik == pytest.approx(slow.loglik, abs=1e-6)
    assert fast.status == slow.status
    for variable in slow.params.data_vars:
        ours, theirs = fast.params[variable], slow.params[variable]
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4, equal_nan=True)


# --- when it is used ------------------------------------------------------------------------


@pytest.fixture
def policy(monkeypatch):
    """A problem, and a setter of what the policy looks at."""
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    monkeypatch.setattr(compiled, "_ready", set())
    problem = build_problem(spec_of("poisson", "varying", n=100))

    def given(spent=0.0, kept=False, numba=False):
        monkeypatch.setattr(compiled, "_spent", spent)
        monkeypatch.setattr(kernels, "is_compiled", lambda family: kept)
        if numba:
            monkeypatch.setitem(sys.modules, "numba", object())
        else:
            monkeypatch.delitem(sys.modules, "numba", raising=False)
        return compiled.is_wanted(problem)

    return given


@pytest.mark.parametrize(
    ("situation", "wanted"),
    [
        ({}, False),  # a first fit waits for nothing
        ({"kept": True}, False),  # not even for the import of numba
        ({"kept": True, "numba": True}, True),
        ({"numba": True}, False),
        ({"spent": 2.0}, False),
        ({"spent": 2.0, "kept": True}, True),
        ({"spent": 9.0}, True),
    ],
)
def test_policy(policy, situation, wanted):
    assert policy(**situation) is wanted


def test_the_environment_decides(policy, monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    assert policy()
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    assert not policy(spent=100.0, kept=True, numba=True)


def test_kernels_once_loaded_are_used(policy, monkeypatch):
    monkeypatch.setattr(compiled, "_ready", {"poisson"})
    assert policy()


def test_large_grouped_data_compile_at_once(policy, monkeypatch):
    assert not policy()
    monkeypatch.setattr(fused, "LARGE", 1)
    assert policy()


def test_time_of_numpy_is_counted(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    monkeypatch.setattr(compiled, "_spent", 0.0)
    spec = spec_of("poisson", "varying", n=100)
    spec_problem = build_problem(spec)
    run.maximise(spec_problem, some_theta(spec), run.Options())
    before = compiled._spent
    assert before > 0
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    run.maximise(build_problem(spec), some_theta(spec), run.Options())
    assert compiled._spent == before


def test_a_decision_holds_as_long_as_the_problem(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    problem = build_problem(spec_of("poisson", "varying", n=100))
    engine, known = compiled.engine(problem), len(compiled._engines)
    monkeypatch.delenv("BAYESMIX_COMPILE")
    assert compiled.engine(problem) is engine
    assert compiled.runner(problem) is engine
    assert compiled.engine(replace(problem)) is not engine
    del problem
    gc.collect()
    assert len(compiled._engines) < known + 1


@pytest.mark.parametrize(
    "model",
    [
        {"formula": "y ~ 1", "family": "gamma"},
        {"formula": "y ~ 1", "family": ["zero", "poisson"]},
        {"formula": [bmx.Regression("y ~ 1", "poisson"), bmx.Regression("z ~ 1", "poisson")]},
    ],
    ids=["gamma", "zero and poisson", "two responses"],
)
def test_other_models_go_through_numpy(monkeypatch, model):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    data = pd.DataFrame({"y": [1, 2, 3, 4, 1, 2], "z": [3, 1, 2, 3, 1, 1]})
    assert not compiled.is_usable(build_problem(bmx.Mixture(data=data, k=2, **model).spec))


def test_warm_keeps_the_kernels():
    kernels.warm()
    assert all(kernels.is_compiled(family) for family in kernels.FAMILIES.values())
