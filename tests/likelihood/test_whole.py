"""Families that give the log density of a unit's rows at once: one small family shows it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.families.whole import Whole
from bayesmix.likelihood import build_problem, em_pass
from bayesmix.likelihood.engine import information, value_and_gradient


def terms(obs, mu):
    residual = obs.y - mu.value
    return residual, residual * residual


def density(counts, sums, sigma, rho):
    """Normal responses of one variance, any two of a unit with the correlation rho."""
    (n,), (total, squares) = counts, sums
    last = 1 + (n - 1) * rho.value
    inside = squares - rho.value / last * total * total
    distance = inside / (xp.exp(rho.log1m) * xp.exp(2 * sigma.log))
    logs = 2 * n * sigma.log + (n - 1) * rho.log1m + xp.log(last)
    return -0.5 * (n * np.log(2 * np.pi) + logs + distance)


FAMILY = bmx.Family(
    "equicorrelated",
    params={"mu": "identity", "sigma": "log", "rho": "logit"},
    location="mu",
    whole=Whole(lambda obs: (np.ones_like(obs.y),), terms, density),
    start=lambda y: {"mu": y.mean(), "sigma": y.std(), "rho": 0.3},
    mean=lambda mu, sigma, rho: mu,
    units={"mu": "response", "sigma": 1, "rho": 0},
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 6, 60)
    unit = np.repeat(np.arange(60), sizes)
    n, slope = len(unit), np.where(np.arange(60) < 25, 2.0, -1.0)[unit]
    x = rng.normal(size=n)
    y = slope * (0.5 + x) + 0.7 * rng.normal(size=60)[unit] + 0.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": 10 + 5 * y, "x": x, "id": unit})
    return frame.sample(frac=1, random_state=2)  # the rows of a unit are not together


@pytest.fixture(scope="module")
def spec(data):
    return bmx.Mixture("y ~ x | id", data, family=FAMILY, k=2)


@pytest.fixture(scope="module")
def fit(spec):
    return spec.fit(starts=3, seed=1)


def test_the_log_likelihood_is_that_of_multivariate_normals(data, fit):
    p, total = fit.params, 0.0
    for _, rows in data.groupby("id"):
        n, each = len(rows), []
        for s in range(2):
            (a, b), sigma, rho = p.coef.values[s], float(p.sigma[s]), float(p.rho[s])
            covariance = sigma**2 * ((1 - rho) * np.eye(n) + rho)
            logf = multivariate_normal.logpdf(rows.y, a + b * rows.x, covariance)
            each.append(np.log(float(p.weight[s])) + logf)
        total += np.logaddexp(*each)
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(total, rel=1e-12)


def test_score_and_information_are_the_derivatives(spec):
    problem = build_problem(spec._spec)
    rng = np.random.default_rng(3)
    theta = np.array([9.0, 3.0, 11.0, -2.0, 1.2, 0.9, -0.5, 0.2, 0.3])
    theta = theta + 0.1 * rng.normal(size=len(theta))
    info, steps = information(problem, theta[None]), 1e-5 * np.eye(len(theta))
    value = [em_pass(problem, np.array([theta + h, theta - h])) for h in steps]
    slope = np.array([(p.loglik[0] - p.loglik[1]) / 2e-5 for p in value])
    bend = np.array([(p.score[1] - p.score[0]) / 2e-5 for p in value])
    assert info.score[0] == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert info.matrix[0] == pytest.approx(bend, rel=1e-6, abs=1e-5)
    quick = value_and_gradient(problem)(theta)
    assert quick[0] == pytest.approx(info.loglik[0], rel=1e-13)
    assert quick[1] == pytest.approx(info.score[0], rel=1e-9, abs=1e-9)


def test_the_pymc_model_has_the_same_likelihood(spec, fit):
    model = spec.to_pymc()
    values = {}
    for variable in model.free_RVs:
        transform = model.rvs_to_transforms[variable]
        natural = fit.params[variable.name].values
        if transform is not None:
            natural = transform.forward(natural, *variable.owner.inputs).eval(mode="FAST_COMPILE")
        values[model.rvs_to_values[variable].name] = natural
    given = model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(values)
    assert float(given) == pytest.approx(fit.loglik, rel=1e-12)
