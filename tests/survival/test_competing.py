"""CompetingRisks: what is refused, and what fits say of times, against outside truths."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import survival_models as reference
from scipy import optimize, special, stats

import bayesmix as bmx
from bayesmix.errors import DataError, FitError, FormulaError, SpecError
from bayesmix.model.params import dispersions

HERE = Path(__file__).parents[1]
DATA = pd.DataFrame(
    {
        "t": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "s": [1, 1, 0, 1, 1, 0, 1, 1],
        "e": ["a", "b", None, "a", "b", None, "b", "a"],
        "x": [0.1, -0.3, 0.7, 0.2, -1.0, 0.4, 0.3, -0.2],
        "l": [0.5, 1.0, np.nan, 3.0, 0.0, 2.0, 6.0, 7.0],
        "u": [1.5, 2.5, 2.0, np.inf, 4.0, np.nan, 6.0, 9.0],
    }
)
TIMES = "surv(t, s) ~ 1"


def competing(formula=TIMES, data=DATA, event="e", family="exponential", **options):
    return bmx.CompetingRisks(formula, data, event, family, **options)


def column(name, values):
    return DATA.assign(**{name: values})


WRONG = {
    "no such event column": (lambda: competing(event="q"), DataError, "'q' is not in the data"),
    "event values": (lambda: competing(event=DATA.e), SpecError, "takes the name of a column"),
    "event by numbers": (lambda: competing(event="s"), DataError, "names the events, as strings"),
    "no known event": (lambda: competing(data=column("e", None)), DataError, "names no event"),
    "no time": (lambda: competing("t ~ 1"), FormulaError, "no survival time on its left"),
    "no response": (lambda: competing("~ x"), FormulaError, "no survival time"),
    "group": (lambda: competing("surv(t, s) ~ 1 | x"), FormulaError, "one row for each subject"),
    "formula of one event": (lambda: competing({"a": TIMES}), SpecError, "give each one"),
    "formula of an unknown event": (
        lambda: competing({"a": TIMES, "b": TIMES, "c": TIMES}),
        SpecError,
        "the events are \\['a', 'b'\\]",
    ),
    "family of one event": (
        lambda: competing(family={"a": "weibull"}),
        SpecError,
        "the column 'e' also has \\['b'\\]",
    ),
    "regression family": (lambda: competing(family="poisson"), SpecError, "not a distribution of"),
    "unknown family": (lambda: competing(family="weibul"), SpecError, "did you mean 'weibull'"),
    "ancillary event": (lambda: competing(ancillary={"c": {}}), SpecError, "names \\['c'\\]"),
    "ancillary form": (
        lambda: competing(ancillary={"a": "~ x"}),
        SpecError,
        "a dict of events to formulas of their parameters",
    ),
    "ancillary parameter": (
        lambda: competing(ancillary={"a": {"shape": "~ x"}}),
        SpecError,
        "has the parameters \\['rate'\\]",
    ),
    "location twice": (
        lambda: competing("surv(t, s) ~ x", ancillary={"a": {"rate": "~ x"}}),
        SpecError,
        "give them once",
    ),
    "ancillary offset": (
        lambda: competing(ancillary={"a": {"rate": "~ offset(x)"}}),
        FormulaError,
        "offset",
    ),
    "covariates of the cured": (
        lambda: competing(
            {"a": TIMES, "b": "surv(t, s) ~ x"}, family={"a": "weibull", "b": "cured"}
        ),
        SpecError,
        "no location",
    ),
    "partial form": (
        lambda: competing(partial_events={"c": "a"}),
        SpecError,
        "the events that each may be",
    ),
    "partial of nothing": (
        lambda: competing(partial_events={"c": ["a", "q"]}),
        SpecError,
        "uses \\['q'\\]",
    ),
    "truncation": (lambda: competing(truncation="none"), SpecError, "'mixture', 'component'"),
    "negative time": (
        lambda: competing(data=column("t", -DATA.t)),
        DataError,
        "negative",
    ),
    "event at zero": (
        lambda: competing(data=column("t", DATA.t - 1)),
        DataError,
        "time of an event is zero in",
    ),
    "status codes": (
        lambda: competing(data=column("s", DATA.s + 1)),
        DataError,
        "has the values 1, 2",
    ),
    "missing time": (
        lambda: competing(data=column("t", DATA.t.where(DATA.t != 3))),
        DataError,
        r"the time is missing in 1 row \(2\)",
    ),
    "missing covariate": (
        lambda: competing("surv(t, s) ~ l"),
        DataError,
        "Missing values in columns in use: 'l'",
    ),
    "explains itself": (lambda: competing("surv(t, s) ~ t"), FormulaError, "explain itself"),
    "weights explain themselves": (
        lambda: competing(concomitant="~ t"),
        FormulaError,
        "explain itself",
    ),
    "dependent columns": (
        lambda: competing("surv(t, s) ~ x + I(2 * x)"),
        SpecError,
        "linearly dependent",
    ),
    "dependent concomitants": (
        lambda: competing(concomitant="~ x + I(2 * x)"),
        SpecError,
        "linearly dependent",
    ),
    "unknown kind": (
        lambda: competing("surv(l, u, kind='between') ~ 1"),
        FormulaError,
        "kind='between' is unknown",
    ),
    "arguments": (lambda: competing("surv(t, s, x) ~ 1"), FormulaError, "3 arguments"),
    "bounds": (
        lambda: competing("surv(t, x, kind='interval') ~ 1", column("x", 0.5)),
        DataError,
        "upper bound is below",
    ),
    "entry": (
        lambda: competing("surv(t, t, s, kind='counting') ~ 1"),
        DataError,
        "entry is not before the time",
    ),
    "weights": (lambda: competing(weights="l"), DataError, "'l'"),
    "other k": (lambda: bmx.select(competing(), k=[1, 2]), SpecError, "events"),
    "held event": (
        lambda: competing().fit(fixed_params={("c", "rate"): 1.0}),
        SpecError,
        "component of \\['a', 'b'\\]",
    ),
    "held parameter": (
        lambda: competing().fit(fixed_params={("a", "shape"): 1.0}),
        SpecError,
        "parameters are",
    ),
    "held below zero": (
        lambda: competing().fit(fixed_params={("a", "rate"): -1.0}),
        SpecError,
        "between 0 and inf",
    ),
    "a prior of nothing": (
        lambda: competing(priors={"scale": bmx.Prior("normal", mu=0, sigma=1)}),
        SpecError,
        "'scale'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    call, error, words = WRONG[case]
    with pytest.raises(error, match=words):
        call()


@pytest.fixture(scope="module")
def exponential():
    return competing().fit("em", seed=1)


QUANTITIES = {
    "level": (lambda f: f.mean_time(ci=95), "ci=95"),
    "interval": (lambda f: f.mean_time(interval="exact"), "'delta', 'simulation'"),
    "draws of nothing": (lambda f: f.mean_time(draws=500), "belong to interval='simulation'"),
    "seed of nothing": (lambda f: f.mean_time(seed=1), "belong to interval='simulation'"),
    "unknown option": (lambda f: f.mean_time(level=0.9), "no option level=; here it is ci="),
    "share": (lambda f: f.quantile_time(1.5), "q=1.5 must be"),
    "limit": (lambda f: f.restricted_mean_time(0), "tau=0 must be"),
    "times": (lambda f: f.state_probabilities([1, -1]), "of at least 0"),
    "density at zero": (lambda f: f.density(0.0), "above 0"),
    "spent column": (lambda f: f.mean_time(spent="age"), "not a column of newdata"),
    "groups": (lambda f: f.aalen_johansen(by="q"), "not among the columns that"),
}


@pytest.mark.parametrize("case", QUANTITIES)
def test_refused_quantities(exponential, case):
    call, words = QUANTITIES[case]
    with pytest.raises(FitError, match=words):
        call(exponential)


# --- against closed forms and flexsurv -----------------------------------------------------


def test_uncensored_exponentials_by_hand():
    """All events known: rates are events over total time, shares are the events' shares."""
    data = DATA.dropna(subset=["e"])
    fit = competing(data=data).fit("em", seed=1)
    own = {e: data.t[data.e == e].to_numpy() for e in "ab"}
    table = fit.mean_time().set_index("event")
    reach = special.ndtri(0.975)
    for e, t in own.items():
        assert table.loc[e, "estimate"] == pytest.approx(t.mean())
        # The log of the mean has the standard error 1 / sqrt(events).
        width = np.exp(reach / np.sqrt(len(t)))
        assert table.loc[e, "upper"] == pytest.approx(t.mean() * width, rel=1e-6)
    shares = fit.event_probabilities().set_index("event")
    p = len(own["a"]) / len(data)
    assert shares.loc["a", "estimate"] == pytest.approx(p)
    se = 1 / np.sqrt(len(data) * p * (1 - p))
    limit = special.expit(special.logit(p) - reach * se)
    assert shares.loc["a", "lower"] == pytest.approx(limit, rel=1e-3)


