"""WAIC and LOO against closed forms, quadrature and exact refits; PSIS against known tails."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayesmix import FitError
from bayesmix.comparison import (
    Matching,
    good_k,
    loo,
    psis_smooth,
    repair,
    resample_indices,
    stacking_weights,
    waic,
)
from bayesmix.comparison.repair import moves

# --- Pareto-smoothed importance sampling ---------------------------------------------------


def quantiles(distribution, n=40_000):
    """Draws without chance: the quantiles in the middle of n equal intervals."""
    return distribution.ppf((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("k", [-0.5, 0.0, 0.3, 0.5, 0.7, 1.0, 1.5])
def test_khat_of_generalised_pareto_ratios(k):
    ratios = quantiles(stats.genpareto(k))
    tail = 3 * np.sqrt(len(ratios))
    # The fit's prior: ten observations with k = 0.5.
    expected = (tail * k + 10 * 0.5) / (tail + 10)
    assert psis_smooth(np.log(ratios))[1] == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("variance", [0.3, 0.5, 0.7])
def test_khat_of_a_normal_proposal_that_is_too_narrow(variance):
    """Ratios N(0, 1) / N(0, v) have the tail index k = 1 - v."""
    proposal = stats.norm(0, np.sqrt(variance))
    x = quantiles(proposal)
    log_weights, khat = psis_smooth(stats.norm.logpdf(x) - proposal.logpdf(x))
    assert khat == pytest.approx(1 - variance, abs=0.06)
    if variance > 0.4:
        assert np.exp(log_weights) @ x**2 == pytest.approx(1, abs=0.03)


def test_a_wide_proposal_has_bounded_ratios():
    proposal = stats.norm(0, 1.5)
    x = quantiles(proposal)
    log_weights, khat = psis_smooth(stats.norm.logpdf(x) - proposal.logpdf(x))
    assert khat < 0
    assert np.exp(log_weights).sum() == pytest.approx(1)
    assert np.exp(log_weights) @ x**2 == pytest.approx(1, abs=1e-3)


def test_smoothing_keeps_the_order_and_all_but_the_tail():
    ratios = np.log(stats.genpareto(0.6).rvs(2000, random_state=4))
    log_weights, _ = psis_smooth(ratios)
    assert (np.argsort(log_weights, kind="stable") == np.argsort(ratios, kind="stable")).all()
    body = np.argsort(ratios)[: 2000 - int(3 * np.sqrt(2000))]
    assert np.ptp((log_weights - ratios)[body]) < 1e-9


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        (np.zeros(50), -np.inf),  # equal
        (1e-16 * np.arange(50.0), -np.inf),  # equal but for rounding
        (np.r_[np.zeros(80), np.full(20, -3.0)], -np.inf),  # the largest ones equal
        (np.linspace(-1, 0, 20), np.inf),  # too few for a tail
        (np.r_[0.0, np.full(99, -800.0)], np.inf),  # one draw holds everything
    ],
    ids=["equal", "rounding", "equal at the top", "few", "one draw"],
)
def test_khat_where_no_tail_can_be_fitted(ratios, expected):
    log_weights, khat = psis_smooth(ratios)
    assert khat == expected
    assert np.exp(log_weights) == pytest.approx(np.exp(ratios) / np.exp(ratios).sum())


def test_draws_outside_the_target_have_no_weight():
    ratios = np.random.default_rng(2).normal(size=400)
    ratios[::2] = -np.inf
    log_weights, khat = psis_smooth(ratios)
    assert (log_weights[::2] == -np.inf).all()
    assert np.exp(log_weights).sum() == pytest.approx(1)
    assert np.isfinite(khat)


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        (np.full(50, -np.inf), "every importance ratio is zero"),
        (np.r_[np.nan, np.zeros(50)], "without NaN"),
        (np.r_[np.inf, np.zeros(50)], "without NaN or inf"),
        (np.zeros((2, 50)), r"given the shape \(2, 50\)"),
    ],
)
def test_ratios_that_are_none(ratios, words):
    with pytest.raises(FitError, match=words):
        psis_smooth(ratios)


def test_threshold_of_k():
    assert good_k(100) == pytest.approx(0.5)
    assert good_k(1000) == pytest.approx(2 / 3)
    assert good_k(4000) == 0.7


def test_resampling_is_stratified_shuffled_and_repeatable():
    weights = np.array([0.0, 0.5, 0.25, 0.0, 0.2, 0.05, 0.0])
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights) + 7
    at = resample_indices(log_weights, 1000, np.random.default_rng(1))
    assert np.abs(np.bincount(at, minlength=7) - 1000 * weights).max() <= 2
    assert (at == resample_indices(log_weights, 1000, np.random.default_rng(1))).all()
    assert not (np.diff(at) >= 0).all()
    assert set(np.flatnonzero(weights)) == set(at)


# --- conjugate truths ----------------------------------------------------------------------


class Normal:
    """y ~ N(mu, 1) with mu ~ N(0, 10^2); case weights are copies."""

    def __init__(self, y, weight=None):
        self.y = np.asarray(y, float)
        self.w = np.ones(len(y)) if weight is None else np.asarray(weight, float)

    def posterior(self, keep=slice(None)):
        precision = 1 / 100 + self.w[keep].sum()
        return (self.w[keep] * self.y[keep]).sum() / precision, 1 / precision

    def unit_log_lik(self, theta, unit):
        return self.w[unit] * stats.norm.logpdf(self.y[unit], theta[:, 0], 1)

    def draws(self, n=40_000):
        mean, variance = self.posterior()
        theta = np.random.default_rng(1).permutation(quantiles(stats.norm(mean, variance**0.5), n))
        return theta[:, None]

    def log_lik(self, theta):
        values = [self.unit_log_lik(theta, unit) for unit in range(len(self.y))]
        return np.column_stack(values).reshape(4, -1, len(self.y))

    def left_out(self, unit):
        """Log density of a unit's copies given the others: jointly normal."""
        mean, variance = self.posterior(np.arange(len(self.y)) != unit)
        copies = int(self.w[unit])
        covariance = np.eye(copies) + variance
        at = np.full(copies, self.y[unit])
        return stats.multivariate_normal(np.full(copies, mean), covariance).logpdf(at)


