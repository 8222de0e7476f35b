"""Who never has the event, by every quantity, against simulation and against each other."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import bayesmix as bmx
from bayesmix.results.event_times import (
    Component,
    EventTimes,
    event_probabilities,
    mean_time,
    quantile_time,
    restricted_mean_time,
    state_probabilities,
)

RATE, SHAPE = 0.4, -0.3
SHARE = np.exp(RATE / SHAPE)  # who never has the event


def times_of(*families):
    """Two draws of one row; natural parameters by family."""
    components = tuple(
        Component(bmx.family(name), {k: np.full((2, 1), v) for k, v in natural.items()})
        for name, natural in families
    )
    weights = np.broadcast_to(np.array([0.7, 0.3]), (2, 1, 2))
    return EventTimes(("a", "b"), weights, components)


BOTH = times_of(
    ("gompertz", {"rate": RATE, "shape": SHAPE}), ("weibull", {"shape": 1.5, "scale": 4.0})
)


def drawn(n=400_000):
    rng = np.random.default_rng(1)
    x = 1 + SHAPE / RATE * rng.standard_exponential(n)
    return np.where(x > 0, np.log(np.maximum(x, 1e-300)) / SHAPE, np.inf)


def test_quantities_agree_with_draws():
    t = drawn()
    ever = t[np.isfinite(t)]
    first = (0, 0, 0)
    assert event_probabilities(BOTH)[first] == pytest.approx(0.7 * np.isfinite(t).mean(), abs=3e-3)
    assert mean_time(BOTH)[first] == np.inf
    assert mean_time(BOTH, "events")[first] == pytest.approx(ever.mean(), abs=0.02)
    for q in (0.2, 0.5):
        ours = quantile_time(BOTH, [q])[0, 0, 0, 0]
        assert (t <= ours).mean() == pytest.approx(q, abs=3e-3)
        ours = quantile_time(BOTH, [q], "events")[0, 0, 0, 0]
        assert (ever <= ours).mean() == pytest.approx(q, abs=3e-3)
    assert quantile_time(BOTH, [0.9])[0, 0, 0, 0] == np.inf
    for tau in (1.0, 6.0):
        ours = restricted_mean_time(BOTH, tau)[first]
        assert ours == pytest.approx(np.minimum(t, tau).mean(), abs=0.01)
        ours = restricted_mean_time(BOTH, tau, "events")[first]
        assert ours == pytest.approx(np.minimum(ever, tau).mean(), abs=0.01)


def test_events_that_all_have_are_the_same_among_both():
    for quantity in (mean_time, lambda t, a: restricted_mean_time(t, 3.0, a)):
        np.testing.assert_allclose(quantity(BOTH, "all")[..., 1], quantity(BOTH, "events")[..., 1])


def test_probabilities_are_the_limit_of_those_over_time():
    late = state_probabilities(BOTH, np.array([1e9]))[:, :, 0]
    np.testing.assert_allclose(late[..., 1:], event_probabilities(BOTH), rtol=1e-9)
    np.testing.assert_allclose(late[..., 0], 0.7 * SHARE, rtol=1e-9)


def test_given_a_time_already_spent():
    t = drawn()
    rest = t[t > 2.0]
    after = BOTH.after(2.0)
    ever = rest[np.isfinite(rest)]
    assert mean_time(after, "events")[0, 0, 0] == pytest.approx(ever.mean(), abs=0.03)
    ours = restricted_mean_time(after, 5.0, "events")[0, 0, 0]
    assert ours == pytest.approx(np.minimum(ever, 5.0).mean(), abs=0.02)


def test_cured_is_its_own_share_and_has_no_time():
    cure = times_of(("cured", {}), ("exponential", {"rate": 0.5}))
    np.testing.assert_allclose(event_probabilities(cure)[0, 0], [0.7, 0.3])
    for among in ("all", "events"):
        assert mean_time(cure, among)[0, 0, 0] == np.inf
        assert quantile_time(cure, [0.1], among)[0, 0, 0, 0] == np.inf
        assert restricted_mean_time(cure, 3.0, among)[0, 0, 0] == pytest.approx(3.0)


# --- multi-state models --------------------------------------------------------------------


def competing(name, frame, family):
    return bmx.CompetingRisks("surv(t, s) ~ 1", frame, event="e", family=family).fit("em", seed=1)


@pytest.fixture(scope="module")
def states():
    rng = np.random.default_rng(5)
    n = 500
    ill = rng.random(n) < 0.6
    t = np.where(ill, np.random.default_rng(6).permutation(drawn(n)), 3 * rng.weibull(1.4, n))
    ends = rng.uniform(3, 20, n)
    first = pd.DataFrame({"t": np.minimum(t, ends), "s": (t <= ends) * 1})
    first["e"] = np.where(first.s == 1, np.where(ill, "ill", "dead"), None)
    then = pd.DataFrame({"t": rng.weibull(1.2, 200), "s": 1})
    then["e"] = np.where(rng.random(200) < 0.3, "well", "dead")
    return bmx.MultiState(
        {
            "healthy": competing("first", first, {"dead": "weibull", "ill": "gompertz"}),
            "ill": competing("then", then, "weibull"),
        }
    )


def test_final_states_against_simulated_histories(states):
    table = states.final_probabilities().set_index("final")
    assert table.estimate.sum() == pytest.approx(1.0)
    histories = states.simulate(n=60_000, seed=2)
    last = histories.groupby("subject").tail(1)
    shares = last.state.value_counts(normalize=True)
    for final, estimate in table.estimate.items():
        assert shares[final] == pytest.approx(estimate, abs=0.006)
    stayed = last[last.state == "healthy"]
    assert (stayed.origin == "healthy").all()
    assert np.isinf(stayed.time).all()
    assert histories.groupby("subject").time.apply(lambda v: v.is_monotonic_increasing).all()


def test_paths_end_in_the_state_that_is_kept(states):
    table = states.path_probabilities().set_index("path").estimate
    assert set(table.index) >= {"healthy", "healthy-dead", "healthy-ill-well"}
    assert table.sum() == pytest.approx(1.0)


def test_times_to_a_final_state_against_simulated_histories(states):
    histories = states.simulate(n=60_000, seed=3)
    last = histories.groupby("subject").tail(1)
    events = states.mean_time_to_final(among="events").set_index("final").estimate
    halves = states.quantile_time_to_final(0.5, among="events").set_index("final").estimate
    for final in ("dead", "well"):
        t = last.time[last.state == final]
        assert events[final] == pytest.approx(t.mean(), rel=0.03)
        assert halves[final] == pytest.approx(t.median(), rel=0.03)
    everyone = states.mean_time_to_final().set_index("final").estimate
    assert np.isinf(everyone[["dead", "well"]]).all()
    # Half of all on a way to "well" arrive later, or not at all.
    later = states.quantile_time_to_final(0.5).set_index("final").estimate
    assert later["well"] > halves["well"]


# --- families of the user's ----------------------------------------------------------------


def defective(**more):
    return bmx.Family("mine", params={"rate": "log", "fall": "log"}, location="rate", **more)


CUMULATIVE = defective(logsf=lambda t, rate, fall: -rate / fall * -np.expm1(-fall * t))
HAZARD = defective(hazard=lambda t, rate, fall: rate * np.exp(-fall * t))


@pytest.fixture(scope="module")
def some():
    t = drawn(300)
    ends = np.random.default_rng(9).uniform(1, 12, 300)
    return pd.DataFrame({"t": np.minimum(t, ends), "s": (t <= ends) * 1, "e": "x"})


@pytest.mark.parametrize("family", [CUMULATIVE, HAZARD], ids=["logsf", "hazard"])
@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_the_cured_fraction_of_a_user_s_family(some, family, unit):
    data = some.assign(t=some.t * unit)
    own = bmx.Mixture("surv(t, s) ~ 1", data, family=family, k=1).fit("em", seed=1)
    gompertz = bmx.Mixture("surv(t, s) ~ 1", data, family="gompertz", k=1).fit("em", seed=1)
    np.testing.assert_allclose(
        own.cured_fraction()[["estimate", "lower", "upper"]],
        gompertz.cured_fraction()[["estimate", "lower", "upper"]],
        rtol=2e-3,
    )


def test_a_user_s_family_that_always_happens(some):
    weibull = bmx.Family(
        "mine",
        params={"scale": "log", "shape": "log"},
        location="scale",
        logsf=lambda t, scale, shape: -((t / scale) ** shape),
    )
    fit = bmx.Mixture("surv(t, s) ~ 1", some, family=weibull, k=1).fit("em", seed=1)
    assert fit.cured_fraction().estimate[0] == 0


def test_times_of_a_user_s_family_that_may_never_come(some):
    known = some.assign(e=np.where(some.s == 1, "x", None))
    fit = bmx.CompetingRisks("surv(t, s) ~ 1", known, event="e", family=CUMULATIVE).fit(
        "em", seed=1
    )
    rate, fall = (np.exp(fit.params[n].values.ravel()[0]) for n in ("rate", "fall"))
    never = np.exp(-rate / fall)
    excess = integrate.quad(
        lambda t: np.exp(-rate / fall * -np.expm1(-fall * t)) - never, 0, 200, limit=200
    )[0]
    assert fit.mean_time().estimate[0] == np.inf
    ours = fit.mean_time(among="events").estimate[0]
    assert ours == pytest.approx(excess / (1 - never), rel=1e-6)


# --- intervals, and names of columns -------------------------------------------------------


def test_limits_of_a_quantile_that_is_infinite_in_some_draws(some):
    known = some.assign(e=np.where(some.s == 1, "x", None))
    spec = bmx.CompetingRisks("surv(t, s) ~ 1", known, event="e", family="gompertz")
    posterior = spec.fit("laplace", seed=1, draws=1000)
    share = 1 - float(posterior.cured_fraction().estimate[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = posterior.quantile_time([0.2, share - 0.01, share + 0.2])
    assert np.isfinite(table.upper[0])
    assert np.isfinite(table.lower[1])
    assert np.isinf(table.upper[1:]).all()
    assert np.isinf(table.lower[2])


@pytest.mark.parametrize("name", ["time", "row", "state", "event", "estimate", "q", "source"])
def test_a_covariate_with_the_name_of_a_column(name):
    data = bmx.load_data("mgus2")
    data = data.rename(columns={name: "what"}).assign(**{name: data.sex})
    column = "what" if name == "event" else "event"
    fit = bmx.CompetingRisks(f"surv(years, status) ~ {name}", data, column, "exponential").fit()
    new = pd.DataFrame({name: ["F", "M"]})
    for table in (
        fit.state_probabilities([5], new),
        fit.mean_time(new),
        fit.quantile_time(0.5, new),
        fit.aalen_johansen(by=name, times=[5]),
    ):
        assert table.columns.is_unique
        found = [c for c in table.columns if str(c).startswith(name)]
        assert any(set(table[c].astype(str)) == {"F", "M"} for c in found)
        assert {"estimate", "lower", "upper"} <= set(table.columns)


def test_an_event_called_start():
    data = bmx.load_data("mgus2")
    data["event"] = data["event"].astype(object).replace("pcm", "start")
    fit = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential").fit()
    table = fit.state_probabilities([5])
    assert table.state.tolist() == ["no event", "death", "start"]
    assert table.estimate.sum() == pytest.approx(1)


def test_other_words_for_whom_are_refused():
    fit = bmx.CompetingRisks(
        "surv(years, status) ~ 1", bmx.load_data("mgus2"), "event", "exponential"
    ).fit()
    with pytest.raises(bmx.FitError, match="'all', 'events'"):
        fit.mean_time(among="everyone")
