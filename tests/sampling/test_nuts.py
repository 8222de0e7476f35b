"""The compiled density beside the likelihood and priors, and nutpie's two ways to it."""

import dataclasses
import logging
import signal
import subprocess
import sys
import threading
from itertools import permutations

import numpy as np
import nutpie
import pandas as pd
import pytest
from nutpie import compile_pymc
from scipy import stats
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix.errors import NotFiniteError
from bayesmix.estimation.modes import modes_among, search
from bayesmix.estimation.starts import shuffled_memberships
from bayesmix.likelihood import build_problem, log_likelihood, unit_terms
from bayesmix.likelihood.arrange import known
from bayesmix.posterior.mode import Mode
from bayesmix.priors import Penalty, resolve
from bayesmix.results.fitted import standard_problem
from bayesmix.sampling import Settings, native, run_nutpie
from bayesmix.sampling import nutpie as run
from bayesmix.sampling.density import compiled_density, python_density

VIGNETTE = flexmix_models(bmx)
RNG = np.random.default_rng(3)
N = 600
D = pd.DataFrame(
    {
        "y": RNG.poisson(4, N),
        "x": RNG.normal(size=N),
        "z": RNG.normal(size=N),
        "w": np.where(RNG.random(N) < 0.1, 0.0, RNG.random(N) + 0.5),
        "unit": np.repeat(np.arange(N // 3), 3),
        "exposure": RNG.random(N) + 0.5,
        "known": np.where(np.arange(N) < 40, np.where(RNG.random(N) < 0.5, "a", "b"), None),
    }
)
CASES = {
    "gaussian, nested, one sigma": lambda: VIGNETTE["nregfix_nested"],
    "gaussian, concomitants": lambda: VIGNETTE["nregfix_varying"],
    "binomial, groups, constant weights": lambda: VIGNETTE["betablocker_fix_k3"],
    "poisson, concomitants": lambda: VIGNETTE["patent_fixed_k3"],
    "one component": lambda: VIGNETTE["betablocker_glm"],
    "weights, offset": lambda: bmx.Mixture(
        "y ~ x + offset(log(exposure))", D, family="poisson", k=2, weights="w"
    ),
    "seven columns, offset": lambda: bmx.Mixture(
        "y ~ x * z + I(x**2) + I(z**2) + I(x**3) + offset(log(exposure))",
        D,
        family="poisson",
        k=3,
    ),
    "two columns, rows beyond a chunk": lambda: bmx.Mixture("x ~ z", D, k=2),
    "no columns": lambda: bmx.Mixture("x ~ 0", D, k=2),
    "labels": lambda: bmx.Mixture("y ~ x", D, family="poisson", k=2, labels="known"),
    "concomitants of groups": lambda: bmx.Mixture(
        "y ~ x | unit", D.assign(z=D["unit"] / 100), family="poisson", k=2, concomitant="~ z"
    ),
}


def posterior_problem(model):
    priors = resolve(model.spec, model._priors)
    return build_problem(model.spec, penalty=Penalty(priors, jacobian=True))


def some_mode(spec, rng):
    """A place and coordinates, which need not be a mode's."""
    f = int(spec.free.sum())
    theta = 0.3 * rng.normal(size=spec.layout.size)
    for at, value in spec.held.items():
        theta[at] = value
    return Mode(theta, 0.0, 0.4 * np.eye(f) + 0.05 * rng.normal(size=(f, f)), 0.0, 1.0)


def check_density(density, problem, mode, rng):
    """Against the log density of other code, and its central differences."""
    free = problem.spec.free

    def expected(z):
        theta = mode.theta.copy()
        theta[free] += mode.factor @ z
        return float(log_likelihood(problem, theta[None])[0])

    h = 1e-5
    for _ in range(3):
        z = rng.normal(size=len(mode.factor))
        value, gradient = density(z)
        assert value == pytest.approx(expected(z), rel=1e-12)
        steps = h * np.eye(len(z))
        slope = [(expected(z + s) - expected(z - s)) / (2 * h) for s in steps]
        assert gradient == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("name", list(CASES))
def test_the_compiled_density_is_that_of_likelihood_and_priors(name, monkeypatch):
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    model, rng = CASES[name](), np.random.default_rng(5)
    problem, mode = posterior_problem(model), some_mode(model.spec, rng)
    density = compiled_density(problem, mode)
    assert density is not None
    check_density(density, problem, mode, rng)


@pytest.mark.parametrize(
    ("formula", "family"), [("y ~ x + (1 + x | unit)", "gaussian"), ("surv(w) ~ x", "weibull_ph")]
)
def test_priors_of_what_a_unit_bends_are_normal_in_standard_coordinates(formula, family):
    data = D.assign(w=100 * (D.w + 0.1), x=D.x + 3)
    spec = bmx.Mixture(formula, data, family=family, k=2).spec
    problem = standard_problem(spec, Penalty(resolve(spec, None), jacobian=True))
    rng = np.random.default_rng(5)
    mode = some_mode(problem.spec, rng)
    check_density(compiled_density(problem, mode), problem, mode, rng)
    check_density(python_density(problem, mode), problem, mode, rng)


def test_rows_that_a_component_cannot_have_made_leave_its_gradient_to_the_prior(monkeypatch):
    """A Poisson mean of exp(800 + 30 x) is beyond all numbers: that component has no row."""
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    model = bmx.Mixture("y ~ x", D, family="poisson", k=2)
    problem, layout = posterior_problem(model), model.spec.layout
    location = layout.blocks[0].predictors[0].index
    theta = np.zeros(layout.size)
    theta[location[0]], theta[location[1]] = (1.0, 0.1), (900.0, 30.0)
    mode = Mode(theta, 0.0, np.eye(layout.size), 0.0, 1.0)
    value, gradient = compiled_density(problem, mode)(np.zeros(layout.size))
    assert value == pytest.approx(float(log_likelihood(problem, theta[None])[0]), rel=1e-12)
    priors = [problem.penalty.model.single[at][0].parameters for at in location[1]]
    # The intercept's prior is of the level at the mean of x.
    level = np.array([[1.0, D["x"].mean()], [0.0, 1.0]])
    pull = level.T @ [
        (p["mu"] - x) / p["sigma"] ** 2
        for p, x in zip(priors, level @ theta[location[1]], strict=True)
    ]
    assert gradient[location[1]] == pytest.approx(pull, rel=1e-9)


def test_the_python_density_is_that_of_likelihood_and_priors(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    model, rng = CASES["gaussian, concomitants"](), np.random.default_rng(5)
    problem, mode = posterior_problem(model), some_mode(model.spec, rng)
    assert compiled_density(problem, mode) is None
    check_density(python_density(problem, mode), problem, mode, rng)


def test_held_parameters_do_not_move(monkeypatch):
    from bayesmix.model.fixed import hold

    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    model, rng = CASES["gaussian, concomitants"](), np.random.default_rng(5)
    spec = hold(model.spec, {(1, "sigma"): 0.7, (2, "x1"): 1.5})
    priors = resolve(spec, None)
    problem = build_problem(spec, penalty=Penalty(priors, jacobian=True))
    mode = some_mode(spec, rng)
    assert len(mode.factor) == spec.layout.size - 2
    check_density(compiled_density(problem, mode), problem, mode, rng)


def test_priors_that_the_kernel_does_not_know_are_left_to_python():
    priors = {"sigma": bmx.Prior("gamma", alpha=2.0, beta=1.0)}
    model = bmx.Mixture("y ~ x1", bmx.load_data("NregFix"), k=2, priors=priors)
    problem = posterior_problem(model)
    mode, rng = some_mode(model.spec, np.random.default_rng(1)), np.random.default_rng(2)
    assert compiled_density(problem, mode) is None
    check_density(python_density(problem, mode), problem, mode, rng)


def test_a_density_that_is_not_finite_is_an_error():
    model = CASES["one component"]()
    problem = posterior_problem(model)
    mode = some_mode(model.spec, np.random.default_rng(1))
    density = compiled_density(problem, mode)
    with pytest.raises(ValueError, match="not finite"):
        density(np.full(len(mode.factor), 1e200))


def test_points_without_a_finite_density_are_divergences_and_do_not_end_a_run():
    """A normal density cut off at three, which steps of the warm-up leave."""
    outside = []

    def density(z, **_):
        if abs(z[0]) > 3:
            outside.append(z[0])
            raise NotFiniteError
        return -0.5 * float(z @ z), -z

    model = run._public_model(1, density, lambda seed: np.full(1, 0.5))
    tree = nutpie.sample(model, draws=200, tune=200, chains=1, cores=1, seed=1, progress_bar=False)
    z = tree["posterior"]["z"].to_numpy()
    assert outside
    assert np.abs(z).max() <= 3
    assert z.std() == pytest.approx(1, abs=0.3)


def test_held_weights_have_no_kernel():
    from bayesmix.model.fixed import hold

    spec = hold(CASES["binomial, groups, constant weights"]().spec, {(1, "weight"): 0.3})
    assert not known(build_problem(spec))


# The two ways to nutpie.


@pytest.fixture(scope="module")
def small():
    model = VIGNETTE["betablocker_fix_k2"]
    problem = posterior_problem(model)
    first = model.fit("map", seed=1, starts=5)
    from bayesmix.model.params import from_dataset

    theta = from_dataset(model.spec, first.params)
    return problem, modes_among(
        problem, search(problem, 0, np.random.default_rng(0), theta[None]), None
    )


SETTINGS = Settings(draws=150, tune=150, chains=2, seed=11, progress=False)


def forget():
    native._difference.cache_clear()
    native._tell.cache_clear()


@pytest.fixture
def fresh():
    forget()
    yield
    forget()


def run_and_count(monkeypatch, problem, modes):
    """Draws, and which class of model nutpie was given."""
    given, sample = [], nutpie.sample

    def watched(model, **options):
        given.append(type(model).__name__)
        return sample(model, **options)

    monkeypatch.setattr(nutpie, "sample", watched)
    return run_nutpie(problem, modes, SETTINGS), given


def test_both_ways_draw_the_same(small, fresh, monkeypatch, caplog):
    problem, modes = small
    fast, used = run_and_count(monkeypatch, problem, modes)
    assert used == ["CompiledPyMCModel"]
    monkeypatch.setattr(run, "native_model", lambda *_: None)
    public, used = run_and_count(monkeypatch, problem, modes)
    assert used[-1] == "PyFuncModel"
    assert fast.theta == pytest.approx(public.theta, rel=1e-8)
    flat = fast.theta.reshape(-1, fast.theta.shape[-1])
    assert fast.log_density.ravel() == pytest.approx(log_likelihood(problem, flat), rel=1e-10)
    assert caplog.records == []


def without_a_field(monkeypatch):
    fields = [(f.name, object) for f in dataclasses.fields(compile_pymc.CompiledPyMCModel)]
    other = dataclasses.make_dataclass("CompiledPyMCModel", [*fields, ("more", object)])
    monkeypatch.setattr(compile_pymc, "CompiledPyMCModel", other)


def other_signature(monkeypatch):
    from numba import types

    monkeypatch.setattr(
        compile_pymc, "_make_c_logp_func", lambda *_: (None, types.int64(types.uint64))
    )


def nothing_there(monkeypatch):
    monkeypatch.delattr(compile_pymc, "CompiledPyMCModel")


def other_constructor(monkeypatch):
    def refuse(self, init_mean):
        raise TypeError("LogpFunc takes 4 arguments")

    monkeypatch.setattr(compile_pymc.CompiledPyMCModel, "_make_model", refuse)


CHANGES = [without_a_field, other_signature, nothing_there, other_constructor]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
def test_another_nutpie_is_used_by_its_public_way(small, fresh, monkeypatch, caplog, change):
    problem, modes = small
    change(monkeypatch)
    with caplog.at_level(logging.INFO, "bayesmix"):
        found, used = run_and_count(monkeypatch, problem, modes)
        run_and_count(monkeypatch, problem, modes)
    assert set(used) == {"PyFuncModel"}
    assert np.isfinite(found.theta).all()
    (record,) = [r for r in caplog.records if "from_pyfunc" in r.message]
    assert record.name == "bayesmix"


@pytest.mark.parametrize("delay", [0.0, 0.3], ids=["while threads begin", "while they run"])
def test_an_interruption_is_not_the_end_of_a_short_run(small, monkeypatch, delay):
    problem, modes = small
    sample = nutpie.sample

    def interrupted(model, **options):
        running = sample(model, **options)
        if delay:
            threading.Timer(delay, signal.raise_signal, [signal.SIGINT]).start()
        else:
            signal.raise_signal(signal.SIGINT)
        return running

    monkeypatch.setattr(nutpie, "sample", interrupted)
    before = signal.getsignal(signal.SIGINT)
    settings = dataclasses.replace(SETTINGS, draws=500_000)
    try:
        found = run_nutpie(problem, modes, settings)
    except KeyboardInterrupt:  # there were no draws yet
        pass
    else:
        assert found.interrupted
        assert 10 <= found.theta.shape[1] < 500_000
    assert signal.getsignal(signal.SIGINT) is before


def test_thinned_draws_are_those_of_a_longer_run(small):
    problem, modes = small
    long = run_nutpie(problem, modes, dataclasses.replace(SETTINGS, draws=300))
    thin = run_nutpie(problem, modes, dataclasses.replace(SETTINGS, draws=100, thin=3))
    assert np.array_equal(thin.theta, long.theta[:, 2::3])
    assert np.array_equal(thin.log_density, long.log_density[:, 2::3])
    assert thin.stats["n_steps"].shape == (2, 100)


def test_rounding_in_the_mode_does_not_change_the_draws(small):
    """Engines find a mode with errors in the last bits."""
    problem, modes = small
    rng, (mode, *_) = np.random.default_rng(4), modes
    noise = [1 + 1e-12 * rng.normal(size=a.shape) for a in (mode.theta, mode.factor)]
    other = dataclasses.replace(mode, theta=mode.theta * noise[0], factor=mode.factor * noise[1])
    assert not np.array_equal(other.theta, mode.theta)
    one, two = (run_nutpie(problem, (m,), SETTINGS) for m in (mode, other))
    assert np.array_equal(one.theta, two.theta)


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_a_posterior_that_is_highest_at_the_end_of_a_range(method):
    """Sigma known, a wide intercept: the slope is a normal variable cut off far out in its tail."""
    rng = np.random.default_rng(1)
    x = rng.normal(30, 2, 50)
    y = 1e6 + x + rng.normal(size=50)
    priors = {
        "coef[Intercept]": bmx.Prior("normal", mu=1e6, sigma=1e6),
        "coef[x]": bmx.Prior("uniform", lower=1.2, upper=3),
    }
    model = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), k=1, priors=priors)
    few = {"draws": 300, "tune": 200, "chains": 1} if method == "nuts" else {}
    post = model.fit(method, seed=1, fixed_params={(1, "sigma"): 1.0}, progress=False, **few)
    slope = post.data["posterior"]["coef"].sel(term="x").to_series()
    spread = np.square(x - x.mean()).sum()
    centre, sd = (x - x.mean()) @ y / spread, spread**-0.5
    exact = stats.truncnorm((1.2 - centre) / sd, (3 - centre) / sd, centre, sd)
    assert slope.between(1.2, 3).all()
    uniform = exact.cdf(slope)  # some hundred draws that are nearly independent
    assert uniform.mean() == pytest.approx(0.5, abs=0.12)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.06)