Y = np.r_[stats.norm.rvs(size=11, random_state=5), 2.5]


def test_waic_of_a_normal_mean():
    """log p is a constant less z^2 / 2 with z ~ N(y - m, v): its variance v^2 / 2 + v (y - m)^2."""
    model = Normal(Y)
    mean, variance = model.posterior()
    result = waic(model.log_lik(model.draws()), range(12))
    lppd = stats.norm.logpdf(Y, mean, np.sqrt(1 + variance))
    p = variance**2 / 2 + variance * (Y - mean) ** 2
    assert result.pointwise["lppd"].to_numpy() == pytest.approx(lppd, abs=1e-5)
    assert result.pointwise["p_waic"].to_numpy() == pytest.approx(p, rel=1e-3)
    assert result.elpd == pytest.approx((lppd - p).sum(), abs=1e-3)
    assert result.p_waic == pytest.approx(p.sum(), rel=1e-3)
    assert result.se == pytest.approx(np.sqrt(12 * (lppd - p).var(ddof=1)), rel=1e-3)
    # Only the last unit's variance is above 0.4.
    assert (p > 0.4).sum() == result.n_high == 1
    assert result.warning.startswith("1 unit with a posterior variance")


def test_waic_of_four_draws_by_hand():
    values = np.log([[[0.1], [0.2]], [[0.4], [0.1]]])
    result = waic(values, ["a"])
    spread = ((values - values.mean()) ** 2).sum() / 3
    assert result.p_waic == pytest.approx(spread)
    assert result.elpd == pytest.approx(np.log(0.2) - spread)