def test_an_exponential_time_forgets_what_was_spent(exponential):
    plain, later = exponential.mean_time(), exponential.mean_time(spent=2.0)
    np.testing.assert_allclose(later["estimate"], plain["estimate"] + 2.0, rtol=1e-8)
    shares = exponential.event_probabilities(spent=2.0).set_index("event")["estimate"]
    now = exponential.event_probabilities().set_index("event")["estimate"]
    reached = now * np.exp(-2.0 / plain.set_index("event")["estimate"])
    np.testing.assert_allclose(shares, reached / reached.sum(), rtol=1e-10)


def test_intervals_by_two_ways_agree():
    name = "mgus2_weibull_gamma_sex_page"
    fit = reference.model(name).fit("em", seed=1)
    newdata = pd.DataFrame({"sex": ["F", "M"], "age10": [0.0, 1.0]})
    for table in ("event_probabilities", "mean_time"):
        one = getattr(fit, table)(newdata)
        other = getattr(fit, table)(newdata, interval="simulation", draws=4000, seed=1)
        np.testing.assert_allclose(one["estimate"], other["estimate"])
        np.testing.assert_allclose(one["lower"], other["lower"], rtol=0.06)
        np.testing.assert_allclose(one["upper"], other["upper"], rtol=0.06)
    assert list(one.columns) == ["row", "sex", "age10", "event", "estimate", "lower", "upper"]


