"""Tests of the number of components: distributions, eigenvalues and resamples by other ways."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx
from bayesmix.estimation import likelihood_ratio
from bayesmix.estimation.likelihood_ratio import weighted_chi2_sf


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


# --- the weighted sum of chi-squares ----------------------------------------------------------


@pytest.mark.parametrize(("x", "p"), [(0.1, 0.9458), (0.7, 0.5064), (2.0, 0.1240)])
def test_imhofs_table(x, p):
    """Imhof (1961), table 1, the first quadratic form."""
    assert weighted_chi2_sf(x, np.array([0.6, 0.3, 0.1])) == pytest.approx(p, abs=5e-5)


@pytest.mark.parametrize(("df", "x"), [(1, 3.8), (2, 5.0), (5, 40.0), (12, 30.0), (40, 12.0)])
@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_equal_weights_are_one_chi_square(df, x, unit):
    got = weighted_chi2_sf(unit * x, np.full(df, unit))
    assert got == pytest.approx(stats.chi2.sf(x, df), abs=1e-8)


def test_weights_of_both_signs():
    """The difference of two chi-squares with two degrees of freedom is a Laplace variable."""
    got = weighted_chi2_sf(3.0, np.array([1.0, 1.0, -1.0, -1.0]))
    assert got == pytest.approx(stats.laplace.sf(3.0, scale=2.0), abs=1e-12)
    assert weighted_chi2_sf(-3.0, np.array([-1.0, -1.0])) == pytest.approx(1 - np.exp(-1.5))
    assert weighted_chi2_sf(1.0, np.zeros(3)) == 0.0


# --- Vuong, Lo, Mendell and Rubin -----------------------------------------------------------


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    y = rng.poisson(np.where(rng.random(150) < 0.4, 2.0, 6.0))
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family="poisson")
    return y, bmx.select(spec, k=[1, 2, 3], seed=1)


def test_weights_by_finite_differences(counts):
    """Vuong's matrix from numerical scores and Hessians of logits and log means."""
    y, selection = counts
    fit = selection[2]

    def two(t):
        logs = [stats.poisson.logpmf(y, np.exp(t[i])) for i in (0, 1)]
        return special.logsumexp(
            [logs[0] - np.logaddexp(0, t[2]), logs[1] - np.logaddexp(0, -t[2])], 0
        )

    def one(t):
        return stats.poisson.logpmf(y, np.exp(t[0]))

    means = fit.coefficients().loc["Intercept"].to_numpy()
    at = [np.array([*means, special.logit(fit.mixing.iloc[1])]), np.log([y.mean()])]
    scores, inverses = [], []
    for function, theta in zip((two, one), at, strict=True):
        h = 1e-4 * np.eye(len(theta))
        scores.append(np.array([(function(theta + e) - function(theta - e)) / 2e-4 for e in h]))
        hessian = [
            [
                function(theta + a + b).sum()
                - function(theta + a - b).sum()
                - function(theta - a + b).sum()
                + function(theta - a - b).sum()
                for a in h
            ]
            for b in h
        ]
        inverses.append(np.linalg.inv(-np.array(hessian) / 4e-8))
    f, g = scores
    w = np.block(
        [
            [f @ f.T @ inverses[0], f @ g.T @ inverses[1]],
            [-g @ f.T @ inverses[0], -g @ g.T @ inverses[1]],
        ]
    )
    want = np.sort(np.linalg.eigvals(w).real)[::-1]
    test = selection.test(1, kind="vlmr")
    test.weights[:] = -1.0  # a copy
    np.testing.assert_allclose(test.weights, want, atol=2e-3)
    assert test.statistic == pytest.approx(2 * (fit.loglik - selection[1].loglik))
    adjusted = test.statistic / (1 + 1 / (2 * np.log(150)))
    assert test.adjusted[0] == pytest.approx(adjusted)
    draws = np.random.default_rng(1).chisquare(1, (200_000, 4)) @ test.weights
    assert test.p_value == pytest.approx((draws > test.statistic).mean(), abs=0.005)
    assert "Jeffries" in test.caveat
    assert "Jeffries" in repr(test)
    assert test.draws.size == 0


# --- bootstrap -------------------------------------------------------------------------------


def test_bootstrap_finds_two_classes_and_no_third(counts):
    _, selection = counts
    low = quietly(lambda: selection.test(1, 2, n_boot=49, seed=1, progress=False))
    high = quietly(lambda: selection.test(2, 3, n_boot=19, seed=1, progress=False))
    assert low.p_value == 0.02
    assert high.p_value > 0.2
    low.draws[:] = -1.0  # a copy
    assert low.draws.shape == (49,)
    assert (low.draws >= 0).all()
    assert low.p_value == (1 + (low.draws >= low.statistic).sum()) / 50
    assert "49 of 49" in repr(low)


def test_draws_against_a_bootstrap_by_hand(counts):
    """Simulated counts, refitted through the public interface with many starts."""
    y, selection = counts
    test = selection.test(1, 2, n_boot=60, seed=4, progress=False)
    rng = np.random.default_rng(9)
    by_hand = []
    for _ in range(60):
        d = pd.DataFrame({"y": rng.poisson(y.mean(), len(y))})
        fits = [
            quietly(lambda k=k, d=d: bmx.Mixture("y ~ 1", d, family="poisson", k=k).fit(seed=1))
            for k in (1, 2)
        ]
        by_hand.append(2 * (fits[1].loglik - fits[0].loglik))
    assert stats.ks_2samp(test.draws, by_hand).pvalue > 0.01
    assert abs((test.draws < 1e-3).mean() - (np.array(by_hand) < 1e-3).mean()) < 0.2