def test_loo_of_a_normal_mean():
    model = Normal(Y)
    result = loo(model.log_lik(model.draws()), pd.Index(list("abcdefghijkl"), name="site"))
    exact = np.array([model.left_out(unit) for unit in range(12)])
    assert result.pointwise["elpd_loo"].to_numpy() == pytest.approx(exact, abs=2e-3)
    assert result.elpd_loo == result.elpd == pytest.approx(exact.sum(), abs=4e-3)
    assert result.se == pytest.approx(np.sqrt(12 * exact.var(ddof=1)), rel=1e-2)
    lppd = waic(model.log_lik(model.draws()), range(12)).pointwise["lppd"].sum()
    assert result.p_loo == pytest.approx(lppd - exact.sum(), abs=4e-3)
    assert (result.n_bad, result.n_repaired, result.warning) == (0, 0, "")
    assert list(result.pareto_k.index) == list("abcdefghijkl")


def test_a_weighted_unit_is_left_out_with_all_its_copies():
    weight = np.r_[np.ones(9), 3, 2, 0]
    model = Normal(Y, weight)
    result = loo(model.log_lik(model.draws()), range(12), weight)
    exact = np.array([model.left_out(unit) if weight[unit] else 0.0 for unit in range(12)])
    assert result.pointwise["elpd_loo"].to_numpy() == pytest.approx(exact, abs=5e-3)
    # The same as groups of equal rows, and not the sum over copies left out alone.
    copies = np.repeat(np.arange(12), weight.astype(int))
    alone = Normal(Y[copies])
    each = np.array([alone.left_out(row) for row in range(len(copies))])
    assert abs(result.pointwise["elpd_loo"].iloc[9] - each[copies == 9].sum()) > 0.01
    # A unit of weight zero is not a unit: it has no part in the standard error.
    counts = exact[weight > 0]
    assert result.se == pytest.approx(np.sqrt(11 * counts.var(ddof=1)), rel=1e-2)
    shown = (repr(result), result._repr_html_(), repr(waic(np.zeros((1, 9, 1)), [0], [2.0])))
    for words in (" ".join(text.split()) for text in shown):
        assert "all of its copies are left out together" in words


def test_a_unit_of_weight_zero_may_be_impossible():
    log_lik = np.random.default_rng(1).normal(size=(2, 100, 3))
    log_lik[:, :, 1] = np.nan
    for function in (loo, waic):
        assert np.isfinite(function(log_lik, range(3), [1, 0, 1]).elpd)


# --- eight schools -------------------------------------------------------------------------

SCHOOLS = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
ERRORS = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
TAU = ((np.arange(3000) + 0.5) / 3000 * 150)[:, None]


def hyper(y, error):
    """Given tau on a grid: mean and variance of mu, and the weights of the grid."""
    precision = 1 / (error**2 + TAU**2)
    variance = 1 / precision.sum(1)
    mean = variance * (precision * y).sum(1)
    log_p = 0.5 * np.log(variance)
    log_p += stats.norm.logpdf(y, mean[:, None], precision**-0.5).sum(1)
    p = np.exp(log_p - log_p.max())
    return mean, variance, p / p.sum()


def schools_draws(n):
    rng = np.random.default_rng(3)
    mean, variance, p = hyper(SCHOOLS, ERRORS)
    at = rng.choice(len(p), n, p=p)
    tau, mu = TAU[at], rng.normal(mean[at], variance[at] ** 0.5)[:, None]
    precision = 1 / ERRORS**2 + 1 / tau**2
    centre = (SCHOOLS / ERRORS**2 + mu / tau**2) / precision
    return centre + rng.normal(size=(n, 8)) / precision**0.5


