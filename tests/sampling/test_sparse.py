"""Sparse Dirichlet priors: the sampler's coordinates, filled components, against Gibbs sampling."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special, stats

import bayesmix as bmx
from bayesmix.estimation.modes import modes_among, search
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.posterior.labels import filled_counts
from bayesmix.priors import Penalty, resolve
from bayesmix.sampling.sparse import TOTAL, SparseCoordinates, bend, unbend

SPARSE = {"weight": bmx.Prior.sparse()}
slow = pytest.mark.slow


def counts(n=30, means=(2, 15), seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"y": rng.poisson(np.repeat(means, n // len(means)))})


def mixture(data, k=4, family="poisson", priors=SPARSE, formula="y ~ 1", **options):
    return bmx.Mixture(formula, data, family=family, k=k, priors=priors, **options)


@functools.cache
def coordinates(family="gaussian"):
    data = counts().assign(x=np.linspace(-1, 1, 30))
    spec = mixture(data, k=3, family=family, formula="y ~ x").spec
    rng = np.random.default_rng(2)
    mild = build_problem(spec, penalty=Penalty(resolve(spec, None), jacobian=True))
    start = mixture(data, k=3, family=family, formula="y ~ x", priors=None)
    point = start.fit("map", seed=1, starts=20)
    mode = modes_among(mild, search(mild, 5, rng, point._fitted.theta[None]), None)[0]
    problem = build_problem(spec, penalty=Penalty(resolve(spec, SPARSE), jacobian=True))
    return SparseCoordinates(problem, mode)


# --- coordinates ---------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [0.5, 0.01, 0.001])
def test_the_bend_has_its_derivatives_and_inverse(concentration):
    y = np.linspace(-8, 3, 45)
    value, first, second = bend(y, concentration)
    h = 1e-6
    up, down = bend(y + h, concentration), bend(y - h, concentration)
    np.testing.assert_allclose(first, (up[0] - down[0]) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(second, (up[1] - down[1]) / (2 * h), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(unbend(value, concentration), y, atol=1e-9)
    assert (first > 1).all()


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
def test_the_gradient_is_that_of_the_density(family):
    """A family with a kernel, and one without."""
    at = coordinates(family)
    rng = np.random.default_rng(3)
    h = 1e-5
    for _ in range(3):
        z = at.centre + 0.5 * rng.standard_normal(at.size)
        z[-1] = -9.0  # an empty component
        _, gradient = at.density(z)
        for j in range(at.size):
            step = h * np.eye(at.size)[j]
            slope = (at.density(z + step)[0] - at.density(z - step)[0]) / (2 * h)
            assert gradient[j] == pytest.approx(slope, rel=1e-5, abs=1e-5)


def test_the_density_is_the_posteriors_with_the_bends_slope():
    at = coordinates()
    rng = np.random.default_rng(4)
    z = at.centre + 0.5 * rng.standard_normal((6, at.size))
    own = np.array([at.density(one)[0] for one in z])
    log_weight, slope, _ = bend(z[:, -3:], 0.01)
    total = special.logsumexp(log_weight, axis=1)
    extra = np.log(slope).sum(1) - 0.5 * (total / TOTAL) ** 2
    posterior = log_likelihood(at.problem, at.theta(z))
    np.testing.assert_allclose(own - own[0], (posterior + extra) - (posterior + extra)[0])


def test_the_mode_is_the_centre_and_tails_stay_finite():
    at = coordinates()
    np.testing.assert_allclose(at.theta(at.centre), at.mode.theta, atol=1e-8)
    z = at.centre.copy()
    z[-3:] = [-20.0, 0.0, -30.0]  # log weights of thousands below zero, the baseline's too
    value, gradient = at.density(z)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.isfinite(at.theta(z)).all()
    assert bend(z[-1:], 0.01)[0] < -2000


def test_the_coordinates_of_weights_have_the_dirichlet_distribution():
    """Without data: P(weight_1 < 0.01) of two components, by integration."""
    a = 0.2
    grid = np.linspace(-12, 3, 1501)
    log_weight, slope, _ = bend(grid, a)
    one, two = log_weight[:, None], log_weight[None]
    total = np.logaddexp(one, two)
    values = np.exp(a * (one + two - 2 * total) - 0.5 * (total / TOTAL) ** 2)
    values *= slope[:, None] * slope
    weight = special.expit(one - two)
    mass = integrate.trapezoid(integrate.trapezoid(values, grid), grid)
    below = integrate.trapezoid(integrate.trapezoid(values * (weight < 0.01), grid), grid)
    assert below / mass == pytest.approx(stats.beta(a, a).cdf(0.01), abs=3e-3)


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bmx.Prior.sparse(1.5), "below 1, such as 0.01"),
        (lambda: bmx.Prior.sparse(0), "positive number"),
        (lambda: mixture(counts()).fit("map"), "unbounded where a weight is zero.*method='nuts'"),
        (lambda: mixture(counts()).fit("laplace"), "not around a mode.*method='nuts'"),
        (lambda: mixture(counts()).fit("nuts", sampler="pymc"), "use sampler='nutpie'"),
        (
            lambda: mixture(counts().assign(x=np.arange(30.0)), concomitant="~ x").fit("nuts"),
            "leave concomitant= out",
        ),
    ],
)
def test_where_a_sparse_prior_has_no_place(call, words):
    with pytest.raises(bmx.SpecError, match=words):
        call()


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_one_component_needs_no_weights():
    found = mixture(counts(), k=1).fit("nuts", draws=50, tune=50, thin=1, seed=1, progress=False)
    assert found.filled_components()["probability"].to_list() == [1.0]


# --- counting ------------------------------------------------------------------------------


def test_filled_components_by_enumeration():
    """Two units: P(one component) = sum_s p_1s p_2s, from the same memberships."""
    data = pd.DataFrame({"y": [3.0, 5.0]})
    spec = bmx.Mixture("y ~ 1", data, family="poisson", k=2).spec
    problem = build_problem(spec)
    theta = np.zeros(spec.layout.size)
    intercepts = [at for at, c in enumerate(spec.layout.coordinates) if c.term == "Intercept"]
    theta[intercepts] = np.log([3.0, 5.0])
    draws = np.tile(theta, (20_000, 1))
    p = stats.poisson.pmf(data["y"].to_numpy()[:, None], [3.0, 5.0])
    p = p / p.sum(1, keepdims=True)
    together = (p[0] * p[1]).sum()
    found = filled_counts(problem, draws, np.random.default_rng(1))
    assert (found == 1).mean() == pytest.approx(together, abs=4 * np.sqrt(0.25 / len(draws)))


def test_weights_count_as_copies():
    """P(one component) for one unit of weight 3 is that of three copies; weight 0 is none."""
    data = pd.DataFrame({"y": [4.0, 4.0], "w": [3.0, 0.0]})
    spec = bmx.Mixture("y ~ 1", data, family="poisson", k=2, weights="w").spec
    theta = np.zeros((20_000, spec.layout.size))
    theta[:, spec.layout.alpha[1, 0]] = 1.0
    found = filled_counts(build_problem(spec), theta, np.random.default_rng(1))
    p = special.expit(1.0)
    assert (found == 1).mean() == pytest.approx(p**3 + (1 - p) ** 3, abs=0.015)


def test_prior_of_the_number_of_filled_components():
    """The formula of the docstring of `Prior.sparse`, by Polya's urn."""
    k, n, a, rng = 5, 100, 0.01, np.random.default_rng(5)
    i = np.arange(n)
    expected = k * (1 - np.exp(np.sum(np.log((k - 1) * a + i) - np.log(k * a + i))))
    size = np.zeros((4000, k))
    for unit in range(n):
        share = np.cumsum((size + a) / (unit + k * a), axis=1)
        at = (share < rng.random((len(size), 1)) * share[:, -1:]).sum(1)
        size[np.arange(len(size)), at] += 1
    drawn = (size > 0).sum(1)
    assert drawn.mean() == pytest.approx(expected, abs=4 * drawn.std() / np.sqrt(len(drawn)))
    assert expected == pytest.approx(1.2, abs=0.05)


