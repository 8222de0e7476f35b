"""Kinds of priors against SciPy, cut off at the ends of supports, and taken from PreliZ."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx

P = bmx.Prior
X = np.array([0.6, 1.0, 2.5])
KINDS = {
    "half_normal": ({"sigma": 2.0}, stats.halfnorm(scale=2)),
    "laplace": ({"mu": 0.3, "b": 1.5}, stats.laplace(0.3, 1.5)),
    "half_cauchy": ({"beta": 1.5}, stats.halfcauchy(scale=1.5)),
    "exponential": ({"lam": 0.5}, stats.expon(scale=2)),
    "uniform": ({"lower": 0.5, "upper": 3.0}, stats.uniform(0.5, 2.5)),
    "truncated_normal": (
        {"mu": 1.0, "sigma": 2.0, "lower": 0.0, "upper": 5.0},
        stats.truncnorm(-0.5, 2, 1, 2),
    ),
}


def data(n=80):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n) * 1.5})


@pytest.mark.parametrize("kind", KINDS)
def test_densities_and_quantiles(kind):
    given, truth = KINDS[kind]
    prior = P(kind, **given)
    rtol = 1e-4 if kind == "laplace" else 1e-10  # its kink is round
    np.testing.assert_allclose(prior.logpdf(X), truth.logpdf(X), rtol=rtol)
    np.testing.assert_allclose(prior.quantile([0.1, 0.8]), truth.ppf([0.1, 0.8]), rtol=1e-9)
    draws = prior.sample(4000, np.random.default_rng(1))
    assert stats.kstest(draws, truth.cdf).pvalue > 0.001
    assert (prior.logpdf(-1.0) == -np.inf) == (prior.support != "real")


def test_half_student_t_is_twice_the_density():
    x, prior = X, P("half_student_t", nu=3, sigma=2)
    np.testing.assert_allclose(prior.logpdf(x), np.log(2) + stats.t(3, scale=2).logpdf(x))
    np.testing.assert_allclose(prior.quantile(0.5), stats.t(3, scale=2).ppf(0.75))


@pytest.mark.parametrize(
    ("prior", "truth"),
    [
        (P("normal", mu=1, sigma=2), stats.truncnorm(-0.5, np.inf, 1, 2)),
        (P("uniform", lower=-1, upper=4), stats.uniform(0, 4)),
    ],
)
def test_a_prior_of_a_positive_parameter_is_cut_off_at_zero(prior, truth):
    spec = bmx.Mixture("y ~ x", data(), k=2, priors={"sigma": prior})
    table = spec.priors().set_index("parameter")
    low, high = truth.ppf([0.025, 0.975])
    assert f"95% between {low:.3g} and {high:.3g}" in table.loc["sigma", "words"]
    sigma = spec.sample_prior(3000, seed=1)["prior"]["sigma"].values[0, :, 0]
    assert stats.kstest(sigma, truth.cdf).pvalue > 0.001


def test_a_fit_with_a_prior_that_is_cut_off_is_saved_and_loaded(tmp_path):
    given = {"sigma": P("normal", mu=1, sigma=2)}
    fit = bmx.Mixture("y ~ x", data(), k=1, priors=given).fit("map", seed=1)
    fit.save(tmp_path / "fit.bmx")
    pd.testing.assert_frame_equal(bmx.load(tmp_path / "fit.bmx").summary(), fit.summary())


def test_a_prior_without_mass_inside_is_refused():
    for prior in (P("uniform", lower=-3, upper=-1), P("beta", alpha=1, beta=1)):
        with pytest.raises(bmx.SpecError, match="but the parameter is positive"):
            bmx.Mixture("y ~ x", data(), k=2, priors={"sigma": prior})
    with pytest.raises(bmx.SpecError, match="must be below upper"):
        P("uniform", lower=2, upper=1)


@pytest.mark.parametrize("kind", ["uniform", "truncated_normal", "truncated_student_t"])
def test_fits_stay_where_a_prior_has_mass(kind):
    """A range that holds the flat mode leaves it there; one above has its mode at the end."""
    more = {"mu": 0.0, "sigma": 5.0} if kind != "uniform" else {}
    more |= {"nu": 4.0} if kind == "truncated_student_t" else {}
    frame = data().eval("y = y + 2 * x")

    def mode(lower, upper):
        given = {"sigma": P(kind, lower=lower, upper=upper, **more)}
        return bmx.Mixture("y ~ x", frame, k=1, priors=given).fit("map", seed=1)

    flat = bmx.Mixture("y ~ x", frame, k=1).fit("em").dispersion()["sigma"].iloc[0]
    assert mode(0.5, 5.0).dispersion()["sigma"].iloc[0] == pytest.approx(flat, rel=0.02)
    for lower, upper, end in ((1.05 * flat, 5.0, 1.05 * flat), (0.1, 0.2, 0.2)):
        with pytest.warns(bmx.DegenerateWarning, match="end of the range"):
            fit = mode(lower, upper)
        assert fit.status == "boundary"
        assert fit.dispersion()["sigma"].iloc[0] == pytest.approx(end, rel=1e-6)


def test_a_truncated_student_t_integrates_to_one():
    prior = P("student_t", nu=4, mu=0.3, sigma=1.0).within("unit")
    x = np.linspace(0, 1, 20001)[1:-1]
    assert np.trapezoid(np.exp(prior.logpdf(x)), x) == pytest.approx(1, abs=1e-3)
    assert prior.quantile(0.5) == pytest.approx(
        np.median(prior.quantile(np.linspace(0.001, 0.999, 999)))
    )


def test_dirichlet_by_the_name_of_pymc():
    assert P("dirichlet", a=5) == P("dirichlet", concentration=5)


@pytest.mark.parametrize("kind", ["half_normal", "half_cauchy", "exponential", "uniform"])
def test_modes_and_draws(kind):
    given = {"lower": 0.0, "upper": 9.0} if kind == "uniform" else KINDS[kind][0]
    spec = bmx.Mixture("y ~ x", data(), k=1, priors={"sigma": P(kind, **given)})
    fit, flat = spec.fit("map", seed=1), bmx.Mixture("y ~ x", data(), k=1).fit("em", seed=1)
    assert fit.converged
    drawn = spec.fit("laplace", seed=1, draws=400).summary().set_index("term")
    mean = drawn.loc["sigma", "mean"]
    se = flat.dispersion()["sigma"].iloc[0] / np.sqrt(160)
    assert mean == pytest.approx(flat.dispersion()["sigma"].iloc[0], abs=se)


def test_priors_of_a_response_far_wider_than_the_data_are_flagged():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"year": 2000.0 + np.arange(60) % 20, "y": rng.poisson(3, 60)})
    wide = {"coef": P("normal", mu=0, sigma=1)}
    told = bmx.Mixture("y ~ year", frame, family="poisson", k=1, priors=wide).priors()
    assert told["parameter"].iloc[-1] == "y"
    assert "FAR WIDER" in told["words"].iloc[-1]
    near = {
        "coef[year]": P("normal", mu=0, sigma=1e-4),
        "coef[Intercept]": P("normal", mu=1, sigma=1),
    }
    told = bmx.Mixture("y ~ year", frame, family="poisson", k=1, priors=near).priors()
    assert "FAR" not in told["words"].iloc[-1]
    assert "the data between 0 and" in told["words"].iloc[-1]


def test_draws_from_a_component_on_tied_values_are_refused():
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"y": np.r_[rng.normal(size=80), np.full(12, 5.5)]})
    spec = bmx.Mixture("y ~ 1", frame, k=2)
    for method, options in (("laplace", {}), ("nuts", {"progress": False})):
        with pytest.raises(bmx.FitError, match=r"response, 5\.5.*keeps the scale away"):
            spec.fit(method, seed=1, **options)
    away = {"sigma": P("inverse_gamma", alpha=5, beta=8)}
    drawn = bmx.Mixture("y ~ 1", frame, k=2, priors=away).fit("laplace", seed=1, draws=200)
    assert (drawn.summary().query("term == 'sigma'")["lower"] > 1e-3).all()


# --- penalties -----------------------------------------------------------------------------


def sparse_lines(n=200, p=6):
    """Covariates of which two matter."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, p))
    y = 1 + 2 * x[:, 0] - 1.5 * x[:, 1] + rng.normal(size=n)
    names = [f"x{j}" for j in range(p)]
    return pd.DataFrame(x, columns=names).assign(y=y), "y ~ " + " + ".join(names), names