def test_resamples_without_a_regular_maximum_are_not_counted(counts, monkeypatch):
    monkeypatch.setattr(likelihood_ratio, "refitted", lambda *_, **__: (None, 0.0, "failed"))
    with pytest.raises(bmx.FitError, match="only 0 of 19 resamples"):
        counts[1].test(1, 2, n_boot=19, seed=1)


def test_the_seed_decides_and_processes_do_not(counts, monkeypatch):
    _, selection = counts
    one = selection.test(1, 2, n_boot=19, seed=2, n_jobs=1)
    again = selection.test(1, 2, n_boot=19, seed=2, n_jobs=2)
    np.testing.assert_allclose(one.draws, again.draws, atol=1e-6)
    assert not np.allclose(one.draws, selection.test(1, 2, n_boot=19, seed=3).draws)
    monkeypatch.setitem(sys.modules, "joblib", None)
    alone = selection.test(1, 2, n_boot=19, seed=2, n_jobs=1)
    np.testing.assert_array_equal(alone.draws, one.draws)
    with pytest.raises(bmx.FitError, match="pip install joblib"):
        selection.test(1, 2, n_boot=19, seed=2, n_jobs=2)


def test_censored_times_and_groups_are_simulated_too():
    rng = np.random.default_rng(1)
    n = 120
    t = np.exp(np.where(rng.random(n) < 0.5, 0.0, 2.0)) * rng.weibull(3, n)
    d = pd.DataFrame({"t": np.minimum(t, 8.0), "s": (t < 8).astype(int)})
    d["low"], d["high"] = np.floor(t), np.floor(t) + 1
    formulas = ["surv(t, s) ~ 1", "surv(low, high, kind='interval') ~ 1"]
    times = [bmx.select(bmx.Mixture(f, d, family="weibull"), k=[1, 2], seed=1) for f in formulas]
    g = np.repeat(np.arange(30), 4)
    y = np.where(g < 15, 2.0, -2.0) + rng.normal(size=n)
    grouped = bmx.select(bmx.Mixture("y ~ 1 | g", pd.DataFrame({"y": y, "g": g})), k=[1, 2], seed=1)
    for selection in (*times, grouped):
        test = selection.test(1, 2, n_boot=19, seed=1)
        usable = np.isfinite(test.draws).sum()
        assert usable >= 15
        assert test.p_value == 1 / (1 + usable)


def test_a_fit_that_stopped_early_is_tested_with_a_warning(counts):
    """The likelihood of two components rises too slowly to end; the statistic is what it is."""
    y, _ = counts
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family="poisson")
    stopped = quietly(lambda: bmx.select(spec, k=[1, 2], seed=1, max_iter=3))
    assert [stopped[k].status for k in (1, 2)] == ["converged", "max_iter"]
    with pytest.warns(bmx.ConvergenceWarning, match="k=2 stopped .* may be too low"):
        test = stopped.test(1, 2, n_boot=19, seed=1, progress=False)
    assert test.statistic == pytest.approx(2 * (stopped[2].loglik - stopped[1].loglik))
    assert test.p_value == 0.05


@pytest.mark.slow
def test_the_level_under_one_component():
    """The share of 600 data sets of one component that is rejected at 5 percent.

    No resample of 19 exceeds the statistic once in twenty times; the error of the share is 0.9
    percent.
    """
    rng = np.random.default_rng(2)
    rejected = 0
    for _ in range(600):
        spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": rng.poisson(4.0, 80)}), family="poisson")
        s = quietly(lambda m=spec: bmx.select(m, k=[1, 2], seed=1, starts=5))
        test = quietly(lambda s=s: s.test(1, 2, n_boot=19, seed=rng, progress=False, n_jobs=1))
        rejected += test.p_value <= 0.05
    assert 0.03 <= rejected / 600 <= 0.08


# --- what is refused -------------------------------------------------------------------------

REFUSED = {
    "kind": (lambda s: s.test(1, 2, kind="lrt"), r"kind='lrt'\) is unknown"),
    "absent": (lambda s: s.test(3), r"k=4 was not fitted; there are \[1, 2, 3\]"),
    "order": (lambda s: s.test(2, 1), "k0 < k1"),
    "processes": (lambda s: s.test(1, 2, n_jobs=0), "n_jobs"),
    "resamples": (lambda s: s.test(1, 2, n_boot=3), "n_boot"),
    "options": (lambda s: s.test(1, 2, kind="vlmr", seed=1), "seed= belongs to kind='bootstrap'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(counts, name):
    call, words = REFUSED[name]
    with pytest.raises(bmx.FitError, match=words):
        call(counts[1])


def test_weights_and_modes_have_no_resamples():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"y": rng.normal(size=60), "w": rng.integers(1, 4, 60)})
    weighted = quietly(lambda: bmx.select(bmx.Mixture("y ~ 1", d, weights="w"), k=[1, 2], seed=1))
    with pytest.raises(bmx.FitError, match="repeat the rows"):
        weighted.test(1, 2)
    modes = quietly(lambda: bmx.select(bmx.Mixture("y ~ 1", d), k=[1, 2], method="map", seed=1))
    with pytest.raises(bmx.FitError, match="maximum likelihoods"):
        modes.test(1, 2)
