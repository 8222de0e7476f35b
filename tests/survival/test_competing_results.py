"""What fits of competing events say, refuse and do again: words, draws, residuals, resamples."""

from __future__ import annotations

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import survival_models as models
from scipy import integrate, stats

import bayesmix as bmx
from bayesmix.comparison import fingerprint
from bayesmix.errors import DataError, FitError, FormulaError, SpecError
from bayesmix.estimation.bootstrap import simulated_rows
from bayesmix.families import family
from bayesmix.formula.times import Times
from bayesmix.results.censoring import censored_again, draw_times, limits, residual
from bayesmix.survival.nonparametric import kaplan_meier

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::bayesmix.{name}")
    for name in ("DegenerateWarning", "ConvergenceWarning", "IdentifiabilityWarning")
]


def mgus2(distribution="weibull", **options):
    data = bmx.load_data("mgus2")
    return bmx.CompetingRisks("surv(years, status) ~ age", data, "event", distribution, **options)


@pytest.fixture(scope="module")
def fit():
    given = {
        "ancillary": {"pcm": {"shape": "~ sex"}},
        "concomitant": "~ age + sex",
    }
    return mgus2({"pcm": "weibull", "death": "gompertz"}, **given).fit(seed=1, starts=1)


@pytest.fixture(scope="module")
def posterior():
    return mgus2().fit("laplace", seed=1, draws=400)


# --- words ---------------------------------------------------------------------------------


def test_words_of_a_model(fit):
    words = repr(fit.spec)
    for line in (
        "Mixture of 2 competing events",
        "family        death: gompertz",
        "ancillary     pcm: shape ~ sex",
        "column event  860 death, 115 pcm, 409 unknown",
        "times         975 exact, 409 right-censored",
    ):
        assert line in words
    assert repr(fit).startswith("Mixture of 2 competing events, fitted by em")
    assert "<td style='text-align:left'>pcm: shape ~ sex</td>" in fit.spec._repr_html_()


def test_words_of_every_kind_of_observation():
    said = {
        "simint_weibull_gamma": (
            "177 exact, 87 right-censored, 103 left-censored, 133 interval-censored",
        ),
        "simpartial_k3_cov": ("disease1or3: disease1 or disease3", "108 partly known"),
        "simtrunc_weibull_gamma": ("387 rows", "weights are given that the entry is reached"),
        "simhosp_schemes": ("surv(t1de, status_de): 133 exact, 207 right-censored, 360 of which",),
        "illdeath_K1": ("Survival regression (one event)", "106 exact, 43 right-censored"),
        "jasa69_unknown_cause": ("29 rejection, 12 other, 28 unknown",),
    }
    for name, sentences in said.items():
        words = " ".join(repr(models.model(name)).split())
        assert [s for s in sentences if s not in words] == [], name


def test_words_of_knots_and_of_latent_classes():
    words = repr(mgus2(bmx.family("spline", df=2)))
    assert "death: spline (knots [" in words
    assert "scale hazard)" in words
    data = bmx.load_data("mgus2")
    words = repr(bmx.Mixture("surv(years, status) ~ age", data, family=["weibull", "cured"], k=2))
    assert re.search(r"family +weibull, cured\n", words)
    assert re.search(r"times +975 exact, 409 right-censored\n", words)


def test_words_of_a_posterior(posterior):
    words = repr(posterior)
    assert words.startswith("Posterior of a mixture of 2 competing events, by laplace")
    assert "labels        the events name the components" in words
    assert "relabelled" not in words
    assert posterior.diagnostics() is not None
    # Nothing to relabel: the draws stay.
    for method in ("stephens", "ecr", "pivot", "ordering"):
        np.testing.assert_array_equal(posterior.relabel(method)._drawn.theta, posterior._drawn.raw)


# --- what names components cannot do -------------------------------------------------------


def test_what_is_refused_says_what_to_do(fit):
    spec = fit.spec
    with pytest.raises(SpecError, match=r"the events are its components.*compare\(\)"):
        bmx.select(spec, [1, 2])
    with pytest.raises(SpecError, match="the events name them"):
        spec.fit(min_weight=0.1)
    with pytest.raises(FitError, match="the events name the components"):
        fit.relabel(order=["pcm", "death"])
    assert fit.relabel(order=["death", "pcm"]).loglik == fit.loglik
    for kind in ("response", "pearson", "deviance"):
        with pytest.raises(FitError, match=r"is a survival time; use one of \('martingale'"):
            fit.residuals(kind)
    with pytest.raises(FitError, match=r"residuals\(kind='schoenfeld'\) is unknown"):
        fit.residuals("schoenfeld")
    with pytest.raises(FitError, match="no time; use one of"):
        bmx.Mixture("age ~ 1", bmx.load_data("mgus2"), k=1).fit(seed=1).residuals("cox-snell")


