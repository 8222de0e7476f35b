"""The compiled pass over survival times beside the families' arrays and the likelihood."""

import mpmath as mp
import numpy as np
import pytest
import survival_models as reference
from times_models import CASES as MODELS
from times_models import D, competing, latent

import bayesmix as bmx
from bayesmix.errors import NotFiniteError
from bayesmix.families import Observed, family
from bayesmix.families.links import Linked
from bayesmix.families.survival.base import COMPILED, LATE, contributions, pieces
from bayesmix.formula.times import Times
from bayesmix.kernels import Density, GaussianPrior
from bayesmix.kernels.record import BLOCK, INFORMATION
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.likelihood.arrange import arrange, known, stacked
from bayesmix.likelihood.gradient import value_and_gradient
from bayesmix.model.fixed import hold
from bayesmix.model.params import from_dataset
from bayesmix.priors import Penalty, resolve
from bayesmix.sampling.density import compiled_density, python_density

KNOWN = ("exponential", "weibull", "weibull_ph", "gompertz", "lognormal", "loglogistic", "cured")
LARGE = np.geomspace(1e-5, 3e4, 40)


# --- one term --------------------------------------------------------------------------------


def bounds(kind, t):
    """Times that are known in one way, up to a number t."""
    lower = {"left": 0.0 * t, "interval": 0.4 * t, "narrow": t * (1 - 2e-6)}.get(kind, t)
    upper = np.full(len(t), np.inf) if kind.endswith("right") else t
    entry = t * np.resize([0.1, 0.9, 1 - 1e-3], len(t))
    return Times(lower, upper, entry if kind in LATE else np.zeros(len(t)))


