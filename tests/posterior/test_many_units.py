"""Posteriors of many units: labels from a part of them, leave-one-out in parts and threads."""

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from scipy.special import logsumexp

import bayesmix as bmx
from bayesmix.comparison.loo import loo
from bayesmix.comparison.psis import left_out
from bayesmix.comparison.waic import waic
from bayesmix.estimation.modes import modes_among, search
from bayesmix.likelihood import log_likelihood
from bayesmix.posterior import pointwise
from bayesmix.priors import Penalty
from bayesmix.results.fitted import standard_problem
from bayesmix.sampling import laplace, posterior


@pytest.mark.parametrize("n_draws", [100, 1000, 4000])
def test_units_left_out_together_are_those_of_arviz(n_draws):
    rng = np.random.default_rng(1)
    spread = rng.uniform(0.01, 3.0, size=(150, 1))
    values = -spread * rng.exponential(size=(150, n_draws)) - rng.normal(size=(150, 1)) ** 2
    values[0], values[1], values[2] = -1.0, 30 * values[1], 1000 * values[2]
    elpd, khat = left_out(values)
    for u in range(1, 150):
        log_weights, k = array_stats.psislw(values[u])
        assert khat[u] == pytest.approx(np.inf if np.isnan(k) else k, rel=1e-9)
        assert elpd[u] == pytest.approx(logsumexp(log_weights + values[u]), rel=1e-9)
    assert (elpd[0], khat[0]) == (pytest.approx(-1.0), -np.inf)
    elpd, khat = left_out(values[3:, :3])  # too few for a tail: harmonic means
    np.testing.assert_allclose(elpd, np.log(3) - logsumexp(-values[3:, :3], axis=1))
    assert (khat == np.inf).all()


def test_an_impossible_draw_is_infinitely_bad():
    values = np.random.default_rng(0).normal(size=(3, 200))
    values[1, 5] = -np.inf
    elpd, khat = left_out(values)
    assert (elpd[1], khat[1]) == (-np.inf, np.inf)
    assert np.isfinite(elpd[[0, 2]]).all()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    x, late = rng.normal(size=900), rng.random(900) < 0.4
    y = rng.poisson(np.exp(np.where(late, 1.5 + 0.4 * x, -0.2 * x)))
    return pd.DataFrame(
        {"x": x, "y": y, "g": np.arange(900) // 3, "w": 1.0 + (np.arange(900) // 3) % 2}
    )


@pytest.mark.parametrize("options", [{}, {"group": "g", "weights": "w"}])
@pytest.mark.parametrize("blocks", [False, True])
def test_criteria_in_parts_are_those_of_the_whole(data, options, blocks, monkeypatch):
    whole = bmx.Mixture("y ~ x", data, family="poisson", k=2, **options)
    fit = whole.fit("laplace", draws=400, seed=1)
    drawn, rows = fit._drawn, whole.spec.rows
    given = (drawn.log_likelihood, rows.units.index, rows.weight)
    expected = loo(*given).pointwise, waic(*given).pointwise
    monkeypatch.setattr(pointwise, "PART", 8 * 400 * 70)
    if blocks:
        parts = bmx.Mixture("y ~ x", bmx.scan(data, rows=200), family="poisson", k=2, **options)
        drawn = drawn.__class__(**{**vars_of(drawn), "spec": parts.spec})
        fit = fit.__class__(drawn, fit.point())
    for found, table in zip((fit.loo(repair=False), fit.waic()), expected, strict=True):
        numbers = table.select_dtypes("number")
        np.testing.assert_allclose(found.pointwise[list(numbers)], numbers, rtol=1e-9, atol=1e-9)
        assert found.pointwise.index.equals(table.index)


def vars_of(drawn):
    return {name: getattr(drawn, name) for name in drawn.__dataclass_fields__}


def test_labels_come_from_a_part_of_many_units(data, monkeypatch):
    spec = bmx.Mixture("y ~ x", data, family="poisson", k=2)
    all_units = spec.fit("laplace", draws=300, seed=1)
    monkeypatch.setattr(posterior, "LABELLING", 200)
    few = posterior.relabelled(all_units._drawn, "stephens", None)
    np.testing.assert_array_equal(few.theta, all_units._drawn.theta)


def test_a_part_of_many_units_gives_the_density_of_all(monkeypatch):
    rng = np.random.default_rng(4)
    x = rng.normal(size=6000)
    y = rng.poisson(np.exp(np.where(rng.random(6000) < 0.4, 2.0 + 0.4 * x, -0.2 * x)))
    spec = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), family="poisson", k=2)
    post = spec.fit("laplace", draws=50, seed=1)
    penalty = Penalty(post._drawn.priors, jacobian=True)
    problem = standard_problem(spec.spec, penalty, 1)
    (mode, *_) = modes_among(
        problem, search(problem, 0, rng, post._drawn.point.standard_theta[None]), None
    )
    monkeypatch.setattr(laplace, "PARTS", (2000,))
    for close, wanted in ((0.1, 0.05), (0.0, 1e-9)):
        monkeypatch.setattr(laplace, "CLOSE", close)
        made = laplace.laplace_draws(problem, mode, 1000, np.random.default_rng(1))
        error = made.log_density - log_likelihood(problem, made.theta)
        assert np.std(error) < wanted
        assert abs(np.mean(error)) < wanted / 5
        assert (np.std(error) > 1e-6) == (close > 0)


def test_memberships_and_predictions_of_a_posterior_come_in_blocks(data):
    whole, parts = (
        bmx.Mixture("y ~ x", d, family="poisson", k=2).fit("laplace", draws=300, seed=1)
        for d in (data, bmx.scan(data, rows=400))
    )
    for expected, frames in (
        (whole.membership(uncertainty=True), parts.membership(uncertainty=True)),
        (whole.predict(by="marginal"), parts.predict(by="marginal")),
    ):
        found = pd.concat(list(frames))
        assert found.index.equals(expected.index)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
