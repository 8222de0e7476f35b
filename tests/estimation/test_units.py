"""Units of measurement and origins mean nothing: the same fit in other ones."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import bayesmix as bmx

N = 90
RNG = np.random.default_rng(12)
Z = RNG.random(N) < 0.5
X = RNG.normal(size=N)
ETA = np.where(Z, 1.0 + 0.6 * X, -1.0 - 0.3 * X)
TIME = np.exp(0.5 * ETA) * RNG.weibull(2.5, N)
MEMORYLESS = np.exp(3 * ETA) * RNG.exponential(size=N)
CENSORED = RNG.uniform(0.5, 6.0, N)
D = pd.DataFrame(
    {
        "x": X,
        "y": 3 * ETA + RNG.normal(size=N),
        "positive": RNG.gamma(4, np.exp(ETA) / 4),
        "count": RNG.poisson(np.exp(1 + ETA)),
        "successes": RNG.binomial(12, 1 / (1 + np.exp(-ETA))),
        "n": 12,
        "t": np.minimum(TIME, CENSORED),
        "s": (TIME <= CENSORED).astype(int),
    }
)
RESPONSES = {
    "gaussian": "y",
    "student_t": "y",
    "gamma": "positive",
    "inverse_gaussian": "positive",
    "poisson": "count",
    "negative_binomial": "count",
    "binomial": "p(successes, n)",
}
TIMES = ["exponential", "weibull", "weibull_ph", "gamma", "lognormal", "loglogistic", "gompertz"]
# Of families with two shapes, few rows leave a ridge on which rounding decides how far a fit goes.
MANY = pd.DataFrame({"x": RNG.normal(size=400), "s": 1})
PLACE = np.where(RNG.random(400) < 0.5, 1.5 + 0.9 * MANY.x, -1.5 - 0.45 * MANY.x)
TWO_SHAPES = {
    "gengamma": MANY.assign(t=np.exp(PLACE) * RNG.weibull(2.5, 400)),
    "gengamma_orig": MANY.assign(t=np.exp(PLACE) * RNG.weibull(2.5, 400)),
    "genf": MANY.assign(t=np.exp(PLACE + 0.4 * RNG.logistic(size=400))),
    "genf_orig": MANY.assign(t=np.exp(PLACE + 0.4 * RNG.logistic(size=400))),
}
UNITS = {"small": (1e-12, 1e-9), "large": (1e12, 1e12)}


def fitted(data, formula, family, method="em", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statuses are compared
        spec = bmx.Mixture(f"{formula} ~ x", data, family=family, k=2, concomitant="~ x")
        return spec.fit(method, **{"seed": 1, **options})


def same(one, other, unit, constant, factor=1.0):
    """The same fit, with x in another unit and its location's slopes multiplied by a factor."""
    assert other.status == one.status
    if (other.membership()[1] * one.membership()[2]).sum() > one.n_units / 5:
        other = other.relabel(order=[2, 1])  # sorted by intercepts, which are elsewhere now
    np.testing.assert_allclose(other.membership(), one.membership(), atol=1e-6)
    assert other.loglik == pytest.approx(one.loglik - constant, rel=1e-8)
    a, b = (f.summary().query("term == 'x'") for f in (one, other))
    moved = np.where(a.effect == "varying", unit / factor, unit)
    np.testing.assert_allclose(b.estimate * moved, a.estimate, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(b.se * moved, a.se, rtol=1e-4)


@pytest.mark.parametrize("units", list(UNITS))
@pytest.mark.parametrize("family", list(RESPONSES))
def test_regressions(family, units):
    unit, scale = UNITS[units]
    response = RESPONSES[family]
    data = D.assign(x=unit * (D.x + 1e6))
    constant, factor = 0.0, 1.0
    if response in ("y", "positive"):
        data[response] *= scale
        constant, factor = N * np.log(scale), scale if response == "y" else 1.0
    one, other = (fitted(d, response, family, starts=2) for d in (D, data))
    same(one, other, unit, constant, factor)


@pytest.mark.parametrize("units", list(UNITS))
@pytest.mark.parametrize(
    "family",
    [
        *TIMES,
        *(pytest.param(f, marks=[pytest.mark.slow] * f.endswith("_orig")) for f in TWO_SHAPES),
    ],
)
def test_times(family, units):
    unit, scale = UNITS[units]
    base = D.assign(t=MEMORYLESS, s=1) if family == "exponential" else D
    base = TWO_SHAPES.get(family, base)
    data = base.assign(x=unit * (base.x - 1e6), t=scale * base.t)
    one, other = (fitted(d, "surv(t, s)", family, starts=2) for d in (base, data))
    same(one, other, unit, base.s.sum() * np.log(scale))


def test_splines():
    for scale in ("hazard", "odds", "normal"):
        family = bmx.family("spline", df=2, scale=scale)
        one, other = (
            bmx.Mixture("surv(t, s) ~ x", d, family=family, k=1).fit("em")
            for d in (D, D.assign(t=1e9 * D.t, x=D.x + 1e6))
        )
        assert one.status == other.status == "converged"
        assert other.loglik == pytest.approx(one.loglik - D.s.sum() * np.log(1e9), rel=1e-9)
        a, b = (f.summary().query("term == 'x'") for f in (one, other))
        np.testing.assert_allclose(b.estimate, a.estimate, rtol=1e-5)
        np.testing.assert_allclose(b.se, a.se, rtol=1e-5)


@pytest.mark.parametrize("method", ["ml", "map"])
def test_methods(method):
    data = D.assign(x=1e8 * (D.x + 1e6), y=1e-6 * D.y)
    one, other = (fitted(d, "y", "gaussian", method, starts=3) for d in (D, data))
    same(one, other, 1e8, N * np.log(1e-6), 1e-6)


def test_responses_far_from_zero():
    one, other = (fitted(d, "y", "gaussian", starts=2) for d in (D, D.assign(y=D.y + 1e6)))
    same(one, other, 1.0, 0.0)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_a_quadratic_in_calendar_years(family):
    year = np.tile(np.arange(1950, 2000, dtype=float), 3)
    rng = np.random.default_rng(3)
    c = year - 1975
    mean = 2 + 0.03 * c - 0.002 * c**2
    y = rng.poisson(np.exp(mean)) if family == "poisson" else rng.normal(mean, 0.4)
    data = pd.DataFrame({"y": y, "year": year})
    fit = bmx.Mixture("y ~ year + I(year**2)", data, family=family, k=1).fit("em")
    assert fit.status == "converged"
    design = np.column_stack([np.ones_like(c), c, c**2])
    families = {"gaussian": sm.families.Gaussian(), "poisson": sm.families.Poisson()}
    glm = sm.GLM(y, design, families[family]).fit(tol=1e-12)
    # From the centred columns to the raw ones, exactly.
    back = np.array([[1, -1975, 1975**2], [0, 1, -2 * 1975], [0, 0, 1]], float)
    divisor = len(y) / (len(y) - 3) if family == "gaussian" else 1.0  # ML's
    se = np.sqrt(np.diag(back @ glm.cov_params() @ back.T) / divisor)
    table = fit.summary()[:3]
    np.testing.assert_allclose(table.estimate, back @ glm.params, rtol=1e-6)
    np.testing.assert_allclose(table.se, se, rtol=1e-5)


def test_separation_is_told_whatever_the_unit():
    x = np.r_[np.linspace(-2, -0.1, 20), np.linspace(0.1, 2, 20)]
    for unit, shift in ((1.0, 0.0), (1e-9, 0.0), (1e9, 1e6)):
        data = pd.DataFrame({"x": unit * (x + shift), "y": (x > 0).astype(int)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = bmx.Mixture("y ~ x", data, family="binomial", k=1).fit("em")
        assert fit.status == "boundary"
        assert "towards infinite values" in fit.reasons[0]


def test_direct_maximisation_ends_at_a_limit_whatever_the_unit():
    """Slopes go to infinity; how far quasi-Newton walked there decided the memberships."""
    rng, n = np.random.default_rng(3), 60
    bounds = np.digitize(ETA[:n] + 0.7 * rng.logistic(size=n), [-1.0, 1.0])
    data = D[:n].assign(level=np.array(["a", "b", "c"])[bounds], v=np.round(rng.normal(size=n), 3))
    fits = []
    for unit, shift in ((1.0, 0.0), (1e12, -1e6)):
        own = data.assign(x=unit * (data.x + shift), v=unit * (data.v + shift))
        nested = [("~ v", 1), ("~ x", 1)]
        spec = bmx.Mixture("level ~ 1", own, family="categorical", k=2, nested=nested)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits.append(spec.fit("ml", seed=1, starts=2))
    assert [f.status for f in fits] == ["boundary"] * 2
    np.testing.assert_allclose(fits[1].membership(), fits[0].membership(), atol=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e7])
def test_a_probability_of_zero_has_no_unit(unit):
    """Beside a density of the other amounts only these are measured."""
    data = D.assign(amount=np.where(np.arange(N) % 4, D.positive, 0.0))
    for family in ("hurdle_gamma", "hurdle_lognormal"):
        one, other = (
            bmx.Mixture("amount ~ x", d, family=family, k=1).fit("em")
            for d in (data, data.assign(amount=unit * data.amount))
        )
        positive = int((data.amount > 0).sum())
        assert one.status == other.status == "converged"
        assert other.loglik == pytest.approx(one.loglik - positive * np.log(unit), rel=1e-9)
        a, b = (f.summary().set_index("term") for f in (one, other))
        np.testing.assert_allclose(b.se, a.se, rtol=1e-5)
        (psi,) = (t for t in a.index if t.startswith("psi"))
        share = 1 - positive / N
        assert b.estimate[psi] == pytest.approx(share, rel=1e-6)
        assert b.se[psi] == pytest.approx(np.sqrt(share * (1 - share) / N), rel=1e-5)


@pytest.mark.parametrize("unit", [1e-9, 1e7])
def test_a_density_beside_an_atom_is_regular_in_every_unit(unit):
    y = np.where(np.arange(N) % 3, unit * D.y, 0.0)
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family=["zero", "gaussian"], k=2).fit(seed=1)
    assert fit.status == "converged"
    there = y[y != 0]
    table = fit.summary().query("component == 2").set_index("term")
    assert table.estimate["Intercept"] == pytest.approx(there.mean(), rel=1e-6)
    assert table.se["Intercept"] == pytest.approx(there.std() / np.sqrt(len(there)), rel=1e-5)
    assert table.se["sigma"] == pytest.approx(there.std() / np.sqrt(2 * len(there)), rel=1e-5)


def test_random_effects_far_from_zero():
    """Memberships, effects and residuals keep digits that products of columns would lose."""
    rng, unit = np.random.default_rng(4), np.arange(N) // 3
    effects = (rng.normal(size=(30, 2))[unit] * np.column_stack([np.ones(N), X])).sum(1)
    y = np.where(unit % 2, 3 + X, -3 - X) + effects + 0.5 * rng.normal(size=N)
    data = D.assign(id=unit, y=y)
    far = data.assign(x=1e9 * (D.x - 1e6))
    one, other = (
        bmx.Mixture("y ~ x + (1 + x | id)", d, k=2, group="id").fit(starts=2, seed=1)
        for d in (data, far)
    )
    for a, b in ((None, None), (data[:6], far[:6])):
        mine, theirs = one.membership(newdata=a), other.membership(newdata=b)
        np.testing.assert_allclose(theirs, mine, atol=1e-6)
    a, b = (f.random_effects().query("term == 'x'") for f in (one, other))
    np.testing.assert_allclose(1e9 * b[["estimate", "sd"]], a[["estimate", "sd"]], atol=1e-6)
    for options in ({"kind": "pearson"}, {"kind": "quantile", "seed": 1}):
        mine, theirs = (f.residuals(**options) for f in (one, other))
        np.testing.assert_allclose(theirs, mine, atol=1e-6)


def test_standard_errors_are_natural():
    """Of one component: sigma / sqrt(2 n), exactly."""
    y = np.random.default_rng(1).normal(5, 2, 80)
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=1).fit("em")
    (row,) = fit.summary().query("term == 'sigma'").itertuples()
    assert row.se == pytest.approx(y.std() / np.sqrt(160), rel=1e-6)
    reach = 1.959964 * row.se / row.estimate
    assert row.upper == pytest.approx(row.estimate * np.exp(reach), rel=1e-5)
    assert row.scale == "log"