def compiled_term(name, kind, times, etas):
    """A family's term by the kernel, (q, n): value, slopes, curvatures, minus second ones."""
    from bayesmix.kernels.times import times_callback

    callback, numbers = times_callback(family(name).survival.kernel, kind), stacked(kind, times)
    p = family(name).survival.kernel.parameters
    out = np.full((1 + 2 * p + p * (p + 1) // 2, len(times)), np.nan)
    for a in range(0, len(times), BLOCK):
        given = np.ascontiguousarray(numbers[:, a : a + BLOCK])
        n = given.shape[1]
        eta, block = np.zeros((p, BLOCK)), np.empty((len(out), BLOCK))
        eta[:, :n] = etas[:p, a : a + n]
        addresses = (x.ctypes.data for x in (eta, block))
        callback.ctypes(INFORMATION, 2, n, given.ctypes.data, n, *addresses, p, 0)
        out[:, a : a + n] = block[:, :n]
    return out


def parameters(rng, n):
    """Linear predictors (2, n) from usual ones to far beyond any data."""
    return rng.normal(size=(2, n)) * np.geomspace(0.1, 8.0, n)


TERMS = [
    (name, kind)
    for name in KNOWN
    for kind in (*COMPILED, *(LATE if family(name).survival.kernel.straight else ()))
]


@pytest.mark.parametrize(("name", "kind"), TERMS)
def test_terms_are_those_of_the_arrays(name, kind):
    rng = np.random.default_rng(4)
    t = np.tile(LARGE, 30)
    etas, times, f = parameters(rng, len(t)), bounds(kind, t), family(name)
    assert [k for k, _ in pieces(f.survival, times)] == [kind]
    got = compiled_term(name, kind, times, etas)
    p = len(f.parameters)
    linked = tuple(Linked(q.link, eta) for q, eta in zip(f.parameters, etas, strict=False))
    with np.errstate(all="ignore"):
        value = contributions(f.survival, times, linked)
        d = f.derivatives(Observed(t, None, 0.0, times), tuple(etas[:p]))
    # Below e^-690 the kernel's numbers are zero.
    there = (value > -690.0) if kind in ("left", "interval") else np.isfinite(value)
    assert there.mean() > 0.3 or name == "cured"
    impossible = value == -np.inf
    if (
        kind == "interval"
    ):  # else the difference of the bounds' survival functions is rounded to zero
        impossible &= lower_survival(f, times, linked) == -np.inf
    assert (got[0][impossible] == -np.inf).all()
    size = rounding(f, kind, times, linked, value, d.first, etas)
    there &= size < 1e10
    least = 4e-15 if kind in LATE else 1e-300  # log hazards at an entry and a time near it
    assert (np.abs(got[0][there] - value[there]) <= 1e-13 * size[there] + least).all()
    for mine, theirs in zip(got[1 : 1 + p], d.first, strict=True):
        steep = np.abs(d.first).max(0)
        usable = there & (steep > 1e-290)
        assert usable.mean() > 0.3
        allowed = (1e-9 if kind in LATE else 1e-11) * steep[usable] * np.maximum(1.0, size[usable])
        assert (np.abs(mine[usable] - theirs[usable]) <= allowed).all()
    if p:
        check_second(kind, got, d, there & (size < 1e6))


def check_second(kind, got, d, usable):
    """Second derivatives, as accurate as differences of first ones let them be."""
    p = len(d.first)
    reach = np.abs(d.first).max(0) + np.abs(d.second).max((0, 1))
    usable &= (reach > 1e-290) & (reach < 1e8)
    for place, (i, j) in enumerate([(0, 0), (1, 0), (1, 1)][: p * (p + 1) // 2]):
        with np.errstate(invalid="ignore"):  # infinities beyond what is usable
            error = np.abs(got[1 + 2 * p + place] + d.second[i][j])
        assert (error <= (1e-4 if kind in ("interval", "narrow") else 1e-8) * reach)[usable].all()


def rounding(f, kind, times, linked, value, first, etas):
    """What relative errors of log t and of the linear predictors make of a term, by its slopes."""
    reach = 1 + np.abs(np.log(times.lower if kind.endswith("right") else times.upper))
    size = np.abs(value)
    for slope, eta in zip(first, etas, strict=False):
        size = size + np.abs(slope) * (reach + np.abs(eta))
    if kind != "interval":
        return size
    # The difference of two survival functions has the errors of these.
    lower = lower_survival(f, times, linked)
    with np.errstate(all="ignore"):
        gap = -np.log1p(-np.exp(np.minimum(value - lower, 0.0)))
        error = np.abs(lower) * (reach + np.abs(etas).sum(0)) / gap
    return size + np.nan_to_num(error, nan=0.0)


def lower_survival(f, times, linked):
    """The log survival function at the lower bounds."""
    right = Times(times.lower, np.full(len(times), np.inf), times.entry)
    with np.errstate(all="ignore"):
        return contributions(f.survival, right, linked)


@pytest.mark.parametrize(("name", "kind"), [(n, kind) for n, kind in TERMS if n != "cured"])
def test_terms_in_the_tails_have_no_nan(name, kind):
    """Where the density is not zero, whatever the parameters, derivatives are numbers."""
    grid = np.array([-300.0, -60.0, -20.0, -3.0, -0.5, 0.0, 0.5, 3.0, 20.0, 60.0, 300.0])
    t = np.repeat([1e-200, 1e-30, 1.0, 1e30, 1e60], len(grid) ** 2)
    first, second = (np.tile(v.ravel(), 5) for v in np.meshgrid(grid, grid))
    got = compiled_term(name, kind, bounds(kind, t), np.stack([first, second]))
    assert not np.isnan(got[0]).any()
    assert (got[0] < np.inf).all()
    assert not np.isnan(got[1:3, got[0] > -np.inf]).any()


def test_the_scaled_complementary_error_function():
    """Through the log of the normal distribution function, against mpmath with 50 digits."""
    z = np.concatenate([-np.geomspace(1e-8, 1e8, 60), np.geomspace(1e-8, 37.0, 40)])
    # A lognormal time known to lie below 1 with a mean logarithm of -z.
    times = bounds("left", np.ones(len(z)))
    value, slope = compiled_term("lognormal", "left", times, np.stack([-z, 0 * z]))[:2]
    with mp.workdps(50):
        root = mp.sqrt(2)
        below = [mp.erfc(-mp.mpf(x) / root) / 2 for x in z]
        above = [mp.erfc(mp.mpf(x) / root) / 2 for x in z]
        pairs = zip(below, above, strict=True)
        logs = np.array([float(mp.log(p) if p < q else mp.log1p(-q)) for p, q in pairs])
        density = [mp.exp(-(mp.mpf(x) ** 2) / 2) / mp.sqrt(2 * mp.pi) for x in z]
        mills = np.array([float(f / p) for f, p in zip(density, below, strict=True)])
    # In the upper tail exp(-z^2 / 2) has the error of its exponent.
    allowed = 2e-15 + 2e-16 * np.maximum(z, 0) ** 2
    assert (np.abs(value / logs - 1) < allowed).all()
    assert (np.abs(slope / -mills - 1) < allowed).all()


# --- whole models ----------------------------------------------------------------------------


def plain_density(problem):
    """The compiled log-likelihood of theta with its gradient."""
    size = problem.spec.layout.size
    nothing = GaussianPrior(0.0, np.zeros(size), np.zeros((size, size)))
    data = arrange(problem)
    return Density(data, np.zeros(size), np.eye(size), np.arange(size), nothing)


def check(problem, theta, rel=1e-6):
    """Against the likelihood, its differences, and the gradient through Python."""
    value, gradient = plain_density(problem)(theta)
    assert value == pytest.approx(log_likelihood(problem, theta[None])[0], rel=1e-12)
    expected, slope = value_and_gradient(problem)(theta)
    assert value == pytest.approx(expected, rel=1e-12)
    assert gradient == pytest.approx(slope, rel=1e-9, abs=1e-11 * np.abs(slope).max())
    steps = 1e-5 * np.maximum(1.0, np.abs(theta)) * np.eye(len(theta))
    up, down = log_likelihood(problem, theta + steps), log_likelihood(problem, theta - steps)
    numeric = (up - down) / (2 * steps.diagonal())
    assert gradient == pytest.approx(numeric, rel=rel, abs=rel * np.abs(numeric).max())


NARROW = D.assign(up=np.where(np.arange(len(D)) % 2, D["t"] * (1 + 1e-6), D["up"]))
EXTRA = {
    "narrow intervals": lambda: bmx.Mixture(
        "surv(lo, up, kind='interval') ~ x", NARROW, family=["gompertz", "lognormal"], k=2
    ),
    "an offset": lambda: latent("surv(t, s) ~ x + offset(z)", "weibull_ph"),
    "weights of zero and known classes": lambda: latent(
        "surv(t, s) ~ x", "loglogistic", weights="w", labels="known", concomitant="~ z"
    ),
    "groups with delayed entry": lambda: latent(
        "surv(entry, t, s, kind='counting') ~ x | g", "gompertz"
    ),
    "two responses": lambda: bmx.Mixture(
        [
            bmx.Regression("surv(t, s) ~ x", family="weibull", fixed="~ z"),
            bmx.Regression(
                "surv(lo, up, kind='interval') ~ 1", family="lognormal", dispersion="fixed"
            ),
        ],
        D,
        k=2,
        group="g",
    ),
    "one component": lambda: bmx.Mixture("surv(t, s) ~ x", D, family="gompertz", k=1),
}
SHAPES = {n: m for n, m in (MODELS | EXTRA).items() if n != "gamma times"}


@pytest.mark.parametrize("name", list(SHAPES))
def test_value_and_gradient(name):
    spec = SHAPES[name]().spec
    problem = build_problem(spec)
    assert known(problem)
    rng = np.random.default_rng(7)
    for scale in (0.0, 0.2, 0.6):
        check(problem, scale * rng.normal(size=spec.layout.size))


@pytest.mark.parametrize("name", list(reference.REFERENCE))
def test_models_of_the_reference(name):
    spec = reference.model(name).spec
    problem = build_problem(spec)
    used = {group.family.name for arrays in problem.blocks for group in arrays.groups}
    assert known(problem) == (used <= set(KNOWN))
    if not known(problem):
        return
    evaluations = [e for e in reference.REFERENCE[name]["evaluations"] if e["loglik"] is not None]
    for given in evaluations[:2]:
        dataset = reference.params(reference.model(name), name, given["par_t"])
        theta = from_dataset(spec, dataset)
        value, _ = plain_density(problem)(theta)
        assert value == pytest.approx(given["loglik"], rel=1e-9)
        check(problem, theta, rel=1e-5)


def test_an_impossible_component_has_no_slope():
    problem = build_problem(latent().spec)
    theta = np.zeros(problem.spec.layout.size)
    location = problem.spec.layout.blocks[0].predictors[0]
    theta[location.index[0, 0]] = -900.0
    value, gradient = plain_density(problem)(theta)
    assert value == pytest.approx(log_likelihood(problem, theta[None])[0], rel=1e-12)
    assert np.isfinite(gradient).all()
    assert (gradient[location.index[0]] == 0).all()


def test_a_density_of_zero_is_not_finite():
    problem = build_problem(latent().spec)
    theta = np.zeros(problem.spec.layout.size)
    theta[problem.spec.layout.blocks[0].predictors[0].index] = -900.0
    assert log_likelihood(problem, theta[None])[0] == -np.inf
    with pytest.raises(NotFiniteError):
        plain_density(problem)(theta)


# --- what samplers use -------------------------------------------------------------------------


def posterior(spec):
    priors = resolve(spec, None)
    return build_problem(spec, penalty=Penalty(priors, jacobian=True))


def some_mode(spec, rng):
    from bayesmix.posterior.mode import Mode

    f = int(spec.free.sum())
    theta = 0.2 * rng.normal(size=spec.layout.size)
    for at, value in spec.held.items():
        theta[at] = value
    return Mode(theta, 0.0, 0.3 * np.eye(f) + 0.05 * rng.normal(size=(f, f)), 0.0, 1.0)


HELD = {("a", "shape"): 1.7, ("b", "rate[x]"): 0.2}


@pytest.mark.parametrize("held", [False, True])
def test_the_density_with_priors_is_pythons(held, monkeypatch):
    monkeypatch.delenv("BAYESMIX_COMPILE", raising=False)
    spec, rng = competing(concomitant="~ z").spec, np.random.default_rng(2)
    spec = hold(spec, HELD) if held else spec
    problem, mode = posterior(spec), some_mode(spec, rng)
    density, python = compiled_density(problem, mode), python_density(problem, mode)
    assert isinstance(density, Density)
    assert len(mode.factor) == spec.layout.size - (len(HELD) if held else 0)
    for _ in range(3):
        z = rng.normal(size=len(mode.factor))
        (value, gradient), (expected, slope) = density(z), python(z)
        assert value == pytest.approx(expected, rel=1e-12)
        assert gradient == pytest.approx(slope, rel=1e-9, abs=1e-10 * np.abs(slope).max())


def test_what_has_no_kernel_is_left_to_python():
    spec = MODELS["gamma times"]().spec
    assert not known(build_problem(spec))
    assert compiled_density(posterior(spec), some_mode(spec, np.random.default_rng(1))) is None


def test_held_probabilities_are_left_to_python():
    spec = hold(competing().spec, {("a", "weight"): 0.3})
    assert not known(build_problem(spec))


def test_nobody_who_wants_no_compiler_gets_one(monkeypatch):
    monkeypatch.setenv("BAYESMIX_COMPILE", "0")
    spec = competing().spec
    assert compiled_density(posterior(spec), some_mode(spec, np.random.default_rng(1))) is None


def test_threads_share_no_buffers():
    from concurrent.futures import ThreadPoolExecutor

    problem = build_problem(competing(concomitant="~ z").spec)
    density = plain_density(problem)
    thetas = 0.3 * np.random.default_rng(6).normal(size=(64, problem.spec.layout.size))
    alone = [density(theta) for theta in thetas]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(density, thetas))
    for (value, gradient), (other, slope) in zip(alone, together, strict=True):
        assert value == other
        np.testing.assert_array_equal(gradient, slope)
