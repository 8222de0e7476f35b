"""Random effects in classes beside other parts: PyMC's model, posteriors, times, missing rows."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import bayesmix as bmx

MODE = {"mode": "FAST_COMPILE"}


def growth(units=60, seed=3):
    """Two classes of lines over four visits, each unit with an own level and slope."""
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(units), 4), np.tile(np.arange(4.0), units)
    second = np.arange(units) % 3 == 0
    effects = rng.multivariate_normal([0, 0], [[0.8, 0.1], [0.1, 0.1]], units)[unit]
    mean = np.where(second[unit], 9 - time, 3 + 0.5 * time)
    y = mean + effects[:, 0] + effects[:, 1] * time + 0.5 * rng.normal(size=len(unit))
    return pd.DataFrame({"y": y, "time": time, "id": unit}), second


@pytest.fixture(scope="module")
def data():
    return growth()[0]


def observed_log_density(model, draw):
    """The model's log-likelihood at one draw of its free variables."""
    values = {}
    for variable in model.free_RVs:
        value, transform = draw[variable.name].values, model.rvs_to_transforms[variable]
        if transform is not None:
            value = transform.forward(value, *variable.owner.inputs).eval(**MODE)
        values[model.rvs_to_values[variable].name] = value
    return [
        float(model.compile_logp(vars=part, jacobian=False, **MODE)(values))
        for part in (model.observed_RVs, model.free_RVs)
    ]


@pytest.mark.parametrize("kind", [pytest.param("varying", marks=pytest.mark.slow), "proportional"])
def test_the_pymc_model_has_the_same_densities(data, kind):
    spec = bmx.Mixture("y ~ time + (1 + time | id)", data, k=2, random_covariance=kind)
    posterior = spec.fit("laplace", seed=1, draws=20)
    draws = posterior.data["posterior"].to_dataset().isel(chain=0, draw=3)
    likelihood, prior = observed_log_density(spec.to_pymc(), draws)
    assert likelihood == pytest.approx(spec.log_likelihood(draws), rel=1e-10)
    given = posterior.data["log_prior"].to_dataset().isel(chain=0, draw=3)
    assert prior == pytest.approx(sum(float(x.sum()) for x in given.data_vars.values()), rel=1e-8)
    names = {v.name for v in spec.to_pymc().deterministics}
    assert {"random_sd", "random_corr"} <= names
    effects = posterior.random_effects(seed=2)
    assert effects.dims == ("chain", "draw", "id", "random_term")
    point = posterior.point().random_effects()
    level = point[point.term == "Intercept"].estimate.to_numpy()
    mean = effects.sel(random_term="Intercept").mean(("chain", "draw")).to_numpy()
    assert np.corrcoef(level, mean)[0, 1] > 0.9


def test_a_fit_is_pickled(data):
    spec = bmx.Mixture("y ~ time + (1 + time | id)", data, k=2, random_covariance="proportional")
    fit = spec.fit("em", seed=1, starts=2)
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(again.summary(), fit.summary(), check_exact=True)
    assert again.spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-12)


def test_the_summary_of_a_posterior_has_the_same_rows(data):
    spec = bmx.Mixture("y ~ time + (1 | id)", data, k=2)
    fit, posterior = spec.fit(seed=1, starts=2), spec.fit("laplace", seed=1, draws=50)
    keys = ["component", "term", "effect"]
    assert posterior.summary()[keys].equals(fit.summary()[keys])


@pytest.mark.slow
def test_nuts_finds_the_estimates():
    data, _ = growth(150)
    spec = bmx.Mixture("y ~ time + (1 + time | id)", data, k=2, random_covariance="fixed")
    fit = spec.fit(seed=1)
    posterior = spec.fit("nuts", draws=300, tune=300, chains=2, seed=1, progress=False)
    summary = posterior.summary()
    random = fit.summary().effect == "random"
    inside = (summary["lower"] < fit.summary().estimate) & (
        fit.summary().estimate < summary["upper"]
    )
    assert inside[random].all()
    assert summary.r_hat.max() < 1.05


def test_a_time_of_the_unit_makes_the_joint_latent_class_model():
    data, second = growth(120)
    rng = np.random.default_rng(5)
    event = rng.weibull(1.5, 120) * np.where(second, 3.0, 9.0)
    data["t"], data["d"] = np.minimum(event, 8)[data.id], (event < 8)[data.id].astype(int)
    spec = bmx.Mixture(
        [
            bmx.Regression("y ~ time + (1 + time | id)", random_covariance="proportional"),
            bmx.Regression("surv(t, d) ~ 1", family="weibull", per="unit"),
        ],
        data,
        k=2,
    )
    fit = spec.fit(starts=3, seed=1)
    assert fit.status == "converged"
    p, total = fit.params, 0.0
    for _, rows in data.groupby("id"):
        z, each = np.column_stack([np.ones(4), rows.time]), []
        t, d = rows.t.iloc[0], rows.d.iloc[0]
        for s in range(2):
            sd, corr = p.random_sd_y.values[s], float(p.random_corr_y[s, 0])
            inner = np.outer(sd, sd) * np.array([[1, corr], [corr, 1]])
            covariance = z @ inner @ z.T + float(p.sigma_y[s]) ** 2 * np.eye(4)
            logf = multivariate_normal.logpdf(rows.y, z @ p.coef_y.values[s], covariance)
            names = [n for n in p.data_vars if n.startswith(("shape", "scale"))]
            shape, scale = (float(np.exp(p[n].values[s].ravel()[0])) for n in sorted(names)[::-1])
            hazard = np.log(shape / scale) + (shape - 1) * np.log(t / scale)
            each.append(np.log(float(p.weight[s])) + logf + d * hazard - (t / scale) ** shape)
        total += np.logaddexp(*each)
    assert fit.loglik == pytest.approx(total, rel=1e-10)
    assert (fit.clusters() == np.where(second, 2, 1)).mean() > 0.95


def test_missing_responses_say_nothing(data):
    rng = np.random.default_rng(7)
    lost = rng.random(len(data)) < 0.2
    holes = data.assign(y=data.y.where(~lost))
    kept = {"k": 2, "random_covariance": "fixed"}
    formula = "y ~ time + (1 + time | id)"
    fit = bmx.Mixture(formula, holes, na_action="fiml", **kept).fit(seed=1, starts=3)
    short = bmx.Mixture(formula, data[~lost], **kept).fit(seed=1, starts=3)
    assert fit.loglik == pytest.approx(short.loglik, rel=1e-9)
    assert fit.random_effects().estimate.to_numpy() == pytest.approx(
        short.random_effects().estimate.to_numpy(), abs=1e-4
    )
