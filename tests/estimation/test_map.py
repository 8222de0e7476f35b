"""Posterior modes: ML under flat priors, bounded where ML is not, closed forms at K = 1."""

import warnings

import numpy as np
import pandas as pd
import pytest
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix.distributions import Prior
from bayesmix.estimation.point import FitOptions, fit_point
from bayesmix.likelihood.engine import information
from bayesmix.priors import resolve

DEGENERATE = ("mehta_varying_k3", "tribolium_k3", "tribolium_wang_sub_k2")


@pytest.fixture(scope="module")
def models():
    return flexmix_models(bmx)


def fit(model, method, priors=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_point(model.spec, method, FitOptions(seed=1, **options), priors)


@pytest.mark.parametrize("name", list(flexmix_models(bmx)))
def test_flat_priors_give_maximum_likelihood(models, name):
    ml, flat = fit(models[name], "em"), fit(models[name], "map", "flat")
    assert flat.loglik == pytest.approx(ml.loglik, abs=1e-6)
    assert flat.log_prior == 0


@pytest.mark.parametrize("name", DEGENERATE)
def test_priors_bound_what_maximum_likelihood_leaves_infinite(models, name):
    ml, mode = fit(models[name], "em", starts=20), fit(models[name], "map", starts=20)
    assert ml.status == "boundary"
    assert mode.status == "converged"
    assert np.abs(mode.theta).max() < 15
    info = information(mode.problem, mode.theta[None])
    assert np.abs(info.score).max() < 1e-4
    assert np.linalg.eigvalsh(info.matrix[0])[0] > 0


def test_the_mode_beats_its_neighbours(models):
    mode = fit(models["patent_varying_k3"], "map")
    from bayesmix.likelihood import log_likelihood

    rng = np.random.default_rng(0)
    top = log_likelihood(mode.problem, mode.theta[None])[0]
    assert top == pytest.approx(mode.loglik + mode.log_prior, abs=1e-9)
    near = mode.theta + 1e-3 * rng.normal(size=(200, len(mode.theta)))
    assert (log_likelihood(mode.problem, near) < top).all()


def test_normal_regression_has_its_closed_form():
    """K = 1, sigma held: the mode is ridge regression with the priors as pseudo-data."""
    data = bmx.load_data("NregFix")
    model = bmx.Mixture("y ~ x1", data, k=1)
    sigma = 2.0
    priors = {"coef": Prior("normal", mu=0.5, sigma=0.1)}
    mode = fit(model, "map", priors, fixed_params={(1, "sigma"): sigma})
    X = np.column_stack([np.ones(len(data)), data["x1"]])
    precision = X.T @ X / sigma**2 + np.eye(2) / 0.1**2
    expected = np.linalg.solve(precision, X.T @ data["y"] / sigma**2 + 0.5 / 0.1**2)
    np.testing.assert_allclose(mode.theta[:2], expected, rtol=1e-8)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_mode_at_the_end_of_a_prior_is_found_and_named(shift, tmp_path):
    """K = 1: the slope and sigma are held at ends, the intercept is what is left."""
    data = bmx.load_data("NregFix").assign(y=lambda d: d["y"] + shift)
    slope, _ = np.polyfit(data["x1"], data["y"], 1)
    priors = {
        "coef[Intercept]": Prior("normal", mu=0, sigma=1e12),
        "coef[x1]": Prior("uniform", lower=slope + 1, upper=slope + 2),
        "sigma": Prior("uniform", lower=1e-3, upper=0.5),
    }
    with pytest.warns(bmx.DegenerateWarning, match=r"end of the range of the prior of x1.*sigma"):
        mode = bmx.Mixture("y ~ x1", data, k=1, priors=priors).fit("map")
    expected = [np.mean(data["y"] - (slope + 1) * data["x1"]), slope + 1, 0.5]
    np.testing.assert_allclose(mode.summary()["estimate"], expected, rtol=1e-7)
    assert mode.status == "boundary"
    mode.save(tmp_path / "mode.nc")
    assert bmx.load(tmp_path / "mode.nc").reasons == mode.reasons


def test_starts_are_within_the_range_of_a_prior():
    """The likelihood's modes are far outside, and starts there have no density."""
    rng = np.random.default_rng(1)
    data = {"y": np.concatenate([rng.normal(0, 1, 60), rng.normal(9, 1, 40)])}
    priors = {
        "sigma": Prior("uniform", lower=2, upper=9),
        "weight": Prior("dirichlet", concentration=1),
    }
    with pytest.warns(bmx.DegenerateWarning, match="end of the range"):
        mode = bmx.Mixture("y ~ 1", pd.DataFrame(data), k=2, priors=priors).fit("map", seed=1)
    held = bmx.Mixture(
        "y ~ 1", pd.DataFrame(data), k=2, priors={**priors, "sigma": Prior("exponential", lam=1)}
    )
    other = held.fit("map", seed=1, fixed_params={(1, "sigma"): 2.0, (2, "sigma"): 2.0})
    estimates = mode.summary()["estimate"]  # those with held parameters keep their numbers
    assert estimates[0] < estimates[1]
    np.testing.assert_allclose(np.sort(estimates), np.sort(other.summary()["estimate"]), rtol=1e-6)


def test_beta_binomial_weights():
    """Known labels: the mode of the weights is (n_k + a - 1) / (n + K (a - 1))."""
    data = bmx.load_data("NregFix").assign(known=lambda d: d["class"].astype(str))
    model = bmx.Mixture("y ~ x1", data, k=3, labels="known")
    mode = fit(model, "map", {"weight": Prior("dirichlet", concentration=5)})
    counts = data["class"].value_counts().sort_index().to_numpy()
    np.testing.assert_allclose(mode.mixing, (counts + 4) / (counts.sum() + 12), rtol=1e-7)


@pytest.mark.parametrize(
    ("priors", "options", "words"),
    [
        ({"weight": Prior("dirichlet", concentration=0.5)}, {}, "unbounded"),
        (None, {"fixed_params": {(1, "weight"): 0.5}}, "fixed weights"),
        (None, {"min_weight": 0.1}, "min_weight"),
        (None, {"algorithm": "cem"}, "belongs to method='em'"),
    ],
)
def test_what_has_no_mode_is_refused(models, priors, options, words):
    with pytest.raises(bmx.SpecError, match=words):
        fit(models["betablocker_fix_k2"], "map", priors, **options)


def test_default_priors_are_proper_for_every_family():
    data = bmx.load_data("patent").assign(Positive=lambda d: d["Patents"] + 1.0)
    for family, y in (
        ("gamma", "Positive"),
        ("negative_binomial", "Patents"),
        ("student_t", "lgRD"),
        ("gaussian", "lgRD"),
    ):
        spec = bmx.Mixture(f"{y} ~ RDS", data, family=family, k=2).spec
        model = resolve(spec, None)
        assert set(model.single) | {spec.layout.alpha[1, 0]} == set(range(spec.layout.size))
        assert fit(bmx.Mixture(f"{y} ~ RDS", data, family=family, k=2), "map").status == "converged"


@pytest.mark.filterwarnings("ignore::bayesmix.ConvergenceWarning")
def test_components_are_one_kind_where_the_mode_is_at_the_end_of_a_range():
    y = np.concatenate([centre + np.linspace(-1.9, 1.9, 7) for centre in (0.0, 6.0)])
    priors = {"sigma": bmx.Prior("uniform", lower=1.4, upper=4)}
    model = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), "gaussian", k=2, priors=priors)
    with pytest.warns(bmx.DegenerateWarning, match="end of the range"):
        model.fit("map", seed=1)
    table = model.fit("laplace", seed=1, draws=400).summary()
    assert np.ptp(table.loc[table["term"] == "Intercept", "mean"]) > 3


