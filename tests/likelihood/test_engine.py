"""The two evaluators of the likelihood against each other, and which one is used."""

import gc
import pickle
import warnings
import weakref
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
from bayesmix.estimation.em import Runs, climb
from bayesmix.likelihood import build_problem, em_pass, log_likelihood, value_and_gradient
from bayesmix.likelihood.engine import LARGE, engine, information
from bayesmix.model.fixed import hold
from bayesmix.model.standard import standardise
from bayesmix.priors import Penalty, resolve

FAMILIES = ("gaussian", "poisson", "binomial")
WAITING = bmx.Family(
    "waiting",
    {"rate": "log"},
    "rate",
    logpdf=lambda y, rate: np.log(rate) - rate * y,
    discrete=True,
)
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


def computes(problem):
    """Whether compiled code does."""
    return engine(problem).compiled


@pytest.fixture
def both(monkeypatch):
    """Do something with a specification by NumPy, then by the compiled engine."""

    def compare(spec, action, penalty=None):
        results = []
        for setting in ("0", "1"):
            monkeypatch.setenv("BAYESMIX_COMPILE", setting)
            # Random effects are computed in standard coordinates only.
            random = any(layout.random for layout in spec.layout.blocks)
            problem = build_problem(standardise(spec) if random else spec, penalty=penalty)
            assert computes(problem) == (setting == "1")
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
    assert_passes_agree(both, spec_of(family, name))


def assert_passes_agree(both, spec, start=0.0, scale=1.0):
    theta = start + scale * some_theta(spec)
    slow, fast = both(spec, lambda problem: em_pass(problem, theta))
    assert_same(fast[:-1], slow[:-1])
    assert fast.squares.keys() == slow.squares.keys()
    for number, squares in slow.squares.items():
        assert_same(fast.squares[number], squares)
    slow, fast = both(spec, lambda problem: information(problem, theta))
    assert_same(fast, slow)
    slow, fast = both(spec, lambda problem: log_likelihood(problem, theta))
    assert_allclose(fast, slow, rtol=1e-12)
    slow, fast = both(spec, lambda problem: value_and_gradient(problem)(theta[0]))
    assert_same(fast, slow)


def other_data(n=700):
    rng = np.random.default_rng(5)
    data = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    eta = 0.3 + 0.2 * data.x1
    data["unit"], data["w"] = rng.integers(0, 90, n), rng.uniform(0.0, 2.0, n).round(1)
    data["unit_w"] = 0.5 + data.unit % 3
    data["trials"] = rng.integers(1, 9, n)
    data["count"] = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n))
    data["zeros"] = np.where(rng.random(n) < 0.3, 0, data["count"])
    data["amount"], data["tail"] = rng.gamma(2.0, np.exp(eta) / 2), eta + rng.standard_t(3, n)
    data["share"], data["sum"] = 1 / (1 + np.exp(-data["tail"])), data.amount * (data.zeros > 0)
    data["hits"] = rng.binomial(data.trials, 1 / (1 + np.exp(-eta)))
    data["yes"], data["no"] = (data.x2 > 0).astype(int), (data.x3 > 0.4).astype(int)
    data["t"], data["s"] = rng.weibull(1.3, n) + 0.2, (rng.random(n) < 0.7).astype(int)
    data["entry"] = np.where(rng.random(n) < 0.4, 0.1, 0.0)
    data["lo"], data["up"] = data.t, data.t + np.where(data.s == 1, 0.0, rng.uniform(0.1, 3.0, n))
    data["event"] = pd.Series(["a", "b"]).take(rng.integers(0, 2, n)).to_numpy()
    data.loc[data.s == 0, "event"] = None
    data["level"] = pd.Series(["u", "v", "w"]).take(rng.integers(0, 3, n)).to_numpy()
    data["grade"] = pd.Categorical.from_codes(rng.integers(0, 4, n), list("abcd"), ordered=True)
    data["kind"] = pd.Series(["f", "g"]).take(rng.integers(0, 2, n)).to_numpy()
    data["gap"] = data.yes.where(rng.random(n) < 0.8)
    return data