def test_a_held_parameter_whose_prior_has_a_range():
    """The others' coordinates are found from its value: the intercept is a normal one cut off."""
    rng = np.random.default_rng(1)
    x = rng.normal(100, 10, 50)
    y = 0.3 * x + rng.normal(size=50)
    priors = {
        "coef[Intercept]": bmx.Prior("uniform", lower=0.1, upper=3),
        "coef[x]": bmx.Prior("uniform", lower=0.1, upper=0.5),
    }
    model = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), k=1, priors=priors)
    held = {(1, "x"): 0.3, (1, "sigma"): 1.0}
    post = model.fit("laplace", seed=1, draws=1000, fixed_params=held)
    np.testing.assert_allclose(post.data["posterior"]["coef"].sel(term="x"), 0.3, rtol=1e-14)
    level, sd = (y - 0.3 * x).mean(), 50**-0.5
    exact = stats.truncnorm((0.1 - level) / sd, (3 - level) / sd, level, sd)
    shares = exact.cdf(post.data["posterior"]["coef"].sel(term="Intercept").to_numpy())
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.std() == pytest.approx(12**-0.5, abs=0.03)


def test_places_without_a_finite_density_are_divergences():
    """They end no run: the density of a half normal, which is nothing below -1."""

    def density(z, **_):
        if z[0] < -1:
            msg = "the log density is not finite here"
            raise ValueError(msg)
        return -0.5 * float(z @ z), -z

    made = run._public_model(2, density, lambda _: np.array([0.3, -0.2]))
    tree = nutpie.sample(
        made, draws=300, tune=200, chains=1, cores=1, seed=1, progress_bar=False, save_warmup=False
    )
    z = tree["posterior"]["z"].values
    assert z.shape == (1, 300, 2)
    assert z[..., 0].min() >= -1
    assert tree["sample_stats"]["diverging"].values.any()


