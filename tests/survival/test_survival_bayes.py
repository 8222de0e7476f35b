"""Densities that samplers of survival times see, modes and draws against outside truths."""

import numpy as np
import pytest
import survival_models as reference
from scipy import integrate, stats
from test_model import _no_compiler, check_density  # noqa: F401  (a fixture and a check)
from times_models import CASES, REGRESSIONS, D, competing, latent

import bayesmix as bmx
from bayesmix.errors import SpecError
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.likelihood.gradient import value_and_gradient
from bayesmix.model.params import from_dataset
from bayesmix.priors import resolve

# --- the density -----------------------------------------------------------------------------


# PyTensor takes seconds for each: these have every kind of observation and of model.
QUICK = {
    "intervals, left-censored",
    "delayed entry to the mixture",
    "delayed entry to each component",
    "a cured share",
    "classes of groups",
    "weighted",
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in CASES]
)
def test_the_pymc_model_is_likelihood_times_priors(name):
    check_density(CASES[name]())


def check_slope(spec, theta):
    """Against the likelihood, and differences of it in every parameter."""
    problem = build_problem(spec)
    value, gradient = value_and_gradient(problem)(theta)
    assert value == pytest.approx(log_likelihood(problem, theta[None])[0], rel=1e-12)
    for j, slope in enumerate(gradient):
        step = 1e-5 * max(1.0, abs(theta[j])) * (np.arange(len(theta)) == j)
        up, down = log_likelihood(problem, np.stack([theta + step, theta - step]))
        numeric = (up - down) / (2 * step[j])
        assert slope == pytest.approx(numeric, rel=1e-5, abs=1e-5 * (1 + abs(value)) ** 0.5)


@pytest.mark.parametrize("name", [*CASES, *REGRESSIONS])
def test_the_samplers_gradient(name):
    spec = (CASES | REGRESSIONS)[name]().spec
    theta = 0.2 * np.random.default_rng(2).normal(size=spec.layout.size)
    check_slope(spec, theta)


@pytest.mark.parametrize("name", list(reference.REFERENCE))
def test_the_samplers_gradient_at_the_evaluations_of_flexsurv(name):
    model = reference.model(name)
    known = [e for e in reference.REFERENCE[name]["evaluations"] if e["loglik"] is not None]
    for given in known[:2]:
        dataset = reference.params(model, name, given["par_t"])
        theta = from_dataset(model.spec, dataset)
        problem = build_problem(model.spec)
        value, _ = value_and_gradient(problem)(theta)
        assert value == pytest.approx(given["loglik"], rel=1e-9)
        check_slope(model.spec, theta)


def test_a_gradient_where_a_component_is_impossible():
    """A hazard beyond every number is a density of zero, with no NaN in the slope."""
    spec = latent().spec
    theta = np.zeros(spec.layout.size)
    location = spec.layout.blocks[0].predictors[0]
    theta[location.index[0]] = -900.0
    value, gradient = value_and_gradient(build_problem(spec))(theta)
    assert value == log_likelihood(build_problem(spec), theta[None])[0]
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


# --- modes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["mgus2_weibull_gompertz", "jasa_exp_mscore", "pbc_factor_stage", "simint_lnorm_llogis"],
)
def test_the_mode_under_flat_priors_is_the_maximum(name):
    positional, named = reference.arguments(name)
    em = reference.model(name).fit("em", seed=1, starts=2)
    mode = bmx.CompetingRisks(*positional, **named, priors="flat").fit("map", seed=1, starts=2)
    assert mode.loglik == pytest.approx(em.loglik, abs=1e-6)
    for variable, values in em.params.items():
        np.testing.assert_allclose(mode.params[variable], values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_flat_priors_are_refused(method):
    with pytest.raises(SpecError, match="improper"):
        competing(priors="flat").fit(method)


# --- draws against quadrature ------------------------------------------------------------------


def test_draws_of_a_rate_against_its_posterior_by_quadrature():
    """One event, exponential: log L = d log(rate) - rate sum(t), log(rate) normal before."""
    model = bmx.CompetingRisks("surv(t, s) ~ 1", D[D["known"] != "b"], "known", "exponential")
    (prior, _), *others = resolve(model.spec, None).single.values()
    assert others == []
    kept = D[D["known"] != "b"]
    events, total = kept["s"].sum(), kept["t"].sum()
    normal = stats.norm(prior.parameters["mu"], prior.parameters["sigma"])

    def density(u):
        return np.exp(events * (u - np.log(events / total)) - np.exp(u) * total + events) * (
            normal.pdf(u)
        )

    centre = np.log(events / total)
    mass, mean, square = (
        integrate.quad(lambda u, p=p: density(u) * u**p, centre - 4, centre + 4)[0]
        for p in range(3)
    )
    mean, sd = mean / mass, np.sqrt(square / mass - (mean / mass) ** 2)
    row = model.fit("laplace", draws=4000, seed=1).summary().iloc[0]
    assert row["mean"] == pytest.approx(mean, abs=4 * sd / np.sqrt(3000))
    assert row["sd"] == pytest.approx(sd, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mgus2_exp_exp", "simk3_exp_gomp_llogis"])
def test_laplace_is_near_maximum_likelihood_where_data_are_many(name):
    """Estimates within half a standard error, and errors within a tenth."""
    model = reference.model(name)
    both = bmx.compare_estimates(
        {"ML": model.fit("em", seed=1), "Bayes": model.fit("laplace", seed=1)}
    )
    gap = (both["Bayes_estimate"] - both["ML_estimate"]).abs() / both["ML_error"]
    assert gap.max() < 0.5
    assert (both["Bayes_error"] / both["ML_error"]).between(0.9, 1.1).all()