def test_starts_and_held_parameters(fit):
    spec = fit.spec
    for init in (fit, fit.params, fit.membership(), fit.clusters()):
        assert spec.fit(init=init).loglik == pytest.approx(fit.loglik, rel=1e-8)
    held = spec.fit(seed=1, starts=1, fixed_params={("pcm", "scale[age]"): 0.0})
    assert held.df == fit.df - 1
    assert held.coefficients().loc["age", "pcm"] == 0.0
    assert held.loglik < fit.loglik


def test_memberships_of_new_subjects(fit):
    new = fit.spec.spec.prepared.data.iloc[:6].copy()
    np.testing.assert_allclose(fit.membership(new), fit.membership().iloc[:6], rtol=1e-12)
    new["event"] = np.nan
    new["status"] = 0
    new["years"] = 1e-9  # nothing has happened: the weights themselves
    np.testing.assert_allclose(fit.membership(new), fit.predict(new, "weight"), rtol=1e-6)
    with pytest.raises(DataError, match="has the code 'flu'"):
        fit.membership(new.assign(event="flu"))


# --- comparisons ---------------------------------------------------------------------------


def test_criteria_choose_families(fit, posterior):
    plain = mgus2("exponential")
    both = {"weibull": posterior, "exponential": plain.fit("laplace", seed=1, draws=400)}
    for by in ("loo", "waic"):
        assert next(iter(bmx.compare(both, by=by).table.index)) == "weibull"
    exact = {"weibull": mgus2().fit(seed=1, starts=1), "exponential": plain.fit(seed=1, starts=1)}
    assert next(iter(bmx.compare(exact, by="aic").table.index)) == "weibull"
    loo = posterior.loo()
    assert loo.elpd == pytest.approx(posterior.waic().elpd, abs=0.3)
    # Leaving out costs about a parameter each.
    assert posterior.point().loglik - loo.elpd == pytest.approx(posterior.df, abs=2.5)


def test_fits_to_other_times_or_events_are_refused(fit):
    data = bmx.load_data("mgus2")
    other = {
        "the events that happened": data.assign(event=data["event"].where(data.index > 99)),
        "the values of the response": data.assign(years=data["years"] * 2),
        "the number of rows": data.iloc[:-1],
    }
    for words, changed in other.items():
        spec = bmx.CompetingRisks("surv(years, status) ~ age", changed, "event", "exponential")
        with pytest.raises(SpecError, match=words):
            bmx.compare({"a": fit, "b": spec.fit(seed=1, starts=1)}, by="bic")
    # The same time, but censored.
    one = bmx.Mixture("surv(years, status) ~ 1", data, family="exponential", k=1)
    two = bmx.Mixture(
        "surv(years, status) ~ 1",
        data.assign(status=data["status"].where(data.index > 3, 0)),
        family="exponential",
        k=1,
    )
    assert fingerprint(one.spec) != fingerprint(two.spec)
    # A component more, of an event that no row had, is another model of the same data.
    cured = mgus2({"death": "weibull", "pcm": "weibull", "cured": "cured"})
    assert fingerprint(cured.spec) == fingerprint(fit.spec.spec)


def test_random_effects_are_refused():
    for formula in ("~ age + (1 | sex)", "~ (age | nowhere)"):
        with pytest.raises(FormulaError, match="random effects"):
            bmx.CompetingRisks(
                f"surv(years, status) {formula}", bmx.load_data("mgus2"), "event", "weibull"
            )


# --- draws ---------------------------------------------------------------------------------


def test_simulated_events_and_times(fit):
    data = fit.spec.spec.prepared.data
    drawn = pd.concat([fit.simulate(seed=s) for s in range(4)], keys=range(4))
    assert list(drawn.columns) == ["years", "component"]
    share = (drawn["component"] == "pcm").mean()
    assert share == pytest.approx(fit.mixing["pcm"], abs=4 * np.sqrt(0.1 * 0.9 / len(drawn)))
    # Weibull times of pcm are exponential after its cumulative hazard.
    pcm = drawn[drawn["component"] == "pcm"]
    row = data.loc[pcm.index.get_level_values(1)]
    scale = np.exp(fit.predict(row, "link")["pcm"].to_numpy())
    logs = fit.params["shape"].sel(component="pcm")
    shape = np.exp(
        float(logs.sel(term="Intercept")) + float(logs.sel(term="sex[M]")) * (row["sex"] == "M")
    ).to_numpy()
    assert stats.kstest((pcm["years"] / scale) ** shape, "expon").pvalue > 0.01
    assert list(fit.simulate(1, data.iloc[:3]).columns) == ["years", "component"]