# Modes.


def modes_of(name, seed):
    problem, rng = posterior_problem(VIGNETTE[name]), np.random.default_rng(seed)
    return modes_among(problem, search(problem, 100, rng), rng), problem


@pytest.mark.parametrize("seed", [2, 5, 6, 7])
def test_modes_that_random_starts_miss_are_found_from_others(seed):
    """Of a thousand random starts one ended at the second mode, with 38 percent of the mass."""
    modes, problem = modes_of("patent_fixed_k3", seed)
    assert [m.share for m in modes[:2]] == pytest.approx([0.66, 0.33], abs=0.02)
    for mode in modes[:2]:
        steps = 1e-4 * mode.factor.T
        free, theta = problem.spec.free, np.tile(mode.theta, (2, len(steps), 1))
        theta[0][:, free] += steps
        theta[1][:, free] -= steps
        up, down = log_likelihood(problem, theta.reshape(-1, theta.shape[-1])).reshape(2, -1)
        assert np.abs(up - down).max() / 2e-4 < 1e-3
        # In these coordinates the curvature is the identity.
        curved = (up + down - 2 * mode.log_density) / 1e-8
        assert curved == pytest.approx(-np.ones(len(steps)), abs=1e-2)


def test_starts_from_a_mode_merge_two_components_and_split_a_third():
    (mode, *_), problem = modes_of("nregfix_nested", 1)
    before = unit_terms(problem, mode.theta)[1].T
    moved = shuffled_memberships(problem, mode.theta, 6, np.random.default_rng(3)).matrix
    np.testing.assert_allclose(moved.sum(1), 1)
    assert (moved >= 0).all()
    for new in moved:
        both = {}
        for s, t, u in permutations(range(3)):
            merged = np.allclose(new[s], before[s] + before[t])
            if merged and np.allclose(new[t] + new[u], before[u]):
                both[s, t, u] = True
        assert len(both) == 1
    assert len(np.unique(moved.round(6), axis=0)) == len(moved)


