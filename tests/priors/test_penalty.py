"""Priors: densities against SciPy, derivatives against differences, the defaults."""

import numpy as np
import pytest
from scipy import stats
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix.distributions import Prior
from bayesmix.model import assemble
from bayesmix.priors import gradient, log_prior, opened_volume, resolve, sample_prior
from bayesmix.priors.defaults import as_copies, column_spread, weighted_sd

PRIORS = [
    (Prior("normal", mu=1, sigma=2), stats.norm(1, 2)),
    (Prior("student_t", nu=3, mu=1, sigma=2), stats.t(3, 1, 2)),
    (Prior("lognormal", mu=0.5, sigma=0.7), stats.lognorm(0.7, scale=np.exp(0.5))),
    (Prior("inverse_gamma", alpha=2.5, beta=3), stats.invgamma(2.5, scale=3)),
    (Prior("gamma", alpha=2, beta=3), stats.gamma(2, scale=1 / 3)),
    (Prior("beta", alpha=2, beta=3), stats.beta(2, 3)),
]


@pytest.mark.parametrize(("prior", "truth"), PRIORS, ids=[p.kind for p, _ in PRIORS])
def test_densities_and_draws(prior, truth):
    x = truth.ppf(np.linspace(0.001, 0.999, 31))
    np.testing.assert_allclose(prior.logpdf(x), truth.logpdf(x), rtol=1e-12, atol=1e-12)
    q = np.array([1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])
    np.testing.assert_allclose(prior.quantile(q), truth.ppf(q), rtol=1e-8)
    draws = prior.sample(20000, np.random.default_rng(1))
    assert stats.kstest(draws, truth.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Prior("cauchy", mu=0), "unknown; use one of"),
        (lambda: Prior(["normal"], mu=0, sigma=1), "takes a text"),
        (lambda: Prior("normal", mu=0), "takes mu, sigma"),
        (lambda: Prior("normal", mu=0, sigma=-1), "must be a positive number"),
        (lambda: Prior("normal", mu=np.nan, sigma=1), "mu=nan is not finite"),
        (lambda: Prior("dirichlet", concentration=2).logpdf(0.5), "joint"),
        (lambda: Prior("dirichlet", concentration=2).quantile(0.5), "no quantiles"),
    ],
)
def test_wrong_priors_are_refused(call, words):
    with pytest.raises(bmx.SpecError, match=words):
        call()


MODELS = ["nregfix_varying", "nregfix_nested", "betablocker_fix_k3", "seizure_3", "salmonella_k2"]


def mixed():
    data = bmx.load_data("NregFix")
    families = ["gaussian", "student_t", "student_t"]
    return bmx.Mixture("y ~ x2 + x1", data, k=3, family=families, dispersion=[1, 2])


@pytest.fixture(scope="module")
def specs():
    models = flexmix_models(bmx)
    return {name: models[name].spec for name in MODELS} | {"mixed": mixed().spec}


@pytest.mark.parametrize("jacobian", [False, True])
@pytest.mark.parametrize("name", [*MODELS, "mixed"])
def test_derivatives_by_differences(specs, name, jacobian):
    spec = specs[name]
    model = resolve(spec, None)
    theta = np.random.default_rng(2).normal(size=(1, spec.layout.size))
    at = log_prior(spec, model, theta, jacobian=jacobian)
    h = 1e-5
    for j in range(spec.layout.size):
        step = h * np.eye(spec.layout.size)[j]
        up = log_prior(spec, model, theta + step, jacobian=jacobian)
        down = log_prior(spec, model, theta - step, jacobian=jacobian)
        slope = (up.value - down.value)[0] / (2 * h)
        assert at.score[0, j] == pytest.approx(slope, abs=1e-6, rel=1e-6)
        bend = -(up.score - down.score)[0] / (2 * h)
        np.testing.assert_allclose(at.curvature[0, j], bend, atol=1e-6, rtol=1e-6)