OTHER = other_data()
ITEMS = [
    bmx.Regression("yes ~ 1", family="binomial"),
    bmx.Regression("no ~ x1", family="binomial"),
    bmx.Regression("tail ~ x2", family="gaussian", fixed="~ x3"),
    bmx.Regression("amount ~ 1", family="gaussian"),
    bmx.Regression("surv(t, s) ~ x1", family="weibull"),
]
SEVERAL = {
    "gamma": ("amount ~ x1", {"family": "gamma"}),
    "gamma in groups": ("amount ~ x1", {"family": "gamma", "dispersion": "fixed", "group": "unit"}),
    "negative binomial": ("count ~ x1 + offset(x3 / 4)", {"family": "negative_binomial"}),
    "zero-inflated": ("zeros ~ x1", {"family": "zero_inflated_negative_binomial"}),
    "hurdle": ("zeros ~ x1", {"family": ["hurdle_poisson", "hurdle_negative_binomial"]}),
    "amounts with zeros": ("sum ~ x1", {"family": "hurdle_gamma"}),
    "shares": ("share ~ x1", {"family": "beta"}),
    "inverse gaussian": ("amount ~ x1", {"family": "inverse_gaussian"}),
    "student t": ("tail ~ x1", {"family": "student_t", "weights": "w"}),
    "three families": ("zeros ~ x1", {"family": ["zero", "poisson", "negative_binomial"], "k": 3}),
    "three of amounts": ("amount ~ x1", {"family": ["gaussian", "gamma", "student_t"], "k": 3}),
    "amounts by families of times": ("amount ~ x1", {"family": ["lognormal", "weibull"]}),
    "responses": (ITEMS, {"k": 3, "concomitant": "~ x1"}),
    "responses in groups": (ITEMS[:2], {"k": 3, "group": "unit", "weights": "unit_w"}),
    "few rows": ("yes ~ kind", {"family": "binomial", "concomitant": "~ x1"}),
    "items with gaps": (
        bmx.items(["gap", "no", "level"]),
        {"na_action": "fiml"},
    ),
    "levels": ("level ~ x1 + offset(x3 / 4)", {"family": "categorical", "group": "unit"}),
    "grades": ("grade ~ x1", {"family": bmx.family("ordinal", link="cloglog"), "weights": "w"}),
    "random effects": ("tail ~ x1 + (1 + x2 | unit)", {}),
    "proportional effects": (
        "tail ~ x1 + offset(x3 / 4) + (1 + x2 | unit)",
        {"random_covariance": "proportional", "na_action": "fiml"},
    ),
    "times in groups": ("surv(t, s) ~ x1", {"family": "lognormal", "group": "unit"}),
    "intervals": ("surv(lo, up, kind='interval') ~ x1", {"family": ["gompertz", "weibull_ph"]}),
    "entries": ("surv(entry, t, s, kind='counting') ~ x1", {"family": "loglogistic"}),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_passes_of_all_kinds_agree(both, name):
    formula, options = SEVERAL[name]
    spec = bmx.Mixture(formula, OTHER, **{"k": 2, **options}).spec
    assert_passes_agree(both, spec)
    # Whichever parameter is missing, there is no likelihood.
    theta = some_theta(spec, spec.layout.size)
    np.fill_diagonal(theta, np.nan)
    for values in both(spec, lambda problem: log_likelihood(problem, theta)):
        assert not np.isfinite(values).any()


# Of pure noise some fits end on a boundary, which they reach ever more slowly.
@pytest.mark.parametrize(
    "name",
    [n for n in SEVERAL if n not in {"three of amounts", "items with gaps", "random effects"}],
)
def test_fits_of_all_kinds_agree(both, name):
    formula, options = SEVERAL[name]
    spec = bmx.Mixture(formula, OTHER, **{"k": 2, **options}).spec
    # From here no component collapses: how far one gets, and when, is no number to compare.
    matrix = np.random.default_rng(4).dirichlet(np.full(spec.k, 30.0), spec.rows.n_units)

    def best(problem):
        theta = run.start_from(problem, matrix)
        return theta, run.maximise(problem, theta, run.Options(max_iter=200))

    (theta, slow), (other, fast) = both(spec, best)
    assert_allclose(other, theta, rtol=1e-5, atol=1e-5)
    assert_allclose(fast.loglik, slow.loglik, rtol=1e-7)
    assert fast.status.tolist() == slow.status.tolist() != ["degenerate"]


@pytest.mark.parametrize("all_late", [False, True])
@pytest.mark.parametrize("truncation", ["mixture", "component"])
def test_passes_of_competing_events_agree(both, truncation, all_late):
    data = OTHER
    if all_late:  # whole chunks whose rows are late, and may have either event
        data = OTHER.sort_values("s").assign(entry=0.1, s=np.arange(len(OTHER)) >= 300)
        data["event"] = data.event.fillna("a").where(data.s)
    model = bmx.CompetingRisks(
        "surv(entry, t, s, kind='counting') ~ x1",
        data,
        "event",
        {"a": "weibull", "b": "gompertz"},
        ancillary={"a": {"shape": "~ x2"}},
        concomitant="~ x1",
        truncation=truncation,
    )
    assert_passes_agree(both, model.spec)


@pytest.mark.parametrize("link", ["log", "inverse", "identity", "probit", "cloglog"])
@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma", "binomial"])
def test_passes_with_other_links_agree(both, family, link):
    if link not in bmx.family(family).links:
        pytest.skip("no such link")
    response = {"gaussian": "amount", "poisson": "count", "gamma": "amount"}.get(
        family, "p(hits, trials)"
    )
    spec = bmx.Mixture(f"{response} ~ 1", OTHER, bmx.family(family, link=link), k=2).spec
    start = {"log": -1.0, "identity": 0.5}.get(link, 0.8)
    some = np.array(
        [spec.layout.coordinates[j].effect == "varying" for j in range(spec.layout.size)]
    )
    assert_passes_agree(both, spec, start=np.where(some, start, 0.0), scale=0.25)


def runs_from_memberships(problem):
    drawn, _ = starts.random_memberships(problem, 4, np.random.default_rng(2))
    theta = starts.from_memberships(problem, drawn, 4)
    hard = starts.classify(problem, theta.copy())
    runs = Runs.begin(theta)
    floors = run.collapse_test(problem)
    climb(problem, runs, max_iter=15, tol=1e-4, collapsed=floors)
    status, count, trace = runs.status.copy(), runs.iterations.copy(), np.array(runs.trace)
    first = runs.theta.copy(), runs.loglik.copy(), count, trace
    runs.status[:2] = "running"
    climb(problem, runs, max_iter=3, tol=1e-6, collapsed=floors, squared=True)
    second = runs.theta, runs.loglik, runs.iterations, np.array(runs.trace)
    return (theta, hard, starts.pooled(problem), *first, *second), (*status, *runs.status)


def clipped(spec, run):
    """The logit of a component that has vanished is rounding; below -30 it is gone in both."""
    size = spec.layout.size
    return [np.maximum(x, -30) if np.shape(x)[1:] == (size,) else x for x in run]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", MODELS)
def test_runs_agree(both, family, name):
    spec = spec_of(family, name)
    (slow, before), (fast, after) = both(spec, runs_from_memberships)
    assert_same(clipped(spec, fast), clipped(spec, slow), rtol=1e-6)
    assert before == after


@pytest.mark.parametrize(
    "fixed", [{(1, "x1"): 0.1}, {(2, "sigma"): 0.5, (1, "Intercept"): 0.0}], ids=["x1", "sigma"]
)
def test_held_parameters_stay(both, fixed):
    spec = hold(spec_of("gaussian", "varying"), fixed)
    (slow, _), (fast, _) = both(spec, runs_from_memberships)
    assert_same(clipped(spec, fast), clipped(spec, slow), rtol=1e-6)


def test_held_weights_go_through_numpy(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    spec = hold(spec_of("poisson", "varying"), {(1, "weight"): 0.3})
    assert not computes(build_problem(spec))


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


def small():
    return build_problem(spec_of("poisson", "varying", n=100))


@pytest.fixture
def nothing_kept(monkeypatch):
    """A machine whose cache has no kernels."""
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    monkeypatch.setattr(kernels, "are_kept", lambda names: False)


def test_small_data_do_not_wait_for_a_compiler(nothing_kept):
    assert not computes(small())


def test_kernels_that_this_machine_has_are_used(nothing_kept, monkeypatch):
    asked = []
    monkeypatch.setattr(kernels, "are_kept", lambda names: asked.append(set(names)) or True)
    assert computes(small())
    poisson = kernels.kernel_name(bmx.family("poisson").kernel)
    assert asked == [{poisson}]


def test_large_data_are_worth_a_compiler(nothing_kept):
    n = -(-LARGE // 2)
    data = pd.DataFrame({"y": np.arange(n) % 4})
    assert not computes(build_problem(bmx.Mixture("y ~ 1", data[:-1], "poisson", k=2).spec))
    assert computes(build_problem(bmx.Mixture("y ~ 1", data, "poisson", k=2).spec))


def test_the_environment_decides(nothing_kept, monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    assert computes(small())
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    monkeypatch.setattr(kernels, "are_kept", lambda names: True)
    assert not computes(small())


def test_nothing_that_was_done_before_decides(nothing_kept):
    """Not even fits that NumPy has done for a long time."""
    for _ in range(3):
        problem = small()
        run.maximise(problem, some_theta(problem.spec), run.Options())
        assert not computes(problem)


def test_data_are_let_go_without_the_collector(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    problem = build_problem(spec_of("poisson", "varying"))
    seen = weakref.ref(problem)
    gc.disable()
    try:
        log_likelihood(problem, np.zeros((1, problem.spec.layout.size)))
        del problem
        assert seen() is None
    finally:
        gc.enable()


def test_a_decision_holds_as_long_as_the_problem(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    problem = small()
    one = engine(problem)
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    assert engine(problem) is one
    assert not computes(replace(problem))
    assert not computes(pickle.loads(pickle.dumps(problem)))


@pytest.mark.parametrize(
    "model",
    [
        {"formula": "surv(y) ~ 1", "family": "gamma"},
        {"formula": "y ~ 1", "family": ["poisson", WAITING]},
    ],
    ids=["gamma times", "a family of one's own"],
)
def test_other_models_go_through_numpy(monkeypatch, model):
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    data = pd.DataFrame({"y": [1, 2, 3, 4, 1, 2]})
    assert not computes(build_problem(bmx.Mixture(data=data, k=2, **model).spec))


@pytest.mark.filterwarnings("ignore:the fit stopped")
def test_new_units_without_a_time_belong_by_the_weights(monkeypatch):
    """Compiled code then has no observation at all."""
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=60), "t": rng.exponential(size=60)})
    data["d"] = data["t"] < 2.0
    options = {"family": "weibull", "k": 2, "concomitant": "~ x", "na_action": "fiml"}
    spec = bmx.Mixture("surv(t, d) ~ 1", data, **options)
    fit = spec.fit("em", starts=1, seed=1, max_iter=2)
    monkeypatch.setenv("BAYESMIX_COMPILE", "1")
    new = data.iloc[:3].assign(t=np.nan)
    assert_allclose(fit.membership(new), fit.predict(new, what="weight"), rtol=1e-12)


@pytest.mark.slow
def test_warm_keeps_the_kernels():
    kernels.warm()
    assert kernels.are_kept({kernels.kernel_name(bmx.family(name).kernel) for name in FAMILIES})