# A seed decides.

SAME_SEED = """
import sys, warnings
warnings.simplefilter("ignore")
import bayesmix as bmx

data = bmx.load_data("fabricfault")
model = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2)
if "warm" in sys.argv:
    model.fit("em", seed=1, starts=3)
    model.fit("nuts", seed=1, draws=10, tune=20, chains=1, progress=False)
for method, options in {"laplace": {}, "nuts": {"tune": 50, "chains": 2}}.items():
    found = model.fit(method, seed=4, draws=50, progress=False, **options)
    print(found.data["posterior"]["coef"].values.tobytes().hex())
    print(found.modes["log_density"].to_numpy().tobytes().hex())
used = "matplotlib" in sys.modules
print(used, sys.modules["nutpie.sample"].arviz.from_dict.__name__)
"""


@pytest.mark.slow
def test_what_a_process_did_before_does_not_change_the_draws(monkeypatch):
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    cold, warm = (
        subprocess.run(
            [sys.executable, "-c", SAME_SEED, how], capture_output=True, text=True, check=True
        ).stdout
        for how in ("cold", "warm")
    )
    assert len(cold) > 1000
    assert cold == warm
    # ArviZ's plots stay away until nutpie makes a tree.
    assert cold.splitlines()[-1] == "False from_dict"