def test_a_prior_as_wide_as_its_parameter_has_no_range():
    """Beside one with a range, whose volume is d log(x) / dv for v = log(x - l) - log(u - x)."""
    own = bmx.Family(
        "own",
        params={"mu": "identity", "sigma": "log", "share": "probit"},
        location="mu",
        logpdf=lambda y, mu, sigma, share: -np.log(sigma) - ((y - mu) / sigma) ** 2 + share,
    )
    spec = bmx.Mixture("y ~ 1", bmx.load_data("NregFix"), own, k=1).spec
    priors = {
        "sigma": Prior("uniform", lower=0.1, upper=5),
        "share": Prior("uniform", lower=0, upper=1),
    }
    model = resolve(spec, priors)
    theta = np.array([[0.2, 0.4, -0.3], [-1.0, -0.5, 1.2]])
    x = np.exp(theta[:, 1])
    expected = np.log((x - 0.1) * (5 - x) / 4.9 / x)
    np.testing.assert_allclose(opened_volume(spec, model, theta), expected, rtol=1e-10)
    plain, opened = (log_prior(spec, m, theta, jacobian=True) for m in (model, model.without_ends))
    np.testing.assert_allclose(opened.value - plain.value, expected, rtol=1e-10)


def test_derivatives_with_a_held_weight(specs):
    from bayesmix.model.fixed import hold

    spec = hold(specs["betablocker_fix_k3"], {(2, "weight"): 0.3})
    model = resolve(spec, {"weight": Prior("dirichlet", concentration=4)})
    theta = np.where(spec.free, np.random.default_rng(6).normal(size=spec.layout.size), 0.0)[None]
    at = log_prior(spec, model, theta)
    h = 1e-5
    for j in np.flatnonzero(spec.free):
        step = h * np.eye(spec.layout.size)[j]
        up, down = (log_prior(spec, model, theta + s) for s in (step, -step))
        slope = (up.value - down.value)[0] / (2 * h)
        assert at.score[0, j] == pytest.approx(slope, abs=1e-7)
        bend = -(up.score - down.score)[0] / (2 * h)
        np.testing.assert_allclose(at.curvature[0, j], bend, atol=1e-7)


def test_one_component_has_no_weights():
    spec = bmx.Mixture("y ~ x1", bmx.load_data("NregFix"), k=2).spec
    given = {"weight": Prior("dirichlet", concentration=4)}
    assert resolve(spec, given).concentration == 4
    assert resolve(assemble(spec.prepared, 1), given).concentration is None


@pytest.mark.parametrize("name", [*MODELS, "mixed"])
def test_the_quick_gradient_is_the_same(specs, name):
    spec = specs[name]
    model = resolve(spec, None)
    theta = np.random.default_rng(3).normal(size=spec.layout.size)
    value, score = gradient(spec, model)(theta)
    full = log_prior(spec, model, theta[None], jacobian=True)
    assert value == pytest.approx(full.value[0], abs=1e-10)
    np.testing.assert_allclose(score, full.score[0], atol=1e-10)


def test_the_density_of_theta_is_that_of_its_draws(specs):
    """Mean and covariance under importance weights of the density equal those of direct draws."""
    spec = specs["betablocker_fix_k3"]
    model = resolve(spec, {"weight": Prior("dirichlet", concentration=3)})
    rng = np.random.default_rng(4)
    theta = sample_prior(spec, model, 200_000, rng)
    # E[score] = 0 for a proper density that vanishes at the edges.
    score = log_prior(spec, model, theta, jacobian=True).score
    error = score.std(0) / np.sqrt(len(score))
    assert (np.abs(score.mean(0)) < 5 * error).all()


def test_relabelling_leaves_the_prior_as_it_is(specs):
    from bayesmix.model.params import permute

    for name in ("nregfix_varying", "betablocker_fix_k3"):
        spec = specs[name]
        model = resolve(spec, None)
        theta = np.random.default_rng(5).normal(size=(1, spec.layout.size))
        other = permute(spec.layout, theta, np.array([2, 0, 1]))
        for jacobian in (False, True):
            a = log_prior(spec, model, theta, jacobian=jacobian).value
            b = log_prior(spec, model, other, jacobian=jacobian).value
            assert a == pytest.approx(b, abs=1e-10)