# --- draws ---------------------------------------------------------------------------------


@functools.cache
def short():
    options = {"draws": 200, "tune": 300, "chains": 2, "thin": 1}
    return mixture(counts()).fit("nuts", seed=1, progress=False, **options)


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_surplus_components_are_empty_and_said_to_be_so(tmp_path):
    found = short()
    table = found.filled_components(seed=1)
    assert list(table.columns) == ["probability", "mcse"]
    assert list(table.index) == [1, 2, 3, 4]
    assert table["probability"].sum() == pytest.approx(1)
    assert table["probability"].idxmax() == 2
    pd.testing.assert_frame_equal(table, found.filled_components(seed=1))
    assert "filled components" in repr(found)
    assert "filled components" in found._repr_html_()
    assert np.isfinite(found.summary()[["mean", "sd", "lower", "upper"]]).all().all()
    diagnosis = found.diagnostics()
    assert "vanished component" not in diagnosis.kinds
    assert "filled components" in diagnosis.table["term"].to_list()
    for method in ("ecr", "pivot", "ordering"):
        again = found.relabel(method)
        assert again.filled_components()["probability"].idxmax() == 2
    found.save(tmp_path / "draws.nc")
    again = bmx.load(tmp_path / "draws.nc")
    pd.testing.assert_frame_equal(again.filled_components(seed=1), table)


