"""Times of a mixture against a few lines of NumPy and SciPy at its estimates."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, special, stats

import bayesmix as bmx
from bayesmix.errors import FitError


def cohort(n=400, seed=1):
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=n), np.where(rng.random(n) < 0.5, "a", "b")
    early = rng.random(n) < special.expit(0.3 + x)
    time = np.where(early, 2 * np.exp(0.3 * x) * rng.weibull(1.5, n), rng.lognormal(2.2, 0.6, n))
    time[rng.random(n) < 0.2] = np.inf
    end = rng.uniform(2, 30, n)
    w = rng.integers(1, 4, n)
    return pd.DataFrame(
        {"x": x, "g": g, "w": w, "time": np.minimum(time, end), "status": (time <= end) * 1}
    )


DATA = cohort()
NEW = pd.DataFrame({"x": [0.0, 1.0], "g": ["a", "b"]})


@pytest.fixture(scope="module")
def fit():
    spec = bmx.Mixture(
        "surv(time, status) ~ x",
        DATA,
        family=["weibull", "lognormal", "cured"],
        k=3,
        concomitant="~ x + g",
        weights="w",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of three starts one is the highest
        return spec.fit(seed=1, starts=3)


def parts(fit, rows):
    """Weights (n, 3) and the two distributions of every row, by scipy."""
    b, shape = fit.coefficients(), fit.dispersion()
    x = rows["x"].to_numpy()
    first = stats.weibull_min(
        shape.loc[1, "shape"], scale=np.exp(b.loc["Intercept", 1] + b.loc["x", 1] * x)
    )
    second = stats.lognorm(
        shape.loc[2, "sdlog"], scale=np.exp(b.loc["Intercept", 2] + b.loc["x", 2] * x)
    )
    a = fit.concomitant()
    z = np.column_stack([np.ones(len(rows)), x, rows["g"] == "b"]).astype(float)
    return special.softmax(z @ a.to_numpy(), axis=1), first, second


def curve(fit, rows, t):
    """S(t) of each row."""
    pi, first, second = parts(fit, rows)
    return pi[:, 0] * first.sf(t) + pi[:, 1] * second.sf(t) + pi[:, 2]


def slope(fit, rows, t):
    pi, first, second = parts(fit, rows)
    return pi[:, 0] * first.pdf(t) + pi[:, 1] * second.pdf(t)


def test_by_component_and_of_all(fit):
    table = fit.survival([1, 5], NEW)
    assert list(table.columns) == ["row", "x", "g", "time", "component", *ENDS]
    assert table["component"].isna().sum() == 4
    _, first, second = parts(fit, NEW)
    for t in (1, 5):
        at = table[table["time"] == t].set_index("component")["estimate"]
        np.testing.assert_allclose(at[at.index.isna()], curve(fit, NEW, t), rtol=1e-10)
        np.testing.assert_allclose(at[1], first.sf(t), rtol=1e-10)
        np.testing.assert_allclose(at[2], second.sf(t), rtol=1e-10)
        assert (at[3] == 1).all()
    hazard = fit.hazard([1, 5], NEW, by="marginal")["estimate"].to_numpy().reshape(2, 2)
    for j, t in enumerate((1, 5)):
        np.testing.assert_allclose(
            hazard[:, j], slope(fit, NEW, t) / curve(fit, NEW, t), rtol=1e-10
        )
    assert set(fit.hazard(1, NEW, by="component")["component"]) == {1, 2, 3}


ENDS = ["estimate", "lower", "upper"]


def test_quantiles_are_where_the_curve_is(fit):
    found = fit.quantile_time([0.1, 0.5], NEW, by="marginal").set_index(["row", "q"])["estimate"]
    events = fit.quantile_time(0.5, NEW, among="events", by="marginal")["estimate"]
    pi, _, _ = parts(fit, NEW)
    for row in (0, 1):
        for q in (0.1, 0.5):
            assert curve(fit, NEW, found[row, q])[row] == pytest.approx(1 - q, rel=1e-9)
        had = 1 - curve(fit, NEW, events[row])[row]
        assert had == pytest.approx(0.5 * (1 - pi[row, 2]), rel=1e-9)
    assert np.isinf(fit.quantile_time(0.999, NEW, by="marginal")["estimate"]).all()


def test_means_restricted_and_among_those_with_an_event(fit):
    pi, first, second = parts(fit, NEW)
    assert np.isinf(fit.mean_time(NEW, by="marginal")["estimate"]).all()
    own = (pi[:, 0] * first.mean() + pi[:, 1] * second.mean()) / (1 - pi[:, 2])
    found = fit.mean_time(NEW, among="events", by="marginal")
    np.testing.assert_allclose(found["estimate"], own, rtol=1e-9)
    until = fit.restricted_mean_time(10, NEW, by="marginal")["estimate"]
    events = fit.restricted_mean_time(10, NEW, among="events", by="marginal")["estimate"]
    for row in (0, 1):
        area = integrate.quad(lambda t, r=row: curve(fit, NEW, t)[r], 0, 10)[0]
        assert until[row] == pytest.approx(area, rel=1e-8)
        left = pi[row, 2]
        assert events[row] == pytest.approx((area - 10 * left) / (1 - left), rel=1e-8)


def test_time_already_spent(fit):
    given = fit.survival(5, NEW, spent=2, by="marginal")["estimate"]
    np.testing.assert_allclose(given, curve(fit, NEW, 5) / curve(fit, NEW, 2), rtol=1e-10)
    median = fit.quantile_time(0.2, NEW, spent=2, by="marginal")["estimate"]
    for row in (0, 1):
        left = curve(fit, NEW, median[row])[row] / curve(fit, NEW, 2)[row]
        assert left == pytest.approx(0.8, rel=1e-9)
    assert (fit.hazard(1, NEW, spent=2, by="marginal")["estimate"] == 0).all()


def test_standardised_over_the_rows(fit):
    """Averages over the data by their case weights; a hazard is that of the averaged curve."""
    inside = DATA["g"] == "b"

    def mean(values):
        return np.average(values[inside], weights=DATA.loc[inside, "w"])

    found = fit.survival(5, by=["g", "marginal"])
    assert list(found.columns) == ["g", "time", "component", *ENDS]
    assert found["estimate"][1] == pytest.approx(mean(curve(fit, DATA, 5)), rel=1e-10)
    rate = mean(slope(fit, DATA, 5)) / mean(curve(fit, DATA, 5))
    assert fit.hazard(5, by=["g", "marginal"])["estimate"][1] == pytest.approx(rate, rel=1e-10)
    at = optimize.brentq(lambda t: mean(curve(fit, DATA, t)) - 0.6, 0.1, 50)
    ours = fit.quantile_time(0.4, by=["g", "marginal"])["estimate"][1]
    assert ours == pytest.approx(at, rel=1e-8)
    whole = fit.restricted_mean_time(8, by=True)
    w = DATA["w"].to_numpy()
    for kind in ("marginal", "component"):
        own = fit.restricted_mean_time(8, DATA, by=kind)["estimate"].to_numpy()
        each = own.reshape(len(DATA), -1).T @ w / w.sum()
        some = whole["component"].isna() == (kind == "marginal")
        np.testing.assert_allclose(whole.loc[some, "estimate"], each, rtol=1e-10)
    # The same as the verb for predictions, at one time.
    verb = bmx.predictions(fit, by="g", what="survival", time=5.0)
    np.testing.assert_allclose(found["estimate"], verb[verb["component"].isna()]["estimate"])


def test_limits_are_those_of_the_delta_method(fit):
    ours = fit.survival(5, by=["g", "marginal"])
    verb = bmx.predictions(fit, by="g", what="survival", time=5.0)
    np.testing.assert_allclose(
        ours[["lower", "upper"]], verb[verb["component"].isna()][["lower", "upper"]], rtol=1e-3
    )
    robust = fit.survival(5, by=["g", "marginal"], kind="robust")
    verb = bmx.predictions(fit, by="g", what="survival", time=5.0, kind="robust")
    np.testing.assert_allclose(
        robust[["lower", "upper"]], verb[verb["component"].isna()][["lower", "upper"]], rtol=1e-3
    )
    drawn = fit.quantile_time(0.4, NEW, by="marginal", interval="simulation", seed=1, draws=2000)
    exact = fit.quantile_time(0.4, NEW, by="marginal")
    ratio = (drawn["upper"] / drawn["lower"]) / (exact["upper"] / exact["lower"])
    assert ratio.between(0.9, 1.15).all()


def test_a_survival_of_almost_nothing_has_a_short_interval():
    """The cumulative hazard (t / scale)^shape is log-linear in its parameters."""
    fit = bmx.Mixture("surv(time, status) ~ 1", DATA, family="weibull", k=1).fit(seed=1)
    at = [(1, "Intercept", "varying"), (1, "shape", "dispersion")]
    cov = fit.covariance().loc[at, at].to_numpy()
    shape, times = fit.dispersion().at[1, "shape"], np.array([3.0, 4000.0])
    log_hazard = shape * (np.log(times) - fit.coefficients().at["Intercept", 1])
    slope = np.column_stack([np.full(2, -shape), log_hazard])  # in the log scale and log shape
    reach = special.ndtri(0.975) * np.sqrt(np.einsum("ti,ij,tj->t", slope, cov, slope))
    found = fit.survival(times, by="marginal")
    assert found["estimate"].iloc[1] < 1e-20
    for limit, there in (("lower", log_hazard + reach), ("upper", log_hazard - reach)):
        np.testing.assert_allclose(np.log(found[limit]), -np.exp(there), rtol=1e-4)


def test_beside_kaplan_meier(fit):
    table = fit.kaplan_meier(by="g", times=[2, 5])
    assert list(table.columns) == ["g", "time", *ENDS, "source"]
    model = table[table["source"] == "model"]
    np.testing.assert_allclose(model[ENDS], fit.survival([2, 5], by=["g", "marginal"])[ENDS])
    rows = DATA[DATA["g"] == "a"]
    rows = rows.loc[rows.index.repeat(rows["w"])]
    times = np.sort(rows.loc[rows["status"] == 1, "time"].unique())
    left = np.cumprod([1 - ((rows["time"] == t) & (rows["status"] == 1)).sum()
                       / (rows["time"] >= t).sum() for t in times])  # fmt: skip
    steps = table[(table["source"] == "nonparametric") & (table["g"] == "a")]
    at = np.searchsorted(steps["time"], times, side="right") - 1
    np.testing.assert_allclose(steps["estimate"].to_numpy()[at], left, rtol=1e-10)
    assert (abs(model["estimate"] - [0.73, 0.5, 0.73, 0.5]) < 0.12).all()


def test_several_responses_and_competing_events():
    rng = np.random.default_rng(2)
    data = DATA.assign(y=rng.normal(size=len(DATA)), event=np.where(DATA["x"] > 0, "p", "q"))
    both = bmx.Mixture(
        [bmx.Regression("y ~ 1"), bmx.Regression("surv(time, status) ~ 1", "weibull")], data, k=1
    ).fit(seed=1)
    found = both.survival(4)
    log_scale, log_shape = (
        float(both.params[f"{name}_surv(time, status)"].squeeze()) for name in ("scale", "shape")
    )
    scale, shape = np.exp(log_scale), np.exp(log_shape)
    np.testing.assert_allclose(found["estimate"], np.exp(-((4 / scale) ** shape)), rtol=1e-10)
    events = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "weibull").fit(seed=1)
    start = events.state_probabilities(4).query("state == 'start'")["estimate"].iloc[0]
    assert events.survival(4, by="marginal")["estimate"][0] == pytest.approx(start)
    assert events.kaplan_meier(times=[4])["estimate"][0] == pytest.approx(start)
    assert list(events.mean_time()["event"]) == ["p", "q"]
    averaged = events.mean_time(by=True)  # no covariates: the same for all rows
    np.testing.assert_allclose(averaged["estimate"], events.mean_time()["estimate"])
    half = events.quantile_time(0.5, by="event")
    assert list(half.columns)[:3] == ["event (covariate)", "q", "event"]
    early = events.restricted_mean_time(2, by=["x", "component"], newdata=data.head(2))
    assert len(early) == 4


def test_a_time_of_the_unit_counts_once(tmp_path):
    """Beside repeated measurements the averages are over units, not over their rows."""
    rng = np.random.default_rng(5)
    n = 150
    count, x = rng.integers(1, 6, n), rng.integers(0, 2, n)
    time = (1 + 2 * x) * rng.weibull(1.5, n)
    unit = pd.DataFrame({"id": np.arange(n), "x": x, "t": time.clip(max=4), "d": (time < 4) * 1})
    data = unit.loc[unit.index.repeat(count)].reset_index(drop=True)
    data["y"] = rng.normal(data["x"], 1.0)
    parts = [
        bmx.Regression("y ~ 1"),
        bmx.Regression("surv(t, d) ~ x", family="weibull", per="unit"),
    ]
    joint = bmx.Mixture(parts, data, k=1, group="id").fit(seed=1)
    alone = bmx.Mixture("surv(t, d) ~ x", unit, family="weibull", k=1).fit(seed=1)
    ours = joint.survival([1, 2], by=True)["estimate"]
    np.testing.assert_allclose(ours, alone.survival([1, 2], by=True)["estimate"], rtol=1e-5)
    at = {"what": "survival", "time": [1, 2], "response": "surv(t, d)"}
    effects = bmx.predictions(joint, by=True, **at).dropna(subset="component")["estimate"]
    np.testing.assert_allclose(effects, ours[1::2], rtol=1e-12)
    change = [bmx.comparisons(f, {"x": (0, 1)}, by=True, **at)["estimate"] for f in (joint, alone)]
    np.testing.assert_allclose(*change, rtol=1e-5)
    both = bmx.predictions(joint, by=True).set_index(["response", "part"])["estimate"]
    assert both["y"].iloc[0] == pytest.approx(data["y"].mean())
    assert both["surv(t, d)"].iloc[0] == pytest.approx(joint.mean_time(by=True)["estimate"].iloc[0])
    km, own = joint.kaplan_meier(times=[1, 2]), alone.kaplan_meier(times=[1, 2])
    np.testing.assert_allclose(km["estimate"], own["estimate"], rtol=1e-5)
    for found, truth in (
        (joint.brier_score([1, 2]), alone.brier_score([1, 2])),
        (joint.calibration(2, groups=3), alone.calibration(2, groups=3)),
    ):
        numeric = truth.select_dtypes("number").columns
        np.testing.assert_allclose(found[numeric], truth[numeric], rtol=1e-4)
    scores = joint.residuals("quantile", seed=1)["surv(t, d)"]
    once = ~data["id"].duplicated()
    assert scores.notna().equals(once)
    event = unit["d"].to_numpy() == 1  # those of the censored are drawn
    expected = alone.residuals("quantile", seed=1)[event]
    np.testing.assert_allclose(scores[once].to_numpy()[event], expected, atol=1e-4)
    joint.report(tmp_path / "report.html", tables=tmp_path / "t")
    assert "Survival over time" in (tmp_path / "report.html").read_text("utf-8")
    assert (tmp_path / "t" / "times_em.csv").exists()


def test_refusals(fit):
    plain = bmx.Mixture("x ~ 1", DATA, k=1).fit(seed=1)
    for name in ("survival", "hazard", "restricted_mean_time"):
        with pytest.raises(FitError, match=rf"{name}\(\) is about survival times, and x is none"):
            getattr(plain, name)(1)
    with pytest.raises(FitError, match=r"^survival\(\) is about survival times"):
        bmx.plot.survival(plain)
    with pytest.raises(FitError, match=r"by=\[\] names nothing"):
        fit.survival(1, by=[])
    with pytest.raises(bmx.DataError, match="no column 'h'"):
        fit.survival(1, by="h")
    with pytest.raises(FitError, match=r"times=-1.* at least"):
        fit.survival(-1)


def test_a_posterior_has_credible_limits():
    spec = bmx.Mixture("surv(time, status) ~ 1", DATA, family=["weibull", "cured"], k=2)
    posterior = spec.fit("laplace", seed=1, draws=500)
    found = posterior.survival([3.0], by="marginal")
    draws = posterior.data["posterior"]
    scale = np.exp(draws["scale"].sel(component=1).to_numpy().ravel())
    shape = np.exp(draws["shape"].sel(component=1).to_numpy().ravel())
    pi = draws["weight"].sel(component=2).to_numpy().ravel()
    each = pi + (1 - pi) * np.exp(-((3 / scale) ** shape))
    assert found["estimate"][0] == pytest.approx(each.mean(), rel=1e-6)
    np.testing.assert_allclose(
        found[["lower", "upper"]].to_numpy()[0], np.quantile(each, [0.025, 0.975]), rtol=1e-6
    )
    with pytest.raises(FitError, match="kind= and cluster= choose the covariance of a point fit"):
        posterior.survival(3.0, kind="robust")


def test_the_picture(fit):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ax = bmx.plot.survival(fit, by="g", times=[0, 2, 5])
    assert ax.get_xlabel() == "time"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["g = a", "g = b", "model, 95% band", "Kaplan-Meier, 95% bars"]
    np.testing.assert_allclose(
        ax.lines[0].get_ydata(),
        fit.survival([0, 2, 5], by=["g", "marginal"])["estimate"][:3],
    )
    every = bmx.plot.survival(fit, times=[0, 2, 5])
    labels = [text.get_text() for text in every.get_legend().get_texts()]
    assert labels[:4] == ["all", "component 1", "component 2", "component 3"]
    assert fit.plot(times=[0, 1]).get_ylabel() == "probability of no event"
    plt.close("all")