def test_defaults_follow_the_units_of_the_data():
    """Another unit of y or x changes the prior as it changes the coefficients."""
    data = bmx.load_data("NregFix")
    scaled = data.assign(y=1000 * data["y"], x1=data["x1"] / 50)
    one = resolve(bmx.Mixture("y ~ x1", data, k=2).spec, None)
    two = resolve(bmx.Mixture("y ~ x1", scaled, k=2).spec, None)
    ratio = {
        j: two.single[j][0].parameters["sigma"] / p.parameters["sigma"]
        for j, (p, _) in one.single.items()
    }
    names = [c.term for c in bmx.Mixture("y ~ x1", data, k=2).spec.layout.coordinates]
    for j, r in ratio.items():
        # The intercept's is of the level at the mean of x1, in the response's unit.
        expected = {"Intercept": 1000, "x1": 50000, "sigma": 1}[names[j]]
        assert r == pytest.approx(expected)


def test_dispersion_priors_vanish_faster_than_any_power_at_zero(specs):
    spec = specs["mixed"]
    for at, (prior, _) in resolve(spec, None).single.items():
        if spec.layout.coordinates[at].effect == "dispersion":
            log = np.array([-400.0, -600.0])
            assert (prior.logpdf(np.exp(log)) < 50 * log).all()


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({"nothing": Prior("normal", mu=0, sigma=1)}, "parameters are"),
        ({"coef[zz]": Prior("normal", mu=0, sigma=1)}, "parameters are"),
        ({"coef": Prior("gamma", alpha=1, beta=1)}, "the parameter is real"),
        ({"weight": Prior("beta", alpha=1, beta=1)}, "dirichlet"),
        ({"coef": 3}, "use a bmx.Prior"),
        ({"coef[x1": Prior("normal", mu=0, sigma=1)}, "parameters are"),
        ({1: Prior("normal", mu=0, sigma=1)}, "names are text"),
        ("wide", "must be None, 'flat' or a dict"),
    ],
)
def test_wrong_names_and_supports_are_refused(priors, words):
    spec = bmx.Mixture("y ~ x1", bmx.load_data("NregFix"), k=2).spec
    with pytest.raises(bmx.SpecError, match=words):
        resolve(spec, priors)


def test_the_users_priors_take_their_places():
    spec = bmx.Mixture("y ~ x1", bmx.load_data("NregFix"), k=2, concomitant="~ w").spec
    narrow, wide = Prior("normal", mu=1, sigma=0.5), Prior("normal", mu=0, sigma=9)
    model = resolve(spec, {"coef": wide, "coef[x1]": narrow, "alpha[w[1]]": wide})
    chosen = {spec.layout.coordinates[j].term: p for j, (p, _) in model.single.items()}
    assert chosen["x1"] == narrow
    assert chosen["Intercept"] == wide
    assert model.spread[1] == 9
    assert model.spread[0] != 9


def test_the_prior_of_a_term_goes_before_that_of_its_variable_in_any_order():
    data = bmx.load_data("NregFix")
    spec = bmx.Mixture("y ~ x1", data, k=2, concomitant="~ w").spec
    narrow, wide = Prior("normal", mu=0, sigma=0.5), Prior("normal", mu=0, sigma=9)
    given = {"coef[x1]": narrow, "coef": wide, "alpha[w[1]]": narrow, "alpha": wide}
    for names in (list(given), list(reversed(given))):
        model = resolve(spec, {name: given[name] for name in names})
        chosen = {spec.layout.coordinates[j].term: p for j, (p, _) in model.single.items()}
        assert (chosen["x1"], chosen["Intercept"]) == (narrow, wide)
        assert model.spread.tolist() == [9, 0.5]
    with pytest.raises(bmx.SpecError, match="concomitant terms are"):
        resolve(spec, {"alpha[]": narrow})


def test_a_dispersion_called_alpha_has_its_prior_with_one_component():
    spec = bmx.Mixture("few ~ 1", nregfix(), family="negative_binomial", k=1).spec
    own = Prior("gamma", alpha=2, beta=1)
    ignored = Prior("dirichlet", concentration=3)
    model = resolve(spec, {"alpha": own, "weight": ignored})
    (at,) = [j for j, c in enumerate(spec.layout.coordinates) if c.variable == "alpha"]
    assert model.single[at][0] == own


