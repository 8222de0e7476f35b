"""Spurious maxima: what is one, what is none, and that they never win."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.likelihood import build_problem
from bayesmix.model.params import from_dataset
from bayesmix.results.spurious import narrowness


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def near_ties(n=90, seed=3):
    """Responses of two classes, three of which are nearly equal, and their own component."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(4, np.where(rng.random(n) < 0.5, 4.0, 1.0) / 4)
    y[:3] = 6.0, 6.0002, 6.0005
    own = np.where(np.arange(n) < 3, 2, 1)
    return pd.DataFrame({"y": y, "status": 1}), own


def gauss(name="own_gauss"):
    return bmx.Family(
        name,
        params={"mu": "identity", "s": "log"},
        location="mu",
        logpdf=lambda y, mu, s: -0.5 * ((y - mu) / s) ** 2 - xp.log(s) - 0.5 * np.log(2 * np.pi),
    )


FAMILIES = {
    "gaussian": ("y ~ 1", "gaussian"),
    "own": ("y ~ 1", gauss()),
    "weibull": ("surv(y, status) ~ 1", "weibull"),
    "lognormal": ("surv(y, status) ~ 1", "lognormal"),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("unit", [1.0, 1e7])
def test_three_close_values_are_no_component(name, unit):
    formula, family = FAMILIES[name]
    d, own = near_ties()
    spec = bmx.Mixture(formula, d.assign(y=unit * d.y), family=family, k=2)
    with pytest.warns(bmx.DegenerateWarning, match=r"fits about 3[.\d]* of 90 units"):
        there = spec.fit(init=own)
    assert there.status == "spurious"
    assert not there.converged
    free = quietly(lambda: spec.fit(seed=1))
    assert free.status == "converged"


def test_a_spurious_start_loses_against_a_regular_one():
    d, own = near_ties()
    d["y"] = np.where(own == 2, 6 + (d.y - 6) / 1000, d.y)
    fit = quietly(lambda: bmx.Mixture("y ~ 1", d).fit(init=own, starts=4, seed=1))
    assert fit.status == "converged"
    assert fit.starts.status[0] == "spurious"
    assert fit.starts.loglik[0] > fit.loglik
    assert fit.starts.attrs["agreeing"] == (fit.starts.loglik[1:] > fit.loglik - 1e-5).sum()


def test_copies_are_weights():
    """Two copies of every unit do not make a handful of units more."""
    d, own = near_ties()
    copies = pd.concat([d, d], ignore_index=True)
    weighted = bmx.Mixture("y ~ 1", d.assign(w=2), weights="w")
    repeated = bmx.Mixture("y ~ 1", copies)
    ends = [
        quietly(lambda: repeated.fit(init=np.tile(own, 2))),
        quietly(lambda: weighted.fit(init=own)),
    ]
    assert ends[0].loglik == pytest.approx(ends[1].loglik, rel=1e-8)
    assert ends[0].status == ends[1].status


def small_clusters():
    rng = np.random.default_rng(5)
    main = rng.normal(size=400)
    return {
        "eight wide outliers": np.r_[main, rng.uniform(8, 14, 8)],
        "forty units fifty times narrower": np.r_[main, rng.normal(0.5, 0.02, 40)],
        "seven units five times narrower": np.r_[main, rng.normal(9, 0.2, 7)],
    }


@pytest.mark.parametrize("kind", list(small_clusters()))
def test_regular_small_components_stay(kind):
    y = small_clusters()[kind]
    fit = quietly(
        lambda: bmx.Mixture("y ~ 1", pd.DataFrame({"y": y})).fit(
            init=1 + (np.arange(len(y)) >= 400)
        )
    )
    assert fit.status == "converged"


@pytest.mark.parametrize("family", ["hurdle_gamma", "hurdle_lognormal"])
def test_a_class_of_zeros_is_regular(family):
    """All its units have the same response, which says nothing of a scale."""
    rng = np.random.default_rng(3)
    y = np.r_[np.zeros(40), np.where(rng.random(160) < 0.2, 0, rng.gamma(2, 3, 160))]
    g = np.repeat(np.arange(50), 4)
    spec = bmx.Mixture("y ~ 1 | g", pd.DataFrame({"y": y, "g": g}), family=family)
    fit = quietly(lambda: spec.fit(init=1 + (np.arange(50) >= 10)))
    assert fit.status != "spurious"


@pytest.mark.parametrize("unit", [1.0, 1e12])
def test_lognormal_amounts_collapse_in_no_unit(unit):
    """Their dispersion has no unit; that of the responses is no floor for it."""
    rng = np.random.default_rng(3)
    y = unit * np.exp(np.where(rng.random(200) < 0.5, 0.0, 2.0) + 0.3 * rng.normal(size=200))
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family="lognormal").fit(seed=1)
    assert fit.status == "converged"


@pytest.mark.parametrize("family", ["negative_binomial", "poisson"])
def test_counts_have_bounded_densities(family):
    rng = np.random.default_rng(2)
    y = np.r_[rng.negative_binomial(1, 0.02, 150), np.full(5, 40)]
    fit = quietly(lambda: bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family=family).fit(seed=1))
    assert fit.status != "spurious"