def schools_truth():
    """Limits of lppd, p_waic and elpd_loo by school, by quadrature over tau."""
    mean, variance, p = hyper(SCHOOLS, ERRORS)
    precision = 1 / ERRORS**2 + 1 / TAU**2
    centre = (SCHOOLS / ERRORS**2 + mean[:, None] / TAU**2) / precision
    spread = 1 / precision + variance[:, None] / (TAU**2 * precision) ** 2
    lppd = np.log(p @ stats.norm.pdf(SCHOOLS, centre, np.sqrt(spread + ERRORS**2)))
    z, r = (SCHOOLS - centre) / ERRORS, spread / ERRORS**2
    first, second = z**2 + r, 2 * r**2 + 4 * r * z**2 + (z**2 + r) ** 2
    p_waic = (p @ second - (p @ first) ** 2) / 4
    left_out = []
    for j in range(8):
        rest = np.arange(8) != j
        mean, variance, p = hyper(SCHOOLS[rest], ERRORS[rest])
        sd = np.sqrt(variance + TAU[:, 0] ** 2 + ERRORS[j] ** 2)
        left_out.append(np.log(p @ stats.norm.pdf(SCHOOLS[j], mean, sd)))
    return lppd, p_waic, np.array(left_out)


def test_eight_schools():
    """The hierarchical model of Gelman, Hwang and Vehtari (2014), Statistics and Computing 24."""
    lppd, p_waic, left_out = schools_truth()
    log_lik = stats.norm.logpdf(SCHOOLS, schools_draws(40_000), ERRORS)[None]
    found, loo_found = waic(log_lik, range(8)), loo(log_lik, range(8))
    assert -2 * lppd.sum() == pytest.approx(59.2, abs=0.05)
    assert found.pointwise["lppd"].to_numpy() == pytest.approx(lppd, abs=0.01)
    assert found.pointwise["p_waic"].to_numpy() == pytest.approx(p_waic, abs=0.015)
    assert found.elpd == pytest.approx((lppd - p_waic).sum(), abs=0.05)
    assert loo_found.elpd_loo == pytest.approx(left_out.sum(), abs=0.15)


def test_eight_schools_without_pooling():
    """Flat theta_j: -2 lppd = sum log(4 pi sigma^2) = 60.2, and p_waic = 1/2 for each school."""
    theta = SCHOOLS + ERRORS * quantiles(stats.norm, 20_000)[:, None]
    result = waic(stats.norm.logpdf(SCHOOLS, theta, ERRORS)[None], range(8))
    assert -2 * result.pointwise["lppd"].sum() == pytest.approx(60.1866, abs=1e-3)
    assert result.p_waic == pytest.approx(4, abs=0.02)
    assert -2 * result.elpd == pytest.approx(68.2, abs=0.05)


# --- repairs -------------------------------------------------------------------------------


class Regression:
    """y ~ N(X b, 1), b ~ N(0, 10^2), with leverage points eight standard deviations off."""

    def __init__(self, seed, n=25):
        rng = np.random.default_rng(seed)
        self.X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
        self.X[0, 1], self.X[1, 2] = 3, -4
        self.y = self.X @ [1, 2, 3] + rng.normal(size=n)
        self.y[:2] += [8, -8]
        self.n = n
        self.mean, self.covariance = self.posterior(np.arange(n) >= 0)
        self.draws = rng.multivariate_normal(self.mean, self.covariance, 4000)

    def posterior(self, keep):
        covariance = np.linalg.inv(np.eye(3) / 100 + self.X[keep].T @ self.X[keep])
        return covariance @ (self.X[keep].T @ self.y[keep]), covariance

    def left_out(self, units):
        out = []
        for u in units:
            mean, covariance = self.posterior(np.arange(self.n) != u)
            sd = np.sqrt(1 + self.X[u] @ covariance @ self.X[u])
            out.append(stats.norm.logpdf(self.y[u], self.X[u] @ mean, sd))
        return np.array(out)

    def log_density(self, theta):
        d = theta - self.mean
        return -0.5 * np.einsum("ti,ij,tj->t", d, np.linalg.inv(self.covariance), d)

    def unit_log_lik(self, theta, unit):
        return stats.norm.logpdf(self.y[unit], theta @ self.X[unit], 1)

    def loo(self):
        log_lik = stats.norm.logpdf(self.y, self.draws @ self.X.T, 1)
        return loo(log_lik.reshape(4, -1, self.n), range(self.n))

    def matching(self, **changed):
        parts = {"log_density": self.log_density, "unit_log_lik": self.unit_log_lik, **changed}
        return Matching(self.draws, **parts)


