"""Missing responses: every unit counts with what was observed of it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import bayesmix as bmx

MISSING = {"y": 60, "c": 90}


def mixed_rows(n=400, seed=1):
    """Two responses of the same rows, parts of both missing, the covariate of `c` with it."""
    rng = np.random.default_rng(seed)
    x, z, w = rng.normal(size=(3, n))
    s = rng.random(n) < 1 / (1 + np.exp(-0.5 - w))
    y = np.where(s, 1 + 2 * x, -1 - x) + rng.normal(size=n) * np.where(s, 1, 0.6)
    c = rng.poisson(np.exp(np.where(s, 0.3 + 0.4 * z, 1.2))).astype(float)
    data = pd.DataFrame({"x": x, "z": z, "w": w, "y": y, "c": c})
    data.loc[rng.choice(n, MISSING["y"], False), "y"] = np.nan
    lost = rng.choice(n, MISSING["c"], False)
    data.loc[lost, "c"] = np.nan
    data.loc[lost[::3], "z"] = np.nan
    return data


def mixed(data, **options):
    parts = [bmx.Regression("y ~ x"), bmx.Regression("c ~ z", family="poisson")]
    return bmx.Mixture(parts, data, k=2, concomitant="~ w", na_action="fiml", **options)


def mixed_loglik(data, params):
    """The same by a few lines of NumPy."""
    b, g, a = (params[name].to_numpy() for name in ("coef_y", "coef_c", "alpha"))
    x, z, w = (data[v].to_numpy() for v in "xzw")
    mu = np.stack([np.ones_like(x), x], 1) @ b.T
    rate = np.exp(np.stack([np.ones_like(z), z], 1) @ g.T)
    fy = stats.norm.logpdf(data["y"].to_numpy()[:, None], mu, params["sigma_y"].to_numpy())
    fc = stats.poisson.logpmf(data["c"].to_numpy()[:, None], rate)
    eta = np.stack([np.ones_like(w), w], 1) @ a.T
    log_pi = eta - logsumexp(eta, axis=1, keepdims=True)
    terms = log_pi + np.where(np.isnan(fy), 0, fy) + np.where(np.isnan(fc), 0, fc)
    return logsumexp(terms, axis=1), np.exp(terms - logsumexp(terms, axis=1, keepdims=True))


@pytest.fixture(scope="module")
def data():
    return mixed_rows()


@pytest.fixture(scope="module")
def fit(data):
    return mixed(data).fit("em", seed=1, starts=3)


def test_likelihood_is_that_of_what_was_observed(data, fit):
    loglik, share = mixed_loglik(data, fit.params)
    assert fit.loglik == pytest.approx(loglik.sum(), abs=1e-8)
    np.testing.assert_allclose(fit.membership().to_numpy(), share, atol=1e-10)
    assert fit.converged
    assert dict(fit.n_missing) == MISSING
    nothing = int(data[["y", "c"]].isna().all(axis=1).sum())
    assert nothing > 0
    assert fit.n_obs == fit.n_units == len(data) - nothing
    shown = ["y in 60 of 400 rows", "c in 90 of 400 rows", f"{nothing} of 400 units have no"]
    assert [words for words in shown if words not in repr(fit)] == []


def test_units_without_a_response_keep_their_weights(data, fit):
    nothing = data[["y", "c"]].isna().all(axis=1).to_numpy()
    weights = fit.predict(what="weight").to_numpy()[nothing]
    np.testing.assert_allclose(fit.membership().to_numpy()[nothing], weights, atol=1e-12)


def theta_of(spec, fit):
    from bayesmix.model.params import from_dataset

    return from_dataset(spec.spec, fit.params)


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_derivatives_of_both_evaluators(data, fit, compiled, monkeypatch):
    from bayesmix.likelihood import build_problem
    from bayesmix.likelihood.engine import Engine

    monkeypatch.setenv("BAYESMIX_COMPILE", compiled)
    spec = mixed(data)
    problem = build_problem(spec.spec)
    theta = theta_of(spec, fit) + 0.1
    step = 1e-5 * np.eye(len(theta))
    engine = Engine(problem)

    def value(at):
        return engine.log_likelihood(at[None])[0]

    slope = np.array([(value(theta + h) - value(theta - h)) / 2e-5 for h in step])
    found, gradient = engine.gradient(theta)
    info = engine.information(theta[None])
    assert found == pytest.approx(mixed_loglik(data, params_at(spec, theta))[0].sum(), abs=1e-8)
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(info.score[0], slope, rtol=1e-5, atol=1e-5)
    ends = [(engine.gradient(theta - h)[1], engine.gradient(theta + h)[1]) for h in step]
    by_steps = [(low - high) / 2e-5 for low, high in ends]
    np.testing.assert_allclose(info.matrix[0], by_steps, rtol=1e-4, atol=1e-3)
    sums = engine.sums(theta[None])
    np.testing.assert_allclose(sums.score[0], slope, rtol=1e-5, atol=1e-5)
    rows = sums.squares[0].rows[0].sum()
    assert rows == pytest.approx(len(data) - MISSING["y"])


def params_at(spec, theta):
    from bayesmix.model.params import to_dataset

    return to_dataset(spec.spec, theta)


@pytest.mark.parametrize("method", ["em", "map"])
def test_one_response_alone_is_as_without_its_missing_rows(data, method):
    spec = {a: bmx.Mixture("y ~ x", data, na_action=a) for a in ("fiml", "drop")}
    fits = {a: s.fit(method, seed=1, starts=3) for a, s in spec.items()}
    a, b = fits["fiml"], fits["drop"]
    assert a.loglik == pytest.approx(b.loglik, abs=1e-6)
    pd.testing.assert_frame_equal(a.summary(), b.summary(), rtol=1e-4, atol=1e-5)
    assert (a.bic, a.icl, a.entropy) == pytest.approx((b.bic, b.icl, b.entropy), rel=1e-6)
    assert a.n_obs == b.n_obs == 340
    priors = [s.priors()["prior"] for s in spec.values()]
    assert priors[0].equals(priors[1])


def test_a_label_counts_without_a_response():
    data = mixed_rows(200)
    data["label"] = np.where(data["x"] > 0.5, "up", None)
    fit = bmx.Mixture("y ~ x", data, k=2, labels="label", na_action="fiml").fit("em", seed=1)
    known = data["y"].notna() | data["label"].notna()
    assert fit.n_obs == fit.n_units == known.sum() < 200


def visits(seed=3):
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(60), 4)
    t = np.tile(np.arange(4.0), 60)
    s = person % 3 == 0
    y = np.where(s, 2 * t, 1 - t) + rng.normal(size=240)
    data = pd.DataFrame({"id": person, "t": t, "y": y})
    data.loc[rng.random(240) < 0.3, "y"] = np.nan
    data.loc[data["id"] == 7, "y"] = np.nan
    return data


def test_missing_visits_of_groups():
    data = visits()
    kept = bmx.Mixture("y ~ t | id", data, na_action="fiml").fit("em", seed=1, starts=3)
    left = bmx.Mixture("y ~ t | id", data, na_action="drop").fit("em", seed=1, starts=3)
    assert kept.loglik == pytest.approx(left.loglik, abs=1e-6)
    nothing = list(data.groupby("id")["y"].count().loc[lambda n: n == 0].index)
    assert 7 in nothing
    assert kept.n_units == left.n_units == 60 - len(nothing)
    assert kept.bic == pytest.approx(left.bic)
    member = kept.membership()
    assert len(member) == 60
    np.testing.assert_allclose(member.loc[7], kept.mixing, atol=1e-12)
    np.testing.assert_allclose(member.drop(nothing), left.membership(), atol=1e-5)
    residuals = kept.residuals("pearson")
    assert residuals.isna().all(axis=1).equals(data["y"].isna())
    assert kept.residuals("quantile", seed=1).isna().equals(data["y"].isna())


def test_simulation_keeps_or_fills_the_pattern(data, fit):
    full, same = fit.simulate(seed=1), fit.simulate(seed=1, missing=True)
    assert full["y"].notna().all()
    assert full["c"].isna().equals(data["z"].isna())  # without its covariate nothing can be drawn
    assert same["y"].isna().equals(data["y"].isna())
    assert same["c"].isna().equals(data["c"].isna())
    with pytest.raises(bmx.FitError, match="own rows"):
        fit.simulate(newdata=data, missing=True)


def test_predictions_need_no_response_and_new_rows_may_lack_some(data, fit):
    again = fit.membership(newdata=data)
    np.testing.assert_allclose(again, fit.membership(), atol=1e-12)
    means = fit.predict()
    assert means["c"].isna().all(axis=1).equals(data["z"].isna())
    assert means["y"].notna().all(axis=None)
    with pytest.raises(bmx.DataError, match="missing values"):
        fit.predict(newdata=data)
    without, lost = fit.membership(newdata=data.assign(y=np.nan)), data["y"].isna()
    np.testing.assert_allclose(without[lost], fit.membership()[lost], atol=1e-12)


def test_a_missing_covariate_of_an_observed_response_names_pool(data):
    at = data.index[data["y"].notna()][:3]
    wrong = data.copy()
    wrong.loc[at, "x"] = np.nan
    with pytest.raises(bmx.DataError, match=r"'x': 3 rows.*bmx\.pool"):
        mixed(wrong)
    with pytest.raises(bmx.DataError, match=r"'w': 1 row.*missing responses"):
        mixed(data.assign(w=data["w"].where(data.index > 0)))
    with pytest.raises(bmx.DataError, match="missing in all 400 rows"):
        bmx.Mixture("y ~ x", data.assign(y=np.nan), na_action="fiml")


def test_saved_and_loaded(tmp_path, fit, data):
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    assert dict(again.n_missing) == MISSING
    pd.testing.assert_frame_equal(again.membership(), fit.membership())


def test_bayes(data):
    post = mixed(data).fit("laplace", draws=200, seed=1)
    assert dict(post.n_missing) == MISSING
    loglik = post.data["log_likelihood"]["responses"].to_numpy()
    nothing = data[["y", "c"]].isna().all(axis=1).to_numpy()
    np.testing.assert_allclose(loglik[..., nothing], 0.0, atol=1e-12)
    assert np.isfinite(post.loo(repair=False).elpd)
    drawn = post.simulate(draws=3, seed=1, missing=True)
    assert drawn["y"].isna().all(axis=1).equals(data["y"].isna())


def test_draws_of_the_missing_values():
    """At known parameters they have the distribution given the other response."""
    rng = np.random.default_rng(5)
    n = 300
    s = rng.random(n) < 0.4
    data = pd.DataFrame({"a": np.where(s, 4.0, -4.0) + rng.normal(size=n)})
    data["b"] = np.where(s, 10.0, 0.0) + rng.normal(size=n)
    data.loc[:99, "b"] = np.nan
    parts = [bmx.Regression("a ~ 1"), bmx.Regression("b ~ 1")]
    fit = bmx.Mixture(parts, data, k=2, na_action="fiml").fit("em", seed=1, starts=2)
    drawn = fit.impute(draws=200, seed=1)
    assert list(drawn.index) == [("b", i) for i in range(100)]
    means = fit.predict(by="membership")["b"][:100]
    np.testing.assert_allclose(drawn.mean(axis=1), means, atol=0.4)
    np.testing.assert_allclose(drawn.std(axis=1).mean(), 1.0, atol=0.1)
    with pytest.raises(bmx.FitError, match="no response is missing"):
        bmx.Mixture("a ~ 1", data, k=2).fit("em", seed=1).impute()


def test_missing_successes_and_trials():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"n": rng.integers(4, 12, 90).astype(float), "x": rng.normal(size=90)})
    data["y"] = rng.binomial(data["n"].astype(int), np.where(rng.random(90) < 0.5, 0.2, 0.8))
    data["y"] = data["y"].where(data.index > 5).astype(float)
    data.loc[:2, "n"] = np.nan
    kept, left = (
        bmx.Mixture("p(y, n) ~ 1", data, family="binomial", na_action=a).fit("em", seed=1)
        for a in ("fiml", "drop")
    )
    assert kept.loglik == pytest.approx(left.loglik, abs=1e-7)
    assert kept.n_missing["p(y, n)"] == 6


def test_a_time_that_some_groups_lack():
    rng = np.random.default_rng(4)
    person, t = np.repeat(np.arange(80), 3), np.tile(np.arange(3.0), 80)
    s = person % 2 == 0
    data = pd.DataFrame({"id": person, "t": t, "y": np.where(s, t, -t) + rng.normal(size=240)})
    died = np.where(s, 1.0, 4.0) * rng.exponential(size=240)
    data["time"], data["dead"] = died[3 * person], 1
    data.loc[person >= 60, ["time", "dead"]] = np.nan
    parts = [
        bmx.Regression("y ~ t"),
        bmx.Regression("surv(time, dead) ~ 1", family="exponential", per="unit"),
    ]
    fit = bmx.Mixture(parts, data, k=2, group="id", na_action="fiml").fit("em", seed=1, starts=2)
    assert fit.n_missing["surv(time, dead)"] == 20
    p = fit.params
    gaussian = stats.norm.logpdf(
        data["y"].to_numpy()[:, None],
        p["coef_y"].to_numpy()[:, 0] + t[:, None] * p["coef_y"].to_numpy()[:, 1],
        p["sigma_y"].to_numpy(),
    )
    rate = np.exp(p["rate_surv(time, dead)"].to_numpy()[:, 0])
    times = stats.expon.logpdf(data["time"].to_numpy()[::3, None], scale=1 / rate)
    terms = np.log(p["weight"].to_numpy()) + np.nan_to_num(times)
    terms = terms + np.add.reduceat(gaussian, np.arange(0, 240, 3))
    assert fit.loglik == pytest.approx(logsumexp(terms, axis=1).sum(), abs=1e-7)


def test_competing_events_with_missing_times():
    """The event alone counts of a row whose time is missing: log pi_s."""
    rng = np.random.default_rng(6)
    n = 200
    event = rng.random(n) < 0.4
    time = np.where(event, rng.exponential(1.0, n), rng.weibull(2.0, n) * 3)
    data = pd.DataFrame({"time": time, "status": 1, "event": np.where(event, "a", "b")})
    whole = {"a": "exponential", "b": "weibull"}
    data.loc[:29, "time"] = np.nan
    with pytest.raises(bmx.DataError, match="na_action"):
        bmx.CompetingRisks("surv(time, status) ~ 1", data, event="event", family=whole)
    spec = bmx.CompetingRisks(
        "surv(time, status) ~ 1", data, event="event", family=whole, na_action="fiml"
    )
    fit = spec.fit("em", seed=1)
    share = (data["event"] == "a").mean()
    a = data.loc[data["event"] == "a", "time"].dropna()
    assert fit.mixing["a"] == pytest.approx(share, abs=1e-6)
    assert np.exp(fit.params["rate"].to_numpy()[0, 0]) == pytest.approx(1 / a.mean(), rel=1e-5)
    assert fit.n_obs == 200
    assert fit.n_missing["surv(time, status)"] == 30


def test_values_at_atoms_beside_missing_ones():
    rng = np.random.default_rng(8)
    y = np.where(rng.random(200) < 0.3, 0.0, rng.gamma(2.0, 1.5, 200))
    data = pd.DataFrame({"y": np.where(rng.random(200) < 0.2, np.nan, y)})
    fits = [
        bmx.Mixture("y ~ 1", data, family=["zero", "gamma"], na_action=a).fit("em", seed=1)
        for a in ("fiml", "drop")
    ]
    assert fits[0].loglik == pytest.approx(fits[1].loglik, abs=1e-7)


def test_binary_items_with_holes():
    rng = np.random.default_rng(8)
    data = pd.DataFrame(rng.integers(0, 2, (60, 3)).astype(float), columns=list("abc"))
    data = data.mask(rng.random(data.shape) < 0.2)
    spec = bmx.Mixture(bmx.items(list("abc"), family="binomial"), data, k=2, na_action="fiml")
    params = spec.fit("em", seed=1, starts=1, max_iter=3).params
    terms = np.log(params["weight"].to_numpy()) + np.zeros((60, 2))
    for name in "abc":
        eta = params[f"coef_{name}"].to_numpy()[:, 0]
        y = data[name].to_numpy()[:, None]
        terms += np.where(np.isnan(y), 0.0, -np.logaddexp(0.0, np.where(y == 1, -eta, eta)))
    expected = np.logaddexp(*terms.T).sum()
    assert spec.log_likelihood(params) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("lost", [["u"], ["n"], ["share"], ["t", "d"], ["v"], ["v", "w"], ["s"]])
def test_one_new_unit_may_lack_a_response(lost):
    """It is what it would be among units that have it; without any it belongs by the weights."""
    rng, z = np.random.default_rng(12), np.repeat([0, 1], 60)
    data = pd.DataFrame({"u": z + rng.normal(size=120), "n": rng.poisson(2.0 + 3.0 * z)})
    data["share"], data["t"], data["d"] = rng.beta(2, 2 + z), rng.exponential(1.0 + z), 1.0
    data["v"], data["w"] = rng.normal(size=120), rng.normal(size=120)
    data["s"], data["of"] = rng.integers(0, 6, 120), 5
    data = data.astype(float)
    parts = [
        bmx.Regression("u ~ 1"),
        bmx.Regression("truncated(n, lower=0) ~ 1", "poisson"),
        bmx.Regression("share ~ 1", "beta"),
        bmx.Regression("surv(t, d) ~ 1", "weibull"),
        bmx.Regression("mv(v, w) ~ 1", "mvnormal"),
        bmx.Regression("p(s, of) ~ 1", "binomial"),
    ]
    fit = bmx.Mixture(parts, data, k=2, na_action="fiml").fit("em", seed=1, starts=2)
    two = data.iloc[[0, 1]].copy()
    two.loc[two.index[0], lost] = np.nan
    alone, among = fit.membership(two.iloc[[0]]), fit.membership(two).iloc[[0]]
    pd.testing.assert_frame_equal(alone, among, rtol=1e-10)
    two[["u", "n", "share", "t", "d", "v", "w", "s"]] = np.nan
    np.testing.assert_allclose(fit.membership(two), [fit.mixing, fit.mixing], atol=1e-12)


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_units_without_any_response_say_nothing_beside_random_effects(monkeypatch, compiled):
    monkeypatch.setenv("BAYESMIX_COMPILE", compiled)
    rng, of = np.random.default_rng(3), np.repeat(np.arange(300), 3)
    data = pd.DataFrame({"id": of, "t": np.tile([0.0, 1.0, 2.0], 300)})
    data["y"] = 2.0 * (of % 2) + rng.normal(size=300)[of] + rng.normal(size=900)
    lost = data.assign(y=data["y"].where(of >= 100))
    formula, options = "y ~ t + (1 | id)", {"k": 2, "group": "id"}
    some = bmx.Mixture(formula, lost.dropna(), **options).fit("em", seed=1, starts=2)
    spec = bmx.Mixture(formula, lost, na_action="fiml", **options)
    assert spec.log_likelihood(some.params) == pytest.approx(some.loglik, abs=1e-8)
    again = spec.fit("em", init=some.params, max_iter=0)
    assert again.loglik == pytest.approx(some.loglik, abs=1e-8)


@pytest.mark.parametrize("compiled", ["0", "1"])
def test_a_block_of_rows_may_lack_a_response(monkeypatch, compiled):
    monkeypatch.setenv("BAYESMIX_COMPILE", compiled)
    rng, z = np.random.default_rng(1), np.tile([0, 1], 300)
    data = pd.DataFrame({"u": rng.normal(size=600) + 2 * z, "n": rng.poisson(2.0 + 3.0 * z)})
    data["n"] = data["n"].where(data.index >= 200)
    parts = [bmx.Regression("u ~ 1"), bmx.Regression("n ~ 1", "poisson")]
    fits = [
        bmx.Mixture(parts, given, k=2, na_action="fiml").fit("em", seed=1, starts=2)
        for given in (data, bmx.scan(data, rows=200))
    ]
    assert fits[0].loglik == pytest.approx(fits[1].loglik, abs=1e-7)