def test_only_what_is_held_at_an_end_is_named():
    y = np.concatenate([centre + np.linspace(-1.9, 1.9, 7) for centre in (0.0, 6.0)])
    priors = {"sigma": bmx.Prior("uniform", lower=1.4, upper=4)}
    model = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), "gaussian", k=2, priors=priors)
    with pytest.warns(bmx.DegenerateWarning, match=r"prior of sigma \([a-z]+, component 2\), wh"):
        mode = model.fit("map", seed=1, starts=1, fixed_params={(1, "sigma"): 1.401})
    assert mode.dispersion()["sigma"].tolist() == pytest.approx([1.401, 1.4])


def test_a_parameter_that_is_near_the_end_of_a_wide_range_is_not_moved_there():
    """Standard deviations of one are a thousandth of the range; few steps do not end at a mode."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    y = np.where(rng.random(200) < 0.4, 3 + x, -x) + rng.normal(size=200)
    priors = {"sigma": Prior("uniform", lower=0, upper=2000)}
    model = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), k=2, priors=priors)
    mode = model.fit("map", seed=1, starts=1)
    with pytest.warns(bmx.ConvergenceWarning, match="stopped after"):
        early = model.fit("map", seed=1, starts=1, max_iter=5)
    assert early.status == "max_iter"
    assert mode.loglik - 1 < early.loglik < mode.loglik + 1


def test_one_parameter_is_at_an_end_and_another_near_one_by_chance():
    """Sigma is what least squares leave, though it is within a thousandth of its range of zero."""
    data = bmx.load_data("NregFix")
    slope, _ = np.polyfit(data["x1"], data["y"], 1)
    priors = {
        "coef[x1]": Prior("uniform", lower=slope + 1, upper=slope + 2),
        "sigma": Prior("uniform", lower=0, upper=1e5),
    }
    with pytest.warns(
        bmx.DegenerateWarning, match=r"of the prior of x1 \(\w+, all components\), wh"
    ):
        mode = bmx.Mixture("y ~ x1", data, k=1, priors=priors).fit("map")
    residual = data["y"] - (slope + 1) * data["x1"]
    assert mode.dispersion()["sigma"].iloc[0] == pytest.approx(residual.std(ddof=0), rel=1e-4)