@pytest.mark.parametrize("seed", range(6))
def test_moment_matching_against_exact_refits(seed):
    model = Regression(seed)
    plain = model.loo()
    bad = np.flatnonzero(plain.pareto_k > plain.good_k)
    assert {0, 1} & set(bad)
    repaired = repair(plain, matching=model.matching())
    assert repaired.n_bad == 0
    assert repaired.n_moment_matched == repaired.n_repaired == len(bad) == repaired.n_first_bad
    exact = model.left_out(range(model.n))
    error = repaired.pointwise["elpd_loo"].to_numpy() - exact
    assert np.abs(error[bad]).max() < 0.12
    before = plain.pointwise["elpd_loo"].to_numpy() - exact
    assert np.abs(before[bad]).max() > 10 * np.abs(error[bad]).max()
    rest = np.setdiff1d(np.arange(model.n), bad)
    assert (repaired.pointwise.iloc[rest] == plain.pointwise.iloc[rest]).all(axis=None)
    lppd = repaired.pointwise["lppd"]
    assert (repaired.pointwise["p_loo"] == lppd - repaired.pointwise["elpd_loo"]).all()
    assert f"{len(bad)} repaired by moment matching, 0 by exact refits, 0 left" in " ".join(
        repr(repaired).split()
    )


@pytest.mark.parametrize("number", range(3))
def test_each_move_matches_its_moments(number):
    rng = np.random.default_rng(8)
    theta = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 3)) + [1, 2, 3]
    weights = rng.dirichlet(np.ones(200))
    moved = list(moves(theta, weights))[number](theta)
    target = weights @ theta
    # The weighted covariance with the divisor of a sample covariance, as R's package loo.
    wanted = ((theta - target) * weights[:, None]).T @ (theta - target) * 200 / 199
    assert moved.mean(0) == pytest.approx(target)
    found = (
        (np.cov(theta.T), np.cov(moved.T)),
        (np.diag(wanted), np.diag(np.cov(moved.T))),
        (wanted, np.cov(moved.T)),
    )[number]
    assert found[0] == pytest.approx(found[1])


def test_moves_that_cannot_be_made():
    theta = np.random.default_rng(8).normal(size=(40, 3))
    one = np.eye(40)[0]
    assert len(list(moves(theta, one))) == 1  # neither variances nor covariances
    assert len(list(moves(theta[:29], np.full(29, 1 / 29)))) == 2  # ten draws for each parameter


def test_a_narrow_posterior_needs_its_scale_matched():
    """One of two observations has all the information: without it the posterior is wide."""
    model = Normal([0.0, 0.5], [1, 60])
    theta = model.draws(4000)
    plain = loo(model.log_lik(theta), range(2))
    assert plain.pareto_k.iloc[1] > plain.good_k
    mean, variance = model.posterior()
    density = stats.norm(mean, variance**0.5)
    matching = Matching(theta, lambda t: density.logpdf(t[:, 0]), model.unit_log_lik)
    repaired = repair(plain, matching=matching)
    assert repaired.n_moment_matched == 1
    assert repaired.pointwise["elpd_loo"].iloc[1] == pytest.approx(model.left_out(1), abs=0.1)