def held_at_one(spec, **options):
    return spec.fit("map", seed=1, fixed_params={(1, "sigma"): 1.0}, **options)


def test_a_normal_prior_is_ridge_and_a_laplace_prior_the_lasso():
    """With sigma = 1: half the squares, plus b^2 / (2 s^2), or |b| / s."""
    linear = pytest.importorskip("sklearn.linear_model")
    data, formula, names = sparse_lines()
    x, y, n = data[names].to_numpy(), data["y"].to_numpy(), len(data)
    flat = {"coef[Intercept]": P("normal", mu=0, sigma=1e6)}
    ridge = {**flat, "coef": P("normal", mu=0, sigma=0.2)}
    fit = held_at_one(bmx.Mixture(formula, data, k=1, priors=ridge))
    truth = linear.Ridge(alpha=1 / 0.2**2).fit(x, y)
    found = fit.coefficients()[1]
    np.testing.assert_allclose(found[names], truth.coef_, atol=1e-6)
    lasso = {**flat, "coef": P("laplace", mu=0, b=0.02)}
    fit = held_at_one(bmx.Mixture(formula, data, k=1, priors=lasso))
    truth = linear.Lasso(alpha=1 / (0.02 * n), tol=1e-12).fit(x, y)
    found = fit.coefficients()[1]
    assert (truth.coef_ == 0).sum() == 4
    np.testing.assert_allclose(found[names], truth.coef_, atol=2e-5)
    assert fit.converged


