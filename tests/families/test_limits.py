"""Truncated and censored responses: likelihoods, derivatives, truths from SciPy and PyMC."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

import bayesmix as bmx
from bayesmix.families import with_limits
from bayesmix.families.limits import log_tails
from bayesmix.formula.limits import Limits
from bayesmix.formula.response import Response

N = 8
DENSITIES = [
    "gaussian", "student_t", "gamma", "inverse_gaussian", "beta", "lognormal", "weibull",
    "exponential", "loglogistic", "gengamma",
]  # fmt: skip
COUNTS = ["poisson", "negative_binomial", "zero_inflated_poisson"]
CONTINUOUS = {
    "gaussian": lambda p: stats.norm(p["mu"], p["sigma"]),
    "student_t": lambda p: stats.t(p["nu"], p["mu"], p["sigma"]),
    "gamma": lambda p: stats.gamma(p["shape"], scale=p["mu"] / p["shape"]),
    "inverse_gaussian": lambda p: stats.invgauss(p["mu"] / p["shape"], scale=p["shape"]),
    "beta": lambda p: stats.beta(p["mu"] * p["phi"], (1 - p["mu"]) * p["phi"]),
    "lognormal": lambda p: stats.lognorm(p["sdlog"], scale=np.exp(p["meanlog"])),
}
DISCRETE = {
    "poisson": lambda p: stats.poisson(p["mu"]),
    "negative_binomial": lambda p: stats.nbinom(p["alpha"], p["alpha"] / (p["alpha"] + p["mu"])),
}


def numbers(name):
    from bayesmix.families import resolve

    return with_limits(resolve(name, survival=False))


def etas_of(family, shift=0.0):
    return tuple(
        np.full(N, float(p.link.forward(np.asarray(family.example[p.name]))) + shift)
        for p in family.parameters
    )


def natural_of(family):
    return dict(family.example)


def observed(family, kind, lower, upper):
    rng = np.random.default_rng(1)
    y = family.simulate(rng, **{n: np.full(N, v) for n, v in family.example.items()})
    low, high = np.full(N, lower), np.full(N, upper)
    if kind == "truncated":
        y = np.clip(y, lower, upper)
    limits = Limits.of(kind, low, high)
    return family.observe(Response("y", "numeric", limits.applied(y), None, (), limits=limits))


def quantiles(family, low, high):
    rng = np.random.default_rng(0)
    y = family.simulate(rng, **{n: np.full(4000, v) for n, v in family.example.items()})
    ends = np.quantile(y, [low, high])
    return np.floor(ends) if family.discrete else ends


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_tails_are_those_of_scipy(name):
    family = numbers(name)
    truth = {**CONTINUOUS, **DISCRETE}[name](natural_of(family))
    p = np.array([1e-12, 1e-6, 0.01, 0.3, 0.5, 0.8, 0.99, 1 - 1e-6])
    y = truth.ppf(p)
    if name == "beta":
        y = np.clip(y, 1e-6, 1 - 1e-6)
    obs = family.observe(Response("y", "numeric", y, None, ()))
    linked = family.linked(tuple(e[: len(y)] for e in etas_of(family)))
    lower, upper = log_tails(family, obs, linked)
    np.testing.assert_allclose(lower, truth.logcdf(y), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(upper, truth.logsf(y), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("mu", [1e-6, 2.0, 100.0])
@pytest.mark.parametrize("psi", [1e-30, 0.3])
@pytest.mark.parametrize("name", ["zero_inflated_poisson", "hurdle_poisson"])
def test_log_tails_with_extra_zeros_are_those_of_the_distribution(name, psi, mu):
    family, y = bmx.family(name), np.array([0.0, 1.0, 5.0, 20.0, 150.0])
    obs = family.observe(Response("y", "numeric", y, None, ()))
    natural = {"mu": np.full(5, mu), "psi": np.full(5, psi)}
    etas = tuple(p.link.forward(natural[p.name]) for p in family.parameters)
    lower, upper = log_tails(family, obs, family.linked(etas))
    hurdle = name.startswith("hurdle")
    others = (1 - psi) / (-np.expm1(-mu) if hurdle else 1)  # the share of Poisson counts
    up_to = [stats.poisson.pmf(np.arange(hurdle, end + 1), mu).sum() for end in y]
    np.testing.assert_allclose(np.exp(upper), others * stats.poisson.sf(y, mu), rtol=1e-7)
    np.testing.assert_allclose(np.exp(lower), psi + others * np.array(up_to), rtol=1e-7)


@pytest.mark.parametrize("kind", ["truncated", "censored"])
@pytest.mark.parametrize("sides", ["lower", "upper", "both"])
@pytest.mark.parametrize("name", [*DENSITIES, *COUNTS])
def test_derivatives_by_finite_differences(name, kind, sides):
    family = numbers(name)
    lower, upper = quantiles(family, 0.3, 0.8)
    lower = lower if sides != "upper" else -np.inf
    upper = max(upper, lower + 1) if family.discrete else upper
    upper = upper if sides != "lower" else np.inf
    obs = observed(family, kind, lower, upper)
    etas = etas_of(family, 0.1)
    d = family.derivatives(obs, etas)
    np.testing.assert_allclose(d.logf, family.log_density(obs, etas), rtol=1e-12)
    automatic = family.automatic(obs, etas)
    for j in range(len(etas)):
        h = 1e-5

        def moved(by, j=j):
            return tuple(e + by * (i == j) for i, e in enumerate(etas))

        slope = (family.log_density(obs, moved(h)) - family.log_density(obs, moved(-h))) / (2 * h)
        np.testing.assert_allclose(d.first[j], slope, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(d.first[j], automatic.first[j], rtol=1e-6, atol=1e-8)
        ends = [family.derivatives(obs, moved(s)).first for s in (h, -h)]
        for i in range(len(etas)):
            bend = (ends[0][i] - ends[1][i]) / (2 * h)
            np.testing.assert_allclose(d.second[i][j], bend, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*DENSITIES, *COUNTS])
def test_truncated_densities_add_up_to_one(name):
    family = numbers(name)
    lower, upper = quantiles(family, 0.2, 0.7)
    upper = lower + 3 if family.discrete else upper
    etas = tuple(e[:1] for e in etas_of(family))
    limits = Limits.of("truncated", np.array([lower]), np.array([upper]))

    def density(y):
        y = np.array([float(y)])
        return float(
            np.exp(
                family.log_density(
                    family.observe(Response("y", "numeric", y, None, (), limits=limits)), etas
                )[0]
            )
        )

    if family.discrete:
        total = sum(density(y) for y in np.arange(lower, upper + 1))
    else:
        total = integrate.quad(density, lower, upper, epsabs=1e-11)[0]
    assert total == pytest.approx(1.0, abs=1e-8)


# --- models ---------------------------------------------------------------------------------


def tobit_data(n=400, seed=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": 0.5 + x + rng.normal(0, 1.2, n)})


def maximum(loglik, start):
    found = optimize.minimize(lambda t: -loglik(t), start, method="BFGS", options={"gtol": 1e-7})
    return -found.fun, found.x


def test_tobit():
    data = tobit_data()
    data["y"] = data["y"].clip(lower=0.0)
    x, y = data["x"].to_numpy(), data["y"].to_numpy()

    def loglik(t):
        mu, sigma = t[0] + t[1] * x, np.exp(t[2])
        each = np.where(y > 0, stats.norm.logpdf(y, mu, sigma), stats.norm.logcdf(0.0, mu, sigma))
        return each.sum()

    best, theta = maximum(loglik, [0.5, 1.0, 0.1])
    fit = bmx.Mixture("censored(y, lower=0) ~ x", data, k=1).fit("em")
    assert fit.converged
    assert fit.loglik == pytest.approx(best, abs=1e-6)
    np.testing.assert_allclose(fit.params["coef"].to_numpy()[0], theta[:2], atol=1e-5)
    # The mean of a prediction is that of the response before it is censored.
    np.testing.assert_allclose(fit.predict().to_numpy()[:, 0], theta[0] + theta[1] * x, atol=1e-5)
    assert fit.simulate(seed=1)["y"].min() == 0.0
    residual = fit.residuals("quantile", seed=1)
    assert stats.kstest(residual, "norm").pvalue > 0.01
    with pytest.raises(bmx.FitError, match="quantile"):
        fit.residuals("pearson")


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_zero_truncated_counts(family):
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    mu = np.exp(0.4 + 0.5 * x)
    y = rng.negative_binomial(2.0, 2 / (2 + mu)) if family != "poisson" else rng.poisson(mu)
    data = pd.DataFrame({"x": x, "y": y})[y > 0]
    x, y = data["x"].to_numpy(), data["y"].to_numpy()

    def loglik(t):
        mean = np.exp(t[0] + t[1] * x)
        if family == "poisson":
            f = stats.poisson(mean)
        else:
            f = stats.nbinom(np.exp(-t[2]), 1 / (1 + np.exp(t[2]) * mean))
        return (f.logpmf(y) - np.log(-np.expm1(f.logpmf(0)))).sum()

    best, theta = maximum(loglik, [0.4, 0.5, -0.7][: 2 if family == "poisson" else 3])
    fit = bmx.Mixture("truncated(y, lower=1) ~ x", data, family=family, k=1).fit("em")
    assert fit.loglik == pytest.approx(best, abs=1e-5)
    np.testing.assert_allclose(fit.params["coef"].to_numpy()[0], theta[:2], atol=1e-3)
    assert stats.kstest(fit.residuals("quantile", seed=1), "norm").pvalue > 0.01
    drawn = fit.simulate(seed=1)
    assert list(drawn.columns) == ["y", "component"]
    assert drawn["y"].min() == 1
    assert drawn["y"].mean() == pytest.approx(y.mean(), rel=0.15)


def test_a_mixture_with_limits_of_its_rows_in_any_unit():
    rng = np.random.default_rng(6)
    n = 500
    x = rng.normal(size=n)
    s = rng.random(n) < 0.4
    data = pd.DataFrame({"x": x, "top": rng.uniform(4, 8, n)})
    data["y"] = np.where(s, 1 + x, 6 - x) + rng.normal(0, 0.8, n)
    data["y"] = np.minimum(data["y"], data["top"])
    fit = bmx.Mixture("censored(y, upper=top) ~ x", data, k=2).fit("em", seed=1, starts=3)
    p = {k: fit.params[k].to_numpy() for k in ("coef", "sigma", "weight")}
    mu = p["coef"][:, 0] + x[:, None] * p["coef"][:, 1]
    y, top = data["y"].to_numpy()[:, None], data["top"].to_numpy()[:, None]
    f = np.where(
        y < top, stats.norm.logpdf(y, mu, p["sigma"]), stats.norm.logsf(top, mu, p["sigma"])
    )
    truth = np.log((p["weight"] * np.exp(f)).sum(1)).sum()
    assert fit.loglik == pytest.approx(truth, abs=1e-8)
    assert fit.summary()["se"].between(0.01, 0.5).all()
    other = data.assign(y=1e6 * data["y"] + 1e9, top=1e6 * data["top"] + 1e9)
    moved = bmx.Mixture("censored(y, upper=top) ~ x", other, k=2).fit("em", seed=1, starts=3)
    exact = (data["y"] < data["top"]).sum()
    assert moved.loglik == pytest.approx(fit.loglik - exact * np.log(1e6), abs=1e-3)
    np.testing.assert_allclose(moved.membership(), fit.membership(), atol=1e-4)


def test_saved_pickled_and_missing(tmp_path):
    data = tobit_data(80)
    data["y"] = data["y"].clip(lower=0.0)
    data.loc[:5, "y"] = np.nan
    spec = bmx.Mixture("censored(y, lower=0) ~ x", data, k=1, na_action="fiml")
    fit = spec.fit("em")
    left = bmx.Mixture("censored(y, lower=0) ~ x", data, k=1, na_action="drop").fit("em")
    assert fit.loglik == pytest.approx(left.loglik, abs=1e-7)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    assert again.spec.fit("em").loglik == pytest.approx(fit.loglik, abs=1e-8)
    family = pickle.loads(pickle.dumps(numbers("gaussian")))
    assert family.limited
    assert not family.closed_scale


def test_equal_counts_with_other_limits_are_not_the_same():
    """Many rows with few values: what is computed once must be equal in its limits too."""
    rng = np.random.default_rng(2)
    n = 1500
    top = rng.integers(3, 6, n).astype(float)
    y = np.minimum(rng.poisson(np.where(rng.random(n) < 0.5, 1.0, 6.0)), top)
    data = pd.DataFrame({"y": y, "top": top})
    fit = bmx.Mixture("censored(y, upper=top) ~ 1", data, family="poisson", k=2).fit("em", seed=1)
    mu = np.exp(fit.params["coef"].to_numpy()[:, 0])
    f = stats.poisson(mu)
    terms = np.where(y[:, None] < top[:, None], f.pmf(y[:, None]), f.sf(top[:, None] - 1))
    truth = np.log((fit.params["weight"].to_numpy() * terms).sum(1)).sum()
    assert fit.loglik == pytest.approx(truth, abs=1e-6)


def test_rows_in_a_far_tail_are_drawn_within_their_limits():
    """Beyond six standard deviations rejection finds nothing."""
    from bayesmix.families.limits import draw_within

    rng = np.random.default_rng(1)
    n = 400
    low, high = np.full(n, 6.0), np.full(n, np.inf)
    natural = {"mu": np.zeros(n), "sigma": np.ones(n)}
    family = numbers("gaussian")
    y = draw_within(family, natural, np.zeros(n), Limits.of("truncated", low, high), rng)
    assert stats.kstest(y, stats.truncnorm(6, np.inf).cdf).pvalue > 0.01
    low, high = np.full(n, 12.0), np.full(n, np.inf)
    family = numbers("poisson")
    y = draw_within(
        family, {"mu": np.full(n, 1.5)}, np.zeros(n), Limits.of("truncated", low, high), rng
    )
    share = stats.poisson(1.5).pmf(12) / stats.poisson(1.5).sf(11)
    assert (y == 12).mean() == pytest.approx(share, abs=0.06)
    assert y.min() == 12
    # Between two limits, whichever of them cuts off more.
    high = np.full(n, 5.0)
    y = draw_within(
        family, {"mu": np.full(n, 60.0)}, 60 + high, Limits.of("truncated", 0 * high, high), rng
    )
    share = stats.poisson(60).pmf(5) / stats.poisson(60).cdf(5)
    assert (y == 5).mean() == pytest.approx(share, abs=0.04)
    y = draw_within(
        family, {"mu": np.full(n, 60.0)}, 60 + high, Limits.of("truncated", high - 1, high), rng
    )
    assert set(y) == {4, 5}
    assert (y == 4).mean() == pytest.approx(5 / 65, abs=0.05)
    family = numbers("gaussian")
    for unit in (1.0, 1e-30):  # the response's
        low, high = np.full(n, 0.0), np.full(n, 0.1 * unit)
        for mu in (-20.0, 20.0):
            natural = {"mu": np.full(n, mu * unit), "sigma": np.full(n, unit)}
            y = draw_within(family, natural, 9 + high, Limits.of("truncated", low, high), rng)
            cdf = stats.truncnorm(-mu, 0.1 - mu, mu, 1).cdf
            assert stats.kstest(y / unit, cdf).pvalue > 0.01


def test_rows_in_a_tail_without_numbers_end():
    """P(Y > 1000) is far below 1e-300: the search for a place is not endless."""
    from bayesmix.families.limits import draw_within

    low, high = np.full(3, 1e3), np.full(3, np.inf)
    natural = {"mu": np.zeros(3), "sigma": np.ones(3), "nu": np.full(3, 3000.0)}
    limits = Limits.of("truncated", low, high)
    y = draw_within(numbers("student_t"), natural, 0 * low, limits, np.random.default_rng(1))
    assert (y >= low).all()


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("truncated(y) ~ x", "one response and one limit"),
        ("truncated(y, 1) ~ x", "one response and one limit"),
        ("truncated(y, low=1) ~ x", "options are lower= and upper="),
        ("truncated(y, lower=1, upper=0) ~ x", "lower limit is not below"),
        ("truncated(y, lower=0) ~ x", "outside the limits cannot occur"),
        ("censored(y, upper=-100) ~ x", "every value is at or beyond"),
        ("censored(p(y, x), upper=1) ~ 1", "plain response"),
        ("y ~ truncated(x, lower=1)", "is a response"),
    ],
)
def test_wrong_limits(formula, words):
    with pytest.raises(bmx.BayesmixError, match=words):
        bmx.Mixture(formula, tobit_data(50), k=1)


def test_densities_are_those_of_pymc():
    pm = pytest.importorskip("pymc")
    rng = np.random.default_rng(1)
    y = np.clip(rng.normal(1, 2, N), 0.0, 2.0)
    counts = 1.0 + rng.poisson(2.0, N)
    ends = [np.zeros(N), np.full(N, 2.0)]
    cases = (
        ("gaussian", "censored", y, ends, pm.Censored, pm.Normal.dist(0.7, 1.3)),
        ("gaussian", "truncated", y, ends, pm.Truncated, pm.Normal.dist(0.7, 1.3)),
        ("student_t", "censored", y, ends, pm.Censored,
         pm.StudentT.dist(nu=4.5, mu=0.7, sigma=1.3)),
        ("poisson", "truncated", counts, [np.ones(N), np.full(N, np.inf)], pm.Truncated,
         pm.Poisson.dist(3.2)),
        ("poisson", "censored", np.minimum(counts, 3), [np.full(N, -np.inf), np.full(N, 3.0)],
         pm.Censored, pm.Poisson.dist(3.2)),
    )  # fmt: skip
    for name, kind, values, (low, high), wrapped, dist in cases:
        family, limits = numbers(name), Limits.of(kind, low, high)
        obs = family.observe(Response("y", "numeric", values, None, (), limits=limits))
        bounds = [None if np.isinf(end[0]) else end[0] for end in (low, high)]
        theirs = pm.logp(wrapped.dist(dist, *bounds), values).eval(mode="FAST_COMPILE")
        np.testing.assert_allclose(family.log_density(obs, etas_of(family)), theirs, rtol=1e-7)


def test_families_without_tails():
    data = pd.DataFrame({"y": [1.0, 2, 3, 0, 4, 2, 0]})
    with pytest.raises(bmx.SpecError, match="no tails"):
        bmx.Mixture("truncated(y, lower=0) ~ 1", data, family=["zero", "gamma"], k=2)


@pytest.mark.parametrize("family", ["gamma", "weibull", "lognormal", "inverse_gaussian"])
@pytest.mark.parametrize("limits", ["lower=0.0", "lower=-3, upper=1e5", "lower=-inf, upper=np.inf"])
def test_limits_that_cut_nothing_off_change_nothing(family, limits):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=120), "y": rng.gamma(2.0, 1.0, 120)})
    plain = bmx.Mixture("y ~ x", data, family, 1).fit()
    cut = bmx.Mixture(f"truncated(y, {limits}) ~ x", data, family, 1).fit()
    assert cut.status == "converged"
    np.testing.assert_allclose(cut.loglik, plain.loglik, rtol=1e-10)
    np.testing.assert_allclose(cut.residuals("quantile"), plain.residuals("quantile"), atol=1e-6)


def test_limits_of_counts_with_extra_zeros():
    rng = np.random.default_rng(4)
    x = rng.normal(size=300)
    y = np.where(rng.random(300) < 0.3, 0, rng.poisson(np.exp(0.3 + 0.4 * x)))
    data = pd.DataFrame({"x": x, "y": y})
    some = data[data["y"] <= 4]
    fit = bmx.Mixture("truncated(y, upper=4) ~ x", some, "zero_inflated_poisson", 1).fit()
    psi, beta = float(fit.params["psi"][0]), fit.params["coef"].values[0]
    mean = np.exp(beta[0] + beta[1] * some["x"])
    mass = psi * (some["y"] == 0) + (1 - psi) * stats.poisson.pmf(some["y"], mean)
    seen = psi + (1 - psi) * stats.poisson.cdf(4, mean)
    np.testing.assert_allclose(fit.loglik, np.log(mass / seen).sum(), rtol=1e-10)

    fit = bmx.Mixture("censored(y, upper=3) ~ x", data, "hurdle_poisson", 1).fit()
    psi, beta = float(fit.params["psi"][0]), fit.params["coef"].values[0]
    mean = np.exp(beta[0] + beta[1] * x)
    rest = (1 - psi) / -np.expm1(-mean)
    mass = np.where(y == 0, psi, rest * stats.poisson.pmf(y, mean))
    mass = np.where(y >= 3, rest * stats.poisson.sf(2, mean), mass)
    np.testing.assert_allclose(fit.loglik, np.log(mass).sum(), rtol=1e-10)


@pytest.mark.parametrize("family", ["zero_inflated_poisson", "hurdle_poisson"])
@pytest.mark.filterwarnings("ignore::bayesmix.DegenerateWarning")
@pytest.mark.filterwarnings("ignore::bayesmix.IdentifiabilityWarning")
def test_without_zeros_nothing_is_known_of_them(family):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.poisson(1.5, 200)})
    data = data[data["y"] > 0]
    counts = bmx.Mixture("truncated(y, lower=1) ~ 1", data, "poisson", 1).fit()
    fit = bmx.Mixture("truncated(y, lower=1) ~ 1", data, family, 1).fit()
    np.testing.assert_allclose(fit.loglik, counts.loglik, rtol=1e-8)
    assert not fit.converged