def test_times_drawn_beyond_their_entries():
    rng = np.random.default_rng(1)
    entry = np.full(4000, 3.0)
    weibull = {"scale": np.full(4000, 2.0), "shape": np.full(4000, 1.5)}
    t = draw_times(family("weibull"), weibull, entry, rng)
    assert t.min() > 3.0
    hazard = (t / 2) ** 1.5 - (3 / 2) ** 1.5
    assert stats.kstest(hazard, "expon").pvalue > 0.01
    # A share of exp(rate / shape), given the entry, never has the event.
    gompertz = {"rate": np.full(4000, 0.5), "shape": np.full(4000, -0.5)}
    t = draw_times(family("gompertz"), gompertz, entry, rng)
    left = np.exp(-1.0) / np.exp(-(1 - np.exp(-1.5)))
    assert np.isinf(t).mean() == pytest.approx(left, abs=0.03)
    assert np.isinf(draw_times(family("cured"), {}, entry[:5], rng)).all()


def test_simulated_rows_that_entered_late():
    rng = np.random.default_rng(2)
    n = 6000
    entry = rng.choice([0.0, 2.0], n)
    data = pd.DataFrame({"entry": entry, "time": entry + rng.exponential(1.0, n), "status": 1})
    data["event"] = rng.choice(["a", "b"], n)
    params = {"a": 0.5, "b": 2.0}
    for truncation, share in (
        ("mixture", 0.4 * np.exp(-0.5 * 2) / (0.4 * np.exp(-0.5 * 2) + 0.6 * np.exp(-2 * 2))),
        ("component", 0.4),
    ):
        spec = bmx.CompetingRisks(
            "surv(entry, time, status, kind='counting') ~ 1",
            data,
            "event",
            "exponential",
            truncation=truncation,
        )
        at = spec.fit(seed=1, starts=1, max_iter=1).params
        at["rate"].loc[{"term": "Intercept"}] = np.log(list(params.values()))
        at["weight"][:] = [0.4, 0.6]
        drawn = spec.fit(init=at, max_iter=0).simulate(seed=3)
        late = entry > 0
        assert (drawn["time"] > entry).all()
        is_a = (drawn["component"] == "a").to_numpy()
        assert is_a[~late].mean() == pytest.approx(0.4, abs=0.03), truncation
        assert is_a[late].mean() == pytest.approx(share, abs=0.03), truncation
        after = (drawn["time"] - entry)[is_a & late]
        assert stats.kstest(after, "expon", args=(0, 2.0)).pvalue > 0.01


def test_predictive_draws_of_a_posterior(posterior):
    new = posterior.spec.spec.prepared.data.iloc[:3]
    assert posterior.simulate(50, 1, new).shape == (3, 50)
    tree = posterior.to_datatree(predictive=2)
    assert tree["posterior_predictive"]["years"].shape == (1, 2, 1384)
    observed = tree["observed_data"]
    data = posterior.spec.spec.prepared.data
    np.testing.assert_array_equal(observed["years"], data["years"])
    assert int((tree["constant_data"]["observed_as"] == 1).sum()) == 409
    mean = posterior.predict(new)
    point = posterior.point().predict(new)
    np.testing.assert_allclose(mean[("death", "estimate")], point["death"], rtol=0.05)


def test_infinite_means_have_infinite_limits():
    rng = np.random.default_rng(3)
    time = rng.exponential(1.0, 60)
    data = pd.DataFrame({"time": time, "status": 1})
    spec = bmx.Mixture("surv(time, status) ~ 1", data, family="gompertz", k=1)
    drawn = spec.fit("laplace", seed=1, draws=300)
    shape = drawn.data["posterior"]["shape"].values
    assert 0.05 < (shape < 0).mean() < 0.95
    row = drawn.predict(data.iloc[:1]).iloc[0]
    assert np.isinf(row[(1, "estimate")])
    assert np.isfinite(row[(1, "lower")])
    assert not row.isna().any()