def test_the_lasso_of_a_mixture():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 4))
    s = rng.random(400) < 0.5
    y = np.where(s, 3 * x[:, 0], 6 - 2 * x[:, 1]) + 0.6 * rng.normal(size=400)
    data = pd.DataFrame(x, columns=list("abcd")).assign(y=y)
    priors = {f"coef[{name}]": P("laplace", mu=0, b=0.02) for name in "abcd"}
    fit = bmx.Mixture("y ~ a + b + c + d", data, k=2, priors=priors).fit("map", seed=1, starts=5)
    found = fit.coefficients()
    assert fit.converged
    assert (found.loc[list("cd")].abs() < 0.02).all(axis=None)
    assert found.loc["a"].abs().max() > 2.5
    assert found.loc["a"].abs().min() < 0.05


# --- PreliZ --------------------------------------------------------------------------------


def test_distributions_of_preliz_are_priors():
    pz = pytest.importorskip("preliz")
    given = {
        "coef": pz.StudentT(4, 0, 2),
        "sigma": pz.Gamma(mu=2, sigma=1),
        "weight": pz.Dirichlet([5, 5]),
    }
    own = {
        "coef": P("student_t", nu=4, mu=0, sigma=2),
        "sigma": P("gamma", alpha=4, beta=2),
        "weight": P("dirichlet", concentration=5),
    }
    specs = [bmx.Mixture("y ~ x", data(), k=2, priors=priors) for priors in (given, own)]
    pd.testing.assert_frame_equal(*(spec.priors() for spec in specs))


def test_distributions_of_preliz_that_are_none_of_ours():
    pz = pytest.importorskip("preliz")
    for dist, words in (
        (pz.Normal(), "no parameters yet"),
        (pz.Gumbel(0, 1), "no counterpart here"),
    ):
        with pytest.raises(bmx.SpecError, match=words):
            bmx.Mixture("y ~ x", data(), k=2, priors={"coef": dist})
    with pytest.raises(bmx.SpecError, match="share one"):
        bmx.Mixture("y ~ x", data(), k=2, priors={"weight": pz.Dirichlet([1, 5])})
