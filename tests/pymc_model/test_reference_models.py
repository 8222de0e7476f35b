"""The reference models' PyMC models: predictions as ours, and a published posterior."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from vignette_models import flexmix_models, survival_models

import bayesmix as bmx
from bayesmix.model.data import to_rows

pytestmark = pytest.mark.slow
PRIOR = bmx.Prior
DRAWS = 150
MODELS = flexmix_models(bmx) | survival_models(bmx)
# Posterior means and standard deviations of posteriordb's low_dim_gauss_mix, from 1,000,000 draws
# by Stan (stan-dev/stat_comp_benchmarks, low_dim_gauss_mix.params).
PUBLISHED = {
    "coef": ([-2.7331, 2.8698], [0.042029, 0.054133]),
    "sigma": ([1.0287, 1.0234], [0.031371, 0.040492]),
    "weight": ([0.62140, 0.37860], [0.015368, 0.015368]),
}
DATA = os.environ.get("BAYESMIX_LOW_DIM_GAUSS_MIX", "")  # a CSV file with the column y


@pytest.mark.parametrize("name", MODELS)
def test_predictions_of_pymc_are_simulations_of_ours(name):
    """The mean of every response, and the share of rows below each of its quartiles."""
    spec = MODELS[name]
    with warnings.catch_warnings(), pytensor.config.change_flags(cxx=""):
        warnings.simplefilter("ignore")
        post = spec.fit("laplace", seed=1, draws=DRAWS)
        model = spec.to_pymc()
        (variable,) = (v.name for v in model.observed_RVs)
        drawn = pm.sample_posterior_predictive(
            post.data,
            model=model,
            progressbar=False,
            random_seed=1,
            compile_kwargs={"mode": "FAST_COMPILE"},
        )
        theirs = to_rows(spec.spec, drawn["posterior_predictive"][variable].values[0])
        if isinstance(spec, bmx.CompetingRisks):  # each time is that of one event
            theirs = {"time": np.nansum(list(theirs.values()), 0)}
        ours = post.simulate(DRAWS, seed=2).to_numpy().reshape(spec.spec.rows.n, len(theirs), -1)
    for b, rows in enumerate(theirs.values()):
        mine = ours[:, b].T
        some = mine[np.isfinite(mine)]
        for cut in np.quantile(some, [0.25, 0.5, 0.75]):
            shares = [np.nanmean(np.where(np.isnan(y), np.nan, y <= cut), 1) for y in (mine, rows)]
            error = np.sqrt(sum(s.var() for s in shares) / DRAWS)
            assert abs(shares[0].mean() - shares[1].mean()) < 4.5 * error + 1e-9


def gauss_mix(data):
    priors = {
        "coef": PRIOR("normal", mu=0, sigma=2),
        "sigma": PRIOR("half_normal", sigma=2),
        "weight": PRIOR("dirichlet", a=5),
    }
    return bmx.Mixture("y ~ 1", data, k=2, priors=priors)


def moments(draws):
    found = {n: draws[n].transpose(..., "component").to_numpy().reshape(-1, 2) for n in PUBLISHED}
    return {n: (v.mean(0), v.std(0)) for n, v in found.items()}


def check(found, wanted, tolerance):
    for name, (mean, sd) in wanted.items():
        assert (np.abs(found[name][0] - mean) < tolerance * np.asarray(sd)).all(), name
        np.testing.assert_allclose(found[name][1], sd, rtol=tolerance, err_msg=name)


@pytest.mark.skipif(not Path(DATA).is_file(), reason="BAYESMIX_LOW_DIM_GAUSS_MIX names no file")
def test_the_published_posterior():
    post = gauss_mix(pd.read_csv(DATA)).fit("nuts", draws=2500, seed=1, progress=False)
    check(moments(post.data["posterior"].to_dataset()), PUBLISHED, 0.08)


def test_the_same_posterior_as_a_model_written_by_hand():
    """Its design, means 2.75 apart from zero and 1,000 rows, sampled by PyMC's own NUTS."""
    rng = np.random.default_rng(4)
    y = rng.normal(np.where(rng.random(1000) < 0.6, -2.75, 2.75), 1.0)
    with pm.Model():
        coef = pm.Normal("coef", 0, 2, shape=2, transform=pm.distributions.transforms.ordered)
        sigma = pm.HalfNormal("sigma", 2, shape=2)
        weight = pm.Dirichlet("weight", np.array([5.0, 5.0]))
        pm.NormalMixture("y", w=weight, mu=coef, sigma=sigma, observed=y)
        draws = pm.sample(
            1000,
            chains=2,
            cores=1,
            nuts_sampler="pymc",
            initvals={"coef": np.array([-2.0, 2.0])},
            random_seed=1,
            progressbar=False,
        )
    wanted = {n: draws["posterior"][n].to_numpy().reshape(-1, 2) for n in PUBLISHED}
    post = gauss_mix(pd.DataFrame({"y": y})).fit("nuts", draws=1000, seed=1, progress=False)
    found = moments(post.data["posterior"].to_dataset())
    check(found, {n: (v.mean(0), v.std(0)) for n, v in wanted.items()}, 0.15)