def test_exact_refits_where_moment_matching_fails():
    model = Regression(0)
    plain = model.loo()
    bad = np.flatnonzero(plain.pareto_k > plain.good_k)
    asked = []

    def refit(units):
        asked.extend(units)
        return model.left_out(units)

    def hopeless(theta, unit):
        """A likelihood of the first unit that no affine map makes tame."""
        good = model.unit_log_lik(theta, unit)
        if unit != 0:
            return good
        return good - np.random.default_rng(len(theta)).standard_cauchy(len(theta)) ** 2

    repaired = repair(plain, refit, model.matching(unit_log_lik=hopeless))
    assert asked == [0]
    assert repaired.n_refitted == 1
    assert repaired.n_moment_matched == len(bad) - 1
    assert repaired.pointwise["elpd_loo"].iloc[0] == model.left_out([0])[0]
    assert repaired.pareto_k.iloc[0] == 0
    assert repaired.pointwise["first_pareto_k"].iloc[0] == plain.pareto_k.iloc[0]


def test_repairs_by_refits_alone_and_not_at_all():
    model = Regression(0)
    plain = model.loo()
    bad = np.flatnonzero(plain.pareto_k > plain.good_k)
    refitted = repair(plain, model.left_out)
    assert (refitted.n_refitted, refitted.n_bad, refitted.warning) == (len(bad), 0, "")
    assert (refitted.pointwise["elpd_loo"].to_numpy()[bad] == model.left_out(bad)).all()
    untouched = repair(plain)
    assert untouched.n_bad == len(bad)
    assert "repair them by moment matching or refits" in untouched.warning
    with pytest.raises(FitError, match="one log density for each"):
        repair(plain, lambda units: np.zeros(len(units) + 1))


def test_densities_that_end_somewhere_do_not_stop_moment_matching():
    model = Regression(1)

    def cut(theta):
        """The posterior's density with parts of the space forbidden or undefined."""
        value = np.where(theta[:, 0] > 6, np.nan, model.log_density(theta))
        return np.where(theta[:, 0] < -6, -np.inf, value)

    repaired = repair(model.loo(), matching=model.matching(log_density=cut))
    exact = model.left_out(range(model.n))
    assert repaired.n_moment_matched
    assert repaired.pointwise["elpd_loo"].to_numpy() == pytest.approx(exact, abs=0.12)


def test_nothing_to_repair_asks_for_nothing():
    model = Normal(Y)
    plain = loo(model.log_lik(model.draws(4000)), range(12))

    def never(*_):
        raise AssertionError

    assert repair(plain, never, Matching(model.draws(40), never, never)).n_repaired == 0


# --- against ArviZ, edges and errors -------------------------------------------------------


def test_agrees_with_arviz():
    from arviz_base import load_arviz_data
    from arviz_stats import loo as arviz_loo

    data = load_arviz_data("centered_eight")
    with pytest.warns(UserWarning, match="shape parameter"):
        theirs = arviz_loo(data, reff=1.0, pointwise=True)
    mine = loo(data.log_likelihood["obs"].to_numpy(), data.log_likelihood["school"].to_numpy())
    assert mine.pointwise["elpd_loo"].to_numpy() == pytest.approx(theirs.elpd_i.to_numpy())
    assert mine.pareto_k.to_numpy() == pytest.approx(theirs.pareto_k.to_numpy())
    assert mine.p_loo == pytest.approx(theirs.p)
    assert mine.good_k == pytest.approx(theirs.good_k)
    # ArviZ divides by the number of units, not by one less.
    assert mine.se == pytest.approx(theirs.se, rel=0.08)


def test_a_unit_that_is_impossible_at_a_draw():
    log_lik = np.random.default_rng(1).normal(size=(2, 100, 3))
    log_lik[0, 4, 1] = -np.inf
    found = loo(log_lik, range(3))
    assert found.pareto_k.iloc[1] == np.inf
    assert found.elpd_loo == -np.inf
    assert found.n_bad >= 1
    assert waic(log_lik, range(3)).elpd == -np.inf
    refitted = repair(found, lambda units: np.full(len(units), -2.0))
    assert np.isfinite(refitted.elpd_loo)


