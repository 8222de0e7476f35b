"""Effects against an independent prediction, statsmodels' margins, and draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import bayesmix as bmx

COLUMNS = ["term", "contrast", "part", "component", "estimate", "se", "lower", "upper"]


@pytest.fixture(scope="module")
def shared():
    """Two Poisson components whose x acts on means and weights, by clinic."""
    rng = np.random.default_rng(11)
    n = 500
    x = rng.normal(size=n)
    g = rng.choice(["a", "b"], n)
    second = rng.random(n) < 1 / (1 + np.exp(0.3 - 0.9 * x))
    eta = np.where(second, 2.4 - 0.3 * x, 0.3 + 0.5 * x) + 0.4 * (g == "b")
    clinic = rng.integers(0, 25, n)
    data = pd.DataFrame({"x": x, "g": g, "y": rng.poisson(np.exp(eta)), "clinic": clinic})
    spec = bmx.Mixture("y ~ x", data, "poisson", 2, fixed="~ g", concomitant="~ x")
    return data, spec.fit("em", seed=1)


def mean_and_weight(params, data):
    """Means (n, 2) and weights (n, 2) by NumPy alone."""
    design = np.column_stack([(data["g"] == "b"), np.ones(len(data)), data["x"]]).astype(float)
    order = ["g[b]", "Intercept", "x"]
    mu = np.exp(design @ params["coef"].sel(term=order).to_numpy().T)
    z = np.column_stack([np.ones(len(data)), data["x"]])
    logits = z @ params["alpha"].sel(concomitant_term=["Intercept", "x"]).to_numpy().T
    pi = np.exp(logits - logits.max(1, keepdims=True))
    return mu, pi / pi.sum(1, keepdims=True)


def own_delta(fit, value_of, covariance):
    """Value and standard error, by central differences in every free parameter."""
    slopes = []
    for component, term, effect in covariance.index:
        ends = []
        for step in (1e-5, -1e-5):
            moved = fit.params.copy(deep=True)
            variable = "alpha" if effect == "concomitant" else "coef"
            dim = "concomitant_term" if effect == "concomitant" else "term"
            owners = fit.components if component == "all" else [component]
            for owner in owners:
                moved[variable].loc[{"component": owner, dim: term}] += step
            ends.append(value_of(moved))
        slopes.append((ends[0] - ends[1]) / 2e-5)
    slopes = np.array(slopes)
    return value_of(fit.params), np.sqrt(slopes @ covariance.to_numpy() @ slopes)


def average_slope(params, data, part):
    step = 1e-5
    mu1, pi1 = mean_and_weight(params, data.assign(x=data["x"] + step))
    mu0, pi0 = mean_and_weight(params, data.assign(x=data["x"] - step))
    mu, pi = mean_and_weight(params, data)
    change = {
        "total": mu1 * pi1 - mu0 * pi0,
        "components": pi * (mu1 - mu0),
        "weights": mu * (pi1 - pi0),
    }[part]
    return change.sum(1).mean() / (2 * step)


@pytest.mark.parametrize("part", ["total", "components", "weights"])
@pytest.mark.parametrize(
    "options", [{}, {"kind": "robust"}, {"kind": "robust", "cluster": "clinic"}]
)
def test_average_slopes_are_those_of_an_own_prediction(shared, part, options):
    data, fit = shared
    found = bmx.slopes(fit, "x", by=True, **options)
    assert list(found.columns) == COLUMNS
    row = found[(found["part"] == part) & found["component"].isna()].iloc[0]
    value, se = own_delta(fit, lambda p: average_slope(p, data, part), fit.covariance(**options))
    assert row["estimate"] == pytest.approx(value, rel=1e-5)
    assert row["se"] == pytest.approx(se, rel=1e-3)
    assert row["upper"] - row["lower"] == pytest.approx(2 * 1.959964 * se, rel=1e-3)


def test_parts_add_to_the_total_row_by_row(shared):
    data, fit = shared
    new = data.head(7)
    for found in (bmx.slopes(fit, "x", new), bmx.comparisons(fit, {"x": (-1, 1)}, new)):
        assert found.index.unique().tolist() == new.index.tolist()
        whole = found[found["component"].isna()].reset_index()
        wide = whole.pivot(index="row", columns="part", values="estimate")
        np.testing.assert_allclose(wide["components"] + wide["weights"], wide["total"], rtol=1e-10)
        assert (wide["weights"].abs() > 1e-3).all()


def test_differences_by_groups_and_of_levels(shared):
    data, fit = shared
    found = bmx.comparisons(fit, {"x": (0, 1)}, by="g")
    assert list(found.columns) == ["g", *COLUMNS]
    b = data[data["g"] == "b"]
    ends = [mean_and_weight(fit.params, b.assign(x=v)) for v in (1.0, 0.0)]
    expected = np.subtract(*[(m * p).sum(1).mean() for m, p in ends])
    row = found[(found["g"] == "b") & (found["part"] == "total") & found["component"].isna()]
    assert row["estimate"].item() == pytest.approx(expected, rel=1e-9)
    assert set(found["contrast"]) == {"1 - 0"}
    levels = bmx.comparisons(fit, "g", by=True)
    ends = [mean_and_weight(fit.params, data.assign(g=v))[0] for v in "ba"]
    own = levels[levels["component"] == 2]
    assert own["contrast"].item() == "b - a"
    assert own["estimate"].item() == pytest.approx((ends[0] - ends[1])[:, 1].mean(), rel=1e-9)


def test_grids_hold_the_others_at_typical_values(shared):
    data, fit = shared
    found = bmx.predictions(fit, {"x": [-1, 0, 2], "g": "b"})
    whole = found[found["component"].isna()]
    mu, pi = mean_and_weight(fit.params, pd.DataFrame({"x": [-1, 0, 2], "g": "b"}))
    np.testing.assert_allclose(whole["estimate"], (mu * pi).sum(1), rtol=1e-9)
    alone = bmx.predictions(fit, {"g": ["a", "b"]})
    at = pd.DataFrame({"x": data["x"].mean(), "g": ["a", "b"]})
    mu, pi = mean_and_weight(fit.params, at)
    own = alone[alone["component"] == 1]["estimate"]
    np.testing.assert_allclose(own, mu[:, 0], rtol=1e-9)


def test_changes_by_steps_and_spreads(shared):
    data, fit = shared
    spread = data["x"].std()
    at = {
        3: ("+3", 3.0, 0.0),
        "sd": ("+1 sd", spread / 2, -spread / 2),
    }
    for value, (label, up, down) in at.items():
        found = bmx.comparisons(fit, {"x": value}, by=True, what="weight")
        ends = [mean_and_weight(fit.params, data.assign(x=data["x"] + d))[1] for d in (up, down)]
        assert set(found["contrast"]) == {label}
        np.testing.assert_allclose(found["estimate"], (ends[0] - ends[1]).mean(0), rtol=1e-9)
    wide = bmx.comparisons(fit, {"x": "minmax"}, by=True, what="link")
    slope = fit.coefficients().loc["x"].to_numpy() * np.ptp(data["x"])
    np.testing.assert_allclose(wide["estimate"], slope, rtol=1e-9)


@pytest.mark.parametrize("kind", ["logit", "poisson"])
def test_one_component_has_the_margins_of_statsmodels(kind):
    rng = np.random.default_rng(3)
    n = 200
    data = pd.DataFrame({"x": rng.normal(size=n), "d": rng.integers(0, 2, n)})
    eta = -0.2 + 0.8 * data["x"] + 0.5 * data["d"]
    data["y"] = (
        rng.poisson(np.exp(eta)) if kind == "poisson" else rng.random(n) < 1 / (1 + np.exp(-eta))
    )
    data["y"] = data["y"].astype(int)
    family = "poisson" if kind == "poisson" else "binomial"
    fit = bmx.Mixture("y ~ x + d", data, family, 1).fit()
    model = sm.Poisson if kind == "poisson" else sm.Logit
    theirs = model(data["y"], sm.add_constant(data[["x", "d"]])).fit(disp=0)
    margins = theirs.get_margeff(at="overall", dummy=True)
    slope = bmx.slopes(fit, "x", by=True).iloc[0]
    step = bmx.comparisons(fit, {"d": (0, 1)}, by=True).iloc[0]
    ours = [[r["estimate"], r["se"]] for r in (slope, step)]
    np.testing.assert_allclose(
        ours, np.column_stack([margins.margeff, margins.margeff_se]), rtol=2e-5
    )


def test_hypotheses_and_contrasts_between_components(shared):
    data, fit = shared
    both = bmx.slopes(fit, "x", by=True)
    value, se = own_delta(
        fit,
        lambda p: average_slope(p, data, "components") - 2 * average_slope(p, data, "weights"),
        fit.covariance(),
    )
    test = bmx.slopes(fit, "x", by=True, hypothesis="b2 = 2 * b3").iloc[0]
    assert test["estimate"] == pytest.approx(value, rel=1e-4)
    assert test["se"] == pytest.approx(se, rel=1e-3)
    assert test["z"] == pytest.approx(value / se, rel=2e-3)
    between = bmx.slopes(fit, "x", by=True, hypothesis="pairwise")
    assert between["component"].tolist() == ["2 - 1"]
    own = both[both["component"].notna()]["estimate"].to_numpy()
    assert between["estimate"].item() == pytest.approx(own[1] - own[0])
    with pytest.raises(bmx.FitError, match="b99"):
        bmx.slopes(fit, "x", by=True, hypothesis="b1 = b99")
    with pytest.raises(bmx.FitError, match=r"has 'b1\.__class__', which is none of the estimates"):
        bmx.slopes(fit, "x", by=True, hypothesis="b1.__class__ = 0")
    with pytest.raises(bmx.FitError, match=r"has 'b1 \^ 2', which is none of the estimates"):
        bmx.slopes(fit, "x", by=True, hypothesis="b1^2 = b2")


def test_wald_tests_coefficients_as_their_covariance_says(shared):
    _, fit = shared
    at = [(c, "x", "varying") for c in (1, 2)]
    cov = fit.covariance().loc[at, at].to_numpy()
    beta = fit.coefficients().loc["x"].to_numpy()
    joint = fit.wald("x = 0")
    assert joint.df == 2
    assert joint.statistic == pytest.approx(beta @ np.linalg.inv(cov) @ beta, rel=1e-6)
    equal = fit.wald("x[1] = x[2]")
    contrast = np.array([1.0, -1.0])
    z = (contrast @ beta) / np.sqrt(contrast @ cov @ contrast)
    assert equal.statistic == pytest.approx(z**2, rel=1e-6)
    assert equal.p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-5)
    assert fit.wald(["x[1] = 0", "x[2] = 0", "x[1] + x[2] = 0"]).df == 2
    row = fit.summary().query("effect == 'concomitant' and term == 'x'").iloc[0]
    assert fit.wald("alpha[x]").table["z"].item() == pytest.approx(row["z"], rel=1e-6)
    assert fit.wald("g[b]").df == 1  # a fixed effect is one coefficient
    with pytest.raises(bmx.FitError, match="is empty"):
        fit.wald([])
    moved = fit.wald("x[1] = x[2]", kind="robust", cluster="clinic")
    assert moved.statistic != pytest.approx(equal.statistic, rel=1e-3)


def test_slopes_far_from_the_origin_have_the_errors_of_those_near_it():
    rng = np.random.default_rng(4)
    x = np.round(rng.normal(size=60), 3)
    data = pd.DataFrame({"x": x, "far": 1e-9 * (x + 1e6), "y": rng.poisson(np.exp(0.5 * x))})
    near, far = (
        bmx.slopes(bmx.Mixture(f"y ~ {n}", data, family="poisson", k=1).fit("em"), n, by=True)
        for n in ("x", "far")
    )
    columns = ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose(1e-9 * far[columns], near[columns], rtol=1e-5)


def test_posteriors_average_their_draws():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=150)})
    data["y"] = np.where(rng.random(150) < 0.4, 6 + data["x"], -data["x"]) + rng.normal(size=150)
    posterior = bmx.Mixture("y ~ x", data, k=2).fit("laplace", draws=500, seed=1)
    found = bmx.slopes(posterior, "x", by=True)
    draws = posterior.data["posterior"]
    own = draws["coef"].sel(term="x").to_numpy().reshape(-1, 2)
    weight = draws["weight"].to_numpy().reshape(-1, 2)
    rows = found[found["component"].notna()]
    np.testing.assert_allclose(rows["estimate"], own.mean(0), rtol=1e-6)
    np.testing.assert_allclose(rows["se"], own.std(0, ddof=1), rtol=1e-6)
    total = found[found["component"].isna() & (found["part"] == "total")]
    np.testing.assert_allclose(total["lower"], np.quantile((own * weight).sum(1), 0.025), rtol=1e-6)
    sign = bmx.slopes(posterior, "x", by=True, hypothesis="b5 = b4")
    assert sign["probability"].item() == pytest.approx((own[:, 1] > own[:, 0]).mean())
    with pytest.raises(bmx.FitError, match="its draws"):
        bmx.slopes(posterior, "x", by=True, kind="robust")


def test_survival_differences_are_those_of_the_weibull():
    rng = np.random.default_rng(6)
    n = 300
    data = pd.DataFrame({"x": rng.integers(0, 2, n)})
    time = rng.weibull(1.5, n) * np.exp(0.5 * data["x"])
    data["t"], data["d"] = np.minimum(time, 3.0), (time < 3.0).astype(int)
    fit = bmx.Mixture("surv(t, d) ~ x", data, "weibull", 1).fit()
    found = bmx.comparisons(fit, {"x": (0, 1)}, by=True, what="survival", time=1.2).iloc[0]
    shape = np.exp(fit.params["shape"].sel(term="Intercept").item())
    scale = np.exp(fit.params["scale"].sel(term="Intercept").item())
    ratio = np.exp(fit.params["scale"].sel(term="x").item())
    expected = np.exp(-((1.2 / scale / ratio) ** shape)) - np.exp(-((1.2 / scale) ** shape))
    assert found["estimate"] == pytest.approx(expected, rel=1e-9)
    assert 0 < found["se"] < 0.2
    with pytest.raises(bmx.FitError, match="time="):
        bmx.comparisons(fit, {"x": (0, 1)}, what="survival")


def test_slopes_of_splines_stay_in_their_range():
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"x": np.linspace(0, 1, 120)})
    data["y"] = np.sin(4 * data["x"]) + rng.normal(0, 0.1, 120)
    fit = bmx.Mixture("y ~ bs(x, df=5)", data, k=1).fit()
    found = bmx.slopes(fit, "x", data.iloc[[0, 60, 119]])
    own = found[found["component"] == 1]["estimate"].to_numpy()
    step = 1e-5
    around = fit.predict(pd.DataFrame({"x": data["x"].iloc[60] + np.array([step, -step])}))
    assert own[1] == pytest.approx(np.diff(around[1]).item() / (-2 * step), rel=1e-4)
    assert np.isfinite(own).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda f, d: bmx.slopes(f, "nothing"), bmx.FitError, "not a variable of the model"),
        (lambda f, d: bmx.slopes(f, "g"), bmx.FitError, "comparisons"),
        (lambda f, d: bmx.comparisons(f, {"g": ("a", "z")}), bmx.BayesmixError, "z"),
        (lambda f, d: bmx.comparisons(f, {}), bmx.FitError, "names no variable"),
        (lambda f, d: bmx.slopes(f, []), bmx.FitError, "names no variable"),
        (lambda f, d: bmx.comparisons(f, {"x": (1,)}), bmx.FitError, "two or more"),
        (lambda f, d: bmx.predictions(f, by="nothing"), bmx.DataError, "no column"),
        (lambda f, d: bmx.predictions(f, what="nothing"), bmx.FitError, "unknown"),
        (lambda f, d: bmx.predictions(f, response="z"), bmx.FitError, "responses are 'y'"),
        (lambda f, d: bmx.slopes(f, "x", d.drop(columns="x")), bmx.DataError, "lacks"),
        (lambda f, d: bmx.predictions(f, ci=2), bmx.FitError, "between 0 and 1"),
        (lambda f, d: bmx.predictions(d), bmx.FitError, "takes a PointFit"),
    ],
)
def test_what_cannot_be_asked(shared, call, error, match):
    data, fit = shared
    with pytest.raises(error, match=match):
        call(fit, data)


def test_case_weights_count_as_copies():
    rng = np.random.default_rng(9)
    data = pd.DataFrame({"x": rng.normal(size=60), "w": rng.integers(1, 4, 60)})
    data["g"] = rng.choice(["a", "b"], 60)
    data["w"] += 4 * (data["g"] == "a")
    data["y"] = rng.poisson(np.exp(0.3 + 0.5 * data["x"]))
    copies = data.loc[data.index.repeat(data["w"])].reset_index(drop=True)
    weighted = bmx.Mixture("y ~ x + g", data, "poisson", 1, weights="w").fit()
    plain = bmx.Mixture("y ~ x + g", copies, "poisson", 1).fit()
    assert (copies["g"].mode()[0], data["g"].mode()[0]) == ("a", "b")
    for by in (True, "g"):
        ours, theirs = (bmx.slopes(f, "x", by=by) for f in (weighted, plain))
        np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-6)
        np.testing.assert_allclose(ours["se"], theirs["se"], rtol=1e-5)
    for how in ("sd", "iqr", "minmax"):
        ours, theirs = (bmx.comparisons(f, {"x": how}, by=True) for f in (weighted, plain))
        np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-6)
    shares = bmx.Mixture("y ~ x + g", data.assign(w=data["w"] / 1e3), "poisson", 1, weights="w")
    found = bmx.comparisons(shares.fit(), {"x": "sd"}, by=True)["estimate"]
    theirs = bmx.comparisons(plain, {"x": "sd"}, by=True)["estimate"]
    np.testing.assert_allclose(found, theirs, rtol=0.01)  # n - 1 of rows, of copies
    for typical in ({"g": ["a", "b"]}, {"x": 0.5}):  # the mean of x, the most frequent g
        ours, theirs = (bmx.predictions(f, typical) for f in (weighted, plain))
        np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-6)
    titles = [bmx.plot.fitted(f, x="g").get_title(loc="left") for f in (weighted, plain)]
    assert titles[0] == titles[1] == f"x = {copies['x'].median():.4g} (median)"


def test_a_column_may_be_called_self():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"self": rng.normal(size=50), "~": rng.normal(size=50)})
    data["y"] = rng.poisson(np.exp(0.3 + 0.5 * data["self"] - 0.2 * data["~"]))
    fit = bmx.Mixture("y ~ self", data, "poisson", 1, fixed="~ `~`").fit()
    assert fit.spec.df == 3
    found = bmx.comparisons(fit, {"self": (0, 1)}, by=True)["estimate"][0]
    slope, other = fit.params["coef"].sel(component=1, term=["self", "~"]).values
    base = np.exp(fit.params["coef"].sel(component=1, term="Intercept").item() + other * data["~"])
    assert found == pytest.approx(((np.exp(slope) - 1) * base).mean(), rel=1e-6)


@pytest.fixture(scope="module")
def relapses():
    """A cure model whose x acts on the times and the weights."""
    rng = np.random.default_rng(3)
    n = 400
    x = rng.normal(size=n)
    time = 2 * np.exp(0.4 * x) * rng.weibull(1.5, n)
    time[rng.random(n) < 1 / (1 + np.exp(1 - 0.5 * x))] = np.inf
    end = rng.uniform(2, 9, n)
    data = pd.DataFrame({"x": x, "t": np.minimum(time, end), "s": (time <= end) * 1})
    spec = bmx.Mixture("surv(t, s) ~ x", data, ["weibull", "cured"], 2, concomitant="~ x")
    return spec.fit("em", seed=1)


def curve(fit, x):
    """Weight of the uncured, and the distribution of their times."""
    b, a = fit.coefficients(), fit.concomitant()
    law = stats.weibull_min(
        fit.dispersion().loc[1, "shape"],
        scale=np.exp(b.loc["Intercept", 1] + b.loc["x", 1] * x),
    )
    return 1 / (1 + np.exp(a.loc["Intercept", 2] + a.loc["x", 2] * x)), law


def test_quantities_of_times(relapses):
    from scipy import integrate

    at = {"x": [0.0, 1.0]}

    def totals(**options):
        found = bmx.predictions(relapses, at, **options)
        return found[found["component"].isna()]

    for x, estimate in zip(at["x"], totals(what="hazard", time=1.5)["estimate"], strict=True):
        pi, law = curve(relapses, x)
        rate = pi * law.pdf(1.5) / (1 - pi + pi * law.sf(1.5))
        assert estimate == pytest.approx(rate, rel=1e-9)
    for x, estimate in zip(
        at["x"], totals(what="restricted_mean_time", time=4)["estimate"], strict=True
    ):
        pi, law = curve(relapses, x)
        area = integrate.quad(lambda t, pi=pi, law=law: 1 - pi + pi * law.sf(t), 0, 4)[0]
        assert estimate == pytest.approx(area, rel=1e-8)
    quartile = totals(what="quantile_time", q=0.25)
    for x, estimate in zip(at["x"], quartile["estimate"], strict=True):
        pi, law = curve(relapses, x)
        assert pi * law.cdf(estimate) == pytest.approx(0.25, rel=1e-9)
    assert ((quartile["lower"] < quartile["estimate"]) & (quartile["se"] > 0)).all()
    assert np.isinf(totals(what="quantile_time", q=0.99)["estimate"]).all()
    several = bmx.predictions(relapses, by=True, what="survival", time=[1, 2])
    assert several["time"].tolist() == [1, 1, 1, 2, 2, 2]
    standard = relapses.survival([1, 2], by=True)
    np.testing.assert_allclose(several["estimate"], standard["estimate"], rtol=1e-10)


def test_parts_of_a_difference_of_quantiles(relapses):
    ends = [curve(relapses, x) for x in (0.0, 1.0)]
    q = 0.3

    def median(pi, law):
        return law.ppf(q / pi)

    found = bmx.comparisons(
        relapses, {"x": (0, 1)}, {"x": 0.0}, what="quantile_time", q=q
    ).set_index("part")["estimate"]
    (pi0, law0), (pi1, law1) = ends
    whole = median(pi1, law1) - median(pi0, law0)
    through = (median(pi0, law1) - median(pi0, law0) + median(pi1, law1) - median(pi1, law0)) / 2
    assert found["total"].iloc[0] == pytest.approx(whole, rel=1e-8)
    assert found["components"] == pytest.approx(through, rel=1e-8)
    assert found["weights"] == pytest.approx(whole - through, rel=1e-8)
    slope = bmx.slopes(relapses, "x", {"x": 0.0}, what="hazard", time=1.0)["estimate"].iloc[0]
    h = 1e-4

    def hazard(x):
        pi, law = curve(relapses, x)
        return pi * law.pdf(1) / (1 - pi + pi * law.sf(1))

    assert slope == pytest.approx((hazard(h) - hazard(-h)) / (2 * h), rel=1e-5)
    with pytest.raises(bmx.FitError, match=r"q= goes with what= one of \['quantile_time'\]"):
        bmx.predictions(relapses, what="quantile_time")
    with pytest.raises(bmx.FitError, match="must be between 0 and 1"):
        bmx.predictions(relapses, what="quantile_time", q=1.5)


def test_differences_of_infinite_means_say_what_to_ask_for():
    """A log-logistic time with a shape below one has no mean; its median is its scale."""
    rng = np.random.default_rng(1)
    x, u = rng.normal(size=200), rng.random(200)
    data = pd.DataFrame({"x": x, "t": np.exp(0.3 * x) * (u / (1 - u)) ** (1 / 0.7), "s": 1})
    fit = bmx.Mixture("surv(t, s) ~ x", data, "loglogistic", k=1).fit()
    with pytest.warns(UserWarning, match="what='quantile_time', q=0.5"):
        assert bmx.slopes(fit, "x", by=True)["estimate"].isna().any()
    median = bmx.comparisons(fit, {"x": (0, 1)}, what="quantile_time", q=0.5, by=True)
    a, b = fit.coefficients()[1]
    assert median["estimate"].iloc[0] == pytest.approx(np.exp(a + b) - np.exp(a), rel=1e-6)