# --- residuals -----------------------------------------------------------------------------


def test_residuals_of_every_kind_of_time():
    inf = np.inf
    times = Times(
        np.array([1.5, 2.0, 0.0, 1.0, 0.0, 2.0]),
        np.array([1.5, inf, 1.0, 2.5, inf, inf]),
        np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
    )
    natural = {"scale": np.full(6, 2.0), "shape": np.full(6, 1.3)}
    found = residual(family("weibull"), times, natural, "martingale")

    def hazard(t):
        return (t / 2.0) ** 1.3

    def expected_hazard(lower, upper):
        """Of a standard exponential variable known within bounds."""
        top, mass = integrate.quad(lambda h: h * np.exp(-h), lower, upper)[0], 0.0
        mass = integrate.quad(lambda h: np.exp(-h), lower, upper)[0]
        return top / mass

    np.testing.assert_allclose(found[0], 1 - hazard(1.5), rtol=1e-12)
    np.testing.assert_allclose(found[1], -hazard(2.0), rtol=1e-12)
    np.testing.assert_allclose(found[2], 1 - expected_hazard(0, hazard(1.0)), rtol=1e-8)
    np.testing.assert_allclose(found[3], 1 - expected_hazard(hazard(1), hazard(2.5)), rtol=1e-8)
    assert np.isnan(found[4])
    np.testing.assert_allclose(found[5], hazard(1.0) - hazard(2.0), rtol=1e-12)
    with pytest.raises(FitError, match="2 times are known within bounds"):
        residual(family("weibull"), times, natural, "cox-snell")
    whole = times.take(np.array([0, 1, 5]))
    part = {name: v[:3] for name, v in natural.items()}
    np.testing.assert_allclose(
        residual(family("weibull"), whole, part, "cox-snell"),
        [hazard(1.5), hazard(2.0), hazard(2.0) - hazard(1.0)],
        rtol=1e-12,
    )


def test_residuals_of_a_fit_add_up_to_zero():
    """The score of an intercept in the log cumulative hazard is their sum."""
    spec = bmx.Mixture(
        "surv(years, status) ~ age", bmx.load_data("mgus2"), family="weibull_ph", k=1
    )
    found = spec.fit(seed=1).residuals("martingale")
    assert abs(found[1].sum()) < 1e-4


def test_residuals_are_missing_where_another_event_came(fit):
    found = fit.residuals("martingale")
    event = fit.spec.spec.prepared.data["event"]
    assert (found["pcm"].isna() == (event == "death")).all()
    assert (found["death"].isna() == (event == "pcm")).all()


# --- the bootstrap -------------------------------------------------------------------------


def test_limits_are_known_or_later():
    rng = np.random.default_rng(4)
    n = 4000
    time, end = rng.exponential(1.0, n), rng.exponential(2.0, n)
    seen = time <= end
    lower = np.minimum(time, end)
    times = Times(lower, np.where(seen, lower, np.inf), np.zeros(n))
    found = limits(times, np.ones(n), rng)
    np.testing.assert_array_equal(found[~seen], end[~seen])
    assert (found[seen] >= time[seen]).all()
    # Together they are distributed as Kaplan and Meier estimate the times of censoring.
    reverse = Times(lower, np.where(seen, np.inf, lower), np.zeros(n))
    at = np.array([0.2, 0.5, 1.0, 2.0, 3.0])
    estimate = kaplan_meier(reverse).at(at)[:, 0]
    np.testing.assert_allclose((found[:, None] > at).mean(0), estimate, atol=0.015)
    np.testing.assert_allclose(estimate, np.exp(-at / 2), atol=0.06)
    # With nobody censored nobody is.
    free = Times(time, time, np.zeros(n))
    assert np.isinf(limits(free, np.ones(n), rng)).all()
    again = censored_again(np.array([1.0, 3.0, np.inf]), np.array([2.0, 2.0, np.inf]), np.zeros(3))
    assert [kind for kind, _ in again.kinds()] == ["exact", "right"]
    np.testing.assert_array_equal(again.lower, [1.0, 2.0, 3.0])