def test_the_gain_is_that_of_hathaways_ratio():
    """Between Gaussians it is log(r) - (1 - 1 / r^2) / 2, whatever the unit."""
    d, own = near_ties()
    spec = bmx.Mixture("y ~ 1", d)
    fit = quietly(lambda: spec.fit(init=own))
    sigma = fit.dispersion()["sigma"].to_numpy()
    narrow = int(sigma.argmin())
    ratio = sigma.max() / sigma.min()
    got = narrowness(build_problem(spec.spec), from_dataset(spec.spec, fit.params))
    assert got[1 - narrow] == 0
    assert got[narrow] == pytest.approx(np.log(ratio) - 0.5 * (1 - ratio**-2), rel=1e-5)
    resp = fit.membership().iloc[:, narrow].to_numpy()
    mean = fit.coefficients().iloc[0, narrow]
    by_hand = stats.norm.logpdf(d.y, mean, sigma.min()) - stats.norm.logpdf(d.y, mean, sigma.max())
    assert got[narrow] == pytest.approx(np.average(by_hand, weights=resp), rel=1e-6)


def test_equal_responses_collapse_own_families_too():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"y": np.r_[np.full(30, 2.5), rng.normal(5, 1, 60)]})
    ends = {
        name: quietly(lambda f=f: bmx.Mixture("y ~ 1", d, family=f).fit(init=1 + (d.y == 2.5)))
        for name, f in {"gaussian": "gaussian", "own": gauss()}.items()
    }
    assert {f.status for f in ends.values()} == {"degenerate"}
    for fit in ends.values():
        assert "30 rows" in fit.reasons[0]
        assert "2.5" in fit.reasons[0]


@pytest.mark.parametrize("method", ["map", "laplace"])
def test_priors_do_not_hide_equal_responses(method):
    rng = np.random.default_rng(6)
    d = pd.DataFrame({"y": np.r_[rng.normal(size=120), np.full(12, 6.5)]})
    spec = bmx.Mixture("y ~ 1", d)
    if method == "map":
        fit = quietly(lambda: spec.fit("map", seed=1))
        assert not fit.converged
        assert "12 rows" in fit.reasons[0]
        assert "6.5" in fit.reasons[0]
    else:
        with pytest.raises(bmx.FitError, match=r"the same response, 6\.5"):
            quietly(lambda: spec.fit("laplace", seed=1, draws=100))


def test_no_criterion_chooses_a_spurious_fit():
    rng = np.random.default_rng(12)
    x, z = rng.normal(size=60), rng.random(60) < 0.5
    d = pd.DataFrame({"x": x, "y": np.where(z, 3 + x, -3 - x) + rng.normal(size=60)})
    d.loc[:3, "y"] = 0.1 + 0.2 * d.x[:4] + [1e-5, -1e-5, 2e-5, 0]
    chosen = quietly(lambda: bmx.select(bmx.Mixture("y ~ x", d), k=range(1, 4), seed=1)).best("bic")
    assert chosen.k == 2
    assert chosen.status == "converged"


def test_best_says_that_there_is_none():
    d = pd.DataFrame({"y": np.r_[np.zeros(30), np.random.default_rng(1).normal(9, 1, 30)]})
    selection = quietly(lambda: bmx.select(bmx.Mixture("y ~ 1", d), k=[2], seed=1))
    with pytest.raises(bmx.FitError, match=r"no regular fit .*k=2: degenerate"):
        selection.best("bic")


@pytest.mark.parametrize("family", ["gamma", "beta"])
def test_ties_that_leave_no_mode_are_named(family):
    rng = np.random.default_rng(5)
    y = {"gamma": rng.gamma(2, 1, 100), "beta": rng.beta(2, 3, 100)}[family]
    data = pd.DataFrame({"y": np.r_[y, np.full(46, 0.77)]})
    with pytest.raises(bmx.FitError, match=r"46 rows of component .*same response, 0.77.*'point'"):
        quietly(lambda: bmx.Mixture("y ~ 1", data, family=family).fit("laplace", seed=1))


@pytest.mark.parametrize(("scale", "method"), [(1.0, "em"), (2e5, "em"), (1.0, "ml")])
def test_an_exact_line_is_degenerate_for_a_family_of_the_user_too(scale, method):
    x = np.random.default_rng(1).normal(size=40)
    own = bmx.Family(
        "mine",
        params={"mu": "identity", "s": "log"},
        location="mu",
        logpdf=lambda y, mu, s: -0.5 * ((y - mu) / s) ** 2 - np.log(s) - 0.9189385332,
    )
    data = pd.DataFrame({"x": x, "y": scale * (1 + 2 * x), "z": scale * (x + 1e-6 * x**2)})
    with pytest.warns(bmx.DegenerateWarning, match="collapsed to zero"):
        fit = bmx.Mixture("y ~ x", data, family=own, k=1).fit(method, seed=1)
    assert fit.status == "degenerate"
    assert bmx.Mixture("z ~ x", data, family=own, k=1).fit("em", seed=1).status == "converged"
