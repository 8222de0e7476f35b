"""Families of shares, amounts and extra zeros against statsmodels, SciPy and plain NumPy."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx
from bayesmix.errors import DataError, SpecError

N = 400
RNG = np.random.default_rng(5)
X = RNG.normal(size=N)
ZERO = RNG.random(N) < 0.3
DATA = pd.DataFrame(
    {
        "x": X,
        "count": np.where(ZERO, 0, RNG.poisson(np.exp(0.8 + 0.3 * X))),
        "share": RNG.beta(2.0, 3.0, N),
        "time": RNG.weibull(1.5, N) * np.exp(0.4 * X),
        "amount": np.where(ZERO, 0.0, RNG.gamma(2.0, np.exp(0.2 * X))),
    }
)


def fit(response, family, **options):
    return bmx.Mixture(f"{response} ~ x", DATA, family=family, k=1, **options).fit("em")


def test_zero_inflated_counts_are_those_of_statsmodels():
    from statsmodels.discrete.count_model import ZeroInflatedPoisson

    peer = ZeroInflatedPoisson(DATA["count"], np.column_stack([np.ones(N), X])).fit(disp=0)
    ours = fit("count", "zero_inflated_poisson")
    assert ours.loglik == pytest.approx(peer.llf, abs=1e-5)
    assert ours.dispersion()["psi"][1] == pytest.approx(
        special.expit(peer.params.iloc[0]), rel=1e-3
    )
    np.testing.assert_allclose(ours.coefficients()[1], peer.params.iloc[1:], rtol=2e-3)


def test_shares_are_those_of_statsmodels():
    from statsmodels.othermod.betareg import BetaModel

    peer = BetaModel(DATA["share"], np.column_stack([np.ones(N), X])).fit(disp=0)
    ours = fit("share", "beta")
    assert ours.loglik == pytest.approx(peer.llf, abs=1e-6)
    assert np.log(ours.dispersion()["phi"][1]) == pytest.approx(peer.params.iloc[-1], abs=1e-4)


def test_hurdles_are_two_models_in_one():
    """Zeros against the others, and the others cut off at zero, by SciPy alone."""
    from scipy.optimize import minimize

    y, zero = DATA["count"].to_numpy(float), DATA["count"].to_numpy() == 0

    def cost(b):
        mu = np.exp(b[0] + b[1] * X[~zero])
        return -(stats.poisson.logpmf(y[~zero], mu) - np.log1p(-np.exp(-mu))).sum()

    share = zero.mean()
    zeros = zero.sum() * np.log(share) + (~zero).sum() * np.log1p(-share)
    found = minimize(cost, [0.5, 0.0], tol=1e-12)
    ours = fit("count", "hurdle_poisson")
    assert ours.loglik == pytest.approx(zeros - found.fun, abs=1e-6)
    assert ours.dispersion()["psi"][1] == pytest.approx(share, rel=1e-6)


@pytest.mark.parametrize("family", ["exponential", "weibull", "lognormal", "loglogistic"])
def test_a_plain_positive_response_is_a_time_known_exactly(family):
    plain = fit("time", family)
    times = bmx.Mixture("surv(time) ~ x", DATA, family=family, k=1).fit("em")
    assert plain.loglik == pytest.approx(times.loglik, rel=1e-10)
    location = bmx.family(family).location
    expected = times.params[location].to_numpy()[0]
    np.testing.assert_allclose(plain.coefficients()[1], expected, rtol=1e-6)
    assert plain.predict().shape == (N, 1)
    assert (plain.simulate(seed=1).to_numpy() > 0).all()


def test_inverse_gaussian_responses_have_the_closed_form_of_ml():
    y = DATA["time"].to_numpy()
    ours = bmx.Mixture("time ~ 1", DATA, family="inverse_gaussian", k=1).fit("em")
    assert np.exp(ours.coefficients()[1].iloc[0]) == pytest.approx(y.mean(), rel=1e-6)
    assert ours.dispersion()["shape"][1] == pytest.approx(
        1 / np.mean(1 / y - 1 / y.mean()), rel=1e-6
    )


@pytest.mark.parametrize("family", ["hurdle_gamma", "hurdle_lognormal"])
def test_amounts_with_zeros_in_two_classes(family):
    """The likelihood at given parameters, by a few lines of NumPy."""
    spec = bmx.Mixture("amount ~ x", DATA, family=family, k=2)
    params = spec.fit("em", seed=1, starts=2, max_iter=3).params
    y, design = DATA["amount"].to_numpy(), np.column_stack([np.ones(N), X])
    name = "shape" if family == "hurdle_gamma" else "sdlog"
    total = 0.0
    for s in range(2):
        eta = design @ params["coef"].to_numpy()[s]
        spread, psi = float(params[name][s]), float(params["psi"][s])
        some = np.where(y > 0, y, 1.0)
        if family == "hurdle_gamma":
            logf = stats.gamma.logpdf(some, spread, scale=np.exp(eta) / spread)
        else:
            logf = stats.lognorm.logpdf(some, spread, 0, np.exp(eta))
        density = np.where(y > 0, (1 - psi) * np.exp(logf), psi)
        total = total + float(params["weight"][s]) * density
    assert spec.log_likelihood(params) == pytest.approx(np.log(total).sum(), rel=1e-10)


@pytest.mark.parametrize("family", ["hurdle_poisson", "hurdle_negative_binomial"])
def test_counts_above_a_hurdle_are_drawn_even_where_nearly_all_are_zero(family):
    values = {"mu": np.full(2000, 1e-4), "psi": np.full(2000, 0.25)}
    if family == "hurdle_negative_binomial":
        values["alpha"] = np.full(2000, 0.5)
    y = bmx.family(family).simulate(np.random.default_rng(1), **values)
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.04)
    assert (y[y > 0] == 1).mean() > 0.99


def test_a_share_of_one_and_a_negative_amount_are_refused():
    with pytest.raises(DataError, match="above 0 and below 1"):
        bmx.Mixture("y ~ 1", pd.DataFrame({"y": [0.2, 1.0]}), family="beta", k=1)
    with pytest.raises(DataError, match="zero or more"):
        bmx.Mixture("y ~ 1", pd.DataFrame({"y": [0.2, -1.0]}), family="hurdle_gamma", k=1)
    with pytest.raises(SpecError, match=r"surv\(time, status\)"):
        bmx.Mixture("y ~ 1", pd.DataFrame({"y": [0.2, 1.0]}), family="cured", k=1)


@pytest.mark.parametrize(
    ("response", "family"),
    [
        ("count", "zero_inflated_poisson"),
        ("count", "hurdle_negative_binomial"),
        ("share", "beta"),
        ("time", "weibull"),
        ("amount", "hurdle_lognormal"),
    ],
)
def test_files_and_new_rows(response, family, tmp_path):
    ours = bmx.Mixture(f"{response} ~ x", DATA, family=family, k=2).fit("em", seed=1, starts=1)
    ours.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(again.membership(), ours.membership())
    new = pd.DataFrame({"x": [0.0, 1.0]})
    np.testing.assert_allclose(again.predict(new), ours.predict(new))


@pytest.mark.parametrize("seed", [2, 4, 5, 8])
def test_very_skewed_inverse_gaussian_responses_end_at_the_maximum(seed):
    """From the responses as means, scoring steps leap to means without bound."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    x = rng.normal(size=80)
    y = rng.wald(np.exp(1 + 0.7 * x), 0.3)

    def cost(b):
        mu, shape = np.exp(b[0] + b[1] * x), np.exp(b[2])
        return -stats.invgauss.logpdf(y, mu / shape, scale=shape).sum()

    found = minimize(cost, [1.0, 0.7, np.log(0.3)], tol=1e-10)
    data = pd.DataFrame({"x": x, "y": y})
    ours = bmx.Mixture("y ~ x", data, family="inverse_gaussian", k=1).fit("em")
    assert ours.status == "converged"
    assert ours.loglik == pytest.approx(-found.fun, abs=1e-6)
