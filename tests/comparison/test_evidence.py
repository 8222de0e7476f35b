"""Evidence against closed forms, enumerated allocations and draws from the prior."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx

QUICK = {"draws": 600, "tune": 400, "thin": 1, "chains": 4, "progress": False}


def normal_evidence(y, design, sigma, spread):
    """log N(y; 0, sigma^2 I + spread^2 X X')."""
    cov = sigma**2 * np.eye(len(y)) + spread**2 * design @ design.T
    return stats.multivariate_normal(np.zeros(len(y)), cov).logpdf(y)


def test_a_conjugate_regression_has_its_closed_evidence():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=30)})
    data["y"] = 1 + 2 * data["x"] + rng.normal(0, 0.7, 30)
    spec = bmx.Mixture("y ~ x", data, k=1, priors={"coef": bmx.Prior("normal", mu=0, sigma=3)})
    posterior = spec.fit("laplace", seed=1, fixed_params={(1, "sigma"): 0.7})
    design = np.column_stack([np.ones(30), data["x"]])
    found = posterior.evidence()
    truth = normal_evidence(data["y"].to_numpy(), design, 0.7, 3.0)
    assert found.log_evidence == pytest.approx(truth, abs=0.01)
    assert found.error < 0.01
    assert "standard error" in repr(found)


@pytest.fixture(scope="module")
def overlapping():
    """Nine values of two classes that hardly differ: labels switch all the time."""
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.normal(-1, 1, 4), rng.normal(1.5, 1, 5)])
    priors = {
        "coef": bmx.Prior("normal", mu=0, sigma=2),
        "weight": bmx.Prior("dirichlet", concentration=1.5),
    }
    data = pd.DataFrame({"y": y})
    spec = bmx.Mixture("y ~ 1", data, k=2, dispersion="fixed", priors=priors)
    terms = []
    for first in itertools.product([True, False], repeat=9):
        own = np.array(first)
        value = special.betaln(1.5 + own.sum(), 10.5 - own.sum()) - special.betaln(1.5, 1.5)
        for part in (y[own], y[~own]):
            if len(part):
                value += normal_evidence(part, np.ones((len(part), 1)), 1.0, 2.0)
        terms.append(value)
    return spec, special.logsumexp(terms)


def test_two_components_have_the_evidence_of_all_allocations(overlapping):
    spec, truth = overlapping
    posterior = spec.fit("nuts", seed=3, fixed_params={(1, "sigma"): 1.0}, **QUICK)
    found = posterior.evidence(seed=1)
    assert found.orders == 2
    assert found.error < 0.05
    assert abs(found.log_evidence - truth) < 4 * found.error
    again = posterior.evidence(seed=2)
    assert abs(again.log_evidence - found.log_evidence) < 4 * found.error


@pytest.mark.slow
def test_concomitants_have_the_evidence_of_draws_from_the_prior():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"z": rng.normal(size=12)})
    data["y"] = rng.poisson(np.where(data["z"] > 0, 6, 1))
    priors = {"coef": bmx.Prior("normal", mu=1, sigma=0.8)}
    spec = bmx.Mixture("y ~ 1", data, "poisson", k=2, concomitant="~ z", priors=priors)
    posterior = spec.fit("nuts", seed=1, **QUICK)
    found = posterior.evidence()
    prior = spec.sample_prior(draws=40000, seed=1)["prior"].dataset
    rate = np.exp(prior["coef"].to_numpy()[0, :, :, 0])
    alpha = prior["alpha"].to_numpy()[0]
    logits = alpha[..., 0][:, :, None] + alpha[..., 1][:, :, None] * data["z"].to_numpy()
    log_pi = logits - special.logsumexp(logits, axis=1, keepdims=True)
    logf = stats.poisson.logpmf(data["y"].to_numpy(), rate[:, :, None])
    unit = special.logsumexp(log_pi + logf, axis=1).sum(1)
    truth = special.logsumexp(unit) - np.log(len(unit))
    share = np.exp(unit - unit.max())
    error = share.std() / share.mean() / np.sqrt(len(unit))
    assert abs(found.log_evidence - truth) < 4 * np.hypot(error, found.error)


def test_units_of_measurement_change_it_by_the_jacobian():
    rng = np.random.default_rng(5)
    y = rng.normal(size=20)
    out = []
    for scale in (1.0, 1e6):
        priors = {
            "coef": bmx.Prior("normal", mu=0, sigma=3 * scale),
            "sigma": bmx.Prior("lognormal", mu=float(np.log(scale)), sigma=0.5),
        }
        spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": scale * y}), k=1, priors=priors)
        out.append(spec.fit("laplace", seed=1).evidence().log_evidence)
    assert out[0] - out[1] == pytest.approx(20 * np.log(1e6), abs=0.01)


def test_draws_that_are_not_from_the_whole_posterior_are_refused(overlapping):
    spec, _ = overlapping
    few = spec.fit("nuts", seed=1, draws=20, tune=100, chains=2, thin=1, progress=False)
    with pytest.raises(bmx.FitError, match="no evidence"):
        few.evidence()
    wide = bmx.Mixture("y ~ 1", pd.DataFrame({"y": np.arange(40.0)}), k=8)
    posterior = wide.fit("laplace", draws=100, seed=1)
    with pytest.raises(bmx.FitError, match="40320 orders"):
        posterior.evidence()


def test_selection_and_comparison_by_evidence():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"y": rng.poisson(np.where(rng.random(60) < 0.5, 1.0, 12.0))})
    spec = bmx.Mixture("y ~ 1", data, "poisson")
    selection = bmx.select(spec, k=[1, 2], seed=1)
    table = selection.evidence("laplace", seed=1)
    assert list(table.columns) == ["log_evidence", "error", "prior", "probability"]
    assert table["probability"].sum() == pytest.approx(1.0)
    assert table.loc[2, "probability"] > 0.999
    gap = table.loc[2, "log_evidence"] - table.loc[1, "log_evidence"]
    odds = selection.evidence("laplace", seed=1, prior={1: 0.9, 2: 0.1})["probability"]
    assert np.log(odds[2] / odds[1]) == pytest.approx(gap + np.log(0.1 / 0.9), rel=1e-6)
    fits = {f"k = {k}": spec.with_k(k).fit("laplace", seed=1) for k in (1, 2)}
    ranked = bmx.compare(fits, by="evidence")
    assert ranked.best == "k = 2"
    assert ranked.table.loc["k = 1", "difference"] == pytest.approx(-gap, abs=0.2)
    assert ranked.table["weight"].sum() == pytest.approx(1.0)
    with pytest.raises(bmx.FitError, match="posterior draws"):
        bmx.compare({"a": selection[1], "b": selection[2]}, by="evidence")