def test_units_with_one_name_are_told_apart_by_position():
    log_lik = np.random.default_rng(1).normal(size=(2, 200, 3)) * [0.1, 5, 0.1]
    found = loo(log_lik, ["a", "a", "a"])
    refitted = repair(found, lambda units: -units.astype(float))
    assert list(refitted.pointwise["repaired"]) == ["", "refit", ""]
    assert refitted.pointwise["elpd_loo"].iloc[1] == -1


def test_many_units_are_read_in_blocks():
    log_lik = np.random.default_rng(1).normal(size=(4, 10_000, 60))
    whole, part = loo(log_lik, range(60)), loo(log_lik[:, :, 57:], range(3))
    assert whole.pointwise["elpd_loo"].iloc[57:].tolist() == part.pointwise["elpd_loo"].tolist()


@pytest.mark.parametrize("function", [loo, waic])
@pytest.mark.parametrize(
    ("log_lik", "weight", "words"),
    [
        (np.zeros((10, 3)), None, r"shape \(chains, draws, 3 units\); given \(10, 3\)"),
        (np.zeros((2, 10, 4)), None, r"given \(2, 10, 4\)"),
        (np.zeros((1, 1, 3)), None, "1 draw cannot show"),
        (np.full((1, 5, 3), np.nan), None, "NaN or inf in 3 units, such as 'x'"),
        (np.full((1, 5, 3), np.inf), None, "NaN or inf in 3 units"),
        (np.zeros((1, 5, 3)), [1, 2], r"one value for each of 3 units; given the shape \(2,\)"),
    ],
)
def test_arrays_that_are_no_log_likelihood(function, log_lik, weight, words):
    with pytest.raises(FitError, match=words):
        function(log_lik, ["x", "y", "z"], weight)


def test_results_are_frozen_and_print():
    model = Regression(0)
    found = model.loo()
    with pytest.raises(AttributeError):
        found.good_k = 1.0
    assert repr(found).startswith("LOO of 25 units, 4000 draws\n  elpd_loo")
    result = waic(model.log_density(model.draws)[None, :, None], ["<unit>"])
    assert repr(result).startswith("WAIC of 1 unit, 4000 draws\n  elpd_waic")
    assert np.isnan(result.se)
    for shown in (found, result):
        lines = repr(shown).splitlines()
        assert max(map(len, lines)) <= 80
        heads = [line for line in lines[1:] if line[2] != " "]  # without those that continue
        assert shown._repr_html_().count("<tr>") == len(heads)


# --- stacking ------------------------------------------------------------------------------


def test_stacking_weights_in_closed_form():
    """n units with densities (p, q) and m with (q, p): w p + (1 - w) q = (p + q) n / (n + m)."""
    p, q, n, m = 0.8, 0.3, 7, 5
    density = np.array([[p, q]] * n + [[q, p]] * m)
    expected = ((p + q) * n / (n + m) - q) / (p - q)
    np.testing.assert_allclose(
        stacking_weights(np.log(density)), [expected, 1 - expected], atol=1e-5
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stacking_weights_meet_the_conditions_of_an_optimum(seed):
    """Mean density ratios to the mixture are one where a weight is positive, else at most one."""
    values = np.random.default_rng(seed).normal(size=(50, 4)) * [1, 1, 2, 1] - [0, 0.2, 0, 2]
    weight = stacking_weights(values - 900.0)
    ratio = (np.exp(values) / (np.exp(values) @ weight)[:, None]).mean(0)
    assert weight.sum() == pytest.approx(1)
    assert (ratio < 1 + 1e-4).all()
    np.testing.assert_allclose(ratio[weight > 0], 1, atol=1e-4)


def test_stacking_leaves_out_units_that_nothing_allows():
    values = np.array([[0.0, -1.0], [-2.0, -0.5], [-np.inf, -np.inf]])
    np.testing.assert_allclose(stacking_weights(values), stacking_weights(values[:2]))
    with pytest.raises(FitError, match="nothing to weigh by"):
        stacking_weights(values[2:])
    with pytest.raises(FitError, match="without NaN"):
        stacking_weights([[np.nan, 0.0]])