# --- case weights and outliers -------------------------------------------------------------

W = np.array([1, 2, 3, 1, 4] * 40)
COPIED = {
    "gaussian": ("y ~ x1 + x2", {"family": "gaussian"}),
    "student_t": ("y ~ x1", {"family": "student_t"}),
    "gamma": ("positive ~ x1", {"family": "gamma"}),
    "binomial": ("p(few, 9) ~ x1", {"family": "binomial"}),
    "offset": ("few ~ x1 + offset(log(positive))", {"family": "poisson"}),
    "concomitant": ("y ~ x1", {"concomitant": "~ x2 + w"}),
}


def nregfix():
    data = bmx.load_data("NregFix").reset_index(drop=True)
    few = np.random.default_rng(1).poisson(3, len(data)) % 10
    return data.assign(positive=np.exp(data["y"] / 10), few=few, copies=W[: len(data)])


@pytest.mark.parametrize("case", list(COPIED))
@pytest.mark.parametrize("grouped", [False, True])
def test_weights_count_as_copies(case, grouped):
    data = nregfix()
    formula, options = COPIED[case]
    if grouped:
        data["g"] = np.arange(len(data)) // 2
        data["copies"] = data.groupby("g")["copies"].transform("first")
        data[["x2", "w"]] = data.groupby("g")[["x2", "w"]].transform("first")
        options = {**options, "group": "g"}
    long = data.loc[data.index.repeat(data["copies"])]
    if grouped:
        at = long.groupby(level=0).cumcount()
        long = long.assign(g=long["g"] * 10 + at)
    one = resolve(bmx.Mixture(formula, data, k=2, weights="copies", **options).spec, None)
    other = resolve(bmx.Mixture(formula, long, k=2, **options).spec, None)
    for at, (prior, _) in one.single.items():
        assert prior.parameters == pytest.approx(other.single[at][0].parameters)
    if case == "concomitant":
        np.testing.assert_allclose(one.spread, other.spread)
    plain = resolve(bmx.Mixture(formula, data, k=2, **options).spec, None)
    assert any(
        p.parameters != pytest.approx(one.single[j][0].parameters)
        for j, (p, _) in plain.single.items()
    )


def test_weights_of_any_size_are_close_to_copies():
    weight = np.random.default_rng(2).gamma(1.0, size=300)
    y = np.random.default_rng(3).normal(size=300)
    assert np.std(y[as_copies(weight)]) == pytest.approx(weighted_sd(y, weight), rel=1e-3)
    assert (as_copies(np.array([2.0, 0.0, 1.0])) == [0, 0, 2]).all()
    assert len(as_copies(1e9 * weight)) == 100_000


def test_an_outlier_does_not_make_the_prior_of_all_narrow():
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    with_one = np.append(x, 100.0)
    spread = column_spread(np.column_stack([with_one]), None)[0]
    # Moved to three deviations from the median.
    assert spread == pytest.approx(1, abs=0.1)
    assert with_one.std() > 4
    assert column_spread(x[:, None], None)[0] == pytest.approx(x.std(), rel=0.02)
    binary = (rng.random(500) < 0.1).astype(float)
    assert column_spread(binary[:, None], None)[0] == pytest.approx(binary.std())


def test_the_spread_of_weighted_columns_is_that_of_copies():
    rng = np.random.default_rng(5)
    matrix = np.column_stack([rng.standard_t(1, 101), rng.normal(size=101)])
    weight = rng.integers(0, 4, 101).astype(float)
    copies = matrix[np.repeat(np.arange(101), weight.astype(int))]
    np.testing.assert_allclose(column_spread(matrix, weight), column_spread(copies, None))


def test_the_prior_of_an_outlying_concomitant():
    """The share of research in sales: two companies are far from the others."""
    data = bmx.load_data("patent")
    model = resolve(
        bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=2, concomitant="~ RDS").spec, None
    )
    quartiles = np.quantile(data["RDS"], [0.25, 0.75])
    assert 2.5 / model.spread[1] == pytest.approx(np.ptp(quartiles) / 1.349, rel=0.2)
    assert 2.5 / model.spread[1] < data["RDS"].std() / 10