def gibbs(y, k, concentration, prior, draws, seed):
    """Filled components of a Poisson mixture, intercepts drawn from their density on a grid."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(-9, 7, 4001)
    log_prior = stats.norm(prior["mu"], prior["sigma"]).logpdf(grid)
    rate = np.exp(grid)
    z, out = rng.integers(0, k, len(y)), np.empty(draws, int)
    for t in range(draws):
        size, total = np.bincount(z, minlength=k), np.bincount(z, weights=y, minlength=k)
        # log of a gamma variable, small shapes included; the common factor is left out.
        shape = concentration + size
        log_weight = np.log(rng.gamma(shape + 1)) + np.log(rng.random(k)) / shape
        log_density = total[:, None] * grid - size[:, None] * rate + log_prior
        eta = grid[(log_density + rng.gumbel(size=log_density.shape)).argmax(1)]
        terms = log_weight[:, None] + y * eta[:, None] - np.exp(eta)[:, None]
        z = (terms + rng.gumbel(size=terms.shape)).argmax(0)
        out[t] = len(np.unique(z))
    return out[draws // 10 :]


@slow
@pytest.mark.parametrize("concentration", [0.01, 0.1])
def test_nuts_agrees_with_gibbs_sampling(concentration):
    """Overlapping clusters, so that two, three and four components are all possible."""
    rng = np.random.default_rng(5)
    y = rng.poisson(np.where(rng.random(80) < 0.5, 3, 9))
    priors = {
        "weight": bmx.Prior.sparse(concentration),
        "coef": bmx.Prior("normal", mu=1.7, sigma=2.5),
    }
    model = mixture(pd.DataFrame({"y": y}), priors=priors)
    found = model.fit("nuts", seed=1, draws=2000, progress=False).filled_components()
    runs = [
        gibbs(y.astype(float), 4, concentration, {"mu": 1.7, "sigma": 2.5}, 8000, s) for s in (1, 2)
    ]
    for k in (1, 2, 3, 4):
        shares = [np.mean(run == k) for run in runs]
        error = np.hypot(found["mcse"][k], max(0.01, abs(shares[0] - shares[1])))
        assert found["probability"][k] == pytest.approx(np.mean(shares), abs=4 * error)


@slow
def test_two_clusters_and_three():
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 2, 120)
    two = pd.DataFrame({"y": rng.normal(6 * kind, 1.0)})
    x, kind = rng.uniform(0, 10, 120), rng.integers(0, 3, 120)
    line = np.array([0, 10, -12])[kind] + np.array([2, -1, 0])[kind] * x
    three = pd.DataFrame({"x": x, "y": line + rng.normal(size=120)})
    one = mixture(two, k=5, family="gaussian").fit("nuts", seed=1, progress=False)
    assert one.filled_components()["probability"][2] > 0.9
    found = mixture(three, k=5, family="gaussian", formula="y ~ x")
    other = found.fit("nuts", seed=1, progress=False)
    assert other.filled_components()["probability"][3] > 0.9
    for posterior in (one, other):
        assert posterior.diagnostics().r_hat < 1.05