def test_limits_of_late_entries():
    rng = np.random.default_rng(5)
    n = 6000
    entry = rng.choice([0.0, 0.8], n)
    time = entry + rng.exponential(1.0, n)
    end = entry + rng.exponential(2.0, n)  # without memory: the same hazard after an entry
    seen = time <= end
    lower = np.minimum(time, end)
    times = Times(lower, np.where(seen, lower, np.inf), entry)
    found = limits(times, np.ones(n), rng)
    at = np.array([0.3, 0.8, 1.5, 2.0])
    for begin in (0.0, 0.8):
        after = (found - entry)[entry == begin]
        np.testing.assert_allclose((after[:, None] > at).mean(0), np.exp(-at / 2), atol=0.03)


def test_bootstrap_errors_are_those_of_the_information():
    rng = np.random.default_rng(6)
    n = 500
    time, end = rng.weibull(1.5, n), rng.uniform(0.5, 2.0, n)
    which = rng.random(n) < 0.3
    seen = time <= end
    data = pd.DataFrame({"time": np.minimum(time, end), "status": seen.astype(int)})
    data["event"] = pd.Series(np.where(which, "b", "a")).where(seen, None)
    fit = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "weibull").fit(
        seed=1, starts=1
    )
    wald = fit.summary()["se"].to_numpy()
    for kind in ("parametric", "case"):
        boot = fit.bootstrap(100, kind, seed=1, progress=False).summary()
        np.testing.assert_allclose(boot["se"], wald, rtol=0.35, err_msg=kind)
        assert (np.abs(boot["bias"]) < 0.6 * wald).all(), kind


def two_events(n=500):
    """Weibull and exponential times, of 40 and 60 percent of the units."""
    rng = np.random.default_rng(1)
    first = rng.random(n) < 0.4
    return rng, first, np.where(first, rng.weibull(1.5, n) * 2, rng.exponential(3, n))


def own_responses():
    """Each event has its own end of observation."""
    rng, first, time = two_events()
    ends = {"a": rng.uniform(1, 5, 500), "b": rng.uniform(0.5, 8, 500)}
    seen = time <= np.where(first, ends["a"], ends["b"])
    data = pd.DataFrame({"event": pd.Series(np.where(first, "a", "b")).where(seen, None)})
    for name, end in ends.items():
        mine = seen & (data["event"] == name)
        data["t" + name], data["s" + name] = np.where(mine, time, end), mine.astype(int)
    formulas = {name: f"surv(t{name}, s{name}) ~ 1" for name in ends}
    return bmx.CompetingRisks(formulas, data, "event", "weibull")


def watched_and_visited():
    """Of one event the time is known, of the other the visits around it, until a common end."""
    rng, first, time = two_events()
    end, before = rng.uniform(1, 6, 500), 0.5 * np.floor(time / 0.5)
    last = 0.5 * np.floor(end / 0.5)
    seen = time <= np.where(first, last, end)
    data = pd.DataFrame({"time": np.where(seen, time, end), "status": seen.astype(int)})
    data["lower"] = np.where(seen, before, last)
    data["upper"] = np.where(seen, before + 0.5, np.inf)
    data["event"] = pd.Series(np.where(first, "a", "b")).where(seen, None)
    formulas = {"a": "surv(lower, upper, kind='interval') ~ 1", "b": "surv(time, status) ~ 1"}
    return bmx.CompetingRisks(formulas, data, "event", "weibull")


def visits():
    """Everybody is seen at the same times, until some end."""
    rng, first, time = two_events()
    last = 0.75 * rng.integers(3, 8, 500)
    before = 0.75 * np.floor(time / 0.75)
    seen = before < last
    data = pd.DataFrame({"lower": np.minimum(before, last)})
    data["upper"] = np.where(seen, before + 0.75, np.inf)
    data["event"] = pd.Series(np.where(first, "a", "b")).where(seen, None)
    return bmx.CompetingRisks("surv(lower, upper, kind='interval') ~ 1", data, "event", "weibull")


def lost_causes():
    """Three of ten causes are unknown, and one of five censored events known."""
    rng, first, time = two_events()
    end, chance = rng.uniform(1, 6, 500), rng.random(500)
    seen = time <= end
    data = pd.DataFrame({"time": np.minimum(time, end), "status": seen.astype(int)})
    told = np.where(seen, chance > 0.3, chance < 0.2)
    data["event"] = pd.Series(np.where(first, "a", "b")).where(told, None)
    return bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "weibull")