@pytest.fixture(scope="module")
def quantities():
    file = HERE / "reference" / "flexsurvmix_quantities.json"
    return {m["id"]: m for m in json.loads(file.read_text())["models"]}


def test_quantities_against_flexsurv(quantities):
    name = "mgus2_weibull_gamma_sex_page"
    known = quantities[name]
    spec = reference.model(name)
    params = reference.params(spec, name, reference.REFERENCE[name]["par_t"])
    fit = spec.fit("em", init=params, max_iter=0)
    rows = pd.DataFrame({"sex": list("FMFM"), "age10": [-1.0, 0.0, 1.0, 2.0]})
    tables = {
        "probabilities": fit.event_probabilities(rows),
        "mean": fit.mean_time(rows),
        "quantile": fit.quantile_time(known["q"], rows),
        "restricted_mean": fit.restricted_mean_time(known["tau"], rows),
        "density": fit.density(known["t_density"], rows),
        "state": fit.state_probabilities(known["t"], rows),
    }
    for what, table in tables.items():
        np.testing.assert_allclose(
            table["estimate"], np.ravel(known[what]), rtol=1e-6, atol=1e-12, err_msg=what
        )


def test_beside_aalen_johansen():
    fit = reference.model("mgus2_exp_exp").fit("em", seed=1)
    table = fit.aalen_johansen(times=[0.0, 5.0, 10.0])
    assert list(table.columns) == ["time", "state", "estimate", "lower", "upper", "source"]
    model = table[table["source"] == "model"].pivot(
        index="time", columns="state", values="estimate"
    )
    states = fit.state_probabilities([0.0, 5.0, 10.0]).pivot(
        index="time", columns="state", values="estimate"
    )
    pd.testing.assert_frame_equal(model, states)
    steps = table[(table["source"] == "nonparametric") & (table["state"] == "start")]
    # flexsurv: at the first month 0.969653179190751 are without an event.
    at = steps.loc[np.isclose(steps["time"], 1 / 12), "estimate"]
    assert at.item() == pytest.approx(0.969653179190751, rel=1e-10)


