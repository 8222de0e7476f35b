"""All models of the competing-events reference against what was found with flexsurv."""

import warnings

import numpy as np
import pytest
import survival_models as reference

import bayesmix as bmx
from bayesmix.likelihood import build_problem, em_pass, log_likelihood
from bayesmix.likelihood.engine import information
from bayesmix.results.covariance import covariance

EVALUATED = list(reference.REFERENCE)
FITTED = [name for name in EVALUATED if "loglik" in reference.REFERENCE[name]]


@pytest.fixture(scope="module")
def models():
    made = {}

    def get(name):
        if name not in made:
            made[name] = reference.model(name)
        return made[name]

    return get


def fit(spec, name, method="em", **options):
    held = reference.FIXED.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spec.fit(method, seed=1, fixed_params=held, **options)


@pytest.mark.parametrize("name", EVALUATED)
def test_the_likelihood_is_exact(models, name):
    spec = models(name)
    for given in reference.REFERENCE[name]["evaluations"]:
        wanted = [v for v in (given["loglik"], given["indep_loglik"]) if v is not None]
        if wanted:
            params = reference.params(spec, name, given["par_t"])
            assert spec.log_likelihood(params) == pytest.approx(wanted[0], rel=1e-9)


@pytest.mark.parametrize("name", FITTED)
def test_the_maximum(models, name):
    known = reference.REFERENCE[name]
    found = fit(models(name), name)
    assert found.status == "converged"
    assert found.loglik == pytest.approx(known["loglik"], abs=1e-5)
    held = known.get("fixed_indices", [])
    assert found.df == known["npars"] - len(np.atleast_1d(held))
    fitted = found._fitted
    theta, at = reference.vector(fitted.spec, name, fitted.theta)
    free = fitted.spec.free[at]
    errors = np.sqrt(np.diag(known["cov_free_par_t"]))
    assert (np.abs(theta - known["par_t"])[free] <= 1e-3 * errors).all()
    ours = np.sqrt(np.diag(covariance(fitted).matrix))[at][free]
    np.testing.assert_allclose(ours, errors, rtol=1e-2)


@pytest.mark.parametrize("name", FITTED)
def test_em_and_direct_agree(models, name):
    found = fit(models(name), name, "ml")
    assert found.status == "converged"
    assert found.loglik == pytest.approx(fit(models(name), name).loglik, abs=1e-6)


def test_the_lower_mode_is_reported(models):
    """jasa_weibull_mscore has maxima at -62.8825 and -64.0862 (reference notes)."""
    starts = fit(models("jasa_weibull_mscore"), "jasa_weibull_mscore", starts=20).starts
    assert starts["loglik"].max() == pytest.approx(-62.88249, abs=1e-4)
    assert np.isclose(starts["loglik"], -64.0862, atol=1e-3).any()
    assert 0 < starts.attrs["agreeing"] < 20


@pytest.mark.parametrize("truncation", ["mixture", "component"])
def test_derivatives_under_truncation(truncation):
    data = reference.data_of("simtrunc_weibull_gamma")
    spec = bmx.CompetingRisks(
        "surv(start, stop, status, kind='counting') ~ x",
        data,
        "event",
        {"a": "weibull", "b": "lognormal"},
        concomitant="~ x",
        truncation=truncation,
    ).spec
    problem = build_problem(spec)
    theta = np.random.default_rng(1).normal(0.3, 0.2, spec.layout.size)
    found = information(problem, theta[None])
    steps = 1e-5 * np.eye(len(theta))

    def loglik(x):
        return log_likelihood(problem, x[None])[0]

    score = [(loglik(theta + h) - loglik(theta - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(found.score[0], score, atol=1e-5)
    np.testing.assert_allclose(em_pass(problem, theta[None]).score[0], score, atol=1e-5)

    def slope(x):
        return information(problem, x[None]).score[0]

    matrix = [(slope(theta + h) - slope(theta - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(found.matrix[0], -np.array(matrix), atol=1e-4)


def test_truncation_of_the_mixture_by_hand():
    """log L = log(pi_k f_k(t)) - log sum_s pi_s S_s(entry), with exponential times."""
    import pandas as pd

    data = pd.DataFrame(
        {"entry": [0.5, 0.0, 1.0], "t": [2.0, 1.5, 3.0], "s": [1, 1, 0], "e": ["a", "b", None]}
    )
    spec = bmx.CompetingRisks(
        "surv(entry, t, s, kind='counting') ~ 1", data, "e", family="exponential"
    )
    theta = np.array([np.log(0.4), np.log(0.9), np.log(0.3 / 0.7)])
    rate, weight = np.array([0.4, 0.9]), np.array([0.7, 0.3])

    def seen(entry):
        return np.log((weight * np.exp(-rate * entry)).sum())

    wanted = (
        np.log(0.7 * 0.4) - 0.4 * 2.0 - seen(0.5)
        + np.log(0.3 * 0.9) - 0.9 * 1.5 - seen(0.0)
        + seen(3.0) - seen(1.0)
    )  # fmt: skip
    found = log_likelihood(build_problem(spec.spec), theta[None])[0]
    assert found == pytest.approx(wanted, rel=1e-12)


def test_weights_count_as_copies():
    data = reference.data_of("jasa_weibull")
    data["w"] = 1 + np.arange(len(data)) % 3
    copies = data.loc[data.index.repeat(data["w"])].reset_index(drop=True)
    families = {"rejection": "weibull", "other": "exponential"}
    one = bmx.CompetingRisks(
        "surv(years, status) ~ mscore", data, "event", families, weights="w"
    ).fit("em", seed=1)
    other = bmx.CompetingRisks("surv(years, status) ~ mscore", copies, "event", families).fit(
        "em", seed=1
    )
    assert one.loglik == pytest.approx(other.loglik, rel=1e-10)
    np.testing.assert_allclose(one.summary()["se"], other.summary()["se"], rtol=1e-6)