@pytest.mark.parametrize("made", [own_responses, watched_and_visited, visits, lost_causes])
def test_resampled_events_are_observed_as_the_data_were(made):
    """Errors of the bootstrap are those of the information: 80 resamples, 8 percent each."""
    fit = made().fit(seed=1, starts=1)
    summary, resampled = fit.summary(), fit.bootstrap(80, seed=1, progress=False).summary()
    np.testing.assert_allclose(resampled["se"], summary["se"], rtol=0.3)
    assert (np.abs(resampled["bias"]) < 0.5 * summary["se"]).all()
    # As much is known in a resample as in the data.
    spec, rng = fit.spec.spec, np.random.default_rng(2)
    again = [simulated_rows(fit._fitted, rng, (spec,))[0] for _ in range(20)]
    for key, obs in spec.rows.blocks[0].observed.items():
        for code in range(5):
            want = (obs.times.code == code).sum()
            found = [(rows.blocks[0].observed[key].times.code == code).sum() for rows in again]
            assert np.mean(found) == pytest.approx(want, abs=5 + 0.12 * want), (key, code)
    want = (spec.rows.allowed.sum(1) == 1).sum()
    assert np.mean([(r.allowed.sum(1) == 1).sum() for r in again]) == pytest.approx(want, rel=0.08)


def test_bootstrap_that_needs_cases():
    partial = models.model("simpartial_k3")
    data = own_responses().spec.prepared.data.copy()
    data.loc[data["event"] == "a", "event"] = None
    data["event"] = data["event"].astype(pd.CategoricalDtype(["a", "b"]))
    formulas = {name: f"surv(t{name}, s{name}) ~ 1" for name in "ab"}
    unnamed = bmx.CompetingRisks(formulas, data, "event", "exponential")
    refused = {"one of several events": partial, "a time that ended without": unnamed}
    for words, spec in refused.items():
        found = spec.fit(seed=1, starts=1)
        with pytest.raises(FitError, match=rf"{words}.*kind='case'"):
            found.bootstrap(2, progress=False)


def test_offsets_of_events():
    """Each event has its own, in priors and draws too."""
    data = bmx.load_data("mgus2").iloc[:300].assign(shift=0.7, copies=2.0)
    formula = {
        "death": "surv(years, status) ~ 1 + offset(shift)",
        "pcm": "surv(years, status) ~ 1",
    }
    for weights in (None, "copies"):
        plain, moved = (
            bmx.CompetingRisks(f, data, "event", "exponential", weights=weights)
            for f in ("surv(years, status) ~ 1", formula)
        )
        one, two = plain.fit(seed=1, starts=1), moved.fit(seed=1, starts=1)
        assert two.loglik == pytest.approx(one.loglik, rel=1e-10)
        np.testing.assert_allclose(
            one.coefficients().loc["Intercept"] - two.coefficients().loc["Intercept"],
            [0.7, 0.0],
            atol=1e-5,
        )
        # The prior moves along: the same posterior mode.
        assert moved.fit("map", seed=1, starts=1).loglik == pytest.approx(
            plain.fit("map", seed=1, starts=1).loglik, rel=1e-8
        )
    drawn = moved.fit("laplace", seed=1, draws=20)
    assert drawn.data["constant_data"]["offset"].shape == (300, 2)


# --- pictures and PyMC ---------------------------------------------------------------------


def test_pictures(fit, posterior):
    ax = bmx.plot.fitted(fit)
    assert ax.get_ylabel() == "years (tick: censored)"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0].startswith("event death, weight 0.8")
    for draw in (bmx.plot.rootogram, bmx.plot.coefficients, bmx.plot.membership, bmx.plot.mixing):
        draw(fit)
    bmx.plot.coefficients({"a": posterior, "b": posterior.point()})
    bmx.plot.estimates({"a": posterior, "b": posterior.point()})
    spec = models.model("simhosp_schemes_cov")
    with pytest.raises(FitError, match="the events have their own"):
        bmx.plot.fitted(spec.fit(seed=1, starts=1))
    # Who never has the event has no mean to draw.
    data = bmx.load_data("mgus2")
    cured = bmx.Mixture("surv(years, status) ~ age", data, family=["weibull", "cured"], k=2)
    assert len(bmx.plot.fitted(cured.fit(seed=1, starts=1)).lines) == 1
    plt.close("all")


def test_predictive_draws_of_the_pymc_model():
    import pymc as pm

    model = mgus2("exponential").to_pymc()
    (observed,) = model.observed_RVs
    data = bmx.load_data("mgus2")
    np.testing.assert_array_equal(model["years_data"].get_value(), data["years"])
    drawn = pm.draw(observed, draws=2, random_seed=1)
    assert drawn.shape == (2, 1384)
    assert (drawn > 0).all()
