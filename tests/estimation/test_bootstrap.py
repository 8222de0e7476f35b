"""The bootstrap's summary: errors on the scales that the summary names, against closed forms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.estimation.bootstrap import resampled_summary

N, SIGMA = 300, 20.0


@pytest.fixture(scope="module")
def boot():
    """Two gaussians whose components are all known, so that every estimate has a closed form."""
    rng = np.random.default_rng(3)
    high = rng.random(N) < 0.2
    data = pd.DataFrame({"y": rng.normal(np.where(high, 500.0, 0.0), SIGMA)})
    data["known"] = np.where(high, "high", "low")
    fit = bmx.Mixture("y ~ 1", data, k=2, labels="known").fit(seed=1)
    return fit, fit.bootstrap(200, "case", seed=2)


def rows(frame, effect):
    return frame[frame["effect"] == effect].set_index("component")


def test_errors_are_natural(boot):
    fit, resampled = boot
    table = resampled.summary()
    assert list(table["scale"]) == list(fit.summary()["scale"])
    size = fit.mixing * N
    # Of a gaussian sample: se(mean) = sigma / sqrt(n), se(sigma) = sigma / sqrt(2 n); of
    # a proportion: se(p) = sqrt(p (1 - p) / n).  200 resamples: 5 percent error.
    sigma = fit.dispersion()["sigma"]
    expected = {
        "varying": sigma / np.sqrt(size),
        "dispersion": sigma / np.sqrt(2 * size),
        "weight": np.sqrt(fit.mixing * (1 - fit.mixing) / N),
    }
    for effect, truth in expected.items():
        ratio = rows(table, effect)["se"] / truth
        assert ratio.between(0.8, 1.25).all(), effect
    # E (sigma of n) - sigma is about -3 sigma / (4 n)
    bias = rows(table, "dispersion")["bias"] + 0.75 * sigma / size
    assert (bias.abs() < 4 * expected["dispersion"] / np.sqrt(200)).all()


def test_intervals_are_percentiles_on_the_natural_scale(boot):
    fit, resampled = boot
    table = rows(resampled.summary(ci=0.9), "dispersion")
    block = fit._fitted.spec.layout.blocks[0]
    log_sigma = resampled.draws[:, block.predictors[1].index[:, 0]]
    ends = np.exp(np.quantile(log_sigma, [0.05, 0.95], axis=0))
    np.testing.assert_allclose(table[["lower", "upper"]].T, ends, rtol=1e-3)
    np.testing.assert_allclose(table["se"], np.exp(log_sigma).std(axis=0, ddof=1), rtol=1e-12)


def test_a_refit_at_a_bound_gives_a_finite_error_and_interval(boot):
    fit, resampled = boot
    inner = resampled._resampled
    theta = inner.theta.copy()
    theta[0, fit._fitted.spec.layout.alpha[1, 0]] = -2000.0  # a weight of zero
    table = rows(resampled_summary(replace(inner, theta=theta), 0.95), "weight")
    assert np.isfinite(table[["se", "bias", "lower", "upper"]]).all(axis=None)