def test_groups_beside_aalen_johansen():
    fit = reference.model("mgus2_weibull_gamma_sex_page").fit("em", seed=1)
    table = fit.aalen_johansen(by="sex", times=[4.0])
    pd.testing.assert_frame_equal(fit.aalen_johansen(by=np.array(["sex"]), times=[4.0]), table)
    with pytest.raises(FitError, match="not among the columns"):
        fit.aalen_johansen(by=np.array(["sex", "q"]))
    data = fit.spec.spec.prepared.data
    for sex, rows in data.groupby("sex", observed=True):
        own = table[(table["sex"] == sex) & (table["source"] == "model")]
        each = fit.state_probabilities([4.0], rows)
        mean = each.groupby("state", sort=False)["estimate"].mean()
        np.testing.assert_allclose(own["estimate"], mean, rtol=1e-10)


def test_a_posterior_gives_credible_limits():
    data = reference.data_of("jasa_exp")
    spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", family="exponential")
    draws = spec.fit("laplace", seed=1, draws=2000)
    table = draws.mean_time()
    rates = np.exp(draws.data.posterior["rate"].values.reshape(-1, 2))
    means = 1 / rates[:: max(1, -(-len(rates) // 1000))]
    np.testing.assert_allclose(table["estimate"], means.mean(0))
    np.testing.assert_allclose(table["lower"], np.quantile(means, 0.025, axis=0))
    with pytest.raises(FitError, match="belongs to point fits"):
        draws.mean_time(interval="delta")


def test_no_covariance_no_limits():
    spec = competing()
    params = spec.fit("em", seed=1).params
    params["rate"] = params["rate"] + 3.0
    fit = spec.fit("em", init=params, max_iter=0)
    with pytest.warns(bmx.IdentifiabilityWarning, match="no intervals"):
        table = fit.mean_time()
    assert np.isfinite(table["estimate"]).all()
    assert table["lower"].isna().all()


# --- several fits --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def states():
    fits = {s: reference.model(f"illdeath_{s}").fit("em", seed=1) for s in ("healthy", "ill")}
    return bmx.MultiState(fits)


def test_ways_through_states_against_flexsurv(states):
    known = json.loads((HERE / "reference" / "flexsurvmix_multistate.json").read_text())
    newdata = pd.DataFrame({"sex": ["f", "m"]})
    close = {"rtol": 1e-6}
    table = states.path_probabilities(newdata)
    np.testing.assert_allclose(table["estimate"], np.ravel(known["path_probability"]), **close)
    assert ((table["lower"] < table["estimate"]) & (table["estimate"] < table["upper"])).all()
    table = states.final_probabilities(newdata)
    np.testing.assert_allclose(table["estimate"], np.ravel(known["final_probability"]), **close)
    table = states.mean_time_to_final(newdata)
    np.testing.assert_allclose(table["estimate"], np.ravel(known["mean_by_final"]), **close)
    table = states.mean_time_to_final(newdata, by="path")
    np.testing.assert_allclose(table["estimate"], np.ravel(known["mean_by_path"]), **close)
    # By quadrature in R: half of the women who get a transplant have it by 4.46405922587193.
    table = states.quantile_time_to_final(0.5, newdata.iloc[:1], by="path")
    for q in ([0.0, 0.5], [1.0], 1.5):
        with pytest.raises(bmx.FitError, match="must be finite numbers above 0 and below 1"):
            states.quantile_time_to_final(q, newdata)
    one = table.loc[table["path"] == "healthy-ill-transplant", "estimate"]
    assert one.item() == pytest.approx(4.46405922587193, rel=1e-6)


def test_the_error_of_a_path_is_that_of_its_steps(states):
    """Independent fits: the variance of log(p q) is the sum of the variances."""
    healthy, ill = (states._fits[s] for s in ("healthy", "ill"))
    newdata = pd.DataFrame({"sex": ["f"]})
    table = states.path_probabilities(newdata).set_index("path")

    def draws(fit, event):
        at = fit.event_probabilities(newdata, ci=0.6827).set_index("event").loc[event]
        logit_se = special.logit(at["upper"]) - special.logit(at["estimate"])
        return at["estimate"], logit_se * (1 - at["estimate"])  # of log p

    p, se_p = draws(healthy, "ill")
    q, se_q = draws(ill, "dead")
    row = table.loc["healthy-ill-dead"]
    se = (special.logit(row["upper"]) - special.logit(row["estimate"])) / special.ndtri(0.975)
    assert se * (1 - p * q) == pytest.approx(np.hypot(se_p, se_q), rel=1e-2)


def test_simulated_histories(states):
    newdata = pd.DataFrame({"sex": ["f"]}, index=["w"])
    found = states.simulate(4000, newdata, seed=1)
    assert set(found["row"]) == {"w"}
    first = found[found["step"] == 1]
    p = states._fits["healthy"].event_probabilities(newdata).set_index("event")["estimate"]["ill"]
    seen = int((first["state"] == "ill").sum())
    assert stats.binomtest(seen, 4000, p).pvalue > 1e-4
    last = found.groupby("subject").tail(1)
    assert set(last["state"]) == {"dead", "transplant"}
    pd.testing.assert_frame_equal(found, states.simulate(4000, newdata, seed=1))


def test_states_that_cannot_be(states):
    fits = dict(states._fits)
    with pytest.raises(FitError, match="the fits have covariates"):
        states.path_probabilities()
    with pytest.raises(FitError, match=r"by='end'"):
        states.mean_time_to_final(pd.DataFrame({"sex": ["f"]}), by="end")
    with pytest.raises(SpecError, match=r"no fits of bmx\.CompetingRisks"):
        bmx.MultiState({"healthy": 1})
    with pytest.raises(SpecError, match="return to a state"):
        bmx.MultiState(
            {"ill": fits["healthy"], "dead": fits["ill"]} | {"transplant": fits["healthy"]}
        )


# --- event columns as they come ------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["string", "string[python]", "category", object])
def test_events_of_any_string_type_are_read_alike(dtype):
    wanted = competing().fit(seed=1)
    found = competing(data=DATA.astype({"e": dtype})).fit(seed=1)
    assert found.components == ("a", "b")
    assert found.loglik == wanted.loglik


def test_events_in_pyarrow_strings_are_read_alike():
    pytest.importorskip("pyarrow")
    data = DATA.convert_dtypes(dtype_backend="pyarrow")
    assert competing(data=data).fit(seed=1).loglik == competing().fit(seed=1).loglik


def test_categories_that_no_row_has_need_no_family():
    levels = pd.Categorical(DATA.e, categories=["b", "never seen", "a"])
    families = {"a": "exponential", "b": "exponential"}
    assert competing(data=DATA.assign(e=levels), family=families).components == ("b", "a")


def test_memberships_of_new_rows_need_the_event_column():
    fit = competing().fit(seed=1)
    with pytest.raises(DataError, match="Column 'e' is not in the data"):
        fit.membership(DATA.drop(columns="e"))


def test_a_restricted_mean_has_one_limit():
    with pytest.raises(FitError, match="takes a number"):
        competing().fit(seed=1).restricted_mean_time([1.0, 2.0])


@pytest.mark.parametrize("scale", ["hazard", "odds", "normal"])
def test_splines_fit_better_with_more_knots_among_theirs(scale):
    """The quantile knots of df = 2 are among those of df = 4, and the outer ones of df = 1 too.

    Without inner knots they are the Weibull, loglogistic and lognormal distribution.
    """
    data = bmx.load_data("pbc").assign(event="end")
    logliks = []
    for df in (1, 2, 4):
        family = bmx.family("spline", df=df, scale=scale)
        fit = competing("surv(years, status) ~ log_bili", data, "event", family).fit(seed=1)
        assert fit.status == "converged"
        logliks.append(fit.loglik)
    assert logliks[0] < logliks[1] < logliks[2]
    known = {"hazard": "weibull", "odds": "loglogistic", "normal": "lognormal"}[scale]
    same = competing("surv(years, status) ~ log_bili", data, "event", known).fit(seed=1)
    assert logliks[0] == pytest.approx(same.loglik, abs=1e-6)


def test_groups_by_a_column_that_no_formula_uses():
    """The Aalen-Johansen estimate of each group is that of its own rows alone."""
    fit = reference.model("mgus2_exp_exp").fit("em", seed=1)
    table = fit.aalen_johansen(by="sex", times=[5.0])
    data = reference.data_of("mgus2_exp_exp")
    alone = bmx.CompetingRisks(
        "surv(years, status) ~ 1", data[data["sex"] == "F"], "event", "exponential"
    )
    own = alone.fit("em", seed=1).aalen_johansen(times=[5.0])
    both = [t[t["source"] == "nonparametric"] for t in (table[table["sex"] == "F"], own)]
    np.testing.assert_allclose(both[0]["estimate"], both[1]["estimate"])


def test_a_term_alone_is_held_in_the_location():
    spec = competing("surv(t, s) ~ x", family="weibull")
    one = spec.fit(seed=1, fixed_params={("a", "x"): 0.1})
    other = spec.fit(seed=1, fixed_params={("a", "scale[x]"): 0.1})
    assert one.loglik == other.loglik
    assert one.params["scale"].sel(component="a", term="x") == 0.1


def test_states_of_posteriors():
    fits = {s: reference.model(f"illdeath_{s}") for s in ("healthy", "ill")}
    drawn = {s: m.fit("laplace", seed=1, draws=1000) for s, m in fits.items()}
    states = bmx.MultiState(drawn)
    women = pd.DataFrame({"sex": ["f"]})
    parts = [drawn[s].event_probabilities(women).set_index("event")["estimate"] for s in drawn]
    table = states.path_probabilities(women).set_index("path")["estimate"]
    # Draws of the two are independent: the mean of the product is nearly that of the means.
    assert table["healthy-ill-dead"] == pytest.approx(parts[0]["ill"] * parts[1]["dead"], rel=0.01)
    found = states.simulate(50, women, seed=1)
    assert sorted(found["subject"].unique()) == list(range(50))
    with pytest.raises(SpecError, match="have posteriors and the others point fits"):
        bmx.MultiState(drawn | {"ill": fits["ill"].fit(seed=1)})


def test_a_parameter_at_infinity_is_read_as_that():
    spec = competing("surv(t, s) ~ 1", family="weibull", ancillary={"a": {"shape": "~ x"}}).spec
    with np.errstate(all="raise"):
        found = dispersions(spec.layout, np.full(spec.layout.size, 800.0))
    assert np.isinf(found["shape"]).all()


def test_late_entries_at_the_limit_of_a_pareto_distribution():
    """There log S at a time and at its entry are infinite, and their difference is finite."""
    rng, n = np.random.default_rng(1002), 60
    entry = rng.uniform(1, 3, n)
    reach = rng.exponential(np.where(rng.random(n) < 0.5, 0.05, 1.0))
    seen, is_a = rng.random(n) < 0.9, rng.random(n) < 0.5
    data = pd.DataFrame({"entry": entry, "t": entry * np.exp(reach), "s": seen.astype(int)})
    data["event"] = np.where(seen, np.where(is_a, "a", "b"), None)

    def lost(theta):
        """Minus the log-likelihood of two Pareto distributions, S = (entry / t)^a."""
        logit, rates = theta[0], theta[1:, None]
        log_weight = -np.logaddexp(0, np.array([[-logit], [logit]]))
        alive = log_weight - np.exp(rates) * reach
        happened = (alive + rates - np.log(data.t.to_numpy()))[np.where(is_a, 0, 1), np.arange(n)]
        return -np.where(seen, happened, np.logaddexp(*alive)).sum()

    best = -optimize.minimize(lost, np.zeros(3), method="BFGS", options={"gtol": 1e-6}).fun
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bmx.CompetingRisks(
            "surv(entry, t, s, kind='counting') ~ 1",
            data,
            event="event",
            family="weibull_ph",
            truncation="component",
        ).fit("em", starts=2, seed=1)
    assert fit.status == "boundary"
    assert fit.loglik == pytest.approx(best, abs=1e-4)
